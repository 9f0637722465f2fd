//! What operators see of an account: a Kubernetes-style object with conditions.
//!
//! In: an account's desired state, its ledger row, whether the budget holds it, and what keeps
//! everybody waiting. Out: an [`Item`], and the [`MailAccountList`] that `status -o json` and `/status` share.
//! Invariants: a pure function of its arguments, so the daemon and the command say the same;
//! `Ready` is `True` only when the service acknowledged all that is desired. Meaning of the
//! conditions: kstatus. `AGE` is the time since the last transition.

mod approvals;
mod list;
mod blocked_by;
pub mod selector;
mod words;

use std::sync::Arc;

use serde::Serialize;

use crate::account::{AccountId, Field, SourceRef, Zuid};
use crate::change::{Change, Known};
use crate::condition::{Condition, ConditionStatus, ConditionType, Reason};
use crate::desired::{DesiredAccount, Standing};
use crate::guard::Verdicts;
use crate::ledger::{FailedAttempt, FieldState, Row, Unready};
use crate::manifest::Labels;
use crate::plan::{AccountPlan, plan_account, unready};
use crate::revision::Revision;
use crate::timestamp::Timestamp;

pub use approvals::{ApprovalStatus, approvals};
use blocked_by::Trouble;
pub use blocked_by::{BlockedBy, PROBES};
pub use list::{Part, broken_file, list};
pub use words::{attempt, unsettled};
use words::{broken, describe, ready, suspension};

/// The API group and version of everything this program reads and writes.
pub const API_VERSION: &str = "zoho-mail-reconciler/v1";

/// All accounts, declared or remembered.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MailAccountList {
    /// Always [`API_VERSION`].
    pub api_version: &'static str,
    /// Always `MailAccountList`.
    pub kind: &'static str,
    /// Ordered by name.
    pub items: Vec<Item>,
    /// What approvals let through, ordered by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<ApprovalStatus>,
}

impl MailAccountList {
    /// A list of `items`, ordered by name.
    pub fn new(mut items: Vec<Item>) -> Self {
        items.sort_by(|a, b| (&a.metadata.name, a.spec.account_id).cmp(&(&b.metadata.name, b.spec.account_id)));
        Self { api_version: API_VERSION, kind: "MailAccountList", items, approvals: Vec::new() }
    }
}

/// One account.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Always [`API_VERSION`].
    pub api_version: &'static str,
    /// Always `MailAccount`.
    pub kind: &'static str,
    /// Name and generation.
    pub metadata: Metadata,
    /// What the manifest declares.
    pub spec: Spec,
    /// What became of it.
    pub status: Status,
}

/// Name and generation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The manifest's name.
    pub name: Arc<str>,
    /// How many versions of the spec there have been; 0 if there is none now.
    pub generation: u64,
    /// The manifest's labels, where somebody asked for them: the daemon keeps none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Arc<Labels>>,
}

/// What the manifest declares. Ids are strings, so that `jq` keeps all their digits.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// The account on the service.
    pub account_id: AccountId,
    /// The user on the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zuid: Option<Zuid>,
    /// The address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Box<str>>,
    /// State of the mailbox that is wanted while the manifest is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// State of the ActiveSync flag, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_sync_enabled: Option<bool>,
    /// Whether reconciling is paused now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// From when on the manifest is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// From when on it is not any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

/// What became of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The generation the conditions speak about.
    pub observed_generation: u64,
    /// What the service acknowledged last.
    pub last_applied: LastApplied,
    /// `Ready` first.
    pub conditions: Vec<Condition>,
    /// What the page shows besides; in no document.
    #[serde(skip)]
    pub work: Work,
}

/// Where an account's declaration is from and how far it is. The moments are known to the daemon alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Where it is declared, and the revision at which the first field that it manages came to be wanted as it is.
    pub declared: Option<(SourceRef, Arc<Revision>)>,
    /// The revision at which the first change that waits came to be wanted; of what is held, if something is.
    pub pending: Option<Arc<Revision>>,
    /// Since when something of it waits.
    pub pending_since: Option<Timestamp>,
    /// When it is tried again.
    pub next_attempt: Option<Timestamp>,
    /// How often it failed in a row.
    pub failures: u32,
    /// What is wanted now, in the order of [`Field::ALL`].
    pub wanted: [Option<bool>; 2],
}

/// What the service acknowledged last, per field, or that it is in doubt.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastApplied {
    /// The mailbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<FieldState>,
    /// The ActiveSync flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_sync_enabled: Option<FieldState>,
}

impl LastApplied {
    /// What is known of `field`, if it was ever set.
    pub const fn of(&self, field: Field) -> Option<&FieldState> {
        match field {
            Field::Enabled => self.enabled.as_ref(),
            Field::ActiveSyncEnabled => self.active_sync_enabled.as_ref(),
        }
    }
}

