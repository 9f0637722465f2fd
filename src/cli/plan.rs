//! `plan`: what `apply` would do, or what a branch changes. Sends nothing; it never names the client that writes.

mod approval;
mod base;
mod document;
mod markdown;
mod text;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::{Exit, json, load, note, policies, print, yaml};
use crate::attribution::Baseline;
use crate::change::Change;
use crate::clock::Clock;
use crate::compare::{Note, digest};
use crate::condition::Reason;
use crate::config::{Disruptions, Folder, Target};
use crate::desired::DesiredState;
use crate::guard::{InForce, Reviewed, review};
use crate::ledger::{self, Ledger};
use crate::manifest::Problem;
use crate::plan::{self, LaterHeld, Upcoming, plan, plan_account};
use crate::switch;
use crate::timestamp::Timestamp;

pub use document::plan_schema;

/// `plan`.
#[derive(Clone, Debug, Args)]
pub(super) struct Plan {
    /// Folder of manifests, in the place of --desired-state
    #[arg(value_name = "DIR")]
    path: Option<PathBuf>,

    #[command(flatten)]
    base: base::Against,
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    disruptions: Disruptions,
    #[command(flatten)]
    approval: approval::Options,
    /// How the plan is printed
    #[arg(short, long, value_enum, default_value = "text", help_heading = "Output")]
    output: Output,
    /// Exit with 2 if there are changes, and with 3 if the disruption budget holds some of them
    #[arg(long, help_heading = "Output")]
    detailed_exitcode: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// The same as YAML
    Yaml,
    /// Names of the accounts with changes, one a line
    Name,
    /// For a comment under a pull request: at most 65,535 bytes, its first line a marker to find it by
    Markdown,
}

/// What is desired, what is known, and what follows: shared by `plan` and `diff`.
pub(super) struct Comparison {
    pub(super) ledger: Ledger,
    pub(super) reviewed: Reviewed,
    /// The budget in force.
    budget: InForce,
    pub(super) problems: Vec<Problem>,
    desired: DesiredState,
    /// What the dates of manifests bring later.
    upcoming: Vec<Upcoming>,
    /// Where that is more than a budget allows.
    later_held: Vec<LaterHeld>,
    standing: Standing,
    /// What the plan is compared with, if that is not the ledger alone.
    branch: Option<base::Branch>,
}

/// How many accounts are planned for, and how many are left alone.
struct Standing {
    planned: usize,
    suspended: usize,
    duplicate: usize,
    orphaned: usize,
}

impl Standing {
    fn count(desired: &DesiredState, ledger: &Ledger, now: Timestamp) -> Self {
        let orphaned = ledger.accounts.keys().filter(|account| desired.get(**account).is_none()).count();
        let mut standing = Self { planned: 0, suspended: 0, duplicate: 0, orphaned };
        for (id, account) in desired.iter() {
            *match plan_account(id, Some(account), None, now).blocked {
                Some(Reason::Suspended) => &mut standing.suspended,
                Some(_) => &mut standing.duplicate,
                None => &mut standing.planned,
            } += 1;
        }
        standing
    }
}

/// Reads the folder and the ledger, and plans.
pub(super) fn compare(folder: &Folder, target: &Target, disruptions: &Disruptions) -> anyhow::Result<Comparison> {
    let ledger = read_ledger(target)?;
    let desired = {
        let acknowledged = Baseline::of(&ledger);
        load::desired(
            &folder.desired_state,
            &folder.git(),
            target.auth.into(),
            disruptions.protect.protection(),
            Some(&acknowledged),
        )?
    };
    load::note_oddities(&desired);
    let now = Clock::start().now();
    if let Some(freeze) = switch::read(&target.ledger_file())?.filter(|freeze| !freeze.is_over(now)) {
        note(&format!("all reconciling is {freeze}; none of this is sent before it is resumed"));
    }
    let comparison = Comparison::new(desired, ledger, folder, disruptions, now);
    policies::gone(&comparison.desired, &comparison.ledger.budgets).iter().for_each(|text| note(text));
    Ok(comparison)
}

fn read_ledger(target: &Target) -> anyhow::Result<Ledger> {
    let owner = target.owner()?;
    Ok(ledger::file::read(&target.ledger_file(), Some(owner))?.unwrap_or_else(|| Ledger::new(owner)))
}

/// A change, and whether it is held.
type Marked<'c> = (&'c Change, bool);

impl Comparison {
    fn new(
        mut desired: DesiredState,
        ledger: Ledger,
        folder: &Folder,
        disruptions: &Disruptions,
        now: Timestamp,
    ) -> Self {
        desired.lapse(&ledger.lapsed_at(now));
        policies::recall(&mut desired, &ledger, folder);
        let (guards, budget) = (disruptions.guards(&desired, &ledger), disruptions.budget(&desired));
        let changes = plan(&desired, &ledger, now).changes;
        let reviewed = review(guards, changes, desired.managed(), now);
        let problems = load::problems(&desired, &folder.desired_state);
        let standing = Standing::count(&desired, &ledger, now);
        let upcoming = plan::upcoming(&desired, &ledger, now);
        let later_held = plan::later_held(&upcoming, &ledger, &reviewed, budget.allowance, desired.managed(), now);
        Self { ledger, reviewed, budget, problems, desired, upcoming, later_held, standing, branch: None }
    }

