//! What the service has acknowledged: the ledger as a value, and the records that change it.
//!
//! In: [`Record`]s, in the order in which they were journaled. Out: what is known of every field
//! ([`Ledger::known`]), and the memory that outlives a restart: requests made, disruptions
//! applied, a pause the service imposed, PUTs that may still land.
//! Invariants: the ledger never claims what the service has not acknowledged; applying the
//! journal's records to the snapshot gives the same value as living through them; everything
//! remembered is bounded. Absent by design: files (see [`mod@file`]) and the clock.

pub mod audit;
mod fault;
pub mod file;
pub mod journal;
mod record;
mod row;
pub mod snapshot;
mod stray;

#[cfg(test)]
mod samples;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::fault::Fault;
pub use self::record::{Cause, Evidence, ImposedPause, Record};
pub use self::row::{FieldState, Row};
pub use self::stray::{LANDING, LANDING_UNSAID, Strays};
use crate::account::{AccountId, Field, SourceRef, Zoid, Zuid};
use crate::change::Known;
use crate::timestamp::Timestamp;

/// How long a request is remembered: the longest `--rate-limit` duration that is accepted.
pub const REQUEST_MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest time from a request's intent to its end: the longest `--request-timeout`, and the wait for the disk. A
/// window counts a request from its end, and only its intent is remembered.
const REQUEST_LATENESS: Duration = Duration::from_secs(24 * 60 * 60 + 60);

/// How many requests are remembered: the largest `--rate-limit` count that is accepted.
pub const REQUEST_MEMORY_MAX: usize = 10_000;

/// How long a disruption is remembered: the longest `--disruption-window` that is accepted.
pub const DISRUPTION_MEMORY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Whose accounts a ledger speaks of. Ledgers of two owners are never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// An organization, with admin authentication.
    Organization(Zoid),
    /// The person who signed in, with user authentication.
    User,
    /// The embedded sandbox.
    Sandbox,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization(zoid) => zoid.fmt(f),
            Self::User => f.write_str("user"),
            Self::Sandbox => f.write_str("sandbox"),
        }
    }
}

impl FromStr for Owner {
    type Err = crate::account::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "user" => Ok(Self::User),
            "sandbox" => Ok(Self::Sandbox),
            digits => digits.parse().map(Self::Organization),
        }
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The last applied state of every account, and what a restart must not forget.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Whose accounts these are.
    pub owner: Owner,
    /// Sequence number of the last record applied.
    pub serial: u64,
    /// Every account ever touched.
    pub accounts: BTreeMap<AccountId, Row>,
    /// When requests were begun, in the order of their records: PUTs and token requests alike.
    pub requests: VecDeque<Timestamp>,
    /// When tokens were requested, in the order of their records.
    pub token_requests: VecDeque<Timestamp>,
    /// When each account last lost something, or may yet: a PUT in doubt counts until it can no longer land.
    pub disruptions: BTreeMap<AccountId, Timestamp>,
    /// PUTs whose end was never known and that a later intent replaced.
    pub strays: Strays,
    /// The pause in force when the program last heard from the service.
    pub pause: Option<ImposedPause>,
    /// Where the audit log stood when the snapshot was written; `None` before there was one.
    pub audit: Option<audit::Mark>,
}

/// Two ledgers are equal that know the same: where the audit log stands is a matter of the files beside them.
impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        let Self { owner, serial, accounts, requests, token_requests, disruptions, strays, pause, audit: _ } = self;
        (*owner, *serial, *pause, disruptions) == (other.owner, other.serial, other.pause, &other.disruptions)
            && (requests, token_requests, strays) == (&other.requests, &other.token_requests, &other.strays)
            && *accounts == other.accounts
    }
}

impl Eq for Ledger {}

