//! At which revision each thing that manifests say came to be said, and who wrote that commit.
//!
//! In: the folder, and the bytes that were read. Out: [`Origin`], which a batch carries (where it was read, and what the
//! head was then); and for the files somebody asks about, what was [`Decided`] at which revision.
//!
//! A file says things: its statements, by their fingerprints. Each is the work of the oldest commit, along first parents,
//! since when it was said without a break, in this file or in another that it was moved from. Who adds a comment, renames
//! the file or says something else beside it has not said this. What the head does not say has no author: `-dirty`, unless
//! git takes the file for the head's, because a filter keeps it in another form there. Line ends say nothing.
//! Invariants: no configuration but the repository's own; nothing here fails a pass: what cannot be read is `unknown`;
//! what lies further back than the bounds is the head's, and has no author, for a wrong one would be worse.
//! Absent by design: the program git, a checkout, any write, and the filters themselves.

mod clean;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix::ObjectId;
use tracing::warn;

use super::git::Git;
use super::repository::{self, Opened};
use super::{Batch, Look};
use crate::account::printable;
use crate::revision::Revision;
use walk::{Asked, Walk};

/// The folder in which git-sync keeps what it publishes, under the name of the commit.
const GIT_SYNC: &str = ".worktrees";

/// How the names of such folders began before its fourth version.
const GIT_SYNC_3: &str = "rev-";

/// Where a batch was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    place: Place,
    /// Repositories within the folder: the way to each, with `/` at its end, and what was checked out there.
    submodules: Vec<(Box<str>, Head)>,
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
    /// Its Git directory.
    git: PathBuf,
    work_tree: PathBuf,
    /// The folder of manifests within it.
    folder: PathBuf,
    commit: ObjectId,
    /// `None` if the head is detached.
    branch: Option<Box<str>>,
}

/// At which revision each statement of a file came to be said, by the statement's fingerprint.
pub type Decided = BTreeMap<u64, Arc<Revision>>;

/// The fingerprints of the statements in a file's bytes.
pub type Said<'s> = dyn Fn(&Arc<str>, &[u8]) -> Vec<u64> + 's;

impl Origin {
    /// Where `folder`, which has no links in its path, stands now; `hashes` are those of the files that were read there.
    pub(super) fn of(folder: &Path, git: &Git, hashes: Vec<u64>) -> Self {
        let place = match (head(folder, git), published(folder)) {
            (Ok(Some(head)), _) => Place::Git(Box::new(head)),
            (_, Some(name)) => Place::Published(name),
            // That is said once somebody asks whose work something is.
            (Err(why), None) => Place::Unreadable(format!("{}: {why}", folder.display()).into()),
            (Ok(None), None) => Place::Unknown,
        };
        Self { place, submodules: submodules(folder, git), hashes }
    }
}

fn head(folder: &Path, git: &Git) -> Result<Option<Head>, String> {
    let opened = repository::open(folder, git).map_err(|error| error.to_string())?;
    let Some(Opened { repository, top: work_tree }) = opened else { return Ok(None) };
    let commit = repository::head(&repository)?;
    let name = repository.head_name().map_err(|_| "HEAD cannot be read")?;
    let branch = name.map(|name| name.shorten().to_string().into());
    let folder = folder.strip_prefix(&work_tree).unwrap_or(Path::new("")).to_owned();
    let git = repository.git_dir().to_owned();
    Ok(Some(Head { git, work_tree, folder, commit, branch }))
}

/// The submodules in `folder`, those that lie deepest first.
fn submodules(folder: &Path, git: &Git) -> Vec<(Box<str>, Head)> {
    let heads = repository::submodules(folder, git).into_iter().rev().filter_map(|top| {
        let way = top.strip_prefix(folder).ok()?.to_str()?;
        Some((format!("{way}/").into(), head(&top, &Git::default()).ok()??))
    });
    heads.collect()
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
    /// Finds out at which revisions files came to say what they say. `said` gives the statements in the bytes of a file of
    /// any revision, `asked` those of a file that was read which are worth the search. Blocks, for a second at most.
    pub fn attribute(&mut self, said: &Said<'_>, asked: &dyn Fn(&T) -> Vec<u64>) {
        let read = self.files.iter().zip(&self.origin.hashes);
        let asked: Vec<Asked<'_>> = read
            .filter_map(|((path, look), hash)| match look {
                Look::Read(content) => Some(Asked { file: path, path, hash: *hash, statements: asked(content) }),
                Look::Gone | Look::Problem(_) => None,
            })
            .filter(|asked| !asked.statements.is_empty())
            .collect();
        self.decided = match &self.origin.place {
            _ if asked.is_empty() => BTreeMap::new(),
            Place::Unknown => BTreeMap::new(),
            Place::Unreadable(why) => {
                tell(why);
                BTreeMap::new()
            }
            Place::Published(name) => {
                let revision = Arc::new(Revision::published(name));
                let all = |Asked { file, statements, .. }: Asked<'_>| {
                    let by = statements.into_iter().map(|statement| (statement, Arc::clone(&revision)));
                    (Arc::clone(file), by.collect())
                };
                asked.into_iter().map(all).collect()
            }
            Place::Git(head) => {
                let (mut rest, mut decided) = (asked, BTreeMap::new());
                for (way, head) in &self.origin.submodules {
                    let (inner, outer) = rest.into_iter().partition(|asked| asked.path.starts_with(&**way));
                    let inner: Vec<_> = inner;
                    let inner = inner.into_iter().map(|asked| Asked { path: &asked.path[way.len()..], ..asked });
                    decided.extend(head.decided_or_logged(&inner.collect::<Vec<_>>(), said));
                    rest = outer;
                }
                decided.extend(head.decided_or_logged(&rest, said));
                decided
            }
        };
    }
}

impl Head {
    /// What was decided here; nothing where that cannot be read, and the log says why.
    fn decided_or_logged(&self, asked: &[Asked<'_>], said: &Said<'_>) -> BTreeMap<Arc<str>, Decided> {
        if asked.is_empty() {
            return BTreeMap::new();
        }
        self.decided(asked, said).unwrap_or_else(|why| {
            tell(&format!("{}: {why}", self.work_tree.display()));
            BTreeMap::new()
        })
    }

    fn decided(&self, asked: &[Asked<'_>], said: &Said<'_>) -> Result<BTreeMap<Arc<str>, Decided>, String> {
        let repository = repository::at(&self.git).map_err(|error| error.to_string())?;
        let folder = self.folder.to_str().ok_or("a folder whose name is not UTF-8")?;
        Walk::new(&repository, self, folder, said).run(asked)
    }
}
