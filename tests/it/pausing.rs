//! Pauses that the service imposes, with the real binary: whose words impose them, for how long, and what ends them.
//!
//! In: a simulated service that answers as a proxy or as itself. Out: until when nothing is sent, as the ledger and the
//! daemon say it, and what was sent after it.
//! No test waits for a pause of more than a second to end.

mod lifting;

use std::process::Output;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use serde_json::json;
use tokio::sync::mpsc;
use zoho_mail_reconciler::condition::Reason;
use zoho_mail_reconciler::ledger::file::LedgerFile;
use zoho_mail_reconciler::ledger::{ImposedPause, Record};
use zoho_mail_reconciler::timestamp::Timestamp;

use super::conductor::owner;
use super::process::{Process, Rig, wait_for};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The default of `--throttle-pause`.
const USUAL: Duration = Duration::from_secs(15 * 60);

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A body that only the service itself sends.
fn envelope(code: u16) -> serde_json::Value {
    json!({"status": {"code": code, "description": "not now"}})
}

/// What a request of this kind meets, once: this status, with these headers and this body.
fn meets(rig: &Rig, operation: &str, status: u16, headers: serde_json::Value, body: serde_json::Value) {
    let answer = json!({"answer": {"status": status, "headers": headers, "body": body}});
    rig.script(&json!({"faults": [{"operation": operation, "times": 1, "do": answer}]}).to_string());
}

/// Until when the ledger says that nothing is sent.
fn paused_until(rig: &Rig) -> Option<Timestamp> {
    rig.read_ledger()?.pause.map(|pause| pause.until)
}

/// Waits until the ledger remembers a pause; how long it is from `begun` on.
fn pause_since(rig: &Rig, begun: Timestamp) -> Duration {
    wait_for("the pause to be written down", || paused_until(rig)).since(begun)
}

/// Whether it is as long as `expected`, but for what the test itself took.
fn is_about(pause: Duration, expected: Duration) -> bool {
    (expected.saturating_sub(2 * MINUTE)..=expected + 2 * MINUTE).contains(&pause)
}

/// One request at a time, with the options' own pause unless `options` say another.
fn run(rig: &Rig, options: &[&str]) -> Process {
    let mut command = rig.writing("run");
    command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms", "--max-concurrency", "1"]).args(options);
    rig.begin(command)
}

/// Writes the ledger of a process that is no more.
fn remember(rig: &Rig, records: Vec<Record>) {
    let (file, _) = LedgerFile::open(&rig.ledger, owner(), mpsc::unbounded_channel().0).unwrap();
    file.append(records, 1);
    file.close().unwrap();
}

#[test]
fn the_page_of_a_proxy_stops_everybody_for_no_longer_than_the_options_say() {
    for (operation, status) in [("put", 503), ("put", 429), ("token", 429)] {
        let rig = Rig::new(2);
        meets(&rig, operation, status, json!({"Retry-After": "86400"}), json!("<html>busy</html>"));
        let begun = now();
        let process = run(&rig, &[]);
        let pause = pause_since(&rig, begun);
        assert!(is_about(pause, USUAL), "{operation} {status}: {pause:?}");
        process.kill();
    }
    // And then it goes on by itself.
    let rig = Rig::new(2);
    meets(&rig, "put", 503, json!({"Retry-After": "86400"}), json!("<html>busy</html>"));
    let mut process = run(&rig, &["--throttle-pause", "200ms"]);
    wait_for("all to be applied", || (rig.applied().len() == 4).then_some(()));
    process.signal(Signal::TERM);
    assert!(process.end().success(), "{}", process.said());
}

#[test]
fn what_the_service_itself_says_holds_for_as_long_as_it_says_also_across_a_restart() {
    let denied = json!({"error": "Access Denied", "error_description": "too many requests"});
    for (operation, status, body) in [("put", 503, envelope(503)), ("put", 429, envelope(429)), ("token", 400, denied)]
    {
        let rig = Rig::new(2);
        meets(&rig, operation, status, json!({"Retry-After": "86400"}), body);
        let begun = now();
        let process = run(&rig, &["--throttle-pause", "200ms"]);
        let pause = pause_since(&rig, begun);
        assert!(is_about(pause, DAY), "{operation} {status}: {pause:?}");
        process.kill();
        let before = rig.world().requests_total();
        let process = run(&rig, &["--throttle-pause", "200ms"]);
        wait_for("the pause to go on", || process.waits_for().filter(|why| why == "imposed"));
        assert_eq!(rig.world().requests_total(), before, "{operation} {status}");
    }
}

