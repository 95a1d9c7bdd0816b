//! Signed assertions, as a server reads them.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    hmac,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
        RSA_PSS_2048_8192_SHA512, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};
use tower_bearer::{
    Assertion, ClientAuth, ClientCredentials, ClientCredentialsBuilder, Grant, Jwt, JwtAlgorithm,
    Placement, Secret, TokenCache, TokenError,
};

use crate::client_credentials::token_endpoint::{
    SECRET, TokenEndpoint, URL, json as answer, shown, token,
};

const RSA: &str = include_str!("../../../keys/rsa.pem");
const RSA_PKCS1: &str = include_str!("../../../keys/rsa-pkcs1.pem");
const RSA_1024: &str = include_str!("../../../keys/rsa-1024.pem");
const P256: &str = include_str!("../../../keys/p256.pem");
const P256_SEC1: &str = include_str!("../../../keys/p256-sec1.pem");
const P384: &str = include_str!("../../../keys/p384.pem");
const ED25519_KEY: &str = include_str!("../../../keys/ed25519.pem");

const LONG: &str = "a secret of the sixty-four bytes that HMAC with SHA-512 wants it";

fn credentials(
    endpoint: &TokenEndpoint,
    assertion: impl Into<Assertion>,
) -> ClientCredentialsBuilder<TokenEndpoint> {
    let auth = ClientAuth::assertion(assertion);
    ClientCredentials::builder(endpoint.clone(), format!("{URL}?tenant=1"), "client", auth)
}

async fn form(
    credentials: ClientCredentialsBuilder<TokenEndpoint>,
    endpoint: &TokenEndpoint,
) -> Value {
    TokenCache::new(credentials.build().unwrap()).token().await.unwrap();
    let request = endpoint.last_request();
    assert!(!request.headers().contains_key("authorization"));
    let pairs = form_urlencoded::parse(request.body()).into_owned();
    let mut form = serde_json::Map::new();
    for (name, value) in pairs {
        assert_eq!(form.insert(name, value.into()), None, "a parameter twice");
    }
    form.into()
}

struct Read {
    header: Value,
    claims: Value,
    message: String,
    signature: Vec<u8>,
}

fn read(jwt: &Value) -> Read {
    let parts: Vec<&str> = jwt.as_str().unwrap().split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("{jwt} is no JWT") };
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    Read {
        header: serde_json::from_slice(&decode(header)).unwrap(),
        claims: serde_json::from_slice(&decode(claims)).unwrap(),
        message: format!("{header}.{claims}"),
        signature: decode(signature),
    }
}

