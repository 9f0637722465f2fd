//! What the service has acknowledged: the ledger as a value, and the records that change it.
//!
//! In: [`Record`]s, in the order in which they were journaled. Out: what is known of every field
//! ([`Ledger::known`]), and the memory that outlives a restart: requests made, disruptions
//! applied, a pause the service imposed, PUTs that may still land.
//! Invariants: the ledger never claims what the service has not acknowledged; applying the
//! journal's records to the snapshot gives the same value as living through them; everything
//! remembered is bounded. Absent by design: files (see [`mod@file`]) and the clock.

pub mod audit;
mod budgets;
mod fault;
mod field;
pub mod file;
pub mod journal;
mod charges;
mod drift;
mod lapsed;
mod moments;
mod outage;
mod owner;
mod record;
mod requests;
mod reading;
mod row;
pub mod snapshot;
mod stray;
mod unready;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use self::budgets::DeclaredBudget;
pub use self::drift::{CORRECTIONS_MAX, Drift};
pub use self::fault::Fault;
pub use self::field::FieldState;
pub use self::lapsed::{Ends, Lapsed};
pub use self::outage::{Outage, OutageKind};
pub use self::owner::Owner;
pub use self::reading::READ_LAG;
pub use self::record::{Cause, Evidence, ImposedPause, Record};
pub use self::requests::{REQUEST_MEMORY, REQUEST_MEMORY_MAX};
use self::requests::{forget, remember};
pub use self::row::{FailedAttempt, Row};
pub use self::stray::{LANDING, LANDING_UNSAID, Strays};
pub use self::unready::{Unready, Wanted};
use crate::account::{AccountId, Field, SourceRef, Zuid};
use crate::change::Known;
use crate::timestamp::{ClockStep, Timestamp};

/// How long a disruption is remembered: the longest `--disruption-window` that is accepted.
pub const DISRUPTION_MEMORY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

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
    /// When the mailbox of each account that this program had disabled last came back, or may yet.
    pub returns: BTreeMap<AccountId, Timestamp>,
    /// PUTs whose end was never known and that a later intent replaced.
    pub strays: Strays,
    /// What is missing of each account that is not ready.
    pub unready: BTreeMap<AccountId, Unready>,
    /// The pause in force when the program last heard from the service.
    pub pause: Option<ImposedPause>,
    /// What kept every request from succeeding when the program last heard from the service.
    pub outage: Option<Outage>,
    /// Approvals that are over though the clock may not say so.
    pub lapsed: Lapsed,
    /// The budgets that manifests declare, as they were last read; in the order of their places.
    pub budgets: Vec<DeclaredBudget>,
    /// When the wall clock was set last, as it says since then.
    pub clock_set_at: Option<Timestamp>,
    /// Where the audit log stood when the snapshot was written; `None` before there was one.
    pub audit: Option<audit::Mark>,
}

/// Two ledgers are equal that know the same: where the audit log stands is a matter of the files beside them.
impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        let Self { owner, serial, accounts, requests, token_requests, disruptions, returns, strays, .. } = self;
        let Self { unready, pause, outage, lapsed, budgets, clock_set_at, audit: _, .. } = self;
        (*owner, *serial, *pause, disruptions) == (other.owner, other.serial, other.pause, &other.disruptions)
            && (requests, token_requests, strays) == (&other.requests, &other.token_requests, &other.strays)
            && *returns == other.returns
            && (unready, outage, lapsed, accounts) == (&other.unready, &other.outage, &other.lapsed, &other.accounts)
            && (budgets, clock_set_at) == (&other.budgets, &other.clock_set_at)
    }
}

impl Eq for Ledger {}

