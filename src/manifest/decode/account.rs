//! The rules of a `MailAccount`.
//!
//! In: the `spec` of a document, its name, what protects it. Out: a [`MailAccountSpec`], or problems.
//! Invariant: a document that takes something away from a protected account is a problem, at the value that does.

use super::super::judge::{Field, Judge, Spot};
use super::super::problem::ProblemCode;
use super::super::{Lock, Rules};
use super::METADATA_KEYS;
use crate::account::{AccountId, AuthMode, MailAccountSpec, Suspend, Zuid};
use crate::validity::Period;

pub(super) const KEYS: [&str; 10] = [
    "accountId",
    "zuid",
    "email",
    "enabled",
    "activeSyncEnabled",
    "suspend",
    "suspendReason",
    "suspendUntil",
    "validFrom",
    "validUntil",
];

impl Judge<'_> {
    /// The account and its spec, as far as they can be told.
    pub(super) fn account(
        &mut self,
        spot: Spot<'_>,
        field: &Field<'_>,
        (name, protected): (Option<&str>, bool),
        rules: Rules<'_>,
    ) -> (Option<AccountId>, Option<MailAccountSpec>) {
        let elsewhere = |key: &str| METADATA_KEYS.contains(&key).then_some("metadata");
        let Some(found) = self.object(spot, field, &KEYS, elsewhere) else { return (None, None) };
        let [account_id, zuid_at, email, enabled_at, active_sync_at, suspend, reason, until, valid_from, valid_until] =
            found;
        if account_id.is_none() {
            let hint = Some("the number Zoho Mail gives the account");
            self.missing(spot, &field.key("accountId"), "the account's id", hint);
        }
        if zuid_at.is_none() && rules.auth == AuthMode::Admin {
            let hint = Some("needed with --auth admin: the number Zoho gives the user");
            self.missing(spot, &field.key("zuid"), "the user's id", hint);
        }
        if enabled_at.is_none() && active_sync_at.is_none() {
            let expected = "enabled, activeSyncEnabled, or both";
            let hint = Some("without both there is nothing to manage".to_owned());
            self.report((spot.place, field), ProblemCode::MissingKey, expected, "neither".to_owned(), hint);
        }
        let account_id = account_id.and_then(|id| self.id(id, &field.key("accountId"), AccountId::new));
        let zuid = zuid_at.and_then(|zuid| self.id(zuid, &field.key("zuid"), Zuid::new));
        let email = email.and_then(|email| self.email(email, &field.key("email")));
        if let (Some(spot), Some(id)) = (zuid_at, zuid)
            && Some(id.get()) == account_id.map(AccountId::get)
        {
            let hint = Some("copied from accountId? they are numbers of two kinds, and never the same".to_owned());
            let at = (spot.place, &field.key("zuid"));
            self.report(at, ProblemCode::InvalidValue, "the user's id, not the account's", spot.describe(), hint);
        }
        let lock = rules.protection.lock(name, account_id).or(protected.then_some(Lock::Annotation));
        let enabled = enabled_at.and_then(|flag| self.wanted(flag, &field.key("enabled"), lock));
        let active_sync_enabled =
            active_sync_at.and_then(|flag| self.wanted(flag, &field.key("activeSyncEnabled"), lock));
        let suspend = self.suspend(field, suspend, reason, until);
        let period = self.period(field, (valid_from, valid_until), lock);
        let spec = account_id.map(|account_id| MailAccountSpec {
            account_id,
            zuid,
            email: email.map(Box::from),
            enabled,
            active_sync_enabled,
            suspend,
            period: period.map(Box::new),
        });
        (account_id, spec)
    }

    /// When the manifest is valid. Of a protected account it is so at any time.
    fn period(
        &mut self,
        field: &Field<'_>,
        (from, until): (Option<Spot<'_>>, Option<Spot<'_>>),
        lock: Option<Lock>,
    ) -> Option<Period> {
        let [begin, end] = [("validFrom", from), ("validUntil", until)].map(|(key, spot)| {
            let (spot, field) = (spot?, field.key(key));
            if let Some(lock) = lock {
                let hint =
                    Some(format!("the account is protected by {lock}, and outside of its dates it loses everything"));
                self.report((spot.place, &field), ProblemCode::Protected, "no such key", spot.describe(), hint);
            }
            self.moment(spot, &field)
        });
        if let (Some(from), Some(until), Some(spot)) = (begin, end, until)
            && from >= until
        {
            let expected = format!("a moment after validFrom, which is {from}");
            let hint = Some("from validFrom until before validUntil the manifest is valid".to_owned());
            let at = (spot.place, &field.key("validUntil"));
            self.report(at, ProblemCode::InvalidValue, &expected, spot.describe(), hint);
        }
        (begin.is_some() || end.is_some()).then_some(Period { from: begin, until: end })
    }

    /// What is wanted of a field; of a protected account that is never false.
    fn wanted(&mut self, spot: Spot<'_>, field: &Field<'_>, lock: Option<Lock>) -> Option<bool> {
        let wanted = self.flag(spot, field)?;
        if let (false, Some(lock)) = (wanted, lock) {
            let hint = Some(format!("the account is protected by {lock}"));
            self.report((spot.place, field), ProblemCode::Protected, "true, or no such key", spot.describe(), hint);
        }
        Some(wanted)
    }

    fn suspend(
        &mut self,
        field: &Field<'_>,
        suspend: Option<Spot<'_>>,
        reason: Option<Spot<'_>>,
        until: Option<Spot<'_>>,
    ) -> Option<Box<Suspend>> {
        let suspended = suspend.map(|flag| self.flag(flag, &field.key("suspend")));
        let found = match suspended {
            None => Some("no key suspend"),
            Some(Some(false)) => Some("suspend: false"),
            Some(_) => None,
        };
        let beside = [("suspendReason", reason), ("suspendUntil", until)];
        for (key, spot) in beside.into_iter().filter_map(|(key, spot)| Some((key, spot?))) {
            let Some(found) = found else { break };
            let hint = Some("write suspend: true, or remove this key".to_owned());
            let at = (spot.place, &field.key(key));
            self.report(at, ProblemCode::InvalidValue, "suspend: true beside it", found.to_owned(), hint);
        }
        let reason = reason.and_then(|reason| self.reason(reason, &field.key("suspendReason")));
        let until = until.and_then(|until| self.moment(until, &field.key("suspendUntil")));
        matches!(suspended, Some(Some(true))).then(|| Box::new(Suspend { reason: reason.map(Box::from), until }))
    }
}
