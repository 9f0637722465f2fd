//! Somebody changes accounts elsewhere: what a daemon finds, what it does about that, and what it costs others.

use super::refreshing::{answer, failed, page};
use super::*;
use crate::condition::{ConditionStatus, ConditionType};
use crate::controller::DriftPolicy;
use crate::ledger::{CORRECTIONS_MAX, READ_LAG};
use crate::throttle::RateLimit;
use crate::zoho::Principal;

const HOUR: Duration = Duration::from_secs(3600);

/// All of the listing is in one page.
fn watching(policy: DriftPolicy) -> Stage {
    watching_as(Principal::User, policy)
}

fn watching_as(principal: Principal, policy: DriftPolicy) -> Stage {
    let drift_interval = Some((HOUR, principal));
    let settings = Settings { drift_interval, drift_policy: policy, ..settings(Mode::Run) };
    Stage::with(settings, Ledger::new(Owner::User))
}

/// Goes on until a page is asked for, and answers it so; PUTs on the way are accepted.
fn read(stage: &mut Stage, shown: &[(u64, Option<bool>)]) {
    until_page(stage);
    stage.feed(page(shown));
}

/// Goes on until a page is asked for. Returns the PUTs on the way, which are accepted.
fn until_page(stage: &mut Stage) -> Vec<String> {
    let mut puts = Vec::new();
    for _ in 0..2_000 {
        let said = std::mem::take(&mut stage.said);
        if said.iter().any(|word| word.starts_with("read ")) {
            return puts;
        }
        perform(stage, said, &mut puts);
        if stage.said.is_empty() {
            stage.now = stage.machine.next_timeout().expect("a page is due some time");
            stage.step(Event::Tick);
        }
    }
    panic!("no page is asked for");
}

fn perform(stage: &mut Stage, said: Vec<String>, puts: &mut Vec<String>) {
    for word in said {
        if let Some(ticket) = word.strip_prefix("append ").and_then(|rest| rest.split(':').next()) {
            stage.feed(Event::Durable { ticket: ticket.parse().unwrap() });
        }
        if let Some(put) = word.strip_prefix("put ") {
            puts.push(put.to_owned());
            stage.feed(answered(put.split(' ').next().unwrap().parse().unwrap(), Outcome::Applied));
        }
    }
}

/// Accepts everything that is to be sent, until nothing is left but what waits.
fn settle(stage: &mut Stage) -> Vec<String> {
    let mut puts = Vec::new();
    for _ in 0..100 {
        let said = std::mem::take(&mut stage.said);
        if said.is_empty() {
            return puts;
        }
        perform(stage, said, &mut puts);
    }
    panic!("it does not come to rest");
}

/// The first account's reason, and whether it is said to be drifted.
fn shown_as(stage: &mut Stage) -> (Reason, bool) {
    let conditions = stage.machine.accounts(Part::default(), stage.now).items[0].status.conditions.clone();
    let drifted = |told: &crate::condition::Condition| {
        told.kind == ConditionType::Drifted && told.status == ConditionStatus::True
    };
    (conditions[0].reason, conditions.iter().any(drifted))
}

/// Applied, read once as it was set, and so long ago that a read is believed.
fn applied(policy: DriftPolicy) -> Stage {
    let mut stage = watching(policy);
    stage.step(folder(&[(1, true), (2, true)]));
    read(&mut stage, &[(1, Some(true)), (2, Some(true))]);
    settle(&mut stage);
    assert_eq!(shown_as(&mut stage), (Reason::ReconciliationSucceeded, false));
    stage
}

#[test]
fn what_is_reported_is_shown_and_no_put_leaves_and_it_is_over_when_it_is_set_back() {
    let mut stage = applied(DriftPolicy::Report);
    read(&mut stage, &[(1, Some(false)), (2, Some(true))]);
    assert_eq!(settle(&mut stage), [""; 0]);
    assert_eq!(shown_as(&mut stage), (Reason::Drifted, true));
    let found = stage.now;
    let report = stage.report();
    assert_eq!((report.by_condition.drifted, report.by_condition.ready, report.pending), (1, 1, 0));
    assert_eq!(report.read.unwrap().drifted, 1);
    read(&mut stage, &[(1, Some(false)), (2, Some(true))]);
    let item = stage.machine.accounts(Part::default(), stage.now).items.remove(0);
    assert_eq!(item.status.conditions[0].last_transition_time, found, "since it was found first");
    read(&mut stage, &[(1, Some(true)), (2, Some(true))]);
    assert_eq!(settle(&mut stage), [""; 0]);
    assert_eq!(shown_as(&mut stage), (Reason::ReconciliationSucceeded, false));
}

