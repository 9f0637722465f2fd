//! A snapshot read line by line: no more in memory than what is wanted of it.
//!
//! In: a document that is byte for byte what [`super::write`] wrote, which its checksum proves.
//! Out: its ledger, or the part of it that some accounts make up; or the document again, with
//! other rows in place of some, which is how a journal is folded at the cost of a copy.
//! Invariant: whatever is not such a document is `None` or an error, never half a ledger; then
//! [`super::parse`] says what it is.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};

use super::{Document, Out, SUM_KEY, Texts, sum_line};
use crate::account::AccountId;
use crate::ledger::{Ledger, Row};

/// Reads ahead by this much, in bytes.
const BUFFER: usize = 256 * 1024;

/// How the line begins behind which the rows stand.
const ACCOUNTS: &[u8] = b" \"accounts\":{";

/// How the line of a row begins.
const ROW: &[u8] = b"  \"";

/// Reads a document, with the rows of the `wanted` accounts or of all.
pub(in crate::ledger) fn read(source: impl Read, wanted: Option<&BTreeSet<AccountId>>) -> io::Result<Option<Ledger>> {
    let mut rows: Vec<(AccountId, Row)> = Vec::new();
    let mut texts = Texts::default();
    let mut all_parsed = true;
    let frame = scan(source, |account, json| {
        if wanted.is_none_or(|wanted| wanted.contains(&account)) {
            match serde_json::from_slice(json) {
                Ok(mut row) => {
                    texts.share(&mut row);
                    rows.push((account, row));
                }
                Err(_) => all_parsed = false,
            }
        }
        Ok(())
    })?;
    let sound = all_parsed && rows.is_sorted_by(|a, b| a.0 < b.0);
    let frame = frame.filter(|_| sound);
    let document: Option<Document<'_>> = frame.as_deref().and_then(|frame| serde_json::from_slice(frame).ok());
    // Rows in the frame stand on lines on which this program writes none.
    let document = document.filter(|document| document.accounts.0.is_empty());
    Ok(document.and_then(|document| document.into_ledger(rows.into_iter().collect()).ok()))
}

/// Writes the document as it is once `changed` has come over it: all of `changed`, and the rows of
/// all accounts but those `named`, of which `changed` holds what is left. An error of kind `InvalidData` if the document is not what this
/// program wrote; then what was written so far means nothing.
pub(in crate::ledger) fn merge(
    source: impl Read,
    changed: &Ledger,
    named: &BTreeSet<AccountId>,
    to: &mut impl Write,
) -> io::Result<()> {
    let mut out = Out::new(to);
    out.head(changed)?;
    let mut rows = changed.accounts.iter().peekable();
    let frame = scan(source, |account, json| {
        while let Some((before, row)) = rows.next_if(|(before, _)| **before < account) {
            out.row(*before, row)?;
        }
        match rows.next_if(|(same, _)| **same == account) {
            Some((_, row)) => out.row(account, row),
            None if named.contains(&account) => Ok(()),
            None => out.raw_row(account, json),
        }
    })?;
    for (account, row) in rows {
        out.row(*account, row)?;
    }
    if frame.is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the ledger changed while it was copied"));
    }
    out.tail(changed)
}

/// Calls `on_row` with each row's text, and returns the document without them; `None` if it is
/// not as it was written.
fn scan(source: impl Read, mut on_row: impl FnMut(AccountId, &[u8]) -> io::Result<()>) -> io::Result<Option<Vec<u8>>> {
    let mut source = BufReader::with_capacity(BUFFER, source);
    let mut sum = crc32fast::Hasher::new();
    let mut frame = Vec::new();
    let (mut line, mut held) = (Vec::new(), Vec::new());
    let mut in_rows = false;
    loop {
        line.clear();
        if source.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        // A row's end shows on the line after it: the last one closes the accounts as well.
        let is_row = in_rows && line.starts_with(ROW);
        if !held.is_empty() {
            let end: &[u8] = if is_row { b",\n" } else { b"},\n" };
            let Some((account, json)) = split_row(&held, end) else { return Ok(None) };
            on_row(account, json)?;
            held.clear();
            if !is_row {
                frame.extend_from_slice(b"},\n");
            }
        }
        if line.starts_with(SUM_KEY) {
            break;
        }
        sum.update(&line);
        if is_row {
            std::mem::swap(&mut line, &mut held);
        } else {
            in_rows = line.starts_with(ACCOUNTS);
            frame.extend_from_slice(&line);
        }
    }
    let whole = held.is_empty() && line == sum_line(sum.finalize()) && source.fill_buf()?.is_empty();
    frame.extend_from_slice(&line);
    Ok(whole.then_some(frame))
}

fn split_row<'a>(line: &'a [u8], end: &[u8]) -> Option<(AccountId, &'a [u8])> {
    let text = line.strip_prefix(ROW)?.strip_suffix(end)?;
    let quote = text.iter().position(|byte| *byte == b'"')?;
    let (account, json) = text.split_at(quote);
    Some((std::str::from_utf8(account).ok()?.parse().ok()?, json.strip_prefix(b"\":")?))
}
