//! Looks at the folder become queued accounts.
//!
//! In: a [`Batch`] of files that changed. Out: the desired state, brought up to date, and every
//! touched account planned, counted and queued.
//! Invariants: a folder that is missing, unreadable or suddenly empty takes nothing away; only
//! touched accounts are looked at, whatever the number of others.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::{info, warn};

use super::{Controller, Journal, Settings};
use crate::account::AccountId;
use crate::attribution::{look, revision};
use crate::change::Change;
use crate::condition::Reason;
use crate::desired::{self, DesiredAccount};
use crate::guard::Allowance;
use crate::ledger::{Record, Row};
use crate::manifest::{Parsed, Problem};
use crate::plan::{AccountPlan, plan_account};
use crate::queue::Urgency;
use crate::report::PROBLEMS_TOLD;
use crate::source::{Batch, Root};
use crate::timestamp::Timestamp;
use crate::zoho::Transport;

/// How many problems of one batch are logged; `validate` lists them all.
const PROBLEMS_LOGGED: usize = 20;

impl<T: Transport, J: Journal> Controller<T, J> {
    pub(super) fn take_in(&mut self, batch: Batch<Parsed>) {
        let now = self.clock.now();
        let mut touched = BTreeSet::new();
        let (files, mut problems_met) = (batch.files.len(), 0);
        for (path, found) in batch.files {
            let found = look(&path, found);
            let versions = batch.versions.get(&path).map_or(&[][..], Vec::as_slice);
            problems_met += self.log_problems(&found, PROBLEMS_LOGGED.saturating_sub(problems_met));
            // Not `append`: that rebuilds the whole set for each file.
            touched.extend(self.desired.update_from(&path, found, &|document| revision(document, versions)));
        }
        if problems_met > PROBLEMS_LOGGED {
            warn!(more = problems_met - PROBLEMS_LOGGED, "more problems in manifests; see `validate`");
        }
        self.adopt_budget();
        let told: Vec<_> = self.desired.problems().take(PROBLEMS_TOLD).map(|problem| problem.to_string()).collect();
        self.report.send_modify(|report| report.first_problems = told);
        for account in &touched {
            self.touch(*account, now);
        }
        if files > 0 {
            let (accounts, problems) = (touched.len(), self.desired.problem_count());
            info!(files, accounts, problems, pending = self.backlog.pending(), "manifests read");
        }
        if batch.full && self.loaded {
            self.resync(now);
        }
        self.note_plan(now);
        self.note_root(batch.root, batch.full, now);
        if self.report.borrow().degraded != batch.degraded {
            match &batch.degraded {
                Some(reason) => warn!(
                    reason,
                    runbook = self.runbook("WatchDegraded"),
                    "changes of the folder may go unnoticed until its next scan"
                ),
                None => info!("changes of the folder are noticed again"),
            }
            self.report.send_modify(|report| report.degraded = batch.degraded);
        }
    }

    /// The budget that the manifests declare now is in force. What is held by it is looked at in this turn, and what was
    /// held by the one before.
    fn adopt_budget(&mut self) {
        let Settings { disruption_budget: max, disruption_window: window, .. } = self.settings;
        let budget = self.desired.budget(Allowance { max, window });
        if budget == self.report.borrow().budget {
            return;
        }
        let Allowance { max, window } = budget.allowance;
        self.guard.allow(budget.allowance, &self.ledger.disruptions);
        match (&budget.unclear, &budget.manifest) {
            (Some(why), _) => {
                let runbook = self.runbook(Reason::DisruptionBudgetExceeded.as_str());
                warn!(why, runbook, "it is not clear which disruption budget counts; what no approval covers is held")
            }
            (None, source) => {
                let source = source.as_ref().map(tracing::field::display);
                info!(%max, window = %humantime::format_duration(window), source, "disruption budget in force");
            }
        }
        self.report.send_modify(|report| report.budget = budget);
    }

    /// Logs the problems of one file, at most `most` of them. Returns how many there are.
    fn log_problems(&self, found: &desired::Look, most: usize) -> usize {
        let problems: &[Problem] = match found {
            desired::Look::Parsed(parsed) => &parsed.problems,
            desired::Look::Unreadable(problem) => std::slice::from_ref(problem),
            desired::Look::Gone => &[],
        };
        for problem in problems.iter().take(most) {
            let runbook = self.runbook(Reason::InvalidManifest.as_str());
            warn!(%problem, runbook, "a manifest is broken; what it declares is left as it is");
        }
        problems.len()
    }

