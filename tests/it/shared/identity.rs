//! Which fetchers share a token.

use std::{collections::HashSet, convert::Infallible, sync::Arc};

use http::{HeaderName, HeaderValue, Request, Response};
use tower::{Service, service_fn};
use tower_bearer::{
    Assertion, ClientAuth, ClientCredentials, ClientCredentialsBuilder, Grant, Jwt, JwtAlgorithm,
    Placement, Secret, Shared, Token, TokenCache, TokenFetcher, fetch_fn, testing::MemoryStore,
};

use super::support::{Fleet, all};
use crate::support::{Body, Issuer, answer, seconds};

const ENDPOINT: &str = "https://issuer.example/token";

#[derive(Clone)]
struct Unused;

impl Service<Request<Body>> for Unused {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Ok(answer(500)))
    }
}

fn builder() -> ClientCredentialsBuilder<Unused> {
    ClientCredentials::builder(Unused, ENDPOINT, "orders", "s3cr3t")
}

fn identity(builder: ClientCredentialsBuilder<Unused>) -> Option<String> {
    builder.build().unwrap().identity()
}

fn jwt(subject: &str) -> Jwt {
    let key = include_str!("../../keys/p256.pem");
    Jwt::new(JwtAlgorithm::ES256, key).claim("sub", subject)
}

#[test]
fn whatever_makes_another_token_makes_another_identity() {
    let header = |value| builder().header(HeaderName::from_static("x-tenant"), value);
    let assertion =
        |jwt| ClientCredentials::builder(Unused, ENDPOINT, "orders", ClientAuth::assertion(jwt));
    let at = |url, id: &str| ClientCredentials::builder(Unused, url, id, "s3cr3t");
    let variants = [
        builder(),
        at("https://issuer.example/other", "orders"),
        at("https://other.example/token", "orders"),
        at("https://issuer.example:8443/token", "orders"),
        at("https://issuer.example/token?tenant=a", "orders"),
        at("https://issuer.example/token?tenant=b", "orders"),
        at(ENDPOINT, "billing"),
        ClientCredentials::discover(Unused, "https://issuer.example", "orders", "s3cr3t"),
        ClientCredentials::discover(Unused, "https://issuer.example/", "orders", "s3cr3t"),
        builder().scope("a"),
        builder().scope("ab"),
        builder().scope("a b"),
        builder().scope("a b").scope_separator(','),
        builder().param("audience", "a"),
        builder().param("audience", "b"),
        builder().param("audience", "a").param("audience", "b"),
        builder().param("resource", "https://a.example"),
        builder().param("tenant", "a"),
        builder().param("tenanta", "a"),
        builder().grant(Grant::of_type("urn:example")),
        builder().grant(Grant::without_type()),
        builder().grant(Grant::legacy_password("user", "s3cr3t")),
        builder().grant(Grant::legacy_password("other", "s3cr3t")),
        builder().grant(Grant::jwt_bearer(jwt("user"))),
        builder().grant(Grant::jwt_bearer(jwt("other"))),
        assertion(jwt("a")),
        assertion(jwt("b")),
        assertion(jwt("a").claim("iss", "c")),
        assertion(jwt("a").claim("tenant", "c")),
        assertion(jwt("a").audience("https://c.example")),
        builder().token_at("/id_token"),
        builder().token_prefix("Token "),
        header(HeaderValue::from_static("a")),
        header(HeaderValue::from_static("b")),
    ];
    let count = variants.len();
    let identities: HashSet<_> = variants.map(|variant| identity(variant).unwrap()).into();
    assert_eq!(identities.len(), count);
}

#[test]
fn client_authentication_and_response_options_do_not_matter() {
    let key = Jwt::new(JwtAlgorithm::ES256, include_str!("../../keys/p256.pem"));
    let same = [
        ClientCredentials::builder(Unused, ENDPOINT, "orders", ClientAuth::post("new")),
        ClientCredentials::builder(Unused, ENDPOINT, "orders", Secret::file("/run/secret")),
        ClientCredentials::builder(Unused, ENDPOINT, "orders", ClientAuth::assertion(key)),
        ClientCredentials::builder(Unused, "HTTPS://Issuer.example.:443/token", "orders", "s3cr3t"),
        builder().placement(Placement::Json),
        ClientCredentials::builder(
            Unused,
            ENDPOINT,
            "orders",
            ClientAuth::basic("s3cr3t").client_id_in_body(),
        ),
        builder().response_limit(1000),
    ];
    for (n, same) in same.into_iter().enumerate() {
        assert_eq!(identity(same), identity(builder()), "{n}");
    }
    let original = builder().build().unwrap();
    assert_eq!(original.derive().build().unwrap().identity(), identity(builder()));
    assert_ne!(original.derive().scope("b").build().unwrap().identity(), identity(builder()));
    assert_eq!(Arc::new(original).identity(), identity(builder()));
}

