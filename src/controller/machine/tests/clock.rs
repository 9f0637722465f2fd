//! The wall clock is set while the machine runs, or was wrong before it started.

use super::*;
use crate::controller::event::StateLog;
use crate::throttle::RateLimit;
use crate::timestamp::ClockStep;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const YEARS: Duration = Duration::from_secs(3 * 365 * 86_400);

/// What the clock does, one after the other: forward and back.
const STEPS: [&[(Duration, Duration)]; 4] = [
    &[(Duration::from_secs(7200), Duration::ZERO)],
    &[(Duration::ZERO, Duration::from_secs(7200))],
    &[(YEARS, Duration::ZERO), (Duration::ZERO, YEARS)],
    &[(Duration::ZERO, Duration::from_secs(7200)), (YEARS, Duration::ZERO), (Duration::ZERO, YEARS)],
];

impl Stage {
    /// The clock is set; nothing follows of it but one line in the log and a record.
    #[track_caller]
    pub(super) fn set_clock(&mut self, (forward, back): (Duration, Duration)) {
        let from = self.now;
        self.now = (from + forward).before(back);
        self.machine.handle(Event::ClockStepped(ClockStep { from, to: self.now }), self.now, 0.5);
        let Turn { effects, .. } = self.machine.turn(self.now);
        let is_told = |effect: &&Effect| matches!(effect, Effect::Log(log) if matches!(**log, Log::State(StateLog::ClockStepped(_))));
        assert_eq!(effects.iter().filter(is_told).count(), 1);
        let acts: Vec<_> = effects.iter().filter_map(word).collect();
        assert!(acts.len() == 1 && acts[0].ends_with("clock stepped"), "{acts:?}");
    }

    /// Time passes, and what it brings.
    #[track_caller]
    pub(super) fn pass(&mut self, time: Duration, expected: &[&str]) {
        self.now = self.now + time;
        self.check(Event::Tick, expected);
    }

    /// The next process, with what the ledger remembers.
    pub(super) fn restart(&self, now: Timestamp) -> Self {
        self.restart_with(self.machine.settings.clone(), now)
    }

    /// The same with other settings.
    fn restart_with(&self, settings: Settings, now: Timestamp) -> Self {
        Self { machine: Machine::new(settings, self.machine.ledger.clone(), now), now, ..Self::new(Mode::Run) }
    }
}

pub(super) fn suspended(until: Option<Timestamp>) -> Event {
    Event::Suspension(Some(Freeze { until, ..Freeze::default() }))
}

/// The mailbox of account 1 is to be disabled, which an approval lets through until `expires`, and no budget does.
fn leaver(expires: Timestamp) -> Event {
    let approval = format!("reason: x, expires: \"{expires}\", accounts: [{{name: a1, fields: [enabled]}}]");
    let account = document("MailAccount", 1, "accountId: '1', enabled: false");
    files([account, document("DisruptionApproval", 2, &approval)].into_iter())
}

/// A machine that lets nothing be taken away without an approval.
fn strict() -> Stage {
    let nothing = Settings { disruption_budget: "0".parse().unwrap(), ..settings(Mode::Run) };
    Stage::with(nothing, Ledger::new(Owner::User))
}

#[test]
fn a_removal_is_held_when_the_clock_is_set_past_the_end_of_its_approval() {
    let mut stage = strict();
    let expires = stage.now + HOUR;
    stage.check(suspended(None), &[]);
    stage.check(leaver(expires), &[]);
    stage.set_clock((2 * HOUR, Duration::ZERO));
    stage.check(Event::Suspension(None), &[]);
    assert_eq!(stage.report().held, 1);
    // The same with an intent that is on its way to the disk.
    let mut stage = strict();
    stage.check(leaver(expires), &["append 1: intent 1 false"]);
    stage.set_clock((2 * HOUR, Duration::ZERO));
    stage.check(Event::Durable { ticket: 1 }, &["append 3: not applied 1"]);
    assert_eq!(stage.report().held, 1);
}

