//! What the outside sees of the conductor: its state in a few numbers, and what a pass came to.
//!
//! In: values the conductor fills in. Out: what admin pages, metrics, the service manager and the
//! progress of `apply` read.
//! Invariant: planned = applied + held + failed + in doubt, in every summary.

mod reading;
mod recent;

use std::time::Duration;

use serde::Serialize;

use crate::account::{Field, printable};
use crate::change::{Change, Outcome};
use crate::freeze::Freeze;
use crate::guard::{InForce, Verdict, Verdicts};
use crate::ledger::ImposedPause;
use crate::throttle::{Usage, Wait};
use crate::timestamp::Timestamp;

pub use reading::{Odd, Oddity, ServiceRead};
pub use recent::{Acknowledged, RECENT_MAX, Recent};

/// How many problems of manifests are told in full; `validate` lists them all.
pub const PROBLEMS_TOLD: usize = 20;

/// So many requests for an access token that fail in a row are trouble that lasts: fewer may meet a restart of the endpoint,
/// or a connection that was lost.
pub const TOKEN_FAILURES: u32 = 3;

/// How often the loop turns when nothing happens, so that idle can be told from stuck.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// How many changes of one field are pending, by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Directions {
    /// To false.
    pub disable: usize,
    /// To true.
    pub enable: usize,
}

/// How many accounts there are that are declared, or whose manifest cannot be read, by the condition that `status` gives
/// them: each counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ByCondition {
    /// The service acknowledged all that is wanted.
    pub ready: usize,
    /// Something of them is pending, and goes on by itself; or no manifest was read so far.
    pub reconciling: usize,
    /// They go no further by themselves: the service rejected something, or the credentials; a budget holds something;
    /// the manifest is broken, or there are two.
    pub stalled: usize,
    /// Their manifest suspends them, or an operator all of them.
    pub suspended: usize,
    /// Somebody changed them elsewhere, and they are left so.
    pub drifted: usize,
}

/// How many changes are pending, by field and direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingCounts {
    /// Of the mailbox.
    pub enabled: Directions,
    /// Of the ActiveSync flag.
    pub active_sync_enabled: Directions,
}

impl PendingCounts {
    /// Of `field`.
    pub const fn of(&self, field: Field) -> Directions {
        match field {
            Field::Enabled => self.enabled,
            Field::ActiveSyncEnabled => self.active_sync_enabled,
        }
    }

    /// The count of changes of `field` to `to`.
    pub const fn count_mut(&mut self, field: Field, to: bool) -> &mut usize {
        let directions = match field {
            Field::Enabled => &mut self.enabled,
            Field::ActiveSyncEnabled => &mut self.active_sync_enabled,
        };
        if to { &mut directions.enable } else { &mut directions.disable }
    }

    /// All of them.
    pub const fn total(&self) -> usize {
        let Self { enabled, active_sync_enabled } = self;
        enabled.disable + enabled.enable + active_sync_enabled.disable + active_sync_enabled.enable
    }
}

/// What all requests wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// No request starts before this moment; left out where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why.
    #[serde(serialize_with = "label")]
    pub why: WaitsFor,
}

/// Why no request starts, the gravest reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// The process ends.
    End,
    /// The folder was not read yet.
    DesiredState,
    /// The ledger cannot be written.
    Ledger,
    /// An operator suspended everything.
    Suspension,
    /// The single pass gave up.
    NextPass,
    /// The credentials do not work.
    Credentials,
    /// The service is read first.
    Reading,
    /// A limit, a pause or the trouble of the service.
    Limit(Wait),
}

impl WaitsFor {
    /// The reason's name in `/status`; of the last ones that in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::End => "stopping",
            Self::DesiredState => "desired_state",
            Self::Ledger => "ledger",
            Self::Suspension => "suspended",
            Self::NextPass => "gave_up",
            Self::Credentials => "credentials",
            Self::Reading => "reading",
            Self::Limit(wait) => wait.label(),
        }
    }
}

fn label<S: serde::Serializer>(why: &WaitsFor, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(why.label())
}

/// How PUTs ended since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Acknowledged.
    pub applied: u64,
    /// Failed without effect, or in doubt; tried again.
    pub retried: u64,
    /// Rejected for good.
    pub rejected: u64,
    /// Turned away while everybody paused.
    pub paused: u64,
}

impl Totals {
    /// Counts one outcome.
    pub const fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Applied => self.applied += 1,
            Outcome::Retry(_) | Outcome::InDoubt(_) => self.retried += 1,
            Outcome::Rejected(_) => self.rejected += 1,
            Outcome::Paused(..) => self.paused += 1,
        }
    }
}

