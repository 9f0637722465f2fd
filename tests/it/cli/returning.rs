//! The grant budget: a revert that would enable many mailboxes again is held, until it is approved.

use super::Place;
use crate::builders::Manifest;

/// Three people whose mailbox was disabled, and a revert of that.
fn reverted() -> Place {
    let mut place = Place::new();
    place.set("ZOHO_MAIL_SANDBOX", "true");
    (1..=3).for_each(|n| place.account(&format!("p{n}"), n, "enabled: false"));
    place.ok("apply");
    (1..=3).for_each(|n| place.account(&format!("p{n}"), n, "enabled: true"));
    place
}

#[test]
fn a_revert_is_held_by_the_grant_budget_and_goes_by_the_approval_that_the_plan_prints() {
    let mut place = reverted();
    place.set("ZOHO_MAIL_GRANT_BUDGET", "2");
    insta::assert_snapshot!(place.run("plan --detailed-exitcode").all(), @"
    # p1 (2560636000000008001), p1.yaml:1
      ! enabled           false -> true (held)

    # p2 (2560636000000008002), p2.yaml:1
      ! enabled           false -> true (held)

    # p3 (2560636000000008003), p3.yaml:1
      ! enabled           false -> true (held)

    Plan: 0 PUTs, of which 0 grant and 0 take away; 3 changes held.
    Held by the grant budget: 3 changes of 3 accounts: 0 accounts charged in the last 1h + 3 accounts pending, budget 2 accounts; 3 changes wait; they never fit by themselves. If all of them are meant, commit what `plan --approval --reason TEXT` prints and have it reviewed, or raise --grant-budget for one apply; else look for the mistake.
    Digest: sha256:8be60b75a9f0846c548d159a7ead081335ca2bbbe534859d551408a3e10be80d
    --- stderr
    --- exit 3
    ");
    let applied = place.run("apply --log-level warn");
    assert_eq!(applied.code, 3, "{}", applied.all());
    let held = "Held by the grant budget: 3 changes of 3 accounts: 0 accounts charged in the last 1h + 3 accounts pending, budget 2";
    assert!(
        applied.out.contains(held) && applied.out.contains("raise --grant-budget for one apply"),
        "{}",
        applied.all()
    );
    assert!(applied.err.contains("they exceed the grant budget"), "{}", applied.err);
    assert_eq!(place.ok("status --reason DisruptionBudgetExceeded -o name"), "p1\np2\np3\n");
    assert!(place.ok("status p1 -o wide").contains("held by the grant budget"));
    assert!(place.run("diff").err.contains("the grant budget holds 3 changes of these"));
    let printed = String::from_utf8(place.command("plan --approval --reason=revert").output().unwrap().stdout).unwrap();
    assert!(
        printed.contains("# Lets 3 held grants of 3 accounts through") && printed.contains("\n  grants: true\n"),
        "{printed}"
    );
    // One that lets people leave lets none of them back.
    place.write("desired-state/approval.yaml", &printed.replace("  grants: true\n", ""));
    assert_eq!(place.run("apply").code, 3);
    place.write("desired-state/approval.yaml", &printed);
    assert!(place.ok("apply").contains("3 planned = 3 applied"));
    assert!(place.ok("history p1").contains("approved  approve-"));
}

#[test]
fn a_budget_among_the_manifests_has_the_say_and_a_branch_shows_what_it_will_hold() {
    let place = reverted();

    std::fs::create_dir(place.path().join("base")).unwrap();
    for n in 1..=3 {
        let text = place.read(&format!("desired-state/p{n}.yaml")).replace("enabled: true", "enabled: false");
        place.write(&format!("base/p{n}.yaml"), &text);
    }
    place.write("desired-state/limits.yaml", &Manifest::budget("limits").wanting("maxGrants: 1").to_string());
    let comment = place.ok("plan --base base -o markdown");
    assert!(comment.contains("**Held by the grant budget:** 3 changes of 3 accounts"), "{comment}");
    assert!(comment.contains("10,10% (1 come back) in 1h"), "{comment}");
    let document: serde_json::Value = serde_json::from_str(&place.ok("plan -o json")).unwrap();
    assert_eq!((&document["grantVerdict"]["limit"], &document["summary"]["held"]), (&1.into(), &3.into()));
    assert_eq!(place.run("apply --grant-budget off").code, 3, "the manifest has the say");
    place.write("desired-state/limits.yaml", &Manifest::budget("limits").wanting("maxGrants: off").to_string());
    assert!(place.ok("apply --grant-budget 0").contains("3 planned = 3 applied"));
}

#[test]
fn a_budget_that_was_never_read_holds_what_comes_back_for_it_may_say_so() {
    let place = reverted();
    let limits = Manifest::budget("limits").set("maxGrants", "many").to_string();
    for text in [limits.clone(), limits.replace("maxGrants: many", "maxGrants: \"1")] {
        place.write("desired-state/limits.yaml", &text);
        let plan = place.run("plan");
        assert!(plan.code == 1 && plan.out.contains("3 changes held"), "{text}: {}", plan.all());
    }
    // Where none was asked for, a slip in another file makes none.
    place.write("desired-state/limits.yaml", "kind: MailAcount\n");
    assert!(place.run("plan").out.contains("3 PUTs, of which 3 grant"));
    place.write("desired-state/limits.yaml", &limits.replace("many", "3"));
    assert!(place.ok("apply").contains("3 planned = 3 applied"));
}
