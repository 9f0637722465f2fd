//! Which revision each file came from: the commit that made it what it is, and who wrote that.
//!
//! In: the folder, and the bytes that were read. Out: [`Origin`], which a batch carries (where it was read, and what the
//! head was then); and for the files somebody asks about, the revisions that changed them, newest first.
//!
//! A file whose bytes are those at the head is the work of the newest commit, along first parents, that changed it. Its
//! documents may be older: the contents that earlier commits gave it tell. Bytes that are not those at the head are
//! nobody's (`-dirty`), even if git would take them for the same: where it converts line ends or keeps large files
//! elsewhere, every file is dirty.
//! Invariants: only objects are read, never a work tree's files, and no configuration but the repository's own; nothing
//! here fails a pass: what cannot be read is `unknown`; what lies further back than the bounds is the head's, and has no
//! author, for a wrong one would be worse. Absent by design: the program git, a checkout, and any write.

mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix::ObjectId;
use tracing::warn;

use super::{Batch, Look};
use crate::account::printable;
use crate::revision::Revision;
use tokio::time::Instant;
use walk::{Asked, Revisions, TIME_MAX, Walk};

/// The folder in which git-sync keeps what it publishes, under the name of the commit.
const GIT_SYNC: &str = ".worktrees";

/// How the names of such folders began before its fourth version.
const GIT_SYNC_3: &str = "rev-";

/// Where a batch was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    place: Place,
    /// What was read of each file of the batch, by its fingerprint; 0 where nothing was.
    hashes: Vec<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Unknown,
    /// In a repository that cannot be read, and why.
    Unreadable(Box<str>),
    Published(Box<str>),
    Git(Box<Head>),
}

/// A work tree, and the commit that was checked out in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Head {
    work_tree: PathBuf,
    /// The folder of manifests within it.
    folder: PathBuf,
    commit: ObjectId,
    /// `None` if the head is detached.
    branch: Option<Box<str>>,
}

/// A revision, and what a file was in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version<T> {
    /// The commit that changed the file, or that its bytes are in no commit.
    pub revision: Arc<Revision>,
    /// What it made of the file. `None`: what was read; or, behind others, that nothing is known of what was before.
    pub content: Option<T>,
}

impl Origin {
    /// Where `folder`, which has no links in its path, stands now; `hashes` are those of the files that were read there.
    pub(super) fn of(folder: &Path, hashes: Vec<u64>) -> Self {
        let work_tree = folder.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok());
        let head = work_tree.map(|work_tree| head(work_tree, folder));
        let place = match (head, published(folder)) {
            (Some(Ok(head)), _) => Place::Git(Box::new(head)),
            (_, Some(name)) => Place::Published(name),
            // That is said once somebody asks whose work something is.
            (Some(Err(why)), None) => Place::Unreadable(why.into()),
            (None, None) => Place::Unknown,
        };
        Self { place, hashes }
    }
}

fn head(work_tree: &Path, folder: &Path) -> Result<Head, String> {
    let repository = open(work_tree)?;
    let why = |error: &dyn std::fmt::Display| error.to_string();
    let commit = repository.head_id().map_err(|error| why(&error))?.detach();
    let name = repository.head_name().map_err(|error| why(&error))?;
    let branch = name.map(|name| name.shorten().to_string().into());
    let folder = folder.strip_prefix(work_tree).unwrap_or(Path::new("")).to_owned();
    Ok(Head { work_tree: work_tree.to_owned(), folder, commit, branch })
}

/// Opened without a word from the environment or from the user's configuration.
fn open(work_tree: &Path) -> Result<gix::Repository, String> {
    gix::open_opts(work_tree, gix::open::Options::isolated()).map_err(|error| error.to_string())
}

