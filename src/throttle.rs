//! May a request start now?
//!
//! In: requests as they begin and end, pauses the service imposes, failures. Out: [`Admission`].
//! Invariants: no window ever holds more requests than the budget, whether they are PUTs or token
//! requests, and whether a restart lies within it; a pause the service imposed is never jumped, unless an operator lifts it
//! ([`crate::order::Order`]), not even by a fresh edit, and never longer than [`PAUSE_MAX`], whatever the ledger says; after a pause, a row of
//! failures, or a kill that left a PUT in doubt, one request probes alone.
//! Absent by design: the clock, the network and the queue.

mod breaker;
mod remembered;

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use self::breaker::Breaker;
pub use self::breaker::Ended;
pub use self::remembered::remembered_pause;
use crate::account::AccountId;
use crate::condition::Reason;
use crate::ledger::{ImposedPause, Ledger, OutageKind, REQUEST_MEMORY, REQUEST_MEMORY_MAX};
use crate::queue::Backoff;
use crate::timestamp::{ClockStep, Timestamp};

/// Token requests allowed within [`TOKEN_WINDOW`] (Zoho's OAuth documentation: 10 in 10 minutes;
/// each one more prolongs the lock).
pub const TOKEN_REQUESTS: usize = 10;

/// See [`TOKEN_REQUESTS`].
pub const TOKEN_WINDOW: Duration = Duration::from_secs(600);

/// The longest pause that is believed, whatever imposes it, and whatever clock wrote it down. Zoho's documented limits are
/// counted in minutes and days at most.
pub const PAUSE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// At most `count` requests in any span of `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub count: u32,
    /// Within how long.
    pub per: Duration,
}

/// Zoho documents 30 a minute and a lock-out beyond; 25 leaves room for an admin's own requests.
impl Default for RateLimit {
    fn default() -> Self {
        Self { count: 25, per: Duration::from_secs(60) }
    }
}

/// Why a text is not a rate limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected N/DURATION such as 25/1m (N 1 to {REQUEST_MEMORY_MAX}, DURATION up to 24h), or unlimited")]
pub struct InvalidRateLimit;

impl FromStr for RateLimit {
    type Err = InvalidRateLimit;

    fn from_str(text: &str) -> Result<Self, InvalidRateLimit> {
        let (count, per) = text.split_once('/').ok_or(InvalidRateLimit)?;
        let per = humantime::parse_duration(per.trim()).map_err(|_| InvalidRateLimit)?;
        let count = count.trim().parse().map_err(|_| InvalidRateLimit)?;
        let in_memory = (1..=REQUEST_MEMORY_MAX).contains(&(count as usize)) && per <= REQUEST_MEMORY;
        if in_memory && per >= Duration::from_millis(1) { Ok(Self { count, per }) } else { Err(InvalidRateLimit) }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, humantime::format_duration(self.per))
    }
}

/// What holds requests back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Wait {
    /// The request budget is used up.
    RateLimit,
    /// The service imposed a pause.
    Paused(Reason),
    /// The service failed several accounts in a row.
    Breaker,
    /// The one request that probes has not ended yet.
    Probe,
    /// The limit on token requests is used up.
    TokenLimit,
    /// The last token request failed, and the next one is not due.
    TokenUnavailable,
}

impl Wait {
    /// The wait's name in metrics and the log.
    pub const fn label(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::Paused(_) => "imposed",
            Self::Breaker => "breaker",
            Self::Probe => "probe",
            Self::TokenLimit => "token_limit",
            Self::TokenUnavailable => "token_unavailable",
        }
    }
}

/// Whether a request may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Now,
    /// Not before this moment.
    At(Timestamp, Wait),
    /// Not before another request has ended.
    AfterAnother(Wait),
}

/// How much of the request budget is used at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Requests that count: those that are under way, and those that ended within the window.
    pub used: usize,
    /// How many may count at a time; without a budget none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The window's length.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "humane")]
    pub window: Option<Duration>,
}

fn humane<S: serde::Serializer>(window: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(window.unwrap_or_default()))
}

