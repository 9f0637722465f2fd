//! All manifests together: what is desired of every account, and which manifests contradict each other.
//!
//! In: the newest [`Look`] at one file at a time, in any order. Out: [`DesiredState`], and for
//! each look the accounts that must be planned again.
//! Invariants: any sequence of looks ends in the state that a fresh load of the final files
//! gives, but for what broken files keep; an unreadable file takes nothing away; two documents
//! that declare one account, or bear one name or address, are both held; the cost of a look grows with its
//! file, not with the number of accounts. Absent by design: files (see [`crate::source`]) and
//! what has been applied (see [`crate::ledger`]).
//!
//! What a broken file keeps: a broken document has declared an account before, or may have. The
//! last good state of the accounts it still names, or of all its file's accounts if it names
//! none, stays desired while the process lives. But it only *keeps*: it can neither declare
//! something new nor hold an account that another, readable document declares. Otherwise one broken line
//! in anybody's file could stop any account.

mod declared;
mod notes;
mod policies;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::account::{AccountId, Field, MailAccountSpec, SourceRef};
use crate::change::Direction;
use crate::guard::{Allowance, InForce};
use crate::ledger::{DeclaredBudget, Ends, Lapsed, Row};
use crate::manifest::{Approval, Claim, Document, Foreign, Kind, Parsed, Problem, Protection};
use crate::revision::Revision;
use crate::timestamp::Timestamp;
use crate::validity::{Bound, Validity};
use declared::{Declarations, Declared, Handle};
use policies::Policies;

pub use policies::Clause;

/// The newest look at one file.
#[derive(Clone, Debug)]
pub enum Look {
    /// It was read; its documents may have problems.
    Parsed(Parsed),
    /// It is not there any more, and that is certain.
    Gone,
    /// It is there, but could not be read.
    Unreadable(Problem),
}

/// Whether, and by what right, an account is reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// One document declares it, without a problem.
    Current,
    /// Its document is broken now; it is reconciled by what the document said before.
    LastGood,
    /// Another document declares the same account, or bears the same name or address: nothing is PUT.
    Duplicate {
        /// The other document; the first, if there are several.
        other: &'a SourceRef,
    },
}

/// What is desired of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DesiredAccount<'a> {
    /// `metadata.name`.
    pub name: &'a Arc<str>,
    /// The validated `spec`.
    pub spec: &'a MailAccountSpec,
    /// Where it is declared.
    pub source: &'a SourceRef,
    /// The revisions at which each field came to be wanted as it is.
    pub revisions: &'a Revisions,
    /// Fingerprint of `spec`, the same in every version of this program.
    pub spec_hash: u64,
    /// Whether it is reconciled.
    pub standing: Standing<'a>,
    /// Whether nothing may be taken away from it, by an option or by the annotation of its manifest.
    pub protected: bool,
    /// What approvals say of it, expired ones included, in the order of their names.
    pub clauses: &'a [Clause],
}

/// A revision for each statement ([`MailAccountSpec::statement`]), in the orders of [`Field::ALL`] and [`Bound::ALL`].
pub type Revisions = [[Arc<Revision>; Bound::ALL.len()]; Field::ALL.len()];

impl DesiredAccount<'_> {
    /// The revision at which `field` came to be wanted as it is at `now`. What an end takes away, or gave back by being
    /// postponed, is the work of who gave the manifest this end; all else that of who wrote the value, or its beginning.
    pub fn revision(&self, field: Field, row: Option<&Row>, now: Timestamp) -> &Arc<Revision> {
        let bound = match self.validity(row, now) {
            Some(Validity::NoLongerValid { .. }) => Bound::Until,
            Some(Validity::NotYetValid { .. }) => Bound::From,
            Some(Validity::Valid { .. }) | None if row.is_some_and(|row| row.ended().is_some()) => Bound::Until,
            Some(Validity::Valid { .. }) | None => Bound::From,
        };
        &self.revisions[field.index()][bound.index()]
    }

    /// How `now` lies to the period of its manifest, if it has one. What the ledger's `row` of it says has ended stays ended.
    pub fn validity(&self, row: Option<&Row>, now: Timestamp) -> Option<Validity> {
        self.spec.period.as_ref().map(|period| period.at(row.and_then(Row::ended), now))
    }

    /// What is wanted of `field` at `now`; `None` is not managed.
    pub fn wanted(&self, field: Field, row: Option<&Row>, now: Timestamp) -> Option<bool> {
        self.spec.wanted(field, self.validity(row, now))
    }

    /// The approval by which `field` may go in this direction at `now` whatever the budget says; the first by name.
    pub fn approval(&self, field: Field, direction: Direction, now: Timestamp) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.covers(self.spec.account_id, field, direction, now))
    }
}

