//! The service fails, or refuses all alike: when that is said of it, where, and until when.

use super::*;
use crate::ledger::OutageKind;

/// A machine that has the mailboxes of so many accounts to enable.
fn stage(accounts: u64) -> Stage {
    let mut stage = Stage::new(Mode::Run);
    stage.step(folder(&(1..=accounts).map(|n| (n, true)).collect::<Vec<_>>()));
    stage
}

/// The service answers the next PUTs thus, one after the other, whenever they come.
fn answer(stage: &mut Stage, puts: usize, outcome: impl Fn() -> Outcome) {
    assert_eq!(stage.answer(puts, |n| answered(n, outcome())).len(), puts);
}

fn failed() -> Outcome {
    Outcome::Retry(Failure { reason: Reason::ServiceUnavailable, message: "HTTP 500".into() })
}

fn refused() -> Outcome {
    Outcome::Rejected(Failure { reason: Reason::Forbidden, message: "HTTP 403".into() })
}

/// Reason and message of the account that was asked for last of all, or never.
fn last(stage: &mut Stage) -> (Reason, String) {
    let list = stage.machine.accounts(Part::default(), stage.now);
    let waits = list.items.iter().rfind(|item| item.status.work.failures == 0).unwrap();
    let condition = waits.status.conditions[0].clone();
    (condition.reason, condition.message.to_string())
}

#[test]
fn a_service_that_fails_several_accounts_is_said_to_fail_until_it_accepts_one() {
    let mut stage = stage(20);
    answer(&mut stage, 4, failed);
    assert_eq!(stage.report().service_failing, None, "four accounts may be four accounts");
    answer(&mut stage, 1, failed);
    assert_eq!(stage.report().service_failing.as_deref(), Some("HTTP 500"));
    let (reason, message) = last(&mut stage);
    assert_eq!(reason, Reason::ServiceUnavailable);
    assert!(message.contains("fails one account after the other (HTTP 500); one request probes it"), "{message}");
    answer(&mut stage, 2, || Outcome::Applied);
    assert_eq!((stage.report().service_failing, last(&mut stage).0), (None, Reason::ReconciliationSucceeded));
}

#[test]
fn a_single_probe_that_fails_after_a_restart_says_nothing_of_the_service_and_three_do() {
    let mut before = stage(20);
    answer(&mut before, 5, failed);
    let mut ledger = before.machine.ledger.clone();
    assert_eq!(ledger.outage.take().unwrap().kind, OutageKind::ServiceFails);
    let mut stage = Stage::with(settings(Mode::Run), ledger);
    stage.step(folder(&(1..=20).map(|n| (n, true)).collect::<Vec<_>>()));
    for failures in 1..=3 {
        answer(&mut stage, 1, failed);
        assert_eq!(stage.report().service_failing.is_some(), failures == 3, "{failures}");
    }
}

#[test]
fn accounts_that_are_refused_alike_are_one_cause_in_the_report_and_for_all_that_wait_and_the_daemon_stays_ready() {
    let mut stage = stage(20);
    answer(&mut stage, 9, refused);
    assert_eq!(stage.report().refused_alike, None);
    answer(&mut stage, 1, refused);
    let report = stage.report();
    assert_eq!((report.refused_alike.as_deref(), report.not_ready()), (Some("HTTP 403"), None));
    let (reason, message) = last(&mut stage);
    assert_eq!(reason, Reason::ProgressingWithRetry);
    assert!(message.contains("which has one cause (HTTP 403)"), "{message}");
    answer(&mut stage, 2, || Outcome::Applied);
    assert_eq!(stage.report().refused_alike, None);
}

#[test]
fn what_is_refused_alike_is_probed_at_growing_intervals_and_all_of_it_goes_once_the_cause_is_over() {
    let mut stage = stage(12);
    // The last two were under way when ten had been refused.
    answer(&mut stage, 12, refused);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let before = stage.now;
        answer(&mut stage, 1, refused);
        waits.push(stage.now.since(before).as_secs());
    }
    assert_eq!(waits, [10, 20, 40, 60, 60, 60, 60, 60], "one request each, whatever the accounts' own turns are");
    let mended = stage.now;
    answer(&mut stage, 12, || Outcome::Applied);
    assert_eq!((stage.machine.backlog.refused(), stage.machine.backlog.pending()), (0, 0));
    assert!(stage.now.since(mended) <= Duration::from_secs(61), "{:?}", stage.now.since(mended));
}

