//! What options decide about the controller.
//!
//! In: options that are checked. Out: [`Settings`], which nothing changes while it runs; the limits of a single pass.
//! Absent by design: budgets that manifests declare, which take the place of those here.

use std::time::Duration;

use crate::guard::{Allowance, DisruptionBudget, GrantBudget};
use crate::queue::Backoff;
use crate::runbook::ExternalUrl;
use crate::throttle::RateLimit;
use crate::zoho::Principal;

/// How often `apply` tries one account before it counts as failed: a blip is survived, a pipeline does not hang.
pub const APPLY_ATTEMPTS: u32 = 4;

/// The longest wait between two attempts: what was refused for good is tried once a day.
pub const ATTEMPT_WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How many probes `apply` makes of a service that is in trouble or throttles, before it gives up on all that is left.
pub const APPLY_PROBES: u32 = 3;

/// How long `apply` waits for its next request at most, before it gives up on all that is left; the default of `--max-wait`.
/// A pipeline does not hang, and one pause of the default length is waited out.
pub const MAX_WAIT: Duration = Duration::from_secs(20 * 60);

/// Whether the controller lives on after the first pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The daemon: watches, resyncs, never gives up.
    Run,
    /// Reads the service, corrects the ledger by what it shows, and ends. No PUT leaves.
    Refresh,
    /// Reads the service and hands out its accounts. No manifests are read, and nothing is corrected or PUT.
    Export,
    /// One pass, then the end; gives up after [`APPLY_ATTEMPTS`] and [`APPLY_PROBES`], and after [`Settings::max_wait`].
    Apply,
}

/// What is done about what somebody changed elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriftPolicy {
    /// It is shown, and left as it is.
    #[default]
    Report,
    /// What is wanted is PUT.
    Correct,
}

impl Mode {
    /// Whether no PUT ever leaves.
    pub const fn only_reads(self) -> bool {
        matches!(self, Self::Refresh | Self::Export)
    }
}

/// Everything that options decide about the conductor.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Daemon or one pass.
    pub mode: Mode,
    /// The request budget; `None` is unlimited.
    pub rate_limit: Option<RateLimit>,
    /// Requests in flight at the same time, at most.
    pub max_concurrency: usize,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long an account waits after a failure.
    pub backoff: Backoff,
    /// How long an account waits after a refusal for good.
    pub rejected: Backoff,
    /// How long everybody waits when throttled and not told how long.
    pub throttle_pause: Duration,
    /// Whose accounts are read before anything is sent, if they are.
    pub refresh: Option<Principal>,
    /// How often the service is read to find what somebody changed elsewhere, and whose accounts are; nothing: never.
    pub drift_interval: Option<(Duration, Principal)>,
    /// Whether what is found so is set right.
    pub drift_policy: DriftPolicy,
    /// How long a single pass waits for its next request.
    pub max_wait: Duration,
    /// How many accounts may lose something within the window.
    pub disruption_budget: DisruptionBudget,
    /// How many accounts whose mailbox was disabled may come back within the window.
    pub grant_budget: GrantBudget,
    /// The window of both.
    pub disruption_window: Duration,
    /// How long a stop waits for what is in flight.
    pub shutdown_grace: Duration,
    /// Where people reach the pages, for links in the log.
    pub external_url: Option<ExternalUrl>,
}

impl Settings {
    /// The budgets that count where no manifest says anything else.
    pub const fn allowance(&self) -> Allowance {
        let Self { disruption_budget: max, grant_budget: max_grants, disruption_window: window, .. } = *self;
        Allowance { max, max_grants, window }
    }
}
