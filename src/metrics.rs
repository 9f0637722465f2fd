//! Prometheus metrics.
//!
//! In: what the conductor counts, and its [`Report`]. Out: the text of `/metrics`.
//! Invariants: names are a promise to dashboards; labels come from closed sets, never from names,
//! ids or addresses; gauges are read from one report, so they fit together.

mod gauges;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};

use self::gauges::{Gauges, SecondsGauge, unix};
use crate::change::Outcome;
use crate::report::Report;
use crate::throttle::Wait;
use crate::timestamp::Timestamp;
use crate::version::COMMIT;

/// Prefix of every metric.
pub const PREFIX: &str = "zoho_mail_reconciler";

type Labels<const N: usize> = [(&'static str, String); N];
type Seconds = Counter<f64, AtomicU64>;
type Histograms = Family<Labels<1>, Histogram, fn() -> Histogram>;

/// 1 ms to about 30 s, the default request timeout, in steps of two.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

/// 10 ms to about 3 h: with 25 requests a minute a bulk change of thousands waits for hours.
fn long_seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 4.0, 11))
}

/// Everything that is counted, and the registry that prints it.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<Labels<1>, Counter>,
    reconcile_errors: Family<Labels<1>, Counter>,
    reconcile_duration: Histogram,
    queue_adds: Counter,
    queue_retries: Counter,
    queue_wait: Histogram,
    api_requests: Family<Labels<2>, Counter>,
    api_duration: Histograms,
    api_paused: Family<Labels<1>, Seconds>,
    token_refreshes: Family<Labels<1>, Counter>,
    notifications: Family<Labels<1>, Counter>,
    disruptions_approved: Counter,
    ledger_commit: Histogram,
    ledger_failures: Counter,
    log_lines_dropped: Counter,
    started: SecondsGauge,
    last_applied: SecondsGauge,
    gauges: Gauges,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let r = &mut registry;
        let build: Family<Labels<2>, Gauge> =
            register(r, "build_info", "Always 1; version and commit are labels", Family::default());
        let labels = [("version", env!("CARGO_PKG_VERSION").into()), ("commit", COMMIT.into())];
        build.get_or_create(&labels).set(1);
        Self {
            reconciles: register(r, "reconcile", "Attempts at one change, by how they ended", Family::default()),
            reconcile_errors: register(r, "reconcile_errors", "Attempts that failed, by reason", Family::default()),
            reconcile_duration: register(
                r,
                "reconcile_duration_seconds",
                "From the intent of a change to its end",
                seconds(),
            ),
            queue_adds: register(r, "workqueue_adds", "Accounts queued by an edit or a resync", Counter::default()),
            queue_retries: register(
                r,
                "workqueue_retries",
                "Accounts queued again after a failure",
                Counter::default(),
            ),
            queue_wait: register(
                r,
                "workqueue_queue_duration_seconds",
                "How long an account was ready before its turn",
                long_seconds(),
            ),
            api_requests: register(
                r,
                "api_requests",
                "Requests to the service, by operation and HTTP status or kind of failure",
                Family::default(),
            ),
            api_duration: register(
                r,
                "api_request_duration_seconds",
                "How long the service took",
                Family::new_with_constructor(seconds as fn() -> Histogram),
            ),
            api_paused: register(
                r,
                "api_paused_seconds",
                "How long work waited for permission to start a request",
                Family::default(),
            ),
            token_refreshes: register(
                r,
                "token_refreshes",
                "Requests for an access token, by how they ended",
                Family::default(),
            ),
            notifications: register(r, "notifications", "Notifications, by how they ended", Family::default()),
            disruptions_approved: register(
                r,
                "disruptions_approved",
                "Disruptions applied that an approval covered",
                Counter::default(),
            ),
            ledger_commit: register(
                r,
                "ledger_commit_duration_seconds",
                "How long a group of records took to become durable",
                Histogram::new(exponential_buckets(0.000_05, 2.0, 16)),
            ),
            ledger_failures: register(
                r,
                "ledger_commit_failures",
                "Groups of records that could not be written",
                Counter::default(),
            ),
            log_lines_dropped: register(
                r,
                "log_lines_dropped",
                "Lines of the log that did not reach standard error",
                Counter::default(),
            ),
            started: register(
                r,
                "start_timestamp_seconds",
                "When this process began, in Unix time",
                SecondsGauge::default(),
            ),
            last_applied: register(
                r,
                "last_applied_timestamp_seconds",
                "When this process last had a change acknowledged, in Unix time; 0 if it never had",
                SecondsGauge::default(),
            ),
            gauges: Gauges::new(r),
            registry,
        }
    }

    /// The process began.
    pub fn started(&self, now: Timestamp) {
        self.started.set(unix(Some(now)).as_secs_f64());
    }

    /// One attempt at a change ended at `now`.
    pub fn reconciled(&self, outcome: &Outcome, took: Duration, now: Timestamp) {
        if *outcome == Outcome::Applied {
            self.last_applied.set(unix(Some(now)).as_secs_f64());
        }
        self.reconciles.get_or_create(&[("result", outcome.label().into())]).inc();
        if let Some(failure) = outcome.failure() {
            self.reconcile_errors.get_or_create(&[("reason", failure.reason.as_str().into())]).inc();
        }
        self.reconcile_duration.observe(took.as_secs_f64());
    }

    /// So many accounts were queued by an edit or a resync.
    pub fn queue_added(&self, accounts: usize) {
        self.queue_adds.inc_by(accounts as u64);
    }

    /// An account was queued again after a failure.
    pub fn queue_retried(&self) {
        self.queue_retries.inc();
    }

    /// An account's turn came.
    pub fn queue_waited(&self, waited: Duration) {
        self.queue_wait.observe(waited.as_secs_f64());
    }

    /// A request ended with `code`: an HTTP status, or the kind of failure.
    pub fn api_request(&self, operation: &'static str, code: impl fmt::Display, took: Duration) {
        self.api_requests.get_or_create(&[("operation", operation.into()), ("code", code.to_string())]).inc();
        self.api_duration.get_or_create(&[("operation", operation.into())]).observe(took.as_secs_f64());
    }

    /// Work waited for permission to start a request.
    pub fn waited(&self, why: Wait, how_long: Duration) {
        self.api_paused.get_or_create(&[("reason", why.label().into())]).inc_by(how_long.as_secs_f64());
    }

    /// A token request ended.
    pub fn token_answered(&self, result: &'static str) {
        self.token_refreshes.get_or_create(&[("result", result.into())]).inc();
    }

    /// A notification was `sent`, an attempt `failed`, or it was `dropped`, being no news any more.
    pub fn notified(&self, result: &'static str) {
        self.notifications.get_or_create(&[("result", result.into())]).inc();
    }

    /// A group of records became durable.
    pub fn ledger_committed(&self, took: Duration) {
        self.ledger_commit.observe(took.as_secs_f64());
    }

    /// A group of records could not be written.
    pub fn ledger_commit_failed(&self) {
        self.ledger_failures.inc();
    }

    /// So many lines of the log were dropped since the process began.
    pub fn log_lines_dropped(&self, total: u64) {
        self.log_lines_dropped.inner().fetch_max(total, Ordering::Relaxed);
    }

    /// A disruption was applied that an approval covered.
    pub fn disruption_approved(&self) {
        self.disruptions_approved.inc();
    }

    /// The metrics at `now` in OpenMetrics text.
    pub fn open_metrics(&self, report: &Report, now: Timestamp) -> String {
        self.gauges.set(report, now);
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// The metrics at `now` in the classic Prometheus text format, which names counters in full.
    pub fn text(&self, report: &Report, now: Timestamp) -> String {
        let open = self.open_metrics(report, now);
        let counters: Vec<_> = open
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter").map(|name| format!(" {name} ")))
            .collect();
        let mut text = String::new();
        for line in open.lines().filter(|line| !line.starts_with("# EOF") && !line.starts_with("# UNIT")) {
            match counters.iter().find(|name| line.starts_with('#') && line.contains(name.as_str())) {
                Some(name) => text.push_str(&line.replacen(name.as_str(), &format!(" {}_total ", name.trim()), 1)),
                None => text.push_str(line),
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classic_text_names_counters_in_full_and_has_no_open_metrics_lines() {
        let metrics = Metrics::new();
        metrics.reconciled(&Outcome::Applied, Duration::from_millis(3), Timestamp::from_millis(0));
        let report = Report { queued: 7, ..Report::default() };
        let text = metrics.text(&report, Timestamp::from_millis(0));
        for line in [
            "# TYPE zoho_mail_reconciler_reconcile_total counter",
            "zoho_mail_reconciler_reconcile_total{result=\"applied\"} 1",
            "# TYPE zoho_mail_reconciler_workqueue_depth gauge",
            "zoho_mail_reconciler_workqueue_depth 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
        assert!(metrics.open_metrics(&report, Timestamp::from_millis(0)).ends_with("# EOF\n"));
    }
}
