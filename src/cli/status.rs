//! `status`: each account's conditions, from the ledger. Sends nothing.

use clap::{Args, ValueEnum};
use comfy_table::{ColumnConstraint, Table, presets};

use super::{Exit, complain, count, json, load, note, print, yaml};
use crate::account::printable;
use crate::clock::Clock;
use crate::condition::ConditionStatus;
use crate::config::{Disruptions, Folder};
use crate::desired::DesiredState;
use crate::freeze::Freeze;
use crate::guard::{Guard, review};
use crate::ledger::{self, FieldState, Ledger, Owner};
use crate::plan::plan;
use crate::status::{Item, MailAccountList, Standstill, list};
use crate::switch;
use crate::timestamp::Timestamp;

/// `status`.
#[derive(Clone, Debug, Args)]
pub(super) struct Status {
    /// Accounts to show, by manifest name; all of them if none is given
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    target: StatusTarget,
    #[command(flatten)]
    disruptions: Disruptions,
    /// How the accounts are printed
    #[arg(short, long, value_enum, default_value = "table", help_heading = "Output")]
    output: Output,
}

/// The ledger alone: whose it is does not matter for looking at it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Target")]
struct StatusTarget {
    /// File that remembers what was applied; a journal lies beside it while the daemon runs
    #[arg(long, value_name = "FILE", env = "ZOHO_MAIL_LEDGER", default_value = "ledger.json")]
    ledger: std::path::PathBuf,

    /// As whom the service is addressed; decides whether a manifest needs a zuid
    #[arg(long, value_enum, env = "ZOHO_MAIL_AUTH", default_value = "admin")]
    auth: crate::config::Auth,

    /// Show what was applied to the embedded sandbox: ledger.sandbox.json beside ledger.json
    #[arg(long, env = "ZOHO_MAIL_SANDBOX", value_parser = clap::builder::BoolishValueParser::new())]
    sandbox: bool,
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

/// How much of a name that is no account's is repeated, in characters: as much as a name may have (RFC 1123).
const NAME_MAX: usize = 253;

impl Status {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let Self { names, folder, target, disruptions, output } = self;
        let file = if target.sandbox { crate::config::sandbox_ledger(&target.ledger) } else { target.ledger };
        // Whose an absent ledger is does not matter: it is empty.
        let ledger = ledger::file::read(&file, None)?.unwrap_or_else(|| Ledger::new(Owner::User));
        let desired = load::desired(load::batch(&folder.desired_state, target.auth.into(), None)?);
        let now = Clock::start().now();
        let freeze = switch::read(&file)?.filter(|freeze| !freeze.is_over(now));
        let mut all = accounts(&desired, &ledger, &disruptions, freeze.as_ref(), now);
        let missing: Vec<_> =
            names.iter().filter(|name| !all.items.iter().any(|item| *item.metadata.name == ***name)).collect();
        if !names.is_empty() {
            all.items.retain(|item| names.iter().any(|name| *name == *item.metadata.name));
        }
        let none_found = !names.is_empty() && all.items.is_empty();
        match output {
            // What is missing is said below.
            Output::Table | Output::Wide if none_found => {}
            Output::Table => print(&table(&all, false, now))?,
            Output::Wide => print(&table(&all, true, now))?,
            Output::Json => print(&json(&all)?)?,
            Output::Yaml => print(&yaml(&all)?)?,
            Output::Name => print(
                &all.items
                    .iter()
                    .map(|item| format!("{}\n", printable::escape(&item.metadata.name)))
                    .collect::<String>(),
            )?,
        }
        let problems = desired.problem_count();
        if problems > 0 {
            note(&format!(
                "{} in manifests; see `validate {}`",
                count(problems, "problem"),
                printable::path(&folder.desired_state)
            ));
        }
        for name in &missing {
            let name = printable::cut(name, NAME_MAX);
            complain(&format!("no account is called {name:?}, neither in the manifests nor in the ledger"));
        }
        Ok(if missing.is_empty() { Exit::Done } else { Exit::Failed })
    }
}

/// Every account's status, as the daemon would tell it with these options.
fn accounts(
    desired: &DesiredState,
    ledger: &Ledger,
    disruptions: &Disruptions,
    freeze: Option<&Freeze>,
    now: Timestamp,
) -> MailAccountList {
    let guard = Guard::new(disruptions.disruption_budget, disruptions.disruption_window, &ledger.disruptions);
    let verdict = review(guard, plan(desired, ledger, now).changes, desired.managed(), now).verdict;
    let held = Some(verdict).filter(|verdict| verdict.exceeded());
    let pause = || ledger.pause.filter(|pause| pause.until > now).map(Standstill::paused);
    let standstill = freeze.map(Standstill::suspended).or_else(pause);
    list(desired, ledger, |_| held, standstill.as_ref(), now)
}

fn table(list: &MailAccountList, wide: bool, now: Timestamp) -> String {
    if list.items.is_empty() {
        return "No accounts: no readable manifest declares one, and the ledger knows none.\n".into();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut header = vec!["NAME", "READY", "STATUS", "AGE"];
    if wide {
        header.extend(["ACCOUNT", "ENABLED", "ACTIVESYNC", "REVISION", "MESSAGE"]);
    }
    table.set_header(header);
    for item in &list.items {
        table.add_row(row(item, wide, now));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n", lines.join("\n"))
}

fn row(item: &Item, wide: bool, now: Timestamp) -> Vec<String> {
    let Some(ready) = item.status.conditions.first() else { return Vec::new() };
    let is_ready = if ready.status == ConditionStatus::True { "True" } else { "False" };
    let age = age(now.since(ready.last_transition_time));
    let mut cells = vec![printable::escape(&item.metadata.name), is_ready.into(), ready.reason.to_string(), age];
    if wide {
        let field = |state: &Option<FieldState>| match state {
            None => "-".to_owned(),
            Some(FieldState::Applied { value, .. }) => value.to_string(),
            Some(FieldState::InDoubt { .. } | FieldState::Unsettled { .. }) => "in doubt".into(),
        };
        let applied = &item.status.last_applied;
        let message = printable::escape(&ready.message);
        let account = item.spec.account_id.to_string();
        // The revision is where a manifest came from in Git; until it is read, its place is empty.
        cells.extend([account, field(&applied.enabled), field(&applied.active_sync_enabled), "-".into(), message]);
    }
    cells
}

/// As kubectl writes ages: two units at most.
fn age(age: std::time::Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
