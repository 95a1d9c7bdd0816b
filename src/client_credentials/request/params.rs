//! The additional parameters of a token request, such as `audience` and `resource`.

use crate::{
    client_credentials::message::{Placement, RequestContext, RequestParts},
    error::TokenError,
    secret::Secret,
};

/// Names that stand for the grant, the client and the scope.
const RESERVED: [&str; 8] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "username",
    "password",
    "scope",
];

/// Names that may be sent more than once (RFC 8707 section 2, RFC 8693 section 2.1).
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// Additional parameters, in order.
#[derive(Clone, Default)]
pub(crate) struct Params {
    /// From the description that this one is derived from.
    inherited: Vec<Pair>,
    pairs: Vec<Pair>,
}

type Pair = (String, Value);

#[derive(Clone)]
enum Value {
    Plain(String),
    Secret(Secret),
}

impl Params {
    /// Lets the parameters give way to those of their name that are added from now on.
    pub(super) fn inherit(&mut self) {
        self.inherited.append(&mut self.pairs);
    }

    /// Adds a parameter. One without a value counts as omitted (RFC 6749 section 3.2).
    pub(crate) fn push(&mut self, name: String, value: String) -> Result<(), TokenError> {
        if name == "resource" && value.contains('#') {
            return Err(TokenError::config(
                "a `resource` has a fragment, leave out the `#` and what follows it",
            ));
        }
        self.make_way(&name)?;
        if !value.is_empty() {
            self.pairs.push((name, Value::Plain(value)));
        }
        Ok(())
    }

    pub(crate) fn push_secret(&mut self, name: String, value: Secret) -> Result<(), TokenError> {
        self.make_way(&name)?;
        self.pairs.push((name, Value::Secret(value)));
        Ok(())
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.all().filter_map(|(_, value)| match value {
            Value::Plain(_) => None,
            Value::Secret(secret) => Some(secret),
        })
    }

    /// All of them. `None` if one is a secret, for it may tell whom the token is for.
    #[cfg(feature = "shared")]
    pub(super) fn identity(&self) -> Option<Vec<(&str, &str)>> {
        let plain = self.all().map(|(name, value)| match value {
            Value::Plain(value) => Some((&**name, &**value)),
            Value::Secret(_) => None,
        });
        let mut plain: Vec<_> = plain.collect::<Option<_>>()?;
        plain.sort_unstable();
        Some(plain)
    }

    pub(super) fn apply<'a>(
        &'a self,
        context: RequestContext<'a>,
        parts: &mut RequestParts<'a>,
    ) -> Result<(), TokenError> {
        for (name, value) in self.all() {
            match value {
                Value::Plain(value) => parts.param(name, &**value),
                Value::Secret(_) if parts.placement == Placement::Query => {
                    return Err(TokenError::config(
                        "a secret parameter is not sent in a URL, use `secret_param` \
                         without `Placement::Query`",
                    ));
                }
                Value::Secret(value) => parts.secret_param(name, context.secrets.text(value)),
            }
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Pair> {
        self.inherited.iter().chain(&self.pairs)
    }

    fn make_way(&mut self, name: &str) -> Result<(), TokenError> {
        if name.is_empty() {
            return Err(TokenError::config("a parameter has an empty name, give it one"));
        }
        if let Some(reserved) = RESERVED.iter().find(|reserved| **reserved == name) {
            return Err(TokenError::config(format!(
                "`{reserved}` cannot be an extra parameter, \
                 use `ClientAuth`, `scope` or `Grant`"
            )));
        }
        if !is_repeatable(name) && self.pairs.iter().any(|(other, _)| other == name) {
            return Err(TokenError::config(format!(
                "the parameter `{}` is given twice, leave one out",
                name.escape_debug()
            )));
        }
        self.inherited.retain(|(other, _)| other != name);
        Ok(())
    }
}

pub(super) fn is_repeatable(name: &str) -> bool {
    REPEATABLE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_given_once_but_resource_and_audience_repeat() {
        let mut params = Params::default();
        for name in ["resource", "resource", "audience", "audience", "tenant"] {
            params.push(name.into(), "https://api.example".into()).expect(name);
        }
        let error = params.push("tenant".into(), "other".into()).expect_err("a duplicate");
        assert!(error.is_config() && error.to_string().contains("`tenant`"));
        assert_eq!(params.pairs.len(), 5);
    }

    #[test]
    fn names_that_the_request_itself_uses_are_refused() {
        for name in RESERVED.iter().chain(&[""]) {
            let error = Params::default().push((*name).into(), "x".into()).expect_err(name);
            assert!(error.is_config(), "{name}");
        }
    }

    #[test]
    fn a_parameter_without_a_value_is_not_sent() {
        let mut params = Params::default();
        params.push("tenant".into(), String::new()).expect("omitted");
        assert_eq!(params.pairs.len(), 0);
    }
}
