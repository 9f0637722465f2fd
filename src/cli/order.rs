//! Carries out what an operator orders of the ledger, which one process has at a time.
//!
//! If that is the daemon, the command leaves it an [`Order`] and waits until the ledger says that it was carried out; if
//! there is none, it writes the records itself. So what a command prints is durable, and if the daemon is killed in
//! between, it asks again.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::geteuid;

use super::engine;
use crate::account::printable;
use crate::freeze::NOTICED;
use crate::ledger::file::{self, LedgerError};
use crate::ledger::{Ledger, Owner, Record};
use crate::order::Order;
use crate::switch;

/// How long the process that has the ledger may take: it looks every second, and the disk may be slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the ledger is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// What is ordered, and how to tell that it was carried out.
pub(super) struct Task<'a, T> {
    /// Where the ledger is.
    pub(super) ledger: &'a Path,
    /// Whose it is.
    pub(super) owner: Owner,
    /// For the process that has it.
    pub(super) order: Order,
    /// What has to be written where there is none.
    pub(super) records: &'a dyn Fn(&Ledger) -> Vec<Record>,
    /// What the ledger says became of it; `None` while it was not carried out.
    pub(super) outcome: &'a dyn Fn(Option<Ledger>) -> Option<T>,
    /// What an operator types, for an advice.
    pub(super) command: &'a str,
}

impl<T> Task<'_, T> {
    /// Carries it out, and says what became of it.
    pub(super) fn carry_out(&self) -> anyhow::Result<T> {
        if self.alone()?
            && let Some(outcome) = self.look()?
        {
            return Ok(outcome);
        }
        let outcome = self.by_order();
        // What was not taken in time must not take effect when it is no longer meant.
        let _ = switch::order::withdraw(self.ledger, &self.order);
        outcome
    }

    fn look(&self) -> Result<Option<T>, LedgerError> {
        file::read(self.ledger, None).map(self.outcome)
    }

    /// Whether this user's files are of use to the one who runs the daemon, which could not read what root writes.
    fn is_ours(&self) -> bool {
        fs::metadata(self.ledger).is_ok_and(|file| file.uid() == geteuid().as_raw())
    }

    /// Writes the records if no process has the ledger. Whether that is so.
    fn alone(&self) -> Result<bool, LedgerError> {
        if !self.is_ours() {
            return Ok(false);
        }
        match engine::amend(self.ledger, self.owner, self.records) {
            Ok(()) => Ok(true),
            Err(LedgerError::InUse { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has the process that has the ledger carry it out.
    fn by_order(&self) -> anyhow::Result<T> {
        let file = printable::path(&switch::order::path(self.ledger));
        let (begun, mut ordered) = (Instant::now(), None);
        while begun.elapsed() < PATIENCE {
            if let Some(outcome) = self.look()? {
                return Ok(outcome);
            }
            // Again from time to time: the process may have ended with the order in its hands, and none may have followed.
            let is_due = ordered.is_none_or(|at: Instant| at.elapsed() >= 2 * NOTICED);
            if is_due && !(ordered.is_some() && self.alone()?) {
                // Orders are taken one by one; another one's is not replaced.
                if !switch::order::is_left(self.ledger) {
                    switch::order::leave(self.ledger, &self.order)
                        .with_context(|| format!("{file}: cannot be written"))?;
                }
                ordered = Some(Instant::now());
            }
            std::thread::sleep(LOOK);
        }
        let within = humantime::format_duration(PATIENCE);
        if self.is_ours() {
            bail!("the process that has the ledger has not carried this out within {within}; see what it logs");
        }
        let uid = fs::metadata(self.ledger).map(|file| file.uid()).unwrap_or_default();
        bail!(
            "no process has carried this out within {within}. If none runs, ask as the user to whom the ledger belongs: \
             sudo -u '#{uid}' zoho-mail-reconciler {}",
            self.command
        )
    }
}
