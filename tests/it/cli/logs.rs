//! Logs: text for people, JSON for machines, and nothing in either that a stranger could steer a terminal with.

use rustix::process::Signal;

use super::{Place, Service, masked, until};

/// What a stranger might send: an escape sequence, a forged line, a reversal, C1 controls, invisible tags.
const HOSTILE: &str = r#"{"operation": "put", "do": {"answer": {"status": 403, "body":
    {"status": {"code": 403, "description": "no\u001b[2J\nINFO forged\u202e\u0085\u200b\udb40\udc41"}}}}}"#;

fn hostile() -> (Place, Service) {
    let (mut place, service) = (Place::with_alice(), Service::with_faults(HOSTILE));
    service.serve(&mut place);
    place.set("ZOHO_MAIL_LOG_LEVEL", "info");
    (place, service)
}

fn harmless(text: &str) {
    let deceptive = |c: char| {
        c != '\n' && c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{e0000}'..='\u{e0fff}')
    };
    assert!(!text.contains(deceptive), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("INFO forged")), "{text}");
}

#[test]
fn nothing_a_stranger_wrote_steers_a_terminal_in_any_output() {
    let (place, _service) = hostile();
    for command in ["apply --log-format text", "apply --log-format json", "status -o wide", "plan", "diff"] {
        harmless(&place.run(command).all());
    }
}

#[test]
fn a_log_of_json_has_one_object_a_line_with_every_key_once() {
    let (place, _service) = hostile();
    let log = place.run("apply").err;
    let mut messages = Vec::new();
    for line in log.lines() {
        let event: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        for key in event.keys() {
            assert_eq!(line.matches(&format!("\"{key}\":")).count(), 1, "{key} in {line}");
        }
        assert_eq!(event["timestamp"], "TIME");
        messages.push(format!("{} {}", event["level"].as_str().unwrap(), event["message"].as_str().unwrap()));
    }
    insta::assert_snapshot!(messages.join("\n"), @"
    INFO manifests read
    INFO access token granted
    WARN rejected; tried again when the manifest changes, and at growing intervals
    WARN rejected; tried again when the manifest changes, and at growing intervals
    ");
}

#[test]
fn a_log_of_text_is_one_line_an_event_saying_what_who_where_and_what_to_do() {
    let (place, _service) = hostile();
    insta::assert_snapshot!(masked(&place.run("apply --log-format text").err), @r#"
    TIME  INFO manifests read files=1 accounts=1 problems=0 pending=1
    TIME  INFO access token granted expires_in=1h
    TIME  WARN rejected; tried again when the manifest changes, and at growing intervals account=2560636000000008002 name=alice field=enabled to=true source=sales/alice.yaml:1 revision=unknown reason=Forbidden why="HTTP 403: no\u{1b}[2J\nINFO forged\u{202e}\u{85}\u{200b}\u{e0041} (the owner of the token may not change this account)" runbook="zoho-mail-reconciler explain Forbidden"
    TIME  WARN rejected; tried again when the manifest changes, and at growing intervals account=2560636000000008002 name=alice field=activeSyncEnabled to=false source=sales/alice.yaml:1 revision=unknown reason=Forbidden why="HTTP 403: no\u{1b}[2J\nINFO forged\u{202e}\u{85}\u{200b}\u{e0041} (the owner of the token may not change this account)" runbook="zoho-mail-reconciler explain Forbidden"
    "#);
}

#[test]
fn however_many_manifests_are_broken_the_log_stays_short() {
    let place = Place::with_alice();
    for n in 0..30 {
        place.write(&format!("desired-state/broken-{n}.yaml"), "kind: MailAccount\n");
    }
    let said = place.run("apply --sandbox --log-level warn").err;
    assert_eq!(said.matches("a manifest is broken").count(), 20, "{said}");
    assert_eq!(said.matches("more problems in manifests").count(), 1, "{said}");
}

#[test]
fn a_failure_that_repeats_itself_is_told_once() {
    let fails = r#"{"operation": "put", "do": {"answer": {"status": 500}}}"#;
    let (mut place, service) = (Place::with_alice(), Service::with_faults(fails));
    service.serve(&mut place);
    place.set("ZOHO_MAIL_LOG_LEVEL", "info").set("ZOHO_MAIL_RETRY_MIN", "1ms").set("ZOHO_MAIL_RETRY_MAX", "1ms");
    let ran = place.run("apply --log-format text");
    assert!(service.requests() > 3, "{}", ran.all());
    assert_eq!(ran.err.matches("not applied; retrying").count(), 2, "one a field: {}", ran.all());
}

#[test]
fn a_rejection_that_each_resync_repeats_is_told_once() {
    let (mut place, service) = (Place::with_alice(), Service::with_faults(HOSTILE));
    service.serve(&mut place);
    place.set("ZOHO_MAIL_LOG_LEVEL", "info");
    let running = place.start("run --listen off");
    let told = |words: &str| place.read("stderr").matches(words).count();
    until("both fields are rejected", || told("rejected; tried again") == 2);
    let before = service.requests();
    running.signal(Signal::HUP);
    until("it is tried again", || service.requests() > before);
    // What follows the answer is in the log after what the answer itself may have left there.
    running.signal(Signal::TERM);
    until("it has ended", || told("\"stopped\"") == 1);
    assert_eq!(told("rejected; tried again"), 2, "one a field: {}", place.read("stderr"));
}

#[test]
fn where_the_log_is_json_every_line_beside_it_is_too() {
    let mut place = Place::with_alice();
    place.account("bob", 3, "enabled: \u{1b}[2Jyes");
    place.set("ZOHO_MAIL_LOG_LEVEL", "info");
    let objects = |place: &Place, command: &str| {
        let ran = place.run(command);
        let parsed =
            ran.err.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{command}: {line}")));
        parsed.collect::<Vec<serde_json::Value>>()
    };
    let of_apply = objects(&place, "apply --sandbox");
    let note = of_apply.last().unwrap();
    assert_eq!((&note["level"], &note["timestamp"]), (&"INFO".into(), &"TIME".into()));
    assert!(
        note["message"].as_str().unwrap().starts_with("2 problems in manifests")
            || note["message"].as_str().unwrap().starts_with("1 problem in manifests"),
        "{note}"
    );
    place.write("ledger.sandbox.json", "{");
    let error = objects(&place, "apply --sandbox").pop().unwrap();
    assert_eq!(error["level"], "ERROR");
    for command in ["plan --sandbox", "status", "validate -o name", "history --sandbox"] {
        let all = objects(&place, &format!("{command} --log-format json"));
        assert!(!all.is_empty(), "{command}");
        // People read these, unless they ask for JSON.
        let text = place.run(command).err;
        assert!(text.lines().all(|line| !line.starts_with('{')), "{command}: {text}");
    }
}
