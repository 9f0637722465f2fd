//! Words about work: one change to one field, and how an attempt at it ended.
//!
//! In: the plan makes [`Change`]s, the service's answers become [`Outcome`]s. Out: values that
//! can be printed, compared and journaled.
//! Invariants: a `Change` carries all a PUT needs, so nothing is decided at execution; an
//! `Outcome` is not an error, and says whether the service can have acted.

use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::account::{AccountId, Field, SourceRef, Zuid};
use crate::condition::Reason;
use crate::revision::Revision;
use crate::timestamp::Timestamp;
use crate::validity::Validity;

/// What the ledger knows of one field. In documents: null, the value, or `"inDoubt"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Never set by this program.
    Absent,
    /// The service acknowledged this value, or showed it when it was read.
    Applied(bool),
    /// A PUT was begun and its end is not known.
    InDoubt,
}

impl Serialize for Known {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent => serializer.serialize_none(),
            Self::Applied(value) => serializer.serialize_bool(*value),
            Self::InDoubt => serializer.serialize_str("inDoubt"),
        }
    }
}

impl JsonSchema for Known {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Known".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": [null, true, false, "inDoubt"]})
    }
}

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Text {
            Value(bool),
            Word(InDoubt),
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        enum InDoubt {
            InDoubt,
        }
        Ok(match Option::deserialize(deserializer)? {
            None => Self::Absent,
            Some(Text::Value(value)) => Self::Applied(value),
            Some(Text::Word(InDoubt::InDoubt)) => Self::InDoubt,
        })
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.pad("(unknown)"),
            Self::Applied(value) => fmt::Display::fmt(value, f),
            Self::InDoubt => f.pad("(in doubt)"),
        }
    }
}

/// Which way an account goes. Each has a budget of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// It loses something.
    TakesAway,
    /// Its mailbox, which this program disabled, comes back.
    GivesBack,
}

impl Direction {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::TakesAway, Self::GivesBack];

    /// How people call its budget.
    pub const fn budget(self) -> &'static str {
        match self {
            Self::TakesAway => "disruption budget",
            Self::GivesBack => "grant budget",
        }
    }
}

/// One PUT that is needed: an account's field from what is known to what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The account on the service.
    pub account: AccountId,
    /// The manifest's `metadata.name`.
    pub name: Arc<str>,
    /// The user on the service; `None` only with user authentication.
    pub zuid: Option<Zuid>,
    /// What is changed.
    pub field: Field,
    /// What the ledger knows; never `Applied(to)`, for that is no change.
    pub from: Known,
    /// What is wanted.
    pub to: bool,
    /// The manifest that wants it.
    pub source: SourceRef,
    /// The revision it was read from.
    #[serde(flatten)]
    pub revision: Arc<Revision>,
    /// The `DisruptionApproval` that lets it through whatever the budget says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Arc<str>>,
    /// It must not leave before this moment: what is wanted was acknowledged, but an earlier PUT of the other value
    /// may still land until then, and would undo it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// What the manifest's `validFrom` and `validUntil` say, if it is they that want this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validity: Option<Validity>,
    /// Since when the service shows another value than was set, if this corrects it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Timestamp>,
    /// When the manifest's dates came to want this, if that is past: what failed before was an attempt at something else.
    #[serde(skip)]
    pub wanted_since: Option<Timestamp>,
    /// It gives something back to an account whose mailbox this program disabled, and which is enabled again.
    #[serde(skip)]
    pub gives_back: bool,
    /// A removal that was begun before, and whose end is not known: it counts in the disruption budget already.
    #[serde(skip)]
    pub begun: bool,
    /// The service refused it for good before: it counts in the disruption budget only while it is tried again.
    #[serde(skip)]
    pub refused: bool,
}

impl Change {
    /// Whether this takes something away from a person: either field to false.
    pub const fn is_disruption(&self) -> bool {
        !self.to
    }

    /// Which budget counts it, if one does.
    pub const fn direction(&self) -> Option<Direction> {
        match (self.to, self.gives_back) {
            (false, _) => Some(Direction::TakesAway),
            (true, true) => Some(Direction::GivesBack),
            (true, false) => None,
        }
    }

    /// The budget that alone can let it go: no approval covers it, and it was not let go before.
    pub fn needs_budget(&self) -> Option<Direction> {
        self.direction().filter(|_| self.approval.is_none() && !self.begun)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {} {} -> {}", self.name, self.account, self.field, self.from, self.to)
    }
}

/// Why an attempt did not succeed, in words for `status` and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The closed reason.
    pub reason: Reason,
    /// What happened, on one line, without secrets or control characters: `HTTP 403 FORBIDDEN: …`.
    pub message: Box<str>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

/// What makes everybody wait, not only the account whose PUT was answered so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseCause {
    /// The service's own request limit.
    Throttled,
    /// The access token was refused: a fresh one may help, once.
    TokenRefused,
    /// The token lacks a scope, so only other credentials help. Answered as [`Self::TokenRefused`] is, for it may be said of
    /// one account alone.
    ScopeMissing,
}

/// How one PUT ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service acknowledged it.
    Applied,
    /// Nothing happened on the service; try again after a backoff.
    Retry(Failure),
    /// Nothing happened, and nothing will until the manifest or the service changes.
    Rejected(Failure),
    /// Nothing happened, and everybody waits.
    Paused(PauseCause, Failure),
    /// It may have happened; PUT what is desired again after a backoff.
    InDoubt(Failure),
}

impl Outcome {
    /// The outcome's name in metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Retry(_) => "retry",
            Self::Rejected(_) => "rejected",
            Self::Paused(..) => "paused",
            Self::InDoubt(_) => "in_doubt",
        }
    }

    /// Why it did not succeed, if it did not.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Applied => None,
            Self::Retry(failure) | Self::Rejected(failure) | Self::Paused(_, failure) | Self::InDoubt(failure) => {
                Some(failure)
            }
        }
    }
}
