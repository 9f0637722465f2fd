//! The command line: one short file per command, each wiring rooms together.
//!
//! In: arguments and environment. Out: an [`Exit`] code, text on standard output, errors once on
//! standard error.
//! Invariants: no command has logic of its own; `plan`, `diff`, `validate` and `status` never name
//! the client that writes, and by that of `refresh` and `export` no PUT leaves; exit codes are a promise to scripts.

mod apply;
mod diff;
mod doctor;
mod engine;
mod explain;
mod export;
mod forget;
mod history;
mod load;
mod manual;
mod order;
mod pass;
mod plan;
mod policies;
mod progress;
mod refresh;
mod resume;
mod run;
mod sandbox;
mod shell;
mod status;
mod suspend;
mod validate;
mod webhook;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use crate::account::printable::{self, Notation};
use crate::config::UsageError;
use crate::ledger::file::LedgerError;
use crate::manifest;
use crate::telemetry::{self, Flush, Kind, LogFormat};
use crate::version::VERSION;

pub use plan::plan_schema;

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
    /// The disruption budget holds changes, or everything is suspended.
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

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "zoho-mail-reconciler", version = VERSION, about = manual::ABOUT, long_about = manual::LONG_ABOUT, after_help = manual::AFTER_HELP,
    after_long_help = manual::after_long_help(), subcommand_required = true, arg_required_else_help = false)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: Log,
}

const LOGGING: &str = "Logging";

/// Logging, for all commands.
#[derive(Clone, Debug, Args)]
struct Log {
    /// How logs are written to standard error [default: text on a terminal, else json]
    #[arg(long, value_enum, global = true, env = "ZOHO_MAIL_LOG_FORMAT", display_order = 900, help_heading = LOGGING)]
    log_format: Option<LogFormat>,

    /// What is logged: off, error, warn, info, debug, trace, or a filter by module
    ///
    /// A filter by module reads info,zoho_mail_reconciler::source=debug.
    #[arg(
        long,
        value_name = "FILTER",
        global = true,
        env = "ZOHO_MAIL_LOG_LEVEL",
        default_value = "info",
        display_order = 901,
        help_heading = LOGGING
    )]
    log_level: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: watch the folder and reconcile until told to stop
    #[command(after_long_help = manual::RUN)]
    Run(run::Run),
    /// Reconcile once, then exit
    #[command(after_long_help = manual::APPLY)]
    Apply(apply::Apply),
    /// Show what apply would do; sends nothing
    #[command(after_long_help = manual::PLAN)]
    Plan(plan::Plan),
    /// Show what apply would change, as unified text; sends nothing
    #[command(after_long_help = manual::DIFF)]
    Diff(diff::Diff),
    /// Check manifests, and show every problem under the line it is on
    #[command(after_long_help = manual::VALIDATE)]
    Validate(validate::Validate),
    /// Read the service, and record what is there; sends no PUT
    #[command(after_long_help = manual::REFRESH)]
    Refresh(refresh::Refresh),
    /// Write the organization's accounts as manifests; sends no PUT, overwrites nothing
    #[command(after_long_help = manual::EXPORT)]
    Export(export::Export),
    /// Show each account's conditions, from the ledger
    #[command(after_long_help = manual::STATUS)]
    Status(status::Status),
    /// Check everything before the first run; writes nothing
    #[command(after_long_help = manual::DOCTOR)]
    Doctor(doctor::Doctor),
    /// Show every change that was applied, and who decided it
    #[command(after_long_help = manual::HISTORY)]
    History(history::History),
    /// Suspend everything: nothing is sent until resume, or until a moment
    #[command(after_long_help = manual::SUSPEND)]
    Suspend(suspend::Suspend),
    /// Lift a suspension, or a pause: what is pending is sent
    #[command(after_long_help = manual::RESUME)]
    Resume(resume::Resume),
    /// Drop what the ledger knows of accounts whose manifest is gone; sends nothing
    #[command(after_long_help = manual::FORGET)]
    Forget(forget::Forget),
    /// Explain a reason, cause or alert, and what to do
    #[command(after_long_help = manual::EXPLAIN)]
    Explain(explain::Explain),
    /// Serve a simulated Zoho Mail API on this machine
    #[command(after_long_help = manual::SANDBOX)]
    Sandbox(sandbox::Sandbox),
    /// Print the JSON Schema of the manifests, for editors and pipelines
    #[command(after_long_help = manual::SCHEMA)]
    Schema(shell::Schema),
    /// Print a completion script for a shell
    #[command(after_long_help = manual::COMPLETIONS)]
    Completions(shell::Completions),
    /// Print the version, and the commit that it was built from
    #[command(after_long_help = manual::VERSION)]
    Version,
    /// Print the manual page: `zoho-mail-reconciler man | man -l -`
    Man,
}

