//! Which token in a store is of use to one fetch. No clock: times are what remains.

use std::time::Duration;

use super::protocol::Found;
use crate::{
    fetcher::{FetchContext, FetchReason},
    token::TokenId,
};

/// Who renews its token so long before its expiry looks for another one, whatever its own settings are.
const LONGEST_AHEAD: Duration = Duration::from_secs(5 * 60);

/// What a fetch is for, and so which tokens do not help.
#[derive(Clone, Debug)]
pub(super) struct Need {
    /// The token that is to be replaced.
    unwanted: Option<TokenId>,
    /// How long the token is still good that is to be renewed, counted from the start of the fetch.
    outlast: Duration,
}

/// How long a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    /// When it was issued. [`Duration::MAX`] if it does not expire.
    pub(super) lifetime: Duration,
    /// From the start of the fetch. [`Duration::MAX`] if it does not expire.
    pub(super) until: Duration,
}

impl Need {
    pub(super) fn of(context: &FetchContext) -> Self {
        match context.reason() {
            FetchReason::Rejected => {
                let unwanted = context.rejected().map(|token| token.id());
                Self { unwanted, outlast: Duration::ZERO }
            }
            FetchReason::Empty | FetchReason::Ahead | FetchReason::Expired => {
                let unwanted = context.current().map(|token| token.id());
                Self { unwanted, outlast: context.current_expires_in().unwrap_or_default() }
            }
        }
    }

    /// `elapsed` is counted from the start of the fetch.
    pub(super) fn judge<T>(
        &self,
        token: T,
        id: TokenId,
        validity: Validity,
        elapsed: Duration,
    ) -> Found<T> {
        let remaining = validity.remaining(elapsed);
        if remaining.is_zero() || self.unwanted == Some(id) || validity.until <= self.outlast {
            return Found::Nothing;
        }
        match remaining > LONGEST_AHEAD.min(validity.lifetime / 5) {
            true => Found::Fresh(token),
            false => Found::Due(token),
        }
    }
}

impl Validity {
    pub(super) fn remaining(self, elapsed: Duration) -> Duration {
        match self.until {
            Duration::MAX => Duration::MAX,
            until => until.saturating_sub(elapsed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Token;

    const LIFETIME: Duration = Duration::from_secs(1000);

    fn token(text: &str) -> Token {
        Token::bearer(text).unwrap()
    }

    fn context(reason: FetchReason, current: Option<(&str, u64)>) -> FetchContext {
        let current = current.map(|(text, left)| (token(text), Duration::from_secs(left)));
        let rejected = match reason {
            FetchReason::Rejected => current.as_ref().map(|(token, _)| token.clone()),
            _ => None,
        };
        FetchContext::new(reason, Duration::from_secs(10), "".into())
            .current_is(current)
            .rejects(rejected, None)
    }

    fn judge(context: &FetchContext, text: &str, until: u64) -> Found<()> {
        let validity = Validity { lifetime: LIFETIME, until: Duration::from_secs(until) };
        Need::of(context).judge((), token(text).id(), validity, Duration::ZERO)
    }

    #[test]
    fn a_token_serves_until_a_fifth_of_it_or_five_minutes_remain() {
        let empty = context(FetchReason::Empty, None);
        assert_eq!(judge(&empty, "a", 201), Found::Fresh(()));
        assert_eq!(judge(&empty, "a", 200), Found::Due(()));
        assert_eq!(judge(&empty, "a", 0), Found::Nothing);

        let day =
            Validity { lifetime: 86_400 * Duration::from_secs(1), until: Duration::from_secs(301) };
        let judge = |elapsed| Need::of(&empty).judge((), token("a").id(), day, elapsed);
        assert_eq!(judge(Duration::ZERO), Found::Fresh(()));
        assert_eq!(judge(Duration::from_secs(1)), Found::Due(()));
    }

    #[test]
    fn a_renewal_accepts_only_a_token_that_lasts_longer() {
        for reason in [FetchReason::Ahead, FetchReason::Expired] {
            let context = context(reason, Some(("a", 300)));
            assert_eq!(judge(&context, "a", 900), Found::Nothing);
            assert_eq!(judge(&context, "b", 300), Found::Nothing);
            assert_eq!(judge(&context, "b", 301), Found::Fresh(()));
        }
    }

    #[test]
    fn a_rejected_token_is_replaced_by_any_other_that_is_there() {
        let context = context(FetchReason::Rejected, Some(("a", 900)));
        assert_eq!(judge(&context, "a", 900), Found::Nothing);
        assert_eq!(judge(&context, "b", 500), Found::Fresh(()));
        assert_eq!(judge(&context, "b", 100), Found::Due(()));
    }

    #[test]
    fn a_token_that_does_not_expire_is_never_due() {
        let empty = context(FetchReason::Empty, None);
        let forever = Validity { lifetime: Duration::MAX, until: Duration::MAX };
        let found =
            Need::of(&empty).judge((), token("a").id(), forever, Duration::from_secs(86_400));
        assert_eq!(found, Found::Fresh(()));
    }
}
