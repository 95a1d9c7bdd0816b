//! What the setters of a layer have set, and what each request of its services needs of it.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{Request, Uri};

use crate::{
    bound::Bound,
    cache::{Source, TokenCache},
    error::TokenError,
    fetcher::fetch_fn,
    rejection::Rejection,
    source,
    step_up::StepUp,
    striped::{OwnLine, Striped},
    target::{Origin, Target},
    token::{Token, TokenId},
    tokens::Selector,
};

/// What one layer's services have in common.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The tokens of a layer that has one cache.
    tokens: TokenCache,
    /// Where each request has a cache of its own.
    pub(crate) selector: Option<Selector>,
    pub(crate) target: Target,
    pub(crate) rejection: Rejection,
    pub(crate) step_up: StepUp,
    /// Stands for the host of a request that names none: the origins that the layer is for, or this
    /// one layer, whose client knows the host.
    client: u64,
    /// The origin of a request that names none, if the layer is for one alone.
    base: Option<Uri>,
}

impl Settings {
    /// For a layer whose requests each have a cache of their own.
    pub(crate) fn selecting(selector: Selector) -> Self {
        // No request gets to it.
        let none = TokenCache::new(fetch_fn(async |_| {
            Err::<Token, _>(TokenError::selecting("no cache was selected".into()))
        }));
        Self { selector: Some(selector), ..Self::new(none) }
    }

    pub(crate) fn new(tokens: TokenCache) -> Self {
        static LAYERS: AtomicU64 = AtomicU64::new(0);
        Self {
            tokens,
            selector: None,
            target: Target::default(),
            rejection: Rejection::Unauthorized,
            step_up: StepUp::default(),
            client: LAYERS.fetch_add(1, Ordering::Relaxed),
            base: None,
        }
    }

    pub(crate) fn only_for(&mut self, origins: Vec<Origin>) {
        let mut hasher = DefaultHasher::new();
        let mut names: Vec<_> =
            origins.iter().map(|origin| format!("{origin:?}").to_ascii_lowercase()).collect();
        names.sort_unstable();
        names.hash(&mut hasher);
        self.client = hasher.finish();
        self.base = match &origins[..] {
            [origin] => format!("{origin:?}/").parse().ok(),
            _ => None,
        };
        self.target.only_for = Some(origins);
    }

    /// Who refuses the tokens of requests to this URI.
    #[inline]
    pub(crate) fn source(&self, uri: &Uri) -> Source {
        source::of_uri(self.client, uri)
    }

    /// The same from the authority, and from the path with the query.
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

    #[cfg(any(feature = "reqwest-middleware", feature = "reqwest-middleware-012"))]
    pub(crate) fn selects(&self) -> bool {
        self.settings.selector.is_some()
    }

    /// For what outlives a borrow, such as a request under way.
    #[inline]
    pub(crate) fn of_this_thread(&self) -> &ThreadSettings {
        self.copies.get_or_init(|| Arc::new(OwnLine(self.settings.clone())))
    }
}

/// What a request has now.
pub(crate) struct Attached<B> {
    pub(crate) token: TokenId,
    pub(crate) bound: Option<Bound<B>>,
}

/// The settings for one request.
pub(crate) struct RequestSettings {
    layer: ThreadSettings,
    selected: Option<TokenCache>,
}

impl RequestSettings {
    #[inline]
    pub(crate) fn new(layer: &ThreadSettings, selected: Option<TokenCache>) -> Self {
        Self { layer: layer.clone(), selected }
    }

    /// The cache that both attempts get their token from.
    #[inline]
    pub(crate) fn tokens(&self) -> &TokenCache {
        self.selected.as_ref().unwrap_or(&self.layer.tokens)
    }

    pub(crate) fn rejection(&self) -> &Rejection {
        &self.layer.rejection
    }

    #[inline]
    pub(crate) fn step_up(&self) -> &StepUp {
        &self.layer.step_up
    }

    /// For a second attempt whose token is from another cache.
    pub(crate) fn with_tokens(self, tokens: TokenCache) -> Self {
        Self { selected: Some(tokens), ..self }
    }

    #[inline]
    pub(crate) fn source(&self, uri: &Uri) -> Source {
        self.layer.source(uri)
    }

    pub(crate) fn source_of(&self, place: (&str, &str)) -> Source {
        self.layer.source_of(place)
    }

    /// Attaches the token, if nobody has to wait for it, and it needs no proof.
    #[inline]
    pub(crate) fn attach_at_once<B>(&self, request: &mut Request<B>) -> Option<TokenId> {
        let attached = self.tokens().at_once(|token| self.attach_header(request, token));
        attached.filter(|token| !token.is_bound())
    }

    /// The token, if nobody has to wait for it, and it does need a proof.
    #[cold]
    pub(crate) fn bound_at_once(&self) -> Option<Token> {
        let token = self.tokens().at_once(Token::clone)?;
        token.id().is_bound().then_some(token)
    }

    /// Replaces whatever there is, so that exactly one value is sent.
    ///
    /// # Errors
    ///
    /// The token is bound, and no proof can be made for this request.
    #[inline]
    pub(crate) fn attach<B>(
        &self,
        request: &mut Request<B>,
        token: &Token,
    ) -> Result<Attached<B>, TokenError> {
        let id = self.attach_header(request, token);
        let bound = Bound::prove(token, request, self.layer.base.as_ref())?;
        Ok(Attached { token: id, bound })
    }

    #[inline]
    fn attach_header<B>(&self, request: &mut Request<B>, token: &Token) -> TokenId {
        request.headers_mut().insert(&self.layer.target.header, token.header_value().clone());
        token.id()
    }
}

impl fmt::Debug for SharedSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