/// Runs one command line. Prints its errors once.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    leave_no_core();
    telemetry::tell_panics();
    let _last = Flush;
    let arguments: Vec<_> = arguments.into_iter().collect();
    // `-h` is for whoever looks up a name: environment variables would triple its length.
    let brief = arguments.iter().any(|argument| argument == "-h");
    let command = if brief { mut_arguments(command(), |argument| argument.hide_env(true)) } else { command() };
    let parsed = command.try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return misread(error).into(),
    };
    let is_diff = matches!(cli.command, Command::Diff(_));
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            complain(&format!("{error:#}"));
            let exit = exit_of(&error);
            // diff's 1 says "there are differences".
            if is_diff && exit == Exit::Failed { Exit::Changes } else { exit }.into()
        }
    }
}

/// Makes a crash leave no core file, which would hold the secrets.
fn leave_no_core() {
    // One byte is too little for any file, and the one limit that Linux respects where cores go to a program as well
    // (`coredump_pipe` in fs/coredump.c). Where the limit may not be set, whoever forbade it takes care of cores.
    let most = getrlimit(Resource::Core).maximum.map_or(1, |most| most.min(1));
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(most), maximum: Some(most) });
}

/// The command line, where an empty environment variable is an unset one.
pub fn command() -> clap::Command {
    let unset_if_empty = |argument: clap::Arg| {
        let empty = argument.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
        if empty { argument.env(clap::builder::Resettable::Reset) } else { argument }
    };
    mut_arguments(Cli::command(), |argument| last_wins(unset_if_empty(argument).hide_env_values(true)))
}

/// The last of an option that has one value counts, as in kubectl: wrappers and aliases append to what they were given.
fn last_wins(argument: clap::Arg) -> clap::Arg {
    let is_option = argument.get_long().is_some() && !matches!(argument.get_action(), clap::ArgAction::Append);
    let id = argument.get_id().clone();
    if is_option { argument.overrides_with(id) } else { argument }
}

fn mut_arguments(command: clap::Command, change: impl Fn(clap::Arg) -> clap::Arg + Copy) -> clap::Command {
    command.mut_args(change).mut_subcommands(|subcommand| subcommand.mut_args(change))
}

/// Tells why the arguments cannot be used, or shows the help that was asked for.
fn misread(mut error: clap::Error) -> Exit {
    // What was given stands there; of every other error the argument is one of ours.
    let given = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => ContextKind::InvalidValue,
    };
    if let Some(ContextValue::String(text)) = error.get(given) {
        let shown = shown(text);
        if shown != *text {
            // The tip about how to pass it as a value repeats it as it is.
            error.remove(ContextKind::Suggested);
        }
        error.insert(given, ContextValue::String(shown));
    }
    // Its reader may be gone.
    let _ = error.print();
    if error.kind() == ErrorKind::UnknownArgument && is_dry_run(&error) {
        say("  tip: 'plan' shows what 'apply' would do, and sends nothing");
    }
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}

/// Whether somebody asks for what this program has a command for.
fn is_dry_run(error: &clap::Error) -> bool {
    matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(given)) if given.starts_with("--dry-run"))
}

/// The longest value of an option that an error repeats, in characters. Values that are meant are shorter, but for
/// URLs; Zoho's secrets, which may have been put into the wrong variable, are longer (42 and 70).
const SHOWN_MAX: usize = 40;