impl Ledger {
    /// A ledger that knows nothing yet.
    pub const fn new(owner: Owner) -> Self {
        Self {
            owner,
            serial: 0,
            accounts: BTreeMap::new(),
            requests: VecDeque::new(),
            token_requests: VecDeque::new(),
            disruptions: BTreeMap::new(),
            strays: Strays::new(),
            pause: None,
            audit: None,
        }
    }

    /// The ledger in the bytes of a snapshot and of the journal that came after it, as [`file::read`] finds it on the
    /// disk; `None` if they hold none. For whoever has bytes and no files.
    ///
    /// # Errors
    /// [`Fault`] if either is not what this program wrote, or they do not belong together.
    pub fn from_bytes(snapshot: Option<&[u8]>, journal: &[u8]) -> Result<Option<Self>, Fault> {
        let read = |bytes| match snapshot::lines::read(bytes, None) {
            Ok(Some(ledger)) => Ok(ledger),
            // Edited by hand, or damaged: reading all of it at once tells which.
            _ => snapshot::parse(bytes),
        };
        journal::replay(journal, snapshot.map(read).transpose()?).map(|replayed| replayed.ledger)
    }

    /// The snapshot of this ledger, as it is written to `ledger.json`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        snapshot::write(self, &mut bytes).expect("rows have only string keys, and a Vec takes every byte");
        bytes
    }

    /// What is known of an account's field.
    pub fn known(&self, account: AccountId, field: Field) -> Known {
        self.accounts.get(&account).map_or(Known::Absent, |row| row.known(field))
    }

    /// Lives through one record: the only way the ledger ever changes.
    pub fn apply(&mut self, record: Record) {
        self.serial += 1;
        match record {
            Record::Intent { at, account, name, zuid, field, to, spec_hash, lands_by, cause: _ } => {
                let lands_by = lands_by.unwrap_or(at + LANDING_UNSAID);
                let state = FieldState::InDoubt { since: at, to: Some(to), lands_by };
                let row = self.observe(account, name, zuid, spec_hash);
                if let Some(FieldState::InDoubt { to, lands_by, .. }) = row.field_mut(field).replace(state) {
                    self.strays.add(account, field, to, lands_by);
                }
                if !to {
                    self.disrupted(account, lands_by);
                }
                remember(&mut self.requests, at);
            }
            Record::Applied { at, account, field, value, source, evidence } => {
                self.acknowledged(at, (account, field), value, (source, evidence.map(|by| by.revision.id.clone())));
                if !value {
                    self.disrupted(account, at);
                }
            }
            Record::NotApplied { account, field, restore, disruption } => {
                match disruption {
                    Some(at) => self.disruptions.insert(account, at),
                    None => self.disruptions.remove(&account),
                };
                if let Some(row) = self.accounts.get_mut(&account) {
                    *row.field_mut(field) = restore;
                }
            }
            Record::Conditions { account, conditions } => {
                if let Some(row) = self.accounts.get_mut(&account) {
                    row.conditions = conditions;
                }
            }
            Record::Observed { account, name, zuid, spec_hash } => {
                self.observe(account, name, zuid, spec_hash);
            }
            Record::TokenRequest { at } => {
                remember(&mut self.requests, at);
                remember(&mut self.token_requests, at);
            }
            Record::Pause { pause } => self.pause = pause,
            Record::PauseLifted { pause, .. } => self.pause = Some(pause.lifted()),
        }
    }

    /// The answer tells when the PUT acted only roughly: what may land later is what may land after it was begun.
    fn acknowledged(
        &mut self,
        at: Timestamp,
        (account, field): (AccountId, Field),
        value: bool,
        (source, revision): (SourceRef, Option<Arc<str>>),
    ) {
        let Some(row) = self.accounts.get_mut(&account) else { return };
        let began = match row.field(field) {
            Some(FieldState::InDoubt { since, .. }) => *since,
            _ => at,
        };
        self.strays.land(account, field, began);
        *row.field_mut(field) = Some(match self.strays.until(account, field, !value) {
            None => FieldState::Applied { value, applied_at: at, source, revision },
            Some(until) => FieldState::Unsettled { value, applied_at: at, source, revision, until },
        });
    }

    /// The account loses something at `at`, or later if more of what takes away from it may still land.
    fn disrupted(&mut self, account: AccountId, at: Timestamp) {
        let row = self.accounts.get(&account);
        let in_doubt = |field| match row?.field(field)? {
            FieldState::InDoubt { to: None | Some(false), lands_by, .. } => Some(*lands_by),
            _ => None,
        };
        let landing = |field| in_doubt(field).max(self.strays.until(account, field, false));
        let last = Field::ALL.into_iter().filter_map(landing).fold(at, Timestamp::max);
        self.disruptions.insert(account, last);
    }

    /// The account's row, with what its manifest says now; a spec not seen before begins a generation.
    fn observe(&mut self, account: AccountId, name: Arc<str>, zuid: Option<Zuid>, spec_hash: u64) -> &mut Row {
        let row = self.accounts.entry(account).or_insert_with(|| Row::new(Arc::clone(&name), zuid));
        row.name = name;
        row.zuid = zuid;
        if row.spec_hash != spec_hash {
            row.spec_hash = spec_hash;
            row.observed_generation = row.observed_generation.saturating_add(1);
        }
        row
    }

    /// The moment the request was begun that was recorded last; the epoch if none is remembered. A snapshot is written as
    /// of this moment, so that it depends on its records only and on no clock. Not the latest moment there is: that of a
    /// clock that ran ahead once would have everything forgotten that came since.
    pub fn last_request(&self) -> Timestamp {
        self.requests.back().copied().unwrap_or_default()
    }

    /// Drops what no window can reach any more. Called before a snapshot is written.
    pub fn forget_before(&mut self, now: Timestamp) {
        let oldest_request = now.before(REQUEST_MEMORY + REQUEST_LATENESS);
        self.requests.retain(|at| *at >= oldest_request);
        self.token_requests.retain(|at| *at >= oldest_request);
        let oldest_disruption = now.before(DISRUPTION_MEMORY);
        self.disruptions.retain(|_, at| *at >= oldest_disruption);
        // Longer than any request is under way: its acknowledgement asks what was out when it was begun.
        self.strays.forget_before(oldest_disruption);
    }
}

