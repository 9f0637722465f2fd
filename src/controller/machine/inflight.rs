//! Requests from their intents to their answers.
//!
//! In: intents, commits, PUTs that leave, answers. Out: which intents are durable and wait for their turn, and how many
//! more there may be.
//! Invariants: one request per account; it goes from [`Stage::Intent`] to [`Stage::Durable`] to [`Stage::Sent`] and never
//! back; no more are sent at a time than the options allow.
//!
//! Where no request budget holds requests back and the service is fast, it is the disk that is waited for. Then the disk
//! works ahead: while PUTs are answered, the next intents become durable, many with one sync.

use std::collections::{BTreeMap, VecDeque};

use crate::account::AccountId;
use crate::change::Change;
use crate::ledger::FieldState;
use crate::timestamp::{ClockStep, Timestamp};

/// How many durable intents may wait for their PUTs' turn. Each is in doubt after a crash, and goes before what is more urgent.
const AHEAD_MAX: usize = 64;

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its intent is on the way to the disk.
    Intent,
    /// Its intent is on the disk, and it waits for its turn.
    Durable,
    /// It left.
    Sent {
        /// With this access token.
        token: u64,
    },
}

/// What the ledger knew before an intent, to restore if the service provably did not act.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    /// Of the field.
    pub(super) field: Option<FieldState>,
    /// When the account had last lost something, and when it had last come back.
    pub(super) charged: [Option<Timestamp>; 2],
    /// The end of the manifest's period that was acted upon.
    pub(super) valid_until: Option<Timestamp>,
}

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    change: Change,
    before: Before,
    began: Timestamp,
    stage: Stage,
}

impl Request {
    /// An intent of `now`.
    pub(super) const fn new(change: Change, before: Before, now: Timestamp) -> Self {
        Self { change, before, began: now, stage: Stage::Intent }
    }

    pub(super) const fn change(&self) -> &Change {
        &self.change
    }

    pub(super) fn into_change(self) -> Change {
        self.change
    }

    pub(super) const fn before(&self) -> &Before {
        &self.before
    }

    /// When its intent was made.
    pub(super) const fn began(&self) -> Timestamp {
        self.began
    }

    /// The wall clock was set. What the ledger knew before goes with what it knows; what people wrote down stays.
    fn carry(&mut self, step: ClockStep) {
        let carry = |at| step.carry(at);
        self.began = step.carry(self.began);
        self.before.charged = self.before.charged.map(|charged| charged.map(&carry));
        if let Some(field) = &mut self.before.field {
            field.retime(carry, carry);
        }
    }

