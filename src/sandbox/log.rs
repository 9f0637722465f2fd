//! What the service was asked: the last requests, and totals of all.
//!
//! In: each request with its reply. Out: [`Entry`]s and [`Totals`] for tests and `/sandbox/requests`.
//! Invariants: bounded by its capacity; no token, no body, no query ever enters it. Totals count
//! everything since the start; control requests under `/sandbox/` are not counted.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::Serialize;

use super::budget::Excess;
use super::message::{Delivery, Reply, Request};
use super::route::Operation;
use crate::account::AccountId;
use crate::timestamp::Timestamp;

/// How much of a path or a method the log keeps; the documented ones are far shorter.
const TEXT_MAX: usize = 120;

/// One request and its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When it came.
    pub time: Timestamp,
    /// Its method.
    pub method: Cow<'static, str>,
    /// Its path, without the query.
    pub path: Box<str>,
    /// What it was, by URL and mode.
    pub operation: Operation,
    /// The account in the path of a PUT.
    pub account: Option<AccountId>,
    /// The HTTP status; 0 if the connection was closed without an answer.
    pub status: u16,
    /// `success`, an errorCode, or what a fault did.
    pub result: Cow<'static, str>,
    /// Whether a PUT took effect.
    pub applied: bool,
}

/// How many of what, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// All requests.
    pub requests: u64,
    /// PUTs, readable or not.
    pub puts: u64,
    /// PUTs that took effect.
    pub applied: u64,
    /// The three reads.
    pub reads: u64,
    /// Token requests.
    pub tokens: u64,
    /// Connections closed or reset before the whole answer was sent.
    pub dropped: u64,
    /// Requests that were one too many: each began a lock.
    pub over_budget: u64,
    /// Requests made while locked: the caller did not wait.
    pub while_locked: u64,
}

/// The log.
#[derive(Clone, Debug)]
pub(super) struct Log {
    capacity: usize,
    entries: VecDeque<Entry>,
    totals: Totals,
}

impl Log {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, entries: VecDeque::new(), totals: Totals::default() }
    }

    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    pub(super) const fn count_excess(&mut self, excess: Excess) {
        match excess {
            Excess::OverBudget { .. } => self.totals.over_budget += 1,
            Excess::WhileLocked { .. } => self.totals.while_locked += 1,
        }
    }

    pub(super) fn push(
        &mut self,
        time: Timestamp,
        request: &Request<'_>,
        (operation, account): (Operation, Option<AccountId>),
        reply: &Reply,
    ) {
        self.count(operation, reply);
        if self.capacity == 0 {
            return;
        }
        if self.entries.len() >= self.capacity {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry {
            time,
            method: method(request.method),
            path: cut(request.path()).into(),
            operation,
            account,
            status: reply.status,
            result: reply.result.clone(),
            applied: reply.applied,
        });
    }

    fn count(&mut self, operation: Operation, reply: &Reply) {
        let totals = &mut self.totals;
        totals.requests += 1;
        totals.puts += u64::from(operation.is_put());
        totals.applied += u64::from(reply.applied);
        totals.dropped += u64::from(reply.delivery != Delivery::Answer);
        match operation {
            Operation::List | Operation::Read | Operation::OwnAccounts => totals.reads += 1,
            Operation::Token => totals.tokens += 1,
            _ => {}
        }
    }
}

fn method(method: &str) -> Cow<'static, str> {
    match method {
        "PUT" => "PUT".into(),
        "GET" => "GET".into(),
        "POST" => "POST".into(),
        other => cut(other).to_owned().into(),
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}
