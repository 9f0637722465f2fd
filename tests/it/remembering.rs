//! What a stop, a restart, a doubt or a refusal must not make the daemon forget, and what is not said or asked twice.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;
use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::change::Known;
use zoho_mail_reconciler::controller::Journal;
use zoho_mail_reconciler::ledger::file::Committed;
use zoho_mail_reconciler::ledger::{Ledger, Record};
use zoho_mail_reconciler::report::Report;

use super::conductor::{Outside, applied, batch, build, file, owner};
use super::process::{Process, Rig, account, wait_for};

/// The daemon's own numbers.
fn report(process: &Process) -> Option<Value> {
    let (_, page) = process.page("/status")?;
    let page: Value = serde_json::from_str(&page).ok()?;
    Some(page["reconciler"].clone())
}

/// Waits until the daemon's own numbers are as wished.
fn until(process: &Process, what: &str, wish: impl Fn(&Value) -> bool) {
    wait_for(what, || report(process).filter(&wish));
}

/// Nothing is left to do but for this many accounts, which are stalled.
fn rests(stalled: u64) -> impl Fn(&Value) -> bool {
    move |report| report["loaded"] == true && ["rejected", "pending"].iter().all(|key| report[key] == stalled)
}

fn stop(mut process: Process) {
    process.signal(Signal::TERM);
    let status = process.end();
    assert!(status.success(), "{status}: {}", process.said());
}

/// Reads everything again, and waits until it has.
fn resync(process: &Process) {
    let before = report(process).unwrap()["lastSync"].clone();
    process.signal(Signal::HUP);
    until(process, "the resync", |report| report["lastSync"] != before);
}

