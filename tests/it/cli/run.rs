//! `run`: the daemon, its pages, its signals and its log.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;

use super::{Place, Running, until};

/// A daemon on its sandbox, and the address of its pages.
fn daemon(place: &mut Place) -> (Running, String) {
    place.set("ZOHO_MAIL_LOG_LEVEL", "info");
    started(place, "run --sandbox --listen 127.0.0.1:0")
}

pub fn started(place: &Place, arguments: &str) -> (Running, String) {
    let running = place.start(arguments);
    let mut address = None;
    until("the pages are served", || {
        address = events(place).iter().find_map(|event| event["address"].as_str().map(str::to_owned));
        address.is_some()
    });
    (running, address.unwrap())
}

/// The log so far. Its last line may still be on the way.
pub fn events(place: &Place) -> Vec<serde_json::Value> {
    place
        .read("stderr")
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

pub fn status(address: &str) -> serde_json::Value {
    let (code, body) = get(address, "/status");
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn the_daemon_applies_edits_answers_on_its_pages_and_stops_in_order() {
    let mut place = Place::with_alice();
    let (mut running, address) = daemon(&mut place);
    until("everything is applied", || status(&address)["reconciler"]["totals"]["applied"] == 2);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(&address, path), (200, "ok\n".to_owned()));
    }
    assert!(get(&address, "/metrics").1.contains("zoho_mail_reconciler_accounts{condition=\"Ready\"} 1"));
    let (code, text) = get(&address, "/nowhere");
    insta::assert_snapshot!(format!("{code} {text}"), @"404 no such page; there are /, /runbook, /healthz, /readyz, /metrics and /status");

    place.account("bob", 3, "enabled: true");
    until("the edit is applied", || status(&address)["reconciler"]["totals"]["applied"] == 3);
    place.account("bob", 3, "enabled: perhaps");
    until("the breakage is seen", || status(&address)["reconciler"]["problems"] == 1);
    let page = status(&address);
    assert_eq!((&page["kind"], &page["items"][1]["metadata"]["name"]), (&"MailAccountList".into(), &"bob".into()));
    assert_eq!(page["items"][1]["status"]["conditions"][1]["reason"], "InvalidManifest");
    for key in ["queued", "pause", "waiting", "totals", "disruptions", "pending", "rejected", "held"] {
        assert!(page["reconciler"].get(key).is_some(), "{key}");
    }

    running.signal(Signal::HUP);
    until("the folder is read again", || {
        events(&place).iter().any(|event| event["message"].as_str().unwrap().starts_with("SIGHUP"))
    });
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), 0);
    assert!(!place.path().join("ledger.sandbox.json.journal").exists(), "the journal is folded");
    assert!(place.run("plan --sandbox").out.contains("No changes"));
}

#[test]
fn a_resync_on_sighup_tries_rejected_accounts_again() {
    let rejected = r#"{"operation": "put", "times": 1, "do": {"answer": {"status": 403}}}"#;
    let (mut place, service) = (Place::new(), super::Service::with_faults(rejected));
    place.account("bob", 3, "enabled: true");
    service.serve(&mut place);
    let mut running = place.start("run --listen off");
    until("the account is rejected", || place.run("status").out.contains("Forbidden"));
    running.signal(Signal::HUP);
    until("it is tried again", || place.run("status").out.contains("bob    True"));
    running.signal(Signal::INT);
    assert_eq!(running.ended(), 0);
}

#[test]
fn credentials_that_are_refused_are_told_by_every_account_that_waits_for_others() {
    let (mut place, service) = (Place::with_alice(), super::Service::start());
    service.serve(&mut place);
    place.set("ZOHO_MAIL_CLIENT_SECRET", "hunter2").set("ZOHO_MAIL_LOG_LEVEL", "info");
    let (_running, address) = started(&place, "run --listen 127.0.0.1:0");
    until("the refusal is seen", || get(&address, "/readyz").1.contains("invalid_client"));
    let page = status(&address);
    assert_eq!(page["items"][0]["status"]["conditions"][1]["reason"], "Unauthorized");
    let seen = format!("{page}{}{}", get(&address, "/metrics").1, place.read("stderr"));
    assert!(!seen.contains("hunter2"), "{seen}");
}

