//! Clients that a file or the environment describes by name.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tower_bearer::{ClientCredentials, ClientsConfig, TokenCache, TokenError};

use super::fields::field_names;
use crate::client_credentials::token_endpoint::{self, *};

type Clients = BTreeMap<String, ClientCredentials<TokenEndpoint>>;

fn build(config: &Value, endpoint: &TokenEndpoint) -> Result<Clients, TokenError> {
    let config: ClientsConfig = serde_json::from_value(config.clone()).unwrap();
    config.build(endpoint.clone())
}

/// What each client of the list sends, by its name.
async fn sent(config: Value) -> BTreeMap<String, (String, String)> {
    let endpoint = TokenEndpoint::default();
    let mut sent = BTreeMap::new();
    for (name, credentials) in build(&config, &endpoint).unwrap() {
        endpoint.script([token()]);
        TokenCache::new(credentials).token().await.unwrap();
        let request = endpoint.last_request();
        let url = request.uri().to_string();
        sent.insert(name, (url, String::from_utf8(request.into_body().into()).unwrap()));
    }
    sent
}

fn failure(config: &Value) -> String {
    let error = build(config, &TokenEndpoint::default()).expect_err(&config.to_string());
    assert!(error.is_config(), "{error:?}");
    assert!(!shown(&error).contains("SENSITIVE"), "{}", shown(&error));
    error.to_string()
}

/// The defaults of a client that sends its secret in the form.
fn defaults() -> Value {
    json!({
        "token_endpoint": URL,
        "client_id": "gateway",
        "client_secret": "default-secret",
        "token_endpoint_auth_method": "client_secret_post",
        "scope": "read",
        "params": { "a": "1", "b": "2" },
        "secret_params": { "key": "default-key" },
        "secret_headers": { "x-key": "default-key" },
    })
}

