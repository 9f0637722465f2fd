//! Everything the simulated service knows, as one value.
//!
//! In: settings, seeds, a fault script. Out: the accounts, the log and the totals, to be looked at.
//! Invariant: nothing but [`World::handle`] (see `service`) changes an account after it was seeded.

use std::collections::BTreeMap;

use super::account::{Account, Seed};
use super::budget::Meter;
use super::log::{Entry, Log, Totals};
use super::script::Script;
use super::settings::{Budget, Credentials, Role, Settings};
use super::tokens::Tokens;
use crate::account::{AccountId, Zoid, Zuid};
use crate::timestamp::Timestamp;

/// Everything the simulated service knows.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) zoid: Zoid,
    pub(super) open: bool,
    person: Zuid,
    pub(super) accounts: BTreeMap<AccountId, Account>,
    pub(super) tokens: Tokens,
    pub(super) meter: Option<Meter>,
    pub(super) script: Script,
    pub(super) log: Log,
}

impl World {
    /// A world without accounts.
    pub fn new(settings: Settings) -> Self {
        let member = settings.credentials.iter().find(|credentials| credentials.role == Role::Member);
        let person = member
            .or(settings.credentials.first())
            .map_or_else(|| Zuid::new(1).expect("1 lies within a long"), |credentials| credentials.person);
        Self {
            zoid: settings.zoid,
            open: settings.open,
            person,
            accounts: BTreeMap::new(),
            tokens: Tokens::new(&settings.credentials, settings.token_ttl),
            meter: settings.budget.map(Meter::new),
            script: Script::default(),
            log: Log::new(settings.log_capacity),
        }
    }

    /// Adds an account, or replaces the one with its `accountId`.
    pub fn seed(&mut self, account: Account) {
        self.accounts.insert(account.account_id, account);
    }

    /// Adds an account for each document, enabled and with ActiveSync, as the service makes them.
    pub fn seed_from<'a>(&mut self, documents: impl IntoIterator<Item = Seed<'a>>) {
        for Seed { account_id, zuid, email, name } in documents {
            let made_up = || format!("{name}@sandbox.example");
            let email = email.map_or_else(made_up, str::to_owned);
            self.seed(Account::new(account_id, zuid.unwrap_or(self.person), &email, name));
        }
    }

    /// Puts `script` in force; what the one before it counted is forgotten.
    pub fn set_faults(&mut self, script: Script) {
        self.script = script;
    }

    /// The account with this identifier.
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// All accounts, by `accountId`.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = &Account> {
        self.accounts.values()
    }

    /// The organization.
    pub const fn zoid(&self) -> Zoid {
        self.zoid
    }

    /// The last requests, oldest first; control requests are not among them.
    pub fn log(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.log.entries()
    }

    /// How many of what, since the start.
    pub const fn totals(&self) -> Totals {
        self.log.totals()
    }

    /// All requests since the start, reads and token requests among them.
    pub const fn requests_total(&self) -> u64 {
        self.log.totals().requests
    }

    /// When the lock after a request too many ends, if it is on at `now`.
    pub fn locked_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.meter.as_ref().and_then(|meter| meter.locked_until(now))
    }

    /// The request budget; `None` is unlimited.
    pub fn budget(&self) -> Option<Budget> {
        self.meter.as_ref().map(Meter::budget)
    }

    /// How many faults are in force.
    pub const fn fault_count(&self) -> usize {
        self.script.len()
    }

    /// Who may sign in.
    pub fn credentials(&self) -> impl Iterator<Item = &Credentials> {
        self.tokens.credentials()
    }

    /// A fresh access token, as if the token endpoint had been asked; `None` if `refresh_token` is unknown.
    pub fn issue_token(&mut self, now: Timestamp, refresh_token: &str) -> Option<String> {
        self.tokens.issue(now, refresh_token)
    }

    /// Makes every access token invalid, as a revocation in the console does.
    pub fn revoke_tokens(&mut self) {
        self.tokens.revoke_all();
    }
}
