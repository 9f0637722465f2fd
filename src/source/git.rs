//! Whether git is at work in the folder: while it is, files of two revisions lie side by side.
//!
//! In: the root, which may have submodules. Out: wait, or go on; what git has begun and not finished; and whether git has worked meanwhile.
//! Invariants: nothing but the stamps of git's lock and of its index, and what [`Operation`] is made of, is looked at; a lock that a killed git left behind delays nothing for longer than [`super::LOCK_PATIENCE`] after the last event,
//! nor than [`LOCK_PATIENCE_MAX`], and only once; an operation is waited for in silence for that long, and then named.
//! What lies in the folder until it ends is half of something, so no time that passes makes it fit to be read.
//! Deliberately absent: git itself.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::repository;
use crate::account::printable;

mod operation;

use operation::Indexes;
pub use operation::Operation;

/// How long git's lock is respected whatever stirs, for that may be somebody else. A checkout of 100,000 files takes about 5 s
/// on a disk of its own, and minutes on a slow one.
const LOCK_PATIENCE_MAX: Duration = Duration::from_secs(300);

/// How often the lock is looked at while it is there. One `stat` each.
pub(super) const LOCK_POLL: Duration = Duration::from_millis(50);

/// `gitdir: ` and a path: Linux allows paths of 4096 bytes.
const MAX_GIT_FILE: u64 = 8 + 4096 + 1;

/// The repository that a folder is in, as far as somebody says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Git {
    /// Its Git directory, where that is not `.git` in the folder or above it.
    pub dir: Option<PathBuf>,
    /// Whether the folder is read although git has begun something in it and not finished.
    pub reads_unfinished: bool,
}

impl Git {
    /// What git has begun and not finished in the work tree that `folder` is in.
    pub fn in_progress(&self, folder: &Path) -> Option<Operation> {
        let folder = fs::canonicalize(folder).ok()?;
        self.unfinished(&folder, &self.all(&folder), &mut Indexes::default())
    }

    /// What is under way in one of these Git directories, unless `root` (without links) is none of their business.
    fn unfinished(&self, root: &Path, gits: &[PathBuf], indexes: &mut Indexes) -> Option<Operation> {
        let mut gits = gits.iter().filter(|_| !self.reads_unfinished);
        let found = gits.find_map(|git| Operation::in_progress(git, indexes));
        found.filter(|_| repository::keeps(root, self))
    }

    /// The Git directories of the work tree that `root` (without links) is in, and of the submodules within it.
    fn all(&self, root: &Path) -> Vec<PathBuf> {
        let outer = self.find(root).map(|(_, git)| git);
        let tops = repository::submodules(root, self);
        outer.into_iter().chain(tops.iter().filter_map(|top| git_folder(top))).collect()
    }

    /// The Git directory of the work tree that `root` (without links) is in, and the top of that, if `.git` marks it.
    pub(super) fn find(&self, root: &Path) -> Option<(Option<PathBuf>, PathBuf)> {
        match &self.dir {
            Some(dir) => Some((None, dir.clone())),
            None => root.ancestors().find_map(|top| Some((Some(top.to_owned()), git_folder(top)?))),
        }
    }
}

/// Which file this is, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    ino: u64,
    ctime: (i64, i64),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    GoOn,
    Wait,
    /// Go on although the lock is there. Said once a lock.
    GoOnAnyway,
    /// Wait until this ends, and say so.
    Unfinished(Operation),
}

/// Made before git changes anything, and renamed to the index when it is done.
const LOCK: &str = "index.lock";

/// Patience with one repository.
#[derive(Debug)]
pub(super) struct Gate {
    /// How long a lock is waited for while nothing stirs, and an operation in silence.
    patience: Duration,
    rules: Git,
    root: PathBuf,
    /// The Git directories of the repository and of submodules in the folder.
    gits: Vec<PathBuf>,
    waiting: Option<Waiting>,
    outwaited: Option<Stamp>,
    /// Of each, git's list of the files it keeps, which it replaces at the end of whatever it does to them.
    indexes: Vec<Option<Stamp>>,
    /// What they say of conflicts.
    conflicts: Indexes,
    /// Since when something is not finished.
    unfinished: Option<Instant>,
    /// Something was not finished, and now it is.
    ended: bool,
}

