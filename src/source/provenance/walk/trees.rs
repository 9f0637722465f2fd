//! Two trees beside each other: what lies where in the one, and what in the other.
//!
//! In: the object store. Out: [`Differences`] of paths that are asked about, and the manifests that were replaced.
//! Invariants: a tree is read only if it is not the same on both sides; depth and number are bounded.
//! Absent by design: what files say.

use std::collections::BTreeMap;

use gix::ObjectId;
use gix::objs::TreeRefIter;

use crate::source::list::is_manifest_name;
use crate::source::repository;
use crate::source::{MAX_DEPTH, MAX_ENTRIES};

/// By the place of a path in the list: what it is in the new tree; `None` for nothing any more.
pub(super) type Differences = BTreeMap<usize, Option<ObjectId>>;

/// Entries of a tree by name: whether each is a tree itself, and which.
type Entries = BTreeMap<String, (bool, ObjectId)>;

/// The store to read from.
pub(super) struct Trees<'r>(pub(super) &'r gix::Repository);

impl Trees<'_> {
    /// What `new` has in the place of what `old` has, of the files at `paths`.
    pub(super) fn differences(
        &self,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
        paths: &[String],
    ) -> Result<Differences, String> {
        let mut found = BTreeMap::new();
        let all: Vec<(usize, &str)> = paths.iter().map(|path| &**path).enumerate().collect();
        self.compare((old, new), &all, &mut found)?;
        Ok(found)
    }

    fn compare(
        &self,
        (old, new): (Option<ObjectId>, Option<ObjectId>),
        paths: &[(usize, &str)],
        found: &mut Differences,
    ) -> Result<(), String> {
        if old == new {
            return Ok(());
        }
        let mut folders: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
        let mut files: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, path) in paths {
            match path.split_once('/') {
                Some((folder, rest)) => folders.entry(folder).or_default().push((*at, rest)),
                None => files.entry(path).or_default().push(*at),
            }
        }
        let is_asked =
            |name: &str, is_tree: bool| if is_tree { folders.contains_key(name) } else { files.contains_key(name) };
        let (old, new) = (self.entries(old, &is_asked)?, self.entries(new, &is_asked)?);
        let of = |entries: &Entries, name: &str, tree: bool| {
            entries.get(name).filter(|(is_tree, _)| *is_tree == tree).map(|(_, id)| *id)
        };
        for (name, at) in &files {
            let (old, new) = (of(&old, name, false), of(&new, name, false));
            if old != new {
                found.extend(at.iter().map(|at| (*at, new)));
            }
        }
        for (name, paths) in folders {
            self.compare((of(&old, name, true), of(&new, name, true)), &paths, found)?;
        }
        Ok(())
    }

    /// The manifests of `old` that are not the same in `new`, by path.
    pub(super) fn replaced(&self, old: ObjectId, new: ObjectId) -> Result<BTreeMap<String, ObjectId>, String> {
        let (mut found, mut pairs) = (BTreeMap::new(), vec![(String::new(), old, Some(new), 0)]);
        while let Some((folder, old, new, depth)) = pairs.pop() {
            let (old, new) = (self.entries(Some(old), &|_, _| true)?, self.entries(new, &|_, _| true)?);
            for (name, (is_tree, id)) in old.into_iter().filter(|(name, old)| new.get(name) != Some(old)) {
                let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                if is_tree && depth < MAX_DEPTH {
                    let there = new.get(&name).filter(|(is_tree, _)| *is_tree).map(|(_, id)| *id);
                    pairs.push((path, id, there, depth + 1));
                } else if !is_tree && is_manifest_name(&name) {
                    found.insert(path, id);
                }
            }
            if found.len() > MAX_ENTRIES {
                return Err("more files than are read".to_owned());
            }
        }
        Ok(found)
    }

    /// The files and folders in a tree that are asked about.
    fn entries(&self, tree: Option<ObjectId>, is_asked: &dyn Fn(&str, bool) -> bool) -> Result<Entries, String> {
        let Some(tree) = tree else { return Ok(BTreeMap::new()) };
        let object = self.0.find_object(tree).map_err(|_| repository::lack(self.0, tree))?;
        let mut entries = BTreeMap::new();
        for entry in TreeRefIter::from_bytes(&object.data, tree.kind()) {
            let entry = entry.map_err(|_| repository::lack(self.0, tree))?;
            let (Ok(name), mode) = (std::str::from_utf8(entry.filename), entry.mode) else { continue };
            if (mode.is_tree() || mode.is_blob()) && is_asked(name, mode.is_tree()) {
                entries.insert(name.to_owned(), (mode.is_tree(), entry.oid.to_owned()));
            }
        }
        Ok(entries)
    }
}
