//! The look itself: every path that was given becomes problems, accounts and a count of files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Checked, Files, Finding};
use crate::account::{AuthMode, printable};
use crate::attribution::look;
use crate::cli::{load, policies};
use crate::config::Folder;
use crate::desired::{DesiredState, Look};
use crate::manifest::{self, PolicyDir, Problem, ProblemCode, Protection, Rules};
use crate::source::{self, IGNORE_FILE, Ignored, Root, SourceError};

/// All that is read: what it declares, which paths there are, and the texts of files that have problems.
#[derive(Default)]
struct Reading {
    desired: DesiredState,
    /// Each path, and whether it could be read.
    paths: BTreeMap<Arc<str>, bool>,
    /// The same files without links in their folders: what is given twice, spelled differently, counts once.
    places: BTreeSet<PathBuf>,
    texts: BTreeMap<Arc<str>, Arc<str>>,
    near_misses: Vec<Arc<str>>,
    notes: Vec<String>,
}

/// Whether there is nothing at all in any file.
fn says_nothing(batch: &source::Batch<Read>) -> bool {
    batch.files.iter().all(|(_, found)| matches!(found, source::Look::Read((parsed, _)) if parsed.says_nothing()))
}

/// What is read as it comes, and how it is called: standard input, or what a shell passes on (`<(…)`).
fn stream(given: &Path) -> Option<(Arc<str>, Box<dyn std::io::Read>)> {
    if given.as_os_str() == STDIN {
        return Some((STDIN_SHOWN.into(), Box::new(std::io::stdin())));
    }
    let is_passed = STREAMS.iter().any(|folder| given.starts_with(folder)) && !given.is_dir();
    let file = Some(given).filter(|_| is_passed).and_then(|given| std::fs::File::open(given).ok())?;
    Some((printable::path(given).into(), Box::new(file)))
}

/// What a file declares, and its text if something is wrong with it.
type Read = (manifest::Parsed, Option<Arc<str>>);

/// What is read instead of a file.
const STDIN: &str = "-";

/// Where there are streams, and never manifests.
const STREAMS: [&str; 3] = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];

/// How standard input is called in what is printed.
const STDIN_SHOWN: &str = "stdin";

