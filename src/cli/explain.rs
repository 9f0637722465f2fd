//! `explain`: the runbook, where no browser is.

use anstyle::Style;
use clap::Args;

use super::{Exit, print};
use crate::account::printable;
use crate::config::UsageError;
use crate::runbook;

/// `explain [KEY]`.
#[derive(Clone, Debug, Args)]
pub(super) struct Explain {
    /// A reason, cause or alert as it stands in the log, in a status or in a notification; without one, all are listed
    #[arg(value_name = "KEY")]
    key: Option<String>,
}

impl Explain {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        match self.key {
            None => print(&list())?,
            Some(key) => {
                let same = |(known, _): &(&str, &str)| known.eq_ignore_ascii_case(&key);
                let (known, text) = runbook::entries().find(same).ok_or_else(|| unknown(&key))?;
                print(&format!("{known}\n\n{}\n", shown(text)))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// Each key with the first sentence of what happened.
fn list() -> String {
    let width = runbook::keys().map(str::len).max().unwrap_or(0);
    let line = |(key, text): (&str, &str)| {
        let happened = text.split_once("** ").map_or(text, |(_, rest)| rest);
        let paragraph = happened.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        let sentence = paragraph.split_inclusive(". ").next().unwrap_or_default().trim_end();
        format!("{key:width$}  {sentence}\n")
    };
    runbook::entries().map(line).collect()
}

/// An entry for a terminal: what is bold in Markdown is bold there, and plain everywhere else.
fn shown(text: &str) -> String {
    let bold = Style::new().bold();
    let part = |(at, part): (usize, &str)| if at % 2 == 1 { format!("{bold}{part}{bold:#}") } else { part.to_owned() };
    text.split("**").enumerate().map(part).collect()
}

fn unknown(key: &str) -> UsageError {
    let distance = |known: &&str| strsim::damerau_levenshtein(&known.to_lowercase(), &key.to_lowercase());
    let near = runbook::keys().min_by_key(distance).filter(|known| distance(known) <= 4);
    let hint = near.map_or(String::new(), |known| format!(" (did you mean {known}?)"));
    let shown = printable::cut(key, 80);
    UsageError(format!("the runbook has no entry {shown}{hint}; all of them: zoho-mail-reconciler explain"))
}
