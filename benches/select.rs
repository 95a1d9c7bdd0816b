//! A hit whose token is selected from 1,000 caches, against one whose layer has one cache.

#[path = "support/ratios.rs"]
mod ratios;
#[path = "support/sharing.rs"]
mod sharing;
#[path = "support/mod.rs"]
mod support;

use std::{collections::HashMap, error::Error, time::Duration};

use criterion::{BatchSize, Criterion};
use http::Request;
use tower::Layer;
use tower_bearer::{BearerAuthLayer, BoxError, Token, TokenCaches, TokenError, fetch_fn};

use sharing::{Pair, runtime, show};
use support::*;

const TENANTS: u32 = 1_000;

/// For any of the tenants.
fn for_a_tenant() -> Request<Body> {
    let mut request = request(8);
    let uri = format!("https://api.example.com/{}/orders", fastrand::u32(..TENANTS));
    *request.uri_mut() = uri.parse().unwrap();
    request
}

/// A layer that has a token for each tenant, who is the first segment of the path.
fn select() -> BearerAuthLayer {
    let tokens = TokenCaches::builder().capacity(2 * TENANTS as usize).build(|tenant: &String| {
        let token = Token::bearer(&format!("{}{tenant:>8}", access_token(32)).replace(' ', "-"))?;
        let token = token.expires_in(Duration::MAX);
        Ok::<_, TokenError>(fetch_fn(move |_| {
            let token = token.clone();
            async move { Ok::<_, BoxError>(token) }
        }))
    });
    let all = (0..TENANTS).map(|tenant| tenant.to_string());
    assert!(runtime().block_on(tokens.warm(all)).is_empty());
    BearerAuthLayer::select(move |head| {
        let tenant = head.uri.path().split('/').nth(1).unwrap_or_default();
        tokens.get(tenant).map(Some)
    })
}

fn tenant(request: &Request<Body>) -> &str {
    request.uri().path().split('/').nth(1).unwrap_or_default()
}

fn hit(c: &mut Criterion) {
    let mut group = c.benchmark_group("select: 1,000 tenants");
    let mut one = BearerAuthLayer::new(cached(40)).layer(Bare);
    // What one would do without `select`, and which has as many tokens to read from memory.
    let mut each: HashMap<String, _> = (0..TENANTS)
        .map(|tenant| (tenant.to_string(), BearerAuthLayer::new(cached(40)).layer(Bare)))
        .collect();
    let mut selected = select().layer(Bare);
    // Each cache settles its token at its first hit.
    for tenant in 0..TENANTS {
        let mut request = request(8);
        *request.uri_mut() = format!("https://api.example.com/{tenant}/").parse().unwrap();
        call(each.get_mut(&tenant.to_string()).unwrap(), request.clone());
        call(&mut selected, request);
    }
    group.bench_function("BearerAuth", |b| {
        b.iter_batched(for_a_tenant, |request| call(&mut one, request), BatchSize::SmallInput);
    });
    group.bench_function("BearerAuth for each", |b| {
        let routine =
            |request: Request<Body>| call(each.get_mut(tenant(&request)).unwrap(), request);
        b.iter_batched(for_a_tenant, routine, BatchSize::SmallInput);
    });
    group.bench_function("BearerAuth, select", |b| {
        b.iter_batched(for_a_tenant, |request| call(&mut selected, request), BatchSize::SmallInput);
    });
    group.finish();
}

fn main() -> Result<(), Box<dyn Error>> {
    ratios::run("select", hit)?;
    if ratios::are_measured() {
        let one = || BearerAuthLayer::new(cached(40)).layer(Bare);
        let mut pairs = [
            Pair::with("BearerAuth", one, for_a_tenant),
            Pair::with("BearerAuth, select", || select().layer(Bare), for_a_tenant),
        ];
        show(&mut pairs, &runtime());
    }
    Ok(())
}
