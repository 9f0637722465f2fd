//! Real git at work on many files, with a busy neighbour.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::OFlags;

use super::revisions::{PLAIN, Side};
use super::*;
use crate::depth::is_full;
use crate::repository::{self, command, git};

/// A repository with both revisions as branches, the first one checked out.
fn repository(top: &Path, ring: u64) {
    let files = |side: Side| side.files(ring).map(|(path, text)| (format!("desired-state/{path}"), text));
    repository::make(top, revisions::BOTH.map(|side| (side.name(), files(side))));
}

/// A rig whose folder is in a repository.
pub fn in_git(ring: u64) -> Rig {
    let rig = Rig::on_disk(PLAIN);
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
                let _ = fs::write(&file, vec![7; 1 << 16]).and_then(|()| File::open(&file)?.sync_all());
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
fn a_checkout_of_many_files_beside_a_busy_neighbour_is_applied_whole_or_not_at_all() {
    let files = pick(500, 5000);
    let rig = in_git((files - PLAIN) / 2);
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

/// A file in the middle of the ring's, by the order of names in which git goes.
const MIDDLE: &str = "ring/3/steady-3.yaml";

/// Checks out `side`, and stops half-way, at the file that a filter has yet to deliver. Git goes on when the file that is
/// returned is closed.
fn half_way(top: &Path, side: Side) -> (std::process::Child, File) {
    let gate = top.join("gate");
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    fs::create_dir_all(top.join(".git/info")).unwrap();
    fs::write(top.join(".git/info/attributes"), format!("/desired-state/{MIDDLE} filter=gate\n")).unwrap();
    let filter = format!("filter.gate.smudge=cat {} && cat", gate.display());
    let git = command(top, &["-c", &filter, "checkout", "-q", side.name()]).spawn().unwrap();
    // Nobody can be written to until the filter reads.
    let open = || File::options().write(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(&gate).ok();
    (git, wait_for("git to be half-way", open))
}

#[test]
fn a_checkout_that_stalls_half_way_is_waited_for() {
    let rig = in_git(60);
    let top = rig.folder.path().to_owned();
    let mut trial = Trial::begin_with(rig, PLAIN, &[], QUICK);
    Side::B.want(&mut trial);
    let (mut git, gate) = half_way(&top, Side::B);
    let is_on = |side: Side, file: &str| {
        let text = fs::read_to_string(top.join("desired-state/ring").join(file));
        text.is_ok_and(|text| text.contains(&format!("# {side:?}\n")))
    };
    // The stall: twenty times as long as a file has to be at rest.
    std::thread::sleep(Duration::from_millis(400));
    assert!(top.join(".git/index.lock").exists());
    assert!(is_on(Side::B, "0/steady-0.yaml") && is_on(Side::A, "9/steady-9.yaml"), "a mixture");
    trial.judge();
    drop(gate);
    assert!(git.wait().unwrap().success());
    trial.until_on(Side::B);
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
    // The ten seconds that a lock is waited for are nobody's to set; `watching::git` has a watcher that waits for less.
    if is_full() {
        // A git that was killed before it began. Others' edits wait for it, but not without end.
        fs::write(top.join(".git/index.lock"), "").unwrap();
        trial.edit_plain(2, true, true);
        trial.until_applied("an edit beside a lock that nobody holds");
        trial.edit_plain(2, false, true);
        trial.until_applied("another one");
        fs::remove_file(top.join(".git/index.lock")).unwrap();
    }
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
