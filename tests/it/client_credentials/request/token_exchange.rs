//! The token exchange (RFC 8693).

use std::{
    convert::Infallible,
    fs,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Service, service_fn};
use tower_bearer::{
    ClientAuth, ClientCredentials, ClientCredentialsBuilder, Grant, Placement, Secret, TokenCache,
    TokenError,
};

use crate::support::*;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// RFC 8693 section 2.3.
const SUBJECT: &str = "accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC";
const EXCHANGED: &str = r#"{
    "access_token":"eyJhbGciOiJFUzI1NiIsImtpZCI6IjllciJ9.eyJhdWQiOiJodHRwczovL2JhY2tlbmQ",
    "issued_token_type":"urn:ietf:params:oauth:token-type:access_token",
    "token_type":"Bearer",
    "expires_in":60
}"#;

#[derive(Clone, Default)]
struct Issuer {
    bodies: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
}

impl Issuer {
    fn answering(answers: &[(u16, &'static str)]) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.to_vec())), ..Self::default() }
    }

    fn client(
        &self,
    ) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
    + use<> {
        let issuer = self.clone();
        service_fn(move |request: Request<Body>| {
            let issuer = issuer.clone();
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                issuer.bodies.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
                let mut answers = issuer.answers.lock().unwrap();
                let (status, body) =
                    if answers.is_empty() { (200, EXCHANGED) } else { answers.remove(0) };
                Ok(Response::builder().status(status).body(Body::from(body)).unwrap())
            }
        })
    }

    fn bodies(&self) -> Vec<String> {
        self.bodies.lock().unwrap().clone()
    }
}

fn at<C>(client: C, auth: impl Into<ClientAuth>) -> ClientCredentialsBuilder<C> {
    ClientCredentials::builder(client, "https://as.example.com/as/token.oauth2", "", auth)
}

#[tokio::test(start_paused = true)]
async fn the_request_and_the_response_of_the_rfc() {
    let issuer = Issuer::default();
    let credentials = at(issuer.client(), ClientAuth::none())
        .grant(Grant::token_exchange(SUBJECT, ACCESS_TOKEN))
        .param("resource", "https://backend.example.com/api")
        .build()
        .unwrap();
    let token = TokenCache::new(credentials).token().await.unwrap();
    assert_eq!(token.lifetime(), Some(seconds(60)));
    assert_eq!(
        issuer.bodies(),
        ["grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
          &subject_token=accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC\
          &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
          &resource=https%3A%2F%2Fbackend.example.com%2Fapi"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_actor_and_the_client_can_be_named_too() {
    let issuer = Issuer::default();
    let credentials = ClientCredentials::builder(
        issuer.client(),
        "https://as.example.com/token",
        "orders",
        ClientAuth::post("s3cr3t"),
    )
    .grant(Grant::token_exchange(SUBJECT, ACCESS_TOKEN).actor("actor", JWT))
    .scope("invoices:read")
    .param("audience", "https://invoices.example")
    .param("requested_token_type", ACCESS_TOKEN)
    .build()
    .unwrap();
    TokenCache::new(credentials).token().await.unwrap();
    let body = issuer.bodies().remove(0);
    let names: Vec<_> = form_urlencoded::parse(body.as_bytes()).map(|(n, _)| n).collect();
    assert_eq!(
        names,
        [
            "grant_type",
            "client_id",
            "client_secret",
            "subject_token",
            "subject_token_type",
            "actor_token",
            "actor_token_type",
            "scope",
            "audience",
            "requested_token_type"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_workloads_token_is_read_from_its_file_for_each_request() {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("token-exchange");
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("token");
    fs::write(&path, "first\n").unwrap();
    let refused = (400, r#"{"error":"invalid_request","error_description":"expired: first"}"#);
    let issuer = Issuer::answering(&[(200, EXCHANGED), refused]);
    let credentials = at(issuer.client(), ClientAuth::none())
        .grant(Grant::token_exchange(Secret::file(&path), JWT))
        .build()
        .unwrap();
    let tokens = TokenCache::new(credentials);
    tokens.token().await.unwrap();
    fs::write(&path, "second\n").unwrap();
    tokio::time::advance(seconds(120)).await;
    // Refused for another reason than the file, which has not changed since it was read.
    let error = tokens.token().await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_request"));
    let subjects: Vec<_> = issuer
        .bodies()
        .iter()
        .map(|body| {
            body.split_once("subject_token=").unwrap().1.split('&').next().unwrap().to_owned()
        })
        .collect();
    assert_eq!(subjects, ["first", "second"]);
    fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_subject_token_that_changed_since_its_denial_is_sent() {
    let refused = (400, r#"{"error":"invalid_request"}"#);
    let issuer = Issuer::answering(&[refused]);
    let reads: Arc<Mutex<u32>> = Arc::default();
    let subject = Secret::from_fn(move || {
        let mut reads = reads.lock().unwrap();
        *reads += 1;
        let subject = format!("subject-{reads}");
        async move { Ok::<_, TokenError>(subject) }
    });
    let credentials = at(issuer.client(), ClientAuth::none())
        .grant(Grant::token_exchange(subject, JWT))
        .build()
        .unwrap();
    TokenCache::new(credentials).token().await.unwrap();
    assert_eq!(issuer.bodies().len(), 2);
    assert!(issuer.bodies()[1].contains("subject-2"));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_no_access_token_is_refused() {
    let saml = r#"{"access_token":"PHNhbWw6","issued_token_type":
        "urn:ietf:params:oauth:token-type:saml2","token_type":"N_A"}"#;
    let issuer = Issuer::answering(&[(200, saml)]);
    let credentials = at(issuer.client(), ClientAuth::none())
        .grant(Grant::token_exchange(SUBJECT, JWT))
        .build()
        .unwrap();
    let error = TokenCache::new(credentials).token().await.unwrap_err();
    assert!(error.is_unsupported_token_type(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_error_has_no_token_in_it() {
    let refused = r#"{"error":"invalid_request","error_description":
        "accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC and s3cr3t-actor are no good"}"#;
    let issuer = Issuer::answering(&[(400, refused)]);
    let credentials = at(issuer.client(), ClientAuth::none())
        .grant(Grant::token_exchange(SUBJECT, JWT).actor("s3cr3t-actor", JWT))
        .build()
        .unwrap();
    assert!(!format!("{credentials:?}").contains("accVkj"));
    let error = TokenCache::new(credentials).token().await.unwrap_err();
    for shown in [format!("{error}"), format!("{error:?}")] {
        assert!(!shown.contains("accVkj") && !shown.contains("s3cr3t-actor"), "{shown}");
    }
}

#[test]
fn what_cannot_be_exchanged_is_refused() {
    let builder = || at(Issuer::default().client(), ClientAuth::none());
    let exchange = || builder().grant(Grant::token_exchange(SUBJECT, JWT));
    for (built, part) in [
        (
            builder().grant(Grant::token_exchange(SUBJECT, "")).build(),
            "type of a token to exchange is empty",
        ),
        (
            builder().grant(Grant::token_exchange(SUBJECT, JWT).actor("actor", "")).build(),
            "type of a token to exchange is empty",
        ),
        (exchange().placement(Placement::Query).build(), "not sent in a URL"),
        (exchange().placement(Placement::LegacyGet).build(), "not sent in a URL"),
        (exchange().param("subject_token", "abc").build(), "would be sent twice"),
    ] {
        let error = built.unwrap_err();
        assert!(error.is_config() && error.to_string().contains(part), "{error}");
    }
}
