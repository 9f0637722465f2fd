//! Pauses: whose words impose them and for how long, what a restart makes of them, and who lifts them.

use super::*;
use crate::ledger::ImposedPause;
use crate::order::Order;
use crate::throttle::PAUSE_MAX;
use crate::zoho::{RetryAfter, TokenAnswer, TokenOutcome};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn failure(reason: Reason) -> Failure {
    Failure { reason, message: "busy".into() }
}

/// The answer to the PUT of account `n`, which asks for a wait.
pub(super) fn asking(n: u64, outcome: Outcome, wait: Duration, in_envelope: bool) -> Event {
    let Event::Answered { account, answer } = answered(n, outcome) else { unreachable!() };
    Event::Answered { account, answer: Answer { retry_after: Some(RetryAfter { wait, in_envelope }), ..answer } }
}

/// A stage on which the PUT of account 1 is under way.
fn under_way(mode: Mode) -> Stage {
    let mut stage = Stage::new(mode);
    stage.check(folder(&[(1, true)]), &["append 1: intent 1 true"]);
    stage.check(Event::Durable { ticket: 1 }, &["put 1 true"]);
    stage
}

/// How long everybody pauses.
fn paused(stage: &mut Stage) -> Option<Duration> {
    stage.report().pause.map(|pause| pause.until.since(stage.now))
}

#[test]
fn only_the_words_of_the_service_itself_pause_everybody_for_longer_than_the_options_say() {
    let usual = Duration::from_secs(90);
    let trouble = || Outcome::InDoubt(failure(Reason::ServiceUnavailable));
    let throttled = || Outcome::Paused(PauseCause::Throttled, failure(Reason::Throttled));
    for outcome in [trouble, throttled as fn() -> Outcome] {
        for (wait, in_envelope, expected) in [
            (DAY, true, DAY),
            (DAY, false, usual),
            (Duration::from_secs(7), true, Duration::from_secs(7)),
            (Duration::from_secs(7), false, Duration::from_secs(7)),
        ] {
            let mut stage = under_way(Mode::Run);
            stage.feed(asking(1, outcome(), wait, in_envelope));
            assert_eq!(paused(&mut stage), Some(expected), "{:?} {wait:?} {in_envelope}", outcome());
            assert_eq!(stage.machine.ledger.pause.map(|pause| pause.until), Some(stage.now + expected));
        }
    }
    for (in_envelope, expected) in [(true, DAY), (false, usual)] {
        let asked = Some(RetryAfter { wait: DAY, in_envelope });
        let outcome = TokenOutcome::Throttled(failure(Reason::Throttled), asked);
        let mut stage = Stage::new(Mode::Run);
        stage.feed(Event::Token(TokenAnswer { outcome, code: Code::Http(429), took: Duration::ZERO }));
        assert_eq!(paused(&mut stage), Some(expected), "a token request, {in_envelope}");
    }
}

#[test]
fn a_pause_that_a_clock_wrote_down_years_ahead_is_written_down_anew_as_it_counts() {
    let mut ledger = Ledger::new(Owner::User);
    let reason = Reason::Throttled;
    ledger.apply(Record::Pause { pause: Some(ImposedPause { until: NOW + 1_000 * DAY, reason }) });
    let mut stage = Stage::with(settings(Mode::Run), ledger);
    assert_eq!(paused(&mut stage), Some(PAUSE_MAX));
    stage.now = NOW + Duration::from_secs(1);
    stage.check(Event::Tick, &["append 1: pause"]);
    // To the next restart it is that pause, and not one that begins anew.
    let again = Stage::with(settings(Mode::Run), stage.machine.ledger.clone());
    assert_eq!(again.machine.throttle.pause(NOW), Some(ImposedPause { until: NOW + PAUSE_MAX, reason }));
    assert_eq!(again.machine.unwritten.due(), None, "what is right already is not written again");
}

