use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

/// The access tokens that were issued. It reads no clock: `now` is an argument.
pub(super) struct Tokens {
    pub(super) lifetime: Duration,
    pub(super) reuse: Reuse,
    issued: usize,
    latest: String,
    accepted: HashMap<String, Issued>,
    pub(super) older: Older,
}

/// What becomes of a client's older tokens when it gets a new one.
#[derive(PartialEq)]
pub(super) enum Older {
    Stay,
    End,
}

#[derive(PartialEq)]
pub(super) enum Reuse {
    Never,
    UntilExpiry,
}

struct Issued {
    at: Instant,
    lifetime: Duration,
    /// The client's id, if it has sent one.
    client: Option<String>,
}

impl Tokens {
    /// A token for this client, and how long it is still good for.
    pub(super) fn issue(&mut self, client: Option<String>, now: Instant) -> (String, Duration) {
        if self.reuse == Reuse::UntilExpiry {
            if let Some(remaining) = self.remaining(&self.latest, now) {
                return (self.latest.clone(), remaining);
            }
        }
        if self.older == Older::End {
            self.accepted.retain(|_, issued| issued.client != client);
        }
        self.issued += 1;
        self.latest = format!("at-{}-{:016x}", self.issued, fastrand::u64(..));
        let issued = Issued { at: now, lifetime: self.lifetime, client };
        self.accepted.insert(self.latest.clone(), issued);
        (self.latest.clone(), self.lifetime)
    }

    pub(super) fn issued(&self) -> usize {
        self.issued
    }

    pub(super) fn is_active(&self, token: &str, now: Instant) -> bool {
        self.remaining(token, now).is_some()
    }

    pub(super) fn revoke(&mut self, token: &str) {
        self.accepted.remove(token);
    }

    pub(super) fn revoke_all(&mut self) {
        self.accepted.clear();
    }

    fn remaining(&self, token: &str, now: Instant) -> Option<Duration> {
        let Issued { at, lifetime, .. } = self.accepted.get(token)?;
        lifetime.checked_sub(now.duration_since(*at)).filter(|left| !left.is_zero())
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(300),
            reuse: Reuse::Never,
            issued: 0,
            latest: String::new(),
            accepted: HashMap::new(),
            older: Older::Stay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_token_is_replaced_once_it_expires_or_is_revoked() {
        let mut tokens = Tokens { reuse: Reuse::UntilExpiry, ..Tokens::default() };
        let start = Instant::now();
        let later = start + Duration::from_secs(100);
        let expired = start + Duration::from_secs(300);

        let (first, _) = tokens.issue(None, start);
        assert_eq!(tokens.issue(None, later), (first.clone(), Duration::from_secs(200)));
        let (second, remaining) = tokens.issue(None, expired);
        assert_ne!(second, first);
        assert_eq!(remaining, Duration::from_secs(300));

        tokens.revoke(&second);
        assert_ne!(tokens.issue(None, expired).0, second);
        assert_eq!(tokens.issued(), 3);
    }

    #[test]
    fn a_new_token_ends_the_older_ones_of_its_client_alone() {
        let mut tokens = Tokens { older: Older::End, ..Tokens::default() };
        let now = Instant::now();
        let mut issue = |client: &str| tokens.issue(Some(client.to_owned()), now).0;
        let (first, other, second) = (issue("orders"), issue("billing"), issue("orders"));

        assert!(!tokens.is_active(&first, now));
        assert!(tokens.is_active(&other, now));
        assert!(tokens.is_active(&second, now));
    }

    #[test]
    fn a_token_is_active_until_exactly_the_end_of_its_lifetime() {
        let mut tokens = Tokens { lifetime: Duration::from_millis(1500), ..Tokens::default() };
        let start = Instant::now();
        let (token, _) = tokens.issue(None, start);

        assert!(tokens.is_active(&token, start + Duration::from_millis(1499)));
        assert!(!tokens.is_active(&token, start + Duration::from_millis(1500)));
    }
}
