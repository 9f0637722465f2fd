//! Reading the folder once, for the commands that do not watch it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;

use super::{complain, note, policies};
use crate::account::{AuthMode, printable};
use crate::attribution::{Baseline, look, revisions, said};
use crate::clock::Clock;
use crate::desired::DesiredState;
use crate::manifest::{self, Parsed, Problem, Protection, Rules};
use crate::source::{self, Batch, Git, Operation, Root, Watch};

/// A batch of every manifest in `folder`. `settle`: a file younger than this is looked at twice,
/// for it may be half-written.
pub(super) fn batch(
    folder: &Path,
    git: &Git,
    rules: Rules<'_>,
    settle: Option<Duration>,
) -> anyhow::Result<Batch<Parsed>> {
    read(folder, git, settle, |path, bytes| policies::parse(folder, git, path, bytes, rules))
}

/// The same of whatever `parse` makes of a file.
pub(super) fn read<T: Send>(
    folder: &Path,
    git: &Git,
    settle: Option<Duration>,
    parse: impl Fn(&Arc<str>, &[u8]) -> T + Sync,
) -> anyhow::Result<Batch<T>> {
    let waits = settle.map(|debounce| Watch { debounce, git: git.clone(), ..Watch::default() });
    if waits.is_none() {
        git.in_progress(folder).iter().for_each(|operation| note(&half_done(folder, operation)));
    }
    let batch = source::load(folder, git, waits.as_ref(), parse)?;
    if let Root::Unknown(why) = &batch.root {
        bail!("the desired state in {} is unknown: {why}", printable::path(folder));
    }
    Ok(batch)
}

/// Words for a folder that is read although git has begun something in it.
pub(super) fn half_done(folder: &Path, operation: &Operation) -> String {
    let folder = printable::path(folder);
    format!("{folder} is half of {operation}: run and apply wait for its end, and this is what lies there now")
}

/// The desired state of the manifests in `folder`, in which nothing is ever taken away from whom `protection` names.
/// Whose work they are is found out where more is wanted than was `acknowledged`.
pub(super) fn desired(
    folder: &Path,
    git: &Git,
    auth: AuthMode,
    protection: Arc<Protection>,
    acknowledged: Option<&Baseline>,
) -> anyhow::Result<DesiredState> {
    let rules = Rules { auth, protection: &protection };
    let mut batch = batch(folder, git, rules, None)?;
    if let Some(acknowledged) = acknowledged {
        attribute(&mut batch, rules, acknowledged);
    }
    Ok(declared(batch, protection))
}

/// Finds out whose work the files are that want anything which is not `acknowledged`.
pub(super) fn attribute(batch: &mut Batch<Parsed>, rules: Rules<'_>, acknowledged: &Baseline) {
    attribute_by(batch, rules, acknowledged, |parsed| parsed);
}

/// The same where a file was made into more than is `parsed` of it.
pub(super) fn attribute_by<T>(
    batch: &mut Batch<T>,
    rules: Rules<'_>,
    acknowledged: &Baseline,
    parsed: fn(&T) -> &Parsed,
) {
    let said = |path: &Arc<str>, bytes: &[u8]| said(&manifest::parse(path, bytes, rules));
    batch.attribute(&said, &|read| acknowledged.asked(parsed(read)));
}

/// The desired state that a batch declares.
pub(super) fn declared(batch: Batch<Parsed>, protection: Arc<Protection>) -> DesiredState {
    let mut desired = DesiredState::protecting(protection);
    for (path, found) in batch.files {
        let found = look(&path, found);
        let decided = batch.decided.get(&path);
        desired.update_from(&path, found, &|document| revisions(document, decided));
    }
    desired
}

/// Every problem of the manifests in `folder`, with paths as an editor or a pipeline finds them from here.
pub(super) fn problems(desired: &DesiredState, folder: &Path) -> Vec<Problem> {
    let shown = |path: &str| shown_path(folder, path);
    desired.problems().map(|problem| Problem { path: shown(&problem.path), ..problem.into_owned() }).collect()
}

/// A path within `folder` as it is found from where the program was started.
pub(super) fn shown_path(folder: &Path, path: &str) -> Arc<str> {
    let shown = folder.join(path);
    let plain = shown.strip_prefix(".").unwrap_or(&shown).to_string_lossy();
    // A line that begins with `::` would be an order to some build servers, and one with `-` an option in some shells.
    let odd = !plain.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '/' | '_'));
    if odd { format!("./{plain}").into() } else { plain.into() }
}

/// The way from the folder `context` to what is `given`, if that is a part of it.
pub(super) fn part_of(given: &Path, context: &Path) -> Option<String> {
    let (context, is_folder) = (context.canonicalize().ok()?, given.is_dir());
    // A file may be a link: it counts where it lies, not where it leads.
    let folder = if is_folder { given } else { given.parent()? };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let real = folder.canonicalize().ok()?;
    let folder = real.strip_prefix(&context).ok()?;
    let whole = if is_folder { folder.to_owned() } else { folder.join(given.file_name()?) };
    whole.to_str().filter(|whole| !whole.is_empty()).map(str::to_owned)
}

/// Tells of what is worth a second look on standard error.
pub(super) fn note_oddities(desired: &DesiredState, folder: &Path) {
    oddities(desired, folder).iter().for_each(|text| note(text));
}

/// What is worth a second look; paths are those of `folder`.
pub(super) fn oddities(desired: &DesiredState, folder: &Path) -> Vec<String> {
    let clashes = desired.problems().filter(|problem| problem.code.is_clash());
    let links = source::twice(folder, clashes.map(|problem| Arc::clone(&problem.path)));
    let links = links.into_iter().map(|link| {
        let link = printable::escape(&shown_path(folder, &link));
        format!("{link} is a link to what is read elsewhere as well, so that each document behind it stands there twice; remove it")
    });
    links.chain(desired.notes(Clock::start().now())).collect()
}

/// Tells of each problem on a line of standard error.
pub(super) fn complain_of(problems: &[Problem]) {
    problems.iter().for_each(|problem| complain(&problem.to_string()));
}
