//! A thousand tenants behind one layer: no token reaches a request of another.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use http::{Request, header::AUTHORIZATION};
use tower::{Layer, service_fn};
use tower_bearer::{BearerAuthLayer, TokenCaches, TokenError};

use super::NamedIssuer;
use crate::support::*;

const TENANTS: u32 = 1_000;
const REQUESTS: u32 = 100_000;
/// Fewer than there are tenants, so that caches are evicted all the time.
const CAPACITY: usize = 700;

#[derive(Clone)]
struct Tenant(u32);

#[tokio::test(start_paused = true)]
async fn no_token_ever_reaches_a_request_of_another_key() {
    let issuers: Arc<HashMap<u32, NamedIssuer>> = Arc::new(
        (0..TENANTS).map(|tenant| (tenant, NamedIssuer::new(&format!("tenant{tenant}")))).collect(),
    );
    let tokens = TokenCaches::builder().capacity(CAPACITY).build({
        let issuers = issuers.clone();
        move |tenant: &u32| issuers.get(tenant).cloned().ok_or("no such tenant")
    });
    let layer = BearerAuthLayer::select(move |head| {
        let Some(Tenant(tenant)) = head.extensions.get() else { return Ok::<_, TokenError>(None) };
        tokens.get(tenant).map(Some)
    });

    let strangers = Arc::new(AtomicU32::new(0));
    let refused = Arc::new(AtomicU32::new(0));
    // Each tenant's API takes the tokens of that tenant alone.
    let client = layer.layer(service_fn({
        let (issuers, strangers, refused) = (issuers.clone(), strangers.clone(), refused.clone());
        move |request: Request<Body>| {
            let Tenant(tenant) = request.extensions().get().unwrap();
            let token = request.headers()[AUTHORIZATION].to_str().unwrap();
            let token = token.strip_prefix("Bearer ").unwrap();
            if !token.starts_with(&format!("tenant{tenant}-")) {
                strangers.fetch_add(1, Ordering::Relaxed);
            }
            let accepted = issuers[tenant].accepts(token);
            refused.fetch_add(u32::from(!accepted), Ordering::Relaxed);
            let status = if accepted { 200 } else { 401 };
            async move { Ok::<_, Infallible>(answer(status)) }
        }
    }));

    let mut random = fastrand::Rng::with_seed(17);
    let mut failed = 0;
    let mut sent = 0;
    while sent < REQUESTS {
        // As many at a time as a busy service has under way.
        let batch: Vec<u32> = (0..100).map(|_| random.u32(0..TENANTS)).collect();
        for tenant in batch.iter().filter(|_| random.u8(..) < 8) {
            issuers[tenant].revoke_all();
        }
        let requests: Vec<_> = batch
            .into_iter()
            .map(|tenant| {
                let mut client = client.clone();
                tokio::spawn(async move {
                    let mut request = get("https://api.example.com/");
                    request.extensions_mut().insert(Tenant(tenant));
                    send(&mut client, request).await.unwrap().status()
                })
            })
            .collect();
        for request in requests {
            failed += u32::from(request.await.unwrap() != 200);
            sent += 1;
        }
        tokio::time::advance(seconds(1)).await;
    }
    assert_eq!(strangers.load(Ordering::Relaxed), 0);
    assert_eq!(failed, 0);
    assert!(refused.load(Ordering::Relaxed) > 1_000, "too few revocations to prove anything");
    let asked: u32 = issuers.values().map(NamedIssuer::asked).sum();
    assert!(asked > 2 * TENANTS, "{asked} token requests: too few evictions to prove anything");
}