    /// The moments at which more begins or ends than a budget allows; of a branch, if it changes dates, or takes away or gives
    /// back something now.
    fn later_held(&self) -> &[LaterHeld] {
        let Reviewed { allowed, held, .. } = &self.reviewed;
        let counts = |change: &Change| change.needs_budget().is_some() && self.is_explained(change);
        let has_part = |branch: &base::Branch| {
            branch.remarks.iter().any(|remark| matches!(remark.note, Note::Dated { .. }))
                || allowed.iter().chain(held).any(counts)
        };
        if self.branch.as_ref().is_none_or(has_part) { &self.later_held } else { &[] }
    }

    /// The changes that dates are going to have held at those moments.
    fn held_by_dates(&self) -> Vec<Change> {
        let changes = |held: &LaterHeld| {
            let (at, direction) = (held.at, Some(held.direction()));
            let of_moment = self.upcoming.iter().filter(move |one| one.at == at && one.needs_budget == direction);
            let planned = move |one: &Upcoming| {
                let row = self.ledger.accounts.get(&one.account);
                plan_account(one.account, self.desired.get(one.account), row, at).changes
            };
            of_moment.flat_map(planned).filter(move |change| change.needs_budget() == direction)
        };
        self.later_held().iter().flat_map(changes).collect()
    }

    /// What `apply` is about to do, of what it has read and of the ledger that it has.
    pub(super) fn of_pass(
        desired: DesiredState,
        folder: &Folder,
        target: &Target,
        disruptions: &Disruptions,
    ) -> anyhow::Result<Self> {
        Ok(Self::new(desired, read_ledger(target)?, folder, disruptions, Clock::start().now()))
    }

    pub(super) fn digest(&self) -> String {
        digest(&self.reviewed)
    }

    /// As people read it.
    pub(super) fn text(&self) -> String {
        text::text(self)
    }

    /// Every change, by account: first the accounts that lose something, of which those that are held come last. Within
    /// one, what may go comes in its order and before what is held.
    fn changes(&self) -> Vec<Marked<'_>> {
        let Reviewed { allowed, held, .. } = &self.reviewed;
        let losing = |changes: &[Change]| -> BTreeSet<_> {
            changes.iter().filter(|change| change.is_disruption()).map(|change| change.account).collect()
        };
        let (lose, would_lose) = (losing(allowed), losing(held));
        let rank = |account| match () {
            () if lose.contains(&account) => 0,
            () if would_lose.contains(&account) => 1,
            () => 2,
        };
        let mut changes: Vec<_> = allowed.iter().map(|c| (c, false)).chain(held.iter().map(|c| (c, true))).collect();
        changes.sort_by_key(|(change, _)| (rank(change.account), change.account));
        changes
    }

    /// The changes that are the branch's doing, or all if there is nothing to tell them by; and the others.
    fn split(&self) -> (Vec<Marked<'_>>, Vec<Marked<'_>>) {
        self.changes().into_iter().partition(|(change, _)| self.is_explained(change))
    }

    fn is_explained(&self, change: &Change) -> bool {
        self.branch.as_ref().is_none_or(|branch| !branch.split.unexplained.contains(&(change.account, change.field)))
    }

    fn email(&self, change: &Change) -> Option<&str> {
        self.desired.get(change.account)?.spec.email.as_deref()
    }
}

impl Plan {
    pub(super) fn run(mut self) -> anyhow::Result<Exit> {
        if let Some(path) = self.path.take() {
            self.folder.desired_state = path;
        }
        let comparison = if self.base.has_base()? {
            self.base.compare(&self.folder, &self.target, &self.disruptions)?
        } else {
            compare(&self.folder, &self.target, &self.disruptions)?
        };
        if self.approval.is_wanted() {
            let policy_dir = self.disruptions.protect.policy_dir.as_ref();
            return self.approval.print(&comparison, policy_dir);
        }
        print(&match self.output {
            Output::Text => text::text(&comparison),
            Output::Markdown => markdown::markdown(&comparison, &self.folder.desired_state),
            Output::Json => json(&document::document(&comparison, &self.folder.desired_state))?,
            Output::Yaml => yaml(&document::document(&comparison, &self.folder.desired_state))?,
            Output::Name => names(&comparison),
        })?;
        if let Some(branch) = &comparison.branch {
            branch.base_problems.iter().for_each(|problem| note(&format!("in the base: {problem}")));
        }
        let now = Clock::start().now();
        approval::too_short(&comparison, now).iter().for_each(|text| note(text));
        let policy_dir = self.disruptions.protect.policy_dir.iter();
        policies::note_absence(&self.folder, self.disruptions.protect.policy_dir.as_ref());
        policy_dir.flat_map(|dir| policies::near_misses(&self.folder, dir)).for_each(|text| note(&text));
        approval::expired(&comparison, now).iter().for_each(|text| note(text));
        comparison.later_held().iter().for_each(|held| note(&held.to_string()));
        load::complain_of(&comparison.problems);
        let unexplained = comparison.branch.as_ref().map_or(0, |branch| branch.split.unexplained.len());
        if !comparison.problems.is_empty() || self.base.refuses(unexplained) {
            return Ok(Exit::Failed);
        }
        let Reviewed { allowed, held, .. } = &comparison.reviewed;
        Ok(match (self.detailed_exitcode, held.is_empty(), allowed.is_empty()) {
            (true, false, _) => Exit::Held,
            (true, true, false) => Exit::Changes,
            _ => Exit::Done,
        })
    }
}

fn names(comparison: &Comparison) -> String {
    let (own, _) = comparison.split();
    let names: BTreeSet<&Arc<str>> = own.iter().map(|(change, _)| &change.name).collect();
    names.into_iter().map(|name| format!("{name}\n")).collect()
}
