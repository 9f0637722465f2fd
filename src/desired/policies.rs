//! Budgets and approvals of all files: which budget counts, and who may lose what whatever it says.
//!
//! In: the policies of one file at a time, and what its broken documents claim. Out: the budget in force, and for each
//! account's name its [`Clause`]s.
//! Invariants: what cannot be read loosens nothing. A budget that is broken keeps its last good state, also that which an
//! earlier process read; if it has none, or if there are two, nothing may be taken away without an approval. An approval
//! that is broken, gone or not the only one of its name approves nothing; nor does one that was over before the clock was
//! set. A look costs what its file holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::account::{AccountId, Field, SourceRef};
use crate::change::Direction;
use crate::guard::{Allowance, InForce};
use crate::ledger::{DeclaredBudget, Ends, Lapsed};
use crate::manifest::{Approval, Approved, Budget, Claim, Place, Policy, PolicySpec, Problem, ProblemCode, Protection};
use crate::timestamp::Timestamp;

/// What one approval lets one account lose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// `metadata.name` of the approval.
    pub approval: Arc<str>,
    /// From this moment on it approves nothing.
    pub expires: Timestamp,
    /// It lets mailboxes come back, and takes nothing away.
    grants: bool,
    /// It was over before the clock was set, and stays over.
    lapsed: bool,
    approved: Approved,
}

impl Clause {
    /// Whether `field` of `account`, whose manifest bears the name, may go in this direction at `now`.
    pub fn covers(&self, account: AccountId, field: Field, direction: Direction, now: Timestamp) -> bool {
        let is_it = self.grants == (direction == Direction::GivesBack);
        is_it && !self.lapsed && now < self.expires && self.approved.covers(account, field)
    }
}

/// A document, as far as its kind does not matter.
#[derive(Clone, Debug)]
struct Declared<T> {
    spec: T,
    name_at: Place,
}

/// All policies.
#[derive(Debug, Default)]
pub(super) struct Policies {
    budgets: BTreeMap<SourceRef, Declared<Budget>>,
    /// Those of them that are broken now, and kept.
    last_good: BTreeSet<SourceRef>,
    /// Files with documents that are budgets, or may be, and never could be read; and how many.
    unread: BTreeMap<Arc<str>, usize>,
    /// Those of them that may limit what comes back.
    of_grants: BTreeSet<Arc<str>>,
    /// By name; several documents of one name approve nothing.
    approvals: BTreeMap<Arc<str>, BTreeMap<SourceRef, Declared<Approval>>>,
    /// The names of the approvals of each file that has any.
    files: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Those that are over whatever the clock says.
    lapsed: Ends,
    /// By the name of the account, in the order of the approvals' names.
    clauses: BTreeMap<Arc<str>, Vec<Clause>>,
}

impl Policies {
    /// Takes the newest look at the file `path`. Returns the names of the accounts of which other things are approved now.
    pub(super) fn update(&mut self, path: &Arc<str>, new: Vec<Policy>, claims: &[Claim]) -> BTreeSet<Arc<str>> {
        let (mut budgets, mut approvals) = (Vec::new(), Vec::new());
        for Policy { name, spec, source, name_at } in new {
            match spec {
                PolicySpec::Budget(spec) => budgets.push((source, Declared { spec, name_at })),
                PolicySpec::Approval(spec) => approvals.push((name, source, Declared { spec, name_at })),
            }
        }
        self.update_budgets(path, budgets, claims);
        let had = self.files.remove(path).unwrap_or_default();
        if had.is_empty() && approvals.is_empty() {
            return BTreeSet::new();
        }
        let names: BTreeSet<_> = approvals.iter().map(|(name, ..)| Arc::clone(name)).collect();
        let concerned: BTreeSet<_> = had.union(&names).cloned().collect();
        let before: Vec<_> = concerned.iter().flat_map(|name| self.withdraw(name)).collect();
        for name in &had {
            if let Some(documents) = self.approvals.get_mut(name) {
                documents.retain(|source, _| source.path != *path);
            }
        }
        for (name, source, declared) in approvals {
            self.approvals.entry(name).or_default().insert(source, declared);
        }
        if !names.is_empty() {
            self.files.insert(Arc::clone(path), names);
        }
        let after: Vec<_> = concerned.iter().flat_map(|name| self.grant(name)).collect();
        let differ = |these: &[(Arc<str>, Clause)], those: &[(Arc<str>, Clause)]| {
            these.iter().filter(|clause| !those.contains(clause)).map(|(name, _)| Arc::clone(name)).collect::<Vec<_>>()
        };
        differ(&before, &after).into_iter().chain(differ(&after, &before)).collect()
    }

