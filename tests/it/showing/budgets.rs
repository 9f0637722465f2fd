//! By which budgets `status` calls something held: those of the daemon that runs, else its own.
//!
//! In: a daemon with budgets of its own, and a command that is given others or none. Out: both show the same, until the daemon
//! is gone; then the command says whose budgets it takes.

use std::fs;
use std::process::Command;

use super::super::process::{Rig, wait_for};
use super::{Shown, assert_counted, by_daemon, daemon, shown};

/// What `status` shows with these options, and its notes with the table.
fn status(rig: &Rig, options: &[&str]) -> (Shown, String) {
    let command = || -> Command {
        let mut command = rig.reading("status");
        command.args(options);
        command
    };
    let output = command().args(["-o", "json"]).output().unwrap();
    let table = command().args(["--log-format", "text"]).output().unwrap();
    (shown(&String::from_utf8(output.stdout).unwrap()).unwrap(), String::from_utf8(table.stderr).unwrap())
}

const HELD: &str = "DisruptionBudgetExceeded";

#[test]
fn what_is_held_is_what_the_daemon_holds_whatever_options_the_command_has_also_beside_a_broken_manifest() {
    let rig = Rig::new(3);
    (0..3).for_each(|n| rig.declare(n, true, true));
    assert!(rig.apply().status.success());
    (0..2).for_each(|n| rig.declare(n, false, true));
    // It allows one of two.
    let process = daemon(&rig);
    let shown = by_daemon(&process, &[HELD, HELD, "ReconciliationSucceeded"]);
    wait_for("the command to show the same", || (status(&rig, &[]).0 == shown).then_some(()));
    assert_eq!(status(&rig, &[]).1, "", "what is usual was not asked for");
    let (by_command, notes) = status(&rig, &["--disruption-budget", "50%"]);
    assert_eq!(by_command, shown);
    let expected = "the daemon's budgets count: --disruption-budget 1 --disruption-window 1h; not those of this command: \
                    --disruption-budget 50% --disruption-window 1h";
    assert!(notes.contains(expected), "{notes}");
    // What its last good state takes away is pending still.
    fs::write(rig.folder.path().join("desired-state/a0.yaml"), "kind: [").unwrap();
    let shown = by_daemon(&process, &["InvalidManifest", HELD, "ReconciliationSucceeded"]);
    wait_for("the command to show the same", || (status(&rig, &[]).0 == shown).then_some(()));
    assert_counted(&process, &shown);
    process.kill();
    // The next process does not know it, and has the options that it is given.
    let (by_command, notes) = status(&rig, &[]);
    let reasons: Vec<_> = by_command.values().map(|conditions| conditions[0][2].as_str()).collect();
    assert_eq!(reasons, ["InvalidManifest", "Progressing", "ReconciliationSucceeded"]);
    let expected = "held is what exceeds the budgets of this command: --disruption-budget 10,10% --disruption-window 1h; the \
                    last daemon's were: --disruption-budget 1 --disruption-window 1h";
    assert!(notes.contains(expected), "{notes}");
}
