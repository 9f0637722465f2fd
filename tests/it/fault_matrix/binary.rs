//! A few cells with the real binary: exit codes, real signals, and `status -o json`.

use std::process::Output;

use rustix::process::Signal;
use serde_json::Value;
use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::change::Known;

use crate::process::{Rig, account, wait_for};

const FORBIDDEN: &str = r#"{"answer": {"status": 403, "body": {"data": {"errorCode": "FORBIDDEN"}}}}"#;
const SCOPE: &str = r#"{"answer": {"status": 401, "body": {"data": {"errorCode": "INVALID_OAUTHSCOPE"}}}}"#;
const THROTTLED: &str = r#"{"answer": {"status": 429, "headers": {"Retry-After": "3600"}}}"#;
const TROUBLE: &str = r#"{"answer": {"status": 500, "acts": true}}"#;

/// Type, reason and message of the account's last condition.
fn condition(rig: &Rig) -> [String; 3] {
    let Output { stdout, .. } = rig.reading("status").args(["-o", "json"]).output().unwrap();
    let list: Value = serde_json::from_slice(&stdout).unwrap();
    let condition = list["items"][0]["status"]["conditions"].as_array().unwrap().last().unwrap().clone();
    ["type", "reason", "message"].map(|key| condition[key].as_str().unwrap().to_owned())
}

fn told(rig: &Rig, expected: [&str; 3]) {
    let [kind, reason, message] = condition(rig);
    assert_eq!([&*kind, &*reason], expected[..2], "{message}");
    assert!(message.contains(expected[2]), "{message}");
}

