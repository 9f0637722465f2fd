//! When requests were begun: what the request budget of the next process counts.
//!
//! In: moments, in the order of their records. Out: the same, without those whose request never left.
//! Invariant: no more than [`REQUEST_MEMORY_MAX`] are remembered.

use std::collections::VecDeque;
use std::time::Duration;

use crate::timestamp::Timestamp;

/// How long a request is remembered: the longest `--rate-limit` duration that is accepted.
pub const REQUEST_MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many requests are remembered: the largest `--rate-limit` count that is accepted.
pub const REQUEST_MEMORY_MAX: usize = 10_000;

pub(super) fn remember(stamps: &mut VecDeque<Timestamp>, at: Timestamp) {
    if stamps.len() == REQUEST_MEMORY_MAX {
        stamps.pop_front();
    }
    stamps.push_back(at);
}

/// The request that was begun then was not sent; of several of one moment, one.
pub(super) fn forget(stamps: &mut VecDeque<Timestamp>, begun: Timestamp) {
    if let Some(place) = stamps.iter().rposition(|at| *at == begun) {
        stamps.remove(place);
    }
}
