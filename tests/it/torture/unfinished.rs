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

/// Conflicts that leave nothing in the Git directory but the index: one manifest has markers, the other one is new.
fn with_conflict(top: &Path, how: &str) {
    let at = |n: u64| top.join(format!("desired-state/plain/a{n}.yaml"));
    git(top, &["checkout", "-q", "-B", "main", Side::A.name()]);
    let change = |n: u64, enabled: bool| write(&at(n), &manifest(n, enabled, n.is_multiple_of(3)));
    git(top, &["checkout", "-q", "-b", "leavers"]);
    [0, 2].into_iter().for_each(|n| change(n, false));
    git(top, &["commit", "-q", "-a", "-m", "They have left"]);
    git(top, &["checkout", "-q", "main"]);
    write(&at(0), &manifest(0, true, true).replace("enabled: true", "enabled: true # stays"));
    let conflict: &[&str] = match how {
        "squash" => &["merge", "-q", "--squash", "leavers"],
        "stash" => &["stash", "pop", "-q"],
        _ => &["checkout", "-q", "-m", "leavers"],
    };
    match how {
        "squash" => git(top, &["commit", "-q", "-a", "-m", "Stays"]),
        "stash" => {
            change(2, false);
            git(top, &["stash", "-q"]);
            change(0, false);
            git(top, &["commit", "-q", "-a", "-m", "Has left"]);
        }
        _ => {}
    }
    // It says so by its exit code, but for the checkout.
    let _ = command(top, conflict).output().unwrap();
    let unmerged = command(top, &["ls-files", "--unmerged"]).output().unwrap();
    assert!(!unmerged.stdout.is_empty(), "{how}: a conflict");
    assert!(fs::read_to_string(at(2)).unwrap().contains("enabled: false"), "{how}: and half of it is there");
}

#[test]
fn a_conflict_that_the_index_alone_knows_of_is_a_half_as_well() {
    for (how, version) in [("squash", "2"), ("stash", "4"), ("checkout", "split")] {
        let rig = in_git(0);
        let top = rig.folder.path();
        let index = match version {
            "split" => ["core.splitIndex", "true"],
            number => ["index.version", number],
        };
        git(top, &["config", index[0], index[1]]);
        with_conflict(top, how);
        let output = rig.apply();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), rig.world().totals().puts), (Some(1), 0), "{how}, {version}: {said}");
        assert!(said.contains("a conflict that is not resolved") && said.contains(".git/index"), "{how}: {said}");
        assert!(said.contains("git add"), "{how}: {said}");
        git(top, &["reset", "-q", "--hard"]);
        assert_eq!(rig.apply().status.code(), Some(0), "{how}, {version}: resolved");
    }
}

#[test]
fn an_index_of_a_kind_that_cannot_be_read_is_named_and_lifted_by_the_option() {
    let rig = in_git(0);
    let index = rig.folder.path().join(".git/index");
    let mut bytes = fs::read(&index).unwrap();
    bytes[7] = 9;
    fs::write(&index, bytes).unwrap();
    let output = rig.apply();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("git's index that is of a kind that cannot be read"), "{said}");
    let mut command = rig.writing("apply");
    assert!(command.args(["--git-in-progress", "read"]).output().unwrap().status.success());
}

#[test]
fn a_daemon_waits_for_the_end_of_a_conflict_that_the_index_alone_knows_of() {
    let trial = with_two_commits(&[]);
    let top = trial.rig.folder.path().to_owned();
    let puts = trial.puts();
    // Made in another work tree: the daemon sees nothing of it.
    let other = tempfile::tempdir().unwrap();
    let tree = other.path().join("tree");
    git(&top, &["worktree", "add", "-q", "-b", "back", tree.to_str().unwrap(), "main~1"]);
    let at = |n: u64| tree.join(format!("desired-state/plain/a{n}.yaml"));
    write(&at(0), &manifest(0, true, true).replace("enabled: true", "enabled: true # stays"));
    write(&at(1), &manifest(1, true, false));
    git(&tree, &["commit", "-q", "-a", "-m", "They are back"]);
    let _ = command(&top, &["merge", "-q", "--squash", "back"]).output().unwrap();
    trial.until_unknown("a conflict that is not resolved");
    assert!(fs::read_to_string(top.join("desired-state/plain/a1.yaml")).unwrap().contains("enabled: true"), "a half");
    git(&top, &["reset", "-q", "--hard"]);
    trial.until_applied("what it was before");
    assert_eq!(trial.puts(), puts, "nothing was sent:\n{}", trial.daemon.said());
    trial.verdict();
}
