//! What can be read off one report: a table of gauges.
//!
//! In: the conductor's [`Report`] and the time. Out: the values of every gauge, which fit together.
//! Invariants: a gauge that says yes or no is 1 or 0; a moment is Unix time, and 0 is "none".

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Labels, register};
use crate::account::Field;
use crate::report::{Directions, Report};
use crate::timestamp::Timestamp;

pub(super) type SecondsGauge = Gauge<f64, AtomicU64>;

type Count = (&'static str, &'static str, fn(&Report) -> usize);
type Seconds = (&'static str, &'static str, fn(&Report, Timestamp) -> Duration);

/// Name, help and value of what is counted, or is so or not.
const COUNTS: [Count; 21] = [
    ("workqueue_depth", "Accounts that are queued or back off", |report| report.queued),
    ("workqueue_backing_off", "Accounts that wait after a failure", |report| report.backing_off),
    ("requests_in_flight", "Requests under way", |report| report.in_flight),
    ("manifest_problems", "Problems in manifests", |report| report.problems),
    ("desired_state_unknown", "1 while the folder cannot be read, or was not yet, else 0", |report| {
        usize::from(report.desired_unknown.is_some() || !report.loaded)
    }),
    ("watch_degraded", "1 while changes of the folder may go unnoticed until its next scan, else 0", |report| {
        usize::from(report.degraded.is_some())
    }),
    ("accounts_rejected", "Accounts of which the service rejected a change", |report| report.rejected),
    ("disruptions_held", "Accounts whose disruptions the budget holds", |report| report.held - report.held_grants),
    ("grants_held", "Accounts whose mailbox would come back, and that the grant budget holds", |report| {
        report.held_grants
    }),
    ("grants_recent", "Accounts whose mailbox came back within the window of the budget", |report| {
        report.grants.map_or(0, |grants| grants.applied)
    }),
    ("grant_limit", "Accounts whose mailbox may come back within the window; 0 without a grant budget", |report| {
        report.grants.map_or(0, |grants| grants.limit)
    }),
    ("disruptions_recent", "Accounts that lost something within the window of the budget", |report| {
        report.disruptions.applied
    }),
    ("disruption_limit", "Accounts that may lose something within the window, by the budget in force", |report| {
        report.disruptions.limit
    }),
    ("request_budget_used", "Requests that count against the request budget now", |report| report.request_budget.used),
    ("request_budget_limit", "How many may count at a time; 0 without a budget", |report| {
        report.request_budget.limit.map_or(0, |limit| limit as usize)
    }),
    ("suspended", "1 while an operator has suspended everything, else 0", |report| {
        usize::from(report.suspended.is_some())
    }),
    ("ledger_writable", "1 while the ledger can be written, else 0", |report| {
        usize::from(report.ledger_error.is_none())
    }),
    ("credentials_refused", "1 while the credentials do not work, else 0", |report| {
        usize::from(report.credentials_refused.is_some())
    }),
    ("service_failing", "1 while the service fails one account after the other, else 0", |report| {
        usize::from(report.service_failing.is_some())
    }),
    ("refused_alike", "1 while the service refuses one account after the other alike, else 0", |report| {
        usize::from(report.refused_alike.is_some())
    }),
    ("token_unavailable", "1 while no access token can be had though one is needed, else 0", |report| {
        usize::from(report.token_unavailable.is_some())
    }),
];

/// Name, help and value of what is a time.
const SECONDS: [Seconds; 3] = [
    ("oldest_unapplied_change_seconds", "How long the oldest change has been waiting; 0 if none is", |report, now| {
        report.oldest_pending.map_or(Duration::ZERO, |since| now.since(since))
    }),
    ("last_sync_timestamp_seconds", "When the desired state was last read, in Unix time", |report, _| {
        unix(report.last_sync)
    }),
    (
        "paused_until_timestamp_seconds",
        "When the pause that the service imposed ends, in Unix time; 0 if there is none",
        |report, _| unix(report.pause.map(|pause| pause.until)),
    ),
];

