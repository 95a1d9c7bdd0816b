//! Which token a request gets, where there are many.

mod model;
mod select;
mod tenants;
mod token_caches;

use std::sync::{Arc, Mutex};

use tower_bearer::{FetchContext, Token, TokenError, TokenFetcher};

use crate::support::seconds;

/// Gives out `name-1`, `name-2`, and so on.
#[derive(Clone)]
pub struct NamedIssuer {
    name: Arc<str>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    issued: u32,
    revoked: u32,
    asked: u32,
    is_down: bool,
}

impl NamedIssuer {
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), state: Arc::default() }
    }

    /// How often it was asked for a token.
    pub fn asked(&self) -> u32 {
        self.state.lock().unwrap().asked
    }

    pub fn revoke_all(&self) {
        let mut state = self.state.lock().unwrap();
        state.revoked = state.issued;
    }

    pub fn is_down(&self, is_down: bool) {
        self.state.lock().unwrap().is_down = is_down;
    }

    /// Whether it issued the token, and has not revoked it.
    pub fn accepts(&self, token: &str) -> bool {
        let state = self.state.lock().unwrap();
        let number = token.strip_prefix(&*self.name).and_then(|token| token.strip_prefix('-'));
        let number = number.and_then(|number| number.parse::<u32>().ok());
        number.is_some_and(|number| number > state.revoked && number <= state.issued)
    }
}

impl TokenFetcher for NamedIssuer {
    type Error = TokenError;

    async fn fetch(&self, _: FetchContext) -> Result<Token, TokenError> {
        let mut state = self.state.lock().unwrap();
        state.asked += 1;
        if state.is_down {
            return Err(TokenError::unavailable("the issuer is down"));
        }
        state.issued += 1;
        Ok(Token::bearer(&format!("{}-{}", self.name, state.issued))?.expires_in(seconds(3600)))
    }
}
