//! The repository that a folder of manifests is in, opened.
//!
//! In: the folder, and where its Git directory is, if somebody says so. Out: an [`Opened`] repository.
//! Invariants: no configuration but the repository's own, so that who runs this, and where, changes nothing; a repository
//! that is kept in a way that cannot be read here is refused by the name of that extension, and nothing is guessed.
//! Absent by design: the program git, and any write.

use std::fs;
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice;
use gix::config::{File, Source};

use super::git::Git;
use crate::account::printable;

/// Extensions that change nothing about what is read here, in lower case: gitrepository-layout(5), git-config(1).
const HARMLESS: [&str; 7] =
    ["compatobjectformat", "noop", "noop-v1", "partialclone", "preciousobjects", "relativeworktrees", "worktreeconfig"];

/// Extensions of which one value can be read.
const READABLE: [(&str, &str); 2] = [("objectformat", "sha1"), ("refstorage", "files")];

/// A repository, and where its work tree begins.
pub(super) struct Opened {
    pub(super) repository: gix::Repository,
    /// The top of the work tree, without links.
    pub(super) top: PathBuf,
}

/// Why a repository cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// It is kept in a way that cannot be read here.
    #[error("extensions.{name} is {value}")]
    Extension { name: String, value: String },
    /// Whatever the library says.
    #[error("{0}")]
    Other(String),
}

/// The repository that `folder` (without links) is in; `None`: there is none.
pub(super) fn open(folder: &Path, git: &Git) -> Result<Option<Opened>, Refused> {
    let Some((top, dir)) = git.find(folder) else { return Ok(None) };
    let repository = at(&dir)?;
    let top = top.unwrap_or_else(|| work_tree(&repository, folder));
    Ok(Some(Opened { repository, top }))
}

/// The repository whose Git directory this is.
pub(super) fn at(dir: &Path) -> Result<gix::Repository, Refused> {
    let common = fs::read_to_string(dir.join("commondir")).ok();
    let common = common.map_or_else(|| dir.to_owned(), |to| dir.join(to.trim()));
    check(&common.join("config"))?;
    let options = gix::open::Options::isolated().open_path_as_is(true);
    gix::open_opts(dir, options).map_err(|error| Refused::Other(error.to_string()))
}

/// Refuses what this program cannot read. A configuration that is not there, or not readable, is for opening to judge.
fn check(config: &Path) -> Result<(), Refused> {
    let Ok(config) = File::from_path_no_includes(config.to_owned(), Source::Local) else { return Ok(()) };
    for section in config.sections_by_name("extensions").into_iter().flatten() {
        for name in section.value_names() {
            let value = section.value(&name).unwrap_or_default().to_str_lossy().into_owned();
            let key = name.to_lowercase();
            let known = READABLE.iter().any(|(of, readable)| *of == key && value.eq_ignore_ascii_case(readable));
            if !known && !HARMLESS.contains(&&*key) {
                let shown = |text: &str| printable::escape(&printable::cut(text, 40));
                return Err(Refused::Extension { name: shown(&name), value: shown(&value) });
            }
        }
    }
    Ok(())
}

/// The top of the work tree of a repository whose Git directory is elsewhere: what its configuration says, else the
/// farthest folder above `folder` from which the way to it is one at HEAD.
fn work_tree(repository: &gix::Repository, folder: &Path) -> PathBuf {
    let said = repository.workdir().and_then(|top| top.canonicalize().ok());
    if let Some(top) = said.filter(|top| folder.starts_with(top)) {
        return top;
    }
    let tree = repository.head_tree().ok();
    let is_there = |within: &Path| {
        let entry = tree.as_ref().and_then(|tree| tree.lookup_entry_by_path(within).ok().flatten());
        entry.is_some_and(|entry| entry.mode().is_tree())
    };
    let above: Vec<&Path> = folder.ancestors().collect();
    let found = above.iter().rev().find(|top| folder.strip_prefix(top).is_ok_and(is_there));
    found.map_or(folder, |top| top).to_owned()
}
