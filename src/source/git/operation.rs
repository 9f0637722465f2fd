//! What git has begun in a work tree and not finished: a rebase, a merge, a bisect.
//!
//! In: the Git directory of the work tree. Out: the [`Operation`] that is under way, by the file that says so.
//! Invariants: one table knows every state, in the order in which git's own `wt-status.c` looks for them; nothing is
//! opened, only looked for, but git's index, and that once as long as it is the same file: it alone says of a conflict that
//! `merge --squash`, `stash pop` and `checkout --merge` leave. An index that cannot be understood is named.
//! Absent by design: repositories with extensions that cannot be read, of which the table alone is asked.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use gix::hash::Kind;
use gix::index;
use gix::index::entry::Stage;

use super::{Stamp, look, repository};
use crate::account::printable;

/// A file or folder in the Git directory, what its being there means, and what ends that.
struct State {
    file: &'static str,
    what: &'static str,
    end: &'static str,
}

const fn state(file: &'static str, what: &'static str, end: &'static str) -> State {
    State { file, what, end }
}

/// See `wt_status_get_state` of git's `wt-status.c`; `sequencer/todo` is what is left of a cherry-pick or revert of several
/// commits.
const STATES: [State; 8] = [
    state("rebase-apply/applying", "an am", "git am --continue or --abort"),
    state("rebase-apply", "a rebase", "git rebase --continue or --abort"),
    state("rebase-merge", "a rebase", "git rebase --continue or --abort"),
    state("MERGE_HEAD", "a merge", "git merge --continue or --abort"),
    state("CHERRY_PICK_HEAD", "a cherry-pick", "git cherry-pick --continue or --abort"),
    state("REVERT_HEAD", "a revert", "git revert --continue or --abort"),
    state("sequencer/todo", "a cherry-pick or revert", "git status tells which; --continue or --abort it"),
    state("BISECT_LOG", "a bisect", "git bisect reset"),
];

/// Something that git has begun and not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    file: PathBuf,
    what: &'static str,
    is: &'static str,
    end: &'static str,
}

/// What the indexes said that were read, each as long as it is the same file.
#[derive(Debug, Default)]
pub(super) struct Indexes(BTreeMap<PathBuf, (Stamp, Option<Operation>)>);

impl Indexes {
    /// What the index in this Git directory says of a conflict; nothing where there is none, or it is not ours to read.
    fn conflict(&mut self, git: &Path) -> Option<Operation> {
        let file = git.join("index");
        let stamp = look(&file)?;
        match self.0.get(git) {
            Some((seen, found)) if *seen == stamp => found.clone(),
            _ => {
                let found = conflict(git, file);
                self.0.insert(git.to_owned(), (stamp, found.clone()));
                found
            }
        }
    }
}

fn conflict(git: &Path, file: PathBuf) -> Option<Operation> {
    File::open(&file).ok()?;
    // Its extensions say how the index is written.
    repository::at(git).ok()?;
    let options = index::decode::Options { thread_limit: Some(1), ..index::decode::Options::default() };
    match index::File::at(&file, Kind::Sha1, true, options) {
        Ok(index) if index.entries().iter().all(|entry| entry.stage() == Stage::Unconflicted) => None,
        Ok(_) => {
            let end = "git status names the unmerged files; git add them when they are right, or git reset";
            Some(Operation { file, what: "a conflict", is: "not resolved", end })
        }
        Err(_) => {
            let end = "git update-index --index-version 4 writes it anew";
            Some(Operation { file, what: "git's index", is: "of a kind that cannot be read", end })
        }
    }
}

impl Operation {
    /// What is under way in the work tree whose Git directory this is.
    pub(super) fn in_progress(git: &Path, indexes: &mut Indexes) -> Option<Self> {
        let found = STATES.iter().find(|state| git.join(state.file).symlink_metadata().is_ok());
        let found = found.map(|State { file, what, end }| Self { file: git.join(file), what, is: "not finished", end });
        found.or_else(|| indexes.conflict(git))
    }

    /// What ends it.
    pub(in crate::source) const fn end(&self) -> &'static str {
        self.end
    }
}

/// `a rebase that is not finished (repo/.git/rebase-merge)`, `a conflict that is not resolved (repo/.git/index)`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} that is {} ({})", self.what, self.is, printable::path(&self.file))
    }
}
