//! The status of many accounts, all of them or a part.
//!
//! In: the desired state, the ledger, and which [`Part`] is asked for. Out: a [`MailAccountList`].
//! Invariant: a part costs what it holds and not what there is, so that whoever asks in parts stalls nobody.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{BlockedBy, Facts, Item, MailAccountList, item};
use crate::account::AccountId;
use crate::desired::{DesiredAccount, DesiredState, Standing};
use crate::guard::Verdicts;
use crate::ledger::Ledger;
use crate::timestamp::Timestamp;

/// A part of all accounts, in the order of their ids. The default is all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first id; `None` begins with the first account there is.
    pub from: Option<AccountId>,
    /// How many accounts, at most.
    pub most: usize,
}

impl Default for Part {
    fn default() -> Self {
        Self { from: None, most: usize::MAX }
    }
}

impl Part {
    /// The first of as many parts as it takes. The loop gives 500 accounts three milliseconds at most: of 100,000 the page
    /// is there half a second after it was asked for, everything else included.
    pub const FIRST: Self = Self { from: None, most: 500 };

    /// The one account, if there is such an account; else perhaps another one.
    pub const fn one(account: AccountId) -> Self {
        Self { from: Some(account), most: 1 }
    }

    /// What comes after this part, of which `items` is the answer; `None` at the end.
    pub fn after(self, items: &[Item]) -> Option<Self> {
        let last = items.iter().map(|item| item.spec.account_id).max()?;
        let from = Some(AccountId::new(last.get() + 1)?);
        (items.len() >= self.most).then_some(Self { from, ..self })
    }
}

/// The status of `part` of the accounts at `now`, declared or remembered. `held` gives the budget's sum for an account
/// whose disruptions it holds.
pub fn list(
    desired: &DesiredState,
    ledger: &Ledger,
    part: Part,
    held: impl Fn(AccountId) -> Option<Verdicts>,
    blocked_by: Option<&BlockedBy>,
    now: Timestamp,
) -> MailAccountList {
    let remembered = match part.from {
        Some(from) => ledger.accounts.range(from..),
        None => ledger.accounts.range(..),
    };
    let remembered = remembered.map(|(account, _)| *account).take(part.most);
    let ids: BTreeSet<_> = desired.ids_from(part.from).take(part.most).chain(remembered).collect();
    let status = |account| {
        let (row, unready) = (ledger.accounts.get(&account), ledger.unready.get(&account));
        let broken = broken_file(account, desired, ledger);
        let desired = desired.get(account);
        let held = if desired.is_some() { held(account) } else { None };
        item(account, Facts { desired, row, broken, held, blocked_by, unready }, now)
    };
    MailAccountList::new(ids.into_iter().take(part.most).map(status).collect())
}

/// The file with the account's manifest, if it cannot be read now: the file of its last good state, or where an earlier
/// process found it.
pub fn broken_file<'a>(account: AccountId, desired: &'a DesiredState, ledger: &'a Ledger) -> Option<&'a Arc<str>> {
    match desired.get(account) {
        Some(DesiredAccount { standing: Standing::LastGood, source, .. }) => Some(&source.path),
        Some(_) => None,
        None => ledger.accounts.get(&account)?.source().filter(|path| desired.is_broken(path)),
    }
}
