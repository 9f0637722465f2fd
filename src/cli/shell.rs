//! `schema`, `completions` and `man`: the command line and the manifests, described for other tools.

use clap::Args;
use clap_complete::Shell;

use super::{Exit, command, print};
use crate::manifest;

const NAME: &str = "zoho-mail-reconciler";

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
        print(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}

/// `man`: one page, with a section for each command.
pub(super) fn man() -> anyhow::Result<Exit> {
    let mut command = command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        let name = format!("{NAME} {}", subcommand.get_name());
        let man = clap_mangen::Man::new(subcommand.clone());
        page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
        man.render_description_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_options_section(&mut page)?;
    }
    print(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Done)
}

/// `schema`.
pub(super) fn schema() -> anyhow::Result<Exit> {
    print(&format!("{:#}\n", manifest::json_schema()))?;
    Ok(Exit::Done)
}