#[tokio::test(start_paused = true)]
async fn each_client_of_a_list_is_built_under_its_name() {
    let config: ClientsConfig = toml::from_str(
        r#"
        [clients.orders]
        token_endpoint = "https://issuer.example/token"
        client_id = "orders"
        client_secret = "1"
        token_endpoint_auth_method = "client_secret_post"

        [clients."a b"]
        token_endpoint = "https://other.example/token"
        client_id = "a-b"
        client_secret = "2"
        token_endpoint_auth_method = "client_secret_post"
        "#,
    )
    .unwrap();
    let endpoint = TokenEndpoint::default();
    let clients = config.build(endpoint.clone()).unwrap();
    assert_eq!(clients.keys().collect::<Vec<_>>(), ["a b", "orders"]);
    for (credentials, url, id) in [
        (&clients["a b"], "https://other.example/token", "client_id=a-b&client_secret=2"),
        (&clients["orders"], URL, "client_id=orders&client_secret=1"),
    ] {
        endpoint.script([token()]);
        TokenCache::new(credentials.derive().build().unwrap()).token().await.unwrap();
        let request = endpoint.last_request();
        assert_eq!(request.uri(), url);
        assert_eq!(request.body(), &format!("grant_type=client_credentials&{id}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_has_the_defaults_but_for_what_it_sets() {
    let sent = sent(json!({
        "defaults": defaults(),
        "clients": {
            "plain": {},
            "orders": { "audience": "orders", "scope": "write", "params": { "c": "3" } },
            "null": { "scope": null },
        },
    }))
    .await;
    let client = "grant_type=client_credentials&client_id=gateway&client_secret=default-secret";
    let plain = format!("{client}&scope=read&a=1&b=2&key=default-key");
    let orders = format!("{client}&scope=write&audience=orders&c=3&key=default-key");
    for (name, body) in [("plain", &plain), ("orders", &orders), ("null", &plain)] {
        assert_eq!(sent[name], (URL.to_owned(), body.clone()), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_fields_that_exclude_each_other_a_client_has_its_own() {
    let directory =
        std::env::temp_dir().join(format!("tower-bearer-clients-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("text");
    std::fs::write(&file, "in-a-file").unwrap();
    let mut defaults = defaults();
    defaults["grant_type"] = "password".into();
    defaults["username"] = "me".into();
    defaults["password"] = "default-password".into();
    let sent = sent(json!({
        "defaults": defaults,
        "clients": {
            "secret": { "client_secret_file": file },
            "password": { "password_file": file },
        },
    }))
    .await;
    std::fs::remove_dir_all(directory).unwrap();
    for (name, secret, password) in
        [("secret", "in-a-file", "default-password"), ("password", "default-secret", "in-a-file")]
    {
        let expected = format!("&client_secret={secret}&username=me&password={password}&");
        assert!(sent[name].1.contains(&expected), "{name}: {}", sent[name].1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_who_it_is_inherits_no_secret() {
    for (field, value) in [
        ("token_endpoint", "https://other.example/token"),
        ("issuer", "https://other.example"),
        ("client_id", "other"),
        ("client_id_file", "/run/secrets/other"),
        ("token_endpoint_auth_method", "client_secret_basic"),
    ] {
        let mut config = json!({ "defaults": defaults(), "clients": { "other": {} } });
        config["clients"]["other"][field] = value.into();
        let message = failure(&config);
        assert!(message.starts_with("`clients.other`: `client_secret`"), "{field}: {message}");
    }

    let config = json!({
        "defaults": defaults(),
        "clients": {
            "other": { "token_endpoint": "https://other.example/token", "client_secret": "own" },
        },
    });
    let endpoint = TokenEndpoint::new([token()]);
    let other = build(&config, &endpoint).unwrap().remove("other").unwrap();
    TokenCache::new(other).token().await.unwrap();
    let request = endpoint.last_request();
    let expected = "grant_type=client_credentials&client_id=gateway&client_secret=own\
                    &scope=read&a=1&b=2";
    assert_eq!(request.body(), expected);
    assert!(request.headers().get("x-key").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_with_its_own_id_inherits_no_secret() {
    let is_secret = |field: &str| {
        let parts = ["secret", "authorization", "assertion", "private_key", "password"];
        let goes_with_one = matches!(field, "alg" | "kid");
        field != "client_secret_name"
            && (goes_with_one || parts.iter().any(|part| field.contains(part)))
    };
    let names = field_names();
    let secrets: Vec<&String> = names.iter().filter(|name| is_secret(name)).collect();
    assert!(secrets.len() >= 18, "{secrets:?}");
    for field in secrets {
        let mut config = json!({
            "defaults": {},
            "clients": {
                "own": {
                    "token_endpoint": URL, "client_id": "own", "token_endpoint_auth_method": "none",
                },
            },
        });
        let bad = json!([["SENSITIVE"], -1]);
        config["defaults"][field] = bad.clone();
        build(&config, &TokenEndpoint::default()).expect(field);
        config["clients"]["own"][field] = bad;
        failure(&config);
    }
}

#[test]
fn every_field_can_be_a_default() {
    let fields = field_names();
    assert!(fields.len() > 40, "{fields:?}");
    for field in fields {
        let mut defaults = json!({});
        let mut client = json!({});
        for (name, value) in [("token_endpoint", URL), ("client_id", "c"), ("client_secret", "s")] {
            defaults[name] = value.into();
        }
        match &*field {
            "issuer" => drop(defaults.as_object_mut().unwrap().remove("token_endpoint")),
            "username" | "password" | "password_file" => {
                client["grant_type"] = "password".into();
                client["username"] = "me".into();
                client.as_object_mut().unwrap().remove(&field);
            }
            "authorization" | "authorization_file" => {
                defaults["token_endpoint_auth_method"] = "header".into();
            }
            "assertion_file" | "private_key" | "private_key_file" | "client_assertion_type" => {
                defaults["token_endpoint_auth_method"] = "private_key_jwt".into();
                defaults["assertion_file"] = "token".into();
            }
            "alg" | "kid" | "assertion_audience" | "assertion_lifetime" | "assertion_claims" => {
                defaults["token_endpoint_auth_method"] = "client_secret_jwt".into();
            }
            _ => {}
        }
        if field.starts_with("private_key") {
            defaults.as_object_mut().unwrap().remove("assertion_file");
        }
        defaults[&field] = json!([["SENSITIVE"], -1]);
        let message = failure(&json!({ "defaults": defaults, "clients": { "orders": client } }));
        assert!(message.starts_with("`clients.orders`: "), "{field}: {message}");
        assert!(message.contains(&format!("`{field}`")), "{field}: {message}");
    }
}

#[test]
fn each_problem_is_named_with_the_client_and_the_field() {
    let sound = json!({ "token_endpoint": URL, "client_id": "c", "client_secret": "SENSITIVE" });
    let with = |name: &str, value: Value| {
        let mut client = sound.clone();
        client[name] = value;
        client
    };
    for (client, part) in [
        (json!({}), "`client_secret`"),
        (json!({ "client_secret": "SENSITIVE" }), "`token_endpoint` or `issuer`"),
        (with("token_endpoint", "issuer.example".into()), "`token_endpoint`"),
        (with("scope", "\"SENSITIVE".into()), "`scope`"),
        (with("strict", "SENSITIVE".into()), "`strict`"),
        (with("kid", "SENSITIVE".into()), "`kid`"),
        (with("client_id", "".into()), "the client id is empty"),
        (with("params", json!({ "client_id": "SENSITIVE" })), "`params`"),
        (with("placement", "query".into()), ""),
    ] {
        let config = json!({ "clients": { "a": sound, "my \"client\"\n": client, "z": {} } });
        if part.is_empty() {
            // The client before the one that has no fields is sound.
            assert!(failure(&config).starts_with("`clients.z`: "));
            continue;
        }
        let message = failure(&config);
        assert!(message.starts_with(r#"`clients.my \"client\"\n`: "#), "{message}");
        assert!(message.contains(part), "{part}: {message}");
    }
    let plain = with("token_endpoint", "http://issuer.example/token".into());
    let config = json!({ "clients": { "plain": plain } });
    let error = build(&config, &TokenEndpoint::default()).unwrap_err();
    assert!(error.is_insecure() && error.to_string().starts_with("`clients.plain`: "), "{error}");
}

#[test]
fn a_field_that_is_not_known_is_named_with_its_client() {
    let error = toml::from_str::<ClientsConfig>(
        "[clients.orders]\nclient_id = 'a'\n[clients.billing]\nclient_secrt = 'SENSITIVE'",
    )
    .unwrap_err();
    let named = "`clients.billing`: unknown field `client_secrt`";
    assert!(error.message().contains(named), "{error}");
    assert!(!error.message().contains("SENSITIVE"), "{error}");
    let config = json!({ "clients": { "a": {}, "b": { "client_secrt": "SENSITIVE" } } });
    let error = serde_json::from_value::<ClientsConfig>(config).unwrap_err().to_string();
    assert!(error.contains("`clients.b`: unknown field `client_secrt`"), "{error}");

    for text in [
        r#"{ "clients": {}, "client": {} }"#,
        r#"{ "clients": {}, "defaults": { "client_secrt": "x" } }"#,
        r#"{ "clients": { "a": {}, "a": {} } }"#,
        r#"{ "clients": { "a": 5 } }"#,
        r#"{ "clients": ["a"] }"#,
        "{}",
    ] {
        serde_json::from_str::<ClientsConfig>(text).expect_err(text);
    }
    let empty: ClientsConfig = serde_json::from_str(r#"{ "clients": {} }"#).unwrap();
    assert!(empty.build(TokenEndpoint::default()).unwrap().is_empty());
}

#[test]
fn debug_of_a_list_shows_nothing_of_it() {
    let config = json!({
        "defaults": { "client_secret": "SENSITIVE" },
        "clients": { "SENSITIVE": { "client_id": "SENSITIVE" } },
    });
    let config: ClientsConfig = serde_json::from_value(config).unwrap();
    assert!(!format!("{config:?} {config:#?}").contains("SENSITIVE"));
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_issuer_read_its_metadata_once() {
    let metadata = |issuer: &str| {
        let document = format!(r#"{{"issuer":"{issuer}","token_endpoint":"{issuer}/token"}}"#);
        token_endpoint::json(200, &document)
    };
    let (one, other) = ("https://one.example", "https://other.example");
    let config = json!({
        "defaults": { "issuer": one, "client_id": "gateway", "client_secret": "s" },
        "clients": {
            "a": {},
            "b": { "issuer": other, "client_secret": "s" },
            "c": { "issuer": one, "client_secret": "s" },
        },
    });
    let endpoint = TokenEndpoint::new([metadata(one), token(), metadata(other), token(), token()]);
    for (_, credentials) in build(&config, &endpoint).unwrap() {
        TokenCache::new(credentials).token().await.unwrap();
    }
    let hosts: Vec<_> =
        endpoint.all_requests().iter().map(|r| r.uri().host().unwrap().to_owned()).collect();
    assert_eq!(
        hosts,
        ["one.example", "one.example", "other.example", "other.example", "one.example"]
    );
}

#[tokio::test]
async fn the_clients_are_caches_by_name_and_no_other_name_is() {
    let issuer = tower_bearer::testing::AuthorizationServer::start().await.unwrap();
    let config: ClientsConfig = toml::from_str(&format!(
        r#"
        [defaults]
        token_endpoint = "{}"

        [clients.orders]
        client_id = "orders"
        client_secret = "s3cr3t"

        [clients.users]
        client_id = "users"
        client_secret = "s3cr3t"
        "#,
        issuer.token_endpoint()
    ))
    .unwrap();
    let http = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<http_body_util::Full<bytes::Bytes>>();
    let caches = config.token_caches(http).unwrap();
    let orders = caches.get("orders").unwrap().token().await.unwrap();
    let users = caches.get("users").unwrap().token().await.unwrap();
    assert_ne!(orders.expose(), users.expose());
    let unknown = caches.get("admin").unwrap_err();
    assert!(unknown.is_config(), "{unknown:?}");
    assert!(unknown.to_string().contains("`admin`"), "{unknown}");
    assert_eq!(issuer.requests().len(), 2);
}
