//! `diff`: what `apply` would change, as unified text. Sends nothing.

use std::fmt::Write as _;

use clap::Args;
use similar::TextDiff;

use super::plan::{Comparison, compare};
use super::{Exit, count, load, note, print};
use crate::account::{Field, printable};
use crate::change::{Change, Known};
use crate::config::{Disruptions, Folder, Target};
use crate::ledger::Ledger;

/// `diff`.
#[derive(Clone, Debug, Args)]
pub(super) struct Diff {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    disruptions: Disruptions,
}

impl Diff {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let Comparison { ledger, reviewed, problems, .. } = compare(&self.folder, &self.target, &self.disruptions)?;
        let held: Vec<_> = reviewed.held_by().map(|(by, _, held)| (by, held.len())).collect();
        let mut changes = [reviewed.allowed, reviewed.held].concat();
        changes.sort_by_key(|change| (change.account, change.field));
        let accounts = changes.chunk_by(|a, b| a.account == b.account);
        print(&accounts.map(|changes| unified(changes, &ledger)).collect::<String>())?;
        for (by, held) in held {
            note(&format!("the {} holds {} of these; see `plan`", by.budget(), count(held, "change")));
        }
        load::complain_of(&problems);
        if !problems.is_empty() {
            // More than 1 is an error, as with kubectl diff.
            return Ok(Exit::Changes);
        }
        Ok(if changes.is_empty() { Exit::Done } else { Exit::Failed })
    }
}

/// One account's difference; `changes` is not empty.
fn unified(changes: &[Change], ledger: &Ledger) -> String {
    let Some(Change { account, name, source, .. }) = changes.first() else { return String::new() };
    let (mut before, mut after) = (String::new(), String::new());
    for field in Field::ALL {
        let change = changes.iter().find(|change| change.field == field);
        let known = ledger.known(*account, field);
        let wanted = change.map_or(known, |change| Known::Applied(change.to));
        // A date that wants it stands behind it as YAML has comments: the manifest may say otherwise.
        let dated = change.and_then(|change| change.validity).map_or_else(String::new, |dated| format!("  # {dated}"));
        for (text, value, dated) in [(&mut before, known, ""), (&mut after, wanted, &dated)] {
            match value {
                Known::Absent => {}
                // Writing to a String cannot fail.
                value => drop(writeln!(text, "{field}: {value}{dated}")),
            }
        }
    }
    let (old, new) = (format!("ledger/{account} {name}"), format!("{} {name}", printable::escape(&source.path)));
    TextDiff::from_lines(&before, &after).unified_diff().header(&old, &new).to_string()
}
