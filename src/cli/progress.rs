//! The progress of `apply` on a terminal: how much is done, and how long the rest will take.
//!
//! Invariant: a terminal that takes no output holds up this bar, and neither a PUT nor the end.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::count;
use crate::clock::Clock;
use crate::report::Report;
use crate::telemetry;
use crate::throttle::RateLimit;

/// How often the bar is drawn: fast enough to look alive.
const REDRAW: Duration = Duration::from_millis(200);

/// How long the end waits for a terminal that takes no output.
const GRACE: Duration = Duration::from_secs(1);

/// Draws a bar from `reports` until `done`. Nothing is drawn where standard error is no terminal.
pub(super) fn show(
    reports: watch::Receiver<Report>,
    limit: Option<RateLimit>,
    clock: Clock,
    done: CancellationToken,
) -> impl Future<Output = ()> {
    // On a thread of its own: to draw is to write, and may block.
    let runtime = Handle::current();
    let task = tokio::task::spawn_blocking(move || runtime.block_on(keep_drawing(reports, limit, clock, done)));
    // A bar that failed to draw is no reason to fail.
    async move { drop(tokio::time::timeout(GRACE, task).await) }
}

async fn keep_drawing(
    reports: watch::Receiver<Report>,
    limit: Option<RateLimit>,
    clock: Clock,
    done: CancellationToken,
) {
    let bar = ProgressBar::new(0);
    if bar.is_hidden() {
        return;
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    while !done.is_cancelled() {
        // Until the plan is made there is nothing to show.
        if reports.borrow().planned > 0 {
            telemetry::share_terminal(&bar);
            let report = reports.borrow().clone();
            draw(&bar, &report, limit, &clock);
        }
        tokio::select! {
            () = done.cancelled() => {}
            () = tokio::time::sleep(REDRAW) => {}
        }
    }
    bar.finish_and_clear();
}

fn draw(bar: &ProgressBar, report: &Report, limit: Option<RateLimit>, clock: &Clock) {
    let now = clock.now();
    let held_changes = report.held_changes();
    let left = report.pending_changes.total().saturating_sub(held_changes);
    bar.set_length(report.planned as u64);
    bar.set_position(report.totals.applied);
    let held = (report.held > 0)
        .then(|| format!("{} of {} held", count(held_changes, "change"), count(report.held, "account")));
    let wait = match (report.pause, limit) {
        (Some(pause), _) => Some(format!("paused by the service for {}", round(pause.until.since(now)))),
        (None, Some(limit)) => Some(format!("about {} left at {limit}", round(estimate(left, limit)))),
        (None, None) => None,
    };
    let parts: Vec<_> = std::iter::once("applied".to_owned()).chain(held).chain(wait).collect();
    bar.set_message(parts.join(", "));
}

/// Pending requests / budget.
fn estimate(left: usize, limit: RateLimit) -> Duration {
    limit.per.mul_f64(left as f64 / f64::from(limit.count))
}

fn round(duration: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(duration.as_secs().max(1)))
}
