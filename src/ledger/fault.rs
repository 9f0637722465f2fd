//! Why a ledger's bytes were not accepted, before anybody knows which file they came from.
//!
//! In: verdicts of [`super::snapshot`] and [`super::journal`]. Out: [`Fault`], which
//! [`super::file`] turns into an error that names the file and the way out.
//! Invariant: a fault is never taken for an absent ledger.

use super::Owner;

/// Which format this program reads and writes, in the snapshot and at the head of the journal.
pub(super) const API_VERSION: &str = "zoho-mail-reconciler/v2";

/// Why bytes are not a ledger this program may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not what was once written; the text says what is wrong and where.
    Damaged(String),
    /// Written by a newer version of this program; the text says what is not known here.
    Newer(String),
    /// Written by an earlier version, in a form that is not read here; the text says in which.
    Older(String),
    /// Somebody else's.
    Foreign(Owner),
}

/// What an `apiVersion` and `kind` other than the expected ones mean.
pub(super) fn judge_header(api_version: &str, kind: &str, expected_kind: &str) -> Result<(), Fault> {
    if api_version == API_VERSION && kind == expected_kind {
        return Ok(());
    }
    let (group, ours) = API_VERSION.split_once("/v").unwrap_or_default();
    let theirs = api_version.strip_prefix(group).and_then(|rest| rest.strip_prefix('/'));
    if let Some(version) = theirs.filter(|_| api_version != API_VERSION) {
        let what = format!("apiVersion {}, where this program knows {API_VERSION}", quoted(api_version));
        let number = |text: &str| text.parse::<u32>().ok();
        let is_older = version.strip_prefix('v').and_then(number).zip(number(ours)).is_some_and(|(a, b)| a < b);
        return Err(if is_older { Fault::Older(what) } else { Fault::Newer(what) });
    }
    Err(Fault::Damaged(format!(
        "it is no {expected_kind} of {API_VERSION}: apiVersion is {}, kind is {}",
        quoted(api_version),
        quoted(kind)
    )))
}

/// How much of a foreign text an error repeats, in characters: enough to recognise it.
const QUOTE_MAX: usize = 60;

/// Text from a file, made fit for a terminal and a log line.
pub(super) fn quoted(text: &str) -> String {
    let mut cut: String = text.chars().take(QUOTE_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("\"{}\"", cut.escape_debug())
}
