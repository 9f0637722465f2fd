//! Pauses: whose words impose them and for how long, what a restart makes of them, and who lifts them.

use super::*;
use crate::ledger::ImposedPause;
use crate::throttle::PAUSE_MAX;
use crate::zoho::{RetryAfter, TokenAnswer, TokenOutcome};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn failure(reason: Reason) -> Failure {
    Failure { reason, message: "busy".into() }
}

/// The answer to the PUT of account `n`, which asks for a wait.
fn asking(n: u64, outcome: Outcome, wait: Duration, in_envelope: bool) -> Event {
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
