//! Who decided what a document says: the way from files to documents with their revisions.
//!
//! In: looks at files, and the last versions of a file. Out: what the desired state takes in; the [`Revision`] at which a
//! document came to say what it says; how far back a file's history is worth asking for.
//! Invariant: a document that says the same as before keeps the revision that made it say that. Absent by design:
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AuthMode, SourceRef};
    use crate::ledger::{Owner, Record};
    use crate::manifest::{Rules, parse};
    use crate::timestamp::Timestamp;

    fn declaring(accounts: &[(u64, bool)]) -> Parsed {
        let document = |(n, enabled): &(u64, bool)| {
            format!(
                "---\napiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata: {{name: a{n}}}\n\
                 spec: {{accountId: '{n}', enabled: {enabled}}}\n"
            )
        };
        let text: String = accounts.iter().map(document).collect();
        parse(&"a.yaml".into(), text.as_bytes(), Rules { auth: AuthMode::User, ..Rules::default() })
    }

    #[test]
    fn a_document_keeps_the_revision_at_which_it_came_to_say_what_it_says() {
        let version = |id: &str, content: Option<Parsed>| Version {
            revision: Arc::new(Revision { id: id.into(), ..Revision::default() }),
            content,
        };
        let now = declaring(&[(1, true), (2, false)]);
        let versions = [
            version("newest", None),
            version("middle", Some(declaring(&[(1, true), (2, true)]))),
            version("oldest", Some(declaring(&[(1, false), (2, true)]))),
        ];
        let at = |document: &Document| revision(document, &versions).id.to_string();
        assert_eq!(now.documents.iter().map(at).collect::<Vec<_>>(), ["middle", "newest"]);
    }

    #[test]
    fn history_is_asked_for_only_where_something_is_wanted_that_is_not_acknowledged() {
        let (account, field, at) = (AccountId::new(1).unwrap(), Field::Enabled, Timestamp::from_millis(0));
        let (name, zuid, to, spec_hash) = ("a1".into(), None, true, 0);
        let mut ledger = Ledger::new(Owner::User);
        ledger.apply(Record::Intent { at, account, name, zuid, field, to, spec_hash, lands_by: None, cause: None });
        let source = SourceRef { path: "a.yaml".into(), line: 1 };
        ledger.apply(Record::Applied { at, account, field, value: to, source, evidence: None });
        let baseline = Baseline::of(&ledger);
        let depth = |accounts: &[(u64, bool)]| baseline.depth(&declaring(accounts));
        assert_eq!(depth(&[(1, true)]), 0);
        assert_eq!(depth(&[(1, false)]), 1);
        assert_eq!(depth(&[(1, true), (2, true)]), VERSIONS_MAX);
        assert_eq!(Baseline::default().depth(&declaring(&[(1, true)])), 1);
    }
}