#[test]
fn what_is_corrected_is_put_once_and_its_history_says_that_it_was_drift() {
    let mut stage = applied(DriftPolicy::Correct);
    read(&mut stage, &[(1, Some(false)), (2, Some(true))]);
    let since = stage.now;
    let change = &plan(&stage, 1).changes[0];
    assert_eq!((change.to, change.drift), (true, Some(since)));
    assert_eq!(settle(&mut stage), ["1 true"]);
    assert_eq!(shown_as(&mut stage), (Reason::ReconciliationSucceeded, false));
}

#[test]
fn what_a_budget_holds_of_a_correction_is_drift_still_when_it_is_set_right() {
    let drift_interval = Some((Duration::from_secs(60), Principal::User));
    let (drift_policy, disruption_budget) = (DriftPolicy::Correct, "1".parse().unwrap());
    let settings = Settings { drift_interval, drift_policy, disruption_budget, ..settings(Mode::Run) };
    let mut stage = Stage::with(settings, Ledger::new(Owner::User));
    stage.step(folder(&[(1, false), (2, true)]));
    read(&mut stage, &[(1, Some(false)), (2, Some(true))]);
    settle(&mut stage);
    stage.now = stage.now + Duration::from_secs(700);
    // Another removal uses the budget up.
    stage.step(folder(&[(1, false), (2, false)]));
    settle(&mut stage);
    for _ in 0..2 {
        read(&mut stage, &[(1, Some(true)), (2, Some(false))]);
        assert_eq!(settle(&mut stage), [""; 0], "held");
        assert!(plan(&stage, 1).changes[0].drift.is_some());
    }
    stage.now = stage.now + Duration::from_secs(700);
    stage.step(Event::Tick);
    assert_eq!(settle(&mut stage), ["1 false"]);
}

#[test]
fn the_pages_of_a_large_organization_are_spread_over_the_interval_from_the_first_reading_on() {
    let mut stage = watching_as(Principal::Admin("7".parse().unwrap()), DriftPolicy::Report);
    let accounts: Vec<_> = (1..=2_000).map(|n| (n, true)).collect();
    stage.step(folder(&accounts));
    until_page(&mut stage);
    let began = stage.now;
    for page_of in accounts.chunks(200) {
        let shown: Vec<_> = page_of.iter().map(|(n, _)| (*n, Some(true))).collect();
        stage.feed(page(&shown));
        if stage.report().read.is_some_and(|read| read.accounts == 2_000) {
            break;
        }
        until_page(&mut stage);
    }
    let took = stage.now.since(began);
    assert!(took > HOUR / 2 && took <= HOUR, "{took:?}");
}

fn plan(stage: &Stage, n: u64) -> crate::plan::AccountPlan {
    let account = AccountId::new(n).unwrap();
    let Machine { desired, ledger, .. } = &stage.machine;
    crate::plan::plan_account(account, desired.get(account), ledger.accounts.get(&account), stage.now)
}

#[test]
fn what_comes_back_again_and_again_is_left_alone_for_a_day() {
    let mut stage = applied(DriftPolicy::Correct);
    for time in 1..=CORRECTIONS_MAX {
        read(&mut stage, &[(1, Some(false)), (2, Some(true))]);
        assert_eq!(settle(&mut stage), ["1 true"], "{time}");
    }
    read(&mut stage, &[(1, Some(false)), (2, Some(true))]);
    assert_eq!((settle(&mut stage), shown_as(&mut stage)), (Vec::new(), (Reason::Flapping, true)));
    stage.now = stage.now + Duration::from_secs(24 * 3600);
    stage.step(Event::Tick);
    read(&mut stage, &[(1, Some(false)), (2, Some(true))]);
    assert_eq!(settle(&mut stage), ["1 true"], "another day");
}

