//! What manifests want by their own dates: by the clock of the process, but what ended stays ended.
//!
//! In: intents and outcomes as the process hands them over, the specs that it was shown. Out: whether one of them wants an
//! intent, and an objection to giving back what ended.

use std::collections::BTreeSet;

use zoho_mail_reconciler::account::{AccountId, MailAccountSpec};
use zoho_mail_reconciler::ledger::Record;
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::validity::Validity;

/// See the module.
#[derive(Default)]
pub struct Dates {
    /// Ends by which something was intended to be taken away.
    intended: BTreeSet<(AccountId, Timestamp)>,
    /// Those by which something was.
    ended: BTreeSet<(AccountId, Timestamp)>,
}

/// The end by which `record` takes something away.
fn end(record: &Record) -> Option<(AccountId, Timestamp)> {
    match record {
        Record::Intent { account, cause, .. } => Some((*account, cause.as_ref()?.valid_until?)),
        Record::Applied { account, value: false, evidence, .. } => {
            Some((*account, evidence.as_ref()?.validity.and_then(Validity::ended)?))
        }
        _ => None,
    }
}

impl Dates {
    /// Whether `spec` wants what `record` intends.
    pub fn want(&self, spec: &MailAccountSpec, record: &Record) -> bool {
        let Record::Intent { at, field, to, .. } = record else { return false };
        let known = end(record).filter(|end| self.intended.contains(end)).map(|(_, end)| end);
        let validity = spec.period.as_ref().map(|period| period.at(known, *at));
        spec.wanted(*field, validity) == Some(*to) && !spec.is_suspended(*at)
    }

    /// The process hands over `record`; `specs` are those of its account. Returns what speaks against it.
    pub fn appended<'s>(
        &mut self,
        record: &Record,
        mut specs: impl Iterator<Item = Option<&'s MailAccountSpec>>,
    ) -> Option<String> {
        match record {
            Record::Intent { account, to: true, .. } => {
                let end = |spec: Option<&MailAccountSpec>| Some((*account, spec?.period.as_ref()?.until?));
                let is_over = specs.all(|spec| end(spec).is_some_and(|end| self.ended.contains(&end)));
                self.ended.retain(|(ended, _)| ended != account);
                return is_over.then(|| format!("{account} gets back what ended, and no manifest has another end"));
            }
            Record::Intent { .. } => self.intended.extend(end(record)),
            _ => self.ended.extend(end(record)),
        }
        None
    }
}
