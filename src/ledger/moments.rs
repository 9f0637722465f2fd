//! What the ledger remembers of spans of time, and what becomes of it as time goes on and when the clock is set.
//!
//! In: moments; steps of the wall clock. Out: the ledger, with what no window reaches any more dropped, and its spans
//! carried over to another clock.
//! Invariants: a step changes no span: what is remembered is as far from now after it as before; nothing that was
//! remembered counts for longer than if it began now. When something was acknowledged, or said, stays as it was written.
//! Absent by design: the clock, and whether it is right. A clock that went forward between two runs looks like
//! time that passed; one that went back is found out by what is remembered, which then lies ahead.

use std::time::Duration;

use super::{DISRUPTION_MEMORY, FieldState, LANDING, Lapsed, Ledger, REQUEST_MEMORY, Unready};
use crate::account::{AccountId, Field};
use crate::timestamp::{ClockStep, Timestamp};

/// The longest time from a request's intent to its end: the longest `--request-timeout`, and the wait for the disk. A
/// window counts a request from its end, and only its intent is remembered.
const REQUEST_LATENESS: Duration = Duration::from_secs(24 * 60 * 60 + 60);

/// A disruption counts until its PUT can no longer land: so much later than its intent at most.
const DISRUPTION_LATENESS: Duration = REQUEST_LATENESS.saturating_add(LANDING);