/// A value that was given and cannot be used. A password may be in a URL, and an error is the last place for one.
fn shown(text: &str) -> String {
    // A share is no part of a URL: `101%`.
    let is_escape = |at: &[u8]| at[0] == b'%' && at[1..].iter().all(u8::is_ascii_hexdigit);
    let is_url = text.contains(['@', '?', '#']) || text.as_bytes().windows(3).any(is_escape);
    let may_be_secret = text.chars().count() > SHOWN_MAX || is_url;
    if may_be_secret { "(not shown)".into() } else { printable::escape(text) }
}

fn exit_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if cause.is::<UsageError>() || cause.is::<telemetry::InvalidLevel>() {
            return Exit::Usage;
        }
        if let Some(error) = cause.downcast_ref::<LedgerError>() {
            return match error.exit_code() {
                4 => Exit::LedgerInUse,
                5 => Exit::LedgerRefused,
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
        let has_log =
            matches!(self.command, Command::Run(_) | Command::Apply(_) | Command::Refresh(_) | Command::Export(_));
        if has_log {
            telemetry::queue_lines();
        }
        // Where the log is JSON, whatever reads standard error wants nothing else there. Of a command that hardly logs,
        // people read it, unless JSON was asked for.
        let is_asked_for = self.log.log_format.is_some() || has_log && self.log.log_level != "off";
        if format == LogFormat::Json && is_asked_for {
            telemetry::lines_are_json();
        }
        match self.command {
            Command::Run(run) => run.run(),
            Command::Apply(apply) => apply.run(),
            Command::Plan(plan) => plan.run(),
            Command::Diff(diff) => diff.run(),
            Command::Validate(validate) => validate.run(),
            Command::Refresh(refresh) => refresh.run(),
            Command::Export(export) => export.run(),
            Command::Status(status) => status.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::History(history) => history.run(),
            Command::Suspend(suspend) => suspend.run(),
            Command::Resume(resume) => resume.run(),
            Command::Forget(forget) => forget.run(),
            Command::Explain(explain) => explain.run(),
            Command::Sandbox(sandbox) => sandbox.run(),
            Command::Schema(schema) => schema.run(),
            Command::Completions(completions) => completions.run(),
            Command::Version => {
                print(&format!("zoho-mail-reconciler {VERSION}\n"))?;
                Ok(Exit::Done)
            }
            Command::Man => shell::man(),
        }
    }
}

/// Prints to standard output; a reader that went away (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    put(text).map(drop)
}

/// Prints to standard output. Whether anybody still reads it.
fn put(text: &str) -> anyhow::Result<bool> {
    use std::io::Write;
    // On a terminal it stands below the log of what led to it.
    telemetry::flush();
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true).map_err(|error| anyhow::Error::new(error).context("standard output")),
    }
}

/// A document as JSON, in which nothing steers a terminal.
fn json(document: &impl Serialize) -> anyhow::Result<String> {
    Ok(format!("{}\n", printable::document(&serde_json::to_string_pretty(document)?, Notation::Json)))
}

/// The same as YAML. Where its texts would have to be escaped, it is written as JSON, which is YAML as well.
fn yaml(document: &impl Serialize) -> anyhow::Result<String> {
    let text = manifest::to_yaml(document)?;
    if printable::document(&text, Notation::Yaml) == text {
        return Ok(text);
    }
    Ok(format!("{}\n", printable::document(&serde_json::to_string_pretty(document)?, Notation::Yaml)))
}

/// Tells of an error on one line of standard error. If nobody listens there, that is no error.
fn complain(text: &str) {
    telemetry::line(Kind::Error, text);
}

/// Tells of something worth knowing that is no error.
fn note(text: &str) {
    telemetry::line(Kind::Note, text);
}

/// Prints a line to standard error. That its reader may be gone is no error.
fn say(text: &str) {
    telemetry::line(Kind::Plain, text);
}

/// `1 account`, `2 accounts`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
