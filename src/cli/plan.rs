//! `plan`: what `apply` would do, or what a branch changes. Sends nothing; it never names the client that writes.

mod approval;
mod base;
mod document;
mod left_alone;
mod markdown;
mod text;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::{Exit, json, load, note, policies, print, yaml};
use crate::account::{AccountId, Field, printable};
use crate::attribution::Baseline;
use crate::change::{Change, Direction};
use crate::clock::Clock;
use crate::compare::{Note, digest};
use crate::config::{Disruptions, Folder, Target, UsageError};
use crate::desired::DesiredState;
use crate::freeze::Freeze;
use crate::guard::{InForce, Reviewed, review};
use crate::ledger::{self, Ledger};
use crate::manifest::Problem;
use crate::plan::{self, LaterHeld, Upcoming, plan, plan_account};
use crate::switch;
use crate::timestamp::Timestamp;

pub use document::plan_schema;
use left_alone::{LeftAlone, Why};

/// `plan`.
#[derive(Clone, Debug, Args)]
pub(super) struct Plan {
    /// Folder of manifests, in the place of --desired-state; or a file or folder in that one, whose accounts alone are shown
    ///
    /// All of the folder is read all the same, for its budgets and approvals count, and the digest is that of the whole
    /// plan.
    #[arg(value_name = "PATH")]
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

/// What a suspension of everything means for a plan.
const NOT_SENT: &str = "none of this is sent before it is resumed";

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
    /// How many accounts are planned for.
    planned: usize,
    left_alone: Vec<LeftAlone>,
    /// The suspension of everything, if there is one beside the ledger.
    suspended: Option<Freeze>,
    /// What the plan is compared with, if that is not the ledger alone.
    branch: Option<base::Branch>,
    /// Of the whole plan, whatever part of it is shown.
    digest: String,
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
            disruptions.protect.protection_to_act(&folder.desired_state)?,
            Some(&acknowledged),
        )?
    };
    load::note_oddities(&desired, &folder.desired_state);
    let now = Clock::start().now();
    let suspended = suspended(target, now)?;
    let comparison = Comparison { suspended, ..Comparison::new(desired, ledger, folder, disruptions, now) };
    policies::gone(&comparison.desired, &comparison.ledger.budgets).iter().for_each(|text| note(text));
    Ok(comparison)
}

/// What an operator suspended, which is noted.
fn suspended(target: &Target, now: Timestamp) -> anyhow::Result<Option<Freeze>> {
    let freeze = switch::read(&target.ledger_file())?.filter(|freeze| !freeze.is_over(now));
    freeze.iter().for_each(|freeze| note(&format!("all reconciling is {freeze}; {NOT_SENT}")));
    Ok(freeze)
}

fn read_ledger(target: &Target) -> anyhow::Result<Ledger> {
    let owner = target.owner()?;
    Ok(ledger::file::read(&target.ledger_file(), Some(owner))?.unwrap_or_else(|| Ledger::new(owner)))
}

/// A change, and whether it is held.
type Marked<'c> = (&'c Change, bool);

impl Comparison {
    /// What to do about changes that are held by the budget of this direction. Without the base of this plan the approval
    /// would also be of what others left pending.
    fn advice(&self, direction: Direction) -> String {
        const COMMAND: &str = "`plan ";
        let advice = self.budget.advice(direction);
        let Some(branch) = &self.branch else { return advice };
        let (option, base) = match &branch.origin {
            base::Origin::Folder { folder } => ("--base", folder),
            base::Origin::Commit { revision, .. } => ("--base-ref", revision),
        };
        advice.replacen(COMMAND, &format!("{COMMAND}{option} {} ", printable::argument(base)), 1)
    }

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
        let digest = digest(&reviewed);
        let left_alone = left_alone::left_alone(&desired, &ledger, now);
        let not_planned = |one: &&LeftAlone| !matches!(one.reason, Why::Orphaned | Why::Drifted);
        let not_orphaned = left_alone.iter().filter(not_planned).count();
        let planned = desired.iter().count() - not_orphaned;
        let upcoming = plan::upcoming(&desired, &ledger, now);
        let later_held = plan::later_held(&upcoming, &ledger, &reviewed, budget.allowance, desired.managed(), now);
        Self {
            ledger,
            reviewed,
            budget,
            problems,
            desired,
            upcoming,
            later_held,
            planned,
            left_alone,
            suspended: None,
            branch: None,
            digest,
        }
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

    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// Leaves the accounts and problems of the file or folder `part`. The digest and the sums of budgets stay.
    fn keep_only(&mut self, part: &str, folder: &Folder) {
        let is_in = |path: &str| path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let Self { reviewed, problems, desired, upcoming, left_alone, planned, branch, .. } = self;
        reviewed.allowed.retain(|change| is_in(&change.source.path));
        reviewed.held.retain(|change| is_in(&change.source.path));
        upcoming.retain(|one| is_in(&one.source.path));
        let declared = |account| desired.get(account).is_some_and(|account| is_in(&account.source.path));
        left_alone.retain(|one| declared(one.account));
        let drifted = left_alone.iter().filter(|one| one.reason == Why::Drifted).count();
        *planned =
            desired.iter().filter(|(_, account)| is_in(&account.source.path)).count() + drifted - left_alone.len();
        let shown = load::shown_path(&folder.desired_state, part);
        problems.retain(|problem| {
            problem.path.strip_prefix(&*shown).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if let Some(branch) = branch {
            branch.remarks.retain(|remark| is_in(&remark.source.path));
            branch.split.settled.retain(|change| is_in(&change.source.path));
        }
    }

    /// The account, the field and the value of each change, held or not.
    pub(super) fn keys(&self) -> BTreeSet<(AccountId, Field, bool)> {
        let Reviewed { allowed, held, .. } = &self.reviewed;
        allowed.iter().chain(held).map(|change| (change.account, change.field, change.to)).collect()
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
    /// The part of the folder that is asked for. Another folder takes the place of that one.
    fn part(&mut self) -> Result<Option<String>, UsageError> {
        let Some(path) = self.path.take() else { return Ok(None) };
        if path.as_os_str() == "-" {
            let text = "plan reads no standard input: name a file or folder of the desired state; validate - checks what is piped";
            return Err(UsageError(text.into()));
        }
        let part = load::part_of(&path, &self.folder.desired_state).filter(|_| path.exists());
        if part.is_none() {
            self.folder.desired_state = path;
        }
        Ok(part)
    }

    pub(super) fn run(mut self) -> anyhow::Result<Exit> {
        let part = self.part()?;
        let mut comparison = if self.base.has_base()? {
            self.base.compare(&self.folder, &self.target, &self.disruptions)?
        } else {
            compare(&self.folder, &self.target, &self.disruptions)?
        };
        part.iter().for_each(|part| comparison.keep_only(part, &self.folder));
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
