//! `plan`: what `apply` would do. Sends nothing; it never names the client that writes.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde::Serialize;

use super::{Exit, TextOutput, load, print};
use crate::account::AccountId;
use crate::change::Change;
use crate::clock::Clock;
use crate::config::{Disruptions, Folder, Target};
use crate::desired::DesiredState;
use crate::guard::{Guard, Reviewed, review};
use crate::ledger::{self, Ledger};
use crate::manifest;
use crate::plan::plan;
use crate::status::API_VERSION;

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
    #[arg(short, long, value_enum, default_value = "text")]
    output: TextOutput,
    /// Exit with 2 if there are changes, and with 3 if the disruption budget holds some of them
    #[arg(long)]
    detailed_exitcode: bool,
}

/// The plan as a document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    reviewed: &'a Reviewed,
    problems: Vec<String>,
}

/// What is desired, what is known, and what follows: shared by `plan` and `diff`.
pub(super) struct Comparison {
    pub(super) desired: DesiredState,
    pub(super) ledger: Ledger,
    pub(super) reviewed: Reviewed,
}

/// Reads the folder and the ledger, and plans.
pub(super) fn compare(folder: &Folder, target: &Target, disruptions: &Disruptions) -> anyhow::Result<Comparison> {
    let owner = target.owner()?;
    let ledger = ledger::file::read(&target.ledger_file(), Some(owner))?.unwrap_or_else(|| Ledger::new(owner));
    let desired = load::desired(load::batch(&folder.desired_state, target.auth.into(), None)?);
    let now = Clock::start().now();
    let guard = Guard::new(disruptions.disruption_budget, disruptions.disruption_window, &ledger.disruptions);
    let changes = plan(&desired, &ledger, now).changes;
    let reviewed = review(guard, changes, desired.managed(), now);
    Ok(Comparison { desired, ledger, reviewed })
}

impl Plan {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let Comparison { desired, ledger, reviewed } = compare(&self.folder, &self.target, &self.disruptions)?;
        let document = || Document {
            api_version: API_VERSION,
            kind: "Plan",
            reviewed: &reviewed,
            problems: desired.problems().map(|problem| problem.to_string()).collect(),
        };
        match self.output {
            TextOutput::Text => print(&text(&reviewed, &desired, &ledger))?,
            TextOutput::Json => print(&format!("{}\n", serde_json::to_string_pretty(&document())?))?,
            TextOutput::Yaml => print(&manifest::to_yaml(&document())?)?,
        }
        if load::print_problems(&desired) > 0 {
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

/// The plan for people, in terraform's manner.
fn text(reviewed: &Reviewed, desired: &DesiredState, ledger: &Ledger) -> String {
    let Reviewed { allowed, held, verdict } = reviewed;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_accounts(&mut text, allowed, false).and_then(|()| write_accounts(&mut text, held, true));
    let orphans = ledger.accounts.keys().filter(|account| desired.get(**account).is_none()).count();
    if orphans > 0 {
        let _ =
            writeln!(text, "{orphans} account(s) in the ledger have no manifest any more: nothing is PUT for them.\n");
    }
    if allowed.is_empty() && held.is_empty() {
        let accounts = desired.managed();
        let _ =
            writeln!(text, "No changes. All that the manifests of {accounts} account(s) want has been acknowledged.");
        return text;
    }
    let (revoke, grant): (Vec<_>, Vec<_>) = allowed.iter().partition(|change| change.is_disruption());
    let _ = writeln!(
        text,
        "Plan: {} to enable, {} to disable, {} held: {} PUT(s).",
        grant.len(),
        revoke.len(),
        held.len(),
        allowed.len()
    );
    if !held.is_empty() {
        let _ = writeln!(
            text,
            "{HELD}Held by the disruption budget{HELD:#}: {verdict}. If all of them are meant, raise --disruption-budget for \
             one apply; else look for the mistake."
        );
    }
    text
}

fn write_accounts(text: &mut String, changes: &[Change], held: bool) -> std::fmt::Result {
    let mut last: Option<AccountId> = None;
    for change in changes {
        if last != Some(change.account) {
            let why = if held { ", held" } else { "" };
            let Change { name, account, source, .. } = change;
            writeln!(text, "{}# {name} ({account}), {source}{why}", if last.is_some() { "\n" } else { "" })?;
            last = Some(change.account);
        }
        let (sign, style) = match (held, change.to) {
            (true, _) => ('!', HELD),
            (false, true) => ('+', GRANT),
            (false, false) => ('-', REVOKE),
        };
        writeln!(text, "  {style}{sign}{style:#} {:<17} {} -> {}", change.field, change.from, change.to)?;
    }
    if last.is_some() { writeln!(text) } else { Ok(()) }
}
