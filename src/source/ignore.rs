//! Which files of the folder are none of its manifests: `.reconcilerignore` at its top, written like a `.gitignore`.
//!
//! In: the file's bytes, or looks at it. Out: [`Ignored`], which says it of a path; or why that is not known.
//! Invariants: the file is believed as late as any manifest, for half of it would take files for manifests that are none;
//! while it is not at rest, or cannot be used, nothing is said of any path. A file in a folder that is ignored is ignored,
//! as Git has it. Deliberately absent: such files in other folders, whose names begin with a dot like any other's.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ::ignore::gitignore::{Gitignore, GitignoreBuilder, Glob};
use ::ignore::{Error, Match};
use tokio::time::Instant;

use super::beneath::Beneath;
use super::list::{Kind, Target};
use super::look::{Eyes, Sight};
use super::problem::ReadProblem;
use super::settle::{Glimpse, Moment, Print, Rule};
use crate::account::printable;

/// Its name.
pub const IGNORE_FILE: &str = ".reconcilerignore";

/// The most that is read of it, in bytes: thousands of patterns, which are held against every path.
const MAX_BYTES: usize = 64 * 1024;

/// What is ignored. By default nothing is.
#[derive(Clone, Debug, Default)]
pub struct Ignored {
    patterns: Option<Arc<Patterns>>,
    /// The way from the folder of the file to that of the paths; empty, or with `/` at its end.
    within: Arc<str>,
}

/// A line in which braces stand for themselves, as they do to Git: the library takes them for alternatives.
fn without_braces(line: &str) -> Cow<'_, str> {
    if !line.contains(['{', '}']) {
        return line.into();
    }
    let (mut plain, mut is_in_class, mut characters) = (String::new(), false, line.chars());
    while let Some(c) = characters.next() {
        match c {
            '[' => is_in_class = true,
            ']' => is_in_class = false,
            '{' | '}' if !is_in_class => plain.push('\\'),
            _ => {}
        }
        plain.push(c);
        // What is escaped already.
        plain.extend((c == '\\').then(|| characters.next()).flatten());
    }
    plain.into()
}

/// The patterns, and the text that they stand in.
#[derive(Debug)]
struct Patterns {
    all: Gitignore,
    text: Box<str>,
}

impl Ignored {
    /// What the file's bytes say.
    ///
    /// # Errors
    ///
    /// With the first line that is no pattern, or if it is too large or no text.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReadProblem> {
        let broken = |line: usize, why: &str| ReadProblem::Pattern { line, why: printable::escape(why) };
        if bytes.len() > MAX_BYTES {
            return Err(broken(1, "more than 64 KiB"));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let good = &bytes[..error.valid_up_to()];
            broken(good.iter().filter(|byte| **byte == b'\n').count() + 1, "bytes that are no UTF-8")
        })?;
        let mut builder = GitignoreBuilder::new("");
        // Git takes one that is not closed for one that matches nothing; here it is a mistake that takes effect.
        builder.allow_unclosed_class(false);
        for (number, line) in (1..).zip(text.lines()) {
            builder.add_line(None, &without_braces(line)).map_err(|error| broken(number, &reason(error)))?;
        }
        let patterns = builder.build().map_err(|error| broken(1, &reason(error)))?;
        let patterns = (!patterns.is_empty()).then(|| Arc::new(Patterns { all: patterns, text: text.into() }));
        Ok(Self { patterns, within: "".into() })
    }

    /// The same for paths that begin in the subfolder `folder`.
    pub fn within(self, folder: &str) -> Self {
        Self { within: if folder.is_empty() { "".into() } else { format!("{folder}/").into() }, ..self }
    }

    /// Whether `path` is ignored, or a folder that it is in.
    pub fn has(&self, path: &str, is_folder: bool) -> bool {
        self.patterns.as_ref().is_some_and(|patterns| self.pattern(patterns, path, is_folder).is_some())
    }

    /// The line that says so, if `path` is ignored.
    pub fn line(&self, path: &str, is_folder: bool) -> Option<usize> {
        let patterns = self.patterns.as_ref()?;
        let pattern = self.pattern(patterns, path, is_folder)?.original();
        // The last one of several alike decides.
        let line = (1..).zip(patterns.text.lines()).filter(|(_, line)| line.trim_end() == pattern.trim_end()).last();
        Some(line.map_or(1, |(number, _)| number))
    }

    fn pattern<'p>(&self, Patterns { all, .. }: &'p Patterns, path: &str, is_folder: bool) -> Option<&'p Glob> {
        let whole =
            if self.within.is_empty() { Cow::Borrowed(path) } else { Cow::Owned(format!("{}{path}", self.within)) };
        let matched = |path: &str, is_folder| match all.matched(path, is_folder) {
            Match::Ignore(pattern) => Some(pattern),
            Match::None | Match::Whitelist(_) => None,
        };
        let mut folders = whole.match_indices('/').map(|(at, _)| &whole[..at]);
        folders.find_map(|folder| matched(folder, true)).or_else(|| matched(&whole, is_folder))
    }
}

