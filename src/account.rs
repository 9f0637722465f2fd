//! Words about accounts: identifiers, the two managed fields, and what a manifest declares.
//!
//! In: digits and values already checked by [`crate::manifest`]. Out: types every room shares.
//! Invariants: an identifier is never a float, never zero, never more than `i64::MAX` (Zoho's
//! "long"), and is written to JSON as a string so that `jq` and browsers keep all its digits.

pub mod printable;

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::timestamp::Timestamp;
use crate::validity::{Bound, Period, Validity};

/// The largest identifier: Zoho documents ids as "long", a signed 64-bit integer.
pub const MAX_ID: u64 = i64::MAX as u64;

/// Why a text is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected digits only, 1 to {MAX_ID}")]
pub struct InvalidId;

/// Digits only (no sign, no separators, no leading zero), 1 to [`MAX_ID`].
fn parse_id(text: &str) -> Result<NonZeroU64, InvalidId> {
    if text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidId);
    }
    text.parse::<u64>().ok().and_then(checked_id).ok_or(InvalidId)
}

fn checked_id(value: u64) -> Option<NonZeroU64> {
    NonZeroU64::new(value).filter(|id| id.get() <= MAX_ID)
}

macro_rules! long_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU64);

        impl $name {
            /// The identifier, or nothing if `value` is 0 or above [`MAX_ID`].
            pub fn new(value: u64) -> Option<Self> {
                checked_id(value).map(Self)
            }

            /// The number itself.
            pub const fn get(self) -> u64 {
                self.0.get()
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_id(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": "^[1-9][0-9]{0,18}$"})
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

long_id!(
    /// Zoho's identifier of a mail account (`accountId`): the path of the PUT, and the ledger's key.
    AccountId
);
long_id!(
    /// Zoho's identifier of a user (`zuid`): in the body of the PUT with admin authentication.
    Zuid
);
long_id!(
    /// Zoho's identifier of an organization (`zoid`): in the path with admin authentication.
    Zoid
);

/// One of the two things about an account that can be reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Field {
    /// Whether the mailbox is enabled.
    Enabled,
    /// Whether the ActiveSync flag is set. The flag, not the access: policies can deny it as well.
    ActiveSyncEnabled,
}

impl Field {
    /// Both fields, in the order in which a grant applies them.
    pub const ALL: [Self; 2] = [Self::Enabled, Self::ActiveSyncEnabled];

    /// Its place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::Enabled => 0,
            Self::ActiveSyncEnabled => 1,
        }
    }

    /// The account's other field.
    pub const fn other(self) -> Self {
        match self {
            Self::Enabled => Self::ActiveSyncEnabled,
            Self::ActiveSyncEnabled => Self::Enabled,
        }
    }

    /// The field's name in manifests, the ledger and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::ActiveSyncEnabled => "activeSyncEnabled",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// As whom the service is addressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthMode {
    /// As an administrator of the organization, for any of its users.
    #[default]
    Admin,
    /// As a person, for the person's own account.
    User,
}

/// Where a manifest stands: a path relative to the desired-state folder, and the line its document begins on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceRef {
    /// Path relative to the desired-state folder, with `/` between its parts.
    pub path: Arc<str>,
    /// 1-based line of the document's first content.
    pub line: u32,
}

/// For people: the path is printable. What is serialised is the path as it is.
impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", printable::escape(&self.path), self.line)
    }
}

impl Serialize for SourceRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}:{}", self.path, self.line))
    }
}

impl JsonSchema for SourceRef {
    fn schema_name() -> Cow<'static, str> {
        "SourceRef".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": ":[0-9]+$"})
    }
}

impl<'de> Deserialize<'de> for SourceRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let (path, line) = text.rsplit_once(':').ok_or_else(|| serde::de::Error::custom("expected path:line"))?;
        Ok(Self { path: path.into(), line: line.parse().map_err(serde::de::Error::custom)? })
    }
}

