//! What is sent to a token endpoint, and what is not.

use std::{
    error::Error,
    iter,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderName, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST},
};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower_bearer::{ClientAuth, ClientCredentials, TokenCache, TokenError};

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
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close");
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
            let length = Sent::parse(head).header("content-length").map_or(0, |l| l.parse().unwrap());
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

/// What a user writes for this provider, or `None` if the row is not a token request.
fn provider(
    id: &str,
    request: &Value,
    origin: &str,
) -> Option<Result<ClientCredentials<impl TokenClient>, TokenError>> {
    let url: http::Uri = text(request, "url").parse().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let at = |id: &str, auth: ClientAuth| {
        ClientCredentials::builder(client, format!("{origin}{}", url.path()), id, auth)
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
    assert_eq!(sorted(&sent.body), sorted(body), "{id}");
    assert!(sent.body.is_empty() || sent.body.starts_with("grant_type="), "{id}: {}", sent.body);
}

fn sorted(body: &str) -> Vec<&str> {
    let mut pairs: Vec<&str> = body.split('&').collect();
    pairs.sort_unstable();
    pairs
}
