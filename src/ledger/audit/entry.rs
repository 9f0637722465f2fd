//! What a line of the audit log says.
//!
//! In: a record of the ledger. Out: [`Entry`], if an auditor asks for it: a PUT that the service acknowledged, a pause
//! that an operator lifted, an account that an operator had forgotten.
//! Invariant: an entry is read as it was written, by this version or an older one. Absent by design: hashes (see
//! [`super`]).

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::account::{AccountId, Field, SourceRef};
use crate::change::Known;
use crate::ledger::{Evidence, ImposedPause, Record};
use crate::revision::Revision;
use crate::timestamp::Timestamp;
use crate::validity::Validity;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Number of the ledger's record.
    pub seq: u64,
    /// When the acknowledgement came, or the pause was lifted.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub what: Audited,
}

/// What an auditor asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audited {
    /// The service acknowledged a PUT.
    Applied(AppliedPut),
    /// An operator lifted a pause that the service had imposed.
    PauseLifted(LiftedPause),
    /// An operator had an account forgotten.
    Forgotten(ForgottenAccount),
}

/// One PUT that the service acknowledged. What versions that wrote less did not write down is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedPut {
    /// The account on the service.
    pub account: AccountId,
    /// The manifest's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    /// What was changed.
    pub field: Field,
    /// What was known of it before: null for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub from: Option<Known>,
    /// What it was set to.
    pub to: bool,
    /// The manifest that wanted it.
    pub source: SourceRef,
    /// The revision at which the manifest came to want it, its author and its subject.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Arc<Revision>>,
    /// The `DisruptionApproval` that let it through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Arc<str>>,
    /// What the manifest's dates say, if it is they that wanted it, and no edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity: Option<Validity>,
    /// Since when the service showed another value than had been set, if that was corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Timestamp>,
    /// The service's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<str>>,
}

/// A pause, and who lifted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiftedPause {
    /// As the service had imposed it.
    pub pause_lifted: ImposedPause,
    /// Who, as the system knew them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<str>>,
}

/// An account that no manifest declared, and who had it forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgottenAccount {
    /// The account on the service.
    pub forgotten: AccountId,
    /// Its manifest's name when it was last observed.
    pub name: Arc<str>,
    /// Who, as the system knew them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<str>>,
}

/// A null is a value here.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Known>, D::Error> {
    Known::deserialize(deserializer).map(Some)
}

impl Entry {
    /// What the log says of the ledger's record `seq`; nothing of most.
    pub fn of(seq: u64, record: Record) -> Option<Self> {
        match record {
            Record::Applied { at, account, field, value: to, source, evidence } => {
                let blank = AppliedPut {
                    account,
                    name: None,
                    field,
                    from: None,
                    to,
                    source,
                    revision: None,
                    approval: None,
                    validity: None,
                    drift: None,
                    answer: None,
                };
                let put = match evidence {
                    None => blank,
                    Some(evidence) => blank.with(*evidence),
                };
                Some(Self { seq, at, what: Audited::Applied(put) })
            }
            Record::PauseLifted { at, pause, by } => {
                Some(Self { seq, at, what: Audited::PauseLifted(LiftedPause { pause_lifted: pause, by }) })
            }
            Record::Forgotten { at, account: forgotten, name, by } => {
                Some(Self { seq, at, what: Audited::Forgotten(ForgottenAccount { forgotten, name, by }) })
            }
            _ => None,
        }
    }

    /// The PUT, if it is about one.
    pub const fn put(&self) -> Option<&AppliedPut> {
        match &self.what {
            Audited::Applied(put) => Some(put),
            Audited::PauseLifted(_) | Audited::Forgotten(_) => None,
        }
    }
}

impl AppliedPut {
    fn with(self, Evidence { name, from, revision, approval, validity, drift, answer }: Evidence) -> Self {
        let (name, from, revision, answer) = (Some(name), Some(from), Some(revision), Some(answer));
        Self { name, from, revision, approval, validity, drift, answer, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Reason;
    use crate::ledger::samples::{applied, at};

    fn read_back(record: Record) -> (Entry, Entry) {
        let entry = Entry::of(1, record).unwrap();
        let read = serde_json::from_slice(&entry.line("x").0).unwrap();
        (entry, read)
    }

    #[test]
    fn an_entry_is_read_as_it_was_written_nothing_known_included() {
        let evidence = Evidence {
            name: "bob".into(),
            from: Known::Absent,
            revision: Arc::new(Revision::commit(Some("main"), "sha1:01").written_by("A", "a@b", "why")),
            approval: Some("a.yaml:1".into()),
            validity: Some(Validity::NoLongerValid { since: at(1) }),
            drift: Some(at(0)),
            answer: "HTTP 200 success".into(),
        };
        let Record::Applied { at: time, account, field, value, source, .. } = applied(1, Field::Enabled, true) else {
            panic!()
        };
        let evident = Record::Applied { at: time, account, field, value, source, evidence: Some(Box::new(evidence)) };
        let pause = ImposedPause { until: at(9), reason: Reason::Throttled };
        let lifted = |by: Option<&str>| Record::PauseLifted { at: at(1), pause, by: by.map(Into::into) };
        for record in [evident, applied(1, Field::Enabled, true), lifted(Some("eve")), lifted(None)] {
            let (entry, read) = read_back(record);
            assert_eq!(read, entry);
        }
    }

    #[test]
    fn a_line_has_its_keys_in_the_order_in_which_they_are_read() {
        let line = |record| String::from_utf8(Entry::of(7, record).unwrap().line("x").0).unwrap();
        let put = line(applied(1, Field::Enabled, true));
        assert!(
            put.starts_with(r#"{"seq":7,"at":"#) && put.contains(r#","field":"enabled","to":true,"source":"#),
            "{put}"
        );
        let pause = ImposedPause { until: at(9), reason: Reason::Throttled };
        let lifted = line(Record::PauseLifted { at: at(1), pause, by: Some("eve".into()) });
        let (body, _) = lifted.split_once(r#","prev""#).unwrap();
        insta::assert_snapshot!(body, @r#"{"seq":7,"at":"2025-11-21T19:23:21.000Z","pauseLifted":{"until":"2025-11-21T19:23:29.000Z","reason":"Throttled"},"by":"eve""#);
    }

    #[test]
    fn other_records_are_no_matter_of_the_log() {
        assert_eq!(Entry::of(1, Record::TokenRequest { at: at(1) }), None);
        assert_eq!(Entry::of(1, Record::Pause { pause: None }), None);
    }
}
