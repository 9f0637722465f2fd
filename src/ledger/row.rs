//! One account's row: what is known of its two fields, and how the last attempt at each failed.
//!
//! In: JSON of the snapshot, or [`super::Record`]s through [`super::Ledger::apply`]. Out: [`Row`].
//! Invariant: what was said against a field is over when a value of it is acknowledged.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::drift::Drift;
use super::field::FieldState;
use crate::account::{Field, Zuid};
use crate::change::{Change, Known};
use crate::condition::Reason;
use crate::timestamp::Timestamp;
use crate::validity::Validity;

/// What the service said against a field last, until it acknowledges a value or another manifest wants something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailedAttempt {
    /// The value that the PUT carried.
    pub to: bool,
    /// Fingerprint of the spec that wanted it; hexadecimal.
    #[serde(with = "hex")]
    pub spec_hash: u64,
    /// Why it failed.
    pub reason: Reason,
    /// How the request ended: the HTTP status, or as in the metrics' label `code`.
    pub code: Box<str>,
    /// The service's words, on one line: `HTTP 403 FORBIDDEN: …`.
    pub message: Box<str>,
    /// When it first failed for this reason.
    pub since: Timestamp,
    /// When it failed last.
    pub at: Timestamp,
    /// How often it failed in a row.
    pub attempts: u32,
    /// When it is tried again.
    pub next_attempt: Timestamp,
}

impl FailedAttempt {
    /// Whether it is `change` that failed, wanted by the same spec as now.
    pub fn is_of(&self, change: &Change, spec_hash: u64) -> bool {
        (self.to, self.spec_hash) == (change.to, spec_hash)
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
    /// What the service said against the mailbox's state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled_failed: Option<Box<FailedAttempt>>,
    /// What it said against the ActiveSync flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_sync_failed: Option<Box<FailedAttempt>>,
    /// What a read found of the mailbox that is not as it was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled_drift: Option<Box<Drift>>,
    /// What a read found of the ActiveSync flag, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_sync_drift: Option<Box<Drift>>,
    /// Since when the account is ready, if it became so without a PUT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_since: Option<Timestamp>,
    /// The `validUntil` by which something of the account was last to be taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// The file that declares it, where the last acknowledgement does not name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Arc<str>>,
    /// Whether the mailbox is disabled only because its manifest's `validFrom` was to come: this program disabled it for that
    /// before it sent anything else for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_begun: bool,
}

impl Row {
    /// The file in which the account was declared when it was last looked at; unknown of a row from before that was
    /// written down, if nothing of it was ever acknowledged.
    pub fn source(&self) -> Option<&Arc<str>> {
        let acknowledged = |field| match self.field(field)? {
            FieldState::Applied { applied_at, source, .. } | FieldState::Unsettled { applied_at, source, .. } => {
                Some((*applied_at, &source.path))
            }
            FieldState::InDoubt { .. } | FieldState::Read { .. } => None,
        };
        let last = || Field::ALL.into_iter().filter_map(acknowledged).max_by_key(|(at, _)| *at);
        self.file.as_ref().or_else(|| Some(last()?.1))
    }

    /// The account is declared in this file. Kept only where the fields do not say it, which is in few rows.
    pub(super) fn declared_in(&mut self, path: Option<Arc<str>>) {
        self.file = None;
        if self.source() != path.as_ref() {
            self.file = path;
        }
    }

    pub(super) const fn new(name: Arc<str>, zuid: Option<Zuid>) -> Self {
        Self {
            name,
            zuid,
            enabled: None,
            active_sync_enabled: None,
            observed_generation: 0,
            spec_hash: 0,
            enabled_failed: None,
            active_sync_failed: None,
            enabled_drift: None,
            active_sync_drift: None,
            ready_since: None,
            valid_until: None,
            file: None,
            not_begun: false,
        }
    }

    /// The stored state of `field`.
    pub const fn field(&self, field: Field) -> Option<&FieldState> {
        match field {
            Field::Enabled => self.enabled.as_ref(),
            Field::ActiveSyncEnabled => self.active_sync_enabled.as_ref(),
        }
    }

    /// What the service said last against `field`.
    pub fn failed(&self, field: Field) -> Option<&FailedAttempt> {
        match field {
            Field::Enabled => self.enabled_failed.as_deref(),
            Field::ActiveSyncEnabled => self.active_sync_failed.as_deref(),
        }
    }

    /// What was said against `change`, wanted by the spec of this fingerprint: against its field, or against the account as
    /// a whole.
    pub fn told(&self, change: &Change, spec_hash: u64) -> Option<&FailedAttempt> {
        let own = self.failed(change.field).filter(|failed| failed.is_of(change, spec_hash));
        let about_both =
            |failed: &&FailedAttempt| failed.reason.is_about_the_account() && failed.spec_hash == spec_hash;
        let other = self.failed(change.field.other()).filter(about_both);
        let counts = |failed: &&FailedAttempt| change.wanted_since.is_none_or(|since| failed.at >= since);
        own.into_iter().chain(other).filter(counts).max_by_key(|failed| failed.next_attempt)
    }

    pub(super) const fn failed_mut(&mut self, field: Field) -> &mut Option<Box<FailedAttempt>> {
        match field {
            Field::Enabled => &mut self.enabled_failed,
            Field::ActiveSyncEnabled => &mut self.active_sync_failed,
        }
    }

    /// The end of the manifest's period that was acted upon: access that ended so stays ended when the clock goes back,
    /// until the manifest gives another end. Nothing where no field is off, or may be.
    pub fn ended(&self) -> Option<Timestamp> {
        let may_be_off = |field| !matches!(self.known(field), Known::Absent | Known::Applied(true));
        self.valid_until.filter(|_| Field::ALL.into_iter().any(may_be_off))
    }

    /// The mailbox is acknowledged to be as the manifest's dates want it; `from`: what was known of it before.
    pub const fn begins_or_not(&mut self, from: Known, value: bool, validity: Option<Validity>) {
        self.not_begun = !value && matches!((from, validity), (Known::Absent, Some(Validity::NotYetValid { .. })));
    }

    /// Whether the mailbox is disabled by a PUT of this program, as the service acknowledged, or may be: such a PUT was begun,
    /// and its end is not known. Not one that has yet to begin by its date: nothing was taken away from it. Nor one that was
    /// read to be disabled: somebody else did that.
    pub const fn is_disabled(&self) -> bool {
        match self.enabled {
            Some(FieldState::Applied { value, .. } | FieldState::Unsettled { value, .. }) => !value && !self.not_begun,
            Some(FieldState::InDoubt { to, .. }) => !matches!(to, Some(true)),
            Some(FieldState::Read { .. }) | None => false,
        }
    }

    /// Whether the service acknowledged something of the account.
    pub fn was_acknowledged(&self) -> bool {
        let states = Field::ALL.into_iter().filter_map(|field| self.field(field));
        states.into_iter().any(|state| matches!(state, FieldState::Applied { .. } | FieldState::Unsettled { .. }))
    }

    /// Whether a removal of `field` was begun whose end is not known: it counts in the disruption budget since then.
    pub fn has_begun_removal(&self, field: Field) -> bool {
        matches!(self.field(field), Some(FieldState::InDoubt { to: Some(false), .. }))
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
            Some(FieldState::Applied { value, .. } | FieldState::Read { value, .. }) => Known::Applied(*value),
            Some(FieldState::InDoubt { .. } | FieldState::Unsettled { .. }) => Known::InDoubt,
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
