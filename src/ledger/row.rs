//! One account's row: what is known of its two fields, and what `status` says of it.
//!
//! In: JSON of the snapshot, or [`super::Record`]s through [`super::Ledger::apply`]. Out: [`Row`].
//! Invariant: a field is applied (with value, moment and manifest) or in doubt (with moment),
//! never both and never half of one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::{Field, SourceRef, Zuid};
use crate::change::Known;
use crate::condition::Condition;
use crate::timestamp::Timestamp;

/// What is known of one field that was ever set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "FieldStateJson", into = "FieldStateJson")]
pub enum FieldState {
    /// The service acknowledged `value`.
    Applied {
        /// The acknowledged value.
        value: bool,
        /// When the acknowledgement came.
        applied_at: Timestamp,
        /// The manifest that wanted it.
        source: SourceRef,
    },
    /// A PUT was begun and its end is not known.
    InDoubt {
        /// When the PUT was begun.
        since: Timestamp,
    },
}

/// [`FieldState`] as the file writes it. Its own struct because an untagged enum would be buffered
/// and tried twice, which a ledger of 100,000 accounts feels.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FieldStateJson {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applied_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<SourceRef>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    in_doubt: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

impl From<FieldState> for FieldStateJson {
    fn from(state: FieldState) -> Self {
        match state {
            FieldState::Applied { value, applied_at, source } => Self {
                value: Some(value),
                applied_at: Some(applied_at),
                source: Some(source),
                in_doubt: false,
                since: None,
            },
            FieldState::InDoubt { since } => {
                Self { value: None, applied_at: None, source: None, in_doubt: true, since: Some(since) }
            }
        }
    }
}

impl TryFrom<FieldStateJson> for FieldState {
    type Error = &'static str;

    fn try_from(json: FieldStateJson) -> Result<Self, Self::Error> {
        match json {
            FieldStateJson { value: None, applied_at: None, source: None, in_doubt: true, since: Some(since) } => {
                Ok(Self::InDoubt { since })
            }
            FieldStateJson {
                value: Some(value),
                applied_at: Some(applied_at),
                source: Some(source),
                in_doubt: false,
                since: None,
            } => Ok(Self::Applied { value, applied_at, source }),
            _ => Err("expected either value, appliedAt and source, or inDoubt and since"),
        }
    }
}

/// One account the program has ever touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Row {
    /// The manifest's `metadata.name` when it was last observed.
    pub name: Arc<str>,
    /// The user's id when it was last observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zuid: Option<Zuid>,
    /// State of the mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<FieldState>,
    /// State of the ActiveSync flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_sync_enabled: Option<FieldState>,
    /// How many versions of the manifest's spec have been seen.
    #[serde(default)]
    pub observed_generation: u64,
    /// Fingerprint of the spec that was seen last; hexadecimal, 0 for none.
    #[serde(default, with = "hex")]
    pub spec_hash: u64,
    /// What the service said against the account, while it lasts.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

impl Row {
    pub(super) const fn new(name: Arc<str>, zuid: Option<Zuid>) -> Self {
        Self {
            name,
            zuid,
            enabled: None,
            active_sync_enabled: None,
            observed_generation: 0,
            spec_hash: 0,
            conditions: Vec::new(),
        }
    }

    /// The stored state of `field`.
    pub const fn field(&self, field: Field) -> Option<&FieldState> {
        match field {
            Field::Enabled => self.enabled.as_ref(),
            Field::ActiveSyncEnabled => self.active_sync_enabled.as_ref(),
        }
    }

    pub(super) const fn field_mut(&mut self, field: Field) -> &mut Option<FieldState> {
        match field {
            Field::Enabled => &mut self.enabled,
            Field::ActiveSyncEnabled => &mut self.active_sync_enabled,
        }
    }

    /// What the plan needs to know of `field`.
    pub const fn known(&self, field: Field) -> Known {
        match self.field(field) {
            None => Known::Absent,
            Some(FieldState::Applied { value, .. }) => Known::Applied(*value),
            Some(FieldState::InDoubt { .. }) => Known::InDoubt,
        }
    }
}

/// 64-bit fingerprints as hexadecimal text: JSON numbers lose digits in many readers.
pub(super) mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:016x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}
