//! How often refusals may have the issuer asked, whoever refuses and under whatever name.

use std::{
    convert::Infallible,
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Request;
use tokio::{
    task::JoinSet,
    time::{Instant, advance, sleep},
};
use tower::{Layer, Service, service_fn};
use tower_bearer::{
    BearerAuthLayer, FetchContext, FetchReason, NotReplayed, Token, TokenCache, TokenFetcher,
    fetch_fn,
};

use crate::support::*;

/// Forced fetches of one cache at once, and in any minute.
const AT_ONCE: usize = 10;
const A_MINUTE: usize = 20;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// When fetches began that a refusal has forced.
#[derive(Clone, Default)]
struct Forced(Arc<Mutex<Vec<Instant>>>);

impl Forced {
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The most in any span of time so long, both ends included.
    fn most_in(&self, span: Duration) -> usize {
        let times = self.0.lock().unwrap();
        let since = |start: &Instant| {
            times.iter().filter(|time| *time >= start && **time <= *start + span).count()
        };
        times.iter().map(since).max().unwrap_or_default()
    }

    #[track_caller]
    fn stays_below_the_lid(&self) {
        let (second, minute) = (self.most_in(seconds(1)), self.most_in(seconds(60)));
        assert!(second <= AT_ONCE, "{second} forced fetches in a second");
        assert!(minute <= A_MINUTE, "{minute} forced fetches in a minute");
    }
}

/// A fetcher that notes when its cache was forced to fetch.
struct Counted<F> {
    fetcher: F,
    forced: Forced,
}

impl<F: TokenFetcher> TokenFetcher for Counted<F> {
    type Error = F::Error;

    async fn fetch(&self, context: FetchContext) -> Result<Token, F::Error> {
        if context.reason() == FetchReason::Rejected {
            self.forced.0.lock().unwrap().push(Instant::now());
        }
        self.fetcher.fetch(context).await
    }
}

fn counted(issuer: &Issuer) -> (TokenCache, Forced) {
    let forced = Forced::default();
    let cache = TokenCache::new(Counted { fetcher: issuer.clone(), forced: forced.clone() });
    (cache, forced)
}

#[tokio::test(start_paused = true)]
async fn processes_that_end_each_others_token_stay_below_the_lid() {
    let issuer = Issuer::of(seconds(7200)).latency(ms(20));
    issuer.lock().one_token = true;
    let mut tasks = JoinSet::new();
    let processes: Vec<_> = (0..2)
        .map(|process| {
            let forced = Forced::default();
            let tokens =
                TokenCache::new(Counted { fetcher: issuer.clone(), forced: forced.clone() });
            for task in 0..8 {
                let api = Api::of(&issuer);
                let mut client = BearerAuthLayer::new(tokens.clone()).layer(api);
                tasks.spawn(async move {
                    sleep(ms(3 * task + process)).await;
                    loop {
                        let request = get("https://api.example.com/orders");
                        send(&mut client, request).await.unwrap();
                        sleep(ms(11)).await;
                    }
                });
            }
            forced
        })
        .collect();
    sleep(seconds(180)).await;
    drop(tasks);
    for forced in processes {
        forced.stays_below_the_lid();
        assert!(forced.count() > 0, "nothing was refused");
    }
}

/// The `n`-th name of an API.
type Uri = fn(usize) -> String;

#[tokio::test(start_paused = true)]
async fn a_bad_api_of_a_thousand_names_stays_below_the_lid() {
    let names: [Uri; 3] = [
        |n| format!("https://h{n}.example.com/"),
        |n| format!("https://api.example.com/{n}/orders"),
        |n| format!("/service{n}/Method"),
    ];
    for uri in names {
        for latency in [0, 20] {
            let issuer = Issuer::of(seconds(36_000)).latency(ms(latency));
            let (tokens, forced) = counted(&issuer);
            let api = Api::of(&issuer).rejecting_everything();
            let mut client = BearerAuthLayer::new(tokens).layer(api);
            for n in 0..3_000 {
                send(&mut client, get(&uri(n % 1_000))).await.unwrap();
                advance(ms(50)).await;
            }
            forced.stays_below_the_lid();
            assert!(forced.count() > AT_ONCE, "{}", forced.count());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_that_each_token_helps_briefly_stays_below_the_lid() {
    // Every first attempt is refused, and every second accepted, under ten names in turn.
    let issuer = Issuer::of(seconds(36_000));
    let (tokens, forced) = counted(&issuer);
    let n = Arc::new(AtomicUsize::new(0));
    let api = service_fn(move |_: Request<Body>| {
        let status = if n.fetch_add(1, Relaxed) % 2 == 0 { 401 } else { 200 };
        ready(Ok::<_, Infallible>(answer(status)))
    });
    let mut client = BearerAuthLayer::new(tokens).layer(api);
    for n in 0..1_800 {
        send(&mut client, get(&format!("https://h{}.example.com/", n % 10))).await.unwrap();
        advance(ms(100)).await;
    }
    forced.stays_below_the_lid();
}

#[tokio::test(start_paused = true)]
async fn forced_fetches_that_bring_nothing_new_stay_below_the_lid() {
    for (trouble, same_token) in [(Some(Trouble::Down), false), (None, true)] {
        let issuer = Issuer::of(seconds(36_000));
        issuer.lock().same_token = same_token;
        let (tokens, forced) = counted(&issuer);
        let api = Api::of(&issuer).rejecting_everything();
        let mut client = BearerAuthLayer::new(tokens).layer(api);
        send(&mut client, get("https://api.example.com/")).await.unwrap();
        issuer.trouble(trouble);
        for n in 0..1_800 {
            let uri = format!("https://h{}.example.com/", n % 100);
            send(&mut client, get(&uri)).await.unwrap();
            advance(ms(100)).await;
        }
        forced.stays_below_the_lid();
    }
}

#[tokio::test(start_paused = true)]
async fn rejections_said_to_the_cache_are_one_source_among_others() {
    // By themselves they cannot reach the lid: a token that lasts for five seconds has helped.
    let issuer = Issuer::of(seconds(36_000));
    for others in [false, true] {
        let (tokens, forced) = counted(&issuer);
        let api = Api::of(&issuer).rejecting_everything();
        let mut client = BearerAuthLayer::new(tokens.clone()).layer(api);
        for n in 0..1_800 {
            if others && n >= 200 {
                send(&mut client, get(&format!("https://h{n}.example.com/"))).await.unwrap();
            }
            if n % 50 == 49 {
                tokens.reject(&tokens.token().await.unwrap());
                tokens.token().await.unwrap();
            }
            advance(ms(100)).await;
        }
        forced.stays_below_the_lid();
        assert!(forced.count() >= 30, "{} with others: {others}", forced.count());
    }
}

#[tokio::test(start_paused = true)]
async fn rejections_of_expired_tokens_stay_below_the_lid() {
    // When a refusal comes, the cache has a newer token, and that has expired as well.
    let issuer = Issuer::of(seconds(1));
    let (tokens, forced) = counted(&issuer);
    let api = Api::of(&issuer).rejecting_everything().latency(ms(2_900));
    let client = BearerAuthLayer::new(tokens).layer(api);
    for n in 0..120 {
        let mut client = client.clone();
        let uri = format!("https://h{n}.example.com/");
        tokio::spawn(async move { send(&mut client, get(&uri)).await.map(drop) });
        sleep(ms(1_500)).await;
    }
    forced.stays_below_the_lid();
    assert!(forced.count() > AT_ONCE, "{}", forced.count());
}

#[tokio::test(start_paused = true)]
async fn forced_fetches_that_nobody_waits_for_stay_below_the_lid_too() {
    let issuer = Issuer::of(seconds(36_000));
    let forced = Forced::default();
    let fetcher = Counted { fetcher: issuer.clone(), forced: forced.clone() };
    let tokens = TokenCache::builder().keep_fresh().build(fetcher);
    let api = Api::of(&issuer).rejecting_everything();
    let mut client = BearerAuthLayer::new(tokens).layer(api);
    // Chance says when the renewal tries again.
    for _ in 0..20 {
        send(&mut client, get("https://api.example.com/")).await.unwrap();
        issuer.trouble(Trouble::Down);
        for n in 0..600 {
            send(&mut client, get(&format!("https://h{}.example.com/", n % 100))).await.unwrap();
            sleep(ms(100)).await;
        }
        issuer.trouble(None);
        sleep(seconds(300)).await;
    }
    forced.stays_below_the_lid();
    assert!(forced.count() > A_MINUTE, "{}", forced.count());
}

#[tokio::test(start_paused = true)]
async fn while_fetches_fail_a_refusal_that_forces_none_says_so() {
    let issuer = Issuer::of(seconds(36_000));
    let (tokens, forced) = counted(&issuer);
    let api = Api::of(&issuer);
    let mut client = BearerAuthLayer::new(tokens).layer(api);
    send(&mut client, get("https://api.example.com/")).await.unwrap();
    issuer.revoke_all();
    issuer.trouble(Trouble::Down);
    let mut longest = Duration::ZERO;
    for _ in 0..300 {
        let response = send(&mut client, get("https://api.example.com/")).await.unwrap();
        let why = response.extensions().get();
        let Some(NotReplayed::NoToken(error)) = why else { panic!("{why:?}") };
        assert!(error.is_transient());
        longest = longest.max(error.retry_after().unwrap_or_default());
        advance(ms(100)).await;
    }
    // It says how long, which is until the next fetch is earned.
    assert!(longest > seconds(5) && longest <= seconds(6), "{longest:?}");
    issuer.trouble(None);
    advance(seconds(6)).await;
    assert_eq!(send(&mut client, get("https://api.example.com/")).await.unwrap().status(), 200);
    forced.stays_below_the_lid();
}

#[tokio::test(start_paused = true)]
async fn layers_over_one_cache_are_one_source_for_the_same_target() {
    let issuer = Issuer::of(seconds(36_000));
    let origins = ["https://api.example.com", "https://API2.example.com:443"];
    let reversed = ["https://api2.example.com", "https://api.example.com"];
    let new = || BearerAuthLayer::new(TokenCache::new(issuer.clone()));
    let one_cache = |tokens: &TokenCache| BearerAuthLayer::new(tokens.clone());
    let bad = || Api::of(&issuer).rejecting_everything();

    // Whether a source is in its cooldown shows in the answer to the second layer.
    for (first, second, first_uri, second_uri, same) in [
        (None, None, "https://api.example.com/a/1", "https://API.example.com/a/2?b", true),
        (None, Some(origins), "https://api.example.com/a", "https://api.example.com/a?b", true),
        (None, None, "https://api.example.com/a", "https://api.example.com/b", false),
        (None, None, "https://api.example.com/a", "https://api.example.com:8443/a", false),
        (Some(origins), Some(reversed), "/service/A", "/service/B", true),
        (Some(origins), Some(reversed), "/service/A", "/other/A", false),
        (Some(origins), None, "/service/A", "/service/A", false),
        (None, None, "/service/A", "/service/A", false),
    ] {
        for replays in [true, false] {
            let tokens = TokenCache::new(issuer.clone());
            let layer = |origins: Option<[&str; 2]>| {
                let layer = one_cache(&tokens);
                origins.map_or(Ok(layer.clone()), |origins| layer.only_for(origins)).unwrap()
            };
            if replays {
                send(&mut layer(first).layer(bad()), get(first_uri)).await.unwrap();
            } else {
                // The second refusal says that the token which the first has forced is no help.
                let mut client = layer(first).no_replay().layer(bad());
                send(&mut client, get(first_uri)).await.unwrap();
                send(&mut client, get(first_uri)).await.unwrap();
            }
            let response = send(&mut layer(second).layer(bad()), get(second_uri)).await.unwrap();
            let cooldown = matches!(response.extensions().get(), Some(NotReplayed::Cooldown));
            assert_eq!(cooldown, same, "{first_uri} {second_uri}, replays: {replays}");
        }
    }
    // Another cache is another client of the issuer.
    send(&mut new().layer(bad()), get("https://api.example.com/")).await.unwrap();
    let response = send(&mut new().layer(bad()), get("https://api.example.com/")).await.unwrap();
    assert!(response.extensions().get::<NotReplayed>().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_bad_endpoint_holds_up_no_other_of_its_host() {
    let issuer = Issuer::of(seconds(36_000));
    let good = Api::of(&issuer);
    let bad = Api::of(&issuer).rejecting_everything();
    for (bad_uri, good_uri) in [
        ("https://api.example.com/admin/users", "https://api.example.com/orders/1"),
        ("/shop.Admin/List", "/shop.Orders/Get"),
    ] {
        let (bad, good) = (bad.clone(), good.clone());
        let host = service_fn(move |request: Request<Body>| {
            let path = request.uri().path();
            let is_bad = path.starts_with("/admin/") || path.starts_with("/shop.Admin/");
            if is_bad { bad.clone() } else { good.clone() }.call(request)
        });
        let layer = BearerAuthLayer::new(issuer.clone());
        for replays in [true, false] {
            let mut endless = layer.clone().no_replay().layer(host.clone());
            let mut client = layer.clone().layer(host.clone());
            for _ in 0..70 {
                match replays {
                    true => send(&mut client, get(bad_uri)).await.unwrap(),
                    false => send(&mut endless, get(bad_uri)).await.unwrap(),
                };
                advance(seconds(1)).await;
            }
            for _ in 0..3 {
                issuer.revoke_all();
                assert_eq!(send(&mut client, get(good_uri)).await.unwrap().status(), 200);
            }
            advance(seconds(120)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_of_short_tokens_holds_another_up_for_six_seconds() {
    let issuer = Issuer::of(seconds(36_000));
    let (tokens, forced) = counted(&issuer);
    let n = Arc::new(AtomicUsize::new(0));
    let flapping = service_fn(move |_: Request<Body>| {
        let status = if n.fetch_add(1, Relaxed) % 2 == 0 { 401 } else { 200 };
        ready(Ok::<_, Infallible>(answer(status)))
    });
    let mut flapping = BearerAuthLayer::new(tokens.clone()).layer(flapping);
    let mut good = BearerAuthLayer::new(tokens).layer(Api::of(&issuer));
    for n in 0..1_800 {
        send(&mut flapping, get("https://flapping.example.com/")).await.unwrap();
        if n % 300 == 299 {
            issuer.revoke_all();
            let revoked = Instant::now();
            while send(&mut good, get("https://good.example.com/")).await.unwrap().status() != 200 {
                advance(ms(100)).await;
                assert!(revoked.elapsed() <= seconds(6), "request {n}");
            }
        }
        advance(ms(100)).await;
    }
    forced.stays_below_the_lid();
}

/// Accepts a token that is old enough, as one does whose clock is slow.
#[tokio::test(start_paused = true)]
async fn an_api_with_a_slow_clock_gets_tokens_as_old_as_it_wants() {
    for (lifetime, delay) in [(60, 2), (60, 29), (300, 45), (300, 150), (3600, 290)] {
        let issued = Arc::new(Mutex::new(Vec::new()));
        let tokens = fetch_fn({
            let issued = issued.clone();
            move |_| {
                issued.lock().unwrap().push(Instant::now());
                let token = Token::bearer(&format!("t{}", issued.lock().unwrap().len()));
                ready(token.map(|token| token.expires_in(seconds(lifetime))))
            }
        });
        let api = service_fn(move |request: Request<Body>| {
            let token = request.headers()["authorization"].to_str().unwrap();
            let n: usize = token.trim_start_matches("Bearer t").parse().unwrap();
            let age = issued.lock().unwrap()[n - 1].elapsed();
            ready(Ok::<_, Infallible>(answer(if age < seconds(delay) { 401 } else { 200 })))
        });
        let mut client = BearerAuthLayer::new(tokens).layer(api);
        let started = Instant::now();
        while send(&mut client, get("https://api.example.com/")).await.unwrap().status() != 200 {
            advance(ms(100)).await;
            let bound = 3 * delay + 2;
            assert!(started.elapsed() <= seconds(bound), "{delay} of {lifetime} s");
        }
    }
}
