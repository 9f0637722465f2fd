//! `history`, end to end: what the service was told, who decided it, and that nobody edited the record.

use std::fs;
use std::process::Output;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use serde_json::Value;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::builders::Manifest;
use super::process::{Rig, account, wait_for};
use super::provenance::Repository;

/// `history` with these arguments: its exit code and what it printed.
fn history(rig: &Rig, arguments: &[&str]) -> (i32, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler"));
    let Output { status, stdout, stderr } =
        command.env_clear().arg("history").arg("--ledger").arg(&rig.ledger).args(arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn items(rig: &Rig, arguments: &[&str]) -> Vec<Value> {
    let (code, out, err) = history(rig, &[&["-o", "jsonl"], arguments].concat());
    assert_eq!((code, &*err), (0, ""));
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn apply(rig: &Rig) {
    let output = rig.apply();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A rig whose manifests were committed by root, and applied.
fn versioned(accounts: u64) -> (Rig, Repository) {
    let rig = Rig::new(accounts);
    (0..accounts).for_each(|n| rig.declare(n, true, true));
    let repository = Repository::new(&rig.folder.path().join("desired-state"));
    repository.commit("root", "All there is");
    apply(&rig);
    (rig, repository)
}

/// A change on a branch, merged without a fast-forward.
fn merge(rig: &Rig, repository: &Repository, n: u64, who: &str) -> String {
    repository.git(who, &["checkout", "-q", "-b", &format!("branch-{n}")]);
    rig.declare(n, false, true);
    repository.commit(who, &format!("Disable a{n}"));
    repository.git(who, &["checkout", "-q", "main"]);
    repository.git(who, &["merge", "-q", "--no-ff", "-m", &format!("Merge: disable a{n}"), &format!("branch-{n}")]);
    repository.git(who, &["rev-parse", "HEAD"])
}

#[test]
fn two_merges_between_two_looks_are_two_decisions_of_two_people() {
    let (rig, repository) = versioned(3);
    let merges = [merge(&rig, &repository, 0, "alice"), merge(&rig, &repository, 1, "bob")];
    repository.commit("carol", "Something else");
    apply(&rig);
    let disabled: Vec<_> = items(&rig, &[]).into_iter().filter(|item| item["to"] == false).collect();
    assert_eq!(disabled.len(), 2);
    for (n, (who, commit)) in ["alice", "bob"].into_iter().zip(merges).enumerate() {
        let item = disabled.iter().find(|item| item["name"] == format!("a{n}")).unwrap();
        assert_eq!(item["revision"], format!("main@sha1:{commit}"));
        assert_eq!(item["author"], format!("{who} <{who}@example.com>"));
        assert_eq!(item["subject"], format!("Merge: disable a{n}"));
        assert_eq!((&item["from"], &item["answer"]), (&Value::Bool(true), &Value::from("HTTP 200 success")));
        assert_eq!(item["source"], format!("a{n}.yaml:1"));
    }
}

#[test]
fn of_one_file_with_two_accounts_each_change_is_its_own_authors() {
    let (rig, repository) = versioned(2);
    let both = |enabled: [bool; 2]| {
        let documents = [0, 1].map(|n| Manifest::numbered(n as u64).enabled(enabled[n]).to_string());
        (0..2).for_each(|n| drop(fs::remove_file(repository.0.join(format!("a{n}.yaml")))));
        repository.write("both.yaml", &documents.join("---\n"));
    };
    both([true, true]);
    repository.commit("root", "One file");
    both([false, true]);
    let first = repository.commit("alice", "Disable a0");
    both([false, false]);
    let second = repository.commit("bob", "Disable a1");
    apply(&rig);
    let by: Vec<_> = items(&rig, &[]).into_iter().filter(|item| item["to"] == false).collect();
    let mut by: Vec<_> =
        by.iter().map(|item| format!("{} {} {}", item["name"], item["revision"], item["subject"])).collect();
    by.sort();
    let expected = [("a0", first, "Disable a0"), ("a1", second, "Disable a1")];
    assert_eq!(by, expected.map(|(name, commit, why)| format!("\"{name}\" \"main@sha1:{commit}\" \"{why}\"")));
}

#[test]
fn what_a_date_takes_away_is_the_work_of_who_wrote_the_date_and_the_date_is_named() {
    let (rig, repository) = versioned(1);
    let until = Timestamp::from(SystemTime::now()) + Duration::from_secs(4);
    let dated = Manifest::numbered(0).enabled(true).active_sync(true).set("validUntil", until).to_string();
    repository.write("a0.yaml", &dated);
    repository.commit("alice", "A contract");
    repository.write("a0.yaml", &format!("{dated}# for her\n"));
    repository.commit("bob", "A comment");
    let process = rig.run();
    let by_date =
        || Some(items(&rig, &[])).filter(|items| items.iter().filter(|item| item["to"] == false).count() == 2);
    let items = wait_for("the end of the contract", by_date);
    for item in items.iter().filter(|item| item["to"] == false) {
        assert_eq!((&item["author"], &item["subject"]), (&"alice <alice@example.com>".into(), &"A contract".into()));
        let ended = serde_json::json!({"reason": "NoLongerValid", "since": until.to_string()});
        assert_eq!(item["validity"], ended);
    }
    drop(process);
}

#[test]
fn what_a_date_wants_is_the_work_of_who_gave_that_date_whatever_others_say_of_the_other_one() {
    let ended = "enabled: true, validUntil: 2025-06-01T00:00:00Z";
    let moment = Timestamp::from(SystemTime::now()) + Duration::from_secs(6);
    let (comes, begins) =
        ("enabled: true, validFrom: 2999-01-01T00:00:00Z", format!("enabled: true, validFrom: {moment}"));
    // What alice writes, what bob makes of it, and whose work it is that the mailbox is disabled.
    let cases = [
        (ended, "enabled: true, validFrom: 2025-01-01T00:00:00Z, validUntil: 2025-06-01T00:00:00Z", "alice"),
        (ended, "enabled: true, email: b@example.com, validUntil: 2025-06-01T00:00:00.000Z", "alice"),
        (ended, "enabled: true, validUntil: 2025-07-01T00:00:00Z", "bob"),
        (comes, "enabled: true, validFrom: 2999-01-01T00:00:00Z, validUntil: 2999-06-01T00:00:00Z", "alice"),
        (comes, "enabled: true, validFrom: 2999-02-01T00:00:00Z", "bob"),
        ("enabled: false", "enabled: false, validUntil: 2025-06-01T00:00:00Z", "alice"),
        ("enabled: true, validUntil: 2999-01-01T00:00:00Z", ended, "bob"),
        (&begins, &format!("{begins}, validUntil: 2999-01-01T00:00:00Z"), "alice"),
    ];
    let (rig, repository) = versioned(cases.len() as u64);
    let write = |n: usize, wanted: &str| {
        repository.write(&format!("a{n}.yaml"), &Manifest::numbered(n as u64).wanting(wanted).to_string());
    };
    let last = |n: usize| {
        let item = items(&rig, &[&format!("a{n}")]).into_iter().rfind(|item| item["field"] == "enabled").unwrap();
        (item["to"] == true, item["author"].as_str().unwrap().split(' ').next().unwrap().to_owned())
    };
    cases.iter().enumerate().for_each(|(n, (by_alice, ..))| write(n, by_alice));
    repository.commit("alice", "Dates");
    cases.iter().enumerate().for_each(|(n, (_, by_bob, _))| write(n, by_bob));
    repository.commit("bob", "Other dates");
    let process = rig.run();
    let all_off = || (0..cases.len()).all(|n| !last(n).0).then_some(());
    wait_for("what the dates take away", all_off);
    for (n, (.., author)) in cases.iter().enumerate() {
        assert_eq!(last(n), (false, (*author).to_owned()), "{:?}", cases[n]);
    }
    assert_eq!(wait_for("the beginning", || Some(last(7)).filter(|(to, _)| *to)), (true, "alice".into()));
    process.kill();
    // What an end took away comes back by who takes that end away, or moves it, and by nothing that was said before.
    write(0, "enabled: true, validFrom: 2025-01-01T00:00:00Z");
    write(1, "enabled: true, validUntil: 2999-01-01T00:00:00Z");
    write(4, "enabled: true");
    repository.commit("carol", "They stay");
    write(0, "enabled: true, email: b@example.com, validFrom: 2025-01-01T00:00:00Z");
    write(1, "enabled: true, validFrom: 2025-01-01T00:00:00Z, validUntil: 2999-01-01T00:00:00Z");
    repository.commit("dave", "Details");
    apply(&rig);
    for n in [0, 1, 4] {
        assert_eq!(last(n), (true, "carol".into()), "{n}");
    }
}

#[test]
fn a_head_that_moves_without_a_manifest_changes_nothing() {
    let (rig, repository) = versioned(1);
    let (before, ledger) = (rig.world().requests_total(), fs::read(&rig.ledger).unwrap());
    repository.commit("bob", "Empty");
    apply(&rig);
    assert_eq!((rig.world().requests_total(), fs::read(&rig.ledger).unwrap()), (before, ledger));
}

#[test]
fn the_environment_of_git_does_not_matter_and_status_and_log_name_the_revision() {
    let (rig, repository) = versioned(1);
    let commit = merge(&rig, &repository, 0, "alice");
    let mut command = rig.writing("apply");
    let output = command.env("GIT_DIR", "/nonexistent").env("GIT_WORK_TREE", "/").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let revision = format!("main@sha1:{commit}");
    assert!(said.lines().any(|line| line.contains("\"applied\"") && line.contains(&revision)), "{said}");
    let status = rig.reading("status").args(["-o", "wide"]).output().unwrap();
    let short = format!(" main@sha1:{} ", &commit[..12]);
    assert!(String::from_utf8(status.stdout).unwrap().contains(&short));
    let status = rig.reading("status").args(["-o", "json"]).output().unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["items"][0]["status"]["lastApplied"]["enabled"]["revision"], revision);
}

#[test]
fn an_auditor_finds_who_turned_off_a_mailbox_with_one_command() {
    let (rig, repository) = versioned(2);
    merge(&rig, &repository, 1, "alice");
    apply(&rig);
    let (code, out, _) = history(&rig, &["a1", "-n", "1"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(code, 0);
    assert!(lines[0].ends_with(&format!("  a1 ({})", account(1))), "{out}");
    assert_eq!(lines[1..3], ["  enabled: true -> false", "  by        a1.yaml:1"]);
    assert!(
        lines[3].starts_with("  revision  main@sha1:") && lines.iter().all(|line| line.chars().count() <= 80),
        "{out}"
    );
    let rest =
        ["  author    alice <alice@example.com>", "  subject   Merge: disable a1", "  answer    HTTP 200 success"];
    assert_eq!(lines[4..], rest);
    assert_eq!(items(&rig, &[&account(1).to_string()]).len(), 3, "by its id as well");
    assert_eq!(items(&rig, &["--since", "1h"]).len(), 5);
    assert_eq!(items(&rig, &["--since", "9999-01-01"]).len(), 0);
    let (_, out, _) = history(&rig, &["-o", "json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&document["kind"], document["items"].as_array().unwrap().len()), (&Value::from("History"), 5));
    assert_eq!(history(&rig, &["--since", "x"]).0, 64);
    let all = items(&rig, &[]).len();
    assert_eq!(items(&rig, &["--since", "2000-01-01T00:00:00+02:00"]).len(), all);
    assert_eq!(items(&rig, &["--since", "2999-01-01T00:00:00-11:30"]).len(), 0);
}

#[test]
fn verify_says_what_it_checked_and_names_the_line_that_was_edited() {
    let rig = Rig::new(2);
    assert_eq!(history(&rig, &["--verify"]).1, "No audit log, and nothing was ever applied.\n");
    apply(&rig);
    let (code, out, _) = history(&rig, &["--verify"]);
    assert!(
        code == 0 && out.contains("4 records in it, each chained") && out.contains("it is there as it was"),
        "{out}"
    );
    let log = rig.ledger.with_file_name("ledger.json.audit");
    let whole = fs::read_to_string(&log).unwrap();
    fs::write(&log, whole.replacen("\"to\":true", "\"to\":false", 1)).unwrap();
    let (code, _, err) = history(&rig, &["--verify"]);
    let line = 1 + whole.lines().position(|line| line.contains("\"to\":true")).unwrap();
    assert!(code == 1 && err.contains(&format!("ledger.json.audit:{line}: its bytes changed")), "{err}");
    assert_eq!(history(&rig, &[]).0, 1, "nobody is shown a forged record as if it were true");
    fs::write(&log, whole).unwrap();
    assert_eq!(history(&rig, &["--verify"]).0, 0);
    fs::write(&rig.ledger, "{}").unwrap();
    assert_eq!(history(&rig, &["--verify"]).0, 5);
}

#[test]
fn killed_again_and_again_the_history_tells_each_acknowledgement_once() {
    const ACCOUNTS: u64 = 12;
    let rig = Rig::new(ACCOUNTS);
    rig.script(r#"{"faults": [{"operation": "put", "latency": "2ms"}]}"#);
    let mut chance = fastrand::Rng::with_seed(11);
    for _ in 0..6 {
        let goal = rig.world().totals().puts + chance.u64(2..7);
        let mut process = rig.begin(rig.writing("apply"));
        wait_for("a few PUTs", || (rig.world().totals().puts >= goal || process.has_ended().is_some()).then_some(()));
        process.kill();
        let told = items(&rig, &[]);
        let known = rig.read_ledger().map_or(0, |ledger| ledger.accounts.len());
        assert!(told.len() >= known.min(1) && history(&rig, &["--verify"]).0 == 0);
    }
    let mut process = rig.run();
    wait_for("the rest", || (rig.applied().len() as u64 == 2 * ACCOUNTS).then_some(()));
    assert_eq!(history(&rig, &["--verify"]).0, 0, "beside the daemon, too");
    process.signal(Signal::TERM);
    assert!(process.end().success());
    let mut told: Vec<_> =
        items(&rig, &[]).iter().map(|item| (item["account"].to_string(), item["field"].to_string())).collect();
    let count = told.len() as u64;
    told.sort();
    told.dedup();
    assert_eq!((told.len() as u64, count), (2 * ACCOUNTS, 2 * ACCOUNTS), "each field was acknowledged once");
    assert!(rig.world().totals().applied >= count, "what was in doubt was sent again");
}
