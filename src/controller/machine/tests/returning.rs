//! Mailboxes that this program disabled come back: within the grant budget, or by an approval.

use super::clock::{HOUR, SECOND};
use super::*;
use crate::guard::GrantBudget;

/// A machine that lets so many come back in ten minutes, and has disabled three.
fn stage(grants: &str) -> Stage {
    let grant_budget: GrantBudget = grants.parse().unwrap();
    let settings =
        Settings { grant_budget, disruption_budget: "9".parse().unwrap(), max_concurrency: 9, ..settings(Mode::Run) };
    let mut stage = Stage::with(settings, Ledger::new(Owner::User));
    stage.check(
        folder(&[(1, false), (2, false), (3, false)]),
        &["append 1: intent 1 false, intent 2 false, intent 3 false"],
    );
    answer(&mut stage, 1, &[1, 2, 3], &Outcome::Applied);
    stage
}

/// The intents of `ticket` are durable, and each of their PUTs ends so.
fn answer(stage: &mut Stage, ticket: u64, accounts: &[u64], outcome: &Outcome) {
    stage.feed(Event::Durable { ticket });
    for n in accounts {
        stage.feed(answered(*n, outcome.clone()));
    }
    stage.machine.write();
    stage.machine.turn(stage.now);
    stage.said.clear();
}

/// The accounts that were intended to come back since the last look.
fn begun(stage: &mut Stage) -> Vec<String> {
    let said = std::mem::take(&mut stage.said).join(", ");
    said.split([',', ':']).filter_map(|word| word.trim().strip_prefix("intent ")).map(str::to_owned).collect()
}

const ALL: &[(u64, bool)] = &[(1, true), (2, true), (3, true)];

#[test]
fn a_revert_of_more_removals_than_the_grant_budget_allows_is_held_as_a_whole_and_nothing_else_is() {
    let mut stage = stage("2");
    stage.feed(folder(&[(1, true), (2, true), (3, true), (4, true)]));
    assert_eq!(begun(&mut stage), ["4 true"], "it never was disabled");
    let report = stage.report();
    assert_eq!((report.held, report.held_grants, report.disruptions.exceeded()), (3, 3, false));
    let status = stage.machine.accounts(Part::default(), stage.now);
    let ready = &status.items[0].status.conditions[0];
    assert_eq!(ready.reason, Reason::DisruptionBudgetExceeded);
    let words =
        "enabled false -> true: held by the grant budget (0 accounts charged in the last 10m + 3 accounts pending";
    assert!(ready.message.starts_with(words), "{}", ready.message);
    // One fewer fits.
    stage.feed(folder(&[(1, true), (2, true), (3, false), (4, true)]));
    assert_eq!(begun(&mut stage), ["1 true", "2 true"]);
    assert_eq!(stage.report().held, 0);
}

#[test]
fn without_a_grant_budget_any_number_comes_back() {
    let mut stage = stage("off");
    stage.feed(folder(ALL));
    assert_eq!(begun(&mut stage).len(), 3);
    assert_eq!(stage.report().grants, None);
}

#[test]
fn what_came_back_counts_for_the_window_also_after_a_restart_and_what_was_refused_does_not() {
    let mut stage = stage("1");
    stage.feed(folder(&[(1, true), (2, false), (3, false)]));
    assert_eq!(begun(&mut stage), ["1 true"]);
    answer(&mut stage, 3, &[1], &Outcome::Applied);
    assert_eq!(stage.machine.ledger.returns.len(), 1);
    let mut next = stage.restart(stage.now + SECOND);
    next.machine.ledger = Ledger::from_bytes(Some(&stage.machine.ledger.to_bytes()), b"").unwrap().unwrap();
    next.feed(folder(&[(1, true), (2, true), (3, false)]));
    assert_eq!((begun(&mut next).len(), next.report().held_grants), (0, 1));
    next.now = next.now + HOUR;
    assert_eq!(next.feed(Event::Tick), Then::ReadCredentials);
    next.feed(Event::Credentials(Ok(Credentials::Token(AccessToken::new("token").unwrap()))));
    assert_eq!(begun(&mut next), ["2 true"]);
    let refused = Outcome::Rejected(Failure { reason: Reason::Forbidden, message: "no".into() });
    answer(&mut next, 1, &[2], &refused);
    assert_eq!(next.machine.ledger.returns.get(&AccountId::new(2).unwrap()), None);
}

#[test]
fn an_approval_lets_exactly_these_back_and_one_of_removals_lets_none() {
    let approval = |stage: &Stage, grants: &str| {
        let expires = stage.now + HOUR;
        let spec = format!("reason: x, expires: \"{expires}\", {grants}accounts: [{{name: a2, fields: [enabled]}}]");
        let accounts =
            ALL.iter().map(|(n, on)| document("MailAccount", *n, &format!("accountId: '{n}', enabled: {on}")));
        files(accounts.chain([document("DisruptionApproval", 9, &spec)]))
    };
    let mut stage = stage("0");
    let event = approval(&stage, "");
    stage.feed(event);
    assert_eq!((begun(&mut stage).len(), stage.report().held_grants), (0, 3));
    let event = approval(&stage, "grants: true, ");
    stage.feed(event);
    assert_eq!((begun(&mut stage), stage.report().held_grants), (vec!["2 true".to_owned()], 2));
    assert!(stage.machine.ledger.returns.is_empty(), "what an approval covers uses up nothing");
}

#[test]
fn the_two_budgets_hold_and_let_go_each_its_own() {
    let mut stage = stage("1");
    stage.machine.settings.disruption_budget = "0".parse().unwrap();
    stage.feed(folder(&[(1, true), (2, true), (3, false), (4, false)]));
    let report = stage.report();
    assert_eq!((report.held, report.held_grants), (3, 2), "{:?}", stage.said);
    stage.feed(folder(&[(1, true), (2, false), (3, false), (4, false)]));
    assert_eq!(begun(&mut stage), ["1 true"]);
    let report = stage.report();
    assert_eq!((report.held, report.held_grants), (1, 0));
}
