//! What there is: every path that may hold manifests, without opening one.
//!
//! In: the open root and a folder or a path in it. Out: a [`Listing`].
//! Invariants: names that start with a dot are skipped, but links may lead through them (a Kubernetes volume
//! keeps its files in `..data`); a folder that cannot be listed is named, so that nobody takes its files for
//! removed; circles end, depth, number and ways through links to one folder are bounded.
//! Deliberately absent: contents, and what was known before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustix::fs::{FileType, RawDir, Stat, fstat};
use rustix::io::Errno;

use super::beneath::{Beneath, Id, Lead};
use super::ignore::Ignored;
use super::problem::ReadProblem;
use super::{MAX_DEPTH, MAX_ENTRIES, WAYS_MAX, parallel};

/// The link through which Kubernetes publishes a volume: AtomicWriter in kubernetes/pkg/volume/util.
pub(super) const SWAP_LINK: &str = "..data";

/// Bytes of folder entries read at once: a system call for about a thousand names.
const LISTING_BUFFER: usize = 64 * 1024;

/// What a listing says about a file's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file, or a link to one.
    File,
    /// A link to nothing.
    Dangling,
    /// Something that cannot be read.
    Bad(Box<ReadProblem>),
}

/// A path to look at.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) path: Arc<str>,
    pub(super) kind: Kind,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Paths to look at, in order once [`Listing::sort`] was called.
    pub(super) targets: Vec<Target>,
    /// Folders whose files are unknown.
    pub(super) unlisted: BTreeSet<Arc<str>>,
    /// Links that were followed, or would have been.
    pub(super) links: Vec<Arc<str>>,
    /// Links behind which files are published together.
    pub(super) swaps: Vec<Swap>,
    entries: usize,
    folders: Vec<Node>,
    /// In how many ways through links each folder was reached.
    ways: BTreeMap<Id, usize>,
}

/// A link that shows many files at once: to a folder, or a hidden one such as a volume's [`SWAP_LINK`].
#[derive(Debug)]
pub(super) struct Swap {
    pub(super) link: Arc<str>,
    /// Where it led before anything behind it was read.
    pub(super) lead: Lead,
    /// The folder whose files it shows.
    pub(super) folder: Arc<str>,
}

/// A folder still to be listed.
#[derive(Clone, Debug)]
struct Node {
    path: Arc<str>,
    depth: usize,
    above: Option<Arc<Above>>,
    /// Whether a link is on the way to it.
    linked: bool,
}

/// The folders above a folder, to find circles.
#[derive(Debug)]
struct Above {
    id: Id,
    parent: Option<Arc<Above>>,
}

/// How to walk the folder.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) beneath: &'a Beneath,
    /// What is passed over, as if it were not there.
    pub(super) ignored: &'a Ignored,
    /// Called with each folder, and each link to a file, before it is read: the moment to watch it, so that no change
    /// falls between.
    pub(super) on_find: &'a (dyn Fn(&str, Id) + Sync),
    /// Whether nobody waits for the result any more.
    pub(super) stop: &'a (dyn Fn() -> bool + Sync),
}

impl Listing {
    /// Everything in the root.
    pub(super) fn add_root(&mut self, walk: Walk<'_>) -> Result<(), ListError> {
        self.add_levels(walk, vec![Node { path: "".into(), depth: 0, above: None, linked: false }])
    }

    /// Whatever is at `path` now, and everything in it if it is a folder.
    pub(super) fn add_path(&mut self, walk: Walk<'_>, path: &Arc<str>) -> Result<(), ListError> {
        let depth = path.split('/').count();
        match walk.beneath.peek_link(path) {
            Ok(stat) => {
                let above = above(walk.beneath, path);
                self.classify(walk, path, depth, target_kind(&stat), above.as_ref(), false);
            }
            Err(Errno::NOENT | Errno::NOTDIR) => self.dangling_on_the_way(walk, path),
            // A folder on the way became unreadable, or a link that leads outside.
            Err(errno) => {
                self.unlisted.insert(Arc::clone(path));
                self.bad(path, ReadProblem::of_file(errno));
            }
        }
        let level = std::mem::take(&mut self.folders);
        self.add_levels(walk, level)
    }

