use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::testing::{answer::Answer, received::Received};

/// The requests of one endpoint, and its scripted answers. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Endpoint {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    requests: Vec<Received>,
    latency: Duration,
    next: VecDeque<Answer>,
    always: Option<Answer>,
}

impl Endpoint {
    pub(super) async fn answer(
        &self,
        request: Received,
        normally: impl FnOnce(&Received) -> Answer,
    ) -> Answer {
        let (scripted, latency) = self.lock().record(request.clone());
        // A sleep of zero would still wait for the next tick of the timer.
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        scripted.unwrap_or_else(|| normally(&request))
    }

    pub(super) fn requests(&self) -> Vec<Received> {
        self.lock().requests.clone()
    }

    pub(super) fn latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    pub(super) fn answer_next(&self, answer: Answer) {
        self.lock().next.push_back(answer);
    }

    pub(super) fn answer_always(&self, answer: Answer) {
        self.lock().always = Some(answer);
    }

    pub(super) fn answer_normally(&self) {
        let mut state = self.lock();
        state.next.clear();
        state.always = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn record(&mut self, request: Received) -> (Option<Answer>, Duration) {
        self.requests.push(request);
        (self.next.pop_front().or_else(|| self.always.clone()), self.latency)
    }
}