async fn assertion(jwt: Jwt) -> Read {
    let endpoint = TokenEndpoint::new([token()]);
    read(&form(credentials(&endpoint, jwt), &endpoint).await["client_assertion"])
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_client_proves_itself_with_a_jwt_of_its_own() {
    let endpoint = TokenEndpoint::new([token()]);
    let before = now();
    let form = form(credentials(&endpoint, Jwt::new(JwtAlgorithm::ES256, P256)), &endpoint).await;
    let after = now();
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_id"], "client");
    assert_eq!(
        form["client_assertion_type"],
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert_eq!(form.as_object().unwrap().len(), 4);

    let Read { header, claims, .. } = read(&form["client_assertion"]);
    assert_eq!(header, json!({"alg": "ES256", "typ": "JWT"}));
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("client"), &json!("client")));
    assert_eq!(claims["aud"], URL, "the URL without its query");
    let (iat, exp) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert!((before - 5..=after - 5).contains(&iat), "{claims}");
    assert!((before + 60..=after + 60).contains(&exp), "{claims}");
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(claims["jti"].as_str().unwrap()).unwrap().len(), 16);
    assert_eq!(claims.as_object().unwrap().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn every_algorithm_makes_a_signature_that_verifies() {
    use JwtAlgorithm::*;
    let der = |pem: &str| PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let rsa = RsaKeyPair::from_pkcs8(der(RSA).secret_pkcs8_der()).unwrap();
    let rsa = rsa.public_key().as_ref().to_vec();
    let random = ring::rand::SystemRandom::new();
    let ecdsa = |curve, pem| {
        let key = EcdsaKeyPair::from_pkcs8(curve, der(pem).secret_pkcs8_der(), &random);
        key.unwrap().public_key().as_ref().to_vec()
    };
    let p256 = ecdsa(&ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING, P256);
    let p384 = ecdsa(&ring::signature::ECDSA_P384_SHA384_FIXED_SIGNING, P384);
    let ed = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der(ED25519_KEY).secret_pkcs8_der());
    let ed = ed.unwrap().public_key().as_ref().to_vec();
    let cases: [(_, _, &dyn VerificationAlgorithm, _); 10] = [
        (RS256, RSA, &RSA_PKCS1_2048_8192_SHA256, &rsa),
        (RS384, RSA, &RSA_PKCS1_2048_8192_SHA384, &rsa),
        (RS512, RSA, &RSA_PKCS1_2048_8192_SHA512, &rsa),
        (RS256, RSA_PKCS1, &RSA_PKCS1_2048_8192_SHA256, &rsa),
        (PS256, RSA, &RSA_PSS_2048_8192_SHA256, &rsa),
        (PS384, RSA, &RSA_PSS_2048_8192_SHA384, &rsa),
        (PS512, RSA_PKCS1, &RSA_PSS_2048_8192_SHA512, &rsa),
        (ES256, P256, &ECDSA_P256_SHA256_FIXED, &p256),
        (ES384, P384, &ECDSA_P384_SHA384_FIXED, &p384),
        (EdDSA, ED25519_KEY, &ED25519, &ed),
    ];
    for (algorithm, pem, verifier, public) in cases {
        let Read { header, message, signature, .. } = assertion(Jwt::new(algorithm, pem)).await;
        assert_eq!(header["alg"], format!("{algorithm:?}"));
        UnparsedPublicKey::new(verifier, public)
            .verify(message.as_bytes(), &signature)
            .unwrap_or_else(|_| panic!("{algorithm:?}"));
    }
    for (algorithm, hash) in
        [(HS256, hmac::HMAC_SHA256), (HS384, hmac::HMAC_SHA384), (HS512, hmac::HMAC_SHA512)]
    {
        let Read { header, message, signature, .. } = assertion(Jwt::new(algorithm, LONG)).await;
        assert_eq!(header["alg"], format!("{algorithm:?}"));
        let key = hmac::Key::new(hash, LONG.as_bytes());
        hmac::verify(&key, message.as_bytes(), &signature).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_set_takes_the_place_of_the_default() {
    let jwt = Jwt::new(JwtAlgorithm::ES256, P256)
        .kid("key 1")
        .header("typ", "client-authentication+jwt")
        .header("x5t#S256", "abc")
        .audience("https://issuer.example")
        .claim("sub", "spiffe://a/b")
        .claim("scope", "a b")
        .lifetime(Duration::from_secs(300))
        .backdate(Duration::ZERO);
    let before = now();
    let Read { header, claims, .. } = assertion(jwt).await;
    let expected = json!({
        "alg": "ES256", "kid": "key 1", "typ": "client-authentication+jwt", "x5t#S256": "abc",
    });
    assert_eq!(header, expected);
    assert_eq!(claims["iss"], "client");
    assert_eq!(claims["sub"], "spiffe://a/b");
    assert_eq!(claims["aud"], "https://issuer.example");
    assert_eq!(claims["scope"], "a b");
    assert!(claims["iat"].as_u64() >= Some(before));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 300);
}

#[tokio::test(start_paused = true)]
async fn no_assertion_is_sent_twice_not_even_in_a_second_attempt() {
    let short = || answer(200, r#"{"access_token":"tok","expires_in":0}"#);
    let endpoint = TokenEndpoint::new([answer(503, ""), short(), answer(503, ""), short()]);
    let jwt = Jwt::new(JwtAlgorithm::HS256, LONG);
    let tokens = TokenCache::new(credentials(&endpoint, jwt).build().unwrap());
    tokens.token().await.unwrap();
    tokens.token().await.unwrap();
    let ids: HashSet<String> = endpoint
        .all_requests()
        .iter()
        .map(|request| {
            let mut form = form_urlencoded::parse(request.body());
            let (_, jwt) = form.find(|(name, _)| name == "client_assertion").unwrap();
            read(&Value::from(&*jwt)).claims["jti"].to_string()
        })
        .collect();
    assert_eq!(ids.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_others_is_sent_as_it_is() {
    let endpoint = TokenEndpoint::new([token()]);
    let svid = Secret::from_fn(async || Ok::<_, TokenError>("a.b-c_d.e"));
    let auth = ClientAuth::assertion_of_type("urn:example:jwt-spiffe", svid);
    let credentials = ClientCredentials::builder(endpoint.clone(), URL, "client", auth);
    assert_eq!(
        form(credentials, &endpoint).await,
        json!({
            "grant_type": "client_credentials",
            "client_id": "client",
            "client_assertion_type": "urn:example:jwt-spiffe",
            "client_assertion": "a.b-c_d.e",
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_jwt_is_a_grant_with_and_without_a_client() {
    const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let google = Jwt::new(JwtAlgorithm::RS256, RSA)
        .claim("iss", "me@project.example")
        .claim("sub", "user@example.com");
    let endpoint = TokenEndpoint::new([token()]);
    let unnamed = ClientCredentials::builder(endpoint.clone(), URL, "", ClientAuth::none());
    let sent = form(unnamed.grant(Grant::jwt_bearer(google)), &endpoint).await;
    assert_eq!(sent["grant_type"], GRANT);
    assert_eq!(sent.as_object().unwrap().len(), 2, "{sent}");
    assert_eq!(read(&sent["assertion"]).claims["iss"], "me@project.example");

    let endpoint = TokenEndpoint::new([token()]);
    let named = ClientCredentials::builder(endpoint.clone(), URL, "id", ClientAuth::post("s"));
    let sent =
        form(named.grant(Grant::jwt_bearer(Secret::from("a.b.c"))).scope("x"), &endpoint).await;
    assert_eq!(
        sent,
        json!({
            "grant_type": GRANT, "client_id": "id", "client_secret": "s", "assertion": "a.b.c",
            "scope": "x",
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_that_rotates_is_read_for_each_token() {
    let keys = std::sync::Mutex::new(vec!["no key", P256]);
    let key = Secret::from_fn(move || {
        let key = keys.lock().unwrap().pop().unwrap();
        async move { Ok::<_, TokenError>(key) }
    });
    let endpoint = TokenEndpoint::new([answer(200, r#"{"access_token":"tok","expires_in":0}"#)]);
    let jwt = Jwt::new(JwtAlgorithm::ES256, key);
    let tokens = TokenCache::new(credentials(&endpoint, jwt).build().unwrap());
    tokens.token().await.unwrap();
    let error = tokens.token().await.expect_err("no key");
    assert!(error.is_config() && endpoint.requests() == 1, "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn no_assertion_gets_into_an_error_and_the_advice_is_about_it() {
    let endpoint = TokenEndpoint::default();
    let echo = endpoint.clone();
    let client = tower::service_fn(move |request: http::Request<_>| {
        let mut echo = echo.clone();
        async move {
            let _ = tower::Service::call(&mut echo, request).await;
            let body = echo.last_request().into_body();
            let mut form = form_urlencoded::parse(&body);
            let (_, jwt) = form.find(|(name, _)| name == "client_assertion").unwrap();
            let description = format!("bad {jwt} by {LONG}");
            let body = json!({"error": "invalid_client", "error_description": description});
            let response = http::Response::builder().status(401);
            let body = http_body_util::Full::<bytes::Bytes>::from(body.to_string());
            Ok::<_, tower_bearer::BoxError>(response.body(body).unwrap())
        }
    });
    endpoint.script([answer(200, "")]);
    let auth = ClientAuth::assertion(Jwt::new(JwtAlgorithm::HS256, LONG));
    let credentials = ClientCredentials::builder(client, URL, "client", auth).build().unwrap();
    let error = TokenCache::new(credentials).token().await.expect_err("a token");
    assert_eq!(error.description(), Some("[left out: it repeats a secret]"));
    assert!(error.to_string().contains("clock"), "{error}");
    assert!(!shown(&error).contains("eyJ"), "{}", shown(&error));
}

#[test]
fn what_cannot_be_signed_or_sent_is_refused_when_it_is_built() {
    use JwtAlgorithm::*;
    let jwt = || Jwt::new(ES256, P256);
    let endpoint = TokenEndpoint::default();
    let with = |jwt: Jwt| credentials(&endpoint, jwt).build();
    let unnamed = || ClientCredentials::builder(endpoint.clone(), URL, "", ClientAuth::none());
    let encrypted = P256.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (what, outcome, words) in [
        ("no PEM", with(Jwt::new(RS256, SECRET)), "PEM"),
        ("a key of another algorithm", with(Jwt::new(RS256, P256)), "RS256"),
        ("another curve", with(Jwt::new(ES384, P256)), "ES384"),
        ("an RSA key for ECDSA", with(Jwt::new(ES256, RSA_PKCS1)), "ES256"),
        ("an EC key that is not PKCS#8", with(Jwt::new(ES256, P256_SEC1)), "PKCS#8"),
        ("a short RSA key", with(Jwt::new(PS256, RSA_1024)), "PS256"),
        ("an encrypted key", with(Jwt::new(ES256, encrypted)), "nocrypt"),
        ("a short secret", with(Jwt::new(HS256, "s3cr3t+/=/7Fjfp0ZBr1KtDRbnfVdmI")), "32 bytes"),
        ("a short secret for 512", with(Jwt::new(HS512, &LONG[1..])), "64 bytes"),
        ("alg", with(jwt().header("alg", "none")), "`alg`"),
        ("exp", with(jwt().claim("exp", "1")), "`exp`"),
        ("jti", with(jwt().claim("jti", "1")), "`jti`"),
        ("no lifetime", with(jwt().lifetime(Duration::from_millis(999))), "60 s"),
        ("too far back", with(jwt().backdate(Duration::from_secs(31))), "30 s"),
        ("nobody", unnamed().grant(Grant::jwt_bearer(jwt())).build(), "`iss`"),
        (
            "no subject",
            unnamed().grant(Grant::jwt_bearer(jwt().claim("iss", "a"))).build(),
            "`sub`",
        ),
        ("no id", unnamed().build(), "client id"),
        (
            "an assertion in the query",
            credentials(&endpoint, jwt()).placement(Placement::Query).build(),
            "body",
        ),
        (
            "an assertion in a GET",
            credentials(&endpoint, jwt()).placement(Placement::LegacyGet).build(),
            "body",
        ),
        (
            "a grant in the query",
            unnamed()
                .grant(Grant::jwt_bearer(Secret::from("a")))
                .placement(Placement::Query)
                .build(),
            "in a URL",
        ),
        ("a text of two lines", credentials(&endpoint, Secret::from("a\nb")).build(), "bare"),
        ("nothing", credentials(&endpoint, Secret::from("")).build(), "empty"),
    ] {
        let error = outcome.expect_err(what);
        assert!(error.is_config() && error.to_string().contains(words), "{what}: {error}");
        for secret in [SECRET, "s3cr3t", "MHc", "MIG", "MII", "sixty-four"] {
            assert!(!shown(&error).contains(secret), "{what}: {}", shown(&error));
        }
    }
}
