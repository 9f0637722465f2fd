//! What the service shows of a declared account, against what the ledger knows of it.
//!
//! In: the account as its manifest declares it, what is known of it, what a read showed and when. Out: the record of what is
//! news, and what is odd.
//! Invariants: an account whose user is another one is not believed; a field that the manifest does not manage is not
//! recorded, for nothing would keep it true.
//! Absent by design: when a read is too early to be believed (see [`Ledger::news`]), and what follows of it.

use std::sync::Arc;

use crate::account::{AccountId, Field};
use crate::desired::DesiredAccount;
use crate::ledger::{Ledger, Record};
use crate::observed::ObservedAccount;
use crate::report::Oddity;
use crate::timestamp::Timestamp;

/// What a read says of an account: the record of what is news, and what is odd. Asked `begun`, answered `at`.
pub fn shown(
    account: AccountId,
    desired: &DesiredAccount<'_>,
    ledger: &Ledger,
    shown: &ObservedAccount,
    (begun, at): (Timestamp, Timestamp),
) -> (Option<Record>, Option<Oddity>) {
    if let (Some(ours), Some(theirs)) = (desired.spec.zuid, shown.zuid)
        && ours != theirs
    {
        return (None, Some(Oddity::OtherUser(theirs)));
    }
    let row = ledger.accounts.get(&account);
    let is_managed = |field: &Field| desired.wanted(*field, row, at).is_some();
    let is_unclear = Field::ALL.iter().any(|field| is_managed(field) && shown.field(*field).is_none());
    let values = Field::ALL.map(|field| shown.field(field).filter(|_| is_managed(&field)));
    let [enabled, active_sync_enabled] = ledger.news(account, values, (begun, at));
    let (name, zuid) = (Arc::clone(desired.name), desired.spec.zuid);
    let record = Record::Read { at, begun, account, name, zuid, enabled, active_sync_enabled };
    let is_news = enabled.or(active_sync_enabled).is_some();
    (is_news.then_some(record), is_unclear.then_some(Oddity::Unclear))
}
