//! What is true at any time: which tokens the API accepts, and whether the issuer answers. The servers act by
//! it, the chaos changes it, and it judges requests that fail.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

pub const LIFETIME: Duration = Duration::from_secs(5);

/// The cache counts the lifetime from before its request, and it looks at the wall clock once a second. So a
/// token that is about to expire is not counted on.
const GRACE: Duration = Duration::from_millis(100);

/// A cache remembers a failed fetch for a second, and waits for a second after a token that was no help. A
/// fetch may take as long as a slow issuer takes.
const AFTERMATH: Duration = Duration::from_secs(4);

/// What is older is forgotten. No request takes so long.
const MEMORY: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct World {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: VecDeque<Issued>,
    issued: u64,
    issuer: Issuer,
    /// When the issuer did not answer. The last one may be in the future.
    outages: VecDeque<(Instant, Instant)>,
    /// When all tokens were lost.
    losses: VecDeque<Instant>,
    /// The API refuses tokens from before the first, until the second.
    burst: Option<(Instant, Instant)>,
    cuts_due: u32,
    ahead: Duration,
    behind: Duration,
    pub counts: Counts,
}

/// What the servers have seen.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub token_requests: u64,
    pub refusals: u64,
    pub cuts: u64,
}

#[derive(Clone, Copy, Default)]
pub enum Issuer {
    #[default]
    Well,
    Slow(Duration),
    Unavailable,
    Cutting,
}

struct Issued {
    token: String,
    at: Instant,
    expires: Instant,
    revoked: bool,
    /// From here on nobody counts on it.
    lost: Option<Instant>,
}

impl World {
    /// What the issuer does with the token request that has come.
    pub fn token_request(&self) -> Issuer {
        let mut state = self.lock();
        state.counts.token_requests += 1;
        state.issuer
    }

    /// A token for the request that came then.
    pub fn issue(&self, asked: Instant) -> String {
        let mut state = self.lock();
        let now = Instant::now();
        state.issued += 1;
        let token = format!("at-{}", state.issued);
        state.tokens.push_back(Issued {
            token: token.clone(),
            at: now,
            expires: asked + LIFETIME,
            revoked: false,
            lost: None,
        });
        state.forget(now);
        token
    }

    /// Whether the API takes this token.
    pub fn accepts(&self, token: &str) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        let refused_before =
            state.burst.filter(|(_, until)| now < *until).map(|(before, _)| before);
        let accepted = state.tokens.iter().rev().any(|issued| {
            let refused = issued.revoked || refused_before.is_some_and(|before| issued.at < before);
            issued.token == token && !refused && now < issued.expires
        });
        state.counts.refusals += u64::from(!accepted);
        accepted
    }

    /// Whether the API cuts the connection in the middle of this response.
    pub fn cut(&self) -> bool {
        let mut state = self.lock();
        let cut = state.cuts_due > 0;
        state.cuts_due -= u32::from(cut);
        state.counts.cuts += u64::from(cut);
        cut
    }

    pub fn wall_clock(&self) -> SystemTime {
        let state = self.lock();
        SystemTime::now() + state.ahead - state.behind
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// How long the newest token is good for.
    pub fn remaining(&self) -> Duration {
        let now = Instant::now();
        let newest = self.lock().tokens.back().map(Issued::good_until);
        newest.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    pub fn revoke(&self) {
        let mut state = self.lock();
        state.tokens.iter_mut().for_each(|issued| issued.revoked = true);
        state.lose(Instant::now());
    }

    pub fn burst(&self, duration: Duration) {
        let mut state = self.lock();
        let now = Instant::now();
        state.burst = Some((now, now + duration));
        state.lose(now);
    }

    pub fn issuer(&self, issuer: Issuer) {
        self.lock().issuer = issuer;
    }

    /// The caller ends it after this time.
    pub fn outage(&self, issuer: Issuer, duration: Duration) {
        let mut state = self.lock();
        let now = Instant::now();
        state.issuer = issuer;
        state.outages.push_back((now, now + duration));
    }

    pub fn cut_next(&self, responses: u32) {
        self.lock().cuts_due += responses;
    }

    /// Tokens from before a step that is longer than their lifetime have expired by that clock.
    pub fn step_ahead(&self, step: Duration) {
        let mut state = self.lock();
        state.ahead += step;
        state.lose(Instant::now());
    }

    pub fn step_back(&self, step: Duration) {
        self.lock().behind += step;
    }

    /// Whether a request of this time may fail for want of a token.
    pub fn excuses(&self, began: Instant, ended: Instant) -> bool {
        let state = self.lock();
        let had_one =
            state.tokens.iter().any(|issued| issued.at <= began && ended < issued.good_until());
        let since = began - AFTERMATH;
        let outage = state.outages.iter().any(|(from, until)| *from <= ended && since <= *until);
        let losses = state.losses.iter().filter(|at| (since..=ended).contains(at)).count();
        !had_one && (outage || losses > 1)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while they have it")
    }
}

impl State {
    fn lose(&mut self, now: Instant) {
        for issued in &mut self.tokens {
            issued.lost.get_or_insert(now);
        }
        self.losses.push_back(now);
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) > MEMORY;
        self.tokens.retain(|issued| !is_old(issued.at));
        self.outages.retain(|(_, until)| !is_old(*until));
        self.losses.retain(|at| !is_old(*at));
    }
}

impl Issued {
    fn good_until(&self) -> Instant {
        let expires = self.expires - GRACE;
        self.lost.map_or(expires, |lost| lost.min(expires))
    }
}
