//! What uses up the disruption budget and the grant budget, account by account.
//!
//! In: PUTs that are begun, acknowledged, or provably came to nothing. Out: the moments from which windows are measured.
//! Invariants: a removal counts once, from its first intent; so does a mailbox that comes back; neither counts if an
//! approval covers it. Absent by design: how much is allowed (see [`crate::guard`]).

use super::{Cause, FieldState, Ledger, Row};
use crate::account::{AccountId, Field};
use crate::change::Direction;
use crate::timestamp::Timestamp;

impl Row {
    /// Which budget a PUT of this value uses up that is begun now.
    pub(super) fn charged_by(&self, field: Field, to: bool, cause: Option<&Cause>) -> Option<Direction> {
        let is_approved = cause.is_some_and(|cause| cause.approval.is_some());
        let removes = !to && !self.has_begun_removal(field);
        let returns = to && field == Field::Enabled && self.is_disabled();
        match (is_approved, removes, returns) {
            (false, true, _) => Some(Direction::TakesAway),
            (false, _, true) => Some(Direction::GivesBack),
            _ => None,
        }
    }
}

impl Ledger {
    /// A PUT is begun that uses up this budget, and may take effect until `lands_by`.
    pub(super) fn charge(&mut self, account: AccountId, direction: Direction, lands_by: Timestamp) {
        match direction {
            Direction::TakesAway => self.disruptions.insert(account, self.last_landing(account, lands_by)),
            Direction::GivesBack => self.returns.insert(account, lands_by),
        };
    }

    /// The PUT that was begun last came to nothing: it is as it was before.
    pub(super) fn discharge(&mut self, account: AccountId, [disruption, returned]: [Option<Timestamp>; 2]) {
        for (charged, before) in [(&mut self.disruptions, disruption), (&mut self.returns, returned)] {
            match before {
                Some(at) => charged.insert(account, at),
                None => charged.remove(&account),
            };
        }
    }

    /// The account's mailbox is back by `at`.
    pub(super) fn returned(&mut self, account: AccountId, at: Timestamp) {
        if let Some(since) = self.returns.get_mut(&account) {
            *since = at.min(*since);
        }
    }

    /// The account lost something by `at`; what counts already since an earlier attempt counts from there.
    pub(super) fn removed(&mut self, account: AccountId, at: Timestamp, has_begun: bool) {
        let last = self.last_landing(account, at);
        match self.disruptions.get_mut(&account) {
            Some(since) => *since = last.min(*since),
            None if !has_begun => drop(self.disruptions.insert(account, last)),
            None => {}
        }
    }

    /// Until when what takes away from the account may still land; `at` if nothing else may.
    fn last_landing(&self, account: AccountId, at: Timestamp) -> Timestamp {
        let row = self.accounts.get(&account);
        let in_doubt = |field| match row?.field(field)? {
            FieldState::InDoubt { to: None | Some(false), lands_by, .. } => Some(*lands_by),
            _ => None,
        };
        let landing = |field| in_doubt(field).max(self.strays.until(account, field, false));
        Field::ALL.into_iter().filter_map(landing).fold(at, Timestamp::max)
    }
}
