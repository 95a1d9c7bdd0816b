use super::{Source, TokenCache};
use crate::{error::TokenError, token::Token};

impl TokenCache {
    /// Does something with a token, and once more with another if the outcome is a refusal of the token.
    ///
    /// For what does not go through [`BearerAuth`](crate::BearerAuth): a websocket handshake, the login to a
    /// broker or a database, a client that takes only headers. `is_refused` looks at each outcome. It knows
    /// best what a refusal is, such as a 401 or the SASL error of a server.
    ///
    /// ```
    /// # use tower_bearer::{Token, TokenCache, TokenError};
    /// # struct Connection;
    /// # enum LoginError { Unauthorized, Broken }
    /// # async fn login(_: Token) -> Result<Connection, LoginError> { Ok(Connection) }
    /// # async fn f(tokens: TokenCache) -> Result<(), TokenError> {
    /// let connection = tokens
    ///     .attempt(
    ///         async |token| login(token).await,
    ///         |outcome| matches!(outcome, Err(LoginError::Unauthorized)),
    ///     )
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// The rules are those of the layer. There are two attempts at most. A token that somebody has
    /// renewed meanwhile is used without a fetch. If none can be had, because the fetch fails, brings the same
    /// token, or is [not allowed yet](Self::reject), the outcome of the first attempt is returned. So is that of
    /// the second, whatever it is. If that is an `Ok` and no refusal, the new token has helped. All refusals
    /// that are found here count as those of one source, as those of [`reject`](Self::reject) do.
    ///
    /// The guide has [examples](crate::guide::without_tower).
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token). Nothing was attempted then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the attempt that is under way. A fetch goes on, and the next caller has its
    /// token. A refusal that `is_refused` has seen is not forgotten.
    ///
    /// # Panics
    ///
    /// As [`token`](Self::token) does.
    // Not an `AsyncFnMut`: if that borrows from around it, what awaits it cannot be spawned (rust#110338).
    pub async fn attempt<F, T, E>(
        &self,
        mut attempt: impl FnMut(Token) -> F,
        is_refused: impl Fn(&Result<T, E>) -> bool,
    ) -> Result<Result<T, E>, TokenError>
    where
        F: Future<Output = Result<T, E>>,
    {
        let first = self.token().await?;
        let refused = first.id();
        let outcome = attempt(first).await;
        if !is_refused(&outcome) {
            return Ok(outcome);
        }
        let Ok(second) = self.clone().replace(refused, Source::UNKNOWN, None).await else {
            return Ok(outcome);
        };
        drop(outcome);
        let token = second.id();
        let outcome = attempt(second).await;
        if is_refused(&outcome) {
            self.refused_again(token, Source::UNKNOWN);
        } else if outcome.is_ok() {
            self.accepted(token, Source::UNKNOWN);
        }
        Ok(outcome)
    }
}