    fn add_levels(&mut self, walk: Walk<'_>, mut level: Vec<Node>) -> Result<(), ListError> {
        while !level.is_empty() {
            let found = parallel::map(&level, 1, walk.stop, |buffer, node| {
                let mut one = Self::default();
                let result = one.read_folder(walk, node, buffer);
                (one, result)
            });
            let found = found.ok_or(ListError::Stopped)?;
            for ((one, result), node) in found.into_iter().flatten().zip(&level) {
                match result {
                    // Nothing of it is taken in: what lies there has other ways.
                    Ok(id) if node.linked && self.is_reached_too_often(id) => {
                        self.unlisted.insert(Arc::clone(&node.path));
                        self.bad(&node.path, ReadProblem::TooManyWays);
                    }
                    Ok(_) => self.absorb(one)?,
                    Err(errno) => {
                        self.absorb(one)?;
                        self.fail(node, errno)?;
                    }
                }
            }
            level = std::mem::take(&mut self.folders);
            // The same ways are taken each time.
            level.sort_by(|a, b| a.path.cmp(&b.path));
        }
        Ok(())
    }

    /// Puts the targets in order, each once.
    pub(super) fn sort(&mut self) {
        self.targets.sort_by(|a, b| a.path.cmp(&b.path));
        self.targets.dedup_by(|a, b| a.path == b.path);
    }

    /// Whether `path` was found, whatever it is; once the targets are in order.
    pub(super) fn has(&self, path: &str) -> bool {
        self.targets.binary_search_by(|target| (*target.path).cmp(path)).is_ok()
    }

    /// Whether `path` lies in a folder whose files are unknown.
    pub(super) fn is_unlisted(&self, path: &str) -> bool {
        !self.unlisted.is_empty() && ancestors(path).any(|folder| self.unlisted.contains(folder))
    }

    /// Counts one more way through links to a folder.
    fn is_reached_too_often(&mut self, folder: Id) -> bool {
        let ways = self.ways.entry(folder).or_default();
        *ways += 1;
        *ways > WAYS_MAX
    }

    fn absorb(&mut self, one: Self) -> Result<(), ListError> {
        self.targets.extend(one.targets);
        self.unlisted.extend(one.unlisted);
        self.links.extend(one.links);
        self.swaps.extend(one.swaps);
        self.folders.extend(one.folders);
        self.entries += one.entries;
        if self.entries > MAX_ENTRIES { Err(ListError::TooMany) } else { Ok(()) }
    }

    /// A folder that could not be opened, or not be read to its end.
    fn fail(&mut self, node: &Node, errno: Errno) -> Result<(), ListError> {
        if node.path.is_empty() {
            return Err(ListError::Root(errno));
        }
        // Gone since its name was read: its files are gone with it.
        if !matches!(errno, Errno::NOENT | Errno::NOTDIR) {
            self.unlisted.insert(Arc::clone(&node.path));
            self.bad(&node.path, ReadProblem::of_folder(errno));
        }
        Ok(())
    }

    fn bad(&mut self, path: &Arc<str>, problem: ReadProblem) {
        self.targets.push(Target { path: Arc::clone(path), kind: Kind::Bad(Box::new(problem)) });
    }

