use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{LazyLock, mpsc},
    thread,
    time::Duration,
};

use http::{Request, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tower::Layer;
use tower_bearer::{
    BearerAuthLayer, ClientAuth, ClientCredentials, ClientCredentialsBuilder, TokenError,
};

use crate::http::{Body, Http, send};

static ISSUER: LazyLock<Issuer> = LazyLock::new(Issuer::start);

struct Issuer {
    ready: Value,
    /// Ends with this process, however that ends, since its standard input is closed then.
    _server: Child,
}

impl Issuer {
    fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = env::var_os("PATH").unwrap_or_default();
        let ours =
            ["arm64", "x64"].map(|cpu| folder.join(format!("node_modules/node-linux-{cpu}/bin")));
        let path = ours.into_iter().chain(env::split_paths(&path));
        let mut server = Command::new("node")
            .arg("server.mjs")
            .current_dir(folder)
            .env("PATH", env::join_paths(path).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a `node`");

        let mut output = BufReader::new(server.stdout.take().expect("it is piped"));
        let (sender, first_line) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = output.read_line(&mut line);
            let _ = sender.send(line);
            let _ = io::copy(&mut output, &mut io::sink());
        });
        let line = first_line.recv_timeout(Duration::from_secs(60)).unwrap_or_default();
        let Ok(ready) = serde_json::from_str(&line) else {
            let _ = server.kill();
            let _ = server.wait();
            panic!("the server did not start, was there an `npm ci`?");
        };
        Self { ready, _server: server }
    }
}

pub fn issuer() -> &'static str {
    ISSUER.ready["issuer"].as_str().unwrap()
}

pub fn url(path: &str) -> String {
    format!("{}{path}", issuer())
}

/// The public halves of `tests/keys`.
pub fn jwks() -> Value {
    ISSUER.ready["jwks"].clone()
}

/// A private key of `tests/keys`.
pub fn key(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../keys/{name}.pem"));
    fs::read_to_string(path).unwrap()
}

/// Asks for a client with this metadata (RFC 7591 section 3).
pub async fn try_register(metadata: Value) -> (StatusCode, Value) {
    let request = Request::post(url("/reg"))
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(metadata.to_string()))
        .unwrap();
    send(Http::new(), request).await.unwrap()
}

pub async fn register(metadata: Value) {
    let (status, answer) = try_register(metadata).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}

/// A client with a secret, for `client_secret_basic` or `client_secret_post`. This issuer takes the
/// one for the other.
pub async fn register_secret(id: &str, secret: &str) {
    register(json!({ "client_id": id, "client_secret": secret })).await;
}

pub fn credentials(id: &str, auth: impl Into<ClientAuth>) -> ClientCredentialsBuilder<Http> {
    ClientCredentials::builder(Http::new(), url("/token"), id, auth)
}

pub fn get_orders() -> Request<Body> {
    Request::get(url("/orders")).body(Body::default()).unwrap()
}

/// What the API knows about the token that these credentials got.
pub async fn orders(credentials: ClientCredentialsBuilder<Http>) -> Result<Value, TokenError> {
    let client = BearerAuthLayer::new(credentials.build()?).layer(Http::new());
    match send(client, get_orders()).await {
        Ok((status, answer)) => {
            assert_eq!(status, StatusCode::OK);
            Ok(answer)
        }
        Err(error) => Err(*error.downcast().expect("an error of this crate")),
    }
}
