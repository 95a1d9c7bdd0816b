//! Three tenants call two APIs through one layer, which selects the token for each request. Midway one of the
//! tenants has its tokens revoked.
//!
//! `cargo run --example tenants` prints a table. It fails if a request failed, or if a figure in the table
//! is not as expected.

use std::{
    collections::{BTreeMap, HashSet},
    error::Error,
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header::AUTHORIZATION};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::task::JoinSet;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_bearer::{
    BearerAuthLayer, BoxError, ClientAuth, ClientCredentials, TokenCaches, TokenError,
    testing::{AuthorizationServer, ProtectedApi},
};

const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
const REVOKED: &str = "globex";
const AUDIENCES: [&str; 2] = ["invoices", "orders"];
/// Of each tenant to each API, before the revocation and again after it.
const REQUESTS: usize = 50;

/// Which token a request needs: an extension of the request, and the key of the token's cache.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Access {
    tenant: &'static str,
    audience: &'static str,
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let issuer = AuthorizationServer::start().await?;
    for tenant in TENANTS {
        issuer.client(tenant, &secret(tenant));
    }
    let invoices = ProtectedApi::start(&issuer).await?;
    let orders = ProtectedApi::start(&issuer).await?;
    let url = |audience| match audience {
        "invoices" => invoices.url("/"),
        _ => orders.url("/"),
    };

    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let (for_tokens, endpoint) = (http.clone(), issuer.token_endpoint());
    let tokens = TokenCaches::builder().capacity(100).build(move |access: &Access| {
        let Access { tenant, audience } = *access;
        if !TENANTS.contains(&tenant) {
            return Err(BoxError::from("there is no such tenant"));
        }
        let auth = ClientAuth::post(secret(tenant));
        let credentials = ClientCredentials::builder(for_tokens.clone(), &endpoint, tenant, auth)
            .param("audience", audience)
            .build()?;
        Ok(credentials)
    });
    let layer = BearerAuthLayer::select(move |head| match head.extensions.get::<Access>() {
        Some(access) => tokens.get(access).map(Some),
        None => Ok(None),
    });

    let table = Table::default();
    let counted = {
        let table = table.clone();
        service_fn(move |request: Request<Full<Bytes>>| {
            let access = request.extensions().get::<Access>().copied();
            let token = request.headers().get(AUTHORIZATION).cloned();
            let (answer, table) = (http.request(request), table.clone());
            async move {
                let answer = answer.await?;
                table.sent(access, token, answer.status());
                Ok::<_, BoxError>(answer)
            }
        })
    };
    let client = layer.layer(counted);

    for round in 1..=2 {
        let mut callers = JoinSet::new();
        for (tenant, audience) in TENANTS.iter().flat_map(|t| AUDIENCES.map(|a| (*t, a))) {
            let (mut client, table, url) = (client.clone(), table.clone(), url(audience));
            let access = Access { tenant, audience };
            callers.spawn(async move {
                for _ in 0..REQUESTS {
                    let request = Request::get(&url).extension(access).body(Full::default())?;
                    let status = client.ready().await?.call(request).await?.status();
                    table.answered(access, status);
                }
                Ok::<_, BoxError>(())
            });
        }
        while let Some(done) = callers.join_next().await {
            done??;
        }
        println!("{REQUESTS} requests of each tenant to each API");
        if round == 1 {
            table.tokens_of(REVOKED).iter().for_each(|token| issuer.revoke(token));
            println!("all tokens of {REVOKED} are revoked");
        }
    }

    let access = Access { tenant: "hooli", audience: "orders" };
    let request = Request::get(url("orders")).extension(access).body(Full::default())?;
    let error = client.oneshot(request).await.err().ok_or("the tenant is not known")?;
    let error = error.downcast::<TokenError>()?;
    let why = error.source().map(ToString::to_string).unwrap_or_default();
    println!("a tenant that nobody knows: {error}: {why}");

    Ok(table.print(&issuer))
}

/// A service reads it from where it keeps its secrets.
fn secret(tenant: &str) -> String {
    format!("the secret of {tenant}")
}

/// What became of the requests.
#[derive(Clone, Default)]
struct Table {
    rows: Arc<Mutex<BTreeMap<Access, Row>>>,
}

#[derive(Default)]
struct Row {
    requests: usize,
    failed: usize,
    /// How often the API was called, second attempts included.
    sent: usize,
    refused: usize,
    tokens: HashSet<HeaderValue>,
}

impl Table {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<Access, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self, access: Option<Access>, token: Option<HeaderValue>, status: StatusCode) {
        if let Some(access) = access {
            let mut rows = self.rows();
            let row = rows.entry(access).or_default();
            row.sent += 1;
            row.refused += usize::from(status == StatusCode::UNAUTHORIZED);
            row.tokens.extend(token);
        }
    }

    fn answered(&self, access: Access, status: StatusCode) {
        let mut rows = self.rows();
        let row = rows.entry(access).or_default();
        row.requests += 1;
        row.failed += usize::from(!status.is_success());
    }

    fn tokens_of(&self, tenant: &str) -> Vec<String> {
        let rows = self.rows();
        let of_tenant = rows.iter().filter(|(access, _)| access.tenant == tenant);
        let values = of_tenant.flat_map(|(_, row)| &row.tokens).filter_map(|v| v.to_str().ok());
        values.filter_map(|value| value.strip_prefix("Bearer ").map(str::to_owned)).collect()
    }

    fn print(&self, issuer: &AuthorizationServer) -> ExitCode {
        let rows = self.rows();
        let token_requests: Vec<_> = issuer.requests().iter().map(|r| r.form()).collect();
        let mut wrong = Vec::new();
        println!();
        println!(
            "{:<8} {:<9} {:>8} {:>14} {:>8} {:>9} {:>7}",
            "tenant", "audience", "requests", "token requests", "refused", "replayed", "failed"
        );
        for (Access { tenant, audience }, row) in &*rows {
            let is_for = |form: &&Vec<(String, String)>| {
                form.contains(&("client_id".into(), (*tenant).into()))
                    && form.contains(&("audience".into(), (*audience).into()))
            };
            let fetched = token_requests.iter().filter(is_for).count();
            let Row { requests, failed, sent, refused, .. } = *row;
            let replayed = sent.saturating_sub(requests);
            println!(
                "{tenant:<8} {audience:<9} {requests:>8} {fetched:>14} {refused:>8} {replayed:>9} {failed:>7}"
            );
            let revoked = usize::from(*tenant == REVOKED);
            let expected = (2 * REQUESTS, 1 + revoked, revoked, revoked, 0);
            if (requests, fetched, refused, replayed, failed) != expected {
                wrong.push(format!("{tenant}, {audience}: not what it should be"));
            }
        }
        let tokens: HashSet<_> = rows.values().flat_map(|row| &row.tokens).collect();
        if tokens.len() != token_requests.len() || rows.len() != TENANTS.len() * AUDIENCES.len() {
            wrong.push("a token was used where another belongs".to_owned());
        }
        for wrong in &wrong {
            println!("wrong: {wrong}");
        }
        if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