/// The generation of `desired` after `row`: the observed one, or the next if its spec was not seen yet.
fn generation(desired: Option<DesiredAccount<'_>>, row: Option<&Row>) -> u64 {
    match (desired, row) {
        (None, _) => 0,
        (Some(_), None) => 1,
        (Some(desired), Some(row)) => {
            row.observed_generation.saturating_add(u64::from(row.spec_hash != desired.spec_hash))
        }
    }
}

/// Everything known about an account that decides its status.
#[derive(Clone, Copy, Debug, Default)]
struct Facts<'a> {
    /// Its desired state, if a manifest declares it.
    desired: Option<DesiredAccount<'a>>,
    /// Its ledger row, if it was ever touched.
    row: Option<&'a Row>,
    /// The file with its manifest, if that is broken.
    broken: Option<&'a Arc<str>>,
    /// The budgets' sums, if one of them holds something of the account.
    held: Option<Verdicts>,
    /// Why no account's request can start now.
    blocked_by: Option<&'a BlockedBy>,
    /// What was missing when it was last looked at.
    unready: Option<&'a Unready>,
}

/// The status of one account at `now`.
fn item(account: AccountId, facts: Facts<'_>, now: Timestamp) -> Item {
    let Facts { desired, row, .. } = facts;
    let plan = plan_account(account, desired, row, now);
    let trouble = trouble(&plan, facts);
    let observed_generation = row.map_or(0, |row| row.observed_generation);
    let unready = unready(&plan, desired, facts.unready, now).map(|unready| unready.since);
    // What was missing when it was last looked at, and is not now, came to be so at a moment that is not known yet.
    let ready_at = || row.filter(|_| facts.unready.is_none()).and_then(ready_since);
    let transition = unready.or_else(ready_at).unwrap_or(now);
    // What came to be wanted since the ledger cannot be written stands nowhere.
    let unwritten = trouble.as_ref().filter(|trouble| trouble.reason == Reason::LedgerUnavailable);
    let transition = unwritten.and_then(|trouble| trouble.since).map_or(transition, |since| since.min(transition));
    let condition = |kind, status, reason, message, last_transition_time| Condition {
        kind,
        status,
        reason,
        message,
        last_transition_time,
        observed_generation,
    };
    let conditions = match trouble {
        None => {
            let (reason, message) = ready(desired, row, now);
            vec![condition(ConditionType::Ready, ConditionStatus::True, reason, message.into(), transition)]
        }
        Some(Trouble { kind, reason, message, since }) => {
            let ready = condition(ConditionType::Ready, ConditionStatus::False, reason, message.clone(), transition);
            let since = since.unwrap_or(transition);
            let why = kind.map(|kind| condition(kind, ConditionStatus::True, reason, message, since));
            std::iter::once(ready).chain(why).collect()
        }
    };
    Item {
        api_version: API_VERSION,
        kind: "MailAccount",
        metadata: Metadata {
            name: desired.map(|d| d.name).or(row.map(|r| &r.name)).map_or_else(|| "".into(), Arc::clone),
            generation: generation(desired, row),
            labels: None,
        },
        spec: spec(account, desired, row, now),
        status: Status {
            observed_generation,
            last_applied: row.map_or_else(LastApplied::default, |row| LastApplied {
                enabled: row.enabled.clone(),
                active_sync_enabled: row.active_sync_enabled.clone(),
            }),
            conditions,
            work: Work {
                declared: desired.map(|desired| {
                    let first = Field::ALL.into_iter().find(|field| desired.spec.written(*field).is_some());
                    let revision = desired.revision(first.unwrap_or(Field::Enabled), row, now);
                    (desired.source.clone(), Arc::clone(revision))
                }),
                pending: pending(&plan, facts),
                failures: failures(&plan, facts),
                wanted: Field::ALL.map(|field| desired.and_then(|desired| desired.wanted(field, row, now))),
                ..Work::default()
            },
        },
    }
}

fn spec(account: AccountId, desired: Option<DesiredAccount<'_>>, row: Option<&Row>, now: Timestamp) -> Spec {
    let spec = desired.map(|desired| desired.spec);
    Spec {
        account_id: account,
        zuid: spec.and_then(|spec| spec.zuid).or(row.and_then(|row| row.zuid)),
        email: spec.and_then(|spec| spec.email.clone()),
        enabled: spec.and_then(|spec| spec.enabled),
        active_sync_enabled: spec.and_then(|spec| spec.active_sync_enabled),
        suspend: spec.is_some_and(|spec| spec.is_suspended(now)),
        valid_from: spec.and_then(|spec| spec.period.as_ref()?.from),
        valid_until: spec.and_then(|spec| spec.period.as_ref()?.until),
    }
}

/// What to do about a disruption that is held.
const HELD_HINT: &str = "if it is meant, commit what `plan --approval --reason TEXT` prints";

