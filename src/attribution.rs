//! Who decided what a document says: the way from files to documents with their revisions.
//!
//! In: looks at files, and the last versions of a file. Out: what the desired state takes in; the [`Revision`] at which a
//! document came to say what it says; how far back a file's history is worth asking for.
//! Invariant: a document that says the same as before keeps the revision of whoever made it say that. Absent by design:
//! Git itself, and the folder (see [`crate::source`]).

use std::sync::Arc;

use crate::account::{AccountId, Field};
use crate::change::Known;
use crate::desired;
use crate::ledger::{Ledger, Row};
use crate::manifest::{Document, Parsed, Problem, ProblemCode};
use crate::revision::Revision;
use crate::source::{Look, ReadProblem, Version};

/// How many revisions of a file that declares several accounts are looked at to tell who changed which: a file that
/// changes more often between two looks is changed by programs.
const VERSIONS_MAX: usize = 32;

/// Turns a look at one file into what the desired state takes in.
pub fn look(path: &Arc<str>, look: Look<Parsed>) -> desired::Look {
    match look {
        Look::Read(parsed) => desired::Look::Parsed(parsed),
        Look::Gone => desired::Look::Gone,
        Look::Problem(problem) => desired::Look::Unreadable(unreadable(path, &problem)),
    }
}

/// The revision at which a document came to say what it says: the oldest of its file's last `versions` since when it
/// has said the same.
pub fn revision(document: &Document, versions: &[Version<Parsed>]) -> Arc<Revision> {
    let same = |old: &Document| (old.spec.account_id, old.spec_hash) == (document.spec.account_id, document.spec_hash);
    let says_it = |version: &&Version<Parsed>| match &version.content {
        Some(content) => content.documents.iter().any(same),
        // What was before is not known.
        None => true,
    };
    let found = versions.iter().take_while(says_it).last();
    found.map(|version| Arc::clone(&version.revision)).unwrap_or_default()
}

fn unreadable(path: &Arc<str>, problem: &ReadProblem) -> Problem {
    let (expected, found, hint) = problem.parts();
    Problem::of_file(path, ProblemCode::Unreadable, &expected, &found, Some(hint))
}

/// What was acknowledged when the process began: who decided it is known.
#[derive(Debug, Default)]
pub struct Baseline(Vec<(AccountId, [Known; 2])>);

impl Baseline {
    /// What `ledger` knows to be applied.
    pub fn of(ledger: &Ledger) -> Self {
        let known = |(account, row): (&AccountId, &Row)| (*account, Field::ALL.map(|field| row.known(field)));
        Self(ledger.accounts.iter().map(known).collect())
    }

    /// How many revisions of a file are worth looking at: none where nothing is wanted that is not acknowledged.
    pub fn depth(&self, parsed: &Parsed) -> usize {
        match parsed.documents.as_slice() {
            documents if documents.iter().all(|document| self.is_all_of(document)) => 0,
            [_] => 1,
            _ => VERSIONS_MAX,
        }
    }

    fn is_all_of(&self, document: &Document) -> bool {
        let found = self.0.binary_search_by_key(&document.spec.account_id, |(account, _)| *account);
        let known = found.map_or([Known::Absent; 2], |at| self.0[at].1);
        let mut fields = Field::ALL.into_iter().zip(known);
        fields.all(|(field, known)| document.spec.wanted(field).is_none_or(|wanted| known == Known::Applied(wanted)))
    }
}
