//! Of single paths: whether a file that is not read is gone or only out of sight, and whether it lies where its path says.
//!
//! In: a folder, and the path of a file in it. Out: why the file is out of sight; whether a link is on the way to it, and makes
//! it another one.
//! Invariants: what cannot be looked at counts as out of sight; nothing is opened but `.reconcilerignore` and git's index.
//! Deliberately absent: what is in the file, and what follows (see [`crate::cli`]).

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::beneath::Beneath;
use super::git::Git;
use super::ignore::Ignored;
use super::list::{SWAP_LINK, ancestors};
use super::load::ignored;
use super::problem::ReadProblem;
use super::repository;
use super::sparse::Sparse;

/// The folder at one moment, looked at as far as is asked.
pub struct Lookup {
    beneath: Option<Beneath>,
    root: PathBuf,
    git: Git,
    ignored: OnceCell<Ignored>,
    sparse: OnceCell<Option<(Sparse, PathBuf)>>,
}

impl Lookup {
    /// Of the folder `root`.
    pub fn of(root: &Path, git: &Git) -> Self {
        let (beneath, git, root) = (Beneath::open(root).ok(), git.clone(), root.to_owned());
        Self { beneath, root, git, ignored: OnceCell::new(), sparse: OnceCell::new() }
    }

    /// Why the file `path` is not read, if it is not gone: it is ignored, left out of a sparse checkout, or in a folder that
    /// cannot be read. [`ReadProblem::BeingWritten`]: nothing hides it, so it is about to be read.
    pub fn out_of_sight(&self, path: &str) -> Option<ReadProblem> {
        let beneath = self.beneath.as_ref()?;
        match beneath.peek_link(path) {
            // In the place of the file there is something else.
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => None,
            Ok(_) => {
                let line = self.ignored.get_or_init(|| ignored(&self.root).unwrap_or_default()).line(path, false);
                Some(line.map_or(ReadProblem::BeingWritten, |line| ReadProblem::Ignored { line }))
            }
            // Behind a link to nothing it is not known what there is.
            Err(Errno::NOENT) if ancestors(path).any(|folder| is_dangling(beneath, folder)) => {
                Some(ReadProblem::Dangling)
            }
            Err(Errno::NOENT | Errno::NOTDIR) => self.is_left_out(path).then_some(ReadProblem::LeftOut),
            Err(errno) => Some(ReadProblem::of_file(errno)),
        }
    }

    /// Whether a sparse checkout leaves the file `path` out.
    pub fn is_left_out(&self, path: &str) -> bool {
        let find = || {
            let real = &self.beneath.as_ref()?.real;
            let opened = repository::open(real, &self.git).ok()??;
            Some((Sparse::of(&opened), real.strip_prefix(&opened.top).ok()?.to_owned()))
        };
        let sparse = self.sparse.get_or_init(find).as_ref();
        sparse.is_some_and(|(sparse, within)| sparse.leaves_out(&within.join(path)))
    }
}

fn is_dangling(beneath: &Beneath, folder: &str) -> bool {
    let is_link = |stat: Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    beneath.peek_link(folder).is_ok_and(is_link) && beneath.peek(folder).is_err_and(|errno| errno == Errno::NOENT)
}

/// Whether the file `path` of the folder `root` is reached through a link, and lies elsewhere.
///
/// A Kubernetes volume shows every file through one link that it makes itself. In a repository such a link could be
/// committed like any other, so there it is one.
pub fn is_behind_link(root: &Path, git: &Git, path: &str) -> bool {
    let Ok(root) = root.canonicalize() else { return true };
    let Ok(found) = root.join(path).canonicalize() else { return true };
    let is_published = || {
        let volume = root.join(SWAP_LINK).canonicalize();
        volume.is_ok_and(|volume| found == volume.join(path)) && git.find(&root).is_none()
    };
    found != root.join(path) && !is_published()
}

/// The links by which some of the files `paths` of the folder `root` are others of them.
pub fn twice(root: &Path, paths: impl Iterator<Item = Arc<str>>) -> BTreeSet<String> {
    let mut files: BTreeMap<PathBuf, BTreeSet<Arc<str>>> = BTreeMap::new();
    for path in paths {
        if let Ok(real) = root.join(&*path).canonicalize() {
            files.entry(real).or_default().insert(path);
        }
    }
    let links = files.values().flat_map(|same| {
        let is_way_to = |folder: &str, path: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let is_own = move |folder: &str| !same.iter().all(|path| is_way_to(folder, path));
        // The link may be the file itself.
        let ways = same.iter().flat_map(|path| std::iter::once(&**path).chain(ancestors(path)));
        ways.filter(move |way| is_own(way) && root.join(way).is_symlink())
    });
    links.map(str::to_owned).collect()
}
