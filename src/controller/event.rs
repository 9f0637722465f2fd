//! What can happen to the controller, and what it does about it: two closed enums.
//!
//! In: nothing. Out: [`Event`], which the shell makes of what comes in; [`Effect`], which it performs.
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
use crate::zoho::{AccessToken, Answer, Code, Credentials, RefreshCredentials, TokenAnswer};

pub(super) use self::log::{Log, ManifestLog, RequestLog, StateLog};

/// Everything that can happen.
#[derive(Debug)]
pub(super) enum Event {
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
    Answered { account: AccountId, answer: Answer },
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
pub(super) enum Effect {
    /// Write these records, in order; [`Event::Durable`] follows.
    Append { records: Vec<Record>, ticket: u64 },
    /// Send this change; [`Event::Answered`] follows.
    Put(Box<Put>),
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
pub(super) struct Put {
    pub(super) change: Change,
    pub(super) token: AccessToken,
}

/// What is counted.
#[derive(Debug)]
pub(super) enum Metric {
    /// So many accounts were queued by an edit or a resync.
    QueueAdded(usize),
    /// An account was queued again after a failure.
    QueueRetried,
    /// An account's turn came.
    QueueWaited(Duration),
    /// A request of this kind ended.
    Request { operation: &'static str, code: Code, took: Duration },
    /// An attempt at a change ended.
    Reconciled { outcome: Outcome, took: Duration, at: Timestamp },
    /// A disruption was applied that an approval covered.
    DisruptionApproved,
    /// A token request ended thus.
    TokenAnswered(&'static str),
    /// Work waited for permission to start a request.
    Waited { why: Wait, how_long: Duration },
}

/// What follows of the events so far.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) effects: Vec<Effect>,
    pub(super) then: Then,
}

/// How the shell goes on when the effects of a turn are performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It waits for the next event.
    Wait,
    /// The turn is not over: it goes on after an [`Event::Credentials`] with the credentials as they are now.
    ReadCredentials,
    /// It ends.
    End,
}
