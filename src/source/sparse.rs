//! What a sparse checkout leaves out of the work tree: files that the repository has and the folder has not.
//!
//! In: an opened repository. Out: which paths are left out. Invariants: git's index decides, by its mark for each file or
//! folder, and not the patterns it came from; what lies in the work tree is not left out, whatever its mark.
//! Absent by design: any other reason for which a file is not there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice;
use gix::index::entry::{Flags, Mode};

use super::repository::Opened;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    top: PathBuf,
    files: BTreeSet<PathBuf>,
    /// Folders of which the index itself knows no more: a sparse index.
    folders: BTreeSet<PathBuf>,
}

impl Sparse {
    /// What is left out of this work tree; nothing where there is no index to tell.
    pub(super) fn of(Opened { repository, top }: &Opened) -> Self {
        let mut sparse = Self { top: top.clone(), ..Self::default() };
        let Ok(index) = repository.open_index() else { return sparse };
        for entry in index.entries().iter().filter(|entry| entry.flags.contains(Flags::SKIP_WORKTREE)) {
            let path = entry.path(&index).to_path_lossy().into_owned();
            if entry.mode == Mode::DIR { &mut sparse.folders } else { &mut sparse.files }.insert(path);
        }
        sparse
    }

    /// Whether nothing is marked as left out.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.is_empty()
    }

    /// Whether `path`, from the top of the work tree, is left out of it.
    pub(super) fn leaves_out(&self, path: &Path) -> bool {
        let marked = self.files.contains(path) || path.ancestors().any(|folder| self.folders.contains(folder));
        marked && self.top.join(path).symlink_metadata().is_err()
    }
}
