//! The folder as a Git revision has it, read from the object store: no checkout, no git process.
//!
//! In: the folder, and a revision as `git rev-parse` takes it. Out: a [`Committed`] folder, whose batch is what
//! [`super::load()`] would give of a checkout of that commit.
//! Invariants: what is read is the merge base of the revision and HEAD, as in `git diff REV...HEAD`, so that what
//! others merged meanwhile is not taken for something this branch reverts; what a sparse checkout leaves out of the work
//! tree is left out here too, or it would look removed; nothing is written; what a shallow clone
//! lacks is an error, never "no such file"; a folder that the commit does not have is no error, for that is certain.
//! Deliberately absent: submodules' files, which another repository keeps; filters (LFS, line ends), which a checkout
//! applies and manifests do without.

mod error;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use gix::ObjectId;
use gix::object::Kind;

pub use error::CommitError;
use tree::{Fault, Files, Found, Store};

use super::repository::{self, Opened, Refused};
use super::sparse::Sparse;
use super::{Batch, Git, Ignored, Origin, Root};

/// Where a short name may stand for a reference: gitrevisions(7). Git itself takes the first, and warns.
const PLACES: [&str; 6] = ["*", "refs/*", "refs/tags/*", "refs/heads/*", "refs/remotes/*", "refs/remotes/*/HEAD"];

/// Memory for objects that are read more than once, in bytes: the commits between a branch and its base.
const OBJECT_CACHE: usize = 16 << 20;

/// The folder as a commit has it.
#[derive(Debug)]
pub struct Committed<T> {
    /// Everything in it; no files if the commit has no such folder.
    pub batch: Batch<T>,
    /// Whether the commit has the folder at all.
    pub present: bool,
    /// How many of its files, and of HEAD's, the sparse checkout leaves out of the work tree; they are not in the batch.
    pub left_out: usize,
    /// The commit that was read: the merge base of `tip` and `head`. 40 digits, as the other two.
    pub commit: String,
    /// The commit that the revision names.
    pub tip: String,
    /// What is checked out.
    pub head: String,
}

/// Reads the manifest files that lay beneath `root` where the branch that is checked out left `revision`.
///
/// `root` must be in a work tree; if it is a file, it alone is read. Blocks.
///
/// # Errors
/// [`CommitError`] if there is no repository, no such revision, no common history, or an object is missing.
pub fn load_committed<T>(
    root: &Path,
    git: &Git,
    revision: &str,
    parse: impl Fn(&Arc<str>, &[u8]) -> T,
) -> Result<Committed<T>, CommitError> {
    load_committed_ignoring(root, git, revision, None, parse)
}

/// The same, where this is `ignored`, and not what the commit says; `None`: what it says.
///
/// # Errors
/// As [`load_committed`].
pub fn load_committed_ignoring<T>(
    root: &Path,
    git: &Git,
    revision: &str,
    ignored: Option<&Ignored>,
    parse: impl Fn(&Arc<str>, &[u8]) -> T,
) -> Result<Committed<T>, CommitError> {
    let (opened, within) = locate(root, git)?;
    let repository = &opened.repository;
    let shallow = repository.is_shallow().unwrap_or(false);
    let of = |revision: &str, why: String| CommitError::revision(revision, shallow, why);
    let tip = commit_of(repository, revision, shallow)?;
    let head = repository::head(repository).map_err(|why| of("HEAD", why.to_owned()))?;
    let base =
        repository.merge_base(tip, head).map_err(|_| of(revision, "a commit before it cannot be read".into()))?;
    let base = base.ok_or_else(|| CommitError::NoCommonHistory { revision: revision.to_owned(), shallow })?.detach();
    let tree = repository.find_commit(base).and_then(|commit| commit.tree_id().map(gix::Id::detach));
    let store = Store::new(repository, parse);
    let tree = tree.map_err(|_| CommitError::Missing { shallow, why: repository::lack(repository, base) })?;
    let found = read(&store, tree, &within, ignored).map_err(|fault| fault.told(root, shallow))?;
    let (mut files, present) = found.map_or_else(|| (Vec::new(), false), |files| (files, true));
    let sparse = Sparse::of(&opened);
    let is_left_out = |path: &str| sparse.leaves_out(&within.join(path));
    let mut left_out: BTreeSet<Arc<str>> = files.iter().map(|(path, _)| Arc::clone(path)).collect();
    left_out.retain(|path| is_left_out(path));
    files.retain(|(path, _)| !left_out.contains(path));
    if !sparse.is_empty() {
        // What the branch adds there is in neither of the two that are compared.
        let missing = |why: String| CommitError::Missing { shallow, why };
        let tree = repository.find_commit(head).and_then(|commit| commit.tree_id().map(gix::Id::detach));
        let tree = tree.map_err(|_| missing(repository::lack(repository, head)))?;
        let added =
            read(&store, tree, &within, ignored).map_err(|fault| fault.told(root, shallow))?.unwrap_or_default();
        left_out.extend(added.into_iter().map(|(path, _)| path).filter(|path| is_left_out(path)));
    }
    let left_out = left_out.len();
    let batch = Batch {
        files,
        root: Root::Ready,
        full: true,
        asked: false,
        degraded: None,
        origin: Origin::default(),
        decided: BTreeMap::new(),
    };
    Ok(Committed { batch, present, left_out, commit: base.to_string(), tip: tip.to_string(), head: head.to_string() })
}

