//! What the setters of a layer have set, and what each request of its services needs of it.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};

use crate::{
    binding::{Binding, ProofCheck, Proven},
    cache::{Source, TokenCache},
    error::TokenError,
    fetcher::Claims,
    http::Origin,
    rejection::Rejection,
    source,
    striped::{OwnLine, Striped},
    target::Target,
    token::{Token, TokenId},
    tokens::Selector,
};

/// What one layer's services have in common.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) tokens: Tokens,
    pub(crate) target: Target,
    pub(crate) rejection: Rejection,
    /// Reads the claims that a 401 asks for, if the layer is to get a token that has them.
    pub(crate) wanted_claims: Option<fn(&HeaderMap) -> Option<Claims>>,
    /// Stands for the host of a request that names none: the origins that the layer is for, or this
    /// one layer, whose client knows the host.
    client: u64,
}

/// Where a request's token comes from.
#[derive(Clone, Debug)]
pub(crate) enum Tokens {
    One(TokenCache),
    Select(Selector),
}

impl Settings {
    pub(crate) fn new(tokens: Tokens) -> Self {
        static LAYERS: AtomicU64 = AtomicU64::new(0);
        Self {
            tokens,
            target: Target::default(),
            rejection: Rejection::Unauthorized,
            wanted_claims: None,
            client: LAYERS.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub(crate) fn only_for(&mut self, origins: Vec<Origin>) {
        let mut hasher = DefaultHasher::new();
        let mut sorted = origins.clone();
        sorted.sort_unstable();
        sorted.hash(&mut hasher);
        self.client = hasher.finish();
        self.target.only_for = Some(origins);
    }

    /// The origin of a request that names none, if the layer is for one alone.
    fn base(&self) -> Option<&Origin> {
        match self.target.only_for.as_deref()? {
            [origin] => Some(origin),
            _ => None,
        }
    }

    /// The claims that a response asks for, if the layer is to get a token that has them.
    #[inline]
    pub(crate) fn claims_in(&self, status: StatusCode, headers: &HeaderMap) -> Option<Claims> {
        match self.wanted_claims {
            Some(wanted) if status == StatusCode::UNAUTHORIZED => wanted(headers),
            _ => None,
        }
    }

    /// Who rejects the tokens of requests to this authority and path.
    pub(crate) fn source_of(&self, (authority, path_and_query): (&str, &str)) -> Source {
        source::of(self.client, authority, path_and_query)
    }
}

/// The settings as layers and services hold them.
#[derive(Clone)]
pub(crate) struct SharedSettings {
    settings: Settings,
    copies: Striped<ThreadSettings>,
}

/// A copy that only some threads have references to.
pub(crate) type ThreadSettings = Arc<OwnLine<Settings>>;

impl SharedSettings {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, copies: Striped::new() }
    }

    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.copies = Striped::new();
    }

    #[cfg(any(feature = "reqwest-middleware", feature = "reqwest-012"))]
    pub(crate) fn selects(&self) -> bool {
        matches!(self.settings.tokens, Tokens::Select(_))
    }

    /// For what outlives a borrow, such as a request under way.
    #[inline]
    pub(crate) fn of_this_thread(&self) -> &ThreadSettings {
        self.copies.get_or_init(|| Arc::new(OwnLine(self.settings.clone())))
    }
}

/// What a request has now.
pub(crate) struct Attached {
    pub(crate) token: TokenId,
    /// Beside a token that is bound to a key.
    pub(crate) proof: Option<Box<AttachedProof>>,
}

/// A proof that a request has, and the token that it is for.
pub(crate) struct AttachedProof {
    pub(crate) token: Token,
    pub(crate) check: Box<dyn ProofCheck>,
}

/// The settings for one request.
pub(crate) struct RequestSettings {
    layer: ThreadSettings,
    selected: Option<TokenCache>,
}

impl RequestSettings {
    /// `None` if the request is to go without a token.
    ///
    /// # Errors
    ///
    /// That of the user's function.
    #[inline]
    pub(crate) fn of<B>(
        layer: &ThreadSettings,
        request: &Request<B>,
    ) -> Result<Option<Self>, TokenError> {
        let selected = match &layer.tokens {
            Tokens::One(_) => None,
            Tokens::Select(selector) => match selector.select(request)? {
                Some(tokens) => Some(tokens),
                None => return Ok(None),
            },
        };
        Ok(Some(Self { layer: layer.clone(), selected }))
    }

    /// The cache that all attempts get their token from.
    #[inline]
    pub(crate) fn tokens(&self) -> &TokenCache {
        match (&self.selected, &self.layer.tokens) {
            (Some(tokens), _) | (None, Tokens::One(tokens)) => tokens,
            (None, Tokens::Select(_)) => unreachable!("`of` has selected one"),
        }
    }

    #[inline]
    pub(crate) fn layer(&self) -> &Settings {
        &self.layer
    }

    /// Who rejects the tokens of requests to this URI.
    #[inline]
    pub(crate) fn source(&self, uri: &Uri) -> Source {
        source::of_uri(self.layer.client, uri)
    }

    /// Replaces whatever there is, so that exactly one value is sent.
    ///
    /// # Errors
    ///
    /// The request has too many headers, or no proof can be made for it.
    #[inline(always)]
    pub(crate) fn attach<B>(
        &self,
        request: &mut Request<B>,
        token: &Token,
    ) -> Result<Attached, TokenError> {
        insert(request, &self.layer.target.header, token.header_value().clone())?;
        let proof = match token.binding() {
            None => None,
            Some(binding) => Some(self.prove(request, token, binding)?),
        };
        Ok(Attached { token: token.id(), proof })
    }

    #[cold]
    fn prove<B>(
        &self,
        request: &mut Request<B>,
        token: &Token,
        binding: &dyn Binding,
    ) -> Result<Box<AttachedProof>, TokenError> {
        let base = self.layer.base();
        let Proven { header, check } = binding.prove(request.method(), request.uri(), base)?;
        insert(request, &header.0, header.1)?;
        Ok(Box::new(AttachedProof { token: token.clone(), check }))
    }
}

#[inline(always)]
fn insert<B>(
    request: &mut Request<B>,
    name: &HeaderName,
    value: HeaderValue,
) -> Result<(), TokenError> {
    let inserted = request.headers_mut().try_insert(name, value);
    inserted.map(drop).map_err(|_| TokenError::too_many_headers())
}

impl fmt::Debug for SharedSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