/// What is desired of all accounts.
#[derive(Debug, Default)]
pub struct DesiredState {
    declarations: Declarations,
    /// The accounts that each file declares or keeps; no entry for none.
    files: BTreeMap<Arc<str>, Ids>,
    /// The problems of each file that has any.
    problems: BTreeMap<Arc<str>, Box<[Problem]>>,
    problem_count: usize,
    /// The documents of each file that are another program's.
    foreign: BTreeMap<Arc<str>, Box<[Foreign]>>,
    /// What the documents of each file that have problems declare, as far as that is known.
    claims: BTreeMap<Arc<str>, Box<[Claim]>>,
    /// The files with nothing in them.
    empty: BTreeSet<Arc<str>>,
    policies: Policies,
    protection: Arc<Protection>,
}

/// The accounts of one file. Nearly always one, which then costs no allocation.
#[derive(Debug)]
enum Ids {
    One(AccountId),
    Many(Box<[AccountId]>),
}

impl Ids {
    fn as_slice(&self) -> &[AccountId] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }
}

/// What of an account concerns its plan and its conditions. Not the line, nor which the other duplicate is.
#[derive(PartialEq)]
struct Digest {
    name: Arc<str>,
    path: Arc<str>,
    spec_hash: u64,
    standing: u8,
    protected: bool,
}

impl DesiredState {
    /// Nothing declared yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing declared yet; from the accounts of `protection` nothing is ever taken away.
    pub fn protecting(protection: Arc<Protection>) -> Self {
        Self { protection, ..Self::default() }
    }

    /// Takes the newest look at the file `path`.
    ///
    /// Returns every account whose desired state this changed: its spec, name, file, standing, protection, or what is
    /// approved of it. That includes accounts of other files that became or ceased to be duplicates. A
    /// mere change of line, or of which document is named as the other duplicate, returns nothing.
    pub fn update(&mut self, path: &Arc<str>, look: Look) -> BTreeSet<AccountId> {
        self.update_from(path, look, &|_| Revisions::default())
    }

    /// [`Self::update`], where `found` tells at which revisions what a document wants came to be wanted. Where it wants
    /// what it wanted before, it keeps what it had.
    pub fn update_from(
        &mut self,
        path: &Arc<str>,
        look: Look,
        found: &dyn Fn(&Document) -> Revisions,
    ) -> BTreeSet<AccountId> {
        let Parsed { documents, policies, problems, claims, foreign, empty } = match look {
            Look::Parsed(parsed) if parsed.empty && self.policies.has_budget(path) => {
                Parsed::broken(policies::emptied(path))
            }
            Look::Parsed(parsed) => parsed,
            Look::Gone => Parsed::default(),
            // A file of the policy folder may limit everything.
            Look::Unreadable(problem) => Parsed::unreadable(problem, self.protection.is_policy(path)),
        };
        let old_ids = self.files.remove(path);
        let old_ids = old_ids.as_ref().map_or(&[][..], Ids::as_slice);
        let ids = old_ids.iter().copied().chain(documents.iter().map(|document| document.spec.account_id));
        let before: BTreeMap<AccountId, Option<Digest>> = ids.map(|id| (id, self.digest(id))).collect();

        let mut crowds = BTreeMap::new();
        for id in before.keys() {
            self.declarations.handles_in(*id, path).for_each(|handle| self.note_crowd(&mut crowds, handle));
        }
        documents.iter().flat_map(Handle::all_of).for_each(|handle| self.note_crowd(&mut crowds, handle));
        let old: Vec<Declared> = old_ids.iter().filter_map(|id| self.declarations.remove(*id, path)).collect();
        // Only the first of those left can have been, or become, a duplicate by this file's doing.
        let neighbours: Vec<_> = crowds
            .into_iter()
            .filter_map(|(handle, crowd)| Some((self.declarations.first(&handle)?, handle, crowd)))
            .collect();

        let approved = self.policies.update(path, policies, &claims);
        let revisions: Vec<_> = documents.iter().map(|new| revisions(&old, new, found(new))).collect();
        let kept = kept(old, &documents, &claims);
        let current = documents.into_iter().zip(revisions);
        let current = current.map(|(document, revisions)| Declared { document, revisions, last_good: false });
        let ids: Vec<AccountId> = kept.into_iter().chain(current).map(|new| self.declarations.insert(new)).collect();
        self.remember(path, &ids, problems);
        put(&mut self.foreign, path, foreign);
        put(&mut self.claims, path, claims);
        if empty {
            self.empty.insert(Arc::clone(path))
        } else {
            self.empty.remove(path)
        };

        let changed = before.into_iter().filter(|(id, before)| self.digest(*id) != *before).map(|(id, _)| id);
        let crowded = neighbours.iter().filter(|(_, handle, crowd)| self.declarations.crowd(handle) != *crowd);
        let approved = approved.iter().flat_map(|name| self.declarations.bearers(name));
        changed.chain(crowded.map(|(id, ..)| *id)).chain(approved).collect()
    }