#[test]
fn what_stays_refused_alike_for_days_costs_a_request_an_hour() {
    let mut stage = stage(12);
    let began = stage.now;
    answer(&mut stage, 12, refused);
    let mut before = stage.now;
    while stage.now.since(began) < Duration::from_secs(24 * 3600) {
        before = stage.now;
        answer(&mut stage, 1, refused);
    }
    assert_eq!(stage.now.since(before), Duration::from_secs(3600));
    answer(&mut stage, 12, || Outcome::Applied);
    assert_eq!((stage.machine.backlog.refused(), stage.machine.backlog.pending()), (0, 0));
}

#[test]
fn a_single_pass_does_not_wait_for_a_probe_of_what_it_has_given_up() {
    let mut stage = Stage::new(Mode::Apply);
    stage.step(folder(&(1..=4).map(|n| (n, true)).collect::<Vec<_>>()));
    answer(&mut stage, 3, refused);
    answer(&mut stage, 1, || Outcome::Applied);
    assert!(stage.machine.has_ended(stage.now), "{:?}", stage.machine.next_timeout());
}

#[test]
fn when_another_is_accepted_one_of_those_that_were_refused_alike_asks_whether_the_cause_is_over() {
    let mut stage = stage(14);
    answer(&mut stage, 12, refused);
    answer(&mut stage, 1, || Outcome::Applied);
    let mended = stage.now;
    answer(&mut stage, 2, || Outcome::Applied);
    answer(&mut stage, 11, || Outcome::Applied);
    assert_eq!((stage.machine.backlog.refused(), stage.now.since(mended).as_secs()), (0, 0));
}

#[test]
fn what_kept_everybody_waiting_is_known_after_a_restart_and_said_again_and_ends_with_what_is_accepted() {
    let mut before = stage(20);
    answer(&mut before, 10, refused);
    let since = before.machine.ledger.outage.as_ref().unwrap().since;
    let mut stage = Stage::with(settings(Mode::Run), before.machine.ledger.clone());
    let everybody = || folder(&(1..=20).map(|n| (n, true)).collect::<Vec<_>>());
    stage.machine.handle(everybody(), stage.now, 0.5);
    let logs: Vec<_> = stage.machine.effects.iter().map(|effect| format!("{effect:?}")).collect();
    let said = |what: &str| logs.iter().filter(|log| log.contains(what)).count();
    assert_eq!((said("Remembered"), said("StillRefused { accounts: 10")), (1, 1), "{logs:?}");
    assert_eq!(stage.report().refused_alike.as_deref(), Some("HTTP 403"));
    stage.step(Event::Tick);
    assert_eq!(last(&mut stage).0, Reason::ProgressingWithRetry);
    answer(&mut stage, 1, refused);
    assert_eq!(stage.machine.ledger.outage.as_ref().unwrap().since, since, "one more says nothing else");
    answer(&mut stage, 1, || Outcome::Applied);
    assert_eq!((stage.report().refused_alike, &stage.machine.ledger.outage), (None, &None));
}

#[test]
fn after_a_restart_what_was_refused_alike_is_probed_by_one_request_at_a_time() {
    // What was under way when ten had been refused.
    for under_way in [refused, other] {
        let mut before = stage(40);
        answer(&mut before, 10, refused);
        before.now = before.now + Duration::from_millis(1);
        answer(&mut before, 1, under_way);
        let mut stage = Stage::with(settings(Mode::Run), before.machine.ledger.clone());
        stage.step(folder(&(1..=40).map(|n| (n, true)).collect::<Vec<_>>()));
        let mut waits = Vec::new();
        for _ in 0..5 {
            let before = stage.now;
            answer(&mut stage, 1, refused);
            waits.push(stage.now.since(before).as_secs());
        }
        assert_eq!(waits, [0, 5, 10, 20, 40]);
        answer(&mut stage, 1, other);
        assert_eq!(stage.report().refused_alike, None, "not all are refused alike");
    }
}

