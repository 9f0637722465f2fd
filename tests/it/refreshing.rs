//! The real binary reads the service first: a first run sends exactly the true differences, and nothing that a read brings
//! sends anything by itself.
//!
//! In: a service whose accounts are as an organization has them before anybody declares them. Out: requests that it saw,
//! the ledger, what is printed.

use std::process::Output;

use rustix::process::Signal;
use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::change::Known;
use zoho_mail_reconciler::sandbox::{Credentials, Operation, Scope, Settings};

use crate::process::{Process, Rig, account, wait_for};

/// A service whose accounts are as their manifests want them, but for the last three, each of which differs in one field.
fn taken_over(accounts: u64) -> Rig {
    let rig = Rig::new(accounts);
    for n in 0..accounts {
        set(&rig, n, n % 2 == 0, n % 3 == 0);
    }
    for n in accounts - 3..accounts {
        set(&rig, n, n % 2 != 0, n % 3 == 0);
    }
    rig
}

/// Somebody sets the account in the console.
fn set(rig: &Rig, n: u64, enabled: bool, sync: bool) {
    let mut world = rig.world();
    let mut found = world.account(account(n)).unwrap().clone();
    (found.mailbox_enabled, found.active_sync_enabled) = (enabled, sync);
    world.seed(found);
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn requests(rig: &Rig, operation: Operation) -> usize {
    rig.world().log().filter(|entry| entry.operation == operation).count()
}

#[test]
fn after_a_refresh_the_first_run_sends_exactly_what_differs() {
    let rig = taken_over(450);
    let refreshed = rig.writing("refresh").output().unwrap();
    assert_eq!(refreshed.status.code(), Some(0), "{refreshed:?}");
    assert_eq!(
        (requests(&rig, Operation::List), rig.world().totals().puts),
        (4, 0),
        "pages of 200, and one that shows the end"
    );
    let said = out(&refreshed);
    let head =
        "Read 450 accounts in 4 requests: 450 of them declared, 0 not; the ledger learned something of 450 accounts.";
    assert!(said.starts_with(head), "{said}");
    assert!(said.contains("Plan: 3 PUTs"), "{said}");
    let applied = rig.apply();
    assert_eq!(applied.status.code(), Some(0), "{applied:?}");
    let mut puts = rig.puts(0);
    puts.sort();
    assert_eq!(puts, [447, 448, 449].map(|n| (account(n), Field::Enabled)));
    rig.check_world(450);
    assert_eq!(rig.applied().len(), 900, "and the ledger tells the truth of all of them");
    assert!(rig.apply().status.success());
    assert_eq!(rig.world().totals().puts, 3, "nothing is left");
}

#[test]
fn a_pass_and_a_daemon_that_refresh_first_send_exactly_what_differs() {
    let rig = taken_over(250);
    let mut command = rig.writing("apply");
    let applied = command.arg("--refresh").output().unwrap();
    assert!(out(&applied).ends_with("3 planned = 3 applied + 0 held + 0 failed + 0 in doubt\n"), "{applied:?}");
    assert_eq!((rig.puts(0).len(), requests(&rig, Operation::List)), (3, 3));

    let rig = taken_over(250);
    let mut command = rig.writing("run");
    command.args(["--listen", "127.0.0.1:0", "--refresh-at-start", "--debounce", "20ms"]);
    let mut daemon = rig.begin(command);
    wait_for("the differences", || (rig.world().totals().puts == 3).then_some(()));
    // An edit while it runs is reconciled as ever.
    rig.declare(0, false, true);
    wait_for("the edit", || (!rig.world().account(account(0))?.mailbox_enabled).then_some(()));
    daemon.signal(Signal::TERM);
    assert!(daemon.end().success());
    assert_eq!((rig.puts(0).len(), requests(&rig, Operation::List)), (4, 3));
}

#[test]
fn what_was_changed_in_the_console_is_seen_by_the_next_refresh_and_corrected_by_the_next_pass() {
    let rig = Rig::new(4);
    rig.apply();
    let puts = rig.world().totals().puts;
    set(&rig, 2, false, false);
    // A PUT of the last minutes may still show what was before it: not believed.
    let refreshed = rig.writing("refresh").output().unwrap();
    assert!(out(&refreshed).contains("the ledger learned something of 0 accounts"), "{refreshed:?}");
    age(&rig);
    let refreshed = rig.writing("refresh").output().unwrap();
    assert!(out(&refreshed).contains("enabled           false -> true"), "{refreshed:?}");
    assert_eq!(rig.world().totals().puts, puts, "a read never PUTs");
    assert!(rig.apply().status.success());
    rig.check_world(4);
}

/// What was acknowledged was so an hour ago.
fn age(rig: &Rig) {
    let text = std::fs::read_to_string(&rig.ledger).unwrap();
    let mut ledger: serde_json::Value = serde_json::from_str(&text).unwrap();
    for row in ledger["accounts"].as_object_mut().unwrap().values_mut() {
        for field in ["enabled", "activeSyncEnabled"] {
            row[field]["appliedAt"] = "2020-01-01T00:00:00Z".into();
        }
    }
    ledger.as_object_mut().unwrap().remove("crc32");
    std::fs::write(&rig.ledger, serde_json::to_string_pretty(&ledger).unwrap()).unwrap();
}

#[test]
fn a_listing_that_fails_is_unknown_and_never_gone() {
    let rig = taken_over(450);
    rig.script(r#"{"faults": [{"operation": "list", "nth": 2, "do": "badGateway"}]}"#);
    let refreshed = rig.writing("refresh").output().unwrap();
    assert_eq!(refreshed.status.code(), Some(1), "{refreshed:?}");
    let said = String::from_utf8_lossy(&refreshed.stderr).into_owned();
    assert!(said.contains("not all accounts were read") && said.contains("502"), "{said}");
    assert!(!out(&refreshed).contains("Not listed"), "{refreshed:?}");
    // What was read is kept; the next one reads the rest.
    let known = rig.read_ledger().unwrap();
    assert_eq!((known.known(account(0), Field::Enabled), known.accounts.len()), (Known::Applied(true), 200));
    // A pass that cannot read sends nothing.
    rig.script(r#"{"faults": [{"operation": "list", "do": "badGateway"}]}"#);
    let mut command = rig.writing("apply");
    let applied = command.arg("--refresh").output().unwrap();
    assert_eq!((applied.status.code(), rig.world().totals().puts), (Some(1), 0), "{applied:?}");
}

#[test]
fn a_token_that_may_not_read_says_which_scope_is_missing_and_a_daemon_goes_on_without() {
    let only_update = Credentials { scopes: vec![Scope::OrganizationUpdate], ..Credentials::administrator() };
    let rig = Rig::with(2, Settings { credentials: vec![only_update], ..Settings::default() });
    let refreshed = rig.writing("refresh").output().unwrap();
    let said = String::from_utf8_lossy(&refreshed.stderr).into_owned();
    assert_eq!(refreshed.status.code(), Some(1), "{said}");
    assert!(said.contains("ZohoMail.organization.accounts.READ"), "{said}");
    let mut command = rig.writing("run");
    command.args(["--listen", "127.0.0.1:0", "--refresh-at-start"]);
    let mut daemon = rig.begin(command);
    wait_for("the PUTs", || (rig.world().totals().puts == 4).then_some(()));
    daemon.signal(Signal::TERM);
    assert!(daemon.end().success());
    rig.check_world(2);
}

#[test]
fn a_refresh_beside_a_daemon_says_that_the_daemon_has_the_ledger_and_how_it_reads() {
    let rig = Rig::new(1);
    let _daemon = rig.run();
    wait_for("the daemon", || (rig.world().totals().puts == 2).then_some(()));
    let refreshed = rig.writing("refresh").output().unwrap();
    let said = String::from_utf8_lossy(&refreshed.stderr).into_owned();
    assert_eq!(refreshed.status.code(), Some(4), "{said}");
    assert!(said.contains("--refresh-at-start"), "{said}");
    assert_eq!(requests(&rig, Operation::List), 0);
}

#[test]
fn a_refresh_of_some_accounts_records_no_others_and_a_name_that_no_manifest_has_is_refused() {
    let rig = taken_over(5);
    let mut command = rig.writing("refresh");
    let refreshed = command.args(["a3", "a1"]).output().unwrap();
    assert_eq!(refreshed.status.code(), Some(0), "{refreshed:?}");
    let known = rig.read_ledger().unwrap();
    assert_eq!(known.accounts.keys().copied().collect::<Vec<_>>(), [account(1), account(3)]);
    let refreshed = rig.writing("refresh").arg("nobody").output().unwrap();
    assert_eq!(refreshed.status.code(), Some(64), "{refreshed:?}");
}

#[test]
fn what_a_manifest_declares_and_the_service_does_not_list_is_named_and_stays_as_known() {
    let rig = taken_over(4);
    rig.declare(9, true, true);
    let refreshed = rig.writing("refresh").output().unwrap();
    assert_eq!(refreshed.status.code(), Some(0), "{refreshed:?}");
    let said = out(&refreshed);
    assert!(said.contains("Not listed by the service; check spec.accountId:\n  a9 ("), "{said}");
    assert_eq!(rig.read_ledger().unwrap().known(account(9), Field::Enabled), Known::Absent);
}

/// The daemon, reading over and over.
fn watching(rig: &Rig, policy: &str) -> Process {
    let mut command = rig.writing("run");
    command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms", "--drift-interval", "1m", "--drift-policy", policy]);
    rig.begin(command)
}

fn accounts_by(daemon: &Process, condition: &str) -> Option<u64> {
    let (_, metrics) = daemon.page("/metrics")?;
    let key = format!("zoho_mail_reconciler_accounts{{condition=\"{condition}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&key)?.parse().ok())
}

#[test]
fn what_somebody_changes_in_the_console_is_shown_everywhere_and_left_as_it_is() {
    let rig = Rig::new(4);
    rig.apply();
    age(&rig);
    let puts = rig.world().totals().puts;
    set(&rig, 2, false, false);
    let mut daemon = watching(&rig, "report");
    wait_for("the drift", || (accounts_by(&daemon, "Drifted")? == 1).then_some(()));
    assert_eq!(accounts_by(&daemon, "Ready"), Some(3));
    let (_, page) = daemon.page("/").unwrap();
    assert!(page.contains("1 account was changed elsewhere"), "{page}");
    let said = wait_for("the line", || Some(daemon.said()).filter(|said| said.contains("somebody changed an account")));
    assert!(said.contains(r#""name":"a2""#) && said.contains("left as it is"), "{said}");
    daemon.signal(Signal::TERM);
    assert!(daemon.end().success());
    assert_eq!(rig.world().totals().puts, puts, "nothing is sent");
    let mut status = rig.reading("status");
    let listed = out(&status.args(["--reason", "Drifted", "-o", "wide"]).output().unwrap());
    assert!(listed.contains("a2") && listed.contains("the service shows enabled false since"), "{listed}");
    let mut plan = rig.reading("plan");
    let planned = out(&plan.args(["--zoid", "12345678"]).output().unwrap());
    let apart =
        "Left alone: 1 account changed elsewhere and not set right (--drift-policy): a2 (enabled is false there)";
    assert!(planned.contains(apart) && planned.contains("No changes"), "{planned}");
    // Somebody takes it back: nothing is left of it.
    set(&rig, 2, true, false);
    let mut daemon = watching(&rig, "report");
    wait_for("no drift", || (accounts_by(&daemon, "Ready")? == 4).then_some(()));
    daemon.signal(Signal::TERM);
    assert!(daemon.end().success());
}

#[test]
fn what_somebody_changes_in_the_console_is_set_right_and_history_says_why() {
    let rig = Rig::new(4);
    rig.apply();
    age(&rig);
    set(&rig, 2, false, false);
    let mut daemon = watching(&rig, "correct");
    wait_for("the correction", || rig.world().account(account(2))?.mailbox_enabled.then_some(()));
    wait_for("all well", || (accounts_by(&daemon, "Ready")? == 4).then_some(()));
    daemon.signal(Signal::TERM);
    assert!(daemon.end().success());
    rig.check_world(4);
    let mut history = rig.reading("history");
    let plain: Vec<_> = history.get_args().map(ToOwned::to_owned).collect();
    let at = plain.iter().position(|argument| argument == "--desired-state").unwrap();
    history = std::process::Command::new(history.get_program());
    history.env_clear().args(plain[..at].iter().chain(&plain[at + 2..])).arg("a2");
    let told = out(&history.output().unwrap());
    assert!(told.contains("because   drift: the service showed false since"), "{told}");
}