    fn note_crowd(&self, crowds: &mut BTreeMap<Handle, declared::Crowd>, handle: Handle) {
        let crowd = self.declarations.crowd(&handle);
        crowds.entry(handle).or_insert(crowd);
    }

    fn remember(&mut self, path: &Arc<str>, ids: &[AccountId], problems: Vec<Problem>) {
        let entry = match ids {
            [] => None,
            [id] => Some(Ids::One(*id)),
            ids => Some(Ids::Many(ids.into())),
        };
        if let Some(entry) = entry {
            self.files.insert(Arc::clone(path), entry);
        }
        self.problem_count += problems.len();
        let old = put(&mut self.problems, path, problems);
        self.problem_count -= old.map_or(0, |problems| problems.len());
    }

    /// What is desired of `account`; `None` if no document declares it: if the ledger knows it, it is orphaned.
    pub fn get(&self, account: AccountId) -> Option<DesiredAccount<'_>> {
        let desired = self.declarations.view(account)?;
        let locked = self.protection.lock(Some(desired.name), Some(account)).is_some();
        let clauses = self.policies.clauses(desired.name);
        Some(DesiredAccount { protected: desired.protected || locked, clauses, ..desired })
    }

    /// The budget that counts where the options say `options`.
    pub fn budget(&self, options: Allowance) -> InForce {
        self.policies.budget(options, &self.protection)
    }

    /// Every budget that manifests declare, or declared before they were broken: what the next process has to know.
    pub fn declared_budgets(&self) -> Vec<DeclaredBudget> {
        self.policies.declared_budgets()
    }

    /// The budgets that an earlier process read: a file that is broken now keeps its own. Every reader of a folder calls
    /// this once all of it is read, with what the ledger remembers ([`crate::ledger::Ledger::budgets`]).
    pub fn recall(&mut self, known: &[DeclaredBudget]) {
        // Where budgets do not count any more, an option says so, and what was read there before does not either.
        let protection = Arc::clone(&self.protection);
        let counts = |path: &str| protection.policies_are_elsewhere(path).is_none();
        let paths = known.iter().map(|known| &known.source.path).filter(|path| self.empty.contains(*path));
        for path in &paths.filter(|path| counts(path)).cloned().collect::<Vec<_>>() {
            self.update(path, Look::Unreadable(policies::emptied(path)));
        }
        self.policies.recall(known, |path| self.problems.contains_key(path) && counts(path));
    }

    /// The approvals that count, also those that have expired, ordered by name.
    pub fn approvals(&self) -> impl Iterator<Item = (&Arc<str>, &SourceRef, &Approval)> {
        self.policies.approvals()
    }

    /// These approvals are over whatever the clock says, until their documents give another end. Every reader of a folder
    /// calls this with what the ledger remembers ([`crate::ledger::Ledger::lapsed_at`]).
    pub fn lapse(&mut self, lapsed: &Lapsed) {
        self.policies.lapse(lapsed);
    }

    /// The approvals that are over though the clock does not say so at `now`.
    pub fn lapsed(&self, now: Timestamp) -> Ends {
        self.policies.lapsed(now)
    }

    /// Whether the approval called `name`, which ends at `expires`, approves nothing at `now`.
    pub fn is_over(&self, name: &Arc<str>, expires: Timestamp, now: Timestamp) -> bool {
        self.policies.is_over(name, expires, now)
    }

    /// The accounts that documents called `name` declare.
    pub fn named(&self, name: &str) -> impl Iterator<Item = AccountId> {
        self.declarations.bearers(name)
    }

    /// Every declared account, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = (AccountId, DesiredAccount<'_>)> {
        self.declarations.ids().filter_map(|id| Some((id, self.get(id)?)))
    }

    /// The ids of the declared accounts from `first` on, or all of them, in their order.
    pub fn ids_from(&self, first: Option<AccountId>) -> impl Iterator<Item = AccountId> {
        self.declarations.ids_from(first)
    }

    /// How many accounts are declared, also by documents that are held or broken now.
    pub fn len(&self) -> usize {
        self.declarations.len()
    }

    /// Whether no account is declared.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many accounts at least one readable document declares: of these the disruption budget's percentage is taken.
    pub const fn managed(&self) -> usize {
        self.declarations.managed()
    }

    fn digest(&self, id: AccountId) -> Option<Digest> {
        let DesiredAccount { name, spec: _, source, revisions: _, spec_hash, standing, protected, clauses: _ } =
            self.get(id)?;
        let standing = match standing {
            Standing::Current => 0,
            Standing::LastGood => 1,
            Standing::Duplicate { other: _ } => 2,
        };
        Some(Digest { name: Arc::clone(name), path: Arc::clone(&source.path), spec_hash, standing, protected })
    }
}