/// Why the pass ended early.
fn gave_up(stage: &Stage) -> Option<&str> {
    stage.machine.pass.gave_up()
}

/// A pause that is in force when the stage begins.
fn paused_for(mode: Mode, wait: Duration) -> Stage {
    let mut ledger = Ledger::new(Owner::User);
    ledger.apply(Record::Pause { pause: Some(ImposedPause { until: NOW + wait, reason: Reason::Throttled }) });
    Stage::with(settings(mode), ledger)
}

#[test]
fn a_pass_ends_with_what_is_left_when_the_next_request_cannot_start_in_time_and_a_daemon_waits() {
    let millisecond = Duration::from_millis(1);
    for (mode, wait, ends) in
        [(Mode::Apply, MAX_WAIT + millisecond, true), (Mode::Apply, MAX_WAIT, false), (Mode::Run, DAY, false)]
    {
        let mut stage = paused_for(mode, wait);
        let then = stage.check(folder(&[(1, true), (2, false)]), &[]);
        assert_eq!(then, if ends { Then::End } else { Then::Wait }, "{mode:?} {wait:?}");
        assert_eq!(gave_up(&stage).is_some(), ends, "{mode:?} {wait:?}");
        let summary = stage.machine.summary(stage.now);
        let left = if mode == Mode::Apply { 2 } else { 0 };
        assert_eq!((summary.planned, summary.failed.len()), (left, left));
    }
    let stage = {
        let mut stage = paused_for(Mode::Apply, DAY);
        stage.check(folder(&[(1, true)]), &[]);
        stage
    };
    assert_eq!(
        gave_up(&stage),
        Some(
            "no request can start before 2027-01-16T08:00:00.000Z, and --max-wait is 20m: the service asked for a pause; \
             apply again after that, or lift it with zoho-mail-reconciler resume --pause and the same --ledger"
        )
    );
    let mut nothing_to_do = paused_for(Mode::Apply, DAY);
    assert_eq!(nothing_to_do.check(folder(&[]), &[]), Then::End);
    assert_eq!(gave_up(&nothing_to_do), None);
}

#[test]
fn a_pass_that_is_paused_hears_what_is_under_way_before_it_ends() {
    let mut stage = Stage::new(Mode::Apply);
    stage.check(folder(&[(1, true), (2, true), (3, true)]), &["append 1: intent 1 true, intent 2 true"]);
    stage.check(Event::Durable { ticket: 1 }, &["put 1 true", "put 2 true"]);
    let throttled = Outcome::Paused(PauseCause::Throttled, failure(Reason::Throttled));
    assert_eq!(stage.feed(asking(1, throttled, DAY, true)), Then::Wait);
    assert!(gave_up(&stage).is_some_and(|why| why.contains("the service asked for a pause")), "{:?}", gave_up(&stage));
    assert_eq!(stage.feed(answered(2, Outcome::Applied)), Then::End);
    let summary = stage.machine.summary(stage.now);
    assert_eq!((summary.planned, summary.applied, summary.failed.len()), (3, 1, 2));
    assert_eq!(summary.failed[1].why, "not attempted: the pass gave up");
}

#[test]
fn a_pass_gives_up_on_a_request_budget_and_on_backoffs_that_take_too_long() {
    let limit = "1/1h".parse().ok();
    let mut stage = Stage::with(Settings { rate_limit: limit, ..settings(Mode::Apply) }, Ledger::new(Owner::User));
    stage.check(folder(&[(1, true), (2, true)]), &["append 1: intent 1 true"]);
    stage.check(Event::Durable { ticket: 1 }, &["put 1 true"]);
    assert_eq!(stage.check(answered(1, Outcome::Applied), &["append 2: applied 1 true"]), Then::End);
    assert!(gave_up(&stage).is_some_and(|why| why.contains("the request budget is used up")), "{:?}", gave_up(&stage));

    let slow = Backoff { min: Duration::from_secs(3600), max: DAY };
    let mut stage = Stage::with(Settings { backoff: slow, ..settings(Mode::Apply) }, Ledger::new(Owner::User));
    stage.check(folder(&[(1, true), (2, true)]), &["append 1: intent 1 true, intent 2 true"]);
    stage.check(Event::Durable { ticket: 1 }, &["put 1 true", "put 2 true"]);
    let lost = || Outcome::Retry(failure(Reason::ServiceUnavailable));
    assert_eq!(stage.feed(answered(1, lost())), Then::Wait);
    assert_eq!(gave_up(&stage), None, "the other request is under way");
    assert_eq!(stage.feed(answered(2, lost())), Then::End);
    assert!(gave_up(&stage).is_some_and(|why| why.contains("everything that is left was tried")));
}