    fn update_budgets(&mut self, path: &Arc<str>, new: Vec<(SourceRef, Declared<Budget>)>, claims: &[Claim]) {
        let mut old: Vec<_> = self.budgets.keys().filter(|source| source.path == *path).cloned().collect();
        self.last_good.retain(|source| source.path != *path);
        let mut unread = claims.iter().filter(|claim| claim.budget).count();
        let before = self.unread.get(path).copied().unwrap_or_default() + old.len();
        // What is broken now was the budget before, or may have been, whatever it calls itself: the last good state stands
        // in for it.
        if new.is_empty() && !claims.is_empty() {
            unread = unread.max(before).saturating_sub(old.len());
            self.last_good.extend(old.drain(..));
        }
        for source in &old {
            self.budgets.remove(source);
        }
        self.budgets.extend(new);
        if unread == 0 {
            self.unread.remove(path);
            self.of_grants.remove(path);
        } else {
            self.unread.insert(Arc::clone(path), unread);
            self.of_grants.extend(claims.iter().any(|claim| claim.budget && claim.grants).then(|| Arc::clone(path)));
        }
    }

    /// Whether the file `path` declares a budget, or did before it was broken.
    pub(super) fn has_budget(&self, path: &Arc<str>) -> bool {
        self.budgets.keys().any(|source| source.path == *path)
    }

    /// Every budget that manifests declare, or declared before they were broken, in the order of their places.
    pub(super) fn declared_budgets(&self) -> Vec<DeclaredBudget> {
        let budgets = self.budgets.iter();
        budgets.map(|(source, declared)| DeclaredBudget { source: source.clone(), spec: declared.spec }).collect()
    }

    /// What an earlier process read stands in for files that were `broken` since before this one first read them.
    pub(super) fn recall(&mut self, known: &[DeclaredBudget], broken: impl Fn(&Arc<str>) -> bool) {
        for of_file in known.chunk_by(|a, b| a.source.path == b.source.path) {
            let Some(DeclaredBudget { source: SourceRef { path, .. }, .. }) = of_file.first() else { continue };
            if !broken(path) || self.has_budget(path) {
                continue;
            }
            let unread = self.unread.remove(path).and_then(|unread| unread.checked_sub(of_file.len()));
            if let Some(unread @ 1..) = unread {
                self.unread.insert(Arc::clone(path), unread);
            }
            for DeclaredBudget { source, spec } in of_file {
                let name_at = Place { line: source.line, ..Place::START };
                self.budgets.insert(source.clone(), Declared { spec: *spec, name_at });
                self.last_good.insert(source.clone());
            }
        }
    }

    /// Takes away all clauses of the approvals called `name`, with the names of their accounts.
    fn withdraw(&mut self, name: &Arc<str>) -> Vec<(Arc<str>, Clause)> {
        let mut taken = Vec::new();
        let documents = self.approvals.get(name).into_iter().flat_map(BTreeMap::values);
        for approved in documents.flat_map(|document| &document.spec.accounts) {
            let Some(clauses) = self.clauses.get_mut(&approved.name) else { continue };
            taken.extend(
                clauses.extract_if(.., |clause| clause.approval == *name).map(|c| (c.approved.name.clone(), c)),
            );
            if clauses.is_empty() {
                self.clauses.remove(&approved.name);
            }
        }
        taken
    }

