//! The real binary takes over an organization: `export` writes manifests that are read back, and nothing is left to be PUT.
//!
//! In: a service with accounts that no manifest declares. Out: files, the ledger, requests that the service saw.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use zoho_mail_reconciler::account::Zuid;
use zoho_mail_reconciler::sandbox::{Account, Operation, Role};

use crate::depth::is_full;
use crate::process::{Rig, account};

/// A service with so many accounts, every third of which has its mailbox off, every fifth ActiveSync, and no manifests.
fn organization(accounts: u64) -> Rig {
    let rig = Rig::new(0);
    for n in 0..accounts {
        add(&rig, n, &format!("person.{n}@example.{}", if n % 2 == 0 { "com" } else { "org" }), |account| {
            (account.mailbox_enabled, account.active_sync_enabled) = (n % 3 != 0, n % 5 != 0);
        });
    }
    rig
}

fn add(rig: &Rig, n: u64, email: &str, change: impl FnOnce(&mut Account)) {
    let mut account = Account::new(account(n), Zuid::new(70_000 + n).unwrap(), email, "unused");
    change(&mut account);
    rig.world().seed(account);
}

fn folder(rig: &Rig) -> PathBuf {
    rig.folder.path().join("desired-state")
}

fn export(rig: &Rig, arguments: &[&str]) -> Output {
    let mut command = rig.writing("export");
    // It reads no manifests but those where it writes.
    let plain: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let at = plain.iter().position(|argument| argument == "--desired-state").unwrap();
    let mut fresh = std::process::Command::new(command.get_program());
    fresh.env_clear().args(plain[..at].iter().chain(&plain[at + 2..]));
    fresh.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command = fresh;
    command.arg(folder(rig)).args(arguments).output().unwrap()
}

