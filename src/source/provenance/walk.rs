//! Along first parents from the head: since which commit each statement has been said.
//!
//! In: an open repository, its head, and the statements of files that were read. Out: for each of them the oldest commit
//! since when it was said without a break.
//! Invariants: bounded in commits, time and bytes; what the bounds, a shallow clone or damage hide is the head's, without
//! an author; two trees are compared only where a file that is followed lies, and only if they differ; a statement that a
//! commit brings into a file is looked for in what else the commit changed or removed, and followed there; what was not
//! read then, for it lay outside of the folder or was ignored, wanted nothing.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gix::ObjectId;
use tokio::time::Instant;

use super::clean::is_clean;
use super::{Decided, Head, Said};
use crate::revision::Revision;
use crate::source::repository;
use crate::source::{IGNORE_FILE, Ignored, MAX_FILE};

mod trees;

use trees::Trees;

/// How many commits are looked at: years of a busy folder.
const COMMITS_MAX: usize = 5_000;

/// How long: an edit waits for it before it is acted upon, and a person hardly notices.
const TIME_MAX: Duration = Duration::from_secs(1);

/// How much memory is spent on objects that are met again, in bytes: the trees of a folder of 10,000 files.
const CACHE: usize = 8 * 1024 * 1024;

/// A file that is asked about.
pub(super) struct Asked<'a> {
    /// In the folder of manifests.
    pub(super) file: &'a Arc<str>,
    /// The same in the folder that the walk is of, which may be a submodule in it.
    pub(super) path: &'a str,
    /// Fingerprint of what was read.
    pub(super) hash: u64,
    /// Which of its statements.
    pub(super) statements: Vec<u64>,
}

/// A statement, and in which of the files that were asked about it stands.
type Wanted = (usize, u64);

/// By the path of a file at the commit that is looked at: what is followed in it.
type Ways = BTreeMap<String, Vec<Wanted>>;

/// See the module.
pub(super) struct Walk<'r> {
    repository: gix::Repository,
    head: &'r Head,
    folder: &'r str,
    said: &'r Said<'r>,
    /// What blobs say that were read: a moved file is met twice.
    known: RefCell<BTreeMap<ObjectId, Rc<BTreeSet<u64>>>>,
    /// What is ignored at the commit that is looked at.
    ignored: RefCell<Ignored>,
    until: Instant,
}

impl<'r> Walk<'r> {
    pub(super) fn new(repository: &gix::Repository, head: &'r Head, folder: &'r str, said: &'r Said<'r>) -> Self {
        let mut repository = repository.clone();
        repository.object_cache_size_if_unset(CACHE);
        let (known, ignored, until) = (RefCell::default(), RefCell::default(), Instant::now() + TIME_MAX);
        Self { repository, head, folder, said, known, ignored, until }
    }

