//! `resume`: lifts a suspension, or with `--pause` the pause that the service imposed. Sends nothing.
//!
//! A suspension is a file, and lifting it removes the file. A pause stands in the ledger (see [`super::order`]).

use std::path::Path;

use anyhow::Context as _;
use clap::Args;

use super::order::Task;
use super::suspend::{host, no_ledger, user};
use super::{Exit, complain, note, print};
use crate::account::printable;
use crate::clock::Clock;
use crate::config::LedgerPlace;
use crate::freeze::Resumed;
use crate::ledger::{ImposedPause, Ledger, Record, file};
use crate::order::Order;
use crate::switch;

/// `resume`.
#[derive(Clone, Debug, Args)]
pub(super) struct Resume {
    #[command(flatten)]
    place: LedgerPlace,

    /// Lift the pause that the service imposed, and no suspension
    ///
    /// One request then goes ahead of all others, as a probe. It is written to the history, with the name of the user.
    #[arg(long, help_heading = "Suspension")]
    pause: bool,
}

impl Resume {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        if self.pause { lift_pause(&self.place) } else { lift_suspension(&self.place.file()) }
    }
}

fn lift_suspension(ledger: &Path) -> anyhow::Result<Exit> {
    let file = printable::path(&switch::path(ledger));
    let resumed = Resumed { at: Clock::start().now(), by: user().unwrap_or_default(), host: host() };
    let lifted = switch::lift(ledger, resumed).with_context(|| format!("{file}: cannot be removed"))?;
    if let Some(freeze) = lifted {
        print(&format!("resumed; it was {freeze}\n"))?;
        return Ok(Exit::Done);
    }
    if let Some(nothing) = no_ledger(ledger) {
        complain(&format!("nothing is resumed: {nothing}"));
        return Ok(Exit::Failed);
    }
    let last = switch::last_lifted(ledger).map(|(freeze, resumed)| format!("; it was {freeze}, and resumed {resumed}"));
    print(&format!("not suspended: there is no {file}{}\n", last.unwrap_or_default()))?;
    Ok(Exit::Done)
}

/// The pause that the ledger remembers, as it is written there.
fn remembered(ledger: &Ledger) -> Option<ImposedPause> {
    let now = Clock::start().now();
    ledger.pause.filter(|pause| pause.until > now)
}

fn lift_pause(place: &LedgerPlace) -> anyhow::Result<Exit> {
    let ledger = &*place.file();
    let found = file::read(ledger, None)?;
    let Some((owner, pause)) = found.and_then(|ledger| Some((ledger.owner, remembered(&ledger)?))) else {
        if let Some(nothing) = no_ledger(ledger) {
            complain(&format!("nothing is resumed: {nothing}"));
            return Ok(Exit::Failed);
        }
        print("not paused: the service has imposed no pause that is in force\n")?;
        return Ok(Exit::Done);
    };
    let ImposedPause { until, reason } = pause;
    let task = Task {
        ledger,
        owner,
        order: Order::PauseLift { until, by: user() },
        records: &|ledger| {
            let lifted = Record::PauseLifted { at: Clock::start().now(), pause, by: user() };
            if ledger.pause == Some(pause) { vec![lifted] } else { Vec::new() }
        },
        outcome: &|ledger| match ledger.as_ref().and_then(remembered) {
            None => Some(Lifted::Yes),
            Some(another) => (another != pause).then_some(Lifted::ForAnother(another)),
        },
        command: &format!("resume --pause{}", place.options()),
    };
    match task.carry_out()? {
        Lifted::Yes => print(&format!(
            "resumed: the pause until {until} ({reason}) is lifted; one request goes first, as a probe\n"
        ))?,
        Lifted::ForAnother(ImposedPause { until: another, reason }) => {
            complain(&format!(
                "the service has imposed another pause, until {another} ({reason}), in the place of the one until \
                 {until}; ask again to lift it"
            ));
            return Ok(Exit::Failed);
        }
    }
    if let Some(freeze) = switch::read(ledger)?.filter(|freeze| !freeze.is_over(Clock::start().now())) {
        let options = place.options();
        note(&format!("all reconciling is still {freeze}; zoho-mail-reconciler resume{options} ends that"));
    }
    Ok(Exit::Done)
}

/// What became of a pause.
enum Lifted {
    Yes,
    /// Another one is in its place.
    ForAnother(ImposedPause),
}
