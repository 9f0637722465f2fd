//! The command line: one short file per command, each wiring rooms together.
//!
//! In: arguments and environment. Out: an [`Exit`] code, text on standard output, errors once on
//! standard error.
//! Invariants: no command has logic of its own; `plan`, `diff`, `validate` and `status` never name
//! the client that writes; exit codes are a promise to scripts.

mod apply;
mod diff;
mod engine;
mod load;
mod plan;
mod progress;
mod run;
mod sandbox;
mod shell;
mod status;
mod validate;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::UsageError;
use crate::ledger::file::LedgerError;
use crate::telemetry::{self, LogFormat};

/// How a command ended, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed, or some account did. For `diff`: there are differences.
    Failed = 1,
    /// `plan --detailed-exitcode` found changes.
    Changes = 2,
    /// The disruption budget holds changes.
    Held = 3,
    /// Another process uses the ledger.
    LedgerInUse = 4,
    /// The ledger is damaged, newer than this program, or of another organization.
    LedgerRefused = 5,
    /// The options are wrong.
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

const ABOUT: &str = "Reconciles the mailboxes of a Zoho Mail organization with a folder of YAML manifests";

const LONG_ABOUT: &str = "\
Reconciles the mailboxes of a Zoho Mail organization with a folder of YAML manifests.

Each manifest declares whether a user's mailbox is enabled and whether its ActiveSync flag is set. \
What the service acknowledged is remembered in a local ledger; the difference between the two is \
the plan, and exactly those PUTs are sent.";

const AFTER_HELP: &str = "\
Try it without an account:
  zoho-mail-reconciler run --sandbox

Against an organization:
  export ZOHO_MAIL_ZOID=... ZOHO_MAIL_CLIENT_ID=... ZOHO_MAIL_CLIENT_SECRET=... ZOHO_MAIL_REFRESH_TOKEN=...
  zoho-mail-reconciler plan      # what would be sent; sends nothing
  zoho-mail-reconciler apply     # one pass
  zoho-mail-reconciler run       # the daemon

Credentials come from the environment: ZOHO_MAIL_CLIENT_ID, ZOHO_MAIL_CLIENT_SECRET and
ZOHO_MAIL_REFRESH_TOKEN, or ZOHO_MAIL_ACCESS_TOKEN alone; or from files named by the same
variables with _FILE appended. Files are read again when a token is refused.

Exit codes: 0 done; 1 failed, or some account did; 2 plan --detailed-exitcode found changes;
3 held by the disruption budget; 4 the ledger is in use; 5 the ledger is damaged, newer than this
program, or of another organization; 64 usage. diff: 0 no differences, 1 differences, more: an error.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "zoho-mail-reconciler", version, about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: Log,
}

/// Logging, for all commands.
#[derive(Clone, Debug, Args)]
struct Log {
    /// How logs are written [default: text on a terminal, else json]
    #[arg(long, value_enum, global = true, env = "ZOHO_MAIL_LOG_FORMAT", display_order = 900)]
    log_format: Option<LogFormat>,

    /// What is logged: error, warn, info, debug, trace, or a filter by module
    #[arg(
        long,
        value_name = "FILTER",
        global = true,
        env = "ZOHO_MAIL_LOG_LEVEL",
        default_value = "info",
        display_order = 901
    )]
    log_level: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: watch the folder and reconcile until told to stop
    Run(run::Run),
    /// Reconcile once, then exit
    Apply(apply::Apply),
    /// Show what apply would do; sends nothing
    Plan(plan::Plan),
    /// Show what apply would change, as unified text
    Diff(diff::Diff),
    /// Check manifests
    Validate(validate::Validate),
    /// Show each account's conditions, from the ledger
    Status(status::Status),
    /// Serve a simulated Zoho Mail API on this machine
    Sandbox(sandbox::Sandbox),
    /// Print the JSON Schema of the manifests
    Schema,
    /// Print a completion script for a shell
    Completions(shell::Completions),
    /// Print the manual page
    Man,
}

/// How a command's result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TextOutput {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
}

/// Runs one command line. Prints its errors once.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = command().try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; if standard output is gone there is nobody to tell.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { Exit::Done } else { Exit::Usage }.into();
        }
    };
    let is_diff = matches!(cli.command, Command::Diff(_));
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            anstream::eprintln!("{}", telemetry::escape(&format!("error: {error:#}")));
            let exit = exit_of(&error);
            // diff's 1 says "there are differences".
            if is_diff && exit == Exit::Failed { Exit::Changes } else { exit }.into()
        }
    }
}

/// The command line, where an empty environment variable is an unset one.
pub fn command() -> clap::Command {
    let unset_if_empty = |argument: clap::Arg| {
        let empty = argument.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
        if empty { argument.env(clap::builder::Resettable::Reset) } else { argument }
    };
    Cli::command().mut_args(unset_if_empty).mut_subcommands(|subcommand| subcommand.mut_args(unset_if_empty))
}

fn exit_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if cause.is::<UsageError>() || cause.is::<telemetry::InvalidLevel>() {
            return Exit::Usage;
        }
        if let Some(error) = cause.downcast_ref::<LedgerError>() {
            return match error.label() {
                "in_use" => Exit::LedgerInUse,
                "damaged" | "newer" | "foreign" => Exit::LedgerRefused,
                _ => Exit::Failed,
            };
        }
    }
    Exit::Failed
}

impl Cli {
    fn run(self) -> anyhow::Result<Exit> {
        let format = self
            .log
            .log_format
            .unwrap_or_else(|| if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json });
        telemetry::start(format, &self.log.log_level)?;
        match self.command {
            Command::Run(run) => run.run(),
            Command::Apply(apply) => apply.run(),
            Command::Plan(plan) => plan.run(),
            Command::Diff(diff) => diff.run(),
            Command::Validate(validate) => validate.run(),
            Command::Status(status) => status.run(),
            Command::Sandbox(sandbox) => sandbox.run(),
            Command::Schema => shell::schema(),
            Command::Completions(completions) => completions.run(),
            Command::Man => shell::man(),
        }
    }
}

/// Prints to standard output; a reader that went away (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| anyhow::Error::new(error).context("standard output")),
    }
}
