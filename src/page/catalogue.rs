//! The accounts, small enough to be kept for everybody who looks.
//!
//! In: parts of the list of accounts, as the conductor gives them. Out: [`Catalogue`], with how many there are of each
//! state and reason.
//! Invariant: some 300 bytes an account; what only a single account's page shows is not kept.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::account::{AccountId, Field};
use crate::change::Known;
use crate::condition::{ConditionStatus, ConditionType, Reason};
use crate::ledger::FieldState;
use crate::status::{ApprovalStatus, Item};
use crate::timestamp::Timestamp;

/// How an account stands, in the order in which a person has to care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing more happens until somebody acts; what the service refused is tried again at growing intervals.
    Stalled,
    /// The disruption budget holds it.
    Held,
    /// Somebody changed it elsewhere, and it is left so.
    Drifted,
    /// Work is under way or scheduled.
    Pending,
    /// Its manifest, or an operator, says so.
    Suspended,
    /// Its manifest is gone.
    Orphaned,
    /// The service acknowledged all that is desired.
    InSync,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Stalled, Self::Held, Self::Drifted, Self::Pending, Self::Suspended, Self::Orphaned, Self::InSync];

    /// How an address names it, and the style sheet.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Held => "held",
            Self::Drifted => "drifted",
            Self::Pending => "pending",
            Self::Suspended => "suspended",
            Self::Orphaned => "orphaned",
            Self::InSync => "in-sync",
        }
    }

    /// How a person names it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stalled => "Stalled",
            Self::Held => "Held back",
            Self::Drifted => "Drifted",
            Self::Pending => "Pending",
            Self::Suspended => "Suspended",
            Self::Orphaned => "No manifest",
            Self::InSync => "In sync",
        }
    }

    /// The state that an account's conditions say.
    fn of(item: &Item) -> (Self, Reason) {
        let conditions = &item.status.conditions;
        let is = |kind| conditions.iter().any(|told| told.kind == kind && told.status == ConditionStatus::True);
        let reason = conditions.first().map_or(Reason::Progressing, |ready| ready.reason);
        let state = match reason {
            _ if is(ConditionType::Ready) => Self::InSync,
            Reason::DisruptionBudgetExceeded => Self::Held,
            _ if is(ConditionType::Stalled) => Self::Stalled,
            _ if is(ConditionType::Drifted) => Self::Drifted,
            _ if is(ConditionType::Reconciling) => Self::Pending,
            Reason::Orphaned => Self::Orphaned,
            _ => Self::Suspended,
        };
        (state, reason)
    }
}

/// What is wanted of a field, and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldView {
    /// `None` is not managed.
    pub wanted: Option<bool>,
    /// What the ledger knows.
    pub known: Known,
}

/// One account.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The account on the service.
    pub id: AccountId,
    /// The manifest's name.
    pub name: Arc<str>,
    /// The address.
    pub email: Option<Box<str>>,
    /// How it stands.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// The same in words; nothing of an account that is as its manifest writes it.
    pub message: Option<Box<str>>,
    /// Since when: what waits, or else the last transition.
    pub since: Timestamp,
    /// When it is tried again, if it waits for that.
    pub next_attempt: Option<Timestamp>,
    /// The mailbox and the ActiveSync flag.
    pub fields: [FieldView; 2],
    /// What a search looks through.
    text: Box<str>,
}

impl From<&Item> for Entry {
    fn from(item: &Item) -> Self {
        let (state, reason) = State::of(item);
        let told = item.status.conditions.first();
        let (spec, work) = (&item.spec, &item.status.work);
        let fields = Field::ALL.map(|field| FieldView {
            wanted: work.wanted[field as usize],
            known: item.status.last_applied.of(field).map_or(Known::Absent, known),
        });
        let words = [&*item.metadata.name, &spec.account_id.to_string(), spec.email.as_deref().unwrap_or_default()];
        Self {
            id: spec.account_id,
            name: Arc::clone(&item.metadata.name),
            email: spec.email.clone(),
            state,
            reason,
            message: told.filter(|_| reason != Reason::ReconciliationSucceeded).map(|told| told.message.clone()),
            since: work.pending_since.or(told.map(|told| told.last_transition_time)).unwrap_or_default(),
            next_attempt: work.next_attempt,
            fields,
            text: words.join("\n").to_lowercase().into(),
        }
    }
}

impl Entry {
    /// Whether `lowercase` stands in the name, the id or the address.
    pub fn mentions(&self, lowercase: &str) -> bool {
        self.text.contains(lowercase)
    }
}

/// What a field's state says of its value.
pub const fn known(state: &FieldState) -> Known {
    match state {
        FieldState::Applied { value, .. } | FieldState::Read { value, .. } => Known::Applied(*value),
        FieldState::InDoubt { .. } | FieldState::Unsettled { .. } => Known::InDoubt,
    }
}

/// All accounts as they were at one moment, or, of many, within the second before it.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Every account, in the order of their ids.
    pub entries: Vec<Entry>,
    /// What approvals still let through.
    pub approvals: Vec<ApprovalStatus>,
    counts: [usize; State::ALL.len()],
    reasons: BTreeMap<Reason, usize>,
    /// How many accounts begin, and how many end, at each date of their manifests.
    dates: BTreeMap<Timestamp, [usize; 2]>,
}

impl Catalogue {
    /// Takes in a part of the list.
    pub fn extend(&mut self, items: &[Item]) {
        let first = self.entries.len();
        self.entries.extend(items.iter().map(Entry::from));
        for (date, side) in items.iter().flat_map(|item| [(item.spec.valid_from, 0), (item.spec.valid_until, 1)]) {
            if let Some(date) = date {
                self.dates.entry(date).or_default()[side] += 1;
            }
        }
        for entry in &self.entries[first..] {
            self.counts[entry.state as usize] += 1;
            *self.reasons.entry(entry.reason).or_default() += 1;
        }
    }

    /// How many accounts there are of `state`.
    pub const fn count(&self, state: State) -> usize {
        self.counts[state as usize]
    }

    /// When the first of those of `state` is tried again that is.
    pub(super) fn next_attempt(&self, state: State) -> Option<Timestamp> {
        let of_state = self.entries.iter().filter(|entry| entry.state == state);
        of_state.filter_map(|entry| entry.next_attempt).min()
    }

    /// The dates after `now`, with how many accounts begin and how many end at each.
    pub fn upcoming(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, [usize; 2])> {
        self.dates.range((Bound::Excluded(now), Bound::Unbounded)).map(|(date, numbers)| (*date, *numbers))
    }

    /// Every reason there is, and how many accounts give it.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, usize)> {
        self.reasons.iter().map(|(reason, count)| (*reason, *count))
    }
}
