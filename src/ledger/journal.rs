//! What happened since the snapshot, one JSON line a record: [`Record`]s to bytes and back.
//!
//! In: records and the number of the first; or a journal's bytes and the snapshot they came after.
//! Out: one *group* of lines, to be written and synced at once; or the ledger as it was when the
//! last whole line was written, and how many bytes those lines are.
//!
//! Each line ends in a `crc32` of all that stands before it, is numbered without gaps, and says
//! (unless it is the first) with which number its group began. The head line says whose journal
//! this is and comes with the first group, so that no journal is ever applied to another ledger.
//!
//! Invariants: what was once acknowledged as durable is applied or the journal is refused; what
//! a crash can leave behind is cut and never refused ([`tail`] tells the two apart). Records that
//! the snapshot has already (a crash between its rename and the journal's truncation) are skipped.

mod tail;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::fault::{API_VERSION, Fault, judge_header};
use super::{Ledger, Owner, Record};
use crate::account::AccountId;

/// The head line's `kind`.
const KIND: &str = "LedgerJournal";

/// How many bytes one group holds before the next record begins another one: bounds what one
/// crash can tear off, and the memory a group takes.
const GROUP_BYTES: usize = 1024 * 1024;

/// What stands before a line's checksum.
const SUM_KEY: &[u8] = b",\"crc32\":\"";

/// What stands behind it, without the newline.
const SUM_END: &[u8] = b"\"}";

/// The checksum, its key and its closing brace: 8 hexadecimal digits between the two.
const SUM_LEN: usize = SUM_KEY.len() + 8 + SUM_END.len();

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadRef {
    api_version: &'static str,
    kind: &'static str,
    zoid: Owner,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
}

#[derive(Deserialize)]
struct HeadOwner {
    zoid: Owner,
}

#[derive(Serialize)]
struct EntryRef<'a> {
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<u64>,
    record: &'a Record,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    seq: u64,
    group: Option<u64>,
    record: Record,
    #[serde(rename = "crc32")]
    _crc32: IgnoredAny,
}

impl Entry {
    /// Number of the first record of the group this one was written in.
    fn group(&self) -> u64 {
        self.group.unwrap_or(self.seq)
    }
}

/// Appends the line that stands first in a journal.
pub fn encode_head(owner: Owner, out: &mut Vec<u8>) {
    encode_line(&HeadRef { api_version: API_VERSION, kind: KIND, zoid: owner }, out);
}

/// Appends one group: `records`, numbered from `first` on, until it holds [`GROUP_BYTES`].
/// Returns how many records it took, at least one unless there are none.
pub fn encode_group(records: &[Record], first: u64, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    for (taken, (record, seq)) in records.iter().zip(first..).enumerate() {
        if out.len() - start >= GROUP_BYTES {
            return taken;
        }
        encode_line(&EntryRef { seq, group: (seq != first).then_some(first), record }, out);
    }
    records.len()
}

fn encode_line(value: &impl Serialize, out: &mut Vec<u8>) {
    let start = out.len();
    serde_json::to_writer(&mut *out, value).expect("a line has only string keys, and a Vec takes every byte");
    out.pop(); // the closing brace: the checksum is the last key
    let sum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(SUM_KEY);
    out.extend_from_slice(format!("{sum:08x}").as_bytes());
    out.extend_from_slice(SUM_END);
    out.push(b'\n');
}

/// The ledger after its journal.
#[derive(Debug)]
pub struct Replayed {
    /// The snapshot with the journal's records applied; `None` if there is neither.
    pub ledger: Option<Ledger>,
    /// Length of the whole lines, in bytes; what follows is a torn tail.
    pub good_len: usize,
}

