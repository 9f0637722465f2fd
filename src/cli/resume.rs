//! `resume`: lifts a suspension, or with `--pause` the pause that the service imposed. Sends nothing.
//!
//! A suspension is a file, and lifting it removes the file. A pause stands in the ledger, which one process has at a time.
//! If that is the daemon, the command leaves it an order and waits until the ledger says that the pause is lifted; if there
//! is none, it writes that itself. So what it prints is durable, and if the daemon is killed in between, it asks again.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use rustix::process::geteuid;

use super::suspend::user;
use super::{Exit, complain, engine, note, print};
use crate::account::printable;
use crate::clock::Clock;
use crate::config::LedgerPlace;
use crate::freeze::NOTICED;
use crate::ledger::file::{self, LedgerError};
use crate::ledger::{ImposedPause, Ledger, Owner, Record};
use crate::switch;
use crate::throttle::LiftOrder;

/// How long the process that has the ledger may take to lift the pause: it looks every second, and the disk may be slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the ledger is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(50);

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
        let ledger = self.place.file();
        if self.pause { lift_pause(&ledger) } else { lift_suspension(&ledger) }
    }
}

fn lift_suspension(ledger: &Path) -> anyhow::Result<Exit> {
    let file = printable::path(&switch::path(ledger));
    let before = switch::read(ledger).ok().flatten();
    let lifted = switch::lift(ledger).with_context(|| format!("{file}: cannot be removed"))?;
    print(&match (lifted, before) {
        (true, Some(freeze)) => format!("resumed; it was {freeze}\n"),
        (true, None) => "resumed\n".to_owned(),
        (false, _) => format!("not suspended: there is no {file}\n"),
    })?;
    Ok(Exit::Done)
}

/// The pause that the ledger remembers, as it is written there, and whose ledger it is.
fn remembered(ledger: &Path) -> Result<Option<(Owner, ImposedPause)>, LedgerError> {
    let now = Clock::start().now();
    let found = file::read(ledger, None)?;
    Ok(found.and_then(|ledger| Some((ledger.owner, ledger.pause.filter(|pause| pause.until > now)?))))
}

fn lift_pause(ledger: &Path) -> anyhow::Result<Exit> {
    let Some((owner, pause)) = remembered(ledger)? else {
        print("not paused: the service has imposed no pause that is in force\n")?;
        return Ok(Exit::Done);
    };
    let alone = if lift_alone(ledger, owner, pause)? { lifted(ledger, pause)? } else { None };
    let lifted = match alone {
        Some(lifted) => lifted,
        None => {
            let lifted = lift_by_order(ledger, owner, pause);
            // What was not taken in time must not take effect when it is no longer meant.
            let _ = switch::lift::withdraw(ledger);
            lifted?
        }
    };
    let ImposedPause { until, reason } = pause;
    match lifted {
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
        note(&format!("all reconciling is still {freeze}; zoho-mail-reconciler resume ends that"));
    }
    Ok(Exit::Done)
}

/// What became of a pause.
enum Lifted {
    Yes,
    /// Another one is in its place.
    ForAnother(ImposedPause),
}

/// What has become of `pause`; nothing while it is in force.
fn lifted(ledger: &Path, pause: ImposedPause) -> Result<Option<Lifted>, LedgerError> {
    Ok(match remembered(ledger)? {
        None => Some(Lifted::Yes),
        Some((_, now)) => (now != pause).then_some(Lifted::ForAnother(now)),
    })
}

/// Whether this user's files are of use to the one who runs the daemon, which could not read what root writes.
fn is_ours(ledger: &Path) -> bool {
    fs::metadata(ledger).is_ok_and(|file| file.uid() == geteuid().as_raw())
}

/// Lifts the pause if no process has the ledger. Whether that is so.
fn lift_alone(ledger: &Path, owner: Owner, pause: ImposedPause) -> Result<bool, LedgerError> {
    if !is_ours(ledger) {
        return Ok(false);
    }
    let written = engine::amend(ledger, owner, |ledger: &Ledger| {
        let at = Clock::start().now();
        (ledger.pause == Some(pause)).then(|| Record::PauseLifted { at, pause, by: user() })
    });
    match written {
        Ok(_) => Ok(true),
        Err(LedgerError::InUse { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Has the process that has the ledger lift the pause.
fn lift_by_order(ledger: &Path, owner: Owner, pause: ImposedPause) -> anyhow::Result<Lifted> {
    let file = printable::path(&switch::lift::path(ledger));
    let order = LiftOrder { until: pause.until, by: user() };
    let (begun, mut ordered) = (Instant::now(), None);
    while begun.elapsed() < PATIENCE {
        if let Some(lifted) = lifted(ledger, pause)? {
            return Ok(lifted);
        }
        // Again from time to time: the process may have ended with the order in its hands, and none may have followed it.
        let is_due = ordered.is_none_or(|at: Instant| at.elapsed() >= 2 * NOTICED);
        if is_due && !(ordered.is_some() && lift_alone(ledger, owner, pause)?) {
            switch::lift::order(ledger, &order).with_context(|| format!("{file}: cannot be written"))?;
            ordered = Some(Instant::now());
        }
        std::thread::sleep(LOOK);
    }
    let within = humantime::format_duration(PATIENCE);
    if is_ours(ledger) {
        bail!("the process that has the ledger has not lifted the pause within {within}; see what it logs");
    }
    let uid = fs::metadata(ledger).map(|file| file.uid()).unwrap_or_default();
    bail!(
        "no process has lifted the pause within {within}. If none runs, ask as the user to whom the ledger belongs: \
         sudo -u '#{uid}' zoho-mail-reconciler resume --pause"
    )
}
