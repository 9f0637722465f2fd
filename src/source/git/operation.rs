//! What git has begun in a work tree and not finished: a rebase, a merge, a bisect.
//!
//! In: the Git directory of the work tree. Out: the [`Operation`] that is under way, by the file that says so.
//! Invariants: one table knows every state, in the order in which git's own `wt-status.c` looks for them; nothing is
//! opened, only looked for. Absent by design: conflicts that leave no such file (`stash pop`, `checkout --merge`), whose
//! markers no manifest survives; repositories with `extensions.refStorage`, which keep some of these names elsewhere.

use std::fmt;
use std::path::{Path, PathBuf};

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
    end: &'static str,
}

impl Operation {
    /// What is under way in the work tree whose Git directory this is.
    pub(super) fn in_progress(git: &Path) -> Option<Self> {
        let found = STATES.iter().find(|state| git.join(state.file).symlink_metadata().is_ok());
        found.map(|state| Self { file: git.join(state.file), what: state.what, end: state.end })
    }

    /// What ends it.
    pub(in crate::source) const fn end(&self) -> &'static str {
        self.end
    }
}

/// `a rebase that is not finished (repo/.git/rebase-merge)`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} that is not finished ({})", self.what, printable::path(&self.file))
    }
}
