//! Budgets and approvals that people write, and what they allow, judged without the guard.
//!
//! In: chance, and the documents that stand. Out: texts of manifests; for a disruption, whether it was allowed.

use std::fmt::Write as _;
use std::time::Duration;

use zoho_mail_reconciler::account::{AccountId, Field};
use zoho_mail_reconciler::desired::DesiredState;
use zoho_mail_reconciler::guard::{Allowance, InForce};
use zoho_mail_reconciler::manifest::Approval;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::super::DISRUPTION_WINDOW;
use super::ACCOUNTS;
use crate::builders::Manifest;

/// What may be taken away.
#[derive(Clone, Default)]
pub struct Policies {
    approvals: Vec<Approval>,
    /// The names of the accounts, in the order of their ids.
    names: Vec<(AccountId, std::sync::Arc<str>)>,
    budget: Option<InForce>,
    managed: usize,
    /// From whom nothing may be taken away.
    protected: Vec<AccountId>,
}

impl Policies {
    /// Those that stand now.
    pub fn of(desired: &DesiredState) -> Self {
        let (max, max_grants) = (OPTION.parse().unwrap(), Default::default());
        let options = Allowance { max, max_grants, window: DISRUPTION_WINDOW };
        let budget = desired.budget(options);
        let from_options = budget.manifest.is_none() && budget.unclear.is_none();
        Self {
            approvals: desired.approvals().map(|(.., approval)| approval.clone()).collect(),
            names: desired.iter().map(|(id, account)| (id, account.name.clone())).collect(),
            budget: (!from_options).then_some(budget),
            managed: desired.managed(),
            protected: desired.iter().filter(|(_, account)| account.protected).map(|(id, _)| id).collect(),
        }
    }

    /// What is over by this moment stays over, whatever a clock says later; it joins those that `lapsed`.
    pub fn lapse(&mut self, now: Timestamp, lapsed: &mut Vec<Approval>) {
        let over = self.approvals.extract_if(.., |approval| approval.expires <= now);
        lapsed.extend(over);
    }

    /// Those of `lapsed` that are written here still are over here as well; the others are forgotten.
    pub fn without(mut self, lapsed: &mut Vec<Approval>) -> Self {
        lapsed.retain(|lapsed| self.approvals.contains(lapsed));
        self.approvals.retain(|approval| !lapsed.contains(approval));
        self
    }

    /// Whether an approval lets the account lose this at `now`.
    pub fn approve(&self, account: AccountId, field: Field, now: Timestamp) -> bool {
        let name = self.names.iter().find(|(id, _)| *id == account).map(|(_, name)| name);
        let names = |Approval { expires, accounts, .. }: &Approval| {
            let whom = accounts.iter().filter(|approved| Some(&approved.name) == name);
            let mut of_account = whom.filter(|approved| approved.account.is_none_or(|id| id == account));
            now < *expires && of_account.any(|approved| approved.fields[usize::from(field != Field::Enabled)])
        };
        self.approvals.iter().any(names)
    }

    /// Whether nothing may be taken away from the account.
    pub fn protect(&self, account: AccountId) -> bool {
        self.protected.contains(&account)
    }

    /// How many accounts may lose something, and within how long; `options`: what the options say.
    pub fn allowance(&self, options: Allowance) -> (usize, Duration) {
        let Some(InForce { allowance, .. }) = &self.budget else {
            return (options.max.limit(self.managed), options.window);
        };
        let max = if allowance.max == OPTION.parse().unwrap() { options.max } else { allowance.max };
        (max.limit(self.managed), allowance.window)
    }
}

/// Stands in for the option, and is in no document: no document allows so many.
const OPTION: &str = "77777";

/// A file of policies: mostly one budget, and a few approvals.
pub fn draw(chance: &mut fastrand::Rng, now: Timestamp) -> String {
    let mut text = String::new();
    for n in 0..[0, 1, 1, 1, 1, 2][chance.usize(0..6)] {
        let mut budget = Manifest::budget(format_args!("limits{n}"));
        let part = chance.u8(0..3);
        if part != 0 {
            budget = budget.set("maxDisruptions", ["0", "1", "2", "3", "20%", "1,30%"][chance.usize(0..6)]);
        }
        if part != 1 {
            budget = budget.set("window", format_args!("{}s", chance.u64(0..DISRUPTION_WINDOW.as_secs())));
        }
        write!(text, "---\n{budget}").unwrap();
    }
    for n in 0..chance.usize(0..3) {
        let name = if chance.u8(0..10) == 0 { 0 } else { n };
        let expires = now + Duration::from_secs(chance.u64(0..1200));
        let mut approval = Manifest::approval(format_args!("leavers{name}")).set("expires", expires);
        let first = chance.u64(0..ACCOUNTS);
        for account in first..=first + chance.u64(0..3) {
            let fields = ["enabled", "activeSyncEnabled", "enabled, activeSyncEnabled"][chance.usize(0..3)];
            approval = approval.approving(format_args!("a{}", account % ACCOUNTS), fields);
        }
        write!(text, "---\n{approval}").unwrap();
    }
    text
}

/// An approval of everything, which stands in no folder.
pub fn forged() -> String {
    let all = |approval: Manifest, n| approval.approving(format_args!("a{n}"), "enabled, activeSyncEnabled");
    (0..ACCOUNTS).fold(Manifest::approval("forged"), all).to_string()
}
