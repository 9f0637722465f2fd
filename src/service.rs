//! What the service manager is told: ready, alive, reloading, stopping.
//!
//! In: the conductor's [`Report`]. Out: datagrams to systemd, where it asked for them.
//! Invariants: `READY=1` comes after the lock, the ledger and the first look at the folder, not
//! after the first answer of the service; `WATCHDOG=1` comes only while the loop turns; a manager that does not listen holds
//! up its own task alone.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::clock::Clock;
use crate::report::Report;

/// How often the manager hears of us at least: the status line is for people, who would take an old one for the truth.
const PERIOD: Duration = Duration::from_secs(5);

fn tell(states: &[NotifyState<'_>]) {
    // Without a manager nothing is sent; a lost datagram is followed by the next. Where too many wait already,
    // sending blocks.
    if let Err(error) = tokio::task::block_in_place(|| sd_notify::notify(states)) {
        debug!(%error, "the service manager was not reached");
    }
}

/// Keeps the manager informed until `stop`.
pub fn tell_manager(reports: watch::Receiver<Report>, clock: Clock, stop: CancellationToken) {
    tokio::spawn(inform(reports, clock, stop, sd_notify::watchdog_enabled(), tell));
}

/// With a watchdog, `limit` is how long it waits for a sign of life before it ends the process.
async fn inform(
    mut reports: watch::Receiver<Report>,
    clock: Clock,
    stop: CancellationToken,
    limit: Option<Duration>,
    tell: impl Fn(&[NotifyState<'_>]),
) {
    tokio::select! {
        _ = reports.wait_for(|report| report.loaded || report.desired_unknown.is_some()) => {}
        () = stop.cancelled() => return,
    }
    tell(&[NotifyState::Ready]);
    // Half the watchdog's time, as systemd recommends: a loop that stands still is found out after that, and ended after
    // one and a half of it.
    let patience = limit.map_or(PERIOD, |limit| limit / 2);
    loop {
        let (alive, line) = {
            let report = reports.borrow();
            (clock.now().since(report.turned_at) < patience, line(&report))
        };
        let mut states = vec![NotifyState::Status(&line)];
        states.extend(alive.then_some(NotifyState::Watchdog));
        tell(&states);
        tokio::select! {
            () = tokio::time::sleep(patience.min(PERIOD)) => {}
            () = stop.cancelled() => break,
        }
    }
    tell(&[NotifyState::Stopping]);
}

/// How long a reload may take before the manager is told that it is over all the same.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);

/// Tells the manager that everything is read again, as `Type=notify-reload` wants it on SIGHUP, and
/// when that is done.
pub fn reload(mut reports: watch::Receiver<Report>) -> impl Future<Output = ()> {
    // Of now: the folder may be read again before the rest begins.
    let before = reports.borrow().last_sync;
    async move {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => debug!(%error, "no monotonic time for the service manager"),
        }
        let read_again = reports.wait_for(|report| report.last_sync > before);
        // Late or not, the daemon goes on working.
        drop(tokio::time::timeout(RELOAD_PATIENCE, read_again).await);
        tell(&[NotifyState::Ready]);
    }
}

fn line(report: &Report) -> String {
    let Report { managed, pending, held, rejected, .. } = report;
    let counts = format!("{managed} accounts, {pending} pending, {held} held, {rejected} rejected");
    let told = report.not_ready().or_else(|| report.suspended.as_ref().map(ToString::to_string));
    told.map_or_else(|| counts.clone(), |why| format!("{counts}; {why}"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::timestamp::Timestamp;

    /// What the unit gives the watchdog.
    const LIMIT: Duration = Duration::from_secs(60);

    const T0: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    type Heard = Arc<Mutex<Vec<Timestamp>>>;

    /// A manager that writes down when it hears a word.
    fn manager(clock: Clock, word: &'static str) -> (Heard, impl Fn(&[NotifyState<'_>])) {
        let heard = Heard::default();
        let writes = Arc::clone(&heard);
        let told = move |states: &[NotifyState<'_>]| {
            if states.iter().any(|state| state.to_string() == word) {
                writes.lock().unwrap().push(clock.now());
            }
        };
        (heard, told)
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_turns_feeds_the_watchdog_in_time_and_one_that_stands_still_does_not() {
        let clock = Clock::start_at(T0);
        let (turns, reports) = watch::channel(Report { loaded: true, turned_at: clock.now(), ..Report::default() });
        let (heard, told) = manager(clock.clone(), "WATCHDOG=1");
        let task = tokio::spawn(inform(reports, clock.clone(), CancellationToken::new(), Some(LIMIT), told));
        let begun = clock.now();
        for _ in 0..600 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            turns.send_modify(|report| report.turned_at = clock.now());
        }
        let stuck = clock.now();
        // The process lives on, and so does the task that tells the manager.
        tokio::time::sleep(LIMIT * 10).await;
        assert!(!task.is_finished());
        let mut heard = heard.lock().unwrap().clone();
        heard.insert(0, begun);
        let waited = heard.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap();
        assert!(waited <= LIMIT / 2, "the watchdog waited {waited:?}");
        let last = *heard.last().unwrap();
        assert!(
            stuck.since(last) < LIMIT / 2 && last.since(stuck) <= LIMIT / 2,
            "last sign of life: {last}, stuck at {stuck}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn ready_waits_for_the_first_look_and_comes_as_well_where_the_folder_cannot_be_read() {
        let clock = Clock::start_at(T0);
        let (looks, reports) = watch::channel(Report::default());
        let (heard, told) = manager(clock.clone(), "READY=1");
        tokio::spawn(inform(reports, clock, CancellationToken::new(), None, told));
        tokio::time::sleep(LIMIT).await;
        assert_eq!(heard.lock().unwrap().len(), 0);
        looks.send_modify(|report| report.desired_unknown = Some("no such folder".into()));
        tokio::time::sleep(LIMIT).await;
        assert_eq!(heard.lock().unwrap().len(), 1);
    }
}
