//! What the service shows of a declared account, against what the ledger knows of it.
//!
//! In: the account as its manifest declares it, what is known of it, what a read showed and when. Out: what is news, what
//! somebody changed elsewhere, and what is odd.
//! Invariants: an account whose user is another one is not believed; a field that the manifest does not manage is not
//! recorded, for nothing would keep it true; what was acknowledged and is wanted still is drift for a daemon; a refresh
//! records it as what is known from now on.
//! Absent by design: when a read is too early to be believed (see [`Ledger::news`]), and what follows of it.

use std::sync::Arc;

use crate::account::{AccountId, Field};
use crate::change::Known;
use crate::desired::DesiredAccount;
use crate::ledger::{Ledger, Record, Row};
use crate::observed::ObservedAccount;
use crate::report::Oddity;
use crate::timestamp::Timestamp;

/// What is made of a difference between what is acknowledged, and wanted still, and what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// What is shown is what is known from now on.
    Corrects,
    /// It is drift.
    IsDrift,
}

/// What a read says of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// What is known from now on.
    pub news: Option<Record>,
    /// What somebody changed elsewhere; or (`None`) that it is as it was set again.
    pub drift: Vec<(Field, Option<bool>)>,
    /// What is odd.
    pub odd: Option<Oddity>,
}

/// What a read says of an account: asked `begun`, answered `at`.
pub fn shown(
    account: AccountId,
    desired: &DesiredAccount<'_>,
    ledger: &Ledger,
    observed: &ObservedAccount,
    difference: Difference,
    (begun, at): (Timestamp, Timestamp),
) -> Shown {
    if let (Some(ours), Some(theirs)) = (desired.spec.zuid, observed.zuid)
        && ours != theirs
    {
        return Shown { odd: Some(Oddity::OtherUser(theirs)), ..Shown::default() };
    }
    let row = ledger.accounts.get(&account);
    let wanted = |field| desired.wanted(field, row, at);
    let is_unclear = Field::ALL.into_iter().any(|field| wanted(field).is_some() && observed.field(field).is_none());
    let values = Field::ALL.map(|field| observed.field(field).filter(|_| wanted(field).is_some()));
    let mut news = ledger.news(account, values, (begun, at));
    let mut drift = Vec::new();
    for field in Field::ALL {
        let known = row.map_or(Known::Absent, |row| row.known(field));
        let is_as_wanted = wanted(field).is_some_and(|wanted| known == Known::Applied(wanted));
        let found = row.and_then(|row| row.drift(field)).and_then(|drift| drift.found);
        if difference == Difference::Corrects {
            continue;
        }
        match news[field.index()] {
            Some(_) if is_as_wanted => drift.push((field, news[field.index()].take())),
            // What was corrected, and is not PUT yet, is shown as it was found.
            None if is_as_wanted && found.is_some() && values[field.index()] == wanted(field) => {
                drift.push((field, None))
            }
            _ => {}
        }
    }
    let [enabled, active_sync_enabled] = news;
    let (name, zuid) = (Arc::clone(desired.name), desired.spec.zuid);
    let record = Record::Read { at, begun, account, name, zuid, enabled, active_sync_enabled };
    let is_news = enabled.or(active_sync_enabled).is_some();
    Shown { news: is_news.then_some(record), drift, odd: is_unclear.then_some(Oddity::Unclear) }
}

/// What the ledger remembers of a drift, if it does not know it: `corrects` if what is wanted is to be PUT.
pub fn drift_record(
    (account, row): (AccountId, &Row),
    (field, found): (Field, Option<bool>),
    corrects: bool,
    at: Timestamp,
) -> Option<Record> {
    let before = row.drift(field);
    let corrects = corrects && found.is_some() && !before.is_some_and(|drift| drift.flaps(at));
    let is_known = before.and_then(|drift| drift.found) == found;
    (corrects || !is_known).then_some(Record::Drifted { at, account, field, found, corrects })
}
