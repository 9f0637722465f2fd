//! Real git at work on many files, with a busy neighbour.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, kill_process};

use super::revisions::{PLAIN, Side};
use super::*;

/// Accounts in the ring, for 5,000 files in all.
const MANY: u64 = (5000 - PLAIN) / 2;

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder).args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "gc.auto=0"]);
    git.args(arguments).env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE").env("GIT_CONFIG_GLOBAL", "/dev/null");
    git
}

fn git(folder: &Path, arguments: &[&str]) {
    let output = command(folder, arguments).output().expect("git is needed for these tests");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A repository with both revisions as branches, the first one checked out.
fn repository(top: &Path, ring: u64) {
    git(top, &["init", "-q", "-b", Side::A.name()]);
    let mut history = String::new();
    for side in [Side::A, Side::B] {
        let name = side.name();
        history.push_str(&format!("commit refs/heads/{name}\ncommitter t <t@example.com> 0 +0000\ndata 0\n"));
        for (path, text) in side.files(ring) {
            history.push_str(&format!("M 644 inline desired-state/{path}\ndata {}\n{text}\n", text.len()));
        }
    }
    let dump = top.join("history");
    fs::write(&dump, history).unwrap();
    let mut import = command(top, &["fast-import", "--quiet"]);
    assert!(import.stdin(fs::File::open(dump).unwrap()).status().unwrap().success());
    git(top, &["reset", "-q", "--hard"]);
}

/// A rig whose folder is in a repository.
fn in_git(ring: u64) -> Rig {
    let rig = Rig::new(PLAIN);
    fs::remove_dir_all(rig.folder.path().join("desired-state")).unwrap();
    repository(rig.folder.path(), ring);
    rig
}

/// Somebody who keeps the same disk busy, until this is dropped.
struct Neighbour(Arc<AtomicBool>);

impl Neighbour {
    fn moves_in(disk: &Path) -> Self {
        let gone = Arc::new(AtomicBool::new(false));
        let (file, is_gone) = (disk.join("neighbour"), Arc::clone(&gone));
        std::thread::spawn(move || {
            while !is_gone.load(Ordering::Relaxed) {
                // The folder may be gone already.
                let _ = fs::write(&file, vec![7; 1 << 16]).and_then(|()| fs::File::open(&file)?.sync_all());
            }
        });
        Self(gone)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Trial {
    fn until_on(&mut self, side: Side) {
        side.want(self);
        self.until_applied(side.name());
    }

    /// An edit of a plain account that nobody has committed.
    fn edit_plain(&mut self, n: u64, enabled: bool, sync: bool) {
        self.want(n, enabled, sync);
        write(&self.root().join(format!("plain/a{n}.yaml")), &manifest(n, enabled, sync));
    }
}

#[test]
fn a_checkout_of_5000_files_beside_a_busy_neighbour_is_applied_whole_or_not_at_all() {
    let rig = in_git(MANY);
    let top = rig.folder.path().to_owned();
    let mut trial = Trial::begin_with(rig, PLAIN, &[], QUICK);
    Side::B.want(&mut trial);
    for _ in 0..rounds(1, 1) {
        let neighbour = Neighbour::moves_in(&top);
        git(&top, &["checkout", "-q", Side::B.name()]);
        trial.until_on(Side::B);
        drop(neighbour);
        // As a `git pull` does, and without moving the branch.
        git(&top, &["checkout", "-q", "--detach"]);
        git(&top, &["reset", "-q", "--hard", Side::A.name()]);
        trial.until_on(Side::A);
    }
    trial.verdict();
}

/// Checks out `side`, and holds git when it is half through; `None` if it was too fast.
fn half_way(top: &Path, side: Side) -> Option<std::process::Child> {
    let mut git = command(top, &["checkout", "-q", side.name()]).spawn().unwrap();
    // Git goes by the names' order: it has begun, and is not done.
    let begun = top.join("desired-state/ring/0/turning-0.yaml");
    let is_on = || fs::read_to_string(&begun).is_ok_and(|text| text.contains(&format!("{side:?}")));
    wait_for("the checkout to begin", || (is_on() || git.try_wait().unwrap().is_some()).then_some(()));
    kill_process(Pid::from_child(&git), Signal::STOP).unwrap();
    if top.join(".git/index.lock").exists() {
        return Some(git);
    }
    kill_process(Pid::from_child(&git), Signal::CONT).unwrap();
    git.wait().unwrap();
    None
}

#[test]
fn a_checkout_that_stalls_half_way_is_waited_for() {
    let rig = in_git(1000);
    let top = rig.folder.path().to_owned();
    let mut trial = Trial::begin_with(rig, PLAIN, &[], QUICK);
    Side::B.want(&mut trial);
    let sides = [Side::B, Side::A].into_iter().cycle().take(20);
    let stalled = sides.map(|side| (side, half_way(&top, side))).find_map(|(side, git)| Some((side, git?)));
    let (side, mut git) = stalled.expect("one of twenty checkouts is slow enough");
    // The stall: fifty times as long as a file has to be at rest.
    std::thread::sleep(Duration::from_secs(1));
    trial.judge();
    kill_process(Pid::from_child(&git), Signal::CONT).unwrap();
    assert!(git.wait().unwrap().success());
    trial.until_on(side);
    trial.verdict();
}

#[test]
fn one_checkout_on_the_heels_of_another_is_never_a_mixture_of_both() {
    let rig = in_git(60);
    let top = rig.folder.path().to_owned();
    let mut trial = Trial::begin_with(rig, PLAIN, &[], QUICK);
    Side::B.want(&mut trial);
    let neighbour = Neighbour::moves_in(&top);
    let mut side = Side::A;
    for _ in 0..rounds(10, 30) {
        side = side.other();
        git(&top, &["checkout", "-q", side.name()]);
        trial.judge();
    }
    drop(neighbour);
    trial.until_on(side);
    trial.verdict();
}

#[test]
fn what_git_puts_away_resets_and_leaves_behind_is_followed() {
    let rig = in_git(20);
    let top = rig.folder.path().to_owned();
    git(&top, &["checkout", "-q", "--detach"]);
    let mut trial = Trial::begin_with(rig, PLAIN, &[], QUICK);
    trial.edit_plain(1, true, true);
    trial.until_applied("an edit by hand");
    git(&top, &["stash", "-q"]);
    trial.until_on(Side::A);
    git(&top, &["stash", "pop", "-q"]);
    trial.want(1, true, true);
    trial.until_applied("the edit, back again");
    git(&top, &["commit", "-q", "-a", "-m", "three"]);
    // As `git pull` does, then as somebody who wants to be rid of it all.
    git(&top, &["reset", "-q", "--hard", Side::B.name()]);
    trial.until_on(Side::B);
    // A git that was killed before it began. Others' edits wait for it, but not without end.
    fs::write(top.join(".git/index.lock"), "").unwrap();
    trial.edit_plain(2, true, true);
    trial.until_applied("an edit beside a lock that nobody holds");
    trial.edit_plain(2, false, true);
    trial.until_applied("another one");
    fs::remove_file(top.join(".git/index.lock")).unwrap();
    git(&top, &["reset", "-q", "--hard", Side::A.name()]);
    trial.until_on(Side::A);
    trial.verdict();
}

#[test]
fn a_linked_worktree_is_followed_like_any_other() {
    let rig = in_git(60);
    let top = rig.folder.path().to_owned();
    git(&top, &["checkout", "-q", "--detach"]);
    fs::remove_dir_all(top.join("desired-state")).unwrap();
    git(&top, &["worktree", "add", "-q", "tree", Side::A.name()]);
    link("tree/desired-state", &top.join("desired-state"));
    let mut trial = Trial::begin_with(rig, PLAIN, &[], QUICK);
    Side::B.want(&mut trial);
    for side in [Side::B, Side::A, Side::B] {
        git(&top.join("tree"), &["checkout", "-q", side.name()]);
        trial.until_on(side);
    }
    trial.verdict();
}
