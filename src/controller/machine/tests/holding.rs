//! What a budget holds is noted as held, and goes when the budget has room for it again.

use super::*;
use crate::controller::event::StateLog;

/// Accounts 1 to 5, all wanted so, and a budget of so many accounts.
fn budgeted(enabled: bool, max: u64) -> Event {
    let account = |n| document("MailAccount", n, &format!("accountId: '{n}', enabled: {enabled}"));
    files((1..=5).map(account).chain([document("DisruptionBudget", 9, &format!("maxDisruptions: {max}"))]))
}

/// Several requests at a time, with this budget.
fn at_once(budget: &str) -> Settings {
    Settings { max_concurrency: 9, disruption_budget: budget.parse().unwrap(), ..settings(Mode::Run) }
}

/// So many accounts, of which these lose their mailbox.
fn without(accounts: u64, off: &[u64]) -> Event {
    folder(&(1..=accounts).map(|n| (n, !off.contains(&n))).collect::<Vec<_>>())
}

/// A machine whose accounts have everything.
fn granted(settings: Settings, event: Event) -> Stage {
    let mut stage = Stage::with(settings, Ledger::new(Owner::User));
    stage.step(event);
    stage.answer(20, |n| answered(n, Outcome::Applied));
    stage
}

/// Held, pending and queued accounts.
fn counts(stage: &mut Stage) -> (usize, usize, usize) {
    let report = stage.report();
    (report.held, report.pending, report.queued)
}

fn applied(stage: &mut Stage) -> Vec<u64> {
    let mut asked = stage.answer(20, |n| answered(n, Outcome::Applied));
    asked.sort_unstable();
    asked
}

#[test]
fn a_budget_that_is_lowered_while_removals_wait_holds_them_and_lets_them_go_when_it_is_raised() {
    let mut stage = granted(at_once("10"), budgeted(true, 10));
    stage.step(Event::Suspension(Some(Freeze::default())));
    stage.step(budgeted(false, 10));
    stage.step(budgeted(false, 3));
    assert_eq!(stage.report().held, 5, "before its turn comes");
    stage.step(Event::Suspension(None));
    assert_eq!(counts(&mut stage), (5, 5, 0));
    stage.said.clear();
    stage.step(budgeted(false, 10));
    assert_eq!(applied(&mut stage), [1, 2, 3, 4, 5]);
}

#[test]
fn a_share_of_fewer_accounts_holds_removals_that_wait_and_lets_them_go_when_the_others_are_back() {
    let mut stage = granted(at_once("50%"), without(10, &[]));
    stage.step(Event::Suspension(Some(Freeze::default())));
    stage.step(without(10, &[1, 2, 3, 4, 5]));
    let gone = (6..10).map(|n| (Arc::from(format!("a{n}.yaml")), Look::Gone)).collect();
    let (origin, decided) = Default::default();
    let batch = Batch { files: gone, root: Root::Ready, full: true, asked: false, degraded: None, origin, decided };
    stage.step(Event::Looked(batch));
    stage.step(Event::Suspension(None));
    assert_eq!(counts(&mut stage), (5, 5, 0));
    stage.said.clear();
    stage.step(without(10, &[1, 2, 3, 4, 5]));
    assert_eq!(applied(&mut stage), [1, 2, 3, 4, 5]);
}

#[test]
fn one_edit_that_takes_removals_back_and_adds_others_loses_none_of_them() {
    let mut stage = granted(at_once("2"), without(5, &[]));
    stage.step(without(5, &[1, 2, 3]));
    stage.step(without(5, &[3, 4, 5]));
    assert_eq!(counts(&mut stage), (3, 3, 0));
    stage.said.clear();
    stage.step(without(5, &[3, 4]));
    assert_eq!(applied(&mut stage), [3, 4]);
}

#[test]
fn each_time_something_is_held_it_is_logged() {
    let mut stage = granted(at_once("2"), without(5, &[]));
    let mut logged = 0;
    for _ in 0..3 {
        for off in [&[1_u64, 2, 3][..], &[]] {
            stage.machine.handle(without(5, off), stage.now, 0.5);
            let Turn { effects, .. } = stage.machine.turn(stage.now);
            let is_held = |effect: &&Effect| matches!(effect, Effect::Log(log) if matches!(**log, Log::State(StateLog::Held(..))));
            logged += effects.iter().filter(is_held).count();
        }
    }
    assert_eq!(logged, 3);
}

#[test]
fn a_refused_removal_whose_next_try_meets_trouble_holds_no_other() {
    let refused = || Outcome::Rejected(Failure { reason: Reason::Forbidden, message: "HTTP 403".into() });
    let failure = |reason| Failure { reason, message: "busy".into() };
    for trouble in [
        Outcome::Paused(PauseCause::Throttled, failure(Reason::Throttled)),
        Outcome::Paused(PauseCause::TokenRefused, failure(Reason::Unauthorized)),
        Outcome::Retry(failure(Reason::ServiceUnavailable)),
        Outcome::InDoubt(failure(Reason::InDoubt)),
    ] {
        let mut stage = Stage::with(at_once("2"), Ledger::new(Owner::User));
        stage.step(folder(&[(9, false), (5, true)]));
        stage.answer(2, |n| answered(n, if n == 9 { refused() } else { Outcome::Applied }));
        stage.answer(1, |n| answered(n, trouble.clone()));
        stage.step(folder(&[(9, false), (5, true), (1, false), (2, false)]));
        let asked = stage.answer(6, |n| answered(n, if n == 9 { refused() } else { Outcome::Applied }));
        if matches!(trouble, Outcome::InDoubt(_)) {
            // It may have been acted upon: it counts.
            assert!(asked.contains(&9), "{asked:?}");
        } else {
            assert!(asked.contains(&1) && asked.contains(&2), "{trouble:?}: {asked:?}");
        }
    }
}
