use http::StatusCode;
use serde_json::json;
use tower::Layer;
use tower_bearer::{BearerAuthLayer, TokenCaches};

use crate::{
    http::{Http, send},
    issuer::{credentials, get_orders, register_secret},
    revocation::revoke,
};

/// Whose token a request needs, and for which resource (RFC 8707).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Access {
    client: &'static str,
    resource: &'static str,
}

const CLIENTS: [&str; 2] = ["selected acme", "selected initech"];
const RESOURCES: [&str; 2] = ["https://api.example/orders", "https://api.example/invoices"];

/// A layer that selects the token by the extension of the request.
fn layer() -> BearerAuthLayer {
    let tokens = TokenCaches::new(|access: &Access| {
        credentials(access.client, "s3cr3t").param("resource", access.resource).build()
    });
    BearerAuthLayer::select(move |head| match head.extensions.get::<Access>() {
        Some(access) => tokens.get(access).map(Some),
        None => Ok(None),
    })
}

/// The API tells from the token whose it is and for what.
#[tokio::test]
async fn each_request_gets_the_token_of_its_client_for_its_resource() {
    for client in CLIENTS {
        register_secret(client, "s3cr3t").await;
    }
    let http = Http::new();
    let client = layer().layer(http.clone());
    let all =
        || CLIENTS.iter().flat_map(|&client| RESOURCES.map(|resource| Access { client, resource }));
    let ask = async |access: Access| {
        let mut request = get_orders();
        request.extensions_mut().insert(access);
        let (status, order) = send(client.clone(), request).await.unwrap();
        assert_eq!(status, StatusCode::OK);
        assert_eq!(order["client_id"], json!(access.client));
        assert_eq!(order["aud"], json!(access.resource));
    };

    for access in all().chain(all()) {
        ask(access).await;
    }
    let tokens = http.tokens();
    assert_eq!(tokens[..4], tokens[4..], "each token is kept");

    revoke(CLIENTS[1], "s3cr3t", &tokens[3]).await;
    for access in all() {
        ask(access).await;
    }
    let after = &http.tokens()[8..];
    assert_eq!(after[..4], tokens[..4], "the others, and the one that was revoked");
    assert!(after.len() == 5 && !tokens.contains(&after[4]), "one more attempt, with a new token");
}

#[tokio::test]
async fn a_request_for_which_nothing_is_selected_has_no_token() {
    let http = Http::new();
    let (status, _) = send(layer().layer(http.clone()), get_orders()).await.unwrap();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(!http.sent()[0].headers().contains_key("authorization"));
}