/// Requests in one sliding window. One counts from its start until `per` after its **end**: it reached
/// the service somewhere in between, so counting by either moment alone could let one too many through.
#[derive(Clone, Debug, Default)]
struct Window {
    ended: VecDeque<Timestamp>,
    running: usize,
}

impl Window {
    fn restore(remembered: &VecDeque<Timestamp>, lateness: Duration, now: Timestamp) -> Self {
        let mut ended: Vec<_> = remembered.iter().map(|at| (*at + lateness).min(now)).collect();
        ended.sort_unstable();
        Self { ended: ended.into(), running: 0 }
    }

    fn admit(&mut self, count: usize, per: Duration, now: Timestamp, wait: Wait) -> Admission {
        while self.ended.front().is_some_and(|at| *at + per <= now) {
            self.ended.pop_front();
        }
        let used = self.ended.len() + self.running;
        if used < count {
            return Admission::Now;
        }
        // The slot that frees next is that of the request which ended `count` slots before the last.
        match self.ended.get(used - count) {
            Some(at) => Admission::At(*at + per, wait),
            None => Admission::AfterAnother(wait),
        }
    }

    fn used(&self, per: Duration, now: Timestamp) -> usize {
        self.ended.len() - self.ended.partition_point(|at| *at + per <= now) + self.running
    }

    fn begin(&mut self) {
        self.running += 1;
    }

    fn end(&mut self, now: Timestamp) {
        self.running = self.running.saturating_sub(1);
        self.ended.push_back(now);
    }

    fn cancel(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    fn carry(&mut self, step: ClockStep) {
        self.ended.iter_mut().for_each(|at| *at = step.carry(*at));
    }
}

/// Everything that can hold a request back.
#[derive(Clone, Debug)]
pub struct Throttle {
    limit: Option<RateLimit>,
    requests: Window,
    tokens: Window,
    pause: Option<ImposedPause>,
    breaker: Breaker,
}

impl Throttle {
    /// A throttle that remembers what the ledger does. A request that was under way when the process
    /// died ended at most `lateness` after its intent, and before `now`.
    ///
    /// A service in trouble is probed at intervals that follow from the `backoff` of an account.
    pub fn restore(
        limit: Option<RateLimit>,
        lateness: Duration,
        backoff: Backoff,
        ledger: &Ledger,
        now: Timestamp,
    ) -> Self {
        let remembered = |stamps| Window::restore(stamps, lateness, now);
        Self {
            limit,
            requests: if limit.is_some() { remembered(&ledger.requests) } else { Window::default() },
            tokens: remembered(&ledger.token_requests),
            pause: remembered_pause(ledger, now),
            breaker: Breaker::new(remembered::trouble(ledger), backoff, now),
        }
    }

    /// Whether a PUT may start at `now`.
    pub fn admit_put(&mut self, now: Timestamp) -> Admission {
        match self.admit_any(now) {
            Admission::Now => self.breaker.admit(now),
            wait => wait,
        }
    }

    /// Whether a token request may start at `now`.
    pub fn admit_token(&mut self, now: Timestamp) -> Admission {
        match self.tokens.admit(TOKEN_REQUESTS, TOKEN_WINDOW, now, Wait::TokenLimit) {
            Admission::Now => self.admit_any(now),
            wait => wait,
        }
    }

    /// Whether a request that changes nothing may start at `now`. It goes also to a service in trouble: one at a time, as
    /// the breaker has PUTs go.
    pub fn admit_read(&mut self, now: Timestamp) -> Admission {
        self.admit_any(now)
    }

    fn admit_any(&mut self, now: Timestamp) -> Admission {
        if let Some(pause) = self.pause {
            if pause.until > now {
                return Admission::At(pause.until, Wait::Paused(pause.reason));
            }
            self.pause = None;
        }
        match self.limit {
            Some(limit) => self.requests.admit(limit.count as usize, limit.per, now, Wait::RateLimit),
            None => Admission::Now,
        }
    }

    /// A PUT was admitted at `now` and its intent is on the way to the disk.
    pub fn begin_put(&mut self, now: Timestamp) {
        self.requests.begin();
        self.breaker.begin(now);
    }

    /// Whether what was `begun` may still leave at `now`: nobody was told to wait meanwhile, and nobody probes.
    pub fn may_leave(&self, begun: Timestamp, now: Timestamp) -> bool {
        self.pause(now).is_none() && self.breaker.may_leave(begun)
    }