#[test]
fn an_approval_that_was_over_once_stays_over_whatever_the_clock_says_until_another_is_written() {
    for (evenly, steps) in [
        (HOUR, &[(Duration::ZERO, 2 * HOUR)][..]),
        (SECOND, &[(YEARS, Duration::ZERO), (Duration::ZERO, YEARS)]),
        (SECOND, &[(HOUR, Duration::ZERO), (Duration::ZERO, HOUR), (Duration::ZERO, HOUR)]),
    ] {
        let mut stage = strict();
        let expires = stage.now + HOUR;
        stage.check(suspended(None), &[]);
        stage.check(leaver(expires), &[]);
        stage.pass(evenly, &[]);
        steps.iter().for_each(|step| stage.set_clock(*step));
        assert!(stage.now < expires);
        stage.check(Event::Suspension(None), &[]);
        stage.check(leaver(expires), &[]);
        assert_eq!(stage.report().held, 1, "also when the folder is read again");
        assert!(stage.machine.accounts(Part::default(), stage.now).approvals[0].expired, "and people see it");
        stage.check(leaver(expires + SECOND), &[&format!("append {}: intent 1 false", steps.len() + 2)]);
    }
}

#[test]
fn a_pause_keeps_its_length_whatever_the_clock_does() {
    for steps in STEPS {
        let mut stage = Stage::new(Mode::Run);
        stage.check(folder(&[(1, true)]), &["append 1: intent 1 true"]);
        stage.check(Event::Durable { ticket: 1 }, &["put 1 true"]);
        let throttled = Failure { reason: Reason::Throttled, message: "too many".into() };
        let answer = answered(1, Outcome::Paused(PauseCause::Throttled, throttled));
        stage.check(answer, &["append 2: not applied 1, pause, other"]);
        stage.pass(30 * SECOND, &[]);
        steps.iter().for_each(|step| stage.set_clock(*step));
        assert_eq!(stage.machine.ledger.pause, stage.machine.throttle.pause(stage.now), "a restart knows it as well");
        assert_eq!(stage.machine.next_timeout(), Some(stage.now + 60 * SECOND));
        let (report, begun) = (stage.report(), Some(stage.now.before(30 * SECOND)));
        assert_eq!((report.oldest_pending, report.last_sync), (begun, begun));
        stage.pass(60 * SECOND - Duration::from_millis(1), &[]);
        let next = format!("append {}: intent 1 true", 3 + steps.len());
        stage.pass(Duration::from_millis(1), &[&next]);
    }
}

/// A machine whose window of two requests a minute is full, and a third account that waits.
fn full_window() -> Stage {
    let rate_limit = Some(RateLimit { count: 2, per: 60 * SECOND });
    let mut stage = Stage::with(Settings { rate_limit, ..settings(Mode::Run) }, Ledger::new(Owner::User));
    stage.check(folder(&[(1, true), (2, true), (3, true)]), &["append 1: intent 1 true, intent 2 true"]);
    stage.check(Event::Durable { ticket: 1 }, &["put 1 true", "put 2 true"]);
    stage.check(answered(1, Outcome::Applied), &["append 2: applied 1 true"]);
    stage.check(answered(2, Outcome::Applied), &["append 3: applied 2 true"]);
    stage
}

#[test]
fn a_full_window_of_requests_stays_full_for_its_length_whatever_the_clock_does() {
    for steps in STEPS {
        let mut stage = full_window();
        stage.pass(10 * SECOND, &[]);
        steps.iter().for_each(|step| stage.set_clock(*step));
        stage.pass(50 * SECOND - Duration::from_millis(1), &[]);
        stage.pass(Duration::from_millis(1), &[&format!("append {}: intent 3 true", 4 + steps.len())]);
    }
}

