//! Accounts that a plan leaves alone, whatever their manifests want.
//!
//! In: the desired state and the ledger. Out: [`LeftAlone`], the same for text, Markdown and documents.
//! Invariant: every account of either is planned for, or is here with its reason. Absent by design: how it is printed.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::account::AccountId;
use crate::condition::Reason;
use crate::desired::DesiredState;
use crate::ledger::Ledger;
use crate::plan::{AccountPlan, Drifted, plan_account};
use crate::timestamp::Timestamp;

/// An account for which nothing is planned.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LeftAlone {
    /// The account on the service.
    pub(super) account: AccountId,
    /// Its manifest's name, or the last one that the ledger knows.
    pub(super) name: Arc<str>,
    /// Why.
    pub(super) reason: Why,
    /// The account that a manifest of this name declares instead: its accountId changed.
    #[serde(rename = "accountIdChangedTo", skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub(super) changed_to: Option<AccountId>,
    /// What somebody changed elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) drifted: Vec<Drifted>,
}

impl LeftAlone {
    /// Its name for people, with its account where another one has the name now.
    pub(super) fn shown(&self) -> Cow<'_, str> {
        match self.changed_to {
            None if !self.drifted.is_empty() => {
                let field = |drifted: &Drifted| format!("{} is {} there", drifted.field, drifted.found);
                let fields: Vec<_> = self.drifted.iter().map(field).collect();
                format!("{} ({})", self.name, fields.join(", ")).into()
            }
            Some(to) => format!("{} (accountId changed {} -> {to})", self.name, self.account).into(),
            None => Cow::Borrowed(&self.name),
        }
    }
}

/// Why nothing is planned for an account: the reason that `status` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub(super) enum Why {
    /// Its manifest suspends it.
    Suspended,
    /// Two manifests declare it, or have its name.
    #[serde(rename = "DuplicateAccount")]
    Duplicate,
    /// Somebody changed it elsewhere, and it is left so.
    Drifted,
    /// The ledger knows it, and no readable manifest declares it.
    Orphaned,
}

impl Why {
    /// For people, after a number of accounts.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Suspended => "suspended by a manifest",
            Self::Duplicate => "declared twice, or under a name that is",
            Self::Drifted => "changed elsewhere and not set right (--drift-policy)",
            Self::Orphaned => "in the ledger without a readable manifest",
        }
    }
}

/// Everybody who is left alone at `now`, by reason and account.
pub(super) fn left_alone(desired: &DesiredState, ledger: &Ledger, now: Timestamp) -> Vec<LeftAlone> {
    let declared = desired.iter().filter_map(|(account, declared)| {
        let AccountPlan { blocked, drifted, .. } =
            plan_account(account, Some(declared), ledger.accounts.get(&account), now);
        let reason = match blocked {
            Some(Reason::Suspended) => Why::Suspended,
            Some(_) => Why::Duplicate,
            None if !drifted.is_empty() => Why::Drifted,
            None => return None,
        };
        Some(LeftAlone { account, name: Arc::clone(declared.name), reason, changed_to: None, drifted })
    });
    let orphans = ledger.accounts.iter().filter(|(account, _)| desired.get(**account).is_none());
    let orphans = orphans.map(|(account, row)| LeftAlone {
        account: *account,
        name: Arc::clone(&row.name),
        reason: Why::Orphaned,
        changed_to: desired.named(&row.name).next(),
        drifted: Vec::new(),
    });
    let mut all: Vec<_> = declared.chain(orphans).collect();
    all.sort_by_key(|one| (one.reason, one.account));
    all
}
