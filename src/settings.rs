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
    cache::{Source, TokenCache},
    rejection::Rejection,
    source,
    striped::{OwnLine, Striped},
    target::{Origin, Target},
    token::{Token, TokenId},
};

/// What one layer's services have in common.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) tokens: TokenCache,
    pub(crate) target: Target,
    pub(crate) rejection: Rejection,
    /// Stands for the host of a request that names none: the origins that the layer is for, or this
    /// one layer, whose client knows the host.
    client: u64,
}

impl Settings {
    pub(crate) fn new(tokens: TokenCache) -> Self {
        static LAYERS: AtomicU64 = AtomicU64::new(0);
        Self {
            tokens,
            target: Target::default(),
            rejection: Rejection::Unauthorized,
            client: LAYERS.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub(crate) fn only_for(&mut self, origins: Vec<Origin>) {
        let mut hasher = DefaultHasher::new();
        let mut names: Vec<_> =
            origins.iter().map(|origin| format!("{origin:?}").to_ascii_lowercase()).collect();
        names.sort_unstable();
        names.hash(&mut hasher);
        self.client = hasher.finish();
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

    /// Attaches the token, if nobody has to wait for it.
    #[inline]
    pub(crate) fn attach_at_once<B>(&self, request: &mut Request<B>) -> Option<TokenId> {
        self.tokens.at_once(|token| self.attach(request, token))
    }

    /// Replaces whatever there is, so that exactly one value is sent.
    #[inline]
    pub(crate) fn attach<B>(&self, request: &mut Request<B>, token: &Token) -> TokenId {
        request.headers_mut().insert(&self.target.header, token.header_value().clone());
        token.id()
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

    /// For what outlives a borrow, such as a request under way.
    #[inline]
    pub(crate) fn of_this_thread(&self) -> &ThreadSettings {
        self.copies.get_or_init(|| Arc::new(OwnLine(self.settings.clone())))
    }
}

impl fmt::Debug for SharedSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
