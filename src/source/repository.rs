//! The repository that a folder of manifests is in, opened.
//!
//! In: the folder, and where its Git directory is, if somebody says so. Out: an [`Opened`] repository.
//! Invariants: no configuration but the repository's own, so that who runs this, and where, changes nothing; a repository
//! that is kept in a way that cannot be read here is refused by the name of that extension, and nothing is guessed.
//! Absent by design: the program git, and any write.

use std::fs;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::config::{File, Source};
use gix::index::entry::Mode;
use ignore::gitignore::GitignoreBuilder;

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
    /// Why, in words.
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
    let config = common.join("config");
    check(&config)?;
    let options = gix::open::Options::isolated().open_path_as_is(true);
    // In words of this program: the library's are about its own insides.
    gix::open_opts(dir, options).map_err(|_| {
        let is_config = File::from_path_no_includes(config, Source::Local).is_err();
        let why = if is_config { "its config cannot be read" } else { "its Git directory is not whole" };
        Refused::Other(why.to_owned())
    })
}

/// Why the object `id` cannot be had, likewise.
pub(super) fn lack(repository: &gix::Repository, id: ObjectId) -> String {
    format!("object {id} {}", if repository.has_object(id) { "damaged" } else { "missing" })
}

/// The commit that HEAD names; or why there is none, likewise.
pub(super) fn head(repository: &gix::Repository) -> Result<ObjectId, &'static str> {
    repository.head_id().map(gix::Id::detach).map_err(|_| match repository.head() {
        Ok(head) if head.is_unborn() => "nothing is committed yet",
        _ => "HEAD cannot be read",
    })
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

/// The tops of the submodules, however deep, that lie within `folder` (without links) and are checked out.
pub(super) fn submodules(folder: &Path, git: &Git) -> Vec<PathBuf> {
    /// Far more than any repository has inside one another: a circle ends.
    const DEPTH_MAX: usize = 8;
    let (mut found, mut level) = (Vec::new(), of_repository(folder, folder, git));
    for _ in 0..DEPTH_MAX {
        let next = level.iter().flat_map(|top| of_repository(top, folder, &Git::default())).collect();
        found.append(&mut std::mem::replace(&mut level, next));
    }
    found
}

/// Those of the one repository that `place` is in.
fn of_repository(place: &Path, folder: &Path, git: &Git) -> Vec<PathBuf> {
    let has_file = |top: &Path| top.join(".gitmodules").exists();
    // Nearly no repository has any, and to open one takes longer than to look for a file.
    let may_have = git.find(place).is_some_and(|(top, _)| top.is_none_or(|top| has_file(&top)));
    let Some(Opened { repository, top }) = Some(()).filter(|()| may_have).and_then(|()| open(place, git).ok()?) else {
        return Vec::new();
    };
    let Some(index) = Some(()).filter(|()| has_file(&top)).and_then(|()| repository.open_index().ok()) else {
        return Vec::new();
    };
    let modules = index.entries().iter().filter(|entry| entry.mode == Mode::COMMIT);
    let tops = modules.map(|entry| top.join(entry.path(&index).to_path_lossy()));
    tops.filter(|module| module.starts_with(folder) && module.join(".git").exists()).collect()
}

/// Whether what lies in `folder` (without links) is kept by the repository that it is in: a folder that is ignored there,
/// and of which the index has nothing, is another's. What is not known counts as kept.
pub(super) fn keeps(folder: &Path, git: &Git) -> bool {
    let Ok(Some(Opened { repository, top })) = open(folder, git) else { return true };
    let (Ok(within), Ok(index)) = (folder.strip_prefix(&top), repository.open_index()) else { return true };
    let is_in = |path: &Path| path.starts_with(within);
    index.entries().iter().any(|entry| is_in(&entry.path(&index).to_path_lossy()))
        || !is_ignored(&top, within, repository.common_dir())
}

/// Whether the files that say so in the work tree, and `info/exclude`, ignore the folder at `path`.
fn is_ignored(top: &Path, path: &Path, git: &Path) -> bool {
    let folders = path.ancestors().skip(1).map(|folder| (top.join(folder), top.join(folder).join(".gitignore")));
    let files = folders.chain([(top.to_owned(), git.join("info/exclude"))]);
    let says = |(of, file): (PathBuf, PathBuf)| {
        let mut patterns = GitignoreBuilder::new(&of);
        patterns.add(file).is_none().then_some(())?;
        let patterns = patterns.build().ok()?;
        let matched = patterns.matched_path_or_any_parents(top.join(path), true);
        (!matched.is_none()).then(|| matched.is_ignore())
    };
    files.into_iter().find_map(says).unwrap_or_default()
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
