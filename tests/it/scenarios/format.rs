//! The scenario files; `tests/scenarios/README.md` says what they mean.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error};

use super::quantity::{Range, Shift, Span};

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
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LayerSetup {
    pub only_for: Option<Vec<String>>,
    pub allow_http: bool,
    pub overwrite: bool,
}

pub struct Step {
    pub at: Option<Span>,
    pub action: Action,
}

pub enum Action {
    Request(Request),
    Finish(Finish),
    Drop(Drop),
    Wait(Wait),
    Issuer(IssuerChange),
    Api(ApiChange),
    Revoke(Revoke),
    Reject(Reject),
    WallClock(WallClock),
    Fetches(Fetches),
}

#[derive(Deserialize)]
pub struct Request {
    pub request: usize,
    #[serde(rename = "as")]
    pub group: Option<String>,
    #[serde(flatten)]
    pub load: Load,
    #[serde(flatten)]
    pub expected: Expected,
}

#[derive(Clone, Deserialize)]
pub struct Load {
    #[serde(default = "api_a")]
    pub to: String,
    pub every: Option<Span>,
    #[serde(rename = "for")]
    pub duration: Option<Span>,
    pub uri: Option<String>,
    pub authorization: Option<String>,
    #[serde(default)]
    pub anonymous: bool,
    #[serde(default)]
    pub body: RequestBody,
    pub patience: Option<Span>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RequestBody {
    #[default]
    Repeatable,
    Once,
}

#[derive(Deserialize)]
pub struct Finish {
    pub finish: String,
    #[serde(flatten)]
    pub expected: Expected,
}

#[derive(Deserialize)]
pub struct Expected {
    #[serde(default)]
    pub expect: Expect,
    pub token: Option<OneOrMore>,
    pub sent: Option<Vec<String>>,
    pub waited: Option<Range<Span>>,
    pub retry_after: Option<Range<Span>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum Expect {
    All(String),
    Tally(BTreeMap<String, Range<usize>>),
}

impl Default for Expect {
    fn default() -> Self {
        Self::All("ok".into())
    }
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::More(more) => more.iter().any(|one| one == name),
        }
    }
}

#[derive(Deserialize)]
pub struct Drop {
    pub drop: String,
}

#[derive(Deserialize)]
pub struct Wait {
    pub wait: Span,
}

#[derive(Deserialize)]
pub struct IssuerChange {
    pub issuer: IssuerMood,
    pub retry_after: Option<Span>,
    #[serde(flatten)]
    pub setup: IssuerSetup,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerMood {
    Well,
    Down,
    Refuses,
    Busy,
    Hangs,
    Panics,
}

#[derive(Deserialize)]
pub struct ApiChange {
    pub api: String,
    pub rejects: Option<OneOrMore>,
    pub challenge: Option<String>,
    pub answers: Option<u16>,
    pub latency: Option<Span>,
}

#[derive(Deserialize)]
pub struct Revoke {
    pub revoke: String,
}

#[derive(Deserialize)]
pub struct Reject {
    pub reject: String,
}

#[derive(Deserialize)]
pub struct WallClock {
    pub wall_clock: Shift,
}

#[derive(Deserialize)]
pub struct Fetches {
    pub fetches: Range<usize>,
    pub reasons: Option<Vec<String>>,
}

fn api_a() -> String {
    "a".into()
}
