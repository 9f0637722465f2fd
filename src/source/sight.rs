//! Of single paths: whether a file that is not read is gone or only out of sight, and whether it lies where its path says.
//!
//! In: a folder, and the path of a file in it. Out: why the file is out of sight; whether a link is on the way to it.
//! Invariants: what cannot be told apart counts as out of sight; nothing is opened but `.reconcilerignore` and git's index.
//! Deliberately absent: what is in the file, and what follows (see [`crate::cli`]).

use std::path::Path;

use rustix::io::Errno;

use super::beneath::Beneath;
use super::git::Git;
use super::list::SWAP_LINK;
use super::load::ignored;
use super::problem::ReadProblem;
use super::repository;
use super::sparse::Sparse;

/// Why the file `path` of the folder `root` is not read, if it is not gone: it is ignored, left out of a sparse checkout, or
/// in a folder that cannot be read. [`ReadProblem::BeingWritten`]: nothing hides it, so it is about to be read.
pub fn out_of_sight(root: &Path, git: &Git, path: &str) -> Option<ReadProblem> {
    let beneath = Beneath::open(root).ok()?;
    match beneath.peek_link(path) {
        Ok(_) => {
            let line = ignored(root).ok().and_then(|ignored| ignored.line(path, false));
            Some(line.map_or(ReadProblem::BeingWritten, |line| ReadProblem::Ignored { line }))
        }
        Err(Errno::NOENT | Errno::NOTDIR) => {
            let opened = repository::open(&beneath.real, git).ok()??;
            let within = beneath.real.strip_prefix(&opened.top).ok()?.join(path);
            Sparse::of(&opened).leaves_out(&within).then_some(ReadProblem::LeftOut)
        }
        Err(errno) => Some(ReadProblem::of_file(errno)),
    }
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