/// One pass, after which all is applied, and another one that sends nothing.
fn converge(rig: &Rig) {
    rig.script(r#"{"faults": []}"#);
    assert_eq!(rig.apply().status.code(), Some(0));
    rig.check_world(1);
    told(rig, ["Ready", "ReconciliationSucceeded", ""]);
    let before = rig.world().requests_total();
    assert_eq!(rig.apply().status.code(), Some(0));
    assert_eq!(rig.world().requests_total(), before);
}

/// Each case in a thread of its own, for most of the time they wait.
fn side_by_side<const N: usize, T: Send>(cases: [T; N], check: impl Fn(T) + Sync) {
    let check = &check;
    std::thread::scope(|scope| cases.into_iter().for_each(|case| drop(scope.spawn(move || check(case)))));
}

#[test]
fn the_exit_code_of_a_pass_and_the_status_after_it_tell_of_the_answer() {
    for (does, puts, code, expected) in [
        (FORBIDDEN, 2, 1, ["Stalled", "Forbidden", "HTTP 403 FORBIDDEN"]),
        (SCOPE, 2, 1, ["Stalled", "Unauthorized", "HTTP 401 INVALID_OAUTHSCOPE"]),
        (TROUBLE, 8, 1, ["Reconciling", "ServiceUnavailable", "HTTP 500"]),
        (r#""resetAfterActing""#, 8, 1, ["Reconciling", "InDoubt", "the connection was lost"]),
    ] {
        let rig = Rig::new(1);
        rig.script(&format!(r#"{{"faults": [{{"operation": "put", "do": {does}}}]}}"#));
        let Output { status, stdout, .. } = rig.apply();
        assert_eq!(status.code(), Some(code), "{does}: {}", String::from_utf8_lossy(&stdout));
        assert_eq!(rig.world().totals().puts, puts, "{does}");
        told(&rig, expected);
        converge(&rig);
    }
}

#[test]
fn a_daemon_that_is_told_to_stop_hears_the_answer_under_way() {
    let cases = [
        (FORBIDDEN, Known::Absent, ["Stalled", "Forbidden", "HTTP 403 FORBIDDEN"]),
        (THROTTLED, Known::Absent, ["Reconciling", "Throttled", "HTTP 429"]),
        (TROUBLE, Known::InDoubt, ["Reconciling", "ServiceUnavailable", "HTTP 500"]),
    ];
    side_by_side(cases, |(does, known, expected)| {
        let rig = Rig::new(1);
        // Long enough for a signal to arrive meanwhile, on a loaded machine.
        let fault = format!(r#"{{"operation": "enableMailAccount", "latency": "3s", "do": {does}}}"#);
        rig.script(&format!(r#"{{"faults": [{fault}]}}"#));
        let mut process = rig.run();
        wait_for("the PUT", || (rig.world().totals().puts == 1).then_some(()));
        process.signal(Signal::TERM);
        assert_eq!(process.end().code(), Some(0), "{}", process.said());
        assert_eq!(rig.world().totals().puts, 1, "nothing else is begun");
        let ledger = rig.read_ledger().unwrap();
        assert_eq!(ledger.known(account(0), Field::Enabled), known, "{does}");
        assert_eq!(ledger.pause.is_some(), does == THROTTLED);
        told(&rig, expected);
        if does != THROTTLED {
            converge(&rig);
        }
    });
}

#[test]
fn a_daemon_whose_grace_is_over_leaves_in_doubt_what_it_did_not_hear() {
    let rig = Rig::new(1);
    rig.script(r#"{"faults": [{"operation": "enableMailAccount", "latency": "10m"}]}"#);
    let mut command = rig.writing("run");
    command.args(["--listen", "off", "--debounce", "20ms", "--shutdown-grace", "50ms"]);
    let mut process = rig.begin(command);
    wait_for("the PUT", || (rig.world().totals().puts == 1).then_some(()));
    process.signal(Signal::TERM);
    assert_eq!(process.end().code(), Some(0), "{}", process.said());
    assert_eq!(rig.read_ledger().unwrap().known(account(0), Field::Enabled), Known::InDoubt);
    told(&rig, ["Reconciling", "InDoubt", "enabled (in doubt) -> true"]);
    converge(&rig);
}

#[test]
fn a_single_pass_gives_up_on_a_service_that_throttles_it_again_after_each_pause() {
    side_by_side([("put", 4, 1), ("token", 0, 4)], |(operation, puts, tokens)| {
        let rig = Rig::new(1);
        let answer = r#"{"answer": {"status": 429, "headers": {"Retry-After": "1"}}}"#;
        rig.script(&format!(r#"{{"faults": [{{"operation": "{operation}", "do": {answer}}}]}}"#));
        let mut process = rig.begin(rig.writing("apply"));
        assert_eq!(process.end().code(), Some(1), "{}", process.said());
        let totals = rig.world().totals();
        assert_eq!((totals.puts, totals.tokens), (puts, tokens));
        // A daemon in its place would go on.
        rig.script(r#"{"faults": []}"#);
        let mut process = rig.run();
        wait_for("the end of the pause", || (rig.applied().len() == 2).then_some(()));
        process.signal(Signal::TERM);
        assert_eq!(process.end().code(), Some(0));
        converge(&rig);
    });
}

#[test]
fn each_of_two_fields_is_told_its_own_answer() {
    let rig = Rig::new(1);
    rig.declare(0, false, false);
    let refused = r#"{"operation": "updateMobileSyncStatus", "do": {"answer": {"status": 400}}}"#;
    let trouble = r#"{"operation": "disableMailAccount", "do": "badGateway"}"#;
    rig.script(&format!(r#"{{"faults": [{refused}, {trouble}]}}"#));
    let Output { status, stdout, .. } = rig.apply();
    let said = String::from_utf8(stdout).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("Rejected: activeSyncEnabled to false: HTTP 400"), "{said}");
    assert!(said.contains("ServiceUnavailable: enabled to false: HTTP 502"), "{said}");
    assert!(said.contains("2 planned = 0 applied + 0 held + 1 failed + 1 in doubt"), "{said}");
    // The rejection stands until somebody acts, and so it is what the status says.
    told(&rig, ["Stalled", "Rejected", "HTTP 400"]);
}

#[test]
fn a_refused_active_sync_change_keeps_no_mailbox_enabled_across_a_restart_either() {
    let rig = Rig::new(1);
    rig.declare(0, false, false);
    let refused = r#"{"operation": "updateMobileSyncStatus", "do": {"answer": {"status": 400}}}"#;
    rig.script(&format!(r#"{{"faults": [{refused}, {{"operation": "disableMailAccount", "do": "badGateway"}}]}}"#));
    let mut process = rig.run();
    wait_for("both answers", || (rig.world().totals().puts >= 2).then_some(()));
    process.signal(Signal::TERM);
    assert_eq!(process.end().code(), Some(0), "{}", process.said());
    rig.script(r#"{"faults": []}"#);
    let before = rig.world().requests_total();
    let mut process = rig.run();
    let disabled = (account(0), Field::Enabled);
    wait_for("the mailbox to be disabled", || rig.applied().contains_key(&disabled).then_some(()));
    process.signal(Signal::TERM);
    assert_eq!(process.end().code(), Some(0));
    assert_eq!(rig.puts(before + 1), [disabled], "what was refused waits for the resync");
}