#[test]
fn a_restart_finds_the_window_full_after_a_clock_that_ran_behind_was_set_right_and_if_it_runs_behind_now() {
    let three = || folder(&[(1, true), (2, true), (3, true)]);
    // It ran two hours behind, was set right, and the process starts again.
    let mut stage = full_window();
    stage.set_clock((2 * HOUR, Duration::ZERO));
    let mut next = stage.restart(stage.now + SECOND);
    next.check(three(), &[]);
    next.pass(60 * SECOND, &["append 1: intent 3 true"]);
    // The process starts again while the clock is two hours, or three years, behind.
    for behind in [2 * HOUR, YEARS] {
        let stage = full_window();
        let mut next = stage.restart(stage.now.before(behind));
        next.check(three(), &["append 1: clock behind"]);
        next.pass(60 * SECOND - Duration::from_millis(1), &[]);
        next.pass(Duration::from_millis(1), &["append 2: intent 3 true"]);
        let mut again = next.restart(next.now);
        again.check(Event::Tick, &[]);
    }
}

/// A machine that took one mailbox away, the budget being one in ten minutes, and holds another.
fn full_disruption_window() -> Stage {
    let budget = Settings { disruption_budget: "1".parse().unwrap(), ..settings(Mode::Run) };
    let mut stage = Stage::with(budget, Ledger::new(Owner::User));
    stage.check(folder(&[(1, false)]), &["append 1: intent 1 false"]);
    stage.check(Event::Durable { ticket: 1 }, &["put 1 false"]);
    stage.check(answered(1, Outcome::Applied), &["append 2: applied 1 false"]);
    stage.check(folder(&[(1, false), (2, false)]), &[]);
    assert_eq!(stage.report().held, 1);
    stage
}

#[test]
fn a_window_of_disruptions_keeps_its_length_whatever_the_clock_does() {
    for steps in STEPS {
        let mut stage = full_disruption_window();
        stage.pass(100 * SECOND, &[]);
        steps.iter().for_each(|step| stage.set_clock(*step));
        stage.pass(500 * SECOND - Duration::from_millis(1), &[]);
        stage.pass(Duration::from_millis(1), &[&format!("append {}: intent 2 false", 4 + steps.len())]);
    }
}

#[test]
fn a_disruption_that_is_remembered_as_still_to_come_leaves_the_window_when_one_that_is_begun_now_would() {
    let stage = full_disruption_window();
    for behind in [2 * HOUR, YEARS] {
        let mut next = stage.restart(stage.now.before(behind));
        next.check(folder(&[(1, false), (2, false)]), &["append 1: clock behind"]);
        // What is begun now waits for the disk, is under way, and lands.
        next.pass(600 * SECOND + 240 * SECOND - Duration::from_millis(1), &[]);
        next.pass(Duration::from_millis(1), &["append 2: intent 2 false"]);
    }
}

#[test]
fn suspensions_of_an_account_and_of_everything_end_when_the_clock_of_then_says_so() {
    let mut stage = Stage::new(Mode::Run);
    let until = stage.now + HOUR;
    let spec = format!("accountId: '1', enabled: true, suspend: true, suspendUntil: \"{until}\"");
    stage.check(files([document("MailAccount", 1, &spec)].into_iter()), &[]);
    stage.check(suspended(Some(until)), &[]);
    let seen = |stage: &mut Stage| {
        let report = stage.report();
        (report.suspended.is_some(), report.by_condition.suspended)
    };
    assert_eq!(seen(&mut stage), (true, 1));
    stage.check(Event::Unwritable("full".to_owned()), &[]);
    stage.set_clock((YEARS, Duration::ZERO));
    assert_eq!(seen(&mut stage), (false, 0));
    stage.set_clock((Duration::ZERO, YEARS));
    stage.check(Event::Writable, &[]);
    assert_eq!(seen(&mut stage), (true, 1));
    stage.pass(HOUR - Duration::from_millis(1), &[]);
    assert_eq!(seen(&mut stage), (true, 1));
    stage.pass(Duration::from_millis(1), &["append 4: intent 1 true"]);
    assert_eq!(seen(&mut stage), (false, 0));
}

