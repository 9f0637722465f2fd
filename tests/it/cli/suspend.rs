//! `suspend` and `resume`: the switch for freezes, as operators throw it.

use std::fs;
use std::time::Duration;

use zoho_mail_reconciler::timestamp::Timestamp;

use super::{Place, Service, until};

fn frozen() -> (Place, Service) {
    let (mut place, service) = (Place::with_alice(), Service::start());
    service.serve(&mut place);
    place.set("USER", "eve");
    (place, service)
}

/// What a command says, with its moments masked.
fn said(place: &Place, arguments: &[&str]) -> String {
    let mut command = place.command("");
    command.args(arguments);
    place.ran(assert_cmd::Command::from_std(command)).all()
}

#[test]
fn nothing_is_sent_while_everything_is_suspended_and_all_of_it_afterwards() {
    let (place, service) = frozen();
    insta::assert_snapshot!(said(&place, &["suspend", "--force", "--reason", "mail migration"]), @"
    suspended since TIME by eve on HOST: mail migration

    Nothing is sent from now on, while this lasts; what is under way ends.
    The folder is still read, and plan and status still tell. The end: zoho-mail-reconciler resume
    --- stderr
    --- exit 0
    ");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "the folder, and the switch");
    insta::assert_snapshot!(place.run("apply").all(), @"
    Held:
      alice (2560636000000008002): enabled (unknown) -> true, sales/alice.yaml:1
      alice (2560636000000008002): activeSyncEnabled (unknown) -> false, sales/alice.yaml:1
        not attempted: the pass gave up

    Gave up: all reconciling is suspended since TIME by eve on HOST: mail migration.
    2 planned = 0 applied + 2 held + 0 failed + 0 in doubt
    --- stderr
    --- exit 3
    ");
    assert_eq!(service.requests(), 0, "not even a token");
    let plan = place.run("plan");
    assert!(plan.out.contains("Plan: 2 PUTs"), "{}", plan.out);
    assert!(
        plan.err.contains("note: all reconciling is suspended since TIME by eve on HOST: mail migration;"),
        "{}",
        plan.err
    );
    let document: serde_json::Value = serde_json::from_str(&place.ok("plan -o json")).unwrap();
    assert_eq!(document["suspended"]["reason"], "mail migration", "{document}");
    let comment = place.ok("plan -o markdown");
    assert!(
        comment.contains("**Everything is suspended:** `suspended since TIME by eve on HOST: mail migration`; none"),
        "{comment}"
    );
    let noted = place.run("status").err;
    assert!(noted.contains("note: all reconciling is suspended since TIME by eve on HOST: mail migration;"), "{noted}");
    let wide = place.ok("status -o wide");
    assert!(wide.contains("alice   False   Suspended"), "{wide}");
    assert!(wide.contains("all reconciling is suspended since TIME by eve on HOST: mail migration"), "{wide}");
    insta::assert_snapshot!(place.ok("resume"), @"resumed; it was suspended since TIME by eve on HOST: mail migration");
    insta::assert_snapshot!(place.run("apply").all(), @"
    2 planned = 2 applied + 0 held + 0 failed + 0 in doubt
    --- stderr
    --- exit 0
    ");
    assert_eq!(service.requests(), 3);
    insta::assert_snapshot!(place.ok("resume"), @"
    not suspended: there is no ledger.json.suspended; it was suspended since TIME by eve on HOST: mail migration, and resumed TIME by eve on HOST
    ");
}

#[test]
fn a_daemon_that_is_suspended_reads_on_outlasts_a_kill_and_sends_when_it_is_resumed() {
    let (mut place, service) = frozen();
    place.set("ZOHO_MAIL_LOG_LEVEL", "info");
    let mut daemon = place.start("run --listen off");
    until("alice is applied", || service.requests() == 3);
    place.ok("suspend --for 8h");
    until("the daemon has noticed", || place.read("stderr").contains("all reconciling is suspended"));
    place.account("bob", 3, "enabled: true");
    until("bob's manifest is seen", || place.ok("status --log-level off").contains("bob"));
    daemon.child.kill().unwrap();
    daemon.ended();
    let _again = place.start("run --listen off");
    until("the daemon knows of bob", || place.read("stderr").contains("manifests read"));
    assert_eq!(service.requests(), 3, "nothing left since");
    assert!(place.read("stderr").contains("all reconciling is suspended"));
    place.ok("resume --log-level off");
    until("bob is applied", || place.ok("plan --log-level off").starts_with("No changes"));
    assert!(place.read("stderr").contains("resumed: what is pending is sent"));
}

#[test]
fn nothing_that_is_edited_after_suspend_has_returned_is_sent() {
    const ROUNDS: u64 = 6;
    let (mut place, service) = frozen();
    place.set("ZOHO_MAIL_LOG_LEVEL", "info");
    for n in 1..=9 {
        place.account(&format!("a{n}"), 10 + n, "enabled: true");
    }
    let _daemon = place.start("run --listen off --debounce 20ms --disruption-budget 100%");
    let is_applied = || place.ok("plan --log-level off").starts_with("No changes");
    until("all are applied", is_applied);
    for round in 0..ROUNDS {
        let (requests, read) = (service.requests(), place.read("stderr").matches("\"pending\":9").count());
        place.ok("suspend --log-level off");
        for n in 1..=9 {
            place.account(&format!("a{n}"), 10 + n, &format!("enabled: {}", round % 2 == 1));
        }
        // With so many changes known, it would send them; the log says that they wait.
        until("all edits are read", || place.read("stderr").matches("\"pending\":9").count() > read);
        assert_eq!(service.requests(), requests, "round {round}: sent after `suspend` had returned");
        place.ok("resume --log-level off");
        until("all are applied again", is_applied);
        assert_eq!(service.requests(), requests + 9);
    }
}

#[test]
fn a_suspension_ends_by_itself_at_its_moment() {
    let (mut place, service) = frozen();
    let moment = Timestamp::from(std::time::SystemTime::now()) + Duration::from_secs(3);
    place.ok(&format!("suspend --force --until {moment}"));
    let mut daemon = place.start("run --listen off");
    until("alice is applied", || service.requests() == 3);
    assert!(Timestamp::from(std::time::SystemTime::now()) >= moment);
    assert!(place.path().join("ledger.json.suspended").exists(), "the file may stay");
    assert!(place.ok("status").contains("ReconciliationSucceeded"));
    daemon.child.kill().unwrap();
    daemon.ended();
    place.set("ZOHO_MAIL_LOG_LEVEL", "info");
    let _again = place.start("run --listen off");
    until("the folder is read", || place.read("stderr").contains("manifests read"));
    assert!(!place.read("stderr").contains("resumed"), "what was over before is no news");
}

#[test]
fn an_empty_file_made_by_hand_suspends_as_well() {
    let (place, service) = frozen();
    place.write("ledger.json.suspended", "");
    let ran = place.run("apply");
    assert_eq!((ran.code, service.requests()), (3, 0), "{}", ran.all());
}

#[test]
fn what_cannot_be_a_suspension_is_refused_before_anything_is_written() {
    let place = Place::new();
    for (arguments, told) in [
        (&["suspend", "--reason", "two\nlines"][..], "one line"),
        (&["suspend", "--for", "0s"], "at least 1ms"),
        (&["suspend", "--for", "1h", "--until", "2027-01-01T00:00:00Z"], "cannot be used with"),
        (&["suspend", "--until", "1999-01-01T00:00:00Z"], "in the past"),
        (&["suspend", "--until", "tomorrow"], "invalid value"),
    ] {
        let said = said(&place, arguments);
        assert!(said.contains(told) && said.ends_with("--- exit 64"), "{arguments:?}: {said}");
    }
    let nowhere = place.run("suspend --force --ledger nowhere/ledger.json");
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.err.contains("nowhere/ledger.json.suspended: cannot be written"), "{}", nowhere.err);
    let folder = place.run("suspend --force --ledger desired-state");
    assert!(folder.code == 1 && folder.err.contains("desired-state is a folder, and no ledger"), "{}", folder.all());
    // What is there and is no ledger either.
    place.write("odd/other.json", "{}");
    place.write("odd/ledger.json.audit", "");
    for other in ["odd", "odd/other.json", "odd/ledger.json.audit", "desired-state/sales/alice.yaml"] {
        let ran = place.run(&format!("suspend --ledger {other}"));
        let is_said = ran.err.contains("there is no such ledger") || ran.err.contains("is a folder, and no ledger");
        assert_eq!((ran.code, is_said), (1, true), "{other}: {}", ran.all());
    }
    assert_eq!(fs::read_dir(place.path().join("odd")).unwrap().count(), 2, "no switch");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "the folders alone");
}

#[test]
fn where_there_is_neither_a_ledger_nor_a_daemon_nothing_is_suspended_or_resumed() {
    let (mut place, _service) = frozen();
    for command in ["suspend", "resume", "suspend --sandbox", "suspend --ledger elsewhere/ledger.json"] {
        let ran = place.run(command);
        assert_eq!((ran.code, &*ran.out), (1, ""), "{command}: {}", ran.all());
        assert!(
            ran.err.contains("there is no such ledger, and no daemon runs with one; --ledger says which"),
            "{}",
            ran.err
        );
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "the folder of manifests alone");
    // A daemon whose first request has not left yet has no ledger either, but its lock.
    place.set("ZOHO_MAIL_LOG_LEVEL", "info");
    fs::remove_dir_all(place.path().join("desired-state")).unwrap();
    let mut daemon = place.start("run --listen off");
    until("the daemon has the ledger", || place.path().join("ledger.json.lock").exists());
    until("it can be suspended", || place.run("suspend").code == 0);
    until("the daemon has noticed", || place.read("stderr").contains("all reconciling is suspended"));
    daemon.child.kill().unwrap();
    daemon.ended();
}

#[test]
fn a_second_suspension_shows_the_first_and_takes_its_place_only_when_that_is_asked_for() {
    let (mut place, service) = frozen();
    place.ok("apply");
    place.ok("suspend --for 8h");
    let before = place.read("ledger.json.suspended");
    place.set("USER", "bob");
    insta::assert_snapshot!(said(&place, &["suspend", "--reason", "lunch", "--for", "1h"]), @"
    --- stderr
    error: all reconciling is suspended since TIME by eve on HOST until TIME; that was left as it is, --replace takes its place
    --- exit 1
    ");
    assert_eq!(place.read("ledger.json.suspended"), before);
    insta::assert_snapshot!(said(&place, &["suspend", "--replace", "--reason", "lunch"]), @"
    suspended since TIME by bob on HOST: lunch
    It takes the place of: suspended since TIME by eve on HOST until TIME

    Nothing is sent from now on, while this lasts; what is under way ends.
    The folder is still read, and plan and status still tell. The end: zoho-mail-reconciler resume
    --- stderr
    --- exit 0
    ");
    // One whose time is over is in the way of none.
    place.write("ledger.json.suspended", r#"{"until": "1999-01-01T00:00:00Z"}"#);
    place.ok("suspend");
    // Nothing is pending, so nothing is held, and nothing was given up.
    insta::assert_snapshot!(place.run("apply").all(), @"
    0 planned = 0 applied + 0 held + 0 failed + 0 in doubt
    --- stderr
    note: all reconciling is suspended since TIME by bob on HOST; nothing was to be sent
    --- exit 0
    ");
    assert_eq!(service.requests(), 3);
}

#[test]
fn the_command_that_ends_a_suspension_is_printed_such_that_it_can_be_pasted() {
    let (mut place, _service) = frozen();
    fs::create_dir(place.path().join("o'hara's")).unwrap();
    place.set("ZOHO_MAIL_LEDGER", "o'hara's/ledger.json");
    for arguments in [&["suspend", "--force"][..], &["suspend", "--force", "--sandbox"]] {
        let mut command = place.command("");
        let ran = place.ran(assert_cmd::Command::from_std({
            command.args(arguments);
            command
        }));
        let (_, printed) = ran.out.trim_end().split_once("The end: zoho-mail-reconciler ").unwrap();
        // In another shell, whose environment says nothing of a ledger.
        let mut pasted = std::process::Command::new("sh");
        pasted.current_dir(place.path()).env_remove("ZOHO_MAIL_LEDGER");
        pasted.args(["-c", &format!("{} {printed}", super::BINARY)]);
        let ended = place.ran(assert_cmd::Command::from_std(pasted));
        assert!(ended.out.starts_with("resumed; it was suspended"), "{printed}: {}", ended.all());
    }
}
