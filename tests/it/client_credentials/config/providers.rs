//! The providers of the documentation: what their configuration and their builder calls send.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request, Uri,
    header::USER_AGENT,
    uri::{Authority, Scheme},
};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::Service;
use tower_bearer::{
    BoxError, ClientAuth, ClientCredentials, ClientCredentialsBuilder, ClientCredentialsConfig,
    Grant, Jwt, JwtAlgorithm, Placement, TokenCache,
};

use crate::client_credentials::wire::*;

const DOCUMENTATION: &str = include_str!("../../../../src/docs/providers.md");

type Http = Client<HttpConnector, Full<Bytes>>;
type Builder = ClientCredentialsBuilder<Detour>;
type Documented = (&'static str, fn(Detour) -> Builder);

/// What the documentation has about a provider.
#[derive(Default)]
struct Provider {
    name: String,
    toml: String,
    rust: String,
    http: String,
}

impl Provider {
    fn all() -> Vec<Self> {
        let sections = DOCUMENTATION.split("\n## ").skip(1);
        let provider = |section: &str| {
            let name = section.lines().next().unwrap().to_owned();
            let mut provider = Self { name, ..Self::default() };
            let mut blocks = section.split("```");
            while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
                let (language, text) = block.split_once('\n').unwrap();
                let place = match language {
                    "toml" => &mut provider.toml,
                    "rust" => &mut provider.rust,
                    "http" => &mut provider.http,
                    other => panic!("{}: {other}", provider.name),
                };
                *place = text
                    .lines()
                    .filter(|line| !line.starts_with('#'))
                    .fold(String::new(), |text, line| text + line + "\n");
            }
            provider
        };
        sections.map(provider).collect()
    }
}

#[tokio::test]
async fn what_the_documentation_configures_is_sent() {
    for provider in Provider::all() {
        let toml = provider.toml.replace("/run/secrets/", "tests/keys/");
        let config: ClientCredentialsConfig = toml::from_str(&toml).expect(&provider.name);
        let sent = sent(|client| config.builder(client).expect(&provider.name)).await;
        assert_eq!(sent, provider.http, "{}", provider.name);
    }
}

#[tokio::test]
async fn what_the_documentation_builds_is_sent() {
    for provider in Provider::all() {
        let (_, builder) = *BUILDERS
            .iter()
            .find(|(name, _)| *name == provider.name)
            .unwrap_or_else(|| panic!("no builder for {}", provider.name));
        assert_eq!(sent(builder).await, provider.http, "{}", provider.name);
    }
}

#[test]
fn what_the_documentation_builds_is_what_is_tested() {
    let compact = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        text.replace(",)", ")")
    };
    let tested = compact(include_str!("providers.rs"));
    let providers = Provider::all();
    assert!(providers.len() >= 20);
    for provider in &providers {
        let documented = compact(&provider.rust);
        assert!(!documented.is_empty() && tested.contains(&documented), "{}", provider.name);
    }
    assert_eq!(BUILDERS.len(), providers.len());
}

/// The request as the documentation shows it.
async fn sent(builder: impl FnOnce(Detour) -> Builder) -> String {
    let wire = Wire::open().await;
    let client = Detour::to(&wire);
    let meant = client.meant.clone();
    // Whether the answer is understood does not matter here.
    let _ = TokenCache::new(builder(client).build().unwrap()).token().await;
    let sent = wire.last();
    let meant = meant.lock().unwrap().clone().unwrap();
    assert_eq!(meant.path_and_query().unwrap().as_str(), sent.target);
    assert_eq!(sent.header("accept"), Some("application/json"));
    let mut headers: Vec<_> = sent
        .headers
        .iter()
        .filter(|(name, value)| match &**name {
            "accept" | "host" => false,
            "content-length" => value == "0",
            _ => true,
        })
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    headers.sort_unstable();
    let body = match &*sent.body {
        "" => String::new(),
        body => format!("\n{}\n", without_jwt(body)),
    };
    format!("{} {meant}\n{}{body}", sent.method, headers.concat())
}

/// With `(jwt)` where one is that was signed here.
fn without_jwt(body: &str) -> String {
    let param = |param: &str| match param.split_once("=eyJ") {
        Some((name, rest)) => {
            assert_eq!(rest.split('.').count(), 3, "{rest}");
            format!("{name}=(jwt)")
        }
        None => param.to_owned(),
    };
    body.split('&').map(param).collect::<Vec<_>>().join("&")
}

/// A client that sends every request to this machine.
#[derive(Clone)]
struct Detour {
    client: Http,
    authority: Authority,
    meant: Arc<Mutex<Option<Uri>>>,
}

impl Detour {
    fn to(wire: &Wire) -> Self {
        let origin: Uri = wire.origin.parse().unwrap();
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            authority: origin.into_parts().authority.unwrap(),
            meant: Arc::default(),
        }
    }
}

