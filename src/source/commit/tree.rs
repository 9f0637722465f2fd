//! A folder among Git's objects, walked by the rules of a folder on the disk.
//!
//! In: the commit's tree, and a path in it. Out: every manifest file's path with a [`Look`] at it, in order.
//! Invariants: names that begin with a dot are skipped; a link is followed within the folder, and reported where it
//! leads outside, in a circle or to nothing; no blob over [`MAX_FILE`] is ever in memory; depth and number are bounded;
//! each tree is read once, however many links lead to it.
//! Deliberately absent: which commit; see the parent.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use gix::ObjectId;
use gix::bstr::{BString, ByteSlice};
use gix::objs::tree::EntryKind;

use super::CommitError;
use crate::source::ignore::{IGNORE_FILE, Ignored};
use crate::source::list::is_manifest_name;
use crate::source::repository;
use crate::source::{Look, MAX_DEPTH, MAX_ENTRIES, MAX_FILE, ReadProblem, WAYS_MAX};

/// The longest text of a link, in bytes: Linux allows paths of 4096.
const LINK_MAX: u64 = 4096;

/// How many links a path may lead through: path_resolution(7).
const LINKS_MAX: usize = 40;

/// The largest tree that is read, in bytes: as many entries as are allowed at all, with names of 64 bytes.
const TREE_MAX: u64 = MAX_ENTRIES as u64 * 96;

/// A folder, by the way to it. Two of equal content are two folders.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    id: ObjectId,
    name: BString,
    parent: Option<Rc<Self>>,
}

/// What is at the end of a path.
pub(super) enum Found {
    Nothing,
    File(Arc<str>, ObjectId),
    Folder(Rc<Place>),
}

/// Why a walk ends early.
pub(super) enum Fault {
    Missing(String),
    Elsewhere(ReadProblem),
    Ignore(ReadProblem),
    TooMany,
}

impl Fault {
    pub(super) fn told(self, root: &Path, shallow: bool) -> CommitError {
        let root = root.to_owned();
        match self {
            Self::Missing(why) => CommitError::Missing { shallow, why },
            Self::Elsewhere(problem) => CommitError::Elsewhere { root, why: problem.parts().1 },
            Self::Ignore(problem) => CommitError::Ignore { problem },
            Self::TooMany => CommitError::TooMany { root },
        }
    }
}

type Entries = Rc<BTreeMap<BString, (EntryKind, ObjectId)>>;

/// Looks at files, in the order of the walk.
pub(super) type Files<T> = Vec<(Arc<str>, Look<T>)>;

/// A folder on the way of the walk: by which path it was reached, and where it really is.
struct Node {
    path: Arc<str>,
    depth: usize,
    real: Rc<Place>,
    above: Option<Rc<Self>>,
    /// Whether a link is on the way to it.
    linked: bool,
}

/// The object store, and what of it was read already.
pub(super) struct Store<'r, P> {
    repository: &'r gix::Repository,
    parse: P,
    trees: RefCell<BTreeMap<ObjectId, Entries>>,
}

impl<'r, P> Store<'r, P> {
    pub(super) const fn new(repository: &'r gix::Repository, parse: P) -> Self {
        Self { repository, parse, trees: RefCell::new(BTreeMap::new()) }
    }

    /// What is at `path` in the tree `top`.
    pub(super) fn find(&self, top: ObjectId, path: &Path) -> Result<Found, Fault> {
        let top = Rc::new(Place { id: top, name: BString::default(), parent: None });
        match self.follow(&top, path.as_os_str().as_encoded_bytes()) {
            Ok((place, None)) => Ok(Found::Folder(place)),
            Ok((_, Some((name, id)))) => Ok(Found::File(name.to_str_lossy().into(), id)),
            Err(Fault::Elsewhere(ReadProblem::Dangling)) => Ok(Found::Nothing),
            Err(fault) => Err(fault),
        }
    }

