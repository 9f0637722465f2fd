//! `schema`, `completions` and `man`: the command line and the manifests, described for other tools.

use clap::Args;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use super::{Exit, command, manual, plan, print};
use crate::{manifest, notice};

const NAME: &str = "zoho-mail-reconciler";

/// What is printed and not read: what `plan -o json` shows, and what a webhook is sent.
const PLAN: &str = "Plan";

fn kinds() -> impl Iterator<Item = &'static str> {
    manifest::SCHEMA_KINDS.into_iter().chain([PLAN, notice::message::KIND])
}

/// `completions SHELL`.
#[derive(Clone, Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command(), NAME, &mut script);
        // clap_complete 4.6 spells a name with hyphens in two ways, and bash would offer nothing after a command
        // (clap-rs/clap#6421, open in November 2026).
        let script = String::from_utf8_lossy(&script);
        print(&script.replace(&NAME.replace('-', "__subcmd__"), &NAME.replace('-', "__")))?;
        Ok(Exit::Done)
    }
}

/// `man`: one page, with a section for each command.
pub(super) fn man() -> anyhow::Result<Exit> {
    let mut command = command();
    command.build();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    let mut body = String::from(".SH SYNOPSIS\n.B zoho-mail-reconciler\nCOMMAND [OPTIONS]\n");
    body.push_str(".SH DESCRIPTION\n");
    body.push_str(&verbatim(manual::LONG_ABOUT));
    body.push_str(".SH COMMANDS\n");
    for subcommand in subcommands(&command) {
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        body.push_str(&format!(".TP\n.B {}\n{}", subcommand.get_name(), verbatim(&about)));
    }
    for subcommand in subcommands(&command) {
        body.push_str(&section(subcommand)?);
    }
    let mut everywhere = Vec::new();
    man.render_options_section(&mut everywhere)?;
    body.push_str(".SH \"OPTIONS OF EVERY COMMAND\"\n");
    body.push_str(&String::from_utf8_lossy(&everywhere).replace(".SH ", ".SS "));
    for (title, text) in manual::SECTIONS {
        body.push_str(&format!(".SH \"{}\"\n.nf\n{}.fi\n", title.to_uppercase(), verbatim(text)));
    }
    page.extend_from_slice(body.as_bytes());
    print(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Done)
}

fn subcommands(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help")
}

/// One command: what it does, its options by heading, and what its help ends with.
fn section(command: &clap::Command) -> anyhow::Result<String> {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = format!(".SH \"COMMAND {}\"\n.nf\n", command.get_name().to_uppercase());
    text.push_str(&format!("{}.fi\n.PP\n{}", verbatim(usage), verbatim(&about)));
    // These are told once, in a section of their own.
    let quiet = command.clone().mut_args(|argument| {
        let everywhere = matches!(argument.get_id().as_str(), "log_format" | "log_level" | "help");
        argument.hide(everywhere)
    });
    let mut options = Vec::new();
    clap_mangen::Man::new(quiet).render_options_section(&mut options)?;
    // A heading of the whole page would tear the command apart.
    text.push_str(&String::from_utf8_lossy(&options).replace(".SH ", ".SS "));
    if let Some(more) = command.get_after_long_help() {
        text.push_str(&format!(".PP\n.nf\n{}.fi\n", verbatim(&more.to_string())));
    }
    Ok(text)
}

/// `text` as troff prints it without a change: backslashes, hyphens and leading dots would mean something.
fn verbatim(text: &str) -> String {
    let escaped = text.replace('\\', "\\(rs").replace('-', "\\-");
    let line = |line: &str| if line.starts_with(['.', '\'']) { format!("\\&{line}\n") } else { format!("{line}\n") };
    escaped.lines().map(line).collect()
}

/// `schema`.
#[derive(Clone, Debug, Args)]
pub(super) struct Schema {
    /// Only the schema of this kind of manifest, as a document of its own
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(kinds()), help_heading = "Output")]
    kind: Option<String>,
}

impl Schema {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let schema = match self.kind.as_deref() {
            None => Some(manifest::json_schema()),
            Some(PLAN) => Some(plan::plan_schema()),
            Some(notice::message::KIND) => Some(notice::message::schema()),
            Some(kind) => manifest::json_schema_of(kind),
        };
        print(&format!("{:#}\n", schema.unwrap_or_default()))?;
        Ok(Exit::Done)
    }
}
