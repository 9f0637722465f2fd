//! The controller's lines of the log: one place for all their words.
//!
//! In: a [`Log`] as data, or an error of the ledger's writer. Out: one event of the log.
//! Invariants: a line that asks somebody to act leads to the runbook; each line has one level and one wording.

use std::error::Error;
use std::time::Duration;

use tracing::{error, field, info, warn};

use super::event::{DriftLog, Log, ManifestLog, RequestLog, StateLog};
use crate::change::{Direction, Failure};
use crate::condition::Reason;
use crate::ledger::file::LedgerError;
use crate::ledger::{ImposedPause, Outage, OutageKind};
use crate::report::{ServiceRead, TOKEN_FAILURES};
use crate::runbook::{self, ExternalUrl};
use crate::timestamp::ClockStep;

/// Writes lines, with links to where people reach the pages.
pub(super) struct Logger(pub(super) Option<ExternalUrl>);

impl Logger {
    pub(super) fn write(&self, log: Log) {
        match log {
            Log::Manifest(log) => self.manifest(log),
            Log::Request(log) => self.request(log),
            Log::State(log) => self.state(log),
        }
    }

    /// Where `reason` is explained.
    fn about(&self, reason: Reason) -> String {
        self.runbook(reason.as_str())
    }

    fn runbook(&self, key: &str) -> String {
        runbook::link(self.0.as_ref(), key)
    }

    pub(super) fn unwritable(&self, error: &LedgerError) {
        let (source, runbook) = (error.source(), self.about(Reason::LedgerUnavailable));
        error!(%error, source, runbook, "the ledger cannot be written; no PUT leaves until it can");
    }

    pub(super) fn writable(&self) {
        info!("the ledger can be written again");
    }

    fn manifest(&self, log: ManifestLog) {
        match log {
            ManifestLog::Broken(problem) => {
                let runbook = self.about(Reason::InvalidManifest);
                warn!(%problem, runbook, "a manifest is broken; what it declares is left as it is");
            }
            ManifestLog::More(more) => warn!(more, "more problems in manifests; see `validate`"),
            ManifestLog::Read { files, accounts, problems, pending } => {
                info!(files, accounts, problems, pending, "manifests read");
            }
            ManifestLog::WatchDegraded(reason) => {
                let runbook = self.runbook("WatchDegraded");
                warn!(reason, runbook, "changes of the folder may go unnoticed until its next scan");
            }
            ManifestLog::WatchRestored => info!("changes of the folder are noticed again"),
            ManifestLog::Unknown(reason) => {
                let runbook = self.runbook("DesiredStateUnknown");
                warn!(reason, runbook, "the desired state is unknown; nothing is taken away, what was known is kept");
            }
            ManifestLog::KnownAgain => info!("the desired state is known again"),
            ManifestLog::BudgetUnclear(why) => {
                let runbook = self.about(Reason::DisruptionBudgetExceeded);
                warn!(why, runbook, "it is not clear which disruption budget counts; what no approval covers is held");
            }
            ManifestLog::BudgetGone(source) => {
                let runbook = self.about(Reason::DisruptionBudgetExceeded);
                let source = field::display(source);
                warn!(%source, runbook, "a DisruptionBudget is not there any more, and counts no longer");
            }
            ManifestLog::BudgetInForce { allowance, source } => {
                let (max, window) = (allowance.max, humantime::format_duration(allowance.window));
                let (grants, source) = (allowance.max_grants, source.as_ref().map(field::display));
                info!(%max, %grants, %window, source, "disruption budget in force");
            }
        }
    }