#[test]
fn a_suspension_of_one_account_that_a_wrong_clock_ended_is_in_force_again_and_ends_by_itself() {
    let mut stage = Stage::new(Mode::Run);
    let until = stage.now + HOUR;
    let spec = format!("accountId: '1', enabled: true, suspend: true, suspendUntil: \"{until}\"");
    stage.check(files([document("MailAccount", 1, &spec)].into_iter()), &[]);
    stage.check(Event::Unwritable("full".to_owned()), &[]);
    stage.set_clock((YEARS, Duration::ZERO));
    assert_eq!(stage.report().by_condition.suspended, 0);
    stage.set_clock((Duration::ZERO, YEARS));
    stage.check(Event::Writable, &[]);
    assert_eq!(stage.report().by_condition.suspended, 1);
    stage.pass(HOUR, &["append 4: intent 1 true"]);
}

#[test]
fn approvals_that_were_over_when_the_ledger_was_written_stay_over_for_a_process_that_starts_with_a_clock_behind() {
    let mut stage = strict();
    stage.check(folder(&[(2, true)]), &["append 1: intent 2 true"]);
    let expired = stage.now.before(SECOND);
    let mut next = stage.restart(stage.now.before(2 * HOUR));
    next.check(leaver(expired), &["append 1: clock behind"]);
    assert_eq!(next.report().held, 1);
    // Nor does it count for one that starts after that, though the ledger remembers nothing any more as still to come.
    let mut third = next.restart(next.now);
    third.check(leaver(expired), &[]);
    assert_eq!(third.report().held, 1);
    third.check(leaver(expired + 2 * SECOND), &["append 1: intent 1 false"]);
}

#[test]
fn approvals_that_were_over_before_the_clock_went_back_stay_over_for_the_next_process_until_it_says_so_itself() {
    let mut stage = strict();
    let expires = stage.now + HOUR;
    stage.check(suspended(None), &[]);
    stage.check(leaver(expires), &[]);
    stage.pass(HOUR, &[]);
    stage.set_clock((Duration::ZERO, 2 * HOUR));
    let ends = |ledger: &Ledger| ledger.lapsed.approvals.iter().map(|(_, expires)| *expires).collect::<Vec<_>>();
    assert_eq!((ends(&stage.machine.ledger), stage.machine.ledger.lapsed.by), (vec![expires], None));
    let mut next = stage.restart(stage.now + SECOND);
    next.check(leaver(expires), &[]);
    assert_eq!(next.report().held, 1);
    next.check(leaver(expires + SECOND), &["append 1: intent 1 false"]);
    // A step forward past its end, and a fold.
    let mut ledger = stage.machine.ledger.clone();
    for (now, left) in [(expires.before(SECOND), vec![expires]), (expires, vec![])] {
        ledger.forget_before(now);
        assert_eq!(ends(&ledger), left);
    }
}

#[test]
fn approvals_that_were_over_by_a_clock_that_was_set_back_before_the_folder_was_read_stay_over() {
    let mut stage = strict();
    let expired = stage.now.before(SECOND);
    stage.set_clock((Duration::ZERO, 2 * HOUR));
    stage.check(leaver(expired), &[]);
    assert_eq!(stage.report().held, 1);
    stage.check(leaver(expired + 2 * SECOND), &["append 3: intent 1 false"]);
}

