//! What lies in the place of a file: pipes, devices, links out of the folder, and files that never end.
//!
//! In: everything a path can lead to, in every place where a path is taken. Out: an end, soon, with an error that names the
//! place; no byte of what lay there.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use crate::cli::{Place, Ran, Service};
use crate::process::{Rig, files, wait_for};

/// In the environment of every command here, and in the files that links lead to.
const CANARY: &str = "sEcReT-of-the-environment";

/// What may lie at a path and is no file to read.
const ODDITIES: &str = "fifo socket zero terminal folder dangling loop environ stdin outside huge";

/// Puts `oddity` at `path`.
fn put(oddity: &str, path: &Path) {
    let folder = path.parent().unwrap();
    match oddity {
        "fifo" => mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
        // It stays where it is when nobody listens any more.
        "socket" => drop(UnixListener::bind(path).unwrap()),
        "zero" => symlink("/dev/zero", path).unwrap(),
        "terminal" => symlink("/dev/tty", path).unwrap(),
        "folder" => fs::create_dir(path).unwrap(),
        "dangling" => symlink("nothing", path).unwrap(),
        "loop" => symlink(path.file_name().unwrap(), path).unwrap(),
        "environ" => symlink("/proc/self/environ", path).unwrap(),
        "stdin" => symlink("/proc/self/fd/0", path).unwrap(),
        "outside" => {
            // Of the folder of manifests; in other places it is a bad file.
            let outside = folder.parent().unwrap().join("outside.txt");
            fs::write(&outside, CANARY).unwrap();
            fs::set_permissions(&outside, Permissions::from_mode(0o600)).unwrap();
            symlink("../outside.txt", path).unwrap();
        }
        "huge" => {
            let file = fs::File::create(path).unwrap();
            file.set_len(1 << 40).unwrap();
            file.set_permissions(Permissions::from_mode(0o600)).unwrap();
        }
        other => panic!("{other}"),
    }
}

/// A command that has to end, badly, and say nothing of what it found.
fn refused(place: &Place, what: &str, command: &str, variable: &str, value: &Path) -> Ran {
    let mut command = place.command(command);
    command.env("CANARY", CANARY);
    if variable.is_empty() {
        command.arg(value)
    } else {
        command.env(variable, value)
    };
    let ran = place.ran(assert_cmd::Command::from_std(command));
    assert!([1, 2, 5, 64].contains(&ran.code), "{what}: {}", ran.all());
    assert!(!ran.all().contains(CANARY), "{what}: {}", ran.all());
    assert!(ran.all().len() < 4_000, "{what}: {} bytes were said", ran.all().len());
    ran
}

/// A place whose service is not there.
fn alone() -> Place {
    let mut place = Place::with_alice();
    for name in ["API_URL", "ACCOUNTS_URL"] {
        place.set(&format!("ZOHO_MAIL_{name}"), "http://127.0.0.1:1");
    }
    place.set("ZOHO_MAIL_ZOID", "1").set("ZOHO_MAIL_RETRY_MIN", "1ms").set("ZOHO_MAIL_RETRY_MAX", "2ms");
    place
}

#[test]
fn whatever_lies_in_the_place_of_a_file_is_refused_at_once_and_never_shown() {
    for oddity in ODDITIES.split(' ') {
        let place = Place::with_alice();
        let odd = place.path().join("odd").join("odd");
        fs::create_dir(odd.parent().unwrap()).unwrap();
        put(oddity, &odd);
        for name in ["ACCESS_TOKEN", "CLIENT_SECRET"] {
            let mut with = alone();
            if name != "ACCESS_TOKEN" {
                with.set("ZOHO_MAIL_CLIENT_ID", "a").set("ZOHO_MAIL_REFRESH_TOKEN", "b");
            }
            let ran = refused(&with, oddity, "apply", &format!("ZOHO_MAIL_{name}_FILE"), &odd);
            // The only good file among them is the one beside the folder of manifests.
            let is_secret = oddity == "outside";
            assert!(
                ran.code == if is_secret { 1 } else { 64 } && (is_secret || ran.err.contains(name)),
                "{}",
                ran.all()
            );
        }
        let mut ledger = alone();
        ledger.set("ZOHO_MAIL_ACCESS_TOKEN", "x");
        let absent = oddity == "dangling";
        for command in ["plan", "diff", "status", "apply"].into_iter().filter(|_| !absent) {
            refused(&ledger, oddity, command, "ZOHO_MAIL_LEDGER", &odd);
        }
        refused(&place, oddity, "validate", "", &odd);
        refused(&place, oddity, "sandbox --listen 127.0.0.1:0 --faults", "", &odd);
        refused(&place, oddity, "sandbox --listen 127.0.0.1:0 --accounts", "", &odd);
        if oddity != "folder" {
            refused(&place, oddity, "plan --zoid 1", "ZOHO_MAIL_DESIRED_STATE", &odd);
        }
    }
}

