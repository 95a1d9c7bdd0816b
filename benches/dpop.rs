//! What a hit costs with a token that is bound to a key, beside the signature alone.

#[path = "support/mod.rs"]
mod support;

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use tower::Layer;
use tower_bearer::{BearerAuthLayer, DpopKey, JwtAlgorithm, Token, TokenCache, fetch_fn};

use support::*;

/// As long as a proof without its signature.
const MESSAGE: [u8; 450] = [b'a'; 450];

fn tokens(token: Token) -> TokenCache {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let tokens = TokenCache::new(fetch_fn(move |_| {
        let token = token.clone();
        async move { Ok::<_, tower_bearer::TokenError>(token.expires_in(std::time::Duration::MAX)) }
    }));
    runtime.block_on(tokens.token()).unwrap();
    tokens
}

fn dpop(c: &mut Criterion) {
    let mut group = c.benchmark_group("dpop");
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
        .unwrap();
    group.bench_function("signature, ES256", |b| {
        b.iter(|| p256.sign(&random, black_box(&MESSAGE)).unwrap());
    });
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let ed25519 = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    group.bench_function("signature, EdDSA", |b| b.iter(|| ed25519.sign(black_box(&MESSAGE))));

    // To sign elsewhere would cost this much more.
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    group.bench_function("another thread, there and back", |b| {
        b.iter(|| threads.block_on(async { tokio::task::spawn_blocking(|| ()).await.unwrap() }));
    });

    let bearer = Token::bearer(&access_token(40)).unwrap();
    let bound = |algorithm| {
        let key = DpopKey::generate(algorithm).unwrap();
        Token::dpop(&access_token(40), &key).unwrap()
    };
    for (name, token) in [
        ("hit, bearer", bearer),
        ("hit, ES256", bound(JwtAlgorithm::ES256)),
        ("hit, EdDSA", bound(JwtAlgorithm::EdDSA)),
    ] {
        let mut client = BearerAuthLayer::new(tokens(token)).layer(Bare);
        group.bench_function(name, |b| {
            let request = || request(8);
            b.iter_batched(request, |request| call(&mut client, request), BatchSize::SmallInput);
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    dpop(&mut criterion);
    criterion.final_summary();
}