fn remember(stamps: &mut VecDeque<Timestamp>, at: Timestamp) {
    if stamps.len() == REQUEST_MEMORY_MAX {
        stamps.pop_front();
    }
    stamps.push_back(at);
}

#[cfg(test)]
mod tests {
    use super::samples::{account, after, applied, at, intent, owner, source};
    use super::*;
    use crate::condition::Reason;

    #[test]
    fn a_field_is_in_doubt_from_its_intent_until_its_end_is_known() {
        let mut ledger = Ledger::new(owner());
        let enabled = |ledger: &Ledger| ledger.known(account(1), Field::Enabled);
        assert_eq!(enabled(&ledger), Known::Absent);
        ledger.apply(intent(1, Field::Enabled, true));
        assert_eq!(enabled(&ledger), Known::InDoubt);
        ledger.apply(applied(1, Field::Enabled, true));
        assert_eq!(enabled(&ledger), Known::Applied(true));
        assert_eq!(ledger.known(account(1), Field::ActiveSyncEnabled), Known::Absent);
        assert_eq!(ledger.serial, 2);
    }

    #[test]
    fn what_provably_did_not_happen_leaves_the_field_as_it_was() {
        let before = after(Ledger::new(owner()), &[intent(1, Field::Enabled, true), applied(1, Field::Enabled, true)]);
        let restore = before.accounts[&account(1)].enabled.clone();
        let not_applied = Record::NotApplied { account: account(1), field: Field::Enabled, restore, disruption: None };
        let ledger = after(before.clone(), &[intent(1, Field::Enabled, false), not_applied]);
        assert_eq!(ledger.accounts, before.accounts);
        assert!(ledger.disruptions.is_empty());
    }

