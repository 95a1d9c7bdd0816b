use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::Query,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::{StreamExt, TryStreamExt, channel::mpsc, stream::BoxStream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Client, Config, ResourceExt,
    api::{Api as Kube, ListParams, PostParams, WatchEvent, WatchParams},
    config::AuthInfo,
};
use serde_json::{Value, json};
use tower_bearer::{BoxError, TokenCache, TokenError};
use tower_bearer_clients::{
    api::Api,
    kube::{checked_client, client},
};

type Events = mpsc::UnboundedSender<Result<Bytes, std::io::Error>>;
type Make = fn(Config, TokenCache) -> kube::Result<Client>;

/// Both ways of the guide.
const WAYS: [Make; 2] = [client, checked_client];

/// An API server with a list of one object, which also creates objects, and watches that the test feeds.
struct Cluster {
    api: Api,
    watches: Arc<Mutex<Vec<Events>>>,
}

impl Cluster {
    async fn start() -> Result<Self, BoxError> {
        let watches = Arc::<Mutex<Vec<Events>>>::default();
        let list = {
            let watches = Arc::clone(&watches);
            async move |Query(query): Query<Vec<(String, String)>>| -> Response {
                if query.contains(&("watch".to_owned(), "true".to_owned())) {
                    let (events, stream) = mpsc::unbounded();
                    watches.lock().unwrap().push(events);
                    return Body::from_stream(stream).into_response();
                }
                let items = [json!({ "metadata": { "name": "listed" } })];
                let meta = json!({ "resourceVersion": "1" });
                Json(json!({ "apiVersion": "v1", "kind": "ConfigMapList", "metadata": meta, "items": items }))
                    .into_response()
            }
        };
        let create = async |Json(created): Json<Value>| Json(created);
        let routes =
            Router::new().route("/api/v1/namespaces/default/configmaps", get(list).post(create));
        Ok(Self { api: Api::start(routes).await?, watches })
    }

    fn config(&self) -> Result<Config, BoxError> {
        Ok(Config::new(self.api.url.parse()?))
    }

    fn configmaps(&self, make: Make) -> Result<Kube<ConfigMap>, BoxError> {
        let tokens = TokenCache::new(self.api.credentials()?);
        Ok(Kube::default_namespaced(make(self.config()?, tokens)?))
    }

    /// Sends an event on the watch that was opened last.
    fn send(&self, name: &str) {
        let event = json!({ "type": "ADDED", "object": { "metadata": { "name": name } } });
        let watches = self.watches.lock().unwrap();
        watches.last().unwrap().unbounded_send(Ok(format!("{event}\n").into())).unwrap();
    }

    /// Ends all watches.
    fn close(&self) {
        self.watches.lock().unwrap().clear();
    }
}

async fn open(
    configmaps: &Kube<ConfigMap>,
) -> kube::Result<BoxStream<'static, kube::Result<WatchEvent<ConfigMap>>>> {
    Ok(configmaps.watch(&WatchParams::default(), "1").await?.boxed())
}

async fn next(
    watch: &mut BoxStream<'_, kube::Result<WatchEvent<ConfigMap>>>,
) -> kube::Result<Option<String>> {
    Ok(watch.try_next().await?.map(|event| match event {
        WatchEvent::Added(object) => object.name_any(),
        other => panic!("{other:?}"),
    }))
}

#[tokio::test]
async fn a_list_and_a_create_are_sent_once_more_after_a_revocation() -> Result<(), BoxError> {
    for make in WAYS {
        let cluster = Cluster::start().await?;
        let configmaps = cluster.configmaps(make)?;

        let list = configmaps.list(&ListParams::default()).await?;
        assert_eq!(list.items[0].name_any(), "listed");
        cluster.api.issuer().revoke_all();
        assert_eq!(configmaps.list(&ListParams::default()).await?.items.len(), 1);
        cluster.api.issuer().revoke_all();
        let mut object = ConfigMap::default();
        object.metadata.name = Some("created".to_owned());
        let created = configmaps.create(&PostParams::default(), &object).await?;
        assert_eq!(created.name_any(), "created");

        assert_eq!(cluster.api.statuses(), [200, 401, 200, 401, 200]);
        assert_eq!(cluster.api.issuer().tokens_issued(), 3);
    }
    Ok(())
}