#[test]
fn what_is_accepted_after_a_refusal_has_two_more_tried_and_the_rest_one_after_the_other() {
    let mut stage = stage(120);
    stage.chance = |n| n as f64 / 120.0;
    let accepted_now_and_then = |n| if n % 6 == 0 { Outcome::Applied } else { refused() };
    assert_eq!(stage.answer(120, |n| answered(n, accepted_now_and_then(n))).len(), 120);
    assert_eq!((stage.machine.backlog.refused(), stage.report().refused_alike), (100, None));
    // Refused twice more, they wait for half an hour or longer.
    assert_eq!(stage.answer(200, |n| answered(n, refused())).len(), 200);
    // Mended for one in five; the first of them has its own turn.
    let mended = |n| if n % 5 == 0 { Outcome::Applied } else { refused() };
    let left = |stage: &Stage| stage.machine.backlog.refused();
    while left(&stage) == 100 {
        assert_eq!(stage.answer(1, |n| answered(n, mended(n))).len(), 1);
    }
    let (accepted, mut seconds) = (stage.now, Vec::new());
    while left(&stage) > 80 {
        assert_eq!(stage.answer(1, |n| answered(n, mended(n))).len(), 1);
        seconds.push(stage.now.since(accepted).as_secs());
    }
    assert!(*seconds.last().unwrap() <= 600, "{seconds:?}");
    let at_once = seconds.chunk_by(|before, after| after - before < 5).map(<[_]>::len).max();
    assert!(at_once <= Some(8), "{seconds:?}");
}

#[test]
fn with_nothing_left_to_send_nothing_is_known_to_be_in_trouble() {
    let mut before = stage(20);
    answer(&mut before, 10, refused);
    let mut stage = Stage::with(settings(Mode::Run), before.machine.ledger.clone());
    stage.step(Event::Tick);
    assert!(stage.report().refused_alike.is_some(), "before the folder was read");
    let suspended = |n| document("MailAccount", n, &format!("accountId: '{n}', enabled: true, suspend: true"));
    stage.step(files((1..=20).map(suspended)));
    assert_eq!((stage.report().refused_alike, &stage.machine.ledger.outage), (None, &None));
}

#[test]
fn what_is_said_of_all_is_never_said_in_the_words_of_another_trouble() {
    let mut stage = stage(40);
    // The last one was under way when ten had been refused.
    answer(&mut stage, 11, refused);
    answer(&mut stage, 2, failed);
    let report = stage.report();
    assert_eq!((report.refused_alike.as_deref(), report.service_failing.as_deref()), (Some("HTTP 403"), None));
    answer(&mut stage, 1, failed);
    let report = stage.report();
    assert_eq!((report.refused_alike.as_deref(), report.service_failing.as_deref()), (None, Some("HTTP 500")));
}

#[test]
fn a_service_that_refuses_one_account_otherwise_does_not_refuse_all_alike_and_answers_again_once_it_accepts_one() {
    for (outcome, says) in [(other as fn() -> Outcome, false), (|| Outcome::Applied, true)] {
        let mut stage = stage(40);
        answer(&mut stage, 11, refused);
        answer_logged(&mut stage, outcome, says);
        let report = stage.report();
        assert_eq!((report.refused_alike, report.service_failing), (None, None));
    }
}

/// Refused as no other account was.
fn other() -> Outcome {
    Outcome::Rejected(Failure { reason: Reason::AccountNotFound, message: "HTTP 404".into() })
}

