//! Reading the folder once, for the commands that do not watch it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::account::AuthMode;
use crate::controller::look;
use crate::desired::DesiredState;
use crate::manifest::{self, Parsed, Rules};
use crate::source::{self, Batch, Root};

/// A batch of every manifest in `folder`. `settle`: a file younger than this is looked at twice,
/// for it may be half-written.
pub(super) fn batch(folder: &Path, auth: AuthMode, settle: Option<Duration>) -> anyhow::Result<Batch<Parsed>> {
    let rules = Rules { auth };
    let batch = source::load(folder, settle, |path, bytes| manifest::parse(path, bytes, rules))
        .with_context(|| format!("the desired state in {}", folder.display()))?;
    if let Root::Unknown(why) = &batch.root {
        bail!("the desired state in {} is unknown: {why}", folder.display());
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

/// The files that have problems.
pub(super) fn broken(desired: &DesiredState) -> BTreeSet<Arc<str>> {
    desired.problems().map(|problem| Arc::clone(&problem.path)).collect()
}

/// Prints each problem on a line of standard error. Returns how many there are.
pub(super) fn print_problems(desired: &DesiredState) -> usize {
    for problem in desired.problems() {
        anstream::eprintln!("error: {problem}");
    }
    desired.problem_count()
}
