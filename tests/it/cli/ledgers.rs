//! Exit codes 4 and 5: a ledger that is in use, damaged, newer or somebody else's; and other trouble with it.

use super::{Place, Service, until};

/// A place whose ledger speaks of organization 12345678.
fn applied() -> (Place, Service) {
    let (mut place, service) = (Place::with_alice(), Service::start());
    service.serve(&mut place);
    place.ok("apply");
    (place, service)
}

/// Every command that reads a ledger, and `status`, which asks not whose it is.
const READERS: [&str; 4] = ["plan", "diff", "apply", "run --listen off"];

#[test]
fn a_damaged_ledger_is_refused_by_every_command_and_left_as_it_is() {
    let (place, service) = applied();
    let before = service.requests();
    let damaged = place.read("ledger.json").replace("\"accounts\"", "\"acounts\"");
    place.write("ledger.json", &damaged);
    for command in READERS.into_iter().chain(["status"]) {
        assert_eq!(place.run(command).code, 5, "{command}");
    }
    insta::assert_snapshot!(place.run("apply").err, @"error: DIR/ledger.json is damaged: unknown field `acounts`, expected one of `apiVersion`, `kind`, `zoid`, `serial`, `accounts`, `requests`, `tokenRequests`, `disruptions`, `returns`, `strays`, `unready`, `pause`, `outage`, `lapsed`, `budgets`, `clockSetAt`, `audit`, `crc32` at line 6 column 10. It was left as it is. Restore the ledger and its journal from one backup, or move both aside to start empty: every managed field is then PUT once more");
    assert_eq!((place.read("ledger.json"), service.requests()), (damaged, before));
}

#[test]
fn a_newer_ledger_is_refused_and_left_as_it_is() {
    let (place, _service) = applied();
    let text = place.read("ledger.json");
    // Without its checksum, for a newer version would have written its own.
    let newer = text.split(",\n \"crc32\"").next().unwrap().replace("reconciler/v2", "reconciler/v3") + "}\n";
    place.write("ledger.json", &newer);
    for command in READERS.into_iter().chain(["status"]) {
        assert_eq!(place.run(command).code, 5, "{command}");
    }
    insta::assert_snapshot!(place.run("plan").err, @r#"error: DIR/ledger.json was written by a newer version of this program (apiVersion "zoho-mail-reconciler/v3", where this program knows zoho-mail-reconciler/v2). It was left as it is. Run that version, or a later one"#);
    assert_eq!(place.read("ledger.json"), newer);
}

#[test]
fn the_ledger_of_another_organization_of_a_person_or_of_the_sandbox_is_refused() {
    let (mut place, _service) = applied();
    let mut said = String::new();
    place.set("ZOHO_MAIL_ZOID", "87654321");
    said.push_str(&place.run("plan").err);
    for command in READERS {
        assert_eq!(place.run(command).code, 5, "{command}");
    }
    place.set("ZOHO_MAIL_AUTH", "user");
    said.push_str(&place.run("apply").err);
    place.set("ZOHO_MAIL_AUTH", "admin").set("ZOHO_MAIL_ZOID", "12345678");
    // The real ledger under the sandbox's name, and the sandbox's under the real one's.
    std::fs::copy(place.path().join("ledger.json"), place.path().join("a.sandbox.json")).unwrap();
    let into_sandbox = place.run("apply --sandbox --ledger a.json");
    place.ok("apply --sandbox --ledger b.json");
    let into_real = place.run("apply --ledger b.sandbox.json");
    assert_eq!((into_sandbox.code, into_real.code), (5, 5));
    insta::assert_snapshot!(said + &into_sandbox.err + &into_real.err, @"
    error: DIR/ledger.json belongs to organization 12345678, but this run is for organization 87654321. It was left as it is. Check --zoid and --auth, or give this run a ledger of its own with --ledger
    error: DIR/ledger.json belongs to organization 12345678, but this run is for the person who signed in (--auth user). It was left as it is. Check --zoid and --auth, or give this run a ledger of its own with --ledger
    error: DIR/a.sandbox.json belongs to organization 12345678, but this run is for the embedded sandbox. It was left as it is. Check --zoid and --auth, or give this run a ledger of its own with --ledger
    error: DIR/b.sandbox.json belongs to the embedded sandbox, but this run is for organization 12345678. It was left as it is. Check --zoid and --auth, or give this run a ledger of its own with --ledger
    ");
}

#[test]
fn a_ledger_in_use_is_told_with_the_pid_and_can_still_be_read() {
    let place = Place::with_alice();
    let running = place.start("run --sandbox --listen off");
    until("the daemon has applied everything", || {
        place.path().join("ledger.sandbox.json.lock").exists()
            && place.run("plan --sandbox").out.starts_with("No changes")
    });
    for command in ["apply --sandbox", "run --sandbox --listen off"] {
        let ran = place.run(command);
        assert_eq!(ran.code, 4, "{}", ran.all());
        let pid = running.child.id().to_string();
        assert!(ran.err.contains(&pid), "{}", ran.err);
        insta::allow_duplicates! {
            insta::assert_snapshot!(ran.err.replace(&pid, "PID"), @"error: the ledger DIR/ledger.sandbox.json is in use by another process (pid PID): wait for it or stop it, or give this one a ledger of its own with --ledger");
        }
    }
    assert!(place.ok("status --sandbox").contains("alice   True"));
}

#[test]
fn a_ledger_that_cannot_be_kept_is_a_failure_that_says_what_to_do() {
    let place = Place::with_alice();
    let no_folder = place.run("apply --sandbox --ledger nowhere/ledger.json");
    std::fs::create_dir(place.path().join("folder.sandbox.json")).unwrap();
    let a_folder = place.run("apply --sandbox --ledger folder.json");
    assert_eq!((no_folder.code, a_folder.code), (1, 1));
    insta::assert_snapshot!(no_folder.err + &a_folder.err, @"
    error: there is no folder nowhere for the ledger nowhere/ledger.sandbox.json: create it, or correct --ledger
    error: DIR/folder.sandbox.json is not a regular file: correct --ledger, or move it aside
    ");
}
