//! The grant budget: a revert that would enable many mailboxes again is held, until it is approved.

use super::{Place, Service};
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

#[test]
fn a_mailbox_that_may_be_disabled_counts_as_one_that_comes_back() {
    // The service acts on all removals, and one of its answers arrives.
    let mut place = Place::new();
    let service = Service::with_faults(r#"{"operation": "put", "nth": 6, "times": 100, "do": "dropAfterActing"}"#);
    service.serve(&mut place);
    let declare =
        |enabled: bool| (1..=4).for_each(|n| place.account(&format!("p{n}"), n, &format!("enabled: {enabled}")));
    declare(true);
    place.ok("apply");
    declare(false);
    place.run("apply --max-wait 1s --max-concurrency 1");
    declare(true);
    service.world.lock().unwrap().set_faults(Default::default());
    let puts = service.requests();
    let planned = place.run("plan --grant-budget 2");
    assert!(planned.out.contains("Held by the grant budget: 4 changes of 4 accounts"), "{}", planned.all());
    assert_eq!(place.run("apply --grant-budget 2").code, 3);
    assert_eq!(service.requests(), puts, "nothing is sent");
    assert!(
        place.ok("plan --grant-budget 4").contains("Plan: 4 PUTs, of which 4 grant and 0 take away; 0 changes held.")
    );
}

/// Three manifests that want this.
fn declare(place: &Place, wanted: &str) {
    (1..=3).for_each(|n| place.account(&format!("p{n}"), n, wanted));
}

#[test]
fn joiners_begin_within_no_grant_budget_and_those_whose_mailbox_was_taken_away_come_back() {
    let mut place = Place::new();
    place.set("ZOHO_MAIL_SANDBOX", "true").set("ZOHO_MAIL_GRANT_BUDGET", "1");
    let (later, begun) =
        ("enabled: true, validFrom: 2999-01-01T08:00:00Z", "enabled: true, validFrom: 2020-01-01T08:00:00Z");
    declare(&place, later);
    place.ok("apply");
    assert!(!place.run("plan").all().contains("grant budget"), "they never had anything");
    declare(&place, begun);
    assert!(place.ok("apply").contains("3 planned = 3 applied"));
    // Now they have, and a date takes it away.
    declare(&place, later);
    let note = "3 accounts begin by their dates at TIME, and the grant budget lets 1 go: they are held then, unless an approval";
    for when in ["planned", "sent"] {
        let planned = place.run("plan");
        assert!(planned.err.contains(note), "{when}: {}", planned.all());
        assert!(
            place.ok("plan -o markdown").contains(&format!("**Later held by the grant budget:** {note}")),
            "{when}"
        );
        let document: serde_json::Value = serde_json::from_str(&place.ok("plan -o json")).unwrap();
        assert_eq!(document["laterHeld"][0]["takesAway"], false, "{when}");
        place.ok("apply");
    }
    declare(&place, begun);
    let applied = place.run("apply");
    assert!(applied.code == 3 && applied.out.contains("Held by the grant budget: 3 changes"), "{}", applied.all());
}

#[test]
fn a_manifest_that_says_nothing_of_grants_leaves_the_say_to_the_option() {
    let place = reverted();
    let limits = |wanted: &str| {
        place.write("desired-state/limits.yaml", &Manifest::budget("limits").wanting(wanted).to_string());
    };
    for (wanted, advice) in [
        ("maxDisruptions: 9", "or raise --grant-budget for one apply"),
        ("maxGrants: 2", "(--grant-budget has no say: the manifest limits.yaml:1 has)"),
    ] {
        limits(wanted);
        let (text, comment) =
            (place.run("plan --grant-budget 2").out, place.run("plan --grant-budget 2 -o markdown").out);
        assert!(text.contains(advice) && comment.contains(advice), "{wanted}: {text}{comment}");
    }
}
