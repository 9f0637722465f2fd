//! Along first parents from the head: which commits changed which files.
//!
//! In: an open repository, its head, and files with the fingerprint of what was read. Out: for each file the commits that
//! changed it, newest first, each with the bytes it made of it.
//! Invariants: bounded in commits, time and bytes; what the bounds, a shallow clone or damage hide is the head's, without
//! an author; two trees are compared only where a file that is asked about lies, and only if they differ.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gix::ObjectId;
use gix::objs::TreeRefIter;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use crate::revision::Revision;
use crate::source::MAX_FILE;

/// How many commits are looked at: years of a busy folder.
const COMMITS_MAX: usize = 5_000;

/// How long: an edit waits for it before it is acted upon, and a person hardly notices.
pub(super) const TIME_MAX: Duration = Duration::from_millis(500);

/// How much memory is spent on objects that are met again, in bytes: the trees of a folder of 10,000 files.
const CACHE: usize = 8 * 1024 * 1024;

/// A file that is asked about.
pub(super) struct Asked {
    /// Within the work tree.
    pub(super) path: String,
    /// Fingerprint of what was read.
    pub(super) hash: u64,
    /// How many revisions it is worth.
    pub(super) depth: usize,
}

/// Revisions of one file, with what each made of it; the newest first. `None`: what was read, or not known.
pub(super) type Revisions = Vec<(Arc<Revision>, Option<Vec<u8>>)>;

/// One file on the way.
struct Trail {
    found: Revisions,
    /// What the file is in the commit that is looked at.
    blob: Option<ObjectId>,
    depth: usize,
    done: bool,
}

/// See the module.
pub(super) struct Walk<'r> {
    repository: gix::Repository,
    head: ObjectId,
    branch: Option<&'r str>,
    work_tree: &'r Path,
    until: Instant,
}

impl<'r> Walk<'r> {
    pub(super) fn new(
        repository: &gix::Repository,
        head: ObjectId,
        branch: Option<&'r str>,
        work_tree: &'r Path,
    ) -> Self {
        let mut repository = repository.clone();
        repository.object_cache_size_if_unset(CACHE);
        Self { repository, head, branch, work_tree, until: Instant::now() + TIME_MAX }
    }

    /// Walks until all is found, or no further.
    pub(super) fn run(&self, mut asked: Vec<Asked>) -> Result<Vec<Revisions>, String> {
        let root = self.tree_of(self.head)?;
        let mut paths: Vec<&str> = asked.iter().map(|asked| &*asked.path).collect();
        let mut blobs = self.differences(None, Some(root), &paths)?;
        // A file that was read through a link is another one in the repository.
        let real: BTreeMap<usize, String> = (0..asked.len())
            .filter(|at| !blobs.contains_key(at))
            .filter_map(|at| Some((at, self.real(&asked[at].path)?)))
            .collect();
        if !real.is_empty() {
            real.into_iter().for_each(|(at, path)| asked[at].path = path);
            paths = asked.iter().map(|asked| &*asked.path).collect();
            blobs = self.differences(None, Some(root), &paths)?;
        }
        let head = Arc::new(self.revision(self.head));
        let mut trails: Vec<Trail> = asked
            .iter()
            .enumerate()
            .map(|(at, asked)| self.trail(asked, blobs.get(&at).copied().flatten(), &head))
            .collect();
        // What was before is not known, and nobody is to be named for it.
        let ended = self.follow(&paths, root, &mut trails).is_err();
        let is_cut = |trail: &&mut Trail| !trail.done && ended || trail.done && trail.depth > 1 && trail.blob.is_some();
        trails.iter_mut().filter(is_cut).for_each(|trail| trail.found.push((Arc::clone(&head), None)));
        Ok(trails.into_iter().map(|trail| trail.found).collect())
    }

    /// Bytes that are not those at the head are nobody's; what they were before tells about each document.
    fn trail(&self, asked: &Asked, blob: Option<ObjectId>, head: &Arc<Revision>) -> Trail {
        let is_clean = blob.and_then(|blob| self.bytes(blob)).is_some_and(|bytes| xxh3_64(&bytes) == asked.hash);
        let found = if is_clean { Vec::new() } else { vec![(Arc::new(head.dirty()), None)] };
        let done = blob.is_none() || !is_clean && asked.depth == 1;
        Trail { found, blob, depth: asked.depth, done }
    }

    /// Commit by commit, as long as anything is left to find.
    fn follow(&self, paths: &[&str], mut tree: ObjectId, trails: &mut [Trail]) -> Result<(), End> {
        let mut commit = self.head;
        for _ in 0..COMMITS_MAX {
            let open: Vec<usize> = (0..trails.len()).filter(|at| !trails[*at].done).collect();
            if open.is_empty() {
                return Ok(());
            }
            if Instant::now() >= self.until {
                return Err(End);
            }
            let parent =
                self.repository.find_commit(commit).map_err(|_| End)?.parent_ids().next().map(|id| id.detach());
            let before = parent.map(|parent| self.tree_of(parent)).transpose().map_err(|_| End)?;
            let of: Vec<&str> = open.iter().map(|at| paths[*at]).collect();
            let changed = self.differences(before, Some(tree), &of).map_err(|_| End)?;
            if !changed.is_empty() || parent.is_none() {
                self.note(commit, &open, &changed, before, &of, trails)?;
            }
            let (Some(parent), Some(before)) = (parent, before) else { return Ok(()) };
            (commit, tree) = (parent, before);
        }
        Err(End)
    }

