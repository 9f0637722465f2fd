//! `status --watch`: the daemon at work as an operator sees it, line by line.

use rustix::process::Signal;

use crate::cli::{Place, Running, until};

/// A running `status --watch`, whose output is a file.
fn watched(place: &Place, arguments: &str) -> Running {
    place.start(&format!("status --sandbox --watch {arguments}"))
}

/// Waits until a line of the output fits, and returns the output.
fn shown(place: &Place, what: &str, fits: impl Fn(&str) -> bool) -> String {
    until(what, || place.read("stdout").lines().any(&fits));
    place.read("stdout")
}

fn row(name: &'static str, status: &'static str) -> impl Fn(&str) -> bool {
    move |line| line.starts_with(name) && line.contains(status)
}

#[test]
fn every_row_that_changes_is_one_line_more_while_others_write_and_fold_the_ledger() {
    let place = Place::with_alice();
    place.account("bob", 3, "enabled: true");
    place.ok("apply --sandbox");
    let mut running = watched(&place, "");
    shown(&place, "the table", row("bob", "Succeeded"));
    place.account("carol", 4, "enabled: true");
    shown(&place, "a new account", row("carol", "Progressing"));
    // A pass of its own process: an intent, its outcome, and a fold at its end.
    place.ok("apply --sandbox");
    shown(&place, "the new account applied", row("carol", "Succeeded"));
    std::fs::remove_file(place.path().join("desired-state/bob.yaml")).unwrap();
    shown(&place, "an orphan", row("bob", "Orphaned"));
    place.write("desired-state/sales/alice.yaml", "kind: MailAccount\n");
    let out = shown(&place, "a broken manifest", row("alice", "InvalidManifest"));
    // Between two of these an account may be seen in flight; what is shown is never shown twice.
    let rows: Vec<_> = out.lines().map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        rows[..3],
        ["NAME READY STATUS", "alice True ReconciliationSucceeded", "bob True ReconciliationSucceeded"]
    );
    let news: Vec<_> = rows[3..].iter().filter(|row| !row.contains("InDoubt")).map(String::as_str).collect();
    let expected = [
        "carol False Progressing",
        "carol True ReconciliationSucceeded",
        "bob False Orphaned",
        "alice False InvalidManifest",
    ];
    assert_eq!(news, expected);
    let columns = |line: &str| line.find("Succeeded");
    assert_eq!(
        columns(out.lines().nth(1).unwrap()),
        out.lines().rev().find_map(columns),
        "later rows stand below: {out}"
    );
    running.signal(Signal::INT);
    assert_eq!(running.ended(), -1, "ended by the signal, as kubectl is");
}

#[test]
fn an_account_that_is_not_meant_any_more_is_shown_once_more_and_one_that_is_gone_as_gone() {
    let place = Place::with_alice();
    place.account("bob", 3, "enabled: true, suspend: true");
    let _running = watched(&place, "--condition Ready=False --no-headers");
    shown(&place, "both", row("bob", "Suspended"));
    std::fs::remove_file(place.path().join("desired-state/bob.yaml")).unwrap();
    shown(&place, "one that no ledger knows", row("bob", "Gone"));
    place.ok("apply --sandbox");
    let out = shown(&place, "one that is ready", row("alice", "Succeeded"));
    assert!(out.starts_with("alice   False   Progressing"), "{out}");
    // Nothing more is said of them.
    place.account("carol", 4, "enabled: true");
    let out = shown(&place, "another one", row("carol", "Progressing"));
    assert_eq!(out.lines().filter(|line| line.starts_with("alice") && line.contains("True")).count(), 1, "{out}");
    assert_eq!(out.lines().filter(|line| line.starts_with("bob")).count(), 2, "{out}");
}

#[test]
fn a_document_is_one_line_and_unchanged_ones_are_not_told_again() {
    let place = Place::with_alice();
    let _running = watched(&place, "-o json");
    shown(&place, "the first", |line| line.contains("Progressing"));
    place.account("bob", 3, "enabled: true");
    shown(&place, "the second", |line| line.contains("\"bob\""));
    place.account("carol", 4, "enabled: true");
    let out = shown(&place, "the third", |line| line.contains("\"carol\""));
    let names: Vec<_> = out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["metadata"]["name"].to_string())
        .collect();
    assert_eq!(names, ["\"alice\"", "\"bob\"", "\"carol\""], "{out}");
}

#[test]
fn what_cannot_be_read_for_a_while_is_said_once_and_takes_nothing_away() {
    let place = Place::with_alice();
    place.ok("apply --sandbox");
    let _running = watched(&place, "");
    shown(&place, "the table", row("alice", "Succeeded"));
    // The watcher has looked by itself as well when it tells of something new.
    place.account("bob", 3, "enabled: true");
    shown(&place, "the second", row("bob", "Progressing"));
    let ledger = place.read("ledger.sandbox.json");
    place.write("ledger.sandbox.json", "{");
    until("the ledger is complained of", || place.read("stderr").contains("ledger.sandbox.json"));
    std::fs::rename(place.path().join("desired-state"), place.path().join("elsewhere")).unwrap();
    until("the folder is complained of", || place.read("stderr").contains("desired-state"));
    place.write("ledger.sandbox.json", &ledger);
    std::fs::rename(place.path().join("elsewhere"), place.path().join("desired-state")).unwrap();
    place.account("carol", 4, "enabled: true");
    let out = shown(&place, "the third", row("carol", "Progressing"));
    assert_eq!(out.lines().count(), 4, "{out}");
    let said = place.read("stderr");
    assert_eq!(said.lines().filter(|line| !line.contains("no daemon runs")).count(), 2, "{said}");
}

#[test]
fn a_reader_that_went_away_ends_it_and_an_unknown_name_does_not_begin_it() {
    let place = Place::with_alice();
    let mut command = place.command("status --watch");
    let mut running = Running { child: command.stdout(std::process::Stdio::piped()).spawn().unwrap() };
    drop(running.child.stdout.take());
    let mut number = 3;
    until("it ends when it has something to tell", || {
        place.account(&format!("new{number}"), number, "enabled: true");
        number += 1;
        running.child.try_wait().unwrap().is_some()
    });
    assert_eq!(running.ended(), 0);
    let ran = place.run("status --watch nobody");
    assert_eq!((ran.code, &*ran.out), (1, ""), "{}", ran.all());
}
