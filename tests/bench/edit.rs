//! One edit to its PUT, under a daemon that watches.
//!
//! In: a folder, and the ledger in which all of it is applied. Out: how long the PUTs took beyond the debounce, how many
//! bytes the journal grew by each, and the daemon's peak memory before the first edit.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::child::Daemon;
use super::folder::{Account, Folder};
use super::service::Service;
use super::table;

/// Edits that are measured, after one that is not: the first finds caches cold and the journal without its head.
const EDITS: u64 = 15;

/// How long an acknowledgement may take to the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// The daemon's default.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// What it came to.
pub struct Edit {
    pub median: Duration,
    pub worst: Duration,
    pub journal: f64,
    pub peak_idle: u64,
}

pub fn measure(folder: &Folder, ledger: &Path, service: &Service) -> anyhow::Result<Edit> {
    let daemon = Daemon::start(service, &folder.root, ledger)?;
    let edit = |number: u64| -> anyhow::Result<Duration> {
        // All over the folder.
        let account = Account(number * folder.accounts / (EDITS + 1));
        let before = service.applied();
        let begun = folder.edit(account, !account.active_sync())?;
        let took = service.wait(before, 1)?.last.duration_since(begun);
        Ok(took.saturating_sub(DEBOUNCE))
    };
    edit(0)?;
    // Watching begins only after the first look; by the time of the first PUT that is long past.
    let peak_idle = daemon.peak()?;
    let journal = ledger.with_extension("json.journal");
    let before = settled(&journal)?;
    let mut took = (1..=EDITS).map(edit).collect::<anyhow::Result<Vec<_>>>()?;
    let grown = settled(&journal)? - before;
    daemon.stop()?;
    took.sort_unstable();
    Ok(Edit {
        median: table::median(&took).unwrap_or_default(),
        worst: took.last().copied().unwrap_or_default(),
        journal: grown as f64 / EDITS as f64,
        peak_idle,
    })
}

/// The journal's length once it holds the last acknowledgement, which comes a moment after the PUT.
fn settled(journal: &Path) -> anyhow::Result<u64> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let text = fs::read_to_string(journal)?;
        if text.lines().last().is_some_and(|line| line.contains(r#""op":"applied""#)) {
            return Ok(text.len() as u64);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("the journal does not get an acknowledgement")
}

/// Peak memory of a daemon that has no accounts at all, in bytes.
pub fn idle_peak(service: &Service, scratch: &Path) -> anyhow::Result<u64> {
    let folder = scratch.join("empty");
    fs::create_dir_all(&folder)?;
    let daemon = Daemon::start(service, &folder, &scratch.join("empty.json"))?;
    let peak = daemon.peak()?;
    daemon.stop()?;
    Ok(peak)
}