    /// Makes the approval called `name` count, if it is the only one. Returns its clauses.
    fn grant(&mut self, name: &Arc<str>) -> Vec<(Arc<str>, Clause)> {
        let Some(documents) = self.approvals.get(name) else { return Vec::new() };
        let mut all = documents.values();
        let (Some(Declared { spec: Approval { reason: _, expires, grants, accounts }, .. }), None) =
            (all.next(), all.next())
        else {
            if documents.is_empty() {
                self.approvals.remove(name);
            }
            return Vec::new();
        };
        let lapsed = self.lapsed.contains(&(Arc::clone(name), *expires));
        let clause = |approved: &Approved| Clause {
            approval: Arc::clone(name),
            expires: *expires,
            grants: *grants,
            lapsed,
            approved: approved.clone(),
        };
        let granted: Vec<_> = accounts.iter().map(|approved| (Arc::clone(&approved.name), clause(approved))).collect();
        for (account, clause) in &granted {
            let clauses = self.clauses.entry(Arc::clone(account)).or_default();
            clauses.insert(clauses.partition_point(|other| other.approval < clause.approval), clause.clone());
        }
        granted
    }

    /// These approvals are over whatever the clock says, until their documents give another end.
    pub(super) fn lapse(&mut self, Lapsed { approvals, by }: &Lapsed) {
        let ends = |(name, documents): (&Arc<str>, &BTreeMap<_, Declared<Approval>>)| {
            documents.values().map(|of| (Arc::clone(name), of.spec.expires)).collect::<Vec<_>>()
        };
        let over = self.approvals.iter().flat_map(ends).filter(|(_, expires)| by.is_some_and(|by| *expires <= by));
        self.lapsed.extend(over.chain(approvals.iter().cloned()));
        for clause in self.clauses.values_mut().flatten() {
            clause.lapsed = self.lapsed.contains(&(Arc::clone(&clause.approval), clause.expires));
        }
    }

    /// Those that are over though the clock does not say so at `now`.
    pub(super) fn lapsed(&self, now: Timestamp) -> Ends {
        self.lapsed.iter().filter(|(_, expires)| *expires > now).cloned().collect()
    }

    /// Whether the approval called `name`, which ends at `expires`, approves nothing at `now`.
    pub(super) fn is_over(&self, name: &Arc<str>, expires: Timestamp, now: Timestamp) -> bool {
        expires <= now || self.lapsed.contains(&(Arc::clone(name), expires))
    }

    /// What approvals say of the account whose manifest bears `name`.
    pub(super) fn clauses(&self, name: &str) -> &[Clause] {
        self.clauses.get(name).map_or(&[], Vec::as_slice)
    }

    /// The approvals that count, also those that have expired, ordered by name.
    pub(super) fn approvals(&self) -> impl Iterator<Item = (&Arc<str>, &SourceRef, &Approval)> {
        self.approvals.iter().filter(|(_, documents)| documents.len() == 1).filter_map(|(name, documents)| {
            let (source, declared) = documents.first_key_value()?;
            Some((name, source, &declared.spec))
        })
    }

