//! The scenario files; `tests/scenarios/README.md` says what they mean.

use serde::Deserialize;

use super::{
    quantity::{Range, Span},
    step::Step,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub scenario: Vec<Scenario>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    pub promises: Vec<u8>,
    #[serde(default)]
    pub issuer: IssuerSetup,
    pub caches: Option<CachesSetup>,
    #[serde(default)]
    pub cache: CacheSetup,
    #[serde(default)]
    pub layer: LayerSetup,
    pub steps: Vec<Step>,
    pub fetches: Range<usize>,
    #[expect(dead_code, reason = "for the reader")]
    because: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerSetup {
    pub lifetime: Option<Span>,
    pub latency: Option<Span>,
    pub same_token: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSetup {
    pub refresh_ahead: Option<Span>,
    pub expiry_margin: Option<Span>,
    pub default_lifetime: Option<Span>,
    pub fetch_timeout: Option<Span>,
    pub keep_fresh: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CachesSetup {
    pub keys: Vec<String>,
    pub capacity: Option<usize>,
    pub idle: Option<Span>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LayerSetup {
    pub only_for: Option<Vec<String>>,
    pub allow_http: bool,
    pub overwrite: bool,
    pub claims: bool,
}
