//! `apply`: one pass, then exit.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use clap::Args;

use super::engine::{self, Engine};
use super::pass::{self, Pass, Patience};
use super::plan::Comparison;
use super::{Exit, complain, count, load, note, print, progress};
use crate::account::printable;
use crate::compare::parse_digest;
use crate::config::{Disruptions, Folder, Service, Target};
use crate::controller::{Mode, Settings};
use crate::report::{Summary, Unapplied};

/// How many changes of a kind are listed; `status` lists them all.
const LISTED: usize = 50;

/// How many changes are listed of one cause, such as refused credentials: it is one thing to mend.
const ALIKE: usize = 5;

/// What stands above the changes that are held.
const HELD: &str = "Held";

/// `apply`.
#[derive(Clone, Debug, Args)]
pub(super) struct Apply {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    disruptions: Disruptions,

    #[command(flatten)]
    patience: Patience,

    /// Read the organization's accounts first, so that what is there already takes no PUT; see refresh
    ///
    /// Nothing is sent if they cannot all be read.
    #[arg(long, help_heading = "Service", conflicts_with = "expect_digest")]
    refresh: bool,

    /// Apply only if the plan is the one that was reviewed: the digest that plan printed; else show what it is, and exit 1
    ///
    /// The digest is of the requests and of what was known before. It has no variable, for an empty one would be unset.
    #[arg(long, value_name = "DIGEST", value_parser = parse_digest, help_heading = "Safety")]
    expect_digest: Option<String>,
}

impl Apply {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        engine::block_on(self.pass())
    }

    async fn pass(self) -> anyhow::Result<Exit> {
        let Self { folder, target, service, disruptions, patience: Patience { max_wait }, expect_digest, refresh } =
            self;
        let limit = service.limit(target.sandbox);
        let settings = service.settings(Mode::Apply, target.sandbox, disruptions.options(), pass::GRACE, None)?;
        let principal = refresh.then(|| target.principal()).transpose()?;
        let settings = Settings { max_wait, refresh: principal, ..settings };
        let begun = pass::begin(&folder, &target, &service, &disruptions, settings, |network| network).await?;
        let Pass { engine: Engine { mut controller, reports, clock, inputs, outside, cancel, .. }, batch, protection } =
            begun;
        if let Some(expected) = expect_digest {
            // No other process writes the ledger now: this one has its lock.
            let desired = load::declared(batch.clone(), Arc::clone(&protection));
            let plan = tokio::task::block_in_place(|| Comparison::of_pass(desired, &folder, &target, &disruptions))?;
            let found = plan.digest();
            if found != expected {
                cancel.cancel();
                tokio::task::block_in_place(|| print(&plan.text()))?;
                complain(&format!(
                    "nothing was sent: the plan that was reviewed has the digest {expected}, and what would be sent now is \
                     what stands above, {found}"
                ));
                return Ok(Exit::Failed);
            }
            controller = controller.restricted_to(plan.keys());
        }
        // The conductor reads it as its first event; the channel has room for one.
        let _ = outside.looks.send(batch).await;
        let bar = progress::show(reports.clone(), limit, clock, cancel.clone());
        let ended = controller.run(inputs).await;
        cancel.cancel();
        bar.await;
        let (problems, ledger_error) = {
            let report = reports.borrow();
            (report.problems, report.ledger_error.clone())
        };
        // A second signal is heard also while a terminal takes no output.
        tokio::task::block_in_place(|| print(&text(&ended.summary)))?;
        if problems > 0 {
            let (folder, problems) = (printable::path(&folder.desired_state), count(problems, "problem"));
            note(&format!("{problems} in manifests; what they declare was left as it is; see `validate {folder}`"));
        }
        if let Some(error) = ledger_error {
            // Nothing was sent that is not on the disk; closing would fail for the same reason.
            anyhow::bail!("the ledger cannot be written: {error}");
        }
        let summary = engine::close(ended)?;
        Ok(match &summary {
            _ if problems > 0 => Exit::Failed,
            Summary { failed, in_doubt, .. } if !failed.is_empty() || !in_doubt.is_empty() => Exit::Failed,
            Summary { held, .. } if !held.is_empty() => Exit::Held,
            // It was not known whether there was anything to send.
            Summary { gave_up: Some(why), .. } if refresh => {
                complain(why);
                Exit::Failed
            }
            Summary { gave_up, .. } => {
                // It had nothing to give up.
                gave_up.iter().for_each(|why| note(&format!("{why}; nothing was to be sent")));
                Exit::Done
            }
        })
    }
}

/// What the pass came to, for people.
fn text(summary: &Summary) -> String {
    let Summary { planned, applied, held, failed, in_doubt, verdicts, budget, gave_up } = summary;
    let mut text = String::new();
    let doubt = "In doubt (sent, and its end is not known; the next apply sends what is wanted then)";
    for (title, changes) in [("Failed", failed), (doubt, in_doubt), (HELD, held)] {
        // Writing to a String cannot fail.
        let _ = write_list(&mut text, title, changes);
    }
    if let Some(why) = gave_up.as_ref().filter(|_| planned > applied) {
        let _ = writeln!(text, "Gave up: {why}.");
    }
    for (by, verdict) in verdicts.exceeded() {
        let held: Vec<_> =
            held.iter().map(|held| &held.change).filter(|change| change.needs_budget() == Some(by)).collect();
        let accounts: BTreeSet<_> = held.iter().map(|change| change.account).collect();
        if !held.is_empty() {
            let (changes, accounts) = (count(held.len(), "change"), count(accounts.len(), "account"));
            let (by, advice) = (by.budget(), budget.advice(by));
            let _ = writeln!(text, "Held by the {by}: {changes} of {accounts}: {verdict}. {advice}");
        }
    }
    let (held, failed, in_doubt) = (held.len(), failed.len(), in_doubt.len());
    let _ =
        writeln!(text, "{planned} planned = {applied} applied + {held} held + {failed} failed + {in_doubt} in doubt");
    text
}

fn write_list(text: &mut String, title: &str, changes: &[Unapplied]) -> std::fmt::Result {
    if changes.is_empty() {
        return Ok(());
    }
    writeln!(text, "{title}:")?;
    // One cause is told once, however many changes met it.
    let (mut listed, mut seen) = (0, 0);
    for alike in changes.chunk_by(|a, b| a.why == b.why) {
        if listed >= LISTED {
            break;
        }
        listed += alike.len().min(ALIKE);
        seen += alike.len();
        for Unapplied { change, .. } in &alike[..alike.len().min(ALIKE)] {
            // Of what is held people ask whose it is.
            let decided = change.revision.decided().filter(|_| title == HELD);
            let decided = decided.map_or_else(String::new, |decided| format!(", {decided}"));
            writeln!(text, "  {change}, {}{decided}", change.source)?;
        }
        if alike.len() > ALIKE {
            writeln!(text, "  and {} more for the same cause", count(alike.len() - ALIKE, "change"))?;
        }
        let why = alike.first().map_or("", |unapplied| &unapplied.why);
        writeln!(text, "    {}", printable::escape(why))?;
    }
    if changes.len() > seen {
        writeln!(text, "  and {} more; see `status`", changes.len() - seen)?;
    }
    writeln!(text)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::controller::MAX_WAIT;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        apply: Apply,
    }

    #[test]
    fn a_pass_waits_out_one_pause_of_the_default_length() {
        let Line { apply } = Line::try_parse_from(["test"]).unwrap();
        assert_eq!(apply.patience.max_wait, MAX_WAIT);
        assert!(apply.service.throttle_pause < apply.patience.max_wait, "{:?}", apply.service.throttle_pause);
    }
}
