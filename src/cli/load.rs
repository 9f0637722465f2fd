//! Reading the folder once, for the commands that do not watch it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;

use super::complain;
use crate::account::{AuthMode, printable};
use crate::controller::look;
use crate::desired::DesiredState;
use crate::manifest::{self, Parsed, Problem, Rules};
use crate::source::{self, Batch, Root};

/// A batch of every manifest in `folder`. `settle`: a file younger than this is looked at twice,
/// for it may be half-written.
pub(super) fn batch(folder: &Path, auth: AuthMode, settle: Option<Duration>) -> anyhow::Result<Batch<Parsed>> {
    let rules = Rules { auth };
    read(folder, settle, |path, bytes| manifest::parse(path, bytes, rules))
}

/// The same of whatever `parse` makes of a file.
pub(super) fn read<T: Send>(
    folder: &Path,
    settle: Option<Duration>,
    parse: impl Fn(&Arc<str>, &[u8]) -> T + Sync,
) -> anyhow::Result<Batch<T>> {
    let batch = source::load(folder, settle, parse)?;
    if let Root::Unknown(why) = &batch.root {
        bail!("the desired state in {} is unknown: {why}", printable::path(folder));
    }
    Ok(batch)
}

/// The desired state that a batch declares.
pub(super) fn desired(batch: Batch<Parsed>) -> DesiredState {
    let mut desired = DesiredState::new();
    for (path, found) in batch.files {
        let found = look(&path, found);
        desired.update(&path, found);
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

/// Tells of each problem on a line of standard error.
pub(super) fn complain_of(problems: &[Problem]) {
    problems.iter().for_each(|problem| complain(&problem.to_string()));
}