/// The conductor's state in a few numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The whole folder was read at least once.
    pub loaded: bool,
    /// Why the folder cannot be read now.
    pub desired_unknown: Option<String>,
    /// Why the folder cannot be watched, only polled.
    pub degraded: Option<String>,
    /// Why the ledger cannot be written now.
    pub ledger_error: Option<String>,
    /// Why the credentials do not work.
    pub credentials_refused: Option<String>,
    /// Why no access token can be had, from the first request that fails.
    pub token_unavailable: Option<String>,
    /// How many requests for an access token failed in a row.
    pub token_failures: u32,
    /// Why the service fails one account after the other.
    pub service_failing: Option<String>,
    /// Why the service refuses one account after the other alike, and accepts none.
    pub refused_alike: Option<String>,
    /// The freeze in force.
    pub suspended: Option<Freeze>,
    /// Why a single pass ended early.
    pub gave_up: Option<String>,
    /// When the loop last turned.
    pub turned_at: Timestamp,
    /// When the folder was last read successfully.
    pub last_sync: Option<Timestamp>,
    /// Accounts declared by manifests.
    pub managed: usize,
    /// Problems in manifests.
    pub problems: usize,
    /// The first [`PROBLEMS_TOLD`] of them, a line each.
    pub first_problems: Vec<String>,
    /// Accounts whose plan is not empty.
    pub pending: usize,
    /// Accounts of which the service rejected a change: the metric `accounts_rejected`. All that go no further by themselves
    /// are [`ByCondition::stalled`].
    pub rejected: usize,
    /// Accounts that are stalled because a budget holds something.
    pub held: usize,
    /// Those of them of which the grant budget alone holds something.
    #[serde(skip_serializing_if = "is_zero")]
    pub held_grants: usize,
    /// Accounts by condition.
    pub by_condition: ByCondition,
    /// Accounts ready or in backoff.
    pub queued: usize,
    /// Accounts in backoff.
    pub backing_off: usize,
    /// Requests under way.
    pub in_flight: usize,
    /// Pending changes by field and direction.
    pub pending_changes: PendingCounts,
    /// Since when the oldest change waits.
    pub oldest_pending: Option<Timestamp>,
    /// How much of the request budget is used.
    pub request_budget: Usage,
    /// What all requests wait for.
    pub waiting: Option<Waiting>,
    /// The pause the service imposed.
    pub pause: Option<ImposedPause>,
    /// The disruption budget's sum.
    pub disruptions: Verdict,
    /// The grant budget's sum, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<Verdict>,
    /// The budgets, and who says so.
    pub budget: InForce,
    /// How PUTs ended.
    pub totals: Totals,
    /// What was read of the service so far, if it is read before anything is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<ServiceRead>,
    /// PUTs the single pass set out to make.
    pub planned: usize,
    /// How many records the ledger has lived through: a number that stays says that nothing happened.
    pub serial: u64,
    /// What was acknowledged last, the newest first.
    pub recent: Recent,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Report {
    /// The sums of both budgets.
    pub const fn verdicts(&self) -> Verdicts {
        Verdicts { disruptions: self.disruptions, grants: self.grants }
    }

    /// How many changes budgets hold.
    pub fn held_changes(&self) -> usize {
        self.verdicts().exceeded().map(|(_, verdict)| verdict.pending_changes).sum()
    }

    /// Whether all that waits is held: what else an account that is held needs waits by itself.
    pub fn is_all_held(&self) -> bool {
        // Of an account that is held something else may be shown, as that its manifest is broken.
        let held = self.held_changes();
        (self.pending <= self.held || held > 0) && self.pending_changes.total() <= held
    }

    /// Why no access token can be had, once that lasts.
    pub fn token_outage(&self) -> Option<&String> {
        self.token_unavailable.as_ref().filter(|_| self.token_failures >= TOKEN_FAILURES)
    }

    /// Why the daemon is not ready: the desired state was not read, the ledger cannot be written, the credentials were
    /// refused, or no access token could be had several times in a row.
    /// One line, whatever the reasons quote.
    pub fn not_ready(&self) -> Option<String> {
        self.reason_not_ready().map(|why| printable::escape(&why))
    }

    fn reason_not_ready(&self) -> Option<String> {
        if let Some(error) = &self.ledger_error {
            return Some(format!("the ledger cannot be written: {error}"));
        }
        if let Some(why) = &self.credentials_refused {
            return Some(format!("the credentials do not work: {why}"));
        }
        if let Some(why) = self.token_outage() {
            return Some(format!("no access token can be had, {} times in a row: {why}", self.token_failures));
        }
        match &self.desired_unknown {
            Some(why) => Some(format!("the desired state is unknown: {why}")),
            None if !self.loaded => Some("the desired state has not been read yet".to_owned()),
            None => None,
        }
    }

    /// Accounts by condition, with the names that metrics give them.
    pub const fn conditions(&self) -> [(&'static str, usize); 5] {
        let ByCondition { ready, reconciling, stalled, suspended, drifted } = self.by_condition;
        [
            ("Ready", ready),
            ("Reconciling", reconciling),
            ("Stalled", stalled),
            ("Suspended", suspended),
            ("Drifted", drifted),
        ]
    }
}

/// A planned change that did not come to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unapplied {
    /// The change.
    pub change: Change,
    /// Why, in words.
    pub why: String,
}

/// What a pass came to. `planned = applied + held.len() + failed.len() + in_doubt.len()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// PUTs that were needed when the pass began.
    pub planned: usize,
    /// PUTs the service acknowledged.
    pub applied: usize,
    /// PUTs the disruption budget held, or a freeze.
    pub held: Vec<Unapplied>,
    /// PUTs that were rejected, or given up.
    pub failed: Vec<Unapplied>,
    /// PUTs that were begun and whose end is not known.
    pub in_doubt: Vec<Unapplied>,
    /// The budgets' sums at the end.
    pub verdicts: Verdicts,
    /// The budgets at the end, and who says so.
    pub budget: InForce,
    /// Why the pass ended early.
    pub gave_up: Option<String>,
}
