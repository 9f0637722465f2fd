//! Looks at the folder become queued accounts.
//!
//! In: a [`Batch`] of files that changed. Out: the desired state, brought up to date, and every
//! touched account planned, counted and queued.
//! Invariants: a folder that is missing, unreadable or suddenly empty takes nothing away; only
//! touched accounts are looked at, whatever the number of others.

use std::collections::BTreeSet;

use super::Machine;
use crate::attribution::{look, revisions};
use crate::controller::event::ManifestLog;
use crate::ledger::{DeclaredBudget, Record};
use crate::manifest::Parsed;
use crate::report::PROBLEMS_TOLD;
use crate::source::{Batch, Root};
use crate::status;
use crate::timestamp::Timestamp;

/// How many problems of one batch are logged; `validate` lists them all.
const PROBLEMS_LOGGED: usize = 20;

impl Machine {
    pub(super) fn on_files(&mut self, batch: Batch<Parsed>, now: Timestamp) {
        let mut touched = BTreeSet::new();
        let (files, mut problems_met) = (batch.files.len(), 0);
        for (path, found) in batch.files {
            let found = look(&path, found);
            let decided = batch.decided.get(&path);
            // Not `append`: that rebuilds the whole set for each file.
            touched.extend(self.desired.update_from(&path, found, &|document| revisions(document, decided)));
            problems_met += self.log_problems(&path, PROBLEMS_LOGGED.saturating_sub(problems_met));
        }
        let is_read = batch.root == Root::Ready && (batch.full || self.folder.is_loaded());
        // A folder that is not there yet says nothing of the approvals that are over, nor of the budgets.
        if is_read && !self.folder.is_loaded() {
            self.lapse_approvals(now);
            self.desired.recall(&self.ledger.budgets);
        }
        if is_read {
            self.remember_budgets(now);
        }
        if problems_met > PROBLEMS_LOGGED {
            self.log(ManifestLog::More(problems_met - PROBLEMS_LOGGED));
        }
        self.adopt_budget(now);
        self.first_problems = self.desired.problems().take(PROBLEMS_TOLD).map(|problem| problem.to_string()).collect();
        self.note_plan(now);
        // Those that failed before in the order in which they did, so that no pass begins with the same one again.
        let mut touched: Vec<_> = touched.into_iter().collect();
        touched.sort_by_cached_key(|account| self.failed_last(*account));
        for account in &touched {
            self.tokens.may_tell(*account);
            self.touch(*account, touched.len(), now);
        }
        if files > 0 {
            let (problems, pending) = (self.desired.problem_count(), self.backlog.pending());
            self.log(ManifestLog::Read { files, accounts: touched.len(), problems, pending });
        }
        if batch.full && self.folder.is_loaded() {
            self.tokens.try_again();
        }
        if batch.asked {
            self.try_all_again(now);
        }
        let was_loaded = self.folder.is_loaded();
        let news = [self.folder.looked(batch.root, batch.full, now), self.folder.watched(batch.degraded)];
        news.into_iter().flatten().for_each(|news| self.log(news));
        if !was_loaded && self.folder.is_loaded() {
            self.touch_undeclared(now);
            self.repeat_what_blocks(now);
        }
        if files > 0 {
            self.look_for_orphans(now);
        }
    }

    /// What became of the files of accounts that no manifest declares: one may be broken now, or whole and without them.
    fn look_for_orphans(&mut self, now: Timestamp) {
        let is_broken = |account| status::broken_file(account, &self.desired, &self.ledger).is_some();
        let changed = self.backlog.orphans().filter(|(account, was_broken)| is_broken(*account) != *was_broken);
        let changed: Vec<_> = changed.map(|(account, _)| account).collect();
        changed.into_iter().for_each(|account| drop(self.replan(account, now)));
    }

    /// Accounts that the ledger remembers and no manifest declares: what became of theirs happened while no process ran.
    fn touch_undeclared(&mut self, now: Timestamp) {
        let remembered = self.ledger.accounts.keys().chain(self.ledger.unready.keys());
        let undeclared: BTreeSet<_> =
            remembered.filter(|account| self.desired.get(**account).is_none()).copied().collect();
        undeclared.into_iter().for_each(|account| self.touch(account, 1, now));
    }

    /// The next process may find a file broken that declares a budget now.
    fn remember_budgets(&mut self, now: Timestamp) {
        let budgets = self.desired.declared_budgets();
        if budgets != self.ledger.budgets {
            let is_left = |known: &DeclaredBudget| {
                budgets.iter().any(|budget| budget.source.path == known.source.path || budget.spec == known.spec)
            };
            let gone: Vec<_> = self.ledger.budgets.iter().filter(|known| !is_left(known)).cloned().collect();
            gone.into_iter().for_each(|known| self.log(ManifestLog::BudgetGone(known.source)));
            self.record(Record::Budgets { budgets }, now);
        }
    }

    /// The budget that the manifests declare now is in force. What is held by it is looked at in this turn, and what was
    /// held by the one before.
    fn adopt_budget(&mut self, now: Timestamp) {
        let budget = self.desired.budget(self.settings.allowance());
        if budget == self.budget {
            return;
        }
        self.guards.allow(budget.allowance, &self.ledger);
        self.log(match &budget.unclear {
            Some(why) => ManifestLog::BudgetUnclear(why.clone()),
            None => ManifestLog::BudgetInForce { allowance: budget.allowance, source: budget.manifest.clone() },
        });
        self.budget = budget;
        // Accounts that wait are held by the new budget at once, before their turn comes.
        for account in self.backlog.waiting() {
            self.replan(account, now);
        }
    }

    /// Logs the problems of one file, at most `most` of them. Returns how many there are.
    fn log_problems(&mut self, path: &str, most: usize) -> usize {
        let problems = self.desired.problems_of(path).to_vec();
        let number = problems.len();
        problems.into_iter().take(most).for_each(|problem| self.log(ManifestLog::Broken(problem)));
        number
    }
}
