//! What the controller tells people, as data.
//!
//! In: nothing. Out: [`Log`], by what it speaks of. Invariant: closed, so each line has its words in one place, which
//! is where lines are written. Absent by design: the words, the level, the link to the runbook.

use std::sync::Arc;
use std::time::Duration;

use crate::account::{AccountId, Field, SourceRef};
use crate::change::{Change, Direction, Failure};
use crate::freeze::Freeze;
use crate::guard::{Allowance, Verdict};
use crate::ledger::{ImposedPause, Outage, OutageKind};
use crate::manifest::Problem;
use crate::report::ServiceRead;
use crate::timestamp::{ClockStep, Timestamp};

/// One line.
#[derive(Debug)]
pub enum Log {
    /// About the folder and what it declares.
    Manifest(ManifestLog),
    /// About a request and its answer.
    Request(RequestLog),
    /// About the controller as a whole.
    State(StateLog),
}

/// About the folder and what it declares.
#[derive(Debug)]
pub enum ManifestLog {
    /// A manifest is broken.
    Broken(Problem),
    /// So many more problems were not told one by one.
    More(usize),
    /// Files were read.
    Read {
        /// How many.
        files: usize,
        /// How many accounts are managed now.
        accounts: usize,
        /// How many problems there are in all manifests.
        problems: usize,
        /// How many accounts have something to be changed.
        pending: usize,
    },
    /// The folder cannot be watched, only polled.
    WatchDegraded(String),
    /// It can be watched again.
    WatchRestored,
    /// The folder cannot be read.
    Unknown(String),
    /// It can be read again.
    KnownAgain,
    /// Several budgets, or one that cannot be read.
    BudgetUnclear(String),
    /// A budget that counted before, also for an earlier process, is declared no more.
    BudgetGone(SourceRef),
    /// Another disruption budget counts from now on.
    BudgetInForce {
        /// How much it allows.
        allowance: Allowance,
        /// The manifest that says so; `None` for the options.
        source: Option<SourceRef>,
    },
}

/// About a request and its answer.
#[derive(Debug)]
pub enum RequestLog {
    /// The service acknowledged this change.
    Applied(Change),
    /// What was acknowledged may be undone by an earlier PUT; it is sent once more then.
    Unsettled {
        /// Of this account.
        account: AccountId,
        /// And this field.
        field: Field,
        /// When the earlier PUT can no longer take effect.
        until: Timestamp,
    },
    /// It was not applied, and is sent again.
    Retrying {
        /// What was to be changed.
        change: Change,
        /// Why it was not.
        failure: Failure,
        /// How often in a row.
        attempts: u32,
    },
    /// It was refused for good.
    Rejected {
        /// What was to be changed.
        change: Change,
        /// What was said against it.
        failure: Failure,
    },
    /// The service asks for fewer requests.
    Throttled(Failure),
    /// No request starts before this pause ends.
    Paused(ImposedPause),
    /// An operator lifted this pause.
    PauseLifted {
        /// As it was.
        pause: ImposedPause,
        /// Who ordered it.
        by: Option<Box<str>>,
    },
    /// A page of the organization's accounts was not had, and is asked for again.
    ReadAgain {
        /// Why it was not.
        failure: Failure,
        /// How often in a row.
        attempts: u32,
    },
    /// The service shows another value than was acknowledged.
    Drifted(DriftLog),
    /// The organization's accounts were read, or no more of them are going to be.
    Read(ServiceRead),
    /// Several accounts tell that the service is in trouble, the last one for this reason.
    InTrouble(OutageKind, String),
    /// It accepts PUTs again.
    AnswersAgain,
    /// There is an access token.
    TokenGranted {
        /// How long it is good for.
        expires_in: Duration,
    },
    /// The limit of token requests is reached, and the next one may leave at this moment.
    TokenLimit(Timestamp),
    /// The accounts server asks for fewer requests.
    TokenThrottled(Failure),
    /// There is no access token for now.
    TokenUnavailable {
        /// Why.
        failure: Failure,
        /// How often in a row.
        failures: u32,
    },
    /// Only other credentials help.
    CredentialsRefused(Failure),
}

/// What somebody changed elsewhere.
#[derive(Debug)]
pub struct DriftLog {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: Arc<str>,
    /// Which field.
    pub field: Field,
    /// What the service shows.
    pub found: bool,
    /// Whether what is wanted is PUT.
    pub corrects: bool,
}

/// About the controller as a whole.
#[derive(Debug)]
pub enum StateLog {
    /// The budget of this direction holds accounts, and did not hold any before.
    Held(Direction, Verdict),
    /// So many accounts are held by it no longer.
    FitsAgain(Direction, usize),
    /// The last process ended with this; whether it is still so is found out now.
    Remembered(Outage),
    /// So many accounts are refused for good since before this process, one of them so.
    StillRefused {
        /// How many.
        accounts: usize,
        /// Whose it is of which the reason is given.
        name: Arc<str>,
        /// Why.
        failure: Failure,
    },
    /// Nothing is pending any more.
    AllApplied {
        /// How many accounts are managed.
        accounts: usize,
    },
    /// An operator suspended everything.
    Suspended(Freeze),
    /// An operator asked for that, and it was refused.
    NotForgotten {
        /// Which.
        account: AccountId,
        /// Its name.
        name: Arc<str>,
        /// Why.
        why: String,
    },
    /// An operator had the ledger forget an account.
    Forgotten {
        /// Which.
        account: AccountId,
        /// Its name.
        name: Arc<str>,
        /// Who asked for it.
        by: Option<Box<str>>,
    },
    /// An operator resumed it, or its time is over.
    Resumed,
    /// An order to stop was taken in.
    Stopping {
        /// How many requests are waited for.
        in_flight: usize,
        /// For how long.
        grace: Duration,
    },
    /// They took longer than that.
    GraceOver {
        /// How many are left.
        in_flight: usize,
    },
    /// The wall clock was set.
    ClockStepped(ClockStep),
    /// What the ledger remembers of `remembered` is still to come at `now`.
    ClockBehind {
        /// What the clock says.
        now: Timestamp,
        /// The latest moment that the ledger remembers.
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