    fn read_folder(&mut self, walk: Walk<'_>, node: &Node, buffer: &mut Vec<u8>) -> Result<Id, Errno> {
        let fd = walk.beneath.folder(&node.path)?;
        let id = Id::of(&fstat(&fd)?);
        if circle(node.above.as_deref(), id) {
            return Err(Errno::LOOP);
        }
        (walk.on_find)(&node.path, id);
        let above = Some(Arc::new(Above { id, parent: node.above.clone() }));
        buffer.clear();
        buffer.reserve(LISTING_BUFFER);
        let mut entries = RawDir::new(&fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name.starts_with(b".") {
                if entry.file_type() == FileType::Symlink
                    && let Ok(name) = std::str::from_utf8(name)
                {
                    self.note_swap(walk, &join(&node.path, name), &node.path);
                }
                continue;
            }
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                break;
            }
            match std::str::from_utf8(name) {
                Ok(name) => {
                    let kind = entry.file_type();
                    if kind != FileType::RegularFile || is_manifest_name(name) {
                        let path = join(&node.path, name);
                        self.classify(walk, &path, node.depth + 1, kind, above.as_ref(), node.linked);
                    }
                }
                Err(_) => self.not_utf8(node, name, entry.file_type()),
            }
        }
        Ok(id)
    }

    /// Decides what a path is for. Opens nothing but links, and those only to see where they lead.
    fn classify(
        &mut self,
        walk: Walk<'_>,
        path: &Arc<str>,
        depth: usize,
        kind: FileType,
        above: Option<&Arc<Above>>,
        linked: bool,
    ) {
        if walk.ignored.has(path, kind == FileType::Directory) {
            return;
        }
        let manifest = is_manifest_name(path);
        match kind {
            FileType::RegularFile if manifest => self.targets.push(Target { path: Arc::clone(path), kind: Kind::File }),
            FileType::RegularFile => {}
            FileType::Directory if depth > MAX_DEPTH => {
                self.unlisted.insert(Arc::clone(path));
                self.bad(path, ReadProblem::TooDeep);
            }
            FileType::Directory => {
                self.folders.push(Node { path: Arc::clone(path), depth, above: above.cloned(), linked });
            }
            FileType::Symlink => {
                self.links.push(Arc::clone(path));
                match walk.beneath.peek(path) {
                    // A link to a link cannot come back: `peek` follows them all.
                    Ok(stat) => {
                        let kind = target_kind(&stat);
                        if kind == FileType::RegularFile && manifest {
                            (walk.on_find)(path, Id::of(&stat));
                        } else if kind == FileType::Directory {
                            self.note_swap(walk, path, path);
                        }
                        self.classify(walk, path, depth, kind, above, true);
                    }
                    Err(errno) => self.bad_link(path, errno),
                }
            }
            // Some file systems do not say in the listing.
            FileType::Unknown => match walk.beneath.peek_link(path).map(|stat| target_kind(&stat)) {
                Ok(FileType::Unknown) | Err(Errno::NOENT) => {}
                Ok(kind) => self.classify(walk, path, depth, kind, above, linked),
                Err(errno) => self.bad(path, ReadProblem::of_file(errno)),
            },
            odd if manifest => self.bad(path, ReadProblem::NotAFile { found: odd_name(odd) }),
            _ => {}
        }
    }

    /// A link that cannot be followed is a problem whatever its name: nobody can tell whether manifests are behind it.
    fn bad_link(&mut self, path: &Arc<str>, errno: Errno) {
        self.unlisted.insert(Arc::clone(path));
        match errno {
            Errno::NOENT | Errno::NOTDIR => {
                self.targets.push(Target { path: Arc::clone(path), kind: Kind::Dangling });
            }
            errno => self.bad(path, ReadProblem::of_file(errno)),
        }
    }

    /// `path` is not there. If a link on the way leads to nothing, that says nothing about what was behind it.
    fn dangling_on_the_way(&mut self, walk: Walk<'_>, path: &str) {
        for folder in ancestors(path) {
            let link = walk.beneath.peek_link(folder).is_ok_and(|stat| target_kind(&stat) == FileType::Symlink);
            if link && walk.beneath.peek(folder).is_err_and(|errno| errno == Errno::NOENT) {
                self.bad_link(&folder.into(), Errno::NOENT);
            }
        }
    }

    fn note_swap(&mut self, walk: Walk<'_>, link: &Arc<str>, folder: &Arc<str>) {
        // A hidden link to nothing is an editor's mark.
        if let Some(lead) = walk.beneath.lead(link).filter(|lead| lead.has_end() || link.ends_with(SWAP_LINK)) {
            self.swaps.push(Swap { link: Arc::clone(link), lead, folder: Arc::clone(folder) });
        }
    }

    fn not_utf8(&mut self, node: &Node, name: &[u8], kind: FileType) {
        let manifest = name.ends_with(b".yaml") || name.ends_with(b".yml");
        if manifest || kind == FileType::Directory {
            self.bad(&join(&node.path, &name.escape_ascii().to_string()), ReadProblem::NameNotUtf8);
        }
    }
}

/// Why there is no listing.
#[derive(Debug)]
pub(super) enum ListError {
    /// The root itself could not be listed to its end.
    Root(Errno),
    /// More than [`MAX_ENTRIES`].
    TooMany,
    /// The program stops.
    Stopped,
}

/// Whether files of this name are read.
pub fn is_manifest_name(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// The folders a path lies in, the nearest first, without the root; then none.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').map(|(at, _)| &path[..at])
}

fn join(folder: &str, name: &str) -> Arc<str> {
    if folder.is_empty() { name.into() } else { [folder, "/", name].concat().into() }
}

fn circle(above: Option<&Above>, id: Id) -> bool {
    std::iter::successors(above, |above| above.parent.as_deref()).any(|above| above.id == id)
}

/// The folders above `path`, as a walk from the root would have met them.
fn above(beneath: &Beneath, path: &str) -> Option<Arc<Above>> {
    let mut folders: Vec<&str> = ancestors(path).collect();
    folders.push("");
    folders.iter().rev().fold(None, |parent, folder| match beneath.peek(folder) {
        Ok(stat) => Some(Arc::new(Above { id: Id::of(&stat), parent })),
        Err(_) => parent,
    })
}

fn target_kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

pub(super) const fn odd_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests;
