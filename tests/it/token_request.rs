//! What is sent to a token endpoint, and what is not.

use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

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
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Layer, ServiceExt};
use tower_bearer::{
    BearerAuth, BearerAuthLayer, BoxError, ClientAuth, ClientCredentials, TokenCache, TokenError,
};

use crate::token_endpoint::*;

fn rows(table: &'static str) -> impl Iterator<Item = Value> {
    table.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

/// A socket that keeps every byte of the requests and gives everyone a token that is used up at
/// once.
struct Wire {
    origin: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let kept = requests.clone();
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let request = read_request(&mut socket).await;
                kept.lock().unwrap().push(request);
                let body = r#"{"access_token":"tok","expires_in":0}"#;
                let length = body.len();
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close");
                socket.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
            }
        });
        Self { origin, requests }
    }

    fn last(&self) -> Sent {
        Sent::parse(self.requests.lock().unwrap().last().unwrap())
    }
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0, "an incomplete request");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                Sent::parse(head).header("content-length").map_or(0, |l| l.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
    }
}

#[derive(Debug, PartialEq)]
struct Sent {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Sent {
    fn parse(request: &str) -> Self {
        let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
        let mut lines = head.lines();
        let mut first = lines.next().unwrap().split(' ').map(str::to_owned);
        let (method, target) = (first.next().unwrap(), first.next().unwrap());
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        };
        Self { method, target, headers: lines.map(header).collect(), body: body.to_owned() }
    }

    /// The one value of that name.
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name);
        let value = values.next().map(|(_, value)| &**value);
        assert_eq!(values.next(), None, "two headers `{name}`");
        value
    }
}

