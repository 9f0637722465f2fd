//! The soak: the daemon itself under churn and faults, for as long as one likes, and what it costs stays flat.
//!
//! In: `SOAK_MINUTES` (2 by default; fractions too), `SOAK_SEED`, `SOAK_CALM` (0: it ends with the table). Out: a
//! Markdown table on standard output, one line a resource: its size at the start, the middle and the end, the limit and
//! why, and whether it held.
//! Some 500 accounts in a real folder are edited, broken, removed, reverted, rewritten as git does it, and lost with
//! their folder, while the simulated service in this process drops, refuses, throttles, delays and forgets; the
//! daemon is hung up on and all its pages are read. Then nothing goes wrong any more, and it must show: the world is
//! as desired, a resync asks for nothing, and SIGTERM ends it with 0.
//! Deliberately absent: whether each step on the way was right. The simulation and the fault matrix have that.

#[allow(dead_code, clippy::unwrap_used, reason = "shared with the integration tests, which use all of it")]
#[path = "../it/builders.rs"]
mod builders;
mod churn;
mod daemon;
#[allow(dead_code, reason = "shared with the integration tests, which use all of it")]
#[path = "../it/depth.rs"]
mod depth;
mod misfortune;
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the integration tests, which use all of it")]
#[path = "../it/process.rs"]
mod process;
mod samples;
mod table;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::Signal;
use zoho_mail_reconciler::sandbox::Script;

use churn::Churn;
use daemon::Daemon;
use process::{Rig, wait_for};
use samples::Sample;

/// How long it takes unless told otherwise, in minutes: what a pipeline bears.
const MINUTES: f64 = 2.0;

/// How many samples are taken, however long it takes: 30 a quarter make a median that one outlier does not move.
const SAMPLES: u32 = 120;

/// The pause between two edits: with it some hundred accounts change each second.
const STEP: Duration = Duration::from_millis(20);

/// How often another thing goes wrong, all pages are read, and the daemon is hung up on.
const MISFORTUNE: Duration = Duration::from_secs(2);
const SCRAPE: Duration = Duration::from_millis(500);
const HANG_UP: Duration = Duration::from_secs(7);

/// How long it may take until all is right when nothing goes wrong any more: the breaker's longest pause and a token's.
const PATIENCE: Duration = Duration::from_secs(660);

fn number<T: std::str::FromStr>(variable: &str, usual: T) -> anyhow::Result<T> {
    match std::env::var(variable) {
        Ok(text) => text.parse().ok().with_context(|| format!("{variable}: expected a number, found {text:?}")),
        Err(_) => Ok(usual),
    }
}

fn main() -> anyhow::Result<()> {
    let length = Duration::try_from_secs_f64(60.0 * number("SOAK_MINUTES", MINUTES)?).context("SOAK_MINUTES")?;
    let seed = number("SOAK_SEED", 1)?;
    eprintln!("soak: {:.0} s with SOAK_SEED={seed}", length.as_secs_f64());
    // On the disk: what the ledger costs there is part of what is watched.
    let rig = Rig::within(tempfile::TempDir::new()?, 0, misfortune::service());
    let mut churn = Churn::new(&rig, seed)?;
    let mut daemon = Daemon::start(&rig)?;
    wait_for("the first convergence", || churn.is_done(&rig).then_some(()));
    let samples = live(&rig, &mut churn, &mut daemon, length)?;
    let table = table::Table::of(&samples);
    println!("{table}");
    ensure!(table.holds(), "not flat; SOAK_SEED={seed}. The end of its log:\n{}", daemon.last_words());
    if number("SOAK_CALM", 1)? == 0 {
        return Ok(());
    }
    let puts = calm(&rig, &mut churn, &mut daemon)?;
    println!("{} edits, {} requests, of which {puts} after the last fault", churn.causes, rig.world().requests_total());
    Ok(())
}

/// Churn, faults and samples, until the time is up.
fn live(rig: &Rig, churn: &mut Churn, daemon: &mut Daemon, length: Duration) -> anyhow::Result<Vec<Sample>> {
    let (begun, mut samples) = (Instant::now(), Vec::new());
    let mut due = [begun; 4];
    let mut tokens_at = begun;
    while begun.elapsed() < length {
        let now = Instant::now();
        let mut is_due = |which: usize, every: Duration| {
            let is_due = due[which] <= now;
            due[which] = if is_due { now + every } else { due[which] };
            is_due
        };
        if is_due(0, MISFORTUNE) {
            let token = tokens_at + misfortune::TOKEN_LIFE <= now;
            tokens_at = if token { now } else { tokens_at };
            rig.world().set_faults(misfortune::draw(&mut churn.chance, token)?);
            churn.causes += 1;
        }
        if is_due(1, SCRAPE) {
            daemon.read_pages();
        }
        if is_due(2, HANG_UP) {
            daemon.signal(Signal::HUP)?;
            churn.causes += 1;
        }
        if is_due(3, length / SAMPLES) {
            samples.push(Sample::take(rig, churn, daemon).context("a sample of a daemon that has died?")?);
        }
        churn.step()?;
        std::thread::sleep(STEP);
    }
    Ok(samples)
}

/// Nothing goes wrong any more. Returns how many requests it took to get everything right.
fn calm(rig: &Rig, churn: &mut Churn, daemon: &mut Daemon) -> anyhow::Result<u64> {
    let before = rig.world().requests_total();
    rig.world().set_faults(Script::default());
    churn.repair()?;
    let (begun, mut tried) = (Instant::now(), Instant::now());
    while !(churn.is_done(rig) && daemon.is_idle()?) {
        // What was rejected waits for a resync.
        if tried.elapsed() > HANG_UP {
            tried = Instant::now();
            daemon.signal(Signal::HUP)?;
        }
        let (differ, last) = (churn.differs(rig), || daemon.last_words());
        ensure!(begun.elapsed() < PATIENCE, "accounts {differ:?} are wrong, {:?}\n{}", daemon.report(), last());
        std::thread::sleep(STEP);
    }
    let done = rig.world().requests_total();
    let before_resync = daemon.last_sync();
    daemon.signal(Signal::HUP)?;
    wait_for("one more resync", || (daemon.last_sync() > before_resync && daemon.is_idle().ok()?).then_some(()));
    daemon.stop()?;
    ensure!(rig.world().requests_total() == done, "requests after all was done");
    ensure!(rig.applied().len() == 2 * churn.len(), "the ledger does not know all of it");
    Ok(done - before)
}
