//! A manifest breaks, whatever had become of its account before: everybody shows the same.
//!
//! In: an account that is applied, refused, failing or held, whose manifest then breaks, moves or goes, while the daemon
//! runs or while none does. Out: `status`, `/status`, page and metrics agree on conditions and counts, also after a restart.

use std::fs;

use super::super::process::{Process, Rig, account, wait_for};
use super::{Shown, assert_counted, by_command, by_daemon, daemon};

/// The reasons that `status` gives, in the order of the accounts.
fn reasons(shown: &Shown) -> Vec<&str> {
    shown.values().map(|conditions| conditions[0][2].as_str()).collect()
}

/// Four accounts whose mailbox is to be enabled: applied, refused, failing, applied; and two new ones that are to lose
/// something, of which the budget allows one.
fn rig() -> Rig {
    let rig = Rig::new(0);
    let faults = [(1, 404), (2, 503)].map(|(n, status)| {
        format!(r#"{{"operation": "put", "account": "{}", "do": {{"answer": {{"status": {status}}}}}}}"#, account(n))
    });
    rig.script(&format!(r#"{{"faults": [{}]}}"#, faults.join(",")));
    for n in 0..4 {
        rig.seed(n);
        rig.declare(n, true, true);
    }
    for n in 4..6 {
        rig.seed(n);
        rig.declare(n, false, false);
    }
    rig
}

fn write(rig: &Rig, name: &str, text: &str) {
    fs::write(rig.folder.path().join("desired-state").join(name), text).unwrap();
}

fn check(rig: &Rig, process: &Process, expected: &[&str]) -> Shown {
    let shown = by_daemon(process, expected);
    wait_for("the command to show the same", || (by_command(rig) == shown).then_some(()));
    assert_counted(process, &shown);
    shown
}

const BEFORE: [&str; 6] = [
    "ReconciliationSucceeded",
    "AccountNotFound",
    "ServiceUnavailable",
    "ReconciliationSucceeded",
    "DisruptionBudgetExceeded",
    "DisruptionBudgetExceeded",
];
const BROKEN: &str = "InvalidManifest";
const AFTER: [&str; 6] = [BROKEN, BROKEN, BROKEN, "Orphaned", BROKEN, BROKEN];

#[test]
fn whatever_had_become_of_an_account_once_its_manifest_breaks_all_show_the_same_also_after_a_restart() {
    let rig = rig();
    let process = daemon(&rig);
    check(&rig, &process, &BEFORE);
    for n in [0, 1, 2, 4, 5] {
        write(&rig, &format!("a{n}.yaml"), "kind: [");
    }
    fs::remove_file(rig.folder.path().join("desired-state/a3.yaml")).unwrap();
    let shown = check(&rig, &process, &AFTER);
    process.kill();
    assert_eq!(by_command(&rig), shown, "while no process runs");
    let process = daemon(&rig);
    assert_eq!(check(&rig, &process, &AFTER), shown, "after the restart");
    // Repaired by others that do not declare them, and then by themselves.
    write(&rig, "a0.yaml", "# nothing\n");
    write(&rig, "a1.yaml", "# nothing\n");
    check(&rig, &process, &["Orphaned", "Orphaned", BROKEN, "Orphaned", BROKEN, BROKEN]);
    (0..4).for_each(|n| rig.declare(n, true, true));
    (4..6).for_each(|n| rig.declare(n, false, false));
    check(&rig, &process, &BEFORE);
}

#[test]
fn a_manifest_that_breaks_while_no_daemon_runs_is_known_by_its_file_also_by_one_to_which_it_moved() {
    let rig = rig();
    let process = daemon(&rig);
    check(&rig, &process, &BEFORE);
    let place = rig.folder.path().join("desired-state");
    for n in 0..2 {
        fs::rename(place.join(format!("a{n}.yaml")), place.join(format!("moved{n}.yaml"))).unwrap();
    }
    let moved = || {
        let ledger = rig.read_ledger()?;
        let path = |n| ledger.accounts.get(&account(n))?.source().cloned();
        (path(0)?.starts_with("moved") && path(1)?.starts_with("moved")).then_some(())
    };
    wait_for("the daemon to know the new files", moved);
    process.kill();
    for name in ["moved0.yaml", "moved1.yaml", "a2.yaml"] {
        write(&rig, name, "kind: [");
    }
    let expected = [BROKEN, BROKEN, BROKEN, BEFORE[3], BEFORE[4], BEFORE[5]];
    let shown = by_command(&rig);
    assert_eq!(reasons(&shown), expected);
    let process = daemon(&rig);
    check(&rig, &process, &expected);
}

#[test]
fn accounts_are_counted_as_they_are_listed_while_the_folder_is_not_there_from_the_start() {
    let rig = Rig::new(2);
    assert!(rig.apply().status.success());
    let [place, away] = ["desired-state", "away"].map(|name| rig.folder.path().join(name));
    fs::rename(&place, &away).unwrap();
    let process = daemon(&rig);
    assert_counted(&process, &by_daemon(&process, &["Progressing"; 2]));
    assert_eq!(process.waits_for().as_deref(), Some("desired_state"));
    fs::rename(&away, &place).unwrap();
    check(&rig, &process, &["ReconciliationSucceeded"; 2]);
}
