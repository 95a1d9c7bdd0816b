//! The shapes that token requests have for issuers which do not keep to RFC 6749.

use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower_bearer::{
    ClientAuth, ClientCredentials, ClientCredentialsBuilder, Grant, Placement, Secret, TokenCache,
    TokenError,
};

use crate::client_credentials::wire::*;

type Builder = ClientCredentialsBuilder<Client<HttpConnector, Full<bytes::Bytes>>>;

fn at(wire: &Wire, id: &str, auth: impl Into<ClientAuth>) -> Builder {
    let client = Client::builder(TokioExecutor::new()).build_http();
    ClientCredentials::builder(client, format!("{}/token", wire.origin), id, auth)
}

async fn sent(wire: &Wire, credentials: Builder) -> Sent {
    TokenCache::new(credentials.build().unwrap()).token().await.unwrap();
    wire.last()
}

#[tokio::test]
async fn another_grant_type_takes_the_place_of_client_credentials() {
    let wire = Wire::open().await;
    let zoom = at(&wire, "id", "secret")
        .grant(Grant::of_type("account_credentials"))
        .param("account_id", "a");
    let zoom = sent(&wire, zoom).await;
    assert_eq!(zoom.body, "grant_type=account_credentials&account_id=a");
    assert_eq!(zoom.header("authorization"), Some("Basic aWQ6c2VjcmV0"));

    let login = at(&wire, "id", ClientAuth::post("secret")).grant(Grant::without_type());
    assert_eq!(sent(&wire, login).await.body, "client_id=id&client_secret=secret");
}

#[tokio::test]
async fn a_scope_is_separated_as_the_issuer_wants_it() {
    let wire = Wire::open().await;
    for (separator, scope) in [(',', "a%2Cb.c"), ('+', "a%2Bb.c"), (' ', "a+b.c")] {
        let credentials = at(&wire, "id", "secret").scope_separator(separator).scope("a  b.c");
        let body = sent(&wire, credentials).await.body;
        assert_eq!(body, format!("grant_type=client_credentials&scope={scope}"));
    }
}

#[tokio::test]
async fn a_json_body_has_what_a_form_would_have() {
    let wire = Wire::open().await;
    let credentials = at(&wire, "id\"", ClientAuth::post("s\\e\ncret"))
        .placement(Placement::Json)
        .scope("a b")
        .param("resource", "https://a.example")
        .param("audience", "é")
        .param("resource", "https://b.example");
    let sent = sent(&wire, credentials).await;
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!(
        sent.body,
        r#"{"grant_type":"client_credentials","client_id":"id\"","client_secret":"s\\e\ncret","scope":"a b","resource":["https://a.example","https://b.example"],"audience":"é"}"#
    );
}

#[tokio::test]
async fn the_clients_parameters_have_the_names_that_they_are_given() {
    let wire = Wire::open().await;
    let auth =
        ClientAuth::legacy_query("secret").client_id_name("appid").client_secret_name("secret");
    let wechat = at(&wire, "id", auth)
        .grant(Grant::of_type("client_credential"))
        .placement(Placement::LegacyGet);
    let wechat = sent(&wire, wechat).await;
    assert_eq!(wechat.method, "GET");
    assert_eq!(wechat.target, "/token?grant_type=client_credential&appid=id&secret=secret");

    let auth =
        ClientAuth::post("secret").client_secret_name("Client_Secret").client_id_name("Client_Id");
    let pverify = at(&wire, "id", auth);
    assert_eq!(
        sent(&wire, pverify).await.body,
        "grant_type=client_credentials&Client_Id=id&Client_Secret=secret"
    );
}

#[tokio::test]
async fn another_scheme_authenticates_the_client() {
    let wire = Wire::open().await;
    let stripe = sent(&wire, at(&wire, "", ClientAuth::header("Bearer sk_test_1"))).await;
    assert_eq!(stripe.header("authorization"), Some("Bearer sk_test_1"));
    assert_eq!(stripe.body, "grant_type=client_credentials");

    let auth = ClientAuth::header("ID aWQ6c2VjcmV0").client_id_in_body();
    let workday = at(&wire, "id", auth).param("tenant_alias", "t");
    let workday = sent(&wire, workday).await;
    assert_eq!(workday.header("authorization"), Some("ID aWQ6c2VjcmV0"));
    assert_eq!(workday.body, "grant_type=client_credentials&client_id=id&tenant_alias=t");
}

#[tokio::test]
async fn the_clients_id_is_in_the_body_once_if_asked_for() {
    let wire = Wire::open().await;
    for (auth, body) in [
        (ClientAuth::basic("secret"), "grant_type=client_credentials&client_id=id"),
        (ClientAuth::basic_unencoded("secret"), "grant_type=client_credentials&client_id=id"),
        (ClientAuth::none(), "grant_type=client_credentials&client_id=id"),
        (
            ClientAuth::post("secret"),
            "grant_type=client_credentials&client_id=id&client_secret=secret",
        ),
    ] {
        assert_eq!(sent(&wire, at(&wire, "id", auth.client_id_in_body())).await.body, body);
    }
}

#[tokio::test]
async fn a_secret_parameter_is_sent_like_any_other() {
    let wire = Wire::open().await;
    let exchange = at(&wire, "id", "secret")
        .grant(Grant::of_type("urn:ietf:params:oauth:grant-type:token-exchange"))
        .param("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
        .secret_param("subject_token", Secret::from_fn(async || Ok::<_, TokenError>("a.b.c")));
    assert_eq!(
        sent(&wire, exchange).await.body,
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token=a.b.c"
    );
}

#[tokio::test]
async fn a_secret_parameter_is_in_the_url_of_a_legacy_get() {
    let wire = Wire::open().await;
    let login = at(&wire, "id", ClientAuth::none())
        .secret_param("key", "k")
        .placement(Placement::LegacyGet);
    assert_eq!(
        sent(&wire, login).await.target,
        "/token?grant_type=client_credentials&client_id=id&key=k"
    );
}