impl Service<Request<Full<Bytes>>> for Detour {
    type Response = <Http as Service<Request<Full<Bytes>>>>::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Full<Bytes>>) -> Self::Future {
        *self.meant.lock().unwrap() = Some(request.uri().clone());
        let mut parts = request.uri().clone().into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        *request.uri_mut() = Uri::from_parts(parts).unwrap();
        let sent = self.client.request(request);
        Box::pin(async { Ok(sent.await?) })
    }
}

/// Takes files from the keys of the tests.
struct Secret;

impl Secret {
    fn file(path: &str) -> tower_bearer::Secret {
        tower_bearer::Secret::file(path.replace("/run/secrets/", "tests/keys/"))
    }
}

const BUILDERS: &[Documented] = &[
    ("Certara Layar", certara_layar),
    ("Layer1 (BVNK)", layer1_bvnk),
    ("Virtana", virtana),
    ("Vyopta", vyopta),
    ("Raw Basic", raw_basic),
    ("Keycloak", keycloak),
    ("Auth0", auth0),
    ("Okta", okta),
    ("Microsoft Entra ID", microsoft_entra_id),
    ("Microsoft Entra workload identity", microsoft_entra_workload_identity),
    ("AWS Cognito", aws_cognito),
    ("Salesforce", salesforce),
    ("Zoom (Server-to-Server)", zoom),
    ("Spotify", spotify),
    ("PayPal", paypal),
    ("SAP XSUAA", sap_xsuaa),
    ("SAP Ariba", sap_ariba),
    ("Workday", workday),
    ("Shopify", shopify),
    ("eBay", ebay),
    ("Adobe IMS", adobe_ims),
    ("Fiserv", fiserv),
    ("WeChat", wechat),
    ("Box", box_ccg),
    ("Marketo", marketo),
    ("Personio (v1)", personio),
    ("X (Twitter)", x),
    ("Google service accounts", google_service_accounts),
    ("Sabre", sabre),
    ("pVerify", pverify),
    ("Reddit", reddit),
];

fn certara_layar(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://my-instance.vyasa.com/connect/oauth/token",
        "orders",
        "s3cr3t",
    )
    .placement(Placement::Query)
}

fn layer1_bvnk(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://auth.sandbox.layer1.com/auth/realms/bvnk/protocol/openid-connect/token",
        "orders",
        ClientAuth::post("s3cr3t"),
    )
}

fn virtana(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://app.cloud.virtana.com/authorization/oauth/token",
        "orders",
        ClientAuth::legacy_query("s3cr3t"),
    )
    .placement(Placement::LegacyGet)
}

fn vyopta(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://login.vyopta.com/auth/realms/vyopta/protocol/openid-connect/token",
        "vyopta",
        ClientAuth::none(),
    )
    .grant(Grant::legacy_password("user@example.com", "pa55word"))
}

fn raw_basic(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://platform.example/oauth/v2/token",
        "orders",
        ClientAuth::basic_unencoded("s3cr3t+/="),
    )
}

fn keycloak(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://sso.example.com/realms/main/protocol/openid-connect/token",
        "orders",
        "s3cr3t",
    )
    .scope("orders")
}

fn auth0(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://tenant.eu.auth0.com/oauth/token",
        "orders",
        ClientAuth::post("s3cr3t"),
    )
    .placement(Placement::Json)
    .param("audience", "https://api.example.com")
}

fn okta(client: Detour) -> Builder {
    let jwt = Jwt::new(JwtAlgorithm::RS256, Secret::file("/run/secrets/rsa.pem")).kid("2026-08");
    ClientCredentials::builder(
        client,
        "https://tenant.okta.com/oauth2/v1/token",
        "orders",
        ClientAuth::assertion(jwt),
    )
    .scope("okta.users.read")
}

fn microsoft_entra_id(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://login.microsoftonline.com/tenant.onmicrosoft.com/oauth2/v2.0/token",
        "orders",
        ClientAuth::post("s3cr3t"),
    )
    .scope("https://graph.microsoft.com/.default")
}

fn microsoft_entra_workload_identity(client: Detour) -> Builder {
    let assertion = Secret::file("/run/secrets/assertion.jwt");
    ClientCredentials::builder(
        client,
        "https://login.microsoftonline.com/tenant.onmicrosoft.com/oauth2/v2.0/token",
        "orders",
        ClientAuth::assertion(assertion),
    )
    .scope("https://graph.microsoft.com/.default")
}

fn aws_cognito(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://pool.auth.eu-central-1.amazoncognito.com/oauth2/token",
        "orders",
        "s3cr3t",
    )
    .scope("orders/read")
}