#[tokio::test]
async fn a_watch_outlives_its_token_and_is_opened_again_with_another() -> Result<(), BoxError> {
    for make in WAYS {
        let cluster = Cluster::start().await?;
        let configmaps = cluster.configmaps(make)?;

        let mut watch = open(&configmaps).await?;
        cluster.send("before");
        assert_eq!(next(&mut watch).await?.as_deref(), Some("before"));

        cluster.api.issuer().revoke_all();
        configmaps.list(&ListParams::default()).await?;
        cluster.send("after");
        assert_eq!(next(&mut watch).await?.as_deref(), Some("after"));

        cluster.api.issuer().revoke_all();
        cluster.close();
        assert_eq!(next(&mut watch).await?, None);
        let mut watch = open(&configmaps).await?;
        cluster.send("anew");
        assert_eq!(next(&mut watch).await?.as_deref(), Some("anew"));
        assert_eq!(cluster.api.statuses(), [200, 401, 200, 401, 200]);
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_expires_under_a_watch_is_renewed_without_a_401() -> Result<(), BoxError> {
    let cluster = Cluster::start().await?;
    let gone = Arc::new(AtomicU64::new(0));
    let (clock, start) = (Arc::clone(&gone), SystemTime::now());
    let tokens = TokenCache::builder()
        .wall_clock(move || start + Duration::from_secs(clock.load(Relaxed)))
        .build(cluster.api.credentials()?);
    let configmaps = Kube::<ConfigMap>::default_namespaced(client(cluster.config()?, tokens)?);

    let mut watch = open(&configmaps).await?;
    // The lifetime of a token is 300 s.
    gone.store(301, Relaxed);
    cluster.api.issuer().revoke_all();
    let lists = (0..20).map(|_| {
        let configmaps = configmaps.clone();
        tokio::spawn(async move { configmaps.list(&ListParams::default()).await })
    });
    for list in lists.collect::<Vec<_>>() {
        assert_eq!(list.await??.items.len(), 1);
    }
    cluster.send("event");
    assert_eq!(next(&mut watch).await?.as_deref(), Some("event"));
    assert_eq!(cluster.api.statuses(), [200; 21]);
    assert_eq!(cluster.api.issuer().tokens_issued(), 2);
    Ok(())
}

#[tokio::test]
async fn the_error_of_the_issuer_is_in_kubes_error() -> Result<(), BoxError> {
    for make in WAYS {
        let cluster = Cluster::start().await?;
        cluster.api.issuer().client("id", "another secret");
        let configmaps = cluster.configmaps(make)?;

        let error = configmaps.list(&ListParams::default()).await.unwrap_err();
        let kube::Error::Service(error) = error else { panic!("{error:?}") };
        let error = error.downcast_ref::<TokenError>().map(TokenError::code);
        assert_eq!(error, Some(Some("invalid_client")));
        assert!(cluster.api.statuses().is_empty());
    }
    Ok(())
}

/// kube's stack attaches it inside of the layer, so it takes the place of the layer's. A stack of one's own has
/// no layer that attaches it.
#[tokio::test]
async fn a_token_of_the_kubeconfig_takes_the_place_of_the_layers() -> Result<(), BoxError> {
    let cluster = Cluster::start().await?;
    let auth_info =
        AuthInfo { token: Some("of-the-kubeconfig".to_owned().into()), ..AuthInfo::default() };
    for (make, statuses) in [(client as Make, &[401, 401][..]), (checked_client, &[401, 401, 200])]
    {
        let mut config = cluster.config()?;
        config.auth_info = auth_info.clone();
        let tokens = TokenCache::new(cluster.api.credentials()?);
        let configmaps = Kube::<ConfigMap>::default_namespaced(make(config, tokens)?);
        let list = configmaps.list(&ListParams::default()).await;
        assert_eq!(list.is_ok(), statuses.ends_with(&[200]));
        assert_eq!(cluster.api.statuses(), statuses);
    }
    Ok(())
}

#[tokio::test]
async fn the_checked_client_sends_no_token_over_plain_http() -> Result<(), BoxError> {
    let cluster = Cluster::start().await?;
    let tokens = TokenCache::new(cluster.api.credentials()?);
    let config = Config::new("http://cluster.example".parse()?);
    let configmaps = Kube::<ConfigMap>::default_namespaced(checked_client(config, tokens)?);

    let error = configmaps.list(&ListParams::default()).await.unwrap_err();
    let kube::Error::Service(error) = error else { panic!("{error:?}") };
    assert_eq!(error.downcast_ref().map(TokenError::is_insecure), Some(true));
    assert_eq!(cluster.api.issuer().tokens_issued(), 0);
    Ok(())
}
