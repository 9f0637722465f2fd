//! Whether git takes a file of the work tree for what the head has, though its bytes are others: filters, line ends.
//!
//! In: git's index, and the file. Out: yes or no. Invariants: as git itself judges, by the stamps that its index keeps of
//! a file it wrote; a stamp too young to be trusted says no, and so does whatever cannot be read.
//! Absent by design: running filters, for they are programs that the repository names.

use std::path::Path;

use gix::ObjectId;
use gix::bstr::BStr;
use gix::index::entry::stat::Options;
use gix::index::entry::{Stage, Stat};
use gix::index::fs::Metadata;
use xxhash_rust::xxh3::xxh3_64;

use crate::source::MAX_FILE;

/// Whether the file at `path` of the work tree, of which `hash` was read, is `blob` as far as git can tell.
pub(super) fn is_clean(index: &gix::index::File, work_tree: &Path, path: &str, blob: ObjectId, hash: u64) -> bool {
    let (options, full) = (Options { use_nsec: true, ..Options::default() }, work_tree.join(path));
    let stat = || Stat::from_fs(&Metadata::from_path_no_follow(&full).ok()?).ok();
    let Some(entry) = index.entry_by_path_and_stage(BStr::new(path), Stage::Unconflicted) else { return false };
    let is_known = || {
        entry.id == blob
            && !entry.stat.is_racy(index.timestamp(), options)
            && stat().is_some_and(|stat| u64::from(stat.size) <= MAX_FILE && entry.stat.matches(&stat, options))
    };
    // What was read is what lies there still, and what lies there is what git wrote.
    is_known() && std::fs::read(&full).is_ok_and(|bytes| xxh3_64(&bytes) == hash) && is_known()
}
