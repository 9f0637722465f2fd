//! What can be wrong with one file, or with the folder as a whole.
//!
//! In: an error number or a rule of this room. Out: a text of one line that says what was
//! expected, what was found, and what to do; and a stable label for metrics.
//! Invariant: no text holds a byte of a file, or the target of a link.
//! Deliberately absent: the path of the file; whoever prints a problem has it beside it.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::git::Operation;
use super::ignore::IGNORE_FILE;
use super::{MAX_DEPTH, MAX_ENTRIES, MAX_FILE, WAYS_MAX};
use crate::account::printable;

/// Why one path could not be read. The last good content of that path, if any, still stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadProblem {
    /// More than [`MAX_FILE`].
    TooLarge {
        /// Size in bytes, as far as it is known.
        size: u64,
    },
    /// A FIFO, a socket or a device.
    NotAFile {
        /// What it is, for people.
        found: &'static str,
    },
    /// A symbolic link whose target is not in the folder.
    LeadsOutside,
    /// Symbolic links in a circle.
    Loop,
    /// A symbolic link to nothing, for longer than any swap takes.
    Dangling,
    /// A folder below more than [`MAX_DEPTH`] others.
    TooDeep,
    /// A folder that more than [`WAYS_MAX`] other ways through links lead to.
    TooManyWays,
    /// A submodule, in a commit: its files are in another repository.
    Submodule,
    /// Changed at every look.
    BeingWritten,
    /// A name that is no text.
    NameNotUtf8,
    /// Declared a budget before, and is ignored now.
    Ignored {
        /// The line of the file that says what is ignored.
        line: usize,
    },
    /// Was read before, and is left out of the work tree by a sparse checkout now.
    LeftOut,
    /// A line that is no pattern, in the file that says what is ignored.
    Pattern {
        /// Which line.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A file that the system does not let us read.
    Unreadable {
        /// The system's words.
        why: String,
    },
    /// A folder that the system does not let us list. What is known of its files still stands.
    Unlistable {
        /// The system's words.
        why: String,
    },
}

/// `expected …, found …: hint`, on one line.
impl fmt::Display for ReadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (expected, found, hint) = self.parts();
        write!(f, "expected {expected}, found {found}: {hint}")
    }
}

impl std::error::Error for ReadProblem {}

impl ReadProblem {
    /// What was expected, what was found, and what to do about it.
    pub fn parts(&self) -> (String, String, &'static str) {
        let (expected, found, hint): (&str, &str, _) = match self {
            Self::TooLarge { size } => {
                return (format!("at most {} MiB", MAX_FILE >> 20), format!("{size} bytes"), "split the file");
            }
            Self::TooDeep => {
                return (format!("at most {MAX_DEPTH} folders inside one another"), "more".into(), "move this one up");
            }
            Self::Pattern { line, why } => {
                let hint = "mend it: until then it is not known which files are manifests, and all of them are held";
                return ("patterns as in a .gitignore".into(), format!("{why} (line {line})"), hint);
            }
            Self::Ignored { line } => {
                let hint = "remove the pattern, or delete the file: until then its budget counts as it was last read";
                return ("no file that declares a budget".into(), format!("one that line {line} ignores"), hint);
            }
            Self::LeftOut => (
                "a file that was read before",
                "a sparse checkout that leaves it out",
                "add it with `git sparse-checkout add`: until then it is not known whether it is gone",
            ),
            Self::TooManyWays => {
                let most = format!("at most {WAYS_MAX} ways through links to one folder");
                return (most, "more".into(), "remove links that lead to each other's folders");
            }
            Self::Submodule => (
                "a folder of this repository",
                "a submodule, whose files are in another one",
                "compare two checkouts with --base",
            ),
            Self::BeingWritten => ("a file at rest", "one being written again and again", "let its writer finish"),
            Self::NotAFile { found } => ("a regular file", found, "remove it from the folder"),
            Self::LeadsOutside => (
                "something inside the folder",
                "a symbolic link that leads outside",
                "put the file itself here, or a relative link that stays inside",
            ),
            Self::Loop => ("a file or a folder", "symbolic links in a circle", "remove the link"),
            Self::Dangling => {
                ("a file or a folder", "a symbolic link to nothing", "restore its target, or remove the link")
            }
            Self::NameNotUtf8 => ("a name in UTF-8", "other bytes (shown escaped)", "rename it"),
            Self::Unreadable { why } => ("a readable file", why, "check its permissions and the disk"),
            Self::Unlistable { why } => ("a folder that can be listed", why, "check its permissions and the disk"),
        };
        (expected.into(), found.into(), hint)
    }

    /// The file and the line to look at, where that is not the path itself.
    pub const fn place(&self) -> Option<(&'static str, usize)> {
        match self {
            Self::Ignored { line } => Some((IGNORE_FILE, *line)),
            _ => None,
        }
    }