impl Ledger {
    /// A ledger that knows nothing yet.
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            serial: 0,
            accounts: BTreeMap::new(),
            requests: VecDeque::new(),
            token_requests: VecDeque::new(),
            disruptions: BTreeMap::new(),
            returns: BTreeMap::new(),
            strays: Strays::new(),
            unready: BTreeMap::new(),
            pause: None,
            outage: None,
            lapsed: Lapsed::default(),
            budgets: Vec::new(),
            clock_set_at: None,
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
            Record::Intent { at, account, name, zuid, field, to, spec_hash, lands_by, cause } => {
                let lands_by = lands_by.unwrap_or(at + LANDING_UNSAID);
                let state = FieldState::InDoubt { since: at, to: Some(to), lands_by };
                let row = self.observe(account, name, zuid, spec_hash);
                let charged = row.charged_by(field, to, cause.as_deref());
                let ended = cause.as_ref().and_then(|cause| cause.valid_until);
                row.valid_until = if to { None } else { ended.or(row.valid_until) };
                let path = cause.map(|cause| cause.source.path).or_else(|| row.source().cloned());
                let before = row.field_mut(field).replace(state);
                row.declared_in(path);
                if let Some(FieldState::InDoubt { to, lands_by, .. }) = before {
                    self.strays.add(account, field, to, lands_by);
                }
                charged.into_iter().for_each(|direction| self.charge(account, direction, lands_by));
                remember(&mut self.requests, at);
            }
            Record::Applied { at, account, field, value, source, evidence } => {
                self.applied(at, (account, field), value, source, evidence);
            }
            Record::NotApplied { account, field, restore, disruption, returned, valid_until, unsent } => {
                self.discharge(account, [disruption, returned]);
                self.restore(account, field, restore, valid_until);
                unsent.into_iter().for_each(|begun| forget(&mut self.requests, begun));
            }
            Record::Failed { account, field, failed } => {
                if let Some(row) = self.accounts.get_mut(&account) {
                    *row.failed_mut(field) = failed;
                }
            }
            Record::Observed { account, name, zuid, spec_hash, path } => {
                let row = self.observe(account, name, zuid, spec_hash);
                if path.is_some() {
                    row.declared_in(path);
                }
            }
            Record::Read { at, begun, account, name, zuid, enabled, active_sync_enabled } => {
                self.read((account, name, zuid), [enabled, active_sync_enabled], (begun, at));
            }
            Record::Drifted { at, account, field, found, corrects } => {
                self.drifted((account, field), found, corrects, at);
            }
            Record::Forgotten { account, .. } => {
                self.accounts.remove(&account);
                self.unready.remove(&account);
            }
            Record::Unready { account, unready, ready_since } => self.looked_at(account, unready, ready_since),
            Record::TokenRequest { at } => {
                remember(&mut self.requests, at);
                remember(&mut self.token_requests, at);
            }
            Record::ReadRequest { at } => remember(&mut self.requests, at),
            Record::ReadNotSent { begun } => forget(&mut self.requests, begun),
            Record::TokenNotSent => {
                let begun = self.token_requests.pop_back();
                begun.into_iter().for_each(|begun| forget(&mut self.requests, begun));
            }
            Record::Pause { pause } => self.pause = pause,
            Record::Outage { outage } => self.outage = outage.map(|outage| *outage),
            Record::ClockStepped { from, to } => self.carry(ClockStep { from, to }),
            Record::ClockBehind { at, lands_by, remembered } => self.clamp(at, lands_by, remembered),
            Record::Lapsed { approvals } => self.lapsed = Lapsed { approvals, by: None },
            Record::Budgets { budgets } => self.budgets = budgets,
            Record::PauseLifted { pause, .. } => self.pause = Some(pause.lifted()),
        }
    }

    /// The service acknowledged a PUT: what is known of the field, and what that uses up.
    fn applied(
        &mut self,
        at: Timestamp,
        (account, field): (AccountId, Field),
        value: bool,
        source: SourceRef,
        evidence: Option<Box<Evidence>>,
    ) {
        let row = self.accounts.get_mut(&account);
        let has_begun = row.as_ref().is_some_and(|row| row.has_begun_removal(field));
        if let (Some(row), Field::Enabled, Some(by)) = (row, field, &evidence) {
            row.begins_or_not(by.from, value, by.validity);
        }
        self.acknowledged(at, (account, field), value, (source, evidence.map(|by| by.revision.id.clone())));
        match (value, field) {
            (false, _) => self.removed(account, at, has_begun),
            (true, Field::Enabled) => self.returned(account, at),
            (true, Field::ActiveSyncEnabled) => {}
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
        for other in Field::ALL {
            // What was said of the account as a whole is over as well.
            if other == field || row.failed(other).is_some_and(|failed| failed.reason.is_about_the_account()) {
                *row.failed_mut(other) = None;
            }
        }
        row.ready_since = None;
        row.settled(field);
        self.strays.land(account, field, began);
        let unsettled = self.strays.until(account, field, !value);
        let path = Some(Arc::clone(&source.path));
        *row.field_mut(field) = Some(match unsettled {
            None => FieldState::Applied { value, applied_at: at, source, revision },
            Some(until) => FieldState::Unsettled { value, applied_at: at, source, revision, until },
        });
        row.declared_in(path);
        if unsettled.is_none() {
            self.found(account, field, value);
        }
    }

    /// A field, and the end that was acted upon, are what they were before an intent.
    fn restore(
        &mut self,
        account: AccountId,
        field: Field,
        before: Option<FieldState>,
        valid_until: Option<Timestamp>,
    ) {
        if let Some(row) = self.accounts.get_mut(&account) {
            let path = row.source().cloned();
            *row.field_mut(field) = before;
            row.valid_until = valid_until;
            row.declared_in(path);
        }
    }

    /// What is missing of the account, or since when nothing is.
    fn looked_at(&mut self, account: AccountId, unready: Option<Unready>, ready_since: Option<Timestamp>) {
        if let Some(row) = self.accounts.get_mut(&account) {
            row.ready_since = ready_since;
        }
        match unready {
            Some(unready) => self.unready.insert(account, unready),
            None => self.unready.remove(&account),
        };
    }

    /// The field is as it was wanted, if it was wanted so.
    fn found(&mut self, account: AccountId, field: Field, value: bool) {
        if let Some(unready) = self.unready.get_mut(&account) {
            let _ = unready.field_mut(field).take_if(|wanted| wanted.to == value);
            if unready.is_empty() {
                self.unready.remove(&account);
            }
        }
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
}
