//! Real git that stops in the middle: the daemon sends nothing of a half, says so everywhere, and goes on after its end.

use super::checkouts::in_git;
use super::revisions::Side;
use super::*;
use crate::repository::{command, git};

/// A daemon that has applied a second commit, which takes from two accounts what the first one gave them.
fn with_two_commits(arguments: &[&str]) -> Trial {
    let rig = in_git(0);
    git(rig.folder.path(), &["checkout", "-q", "-B", "main", Side::A.name()]);
    for n in [0, 2] {
        write(&rig.folder.path().join(format!("desired-state/plain/a{n}.yaml")), &manifest(n, false, n % 3 == 0));
    }
    git(rig.folder.path(), &["commit", "-q", "-a", "-m", "They have left"]);
    let mut command = rig.writing("run");
    command.args(["--listen", "127.0.0.1:0", "--debounce", QUICK, "--poll-interval", POLL]).args(arguments);
    let daemon = rig.begin(command);
    let (wanted, last) = (BTreeMap::new(), BTreeMap::new());
    let mut trial = Trial { rig, daemon, wanted, last, warnings: WARNINGS };
    (0..4).for_each(|n| trial.want(n, false, n % 3 == 0));
    trial.until_applied("the first pass");
    trial
}

/// A rebase that stops at the first commit, in which all have their mailboxes.
fn stop_at_edit(top: &Path) {
    let mut rebase = command(top, &["rebase", "-q", "-i", "--root"]);
    assert!(rebase.env("GIT_SEQUENCE_EDITOR", "sed -i 1s/pick/edit/").status().unwrap().success());
    assert!(fs::read_to_string(top.join("desired-state/plain/a2.yaml")).unwrap().contains("enabled: true"));
}

#[test]
fn a_rebase_that_stops_gives_nobody_anything_back_and_is_said_everywhere() {
    let trial = with_two_commits(&[]);
    let top = trial.rig.folder.path().to_owned();
    let puts = trial.puts();
    stop_at_edit(&top);
    trial.until_unknown("rebase-merge");
    let said = trial.daemon.said();
    let lines = said.lines().filter(|line| line.contains("rebase-merge")).count();
    assert_eq!(lines, 1, "one warning names the file:\n{said}");
    assert!(trial.daemon.page("/").unwrap().1.contains("rebase-merge"), "the page says so");
    assert!(trial.daemon.page("/metrics").unwrap().1.contains("zoho_mail_reconciler_desired_state_unknown 1"));
    let look = |command: &str, options: &[&str]| {
        let mut command = trial.rig.reading(command);
        let output = command.args(options).output().unwrap();
        let all = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success() && all.contains("rebase-merge"), "{command:?}: {all}");
        all
    };
    look("plan", &["--zoid", "12345678"]);
    assert!(look("status", &["-o", "json"]).contains("Progressing"));
    let mut validate = Command::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler"));
    let checked = validate.env_clear().arg("validate").arg(trial.root()).output().unwrap();
    assert!(String::from_utf8_lossy(&checked.stderr).contains("rebase-merge"), "{checked:?}");
    git(&top, &["rebase", "--abort"]);
    trial.until_applied("what it was before");
    assert_eq!(trial.puts(), puts, "nothing was sent:\n{}", trial.daemon.said());
    trial.verdict();
}

#[test]
fn who_says_so_gets_the_half_applied() {
    let mut trial = with_two_commits(&["--git-in-progress", "read"]);
    stop_at_edit(trial.rig.folder.path());
    Side::A.want(&mut trial);
    trial.until_applied("the first commit");
    git(trial.rig.folder.path(), &["rebase", "--abort"]);
}

#[test]
fn a_single_pass_over_a_half_is_refused_within_seconds() {
    let rig = in_git(0);
    git(rig.folder.path(), &["checkout", "-q", "-B", "main", Side::A.name()]);
    git(rig.folder.path(), &["commit", "-q", "--allow-empty", "-m", "More"]);
    stop_at_edit(rig.folder.path());
    let output = rig.apply();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), rig.world().totals().puts), (Some(1), 0), "{said}");
    assert!(said.contains("rebase-merge") && said.contains("git rebase --continue or --abort"), "{said}");
}