/// Unix time; 0 for none.
pub(super) fn unix(moment: Option<Timestamp>) -> Duration {
    Duration::from_millis(moment.map_or(0, Timestamp::as_millis))
}

/// All gauges that are read off a report.
#[derive(Debug)]
pub(super) struct Gauges {
    counts: [Gauge; COUNTS.len()],
    seconds: [SecondsGauge; SECONDS.len()],
    accounts: Family<Labels<1>, Gauge>,
    pending_changes: Family<Labels<2>, Gauge>,
}

impl Gauges {
    pub(super) fn new(r: &mut Registry) -> Self {
        Self {
            counts: COUNTS.map(|(name, help, _)| register(r, name, help, Gauge::default())),
            seconds: SECONDS.map(|(name, help, _)| register(r, name, help, SecondsGauge::default())),
            accounts: register(r, "accounts", "Declared accounts, by condition", Family::default()),
            pending_changes: register(
                r,
                "plan_pending_changes",
                "Changes that are wanted and not acknowledged",
                Family::default(),
            ),
        }
    }

    pub(super) fn set(&self, report: &Report, now: Timestamp) {
        let whole = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        for (gauge, (_, _, read)) in self.counts.iter().zip(COUNTS) {
            gauge.set(whole(read(report)));
        }
        for (gauge, (_, _, read)) in self.seconds.iter().zip(SECONDS) {
            gauge.set(read(report, now).as_secs_f64());
        }
        for (condition, count) in report.conditions() {
            self.accounts.get_or_create(&[("condition", condition.into())]).set(whole(count));
        }
        for field in Field::ALL {
            let Directions { disable, enable } = report.pending_changes.of(field);
            for (direction, count) in [("disable", disable), ("enable", enable)] {
                let labels = [("field", field.as_str().into()), ("direction", direction.into())];
                self.pending_changes.get_or_create(&labels).set(whole(count));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Reason;
    use crate::ledger::ImposedPause;
    use crate::metrics::Metrics;

    /// The value of a metric without labels.
    fn value(report: &Report, name: &str) -> f64 {
        let text = Metrics::new().text(report, Timestamp::from_millis(90_000));
        let start = format!("zoho_mail_reconciler_{name} ");
        text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
    }

    #[test]
    fn all_is_well_and_each_trouble_are_told_apart() {
        let some = || Some("why".to_owned());
        let well = || Report { loaded: true, ..Report::default() };
        let pause = ImposedPause { until: Timestamp::from_millis(120_000), reason: Reason::Throttled };
        for (name, calm, trouble, report) in [
            ("ledger_writable", 1.0, 0.0, Report { ledger_error: some(), ..well() }),
            ("credentials_refused", 0.0, 1.0, Report { credentials_refused: some(), ..well() }),
            ("service_failing", 0.0, 1.0, Report { service_failing: some(), ..well() }),
            ("refused_alike", 0.0, 1.0, Report { refused_alike: some(), ..well() }),
            ("token_unavailable", 0.0, 1.0, Report { token_unavailable: some(), ..well() }),
            ("desired_state_unknown", 0.0, 1.0, Report { desired_unknown: some(), ..well() }),
            ("desired_state_unknown", 0.0, 1.0, Report { loaded: false, ..well() }),
            ("watch_degraded", 0.0, 1.0, Report { degraded: some(), ..well() }),
            ("paused_until_timestamp_seconds", 0.0, 120.0, Report { pause: Some(pause), ..well() }),
            (
                "oldest_unapplied_change_seconds",
                0.0,
                30.0,
                Report { oldest_pending: Some(Timestamp::from_millis(60_000)), ..well() },
            ),
            ("requests_in_flight", 0.0, 3.0, Report { in_flight: 3, ..well() }),
            ("workqueue_backing_off", 0.0, 2.0, Report { backing_off: 2, ..well() }),
        ] {
            assert_eq!((value(&well(), name), value(&report, name)), (calm, trouble), "{name}");
        }
    }
}