/// The name under which git-sync published `folder`.
fn published(folder: &Path) -> Option<Box<str>> {
    let names: Vec<_> = folder.iter().filter_map(|name| name.to_str()).collect();
    let worktree = names.iter().position(|name| *name == GIT_SYNC).and_then(|at| names.get(at + 1).copied());
    let older = || names.iter().rev().find_map(|name| name.strip_prefix(GIT_SYNC_3));
    worktree
        .or_else(older)
        .filter(|name| name.len() >= 7 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(Into::into)
}

/// Says why nothing is known; once a cause, for the same one comes back with every edit.
fn tell(why: &str) {
    static TOLD: std::sync::Mutex<BTreeSet<String>> = std::sync::Mutex::new(BTreeSet::new());
    /// How many causes are remembered; a repository that finds new ones without end is told about no more.
    const CAUSES_MAX: usize = 32;
    let why = printable::escape(&printable::cut(why, 300));
    let mut told = TOLD.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if told.len() < CAUSES_MAX && told.insert(why.clone()) {
        warn!(why, "the revision of manifests is unknown");
    }
}

impl<T> Batch<T> {
    /// Finds out at which revisions files became what they are. `depth` says how many of its revisions a file is worth:
    /// none, the last one, or as many as it takes to tell its documents apart. Blocks, for half a second at most and the
    /// time that `parse` takes.
    pub fn attribute(&mut self, parse: &dyn Fn(&Arc<str>, &[u8]) -> T, depth: &dyn Fn(&T) -> usize) {
        let read = self.files.iter().zip(&self.origin.hashes);
        let asked: Vec<(&Arc<str>, u64, usize)> = read
            .filter_map(|((path, look), hash)| match look {
                Look::Read(content) => Some((path, *hash, depth(content))).filter(|(.., depth)| *depth > 0),
                Look::Gone | Look::Problem(_) => None,
            })
            .collect();
        self.versions = match &self.origin.place {
            _ if asked.is_empty() => BTreeMap::new(),
            Place::Unknown => BTreeMap::new(),
            Place::Unreadable(why) => {
                tell(why);
                BTreeMap::new()
            }
            Place::Published(name) => {
                let revision = Arc::new(Revision::published(name));
                let version = || Version { revision: Arc::clone(&revision), content: None };
                asked.into_iter().map(|(path, ..)| (Arc::clone(path), vec![version()])).collect()
            }
            Place::Git(head) => head.versions(&asked, parse).unwrap_or_else(|why| {
                tell(&format!("{}: {why}", head.work_tree.display()));
                BTreeMap::new()
            }),
        };
    }
}

impl Head {
    fn versions<T>(
        &self,
        asked: &[(&Arc<str>, u64, usize)],
        parse: &dyn Fn(&Arc<str>, &[u8]) -> T,
    ) -> Result<BTreeMap<Arc<str>, Vec<Version<T>>>, String> {
        let repository = open(&self.work_tree)?;
        let folder = self.folder.to_str().ok_or("a folder whose name is not UTF-8")?;
        let within = |path: &str| if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
        let mut asked: Vec<_> = asked
            .iter()
            .map(|(path, hash, depth)| (*path, Asked { path: within(path), hash: *hash, depth: *depth }))
            .collect();
        asked.sort_by(|a, b| a.1.path.cmp(&b.1.path));
        let (paths, asked): (Vec<&Arc<str>>, Vec<Asked>) = asked.into_iter().unzip();
        let walk = Walk::new(&repository, self.commit, self.branch.as_deref(), &self.work_tree);
        let until = Instant::now() + 2 * TIME_MAX;
        let read =
            |(path, revisions): (&Arc<str>, Revisions)| (Arc::clone(path), contents(path, revisions, parse, until));
        Ok(paths.into_iter().zip(walk.run(asked)?).map(read).collect())
    }
}

/// Parses what each revision made of a file: the last two of them, and the others while there is time.
fn contents<T>(
    path: &Arc<str>,
    revisions: Revisions,
    parse: &dyn Fn(&Arc<str>, &[u8]) -> T,
    until: Instant,
) -> Vec<Version<T>> {
    let mut versions = Vec::with_capacity(revisions.len());
    for (revision, bytes) in revisions {
        let in_time = versions.len() < 3 || Instant::now() < until;
        let content = bytes.filter(|_| in_time).map(|bytes| parse(path, &bytes));
        versions.push(Version { revision, content });
        if !in_time {
            break;
        }
    }
    versions
}