    fn request(&self, log: RequestLog) {
        match log {
            RequestLog::Applied(change) => info!(account = %change.account, name = %change.name, field = %change.field,
                value = change.to, source = %change.source, revision = %change.revision,
                approval = change.approval.as_deref(),
                because = change.validity.map(|validity| validity.to_string()), "applied"),
            RequestLog::Unsettled { account, field, until } => info!(%account, %field, %until,
                "an earlier PUT of the other value may still take effect; sent once more then"),
            RequestLog::Retrying { change, failure, attempts } => {
                let runbook = self.about(failure.reason);
                warn!(account = %change.account, name = %change.name, field = %change.field, to = change.to,
                    source = %change.source, revision = %change.revision, attempts, reason = %failure.reason,
                    why = %failure.message, runbook, "not applied; retrying");
            }
            RequestLog::Rejected { change, failure } => {
                let runbook = self.about(failure.reason);
                warn!(account = %change.account, name = %change.name, field = %change.field, to = change.to,
                    source = %change.source, revision = %change.revision, reason = %failure.reason,
                    why = %failure.message, runbook, "rejected; tried again when the manifest changes, and at growing intervals");
            }
            RequestLog::Throttled(failure) => {
                let runbook = self.about(Reason::Throttled);
                warn!(why = %failure.message, runbook, "the service throttles; everybody pauses");
            }
            RequestLog::Paused(ImposedPause { until, reason }) => {
                let runbook = self.about(reason);
                warn!(%until, %reason, runbook, "no request starts before the pause ends");
            }
            RequestLog::PauseLifted { pause: ImposedPause { until, reason }, by } => {
                info!(%until, %reason, by = by.as_deref(), "the pause was lifted; one request probes before all others");
            }
            RequestLog::ReadAgain { failure, attempts } => {
                let runbook = self.about(failure.reason);
                warn!(why = %failure.message, attempts, runbook, "a page of accounts could not be read; asking again");
            }
            RequestLog::Read(read) => self.read(&read),
            RequestLog::Drifted(drift) => self.drifted(&drift),
            RequestLog::InTrouble(kind, why) => self.in_trouble(kind, &why),
            RequestLog::AnswersAgain => info!("the service answers again"),
            RequestLog::TokenGranted { expires_in } => {
                info!(expires_in = %humantime::format_duration(expires_in), "access token granted");
            }
            RequestLog::TokenThrottled(failure) => {
                let runbook = self.about(Reason::Throttled);
                warn!(why = %failure.message, runbook, "too many token requests; everybody pauses");
            }
            RequestLog::TokenLimit(until) => {
                let runbook = self.about(Reason::TokenUnavailable);
                warn!(%until, runbook,
                    "no access token before then: ten were requested within ten minutes; all PUTs wait for the next one");
            }
            RequestLog::TokenUnavailable { failure, failures } => {
                let runbook = self.about(failure.reason);
                // Once it lasts, once more and graver; what comes after that says nothing new.
                match failures {
                    TOKEN_FAILURES => {
                        error!(why = %failure.message, failures, runbook, "no access token can be had; trying again")
                    }
                    _ => warn!(why = %failure.message, failures, runbook, "no access token; trying again"),
                }
            }
            RequestLog::CredentialsRefused(failure) => {
                let runbook = self.about(failure.reason);
                warn!(reason = %failure.reason, why = &*failure.message, runbook,
                    "the credentials do not work; all PUTs wait for others");
            }
        }
    }

    fn drifted(&self, drift: &DriftLog) {
        let DriftLog { account, name, field, found, corrects } = drift;
        let runbook = self.about(Reason::Drifted);
        let what = if *corrects { "set right" } else { "left as it is" };
        warn!(%account, %name, %field, found, wanted = !found, what, runbook, "somebody changed an account elsewhere");
    }

    fn read(&self, read: &ServiceRead) {
        let ServiceRead { requests, accounts, declared, corrected, drifted, odd, incomplete, ended_at: _ } = read;
        let odd = odd.len();
        let Some(why) = incomplete else {
            return info!(
                requests,
                accounts, declared, corrected, drifted, odd, "the organization's accounts were read"
            );
        };
        let runbook = self.runbook("NotRead");
        error!(
            requests,
            accounts,
            declared,
            corrected,
            why = &**why,
            runbook,
            "the organization's accounts were not all read; what was not read stays as the ledger knows it"
        );
    }