/// The words of the matcher, without the pattern: it may be anything, and its line is named.
fn reason(error: Error) -> String {
    match error {
        Error::Glob { err, .. } => err,
        other => other.to_string(),
    }
}

/// What can be said of all paths.
#[derive(Debug)]
pub(super) enum Verdict {
    /// What is ignored is known, and is what it was, or is not.
    Known {
        /// Whether it is something else than before.
        changed: bool,
    },
    /// The file is not at rest; look again after this time.
    Later(Duration),
    /// It cannot be used: what is ignored is not known.
    Broken(ReadProblem),
}

/// The file, from look to look.
#[derive(Debug)]
pub(super) struct IgnoreFile {
    ignored: Result<Ignored, ReadProblem>,
    known: Option<Print>,
    doubt: Option<Doubt>,
    target: Target,
}

/// What was seen and is not believed yet.
#[derive(Debug)]
struct Doubt {
    /// The fingerprint of the bytes; `None`: it is missing, or a link to nothing.
    seen: Option<u64>,
    /// When something was first not at rest.
    first: Instant,
    /// Since when every look has seen the same.
    since: Instant,
}

impl IgnoreFile {
    /// No look at it yet.
    pub(super) fn new() -> Self {
        let target = Target { path: IGNORE_FILE.into(), kind: Kind::File };
        Self { ignored: Ok(Ignored::default()), known: None, doubt: None, target }
    }

    /// What is ignored, as far as it was last known.
    pub(super) fn ignored(&self) -> Ignored {
        self.ignored.as_ref().cloned().unwrap_or_default()
    }

    /// Looks at it in the folder `beneath`. It is waited for during `patience`, and no longer. `open`: files that are being
    /// written, as far as is known.
    pub(super) fn look(
        &mut self,
        beneath: &Beneath,
        (rule, now): (Option<Rule>, Moment),
        open: &BTreeSet<Arc<str>>,
        patience: Duration,
    ) -> Verdict {
        let parse = |_: &Arc<str>, bytes: &[u8]| Ignored::parse(bytes);
        let eyes = &Eyes { beneath, parse: &parse, rule, now, since: now.mono, trust_stamps: false, open };
        let glimpse = |doubt: &Doubt| Some(Glimpse { hash: doubt.seen?, since: doubt.since });
        let earlier = self.doubt.as_ref().and_then(glimpse);
        let now = eyes.now.mono;
        let changed = match eyes.look(&self.target, self.known.as_ref(), earlier, &mut Vec::new()) {
            Sight::Same => false,
            Sight::Touched(print) => self.believe(Some(print), None),
            Sight::Read(print, ignored) => self.believe(Some(print), Some(ignored)),
            Sight::Bad(problem) => self.believe(None, Some(Err(problem))),
            Sight::Fresh(print, left) => match self.wait(Some(print.hash), now, patience) {
                Some(_) => return Verdict::Later(left),
                None => self.believe(None, Some(Err(ReadProblem::BeingWritten))),
            },
            Sight::Missing if self.known.is_none() && self.ignored.is_ok() => false,
            Sight::Missing => match self.wait(None, now, eyes.pause()) {
                Some(left) => return Verdict::Later(left),
                None => self.believe(None, Some(Ok(Ignored::default()))),
            },
            Sight::Dangling => match eyes.rule.and_then(|_| self.wait(None, now, patience)) {
                Some(left) => return Verdict::Later(left.min(eyes.pause())),
                None => self.believe(None, Some(Err(ReadProblem::Dangling))),
            },
        };
        self.doubt = None;
        match &self.ignored {
            Ok(_) => Verdict::Known { changed },
            Err(problem) => Verdict::Broken(problem.clone()),
        }
    }

