//! What happens in a scenario, one step at a time.

use std::{collections::BTreeMap, iter::successors, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};
use toml::{Table, Value};

use super::quantity::{Range, Shift, Span};

pub struct Step {
    pub at: Option<Span>,
    pub action: Action,
}

pub enum Action {
    Request(Request),
    Finish(Finish),
    Drop(Drop),
    Warm(Warm),
    Wait(Wait),
    Issuer(IssuerChange),
    Api(ApiChange),
    Revoke(Revoke),
    Reject(Reject),
    WallClock(WallClock),
    Fetches(Fetches),
    Status(Status),
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
    #[serde(flatten)]
    pub beat: Beat,
    pub key: Option<String>,
    #[serde(default)]
    pub layer: String,
    pub uri: Option<String>,
    pub authorization: Option<String>,
    #[serde(default)]
    pub anonymous: bool,
    #[serde(default)]
    pub body: RequestBody,
    pub patience: Option<Span>,
}

/// Once, or again and again for a while.
#[derive(Clone, Copy, Deserialize)]
pub struct Beat {
    pub every: Option<Span>,
    #[serde(rename = "for")]
    pub duration: Option<Span>,
}

impl Beat {
    /// When it comes, counted from its start.
    pub fn times(self) -> impl Iterator<Item = Duration> {
        let every = self.every.map_or(Duration::MAX, |every| every.0);
        let duration = self.duration();
        let next = move |time: &Duration| time.checked_add(every).filter(|time| *time < duration);
        successors(Some(Duration::ZERO), next)
    }

    /// When it is over, counted from its start.
    pub fn duration(self) -> Duration {
        self.duration.unwrap_or_default().0
    }
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

#[derive(Clone, Debug, Deserialize)]
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
pub struct Warm {
    pub warm: Vec<String>,
    #[serde(flatten)]
    pub expected: Expected,
}

#[derive(Deserialize)]
pub struct Wait {
    pub wait: Span,
}

#[derive(Deserialize)]
pub struct IssuerChange {
    pub issuer: IssuerMood,
    pub key: Option<String>,
    pub retry_after: Option<Span>,
    pub lifetime: Option<Span>,
    pub latency: Option<Span>,
    pub same_token: Option<bool>,
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
    pub refusal: Option<u16>,
    pub answers: Option<u16>,
    pub latency: Option<Span>,
}

#[derive(Deserialize)]
pub struct Revoke {
    pub revoke: String,
    pub key: Option<String>,
    #[serde(flatten)]
    pub beat: Beat,
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
    pub key: Option<String>,
    pub reasons: Option<Vec<String>>,
    pub claims: Option<Vec<String>>,
}

/// What is stated holds now.
#[derive(Deserialize)]
pub struct Status {
    pub status: String,
    pub has_token: Option<bool>,
    pub expires_in: Option<Range<Span>>,
    pub rejected: Option<bool>,
    pub fetching: Option<bool>,
    pub failure: Option<String>,
    pub failed_ago: Option<Range<Span>>,
}

fn api_a() -> String {
    "a".into()
}

/// The keys of each kind of step; the first says which kind it is.
const KEYS: [&str; 12] = [
    "request to key layer uri every for as body patience authorization anonymous \
     expect token sent waited retry_after",
    "finish expect token sent waited retry_after",
    "drop",
    "warm expect waited",
    "wait",
    "issuer key retry_after lifetime latency same_token",
    "api rejects challenge refusal answers latency",
    "revoke key every for",
    "reject",
    "wall_clock",
    "fetches key reasons claims",
    "status has_token expires_in rejected fetching failure failed_ago",
];

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::read(Table::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl Step {
    fn read(mut step: Table) -> Result<Self, toml::de::Error> {
        let at = step.remove("at").map(Value::try_into).transpose()?;
        step.remove("because");
        let mut kinds = KEYS.iter().map(|keys| keys.split(' ').collect::<Vec<_>>());
        let keys = kinds.find(|keys| step.contains_key(keys[0]));
        let keys = keys.ok_or_else(|| toml::de::Error::custom("a step that does nothing"))?;
        if let Some(stray) = step.keys().find(|key| !keys.contains(&key.as_str())) {
            return Err(toml::de::Error::custom(format!("`{}` has no `{stray}`", keys[0])));
        }
        let value = Value::Table(step);
        let action = match keys[0] {
            "request" => Action::Request(value.try_into()?),
            "finish" => Action::Finish(value.try_into()?),
            "drop" => Action::Drop(value.try_into()?),
            "warm" => Action::Warm(value.try_into()?),
            "wait" => Action::Wait(value.try_into()?),
            "issuer" => Action::Issuer(value.try_into()?),
            "api" => Action::Api(value.try_into()?),
            "revoke" => Action::Revoke(value.try_into()?),
            "reject" => Action::Reject(value.try_into()?),
            "wall_clock" => Action::WallClock(value.try_into()?),
            "fetches" => Action::Fetches(value.try_into()?),
            _ => Action::Status(value.try_into()?),
        };
        Ok(Self { at, action })
    }
}