    fn in_trouble(&self, kind: OutageKind, why: &str) {
        if kind == OutageKind::ServiceFails {
            let runbook = self.about(Reason::ServiceUnavailable);
            return warn!(why, runbook, "the service fails again and again; one request probes it from time to time");
        }
        let runbook = self.runbook("RefusedAlike");
        error!(
            why,
            runbook,
            "the service refuses one account after the other alike, and accepts none: that is one cause; one request \
             probes it from time to time"
        );
    }

    fn state(&self, log: StateLog) {
        match log {
            StateLog::Held(direction, verdict) => {
                let runbook = self.about(Reason::DisruptionBudgetExceeded);
                match direction {
                    Direction::TakesAway => warn!(%verdict, runbook,
                        "disruptions are held: they exceed the disruption budget; everything else goes on"),
                    Direction::GivesBack => warn!(%verdict, runbook,
                        "mailboxes that come back are held: they exceed the grant budget; everything else goes on"),
                }
            }
            StateLog::FitsAgain(Direction::TakesAway, accounts) => {
                info!(accounts, "held disruptions fit the budget again");
            }
            StateLog::FitsAgain(Direction::GivesBack, accounts) => {
                info!(accounts, "mailboxes that come back fit the grant budget again");
            }
            StateLog::Remembered(Outage { kind, why, since, .. }) => {
                let (key, what) = match kind {
                    OutageKind::CredentialsRefused => (Reason::Unauthorized.as_str(), "the credentials did not work"),
                    OutageKind::TokenUnavailable => (Reason::TokenUnavailable.as_str(), "no access token could be had"),
                    OutageKind::ServiceFails => {
                        (Reason::ServiceUnavailable.as_str(), "the service failed one account after the other")
                    }
                    OutageKind::RefusesAlike => {
                        ("RefusedAlike", "the service refused one account after the other alike")
                    }
                };
                let runbook = self.runbook(key);
                warn!(why = &*why, %since, runbook, "when the last process ended, {what}; it is tried again now");
            }
            StateLog::StillRefused { accounts, name, failure: Failure { reason, message } } => {
                let runbook = self.about(reason);
                warn!(accounts, %name, %reason, why = &*message, runbook,
                    "accounts are refused since before this start; tried again when a manifest changes, and at growing intervals");
            }
            StateLog::AllApplied { accounts } => info!(accounts, "everything is applied; nothing is pending"),
            StateLog::Suspended(freeze) => {
                let runbook = self.about(Reason::Suspended);
                warn!(%freeze, runbook, "all reconciling is suspended; nothing is sent until it is resumed");
            }
            StateLog::NotForgotten { account, name, why } => {
                warn!(%account, %name, why, "not forgotten, though an operator asked for it");
            }
            StateLog::Forgotten { account, name, by } => {
                let by = by.as_deref().unwrap_or("unknown");
                info!(%account, %name, by, "forgotten: no manifest declares the account, and an operator asked for it");
            }
            StateLog::Resumed => info!("resumed: what is pending is sent"),
            StateLog::Stopping { in_flight, grace } => {
                let grace = humantime::format_duration(grace);
                info!(in_flight, %grace, "stopping: finishing what is in flight");
            }
            StateLog::ClockStepped(ClockStep { from, to }) => {
                let (by, way) = if to > from { (to.since(from), "forward") } else { (from.since(to), "back") };
                // Both were read to the millisecond, and the two may round apart.
                let by = humantime::format_duration(Duration::from_secs((by + Duration::from_millis(500)).as_secs()));
                warn!(%from, %to, %by, way,
                    "the clock was set: pauses, windows and waits keep their length; approvals that were over stay over");
            }
            StateLog::ClockBehind { now, remembered } => {
                warn!(%now, %remembered, "the ledger remembers what is still to come, so the clock was ahead then, or is \
                    behind now: what it remembers counts as of now; approvals that were over by then stay over");
            }
            StateLog::GraceOver { in_flight } => {
                warn!(in_flight, "the grace period is over; what was sent stays in doubt");
            }
        }
    }
}
