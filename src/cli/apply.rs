//! `apply`: one pass, then exit.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::engine::{self, Engine};
use super::plan::Comparison;
use super::policies::PolicyFiles;
use super::{Exit, complain, count, load, note, print, progress};
use crate::account::printable;
use crate::compare::parse_digest;
use crate::config::{Disruptions, Folder, Service, Target, positive};
use crate::controller::{Mode, Settings};
use crate::manifest::Rules;
use crate::report::{Summary, Unapplied};
use crate::{shutdown, telemetry};

/// A manifest younger than this is looked at twice, for it may be half-written: the daemon's default debounce.
const SETTLE: Duration = Duration::from_millis(200);

/// How long a stop waits for what is in flight; a pipeline's own grace is often 30 s.
const GRACE: Duration = Duration::from_secs(25);

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

    /// Ends with what is left, and with 1, when the next request cannot start within this time
    ///
    /// As during a pause that the service imposed, or where the request budget is used up.
    #[arg(long, value_name = "DURATION", env = "ZOHO_MAIL_MAX_WAIT", default_value = "20m", value_parser = positive,
        help_heading = "Service")]
    max_wait: Duration,

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
        let Self { folder, target, service, disruptions, max_wait, expect_digest } = self;
        let limit = service.limit(target.sandbox);
        let settings = service.settings(Mode::Apply, target.sandbox, &disruptions, GRACE, None)?;
        let settings = Settings { max_wait, ..settings };
        // Side by side with the ledger: each takes about as long. Which of them failed first does not matter.
        let (root, git, auth) = (folder.desired_state.clone(), folder.git(), target.auth.into());
        let protection = disruptions.protect.protection_to_act(&root)?;
        let protected = Arc::clone(&protection);
        let reading = tokio::task::spawn_blocking(move || {
            load::batch(&root, &git, Rules { auth, protection: &protected }, Some(SETTLE))
        });
        let engine = engine::build(&target, &service, settings, Arc::clone(&protection)).await?;
        let Engine { mut controller, reports, clock, inputs, outside, acknowledged, known, cancel, .. } = engine;
        // There is nothing to read again in a single pass.
        shutdown::listen(outside.stops, || {}, telemetry::flush)?;
        let mut batch = reading.await??;
        tokio::task::block_in_place(|| {
            PolicyFiles::new(folder.desired_state.clone(), folder.git(), known).look_after(&mut batch);
            load::attribute(&mut batch, Rules { auth, protection: &protection }, &acknowledged)
        });
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
        assert_eq!(apply.max_wait, MAX_WAIT);
        assert!(apply.service.throttle_pause < apply.max_wait, "{:?}", apply.service.throttle_pause);
    }
}
