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

    /// Who decided it and where, for a line about it: `by Dora <dora@example.com> in main@sha1:426531…: why`. Nothing, if
    /// no commit is known.
    pub fn decided(&self) -> Option<String> {
        let author = self.author.as_ref()?;
        let subject = self.subject.as_ref().map_or_else(String::new, |subject| format!(": {subject}"));
        Some(format!("by {author} in {}{subject}", self.short()))
    }

    /// The same as its `id`, with as many digits of the commit as people compare.
    pub fn short(&self) -> String {
        short(&self.id)
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

/// How many digits of a commit are shown where there is little room: as many as `git log --oneline` needs in the largest
/// repositories.
const SHORT: usize = 12;

/// The `id` of a revision, with fewer digits: `main@sha1:42653153fe14`.
pub fn short(id: &str) -> String {
    let Some((before, hash)) = id.rsplit_once(':') else { return id.to_owned() };
    let digits = hash.bytes().take_while(u8::is_ascii_hexdigit).count();
    let (digits, after) = hash.split_at(digits);
    format!("{before}:{}{after}", digits.get(..SHORT).unwrap_or(digits))
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
    fn a_short_revision_has_twelve_digits_and_says_what_else_it_said() {
        let digits = "42653153fe1467e6898865a4261d5d4373244851";
        for (id, expected) in [
            (format!("main@sha1:{digits}"), "main@sha1:42653153fe14"),
            (format!("sha1:{digits}-dirty"), "sha1:42653153fe14-dirty"),
            ("git-sync@0123456789abcdef".into(), "git-sync@0123456789abcdef"),
            ("unknown".into(), "unknown"),
            ("sha1:01".into(), "sha1:01"),
        ] {
            assert_eq!(short(&id), expected);
        }
        let decided = Revision::commit(None, "sha1:01").written_by("A", "a@b", "why").decided();
        assert_eq!(decided.as_deref(), Some("by A <a@b> in sha1:01: why"));
        assert_eq!(Revision::default().decided(), None);
    }

    #[test]
    fn bytes_that_no_commit_holds_are_nobodys() {
        let head = Revision::commit(None, "sha1:01").written_by("A", "a@b", "why");
        assert_eq!(head.dirty(), Revision { id: "sha1:01-dirty".into(), author: None, subject: None });
    }
}
