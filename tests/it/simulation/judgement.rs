//! What a life has come to, and what the world has, once nothing goes wrong any more.
//!
//! In: summaries, the world, the durable ledger, the folder. Out: violations.

use std::time::Duration;

use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::change::Change;
use zoho_mail_reconciler::controller::Mode;
use zoho_mail_reconciler::desired::Standing;
use zoho_mail_reconciler::guard::{GrantBudget, Guards, approval, review};
use zoho_mail_reconciler::plan::plan;
use zoho_mail_reconciler::report::Summary;

use super::life::Story;
use super::proofs::{Rule, actual};
use super::service::Network;
use super::{Simulation, Universe, options};

impl Simulation {
    /// A single pass.
    pub fn pass(&mut self) {
        let Some(summary) = self.lead(Mode::Apply, Story::Eventful) else { return };
        let universe = &mut self.universe;
        let Summary { planned, applied, held, failed, in_doubt, .. } = summary;
        if planned != applied + held.len() + failed.len() + in_doubt.len() {
            universe.proofs.violate(Rule::Sum, self.now, format!("{planned} planned, but not in sum"));
        }
        let needed = universe.proofs.needed;
        if planned != needed && !universe.proofs.reads {
            universe.proofs.violate(Rule::Sum, self.now, format!("{planned} planned, {needed} needed"));
        }
    }

    /// Once nothing goes wrong any more, the world becomes what is desired.
    pub fn converge(&mut self) {
        self.lead(Mode::Run, Story::ToTheEnd);
        let held = self.compare();
        if held.is_empty() {
            return;
        }
        // Somebody looks, and means all of it.
        if self.folder.has_policies {
            let month = Duration::from_secs(30 * 24 * 60 * 60);
            let approval =
                approval::manifest(&held, "the desired state", "all of it is meant", self.now, self.now + month);
            self.folder.approve(format!("{}---\n{approval}", self.folder.policies_text()));
        } else {
            self.settings.disruption_budget = "100%".parse().unwrap();
            self.settings.grant_budget = GrantBudget::default();
            self.universe.proofs.removals.options = options(&self.settings);
            self.universe.proofs.removals.returns.limit = None;
        }
        self.lead(Mode::Run, Story::ToTheEnd);
        let held = self.compare();
        if !held.is_empty() {
            let what = format!("let through, and still held: {held:?}");
            self.universe.proofs.violate(Rule::Converges, self.now, what);
        }
    }

    /// Holds the world against what is desired. Returns what the budget holds of it.
    fn compare(&mut self) -> Vec<Change> {
        Network::land(&mut self.universe, self.now);
        let Universe { proofs, world, disk, .. } = &mut self.universe;
        // An approval that a clock once said was over stays over.
        self.folder.lapse(&disk.durable.lapsed_at(self.now));
        let desired = self.folder.desired();
        let guards = Guards::new(desired.budget(options(&self.settings)).allowance, &disk.durable);
        let left = plan(desired, &disk.durable, self.now).changes;
        let left = review(guards, left, desired.managed(), self.now);
        if !left.allowed.is_empty() {
            proofs.violate(Rule::Converges, self.now, format!("still to do: {:?}", left.allowed));
        }
        for (id, account) in desired.iter() {
            if matches!(account.standing, Standing::Duplicate { .. }) || account.spec.is_suspended(self.now) {
                continue;
            }
            for field in Field::ALL {
                let wanted = account
                    .wanted(field, disk.durable.accounts.get(&id), self.now)
                    .filter(|wanted| *wanted || !account.protected);
                let held = left.held.iter().any(|change| (change.account, change.field) == (id, field));
                if !held && wanted.is_some() && wanted != actual(world, id, field) {
                    proofs.violate(Rule::Converges, self.now, format!("{id} {field} is not {wanted:?}"));
                }
            }
        }
        left.held
    }

    /// A restart with nothing to do sends nothing.
    pub fn idle(&mut self) {
        let before = self.universe.proofs.departed;
        self.lead(Mode::Run, Story::Idle);
        let universe = &mut self.universe;
        let sent = universe.proofs.departed - before;
        if sent > 0 {
            universe.proofs.violate(
                Rule::IdleRestart,
                self.now,
                format!("a restart with nothing to do sent {sent} requests"),
            );
        }
        // Whatever could still land has landed.
        self.compare();
    }
}
