//! What is refused before anything is sent, and what is shown of the rest.

use http::{
    HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_LENGTH},
};
use tower_bearer::{
    ClientAuth, ClientCredentials, Grant, Jwt, JwtAlgorithm, Placement, Secret, TokenError,
};

use crate::client_credentials::token_endpoint::*;

#[test]
fn what_cannot_work_is_refused_when_it_is_built() {
    let with_url = |url: &str| TokenEndpoint::default().at(url).build();
    let with = |auth: ClientAuth| {
        ClientCredentials::builder(TokenEndpoint::default(), URL, "client", auth)
    };
    let credentials = || TokenEndpoint::default().credentials();
    let value = || HeaderValue::from_static("v-SENSITIVE");
    for (what, outcome) in [
        ("no URL", with_url("issuer.example/token?SENSITIVE")),
        ("no host", with_url("https:///token?SENSITIVE")),
        ("a space", with_url("https://issuer.example/to ken?SENSITIVE")),
        ("a fragment", with_url("https://issuer.example/token?SENSITIVE#SENSITIVE")),
        ("a user", with_url("https://me:SENSITIVE@issuer.example/token?SENSITIVE")),
        ("another scheme", with_url("ftp://issuer.example/token?SENSITIVE")),
        ("a double grant_type", with_url("https://issuer.example/token?grant_type=SENSITIVE")),
        (
            "an empty id",
            ClientCredentials::builder(TokenEndpoint::default(), URL, "", SECRET).build(),
        ),
        (
            "an id with a colon",
            ClientCredentials::builder(
                TokenEndpoint::default(),
                URL,
                "a:b",
                ClientAuth::basic_unencoded(SECRET),
            )
            .build(),
        ),
        ("a quoted scope", credentials().scope("\"SENSITIVE\"").build()),
        ("a scope of two lines", credentials().scope("SENSITIVE\nb").build()),
        ("the client's secret again", credentials().param("client_secret", "SENSITIVE").build()),
        ("the grant again", credentials().param("grant_type", "SENSITIVE").build()),
        ("an assertion", credentials().param("client_assertion", "SENSITIVE").build()),
        ("a parameter twice", credentials().param("a", "SENSITIVE").param("a", "b").build()),
        (
            "a resource with fragment",
            credentials().param("resource", "https://a#SENSITIVE").build(),
        ),
        ("an authorization header", credentials().header(AUTHORIZATION, value()).build()),
        ("a content-length", credentials().header(CONTENT_LENGTH, value()).build()),
        ("post without a form", with(ClientAuth::post(SECRET)).placement(Placement::Query).build()),
        ("post in a GET", with(ClientAuth::post(SECRET)).placement(Placement::LegacyGet).build()),
        (
            "a password in the query",
            credentials()
                .grant(Grant::legacy_password("me", SECRET))
                .placement(Placement::Query)
                .build(),
        ),
        ("an empty username", credentials().grant(Grant::legacy_password("", SECRET)).build()),
        ("an empty grant type", credentials().grant(Grant::of_type("")).build()),
        ("no name for the id", with(ClientAuth::post(SECRET).client_id_name("")).build()),
        ("no name for the secret", with(ClientAuth::post(SECRET).client_secret_name("")).build()),
        (
            "a name that is sent anyway",
            with(ClientAuth::post(SECRET).client_id_name("scope")).scope("a").build(),
        ),
        (
            "a parameter with the secret's name",
            with(ClientAuth::post(SECRET).client_secret_name("key")).param("key", "a").build(),
        ),
        ("a letter between scopes", credentials().scope_separator('x').build()),
        ("a quote between scopes", credentials().scope_separator('"').build()),
        ("a line break between scopes", credentials().scope_separator('\n').build()),
        ("no pointer", credentials().token_at("access_token").build()),
        ("no pointer to a lifetime", credentials().expires_in_at("$.SENSITIVE").build()),
        ("a broken pointer", credentials().token_type_at("/a~").build()),
        ("a prefix of two lines", credentials().token_prefix("Token\n").build()),
        ("a secret parameter twice", {
            credentials().secret_param("a", "SENSITIVE").param("a", "b").build()
        }),
        ("a secret parameter in the query", {
            credentials().secret_param("a", "SENSITIVE").placement(Placement::Query).build()
        }),
        ("a secret grant", credentials().secret_param("grant_type", "SENSITIVE").build()),
        ("an empty header", with(ClientAuth::header(" ")).build()),
        ("a header of two lines", with(ClientAuth::header("Key SENSITIVE\r\nx: y")).build()),
        ("an id for the body that is empty", {
            let auth = ClientAuth::header("Key SENSITIVE").client_id_in_body();
            ClientCredentials::builder(TokenEndpoint::default(), URL, "", auth).build()
        }),
        (
            "a query too long",
            credentials().param("a", "b".repeat(70_000)).placement(Placement::LegacyGet).build(),
        ),
    ] {
        let error = outcome.expect_err(what);
        assert!(error.is_config() && !error.is_transient(), "{what}: {error:?}");
        assert!(
            !shown(&error).contains("SENSITIVE") && !shown(&error).contains(SECRET),
            "{what}: {error:?}"
        );
    }
}

