//! The first lines of the daemon's log: what runs here for whom, and how far it is.
//!
//! In: the options as they were understood, and the conductor's report. Out: one line at once, and one when the desired
//! state was read for the first time.
//! Invariant: whoever reads only these two lines knows which version works on what, within which limits, and when it looks
//! at everything again.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{field, info};

use crate::account::printable;
use crate::config::RateLimitOption;
use crate::report::Report;
use crate::version::VERSION;

/// What is fixed from the start.
pub(super) struct Banner {
    pub(super) target: String,
    pub(super) service: String,
    pub(super) folder: PathBuf,
    pub(super) ledger: PathBuf,
    pub(super) limit: RateLimitOption,
    pub(super) resync: Duration,
}

impl Banner {
    pub(super) fn started(&self) {
        let Self { target, service, folder, ledger, .. } = self;
        let (folder, ledger) = (printable::path(folder), printable::path(ledger));
        info!(version = VERSION, %target, %service, %folder, %ledger, "started");
    }

    /// Waits until it is known how much there is to do.
    pub(super) async fn ready(self, mut reports: watch::Receiver<Report>) {
        let Ok(report) = reports.wait_for(|report| report.loaded).await.map(|report| report.clone()) else { return };
        let next_resync = report.last_sync.map(|at| at + self.resync).map(field::display);
        let allowance = &report.budget.allowance;
        let disruption_budget = format!("{} in {}", allowance.max, humantime::format_duration(allowance.window));
        let grant_budget = allowance.max_grants.0.map(|budget| budget.to_string());
        info!(accounts = report.managed, problems = report.problems, pending = report.pending, held = report.held,
            rejected = report.rejected, request_budget = %self.limit, disruption_budget, grant_budget,
            next_resync, "ready");
    }
}
