//! Tokens that are bound to a key (RFC 9449).

mod layer;
mod proof;
mod token_request;

use std::collections::HashSet;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, Request};
use ring::{
    digest::{SHA256, digest},
    signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey},
};
use serde_json::Value;
use tower_bearer::DpopKey;

/// What a server reads in a proof.
#[derive(Clone, Debug)]
pub struct Read {
    pub jti: String,
    pub htm: String,
    pub htu: String,
    pub iat: u64,
    pub ath: Option<String>,
    pub nonce: Option<String>,
}

/// The one proof in these headers, checked as RFC 9449 section 4.3 says.
pub fn proof(headers: &HeaderMap, key: &DpopKey) -> Read {
    let mut values = headers.get_all("dpop").iter();
    let value = values.next().expect("a proof");
    assert!(values.next().is_none(), "one proof");
    assert!(value.is_sensitive());
    let jwt = value.to_str().unwrap();
    let (message, signature) = jwt.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!(header["typ"], "dpop+jwt");
    let jwk = &header["jwk"];
    assert!(jwk.get("d").is_none(), "the private key stays here");
    assert_eq!(*jwk, serde_json::from_str::<Value>(key.public_jwk()).unwrap());
    let x = decode(jwk["x"].as_str().unwrap());
    let (algorithm, public): (&dyn ring::signature::VerificationAlgorithm, _) =
        match header["alg"].as_str().unwrap() {
            "ES256" => {
                let y = decode(jwk["y"].as_str().unwrap());
                (&ECDSA_P256_SHA256_FIXED, [&[4], &x[..], &y].concat())
            }
            "EdDSA" => (&ED25519, x),
            other => panic!("{other}"),
        };
    UnparsedPublicKey::new(algorithm, public)
        .verify(message.as_bytes(), &decode(signature))
        .expect("the signature is the key's");
    let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
    let known = ["ath", "htm", "htu", "iat", "jti", "nonce"];
    assert!(claims.as_object().unwrap().keys().all(|name| known.contains(&&**name)), "{claims}");
    let text = |name: &str| claims.get(name).map(|value| value.as_str().unwrap().to_owned());
    let jti = text("jti").unwrap();
    assert!(decode(&jti).len() >= 12, "96 bits at least");
    Read {
        jti,
        htm: text("htm").unwrap(),
        htu: text("htu").unwrap(),
        iat: claims["iat"].as_u64().unwrap(),
        ath: text("ath"),
        nonce: text("nonce"),
    }
}

/// As an API checks a request: the token is bound, and the proof is for this request and no other.
pub fn token_of<B>(request: &Request<B>, key: &DpopKey) -> (String, Read) {
    let authorization = request.headers()["authorization"].to_str().unwrap();
    let token = authorization.strip_prefix("DPoP ").expect("no other scheme").to_owned();
    let proof = proof(request.headers(), key);
    assert_eq!(proof.ath, Some(hash(&token)));
    assert_eq!(proof.htm, request.method().as_str());
    (token, proof)
}

pub fn hash(token: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))
}

/// No `jti` is used twice.
pub fn assert_unique<'a>(proofs: impl IntoIterator<Item = &'a Read>) {
    let mut seen = HashSet::new();
    for proof in proofs {
        assert!(seen.insert(&proof.jti), "{proof:?}");
    }
}

fn decode(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}
