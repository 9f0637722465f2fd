//! `apply`: one pass, its summary, and the progress on a terminal.

use rustix::process::Signal;

use super::{BINARY, PATIENCE, Place, Service, until};
use crate::builders::account;

fn put(number: u64, effect: &str) -> String {
    format!(r#"{{"operation": "put", "account": "{}", "do": {effect}}}"#, account(number))
}

#[test]
fn a_pass_applies_everything_and_the_next_one_sends_nothing() {
    let (mut place, service) = (Place::with_alice(), Service::start());
    service.serve(&mut place);
    insta::assert_snapshot!(place.run("apply").all(), @"
    2 planned = 2 applied + 0 held + 0 failed + 0 in doubt
    --- stderr
    --- exit 0
    ");
    assert_eq!(service.requests(), 3, "one for a token, two PUTs");
    insta::assert_snapshot!(place.run("apply").all(), @"
    0 planned = 0 applied + 0 held + 0 failed + 0 in doubt
    --- stderr
    --- exit 0
    ");
    assert_eq!(service.requests(), 3);
}

#[test]
fn every_failure_says_what_happened_to_whom_from_which_line_and_what_to_do() {
    let forbidden = r#"{"answer": {"status": 403, "body": {"status": {"code": 403, "description": "Forbidden"}}}}"#;
    let unknown = r#"{"answer": {"status": 404, "body": {"data": {"errorCode": "ACCOUNT_NOT_EXIST"}}}}"#;
    let rejected = r#"{"answer": {"status": 400, "body": {"data": {"errorCode": "PATTERN_NOT_MATCHED"}}}}"#;
    let faults = [
        put(2, forbidden),
        put(3, unknown),
        put(4, rejected),
        put(5, r#""dropAfterActing""#),
        put(6, r#""badGateway""#),
    ];
    let (mut place, service) = (Place::with_alice(), Service::with_faults(&faults.join(", ")));
    service.serve(&mut place);
    for (name, number) in [("bob", 3), ("carol", 4), ("dave", 5), ("erin", 6), ("frank", 7)] {
        place.account(name, number, "enabled: true");
    }
    let ran = place.run("apply");
    // By chance the pass gives up on the service just when the last account has had its last attempt.
    let is_chance = |line: &&str| !line.starts_with("Gave up: the service is not available: ");
    let told: String = ran.all().split_inclusive('\n').filter(is_chance).collect();
    insta::assert_snapshot!(told, @"
    Failed:
      alice (2560636000000008002): enabled (unknown) -> true, sales/alice.yaml:1
        Forbidden: enabled to true: HTTP 403: Forbidden (the owner of the token may not change this account)
      alice (2560636000000008002): activeSyncEnabled (unknown) -> false, sales/alice.yaml:1
        Forbidden: activeSyncEnabled to false: HTTP 403: Forbidden (the owner of the token may not change this account)
      bob (2560636000000008003): enabled (unknown) -> true, bob.yaml:1
        AccountNotFound: enabled to true: HTTP 404 ACCOUNT_NOT_EXIST (check accountId, which is not the zuid, the organization and the data center)
      carol (2560636000000008004): enabled (unknown) -> true, carol.yaml:1
        Rejected: enabled to true: HTTP 400 PATTERN_NOT_MATCHED

    In doubt (sent, and its end is not known; the next apply sends what is wanted then):
      dave (2560636000000008005): enabled (unknown) -> true, dave.yaml:1
        InDoubt: enabled to true: the connection was lost before the whole answer had come: the connection was closed before the answer
      erin (2560636000000008006): enabled (unknown) -> true, erin.yaml:1
        ServiceUnavailable: enabled to true: HTTP 502 with an HTML page instead of JSON

    7 planned = 1 applied + 0 held + 4 failed + 2 in doubt
    --- stderr
    --- exit 1
    ");
    assert_eq!(place.run("apply --disruption-budget 0").code, 1, "what failed is tried again, and fails again");
}

#[test]
fn a_service_that_is_not_there_ends_the_pass_and_is_told_once() {
    let mut place = Place::with_alice();
    place.account("bob", 3, "enabled: true");
    Service::start().serve(&mut place);
    let ran = place.run("apply");
    insta::assert_snapshot!(ran.all(), @"
    Failed:
      alice (2560636000000008002): enabled (unknown) -> true, sales/alice.yaml:1
      alice (2560636000000008002): activeSyncEnabled (unknown) -> false, sales/alice.yaml:1
      bob (2560636000000008003): enabled (unknown) -> true, bob.yaml:1
        not attempted: the pass gave up

    Gave up: no access token: cannot connect to 127.0.0.1:PORT: Connection refused (os error 111).
    3 planned = 0 applied + 0 held + 3 failed + 0 in doubt
    --- stderr
    --- exit 1
    ");
}

#[test]
fn held_disruptions_are_an_exit_code_of_their_own_and_everything_else_goes_on() {
    let place = Place::with_alice();
    let ran = place.run("apply --sandbox --disruption-budget 0");
    insta::assert_snapshot!(ran.all(), @"
    Held:
      alice (2560636000000008002): activeSyncEnabled (unknown) -> false, sales/alice.yaml:1
        held by the disruption budget (0 accounts charged in the last 1h + 1 account pending, budget 0 accounts; 1 change waits; it never fits by itself)

    Held by the disruption budget: 1 change of 1 account: 0 accounts charged in the last 1h + 1 account pending, budget 0 accounts; 1 change waits; it never fits by itself. If all of them are meant, commit what `plan --approval --reason TEXT` prints and have it reviewed, or raise --disruption-budget for one apply; else look for the mistake.
    2 planned = 1 applied + 1 held + 0 failed + 0 in doubt
    --- stderr
    --- exit 3
    ");
    assert_eq!(place.run("apply --sandbox").code, 0);
}

#[test]
fn a_broken_manifest_does_not_keep_the_others_from_being_applied() {
    let place = Place::with_alice();
    place.account("bob", 3, "enabled: yes");
    let ran = place.run("apply --sandbox --log-level warn --log-format text");
    insta::assert_snapshot!(ran.all(), @r#"
    2 planned = 2 applied + 0 held + 0 failed + 0 in doubt
    --- stderr
    TIME  WARN a manifest is broken; what it declares is left as it is problem="bob.yaml:8:12: spec.enabled: expected true or false, found the string \"yes\" (if it is meant to be true, write true)" runbook="zoho-mail-reconciler explain InvalidManifest"
    note: 1 problem in manifests; what they declare was left as it is; see `validate desired-state`
    --- exit 1
    "#);
}

#[test]
fn a_signal_ends_the_pass_with_what_was_done() {
    let throttled =
        r#"{"operation": "put", "nth": 2, "do": {"answer": {"status": 429, "headers": {"Retry-After": "600"}}}}"#;
    let (mut place, service) = (Place::with_alice(), Service::with_faults(throttled));
    service.serve(&mut place);
    let mut running = place.start("apply");
    until("the service throttles", || service.requests() >= 3);
    until("the pause is on the disk", || place.run("status").out.contains("Throttled"));
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), 1);
    insta::assert_snapshot!(place.read("stdout"), @"
    Failed:
      alice (2560636000000008002): activeSyncEnabled (unknown) -> false, sales/alice.yaml:1
        Throttled: activeSyncEnabled to false: HTTP 429 with an empty body

    2 planned = 1 applied + 0 held + 1 failed + 0 in doubt
    ");
}

#[test]
fn a_person_reconciles_their_own_account() {
    let mut place = Place::with_alice();
    place.set("ZOHO_MAIL_AUTH", "user");
    insta::assert_snapshot!(place.run("apply --sandbox").all(), @"
    2 planned = 2 applied + 0 held + 0 failed + 0 in doubt
    --- stderr
    --- exit 0
    ");
    // A person's PUT names no zuid, so the embedded sandbox takes any account for theirs; after a restart as well.
    place.account("bob", 3, "enabled: true");
    place.ok("apply --sandbox");
    place.account("bob", 3, "enabled: false");
    assert_eq!(place.ok("apply --sandbox"), "1 planned = 1 applied + 0 held + 0 failed + 0 in doubt\n");
    let manifest = place.read("desired-state/sales/alice.yaml").replace("  zuid: 1111111\n", "");
    place.write("desired-state/sales/alice.yaml", &manifest);
    std::fs::remove_file(place.path().join("desired-state/bob.yaml")).unwrap();
    assert!(place.ok("plan --sandbox").contains("No changes"), "a person's manifest needs no zuid");
}

/// Runs a command on a terminal of its own, and returns what appeared there.
fn on_a_terminal(place: &Place, arguments: &str) -> String {
    let mut command = std::process::Command::new("script");
    let line = format!("stty cols 120; exec {BINARY} {arguments}");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(place.path());
    for (name, value) in place.command("").get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let output = assert_cmd::Command::from_std(command).timeout(PATIENCE).env("TERM", "xterm").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_terminal_sees_progress_an_estimate_and_a_line_for_each_change() {
    let (mut place, service) =
        (Place::with_alice(), Service::with_faults(r#"{"operation": "put", "latency": "500ms"}"#));
    service.serve(&mut place);
    place.set("ZOHO_MAIL_LOG_LEVEL", "info").set("ZOHO_MAIL_RATE_LIMIT", "100/1m");
    let seen = on_a_terminal(&place, "apply");
    assert!(seen.contains(" 1/2 applied, about 1s left at 100/1m"), "{seen}");
    assert!(
        seen.contains("applied account=2560636000000008002 name=alice field=activeSyncEnabled value=false"),
        "{seen}"
    );
    assert!(seen.ends_with("2 planned = 2 applied + 0 held + 0 failed + 0 in doubt\r\n"), "{seen}");
    assert!(!seen.contains("0/0"), "nothing is drawn before there is a plan: {seen}");
    let again = on_a_terminal(&place, "apply --log-level warn");
    assert_eq!(again, "0 planned = 0 applied + 0 held + 0 failed + 0 in doubt\r\n");
}

#[test]
fn only_the_plan_that_was_reviewed_is_applied() {
    let (mut place, service) = (Place::with_alice(), Service::start());
    service.serve(&mut place);
    let digest = |place: &Place| {
        let plan = place.ok("plan");
        plan.lines().find_map(|line| line.strip_prefix("Digest: ")).unwrap().to_owned()
    };
    let reviewed = digest(&place);
    let document: serde_json::Value = serde_json::from_str(&place.ok("plan -o json")).unwrap();
    assert_eq!(document["digest"], reviewed);
    place.account("bob", 3, "enabled: false");
    let ran = place.run(&format!("apply --expect-digest {reviewed}"));
    assert_eq!(ran.code, 1, "{}", ran.all());
    assert!(ran.out.contains("# bob") && ran.out.contains("Plan: 3 PUTs"), "{}", ran.out);
    let said = format!("error: nothing was sent: the plan that was reviewed has the digest {reviewed}, and what would");
    assert!(ran.err.starts_with(&said), "{}", ran.err);
    assert_eq!(service.requests(), 0);
    let now = digest(&place).replace("sha256:", "").to_uppercase();
    assert_eq!(place.run(&format!("apply --expect-digest {now}")).code, 0);
    assert_eq!(service.requests(), 4, "a token and three PUTs");
    // What is applied is not sent again for the asking, and a plan without changes has a digest as well.
    assert_eq!(place.run(&format!("apply --expect-digest {now}")).code, 1);
    assert_eq!(place.run(&format!("apply --expect-digest {}", digest(&place))).code, 0);
    // The daemon's ledger may not be taken from under it, whatever is expected.
    let empty = place.run("apply --expect-digest=");
    assert_eq!(empty.code, 64, "{}", empty.all());
    assert_eq!(service.requests(), 4);
}

#[test]
fn one_cause_is_one_cause_however_many_accounts_it_meets() {
    let (mut place, service) = (Place::with_alice(), Service::start());
    service.serve(&mut place);
    place.set("ZOHO_MAIL_CLIENT_SECRET", "hunter2");
    for n in 10..50 {
        place.account(&format!("a{n}"), n, "enabled: true");
    }
    let ran = place.run("apply");
    assert!(ran.out.lines().count() < 15 && ran.out.contains("and 37 changes more for the same cause"), "{}", ran.out);
    assert!(ran.out.contains("42 planned = 0 applied + 0 held + 42 failed"), "{}", ran.out);
}