#[test]
fn a_date_is_read_against_the_date_of_the_answer_and_not_by_our_clock() {
    let date = |at: Timestamp| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_millis(at.as_millis()));
    // Our clock is an hour ahead of the service's, and an hour behind it.
    for theirs in [now().before(60 * MINUTE), now() + 60 * MINUTE] {
        for operation in ["put", "token"] {
            let rig = Rig::new(1);
            let headers = json!({"Date": date(theirs), "Retry-After": date(theirs + 10 * MINUTE)});
            meets(&rig, operation, 429, headers, json!(""));
            let begun = now();
            let process = run(&rig, &[]);
            let pause = pause_since(&rig, begun);
            assert!(is_about(pause, 10 * MINUTE), "{operation}, {theirs}: {pause:?}");
            process.kill();
        }
    }
}

#[test]
fn a_pause_that_a_clock_wrote_down_years_ahead_holds_for_a_day_and_does_not_begin_anew() {
    let rig = Rig::new(1);
    let pause = ImposedPause { until: now() + 3 * 365 * DAY, reason: Reason::Throttled };
    remember(&rig, vec![Record::Pause { pause: Some(pause) }]);
    let status = |rig: &Rig| String::from_utf8(rig.reading("status").args(["-o", "wide"]).output().unwrap().stdout);
    assert!(!status(&rig).unwrap().contains(&pause.until.to_string()), "status says what counts");
    let begun = now();
    let process = run(&rig, &[]);
    let until = wait_for("the pause to be corrected", || paused_until(&rig).filter(|until| *until < pause.until));
    assert!(is_about(until.since(begun), DAY), "{until}");
    assert!(status(&rig).unwrap().contains(&until.to_string()));
    process.kill();
    let process = run(&rig, &[]);
    wait_for("the pause to go on", || process.waits_for().filter(|why| why == "imposed"));
    assert_eq!(paused_until(&rig), Some(until), "it does not begin anew");
    assert_eq!(rig.world().requests_total(), 0);
}

/// What a pass says and how it ends, with these options.
fn apply(rig: &Rig, options: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, .. } = rig.writing("apply").args(options).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap())
}

#[test]
fn a_pass_ends_with_what_is_left_when_a_pause_is_longer_than_it_waits_also_one_from_before() {
    let rig = Rig::new(2);
    meets(&rig, "put", 429, json!({"Retry-After": "3600"}), envelope(429));
    let (code, said) = apply(&rig, &["--max-concurrency", "1"]);
    let until = paused_until(&rig).unwrap();
    let why =
        format!("Gave up: no request can start before {until}, and --max-wait is 20m: the service asked for a pause");
    assert!(code == Some(1) && said.contains(&why), "{code:?} {said}");
    assert!(said.contains("not attempted: the pass gave up"), "{said}");
    assert!(said.contains("4 planned = 0 applied + 0 held + 4 failed + 0 in doubt"), "{said}");
    let before = rig.world().requests_total();
    let (code, said) = apply(&rig, &[]);
    assert!(code == Some(1) && said.contains(&why) && said.contains("4 failed"), "{code:?} {said}");
    assert_eq!(rig.world().requests_total(), before, "not even a token is asked for");
    // A pass that has nothing to send waits for nothing.
    (0..2).for_each(|n| std::fs::write(rig.folder.path().join(format!("desired-state/a{n}.yaml")), "").unwrap());
    assert_eq!(apply(&rig, &[]).0, Some(0));
}

#[test]
fn a_pass_waits_for_as_long_as_it_is_told_and_no_longer_for_its_request_budget_either() {
    let rig = Rig::new(1);
    meets(&rig, "put", 429, json!({"Retry-After": "1"}), envelope(429));
    let (code, said) = apply(&rig, &["--max-wait", "10s"]);
    assert_eq!(code, Some(0), "{said}");
    let rig = Rig::new(1);
    meets(&rig, "put", 429, json!({"Retry-After": "1"}), envelope(429));
    let (code, said) = apply(&rig, &["--max-wait", "500ms"]);
    assert!(code == Some(1) && said.contains("--max-wait is 500ms"), "{code:?} {said}");
    let rig = Rig::new(1);
    let (code, said) = apply(&rig, &["--rate-limit", "1/1h"]);
    assert!(code == Some(1) && said.contains("the request budget is used up"), "{code:?} {said}");
    assert_eq!(rig.world().requests_total(), 1, "the budget was for the token");
}
