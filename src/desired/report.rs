//! The problems of all manifests, in the order in which a person would go through the files.
//!
//! In: the problems of each file, and the clashes between files. Out: one sequence of
//! [`Problem`]s by path and place; each document that clashes names the other one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::DesiredState;
use super::declared::{Clash, Declarations, Shared};
use crate::account::SourceRef;
use crate::manifest::{Problem, ProblemCode};

impl DesiredState {
    /// Every problem, of files and between them, ordered by path and place.
    pub fn problems(&self) -> impl Iterator<Item = Cow<'_, Problem>> {
        problems(&self.problems, &self.declarations, self.policies.problems())
    }

    /// How many [`Self::problems`] there are, without going through them.
    pub fn problem_count(&self) -> usize {
        self.problem_count + self.declarations.clashes().len() + self.policies.problem_count()
    }

    /// Whether something of this file cannot be read now.
    pub fn is_broken(&self, path: &str) -> bool {
        self.problems.contains_key(path)
    }

    /// Those of the file `path`, but for what is wrong between documents.
    pub fn problems_of(&self, path: &str) -> &[Problem] {
        self.problems.get(path).map_or(&[], |problems| problems)
    }
}

/// All problems, ordered by path and place. `policies`: those of budgets and approvals, in this order.
pub(super) fn problems<'s>(
    files: &'s BTreeMap<Arc<str>, Box<[Problem]>>,
    declarations: &'s Declarations,
    policies: Vec<Problem>,
) -> impl Iterator<Item = Cow<'s, Problem>> {
    let clashes = declarations.clashes().iter().map(|clash| Cow::Owned(problem(clash, declarations)));
    let of_files = files.values().flatten().map(Cow::Borrowed);
    merged(merged(of_files, clashes), policies.into_iter().map(Cow::Owned))
}

/// Two ordered sequences as one; of two problems at one place that of `first` comes first.
fn merged<'s>(
    first: impl Iterator<Item = Cow<'s, Problem>>,
    second: impl Iterator<Item = Cow<'s, Problem>>,
) -> impl Iterator<Item = Cow<'s, Problem>> {
    let (mut first, mut second) = (first.peekable(), second.peekable());
    std::iter::from_fn(move || {
        let second_first = match (first.peek(), second.peek()) {
            (Some(a), Some(b)) => (&b.path, b.place()) < (&a.path, a.place()),
            (a, _) => a.is_none(),
        };
        if second_first { second.next() } else { first.next() }
    })
}

/// The problem of one of two documents that clash.
fn problem(clash: &Clash, declarations: &Declarations) -> Problem {
    let Clash { path, place, shared, account, line } = clash;
    let source = SourceRef { path: Arc::clone(path), line: *line };
    let declared = declarations.readable(*account, &source);
    let other = declared.and_then(|declared| declarations.rival(*account, declared, *shared));
    let other = other.and_then(|(source, account)| declarations.readable(account, source));
    let (at, name) = match (declared, other) {
        (Some(declared), Some(other)) => (other.clash(*shared), &*declared.document.name),
        // Cannot be: a clash has two sides. The place of this side is still worth telling.
        _ => (clash.clone(), ""),
    };
    let (code, field, expected, found, hint) = match shared {
        Shared::Account => (
            ProblemCode::DuplicateAccount,
            "spec.accountId",
            "one document for each account",
            format!("{account}, also declared at"),
            "nothing is sent for the account until one of them is removed",
        ),
        Shared::Email => (
            ProblemCode::DuplicateEmail,
            "spec.email",
            "an address that no other document has",
            "the same, upper and lower case aside, at".to_owned(),
            "nothing is sent for their accounts until one of them is mended: one may be a copy with the other's ids",
        ),
        Shared::Name => (
            ProblemCode::DuplicateName,
            "metadata.name",
            "a name that no other document has",
            format!("\"{name}\", also the name at"),
            "nothing is sent for their accounts until one of them is renamed",
        ),
    };
    let problem = Problem::of_file(path, code, expected, "", Some(hint));
    let found = format!("{found} {}", Problem::location(&at.path, at.place));
    Problem { line: place.line, column: place.column, field: field.to_owned(), found, ..problem }
}