/// The `spec` of a `MailAccount`: what its owner wants, already validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAccountSpec {
    /// The account on the service.
    pub account_id: AccountId,
    /// The user on the service; required with admin authentication.
    pub zuid: Option<Zuid>,
    /// The address, for people.
    pub email: Option<Box<str>>,
    /// Wanted state of the mailbox; `None` is not managed.
    pub enabled: Option<bool>,
    /// Wanted state of the ActiveSync flag; `None` is not managed.
    pub active_sync_enabled: Option<bool>,
    /// Whether reconciling is paused, why, and until when.
    pub suspend: Option<Box<Suspend>>,
    /// When what it says is wanted; outside of it, every managed field is wanted false. `None`: always.
    pub period: Option<Box<Period>>,
}

/// `suspend: true` and the two keys that may stand beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspend {
    /// `suspendReason`: why, for people.
    pub reason: Option<Box<str>>,
    /// `suspendUntil`: from then on the account is reconciled again.
    pub until: Option<Timestamp>,
}

/// That a field is wanted so, and from when on or until when. Who decides a change is who made the statement that wants it
/// (see [`crate::attribution`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The value that is written.
    pub value: bool,
    /// Which date it is about; `None` for `false`, of which no date says anything.
    pub bound: Option<Bound>,
    /// That date, if there is one.
    pub date: Option<Timestamp>,
}

impl MailAccountSpec {
    /// What is wanted of `field` where the account stands so to its period; `None` is not managed. The one place that
    /// decides it; where the ledger is known, ask [`crate::desired::DesiredAccount::wanted`].
    pub fn wanted(&self, field: Field, validity: Option<Validity>) -> Option<bool> {
        self.written(field).map(|written| written && validity.is_none_or(Validity::is_valid))
    }

    /// The value of `field` as the manifest writes it, which is wanted within the period; `None` is not managed.
    pub const fn written(&self, field: Field) -> Option<bool> {
        match field {
            Field::Enabled => self.enabled,
            Field::ActiveSyncEnabled => self.active_sync_enabled,
        }
    }

    /// What the manifest says of `field` in view of one of its dates. A value of `false` is wanted at any time.
    pub fn statement(&self, field: Field, bound: Bound) -> Option<Statement> {
        let value = self.written(field)?;
        let date = self.period.as_ref().filter(|_| value).and_then(|period| period.date(bound));
        Some(Statement { value, bound: value.then_some(bound), date })
    }

    /// Whether nothing may be PUT at `now` because the manifest suspends the account.
    pub fn is_suspended(&self, now: Timestamp) -> bool {
        self.suspend.as_ref().is_some_and(|suspend| suspend.until.is_none_or(|until| now < until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_plain_digits_within_a_long() {
        for good in ["1", "2560636000000008002", "9223372036854775807"] {
            assert_eq!(good.parse::<AccountId>().unwrap().to_string(), good);
        }
        for bad in ["", "0", "-1", "+1", "1.0", "1e3", "0x10", "01", " 1", "1_000", "9223372036854775808", "١"] {
            assert_eq!(bad.parse::<AccountId>(), Err(InvalidId), "{bad:?}");
        }
    }

    #[test]
    fn ids_are_json_strings_and_keep_all_their_digits() {
        let id: AccountId = "2560636000000008002".parse().unwrap();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, "\"2560636000000008002\"");
        assert_eq!(serde_json::from_str::<AccountId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<AccountId>("2560636000000008002").is_err());
    }

    #[test]
    fn a_source_keeps_colons_in_its_path() {
        let source = SourceRef { path: "a:b/\u{1b}c.yaml".into(), line: 7 };
        let json = serde_json::to_string(&source).unwrap();
        assert_eq!(source.to_string(), "a:b/\\u{1b}c.yaml:7");
        assert_eq!(serde_json::from_str::<SourceRef>(&json).unwrap(), source);
    }

    #[test]
    fn a_suspension_ends_at_its_until() {
        let mut spec = MailAccountSpec {
            account_id: AccountId::new(1).unwrap(),
            zuid: None,
            email: None,
            enabled: Some(true),
            active_sync_enabled: None,
            suspend: None,
            period: None,
        };
        let at = Timestamp::from_millis(1000);
        assert!(!spec.is_suspended(at));
        spec.suspend = Some(Box::default());
        assert!(spec.is_suspended(at));
        spec.suspend = Some(Box::new(Suspend { reason: None, until: Some(at) }));
        assert!(spec.is_suspended(Timestamp::from_millis(999)));
        assert!(!spec.is_suspended(at));
    }
}