#[tokio::test]
async fn every_providers_request_can_be_sent_byte_for_byte() {
    let wire = Wire::open().await;
    for row in rows(include_str!("../vectors/seed-variants.jsonl")) {
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
            at("CLIENT_ID", "CLIENT_SECRET".into()).params_in_query().build()
        }
        "layar-python-json" => at("CLIENT_ID", "CLIENT_SECRET".into())
            .params_in_query()
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .build(),
        "layar-sdk-form" => at("clientId", "clientSecret".into()).build(),
        "layar-password" => at("CLIENT_ID", "CLIENT_SECRET".into())
            .legacy_password_grant("USER", "PASSWORD")
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
        .legacy_get()
        .build(),
        "virtana-existing-query" => ClientCredentials::builder(
            client,
            format!("{origin}{}?tenant=a%20b", url.path()),
            "283gtr802edxxxx033b41dfa761cxxxxx",
            ClientAuth::legacy_query("3gfr2131dbbxxx1145f9xvbbndjdd"),
        )
        .legacy_get()
        .build(),
        "vyopta-password" | "vyopta-reauth" => at("vyopta", ClientAuth::none())
            .legacy_password_grant("USER@example.com", "p@ss")
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
    for row in rows(include_str!("../vectors/client-auth.jsonl")) {
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
    .legacy_password_grant("me", "pass");
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
        .params_in_query()
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
async fn a_header_takes_the_place_of_the_default_and_of_an_earlier_one() {
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
        ("post without a form", with(ClientAuth::post(SECRET)).params_in_query().build()),
        ("post in a GET", with(ClientAuth::post(SECRET)).legacy_get().build()),
        (
            "a password in the query",
            credentials().legacy_password_grant("me", SECRET).params_in_query().build(),
        ),
        ("an empty username", credentials().legacy_password_grant("", SECRET).build()),
        ("a query too long", credentials().param("a", "b".repeat(70_000)).legacy_get().build()),
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
    assert!(at("http://issuer.example/token").allow_http().build().is_ok());
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
        .legacy_password_grant("me", SECRET);
    let texts = [
        format!("{builder:?} {builder:#?}"),
        format!("{:?}", builder.build().unwrap()),
        format!("{:?} {:?}", ClientAuth::basic(SECRET), ClientAuth::legacy_query(SECRET)),
    ];
    for text in texts {
        assert!(!text.contains("SENSITIVE") && !text.contains(SECRET), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_answer_is_a_typed_error_and_the_next_request_asks_again() {
    let redirect = [("location", "https://elsewhere.example/?SENSITIVE")];
    let large = "x".repeat(2 << 20);
    type Check = fn(&TokenError) -> bool;
    let cases: Vec<(&str, Vec<Answer>, Check)> = vec![
        ("HTML", vec![answer(200, &[], "<!DOCTYPE html>")], |e| e.is_malformed()),
        ("an error", vec![json(200, r#"{"error":"invalid_client"}"#)], |e| e.code().is_some()),
        ("half an answer", vec![json(200, r#"{"access_token":"SENSIT"#)], |e| e.is_malformed()),
        ("2 MiB", vec![json(200, &large)], |e| e.is_too_large()),
        ("2 MiB of 503", vec![json(503, &large), json(503, &large)], |e| {
            e.is_too_large() && e.is_transient()
        }),
        ("a redirect", vec![answer(307, &redirect, "")], |e| {
            e.status().is_some_and(|status| status == 307) && e.is_refused()
        }),
        ("silence", vec![Answer::Silence], |e| e.is_timeout()),
        ("a line break", vec![json(200, r#"{"access_token":"SENSI\r\nTIVE"}"#)], |e| {
            e.is_invalid_token()
        }),
        ("no token", vec![json(200, r#"{"access_token":""}"#)], |e| e.is_malformed()),
        (
            "a lost connection",
            vec![Answer::Error(SECRET.into()), Answer::Error(SECRET.into())],
            |e| e.is_transient() && e.status().is_none(),
        ),
    ];
    for (what, answers, is_right) in cases {
        let attempts = answers.len();
        let endpoint = TokenEndpoint::new(answers.into_iter().chain([token()]));
        let tokens = endpoint.tokens();
        let error = tokens.token().await.expect_err(what);
        assert!(is_right(&error), "{what}: {error:?}");
        assert_eq!(endpoint.requests(), attempts, "{what}");
        let shown = shown(&error);
        for hidden in ["SENSI", "elsewhere", SECRET] {
            assert!(!shown.contains(hidden), "{what}: {shown}");
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(tokens.token().await.unwrap().expose(), "tok", "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_client_keeps_its_type() {
    let refused = || Answer::Error(std::io::Error::other("connection refused").into());
    let tokens = TokenEndpoint::new([refused(), refused()]).tokens();
    let error = tokens.token().await.expect_err("a token");
    let source = error.source().unwrap().downcast_ref::<std::io::Error>();
    assert_eq!(source.unwrap().to_string(), "connection refused");
    assert!(error.to_string().contains(URL), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_client_that_shows_the_url_is_told_without_it() {
    let url = format!("{URL}?sig=SENSITIVE");
    let uri: http::Uri = format!("{url}&client_secret=SENSITIVE").parse().unwrap();
    let failed = || Answer::Error(Failed(format!("in {uri}").into()).into());
    let endpoint = TokenEndpoint::new([failed(), failed()]);
    let credentials =
        ClientCredentials::builder(endpoint, url, "client", ClientAuth::legacy_query("s3cr3t"));
    let tokens = TokenCache::new(credentials.legacy_get().build().unwrap());
    let error = tokens.token().await.expect_err("a token");
    assert!(!shown(&error).contains("SENSITIVE"), "{}", shown(&error));
    assert!(shown(&error).contains("error sending request"), "{}", shown(&error));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_wants_the_very_token_fails_at_once() {
    let inner = TokenError::refused("the very token");
    let endpoint = TokenEndpoint::new([Answer::Error(Failed(inner.into()).into())]);
    let error = endpoint.tokens().token().await.expect_err("a token");
    assert!(error.is_refused() && endpoint.requests() == 1, "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_the_token_it_fetches_is_found_out() {
    let authorized = Arc::new(OnceLock::<BearerAuth<TokenEndpoint>>::new());
    let client = {
        let authorized = authorized.clone();
        tower::service_fn(move |request| {
            let sent = authorized.get().unwrap().clone().oneshot(request);
            async { tokio::spawn(sent).await? }
        })
    };
    let credentials = ClientCredentials::builder(client, URL, "client", ClientAuth::post(SECRET));
    let tokens = TokenCache::new(credentials.build().unwrap());
    let layer = BearerAuthLayer::new(tokens.clone());
    assert!(authorized.set(layer.layer(TokenEndpoint::default())).is_ok());

    let before = tokio::time::Instant::now();
    let error = tokens.token().await.expect_err("a token");
    assert!(error.is_config() && before.elapsed().is_zero(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_not_sync_will_do() {
    let endpoint = TokenEndpoint::new([token()]);
    let client = tower::util::BoxCloneService::new(endpoint);
    let credentials = ClientCredentials::builder(client, URL, "client", SECRET).build().unwrap();
    assert_eq!(TokenCache::new(credentials).token().await.unwrap().expose(), "tok");
}

/// As HTTP clients have them, with a cause.
#[derive(Debug)]
struct Failed(BoxError);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error sending request")
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