    /// Walks until all is found, or no further. What is not found is the head's, without an author.
    pub(super) fn run(&self, asked: &[Asked<'_>]) -> Result<BTreeMap<Arc<str>, Decided>, String> {
        let root = self.tree_of(self.head.commit)?;
        let mut found: Vec<Decided> = asked.iter().map(|_| Decided::new()).collect();
        let ways = self.begin(asked, root, &mut found)?;
        let _ = self.follow(ways, root, &mut found);
        let head = Arc::new(self.revision(self.head.commit));
        for (asked, found) in asked.iter().zip(&mut found) {
            for statement in &asked.statements {
                found.entry(*statement).or_insert_with(|| Arc::clone(&head));
            }
        }
        Ok(asked.iter().map(|asked| Arc::clone(asked.file)).zip(found).collect())
    }

    /// Where each statement stands at the head. What does not stand there has no author.
    fn begin(&self, asked: &[Asked<'_>], root: ObjectId, found: &mut [Decided]) -> Result<Ways, String> {
        let trees = Trees(&self.repository);
        let ignore_file = trees.differences(None, Some(root), &[self.within(IGNORE_FILE)])?;
        *self.ignored.borrow_mut() = self.patterns(ignore_file.into_values().next().flatten());
        let mut paths: Vec<String> = asked.iter().map(|asked| self.within(asked.path)).collect();
        let mut blobs = trees.differences(None, Some(root), &paths)?;
        if blobs.len() < paths.len() {
            // A file that was read through a link is another one in the repository.
            let absent = paths.iter_mut().enumerate().filter(|(at, _)| !blobs.contains_key(at));
            absent.for_each(|(_, path)| *path = self.real(path).unwrap_or_else(|| std::mem::take(path)));
            blobs = trees.differences(None, Some(root), &paths)?;
        }
        let head = Arc::new(self.revision(self.head.commit));
        let dirty = Arc::new(head.dirty());
        let index = OnceCell::new();
        let mut ways = Ways::new();
        for (at, (asked, path)) in asked.iter().zip(paths).enumerate() {
            let blob = blobs.get(&at).copied().flatten();
            let said = blob.map(|blob| self.said(blob, &path)).unwrap_or_default();
            let is_clean = || {
                let index = index.get_or_init(|| self.repository.open_index().ok()).as_ref();
                index
                    .zip(blob)
                    .is_some_and(|(index, blob)| is_clean(index, &self.head.work_tree, &path, blob, asked.hash))
            };
            let (stand, other): (Vec<u64>, Vec<u64>) = asked.statements.iter().partition(|what| said.contains(what));
            if !other.is_empty() {
                let by = if is_clean() { &head } else { &dirty };
                found[at].extend(other.into_iter().map(|what| (what, Arc::clone(by))));
            }
            if !stand.is_empty() {
                ways.entry(path).or_default().extend(stand.into_iter().map(|what| (at, what)));
            }
        }
        Ok(ways)
    }

    /// Commit by commit, as long as anything is left to find.
    fn follow(&self, mut ways: Ways, mut tree: ObjectId, found: &mut [Decided]) -> Result<(), End> {
        let mut commit = self.head.commit;
        for _ in 0..COMMITS_MAX {
            if ways.is_empty() {
                return Ok(());
            }
            self.in_time()?;
            let parent =
                self.repository.find_commit(commit).map_err(|_| End)?.parent_ids().next().map(|id| id.detach());
            let before = parent.map(|parent| self.tree_of(parent)).transpose().map_err(|_| End)?;
            self.note(commit, (before, tree), &mut ways, found)?;
            let (Some(parent), Some(before)) = (parent, before) else { return Ok(()) };
            (commit, tree) = (parent, before);
        }
        Err(End)
    }

    /// What of all that is followed `commit` said first; what it only moved is followed where it was before.
    fn note(
        &self,
        commit: ObjectId,
        (before, tree): (Option<ObjectId>, ObjectId),
        ways: &mut Ways,
        found: &mut [Decided],
    ) -> Result<(), End> {
        let trees = Trees(&self.repository);
        let mut paths: Vec<String> = ways.keys().cloned().collect();
        paths.push(self.within(IGNORE_FILE));
        // The other way round: what was there before.
        let changed = trees.differences(Some(tree), before, &paths).map_err(|_| End)?;
        let mut new: Vec<Wanted> = Vec::new();
        if let Some(old) = changed.get(&ways.len()) {
            *self.ignored.borrow_mut() = self.patterns(*old);
            new.extend(ways.extract_if(.., |path, _| self.is_hidden(path)).flat_map(|(_, wanted)| wanted));
        }
        for (at, old) in &changed {
            self.in_time()?;
            let said = old.map(|old| self.said(old, &paths[*at])).unwrap_or_default();
            let Some(wanted) = ways.remove(&paths[*at]) else { continue };
            let (stay, came): (Vec<Wanted>, Vec<Wanted>) =
                wanted.into_iter().partition(|(_, what)| said.contains(what));
            new.extend(came);
            if !stay.is_empty() {
                ways.entry(paths[*at].clone()).or_default().extend(stay);
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let has_folder = before.is_some_and(|before| self.has_folder(before));
        for (path, blob) in
            before.map(|before| trees.replaced(before, tree)).transpose().map_err(|_| End)?.unwrap_or_default()
        {
            self.in_time()?;
            if self.is_hidden(&path) || has_folder && self.inner(&path).is_none() {
                continue;
            }
            let said = self.said(blob, &path);
            let (moved, rest): (Vec<Wanted>, Vec<Wanted>) = new.into_iter().partition(|(_, what)| said.contains(what));
            new = rest;
            if !moved.is_empty() {
                ways.entry(path).or_default().extend(moved);
            }
        }
        let revision = Arc::new(self.signed(commit)?);
        new.into_iter().for_each(|(file, what)| drop(found[file].insert(what, Arc::clone(&revision))));
        Ok(())
    }

    /// Where a file of the folder lies in the repository.
    fn within(&self, path: &str) -> String {
        if self.folder.is_empty() { path.to_owned() } else { format!("{}/{path}", self.folder) }
    }

    /// The path of a file within the folder, if it lies there.
    fn inner<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.folder.is_empty() { Some(path) } else { path.strip_prefix(self.folder)?.strip_prefix('/') }
    }

    /// Whether a file of the folder was none of the manifests at the commit that is looked at.
    fn is_hidden(&self, path: &str) -> bool {
        let is_hidden =
            |path: &str| path.split('/').any(|name| name.starts_with('.')) || self.ignored.borrow().has(path, false);
        self.inner(path).is_some_and(is_hidden)
    }

    /// Whether the folder is in `tree`. Where it is not, it bore another name then, and what lies elsewhere may be in it.
    fn has_folder(&self, tree: ObjectId) -> bool {
        let tree = self.repository.find_tree(tree).ok();
        let entry = tree.and_then(|tree| tree.lookup_entry_by_path(self.folder).ok().flatten());
        self.folder.is_empty() || entry.is_some_and(|entry| entry.mode().is_tree())
    }

    /// What the file says that names what is ignored; one that cannot be used ignores nothing.
    fn patterns(&self, blob: Option<ObjectId>) -> Ignored {
        let object = blob.and_then(|blob| self.repository.find_object(blob).ok());
        object.and_then(|object| Ignored::parse(&object.data).ok()).unwrap_or_default()
    }

    fn in_time(&self) -> Result<(), End> {
        if Instant::now() < self.until { Ok(()) } else { Err(End) }
    }

    /// A commit with who wrote it and why.
    fn signed(&self, commit: ObjectId) -> Result<Revision, End> {
        let object = self.repository.find_commit(commit).map_err(|_| End)?;
        let (author, message) = (object.author().map_err(|_| End)?, object.message_raw_sloppy().to_string());
        let subject = message.lines().next().unwrap_or_default();
        Ok(self.revision(commit).written_by(&author.name.to_string(), &author.email.to_string(), subject))
    }

    fn revision(&self, commit: ObjectId) -> Revision {
        Revision::commit(self.head.branch.as_deref(), &format!("{}:{commit}", commit.kind()))
    }

    fn tree_of(&self, commit: ObjectId) -> Result<ObjectId, String> {
        let tree = self.repository.find_commit(commit).and_then(|commit| commit.tree_id().map(gix::Id::detach));
        tree.map_err(|_| repository::lack(&self.repository, commit))
    }

    /// What a blob says; nothing if it cannot be read, or is more than any file that is.
    fn said(&self, blob: ObjectId, path: &str) -> Rc<BTreeSet<u64>> {
        if let Some(known) = self.known.borrow().get(&blob) {
            return Rc::clone(known);
        }
        let size = self.repository.find_header(blob).map_or(u64::MAX, |header| header.size());
        let bytes = if size > MAX_FILE { None } else { self.repository.find_object(blob).ok() };
        let said = bytes.map(|object| (self.said)(&path.into(), &object.data)).unwrap_or_default();
        let said = Rc::new(BTreeSet::from_iter(said));
        self.known.borrow_mut().insert(blob, Rc::clone(&said));
        said
    }

    /// Where a path leads in the work tree.
    fn real(&self, path: &str) -> Option<String> {
        let real = std::fs::canonicalize(self.head.work_tree.join(path)).ok()?;
        Some(real.strip_prefix(&self.head.work_tree).ok()?.to_str()?.to_owned())
    }
}

/// The walk ended before all was found.
struct End;