#[test]
fn an_odd_file_among_manifests_is_a_problem_of_its_own_and_no_neighbours() {
    for oddity in ODDITIES.split(' ').filter(|oddity| *oddity != "folder") {
        let place = Place::with_alice();
        put(oddity, &place.path().join("desired-state/odd.yaml"));
        let ran = refused(&place, oddity, "validate", "", &place.path().join("desired-state"));
        assert!(ran.out.contains("1 account, 1 problem\n") && ran.out.contains("odd.yaml"), "{oddity}: {}", ran.all());
        let (mut place, service) = (place, Service::start());
        service.serve(&mut place);
        let ran = place.run("apply");
        assert!(ran.code == 1 && ran.out.starts_with("2 planned = 2 applied"), "{oddity}: {}", ran.all());
    }
}

#[test]
fn links_that_stay_and_hard_links_are_files_like_others() {
    let place = Place::with_alice();
    let folder = place.path().join("desired-state");
    fs::rename(folder.join("sales/alice.yaml"), place.path().join("alice")).unwrap();
    fs::hard_link(place.path().join("alice"), folder.join(".hidden")).unwrap();
    symlink("../.hidden", folder.join("sales/alice.yaml")).unwrap();
    assert_eq!(place.ok("validate"), "1 of 1 file read, 0 skipped; 1 account, no problems\n");
}

#[test]
fn what_the_program_makes_is_for_its_owner_alone_whatever_the_umask() {
    let rig = Rig::new(3);
    let command = rig.writing("run");
    let mut open = std::process::Command::new("sh");
    open.args(["-c", "umask 0; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    open.args(["--listen", "off"]).envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let place = rig.folder.path().join("desired-state");
    let before = files(rig.folder.path()).len() + 1; // and the log
    let mut process = rig.begin(open);
    wait_for("work", || (rig.world().totals().applied >= 2).then_some(()));
    // While it runs there is a journal, after a kill a torn one, and after a stop a folded ledger.
    let modes = || -> Vec<_> {
        let made = files(rig.folder.path()).into_iter().filter(|(path, _)| {
            !path.starts_with(&place) && path.file_name().unwrap().to_str().unwrap().starts_with("ledger")
        });
        made.map(|(path, _)| (path.clone(), fs::metadata(path).unwrap().mode() & 0o777)).collect()
    };
    let running = modes();
    process.signal(Signal::TERM);
    assert!(process.end().success());
    let stopped = modes();
    assert!(running.len() >= 2 && !stopped.is_empty(), "{running:?} {stopped:?}");
    for (path, mode) in running.into_iter().chain(stopped) {
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    assert!(files(rig.folder.path()).len() <= before + 3, "nothing else was made");
}

#[test]
fn a_link_planted_beside_the_ledger_is_never_written_through() {
    for planted in ["ledger.json.tmp", "ledger.json.lock", "ledger.json.journal", "ledger.json.journal.torn-0"] {
        let (mut place, service) = (Place::with_alice(), Service::start());
        service.serve(&mut place);
        place.write("victim", "precious\n");
        symlink("victim", place.path().join(planted)).unwrap();
        let ran = place.run("apply");
        assert_eq!(place.read("victim"), "precious\n", "{planted}: {}", ran.all());
        // What is in the way of the next snapshot is taken away; of the others it is said that they are no files.
        let goes_on = !["ledger.json.lock", "ledger.json.journal"].contains(&planted);
        assert_eq!(ran.code, i32::from(!goes_on), "{planted}: {}", ran.all());
        assert!(goes_on || ran.err.contains("is not a regular file"), "{planted}: {}", ran.all());
    }
}