    /// The budget that counts where the options say `options`, and `protection` where a budget may be.
    pub(super) fn budget(&self, options: Allowance, protection: &Protection) -> InForce {
        let mut read = self.budgets.iter();
        // One that is where none counts is no rival of one that is where it belongs.
        let only_one = self.budgets.len() == 1;
        let counts = |(path, _): &(&Arc<str>, &usize)| !only_one || protection.policies_are_elsewhere(path).is_none();
        let unread: usize = self.unread.iter().filter(counts).map(|(_, unread)| unread).sum();
        let first_unread = self.unread.iter().find(counts);
        let mut said = Budget::default();
        let (allowance, manifest, unclear) = match (read.next(), read.next(), first_unread) {
            (None, _, None) => (options, None, None),
            (Some((source, declared)), None, None) => {
                said = declared.spec;
                (declared.spec.over(options), Some(source.clone()), None)
            }
            (first, second, broken) => {
                let readable = first.into_iter().chain(second).map(|(source, _)| source.to_string());
                let broken =
                    broken.map(|(path, _)| format!("{}, which is broken", crate::account::printable::escape(path)));
                let places: Vec<_> = readable.chain(broken).collect();
                let number = unread + self.budgets.len();
                let why = match number {
                    1 => format!("the only DisruptionBudget is in {}", places.join(" and ")),
                    _ => format!("there are {number}, in {}", places.join(" and ")),
                };
                // Where no grant budget was asked for, a slip in another file makes none, unless it speaks of one.
                let budgets = self.budgets.values().filter_map(|declared| declared.spec.max_grants);
                let counts_grants = budgets.chain([options.max_grants]).any(|grants| grants.0.is_some())
                    || self.unread.keys().any(|path| self.of_grants.contains(path));
                let nothing = Allowance::nothing(options.window);
                let max_grants = if counts_grants { nothing.max_grants } else { options.max_grants };
                (Allowance { max_grants, ..nothing }, None, Some(why))
            }
        };
        InForce { allowance, manifest, declared: said, unclear }
    }

    /// How many [`Self::problems`] there are.
    pub(super) fn problem_count(&self) -> usize {
        let crowd = |number: usize| if number > 1 { number } else { 0 };
        crowd(self.budgets.len() - self.last_good.len())
            + self.approvals.values().map(|documents| crowd(documents.len())).sum::<usize>()
    }

    /// What is wrong between documents, ordered by path and place.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let readable = self.budgets.iter().filter(|(source, _)| !self.last_good.contains(source));
        let budgets: Vec<_> = readable.map(|(source, declared)| (source, declared.name_at)).collect();
        let mut problems = clash(&budgets, ProblemCode::DuplicateBudget, |other| Problem {
            expected: "one DisruptionBudget in the folder".into(),
            found: format!("another one at {other}"),
            hint: Some("without an approval nobody may lose anything until one of them is removed".into()),
            ..blank()
        });
        for (name, documents) in &self.approvals {
            let namesakes: Vec<_> = documents.iter().map(|(source, declared)| (source, declared.name_at)).collect();
            problems.extend(clash(&namesakes, ProblemCode::DuplicateName, |other| Problem {
                expected: "a name that no other approval has".into(),
                found: format!("\"{name}\", also the name at {other}"),
                hint: Some("neither approves anything until one of them is renamed".into()),
                ..blank()
            }));
        }
        problems.sort_by(|a, b| (&a.path, a.place()).cmp(&(&b.path, b.place())));
        problems
    }
}

/// The problem of a file that declared a budget, and from which everything was removed: what goes on purpose is the file.
pub(super) fn emptied(path: &Arc<str>) -> Problem {
    let hint = "write it again, or delete the file: until then its budget counts as it was last read";
    Problem::of_file(path, ProblemCode::Unreadable, "a DisruptionBudget, as before", "an empty file", Some(hint))
}

fn blank() -> Problem {
    Problem::of_file(&"".into(), ProblemCode::DuplicateName, "", "", None)
}

/// The problem of each of `documents`, of which only one may be; `tell` is told the place of another one.
fn clash(documents: &[(&SourceRef, Place)], code: ProblemCode, tell: impl Fn(String) -> Problem) -> Vec<Problem> {
    let problem = |(index, (source, place)): (usize, &(&SourceRef, Place))| {
        let (other, other_at) = documents.get(usize::from(index == 0))?;
        let (path, field) = (Arc::clone(&source.path), "metadata.name".to_owned());
        let Place { line, column } = *place;
        Some(Problem { path, line, column, field, code, ..tell(Problem::location(&other.path, *other_at)) })
    };
    documents.iter().enumerate().filter_map(problem).collect()
}