/// A pause that account 1 met, and the order to lift it.
fn throttled() -> (Stage, Order) {
    let mut stage = Stage::new(Mode::Run);
    stage.check(folder(&[(1, true), (2, true)]), &["append 1: intent 1 true, intent 2 true"]);
    stage.check(Event::Durable { ticket: 1 }, &["put 1 true", "put 2 true"]);
    let throttled = || Outcome::Paused(PauseCause::Throttled, failure(Reason::Throttled));
    stage.feed(asking(1, throttled(), DAY, true));
    stage.feed(asking(2, throttled(), DAY, true));
    stage.said.clear();
    (stage, Order::PauseLift { until: NOW + DAY, by: Some("eve".into()) })
}

#[test]
fn a_pause_that_is_lifted_ends_at_once_with_one_probe_and_a_record_of_who_lifted_it() {
    let (mut stage, order) = throttled();
    let pause = ImposedPause { until: NOW + DAY, reason: Reason::Throttled };
    assert_eq!(stage.machine.ledger.pause, Some(pause));
    stage.check(Event::Ordered(order.clone()), &["append 4: lifted by eve, intent 1 true"]);
    assert_eq!(paused(&mut stage), None);
    stage.check(Event::Durable { ticket: 4 }, &["put 1 true"]);
    stage.check(Event::Ordered(order), &[]);
    stage.check(answered(1, Outcome::Applied), &["append 5: applied 1 true, intent 2 true"]);
}

#[test]
fn an_order_that_comes_late_or_names_another_pause_lifts_nothing() {
    let (mut stage, order) = throttled();
    for until in [NOW + Duration::from_secs(1), NOW + 2 * DAY] {
        stage.check(Event::Ordered(Order::PauseLift { until, by: None }), &[]);
        assert_eq!(paused(&mut stage), Some(DAY));
    }
    let mut without = Stage::new(Mode::Run);
    without.check(Event::Ordered(order), &[]);
}

#[test]
fn a_lifted_pause_lets_the_next_token_be_requested_and_makes_a_restart_probe_alone() {
    let mut stage = Stage::new(Mode::Run);
    let refresh = || crate::zoho::RefreshCredentials::new("id", "secret", "refresh").unwrap();
    let credentials = || Event::Credentials(Ok(Credentials::Refresh(refresh())));
    assert_eq!(stage.feed(folder(&[(1, true), (2, true)])), Then::ReadCredentials);
    stage.check(credentials(), &["append 1: token request"]);
    stage.check(Event::Durable { ticket: 1 }, &["fetch a token"]);
    let asked = Some(RetryAfter { wait: DAY, in_envelope: true });
    let outcome = TokenOutcome::Throttled(failure(Reason::Throttled), asked);
    stage.feed(Event::Token(TokenAnswer { outcome, code: Code::Http(400), took: Duration::ZERO }));
    let order = Order::PauseLift { until: NOW + DAY, by: None };
    assert_eq!(stage.feed(Event::Ordered(order)), Then::ReadCredentials, "a token is requested anew");
    let mut restarted = Stage::with(settings(Mode::Run), stage.machine.ledger.clone());
    restarted.check(folder(&[(1, true), (2, true)]), &["append 1: intent 1 true"]);
}
