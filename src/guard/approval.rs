//! The `DisruptionApproval` that lets a held plan through, as a manifest for a pull request.
//!
//! In: the changes that are held, a reason, two moments. Out: YAML that `validate` accepts as it is.
//! Invariants: it covers exactly the given changes, whoever wrote what they are called; the same input gives the same
//! bytes; no document is larger than a reader takes.

use std::fmt::Write as _;

use crate::account::printable;
use crate::change::Change;
use crate::timestamp::Timestamp;

/// How many accounts one document names at most: with the longest names and paths they take some 60 KiB, and a document
/// has at most 64.
const ACCOUNTS_MAX: usize = 80;

/// How much of a source is repeated in a comment, in characters.
const SOURCE_MAX: usize = 120;

/// The manifest that approves `held` from `now` until `expires`; nothing if nothing is held.
pub fn manifest(held: &[Change], reason: &str, now: Timestamp, expires: Timestamp) -> String {
    let mut held: Vec<_> = held.iter().collect();
    held.sort_by_key(|change| (&change.name, change.account, change.field));
    let accounts: Vec<_> = held.chunk_by(|a, b| a.account == b.account).collect();
    let documents: Vec<_> = accounts.chunks(ACCOUNTS_MAX).collect();
    let mut text = String::new();
    for (index, accounts) in documents.iter().enumerate() {
        let part = if documents.len() == 1 { String::new() } else { format!("-{}", index + 1) };
        let name = format!("approve-{}{part}", stamp(now));
        text += if index == 0 { "" } else { "---\n" };
        // Writing to a String cannot fail.
        let _ = write_document(&mut text, accounts, &name, (reason, expires));
    }
    text
}

/// `20261122-0214`.
fn stamp(now: Timestamp) -> String {
    let digits: String = now.to_string().chars().filter(char::is_ascii_digit).take("yyyymmddhhmm".len()).collect();
    let (day, minute) = digits.split_at("yyyymmdd".len());
    format!("{day}-{minute}")
}

fn write_document(
    text: &mut String,
    accounts: &[&[&Change]],
    name: &str,
    (reason, expires): (&str, Timestamp),
) -> std::fmt::Result {
    let changes: usize = accounts.iter().map(|changes| changes.len()).sum();
    writeln!(text, "# Lets {changes} held disruptions of {} accounts through, and no others.", accounts.len())?;
    writeln!(text, "# Commit it to the desired state and have it reviewed; it counts from then on until it expires.")?;
    writeln!(text, "apiVersion: {}\nkind: DisruptionApproval", crate::manifest::API_VERSION)?;
    writeln!(text, "metadata:\n  name: {name}\nspec:\n  reason: {}", quoted(reason))?;
    writeln!(text, "  expires: \"{expires}\"\n  accounts:")?;
    for changes in accounts {
        for change in *changes {
            let source = printable::cut(&change.source.to_string(), SOURCE_MAX);
            writeln!(text, "    # {source}: {} {} -> {}", change.field, change.from, change.to)?;
        }
        let Some(Change { name, account, .. }) = changes.first() else { continue };
        writeln!(text, "    - name: {}\n      accountId: \"{account}\"\n      fields:", quoted(name))?;
        for change in *changes {
            writeln!(text, "        - {}", change.field)?;
        }
    }
    Ok(())
}

/// A text in double quotes. Names and reasons hold nothing but these two that quotes do not take as it is.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
