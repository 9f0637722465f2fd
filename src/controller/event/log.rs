//! What the controller tells people, as data.
//!
//! In: nothing. Out: [`Log`], by what it speaks of. Invariant: closed, so each line has its words in one place, which
//! is where lines are written. Absent by design: the words, the level, the link to the runbook.

use std::sync::Arc;
use std::time::Duration;

use crate::account::{AccountId, Field, SourceRef};
use crate::change::{Change, Failure};
use crate::freeze::Freeze;
use crate::guard::{Allowance, Verdict};
use crate::ledger::{ImposedPause, Outage, OutageKind};
use crate::manifest::Problem;
use crate::timestamp::{ClockStep, Timestamp};

/// One line.
#[derive(Debug)]
pub(in crate::controller) enum Log {
    Manifest(ManifestLog),
    Request(RequestLog),
    State(StateLog),
}

/// About the folder and what it declares.
#[derive(Debug)]
pub(in crate::controller) enum ManifestLog {
    /// A manifest is broken.
    Broken(Problem),
    /// So many more problems were not told one by one.
    More(usize),
    Read {
        files: usize,
        accounts: usize,
        problems: usize,
        pending: usize,
    },
    /// The folder cannot be watched, only polled.
    WatchDegraded(String),
    WatchRestored,
    /// The folder cannot be read.
    Unknown(String),
    KnownAgain,
    /// Several budgets, or one that cannot be read.
    BudgetUnclear(String),
    BudgetInForce {
        allowance: Allowance,
        source: Option<SourceRef>,
    },
}

/// About a request and its answer.
#[derive(Debug)]
pub(in crate::controller) enum RequestLog {
    Applied(Change),
    /// What was acknowledged may be undone by an earlier PUT; it is sent once more then.
    Unsettled {
        account: AccountId,
        field: Field,
        until: Timestamp,
    },
    Retrying {
        change: Change,
        failure: Failure,
        attempts: u32,
    },
    Rejected {
        change: Change,
        failure: Failure,
    },
    Throttled(Failure),
    /// No request starts before this pause ends.
    Paused(ImposedPause),
    /// An operator lifted this pause.
    PauseLifted {
        pause: ImposedPause,
        by: Option<Box<str>>,
    },
    /// Several accounts tell that the service is in trouble, the last one for this reason.
    InTrouble(OutageKind, String),
    AnswersAgain,
    TokenGranted {
        expires_in: Duration,
    },
    TokenThrottled(Failure),
    TokenUnavailable {
        failure: Failure,
        failures: u32,
    },
    CredentialsRefused(Failure),
}

/// About the controller as a whole.
#[derive(Debug)]
pub(in crate::controller) enum StateLog {
    /// The disruption budget holds accounts, and did not hold any before.
    Held(Verdict),
    /// So many accounts are held no longer.
    FitsAgain(usize),
    /// The last process ended with this; whether it is still so is found out now.
    Remembered(Outage),
    /// So many accounts are refused for good since before this process, one of them so.
    StillRefused {
        accounts: usize,
        name: Arc<str>,
        failure: Failure,
    },
    AllApplied {
        accounts: usize,
    },
    Suspended(Freeze),
    /// An operator had the ledger forget an account.
    Forgotten {
        account: AccountId,
        name: Arc<str>,
        by: Option<Box<str>>,
    },
    Resumed,
    Stopping {
        in_flight: usize,
        grace: Duration,
    },
    GraceOver {
        in_flight: usize,
    },
    ClockStepped(ClockStep),
    /// What the ledger remembers of `remembered` is still to come at `now`.
    ClockBehind {
        now: Timestamp,
        remembered: Timestamp,
    },
}

impl From<ManifestLog> for Log {
    fn from(log: ManifestLog) -> Self {
        Self::Manifest(log)
    }
}

impl From<RequestLog> for Log {
    fn from(log: RequestLog) -> Self {
        Self::Request(log)
    }
}

impl From<StateLog> for Log {
    fn from(log: StateLog) -> Self {
        Self::State(log)
    }
}
