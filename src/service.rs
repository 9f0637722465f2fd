//! What the service manager is told: ready, alive, reloading, stopping.
//!
//! In: the conductor's [`Report`]. Out: datagrams to systemd, where it asked for them.
//! Invariants: `READY=1` comes after the lock, the ledger and the first look at the folder, not
//! after the first answer of the service; `WATCHDOG=1` comes only while the loop turns.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::clock::Clock;
use crate::report::Report;

/// How often the manager hears of us where it has no watchdog.
const PERIOD: Duration = Duration::from_secs(5);

fn tell(states: &[NotifyState<'_>]) {
    // Without a manager there is nobody to tell; a lost datagram is followed by the next.
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager was not reached");
    }
}

/// Keeps the manager informed until `stop`.
pub fn tell_manager(mut reports: watch::Receiver<Report>, clock: Clock, stop: CancellationToken) {
    // Half the watchdog's time, as systemd recommends.
    let period = sd_notify::watchdog_enabled().map_or(PERIOD, |limit| limit / 2);
    tokio::spawn(async move {
        tokio::select! {
            _ = reports.wait_for(|report| report.loaded || report.desired_unknown.is_some()) => {}
            () = stop.cancelled() => return,
        }
        tell(&[NotifyState::Ready]);
        loop {
            let (alive, line) = {
                let report = reports.borrow();
                (clock.now().since(report.turned_at) < period, line(&report))
            };
            let mut states = vec![NotifyState::Status(&line)];
            states.extend(alive.then_some(NotifyState::Watchdog));
            tell(&states);
            tokio::select! {
                () = tokio::time::sleep(period) => {}
                () = stop.cancelled() => break,
            }
        }
        tell(&[NotifyState::Stopping]);
    });
}

/// How long a reload may take before the manager is told that it is over all the same.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);

/// Tells the manager that everything is read again, as `Type=notify-reload` wants it on SIGHUP, and
/// when that is done.
pub async fn reload(mut reports: watch::Receiver<Report>) {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "no monotonic time for the service manager"),
    }
    let before = reports.borrow().last_sync;
    let read_again = reports.wait_for(|report| report.last_sync > before);
    // Late or not, the daemon goes on working.
    drop(tokio::time::timeout(RELOAD_PATIENCE, read_again).await);
    tell(&[NotifyState::Ready]);
}

fn line(report: &Report) -> String {
    let Report { managed, pending, held, stalled, .. } = report;
    let counts = format!("{managed} accounts, {pending} pending, {held} held, {stalled} stalled");
    let told = report.not_ready().or_else(|| report.suspended.as_ref().map(ToString::to_string));
    told.map_or_else(|| counts.clone(), |why| format!("{counts}; {why}"))
}
