//! `status`: each account's conditions, from the ledger. Sends nothing.
//!
//! In: the folder, the ledger, and which accounts are meant. Out: a table, a document or names; with `--watch` what
//! changes of them, too. Invariant: what is shown is what the daemon would tell with the same options.

mod beside;
mod filter;
mod folder;
mod table;
mod watch;

use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::{Exit, complain, count, json, load, note, policies, print, say, yaml};
use crate::account::printable::{self, Notation};
use crate::attribution::Baseline;
use crate::clock::Clock;
use crate::config::{Disruptions, Folder, LedgerPlace, UsageError};
use crate::desired::DesiredState;
use crate::freeze::Freeze;
use crate::guard::{Guards, review};
use crate::ledger::file::Holder;
use crate::ledger::{self, Ledger, OutageKind, Owner};
use crate::manifest::{Protection, Rules};
use crate::plan::plan;
use crate::source::Batch;
use crate::status::{BlockedBy, Item, MailAccountList, Part, approvals, list};
use crate::switch;
use crate::throttle::remembered_pause;
use crate::timestamp::Timestamp;
use filter::Filter;
pub(super) use filter::{is_called, unknown};
use folder::Manifests;
use table::{Columns, SortBy};

/// `status`.
#[derive(Clone, Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    shape: Shape,
    /// Go on with a line for each account whose row changes, until Ctrl-C
    ///
    /// Reads the folder and the ledger again every second, also while the daemon runs. An account that is not meant any
    /// more, or is gone, is shown once more. With -o json an account is one line, with -o yaml one document.
    #[arg(short, long, help_heading = "Output")]
    watch: bool,
}

/// Where all that is shown comes from.
#[derive(Clone, Debug, Args)]
struct Sources {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    target: StatusTarget,
    #[command(flatten)]
    disruptions: Disruptions,
}

/// The ledger alone: whose it is does not matter for looking at it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Target")]
struct StatusTarget {
    #[command(flatten)]
    place: LedgerPlace,

    /// As whom the service is addressed; decides whether a manifest needs a zuid
    #[arg(long, value_enum, env = "ZOHO_MAIL_AUTH", default_value = "admin")]
    auth: crate::config::Auth,
}

/// How accounts are printed.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Output")]
struct Shape {
    /// How the accounts are printed
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
    /// Leave the headers of the columns out
    #[arg(long)]
    no_headers: bool,
    /// In which order they are printed
    #[arg(long, value_enum, value_name = "ORDER", default_value = "name")]
    sort_by: SortBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Columns
    Table,
    /// More columns
    Wide,
    /// A MailAccountList
    Json,
    /// The same as YAML
    Yaml,
    /// Names alone
    Name,
}

/// Where accounts are shown, and in what form.
struct Screen {
    shape: Shape,
    columns: Columns,
    with_labels: bool,
}

impl Status {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let Self { filter, sources, shape, watch } = self;
        let mut screen = Screen::new(shape, filter.needs_labels());
        let protection = sources.protection()?;
        let mut manifests = Manifests::protecting(Arc::clone(&protection));
        let parse = sources.parse(Arc::clone(&protection), screen.with_labels);
        let mut batch = load::read(&sources.folder.desired_state, &sources.folder.git(), None, parse)?;
        sources.attribute(&mut batch, &protection, &screen)?;
        manifests.take(batch);
        let now = Clock::start().now();
        let mut all = sources.accounts(&mut manifests, now)?;
        let missing = filter.missing(&all.items);
        shape.sort_by.sort(&mut all.items);
        load::note_oddities(&manifests.desired, &sources.folder.desired_state);
        sources.note_problems(&manifests.desired);
        if matches!(shape.output, Output::Table | Output::Wide) {
            sources.note_standing(now)?;
        }
        if watch && missing.is_empty() {
            drop(manifests);
            return watch::go_on(&filter, &sources, screen, all);
        }
        let declared = all.items.len();
        all.items.retain(|item| filter.keeps(item));
        print(&match shape.output {
            Output::Json => json(&all)?,
            Output::Yaml => yaml(&all)?,
            _ if declared == 0 && missing.is_empty() => NOBODY.to_owned(),
            _ => screen.lines(&all.items, now)?,
        })?;
        if all.items.is_empty() && declared > 0 && missing.is_empty() {
            say("No accounts match.");
        }
        missing.iter().for_each(|complaint| complain(complaint));
        Ok(if missing.is_empty() { Exit::Done } else { Exit::Failed })
    }
}

const NOBODY: &str = "No accounts: no readable manifest declares one, and the ledger knows none.\n";

impl Screen {
    fn new(shape: Shape, needs_labels: bool) -> Self {
        let is_document = matches!(shape.output, Output::Json | Output::Yaml);
        let columns = Columns::new(shape.output == Output::Wide, !shape.no_headers);
        Self { shape, columns, with_labels: needs_labels || is_document }
    }

    /// Accounts one by one, each on a line or in a document of its own.
    fn lines(&mut self, items: &[Item], now: Timestamp) -> anyhow::Result<String> {
        let one = |item: &Item| match self.shape.output {
            Output::Json => Ok(format!("{}\n", printable::document(&serde_json::to_string(item)?, Notation::Json))),
            Output::Yaml => Ok(format!("---\n{}", yaml(item)?)),
            _ => Ok(format!("{}\n", printable::escape(&item.metadata.name))),
        };
        if matches!(self.shape.output, Output::Table | Output::Wide) {
            return Ok(self.columns.render(items.iter().map(|item| self.columns.row(item, now)).collect()));
        }
        items.iter().map(one).collect()
    }