fn validate(rig: &Rig) -> Output {
    let mut command = std::process::Command::new(rig.reading("validate").get_program());
    command.env_clear().arg("validate").arg(folder(rig)).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every file below a folder, by its path in it.
fn files(below: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|file| format!("{name}/{file}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_exported_is_valid_planned_to_nothing_and_applied_with_no_put() {
    for accounts in if is_full() { &[1, 1_000, 10_000][..] } else { &[1, 450] } {
        let rig = organization(*accounts);
        let exported = export(&rig, &[]);
        assert_eq!(exported.status.code(), Some(0), "{exported:?}");
        let pages = accounts.div_ceil(200) + 1;
        let head = format!("Read {accounts} account");
        assert!(text(&exported.stdout).starts_with(&head), "{exported:?}");
        assert_eq!(rig.world().log().filter(|entry| entry.operation == Operation::List).count() as u64, pages);
        assert_eq!(files(&folder(&rig)).len() as u64, *accounts);
        let validated = validate(&rig);
        assert!(validated.status.success(), "{validated:?}");
        let mut plan = rig.reading("plan");
        let planned = plan.args(["--zoid", "12345678", "--detailed-exitcode"]).output().unwrap();
        assert_eq!(planned.status.code(), Some(0), "{}", text(&planned.stdout));
        let applied = rig.apply();
        assert_eq!((applied.status.code(), rig.world().totals().puts), (Some(0), 0), "{applied:?}");
        // A second one finds all of it there.
        let again = export(&rig, &[]);
        assert!(text(&again.stdout).contains("wrote 0 manifests"), "{again:?}");
    }
}

#[test]
fn nothing_is_overwritten_and_what_is_declared_already_counts_as_declared() {
    let rig = organization(3);
    let kept = "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata:\n  name: the-first\nspec:\n";
    let kept = format!("{kept}  accountId: {}\n  zuid: 70000\n  enabled: true\n", account(0));
    fs::write(folder(&rig).join("by-hand.yaml"), &kept).unwrap();
    // Of another program, under the name that one of them would have.
    fs::write(folder(&rig).join("person.1.yaml"), "apiVersion: v1\nkind: ConfigMap\n").unwrap();
    let exported = export(&rig, &[]);
    assert_eq!(exported.status.code(), Some(0), "{exported:?}");
    assert_eq!(files(&folder(&rig)), ["by-hand.yaml", "person.1.yaml", "person.2.yaml"]);
    assert_eq!(fs::read_to_string(folder(&rig).join("by-hand.yaml")).unwrap(), kept);
    let said = text(&exported.stderr);
    assert!(said.contains("is there already") && said.contains("person.1"), "{said}");
    // Its manifest wants the mailbox on, and it is off: that is what the plan shows, once and as it is.
    let mut plan = rig.reading("plan");
    let planned = text(&plan.args(["--zoid", "12345678"]).output().unwrap().stdout);
    assert!(planned.contains("enabled           false -> true") && planned.contains("Plan: 1 PUT"), "{planned}");
}

#[test]
fn a_layout_a_pattern_and_labels_are_as_was_asked_and_administrators_are_protected() {
    let rig = organization(4);
    add(&rig, 9, "Boss@Example.com", |account| account.role = Role::SuperAdmin);
    let exported = export(&rig, &["--layout", "domain", "--match", "*@example.COM", "--label", "team=no"]);
    assert_eq!(exported.status.code(), Some(0), "{exported:?}");
    assert_eq!(
        files(&folder(&rig)),
        ["example.com/boss.yaml", "example.com/person.0.yaml", "example.com/person.2.yaml"]
    );
    let boss = fs::read_to_string(folder(&rig).join("example.com/boss.yaml")).unwrap();
    insta::assert_snapshot!(boss, @r#"
    apiVersion: zoho-mail-reconciler/v1
    kind: MailAccount
    metadata:
      name: boss
      labels:
        team: 'no'
      annotations:
        zoho-mail-reconciler/protect: 'true'
    spec:
      accountId: 2560636000000008009
      zuid: 70009
      email: Boss@Example.com
      enabled: true
      activeSyncEnabled: true
    "#);
    for bad in [["--label", "team"], ["--label", "Not A Key=x"], ["--match", "[a"], ["--layout", "tree"]] {
        assert_eq!(export(&rig, &bad).status.code(), Some(64), "{bad:?}");
    }
}

#[test]
fn a_listing_that_fails_and_a_folder_with_a_problem_write_nothing() {
    let rig = organization(450);
    rig.script(r#"{"faults": [{"operation": "list", "nth": 3, "do": "badGateway"}]}"#);
    let exported = export(&rig, &[]);
    assert_eq!(exported.status.code(), Some(1), "{exported:?}");
    assert!(text(&exported.stderr).contains("nothing was written"), "{exported:?}");
    assert_eq!(files(&folder(&rig)), [""; 0]);
    rig.script(r#"{"faults": []}"#);
    fs::write(folder(&rig).join("broken.yaml"), "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\n").unwrap();
    let exported = export(&rig, &[]);
    assert_eq!(exported.status.code(), Some(1), "{exported:?}");
    assert_eq!(files(&folder(&rig)), ["broken.yaml"]);
}

#[test]
fn what_a_service_calls_its_accounts_is_never_more_than_a_name() {
    let rig = Rig::new(0);
    for (n, email) in [
        (1, "../../etc/passwd@example.com"),
        (2, "a\nspec: {}@example.com"),
        (3, "-rf@-example-.com"),
        (4, "same@example.com"),
        (5, "same@example.com"),
        (6, ""),
    ] {
        add(&rig, n, email, |_| {});
    }
    let exported = export(&rig, &["--layout", "domain"]);
    assert_eq!(exported.status.code(), Some(0), "{exported:?}");
    assert_eq!(
        files(&folder(&rig)),
        [
            "example.com/a-spec.yaml",
            "example.com/etc-passwd.yaml",
            "example.com/rf.yaml",
            &format!("example.com/same-{}.yaml", account(4)),
            &format!("example.com/same-{}.yaml", account(5)),
            &format!("no-domain/account-{}.yaml", account(6)),
        ]
    );
    let validated = validate(&rig);
    assert!(validated.status.success(), "{validated:?}");
}

#[test]
fn what_this_program_set_a_moment_ago_is_exported_as_it_was_set_though_the_listing_lags() {
    let rig = Rig::new(1);
    rig.declare(0, false, true);
    assert!(rig.apply().status.success());
    // The listing shows what was before.
    let mut old = rig.world().account(account(0)).unwrap().clone();
    old.mailbox_enabled = true;
    rig.world().seed(old);
    fs::remove_file(folder(&rig).join("a0.yaml")).unwrap();
    assert_eq!(export(&rig, &[]).status.code(), Some(0));
    let name = files(&folder(&rig)).remove(0);
    let written = fs::read_to_string(folder(&rig).join(name)).unwrap();
    assert!(written.contains("\n  enabled: false\n"), "{written}");
}
