//! What is sent to a token endpoint.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST},
};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tower_bearer::{ClientAuth, ClientCredentials, Grant, Placement, TokenCache, TokenError};

use crate::client_credentials::{token_endpoint::*, wire::*};

fn rows(table: &'static str) -> impl Iterator<Item = Value> {
    table.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

#[tokio::test]
async fn every_providers_request_can_be_sent_byte_for_byte() {
    let wire = Wire::open().await;
    for row in rows(include_str!("../../../vectors/seed-variants.jsonl")) {
        let id = text(&row, "id");
        let Some(credentials) = provider(id, &row["request"], &wire.origin) else { continue };
        let tokens = TokenCache::new(credentials.unwrap());
        for _ in 0..2 {
            tokens.token().await.unwrap();
            compare(id, &wire.last(), &row["request"]);
        }
        let mut requests = wire.requests.lock().unwrap();
        assert_eq!(requests.len(), 2, "{id}");
        assert_eq!(requests[0], requests[1], "{id}: the second request differs");
        requests.clear();
    }
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// What a user writes for this provider, or `None` if the row is not a token request.
fn provider(
    id: &str,
    request: &Value,
    origin: &str,
) -> Option<Result<ClientCredentials<HttpClient>, TokenError>> {
    let url: http::Uri = text(request, "url").parse().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let at = |id: &str, auth: ClientAuth| {
        ClientCredentials::builder(client.clone(), format!("{origin}{}", url.path()), id, auth)
    };
    Some(match id {
        "layar-curl" | "layar-node" => {
            at("CLIENT_ID", "CLIENT_SECRET".into()).placement(Placement::Query).build()
        }
        "layar-python-json" => at("CLIENT_ID", "CLIENT_SECRET".into())
            .placement(Placement::Query)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .build(),
        "layar-sdk-form" => at("clientId", "clientSecret".into()).build(),
        "layar-password" => at("CLIENT_ID", "CLIENT_SECRET".into())
            .grant(Grant::legacy_password("USER", "PASSWORD"))
            .build(),
        "bvnk-curl" | "bvnk-requests" => {
            at("PROVIDED_CLIENT_ID", ClientAuth::post("PROVIDED_CLIENT_SECRET")).build()
        }
        "bvnk-axios" => at("PROVIDED_CLIENT_ID", ClientAuth::post("PROVIDED_CLIENT_SECRET"))
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded;charset=utf-8"),
            )
            .header(ACCEPT, HeaderValue::from_static("application/json, text/plain, */*"))
            .build(),
        "virtana-authorization" | "virtana-authentication" => at(
            "283gtr802edxxxx033b41dfa761cxxxxx",
            ClientAuth::legacy_query("3gfr2131dbbxxx1145f9xvbbndjdd"),
        )
        .placement(Placement::LegacyGet)
        .build(),
        "virtana-existing-query" => ClientCredentials::builder(
            client,
            format!("{origin}{}?tenant=a%20b", url.path()),
            "283gtr802edxxxx033b41dfa761cxxxxx",
            ClientAuth::legacy_query("3gfr2131dbbxxx1145f9xvbbndjdd"),
        )
        .placement(Placement::LegacyGet)
        .build(),
        "vyopta-password" | "vyopta-reauth" => at("vyopta", ClientAuth::none())
            .grant(Grant::legacy_password("USER@example.com", "p@ss"))
            .header(HOST, HeaderValue::from_static("login.vyopta.com"))
            .build(),
        "p5-basic" => at("client_id", ClientAuth::basic_unencoded("client_secret")).build(),
        "bvnk-api-call" | "p5-403" => return None,
        other => panic!("no provider `{other}`"),
    })
}

fn compare(id: &str, sent: &Sent, row: &Value) {
    let url: http::Uri = text(row, "url").parse().unwrap();
    assert_eq!(sent.method, text(row, "method"), "{id}");
    assert_eq!(sent.target, url.path_and_query().unwrap().as_str(), "{id}");
    let headers = row["headers"].as_object().unwrap();
    for (name, value) in headers {
        assert_eq!(sent.header(name), value.as_str(), "{id}: {name}");
    }
    assert!(sent.header("host").is_some(), "{id}");
    if !headers.contains_key("accept") {
        assert_eq!(sent.header("accept"), Some("application/json"), "{id}");
    }
    for absent in ["authorization", "content-type"] {
        if !headers.contains_key(absent) {
            assert_eq!(sent.header(absent), None, "{id}: {absent}");
        }
    }
    for absent in ["accept-encoding", "transfer-encoding", "expect"] {
        assert_eq!(sent.header(absent), None, "{id}: {absent}");
    }
    let body = text(row, "body");
    let length = sent.header("content-length").map(|length| length.parse().unwrap());
    assert_eq!(length, (sent.method == "POST").then_some(body.len()), "{id}");
    match id.starts_with("bvnk") {
        // The provider's page has the same parameters in another order.
        true => assert_eq!(sorted(&sent.body), sorted(body), "{id}"),
        false => assert_eq!(sent.body, body, "{id}"),
    }
}

fn sorted(body: &str) -> Vec<&str> {
    let mut pairs: Vec<&str> = body.split('&').collect();
    pairs.sort_unstable();
    pairs
}

#[tokio::test(start_paused = true)]
async fn every_id_and_secret_arrives_by_every_method() {
    for row in rows(include_str!("../../../vectors/client-auth.jsonl")) {
        let (id, secret) = (text(&row, "client_id"), text(&row, "client_secret"));
        if id.is_empty() {
            let error = send(id, secret.into()).await.expect_err("an empty client id");
            assert!(error.is_config());
            continue;
        }

        let basic = send(id, ClientAuth::basic(secret)).await.unwrap();
        assert_eq!(basic.body(), "grant_type=client_credentials", "{row}");
        assert_eq!(pair(authorization(&basic)), pair(text(&row, "authorization")), "{row}");
        assert_eq!(pair(authorization(&basic)), (id.into(), secret.into()), "{row}");
        assert!(!userpass(authorization(&basic)).contains('+'), "{row}");

        match (send(id, ClientAuth::basic_unencoded(secret)).await, &row["authorization_unencoded"])
        {
            (Ok(raw), expected) => assert_eq!(authorization(&raw), *expected, "{row}"),
            (Err(error), Value::Null) => assert!(error.is_config(), "{error:?}"),
            (Err(error), _) => panic!("{row}: {error:?}"),
        }

        let post = send(id, ClientAuth::post(secret)).await.unwrap();
        assert!(!post.headers().contains_key(AUTHORIZATION));
        let body: Vec<(String, String)> =
            form_urlencoded::parse(post.body()).into_owned().collect();
        assert_eq!(serde_json::to_value(&body).unwrap(), row["form_pairs"], "{row}");

        let query = send(id, ClientAuth::legacy_query(secret)).await.unwrap();
        assert!(!query.headers().contains_key(AUTHORIZATION));
        assert_eq!(query.body(), "grant_type=client_credentials", "{row}");
        let query: Vec<_> =
            form_urlencoded::parse(query.uri().query().unwrap().as_bytes()).into_owned().collect();
        assert_eq!(query, body[1..], "{row}");
    }
}

async fn send(id: &str, auth: ClientAuth) -> Result<http::Request<Bytes>, TokenError> {
    let endpoint = TokenEndpoint::new([token()]);
    let credentials = ClientCredentials::builder(endpoint.clone(), URL, id, auth).build()?;
    TokenCache::new(credentials).token().await?;
    Ok(endpoint.last_request())
}

fn authorization(request: &http::Request<Bytes>) -> &str {
    let value = &request.headers()[AUTHORIZATION];
    assert!(value.is_sensitive());
    value.to_str().unwrap()
}

fn userpass(authorization: &str) -> String {
    let base64 = authorization.strip_prefix("Basic ").unwrap();
    String::from_utf8(BASE64_STANDARD.decode(base64).unwrap()).unwrap()
}

/// Id and secret as a server reads them that decodes.
fn pair(authorization: &str) -> (String, String) {
    let decode = |text: &str| {
        let text = text.replace('=', "%3D").replace('&', "%26");
        let (decoded, _) = form_urlencoded::parse(text.as_bytes()).next().unwrap_or_default();
        decoded.into_owned()
    };
    let userpass = userpass(authorization);
    let (id, secret) = userpass.split_once(':').unwrap();
    (decode(id), decode(secret))
}

#[tokio::test(start_paused = true)]
async fn parameters_go_out_in_a_fixed_order() {
    let endpoint = TokenEndpoint::new([token()]);
    let credentials = ClientCredentials::builder(
        endpoint.clone(),
        format!("{URL}?kept=1"),
        "client",
        ClientAuth::post("secret"),
    )
    .param("resource", "https://a.example/x y")
    .param("omitted", "")
    .param("resource", "https://b.example/")
    .param("audience", "c")
    .scope("  read   write ")
    .grant(Grant::legacy_password("me", "pass"));
    TokenCache::new(credentials.build().unwrap()).token().await.unwrap();

    let request = endpoint.last_request();
    assert_eq!(
        request.body(),
        "grant_type=password&client_id=client&client_secret=secret&username=me&password=pass\
         &scope=read+write&resource=https%3A%2F%2Fa.example%2Fx+y\
         &resource=https%3A%2F%2Fb.example%2F&audience=c"
    );
    assert_eq!(request.uri(), &*format!("{URL}?kept=1"));
    assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
}

#[tokio::test(start_paused = true)]
async fn in_the_query_parameters_follow_those_that_the_url_has() {
    let endpoint = TokenEndpoint::new([token()]);
    let url = format!("{URL}?b=%20'~+&c");
    let credentials = ClientCredentials::builder(endpoint.clone(), url, "id", ClientAuth::none())
        .placement(Placement::Query)
        .scope("a b")
        .param("x", "é");
    TokenCache::new(credentials.build().unwrap()).token().await.unwrap();

    let request = endpoint.last_request();
    assert_eq!(
        request.uri().query().unwrap(),
        "b=%20'~+&c&grant_type=client_credentials&client_id=id&scope=a+b&x=%C3%A9"
    );
    assert_eq!(
        (request.body(), &request.headers()[CONTENT_LENGTH]),
        (&Bytes::new(), &"0".parse().unwrap())
    );
}

#[tokio::test(start_paused = true)]
async fn a_header_replaces_the_default_and_an_earlier_one() {
    let endpoint = TokenEndpoint::new([token()]);
    let tenant = HeaderName::from_static("x-tenant");
    let credentials = endpoint
        .credentials()
        .header(ACCEPT, HeaderValue::from_static("*/*"))
        .header(tenant.clone(), HeaderValue::from_static("a"))
        .header(tenant.clone(), HeaderValue::from_static("b"));
    TokenCache::new(credentials.build().unwrap()).token().await.unwrap();

    let headers = endpoint.last_request().headers().clone();
    assert_eq!(headers.get_all(ACCEPT).iter().collect::<Vec<_>>(), ["*/*"]);
    assert_eq!(headers.get_all(tenant).iter().collect::<Vec<_>>(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_not_sync_will_do() {
    let endpoint = TokenEndpoint::new([token()]);
    let client = tower::util::BoxCloneService::new(endpoint);
    let credentials = ClientCredentials::builder(client, URL, "client", SECRET).build().unwrap();
    assert_eq!(TokenCache::new(credentials).token().await.unwrap().expose(), "tok");
}