    /// What of an account only changes when something happened to it.
    fn lasting(&self, item: &Item, now: Timestamp) -> anyhow::Result<Vec<String>> {
        if !matches!(self.shape.output, Output::Json | Output::Yaml) {
            return Ok(self.columns.lasting(item, now));
        }
        let mut item = item.clone();
        // Of what never happened, the time is always now.
        item.status.conditions.iter_mut().for_each(|condition| condition.last_transition_time = Timestamp::default());
        Ok(vec![serde_json::to_string(&item)?])
    }
}

impl Sources {
    fn protection(&self) -> Result<Arc<Protection>, UsageError> {
        self.disruptions.protect.protection(&self.folder.desired_state)
    }

    fn parse(
        &self,
        protection: Arc<Protection>,
        with_labels: bool,
    ) -> impl Fn(&Arc<str>, &[u8]) -> folder::Read + Send + Sync + 'static {
        folder::parse(&self.folder, self.target.auth.into(), protection, with_labels)
    }

    /// Finds out whose work it is that waits, where `screen` shows that.
    fn attribute(
        &self,
        batch: &mut Batch<folder::Read>,
        protection: &Protection,
        screen: &Screen,
    ) -> anyhow::Result<()> {
        if screen.shape.output == Output::Wide {
            let ledger = self.ledger()?;
            let rules = Rules { auth: self.target.auth.into(), protection };
            load::attribute_by(batch, rules, &Baseline::of(&ledger), |(parsed, _)| parsed);
        }
        Ok(())
    }

    /// What the ledger knows now. Whose an absent one is does not matter: it is empty.
    fn ledger(&self) -> anyhow::Result<Ledger> {
        Ok(ledger::file::read(&self.target.place.file(), None)?.unwrap_or_else(|| Ledger::new(Owner::User)))
    }

    /// Notes what of the table is older than it looks, and what keeps all of it from changing.
    fn note_standing(&self, now: Timestamp) -> anyhow::Result<()> {
        let file = self.target.place.file();
        if let Some(freeze) = switch::read(&file)?.filter(|freeze| !freeze.is_over(now)) {
            let options = self.target.place.options();
            note(&format!("all reconciling is {freeze}; zoho-mail-reconciler resume{options} ends that"));
        }
        let shown = printable::path(&file);
        if !file.try_exists()? {
            note(&format!("there is no ledger {shown}: as far as this program knows, nothing was ever applied"));
            return Ok(());
        }
        let holder = ledger::file::holder(&file)?;
        if holder.is_there == Some(false) {
            note("no daemon runs with this ledger: an edit is applied once one does, or by apply");
        }
        beside::differing(&holder, self.disruptions.options()).iter().for_each(|text| note(text));
        Ok(())
    }

    fn note_problems(&self, desired: &DesiredState) {
        let problems = desired.problem_count();
        if problems > 0 {
            let folder = printable::path(&self.folder.desired_state);
            note(&format!("{} in manifests; see `validate {folder}`", count(problems, "problem")));
        }
    }

    /// Every account as it is now, with its labels where the manifests were read with them.
    fn accounts(&self, manifests: &mut Manifests, now: Timestamp) -> anyhow::Result<MailAccountList> {
        let file = self.target.place.file();
        let ledger = self.ledger()?;
        let freeze = switch::read(&file)?.filter(|freeze| !freeze.is_over(now));
        let holder = ledger::file::holder(&file)?;
        manifests.desired.lapse(&ledger.lapsed_at(now));
        let folder = &self.folder;
        policies::recall(&mut manifests.desired, &ledger, folder);
        let half_read = folder.git().in_progress(&folder.desired_state).map(|operation| {
            BlockedBy::unread(Some(&format!("the folder is half of {operation}, which is waited for")))
        });
        let blocked_by = half_read.or_else(|| blocked_by(&ledger, &holder, freeze.as_ref(), now));
        let mut all = accounts(&manifests.desired, &ledger, (&self.disruptions, &holder), blocked_by.as_ref(), now);
        for item in &mut all.items {
            item.metadata.labels = manifests.labels(item.spec.account_id);
        }
        Ok(all)
    }
}

/// Why no request can start now, or could not when the last process ended; in the order in which the daemon says it.
fn blocked_by(ledger: &Ledger, holder: &Holder, freeze: Option<&Freeze>, now: Timestamp) -> Option<BlockedBy> {
    let unwritable = holder.trouble.as_deref().map(|why| BlockedBy::unrecorded(why, holder.since));
    let outage = |is_refusal| {
        let outage = ledger.outage.as_ref();
        outage.filter(|outage| (outage.kind == OutageKind::CredentialsRefused) == is_refusal).map(BlockedBy::outage)
    };
    let pause = || remembered_pause(ledger, now).map(BlockedBy::paused);
    unwritable
        .or_else(|| freeze.map(BlockedBy::suspended))
        .or_else(|| outage(true))
        .or_else(pause)
        .or_else(|| outage(false))
}

/// Every account's status, as the daemon tells it, or would with these options.
fn accounts(
    desired: &DesiredState,
    ledger: &Ledger,
    (disruptions, holder): (&Disruptions, &Holder),
    blocked_by: Option<&BlockedBy>,
    now: Timestamp,
) -> MailAccountList {
    let budget = desired.budget(beside::options(holder, disruptions.options()));
    let guards = Guards::new(budget.allowance, ledger);
    let mut changes = plan(desired, ledger, now).changes;
    if holder.is_there == Some(true) {
        changes.extend(beside::kept(desired, ledger));
    }
    let verdicts = review(guards, changes, desired.managed(), now).verdicts();
    let held = Some(verdicts).filter(|verdicts| verdicts.exceeded().next().is_some());
    let list = list(desired, ledger, Part::default(), |_| held, blocked_by, now);
    MailAccountList { approvals: approvals(desired, ledger, now), ..list }
}
