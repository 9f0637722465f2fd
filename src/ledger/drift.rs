//! What the service shows of a field that is not what this program had set: somebody changed it elsewhere.
//!
//! In: what a read found, and whether that is corrected. Out: [`Drift`], in the account's row.
//! Invariants: a drift has been there since it was first found so; an acknowledgement, or a read of what is known, ends it;
//! corrections of the last day are remembered, no more than [`CORRECTIONS_MAX`].
//! Absent by design: whether it is corrected (see the options), and the PUT that does it (see [`crate::plan`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{FieldState, Ledger, Row};
use crate::account::{AccountId, Field};
use crate::timestamp::Timestamp;

/// So many corrections of a field within [`CORRECTIONS_WINDOW`] are enough: who changes it back each time means it, and is
/// to be talked to.
pub const CORRECTIONS_MAX: usize = 3;

/// See [`CORRECTIONS_MAX`].
pub const CORRECTIONS_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drift {
    /// The value that the service showed last; nothing if it is as it was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<bool>,
    /// Since when.
    pub since: Timestamp,
    /// When it was corrected lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrected: Vec<Timestamp>,
}

impl Drift {
    /// How often it was corrected in the window before `now`. A moment that is still to come was written by another clock.
    fn corrections(&self, now: Timestamp) -> usize {
        self.corrected.iter().filter(|at| **at <= now && now.since(**at) < CORRECTIONS_WINDOW).count()
    }

    /// Whether it comes back however often it is corrected.
    pub fn flaps(&self, now: Timestamp) -> bool {
        self.corrections(now) >= CORRECTIONS_MAX
    }
}

impl Row {
    /// What a read found of `field`, and what was done about it.
    pub fn drift(&self, field: Field) -> Option<&Drift> {
        match field {
            Field::Enabled => self.enabled_drift.as_deref(),
            Field::ActiveSyncEnabled => self.active_sync_drift.as_deref(),
        }
    }

    const fn drift_mut(&mut self, field: Field) -> &mut Option<Box<Drift>> {
        match field {
            Field::Enabled => &mut self.enabled_drift,
            Field::ActiveSyncEnabled => &mut self.active_sync_drift,
        }
    }

    /// The field is known to be as it is: nothing differs, and what was corrected is remembered.
    pub(super) fn settled(&mut self, field: Field) {
        let drift = self.drift_mut(field);
        if drift.as_ref().is_some_and(|drift| drift.corrected.is_empty()) {
            *drift = None;
        }
        drift.iter_mut().for_each(|drift| drift.found = None);
    }
}

impl Ledger {
    /// A read found this of a field whose state was acknowledged, or nothing any more. `corrects`: what it found is what is
    /// known from now on.
    pub(super) fn drifted(
        &mut self,
        (account, field): (AccountId, Field),
        found: Option<bool>,
        corrects: bool,
        at: Timestamp,
    ) {
        let Some(row) = self.accounts.get_mut(&account) else { return };
        let before = row.drift_mut(field).take();
        let since = before.as_ref().filter(|before| before.found == found).map_or(at, |before| before.since);
        let mut corrected = before.map(|before| before.corrected).unwrap_or_default();
        corrected.retain(|moment| *moment <= at && at.since(*moment) < CORRECTIONS_WINDOW);
        if let Some(value) = found.filter(|_| corrects) {
            corrected.push(at);
            let path = row.source().cloned();
            *row.field_mut(field) = Some(FieldState::Read { value, read_at: at });
            row.declared_in(path);
        }
        if found.is_some() || !corrected.is_empty() {
            *row.drift_mut(field) = Some(Box::new(Drift { found, since, corrected }));
        }
        row.ready_since = None;
    }
}