    #[test]
    fn only_taking_away_is_remembered_as_a_disruption_and_once_an_account() {
        let field = Field::ActiveSyncEnabled;
        let mut ledger = after(Ledger::new(owner()), &[intent(1, field, true), applied(1, field, true)]);
        assert!(ledger.disruptions.is_empty());
        for later in [7, 9] {
            ledger.apply(intent(1, field, false));
            ledger.apply(Record::Applied {
                at: at(later),
                account: account(1),
                field,
                value: false,
                source: source(),
                evidence: None,
            });
        }
        assert_eq!(ledger.disruptions, BTreeMap::from([(account(1), at(9))]));
    }

    #[test]
    fn a_disruption_counts_from_its_intent_until_it_provably_did_not_happen() {
        let field = Field::Enabled;
        let mut ledger = after(Ledger::new(owner()), &[intent(1, field, true), applied(1, field, true)]);
        ledger.apply(intent(1, field, false));
        assert_eq!(ledger.disruptions.len(), 1, "nobody knows whether it acted");
        ledger.apply(Record::NotApplied { account: account(1), field, restore: None, disruption: None });
        assert!(ledger.disruptions.is_empty());
    }

    #[test]
    fn a_generation_begins_with_a_spec_not_seen_before() {
        let observed = |spec_hash| Record::Observed { account: account(1), name: "a".into(), zuid: None, spec_hash };
        let ledger = after(Ledger::new(owner()), &[1, 1, 2, 2, 1].map(observed));
        assert_eq!(ledger.accounts[&account(1)].observed_generation, 3);
    }

    #[test]
    fn everything_remembered_is_bounded_in_number_and_in_time() {
        let mut ledger = Ledger::new(owner());
        for _ in 0..REQUEST_MEMORY_MAX + 5 {
            ledger.apply(Record::TokenRequest { at: at(0) });
        }
        assert_eq!((ledger.requests.len(), ledger.token_requests.len()), (REQUEST_MEMORY_MAX, REQUEST_MEMORY_MAX));
        ledger.disruptions.insert(account(1), at(0));
        let request_memory = REQUEST_MEMORY + REQUEST_LATENESS;
        ledger.forget_before(at(0) + request_memory);
        assert_eq!((ledger.requests.len(), ledger.disruptions.len()), (REQUEST_MEMORY_MAX, 1));
        ledger.forget_before(at(1) + request_memory);
        assert_eq!((ledger.requests.len(), ledger.token_requests.len(), ledger.disruptions.len()), (0, 0, 1));
        ledger.forget_before(at(1) + DISRUPTION_MEMORY);
        assert!(ledger.disruptions.is_empty());
    }

    #[test]
    fn a_clock_that_ran_ahead_once_has_nothing_forgotten_that_came_since() {
        // Three years ahead, then set right.
        let begun = [100_000_000, 1, 2].map(|seconds| intent(seconds, Field::Enabled, false));
        let lived = after(Ledger::new(owner()), &begun);
        let mut folded = lived.clone();
        folded.forget_before(folded.last_request());
        assert_eq!(folded, lived);
    }

    #[test]
    fn a_pause_is_in_force_until_it_is_lifted() {
        let pause = Some(ImposedPause { until: at(60), reason: Reason::Throttled });
        let mut ledger = after(Ledger::new(owner()), &[Record::Pause { pause }]);
        assert_eq!(ledger.pause, pause);
        ledger.apply(Record::Pause { pause: None });
        assert_eq!(ledger.pause, None);
    }

    #[test]
    fn an_owner_reads_back_as_it_prints() {
        for owner in [owner(), Owner::User, Owner::Sandbox] {
            assert_eq!(owner.to_string().parse::<Owner>().unwrap(), owner);
        }
        assert!("nobody".parse::<Owner>().is_err());
    }
}