impl Ledger {
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
        self.returns.retain(|_, at| *at >= oldest_disruption);
        // Longer than any request is under way: its acknowledgement asks what was out when it was begun.
        self.strays.forget_before(oldest_disruption);
        // Should the clock go back behind their ends, the request that was begun after these tells.
        self.lapsed.approvals.retain(|(_, expires)| *expires > now);
    }

    /// The latest moment at which something remembered began, if that is still to come at `now`: the clock was ahead then,
    /// or is behind now.
    pub fn ahead_of(&self, now: Timestamp) -> Option<Timestamp> {
        let requests = self.requests.iter().chain(&self.token_requests).copied();
        let disruptions =
            self.disruptions.values().chain(self.returns.values()).map(|at| at.before(DISRUPTION_LATENESS));
        let strays = self.strays.last().map(|at| at.before(DISRUPTION_LATENESS));
        let unready = self.unready.values().map(Unready::latest);
        requests.chain(disruptions).chain(strays).chain(unready).max().filter(|at| at.since(now) >= ClockStep::MIN)
    }

    /// The approvals that are over though the clock does not say so at `now`. If it went back while no process ran, which
    /// shows in what is remembered as still to come, they are those that had ended by the latest of that.
    pub fn lapsed_at(&self, now: Timestamp) -> Lapsed {
        Lapsed { by: self.lapsed.by.max(self.ahead_of(now)), ..self.lapsed.clone() }
    }

    /// Until when a PUT whose end is not known may still take effect on the account, if one may after `now`.
    pub fn may_land(&self, account: AccountId, now: Timestamp) -> Option<Timestamp> {
        let row = self.accounts.get(&account);
        let state = |field| match row?.field(field)? {
            FieldState::InDoubt { lands_by, .. } => Some(*lands_by),
            FieldState::Unsettled { until, .. } => Some(*until),
            FieldState::Applied { .. } | FieldState::Read { .. } => None,
        };
        let late = |field| [false, true].into_iter().filter_map(move |to| self.strays.until(account, field, to)).max();
        Field::ALL.into_iter().filter_map(|field| state(field).max(late(field))).max().filter(|until| *until > now)
    }

    /// The wall clock was set.
    pub(super) fn carry(&mut self, step: ClockStep) {
        if step.to < step.from {
            self.lapsed.went_back(step.from);
        }
        let carry = |at| step.carry(at);
        self.retime(carry, carry);
        if let Some(pause) = &mut self.pause {
            pause.until = step.carry(pause.until);
        }
        self.clock_set_at = Some(step.to);
    }

    /// Nothing remembered began after `now`, or may take effect after `lands_by`: the latest of it, which was to come, is
    /// what the clock said before it went back.
    pub(super) fn clamp(&mut self, now: Timestamp, lands_by: Timestamp, latest: Option<Timestamp>) {
        latest.into_iter().for_each(|latest| self.lapsed.went_back(latest));
        self.retime(|at| at.min(now), |at| at.min(lands_by));
        self.clock_set_at = Some(now);
    }

    fn retime(&mut self, began: impl Fn(Timestamp) -> Timestamp, lands_by: impl Fn(Timestamp) -> Timestamp) {
        self.requests.iter_mut().chain(&mut self.token_requests).for_each(|at| *at = began(*at));
        self.disruptions.values_mut().for_each(|at| *at = lands_by(*at));
        self.returns.values_mut().for_each(|at| *at = lands_by(*at));
        self.strays.retime(&lands_by);
        self.outage.iter_mut().for_each(|outage| outage.since = began(outage.since));
        self.unready.values_mut().for_each(|unready| unready.retime(&began));
        let fields = self.accounts.values_mut().flat_map(|row| [&mut row.enabled, &mut row.active_sync_enabled]);
        fields.flatten().for_each(|state| state.retime(&began, &lands_by));
        self.accounts.values_mut().filter_map(|row| row.ready_since.as_mut()).for_each(|at| *at = began(*at));
        let failed = self.accounts.values_mut().flat_map(|row| [&mut row.enabled_failed, &mut row.active_sync_failed]);
        for failed in failed.flatten() {
            let wait = failed.next_attempt.since(failed.at);
            failed.at = began(failed.at);
            failed.next_attempt = failed.at + wait;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{account, after, at, intent, owner, source};
    use super::super::{FailedAttempt, ImposedPause, Outage, OutageKind, REQUEST_MEMORY_MAX, Record, Wanted};
    use super::*;
    use crate::condition::Reason;

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

    /// A ledger with one of each span: a request, a token request, a field in doubt, one that may be undone, a PUT whose
    /// answer will not come, a failure, a disruption, a pause.
    fn everything() -> Ledger {
        let begins = |seconds, to| Record::Intent {
            at: at(seconds),
            account: account(1),
            name: "a".into(),
            zuid: None,
            field: Field::Enabled,
            to,
            spec_hash: 1,
            lands_by: Some(at(seconds + 100)),
            cause: None,
        };
        let (account, field) = (account(1), Field::Enabled);
        let applied = Record::Applied { at: at(41), account, field, value: true, source: source(), evidence: None };
        let pause = Some(ImposedPause { until: at(90), reason: Reason::Throttled });
        let records = [begins(0, false), begins(40, true), applied, Record::TokenRequest { at: at(42) }];
        let mut ledger = after(Ledger::new(owner()), &records);
        ledger.apply(intent(43, Field::ActiveSyncEnabled, false));
        ledger.apply(Record::Pause { pause });
        let failed = FailedAttempt {
            to: true,
            spec_hash: 1,
            reason: Reason::Rejected,
            code: "400".into(),
            message: "no".into(),
            since: at(44),
            at: at(44),
            attempts: 1,
            next_attempt: at(644),
        };
        ledger.apply(Record::Failed { account, field: Field::ActiveSyncEnabled, failed: Some(Box::new(failed)) });
        let wanted = |seconds| Some(Wanted { to: true, since: at(seconds) });
        let kind = OutageKind::ServiceFails;
        let outage = Outage { kind, why: "HTTP 500".into(), since: at(38), failures: 1 };
        ledger.apply(Record::Outage { outage: Some(Box::new(outage)) });
        let (enabled, active_sync_enabled) = (wanted(36), wanted(37));
        let unready = Unready { since: at(35), enabled, active_sync_enabled, unreconciled: false };
        ledger.apply(Record::Unready { account, unready: Some(unready), ready_since: None });
        ledger
    }

    /// Every moment of a span in it, in seconds of the samples' time.
    fn spans(ledger: &Ledger) -> Vec<i64> {
        let fields = ledger.accounts.values().flat_map(|row| Field::ALL.map(|field| row.field(field)));
        let fields = fields.flatten().flat_map(|state| match state {
            FieldState::Applied { .. } | FieldState::Read { .. } => vec![],
            FieldState::InDoubt { since, lands_by, .. } => vec![*since, *lands_by],
            FieldState::Unsettled { until, .. } => vec![*until],
        });
        let failed = ledger.accounts.values().flat_map(|row| Field::ALL.map(|field| row.failed(field)));
        let failed = failed.flatten().flat_map(|failed| [failed.at, failed.next_attempt]);
        let stray = ledger.strays.until(account(1), Field::Enabled, false);
        let moments = ledger.requests.iter().chain(&ledger.token_requests).chain(ledger.disruptions.values()).copied();
        let unready = ledger.unready.values().flat_map(|unready| {
            let fields = [unready.enabled, unready.active_sync_enabled].map(|wanted| wanted.unwrap().since);
            [unready.since].into_iter().chain(fields)
        });
        let moments = moments.chain(fields).chain(failed).chain(stray).chain(ledger.pause.map(|pause| pause.until));
        let moments = moments.chain(unready).chain(ledger.outage.iter().map(|outage| outage.since));
        moments.map(|moment| (moment.as_millis().cast_signed() - at(0).as_millis().cast_signed()) / 1000).collect()
    }

    #[test]
    fn a_step_either_way_changes_no_span_and_back_again_nothing_at_all() {
        const YEARS: u64 = 3 * 365 * 86_400;
        let ledger = everything();
        for (from, to, by) in [(at(50), at(7250), 7200), (at(YEARS), at(0), -YEARS.cast_signed())] {
            let stepped = after(ledger.clone(), &[Record::ClockStepped { from, to }]);
            assert_eq!(spans(&stepped), spans(&ledger).iter().map(|moment| moment + by).collect::<Vec<_>>());
            let mut back = after(stepped, &[Record::ClockStepped { from: to, to: from }]);
            assert_eq!(back.lapsed.by, Some(from.max(to)), "what was over by then stays over");
            assert_eq!(back.clock_set_at, Some(from), "for a while no read is believed against what is known");
            (back.serial, back.lapsed, back.clock_set_at) = (ledger.serial, Lapsed::default(), None);
            assert_eq!(back, ledger, "and when something was acknowledged stays as it was written");
        }
    }

    #[test]
    fn what_lies_ahead_counts_as_of_now_and_is_found_out_once() {
        let ledger = everything();
        assert_eq!(ledger.ahead_of(at(43)), None);
        assert_eq!(ledger.ahead_of(at(42)), None, "too little to be a step");
        assert_eq!(ledger.ahead_of(at(41)), Some(at(43)));
        let clamped = after(ledger.clone(), &[Record::ClockBehind { at: at(20), lands_by: at(110), remembered: None }]);
        assert_eq!(spans(&ledger), [0, 40, 42, 43, 42, 100, 283, 100, 43, 283, 44, 644, 100, 90, 35, 36, 37, 38]);
        assert_eq!(spans(&clamped), [0, 20, 20, 20, 20, 100, 110, 100, 20, 110, 20, 620, 100, 90, 20, 20, 20, 20]);
        assert_eq!(clamped.ahead_of(at(20)), None);
    }

    #[test]
    fn a_disruption_or_a_put_that_cannot_have_begun_yet_gives_a_wrong_clock_away_where_no_request_is_remembered() {
        let mut ledger = Ledger::new(owner());
        ledger.disruptions.insert(account(1), at(0) + DISRUPTION_LATENESS);
        assert_eq!(ledger.ahead_of(at(0)), None);
        ledger.disruptions.insert(account(1), at(2) + DISRUPTION_LATENESS);
        assert_eq!(ledger.ahead_of(at(0)), Some(at(2)));
    }

    #[test]
    fn a_field_that_is_wanted_since_a_moment_to_come_gives_a_wrong_clock_away_though_its_account_is_unready_for_longer()
    {
        let wanted = Some(Wanted { to: true, since: at(9) });
        for field in Field::ALL {
            let mut unready = Unready::new(at(0));
            *unready.field_mut(field) = wanted;
            let mut ledger = Ledger::new(owner());
            ledger.unready.insert(account(1), unready);
            assert_eq!((ledger.ahead_of(at(1)), ledger.ahead_of(at(9))), (Some(at(9)), None));
        }
    }
}
