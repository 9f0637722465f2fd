//! One number for a plan: the same digest means the same PUTs.
//!
//! In: a reviewed plan. Out: `sha256:` and 64 digits.
//! Invariant: it is a function of what is PUT, or held, and of what was known before: accounts, users, fields, values.
//! Names, addresses, places in files, revisions, moments and the order of files are not in it, nor is the output format.
//!
//! # The bytes
//!
//! One line for each change: account, user (`-` for none), field, what is known (`null`, `true`, `false` or `inDoubt`),
//! what is wanted (`true` or `false`), `allowed` or `held`; one blank between them, one line feed after each; in the
//! order of their bytes. Which of an account's two PUTs goes first follows from the lines, so it is not written. Of
//! `plan -o json` this makes the same digits:
//!
//! ```text
//! jq -r '(.allowed[] | .put = "allowed"), (.held[] | .put = "held")
//!        | [.account, .zuid // "-", .field, .from, .to, .put] | map(tostring) | join(" ")' |
//!   LC_ALL=C sort | sha256sum
//! ```

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::change::{Change, Known};
use crate::guard::Reviewed;

/// A digest as people pass it on: 64 digits, with `sha256:` before them or without.
///
/// # Errors
///
/// If it is anything else.
pub fn parse_digest(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    let is_digest = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest {
        Ok(format!("sha256:{digits}"))
    } else {
        Err("expected sha256: and 64 digits, as plan prints it".into())
    }
}

/// The digest of a plan.
pub fn digest(reviewed: &Reviewed) -> String {
    let Reviewed { allowed, held, verdict: _, grant_verdict: _ } = reviewed;
    let lines = allowed.iter().map(|change| line(change, "allowed")).chain(held.iter().map(|c| line(c, "held")));
    let mut hash = Sha256::new();
    lines.collect::<BTreeSet<_>>().iter().for_each(|line| hash.update(line));
    let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

fn line(change: &Change, put: &str) -> String {
    // A new field does not compile until it is decided whether it changes the PUT.
    let Change {
        account,
        name: _,
        zuid,
        field,
        from,
        to,
        source: _,
        revision: _,
        approval: _,
        not_before: _,
        validity: _,
        wanted_since: _,
        gives_back: _,
        drift: _,
        begun: _,
        refused: _,
    } = change;
    let zuid = zuid.map_or_else(|| "-".to_owned(), |zuid| zuid.to_string());
    let from = match from {
        Known::Absent => "null",
        Known::Applied(true) => "true",
        Known::Applied(false) => "false",
        Known::InDoubt => "inDoubt",
    };
    format!("{account} {zuid} {field} {from} {to} {put}\n")
}
