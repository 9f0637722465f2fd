//! The real binary is killed at each call on its ledger's files, and started again.

use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;
use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::change::Known;

use super::super::depth::pick;
use super::super::process::{Rig, strace_works, wait_for};
use super::converge;

const ACCOUNTS: u64 = 3;

const CALLS: [&str; 7] =
    ["openat", "write", "fdatasync", "fsync", "?rename,?renameat,renameat2", "ftruncate", "?unlink,unlinkat"];

/// Runs `command` until it is killed at the `n`th of these calls; whether there was one.
fn killed(rig: &Rig, command: &str, call: &str, n: usize) -> bool {
    let mut program = rig.writing(command);
    if command == "run" {
        program.args(["--listen", "off"]);
    }
    let mut process = rig.begin(rig.traced(&program, &format!("inject={call}:signal=KILL:when={n}")));
    if command == "run" {
        let all = || rig.world().totals().applied == 2 * ACCOUNTS && rig.applied().len() as u64 == 2 * ACCOUNTS;
        let ended = wait_for("the end of the work", || process.has_ended().map(Some).or_else(|| all().then_some(None)));
        if ended.is_none() {
            process.signal(Signal::TERM);
        }
    }
    let status = process.end();
    let killed = status.signal() == Some(9) || status.code() == Some(128 + 9);
    assert!(killed || status.success(), "{command}, {call} {n}: {}", process.said());
    killed
}

#[test]
fn killed_at_any_call_on_its_ledger_it_converges_and_sends_nothing_again_that_was_known_to_be_done() {
    if !strace_works("killed_at_any_call_on_its_ledger") {
        return;
    }
    let commands: &[&str] = pick(&["apply"], &["apply", "run"]);
    for command in commands {
        let mut kills = 0;
        for call in CALLS {
            for n in (1..).step_by(pick(4, 1)) {
                let rig = Rig::new(ACCOUNTS);
                if !killed(&rig, command, call, n) {
                    break;
                }
                kills += 1;
                // True, all of it.
                let (known, before) = (rig.applied(), rig.world().requests_total());
                converge(&rig, ACCOUNTS);
                let again: Vec<_> = rig.puts(before).into_iter().filter(|put| known.contains_key(put)).collect();
                assert_eq!(again, [], "{command}, killed at {call} {n}");
            }
        }
        assert!(kills >= pick(8, 30), "only {kills} kills of {command}: strace no longer sees the calls");
    }
}

/// Kills a daemon at the first write to its ledger after which a throttled PUT is known to the service alone. Nothing if
/// no write is such a one.
fn killed_with_a_429_unheard(rig: impl Fn() -> Rig) -> Option<Rig> {
    (1..40).find_map(|n| {
        let rig = rig();
        let mut program = rig.writing("run");
        program.args(["--listen", "off"]);
        let mut process = rig.begin(rig.traced(&program, &format!("inject=write:signal=KILL:when={n}")));
        let written = || rig.read_ledger().filter(|ledger| ledger.pause.is_some());
        wait_for("the kill, or the pause", || process.has_ended().map(drop).or_else(|| written().map(drop)));
        process.kill();
        let ledger = rig.read_ledger()?;
        let in_doubt = |id| Field::ALL.iter().any(|field| ledger.known(id, *field) == Known::InDoubt);
        let unheard = ledger.pause.is_none() && ledger.accounts.keys().any(|id| in_doubt(*id));
        (unheard && rig.world().totals().puts > 0).then_some(rig)
    })
}

#[test]
fn killed_between_a_429_and_its_record_it_probes_with_one_request_after_the_restart() {
    if !strace_works("killed_between_a_429_and_its_record") {
        return;
    }
    let throttling = || {
        let rig = Rig::new(8);
        rig.script(r#"{"faults": [{"operation": "put", "do": {"answer": {"status": 429}}}]}"#);
        rig
    };
    let rig = killed_with_a_429_unheard(throttling).expect("an answer whose record is not written");
    let before = rig.world().totals().puts;
    let _process = rig.run();
    wait_for("the pause", || rig.read_ledger().filter(|ledger| ledger.pause.is_some()));
    assert_eq!(rig.world().totals().puts, before + 1, "four may be under way, and one probes alone");
}
