//! The system refuses the program what it needs: it goes on without, or ends and says what is wrong; and once it is
//! mended, all is well again.

use std::fs;
use std::process::Command;

use rustix::process::{Resource, Rlimit, Signal, prlimit};
use zoho_mail_reconciler::account::Field;

use super::super::process::{Process, Rig, account, strace_works, wait_for};
use super::{SmallDisk, converge};

/// `program` in a shell that limits it first.
fn limited(program: &Command, limit: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", &format!("{limit}; exec \"$0\" \"$@\"")]).arg(program.get_program()).args(program.get_args());
    command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// Ends with 1 and says all of `words`; not by a panic.
fn ends_with(process: &mut Process, words: &[&str]) {
    ends_with_code(1, process, words);
}

/// The same, with another exit code.
fn ends_with_code(code: i32, process: &mut Process, words: &[&str]) {
    let status = process.end();
    let said = process.said();
    assert_eq!(status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "not a word of {word:?}: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn all_applied(rig: &Rig) {
    wait_for("all to be applied", || (rig.applied().len() == 4).then_some(()));
}

#[test]
fn with_however_few_open_files_a_pass_does_all_or_says_why_and_claims_nothing_that_is_not_so() {
    const ACCOUNTS: u64 = 2;
    let rig = Rig::new(ACCOUNTS);
    // Below that the runtime's own library panics, before anything of the program has begun.
    let enough = (8..64).find(|files| {
        let mut process = rig.begin(limited(&rig.writing("apply"), &format!("ulimit -n {files}")));
        let well = process.end().success();
        rig.applied();
        if !well {
            // Where the file that suspends everything cannot be opened, everything is taken to be suspended.
            let code = if process.said().contains("all reconciling is suspended") { 3 } else { 1 };
            ends_with_code(code, &mut process, &["Too many open files"]);
        }
        well
    });
    assert!(enough > Some(8), "{enough:?} files were enough: nothing was limited");
    converge(&rig, ACCOUNTS);
}

#[test]
fn a_daemon_out_of_open_files_takes_nothing_away_and_goes_on_when_it_has_some_again() {
    let rig = Rig::new(2);
    let process = rig.run();
    all_applied(&rig);
    let before = rig.world().requests_total();
    let limit = |files| Rlimit { current: Some(files), maximum: Some(1024) };
    prlimit(Some(process.pid()), Resource::Nofile, limit(3)).unwrap();
    rig.declare(0, false, true);
    wait_for("a word about it", || process.said().contains("Too many open files").then_some(()));
    assert_eq!(rig.world().requests_total(), before);
    prlimit(Some(process.pid()), Resource::Nofile, limit(1024)).unwrap();
    process.signal(Signal::HUP);
    wait_for("the edit to be applied", || (!rig.world().account(account(0)).unwrap().mailbox_enabled).then_some(()));
    rig.applied();
    assert_eq!(rig.puts(before), [(account(0), Field::Enabled)]);
}

#[test]
fn a_ledger_that_cannot_be_read_is_said_to_be_so_and_not_taken_for_a_missing_one() {
    if !strace_works("a_ledger_that_cannot_be_read") {
        return;
    }
    let rig = Rig::new(2);
    let running = rig.run();
    all_applied(&rig);
    running.kill();
    let (before, found) = (rig.world().requests_total(), rig.read_ledger());
    for name in ["ledger.json", "ledger.json.journal"] {
        let mut process = rig.begin(rig.traced_on(&[name], &rig.writing("apply"), "inject=read:error=EIO"));
        ends_with(&mut process, &["cannot read", name, "look at the disk", "Input/output error"]);
    }
    assert_eq!((rig.world().requests_total(), rig.read_ledger()), (before, found));
}

#[test]
fn a_disk_that_turns_read_only_under_a_daemon_ends_it_and_a_restart_sends_nothing_twice() {
    if !strace_works("a_disk_that_turns_read_only") {
        return;
    }
    let rig = Rig::new(2);
    let mut command = rig.writing("run");
    command.args(["--listen", "off"]);
    let mut process = rig.begin(rig.traced_on(&["ledger.json.journal"], &command, "inject=write:error=EROFS:when=3+"));
    ends_with(&mut process, &["ledger.json.journal", "read-only mount", "Read-only file system"]);
    let (known, before) = (rig.applied(), rig.world().requests_total());
    converge(&rig, 2);
    assert!(rig.puts(before).iter().all(|put| !known.contains_key(put)));
}

#[test]
fn a_folder_that_disappears_under_a_daemon_ends_it_and_is_named_at_the_next_start() {
    let mut rig = Rig::new(2);
    let state = rig.folder.path().join("state");
    fs::create_dir(&state).unwrap();
    rig.ledger = state.join("ledger.json");
    let mut process = rig.run();
    all_applied(&rig);
    let before = rig.world().requests_total();
    fs::remove_dir_all(&state).unwrap();
    rig.declare(0, false, true);
    ends_with(&mut process, &["ledger.json.journal", "it was removed", "Find out who"]);
    ends_with(&mut rig.run(), &["there is no folder", "create it"]);
    assert_eq!(rig.world().requests_total(), before, "no PUT leaves that cannot be written down");
}

#[test]
fn a_disk_that_is_full_at_the_end_and_at_the_start_loses_nothing_and_stops_nothing_for_good() {
    let Some(disk) = SmallDisk::mount("a_disk_that_is_full_at_the_end") else { return };
    let mut rig = Rig::new(2);
    rig.ledger = disk.0.path().join("ledger.json");
    let mut process = rig.run();
    all_applied(&rig);
    let filler = disk.0.path().join("filler");
    fs::write(&filler, vec![0; 1024 * 1024]).unwrap_err();
    process.signal(Signal::TERM);
    ends_with(&mut process, &["what was acknowledged is in the journal", "there is no room", "free some space"]);

    // Enough edits for the journal's last page not to hold them.
    let mut process = rig.run();
    let mut turn = 0;
    let why = wait_for("not ready", || {
        turn += 1;
        rig.declare(turn % 2, turn / 2 % 2 == 0, turn / 2 % 2 == 0);
        process.page("/readyz").filter(|(_, why)| why.contains("there is no room"))
    });
    assert_eq!(why.0, 503);
    (0..2).for_each(|n| rig.declare(n, n % 2 == 0, n % 3 == 0));
    fs::remove_file(filler).unwrap();
    wait_for("readiness", || process.page("/readyz").filter(|(status, _)| *status == 200));
    process.signal(Signal::TERM);
    assert!(process.end().success(), "{}", process.said());
    converge(&rig, 2);
}
