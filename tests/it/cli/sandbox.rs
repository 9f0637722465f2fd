//! `sandbox`: the simulated service alone, and a rehearsal against it.

use rustix::process::Signal;

use super::{Place, Running, masked, until};

fn sandbox(place: &Place, arguments: &str) -> Running {
    let running = place.start(&format!("sandbox --listen 127.0.0.1:0 {arguments}"));
    until("the banner is printed", || place.read("stdout").contains("/sandbox/faults"));
    running
}

/// Takes over the variables that the banner's administrator exports.
fn export(place: &mut Place) {
    let banner = place.read("stdout");
    let administrator = banner.split("Or as the person").next().unwrap();
    for line in administrator.lines().filter_map(|line| line.trim().strip_prefix("export ")) {
        for (name, value) in line.split(' ').filter_map(|pair| pair.split_once('=')) {
            place.set(name, value);
        }
    }
}

#[test]
fn the_script_of_faults_in_the_help_is_one_that_is_taken() {
    let place = Place::new();
    let help = place.ok("sandbox --help");
    let script = help.split_once("  {\"faults\"").unwrap().1.split_once("]}\n").unwrap().0;
    place.write("faults.json", &format!("{{\"faults\"{script}]}}"));
    let _running = sandbox(&place, "--faults faults.json");
    assert!(place.read("stdout").contains("faults                3"), "{}", place.read("stdout"));
}

#[test]
fn a_rehearsal_with_the_banners_variables_applies_and_sees_the_faults() {
    let mut place = Place::with_alice();
    place.account("bob", 3, "enabled: true");
    place
        .write("faults.json", r#"{"faults": [{"account": "2560636000000008003", "do": {"answer": {"status": 403}}}]}"#);
    let mut running = sandbox(&place, "--accounts desired-state --faults faults.json");
    insta::assert_snapshot!(masked(&place.read("stdout")), @"
    A simulated Zoho Mail API. Nothing that happens here reaches Zoho.

      API and accounts URL  http://127.0.0.1:PORT
      organization          12345678
      accounts              2
      request budget        30 per 1m, then locked for 15m
      faults                1

    In another shell, as the administrator:

      export ZOHO_MAIL_API_URL=http://127.0.0.1:PORT ZOHO_MAIL_ACCOUNTS_URL=http://127.0.0.1:PORT
      export ZOHO_MAIL_CLIENT_ID=sandbox ZOHO_MAIL_CLIENT_SECRET=sandbox
      export ZOHO_MAIL_REFRESH_TOKEN=sandbox ZOHO_MAIL_LEDGER=sandbox-ledger.json
      export ZOHO_MAIL_AUTH=admin ZOHO_MAIL_ZOID=12345678
      zoho-mail-reconciler apply

    Or as the person with zuid 1111111, for their own account:

      export ZOHO_MAIL_API_URL=http://127.0.0.1:PORT ZOHO_MAIL_ACCOUNTS_URL=http://127.0.0.1:PORT
      export ZOHO_MAIL_CLIENT_ID=sandbox ZOHO_MAIL_CLIENT_SECRET=sandbox
      export ZOHO_MAIL_REFRESH_TOKEN=sandbox-person ZOHO_MAIL_LEDGER=sandbox-person-ledger.json
      export ZOHO_MAIL_AUTH=user
      zoho-mail-reconciler apply

    To look in:

      curl http://127.0.0.1:PORT/sandbox/accounts
      curl http://127.0.0.1:PORT/sandbox/requests
      curl -X PUT --data-binary @faults.json http://127.0.0.1:PORT/sandbox/faults
    ");
    export(&mut place);
    insta::assert_snapshot!(place.run("apply").all(), @"
    Failed:
      bob (2560636000000008003): enabled (unknown) -> true, bob.yaml:1
        Forbidden: enabled to true: HTTP 403 with an empty body (the owner of the token may not change this account)

    3 planned = 2 applied + 0 held + 1 failed + 0 in doubt
    --- stderr
    --- exit 1
    ");
    place.account("stranger", 9, "enabled: true");
    let ran = place.run("apply");
    assert!(ran.out.contains("AccountNotFound"), "only seeded accounts exist: {}", ran.all());
    assert!(place.path().join("sandbox-ledger.json").exists() && !place.path().join("ledger.json").exists());
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), 0);
}

#[test]
fn without_accounts_every_account_exists() {
    let mut place = Place::with_alice();
    let _running = sandbox(&place, "--request-limit unlimited");
    export(&mut place);
    assert_eq!(place.ok("apply"), "2 planned = 2 applied + 0 held + 0 failed + 0 in doubt\n");
}

#[test]
fn bad_input_is_refused_with_a_reason() {
    let place = Place::with_alice();
    place.write("not.json", "{");
    place.write("idle.json", r#"{"faults": [{}]}"#);
    place.write("large.json", &" ".repeat(1024 * 1024 + 1));
    let mut said = String::new();
    for arguments in [
        "--listen 0.0.0.0:0",
        "--listen nowhere",
        "--faults not.json",
        "--faults idle.json",
        "--faults large.json",
        "--faults missing.json",
        "--faults /dev/zero",
        "--accounts nowhere",
        "--request-limit 0/1m",
    ] {
        let ran = place.run(&format!("sandbox {arguments}"));
        said.push_str(&format!(
            "{arguments}: {}\n{}",
            ran.code,
            ran.err.replace("\n\nFor more information, try '--help'.", "")
        ));
        assert!(ran.out.is_empty(), "{}", ran.out);
    }
    insta::assert_snapshot!(said, @"
    --listen 0.0.0.0:0: 1
    error: the sandbox listens on loopback only (127.0.0.1 or [::1]), and 0.0.0.0:0 is not
    --listen nowhere: 64
    error: invalid value 'nowhere' for '--listen <ADDR>': expected an address and a port such as 127.0.0.1:PORT
    --faults not.json: 1
    error: --faults not.json: the fault script cannot be read: it ends too early, in line 1
    --faults idle.json: 1
    error: --faults idle.json: fault 1 of the script does nothing: it needs `do` or `latency`
    --faults large.json: 1
    error: --faults large.json: expected at most 1 MiB
    --faults missing.json: 1
    error: --faults missing.json: No such file or directory (os error 2)
    --faults /dev/zero: 1
    error: --faults /dev/zero: expected a regular file
    --accounts nowhere: 1
    error: --accounts nowhere: expected a folder of manifests
    --request-limit 0/1m: 64
    error: invalid value '0/1m' for '--request-limit <N/DURATION|unlimited>': expected N/DURATION such as 25/1m (N 1 to 10000, DURATION up to 24h), or unlimited
    ");
}

#[test]
fn broken_manifests_among_the_accounts_are_told() {
    let place = Place::with_alice();
    place.account("bob", 3, "enabled: yes");
    let _running = sandbox(&place, "--accounts desired-state");
    insta::assert_snapshot!(place.read("stderr"), @r#"
    error: desired-state/bob.yaml:8:12: spec.enabled: expected true or false, found the string "yes" (if it is meant to be true, write true)
    note: 1 problem in manifests: what they declare does not exist here
    "#);
}
