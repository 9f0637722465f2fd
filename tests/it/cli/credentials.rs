//! Credentials: from variables or files, and what is said when they cannot be used.

use super::{Place, Ran, Service};

fn without_files(place: &Place, ran: &Ran) {
    assert_eq!(ran.code, 64, "{}", ran.all());
    assert!(!place.path().join("ledger.json.lock").exists(), "nothing is made before the options are right");
}

#[test]
fn missing_partial_and_contradicting_credentials_are_usage_errors() {
    let mut said = String::new();
    for set in [
        "",
        "CLIENT_ID=a",
        "CLIENT_ID=a CLIENT_SECRET=b",
        "CLIENT_ID=a CLIENT_SECRET=b REFRESH_TOKEN=c ACCESS_TOKEN=d",
        "CLIENT_ID=a CLIENT_ID_FILE=f CLIENT_SECRET=b REFRESH_TOKEN=c",
        "ACCESS_TOKEN_FILE=missing",
        "ACCESS_TOKEN=hunter2\u{e9}",
        "ACCESS_TOKEN_FILE=empty",
    ] {
        let mut place = Place::with_alice();
        place.keep("empty", "");
        for (name, value) in set.split(' ').filter_map(|pair| pair.split_once('=')) {
            place.set(&format!("ZOHO_MAIL_{name}"), value);
        }
        // The daemon waits for a file that is empty.
        let commands = if set.ends_with("=empty") { &["apply"][..] } else { &["apply", "run --listen off"] };
        for command in commands {
            let ran = place.run(&format!("{command} --zoid 12345678"));
            without_files(&place, &ran);
            assert!(!ran.all().contains("hunter2"));
            if *command == "apply" {
                said.push_str(&format!("{set}\n{}", ran.err));
            }
        }
    }
    insta::assert_snapshot!(said, @"
    error: no credentials: set ZOHO_MAIL_CLIENT_ID, ZOHO_MAIL_CLIENT_SECRET and ZOHO_MAIL_REFRESH_TOKEN, or ZOHO_MAIL_ACCESS_TOKEN alone (or the path of a file with the secret in the variable of the same name with _FILE at its end)
    CLIENT_ID=a
    error: credentials are incomplete: set ZOHO_MAIL_CLIENT_SECRET and ZOHO_MAIL_REFRESH_TOKEN as well (or the same name with _FILE, and a path)
    CLIENT_ID=a CLIENT_SECRET=b
    error: credentials are incomplete: set ZOHO_MAIL_REFRESH_TOKEN as well (or the same name with _FILE, and a path)
    CLIENT_ID=a CLIENT_SECRET=b REFRESH_TOKEN=c ACCESS_TOKEN=d
    error: ZOHO_MAIL_ACCESS_TOKEN and ZOHO_MAIL_CLIENT_ID are both set: unset one of them
    CLIENT_ID=a CLIENT_ID_FILE=f CLIENT_SECRET=b REFRESH_TOKEN=c
    error: ZOHO_MAIL_CLIENT_ID and ZOHO_MAIL_CLIENT_ID_FILE are both set: unset one of them
    ACCESS_TOKEN_FILE=missing
    error: ZOHO_MAIL_ACCESS_TOKEN_FILE names no file that is there (its value is not shown, for it may be the secret itself; that would belong into ZOHO_MAIL_ACCESS_TOKEN): No such file or directory (os error 2)
    ACCESS_TOKEN=hunter2é
    error: the value of ZOHO_MAIL_ACCESS_TOKEN has a space, a line break, a quotation mark or a character outside ASCII in it: only the secret itself may be there
    ACCESS_TOKEN_FILE=empty
    error: the value of ZOHO_MAIL_ACCESS_TOKEN, read from empty, is empty
    ");
}

#[test]
fn secrets_from_files_work_and_a_newline_at_the_end_is_no_part_of_them() {
    let (mut place, service) = (Place::with_alice(), Service::start());
    service.serve(&mut place);
    for name in ["CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN"] {
        place.set(&format!("ZOHO_MAIL_{name}"), "").set(&format!("ZOHO_MAIL_{name}_FILE"), &format!("secrets/{name}"));
        place.keep(&format!("secrets/{name}"), "sandbox\n");
    }
    assert_eq!(place.ok("apply"), "2 planned = 2 applied + 0 held + 0 failed + 0 in doubt\n");
}

#[test]
fn credentials_that_the_service_refuses_end_the_pass_and_say_why() {
    let (mut place, service) = (Place::with_alice(), Service::start());
    service.serve(&mut place);
    place.set("ZOHO_MAIL_CLIENT_SECRET", "hunter2");
    let ran = place.run("apply");
    insta::assert_snapshot!(ran.all(), @"
    Failed:
      alice (2560636000000008002): enabled (unknown) -> true, sales/alice.yaml:1
      alice (2560636000000008002): activeSyncEnabled (unknown) -> false, sales/alice.yaml:1
        not attempted: the pass gave up

    Gave up: the credentials do not work: no access token from 127.0.0.1:PORT: HTTP 200 invalid_client (check ZOHO_MAIL_CLIENT_ID and ZOHO_MAIL_CLIENT_SECRET, and that the client was made in this data center).
    2 planned = 0 applied + 0 held + 2 failed + 0 in doubt
    --- stderr
    --- exit 1
    ");
    assert_eq!(service.requests(), 1);
}

#[test]
fn commands_that_send_nothing_need_no_credentials() {
    let place = Place::with_alice();
    for command in ["plan --zoid 1", "diff --zoid 1", "status", "validate"] {
        let ran = place.run(command);
        assert_eq!(ran.code, i32::from(command.starts_with("diff")), "{command}: {}", ran.all());
    }
}