    /// These files were changed by `commit`.
    fn note(
        &self,
        commit: ObjectId,
        open: &[usize],
        changed: &Differences,
        before: Option<ObjectId>,
        of: &[&str],
        trails: &mut [Trail],
    ) -> Result<(), End> {
        let names: Vec<&str> = changed.keys().map(|at| of[*at]).collect();
        let earlier = match before {
            Some(before) => self.differences(None, Some(before), &names).map_err(|_| End)?,
            None => BTreeMap::new(),
        };
        let object = self.repository.find_commit(commit).map_err(|_| End)?;
        let (author, message) = (object.author().map_err(|_| End)?, object.message_raw_sloppy().to_string());
        let subject = message.lines().next().unwrap_or_default();
        let revision = self.revision(commit).written_by(&author.name.to_string(), &author.email.to_string(), subject);
        let revision = Arc::new(revision);
        for (nth, at) in changed.keys().enumerate() {
            let trail = &mut trails[open[*at]];
            // The first one made of it what was read; unless that is in no commit.
            let bytes = if trail.found.is_empty() { None } else { trail.blob.and_then(|blob| self.bytes(blob)) };
            trail.found.push((Arc::clone(&revision), bytes));
            trail.blob = earlier.get(&nth).copied().flatten();
            trail.done = trail.found.len() >= trail.depth.max(1) || trail.blob.is_none();
        }
        Ok(())
    }

    fn revision(&self, commit: ObjectId) -> Revision {
        Revision::commit(self.branch, &format!("{}:{commit}", commit.kind()))
    }

    fn tree_of(&self, commit: ObjectId) -> Result<ObjectId, String> {
        let commit = self.repository.find_commit(commit).map_err(|error| error.to_string())?;
        commit.tree_id().map(gix::Id::detach).map_err(|error| error.to_string())
    }

    /// A blob's bytes, unless they are more than any file that is read.
    fn bytes(&self, blob: ObjectId) -> Option<Vec<u8>> {
        let header = self.repository.find_header(blob).ok()?;
        if header.size() > MAX_FILE {
            return None;
        }
        Some(self.repository.find_object(blob).ok()?.detach().data)
    }

    /// Where a path leads in the work tree.
    fn real(&self, path: &str) -> Option<String> {
        let real = std::fs::canonicalize(self.work_tree.join(path)).ok()?;
        Some(real.strip_prefix(self.work_tree).ok()?.to_str()?.to_owned())
    }

    /// What `new` has in the place of what `old` has, of the files at `paths`; by their place in that list.
    fn differences(&self, old: Option<ObjectId>, new: Option<ObjectId>, paths: &[&str]) -> Result<Differences, String> {
        let mut found = BTreeMap::new();
        let all: Vec<(usize, &str)> = paths.iter().copied().enumerate().collect();
        self.compare((old, new), &all, &mut found)?;
        Ok(found)
    }

    fn compare(
        &self,
        (old, new): (Option<ObjectId>, Option<ObjectId>),
        paths: &[(usize, &str)],
        found: &mut Differences,
    ) -> Result<(), String> {
        let mut folders: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
        let mut files: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, path) in paths {
            match path.split_once('/') {
                Some((folder, rest)) => folders.entry(folder).or_default().push((*at, rest)),
                None => files.entry(path).or_default().push(*at),
            }
        }
        let is_asked =
            |name: &str, is_tree: bool| if is_tree { folders.contains_key(name) } else { files.contains_key(name) };
        let (old, new) = (self.entries(old, &is_asked)?, self.entries(new, &is_asked)?);
        for (name, at) in &files {
            let (old, new) = (old.get(*name), new.get(*name));
            if old != new {
                found.extend(at.iter().map(|at| (*at, new.copied())));
            }
        }
        for (name, paths) in folders {
            let pair = (old.get(name).copied(), new.get(name).copied());
            if pair.0 != pair.1 {
                self.compare(pair, &paths, found)?;
            }
        }
        Ok(())
    }

    /// The entries of a tree that are asked about.
    fn entries(
        &self,
        tree: Option<ObjectId>,
        is_asked: &dyn Fn(&str, bool) -> bool,
    ) -> Result<BTreeMap<String, ObjectId>, String> {
        let Some(tree) = tree else { return Ok(BTreeMap::new()) };
        let object = self.repository.find_object(tree).map_err(|error| error.to_string())?;
        let mut entries = BTreeMap::new();
        for entry in TreeRefIter::from_bytes(&object.data, tree.kind()) {
            let entry = entry.map_err(|error| error.to_string())?;
            let (Ok(name), mode) = (std::str::from_utf8(entry.filename), entry.mode) else { continue };
            if (mode.is_tree() || mode.is_blob()) && is_asked(name, mode.is_tree()) {
                entries.insert(name.to_owned(), entry.oid.to_owned());
            }
        }
        Ok(entries)
    }
}

/// By the place of a path: what it is now; `None` for nothing any more.
type Differences = BTreeMap<usize, Option<ObjectId>>;

/// The walk ended before all was found.
struct End;
