//! `plan` and `diff`.

use super::{Place, Service};
use crate::builders::Manifest;

/// Alice applied, then changed; bob new; dave suspended; erin gone; frank leaves.
fn changed() -> Place {
    let place = Place::with_alice();
    place.account("erin", 6, "enabled: true");
    place.account("frank", 7, "enabled: true");
    place.ok("apply --sandbox");
    place.account("frank", 7, "enabled: false");
    place.account("sales/alice", 2, "enabled: false, activeSyncEnabled: true");
    place.account("bob", 3, "enabled: true");
    place.account("dave", 5, "enabled: true, suspend: true, suspendReason: on leave");
    std::fs::remove_file(place.path().join("desired-state/erin.yaml")).unwrap();
    place
}

#[test]
fn a_plan_reads_like_terraforms() {
    let place = changed();
    insta::assert_snapshot!(place.run("plan --sandbox").all(), @"
    # alice (2560636000000008002), sales/alice.yaml:1
      + activeSyncEnabled false -> true
      - enabled           true -> false

    # frank (2560636000000008007), frank.yaml:1
      - enabled           true -> false

    # bob (2560636000000008003), bob.yaml:1
      + enabled           (unknown) -> true

    Left alone: 1 account suspended by a manifest: dave
    Left alone: 1 account in the ledger without a readable manifest: erin
    Plan: 4 PUTs, of which 2 grant and 2 take away; 0 changes held.
    Digest: sha256:28264136a26f03c25dae68bd3bd68230c01a9a0b85b147f74f8651ea952182a9
    --- stderr
    --- exit 0
    ");
    assert_eq!(place.run("plan --sandbox --detailed-exitcode").code, 2);
    place.ok("apply --sandbox");
    insta::assert_snapshot!(place.run("plan --sandbox --detailed-exitcode").all(), @"
    Left alone: 1 account suspended by a manifest: dave
    Left alone: 1 account in the ledger without a readable manifest: erin
    No changes: all that is wanted of 3 accounts has been acknowledged.
    Digest: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    --- stderr
    --- exit 0
    ");
}

#[test]
fn a_plan_shows_what_the_budget_holds() {
    let place = changed();
    let ran = place.run("plan --sandbox --disruption-budget 0 --detailed-exitcode");
    insta::assert_snapshot!(ran.all(), @"
    # alice (2560636000000008002), sales/alice.yaml:1
      + activeSyncEnabled false -> true
      ! enabled           true -> false (held)

    # frank (2560636000000008007), frank.yaml:1
      ! enabled           true -> false (held)

    # bob (2560636000000008003), bob.yaml:1
      + enabled           (unknown) -> true

    Left alone: 1 account suspended by a manifest: dave
    Left alone: 1 account in the ledger without a readable manifest: erin
    Plan: 2 PUTs, of which 2 grant and 0 take away; 2 changes held.
    Held by the disruption budget: 2 changes of 2 accounts: 1 account charged in the last 1h + 1 account pending, budget 0 accounts; 2 changes wait; it never fits by itself. If all of them are meant, commit what `plan --approval --reason TEXT` prints and have it reviewed, or raise --disruption-budget for one apply; else look for the mistake.
    Digest: sha256:903d0aca195dabab49e538660e866ba85f7b362eb3f38d30713341da50902b38
    --- stderr
    --- exit 3
    ");
    assert_eq!(place.run("plan --sandbox --disruption-budget 0").code, 0);
}

#[test]
fn a_plan_as_a_document_has_all_of_it() {
    let place = changed();
    place.write("desired-state/carol.yaml", "kind: MailAcount\n");
    let ran = place.run("plan --sandbox --disruption-budget 0 -o json");
    assert_eq!(ran.code, 1, "a broken manifest is a failure, but the plan of the others is printed");
    insta::assert_snapshot!(ran.out, @r#"
    {
      "apiVersion": "zoho-mail-reconciler/v1",
      "kind": "Plan",
      "head": {
        "folder": "desired-state"
      },
      "summary": {
        "puts": 2,
        "takeAway": 0,
        "grant": 2,
        "held": 2,
        "heldAccounts": 2,
        "noLongerManaged": 0,
        "unexplained": 0,
        "problems": 4
      },
      "digest": "sha256:903d0aca195dabab49e538660e866ba85f7b362eb3f38d30713341da50902b38",
      "allowed": [
        {
          "account": "2560636000000008002",
          "name": "alice",
          "zuid": "1111111",
          "field": "activeSyncEnabled",
          "from": false,
          "to": true,
          "source": "sales/alice.yaml:1",
          "revision": "unknown"
        },
        {
          "account": "2560636000000008003",
          "name": "bob",
          "zuid": "1111112",
          "field": "enabled",
          "from": null,
          "to": true,
          "source": "bob.yaml:1",
          "revision": "unknown"
        }
      ],
      "held": [
        {
          "account": "2560636000000008002",
          "name": "alice",
          "zuid": "1111111",
          "field": "enabled",
          "from": true,
          "to": false,
          "source": "sales/alice.yaml:1",
          "revision": "unknown"
        },
        {
          "account": "2560636000000008007",
          "name": "frank",
          "zuid": "1111116",
          "field": "enabled",
          "from": true,
          "to": false,
          "source": "frank.yaml:1",
          "revision": "unknown"
        }
      ],
      "verdict": {
        "applied": 1,
        "pending": 1,
        "limit": 0,
        "pendingChanges": 2,
        "window": "1h"
      },
      "leftAlone": [
        {
          "account": "2560636000000008005",
          "name": "dave",
          "reason": "Suspended"
        },
        {
          "account": "2560636000000008006",
          "name": "erin",
          "reason": "Orphaned"
        }
      ],
      "problems": [
        {
          "path": "desired-state/carol.yaml",
          "line": 1,
          "column": 1,
          "field": "apiVersion",
          "code": "missing-key",
          "expected": "zoho-mail-reconciler/v1",
          "found": "no such key"
        },
        {
          "path": "desired-state/carol.yaml",
          "line": 1,
          "column": 1,
          "field": "metadata",
          "code": "missing-key",
          "expected": "a mapping with the key name",
          "found": "no such key"
        },
        {
          "path": "desired-state/carol.yaml",
          "line": 1,
          "column": 1,
          "field": "spec",
          "code": "missing-key",
          "expected": "a mapping with the key accountId",
          "found": "no such key"
        },
        {
          "path": "desired-state/carol.yaml",
          "line": 1,
          "column": 7,
          "field": "kind",
          "code": "unsupported-kind",
          "expected": "MailAccount",
          "found": "the string \"MailAcount\"",
          "hint": "did you mean MailAccount?"
        }
      ]
    }
    "#);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let markdown = place.run("plan --sandbox --disruption-budget 0 -o markdown").out;
    assert!(markdown.contains("- suspended by a manifest: `dave`\n"), "{markdown}");
    let yaml = place.run("plan --sandbox --disruption-budget 0 -o yaml").out;
    assert_eq!(serde_yaml::from_str::<serde_json::Value>(&yaml).unwrap(), json);
    assert_eq!(place.run("plan --sandbox --disruption-budget 0 -o name").out, "alice\nbob\nfrank\n");
}

#[test]
fn problems_of_manifests_go_to_standard_error_with_paths_an_editor_finds() {
    let place = Place::with_alice();
    place.manifest("twice", "alice", 9, "enabled: true");
    place.account("bob", 3, "enabled: yes, activeSync: true");
    insta::assert_snapshot!(place.run("plan --sandbox").all(), @r#"
    Left alone: 2 accounts declared twice, or under a name that is: alice, alice
    No changes.
    Digest: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    --- stderr
    error: desired-state/bob.yaml:8:12: spec.enabled: expected true or false, found the string "yes" (if it is meant to be true, write true)
    error: desired-state/bob.yaml:9:3: spec.activeSync: expected one of accountId, zuid, email, enabled, activeSyncEnabled, suspend, suspendReason, suspendUntil, validFrom, validUntil, found the unknown key "activeSync" (did you mean activeSyncEnabled?)
    error: desired-state/sales/alice.yaml:4:3: metadata.name: expected a name that no other document has, found "alice", also the name at twice.yaml:4:3 (nothing is sent for their accounts until one of them is renamed)
    error: desired-state/twice.yaml:4:3: metadata.name: expected a name that no other document has, found "alice", also the name at sales/alice.yaml:4:3 (nothing is sent for their accounts until one of them is renamed)
    --- exit 1
    "#);
    assert_eq!(place.run("plan --sandbox --detailed-exitcode").code, 1);
}

#[test]
fn what_is_in_doubt_is_planned_whatever_is_wanted() {
    let (mut place, service) =
        (Place::with_alice(), Service::with_faults(r#"{"operation": "put", "do": "dropAfterActing"}"#));
    service.serve(&mut place);
    assert_eq!(place.run("apply").code, 1);
    insta::assert_snapshot!(place.ok("plan"), @"
    # alice (2560636000000008002), sales/alice.yaml:1
      + enabled           (in doubt) -> true
      - activeSyncEnabled (in doubt) -> false

    Plan: 2 PUTs, of which 1 grant and 1 take away; 0 changes held.
    Digest: sha256:b46d2641cc731da0139db2f1c053a2c0d22894596d533f4b1d5bdb7612e55a18
    ");
}

#[test]
fn what_an_earlier_put_may_undo_is_planned_for_when_it_cannot_any_more() {
    let (mut place, service) = (Place::with_alice(), Service::start());
    service.serve(&mut place);
    let field = r#"{"value":true,"appliedAt":"2998-01-01T00:00:00Z","source":"sales/alice.yaml:1","inDoubt":true,"until":"2999-01-01T00:00:00Z"}"#;
    place.write(
        "ledger.json",
        &format!(
            r#"{{"apiVersion":"zoho-mail-reconciler/v2","kind":"Ledger","zoid":"12345678","serial":1,"accounts":
                {{"2560636000000008002":{{"name":"alice","zuid":"1111111","enabled":{field}}}}}}}"#
        ),
    );
    insta::assert_snapshot!(place.ok("plan") + &place.ok("status -o wide"), @"
    # alice (2560636000000008002), sales/alice.yaml:1
      + enabled           (in doubt) -> true (not before TIME)
      - activeSyncEnabled (unknown) -> false

    Plan: 2 PUTs, of which 1 grant and 1 take away; 0 changes held.
    Digest: sha256:20e8e8263117f2922b3239250e372e16e49f72e021912351595900fb848a5174
    NAME    READY   STATUS    AGE   ACCOUNT               ENABLED    ACTIVESYNC   REVISION   MESSAGE
    alice   False   InDoubt   0s    2560636000000008002   in doubt   -            unknown    enabled (in doubt) -> true (acknowledged, but an earlier PUT of the other value may still take effect; sent once more at TIME), activeSyncEnabled (unknown) -> false
    ");
}

#[test]
fn a_folder_that_says_nothing_is_never_a_plan_to_do_nothing() {
    let place = Place::new();
    for command in ["plan --sandbox", "diff --sandbox", "apply --sandbox", "status --sandbox"] {
        let ran = place.run(command);
        assert_eq!((ran.code, &*ran.out), (if command.starts_with("diff") { 2 } else { 1 }, ""), "{command}");
        let missing = place.run(&format!("{command} --desired-state nowhere"));
        assert_eq!((missing.code, missing.out), (ran.code, String::new()), "{command}");
    }
    let said = place.run("plan --sandbox").err + &place.run("plan --sandbox --desired-state nowhere").err;
    insta::assert_snapshot!(said, @r#"
    error: expected .yaml or .yml files in "desired-state", found none: an empty folder is never taken for "no accounts"; check the path, the mount and the checkout
    error: expected a folder at "nowhere", found nothing: create it, or name another with --desired-state
    "#);
}

#[test]
fn a_diff_is_unified_text_with_the_exit_codes_of_kubectl() {
    let place = changed();
    insta::assert_snapshot!(place.run("diff --sandbox --disruption-budget 0").all(), @"
    --- ledger/2560636000000008002 alice
    +++ sales/alice.yaml alice
    @@ -1,2 +1,2 @@
    -enabled: true
    -activeSyncEnabled: false
    +enabled: false
    +activeSyncEnabled: true
    --- ledger/2560636000000008003 bob
    +++ bob.yaml bob
    @@ -0,0 +1 @@
    +enabled: true
    --- ledger/2560636000000008007 frank
    +++ frank.yaml frank
    @@ -1 +1 @@
    -enabled: true
    +enabled: false
    --- stderr
    note: the disruption budget holds 2 changes of these; see `plan`
    --- exit 1
    ");
    place.ok("apply --sandbox");
    let nothing = place.run("diff --sandbox");
    assert_eq!((nothing.code, nothing.out + &nothing.err), (0, String::new()));
    place.write("desired-state/bob.yaml", "nonsense");
    insta::assert_snapshot!(place.run("diff --sandbox").all(), @r#"
    --- stderr
    error: desired-state/bob.yaml:1:1: expected a mapping with the keys apiVersion, kind, metadata, spec, found the string "nonsense"
    --- exit 2
    "#);
    assert_eq!(place.run("diff").code, 64);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = changed();
    for command in
        ["plan --sandbox", "status --sandbox -o json", "schema", "--help", "apply --sandbox --log-level info"]
    {
        let mut closed = place.command(command);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let code = closed.stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap().code();
        assert_eq!(code, Some(0), "{command}");
    }
}

#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let place = changed();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = place.command("plan --sandbox").stdout(full).stderr(std::process::Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"error: standard output: No space left on device (os error 28)");
}

#[test]
fn a_part_of_the_folder_is_planned_as_a_part_of_it() {
    let place = changed();
    place.write("desired-state/limits.yaml", &Manifest::budget("limits").set("maxDisruptions", "0").to_string());
    let plan = |arguments: &str| place.ok(&format!("plan --sandbox {arguments}"));
    let digest = |text: &str| text.lines().last().unwrap().to_owned();
    let whole = plan("");
    for part in ["desired-state/sales", "desired-state/sales/alice.yaml"] {
        let text = plan(part);
        assert!(text.contains("# alice") && !text.contains("frank") && !text.contains("bob"), "{text}");
        // The budget of the whole folder counts, and the digest is that which apply takes.
        assert!(text.contains("1 change held") && !text.contains("Left alone"), "{text}");
        assert_eq!(digest(&text), digest(&whole));
    }
    assert!(plan("desired-state/dave.yaml").contains("Left alone: 1 account suspended by a manifest: dave"));
    place.write("desired-state/carol.yaml", "kind: MailAcount\n");
    plan("desired-state/sales");
    assert_eq!(place.run("plan --sandbox desired-state/carol.yaml").code, 1);
    let missing = place.run("plan --sandbox desired-state/nothing.yaml");
    assert!(missing.code == 1 && missing.err.contains("found nothing"), "{}", missing.all());
    let piped = place.run("plan --sandbox -");
    assert!(piped.code == 64 && piped.err.contains("validate - checks what is piped"), "{}", piped.all());
}