/// The repository that `root` is in, and the way from the top of its work tree to `root`, links as they are.
fn locate(root: &Path, git: &Git) -> Result<(Opened, PathBuf), CommitError> {
    let none = |why: String| CommitError::NoRepository { root: root.to_owned(), why };
    let real = root.canonicalize().map_err(|error| none(error.to_string()))?;
    let folder = if real.is_dir() { &*real } else { real.parent().unwrap_or(&real) };
    let opened = repository::open(folder, git).map_err(|refused| match refused {
        Refused::Extension { name, value } => CommitError::Extension { name, value },
        Refused::Other(why) => none(why),
    })?;
    let mut opened = opened.ok_or_else(|| none("no .git in it or above it".to_owned()))?;
    opened.repository.object_cache_size_if_unset(OBJECT_CACHE);
    let top = &opened.top;
    let given = std::path::absolute(root).map_err(|error| none(error.to_string()))?;
    let within = within(top, &given).unwrap_or_else(|| real.strip_prefix(top).unwrap_or(&real).to_owned());
    Ok((opened, within))
}

/// What of `given` is inside the work tree at `top`, unresolved: a link in there may have led elsewhere in the commit.
fn within(top: &Path, given: &Path) -> Option<PathBuf> {
    let components: Vec<Component<'_>> = given.components().collect();
    (1..=components.len()).find_map(|length| {
        let (outer, inner) = components.split_at(length);
        let outer = outer.iter().collect::<PathBuf>().canonicalize().ok()?;
        Some(outer.strip_prefix(top).ok()?.join(inner.iter().collect::<PathBuf>()))
    })
}

/// The commit that `revision` names, which no two references may be called.
fn commit_of(repository: &gix::Repository, revision: &str, shallow: bool) -> Result<ObjectId, CommitError> {
    let name = revision.split(['^', '~', ':', '@']).next().unwrap_or(revision);
    // A short name finds what it is short for, which has a place of its own.
    let is_there = |full: &String| {
        let found = repository.try_find_reference(&**full).ok().flatten();
        found.is_some_and(|found| found.name().as_bstr() == full.as_str())
    };
    let found: Vec<String> = PLACES.iter().map(|place| place.replace('*', name)).filter(is_there).collect();
    if let [first, second, ..] = &*found {
        let (first, second) = (first.clone(), second.clone());
        return Err(CommitError::Ambiguous { revision: revision.to_owned(), first, second });
    }
    let unknown = |why: String| CommitError::revision(revision, shallow, why);
    let id = repository.rev_parse_single(revision).map_err(|_| {
        let is_unborn = name == "HEAD" && repository.head().is_ok_and(|head| head.is_unborn());
        unknown(if is_unborn { "nothing is committed yet" } else { "no commit of that name" }.into())
    })?;
    let lacking = |id| CommitError::Missing { shallow, why: repository::lack(repository, id) };
    let named = id.object().map_err(|_| lacking(id.detach()))?;
    // What an annotated tag is of.
    let named = named.peel_tags_to_end().map_err(|_| unknown("a tag of what cannot be read".into()))?;
    if named.kind != Kind::Commit {
        return Err(unknown(format!("a {}, and no commit", named.kind)));
    }
    Ok(named.id)
}

/// The files at `path` in the tree `top`; `None` if there is nothing at all.
fn read<T, P: Fn(&Arc<str>, &[u8]) -> T>(
    store: &Store<'_, P>,
    top: ObjectId,
    path: &Path,
    ignored: Option<&Ignored>,
) -> Result<Option<Files<T>>, Fault> {
    Ok(match store.find(top, path)? {
        Found::Nothing => None,
        Found::File(name, id) => Some(vec![(Arc::clone(&name), store.file(&name, id)?)]),
        Found::Folder(folder) => Some(store.walk(&folder, ignored)?),
    })
}
