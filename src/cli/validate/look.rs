//! The look itself: every path that was given becomes problems, accounts and a count of files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Checked, Files, Finding};
use crate::account::{AuthMode, printable};
use crate::attribution::look;
use crate::cli::load;
use crate::clock::Clock;
use crate::desired::{DesiredState, Look};
use crate::manifest::{self, Problem, ProblemCode, Protection, Rules};
use crate::source::{self, Git, Root};

/// All that is read: what it declares, which paths there are, and the texts of files that have problems.
#[derive(Default)]
struct Reading {
    desired: DesiredState,
    /// Each path, and whether it could be read.
    paths: BTreeMap<Arc<str>, bool>,
    texts: BTreeMap<Arc<str>, Arc<str>>,
    near_misses: Vec<Arc<str>>,
    /// What git has begun in folders that were given, and not finished.
    half_done: Vec<String>,
}

/// Reads folders and files. What is given twice counts once.
pub(super) fn at(given: &[PathBuf], auth: AuthMode, protection: Arc<Protection>) -> Checked {
    let mut reading = Reading { desired: DesiredState::protecting(Arc::clone(&protection)), ..Reading::default() };
    let rules = Rules { auth, protection: &protection };
    given.iter().for_each(|given| reading.read(given, rules));
    let Reading { desired, paths, mut texts, mut near_misses, half_done } = reading;
    let finding = |problem: Problem| {
        // A file that clashes with another one is sound by itself: its text was not kept.
        let is_clash = matches!(
            problem.code,
            ProblemCode::DuplicateAccount | ProblemCode::DuplicateBudget | ProblemCode::DuplicateName
        );
        if is_clash && !texts.contains_key(&problem.path) {
            texts.extend(text_again(&problem.path).map(|text| (Arc::clone(&problem.path), text)));
        }
        let text = texts.get(&problem.path).cloned();
        Finding { end_column: text.as_ref().and_then(|text| manifest::end_column(&problem, text)), problem, text }
    };
    let problems = desired.problems().map(std::borrow::Cow::into_owned).map(finding).collect();
    near_misses.sort();
    near_misses.dedup();
    let read = paths.values().filter(|read| **read).count();
    let files = Files { found: paths.len(), read, skipped: paths.len() - read, near_misses };
    let mut notes = half_done;
    notes.extend(desired.notes(Clock::start().now()));
    Checked { problems, files, accounts: desired.managed(), notes }
}

impl Reading {
    /// Reads one folder, or one file. Paths are shown as given, so that an editor or a pipeline finds them.
    fn read(&mut self, given: &Path, rules: Rules<'_>) {
        let folder = if given.is_dir() { given } else { given.parent().unwrap_or(given) };
        let shown = |path: &str| load::shown_path(folder, path);
        let batch = source::load(given, &Git::default(), None, |path, bytes| {
            let parsed = manifest::parse(&shown(path), bytes, rules);
            let text = (!parsed.problems.is_empty()).then(|| String::from_utf8_lossy(bytes).into());
            (parsed, text)
        });
        let operation = Git::default().in_progress(given);
        self.half_done.extend(operation.map(|operation| load::half_done(given, &operation)));
        if given.is_dir() {
            self.near_misses.extend(source::near_misses(given).iter().map(|path| shown(path)));
        }
        match batch {
            Ok(source::Batch { files, root: Root::Ready, .. }) => {
                files.into_iter().for_each(|(path, found)| self.take(shown(&path), found));
            }
            Ok(source::Batch { root: Root::Unknown(why), .. }) => {
                self.refuse(given, "a folder that can be read", &why, None);
            }
            Err(error) => {
                let (expected, found, hint) = error.parts();
                self.refuse(given, &expected, &found, Some(hint));
            }
        }
    }

    fn take(&mut self, path: Arc<str>, found: source::Look<(manifest::Parsed, Option<Arc<str>>)>) {
        let found = match found {
            source::Look::Read((parsed, text)) => {
                self.texts.extend(text.map(|text| (Arc::clone(&path), text)));
                source::Look::Read(parsed)
            }
            source::Look::Gone => source::Look::Gone,
            source::Look::Problem(problem) => source::Look::Problem(problem),
        };
        let found = look(&path, found);
        self.paths.insert(Arc::clone(&path), matches!(found, Look::Parsed(_)));
        self.desired.update(&path, found);
    }

    /// Nothing at all can be told of what was given.
    fn refuse(&mut self, given: &Path, expected: &str, found: &str, hint: Option<&str>) {
        let path = load::shown_path(Path::new(""), &printable::path(given));
        let problem = Problem::of_file(&path, ProblemCode::Unreadable, expected, found, hint);
        self.desired.update(&path, Look::Unreadable(problem));
    }
}

/// The text of a file that was read before.
fn text_again(path: &str) -> Option<Arc<str>> {
    let batch =
        source::load(Path::new(path), &Git::default(), None, |_, bytes| String::from_utf8_lossy(bytes).into()).ok()?;
    batch.files.into_iter().find_map(|(_, found)| if let source::Look::Read(text) = found { Some(text) } else { None })
}
