//! `plan --base`: what a branch changes, offline, and with the ledger.

use super::Place;
use crate::builders::Manifest;

/// A base with five accounts; a branch that changes some of them, in every way there is.
fn branch() -> Place {
    let place = Place::new();
    for (name, number, wanted) in [
        ("same", 1, "enabled: true, activeSyncEnabled: false"),
        ("alice", 2, "enabled: true, activeSyncEnabled: false"),
        ("erin", 6, "enabled: true"),
        ("frank", 7, "enabled: true"),
        ("grace", 8, "enabled: true, activeSyncEnabled: true"),
        ("dave", 5, "enabled: true"),
    ] {
        place.account(name, number, wanted);
    }
    std::fs::rename(place.path().join("desired-state"), place.path().join("base")).unwrap();
    place.account("same", 1, "enabled: true, activeSyncEnabled: false");
    place.account("sales/alice", 2, "enabled: false, activeSyncEnabled: true, email: alice@example.com");
    place.account("bob", 3, "enabled: true");
    place.manifest("frank", "francis", 7, "enabled: true");
    place.account("grace", 8, "enabled: true");
    place.account("dave", 5, "enabled: false, suspend: true, suspendReason: on leave");
    place
}

#[test]
fn a_branch_is_planned_from_its_base_without_a_ledger_an_organization_or_a_secret() {
    let place = branch();
    insta::assert_snapshot!(place.run("plan --base base").all(), @"
    # alice (2560636000000008002), sales/alice.yaml:1
      + activeSyncEnabled false -> true
      - enabled           true -> false

    # bob (2560636000000008003), bob.yaml:1
      + enabled           (unknown) -> true

    Moved: alice (2560636000000008002), sales/alice.yaml:1: was alice.yaml:1
    Suspended: dave (2560636000000008005), dave.yaml:1: on leave
    No longer managed, nothing is PUT: erin (2560636000000008006), erin.yaml:1: enabled
    Renamed: francis (2560636000000008007), frank.yaml:1: was frank
    No longer managed in part, nothing is PUT: grace (2560636000000008008), grace.yaml:1: activeSyncEnabled
    Left alone: 1 account suspended by a manifest: dave
    Plan: 3 PUTs, of which 2 grant and 1 take away; 0 changes held.
    Digest: sha256:b2e28872426d6f249631ef67b88ed2002ba36b2cfe402d4897e75418158bcd05
    --- stderr
    --- exit 0
    ");
    assert!(!place.path().join("ledger.json").exists() && !place.path().join("ledger.json.lock").exists());
    assert_eq!(place.run("plan --base base --detailed-exitcode").code, 2);
    assert_eq!(place.ok("plan --base base -o name"), "alice\nbob\n");
}

#[test]
fn a_comment_shows_disruptions_first_and_folds_the_rest() {
    let place = branch();
    insta::assert_snapshot!(place.ok("plan --base base -o markdown"), @"
    <!-- zoho-mail-reconciler plan -->
    **3 PUTs: 1 takes away, 2 grant; 0 changes held; 1 account no longer managed**

    From `base` to `desired-state`. Nothing else is sent. Digest `sha256:b2e28872426d6f249631ef67b88ed2002ba36b2cfe402d4897e75418158bcd05`

    | | account | e-mail | field | from | to | declared at |
    |-|-|-|-|-|-|-|
    | - takes away | `alice` | `alice@example.com` | enabled | true | false | `sales/alice.yaml:1` |
    | + grants | `alice` | `alice@example.com` | activeSyncEnabled | false | true | `sales/alice.yaml:1` |
    | + grants | `bob` |  | enabled | (unknown) | true | `bob.yaml:1` |

    <details><summary>Changes without a PUT: 5</summary>

    - Moved: `alice`, `sales/alice.yaml:1`, `was alice.yaml:1`
    - Suspended: `dave`, `dave.yaml:1`, `on leave`
    - No longer managed, nothing is PUT: `erin`, `erin.yaml:1`, `enabled`
    - Renamed: `francis`, `frank.yaml:1`, `was frank`
    - No longer managed in part, nothing is PUT: `grace`, `grace.yaml:1`, `activeSyncEnabled`

    </details>
    ");
}

#[test]
fn a_comment_says_what_is_held_and_why() {
    let place = branch();
    let ran = place.run("plan --base base -o markdown --disruption-budget 0 --detailed-exitcode");
    assert_eq!(ran.code, 3);
    insta::assert_snapshot!(ran.out.lines().take(12).collect::<Vec<_>>().join("\n"), @"
    <!-- zoho-mail-reconciler plan -->
    **2 PUTs: 0 take away, 2 grant; 1 change held; 1 account no longer managed**

    From `base` to `desired-state`. Nothing else is sent. Digest `sha256:d619dd109aecf4be14a967cb4ce751d7ee3629003e4b3220df5711baf0d8df2c`

    **Held by the disruption budget:** 1 change of 1 account: 0 accounts charged in the last 1h + 1 account pending, budget 0 accounts; 1 change waits; it never fits by itself. ``If all of them are meant, commit what `plan --base base --approval --reason TEXT` prints and have it reviewed, or raise --disruption-budget for one apply; else look for the mistake.``

    | | account | e-mail | field | from | to | declared at |
    |-|-|-|-|-|-|-|
    | ! held | `alice` | `alice@example.com` | enabled | true | false | `sales/alice.yaml:1` |
    | + grants | `alice` | `alice@example.com` | activeSyncEnabled | false | true | `sales/alice.yaml:1` |
    | + grants | `bob` |  | enabled | (unknown) | true | `bob.yaml:1` |
    ");
}

#[test]
fn an_approval_that_arrives_with_the_removals_it_covers_is_shown_as_such() {
    let place = Place::new();
    let write = |name: &str, text: &Manifest| place.write(&format!("desired-state/{name}.yaml"), &text.to_string());
    let enabled = |value| (1..=2).for_each(|n| write(&format!("a{n}"), &Manifest::numbered(n).enabled(value)));
    enabled(true);
    std::fs::rename(place.path().join("desired-state"), place.path().join("base")).unwrap();
    enabled(true);
    let approval = Manifest::approval("leavers").set("expires", "2999-01-01T00:00:00Z").approving("a1", "enabled");
    write("leavers", &approval.approving("gone", "enabled"));
    let safety = |place: &Place| {
        let text = place.ok("plan --base base");
        text.lines().find(|line| line.contains("approves of")).unwrap().to_owned()
    };
    assert!(safety(&place).contains("approves of 2 disruptions until"), "{}", safety(&place));
    enabled(false);
    assert!(
        safety(&place).contains("approves of 2 disruptions (1 of them in this same change) until"),
        "{}",
        safety(&place)
    );
    // By the default request budget two requests need no time, and thirty more than a minute.
    assert!(!place.run("plan --base base").err.contains("before all of the"), "{}", safety(&place));
    let many =
        (1..=30).fold(Manifest::approval("leavers"), |approval, n| approval.approving(format_args!("a{n}"), "enabled"));
    let soon = zoho_mail_reconciler::timestamp::Timestamp::from(std::time::SystemTime::now())
        + std::time::Duration::from_secs(45);
    (1..=30).for_each(|n| write(&format!("a{n}"), &Manifest::numbered(n).enabled(false)));
    write("leavers", &many.set("expires", soon));
    let said = place.run("plan --base base").err;
    assert!(said.contains("before all of the 30 changes it covers can be sent at 25/1m requests"), "{said}");
}

#[test]
fn whatever_loosens_or_tightens_what_may_be_taken_away_is_told_before_the_changes() {
    let place = Place::new();
    let write = |name: &str, text: &Manifest| place.write(&format!("desired-state/{name}.yaml"), &text.to_string());
    let protect = |value| write("ceo", &Manifest::of("ceo").protect(value).enabled(true));
    let approval = |expires| {
        let approval = Manifest::approval("leavers").set("reason", "Lisbon | closes").set("expires", expires);
        write("leavers", &approval.approving("ceo", "enabled"));
    };
    protect(true);
    approval("2999-01-01T00:00:00Z");
    write("old", &Manifest::approval("old").approving("ceo", "enabled"));
    std::fs::rename(place.path().join("desired-state"), place.path().join("base")).unwrap();
    protect(false);
    approval("2999-06-01T00:00:00Z");
    write("limits", &Manifest::budget("limits").set("maxDisruptions", "90%"));
    insta::assert_snapshot!(place.ok("plan --base base -o markdown"), @"
    <!-- zoho-mail-reconciler plan -->
    **No changes; what may be taken away changes**

    From `base` to `desired-state`. Nothing else is sent. Digest `sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`

    **What may be taken away changes:**

    - `the disruption budget is 90% in 1h, by limits.yaml; it was 10,10% in 1h, by the options`
    - `leavers (leavers.yaml:1) approves of 1 disruption until TIME, other than before: Lisbon | closes`
    - `old (old.yaml:1) approves of nothing any more`
    - NOT PROTECTED any more: `ceo`, `ceo.yaml:1`
    ");
    let text = place.ok("plan --base base");
    assert!(text.contains("Safety: the disruption budget is 90% in 1h, by limits.yaml; it was 10,10% in 1h"), "{text}");
    assert!(text.contains("NOT PROTECTED any more: ceo (2560636000000008002)"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&place.ok("plan --base base -o json")).unwrap();
    assert_eq!((json["safety"].as_array().unwrap().len(), &json["remarks"][0]["note"]), (3, &"unprotected".into()));
}

#[test]
fn a_branch_that_changes_nothing_says_so_in_one_line_after_the_marker() {
    let place = branch();
    insta::assert_snapshot!(place.ok("plan --base desired-state -o markdown"), @"
    <!-- zoho-mail-reconciler plan -->
    **No changes.** From `desired-state` to `desired-state`.
    ");
    let ran = place.run("plan --base desired-state --detailed-exitcode");
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("No changes: nothing is PUT for what this branch changes."), "{}", ran.out);
}

#[test]
fn problems_of_the_base_are_told_apart_and_fail_nothing_but_those_of_the_branch_do() {
    let place = branch();
    place.write("base/alice.yaml", "kind: [");
    let ran = place.run("plan --base base -o markdown");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.starts_with("note: in the base: base/alice.yaml:1:"), "{}", ran.err);
    assert!(ran.out.contains("Problems of the base, not of this branch: 1</summary>"), "{}", ran.out);
    assert!(
        ran.out.contains("| - takes away | `alice` | `alice@example.com` | enabled | (unknown) | false |"),
        "{}",
        ran.out
    );
    place.write("desired-state/bob.yaml", "kind: [");
    let ran = place.run("plan --base base -o markdown --detailed-exitcode");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("error: desired-state/bob.yaml:1:"), "{}", ran.err);
    assert!(ran.out.contains("**1 problem in the manifests; nothing is sent for what is wrong:**"), "{}", ran.out);
}

#[test]
fn an_account_that_the_branch_declares_twice_is_held_and_named() {
    let place = branch();
    place.manifest("twice", "other", 2, "enabled: false");
    let ran = place.run("plan --base base -o markdown");
    assert_eq!(ran.code, 1);
    assert!(!ran.out.contains("| `alice` |"), "nothing is PUT for it: {}", ran.out);
    assert!(
        ran.out.contains("- Declared twice, left alone: `alice`, `sales/alice.yaml:1`, `see twice.yaml:1`"),
        "{}",
        ran.out
    );
}

#[test]
fn an_empty_base_manages_nothing_and_a_missing_one_is_an_error() {
    let place = branch();
    let missing = place.run("plan --base nowhere");
    assert_eq!((missing.code, missing.out.as_str()), (1, ""));
    insta::assert_snapshot!(missing.err, @r#"error: the base: expected a folder at "nowhere", found nothing: create it, or name another with --desired-state"#);
    std::fs::create_dir(place.path().join("empty")).unwrap();
    let ran = place.run("plan --base empty -o json");
    assert_eq!((ran.code, ran.err.as_str()), (0, "note: the base holds no manifests: everything is new\n"));
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["summary"]["puts"], 7);
    assert_eq!(json["summary"]["grant"], 5);
}

#[test]
fn a_manifest_that_nothing_can_be_read_of_is_not_a_removal() {
    let place = branch();
    place.write("desired-state/grace.yaml", "kind: [");
    let ran = place.run("plan --base base");
    assert!(ran.out.contains("Broken, left alone: grace"), "{}", ran.out);
    assert!(!ran.out.contains("No longer managed, nothing is PUT: grace"), "{}", ran.out);
}

/// The branch of [`branch`], and a ledger that knows more and less than its base.
fn with_ledger() -> Place {
    let place = branch();
    std::fs::rename(place.path().join("desired-state"), place.path().join("head")).unwrap();
    // Applied: alice as the branch wants her ActiveSync; grace otherwise than base and branch; bob and dave never.
    place.account("alice", 2, "enabled: true, activeSyncEnabled: true");
    place.account("grace", 8, "enabled: false");
    place.account("frank", 7, "enabled: true");
    place.account("same", 1, "enabled: true, activeSyncEnabled: false");
    place.ok("apply --sandbox");
    std::fs::remove_dir_all(place.path().join("desired-state")).unwrap();
    std::fs::rename(place.path().join("head"), place.path().join("desired-state")).unwrap();
    place
}

#[test]
fn with_the_ledger_what_the_branch_does_not_explain_is_listed_apart() {
    let place = with_ledger();
    insta::assert_snapshot!(place.run("plan --base base --sandbox --ledger ledger.json").all(), @"
    # alice (2560636000000008002), sales/alice.yaml:1
      - enabled           true -> false

    # bob (2560636000000008003), bob.yaml:1
      + enabled           (unknown) -> true

    Also pending, not from this branch:

    # grace (2560636000000008008), grace.yaml:1
      + enabled           false -> true

    Moved: alice (2560636000000008002), sales/alice.yaml:1: was alice.yaml:1
    Suspended: dave (2560636000000008005), dave.yaml:1: on leave
    No longer managed, nothing is PUT: erin (2560636000000008006), erin.yaml:1: enabled
    Renamed: francis (2560636000000008007), frank.yaml:1: was frank
    No longer managed in part, nothing is PUT: grace (2560636000000008008), grace.yaml:1: activeSyncEnabled
    Needs no PUT: alice (2560636000000008002): activeSyncEnabled is true already
    Left alone: 1 account suspended by a manifest: dave
    Plan: 2 PUTs, of which 1 grant and 1 take away; 0 changes held. 1 change more pending, not from this branch.
    Digest: sha256:bcc3ad657830e87a487aa23110645b3c8e3a00f1254dc6085e32c692df4e089f
    --- stderr
    --- exit 0
    ");
    let markdown = place.ok("plan --base base --sandbox --ledger ledger.json -o markdown");
    assert!(
        markdown
            .contains("**2 PUTs: 1 takes away, 1 grants; 0 changes held; 1 account no longer managed; 1 pending that"),
        "{markdown}"
    );
    let folded = markdown.split("<details>").find(|part| part.contains("Also pending")).unwrap();
    assert!(folded.contains("- + grants: `grace` enabled false → true, `grace.yaml:1`"), "{markdown}");
    assert!(!markdown.contains("| `grace` |"), "the table is the branch's: {markdown}");
}

#[test]
fn unexplained_changes_fail_when_asked_to() {
    let place = with_ledger();
    let strict = "plan --base base --sandbox --fail-on-unexplained --detailed-exitcode";
    let ran = place.run(&format!("{strict} --ledger ledger.json"));
    assert_eq!(ran.code, 1, "{}", ran.all());
    place.account("grace", 8, "activeSyncEnabled: true");
    let explained = place.run(&format!("{strict} --ledger ledger.json"));
    assert_eq!(explained.code, 1, "grace's ActiveSync was never applied, and the base wanted it: {}", explained.all());
    std::fs::remove_file(place.path().join("desired-state/grace.yaml")).unwrap();
    assert_eq!(place.run(&format!("{strict} --ledger ledger.json")).code, 2);
    // Without a ledger nothing could be unexplained: a check that checks nothing is a mistake.
    for wrong in [strict, "plan --sandbox --ledger ledger.json --fail-on-unexplained"] {
        let ran = place.run(wrong);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{wrong}");
    }
}

#[test]
fn a_ledger_counts_as_given_by_its_variable_and_not_by_its_default() {
    let mut place = with_ledger();
    let own = place.ok("plan --base base --sandbox");
    assert!(!own.contains("grace enabled") && !own.contains("Also pending"), "{own}");
    place.set("ZOHO_MAIL_LEDGER", "ledger.json");
    assert!(place.ok("plan --base base --sandbox").contains("Also pending, not from this branch:"));
    // A real ledger has an owner.
    place.set("ZOHO_MAIL_LEDGER", "ledger.sandbox.json");
    let ran = place.run("plan --base base");
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("--zoid"), "{}", ran.err);
}

#[test]
fn a_ledger_of_somebody_else_is_refused_with_a_base_too() {
    let place = with_ledger();
    assert_eq!(place.run("plan --base base --zoid 7 --ledger ledger.sandbox.json").code, 5);
}

#[test]
fn a_ledger_that_only_a_variable_names_may_be_missing() {
    let mut place = branch();
    let offline = place.ok("plan --base base");
    place.set("ZOHO_MAIL_LEDGER", "/nowhere/ledger.json");
    let ran = place.run("plan --base base");
    assert_eq!((ran.code, &*ran.out), (0, &*offline), "{}", ran.all());
    assert!(
        ran.err.contains("note: there is no ledger /nowhere/ledger.json, which ZOHO_MAIL_LEDGER names"),
        "{}",
        ran.err
    );
    let asked = place.run("plan --base base --fail-on-unexplained");
    assert!(asked.code == 1 && asked.err.contains("--fail-on-unexplained needs the ledger"), "{}", asked.all());
    assert!(place.run("plan --base base --ledger nowhere/ledger.json").code != 0, "one that is asked for may not");
}

#[test]
fn a_folder_may_stand_in_the_place_of_the_option() {
    let mut place = branch();
    let by_option = place.ok("plan --base base --desired-state desired-state");
    place.set("ZOHO_MAIL_DESIRED_STATE", "elsewhere");
    assert_eq!(place.ok("plan desired-state --base base"), by_option);
    let file = place.run("plan desired-state/bob.yaml --base base");
    assert!(file.code == 1 && file.err.contains("name the folder that holds the manifests"), "{}", file.all());
}