/// What was `found`, but for statements that this file made of the account before.
fn revisions(old: &[Declared], new: &Document, found: Revisions) -> Revisions {
    let same = |old: &&Declared| (old.document.spec.account_id, &old.document.name) == (new.spec.account_id, &new.name);
    let Some(old) = old.iter().find(same) else { return found };
    let revision = |field: Field, bound: Bound| {
        let known = &old.revisions[field.index()][bound.index()];
        let is_same = old.document.spec.statement(field, bound) == new.spec.statement(field, bound);
        let is_known = is_same && **known != Revision::default();
        Arc::clone(if is_known { known } else { &found[field.index()][bound.index()] })
    };
    Field::ALL.map(|field| Bound::ALL.map(|bound| revision(field, bound)))
}

/// What a file has of something; no entry for nothing. Returns what it had.
fn put<T>(files: &mut BTreeMap<Arc<str>, Box<[T]>>, path: &Arc<str>, new: Vec<T>) -> Option<Box<[T]>> {
    if new.is_empty() { files.remove(path) } else { files.insert(Arc::clone(path), new.into()) }
}

/// Those of a file's `old` declarations whose documents are broken now, as its `claims` tell.
fn kept(old: Vec<Declared>, documents: &[Document], claims: &[Claim]) -> Vec<Declared> {
    if claims.is_empty() {
        return Vec::new();
    }
    let claims = || claims.iter().filter(|claim| claim.kind.is_none_or(|kind| kind == Kind::MailAccount));
    let old_names: BTreeSet<&str> = old.iter().map(|old| &*old.document.name).collect();
    let declared: BTreeSet<AccountId> = documents.iter().map(|document| document.spec.account_id).collect();
    let accounts: BTreeSet<AccountId> = claims().filter_map(|claim| claim.account).collect();
    let names: BTreeSet<&str> = claims().filter_map(|claim| claim.name.as_deref()).collect();
    // A broken document that names no account, nor anybody the file declared before, may be any of them.
    let any =
        |claim: &Claim| claim.account.is_none() && !claim.name.as_deref().is_some_and(|name| old_names.contains(name));
    let all = claims().any(any);
    let keeps = |Document { name, spec, .. }: &Document| {
        !declared.contains(&spec.account_id) && (all || accounts.contains(&spec.account_id) || names.contains(&**name))
    };
    // What a broken document protects is protected: the last good state is from before.
    let protects = |claim: &&Claim, Document { name, spec, .. }: &Document| {
        let is_named = claim.account == Some(spec.account_id) || claim.name.as_deref() == Some(&**name);
        claim.protected && (is_named || any(claim))
    };
    let protect: Vec<bool> = old.iter().map(|old| claims().any(|claim| protects(&claim, &old.document))).collect();
    let keep: Vec<bool> = old.iter().map(|old| keeps(&old.document)).collect();
    let kept = old.into_iter().zip(keep.into_iter().zip(protect)).filter(|(_, (keep, _))| *keep);
    kept.map(|(Declared { document, revisions, .. }, (_, protected))| {
        let document = Document { protected: document.protected || protected, ..document };
        Declared { document, revisions, last_good: true }
    })
    .collect()
}
