//! What kind of place a folder is.
//!
//! In: a path. Out: the name of its file system where that matters, and whether this process may use it.
//! Deliberately absent: an attempt to write. What the system says about it is asked for instead.

use std::path::{Path, PathBuf};

use rustix::fs::{StatVfs, statfs, statvfs};

/// Why a file system is worth a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Other machines, or a program, are behind it.
    Remote,
    /// A container's own layer: gone with the container.
    Layer,
    /// Memory: gone with the next start.
    Memory,
}

/// By their `f_type` in statfs(2).
const NOTED: [(u32, &str, Kind); 13] = [
    (0x6969, "NFS", Kind::Remote),
    (0x517B, "SMB", Kind::Remote),
    (0xFF53_4D42, "CIFS", Kind::Remote),
    (0xFE53_4D42, "SMB2", Kind::Remote),
    (0x6573_5546, "FUSE", Kind::Remote),
    (0x0102_1997, "9p", Kind::Remote),
    (0x00C3_6400, "Ceph", Kind::Remote),
    (0x5346_414F, "AFS", Kind::Remote),
    (0x7375_7245, "Coda", Kind::Remote),
    (0x786F_4256, "VirtualBox", Kind::Remote),
    (0x794C_7630, "overlay", Kind::Layer),
    (0x0102_1994, "tmpfs", Kind::Memory),
    (0x8584_58F6, "ramfs", Kind::Memory),
];

/// The file system of `path` if it is one of those that are worth a word.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the field's width differs between architectures
pub(super) fn noted(path: &Path) -> Option<(&'static str, Kind)> {
    let found = statfs(path).ok()?.f_type as u32;
    NOTED.iter().find(|(magic, ..)| *magic == found).map(|(_, name, kind)| (*name, *kind))
}

/// Bytes and files that this process may still make there; `None` of files where they are not counted.
pub(super) fn room(path: &Path) -> Option<(u64, Option<u64>)> {
    let StatVfs { f_bavail, f_frsize, f_files, f_favail, .. } = statvfs(path).ok()?;
    Some((f_bavail.saturating_mul(f_frsize), (f_files > 0).then_some(f_favail)))
}

/// The folder that a file is in, or would be in, through all links.
pub(super) fn folder_of(file: &Path) -> PathBuf {
    let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let parent = real.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned())
}

/// `path` with something behind its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).into_os_string();
    name.push(suffix);
    name.into()
}

/// Bytes in words.
pub(super) fn bytes(number: u64) -> String {
    let (mut value, mut unit) = (number, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024 {
            break;
        }
        (value, unit) = (value / 1024, next);
    }
    format!("{value} {unit}")
}