#[test]
fn a_read_that_may_lag_behind_a_put_is_no_drift() {
    let mut stage = applied(DriftPolicy::Correct);
    until_page(&mut stage);
    // The page is asked for, and an edit is applied before its answer comes.
    stage.step(folder(&[(1, false), (2, true)]));
    assert_eq!(settle(&mut stage), ["1 false"]);
    stage.feed(page(&[(1, Some(true)), (2, Some(true))]));
    assert_eq!((settle(&mut stage), shown_as(&mut stage).0), (Vec::new(), Reason::ReconciliationSucceeded));
    stage.now = stage.now + READ_LAG;
    assert_eq!(stage.machine.ledger.known(AccountId::new(1).unwrap(), Field::Enabled), Known::Applied(false));
}

#[test]
fn what_is_wanted_otherwise_meanwhile_is_no_drift_and_needs_no_put() {
    let mut stage = applied(DriftPolicy::Report);
    // A budget of nothing holds the removal, and somebody does it by hand.
    stage.machine.settings.disruption_budget = "0".parse().unwrap();
    stage.step(files([document("MailAccount", 1, "accountId: '1', enabled: false, suspend: true")].into_iter()));
    read(&mut stage, &[(1, Some(false)), (2, Some(true))]);
    stage.step(folder(&[(1, false)]));
    assert_eq!(settle(&mut stage), [""; 0]);
    assert_eq!(stage.machine.ledger.known(AccountId::new(1).unwrap(), Field::Enabled), Known::Applied(false));
}

#[test]
fn a_page_waits_for_what_can_be_sent_and_leaves_half_of_the_request_budget() {
    let mut stage = watching(DriftPolicy::Report);
    stage.machine.settings.rate_limit = Some(RateLimit { count: 4, per: Duration::from_secs(60) });
    let mut fresh = Stage::with(stage.machine.settings.clone(), Ledger::new(Owner::User));
    fresh.step(folder(&(1..=6).map(|n| (n, true)).collect::<Vec<_>>()));
    let seen = until_page(&mut fresh);
    assert_eq!(seen.len(), 6, "all PUTs were before it: {seen:?}");
    assert!(fresh.machine.throttle.usage(fresh.now).used <= 3, "and it took one of two that are its own");
}

#[test]
fn a_page_that_is_throttled_ends_the_reading_and_the_next_one_comes_though_nothing_is_to_be_put() {
    let mut stage = applied(DriftPolicy::Report);
    until_page(&mut stage);
    let failure = Failure { reason: Reason::Throttled, message: "too many".into() };
    stage.feed(answer(Outcome::Paused(PauseCause::Throttled, failure), Code::Http(429), None));
    let paused = stage.now;
    until_page(&mut stage);
    let waited = stage.now.since(paused);
    assert!(waited > HOUR - Duration::from_secs(100) && waited <= HOUR + Duration::from_secs(10), "{waited:?}");
}

#[test]
fn credentials_that_do_not_work_are_recorded_once_though_only_a_page_waits_for_them() {
    let mut stage = watching(DriftPolicy::Report);
    assert_eq!(stage.feed(folder(&[])), Then::ReadCredentials);
    let failure = Failure { reason: Reason::Unauthorized, message: "no".into() };
    stage.check(Event::Credentials(Err(failure)), &["append 1: CredentialsRefused"]);
    stage.check(Event::Durable { ticket: 1 }, &[]);
    assert_eq!(stage.report().credentials_refused.as_deref(), Some("no"));
    assert!(stage.machine.next_timeout().is_some_and(|next| next > stage.now), "it does not spin");
}

#[test]
fn a_reading_that_fails_takes_nothing_for_gone_and_the_next_one_comes_after_the_interval() {
    let mut stage = applied(DriftPolicy::Correct);
    until_page(&mut stage);
    let began = stage.now;
    for _ in 0..3 {
        stage.feed(failed(Code::Lost));
        until_page(&mut stage);
    }
    stage.feed(failed(Code::Lost));
    assert_eq!(settle(&mut stage), [""; 0]);
    assert_eq!(stage.report().read.unwrap().incomplete.as_deref(), Some("it hung up"));
    until_page(&mut stage);
    assert!(stage.now.since(began) >= HOUR - Duration::from_secs(60), "{}", stage.now);
    let failure = Failure { reason: Reason::Unauthorized, message: "HTTP 401 INVALID_OAUTHSCOPE".into() };
    stage.feed(answer(Outcome::Paused(PauseCause::ScopeMissing, failure), Code::Http(401), None));
    assert_eq!(settle(&mut stage), [""; 0]);
    assert_eq!(shown_as(&mut stage), (Reason::ReconciliationSucceeded, false));
}