/// Reads folders and files. What is given twice counts once. `context` is the folder of the desired state: what it ignores
/// is ignored as well where only a part of it is given.
pub(super) fn at(given: &[PathBuf], context: &Folder, auth: AuthMode, protection: Arc<Protection>) -> Checked {
    let mut reading = Reading { desired: DesiredState::protecting(Arc::clone(&protection)), ..Reading::default() };
    let rules = Rules { auth, protection: &protection };
    for given in given {
        match stream(given) {
            Some((shown, bytes)) => reading.read_stream(shown, bytes, rules),
            None => reading.read(given, context, rules),
        }
    }
    let Reading { desired, paths, places: _, mut texts, mut near_misses, mut notes } = reading;
    let finding = |problem: Problem| {
        // A file that clashes with another one is sound by itself: its text was not kept.
        if problem.code.is_clash() && !texts.contains_key(&problem.path) {
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
    notes.extend(load::oddities(&desired, Path::new("")));
    Checked { problems, files, accounts: desired.managed(), notes }
}

impl Reading {
    /// Reads one folder, or one file. Paths are shown as given, so that an editor or a pipeline finds them.
    fn read(&mut self, given: &Path, whole: &Folder, rules: Rules<'_>) {
        let (context, git) = (&*whole.desired_state, whole.git());
        let is_folder = given.is_dir();
        // Of what lies around the folder, the folder itself is read as it is for the daemon.
        let inner = beneath(context, given).filter(|way| !way.is_empty());
        if let Some(inner) = &inner {
            self.read(&given.join(inner), whole, rules);
        }
        let is_inner = |path: &str| {
            let rest = inner.as_deref().and_then(|inner| path.strip_prefix(inner));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let folder = if is_folder { given } else { given.parent().unwrap_or(given) };
        let shown = |path: &str| load::shown_path(folder, path);
        let part = load::part_of(given, context);
        let protection = rules.protection.clone().of_files_in(&base(&shown(FILE), part.as_deref(), is_folder));
        // Of a part of a folder that is not known, its own name has to say that policies count there.
        let is_known = part.is_some() || beneath(given, context).is_some_and(|way| way.is_empty());
        let is_there = !is_known && protection.policy_dir().is_some_and(|dir| lies_in(folder, dir));
        let protection = if is_there { protection.with_policy_dir(None) } else { protection };
        let rules = Rules { protection: &protection, ..rules };
        let root = if part.is_some() { context } else { folder };
        let within = part.as_deref().map_or("", |part| if is_folder { part } else { folder_of(part) });
        let parse = |path: &Arc<str>, bytes: &[u8]| {
            let within = if within.is_empty() { path.to_string() } else { format!("{within}/{path}") };
            let parsed = manifest::parse(&shown(path), bytes, rules);
            with_text(policies::in_place(parsed, rules, (root, &git, &within)), bytes)
        };
        let operation = git.in_progress(given);
        self.notes.extend(operation.map(|operation| load::half_done(given, &operation)));
        let ignored = match &part {
            // Whatever is wrong with it holds all of the folder, hence its part.
            Some(_) => source::ignored(context),
            None if is_folder => source::ignored(given),
            None => Ok(Ignored::default()),
        };
        let batch = match ignored {
            Err(error) => Err(error),
            // Given by name, and yet none of the manifests.
            Ok(ignored) if part.as_ref().is_some_and(|part| ignored.has(part, is_folder)) => {
                let (given, context) = (printable::path(given), printable::path(context));
                return self.notes.push(format!("{given} is not read: {context}/{IGNORE_FILE} says so"));
            }
            Ok(ignored) if is_folder => {
                let ignored = ignored.within(part.as_deref().unwrap_or_default());
                self.note_ignored(given, &ignored, &protection, &is_inner);
                if part.is_some() {
                    source::load_part(given, &ignored, parse)
                } else {
                    source::load(given, &git, None, parse)
                }
            }
            Ok(_) => source::load_file(given, parse),
        };
        if !is_folder && !source::is_manifest_name(&given.to_string_lossy()) && batch.as_ref().is_ok_and(says_nothing) {
            let hint = "name a manifest, or the folder of them";
            return self.refuse(given, "a file of manifests, in .yaml or .yml", "one without any", Some(hint));
        }
        // All that there is may lie in the folder, which was read.
        if inner.is_none() || !matches!(batch, Err(SourceError::Empty { .. })) {
            self.take_all(batch, given, folder, &is_inner);
        }
    }

    /// Takes in what a look at `given` found, whose paths begin in `folder`.
    fn take_all(
        &mut self,
        batch: Result<source::Batch<Read>, SourceError>,
        given: &Path,
        folder: &Path,
        is_inner: &dyn Fn(&str) -> bool,
    ) {
        match batch {
            Ok(source::Batch { files, root: Root::Ready, .. }) => {
                let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
                for (path, found) in files.into_iter().filter(|(path, _)| !is_inner(path)) {
                    if self.places.insert(real.join(&*path)) {
                        self.take(load::shown_path(folder, &path), found);
                    }
                }
            }
            Ok(source::Batch { root: Root::Unknown(why), .. }) => {
                self.refuse(given, "a folder that can be read", &why, None);
            }
            Err(error) => {
                let (expected, found, hint) = error.parts();
                let place = if let SourceError::Ignore { root, .. } = &error { &root.join(IGNORE_FILE) } else { given };
                self.refuse(place, &expected, &found, Some(hint));
            }
        }
    }

    /// Says of what is ignored in the folder `given` what is worth a look; that nothing in the policy folder can count is a
    /// problem.
    fn note_ignored(
        &mut self,
        given: &Path,
        ignored: &Ignored,
        protection: &Protection,
        is_inner: &dyn Fn(&str) -> bool,
    ) {
        let shown = |path: &str| load::shown_path(given, path);
        let others = |path: &String| !is_inner(path);
        self.near_misses
            .extend(source::near_misses(given, ignored).into_iter().filter(others).map(|path| shown(&path)));
        let idle = source::idle_ignore_files(given, ignored).into_iter().filter(others);
        self.notes.extend(idle.map(|path| {
            format!("{} ignores nothing: only a file of this name at the top of the folder does", shown(&path))
        }));
        let Some((dir, line)) =
            protection.policy_dir().and_then(|dir| Some((dir, ignored.line(&dir.to_string(), true)?)))
        else {
            return;
        };
        let (path, found) = (shown(IGNORE_FILE), format!("a line that ignores {dir}"));
        let hint = Some("remove it: budgets and approvals that are not read do not count");
        let expected = "no pattern for the folder that --policy-dir names";
        let problem = Problem::of_file(&path, ProblemCode::InvalidValue, expected, &found, hint);
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        self.desired.update(&path, Look::Unreadable(Problem { line, ..problem }));
    }

    /// Reads a stream to its end, as a file of its own. It is there once.
    fn read_stream(&mut self, path: Arc<str>, bytes: impl std::io::Read, rules: Rules<'_>) {
        if self.paths.contains_key(&path) {
            return;
        }
        let mut read = Vec::new();
        // One byte more than a file may have: then it is a problem, as it would be of a file.
        match bytes.take(source::MAX_FILE + 1).read_to_end(&mut read) {
            Ok(_) => {
                // What is piped lies in no folder yet.
                let protection = rules.protection.clone().with_policy_dir(None);
                let parsed = manifest::parse(&path, &read, Rules { protection: &protection, ..rules });
                if parsed.says_nothing() {
                    let hint = "whatever should have written to this pipe did not";
                    return self.refuse(Path::new(&*path), "at least one document", "none", Some(hint));
                }
                self.take(Arc::clone(&path), source::Look::Read(with_text(parsed, &read)));
            }
            Err(error) => self.refuse(Path::new(&*path), "text to its end", &error.to_string(), None),
        }
    }

    fn take(&mut self, path: Arc<str>, found: source::Look<Read>) {
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

/// What a file declares, and its text if something is wrong with it.
fn with_text(parsed: manifest::Parsed, bytes: &[u8]) -> Read {
    let text = (!parsed.problems.is_empty()).then(|| String::from_utf8_lossy(bytes).into());
    (parsed, text)
}

/// The way from the folder `outer` to the folder `inner`, if that is in it; empty if they are the same.
fn beneath(inner: &Path, outer: &Path) -> Option<String> {
    let (inner, outer) = (inner.canonicalize().ok()?, outer.canonicalize().ok()?);
    let way = inner.strip_prefix(outer).ok().filter(|_| inner.is_dir())?;
    Some(way.to_str()?.to_owned())
}

/// Whether the folder is one that is called `dir`, or lies in one.
fn lies_in(folder: &Path, dir: &PolicyDir) -> bool {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = |path: &Path| path.iter().map(std::ffi::OsStr::to_owned).collect::<Vec<_>>();
    let dir = names(Path::new(&dir.to_string()));
    folder.canonicalize().is_ok_and(|real| names(&real).windows(dir.len()).any(|names| names == dir))
}

/// Stands for any file.
const FILE: &str = "x";

/// How the folder of the desired state is called where a [`FILE`] beside or in what is given is called `shown`; what is given
/// is this `part` of it.
fn base(shown: &str, part: Option<&str>, is_folder: bool) -> String {
    let shown = shown.strip_suffix(FILE).unwrap_or(shown);
    let folder = part.map(|part| if is_folder { part } else { folder_of(part) });
    let within = folder.filter(|folder| !folder.is_empty()).map(|folder| format!("{folder}/"));
    shown.strip_suffix(&*within.unwrap_or_default()).unwrap_or(shown).to_owned()
}

/// The way to the folder that a file is in.
fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The text of a file that was read before.
fn text_again(path: &str) -> Option<Arc<str>> {
    let batch = source::load_file(Path::new(path), |_, bytes| String::from_utf8_lossy(bytes).into()).ok()?;
    batch.files.into_iter().find_map(|(_, found)| if let source::Look::Read(text) = found { Some(text) } else { None })
}