    fn note_root(&mut self, root: Root, full: bool, now: Timestamp) {
        let unknown = match root {
            Root::Ready => None,
            Root::Unknown(reason) => Some(reason),
        };
        let runbook = self.runbook("DesiredStateUnknown");
        // Told with the counts at the end of the turn: whoever waits for it wants to know how much there is to do.
        self.loaded |= full && unknown.is_none();
        self.report.send_if_modified(|report| {
            let changed = report.desired_unknown != unknown;
            if changed {
                match &unknown {
                    Some(reason) => {
                        warn!(
                            reason,
                            runbook, "the desired state is unknown; nothing is taken away, what was known is kept"
                        );
                    }
                    None if report.desired_unknown.is_some() => info!("the desired state is known again"),
                    None => {}
                }
            }
            if unknown.is_none() {
                report.last_sync = Some(now);
            }
            report.desired_unknown = unknown;
            changed
        });
    }

    /// A resync gives every rejected account one more try. Backoffs go on: they are shorter.
    fn resync(&mut self, now: Timestamp) {
        self.tokens.try_again();
        for account in self.backlog.unstall_all().into_keys() {
            self.touch(account, now);
        }
    }

    /// Plans one account afresh, and queues it if there is anything it may try.
    pub(super) fn touch(&mut self, account: AccountId, now: Timestamp) {
        let desired = self.desired.get(account);
        let row = self.ledger.accounts.get(&account);
        let plan = plan_account(account, desired, row, now);
        if let Some(until) = desired.and_then(|d| d.spec.suspend.as_ref()?.until).filter(|until| *until > now) {
            self.backlog.wake_at(until, account);
        }
        // What is planned by an approval now is planned otherwise once that has expired.
        let clauses = desired.map_or(&[][..], |desired| desired.clauses);
        for clause in clauses.iter().filter(|clause| clause.expires > now && !plan.changes.is_empty()) {
            self.backlog.wake_at(clause.expires, account);
        }
        if let (Some(desired), Some(row)) = (desired, row) {
            if row.spec_hash != desired.spec_hash {
                self.backlog.unstall(account);
            }
            for record in observations(account, desired, row, &plan).into_iter().flatten() {
                self.record(record);
            }
        }
        let open = self.count(account, &plan, now);
        if open.is_empty() {
            self.queue.remove(account);
        } else {
            self.metrics.queue_added();
            self.queue.add(account, urgency(&open), now);
        }
    }

    /// Notes an account's fresh plan wherever it is counted. Returns what of it may be tried.
    pub(super) fn count(&mut self, account: AccountId, plan: &AccountPlan, now: Timestamp) -> Vec<Change> {
        self.backlog.set(account, plan, now);
        let open = self.backlog.open(account, plan);
        self.guard.set_pending(account, open.iter().any(Change::is_disruption));
        open
    }

    pub(super) fn wake(&mut self) {
        let now = self.clock.now();
        while let Some(account) = self.backlog.woken(now) {
            self.touch(account, now);
        }
    }
}

/// What the ledger has to remember of an account that needs no PUT: a version of the manifest it has
/// not seen, and that what the service said is over.
fn observations(account: AccountId, desired: DesiredAccount<'_>, row: &Row, plan: &AccountPlan) -> [Option<Record>; 2] {
    if !plan.changes.is_empty() {
        return [None, None];
    }
    let seen = row.spec_hash == desired.spec_hash && row.name == *desired.name;
    let observed = (!seen).then(|| Record::Observed {
        account,
        name: Arc::clone(desired.name),
        zuid: desired.spec.zuid,
        spec_hash: desired.spec_hash,
    });
    let over = plan.blocked.is_none() && !row.conditions.is_empty();
    [observed, over.then(|| Record::Conditions { account, conditions: Vec::new() })]
}

/// An account that is to lose something goes first, even if it takes a grant to get there.
pub(super) fn urgency(changes: &[Change]) -> Urgency {
    if changes.iter().any(Change::is_disruption) { Urgency::Revocation } else { Urgency::Grant }
}