fn salesforce(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://mydomain.my.salesforce.com/services/oauth2/token",
        "orders",
        ClientAuth::post("s3cr3t"),
    )
}

fn zoom(client: Detour) -> Builder {
    ClientCredentials::builder(client, "https://zoom.us/oauth/token", "orders", "s3cr3t")
        .grant(Grant::of_type("account_credentials"))
        .param("account_id", "abc123")
}

fn spotify(client: Detour) -> Builder {
    ClientCredentials::builder(client, "https://accounts.spotify.com/api/token", "orders", "s3cr3t")
}

fn paypal(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://api-m.paypal.com/v1/oauth2/token",
        "orders",
        "s3cr3t",
    )
}

fn sap_xsuaa(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://subdomain.authentication.eu10.hana.ondemand.com/oauth/token",
        "sb-app!t1234",
        ClientAuth::post("s3cr3t+/="),
    )
}

fn sap_ariba(client: Detour) -> Builder {
    let mut key = HeaderValue::from_static("k3y");
    key.set_sensitive(true);
    ClientCredentials::builder(client, "https://api.ariba.com/v2/oauth/token", "orders", "s3cr3t")
        .grant(Grant::of_type("openapi_2lo"))
        .header(HeaderName::from_static("apikey"), key)
}

fn workday(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://auth.api.workday.com/v1/token",
        "",
        ClientAuth::header("ID b3JkZXJzOnMzY3IzdA=="),
    )
    .param("tenant_alias", "acme")
}

fn shopify(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://shop.myshopify.com/admin/oauth/access_token",
        "orders",
        ClientAuth::post("s3cr3t"),
    )
    .placement(Placement::Json)
    .token_prefix("")
}

fn ebay(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://api.ebay.com/identity/v1/oauth2/token",
        "orders",
        "s3cr3t",
    )
    .scope("https://api.ebay.com/oauth/api_scope")
}

fn adobe_ims(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://ims-na1.adobelogin.com/ims/token/v3",
        "orders",
        ClientAuth::post("s3cr3t"),
    )
    .scope("openid AdobeID read_organizations")
    .scope_separator(',')
}

fn fiserv(client: Detour) -> Builder {
    ClientCredentials::builder(client, "https://fiserv.example/oauth/token", "orders", "s3cr3t")
        .expires_in_millis(true)
}

fn wechat(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://api.weixin.qq.com/cgi-bin/token",
        "orders",
        ClientAuth::legacy_query("s3cr3t").client_id_name("appid").client_secret_name("secret"),
    )
    .grant(Grant::of_type("client_credential"))
    .placement(Placement::LegacyGet)
}

fn box_ccg(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://api.box.com/oauth2/token",
        "orders",
        ClientAuth::post("s3cr3t"),
    )
    .param("box_subject_id", "12345")
    .param("box_subject_type", "enterprise")
}

fn marketo(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://123-abc-456.mktorest.com/identity/oauth/token",
        "orders",
        ClientAuth::legacy_query("s3cr3t"),
    )
    .placement(Placement::LegacyGet)
}

fn personio(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://api.personio.de/v1/auth",
        "orders",
        ClientAuth::post("s3cr3t"),
    )
    .grant(Grant::without_type())
    .placement(Placement::Json)
    .token_at("/data/token")
}

fn x(client: Detour) -> Builder {
    ClientCredentials::builder(client, "https://api.x.com/oauth2/token", "orders", "s3cr3t")
}

fn google_service_accounts(client: Detour) -> Builder {
    let jwt = Jwt::new(JwtAlgorithm::RS256, Secret::file("/run/secrets/rsa.pem"))
        .claim("iss", "orders@project.iam.gserviceaccount.com")
        .claim("sub", "orders@project.iam.gserviceaccount.com")
        .claim("scope", "https://www.googleapis.com/auth/devstorage.read_only");
    ClientCredentials::builder(
        client,
        "https://oauth2.googleapis.com/token",
        "",
        ClientAuth::none(),
    )
    .grant(Grant::jwt_bearer(jwt))
}

fn sabre(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://api.sabre.com/v2/auth/token",
        "VjE6dXNlcjpncm91cDpBQQ==",
        ClientAuth::basic_unencoded("czNjcjN0"),
    )
}

fn pverify(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://api.pverify.com/Token",
        "orders",
        ClientAuth::post("s3cr3t").client_id_name("Client_Id").client_secret_name("Client_Secret"),
    )
    .header(HeaderName::from_static("client-api-id"), HeaderValue::from_static("orders"))
}

fn reddit(client: Detour) -> Builder {
    ClientCredentials::builder(
        client,
        "https://www.reddit.com/api/v1/access_token",
        "orders",
        "s3cr3t",
    )
    .header(USER_AGENT, HeaderValue::from_static("linux:com.example.orders:1.0"))
}