#[test]
fn a_restart_probes_with_one_request_what_refuses_all_accounts_alike() {
    let rig = Rig::new(24);
    rig.script(r#"{"faults": [{"operation": "put", "do": {"answer": {"status": 403}}}]}"#);
    let begin = || {
        let mut command = rig.writing("run");
        command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms", "--retry-min", "1m", "--retry-max", "5m"]);
        rig.begin(command)
    };
    let waits = |process: &Process| {
        wait_for("the next probe", || process.waits_for().filter(|why| why == "breaker"));
        assert!(report(process).unwrap()["refusedAlike"].is_string());
    };
    let process = begin();
    waits(&process);
    process.kill();
    let before = rig.world().requests_total();
    let process = begin();
    waits(&process);
    assert_eq!(rig.puts(before).len(), 1, "{}", process.said());
    // Once the cause is over, an edit asks at once, and all that was never asked for goes.
    rig.script(r#"{"faults": []}"#);
    rig.declare(1, true, true);
    let applied = || (rig.applied().len() == 48).then_some(());
    wait_for("all to be applied", applied);
}

#[test]
fn a_restart_does_not_ask_again_for_what_was_rejected() {
    let rig = Rig::new(1);
    rig.script(r#"{"faults": [{"operation": "put", "do": {"answer": {"status": 403}}}]}"#);
    let process = rig.run();
    until(&process, "the rejection", rests(1));
    stop(process);
    let before = rig.world().requests_total();
    let process = rig.run();
    until(&process, "the restart", rests(1));
    assert_eq!(rig.world().requests_total(), before);
    resync(&process);
    wait_for("a try at the resync", || (rig.world().requests_total() > before).then_some(()));
}

#[test]
fn a_restart_does_not_jump_a_pause_that_was_imposed_before() {
    let rig = Rig::new(1);
    rig.script(
        r#"{"faults": [{"operation": "put", "do": {"answer": {"status": 429, "headers": {"Retry-After": "600"}}}}]}"#,
    );
    let imposed = |process: &Process| process.waits_for().filter(|why| why == "imposed");
    let process = rig.run();
    wait_for("the pause", || imposed(&process));
    let settled = |ledger: &Ledger| {
        ledger.requests.len() == 2
            && ledger.pause.is_some()
            && ledger.known(account(0), Field::Enabled) == Known::Absent
    };
    wait_for("the answer to be written down", || rig.read_ledger().filter(settled));
    process.kill();
    let before = rig.world().requests_total();
    let process = rig.run();
    wait_for("the pause to go on, or to be forgotten", || {
        let forgotten = rig.world().requests_total() > before;
        (forgotten || imposed(&process).is_some()).then_some(())
    });
    assert_eq!(rig.world().requests_total(), before);
}

#[test]
fn what_was_rejected_leaves_the_ledger_as_it_was_and_a_revert_asks_for_nothing() {
    let rig = Rig::new(1);
    assert!(rig.apply().status.success());
    let process = rig.run();
    until(&process, "the start", rests(0));
    rig.script(r#"{"faults": [{"operation": "put", "do": {"answer": {"status": 403}}}]}"#);
    rig.declare(0, false, true);
    until(&process, "the rejection", rests(1));
    let before = rig.world().requests_total();
    rig.script(r#"{"faults": []}"#);
    rig.declare(0, true, true);
    until(&process, "the revert", rests(0));
    assert_eq!(rig.world().requests_total(), before);
}

#[test]
fn what_a_stop_did_not_wait_for_stays_in_doubt() {
    let rig = Rig::new(1);
    assert!(rig.apply().status.success());
    rig.script(r#"{"faults": [{"operation": "disableMailAccount", "latency": "10m"}]}"#);
    rig.declare(0, false, true);
    let mut command = rig.writing("run");
    command.args(["--listen", "off", "--shutdown-grace", "100ms"]);
    let process = rig.begin(command);
    wait_for("the PUT to act", || (!rig.world().account(account(0)).unwrap().mailbox_enabled).then_some(()));
    stop(process);
    assert_eq!(rig.read_ledger().unwrap().known(account(0), Field::Enabled), Known::InDoubt);
}

#[test]
fn what_may_have_been_taken_away_counts_though_it_was_reverted_before_the_answer() {
    let rig = Rig::new(2);
    (0..2).for_each(|n| rig.declare(n, true, true));
    assert!(rig.apply().status.success());
    // Long enough for the revert to be read before the answer is lost.
    let lost = r#"{"operation": "disableMailAccount", "times": 1, "latency": "4s", "do": "dropAfterActing"}"#;
    rig.script(&format!(r#"{{"faults": [{lost}]}}"#));
    let mut command = rig.writing("run");
    command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]).env("ZOHO_MAIL_DISRUPTION_BUDGET", "1");
    let process = rig.begin(command);
    until(&process, "the start", rests(0));
    let enabled = |n| rig.world().account(account(n)).unwrap().mailbox_enabled;
    rig.declare(0, false, true);
    wait_for("the first to be cut off", || (!enabled(0)).then_some(()));
    rig.declare(0, true, true);
    wait_for("the first to be back", || enabled(0).then_some(()));
    rig.declare(1, false, true);
    wait_for("the second to be held", || {
        let held = report(&process)?["held"] == 1;
        (held || !enabled(1)).then_some(())
    });
    assert!(enabled(1), "a second account lost its mailbox within the window");
}

#[test]
fn the_last_good_state_of_a_file_that_cannot_be_read_is_still_reconciled() {
    let rig = Rig::new(1);
    rig.script(r#"{"faults": [{"operation": "put", "do": {"answer": {"status": 403}}}]}"#);
    let process = rig.run();
    until(&process, "the rejection", rests(1));
    let manifest = rig.folder.path().join("desired-state/a0.yaml");
    let astray = manifest.with_file_name(".a0.new");
    std::os::unix::fs::symlink("/proc/version", &astray).unwrap();
    std::fs::rename(astray, manifest).unwrap();
    wait_for("the problem to be seen", || (process.said().matches("manifests read").count() == 2).then_some(()));
    rig.script(r#"{"faults": []}"#);
    resync(&process);
    until(&process, "all to be done", rests(0));
    // What was acknowledged is on the disk a moment after the report says so.
    wait_for("all to be done, although the file is gone", || (rig.applied().len() == 2).then_some(()));
}

#[test]
fn a_second_refusal_of_a_fresh_token_stops_everybody() {
    let rig = Rig::new(3);
    rig.script(r#"{"faults": [{"operation": "put", "do": {"answer": {"status": 401}}}]}"#);
    let process = rig.run();
    wait_for("the end of it", || {
        let stopped = process.page("/readyz")?.1.contains("credentials do not work");
        (stopped || rig.world().totals().tokens > 2).then_some(())
    });
    assert_eq!(rig.world().totals().tokens, 2, "one token, and one to replace it");
    let before = rig.world().requests_total();
    rig.declare(0, false, false);
    until(&process, "the edit", |report| report["pendingChanges"]["enabled"]["disable"] == 2);
    assert_eq!(rig.world().requests_total(), before, "a fresh edit is no other credential");
}

#[test]
fn a_mass_change_that_is_held_is_one_line_in_the_log() {
    let rig = Rig::new(6);
    (0..6).for_each(|n| rig.declare(n, true, true));
    assert!(rig.apply().status.success());
    let mut command = rig.writing("run");
    command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]).env("ZOHO_MAIL_DISRUPTION_BUDGET", "0");
    (0..6).for_each(|n| rig.declare(n, false, false));
    let process = rig.begin(command);
    until(&process, "all to be held", |report| report["held"] == 6);
    wait_for("what is held in the log", || process.said().contains("disruptions are held").then_some(()));
    // Nor by the next turn.
    rig.declare(0, false, true);
    wait_for("another look", || (process.said().matches("manifests read").count() == 2).then_some(()));
    assert_eq!(process.said().matches("disruptions are held").count(), 1, "{}", process.said());
    assert_eq!(rig.world().totals().puts, 12, "those of the apply");
}

#[test]
fn a_failure_that_comes_again_is_counted_and_forgotten_with_the_success() {
    let rig = Rig::new(1);
    rig.script(r#"{"faults": [{"operation": "enableMailAccount", "times": 4, "do": "badGateway"}]}"#);
    let process = rig.run();
    wait_for("success after four failures", || (rig.world().totals().applied == 2).then_some(()));
    wait_for("it to be written down", || (rig.applied().len() == 2).then_some(()));
    let journal = std::fs::read_to_string(rig.ledger.with_file_name("ledger.json.journal")).unwrap();
    let attempts: Vec<_> = journal.split(r#""attempts":"#).skip(1).map(|text| text.as_bytes()[0]).collect();
    assert_eq!(attempts, *b"1234", "{journal}");
    let row = rig.read_ledger().unwrap().accounts[&account(0)].clone();
    assert!(Field::ALL.into_iter().all(|field| row.failed(field).is_none()), "{row:?}");
    stop(process);
}

/// A journal that tells the test which tickets wait, and is durable when the test says so.
struct Patient(mpsc::UnboundedSender<u64>);

impl Journal for Patient {
    fn append(&mut self, _: Vec<Record>, ticket: u64) {
        let _ = self.0.send(ticket);
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_is_reverted_before_its_intent_is_durable_leaves_nothing_pending() {
    let mut ledger = Ledger::new(owner());
    applied(1, false).for_each(|record| ledger.apply(record));
    let ((tickets_out, mut tickets), (durable, committed)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let (controller, inputs, outside) = build(ledger, Patient(tickets_out), committed);
    let Outside { looks, mut reports, .. } = outside;
    let running = tokio::spawn(controller.run(inputs));
    looks.send(batch(vec![file(0, false)], true)).await.unwrap();
    looks.send(batch(vec![file(0, true)], false)).await.unwrap();
    reports.wait_for(|report| report.pending_changes.enabled.enable == 1).await.unwrap();
    looks.send(batch(vec![file(0, false)], false)).await.unwrap();
    reports.wait_for(|report| report.pending_changes.enabled.disable == 1).await.unwrap();
    // The disk was slow; now it is done, and what was intended is wanted no more.
    let settled = |report: &Report| report.pending == 0 && report.disruptions.pending == 0;
    let settling = async {
        loop {
            tokio::select! {
                Some(ticket) = tickets.recv() => durable.send(Committed::Durable { ticket, took: Duration::ZERO }).unwrap(),
                report = reports.wait_for(settled) => return drop(report.unwrap()),
            }
        }
    };
    let settled = timeout(Duration::from_secs(3600), settling).await;
    assert!(settled.is_ok(), "{:?}", *reports.borrow());
    assert_eq!(reports.borrow().totals, zoho_mail_reconciler::report::Totals::default(), "nothing was sent");
    running.abort();
}