    /// Whether it may be over in a moment, without an event that says so: a limit on open files, a disk that stalls.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreadable { .. } | Self::Unlistable { .. })
    }

    /// A stable name for metrics and tests.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::NotAFile { .. } => "not_a_file",
            Self::LeadsOutside => "leads_outside",
            Self::Loop => "loop",
            Self::Dangling => "dangling",
            Self::TooDeep => "too_deep",
            Self::TooManyWays => "too_many_ways",
            Self::Submodule => "submodule",
            Self::BeingWritten => "being_written",
            Self::NameNotUtf8 => "name_not_utf8",
            Self::Ignored { .. } => "ignored",
            Self::LeftOut => "left_out",
            Self::Pattern { .. } => "pattern",
            Self::Unreadable { .. } => "unreadable",
            Self::Unlistable { .. } => "unlistable",
        }
    }

    /// The problem behind an error number met on the way to a file.
    pub(super) fn of_file(errno: Errno) -> Self {
        match errno {
            Errno::XDEV => Self::LeadsOutside,
            Errno::LOOP => Self::Loop,
            Errno::NXIO | Errno::NODEV => Self::NotAFile { found: "a socket or a device" },
            other => Self::Unreadable { why: words(other) },
        }
    }

    /// The problem behind an error number met on the way to a folder.
    pub(super) fn of_folder(errno: Errno) -> Self {
        match errno {
            Errno::XDEV => Self::LeadsOutside,
            Errno::LOOP => Self::Loop,
            other => Self::Unlistable { why: words(other) },
        }
    }
}

/// Why the folder as a whole says nothing. Never a reason to take anything away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There is nothing at this path.
    #[error("expected a folder at {}, found nothing: create it, or name another with --desired-state", shown(root))]
    Missing {
        /// The path as given.
        root: PathBuf,
    },
    /// There is something else at this path.
    #[error("expected a folder at {}, found something else: name the folder that holds the manifests", shown(root))]
    NotAFolder {
        /// The path as given.
        root: PathBuf,
    },
    /// The system does not let us open or list it.
    #[error("expected to list the folder {}, found {why}: check its permissions and the disk", shown(root))]
    Unlistable {
        /// The path as given.
        root: PathBuf,
        /// The system's words.
        why: String,
    },
    /// No manifest at all: a mount that is not there yet, a checkout that failed, a wrong path.
    #[error(
        "expected .yaml or .yml files in {}, found none: an empty folder is never taken for \"no accounts\"; \
         check the path, the mount and the checkout",
        shown(root)
    )]
    Empty {
        /// The path as given.
        root: PathBuf,
    },
    /// A folder in it is missing, without which the rest is a part of what is meant.
    #[error(
        "expected the folder {needs} in {}, found none: restore it, or end what requires it (--policy-dir)",
        shown(root)
    )]
    Incomplete {
        /// The path as given.
        root: PathBuf,
        /// The folder that is missing in it.
        needs: String,
    },
    /// More than [`MAX_ENTRIES`].
    #[error("expected at most {MAX_ENTRIES} files and folders in {}, found more: split it", shown(root))]
    TooMany {
        /// The path as given.
        root: PathBuf,
    },
    /// The file that says what is ignored cannot be used, so that it is not known what there is.
    #[error("{}: {problem}", shown(&root.join(IGNORE_FILE)))]
    Ignore {
        /// The path as given.
        root: PathBuf,
        /// What is wrong with it.
        problem: ReadProblem,
    },
    /// Git has begun something in it, and until that is finished what lies there is half of it.
    #[error(
        "expected a folder in which git is not at work, found {operation}: end it ({}), or read the folder as it is with \
         --git-in-progress read",
        operation.end()
    )]
    Unfinished {
        /// What is under way.
        operation: Operation,
    },
}

impl SourceError {
    /// What was expected of a path that was named, what was found, and what to do about it.
    pub fn parts(&self) -> (String, String, &'static str) {
        let (expected, found, hint): (&str, &str, _) = match self {
            Self::Missing { .. } => ("a file or a folder", "nothing", "check the path"),
            Self::NotAFolder { .. } => ("a folder", "something else", "name the folder that holds the manifests"),
            Self::Unlistable { why, .. } => ("a folder that can be listed", why, "check its permissions and the disk"),
            Self::Empty { .. } => (
                ".yaml or .yml files",
                "none",
                "an empty folder is never taken for \"no accounts\": check the path, the mount and the checkout",
            ),
            Self::Incomplete { needs, .. } => {
                return (format!("the folder {needs} in it"), "none".into(), "restore it");
            }
            Self::TooMany { .. } => {
                return (format!("at most {MAX_ENTRIES} files and folders"), "more".into(), "split it");
            }
            Self::Ignore { problem, .. } => return problem.parts(),
            Self::Unfinished { operation } => {
                return ("a folder in which git is not at work".into(), operation.to_string(), operation.end());
            }
        };
        (expected.into(), found.into(), hint)
    }

