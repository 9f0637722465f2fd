//! What the daemon that has the ledger knows, and who looks at the folder does not.
//!
//! In: what the lock says of it, the ledger, the folder. Out: the budgets by which it holds; what it still wants of accounts
//! whose manifest is broken now.
//! Invariant: while a daemon runs, its options count and not those of the command.

use std::sync::Arc;

use crate::account::{Field, SourceRef};
use crate::change::Change;
use crate::desired::DesiredState;
use crate::guard::Allowance;
use crate::ledger::Ledger;
use crate::ledger::file::Holder;
use crate::manifest::Budget;
use crate::status::broken_file;

/// What the options of the daemon allow that runs, or ran last, if it said so.
fn announced(holder: &Holder, own: Allowance) -> Option<Allowance> {
    let budget: Budget = serde_json::from_str(holder.options.as_deref()?).ok()?;
    Some(budget.over(own))
}

/// What the options allow that count: those of a daemon that runs, else the command's `own`.
pub(super) fn options(holder: &Holder, own: Allowance) -> Allowance {
    let running = announced(holder, own).filter(|_| holder.is_there == Some(true));
    running.unwrap_or(own)
}

/// Says which options count where the daemon's are others than the command's `own`.
pub(super) fn differing(holder: &Holder, own: Allowance) -> Option<String> {
    let theirs = announced(holder, own).filter(|theirs| *theirs != own)?;
    // What is usual was hardly asked for.
    let is_usual = (own.max, own.max_grants) == Default::default();
    match (holder.is_there == Some(true), is_usual) {
        (true, true) => None,
        (true, false) => {
            Some(format!("the daemon's budgets count: {}; not those of this command: {}", said(theirs), said(own)))
        }
        (false, _) => Some(format!(
            "held is what exceeds the budgets of this command: {}; the last daemon's were: {}",
            said(own),
            said(theirs)
        )),
    }
}

fn said(Allowance { max, max_grants, window }: Allowance) -> String {
    let grants = max_grants.0.map_or_else(String::new, |grants| format!(" --grant-budget {grants}"));
    format!("--disruption-budget {max}{grants} --disruption-window {}", humantime::format_duration(window))
}

/// What is pending of accounts whose manifest is broken: a daemon that runs goes on with what it said before, and counts it.
pub(super) fn kept(desired: &DesiredState, ledger: &Ledger) -> Vec<Change> {
    let mut kept = Vec::new();
    for (account, unready) in &ledger.unready {
        let path = broken_file(*account, desired, ledger).filter(|_| desired.get(*account).is_none());
        let (Some(path), Some(row)) = (path, ledger.accounts.get(account)) else { continue };
        for field in Field::ALL {
            let Some(wanted) = unready.field(field) else { continue };
            let failed = row.failed(field).filter(|failed| failed.to == wanted.to);
            kept.push(Change {
                account: *account,
                name: Arc::clone(&row.name),
                zuid: row.zuid,
                field,
                from: row.known(field),
                to: wanted.to,
                source: SourceRef { path: Arc::clone(path), line: 1 },
                revision: Arc::default(),
                approval: None,
                not_before: None,
                gives_back: wanted.to && field == Field::Enabled && row.is_disabled(),
                drift: None,
                begun: !wanted.to && row.has_begun_removal(field),
                validity: None,
                wanted_since: None,
                refused: failed.is_some_and(|failed| failed.reason.is_rejection()),
            });
        }
    }
    kept
}
