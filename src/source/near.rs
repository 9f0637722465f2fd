//! Files that were probably meant to be manifests and are not read, for their names say otherwise.
//!
//! In: a folder. Out: their paths. Invariants: follows no link, opens no file; names that begin with a dot are left
//! out, as everywhere, and so is what is ignored; what cannot be listed is skipped, for whoever reads the manifests tells of it.
//! Deliberately absent: the daemon, which has no use for them.

use std::fs::{FileType, read_dir};
use std::path::Path;

use super::ignore::{IGNORE_FILE, Ignored};
use super::list::is_manifest_name;
use super::{MAX_DEPTH, MAX_ENTRIES};

/// What a manifest's name ends in; near misses of the shorter one would be other formats (`.xml`).
const ENDINGS: [&str; 2] = ["yaml", "yml"];

/// Paths relative to `root` with `/` between their parts, in order: `ALICE.YAML`, `alice.yml.bak`, `alice.ymal`.
pub fn near_misses(root: &Path, ignored: &Ignored) -> Vec<String> {
    let (mut found, is_near_miss) = (Vec::new(), |name: &str| !name.starts_with('.') && is_near_miss(name));
    walk(root, ignored, |path, name, kind| {
        found.extend((kind.is_file() && is_near_miss(name)).then(|| path.to_owned()))
    });
    found.sort();
    found
}

/// What bears the name of the file that says what is ignored, and says nothing: those in subfolders, and folders.
pub fn idle_ignore_files(root: &Path, ignored: &Ignored) -> Vec<String> {
    let mut found = Vec::new();
    walk(root, ignored, |path, name, kind| {
        found.extend((name == IGNORE_FILE && (path != name || kind.is_dir())).then(|| path.to_owned()));
    });
    found.sort();
    found
}

/// Calls `visit` with the path and the name of whatever is in the folder.
fn walk(root: &Path, ignored: &Ignored, mut visit: impl FnMut(&str, &str, FileType)) {
    let mut entries = 0;
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in read_dir(root.join(&folder)).into_iter().flatten().flatten() {
            entries += 1;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            if ignored.has(&path, kind.is_dir()) {
                continue;
            }
            visit(&path, name, kind);
            if kind.is_dir() && !name.starts_with('.') && depth < MAX_DEPTH {
                folders.push((path, depth + 1));
            }
        }
        if entries > MAX_ENTRIES {
            break;
        }
    }
}

fn is_near_miss(name: &str) -> bool {
    if is_manifest_name(name) {
        return false;
    }
    let mut parts = name.split('.').skip(1).map(|part| part.trim_end_matches(['~', '_', ' ']).to_ascii_lowercase());
    parts.any(|part| ENDINGS.contains(&&*part) || strsim::damerau_levenshtein(&part, ENDINGS[0]) == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_probably_meant_to_be_read_is_a_near_miss() {
        for name in ["a.YAML", "a.Yml", "a.yml.bak", "a.yaml~", "a.ymal", "a.yam", "a.yaml.disabled", "b.c.yaml.orig"] {
            assert!(is_near_miss(name), "{name}");
        }
        for name in ["a.yaml", "a.yml", "README.md", "a.json", "a.xml", "yaml", "yml.txt", "notes", "a.toml"] {
            assert!(!is_near_miss(name), "{name}");
        }
    }
}