    /// The access token that it left with.
    pub(super) const fn token(&self) -> Option<u64> {
        match self.stage {
            Stage::Sent { token } => Some(token),
            Stage::Intent | Stage::Durable => None,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Inflight {
    max_sent: usize,
    works_ahead: bool,
    requests: BTreeMap<AccountId, Request>,
    /// How many of them were sent.
    sent: usize,
    /// Those that are durable, in the order of their intents.
    durable: VecDeque<AccountId>,
    /// How many were answered during the last commit, and since.
    answered: usize,
    answered_since: usize,
}

impl Inflight {
    /// None yet; at most `max_sent` at a time. `works_ahead`: whether the disk may.
    pub(super) fn new(max_sent: usize, works_ahead: bool) -> Self {
        let (requests, durable) = (BTreeMap::new(), VecDeque::new());
        Self { max_sent, works_ahead, requests, sent: 0, durable, answered: 0, answered_since: 0 }
    }

    /// Whether there may be one more intent: one for each PUT, and where the service answers faster than the disk, those
    /// that it will have answered before the next are durable. With a request budget nothing waits for the disk.
    pub(super) fn has_room(&self) -> bool {
        // One answer a commit is what a slow service gives as well. An intent waits for the commit before its own, too,
        // and for no more of them than that: hence twice, and as much again to let it grow.
        let ahead = 4 * self.answered.saturating_sub(1);
        let ahead = if self.works_ahead { ahead.min(AHEAD_MAX) } else { 0 };
        self.requests.len() < self.max_sent + ahead
    }

    /// Whether so few durable intents wait for their turn that requests need the next commit to go on.
    pub(super) fn needs_commit(&self) -> bool {
        self.durable.len() <= self.max_sent
    }

    pub(super) fn begin(&mut self, request: Request) {
        let before = self.requests.insert(request.change.account, request);
        debug_assert!(before.is_none(), "one request per account");
    }

    /// A commit ended; these intents are on the disk.
    pub(super) fn committed(&mut self, intents: Vec<AccountId>) {
        self.answered = std::mem::take(&mut self.answered_since);
        for account in intents {
            if let Some(request) = self.requests.get_mut(&account) {
                request.stage = Stage::Durable;
                self.durable.push_back(account);
            }
        }
    }

    /// The next account whose PUT may leave.
    pub(super) fn next_durable(&mut self) -> Option<AccountId> {
        self.durable.pop_front_if(|_| self.sent < self.max_sent)
    }

    /// The next account whose intent is durable, whether its PUT may leave or not.
    pub(super) fn next_to_recall(&mut self) -> Option<AccountId> {
        self.durable.pop_front()
    }

    /// The account's PUT leaves with the access token of this generation.
    pub(super) fn sent_with(&mut self, account: AccountId, token: u64) -> Option<&Change> {
        let request = self.requests.get_mut(&account)?;
        debug_assert_eq!(request.stage, Stage::Durable, "an intent is durable before its PUT leaves");
        request.stage = Stage::Sent { token };
        self.sent += 1;
        Some(&request.change)
    }

    /// The account's PUT was answered.
    pub(super) fn answered(&mut self, account: AccountId) -> Option<Request> {
        let request = self.end(account)?;
        self.answered_since += 1;
        Some(request)
    }

    /// The account's request is no more.
    pub(super) fn end(&mut self, account: AccountId) -> Option<Request> {
        let request = self.requests.remove(&account)?;
        self.sent -= usize::from(request.token().is_some());
        Some(request)
    }

    /// The wall clock was set: what is in flight has been so for as long as before.
    pub(super) fn carry(&mut self, step: ClockStep) {
        self.requests.values_mut().for_each(|request| request.carry(step));
    }

    pub(super) fn get(&self, account: AccountId) -> Option<&Request> {
        self.requests.get(&account)
    }

    /// How many there are, sent or not.
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// How many PUTs are in flight, as opposed to intents on their way to the disk or waiting for their turn.
    pub(super) const fn sent(&self) -> usize {
        self.sent
    }

    /// The accounts whose PUTs never left.
    pub(super) fn unsent(&self) -> Vec<AccountId> {
        self.requests.iter().filter(|(_, request)| request.token().is_none()).map(|(account, _)| *account).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::account::{Field, SourceRef};
    use crate::change::Known;

    fn account(n: u64) -> AccountId {
        AccountId::new(n).unwrap()
    }

    fn intent(n: u64) -> Request {
        let source = SourceRef { path: "a.yaml".into(), line: 1 };
        let (name, field, from, revision) = ("a".into(), Field::Enabled, Known::Absent, Arc::default());
        let (account, zuid, to, approval, not_before, begun) = (account(n), None, true, None, None, false);
        let change = Change {
            account,
            name,
            zuid,
            field,
            from,
            to,
            source,
            revision,
            approval,
            not_before,
            begun,
            refused: false,
            validity: None,
            wanted_since: None,
            gives_back: false,
            drift: None,
        };
        Request::new(change, Before::default(), Timestamp::from_millis(n))
    }

    #[test]
    fn a_request_leaves_only_after_its_intent_is_durable_and_no_more_leave_than_may() {
        let mut inflight = Inflight::new(2, false);
        (1..=3).for_each(|n| inflight.begin(intent(n)));
        assert_eq!(inflight.next_durable(), None);
        inflight.committed((1..=3).map(account).collect());
        for n in 1..=2 {
            assert_eq!(inflight.next_durable(), Some(account(n)));
            assert!(inflight.sent_with(account(n), 7).is_some());
        }
        assert_eq!((inflight.next_durable(), inflight.sent(), inflight.len()), (None, 2, 3));
        assert_eq!(inflight.unsent(), [account(3)]);
        assert_eq!(inflight.answered(account(1)).unwrap().token(), Some(7));
        assert_eq!((inflight.next_durable(), inflight.sent()), (Some(account(3)), 1));
        assert_eq!(inflight.end(account(3)).unwrap().token(), None);
        assert_eq!((inflight.sent(), inflight.len()), (1, 1));
    }

    #[test]
    fn the_disk_works_ahead_by_what_was_answered_during_a_commit_and_not_with_a_request_budget() {
        let room = |works_ahead| {
            let mut inflight = Inflight::new(2, works_ahead);
            (1..=2).for_each(|n| inflight.begin(intent(n)));
            inflight.committed((1..=2).map(account).collect());
            for n in 1..=2 {
                inflight.sent_with(account(n), 0);
                inflight.answered(account(n));
            }
            inflight.committed(Vec::new());
            (1..).take_while(|n| inflight.has_room().then(|| inflight.begin(intent(*n))).is_some()).count()
        };
        assert_eq!((room(true), room(false)), (6, 2));
    }

    #[test]
    fn what_a_request_would_restore_is_as_long_ago_after_a_step_as_before() {
        let at = Timestamp::from_millis;
        let prior = |since, lands_by| FieldState::InDoubt { since: at(since), to: None, lands_by: at(lands_by) };
        let mut inflight = Inflight::new(1, false);
        let change = intent(1).into_change();
        let (field, charged) = (Some(prior(7_000, 9_000)), [Some(at(9_000)), None]);
        inflight.begin(Request::new(change, Before { field, charged, valid_until: Some(at(1)) }, at(8_000)));
        inflight.carry(ClockStep { from: at(8_500), to: at(1_008_500) });
        let request = inflight.get(account(1)).unwrap();
        let Before { field, charged, valid_until } = request.before();
        assert_eq!((request.began(), charged[0], *valid_until), (at(1_008_000), Some(at(1_009_000)), Some(at(1))));
        assert_eq!(*field, Some(prior(1_007_000, 1_009_000)));
    }
}
