//! Token requests that a file or the environment describes.

use std::collections::HashMap;

use serde::{
    Deserialize,
    de::value::{Error, MapDeserializer},
};
use tower_bearer::{ClientCredentialsConfig, TokenCache, TokenError};

use crate::client_credentials::token_endpoint::*;

const MINIMAL: &str = r#"
    token_endpoint = "https://issuer.example/token"
    client_id = "client"
    client_secret = "SENSITIVE"
"#;

fn toml(text: &str) -> ClientCredentialsConfig {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn build(config: ClientCredentialsConfig) -> Result<(), TokenError> {
    config.builder(TokenEndpoint::default())?.build().map(drop)
}

async fn body(config: ClientCredentialsConfig) -> String {
    let endpoint = TokenEndpoint::new([token()]);
    let credentials = config.builder(endpoint.clone()).unwrap().build().unwrap();
    TokenCache::new(credentials).token().await.unwrap();
    String::from_utf8(endpoint.last_request().into_body().into()).unwrap()
}

/// As loaders have it that know only texts.
fn environment(pairs: &[(&str, &str)]) -> Result<ClientCredentialsConfig, Error> {
    let pairs: HashMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ClientCredentialsConfig::deserialize(MapDeserializer::new(pairs.into_iter()))
}

#[tokio::test(start_paused = true)]
async fn toml_json_and_the_environment_say_the_same() {
    let expected = "grant_type=client_credentials&client_id=client&client_secret=SENSITIVE\
                    &scope=a%2Cb&resource=https%3A%2F%2Fapi.example";
    let from_toml = toml(
        r#"
        token_endpoint = "https://issuer.example/token"
        client_id = "client"
        client_secret = "SENSITIVE"
        token_endpoint_auth_method = "client_secret_post"
        scope = "a b"
        scope_separator = ","
        resource = ["https://api.example"]
        expires_in_millis = true
        response_limit = 4096
        "#,
    );
    let from_json = serde_json::from_str(
        r#"{
            "token_endpoint": "https://issuer.example/token",
            "client_id": "client",
            "client_secret": "SENSITIVE",
            "token_endpoint_auth_method": "client_secret_post",
            "scope": "a b",
            "scope_separator": ",",
            "audience": null,
            "resource": "https://api.example",
            "expires_in_millis": true,
            "response_limit": 4096
        }"#,
    );
    let from_environment = environment(&[
        ("token_endpoint", "https://issuer.example/token"),
        ("client_id", "client"),
        ("client_secret", "SENSITIVE"),
        ("token_endpoint_auth_method", "client_secret_post"),
        ("scope", "a b"),
        ("scope_separator", ","),
        ("resource", "https://api.example"),
        ("expires_in_millis", "true"),
        ("strict", "false"),
        ("response_limit", "4096"),
    ]);
    for config in [from_toml, from_json.unwrap(), from_environment.unwrap()] {
        assert_eq!(body(config).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn settings_for_answers_are_read_too() {
    let answer = r#"{"data":{"t":"tok","e":"0","y":"bearer"}}"#;
    let endpoint = TokenEndpoint::new([json(200, answer)]);
    let config = toml(&format!(
        r#"{MINIMAL}
        token_at = "/data/t"
        expires_in_at = "/data/e"
        token_type_at = "/data/y"
        zero_means_never = true
        token_prefix = "Token "
        "#
    ));
    let credentials = config.builder(endpoint).unwrap().build().unwrap();
    let token = TokenCache::new(credentials).token().await.unwrap();
    assert_eq!(token.header_value().to_str().unwrap(), "Token tok");
    assert_eq!(token.lifetime(), Some(std::time::Duration::MAX));

    let endpoint = TokenEndpoint::new([token_of_a_kilobyte()]);
    let config = toml(&format!("{MINIMAL}\nresponse_limit = 100"));
    let credentials = config.builder(endpoint).unwrap().build().unwrap();
    let error = TokenCache::new(credentials).token().await.unwrap_err();
    assert!(error.is_too_large(), "{error:?}");
}

fn token_of_a_kilobyte() -> Answer {
    json(200, &format!(r#"{{"access_token":"{}"}}"#, "t".repeat(1024)))
}

#[tokio::test(start_paused = true)]
async fn secrets_and_ids_come_from_files() {
    let directory =
        std::env::temp_dir().join(format!("tower-bearer-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for name in ["id", "secret", "password", "subject"] {
        std::fs::write(directory.join(name), format!("{name}-in-a-file\n")).unwrap();
    }
    let config = serde_json::from_value(serde_json::json!({
        "token_endpoint": URL,
        "client_id_file": directory.join("id"),
        "client_secret_file": directory.join("secret"),
        "token_endpoint_auth_method": "client_secret_post",
        "grant_type": "password",
        "username": "me",
        "password_file": directory.join("password"),
        "secret_param_files": { "subject_token": directory.join("subject") },
    }));
    let body = body(config.unwrap()).await;
    std::fs::remove_dir_all(directory).unwrap();
    assert_eq!(
        body,
        "grant_type=password&client_id=id-in-a-file&client_secret=secret-in-a-file\
         &username=me&password=password-in-a-file&subject_token=subject-in-a-file"
    );
}

#[test]
fn a_field_that_is_not_known_is_named() {
    let error = toml::from_str::<ClientCredentialsConfig>("client_secrt = \"x\"").unwrap_err();
    assert!(error.message().contains("unknown field `client_secrt`"), "{error}");
    let error = environment(&[("client_secrt", "SENSITIVE")]).unwrap_err();
    assert!(error.to_string().contains("`client_secrt`"), "{error}");
    assert!(!error.to_string().contains("SENSITIVE"), "{error}");
}

#[test]
fn each_field_of_the_wrong_type_is_named() {
    let example: serde_json::Value = serde_json::json!({
        "token_endpoint": URL, "client_id": "client", "client_secret": "SENSITIVE",
    });
    let fields = field_names();
    assert!(fields.len() > 40, "{fields:?}");
    for field in fields {
        let mut config = example.clone();
        match &*field {
            "username" | "password" | "password_file" => {
                config["grant_type"] = "password".into();
                config["username"] = "me".into();
            }
            "authorization" | "authorization_file" => {
                config["token_endpoint_auth_method"] = "header".into();
            }
            "assertion_file" | "private_key" | "private_key_file" => {
                config["token_endpoint_auth_method"] = "private_key_jwt".into();
            }
            "client_assertion_type" => {
                config["token_endpoint_auth_method"] = "private_key_jwt".into();
                config["assertion_file"] = "token".into();
            }
            "alg" | "kid" | "assertion_audience" | "assertion_lifetime" | "assertion_claims" => {
                config["token_endpoint_auth_method"] = "client_secret_jwt".into();
            }
            _ => {}
        }
        config[&field] = serde_json::json!([["SENSITIVE"], -1]);
        let config: ClientCredentialsConfig = serde_json::from_value(config).unwrap();
        assert!(!format!("{config:?} {config:#?}").contains("SENSITIVE"));
        let error = build(config).expect_err(&field);
        assert!(error.is_config(), "{field}: {error:?}");
        assert!(error.to_string().contains(&format!("`{field}`")), "{field}: {error}");
        assert!(!shown(&error).contains("SENSITIVE"), "{field}: {error}");
    }
}

/// As the error about a field that is not known lists them.
pub(super) fn field_names() -> Vec<String> {
    let error = environment(&[("", "")]).unwrap_err().to_string();
    let names = error.split('`').skip(1).step_by(2).map(str::to_owned);
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn what_cannot_work_is_refused_with_the_name_of_its_field() {
    let without = |field: &str| {
        MINIMAL.lines().filter(|line| !line.contains(field)).collect::<Vec<_>>().join("\n")
    };
    let with = |line: &str| format!("{MINIMAL}\n{line}");
    for (field, text) in [
        ("token_endpoint", without("token_endpoint")),
        ("token_endpoint", with("").replace("https://issuer", "issuer")),
        ("client_secret", without("client_secret")),
        ("client_secret_file", with("client_secret_file = 'x'")),
        ("client_secret", with("token_endpoint_auth_method = 'none'")),
        ("token_endpoint_auth_method", with("token_endpoint_auth_method = 'SENSITIVE'")),
        ("authorization", with("token_endpoint_auth_method = 'header'")),
        ("private_key_file", with("token_endpoint_auth_method = 'private_key_jwt'")),
        ("alg", {
            let method =
                "token_endpoint_auth_method = 'private_key_jwt'\nprivate_key = 'SENSITIVE'";
            format!("{}\n{method}", without("client_secret"))
        }),
        ("alg", with("token_endpoint_auth_method = 'client_secret_jwt'\nalg = 'SENSITIVE'")),
        ("kid", with("kid = 'SENSITIVE'")),
        ("username", with("grant_type = 'password'")),
        ("password", with("grant_type = 'password'\nusername = 'me'")),
        ("username", with("username = 'me'")),
        ("password", with("password = 'SENSITIVE'")),
        ("assertion_file", { with("grant_type = 'urn:ietf:params:oauth:grant-type:jwt-bearer'") }),
        ("scope", with("scope = '\"SENSITIVE'")),
        ("scope_separator", with("scope_separator = ', '")),
        ("scope_separator", with("scope_separator = 'x'")),
        ("resource", with("resource = 'https://a#SENSITIVE'")),
        ("params", with("params.scope = 'SENSITIVE'")),
        ("params.n", with("params.n = 1")),
        ("secret_params", with("secret_params.grant_type = 'SENSITIVE'")),
        ("headers.authorization", with("headers.authorization = 'SENSITIVE'")),
        ("headers.a b", with("headers.'a b' = 'SENSITIVE'")),
        ("secret_headers.key", with("secret_headers.key = \"SENSITIVE\\n\"")),
        ("placement", with("placement = 'body'")),
        ("client_id_name", with("client_id_name = ''")),
        ("token_at", with("token_at = 'SENSITIVE'")),
        ("token_prefix", with("token_prefix = \"SENSITIVE\\n\"")),
        ("strict", with("strict = 'yes'")),
        ("response_limit", with("response_limit = 1.5")),
        ("response_limit", with("response_limit = 'many'")),
    ] {
        let error = build(toml(&text)).expect_err(&text);
        assert!(error.is_config(), "{text}: {error:?}");
        assert!(error.to_string().contains(&format!("`{field}`")), "{text}: {error}");
        assert!(!shown(&error).contains("SENSITIVE"), "{text}: {error}");
    }
}

#[test]
fn a_setter_goes_on_where_the_configuration_ends() {
    let builder = toml(MINIMAL).builder(TokenEndpoint::default()).unwrap();
    assert!(builder.param("a", "b").param("a", "c").build().unwrap_err().is_config());
}

#[tokio::test(start_paused = true)]
async fn only_the_secret_ones_of_the_headers_are_sensitive() {
    let endpoint = TokenEndpoint::new([token()]);
    let config = toml(&format!("{MINIMAL}\nheaders.x-a = 'a'\nsecret_headers.x-b = 'b'"));
    let credentials = config.builder(endpoint.clone()).unwrap().build().unwrap();
    TokenCache::new(credentials).token().await.unwrap();
    let request = endpoint.last_request();
    for (name, value, is_sensitive) in [("x-a", "a", false), ("x-b", "b", true)] {
        let header = &request.headers()[name];
        assert_eq!((header.to_str().unwrap(), header.is_sensitive()), (value, is_sensitive));
    }
}

#[tokio::test(start_paused = true)]
async fn bound_tokens_are_asked_for_by_the_name_of_the_algorithm() {
    for algorithm in ["ES256", "EdDSA"] {
        let config: ClientCredentialsConfig =
            toml::from_str(&format!("{MINIMAL}\ndpop = '{algorithm}'\naccept_bearer = true"))
                .unwrap();
        let endpoint = TokenEndpoint::new([token()]);
        let credentials = config.builder(endpoint.clone()).unwrap().build().unwrap();
        tower_bearer::TokenCache::new(credentials).token().await.unwrap();
        assert!(endpoint.last_request().headers().contains_key("dpop"));
    }
    for (line, part) in [
        ("dpop = 'RS256'", "`dpop`"),
        ("dpop = 'SENSITIVE'", "`dpop`"),
        ("accept_bearer = true", "`accept_bearer` is of no use"),
    ] {
        let config: ClientCredentialsConfig =
            toml::from_str(&format!("{MINIMAL}\n{line}")).unwrap();
        let error = build(config).unwrap_err();
        assert!(error.is_config() && error.to_string().contains(part), "{error}");
        assert!(!shown(&error).contains("SENSITIVE"));
    }
}