#[test]
fn a_port_in_use_is_a_failure_that_says_what_to_do() {
    let place = Place::with_alice();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ran = place.run(&format!("run --sandbox --listen {}", taken.local_addr().unwrap()));
    insta::assert_snapshot!(ran.all(), @"
    --- stderr
    error: --listen 127.0.0.1:PORT: cannot listen there; choose another address, or off: Address already in use (os error 98)
    --- exit 1
    ");
}

#[test]
fn a_start_is_told_line_by_line() {
    let mut place = Place::with_alice();
    place.set("ZOHO_MAIL_LOG_LEVEL", "info").set("ZOHO_MAIL_LOG_FORMAT", "text");
    let mut running = place.start("run --sandbox --listen off");
    until("everything is applied", || place.run("plan --sandbox --log-level off").out.starts_with("No changes"));
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), 0);
    let log = place.mask(&place.read("stderr")).replace(zoho_mail_reconciler::version::VERSION, "VERSION");
    // What is pending when it is written down is chance.
    let (ready, others): (Vec<_>, Vec<_>) = log.lines().partition(|line| line.contains(" INFO ready "));
    let [ready] = ready[..] else { panic!("{log}") };
    for told in
        ["accounts=1 problems=0", "request_budget=unlimited disruption_budget=\"10,10% in 1h\" next_resync=TIME"]
    {
        assert!(ready.contains(told), "{ready}");
    }
    insta::assert_snapshot!(others.join("\n"), @r#"
    TIME  INFO sandbox: nothing that happens here reaches Zoho url=http://127.0.0.1:PORT ledger=ledger.sandbox.json
    TIME  INFO started version="VERSION" target=sandbox service="embedded sandbox" folder=desired-state ledger=ledger.sandbox.json
    TIME  INFO manifests read files=1 accounts=1 problems=0 pending=1
    TIME  INFO access token granted expires_in=1h
    TIME  INFO applied account=2560636000000008002 name=alice field=enabled value=true source=sales/alice.yaml:1 revision=unknown
    TIME  INFO applied account=2560636000000008002 name=alice field=activeSyncEnabled value=false source=sales/alice.yaml:1 revision=unknown
    TIME  INFO everything is applied; nothing is pending accounts=1
    TIME  INFO stopping: finishing what is in flight in_flight=0 grace=25s
    TIME  INFO stopped
    "#);
}

#[test]
fn a_missing_folder_is_waited_for_and_nothing_is_taken_away() {
    let mut place = Place::with_alice();
    std::fs::rename(place.path().join("desired-state"), place.path().join("away")).unwrap();
    let (_running, address) = daemon(&mut place);
    until("the folder is missed", || get(&address, "/readyz").1.contains("expected a folder"));
    assert_eq!((get(&address, "/readyz").0, get(&address, "/healthz").0), (503, 200));
    std::fs::rename(place.path().join("away"), place.path().join("desired-state")).unwrap();
    until("the folder is read", || get(&address, "/readyz").0 == 200);
    until("everything is applied", || status(&address)["reconciler"]["totals"]["applied"] == 2);
}

#[test]
fn a_second_daemon_is_told_of_the_first_before_its_port_is() {
    let (mut place, service) = (Place::with_alice(), super::Service::start());
    service.serve(&mut place);
    place.set("ZOHO_MAIL_LOG_LEVEL", "info");
    // A port of its own: which one, the log says.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap();
    let mut first = place.start("run --listen off");
    until("alice is applied", || service.requests() == 3);
    let second = place.run(&format!("run --listen {port}"));
    assert_eq!(second.code, 4, "{}", second.all());
    assert!(second.err.contains("is in use by another process"), "{}", second.err);
    first.signal(Signal::TERM);
    assert_eq!(first.ended(), 0);
    assert_eq!(place.run(&format!("run --listen {port}")).code, 1, "now it is the port");
}
