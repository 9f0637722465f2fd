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
use crate::ledger::{DeclaredBudget, Ledger};
use crate::manifest::{self, Parsed, PolicyDir, Rules};
use crate::source::{self, Batch, Git, Look, Lookup, ReadProblem, Root};

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

/// Names in the policy folder that were probably meant to be read, in words.
pub(super) fn near_misses(folder: &Folder, dir: &PolicyDir) -> Vec<String> {
    let (root, dir) = (&folder.desired_state, format!("{dir}/"));
    let ignored = source::ignored(root).unwrap_or_default();
    let found = source::near_misses(root, &ignored).into_iter().filter(|path| path.starts_with(&*dir));
    found.map(|path| format!("{path} is not read: its name ends in neither .yaml nor .yml")).collect()
}

/// What an earlier look knew, for a command that looks once: files that are broken or out of sight keep their budgets, and
/// what a sparse checkout leaves out is not gone.
pub(super) fn recall(desired: &mut DesiredState, ledger: &Ledger, folder: &Folder) {
    let lookup = Lookup::of(&folder.desired_state, &folder.git());
    let mut hidden = BTreeMap::new();
    for DeclaredBudget { source, .. } in &ledger.budgets {
        match lookup.out_of_sight(&source.path) {
            None | Some(ReadProblem::BeingWritten) => {}
            Some(problem) => drop(hidden.insert(Arc::clone(&source.path), problem)),
        }
    }
    for path in undeclared(desired, ledger).filter(|path| lookup.is_left_out(path)) {
        hidden.insert(path, ReadProblem::LeftOut);
    }
    for (path, problem) in hidden {
        desired.update(&path, look(&path, Look::Problem(problem)));
    }
    desired.recall(&ledger.budgets);
}

/// The files in which accounts were declared that no manifest declares now.
fn undeclared(desired: &DesiredState, ledger: &Ledger) -> impl Iterator<Item = Arc<str>> {
    let orphans = ledger.accounts.iter().filter(|(account, _)| desired.get(**account).is_none());
    let paths: BTreeSet<_> = orphans.filter_map(|(_, row)| row.source().map(Arc::clone)).collect();
    paths.into_iter()
}

/// Those of `known` that no manifest declares any more, in words.
pub(super) fn gone(desired: &DesiredState, known: &[DeclaredBudget]) -> Vec<String> {
    let left = desired.declared_budgets();
    let is_left = |known: &DeclaredBudget| left.iter().any(|budget| budget.source.path == known.source.path);
    let gone = known.iter().filter(|budget| !is_left(budget));
    gone.map(|DeclaredBudget { source, spec }| match left.iter().find(|budget| budget.spec == *spec) {
        Some(moved) => format!("the DisruptionBudget of {source} is in {} now, and says the same", moved.source),
        None => format!("the DisruptionBudget of {source} is not there any more, and counts no longer"),
    })
    .collect()
}

/// The files that an earlier process read.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// Those that declare budgets.
    budgets: BTreeSet<Arc<str>>,
    /// Those that declared accounts.
    accounts: BTreeSet<Arc<str>>,
}

impl Remembered {
    /// What `ledger` remembers.
    pub(super) fn of(ledger: &Ledger) -> Self {
        Self {
            budgets: ledger.budgets.iter().map(|budget| Arc::clone(&budget.source.path)).collect(),
            accounts: ledger.accounts.values().filter_map(|row| row.source().map(Arc::clone)).collect(),
        }
    }
}

/// The files that declare budgets, and others that a sparse checkout leaves out, from batch to batch.
pub(super) struct PolicyFiles {
    root: PathBuf,
    git: Git,
    /// What was said of each because it is out of sight.
    files: BTreeMap<Arc<str>, Option<ReadProblem>>,
    /// What is to be looked for once all of the folder is read.
    known: Option<Remembered>,
}

impl PolicyFiles {
    /// Of the folder, where `known` were read by an earlier process.
    pub(super) const fn new(root: PathBuf, git: Git, known: Remembered) -> Self {
        Self { root, git, files: BTreeMap::new(), known: Some(known) }
    }

    /// Turns looks at files that are gone only from sight into problems, and adds such looks where the batch is silent.
    pub(super) fn look_after(&mut self, batch: &mut Batch<Parsed>) {
        if batch.root != Root::Ready {
            return;
        }
        let lookup = Lookup::of(&self.root, &self.git);
        for (path, found) in &mut batch.files {
            match found {
                Look::Read(parsed) if parsed.speaks_of_budget() => drop(self.files.insert(Arc::clone(path), None)),
                Look::Read(parsed) if parsed.claims.is_empty() && !parsed.empty => drop(self.files.remove(path)),
                Look::Gone if self.files.contains_key(path) => {
                    *found = self.now(path, lookup.out_of_sight(path));
                }
                Look::Gone if lookup.is_left_out(path) => *found = self.now(path, Some(ReadProblem::LeftOut)),
                _ => {}
            }
        }
        let known = if batch.full { self.known.take() } else { None };
        let mut silent: Vec<_> = self.files.iter().filter(|(_, said)| said.is_some()).map(|(path, _)| path).collect();
        let known = known.unwrap_or_default();
        silent.extend(&known.budgets);
        let is_read = |path: &Arc<str>| batch.files.binary_search_by(|(read, _)| read.cmp(path)).is_ok();
        let left_out = known.accounts.iter().filter(|path| !is_read(path) && lookup.is_left_out(path));
        silent.extend(left_out);
        let silent: BTreeSet<_> = silent.into_iter().filter(|path| !is_read(path)).cloned().collect();
        for path in silent {
            let (hidden, said) = (lookup.out_of_sight(&path), self.files.get(&path).cloned().flatten());
            if hidden != said {
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