    /// Where `path` leads from `start`, through links, but never above the first folder: the end is a folder, or a file in
    /// one.
    #[expect(clippy::type_complexity, reason = "a folder, and perhaps a file in it")]
    fn follow(&self, start: &Rc<Place>, path: &[u8]) -> Result<(Rc<Place>, Option<(BString, ObjectId)>), Fault> {
        let (mut at, mut links) = (Rc::clone(start), 0);
        let mut ahead: VecDeque<BString> = path.split(|byte| *byte == b'/').map(BString::from).collect();
        while let Some(name) = ahead.pop_front() {
            if name.is_empty() || name == "." {
                continue;
            }
            if name == ".." {
                at = Rc::clone(at.parent.as_ref().ok_or(Fault::Elsewhere(ReadProblem::LeadsOutside))?);
                continue;
            }
            let entry = self.entries(at.id)?.get(&name).copied();
            match entry.ok_or(Fault::Elsewhere(ReadProblem::Dangling))? {
                (EntryKind::Tree, id) => at = Rc::new(Place { id, name, parent: Some(at) }),
                (EntryKind::Commit, _) => return Err(Fault::Elsewhere(ReadProblem::Submodule)),
                (EntryKind::Link, id) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Fault::Elsewhere(ReadProblem::Loop));
                    }
                    let target = self.blob(id, LINK_MAX)?.map_err(|_| Fault::Elsewhere(ReadProblem::Loop))?;
                    if target.starts_with(b"/") {
                        return Err(Fault::Elsewhere(ReadProblem::LeadsOutside));
                    }
                    target.rsplit(|byte| *byte == b'/').for_each(|name| ahead.push_front(name.into()));
                }
                (EntryKind::Blob | EntryKind::BlobExecutable, id) if ahead.is_empty() => {
                    return Ok((at, Some((name, id))));
                }
                (EntryKind::Blob | EntryKind::BlobExecutable, _) => {
                    return Err(Fault::Elsewhere(ReadProblem::Dangling));
                }
            }
        }
        Ok((at, None))
    }

    fn lack(&self, id: ObjectId) -> Fault {
        Fault::Missing(repository::lack(self.repository, id))
    }

    fn entries(&self, id: ObjectId) -> Result<Entries, Fault> {
        if let Some(known) = self.trees.borrow().get(&id) {
            return Ok(Rc::clone(known));
        }
        let size = self.repository.find_header(id).map_err(|_| self.lack(id))?.size();
        if size > TREE_MAX {
            return Err(Fault::TooMany);
        }
        let tree = self.repository.find_tree(id).map_err(|_| self.lack(id))?;
        let mut entries = BTreeMap::new();
        for entry in tree.iter() {
            let entry = entry.map_err(|_| self.lack(id))?;
            entries.insert(entry.filename().to_owned(), (entry.mode().kind(), entry.object_id()));
        }
        let entries = Rc::new(entries);
        self.trees.borrow_mut().insert(id, Rc::clone(&entries));
        Ok(entries)
    }

    /// A blob's bytes, or its size if that is more than `most`.
    fn blob(&self, id: ObjectId, most: u64) -> Result<Result<Vec<u8>, u64>, Fault> {
        let size = self.repository.find_header(id).map_err(|_| self.lack(id))?.size();
        if size > most {
            return Ok(Err(size));
        }
        Ok(Ok(self.repository.find_object(id).map_err(|_| self.lack(id))?.detach().data))
    }
}

