//! `plan`: what `apply` would do. Sends nothing; it never names the client that writes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::load::Acknowledged;
use super::{Exit, count, json, load, print, yaml};
use crate::change::Change;
use crate::clock::Clock;
use crate::condition::Reason;
use crate::config::{Disruptions, Folder, Target};
use crate::desired::DesiredState;
use crate::guard::{Guard, Reviewed, review};
use crate::ledger::{self, Ledger};
use crate::manifest::Problem;
use crate::plan::{plan, plan_account};
use crate::status::API_VERSION;
use crate::timestamp::Timestamp;

/// `plan`.
#[derive(Clone, Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    disruptions: Disruptions,
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
}

/// The plan as a document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    reviewed: &'a Reviewed,
    problems: &'a [Problem],
}

/// What is desired, what is known, and what follows: shared by `plan` and `diff`.
pub(super) struct Comparison {
    pub(super) ledger: Ledger,
    pub(super) reviewed: Reviewed,
    pub(super) problems: Vec<Problem>,
    standing: Standing,
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
    let owner = target.owner()?;
    let ledger = ledger::file::read(&target.ledger_file(), Some(owner))?.unwrap_or_else(|| Ledger::new(owner));
    let mut batch = load::batch(&folder.desired_state, target.auth.into(), None)?;
    load::attribute(&mut batch, target.auth.into(), &Acknowledged::of(&ledger));
    let desired = load::desired(batch);
    let now = Clock::start().now();
    let guard = Guard::new(disruptions.disruption_budget, disruptions.disruption_window, &ledger.disruptions);
    let changes = plan(&desired, &ledger, now).changes;
    let reviewed = review(guard, changes, desired.managed(), now);
    let problems = load::problems(&desired, &folder.desired_state);
    let standing = Standing::count(&desired, &ledger, now);
    Ok(Comparison { ledger, reviewed, problems, standing })
}

impl Plan {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let comparison = compare(&self.folder, &self.target, &self.disruptions)?;
        let Comparison { reviewed, problems, .. } = &comparison;
        let document = Document { api_version: API_VERSION, kind: "Plan", reviewed, problems };
        match self.output {
            Output::Text => print(&text(&comparison))?,
            Output::Json => print(&json(&document)?)?,
            Output::Yaml => print(&yaml(&document)?)?,
            Output::Name => print(&names(reviewed))?,
        }
        load::complain_of(problems);
        if !problems.is_empty() {
            return Ok(Exit::Failed);
        }
        Ok(match (self.detailed_exitcode, reviewed.held.is_empty(), reviewed.allowed.is_empty()) {
            (true, false, _) => Exit::Held,
            (true, true, false) => Exit::Changes,
            _ => Exit::Done,
        })
    }
}

const GRANT: Style = AnsiColor::Green.on_default();
const REVOKE: Style = AnsiColor::Red.on_default();
const HELD: Style = AnsiColor::Yellow.on_default();

fn names(reviewed: &Reviewed) -> String {
    let changes = reviewed.allowed.iter().chain(&reviewed.held);
    let names: BTreeSet<_> = changes.map(|change| &change.name).collect();
    names.into_iter().map(|name| format!("{name}\n")).collect()
}

/// The plan for people, in terraform's manner.
fn text(comparison: &Comparison) -> String {
    let Comparison { reviewed: Reviewed { allowed, held, verdict }, standing, .. } = comparison;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_accounts(&mut text, allowed, held).and_then(|()| write_left_alone(&mut text, standing));
    if allowed.is_empty() && held.is_empty() {
        let accounts = count(standing.planned, "account");
        text.push_str(&match standing.planned {
            0 => "No changes.\n".to_owned(),
            _ => format!("No changes: all that is wanted of {accounts} has been acknowledged.\n"),
        });
        return text;
    }
    let (revoke, grant): (Vec<_>, Vec<_>) = allowed.iter().partition(|change| change.is_disruption());
    let (puts, grant, revoke, kept) = (count(allowed.len(), "PUT"), grant.len(), revoke.len(), held.len());
    let _ = writeln!(text, "Plan: {puts}, of which {grant} grant and {revoke} take away; {kept} held.");
    if !held.is_empty() {
        let _ = writeln!(text, "{HELD}Held by the disruption budget{HELD:#}: {verdict}. {HELD_ADVICE}");
    }
    text
}

/// What to do about held disruptions.
pub(super) const HELD_ADVICE: &str =
    "If all of them are meant, raise --disruption-budget for one apply; else look for the mistake.";

fn write_accounts(text: &mut String, allowed: &[Change], held: &[Change]) -> std::fmt::Result {
    let mut changes: Vec<_> = allowed.iter().map(|c| (c, false)).chain(held.iter().map(|c| (c, true))).collect();
    // Stable: within an account, what may go comes in its order and before what is held.
    changes.sort_by_key(|(change, _)| change.account);
    for account in changes.chunk_by(|(a, _), (b, _)| a.account == b.account) {
        if let Some((Change { name, account, source, .. }, _)) = account.first() {
            writeln!(text, "# {name} ({account}), {source}")?;
        }
        for (change, held) in account {
            let (sign, style, note) = match (held, change.to) {
                (true, _) => ('!', HELD, " (held)"),
                (false, true) => ('+', GRANT, ""),
                (false, false) => ('-', REVOKE, ""),
            };
            let when = change.not_before.map_or_else(String::new, |until| format!(" (not before {until})"));
            writeln!(
                text,
                "  {style}{sign}{style:#} {:<17} {} -> {}{note}{when}",
                change.field, change.from, change.to
            )?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn write_left_alone(text: &mut String, standing: &Standing) -> std::fmt::Result {
    let Standing { planned: _, suspended, duplicate, orphaned } = standing;
    for (number, why) in [
        (suspended, "suspended by a manifest"),
        (duplicate, "declared twice, or under a name that is"),
        (orphaned, "in the ledger without a readable manifest"),
    ] {
        if *number > 0 {
            writeln!(text, "Left alone: {} {why}.", count(*number, "account"))?;
        }
    }
    Ok(())
}
