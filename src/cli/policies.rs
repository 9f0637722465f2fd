//! Files that declare policies: what they declare counts until they are really gone, and only where they really are.
//!
//! In: the ledger's budgets, looks at files, the folder. Out: looks in which a file that is only out of sight is a problem
//! and not gone; parsed files without the policies that a link brought into the policy folder.
//! Invariants: a file that declared a budget loses it by being deleted or edited, in a folder that can be read, and by
//! nothing else; what is said once of a file is not said again. Absent by design: which budget counts (see
//! [`crate::desired`]), and approvals that are out of sight, which approve nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::attribution::look;
use crate::config::Folder;
use crate::desired::DesiredState;
use crate::ledger::DeclaredBudget;
use crate::manifest::{self, Parsed, Rules};
use crate::source::{self, Batch, Git, Look, ReadProblem, Root};

/// Reads a file of the folder `root`. Policies that only a link brings into the policy folder are a problem.
pub(super) fn parse(root: &Path, git: &Git, path: &Arc<str>, bytes: &[u8], rules: Rules<'_>) -> Parsed {
    in_place(manifest::parse(path, bytes, rules), rules, (root, git, path))
}

/// The same of a file that was `parsed`, and that is called `path` in the folder `root`.
pub(super) fn in_place(parsed: Parsed, rules: Rules<'_>, (root, git, path): (&Path, &Git, &str)) -> Parsed {
    let is_linked = || source::is_behind_link(root, git, path);
    match rules.protection.policy_dir() {
        Some(dir) if !parsed.policies.is_empty() && is_linked() => parsed.without_policies(dir),
        _ => parsed,
    }
}

/// The budgets `known` of an earlier look, for a command that looks once: files that are broken or out of sight keep them.
pub(super) fn recall(desired: &mut DesiredState, known: &[DeclaredBudget], folder: &Folder) {
    for DeclaredBudget { source, .. } in known {
        match source::out_of_sight(&folder.desired_state, &folder.git(), &source.path) {
            None | Some(ReadProblem::BeingWritten) => {}
            Some(problem) => drop(desired.update(&source.path, look(&source.path, Look::Problem(problem)))),
        }
    }
    desired.recall(known);
}

/// Those of `known` that no manifest declares any more, in words.
pub(super) fn gone(desired: &DesiredState, known: &[DeclaredBudget]) -> Vec<String> {
    let left: BTreeSet<_> = desired.declared_budgets().into_iter().map(|budget| budget.source.path).collect();
    let gone = known.iter().filter(|budget| !left.contains(&budget.source.path));
    gone.map(|DeclaredBudget { source, .. }| {
        format!("the DisruptionBudget of {source} is not there any more, and counts no longer")
    })
    .collect()
}

/// The files that declare budgets, from batch to batch.
pub(super) struct PolicyFiles {
    root: PathBuf,
    git: Git,
    /// What was said of each because it is out of sight.
    files: BTreeMap<Arc<str>, Option<ReadProblem>>,
    /// All of the folder was read once.
    is_read: bool,
}

impl PolicyFiles {
    /// Of the folder, where `known` were read by an earlier process.
    pub(super) fn new(folder: &Folder, known: &BTreeSet<Arc<str>>) -> Self {
        let files = known.iter().map(|path| (Arc::clone(path), None)).collect();
        Self { root: folder.desired_state.clone(), git: folder.git(), files, is_read: false }
    }

    /// Turns looks at files that are gone only from sight into problems, and adds such looks where the batch is silent.
    pub(super) fn look_after(&mut self, batch: &mut Batch<Parsed>) {
        if batch.root != Root::Ready {
            return;
        }
        let mut in_batch = BTreeSet::new();
        for (path, found) in &mut batch.files {
            match found {
                Look::Read(parsed) if parsed.speaks_of_budget() => drop(self.files.insert(Arc::clone(path), None)),
                Look::Read(parsed) if parsed.claims.is_empty() => drop(self.files.remove(path)),
                Look::Gone if self.files.contains_key(path) => {
                    let hidden = source::out_of_sight(&self.root, &self.git, path);
                    *found = self.now(path, hidden);
                }
                _ => {}
            }
            in_batch.extend(self.files.contains_key(path).then(|| Arc::clone(path)));
        }
        let is_first = batch.full && !std::mem::replace(&mut self.is_read, true);
        let silent = |(path, said): &(&Arc<str>, &Option<ReadProblem>)| {
            !in_batch.contains(*path) && (is_first || said.is_some())
        };
        let silent: Vec<_> =
            self.files.iter().filter(silent).map(|(path, said)| (Arc::clone(path), said.clone())).collect();
        for (path, said) in silent {
            let hidden = source::out_of_sight(&self.root, &self.git, &path);
            if hidden != said || hidden.is_none() {
                let now = self.now(&path, hidden);
                batch.files.push((path, now));
            }
        }
    }

    /// What there is to say of a file that was not read.
    fn now(&mut self, path: &Arc<str>, hidden: Option<ReadProblem>) -> Look<Parsed> {
        let Some(problem) = hidden else {
            self.files.remove(path);
            return Look::Gone;
        };
        self.files.insert(Arc::clone(path), Some(problem.clone()));
        Look::Problem(problem)
    }
}
