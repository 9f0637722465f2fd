//! Who decided what a document says: the way from files to documents with their revisions.
//!
//! In: looks at files, and what was decided at which revision. Out: what the desired state takes in; the statements of a
//! file, and those of them whose revision is worth asking for.
//! Invariants: a statement is that one field of one account is wanted so, and from when on, or until when. Whatever else
//! stands beside it, and in whichever file, is another statement: who renames a file, adds a comment, wants another field or
//! touches the other date has not decided this one. Who moves a date has decided all that it wants from then on, also where
//! the old one wanted the same; so has who turns a field off and on again beneath it.
//! Absent by design: Git itself, and the folder (see [`crate::source`]).

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::account::{AccountId, Field, Statement};
use crate::change::Known;
use crate::desired::{self, Revisions};
use crate::ledger::{Ledger, Row};
use crate::manifest::{Document, Parsed, Problem, ProblemCode};
use crate::source::{Decided, Look, ReadProblem};
use crate::timestamp::Timestamp;
use crate::validity::Bound;

/// Turns a look at one file into what the desired state takes in.
pub fn look(path: &Arc<str>, look: Look<Parsed>) -> desired::Look {
    match look {
        Look::Read(parsed) => desired::Look::Parsed(parsed),
        Look::Gone => desired::Look::Gone,
        Look::Problem(problem) => desired::Look::Unreadable(unreadable(path, &problem)),
    }
}

/// The fingerprint of a document's statement about `field` in view of one of its dates, if it makes one.
fn statement(document: &Document, field: Field, bound: Bound) -> Option<u64> {
    let Statement { value, bound, date } = document.spec.statement(field, bound)?;
    let mut bytes = document.spec.account_id.get().to_le_bytes().to_vec();
    bytes.extend([u8::from(value), bound.map_or(u8::MAX, |bound| bound.index() as u8)]);
    bytes.extend(field.as_str().bytes());
    bytes.extend(date.map_or(u64::MAX, Timestamp::as_millis).to_le_bytes());
    Some(xxh3_64(&bytes))
}

/// The fingerprints of a document's statements about these fields.
fn statements(document: &Document, fields: impl Iterator<Item = Field>) -> impl Iterator<Item = u64> {
    fields.flat_map(move |field| Bound::ALL.into_iter().filter_map(move |bound| statement(document, field, bound)))
}

/// The statements of a file, by their fingerprints.
pub fn said(parsed: &Parsed) -> Vec<u64> {
    parsed.documents.iter().flat_map(|document| statements(document, Field::ALL.into_iter())).collect()
}

/// The revisions at which what a document says came to be said, where that is known.
pub fn revisions(document: &Document, decided: Option<&Decided>) -> Revisions {
    let known = |field, bound| decided?.get(&statement(document, field, bound)?).map(Arc::clone);
    Field::ALL.map(|field| Bound::ALL.map(|bound| known(field, bound).unwrap_or_default()))
}

fn unreadable(path: &Arc<str>, problem: &ReadProblem) -> Problem {
    let (expected, found, hint) = problem.parts();
    let of = |path| Problem::of_file(path, ProblemCode::Unreadable, &expected, &found, Some(hint));
    let Some((file, line)) = problem.place() else { return of(path) };
    let found = format!("{path}, {found}");
    Problem {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        ..Problem::of_file(&file.into(), ProblemCode::Unreadable, &expected, &found, Some(hint))
    }
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

    /// The statements of a file that are worth asking about: what is wanted and not acknowledged, or is to be otherwise by
    /// a date.
    pub fn asked(&self, parsed: &Parsed) -> Vec<u64> {
        parsed.documents.iter().flat_map(|document| self.news(document)).collect()
    }

    fn news(&self, document: &Document) -> impl Iterator<Item = u64> {
        let found = self.0.binary_search_by_key(&document.spec.account_id, |(account, _)| *account);
        let known = found.map_or([Known::Absent; 2], |at| self.0[at].1);
        let spec = &document.spec;
        let is_news = move |field: &Field| {
            let written = spec.written(*field);
            written.is_some_and(|to| to && spec.period.is_some() || known[field.index()] != Known::Applied(to))
        };
        statements(document, Field::ALL.into_iter().filter(is_news))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AuthMode, SourceRef};
    use crate::ledger::{Owner, Record};
    use crate::manifest::{Rules, parse};
    use crate::revision::Revision;

    fn declaring(accounts: &[(u64, &str)]) -> Parsed {
        let document = |(n, wanted): &(u64, &str)| {
            format!(
                "---\napiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata: {{name: a{n}}}\n\
                 spec: {{accountId: '{n}', {wanted}}}\n"
            )
        };
        let text: String = accounts.iter().map(document).collect();
        parse(&"a.yaml".into(), text.as_bytes(), Rules { auth: AuthMode::User, ..Rules::default() })
    }

    #[test]
    fn a_statement_is_the_same_whatever_stands_beside_it() {
        let one = |wanted: &str| said(&declaring(&[(1, wanted)]));
        let off = one("enabled: false");
        assert_eq!(one("enabled: false, email: a@b.c"), off);
        assert_eq!(one("enabled: false, activeSyncEnabled: true")[0], off[0]);
        assert_eq!(said(&declaring(&[(2, "enabled: true"), (1, "enabled: false")]))[2..], off);
        // Dates say something of what is wanted, each of its own, and nothing of what is not.
        let on = one("enabled: true");
        let [from, until] = ["validFrom: 2027-06-01T00:00:00Z", "validUntil: 2027-06-02T00:00:00Z"];
        let dated = |dates: &str| one(&format!("enabled: true, {dates}"));
        assert_eq!(dated(from), [dated(&format!("{from}, {until}"))[0], on[1]]);
        assert_eq!(dated(until), [on[0], dated(&format!("{from}, {until}"))[1]]);
        assert!(dated(from)[0] != on[0] && dated(until)[1] != on[1]);
        assert_ne!(dated("validUntil: 2027-06-01T00:00:00Z")[1], dated(from)[0]);
        assert_eq!(one(&format!("enabled: false, {until}")), off);
        let others = [on, one("activeSyncEnabled: false"), said(&declaring(&[(2, "enabled: false")]))];
        assert!(others.iter().flatten().all(|other| *other != off[0]));
        let by = Arc::new(Revision { id: "here".into(), ..Revision::default() });
        let both = declaring(&[(1, "enabled: false, activeSyncEnabled: true")]);
        let found = revisions(&both.documents[0], Some(&[(off[0], by)].into()));
        assert_eq!(found.map(|of| of.map(|revision| revision.id.to_string())), [["here"; 2], ["unknown"; 2]]);
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
        let asked = |accounts: &[(u64, &str)]| baseline.asked(&declaring(accounts)).len();
        assert_eq!(asked(&[(1, "enabled: true")]), 0);
        assert_eq!(asked(&[(1, "enabled: false")]), 2);
        assert_eq!(asked(&[(1, "enabled: true, validUntil: 2027-06-01T00:00:00Z")]), 2, "it ends by itself");
        assert_eq!(asked(&[(1, "enabled: true, activeSyncEnabled: true"), (2, "enabled: true")]), 4);
        assert_eq!(Baseline::default().asked(&declaring(&[(1, "enabled: true")])).len(), 2);
    }
}