#[test]
fn client_authentication_is_not_in_the_configured_url() {
    for auth in [ClientAuth::basic(SECRET), ClientAuth::legacy_query(SECRET), ClientAuth::none()] {
        for name in ["client_secret", "client_assertion", "client_assertion_type"] {
            let url = format!("{URL}?a=b&{name}=SENSITIVE");
            let error =
                ClientCredentials::builder(TokenEndpoint::default(), url, "client", auth.clone())
                    .build()
                    .expect_err(name);
            assert!(error.is_config() && error.to_string().contains(name), "{error:?}");
            assert!(!shown(&error).contains("SENSITIVE"), "{error:?}");
        }
    }
    let error = TokenEndpoint::default().at(&format!("{URL}?client_secret=a")).build().unwrap_err();
    assert!(error.to_string().contains("`ClientAuth`"), "{error}");
}

#[test]
fn a_url_may_name_the_client_and_the_grant_by_itself() {
    let credentials = TokenEndpoint::default().at(&format!("{URL}?client_id=a&grant_type=b"));
    assert!(credentials.grant(Grant::without_type()).build().is_ok());
}

#[test]
fn a_name_for_a_parameter_that_is_not_sent_is_refused() {
    let by = |auth| ClientCredentials::builder(TokenEndpoint::default(), URL, "client", auth);
    let header = || ClientAuth::header("ID x");
    let assertion = || ClientAuth::assertion(Secret::from("a.b.c"));
    for (setter, auth) in [
        ("client_id_name", ClientAuth::basic(SECRET).client_id_name("id")),
        ("client_id_name", ClientAuth::basic_unencoded(SECRET).client_id_name("id")),
        ("client_id_name", header().client_id_name("id")),
        ("client_secret_name", ClientAuth::basic(SECRET).client_secret_name("key")),
        ("client_secret_name", header().client_secret_name("key")),
        ("client_secret_name", assertion().client_secret_name("key")),
        ("client_secret_name", ClientAuth::none().client_secret_name("key")),
    ] {
        let error = by(auth).build().expect_err(setter);
        assert!(error.is_config() && error.to_string().contains(setter), "{error:?}");
    }
    for builder in [
        by(ClientAuth::basic(SECRET).client_id_name("id").client_id_in_body()),
        by(ClientAuth::post(SECRET).client_id_name("id").client_secret_name("key")),
        by(ClientAuth::legacy_query(SECRET).client_id_name("id").client_secret_name("key")),
        by(assertion().client_id_name("id")),
        by(ClientAuth::none().client_id_name("id")),
        {
            let auth = ClientAuth::basic(SECRET).client_id_name("id").client_secret_name("key");
            ClientCredentials::discover(TokenEndpoint::default(), URL, "client", auth)
                .pick_auth_method(true)
        },
    ] {
        builder.build().unwrap();
    }
}

#[test]
fn an_empty_id_for_the_body_is_told_with_what_puts_it_there() {
    let auth = ClientAuth::header("Key x").client_id_in_body();
    let builder = ClientCredentials::builder(TokenEndpoint::default(), URL, "", auth);
    let error = builder.build().expect_err("an empty id");
    assert!(error.to_string().contains("`client_id_in_body`"), "{error}");
}

#[test]
fn the_first_problem_is_the_one_that_is_reported() {
    let credentials = TokenEndpoint::default().credentials();
    let error = credentials.scope("\"").param("scope", "a").build().expect_err("two problems");
    assert!(error.to_string().starts_with("the scope"), "{error}");
}

#[test]
fn plain_http_is_for_loopback_and_for_those_who_ask_for_it() {
    let at = |url: &str| TokenEndpoint::default().at(url);
    let error = at("http://issuer.example/token?SENSITIVE").build().expect_err("plain http");
    assert!(error.is_insecure() && error.to_string().contains("allow_http"), "{error}");
    assert!(!shown(&error).contains("SENSITIVE"), "{error:?}");
    assert!(at("http://issuer.example/token").allow_http(true).build().is_ok());
    for loopback in ["localhost", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080"] {
        assert!(at(&format!("http://{loopback}/token")).build().is_ok(), "{loopback}");
    }
}

#[test]
fn debug_shows_neither_secret_nor_query() {
    let mut apikey = HeaderValue::from_static("SENSITIVE");
    apikey.set_sensitive(true);
    let builder = TokenEndpoint::default()
        .at("https://issuer.example:8443/token?SENSITIVE")
        .param("x", "SENSITIVE")
        .header(HeaderName::from_static("apikey"), apikey)
        .grant(Grant::legacy_password("me", SECRET));
    let texts = [
        format!("{builder:?} {builder:#?}"),
        format!("{:?}", builder.build().unwrap()),
        format!("{:?} {:?}", ClientAuth::basic(SECRET), ClientAuth::legacy_query(SECRET)),
        format!("{:?} {:?}", ClientAuth::header(SECRET), Secret::from(SECRET)),
        format!("{:?}", ClientAuth::assertion(Secret::from(SECRET))),
        format!("{:#?}", ClientAuth::assertion(Jwt::new(JwtAlgorithm::HS256, SECRET))),
        format!("{:?}", Secret::from_fn(async || Ok::<_, TokenError>(SECRET))),
        format!("{:?}", {
            let builder = TokenEndpoint::default().credentials().secret_param("a", SECRET);
            builder.grant(Grant::jwt_bearer(Secret::from(SECRET))).token_prefix("Key ")
        }),
    ];
    for text in texts {
        assert!(!text.contains("SENSITIVE") && !text.contains(SECRET), "{text}");
    }
}