    /// A PUT that was `begun` never left.
    pub fn cancel_put(&mut self, begun: Timestamp, now: Timestamp) {
        self.requests.cancel();
        self.breaker.cancel(begun, now);
    }

    /// A PUT to `account` that was `begun` `ended` at `now`. Returns whether the breaker opened by it.
    pub fn end_put(&mut self, account: AccountId, begun: Timestamp, ended: Ended, now: Timestamp) -> bool {
        self.end(now);
        self.breaker.end(account, begun, ended, now)
    }

    /// What is wrong with the service, once several accounts tell so; until it accepts a request.
    pub fn trouble(&self) -> Option<OutageKind> {
        self.breaker.trouble()
    }

    /// A request that changes nothing was admitted.
    pub fn begin_read(&mut self) {
        self.requests.begin();
    }

    /// One that was begun never left.
    pub fn cancel_read(&mut self) {
        self.requests.cancel();
    }

    /// One ended at `now`.
    pub fn end_read(&mut self, now: Timestamp) {
        self.end(now);
    }

    /// A token request was admitted.
    pub fn begin_token(&mut self) {
        self.requests.begin();
        self.tokens.begin();
    }

    /// A token request that was begun never left.
    pub fn cancel_token(&mut self) {
        self.requests.cancel();
        self.tokens.cancel();
    }

    /// A token request ended at `now`.
    pub fn end_token(&mut self, now: Timestamp) {
        self.end(now);
        self.tokens.end(now);
    }

    fn end(&mut self, now: Timestamp) {
        if self.limit.is_some() {
            self.requests.end(now);
        } else {
            self.requests.cancel();
        }
    }

    /// The service asks everybody to wait until `until`. A longer pause is never shortened. Returns
    /// the pause now in force, for the ledger, if this changed it.
    pub fn impose(&mut self, until: Timestamp, reason: Reason, now: Timestamp) -> Option<ImposedPause> {
        self.probe_next(now);
        if self.pause.is_some_and(|pause| pause.until >= until) {
            return None;
        }
        self.pause = Some(ImposedPause { until, reason });
        self.pause
    }

    /// An operator lifts the pause. The next PUT goes alone, as at the end of each pause.
    pub const fn lift_pause(&mut self) {
        self.pause = None;
    }

    /// Lets the next PUT go alone, and the others only after the service accepted it.
    pub fn probe_next(&mut self, now: Timestamp) {
        self.breaker.probe_next(now);
    }

    /// Somebody may have mended what keeps requests from succeeding: the next probe does not wait for its time.
    pub fn ask_now(&mut self, now: Timestamp) {
        self.breaker.ask_now(now);
    }

    /// Whether the next PUT goes alone, as a probe.
    pub const fn probes_next(&self) -> bool {
        self.breaker.probes_next()
    }

    /// Whether the next PUT is a probe that tries a grant before a removal. Every other probe does.
    pub fn probes_with_grant(&self) -> bool {
        self.breaker.probes_with_grant()
    }

    /// The pause in force at `now`.
    pub fn pause(&self, now: Timestamp) -> Option<ImposedPause> {
        self.pause.filter(|pause| pause.until > now)
    }

    /// How much of the request budget is used at `now`.
    pub fn usage(&self, now: Timestamp) -> Usage {
        let per = self.limit.map_or(Duration::ZERO, |limit| limit.per);
        let (limit, window) = (self.limit.map(|limit| limit.count), self.limit.map(|limit| limit.per));
        Usage { used: self.requests.used(per, now), limit, window }
    }

    /// The wall clock was set: windows, the pause and the next probe are as far away as before.
    pub fn carry(&mut self, step: ClockStep) {
        self.requests.carry(step);
        self.tokens.carry(step);
        self.breaker.carry(step);
        if let Some(pause) = &mut self.pause {
            pause.until = step.carry(pause.until);
        }
    }

    /// How many probes of a service in trouble have failed in a row; 0 while the breaker is closed.
    pub const fn failed_probes(&self) -> u32 {
        self.breaker.failed_probes()
    }
}

#[cfg(test)]
mod tests;
