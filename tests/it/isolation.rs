//! One account's trouble is its own: the real binary beside accounts whose requests never succeed.
//!
//! In: accounts that the service fails in every request, and others that it would accept. Out: all others are applied, and
//! those that failed are told as they are.
//! Deliberately absent: what each answer comes to by itself, which is the fault matrix.

mod leavers;
mod waits;

use std::collections::BTreeSet;

use rustix::process::Signal;
use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::change::Known;

use super::process::{Process, Rig, account, wait_for};

/// Ways in which a service fails each request of one account, and lives.
const WAYS: [&str; 9] = [
    r#""do": {"answer": {"status": 500}}"#,
    r#""do": "badGateway""#,
    r#""do": "dropAfterActing""#,
    r#""do": {"answer": {"status": 401}}"#,
    r#""do": {"answer": {"status": 400}}"#,
    r#""do": {"answer": {"status": 403}}"#,
    r#""do": {"answer": {"status": 404}}"#,
    r#""do": {"answer": {"status": 429, "headers": {"Retry-After": "1"}}}"#,
    r#""latency": "10m""#,
];

/// A service that fails the first `failing` of `accounts` accounts in one of the [`WAYS`]. Those are to lose their mailbox,
/// so their requests go first; all others are granted everything.
fn rig(accounts: u64, failing: u64, way: &str) -> Rig {
    let rig = Rig::new(accounts);
    let fault = |n| format!(r#"{{"operation": "put", "account": "{}", {way}}}"#, account(n));
    let faults: Vec<_> = (0..failing).map(fault).collect();
    rig.script(&format!(r#"{{"faults": [{}]}}"#, faults.join(",")));
    (0..accounts).for_each(|n| rig.declare(n, n >= failing, true));
    rig
}

/// How many accounts are applied in both fields.
fn applied(rig: &Rig, accounts: std::ops::Range<u64>) -> usize {
    let applied = rig.applied();
    let all = |n: &u64| Field::ALL.iter().all(|field| applied.contains_key(&(account(*n), *field)));
    accounts.filter(all).count()
}

#[test]
fn one_account_whose_requests_always_fail_keeps_no_other_from_being_applied() {
    for way in WAYS {
        let rig = rig(6, 1, way);
        let mut command = rig.writing("run");
        command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms", "--request-timeout", "100ms"]);
        let mut process = rig.begin(command);
        wait_for("five accounts", || (applied(&rig, 1..6) == 5).then_some(()));
        // Also what is edited later, and while it goes on failing.
        rig.declare(3, false, true);
        let edited = || rig.world().account(account(3)).unwrap().mailbox_enabled;
        wait_for("a later edit", || (!edited()).then_some(()));
        process.signal(Signal::TERM);
        assert!(process.end().success(), "{way}: {}", process.said());
        assert_ne!(rig.read_ledger().unwrap().known(account(0), Field::Enabled), Known::Applied(false), "{way}");
    }
}

#[test]
fn up_to_half_of_the_accounts_whose_requests_always_fail_keep_no_other_from_being_applied() {
    for (failing, way) in [(4, WAYS[3]), (8, WAYS[3]), (8, WAYS[0]), (2, WAYS[7]), (8, WAYS[7])] {
        let rig = rig(16, failing, way);
        let mut command = rig.writing("run");
        command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms", "--throttle-pause", "1s"]);
        let process = rig.begin(command);
        let healthy = (16 - failing) as usize;
        let case = format!("{failing} of 16, {way}");
        wait_for(&format!("the others, {case}"), || (applied(&rig, failing..16) == healthy).then_some(()));
        rig.declare(15, false, true);
        let edited = || rig.world().account(account(15)).unwrap().mailbox_enabled;
        wait_for(&format!("a later edit, {case}"), || (!edited()).then_some(()));
        let said = process.said();
        assert!(!said.contains("the credentials do not work"), "{case}: {said}");
    }
}

#[test]
fn credentials_that_die_while_the_daemon_runs_stop_all_requests_and_are_said_whatever_was_accepted_before() {
    let rig = Rig::new(20);
    (0..20).for_each(|n| rig.declare(n, true, true));
    let mut command = rig.writing("run");
    command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]);
    let process = rig.begin(command);
    wait_for("all accounts", || (applied(&rig, 0..20) == 20).then_some(()));
    // A fresh token is granted, and refused as well.
    rig.script(&format!(r#"{{"faults": [{{"operation": "put", {}}}]}}"#, WAYS[3]));
    let before = rig.world().requests_total();
    (0..12).for_each(|n| rig.declare(n, false, true));
    wait_for("the cause", || process.said().contains("the credentials do not work").then_some(()));
    wait_for("readiness", || process.page("/readyz").filter(|(status, _)| *status == 503));
    let asked = rig.puts(before).len();
    assert!(asked <= 12, "{asked} requests: {}", process.said());
    // Once it is mended, an operator has them tried again.
    rig.script(r#"{"faults": []}"#);
    process.signal(Signal::HUP);
    let is_out = |n: u64| !rig.world().account(account(n)).unwrap().mailbox_enabled;
    wait_for("all removals", || (0..12).all(is_out).then_some(()));
    wait_for("readiness again", || process.page("/readyz").filter(|(status, _)| *status == 200));
}

#[test]
fn a_pass_ends_beside_accounts_that_are_always_throttled() {
    for failing in [1, 3] {
        let rig = rig(8, failing, WAYS[7]);
        let mut command = rig.writing("apply");
        command.args(["--throttle-pause", "1s"]);
        let mut process = rig.begin(command);
        assert_eq!(process.end().code(), Some(1), "{}", process.said());
        assert_eq!(applied(&rig, failing..8), 8 - failing as usize, "{}", process.said());
        let asked = rig.puts(0).into_iter().filter(|(asked, _)| *asked == account(0)).count();
        assert!((2..=12).contains(&asked), "{asked}");
    }
}

#[test]
fn a_pass_applies_all_that_the_service_accepts_beside_ten_accounts_that_it_fails() {
    for way in &WAYS[..7] {
        let rig = rig(20, 10, way);
        let mut process = rig.begin(rig.writing("apply"));
        assert_eq!(process.end().code(), Some(1), "{way}: {}", process.said());
        assert_eq!(applied(&rig, 10..20), 10, "{way}: {}", process.said());
        assert_eq!(applied(&rig, 0..10), 0, "{way}");
    }
}

/// A service that answers thus to `operation` of account 0, and one pass over what account 0 wants and another account.
fn beside_another_field(operation: &str, answer: &str, enabled: bool, active_sync: bool) -> (Rig, Process) {
    let rig = Rig::new(2);
    (0..2).for_each(|n| rig.declare(n, true, true));
    assert!(rig.apply().status.success());
    if enabled {
        // What is granted has to be taken away first.
        rig.declare(0, false, true);
        assert!(rig.apply().status.success());
    }
    let fault = format!(r#"{{"operation": "{operation}", "account": "{}", {answer}}}"#, account(0));
    rig.script(&format!(r#"{{"faults": [{fault}]}}"#));
    rig.declare(0, enabled, active_sync);
    let process = rig.run();
    (rig, process)
}

#[test]
fn one_field_that_always_fails_keeps_the_other_of_the_same_account_from_nothing() {
    for answer in [WAYS[0], WAYS[4], WAYS[5]] {
        let (rig, process) = beside_another_field("updateMobileSyncStatus", answer, false, false);
        wait_for("the mailbox to be disabled", || {
            (!rig.world().account(account(0)).unwrap().mailbox_enabled).then_some(())
        });
        drop(process);
        let (rig, process) = beside_another_field("enableMailAccount", answer, true, false);
        let has_sync = || rig.world().account(account(0)).unwrap().active_sync_enabled;
        wait_for("ActiveSync to be disabled", || (!has_sync()).then_some(()));
        drop(process);
    }
}

#[test]
fn a_token_that_works_for_others_is_not_replaced_again_and_again_for_one_account() {
    let rig = rig(6, 1, WAYS[3]);
    let process = rig.run();
    wait_for("five accounts", || (applied(&rig, 1..6) == 5).then_some(()));
    let tokens = rig.world().totals().tokens;
    for n in 0..20 {
        rig.declare(1 + n % 5, n % 2 == 0, true);
        let enabled = || rig.world().account(account(1 + n % 5)).unwrap().mailbox_enabled;
        wait_for("an edit beside it", || (enabled() == (n % 2 == 0)).then_some(()));
    }
    assert!(rig.world().totals().tokens - tokens <= 2, "{}", process.said());
    assert_eq!(process.page("/readyz").map(|(status, _)| status), Some(200), "{}", process.said());
}

#[test]
fn mailboxes_that_are_gone_hold_no_leaver_neither_at_first_nor_when_they_are_asked_for_again() {
    let rig = Rig::new(13);
    (0..13).for_each(|n| rig.declare(n, true, true));
    assert!(rig.apply().status.success());
    let gone =
        |n| format!(r#"{{"operation": "put", "account": "{}", "do": {{"answer": {{"status": 404}}}}}}"#, account(n));
    rig.script(&format!(r#"{{"faults": [{}]}}"#, (0..12).map(gone).collect::<Vec<_>>().join(",")));
    let mut command = rig.writing("run");
    command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]).env("ZOHO_MAIL_DISRUPTION_BUDGET", "12");
    (0..12).for_each(|n| rig.declare(n, false, true));
    let process = rig.begin(command);
    let refused = || process.said().matches("\"rejected; tried again").count();
    wait_for("all twelve to be refused", || (refused() == 12).then_some(()));
    process.signal(Signal::HUP);
    rig.declare(12, false, true);
    let enabled = || rig.world().account(account(12)).unwrap().mailbox_enabled;
    wait_for("the real leaver", || (!enabled()).then_some(()));
}

#[test]
fn accounts_that_are_all_refused_alike_are_one_cause_that_is_probed_and_ends_by_itself() {
    let rig = Rig::new(40);
    (0..40).for_each(|n| rig.declare(n, true, true));
    rig.script(r#"{"faults": [{"operation": "put", "do": {"answer": {"status": 403}}}]}"#);
    let process = rig.run();
    wait_for("one cause", || process.said().contains("that is one cause").then_some(()));
    let asked: BTreeSet<_> = rig.puts(0).into_iter().map(|(account, _)| account).collect();
    assert!(asked.len() < 20, "{} accounts were asked for", asked.len());
    let shows =
        |path: &str, words: &str| process.page(path).is_some_and(|(_, page)| page.contains(words)).then_some(());
    wait_for("the metric", || shows("/metrics", "zoho_mail_reconciler_refused_alike 1\n"));
    wait_for("the page", || shows("/", "The service refuses one account after the other alike"));
    wait_for("the status of those that wait", || shows("/status", "which has one cause (HTTP 403"));
    wait_for("readiness", || process.page("/readyz").filter(|(status, _)| *status == 200));
    rig.script(r#"{"faults": []}"#);
    // Those that were asked for wait for an edit, or an operator.
    wait_for("all others", || (applied(&rig, 0..40) >= 40 - asked.len() - 5).then_some(()));
    process.signal(Signal::HUP);
    wait_for("all", || (applied(&rig, 0..40) == 40).then_some(()));
    wait_for("the end of it", || shows("/metrics", "zoho_mail_reconciler_refused_alike 0\n"));
}

#[test]
fn what_was_refused_and_is_no_longer_declared_is_counted_nowhere() {
    let rig = rig(2, 1, WAYS[5]);
    let process = rig.run();
    wait_for("the refusal", || process.said().contains("rejected; tried again").then_some(()));
    wait_for("the other account", || (applied(&rig, 1..2) == 1).then_some(()));
    process.kill();
    std::fs::remove_file(rig.folder.path().join("desired-state/a0.yaml")).unwrap();
    let process = rig.run();
    let report = || {
        let (_, body) = process.page("/status")?;
        let body: serde_json::Value = serde_json::from_str(&body).ok()?;
        Some(body["reconciler"].clone()).filter(|report| report["managed"] == 1)
    };
    let report = wait_for("the start", report);
    assert_eq!(report["rejected"], 0, "{report}");
    assert!(process.page("/metrics").unwrap().1.contains("condition=\"Stalled\"} 0"));
}

#[test]
fn a_secret_that_is_empty_for_a_moment_stops_nobody_for_long() {
    let rig = Rig::new(2);
    let secret = rig.folder.path().join("secret");
    std::fs::write(&secret, "sandbox").unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = rig.writing("run");
    command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]);
    command.env_remove("ZOHO_MAIL_CLIENT_SECRET").env("ZOHO_MAIL_CLIENT_SECRET_FILE", &secret);
    let process = rig.begin(command);
    wait_for("both accounts", || (applied(&rig, 0..2) == 2).then_some(()));
    // The next PUT needs a fresh token, and a rotation is under way.
    rig.script(r#"{"faults": [{"operation": "put", "times": 1, "do": {"answer": {"status": 401}}}]}"#);
    std::fs::write(&secret, "").unwrap();
    rig.declare(1, true, true);
    wait_for("the complaint", || process.said().contains("is empty").then_some(()));
    std::fs::write(&secret, "sandbox").unwrap();
    wait_for("the edit", || rig.world().account(account(1)).unwrap().mailbox_enabled.then_some(()));
}

#[test]
fn one_account_whose_token_is_refused_says_nothing_of_the_credentials_not_even_after_a_restart() {
    let rig = rig(6, 1, WAYS[3]);
    let process = rig.run();
    wait_for("five accounts", || (applied(&rig, 1..6) == 5).then_some(()));
    let reported = || process.said().contains("not applied; retrying") && process.said().contains("Unauthorized");
    wait_for("the account to be reported", || reported().then_some(()));
    process.kill();
    let process = rig.run();
    let tries = || rig.world().log().filter(|entry| entry.account == Some(account(0))).count();
    let before = tries();
    wait_for("a few more tries", || (tries() >= before + 4).then_some(()));
    assert_eq!(process.page("/readyz").map(|(status, _)| status), Some(200), "{}", process.said());
    let said = process.said();
    assert!(!said.contains("the credentials do not work"), "{said}");
}