    fn believe(&mut self, known: Option<Print>, ignored: Option<Result<Ignored, ReadProblem>>) -> bool {
        self.known = known;
        let changed = ignored.is_some();
        if let Some(ignored) = ignored {
            self.ignored = ignored;
        }
        changed
    }

    /// How long what is seen is still to be waited for; `None` if it has been there, or has changed, for `most`.
    fn wait(&mut self, seen: Option<u64>, now: Instant, most: Duration) -> Option<Duration> {
        let doubt = self.doubt.get_or_insert(Doubt { seen, first: now, since: now });
        if doubt.seen != seen {
            (doubt.seen, doubt.since) = (seen, now);
        }
        let begun = if seen.is_some() { doubt.first } else { doubt.since };
        most.checked_sub(now.saturating_duration_since(begun)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_say_what_they_say_to_git() {
        let ignored =
            Ignored::parse(b"\xef\xbb\xbf# old ones\r\n*.tpl.yaml\r\n!keep.tpl.yaml\r\n/top.yaml\nold/\n").unwrap();
        for (path, is_folder, expected) in [
            ("a.yaml", false, false),
            ("a.tpl.yaml", false, true),
            ("sub/a.tpl.yaml", false, true),
            ("sub/keep.tpl.yaml", false, false),
            ("top.yaml", false, true),
            ("sub/top.yaml", false, false),
            ("old", true, true),
            ("old", false, false),
            ("sub/old/a.yaml", false, true),
            ("old/keep.tpl.yaml", false, true),
        ] {
            assert_eq!(ignored.has(path, is_folder), expected, "{path}");
        }
        let lines = ["sub/old/a.yaml", "top.yaml", "a.tpl.yaml", "a.yaml"].map(|path| ignored.line(path, false));
        assert_eq!(lines, [Some(5), Some(4), Some(2), None]);
        let below = ignored.within("sub/old");
        assert!(below.has("a.yaml", false));
        assert!(!Ignored::parse(b"").unwrap().has("a.yaml", false));
    }

    #[test]
    fn braces_stand_for_themselves_as_they_do_to_git() {
        let ignored = Ignored::parse(b"{a,b}.yaml\nx\\{y\\}\n[{]\n{open\n").unwrap();
        for (path, expected) in
            [("a.yaml", false), ("{a,b}.yaml", true), ("x{y}", true), ("{", true), ("{open", true), ("open", false)]
        {
            assert_eq!(ignored.has(path, false), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_a_problem_with_its_line() {
        for (bytes, line) in [(&b"a\n[b\n"[..], 2), (b"a\n\n\xff", 3), (&[b'a'; MAX_BYTES + 1], 1)] {
            let Err(ReadProblem::Pattern { line: found, why }) = Ignored::parse(bytes) else { panic!("{bytes:?}") };
            assert_eq!(found, line, "{why}");
        }
    }
}
