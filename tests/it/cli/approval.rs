//! Budgets, approvals and protected accounts, from the pull request to the service.

use super::{Place, Service, until};
use crate::builders::{Manifest, account};

/// Fifty people with a mailbox, of whom so many leave.
fn leaving(place: &Place, leavers: std::ops::RangeInclusive<u64>) {
    leavers.for_each(|n| place.account(&format!("p{n:02}"), n, "enabled: false"));
}

fn fifty() -> Place {
    let place = Place::new();
    (1..=50).for_each(|n| place.account(&format!("p{n:02}"), n, "enabled: true"));
    place.ok("apply --sandbox");
    place
}

/// Whose mailbox was disabled, by the sandbox's ledger.
fn gone(place: &Place) -> Vec<String> {
    let list: serde_json::Value = serde_json::from_str(&place.ok("status --sandbox -o json")).unwrap();
    let items = list["items"].as_array().unwrap().iter();
    let gone = items.filter(|item| item["status"]["lastApplied"]["enabled"]["value"] == false);
    gone.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// The approval that is printed, as it is: a moment in it must not be masked.
fn approval(place: &Place, arguments: &str) -> String {
    let output = place.command(&format!("plan --approval {arguments}")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn names(numbers: std::ops::RangeInclusive<u64>) -> Vec<String> {
    numbers.map(|n| format!("p{n:02}")).collect()
}

fn budget(place: &Place, spec: &str) {
    place.write("desired-state/limits.yaml", &Manifest::budget("limits").wanting(spec).to_string());
}

#[test]
fn forty_people_leave_by_the_approval_that_the_plan_prints_and_nobody_else_does() {
    let place = fifty();
    leaving(&place, 1..=40);
    assert_eq!(place.run("apply --sandbox").code, 3);
    assert_eq!(gone(&place), Vec::<String>::new());
    let printed = approval(&place, "--sandbox --reason=Lisbon");
    place.write("desired-state/approvals/lisbon.yaml", &printed);
    assert_eq!(place.ok("validate"), "51 of 51 files read, 0 skipped; 50 accounts, no problems\n");
    // Meanwhile so many more slip in that no budget has room for them.
    leaving(&place, 41..=50);
    let plan = place.ok("plan --sandbox --disruption-budget 9");
    assert!(plan.contains("Plan: 40 PUTs, of which 0 grant and 40 take away; 10 changes held."), "{plan}");
    assert_eq!(plan.matches("true -> false (approved by approve-").count(), 40, "{plan}");
    let applied = place.run("apply --sandbox --disruption-budget 9");
    assert!(applied.out.contains("50 planned = 40 applied + 10 held + 0 failed + 0 in doubt"), "{}", applied.all());
    assert_eq!((applied.code, gone(&place)), (3, names(1..=40)));
    let printed = approval(&place, "--sandbox --disruption-budget 9 --reason=more");
    assert!(printed.contains("# Lets 10 held disruptions of 10 accounts through"), "{printed}");
    // What went by approval uses up nothing of the budget.
    place.ok("apply --sandbox --disruption-budget 10");
    assert_eq!(gone(&place), names(1..=50));
    let nothing = place.run("plan --sandbox --approval --reason=none");
    assert_eq!(nothing.all(), "--- stderr\nnote: nothing is held, so there is nothing to approve\n--- exit 0");
}

#[test]
fn an_approval_needs_a_reason_in_one_line_and_a_term() {
    let place = Place::with_alice();
    for arguments in [
        "plan --sandbox --approval",
        "plan --sandbox --reason=x",
        "plan --sandbox --approval --reason=",
        "plan --sandbox --approval --reason=x --expires 0s",
        "plan --sandbox --approval --reason=x --expires 366days",
        "plan --sandbox --approval --reason=x -o json",
    ] {
        let ran = place.run(arguments);
        assert_eq!((ran.code, &*ran.out), (64, ""), "{arguments}: {}", ran.err);
    }
}

#[test]
fn a_budget_among_the_manifests_overrides_the_options_and_says_so() {
    let place = fifty();
    leaving(&place, 1..=3);
    budget(&place, "maxDisruptions: 2");
    let held = place.run("apply --sandbox --disruption-budget 100%");
    assert_eq!((held.code, gone(&place).len()), (3, 0));
    insta::assert_snapshot!(held.out.lines().rev().nth(1).unwrap(), @"Held by the disruption budget: 3 changes of 3 accounts: 0 accounts charged in the last 1h + 3 accounts pending, budget 2 accounts; 3 changes wait; they never fit by themselves. If all of them are meant, commit what `plan --approval --reason TEXT` prints and have it reviewed (--disruption-budget has no say: the manifest limits.yaml:1 has); else look for the mistake.");
    place.write(
        "desired-state/other.yaml",
        &place.read("desired-state/limits.yaml").replace("name: limits", "name: other"),
    );
    let unclear = place.run("plan --sandbox");
    assert!(
        unclear.err.contains("duplicate") || unclear.err.contains("expected one DisruptionBudget"),
        "{}",
        unclear.err
    );
    insta::assert_snapshot!(unclear.out.lines().rev().nth(1).unwrap(), @"Held by the disruption budget: 3 changes of 3 accounts: 0 accounts charged in the last 1h + 3 accounts pending, budget 0 accounts; 3 changes wait; they never fit by themselves. Nothing may be taken away before it is clear which budget counts: there are 2, in limits.yaml:1 and other.yaml:1.");
    std::fs::remove_file(place.path().join("desired-state/other.yaml")).unwrap();
    budget(&place, "maxDisruptions: 3");
    place.ok("apply --sandbox --disruption-budget 0");
    assert_eq!(gone(&place), names(1..=3));
    // The option still says how long a disruption counts.
    leaving(&place, 4..=6);
    assert_eq!(place.run("apply --sandbox").code, 3);
    place.ok("apply --sandbox --disruption-window 0s");
}

#[test]
fn with_a_policy_dir_only_a_budget_and_an_approval_in_it_count_for_every_command() {
    let mut place = Place::new();
    (1..=3).for_each(|n| place.account(&format!("p{n:02}"), n, "enabled: true"));
    place.ok("apply --sandbox");
    place.set("ZOHO_MAIL_POLICY_DIR", "policy");
    let budget = |path: &str, max: &str| {
        place.write(path, &Manifest::budget("limits").set("maxDisruptions", max).to_string());
    };
    budget("desired-state/policy/limits.yaml", "0");
    leaving(&place, 1..=3);
    budget("desired-state/mine.yaml", "100%");
    let said = place.run("validate desired-state -o name");
    let at = "desired-state/mine.yaml:2:7: kind: expected budgets and approvals in policy alone, as --policy-dir says";
    assert!(said.code == 1 && said.out.starts_with(at), "{}", said.all());
    assert_eq!(place.run("plan --sandbox --detailed-exitcode").code, 1, "a problem, and what is planned is held");
    let held = place.run("apply --sandbox");
    assert!(held.out.contains("3 changes of 3 accounts") && gone(&place).is_empty(), "{}", held.all());
    std::fs::remove_file(place.path().join("desired-state/mine.yaml")).unwrap();
    for given in ["", "desired-state", "./desired-state/policy/", "desired-state/policy/limits.yaml"] {
        let said = place.run(&format!("validate {given}"));
        assert_eq!(said.code, 0, "{given}: {}", said.all());
    }
    assert_eq!(place.run("apply --sandbox").code, 3);
}

#[test]
fn a_protected_account_loses_nothing_by_any_manifest_and_validate_says_why() {
    let mut place = Place::new();
    place.account("ceo", 2, "enabled: true, activeSyncEnabled: true");
    place.ok("apply --sandbox");
    let ceo = account(2).to_string();
    for (path, name) in [("ceo", "ceo"), ("renamed", "somebody")] {
        place.manifest(path, name, 2, "enabled: false, activeSyncEnabled: true");
        let said = place.run(&format!("validate -o name --protect {ceo}"));
        let at = format!(
            "desired-state/{path}.yaml:8:12: spec.enabled: expected true, or no such key, found the boolean false"
        );
        assert_eq!(said.code, 1);
        assert!(said.out.starts_with(&format!("{at} (the account is protected by --protect {ceo})")), "{}", said.all());
        for command in ["plan", "diff", "apply", "apply --disruption-budget 100%"] {
            let ran = place.run(&format!("{command} --sandbox --protect {ceo}"));
            assert!(!ran.out.contains("-> false") && ran.code != 0, "{command}: {}", ran.all());
        }
        std::fs::remove_file(place.path().join(format!("desired-state/{path}.yaml"))).unwrap();
    }
    place.account("ceo", 2, "enabled: false");
    place.set("ZOHO_MAIL_PROTECT", &format!("other-name,{ceo}"));
    let ran = place.run("apply --sandbox");
    assert!(ran.out.starts_with("0 planned"), "{}", ran.all());
    let note = "note: --protect other-name: no readable manifest has this name, nor an account this id";
    assert!(place.run("validate").err.contains(note));
    place.set("ZOHO_MAIL_PROTECT", "");
    assert!(place.ok("plan --sandbox").contains("enabled           true -> false"), "the option alone protected it");
}

#[test]
fn the_daemon_lets_the_approved_go_when_the_approval_is_merged_and_shows_what_is_in_force() {
    let (mut place, service) = (Place::new(), Service::start());
    service.serve(&mut place);
    (1..=3).for_each(|n| place.account(&format!("p{n:02}"), n, "enabled: true"));
    place.ok("apply");
    budget(&place, "maxDisruptions: 0, window: 7days");
    leaving(&place, 1..=2);
    let printed = approval(&place, "--reason=they-leave");
    leaving(&place, 3..=3);
    place.set("ZOHO_MAIL_LOG_LEVEL", "info");
    let (_running, address) = super::run::started(&place, "run --listen 127.0.0.1:0");
    let status = || super::run::status(&address);
    until("all are held", || status()["reconciler"]["held"] == 3);
    place.write("desired-state/approval.yaml", &printed);
    until("the approved have gone", || status()["reconciler"]["held"] == 1 && status()["reconciler"]["pending"] == 1);
    let page = status();
    let totals = &page["reconciler"]["totals"]["applied"];
    assert_eq!((totals, service.world.lock().unwrap().totals().applied), (&2.into(), 5));
    let in_force = serde_json::json!({"maxDisruptions": "0", "window": "7days", "manifest": "limits.yaml:1"});
    assert_eq!(page["reconciler"]["budget"], in_force);
    let shown = &page["approvals"][0];
    let told = [&shown["reason"], &shown["disruptions"], &shown["open"], &shown["expired"]];
    assert_eq!(told.map(ToString::to_string), ["\"they-leave\"", "2", "0", "false"]);
    // The log has a thread of its own.
    let applied =
        || -> Vec<_> { super::run::events(&place).into_iter().filter(|event| event["message"] == "applied").collect() };
    until("both are in the log", || applied().len() == 2);
    let applied = applied();
    assert!(applied.iter().all(|event| event["approval"] == shown["name"]), "{applied:?}");
    let metrics = super::run::get(&address, "/metrics").1;
    for line in ["disruptions_approved_total 2", "disruption_limit 0", "disruptions_held 1"] {
        assert!(metrics.contains(&format!("\nzoho_mail_reconciler_{line}\n")), "{line}");
    }
    let item = &page["items"][2]["status"]["conditions"][0];
    let message = item["message"].as_str().unwrap();
    assert!(message.ends_with("if it is meant, commit what `plan --approval --reason TEXT` prints"), "{message}");
}
