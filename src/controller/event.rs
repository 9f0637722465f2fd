//! What can happen to the controller, and what it does about it: two closed enums.
//!
//! In: nothing. Out: [`Event`], which the shell makes of what comes in; [`Effect`], which it performs. Both are public, as
//! the [`Machine`](super::machine::Machine) is: who drives it without the shell makes the one and performs the other.
//! Invariants: both are values without a channel, a handle or a clock in them, so a test can make the one and compare
//! the other; a new kind does not compile until it is handled.
//! Absent by design: everything that ends the shell itself, as when the ledger's writer is gone: the machine has no
//! answer to that but to end.

mod log;

use std::time::Duration;

use crate::account::AccountId;
use crate::change::{Change, Failure, Outcome};
use crate::freeze::Freeze;
use crate::ledger::Record;
use crate::manifest::Parsed;
use crate::order::Order;
use crate::source::Batch;
use crate::status::{MailAccountList, Part};
use crate::throttle::Wait;
use crate::timestamp::{ClockStep, Timestamp};
use crate::zoho::{AccessToken, Answer, Code, Credentials, PageAnswer, RefreshCredentials, TokenAnswer, Window};

pub use self::log::{DriftLog, Log, ManifestLog, RequestLog, StateLog};

/// Everything that can happen.
#[derive(Debug)]
pub enum Event {
    /// Files of the folder changed, or all of them were read again.
    Looked(Batch<Parsed>),
    /// All records up to those of this ticket are on the disk.
    Durable {
        /// As given with [`Effect::Append`].
        ticket: u64,
    },
    /// The ledger cannot be written for now, in words.
    Unwritable(String),
    /// It can be written again.
    Writable,
    /// A PUT ended.
    Answered {
        /// The account of [`Effect::Put`].
        account: AccountId,
        /// How it ended.
        answer: Answer,
    },
    /// The request for a page ended.
    Page(PageAnswer),
    /// The token request ended.
    Token(TokenAnswer),
    /// The credentials as they are now: the answer to [`Then::ReadCredentials`].
    Credentials(Result<Credentials, Failure>),
    /// An order to finish what is in flight and end.
    Stop,
    /// An operator suspended everything, or resumed it.
    Suspension(Option<Freeze>),
    /// An operator orders something.
    Ordered(Order),
    /// Somebody wants to know the status of a part of the accounts. Answered in the order of the questions.
    Query(Part),
    /// The wall clock was set. Whatever comes after it comes by the new time.
    ClockStepped(ClockStep),
    /// Time passed.
    Tick,
}

/// Everything the machine wants done, in this order.
#[derive(Debug)]
pub enum Effect {
    /// Write these records, in order; [`Event::Durable`] follows.
    Append {
        /// In their order; never empty.
        records: Vec<Record>,
        /// Its number: each is one more than the one before.
        ticket: u64,
    },
    /// Send this change; [`Event::Answered`] follows.
    Put(Box<Put>),
    /// Ask for this page of the organization's accounts; [`Event::Page`] follows.
    Read(Box<Read>),
    /// Ask for an access token; [`Event::Token`] follows.
    FetchToken(Box<RefreshCredentials>),
    /// Answer the oldest question that is open.
    Answer(Box<MailAccountList>),
    /// Tell people.
    Log(Box<Log>),
    /// Count.
    Count(Metric),
}

/// One PUT, with all it needs.
#[derive(Debug)]
pub struct Put {
    /// What it changes.
    pub change: Change,
    /// What it is signed with.
    pub token: AccessToken,
}

/// One request for a page, with all it needs.
#[derive(Debug)]
pub struct Read {
    /// Which.
    pub window: Window,
    /// What it is signed with.
    pub token: AccessToken,
}

/// What is counted.
#[derive(Debug)]
pub enum Metric {
    /// So many accounts were queued by an edit or a resync.
    QueueAdded(usize),
    /// An account was queued again after a failure.
    QueueRetried,
    /// An account's turn came.
    QueueWaited(Duration),
    /// A request of this kind ended.
    Request {
        /// Its name in metrics.
        operation: &'static str,
        /// How it ended.
        code: Code,
        /// From the first byte out to the last byte in.
        took: Duration,
    },
    /// An attempt at a change ended.
    Reconciled {
        /// How it ended.
        outcome: Outcome,
        /// From its intent to its answer.
        took: Duration,
        /// When it ended.
        at: Timestamp,
    },
    /// A disruption was applied that an approval covered.
    DisruptionApproved,
    /// A token request ended thus.
    TokenAnswered(&'static str),
    /// Work waited for permission to start a request.
    Waited {
        /// For what.
        why: Wait,
        /// Since the turn before.
        how_long: Duration,
    },
}

/// What follows of the events so far.
#[derive(Debug)]
pub struct Turn {
    /// To be performed in this order.
    pub effects: Vec<Effect>,
    /// How it goes on when they are.
    pub then: Then,
}

/// How the shell goes on when the effects of a turn are performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It waits for the next event.
    Wait,
    /// The turn is not over: it goes on after an [`Event::Credentials`] with the credentials as they are now.
    ReadCredentials,
    /// It ends.
    End,
}