/// Answers one probe; the log `says` that the service answers again, or does not.
fn answer_logged(stage: &mut Stage, outcome: fn() -> Outcome, says: bool) {
    while !stage.said.iter().any(|word| word.starts_with("put")) {
        let append = stage.said.iter().rfind(|word| word.starts_with("append"));
        let ticket = append.and_then(|word| word.split([' ', ':']).nth(1)?.parse().ok());
        stage.said.clear();
        match ticket {
            Some(ticket) => stage.step(Event::Durable { ticket }),
            None => {
                stage.now = stage.machine.next_timeout().unwrap();
                stage.step(Event::Tick);
            }
        }
    }
    let account = stage.said[0].split(' ').nth(1).unwrap().parse().unwrap();
    stage.machine.handle(answered(account, outcome()), stage.now, 0.5);
    let is_said =
        |effect: &Effect| matches!(effect, Effect::Log(log) if matches!(**log, Log::Request(RequestLog::AnswersAgain)));
    assert_eq!(stage.machine.effects.iter().any(is_said), says);
}

#[test]
fn what_was_refused_alike_is_written_down_once_when_it_is_accepted_again() {
    let count = 40;
    let mut stage = Stage::new(Mode::Run);
    stage.step(folder(&(1..=count).map(|n| (n, true)).collect::<Vec<_>>()));
    let refused = || Outcome::Rejected(Failure { reason: Reason::Forbidden, message: "HTTP 403".into() });
    while stage.machine.backlog.refused() < 40 {
        stage.answer(1, |n| answered(n, refused()));
        stage.machine.throttle.ask_now(stage.now);
    }
    let before = stage.machine.ledger.serial;
    assert_eq!(stage.answer(40, |n| answered(n, Outcome::Applied)).len(), 40);
    let records = stage.machine.ledger.serial - before;
    // An intent, an acknowledgement, what is over, and one that says when it is tried.
    assert!(records <= 6 * count, "{records} records");
}

#[test]
fn one_account_whose_token_has_no_scope_keeps_no_other_waiting() {
    let scope =
        || Outcome::Paused(PauseCause::ScopeMissing, Failure { reason: Reason::Unauthorized, message: "scope".into() });
    let event = |n: u64| answered(n, if n == 1 { scope() } else { Outcome::Applied });
    let mut stage = Stage::new(Mode::Run);
    stage.step(folder(&(1..=10).map(|n| (n, true)).collect::<Vec<_>>()));
    stage.answer(30, event);
    let edited = stage.now;
    stage.said.clear();
    stage.step(folder(&(1..=11).map(|n| (n, n < 11)).collect::<Vec<_>>()));
    assert_eq!(stage.answer(1, event), [11]);
    assert!(stage.now.since(edited) < Duration::from_secs(5), "{:?}", stage.now.since(edited));
    assert_eq!(stage.report().credentials_refused, None);
}

#[test]
fn an_account_that_is_gone_tells_nothing_of_whom_the_service_throttles() {
    let throttled =
        || Outcome::Paused(PauseCause::Throttled, Failure { reason: Reason::Throttled, message: "busy".into() });
    let event = |n: u64| answered(n, if n == 1 { throttled() } else { Outcome::Applied });
    let mut stage = Stage::new(Mode::Run);
    stage.step(folder(&(1..=5).map(|n| (n, true)).collect::<Vec<_>>()));
    stage.answer(12, event);
    let (files, (origin, decided)) = (vec![(Arc::from("a0.yaml"), Look::Gone)], Default::default());
    let root = Root::Ready;
    stage.step(Event::Looked(Batch { files, root, full: true, asked: false, degraded: None, origin, decided }));
    stage.now = stage.now + Duration::from_secs(48 * 3600);
    stage.said.clear();
    stage.step(folder_of(2..=8));
    assert_eq!(stage.answer(1, |n| answered(n, throttled())).len(), 1);
    assert!(stage.report().pause.is_some(), "the first such answer is for everybody");
}

/// All of a folder in which the mailboxes of these accounts are declared, each in the file of its number.
fn folder_of(accounts: std::ops::RangeInclusive<u64>) -> Event {
    let Event::Looked(mut batch) = folder(&accounts.clone().map(|n| (n, true)).collect::<Vec<_>>()) else {
        unreachable!()
    };
    for ((path, _), n) in batch.files.iter_mut().zip(accounts) {
        *path = format!("a{}.yaml", n - 1).into();
    }
    Event::Looked(batch)
}
