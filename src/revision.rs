//! Words about where manifests come from: the revision of the folder they were read in.
//!
//! In: what [`crate::source`] finds out about the folder. Out: [`Revision`], which every change, log line and record names.
//! Invariant: what strangers wrote (a branch, an author, a subject) is one short printable line.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::printable;

/// The longest name of a branch or a worktree that is kept, in characters: those of people are shorter.
const NAME_MAX: usize = 100;

/// The longest author that is kept, in characters: a name and an address (RFC 5321 allows 254 for the latter).
const AUTHOR_MAX: usize = 320;

/// The longest subject that is kept, in characters: git's own advice is 50, and forges cut at 72.
const SUBJECT_MAX: usize = 120;

/// The state of a folder that a manifest was read from. Displays as its `id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// `main@sha1:<40 digits>` in a Git work tree; `unknown` where nothing tells.
    #[serde(rename = "revision")]
    pub id: Arc<str>,
    /// Who wrote the commit: `Name <address>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Box<str>>,
    /// The first line of the commit's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<str>>,
}

impl Revision {
    /// A commit, by its hash as `sha1:<digits>`, on a branch unless the head is detached. Nobody's work as yet.
    pub fn commit(branch: Option<&str>, hash: &str) -> Self {
        let branch = branch.map(|branch| format!("{}@", line(branch, NAME_MAX))).unwrap_or_default();
        Self { id: format!("{branch}{hash}").into(), ..Self::default() }
    }

    /// The same with who wrote it and why.
    #[must_use]
    pub fn written_by(self, name: &str, address: &str, subject: &str) -> Self {
        let author = line(&format!("{name} <{address}>"), AUTHOR_MAX);
        Self { author: Some(author.into()), subject: Some(line(subject, SUBJECT_MAX).into()), ..self }
    }

    /// The same with bytes that no commit holds: nobody has signed for them.
    #[must_use]
    pub fn dirty(&self) -> Self {
        Self { id: format!("{}-dirty", self.id).into(), ..Self::default() }
    }

    /// What git-sync published under this name, where its repository cannot be read.
    pub fn published(name: &str) -> Self {
        Self { id: format!("git-sync@{}", line(name, NAME_MAX)).into(), ..Self::default() }
    }
}

/// Nothing is known.
impl Default for Revision {
    fn default() -> Self {
        Self { id: "unknown".into(), author: None, subject: None }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.id)
    }
}

fn line(text: &str, most: usize) -> String {
    printable::escape(&printable::cut(text.trim(), most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_wrote_is_one_short_printable_line() {
        let revision =
            Revision::commit(Some("ma\u{1b}in\u{202e}"), "sha1:01").written_by("A\nB", "a@\u{7}", &"x".repeat(500));
        assert_eq!(&*revision.id, "ma\\u{1b}in\\u{202e}@sha1:01");
        assert_eq!(revision.author.as_deref(), Some("A\\nB <a@\\u{7}>"));
        assert_eq!(revision.subject.map(|subject| subject.chars().count()), Some(SUBJECT_MAX + 1));
    }

    #[test]
    fn bytes_that_no_commit_holds_are_nobodys() {
        let head = Revision::commit(None, "sha1:01").written_by("A", "a@b", "why");
        assert_eq!(head.dirty(), Revision { id: "sha1:01-dirty".into(), author: None, subject: None });
    }
}
