//! Why a policy folder would not be read: then no budget in it would hold anything.
//!
//! In: the folder of the manifests, and the name of the policy folder in it. Out: nothing, or why, with the way out.
//! Absent by design: what a file says. One that is broken is a problem of its own when it is read.

use std::fs;
use std::io;
use std::path::Path;

use crate::account::printable;
use crate::source::{self, IGNORE_FILE, Ignored, is_manifest_name};

/// How many folders inside one another are looked into: as deep as manifests are read.
const DEPTH_MAX: usize = source::MAX_DEPTH;

/// Looks at the folder `dir` of the folder `root`.
pub(super) fn look(root: &Path, dir: &str) -> Result<(), String> {
    let (path, shown) = (root.join(dir), printable::path(root));
    if !path.is_dir() {
        return Err(format!(
            "there is no such folder in {shown}, so that no budget and no approval would count: name all of the desired \
             state with --desired-state, or create the folder (Git keeps none without a file)"
        ));
    }
    let real = |path: &Path| path.canonicalize().map_err(|error| unlistable(dir, &error));
    if !real(&path)?.starts_with(real(root)?) {
        return Err(format!(
            "it is a link that leads out of {shown}, and is not followed: put the folder itself there"
        ));
    }
    read_all(&path, dir, &|_, _| Ok(()), DEPTH_MAX)
}

/// Looks whether the file that says what is ignored in `root` hides anything of its folder `dir`.
pub(super) fn refuse_hidden(root: &Path, dir: &str) -> Result<(), String> {
    let ignored = source::ignored(root).unwrap_or_default();
    read_all(&root.join(dir), dir, &|path, is_folder| refuse_ignored(path, is_folder, &ignored), DEPTH_MAX)
}

fn unlistable(dir: &str, error: &io::Error) -> String {
    format!("{} cannot be listed ({error}): let this user read it", printable::path(Path::new(dir)))
}

/// Goes through this folder, and each in it: what is `found`, and whether it is a folder.
fn read_all(
    path: &Path,
    dir: &str,
    found: &dyn Fn(&str, bool) -> Result<(), String>,
    depth: usize,
) -> Result<(), String> {
    found(dir, true)?;
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    for entry in fs::read_dir(path).map_err(|error| unlistable(dir, &error))?.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let (inside, is_folder) = (format!("{dir}/{name}"), entry.file_type().is_ok_and(|kind| kind.is_dir()));
        if is_folder {
            read_all(&entry.path(), &inside, found, depth)?;
        } else if is_manifest_name(name) {
            found(&inside, false)?;
        }
    }
    Ok(())
}

fn refuse_ignored(path: &str, is_folder: bool, ignored: &Ignored) -> Result<(), String> {
    ignored.line(path, is_folder).map_or(Ok(()), |line| {
        let path = printable::escape(path);
        Err(format!(
            "line {line} of {IGNORE_FILE} hides {path}, and with it what it may limit: in this folder nothing may be"
        ))
    })
}