/// Applies a journal's bytes to the snapshot they were written after.
///
/// # Errors
///
/// If the bytes are more than a crash left of what was once written.
pub fn replay(bytes: &[u8], mut ledger: Option<Ledger>) -> Result<Replayed, Fault> {
    let folded_up_to = ledger.as_ref().map_or(0, |ledger| ledger.serial);
    let mut good_len = 0;
    let mut last = None;
    for (line, number) in bytes.split_inclusive(|byte| *byte == b'\n').zip(1..) {
        if !is_whole(line) {
            let next = last.unwrap_or(folded_up_to).saturating_add(1);
            tail::judge(&bytes[good_len..], good_len, number, next)?;
            break;
        }
        if number == 1 {
            let owner = decode_head(line)?;
            let expected = ledger.get_or_insert_with(|| Ledger::new(owner)).owner;
            if owner != expected {
                return Err(Fault::Foreign(owner));
            }
        } else if let Some(ledger) = &mut ledger {
            last = Some(live_through(decode(line, number)?, number, last, ledger)?);
        }
        good_len += line.len();
    }
    match last {
        Some(last) if last < folded_up_to => Err(Fault::Damaged(format!(
            "it ends with record {last}, but the snapshot beside it is at {folded_up_to}: the two do not belong \
             together; if the snapshot is the right one, move the journal aside"
        ))),
        _ => Ok(Replayed { ledger, good_len }),
    }
}

/// The accounts that a journal's records are about; `None` if one may be about all of them.
pub(super) fn accounts(bytes: &[u8]) -> Option<BTreeSet<AccountId>> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').skip(1).filter(|line| is_whole(line));
    let mut accounts = BTreeSet::new();
    for Entry { record, .. } in lines.filter_map(|line| serde_json::from_slice(line).ok()) {
        if record.is_about_all() {
            return None;
        }
        accounts.extend(record.account());
    }
    Some(accounts)
}

/// What the audit log says of a journal's whole lines, from record `after` on.
pub(super) fn entries(bytes: &[u8], after: u64) -> Vec<super::audit::Entry> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').skip(1).filter(|line| is_whole(line));
    let entries = lines.filter_map(|line| serde_json::from_slice::<Entry>(line).ok());
    entries
        .filter(|entry| entry.seq > after)
        .filter_map(|entry| super::audit::Entry::of(entry.seq, entry.record))
        .collect()
}

/// Applies one entry unless the snapshot has it; returns its number.
fn live_through(entry: Entry, number: usize, last: Option<u64>, ledger: &mut Ledger) -> Result<u64, Fault> {
    let gapless = match last {
        Some(last) => last.checked_add(1) == Some(entry.seq),
        None => (1..=ledger.serial.saturating_add(1)).contains(&entry.seq),
    };
    if !gapless {
        let before = match last {
            Some(last) => format!("record {last} in the line before"),
            None => format!("record {}, the last in the snapshot", ledger.serial),
        };
        return Err(Fault::Damaged(format!(
            "line {number} holds record {}, which does not follow {before}",
            entry.seq
        )));
    }
    if entry.seq > ledger.serial {
        ledger.apply(entry.record);
    }
    Ok(entry.seq)
}

/// Whether a line is what was once written: it ends as lines do, and its checksum agrees.
fn is_whole(line: &[u8]) -> bool {
    line.strip_suffix(b"\n").is_some_and(|line| {
        line.len().checked_sub(SUM_LEN).is_some_and(|end| {
            let (body, sum) = line.split_at(end);
            let expected = crc32fast::hash(body);
            sum.strip_prefix(SUM_KEY)
                .and_then(|sum| sum.strip_suffix(SUM_END))
                .is_some_and(|digits| digits == format!("{expected:08x}").as_bytes())
        })
    })
}

/// A whole line that does not decode was written by a program that knows more than this one.
fn decode(line: &[u8], number: usize) -> Result<Entry, Fault> {
    serde_json::from_slice(line).map_err(|error| Fault::Newer(format!("line {number} is whole, but {error}")))
}

fn decode_head(line: &[u8]) -> Result<Owner, Fault> {
    let damaged = |_| Fault::Damaged("line 1 is not the head of a journal".to_owned());
    let head: Head = serde_json::from_slice(line).map_err(damaged)?;
    judge_header(&head.api_version, &head.kind, KIND)?;
    serde_json::from_slice::<HeadOwner>(line).map(|head| head.zoid).map_err(damaged)
}
