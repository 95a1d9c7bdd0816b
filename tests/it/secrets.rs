//! No token, secret or URL query in anything that a program prints.

use std::error::Error;

use tower::{Layer, service_fn};
use tower_bearer::{
    BearerAuthLayer, BoxError, ClientAuth, ClientCredentials, Grant, Placement, Shared, StoreEntry,
    Token, TokenCache, TokenError, testing::MemoryStore,
};

use crate::support::{Body, Issuer, get, seconds, send};

const SECRET: &str = "s3cr3t-Hunter2";
const TOKEN: &str = "t0k3n-abcdef";

fn assert_clean(what: &str, text: &str) {
    for secret in [SECRET, TOKEN, "tenant-query"] {
        assert!(!text.contains(secret), "{what} shows `{secret}`: {text}");
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(" {error} {error:?}");
        source = error.source();
    }
    text
}

#[tokio::test(start_paused = true)]
async fn no_public_type_shows_a_secret_when_it_is_formatted() {
    let http = service_fn(async |_: http::Request<Body>| {
        let body = format!("{{\"access_token\":\"{TOKEN}\",\"token_type\":\"Bearer\"}}");
        Ok::<_, BoxError>(http::Response::new(Body::from(body)))
    });
    let url = "https://issuer.example.com/token?tenant-query=1";
    let builder = || {
        ClientCredentials::builder(http, url, "id", ClientAuth::legacy_query(SECRET))
            .placement(Placement::LegacyGet)
            .grant(Grant::legacy_password("user", SECRET))
            .param("audience", "x")
    };
    assert_clean("builder", &format!("{:?} {:#?}", builder(), builder()));
    let credentials = builder().build().unwrap();
    assert_clean("credentials", &format!("{credentials:?} {credentials:#?}"));

    let cache = TokenCache::new(credentials);
    let mut changes = cache.changes();
    let token = cache.token().await.unwrap();
    assert_clean("changes", &format!("{changes:?} {:?}", changes.next().await));
    assert_eq!(token.expose(), TOKEN);
    assert_clean("token", &format!("{token:?} {token:#?}"));
    let status = cache.status();
    assert!(status.has_token());
    assert_clean("status", &format!("{status:?} {status:#?}"));
    assert_clean("cache", &format!("{cache:?} {cache:#?} {:?}", TokenCache::builder()));

    let entry = StoreEntry::new(TOKEN, seconds(1));
    assert_clean("entry", &format!("{entry:?} {entry:#?}"));
    let store = MemoryStore::new();
    let shared = Shared::new(builder().build().unwrap(), store.clone()).seal([SECRET]).name("a");
    assert_clean("shared", &format!("{shared:?} {shared:#?}"));
    TokenCache::new(Shared::new(Issuer::default(), store.clone()).name("a")).token().await.unwrap();
    assert!(format!("{store:?}").contains("tower-bearer:"));
    assert_clean("store", &format!("{store:?} {store:#?}"));

    let layer = BearerAuthLayer::new(cache).overwrite();
    assert_clean("layer", &format!("{layer:?} {layer:#?}"));
    let service = layer.layer(tower::util::BoxCloneService::new(http));
    assert_clean("service", &format!("{service:?}"));
    let mut service = service;
    let future = tower::Service::call(&mut service, get("https://api.example.com/"));
    assert_clean("future", &format!("{future:?}"));
    for auth in [
        ClientAuth::basic(SECRET),
        ClientAuth::basic_unencoded(SECRET),
        ClientAuth::post(SECRET),
        ClientAuth::legacy_query(SECRET),
        ClientAuth::from(SECRET),
    ] {
        assert_clean("auth", &format!("{auth:?} {auth:#?}"));
    }
    let exchange = Grant::token_exchange(SECRET, "type").actor(SECRET, "type");
    assert_clean("exchange", &format!("{exchange:?} {exchange:#?}"));
    for grant in [Grant::from(exchange), Grant::legacy_password("user", SECRET)] {
        assert_clean("grant", &format!("{grant:?} {grant:#?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn no_error_shows_a_secret_even_if_it_quotes_the_url() {
    let http = service_fn(async |request: http::Request<Body>| {
        Err::<http::Response<Body>, BoxError>(format!("cannot reach {}", request.uri()).into())
    });
    let url = "https://issuer.example.com/token?tenant-query=1";
    let credentials = ClientCredentials::builder(http, url, "id", ClientAuth::legacy_query(SECRET))
        .placement(Placement::LegacyGet)
        .build()
        .unwrap();
    let error = TokenCache::new(credentials).token().await.unwrap_err();
    assert!(error.is_transient());
    assert_clean("error", &chain(&error));
}

#[test]
fn no_error_about_a_bad_token_shows_it() {
    for token in [format!("{TOKEN} x"), format!("{TOKEN}\n"), format!("{TOKEN}\u{e9}")] {
        let error = Token::bearer(&token).unwrap_err();
        assert!(error.is_invalid_token());
        assert_clean("error", &chain(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn the_request_that_is_sent_marks_the_token_as_sensitive() {
    let issuer = Issuer::of(seconds(300));
    let http = service_fn(async |request: http::Request<Body>| {
        Err::<http::Response<Body>, BoxError>(format!("{request:?}").into())
    });
    let mut client = BearerAuthLayer::new(issuer).layer(http);
    let error = send(&mut client, get("https://api.example.com/")).await.unwrap_err();
    assert!(!error.to_string().contains("t1"), "{error}");
    assert!(error.downcast_ref::<TokenError>().is_none());
}