impl<T, P: Fn(&Arc<str>, &[u8]) -> T> Store<'_, P> {
    /// A look at one file.
    pub(super) fn file(&self, path: &Arc<str>, id: ObjectId) -> Result<Look<T>, Fault> {
        Ok(match self.blob(id, MAX_FILE)? {
            Ok(bytes) => Look::Read((self.parse)(path, &bytes)),
            Err(size) => Look::Problem(ReadProblem::TooLarge { size }),
        })
    }

    /// Every file beneath `root`, which links cannot leave.
    pub(super) fn walk(&self, root: &Place, ignored: Option<&Ignored>) -> Result<Files<T>, Fault> {
        let real = Rc::new(Place { id: root.id, name: BString::default(), parent: None });
        let ignored = ignored.map_or_else(|| self.ignored(&real), |ignored| Ok(ignored.clone()))?;
        let mut walk = Walk { files: Vec::new(), folders: Vec::new(), entries: 0, ignored, ways: BTreeMap::new() };
        let mut level = vec![Node { path: "".into(), depth: 0, real, above: None, linked: false }];
        while !level.is_empty() {
            for node in level {
                self.folder(&Rc::new(node), &mut walk)?;
            }
            level = std::mem::take(&mut walk.folders);
            level.sort_by(|a, b| a.path.cmp(&b.path));
        }
        walk.files.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(walk.files)
    }

    /// What the commit ignores of the folder `root`.
    fn ignored(&self, root: &Rc<Place>) -> Result<Ignored, Fault> {
        let broken = |problem| Fault::Ignore(problem);
        match self.follow(root, IGNORE_FILE.as_bytes()) {
            Ok((_, Some((_, id)))) => match self.blob(id, MAX_FILE)? {
                Ok(bytes) => Ignored::parse(&bytes).map_err(broken),
                Err(size) => Err(broken(ReadProblem::TooLarge { size })),
            },
            // As on the disk, a folder of this name says nothing, and a link to nothing is a problem.
            Ok((_, None)) => Ok(Ignored::default()),
            Err(Fault::Elsewhere(ReadProblem::Dangling))
                if !self.entries(root.id)?.contains_key(&BString::from(IGNORE_FILE)) =>
            {
                Ok(Ignored::default())
            }
            Err(Fault::Elsewhere(problem)) => Err(broken(problem)),
            Err(fault) => Err(fault),
        }
    }

    fn folder(&self, node: &Rc<Node>, walk: &mut Walk<T>) -> Result<(), Fault> {
        let mut above = std::iter::successors(node.above.as_deref(), |above| above.above.as_deref());
        if above.any(|above| above.real == node.real) {
            walk.bad(&node.path, ReadProblem::Loop);
            return Ok(());
        }
        if node.linked && walk.is_reached_too_often(&node.real) {
            walk.bad(&node.path, ReadProblem::TooManyWays);
            return Ok(());
        }
        for (name, (kind, id)) in self.entries(node.real.id)?.iter().filter(|(name, _)| !name.starts_with(b".")) {
            walk.entries += 1;
            if walk.entries > MAX_ENTRIES {
                return Err(Fault::TooMany);
            }
            let Ok(text) = name.to_str() else {
                let manifest = name.ends_with(b".yaml") || name.ends_with(b".yml");
                if manifest || matches!(kind, EntryKind::Tree | EntryKind::Commit) {
                    walk.bad(&join(&node.path, &name.escape_ascii().to_string()), ReadProblem::NameNotUtf8);
                }
                continue;
            };
            let path = || join(&node.path, text);
            if walk.ignored.has(&path(), *kind == EntryKind::Tree) {
                continue;
            }
            match kind {
                EntryKind::Blob | EntryKind::BlobExecutable if is_manifest_name(text) => {
                    let path = path();
                    let look = self.file(&path, *id)?;
                    walk.files.push((path, look));
                }
                EntryKind::Blob | EntryKind::BlobExecutable => {}
                EntryKind::Tree => {
                    let real = Place { id: *id, name: name.clone(), parent: Some(Rc::clone(&node.real)) };
                    walk.enter(node, path(), Rc::new(real), node.linked);
                }
                EntryKind::Link => self.link(node, name, path(), walk)?,
                EntryKind::Commit => walk.bad(&path(), ReadProblem::Submodule),
            }
        }
        Ok(())
    }

    /// A link that cannot be followed is a problem whatever its name: nobody can tell whether manifests are behind it.
    fn link(&self, node: &Rc<Node>, name: &[u8], path: Arc<str>, walk: &mut Walk<T>) -> Result<(), Fault> {
        match self.follow(&node.real, name) {
            Ok((_, Some((_, id)))) if is_manifest_name(&path) => {
                let look = self.file(&path, id)?;
                walk.files.push((path, look));
            }
            Ok((_, Some(_))) => {}
            Ok((real, None)) => walk.enter(node, path, real, true),
            Err(Fault::Elsewhere(problem)) => walk.bad(&path, problem),
            Err(fault) => return Err(fault),
        }
        Ok(())
    }
}

/// What a walk has found so far.
struct Walk<T> {
    files: Files<T>,
    folders: Vec<Node>,
    entries: usize,
    ignored: Ignored,
    /// In how many ways through links each folder was reached.
    ways: BTreeMap<BString, usize>,
}

impl<T> Walk<T> {
    fn bad(&mut self, path: &Arc<str>, problem: ReadProblem) {
        self.files.push((Arc::clone(path), Look::Problem(problem)));
    }

    /// Counts one more way through links to a folder.
    fn is_reached_too_often(&mut self, folder: &Place) -> bool {
        let names = std::iter::successors(Some(folder), |folder| folder.parent.as_deref()).map(|folder| &**folder.name);
        let ways = self.ways.entry(gix::bstr::join("/", names).into()).or_default();
        *ways += 1;
        *ways > WAYS_MAX
    }

    fn enter(&mut self, node: &Rc<Node>, path: Arc<str>, real: Rc<Place>, linked: bool) {
        let depth = node.depth + 1;
        // A link to a folder is one as well.
        if self.ignored.has(&path, true) {
            return;
        }
        if depth > MAX_DEPTH {
            return self.bad(&path, ReadProblem::TooDeep);
        }
        self.folders.push(Node { path, depth, real, above: Some(Rc::clone(node)), linked });
    }
}

fn join(folder: &str, name: &str) -> Arc<str> {
    if folder.is_empty() { name.into() } else { [folder, "/", name].concat().into() }
}
