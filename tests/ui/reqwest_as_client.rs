//! A reqwest client that is no tower client of requests of `http`.

use tower_bearer::{ClientCredentials, TokenCache};

fn cache(client: reqwest::Client) -> TokenCache {
    let credentials = ClientCredentials::builder(client, "https://issuer.example", "id", "secret");
    TokenCache::new(credentials.build().unwrap())
}

fn main() {
    let _ = cache;
}
