//! `validate`: folders, files, and what is neither.

mod given;
mod pipelines;

use super::Place;
use crate::builders::Manifest;

fn broken() -> Place {
    let place = Place::with_alice();
    place.account("bob", 3, "enabled: yes, activeSync: true");
    place
}

#[test]
fn problems_are_shown_under_the_line_they_are_on() {
    let place = broken();
    insta::assert_snapshot!(place.run("validate").all(), @r#"
    error[wrong-type]: spec.enabled: expected true or false, found the string "yes"
     --> desired-state/bob.yaml:8:12
      |
    8 |   enabled: yes
      |            ^^^
      |
      = help: if it is meant to be true, write true

    error[unknown-key]: spec.activeSync: expected one of accountId, zuid, email, enabled, activeSyncEnabled, suspend, suspendReason, suspendUntil, validFrom, validUntil, found the unknown key "activeSync"
     --> desired-state/bob.yaml:9:3
      |
    9 |   activeSync: true
      |   ^^^^^^^^^^
      |
      = help: did you mean activeSyncEnabled?

    2 of 2 files read, 0 skipped; 1 account, 2 problems
    --- stderr
    --- exit 1
    "#);
    std::fs::remove_file(place.path().join("desired-state/bob.yaml")).unwrap();
    assert_eq!(place.ok("validate"), "1 of 1 file read, 0 skipped; 1 account, no problems\n");
}

#[test]
fn problems_as_compilers_write_them_and_as_a_document() {
    let place = broken();
    insta::assert_snapshot!(place.run("validate -o name").all(), @r#"
    desired-state/bob.yaml:8:12: spec.enabled: expected true or false, found the string "yes" (if it is meant to be true, write true)
    desired-state/bob.yaml:9:3: spec.activeSync: expected one of accountId, zuid, email, enabled, activeSyncEnabled, suspend, suspendReason, suspendUntil, validFrom, validUntil, found the unknown key "activeSync" (did you mean activeSyncEnabled?)
    --- stderr
    2 of 2 files read, 0 skipped; 1 account, 2 problems
    --- exit 1
    "#);
    insta::assert_snapshot!(place.run("validate -o json").all(), @r#"
    {
      "apiVersion": "zoho-mail-reconciler/v1",
      "kind": "Validation",
      "files": {
        "found": 2,
        "read": 2,
        "skipped": 0,
        "nearMisses": []
      },
      "accounts": 1,
      "notes": [],
      "problems": [
        {
          "path": "desired-state/bob.yaml",
          "line": 8,
          "column": 12,
          "field": "spec.enabled",
          "code": "wrong-type",
          "expected": "true or false",
          "found": "the string \"yes\"",
          "hint": "if it is meant to be true, write true",
          "endColumn": 15
        },
        {
          "path": "desired-state/bob.yaml",
          "line": 9,
          "column": 3,
          "field": "spec.activeSync",
          "code": "unknown-key",
          "expected": "one of accountId, zuid, email, enabled, activeSyncEnabled, suspend, suspendReason, suspendUntil, validFrom, validUntil",
          "found": "the unknown key \"activeSync\"",
          "hint": "did you mean activeSyncEnabled?",
          "endColumn": 13
        }
      ]
    }
    --- stderr
    2 of 2 files read, 0 skipped; 1 account, 2 problems
    --- exit 1
    "#);
}

#[test]
fn folders_and_files_can_be_mixed_and_paths_are_shown_as_given() {
    let place = broken();
    place.manifest("former/twice", "alice", 9, "enabled: true");
    let ran = place.run("validate -o name ./desired-state/former/ desired-state/sales/alice.yaml");
    insta::assert_snapshot!(ran.all(), @r#"
    desired-state/former/twice.yaml:4:3: metadata.name: expected a name that no other document has, found "alice", also the name at desired-state/sales/alice.yaml:4:3 (nothing is sent for their accounts until one of them is renamed)
    desired-state/sales/alice.yaml:4:3: metadata.name: expected a name that no other document has, found "alice", also the name at desired-state/former/twice.yaml:4:3 (nothing is sent for their accounts until one of them is renamed)
    --- stderr
    2 of 2 files read, 0 skipped; 2 accounts, 2 problems
    --- exit 1
    "#);
    let absolute = place.path().join("desired-state/bob.yaml");
    let ran = place.run(&format!("validate -o name {}", absolute.display()));
    assert!(ran.out.starts_with("DIR/desired-state/bob.yaml:8:12: "), "{}", ran.out);
    let twice = place.ok("validate desired-state/sales desired-state/sales/alice.yaml");
    assert_eq!(twice, "1 of 1 file read, 0 skipped; 1 account, no problems\n");
}

#[test]
fn what_is_no_manifest_is_told_and_never_waited_for_nor_shown() {
    let place = broken();
    let folder = place.path().join("desired-state");
    let status = std::process::Command::new("mkfifo").arg(folder.join("fifo.yaml")).status().unwrap();
    assert!(status.success());
    place.write("secret", "spec: {enabled: hunter2}");
    std::os::unix::fs::symlink("../secret", folder.join("link.yaml")).unwrap();
    let ran = place.run("validate -o name");
    insta::assert_snapshot!(ran.all(), @r#"
    desired-state/bob.yaml:8:12: spec.enabled: expected true or false, found the string "yes" (if it is meant to be true, write true)
    desired-state/bob.yaml:9:3: spec.activeSync: expected one of accountId, zuid, email, enabled, activeSyncEnabled, suspend, suspendReason, suspendUntil, validFrom, validUntil, found the unknown key "activeSync" (did you mean activeSyncEnabled?)
    desired-state/fifo.yaml:1:1: expected a regular file, found a FIFO (remove it from the folder)
    desired-state/link.yaml:1:1: expected something inside the folder, found a symbolic link that leads outside (put the file itself here, or a relative link that stays inside)
    --- stderr
    2 of 4 files read, 2 skipped; 1 account, 4 problems
    --- exit 1
    "#);
    assert!(!place.run("validate").all().contains("hunter2"));
    let ran = place.run("validate desired-state/fifo.yaml");
    assert_eq!(ran.code, 1, "{}", ran.all());
    insta::assert_snapshot!(place.run("validate nowhere").all(), @"
    error[unreadable]: expected a file or a folder, found nothing
    --> nowhere:1:1
     = help: check the path

    0 of 0 files read, 0 skipped; 0 accounts, 1 problem
    --- stderr
    --- exit 1
    ");
}

#[test]
fn a_person_needs_no_zuid() {
    let place = Place::with_alice();
    let manifest = place.read("desired-state/sales/alice.yaml").replace("  zuid: 1111111\n", "");
    place.write("desired-state/sales/alice.yaml", &manifest);
    assert_eq!(place.run("validate").code, 1);
    assert_eq!(place.run("validate --auth user").code, 0);
}

#[test]
fn a_document_behind_a_directive_is_a_problem_and_is_not_applied() {
    let place = Place::new();
    let manifest = |n: u64| Manifest::of(format!("a{n}")).id(n).enabled(true).to_string();
    let documents = ["%YAML 1.2\n---\n", "# c\n%TAG !e! tag:x,2027:\n%YAML 1.1\n---\n", "%FOO\n--- # c\n"];
    for directives in documents {
        let (one, two) = (manifest(1), manifest(2));
        place.write("desired-state/a.yaml", &format!("{directives}{one}---\n{two}...\n{directives}{}", manifest(3)));
        let said = place.run("validate -o name");
        assert_eq!((said.code, said.out.lines().count()), (1, 2), "{}", said.all());
        assert!(said.out.lines().all(|line| line.contains("expected no directives")), "{}", said.all());
        assert_eq!(place.run("plan --sandbox -o name").out, "a2\n", "{directives}");
    }
}