    /// A stable name for metrics and tests.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::NotAFolder { .. } => "not_a_folder",
            Self::Unlistable { .. } => "unlistable",
            Self::Empty { .. } => "empty",
            Self::Incomplete { .. } => "incomplete",
            Self::TooMany { .. } => "too_many",
            Self::Ignore { .. } => "ignore",
            Self::Unfinished { .. } => "unfinished",
        }
    }

    /// The reason behind an error number met on the root itself.
    pub(super) fn of(root: &Path, errno: Errno) -> Self {
        let root = root.to_owned();
        match errno {
            Errno::NOENT => Self::Missing { root },
            Errno::NOTDIR => Self::NotAFolder { root },
            other => Self::Unlistable { root, why: words(other) },
        }
    }
}

/// The system's words for an error number.
pub(super) fn words(errno: Errno) -> String {
    std::io::Error::from(errno).to_string()
}

/// A path for people: quoted, control characters escaped, and no password in it.
fn shown(path: &Path) -> String {
    format!("\"{}\"", printable::path(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_says_expected_found_and_a_hint_on_one_line() {
        let all = [
            ReadProblem::TooLarge { size: 104_857_600 },
            ReadProblem::NotAFile { found: "a FIFO" },
            ReadProblem::LeadsOutside,
            ReadProblem::Loop,
            ReadProblem::Dangling,
            ReadProblem::TooDeep,
            ReadProblem::TooManyWays,
            ReadProblem::Submodule,
            ReadProblem::Ignored { line: 2 },
            ReadProblem::LeftOut,
            ReadProblem::BeingWritten,
            ReadProblem::NameNotUtf8,
            ReadProblem::Pattern { line: 3, why: "an unclosed alternate group".to_owned() },
            ReadProblem::of_file(Errno::ACCESS),
            ReadProblem::of_folder(Errno::IO),
        ];
        let texts: Vec<_> = all.iter().map(|problem| format!("{}: {problem}", problem.label())).collect();
        insta::assert_snapshot!(texts.join("\n"), @"
        too_large: expected at most 4 MiB, found 104857600 bytes: split the file
        not_a_file: expected a regular file, found a FIFO: remove it from the folder
        leads_outside: expected something inside the folder, found a symbolic link that leads outside: put the file itself here, or a relative link that stays inside
        loop: expected a file or a folder, found symbolic links in a circle: remove the link
        dangling: expected a file or a folder, found a symbolic link to nothing: restore its target, or remove the link
        too_deep: expected at most 64 folders inside one another, found more: move this one up
        too_many_ways: expected at most 8 ways through links to one folder, found more: remove links that lead to each other's folders
        submodule: expected a folder of this repository, found a submodule, whose files are in another one: compare two checkouts with --base
        ignored: expected no file that declares a budget, found one that line 2 ignores: remove the pattern, or delete the file: until then its budget counts as it was last read
        left_out: expected a file that was read before, found a sparse checkout that leaves it out: add it with `git sparse-checkout add`: until then it is not known whether it is gone
        being_written: expected a file at rest, found one being written again and again: let its writer finish
        name_not_utf8: expected a name in UTF-8, found other bytes (shown escaped): rename it
        pattern: expected patterns as in a .gitignore, found an unclosed alternate group (line 3): mend it: until then it is not known which files are manifests, and all of them are held
        unreadable: expected a readable file, found Permission denied (os error 13): check its permissions and the disk
        unlistable: expected a folder that can be listed, found Input/output error (os error 5): check its permissions and the disk
        ");
    }

    #[test]
    fn a_folder_that_says_nothing_names_itself_and_the_way_out() {
        let root = PathBuf::from("desired\nstate");
        let all = [
            SourceError::of(&root, Errno::NOENT),
            SourceError::of(&root, Errno::NOTDIR),
            SourceError::of(&root, Errno::ACCESS),
            SourceError::Empty { root: root.clone() },
            SourceError::Incomplete { root: root.clone(), needs: "policy".to_owned() },
            SourceError::TooMany { root: root.clone() },
            SourceError::Ignore { root, problem: ReadProblem::Dangling },
        ];
        let texts: Vec<_> = all.iter().map(|problem| format!("{}: {problem}", problem.label())).collect();
        insta::assert_snapshot!(texts.join("\n"), @r#"
        missing: expected a folder at "desired\nstate", found nothing: create it, or name another with --desired-state
        not_a_folder: expected a folder at "desired\nstate", found something else: name the folder that holds the manifests
        unlistable: expected to list the folder "desired\nstate", found Permission denied (os error 13): check its permissions and the disk
        empty: expected .yaml or .yml files in "desired\nstate", found none: an empty folder is never taken for "no accounts"; check the path, the mount and the checkout
        incomplete: expected the folder policy in "desired\nstate", found none: restore it, or end what requires it (--policy-dir)
        too_many: expected at most 1000000 files and folders in "desired\nstate", found more: split it
        ignore: "desired\nstate/.reconcilerignore": expected a file or a folder, found a symbolic link to nothing: restore its target, or remove the link
        "#);
    }
}
