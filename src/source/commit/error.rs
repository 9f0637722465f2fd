//! Why a folder cannot be read from the object store.
//!
//! In: what Git's store says, and whether the clone is shallow. Out: one line with the way out.
//! Invariant: what may only be missing here is never taken for something that is not there.

use std::path::{Path, PathBuf};

use crate::account::printable;
use crate::source::{IGNORE_FILE, MAX_ENTRIES, ReadProblem};

/// Why there is nothing to compare with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The folder is not in a Git work tree.
    #[error(
        "expected {} in the work tree of a Git repository, found none ({}): to compare two folders, use --base",
        shown(root),
        printable::escape(why)
    )]
    NoRepository {
        /// The folder as given.
        root: PathBuf,
        /// What was met instead.
        why: String,
    },
    /// The repository is kept in a way that this program cannot read.
    #[error(
        "expected a repository of SHA-1 objects and references in files, found one whose extensions.{name} is {value}: \
         compare two folders with --base"
    )]
    Extension {
        /// What the repository's configuration has under `extensions`.
        name: String,
        /// Its value.
        value: String,
    },
    /// The revision may be one of two.
    #[error(
        "expected a revision that names one commit, found \"{}\", which is both {} and {}: write one of these in full",
        printable::escape(revision),
        printable::escape(first),
        printable::escape(second)
    )]
    Ambiguous {
        /// The revision as given.
        revision: String,
        /// The reference that git would take.
        first: String,
        /// Another one.
        second: String,
    },
    /// The revision names no commit that is here.
    #[error(
        "expected a revision whose commit is here, found \"{}\" ({}): {}",
        printable::escape(revision), printable::escape(why), fetch(*shallow)
    )]
    Unknown {
        /// The revision as given.
        revision: String,
        /// Whether the clone lacks history.
        shallow: bool,
        /// What it names instead.
        why: String,
    },
    /// The revision and HEAD have no commit in common.
    #[error(
        "expected a commit that both \"{}\" and HEAD come from, found none: {}",
        printable::escape(revision), if *shallow { fetch(true) } else { UNRELATED }
    )]
    NoCommonHistory {
        /// The revision as given.
        revision: String,
        /// Whether the clone lacks history.
        shallow: bool,
    },
    /// An object that the commit needs is not here, or is damaged.
    #[error("expected every object of the commit, found {}: {}", printable::escape(why),
        if *shallow { fetch(true) } else { LACKING })]
    Missing {
        /// Whether the clone lacks history.
        shallow: bool,
        /// Which, and whether it is missing or damaged.
        why: String,
    },
    /// The folder's path leads out of the repository, or through links in a circle, in the commit.
    #[error("expected {} inside the repository in the base revision too, found {why}", shown(root))]
    Elsewhere {
        /// The folder as given.
        root: PathBuf,
        /// Where it leads.
        why: String,
    },
    /// It is not known what the commit ignores in the folder.
    #[error("{IGNORE_FILE} in the base revision: {problem}; to compare with another folder, use --base")]
    Ignore {
        /// What is wrong with the file.
        problem: ReadProblem,
    },
    /// More than [`MAX_ENTRIES`].
    #[error("expected at most {MAX_ENTRIES} files and folders in {} in the base revision, found more", shown(root))]
    TooMany {
        /// The folder as given.
        root: PathBuf,
    },
}

impl CommitError {
    pub(super) fn revision(revision: &str, shallow: bool, why: String) -> Self {
        Self::Unknown { revision: revision.to_owned(), shallow, why }
    }
}

/// The way out where the history is whole and its objects are not.
const LACKING: &str = "clone without --filter, or git fsck tells what is damaged";

/// The way out where two histories have nothing to do with each other.
const UNRELATED: &str = "name a revision that this branch comes from, or compare two checkouts with --base";

/// The way out, for a clone that lacks history and for one that does not.
const fn fetch(shallow: bool) -> &'static str {
    if shallow {
        "this clone is shallow; fetch all of its history (actions/checkout: fetch-depth: 0; GitLab: GIT_DEPTH: 0; else \
         git fetch --unshallow)"
    } else {
        "check its spelling, and fetch it first (on a runner, the base branch main is origin/main)"
    }
}

fn shown(path: &Path) -> String {
    format!("\"{}\"", printable::path(path))
}