/// How long a lock has been waited for.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    first: Instant,
    /// Since when nothing has stirred.
    quiet: Instant,
}

impl Gate {
    /// In no repository yet.
    pub(super) fn new(patience: Duration, rules: Git) -> Self {
        let (root, gits, indexes) = (PathBuf::new(), Vec::new(), Vec::new());
        let (conflicts, unfinished, ended) = (Indexes::default(), None, false);
        Self { patience, rules, root, gits, waiting: None, outwaited: None, indexes, conflicts, unfinished, ended }
    }

    /// Looks for the repository that `root` (without links) is in; there may be none, and it may come and go.
    pub(super) fn find(&mut self, root: &Path) {
        let gits = self.rules.all(root);
        if self.gits != gits || self.root != root {
            (self.root, self.gits, self.conflicts) = (root.to_owned(), gits, Indexes::default());
            self.has_worked();
        }
    }

    /// Whether git's index is another one than when this was last asked, or something has been finished since.
    pub(super) fn has_worked(&mut self) -> bool {
        let indexes: Vec<_> = self.gits.iter().map(|git| look(&git.join("index"))).collect();
        let ended = std::mem::take(&mut self.ended);
        let before = std::mem::replace(&mut self.indexes, indexes);
        before != self.indexes || ended
    }

    /// Something stirs in the folder: git lives, for all we know.
    pub(super) fn stir(&mut self, now: Instant) {
        self.waiting.iter_mut().for_each(|waiting| waiting.quiet = now);
    }

    /// Whether git stands in the way at `now`.
    pub(super) fn ask(&mut self, now: Instant) -> Verdict {
        // The lock first: what ends between the two looks has left in the index what it did.
        let seen = self.gits.iter().find_map(|git| look(&git.join(LOCK)));
        match self.unfinished(now) {
            Verdict::GoOn => self.judge(seen, now),
            stands_in_the_way => stands_in_the_way,
        }
    }

    /// Whether something that git has begun stands in the way at `now`, lock or not.
    pub(super) fn unfinished(&mut self, now: Instant) -> Verdict {
        let Some(operation) = self.rules.unfinished(&self.root, &self.gits, &mut self.conflicts) else {
            self.ended |= self.unfinished.take().is_some();
            return Verdict::GoOn;
        };
        let since = *self.unfinished.get_or_insert(now);
        if now < since + self.patience { Verdict::Wait } else { Verdict::Unfinished(operation) }
    }

    fn judge(&mut self, seen: Option<Stamp>, now: Instant) -> Verdict {
        if seen.is_none() || seen == self.outwaited {
            self.waiting = None;
            return Verdict::GoOn;
        }
        let Waiting { first, quiet } = *self.waiting.get_or_insert(Waiting { first: now, quiet: now });
        if now < (quiet + self.patience).min(first + LOCK_PATIENCE_MAX) {
            return Verdict::Wait;
        }
        self.waiting = None;
        self.outwaited = seen;
        Verdict::GoOnAnyway
    }
}

/// Once a lock: it is in nobody's way any more, but somebody should know.
pub(super) fn warn_of_lock(gate: &Gate) {
    let seconds = gate.patience.as_secs();
    let lock = gate.gits.iter().map(|git| git.join(LOCK)).find(|lock| look(lock).is_some());
    let lock = lock.as_deref().map(printable::path);
    warn!(lock, seconds, "git's lock is still there: going on; remove it if no git runs");
}

fn look(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let file = fs::symlink_metadata(path).ok()?;
    Some(Stamp { ino: file.ino(), ctime: (file.ctime(), file.ctime_nsec()) })
}