#[test]
fn what_only_a_secret_tells_from_others_has_no_identity() {
    let id = |id: Secret| ClientCredentials::builder(Unused, ENDPOINT, id, "s3cr3t");
    let auth = |id: &str, auth| ClientCredentials::builder(Unused, ENDPOINT, id, auth);
    let mut key = HeaderValue::from_static("s3cr3t");
    key.set_sensitive(true);
    let variants = [
        id(Secret::file("/run/id")),
        id(Secret::from_fn(async || Ok::<_, Infallible>("orders".to_owned()))),
        auth("", ClientAuth::header("Bearer s3cr3t")),
        auth("orders", ClientAuth::header("Bearer s3cr3t")),
        auth("orders", ClientAuth::assertion(Secret::file("/run/assertion"))),
        // By a certificate, perhaps.
        auth("orders", ClientAuth::none()),
        auth("", ClientAuth::none()).grant(Grant::jwt_bearer(jwt("a").claim("iss", "b"))),
        builder().grant(Grant::jwt_bearer(Assertion::from(Secret::file("/run/assertion")))),
        builder().secret_param("subject_token", "s3cr3t"),
        builder().header(HeaderName::from_static("x-key"), key),
    ];
    for (n, variant) in variants.into_iter().enumerate() {
        assert_eq!(identity(variant), None, "{n}");
    }
}

#[test]
fn the_order_of_what_is_sent_makes_no_other_identity() {
    let header = |name| HeaderName::from_static(name);
    let one = builder()
        .scope("a b")
        .param("audience", "x")
        .param("tenant", "y")
        .header(header("x-a"), HeaderValue::from_static("1"))
        .header(header("x-b"), HeaderValue::from_static("2"));
    let other = builder()
        .scope("b a")
        .param("tenant", "y")
        .param("audience", "x")
        .header(header("x-b"), HeaderValue::from_static("2"))
        .header(header("x-a"), HeaderValue::from_static("1"));
    assert_eq!(identity(one), identity(other));
    let separated = builder().scope("a").scope_separator(',');
    assert_eq!(identity(separated), identity(builder().scope("a")));
}

/// Processes share a token only as long as this stays, whatever features of other crates they have.
#[test]
fn an_identity_is_the_same_in_each_build() {
    let builder =
        builder().scope("a b").param("audience", "x").grant(Grant::jwt_bearer(jwt("user")));
    assert_eq!(
        identity(builder).unwrap(),
        "6c6d413dcb4792b5133fe26bbe1f297e1bcafcf3df42bb796b392521e01e8caf"
    );
}

#[tokio::test(start_paused = true)]
async fn clients_told_apart_by_an_assertions_claims_share_no_token() {
    let store = MemoryStore::new();
    let mut tokens = HashSet::new();
    for tenant in ["a", "b"] {
        let token = format!("token-of-{tenant}");
        let client = service_fn(move |_: Request<Body>| {
            let body =
                format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":300}}"#);
            std::future::ready(Ok::<_, Infallible>(Response::new(Body::from(body))))
        });
        let auth = ClientAuth::assertion(jwt("orders").claim("tenant", tenant));
        let credentials = ClientCredentials::builder(client, ENDPOINT, "orders", auth).build();
        let shared = Shared::new(credentials.unwrap(), store.clone()).unsealed();
        tokens.insert(TokenCache::new(shared).token().await.unwrap().expose().to_owned());
    }
    assert_eq!(tokens.len(), 2);
}

#[test]
fn an_identity_shows_nothing_of_what_it_is_made_of() {
    let endpoint = "https://issuer.example/token?api_key=s3cr3t";
    let credentials = ClientCredentials::builder(Unused, endpoint, "orders", "s3cr3t");
    let identity = identity(credentials).unwrap();
    assert!(identity.len() == 64 && identity.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[tokio::test(start_paused = true)]
async fn a_fetcher_without_identity_and_name_is_an_error() {
    let shared = Shared::new(fetch_fn(async |_| Token::bearer("abc")), MemoryStore::new());
    let error = TokenCache::new(shared).token().await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("`Shared::name`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn clients_of_different_names_share_a_store_and_no_token() {
    let fleet = Fleet::of(Issuer::of(seconds(300)));
    let named = |name: &str| TokenCache::new(fleet.shared().name(name));
    let tokens = all(&[named("a"), named("b"), named("a")]).await;
    assert_eq!(fleet.issuer.fetches(), 2);
    assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), 2);
    let entries = fleet.store.entries();
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|(key, _)| key.starts_with("tower-bearer:") && key.len() == 77));
}