fn trouble(plan: &AccountPlan, facts: Facts<'_>) -> Option<Trouble> {
    use ConditionType::{Reconciling, Stalled};
    if let (None, Some(BlockedBy { trouble, unread: true, .. })) = (facts.desired, facts.blocked_by) {
        return Some(trouble.clone());
    }
    if let Some(file) = facts.broken {
        return Some(Trouble::new(Stalled, Reason::InvalidManifest, broken(file)));
    }
    let Some(desired) = facts.desired else {
        return Some(Trouble::new(None, Reason::Orphaned, "its manifest is gone; nothing is PUT for it"));
    };
    if let Standing::Duplicate { other } = desired.standing {
        let message =
            format!("{} and {other} share an account, a name or an address; nothing is PUT for either", desired.source);
        return Some(Trouble::new(Stalled, Reason::DuplicateAccount, message));
    }
    if plan.blocked == Some(Reason::Suspended) {
        return Some(Trouble::new(None, Reason::Suspended, suspension(desired)));
    }
    let Some(first) = plan.changes.first() else { return drift(plan) };
    let told = told(plan, facts);
    if told.as_ref().is_some_and(|told| told.kind == Some(Stalled)) {
        return told;
    }
    let holding = |change: &Change| facts.held.and_then(|verdicts| verdicts.holding(change));
    if let Some((by, verdict)) = plan.changes.iter().find_map(holding) {
        let (held, other): (Vec<_>, Vec<_>) = plan.changes.iter().partition(|change| holding(change).is_some());
        let beside = other
            .iter()
            .filter_map(|change| failure(change, facts))
            .map(|(change, failed)| format!("; beside it, {}: {}", attempt(change), failed.message));
        let beside = beside.collect::<String>();
        let message =
            format!("{}: held by the {} ({verdict}); {HELD_HINT}{beside}", describe(held.into_iter()), by.budget());
        return Some(Trouble::new(Stalled, Reason::DisruptionBudgetExceeded, message));
    }
    if let Some(BlockedBy { trouble, is_answer, .. }) = facts.blocked_by {
        // Its own answer names the HTTP status and the errorCode, unless that is what stops everybody.
        let own = told.filter(|told| !is_answer || told.reason != trouble.reason);
        let own = own.map_or_else(String::new, |told| format!("; the last answer: {}", told.message));
        let message = format!("{}: {}{own}", describe(plan.changes.iter()), trouble.message);
        return Some(Trouble { message: message.into(), ..*trouble });
    }
    if told.is_some() {
        return told;
    }
    let reason = match first.from {
        Known::InDoubt => Reason::InDoubt,
        _ => Reason::Progressing,
    };
    Some(Trouble::new(Reconciling, reason, describe(plan.changes.iter())))
}

/// What somebody changed elsewhere, and is left as it is.
fn drift(plan: &AccountPlan) -> Option<Trouble> {
    let since = plan.drifted.iter().map(|drifted| drifted.since).min()?;
    let reason = if plan.drifted.iter().any(|drifted| drifted.flaps) { Reason::Flapping } else { Reason::Drifted };
    let words: Vec<_> = plan.drifted.iter().map(words::drifted).collect();
    let trouble = Trouble::new(ConditionType::Drifted, reason, words.join("; "));
    Some(Trouble { since: Some(since), ..trouble })
}

/// What the service said against the changes of the plan: first what it refused for good.
fn told(plan: &AccountPlan, facts: Facts<'_>) -> Option<Trouble> {
    let told = || plan.changes.iter().filter_map(|change| failure(change, facts));
    let (change, failed) = told().find(|(_, failed)| failed.reason.is_rejection()).or_else(|| told().next())?;
    let kind = if failed.reason.is_rejection() { ConditionType::Stalled } else { ConditionType::Reconciling };
    let message = format!("{}: {}", attempt(change), failed.message);
    Some(Trouble { since: Some(failed.since), ..Trouble::new(kind, failed.reason, message) })
}

/// What the service said against the change, if it counts still.
fn failure<'a>(change: &'a Change, facts: Facts<'a>) -> Option<(&'a Change, &'a FailedAttempt)> {
    facts.row?.told(change, facts.desired?.spec_hash).map(|failed| (change, failed))
}

fn pending(plan: &AccountPlan, facts: Facts<'_>) -> Option<Arc<Revision>> {
    let is_held = |change: &&Change| facts.held.is_some_and(|verdicts| verdicts.holding(change).is_some());
    let change = plan.changes.iter().find(is_held).or_else(|| plan.changes.first())?;
    Some(Arc::clone(&change.revision))
}

/// How often in a row attempts at the changes of the plan failed.
fn failures(plan: &AccountPlan, facts: Facts<'_>) -> u32 {
    let attempts = |change| failure(change, facts).map(|(_, failed)| failed.attempts);
    plan.changes.iter().filter_map(attempts).max().unwrap_or(0)
}

/// Since when an account is ready that is: the moment that is written down if it took no PUT, else the last
/// acknowledgement, read or doubt.
fn ready_since(row: &Row) -> Option<Timestamp> {
    let moments = Field::ALL.into_iter().filter_map(|field| row.field(field)).map(|state| match state {
        FieldState::Read { read_at, .. } => *read_at,
        FieldState::Applied { applied_at, .. } | FieldState::Unsettled { applied_at, .. } => *applied_at,
        FieldState::InDoubt { since, .. } => *since,
    });
    row.ready_since.or_else(|| moments.max())
}
