//! The real binary, killed, stopped, and started again: in the end the world is as desired, and nothing is sent twice
//! that was known to be done.

mod kills;
mod power;
mod trouble;

use std::collections::BTreeSet;
use std::process::{Command, Output};

use rustix::process::Signal;
use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::change::Known;

use super::process::{Process, Rig, account, wait_for};

/// Ends well, with the world as desired and nothing left to do.
fn converge(rig: &Rig, accounts: u64) {
    let Output { status, stdout, stderr } = rig.apply();
    let said = format!("{} {}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}: {said}");
    rig.check_world(accounts);
    let before = rig.world().requests_total();
    assert!(rig.apply().status.success());
    assert_eq!(rig.world().requests_total(), before, "a second pass sends nothing");
    assert_eq!(rig.applied().len(), 2 * usize::try_from(accounts).unwrap());
}

#[test]
fn killed_at_any_moment_the_ledger_tells_the_truth_and_what_it_knows_is_not_sent_again() {
    const ACCOUNTS: u64 = 30;
    let rig = Rig::new(ACCOUNTS);
    rig.script(r#"{"faults": [{"operation": "put", "latency": "2ms"}]}"#);
    let mut chance = fastrand::Rng::with_seed(7);
    // Each round asks for a token, and ten are all there are.
    for round in 0..8 {
        let known = rig.applied();
        let before = rig.world().totals();
        let goal = before.puts + chance.u64(1..9);
        let mut process = rig.begin(rig.writing("apply"));
        wait_for("a few PUTs", || (rig.world().totals().puts >= goal || process.has_ended().is_some()).then_some(()));
        // Somewhere within the next request, too.
        (0..chance.u32(0..20_000)).for_each(|_| std::hint::spin_loop());
        process.kill();
        let again: Vec<_> = rig.puts(before.requests).into_iter().filter(|put| known.contains_key(put)).collect();
        assert_eq!(again, [], "in round {round} what was known to be done was sent again");
        rig.applied();
    }
    converge(&rig, ACCOUNTS);
}

#[test]
fn whatever_was_in_doubt_is_settled_by_a_put_of_what_is_desired_now() {
    // A crash after the PUT acted, then a revert in Git.
    let rig = Rig::new(1);
    rig.declare(0, true, true);
    assert!(rig.apply().status.success());
    rig.script(r#"{"faults": [{"operation": "disableMailAccount", "latency": "10m"}]}"#);
    rig.declare(0, false, true);
    let process = rig.begin(rig.writing("apply"));
    wait_for("the PUT to act", || (!rig.world().account(account(0)).unwrap().mailbox_enabled).then_some(()));
    process.kill();
    rig.declare(0, true, true);
    rig.script(r#"{"faults": []}"#);
    let before = rig.world().requests_total();
    let mut process = rig.begin(rig.writing("apply"));
    let waits = || process.said().contains("an earlier PUT of the other value may still take effect");
    wait_for("the acknowledgement", || waits().then_some(()));
    assert!(rig.world().account(account(0)).unwrap().mailbox_enabled, "the world is as desired now");
    assert_eq!(rig.puts(before), [(account(0), Field::Enabled)], "by one PUT of what was in doubt");
    // The killed PUT may land yet; a pass that is not told to end waits until it cannot any more.
    process.signal(Signal::TERM);
    assert_eq!(process.end().code(), Some(1), "it is in doubt still: {}", process.said());
    assert_eq!(rig.read_ledger().unwrap().known(account(0), Field::Enabled), Known::InDoubt);
}

/// Waits until the process has sent something new, or says that it waits for `why`; whether it waits.
fn sends_or_waits(rig: &Rig, process: &Process, before: u64, why: &str) -> bool {
    wait_for("a request or a wait", || {
        let waits = process.waits_for().is_some_and(|waits| waits == why);
        let sent = rig.world().requests_total() > before;
        (sent || waits).then_some(waits && !sent)
    })
}

#[test]
fn a_crash_loop_gets_no_fresh_request_budget() {
    let rig = Rig::new(6);
    let mut waited = 0;
    for _ in 0..7 {
        let mut command = rig.writing("run");
        command.args(["--listen", "127.0.0.1:0", "--rate-limit", "5/10m"]);
        let process = rig.begin(command);
        let before = rig.world().requests_total();
        waited += usize::from(sends_or_waits(&rig, &process, before, "rate_limit"));
        process.kill();
    }
    assert!(waited > 0, "the budget was used up");
    assert!(rig.world().requests_total() <= 5, "{} requests", rig.world().requests_total());
}

#[test]
fn a_crash_loop_asks_for_ten_tokens_in_ten_minutes_at_most() {
    let rig = Rig::new(1);
    rig.script(r#"{"faults": [{"operation": "put", "do": "dropBeforeActing"}]}"#);
    let mut waited = 0;
    for _ in 0..13 {
        let process = rig.run();
        let before = rig.world().totals().tokens;
        waited += usize::from(wait_for("a token request or a wait", || {
            let waits = process.waits_for().is_some_and(|waits| waits == "token_limit");
            let asked = rig.world().totals().tokens > before;
            (asked || waits).then_some(waits)
        }));
        process.kill();
    }
    assert_eq!((rig.world().totals().tokens, waited), (10, 3));
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_nothing_acknowledged_is_sent_again() {
    const ACCOUNTS: u64 = 12;
    let rig = Rig::new(ACCOUNTS);
    rig.script(r#"{"faults": [{"operation": "put", "latency": "200ms"}]}"#);
    let mut process = rig.run();
    wait_for("a few PUTs", || (rig.world().totals().puts >= 6).then_some(()));
    process.signal(Signal::TERM);
    let status = process.end();
    assert!(status.success(), "{status}: {}", process.said());
    let journal = rig.ledger.with_file_name("ledger.json.journal");
    assert!(!journal.exists(), "after a clean stop the ledger is whole by itself");
    let acted = usize::try_from(rig.world().totals().applied).unwrap();
    assert!(acted < 2 * usize::try_from(ACCOUNTS).unwrap(), "it was stopped in the middle");
    assert_eq!(rig.applied().len(), acted, "what was in flight was finished and written down");
    rig.script(r#"{"faults": []}"#);
    converge(&rig, ACCOUNTS);
    let puts = rig.puts(0);
    assert_eq!(puts.len(), puts.iter().collect::<BTreeSet<_>>().len(), "no PUT was sent twice");
}

#[test]
fn a_second_sigterm_ends_it_at_once() {
    let rig = Rig::new(1);
    rig.script(r#"{"faults": [{"operation": "put", "latency": "10m"}]}"#);
    let mut process = rig.run();
    wait_for("the PUT", || (rig.world().totals().puts > 0).then_some(()));
    process.signal(Signal::TERM);
    wait_for("the first to be heard", || process.said().contains("finishing what is in flight").then_some(()));
    assert!(process.has_ended().is_none(), "it waits for the answer");
    process.signal(Signal::TERM);
    assert_eq!(process.end().code(), Some(130), "{}", process.said());
    assert_eq!(rig.applied().len(), 0, "what was in flight is in doubt");
}

#[test]
fn a_second_process_on_the_same_ledger_is_kept_out() {
    let rig = Rig::new(1);
    let process = rig.run();
    wait_for("the daemon to be ready", || process.page("/readyz").filter(|(status, _)| *status == 200));
    let second = rig.apply();
    assert_eq!(second.status.code(), Some(4), "{}", String::from_utf8_lossy(&second.stderr));
    assert!(String::from_utf8_lossy(&second.stderr).contains("is in use by another process"));
}

/// A small disk of its own, gone when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Nothing if this process may not mount.
    fn mount(test: &str) -> Option<Self> {
        let folder = tempfile::TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(folder.path());
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("{test}: SKIPPED, for this process may not mount a small disk");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Should it stay, the system shows it under its folder's name.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn without_room_for_the_ledger_puts_stop_readyz_says_so_and_with_room_all_resumes() {
    let Some(disk) = SmallDisk::mount("without_room_for_the_ledger_puts_stop") else { return };
    let mut rig = Rig::new(2);
    rig.ledger = disk.0.path().join("ledger.json");
    let mut process = rig.run();
    wait_for("all to be applied", || (rig.world().totals().applied >= 4).then_some(()));
    wait_for("it to be written down", || (rig.applied().len() == 4).then_some(()));
    let filler = disk.0.path().join("filler");
    let full = std::fs::write(&filler, vec![0; 1024 * 1024]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    // The last page of the journal may have room for a few records more.
    let enabled = || rig.world().account(account(0)).unwrap().mailbox_enabled;
    let not_ready = || process.page("/readyz").filter(|(status, _)| *status != 200);
    let (status, why) = loop {
        let flip = !enabled();
        rig.declare(0, flip, true);
        wait_for("a PUT or an end of PUTs", || (enabled() == flip || not_ready().is_some()).then_some(()));
        if let Some(page) = not_ready() {
            break page;
        }
    };
    assert_eq!(status, 503);
    assert!(why.contains("the ledger cannot be written: there is no room"), "{why}");
    let before = rig.world().totals().puts;
    let reads = || process.said().matches("manifests read").count();
    let seen = reads();
    rig.declare(1, true, true);
    wait_for("the edit to be seen", || (reads() > seen).then_some(()));
    assert_eq!(rig.world().totals().puts, before, "no PUT leaves without its intent on the disk");
    std::fs::remove_file(filler).unwrap();
    wait_for("the PUTs", || rig.world().account(account(1)).unwrap().mailbox_enabled.then_some(()));
    wait_for("readyz", || process.page("/readyz").filter(|(status, _)| *status == 200));
    process.signal(Signal::TERM);
    assert!(process.end().success());
    rig.applied();
}

#[test]
fn a_single_pass_without_room_for_the_ledger_ends_and_says_why() {
    let Some(disk) = SmallDisk::mount("a_single_pass_without_room_for_the_ledger_ends") else { return };
    let mut rig = Rig::new(2);
    rig.ledger = disk.0.path().join("ledger.json");
    assert!(std::fs::write(disk.0.path().join("filler"), vec![0; 1024 * 1024]).is_err());
    let Output { status, stderr, .. } = rig.apply();
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("there is no room"), "{said}");
    assert_eq!(rig.world().totals().puts, 0);
}
