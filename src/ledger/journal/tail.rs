//! Where a journal stops being whole: what a crash left, or damage?
//!
//! In: the bytes from the first line that is not whole. Out: nothing (cut it) or a [`Fault`].
//!
//! A group is one write and one sync, and none is begun before the one before it is durable. So a
//! crash can only touch the last group, none of which was acknowledged, and leaves one of:
//! - a beginning of it: whole lines, then one that breaks off;
//! - the same with holes: a sector that never reached the disk reads as zeros, even where a later
//!   one did, so that whole lines can follow (seen on ext4; etcd's log knows it as a torn entry);
//! - a last line with other bytes in it, where a file system shows what the disk held before.
//!
//! Everything else is damage: to cut it would forget what was acknowledged.

use super::{Entry, Fault, SUM_KEY, SUM_LEN, is_whole};

/// More than a crash can leave: a group is at most 1 MiB and the rest of a line.
const TORN_MAX: usize = 4 * 1024 * 1024;

/// The unit in which bytes reach a disk, or do not.
const SECTOR: usize = 512;

/// Judges `tail`, which begins `offset` bytes into the journal with line `number`, where record
/// `next` (or the head and record `next`) would be.
pub(super) fn judge(tail: &[u8], offset: usize, number: usize, next: u64) -> Result<(), Fault> {
    let damaged = |what: &str| Err(Fault::Damaged(format!("line {number} is not what was written, {what}")));
    if tail.len() > TORN_MAX {
        return damaged(&format!("and the {} bytes from there on are more than a crash leaves behind", tail.len()));
    }
    let mut lines = tail.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let after: Vec<&[u8]> = lines.collect();
    let whole: Vec<&[u8]> = after.iter().copied().filter(|line| is_whole(line)).collect();
    // What this program cannot read it must not cut either.
    let group = |line: &&[u8]| serde_json::from_slice(line).map_or(u64::MAX, |entry: Entry| entry.group());
    let only_the_last_group = whole.iter().map(group).all(|group| group <= next);
    if has_crash_holes(tail, offset) && only_the_last_group {
        return Ok(());
    }
    if runs_on(first) {
        return damaged("for a whole record runs on into another one");
    }
    if after.is_empty() {
        return Ok(());
    }
    damaged(&format!("yet lines follow it, {} of them whole", whole.len()))
}

/// Whether a line goes on after the end of a whole record: its newline was lost, not its end. One byte is no more than
/// the newline itself, which shows what the disk held before.
/// The first checksum is the record's own, for within a JSON string its quotes would be escaped.
fn runs_on(line: &[u8]) -> bool {
    line.windows(SUM_KEY.len()).position(|window| window == SUM_KEY).is_some_and(|at| {
        let end = at + SUM_LEN;
        end + 1 < line.len() && is_whole(&[&line[..end], b"\n"].concat())
    })
}

/// Whether there are zeros, and all of them are such as whole sectors leave behind: from the end
/// of the group before, or from a sector's beginning, to a sector's end, or to the end of it all.
/// That may be one byte, which no flipped bit turns into zero: lines begin with `{` and end with a newline.
fn has_crash_holes(tail: &[u8], offset: usize) -> bool {
    let mut at = 0;
    while let Some(start) = tail[at..].iter().position(|byte| *byte == 0).map(|found| at + found) {
        let end = start + tail[start..].iter().take_while(|byte| **byte == 0).count();
        let begins = start == 0 || (offset + start).is_multiple_of(SECTOR);
        let ends = end == tail.len() || (offset + end).is_multiple_of(SECTOR);
        if !begins || !ends {
            return false;
        }
        at = end;
    }
    at > 0
}