#[test]
fn what_failed_waits_as_long_for_a_process_that_starts_with_a_clock_behind_and_a_single_pass_tries_it_at_once() {
    let refused = || Outcome::Rejected(Failure { reason: Reason::Rejected, message: "no".into() });
    let mut stage = Stage::new(Mode::Run);
    stage.check(folder(&[(1, true)]), &["append 1: intent 1 true"]);
    stage.check(Event::Durable { ticket: 1 }, &["put 1 true"]);
    stage.check(answered(1, refused()), &["append 2: not applied 1, other"]);
    let wait = stage.machine.queue.due(AccountId::new(1).unwrap()).unwrap().since(stage.now);
    let mut next = stage.restart(stage.now.before(2 * HOUR));
    next.check(folder(&[(1, true)]), &["append 1: clock behind"]);
    assert_eq!(next.machine.next_timeout(), Some(next.now + wait));
    let mut pass = stage.restart_with(settings(Mode::Apply), stage.now.before(2 * HOUR));
    pass.check(folder(&[(1, true)]), &["append 1: clock behind, intent 1 true"]);
}

#[test]
fn what_is_in_flight_or_backs_off_or_is_being_stopped_has_as_long_as_before_whatever_the_clock_does() {
    for steps in STEPS {
        let mut stage = Stage::new(Mode::Run);
        stage.check(folder(&[(1, true), (2, true)]), &["append 1: intent 1 true, intent 2 true"]);
        stage.check(Event::Durable { ticket: 1 }, &["put 1 true", "put 2 true"]);
        let failure = Failure { reason: Reason::ServiceUnavailable, message: "it hung up".into() };
        stage.check(answered(1, Outcome::Retry(failure)), &["append 2: not applied 1, other"]);
        let due = stage.machine.queue.due(AccountId::new(1).unwrap()).unwrap().since(stage.now);
        steps.iter().for_each(|step| stage.set_clock(*step));
        let began = stage.machine.inflight.get(AccountId::new(2).unwrap()).unwrap().began();
        assert_eq!(began, stage.now);
        assert_eq!(stage.machine.queue.due(AccountId::new(1).unwrap()), Some(stage.now + due));
        stage.check(Event::Stop, &[]);
        steps.iter().for_each(|step| stage.set_clock(*step));
        assert_eq!(stage.machine.stop_by, Some(stage.now + 25 * SECOND));
    }
}

#[test]
fn an_approval_stays_over_where_the_first_look_of_the_next_process_finds_no_folder() {
    for finds_none in [false, true] {
        let strict = Settings { disruption_budget: "0".parse().unwrap(), ..settings(Mode::Run) };
        let mut stage = Stage::with(strict, Ledger::new(Owner::User));
        stage.check(folder(&[(2, true)]), &["append 1: intent 2 true"]);
        let expired = stage.now.before(SECOND);
        let mut next = stage.restart(stage.now.before(2 * HOUR));
        if finds_none {
            let (files, root) = (Vec::new(), Root::Unknown("it is missing".to_owned()));
            let (origin, decided) = Default::default();
            next.step(Event::Looked(Batch { files, root, full: true, asked: false, degraded: None, origin, decided }));
        }
        next.said.clear();
        next.step(leaver(expired));
        let report = next.report();
        assert_eq!((report.held, report.queued), (1, 0), "{finds_none}");
    }
}

#[test]
fn an_intent_that_is_taken_back_takes_no_place_in_the_request_budget_of_the_next_process() {
    let limit = Some(RateLimit { count: 2, per: Duration::from_secs(60) });
    let mut stage = Stage::with(Settings { rate_limit: limit, ..settings(Mode::Run) }, Ledger::new(Owner::User));
    stage.check(folder(&[(1, true), (2, true)]), &["append 1: intent 1 true, intent 2 true"]);
    stage.check(suspended(None), &[]);
    stage.check(Event::Durable { ticket: 1 }, &["append 2: not applied 1, not applied 2"]);
    assert_eq!(stage.machine.ledger.requests, []);
    let mut next = stage.restart(stage.now);
    next.check(folder(&[(1, true), (2, true)]), &["append 1: intent 1 true, intent 2 true"]);
}