/// `.git` in `folder`: a folder, or the file with which a linked worktree or a submodule points to one.
fn git_folder(folder: &Path) -> Option<PathBuf> {
    let git = folder.join(".git");
    let kind = fs::metadata(&git).ok()?;
    if kind.is_dir() {
        return Some(git);
    }
    if !kind.is_file() {
        return None;
    }
    let mut text = String::new();
    fs::File::open(&git).ok()?.take(MAX_GIT_FILE).read_to_string(&mut text).ok()?;
    // Whatever else is in it, git takes it for its own and looks no further up.
    Some(text.strip_prefix("gitdir:").map_or(git, |to| folder.join(to.trim())))
}

#[cfg(test)]
mod tests {
    use super::super::LOCK_PATIENCE;
    use super::*;

    const LEFT: Stamp = Stamp { ino: 1, ctime: (1, 0) };
    const NEXT: Stamp = Stamp { ino: 1, ctime: (2, 0) };

    #[test]
    fn a_lock_is_waited_for_but_a_left_over_one_only_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut gate = Gate::new(LOCK_PATIENCE, Git::default());
        assert_eq!(gate.judge(None, at(0)), Verdict::GoOn);
        assert_eq!(gate.judge(Some(LEFT), at(1)), Verdict::Wait);
        assert_eq!(gate.judge(Some(LEFT), at(10)), Verdict::Wait);
        assert_eq!(gate.judge(Some(LEFT), at(11)), Verdict::GoOnAnyway);
        assert_eq!(gate.judge(Some(LEFT), at(12)), Verdict::GoOn, "the same lock holds nobody up again");
        assert_eq!(gate.judge(Some(NEXT), at(13)), Verdict::Wait, "another one does");
        assert_eq!(gate.judge(None, at(14)), Verdict::GoOn);
        assert_eq!(gate.judge(Some(NEXT), at(30)), Verdict::Wait, "patience starts anew");
    }

    #[test]
    fn a_lock_is_waited_for_while_files_change_but_not_for_ever() {
        let start = Instant::now();
        let mut gate = Gate::new(LOCK_PATIENCE, Git::default());
        let waited = (0..1000).take_while(|second| {
            let now = start + Duration::from_secs(*second);
            gate.stir(now);
            gate.judge(Some(LEFT), now) == Verdict::Wait
        });
        assert_eq!(waited.count(), 300);
    }

    #[test]
    fn the_repository_is_found_above_the_folder_and_behind_a_git_file() {
        let top = tempfile::tempdir().unwrap();
        let (repository, worktree) = (top.path().join("repository"), top.path().join("worktree"));
        fs::create_dir_all(repository.join(".git/worktrees/w")).unwrap();
        fs::create_dir_all(repository.join("desired/state")).unwrap();
        fs::create_dir_all(worktree.join("state")).unwrap();
        fs::write(worktree.join(".git"), "gitdir: ../repository/.git/worktrees/w\n").unwrap();
        for (root, lock) in [
            (repository.join("desired/state"), repository.join(".git/index.lock")),
            (repository.clone(), repository.join(".git/index.lock")),
            (worktree.join("state"), repository.join(".git/worktrees/w/index.lock")),
        ] {
            let mut gate = Gate::new(LOCK_PATIENCE, Git::default());
            gate.find(&root);
            let now = Instant::now();
            assert_eq!(gate.ask(now), Verdict::GoOn, "{root:?}");
            fs::write(&lock, "").unwrap();
            assert_eq!(gate.ask(now), Verdict::Wait, "{root:?}");
            fs::remove_file(&lock).unwrap();
        }
    }

    #[test]
    fn no_repository_is_no_reason_to_wait() {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join(".git"), "not what it seems").unwrap();
        let mut gate = Gate::new(LOCK_PATIENCE, Git::default());
        gate.find(&top.path().join("state"));
        assert_eq!(gate.ask(Instant::now()), Verdict::GoOn);
    }
}
