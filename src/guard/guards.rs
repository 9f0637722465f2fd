//! A guard for each direction.
//!
//! In: what the ledger remembers of each, which changes of an account wait. Out: [`Verdicts`].
//! Invariant: what goes one way uses up nothing of the other way's budget.

use super::{Allowance, Guard, Verdicts};
use crate::account::AccountId;
use crate::change::{Change, Direction};
use crate::ledger::Ledger;
use crate::timestamp::Timestamp;

/// See the module.
#[derive(Clone, Debug)]
pub struct Guards {
    disruptions: Guard,
    grants: Guard,
    /// Whether a budget counts what comes back.
    counts_grants: bool,
}

/// What comes back is not counted.
impl From<Guard> for Guards {
    fn from(disruptions: Guard) -> Self {
        let grants = Guard::new(None, std::time::Duration::ZERO, &std::collections::BTreeMap::new());
        Self { disruptions, grants, counts_grants: false }
    }
}

impl Guards {
    /// Guards that remember what the ledger does.
    pub fn new(Allowance { max, max_grants, window }: Allowance, ledger: &Ledger) -> Self {
        Self {
            disruptions: Guard::new(max, window, &ledger.disruptions),
            grants: Guard::new(max_grants.0, window, &ledger.returns),
            counts_grants: max_grants.0.is_some(),
        }
    }

    /// Other budgets are in force from now on: see [`Guard::allow`].
    pub fn allow(&mut self, Allowance { max, max_grants, window }: Allowance, ledger: &Ledger) {
        self.disruptions.allow(max, window, &ledger.disruptions);
        self.grants.allow(max_grants.0, window, &ledger.returns);
        self.counts_grants = max_grants.0.is_some();
    }

    /// What the ledger remembers of the account may be something else now: a restart must not make a guard forget, or
    /// count anew.
    pub fn remember(&mut self, account: AccountId, ledger: &Ledger) {
        for (guard, charged) in [(&mut self.disruptions, &ledger.disruptions), (&mut self.grants, &ledger.returns)] {
            match charged.get(&account) {
                Some(at) => guard.applied(account, *at),
                None => guard.undo(account, None),
            }
        }
    }

    /// These changes of `account` wait for a budget.
    pub fn set_pending(&mut self, account: AccountId, changes: &[&Change]) {
        for direction in Direction::ALL {
            let waiting = changes.iter().filter(|change| change.needs_budget() == Some(direction)).count();
            self.of_mut(direction).set_pending(account, waiting);
        }
    }

    /// The accounts that wait for the budget of this direction.
    pub fn pending(&self, direction: Direction) -> impl Iterator<Item = AccountId> {
        match direction {
            Direction::TakesAway => &self.disruptions,
            Direction::GivesBack => &self.grants,
        }
        .pending()
    }

    /// The verdicts at `now` for `managed` accounts.
    pub fn verdicts(&mut self, managed: usize, now: Timestamp) -> Verdicts {
        let (disruptions, grants) = (self.disruptions.verdict(managed, now), self.grants.verdict(managed, now));
        Verdicts { disruptions, grants: self.counts_grants.then_some(grants) }
    }

    /// The verdicts on an account that may not be noted as pending: see [`Guard::verdict_on`].
    pub fn verdicts_on(&mut self, account: AccountId, managed: usize, now: Timestamp) -> Verdicts {
        let disruptions = self.disruptions.verdict_on(account, managed, now);
        let grants = self.grants.verdict_on(account, managed, now);
        Verdicts { disruptions, grants: self.counts_grants.then_some(grants) }
    }

    /// When the oldest change leaves the window, which may change a verdict.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        let grants = self.grants.next_expiry().filter(|_| self.counts_grants);
        self.disruptions.next_expiry().into_iter().chain(grants).min()
    }

    const fn of_mut(&mut self, direction: Direction) -> &mut Guard {
        match direction {
            Direction::TakesAway => &mut self.disruptions,
            Direction::GivesBack => &mut self.grants,
        }
    }
}
