//! May a request start now?
//!
//! In: requests as they begin and end, pauses the service imposes, failures. Out: [`Admission`].
//! Invariants: no window ever holds more requests than the budget, whether they are PUTs or token
//! requests, and whether a restart lies within it; a pause the service imposed is never jumped,
//! not even by a fresh edit; after a pause, or a row of failures, one request probes alone.
//! Absent by design: the clock, the network and the queue.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::condition::Reason;
use crate::ledger::{ImposedPause, Ledger, REQUEST_MEMORY, REQUEST_MEMORY_MAX};
use crate::timestamp::Timestamp;

/// Failures in a row, over all accounts, after which the breaker opens. Five, because with the
/// default concurrency of four one lost connection can fail four requests at once.
pub const BREAKER_FAILURES: u32 = 5;

/// How long the breaker first stays open; doubled for each failed probe, up to [`BREAKER_MAX`].
pub const BREAKER_MIN: Duration = Duration::from_secs(5);

/// The longest time between two probes of a service in trouble: the default `--retry-max`.
pub const BREAKER_MAX: Duration = Duration::from_secs(300);

/// Token requests allowed within [`TOKEN_WINDOW`] (Zoho's OAuth documentation: 10 in 10 minutes;
/// each one more prolongs the lock).
pub const TOKEN_REQUESTS: usize = 10;

/// See [`TOKEN_REQUESTS`].
pub const TOKEN_WINDOW: Duration = Duration::from_secs(600);

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
    /// The service failed several times in a row.
    Breaker,
    /// The one request that probes has not ended yet.
    Probe,
    /// The limit on token requests is used up.
    TokenLimit,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Breaker {
    Closed { failures: u32 },
    Open { until: Timestamp, opened: u32 },
    Probing { opened: u32 },
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
    /// died ended at most `request_timeout` after its start, and before `now`.
    pub fn restore(limit: Option<RateLimit>, request_timeout: Duration, ledger: &Ledger, now: Timestamp) -> Self {
        let remembered = |stamps| Window::restore(stamps, request_timeout, now);
        Self {
            limit,
            requests: if limit.is_some() { remembered(&ledger.requests) } else { Window::default() },
            tokens: remembered(&ledger.token_requests),
            pause: ledger.pause.filter(|pause| pause.until > now),
            breaker: match ledger.pause {
                Some(_) => Breaker::Open { until: now, opened: 0 },
                None => Breaker::Closed { failures: 0 },
            },
        }
    }

    /// Whether a PUT may start at `now`.
    pub fn admit_put(&mut self, now: Timestamp) -> Admission {
        match (self.admit_any(now), self.breaker) {
            (Admission::Now, Breaker::Open { until, .. }) if until > now => Admission::At(until, Wait::Breaker),
            (Admission::Now, Breaker::Probing { .. }) => Admission::AfterAnother(Wait::Probe),
            (admission, _) => admission,
        }
    }

    /// Whether a token request may start at `now`.
    pub fn admit_token(&mut self, now: Timestamp) -> Admission {
        match self.tokens.admit(TOKEN_REQUESTS, TOKEN_WINDOW, now, Wait::TokenLimit) {
            Admission::Now => self.admit_any(now),
            wait => wait,
        }
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

    /// A PUT was admitted and its intent is on the way to the disk.
    pub fn begin_put(&mut self) {
        self.requests.begin();
        if let Breaker::Open { opened, .. } = self.breaker {
            self.breaker = Breaker::Probing { opened };
        }
    }

    /// Whether a PUT that was begun may still leave at `now`: no pause was imposed meanwhile, and the breaker did not open.
    pub fn may_leave(&self, now: Timestamp) -> bool {
        self.pause(now).is_none() && !matches!(self.breaker, Breaker::Open { until, .. } if until > now)
    }

    /// A PUT that was begun never left.
    pub fn cancel_put(&mut self, now: Timestamp) {
        self.requests.cancel();
        if let Breaker::Probing { opened } = self.breaker {
            self.breaker = Breaker::Open { until: now, opened };
        }
    }

    /// A PUT ended at `now`. `healthy` says whether the service answered as a service that works does.
    /// Returns whether the breaker opened by it.
    pub fn end_put(&mut self, healthy: bool, now: Timestamp) -> bool {
        self.end(now);
        let open = |opened: u32| {
            let bound = BREAKER_MIN.saturating_mul(1 << opened.min(16)).min(BREAKER_MAX);
            Breaker::Open { until: now + bound, opened: opened + 1 }
        };
        let before = self.breaker;
        self.breaker = match (before, healthy) {
            (Breaker::Closed { .. } | Breaker::Probing { .. }, true) => Breaker::Closed { failures: 0 },
            (Breaker::Closed { failures }, false) if failures + 1 < BREAKER_FAILURES => {
                Breaker::Closed { failures: failures + 1 }
            }
            (Breaker::Closed { .. }, false) => open(0),
            (Breaker::Probing { opened }, false) => open(opened),
            // Requests that were under way when it opened tell nothing new.
            (Breaker::Open { .. }, _) => before,
        };
        matches!(self.breaker, Breaker::Open { .. }) && self.breaker != before
    }

    /// A token request was admitted.
    pub fn begin_token(&mut self) {
        self.requests.begin();
        self.tokens.begin();
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

    /// Lets the next PUT go alone, and the others only after the service accepted it.
    pub fn probe_next(&mut self, now: Timestamp) {
        self.breaker = match self.breaker {
            Breaker::Closed { .. } => Breaker::Open { until: now, opened: 0 },
            Breaker::Probing { opened } => Breaker::Open { until: now, opened },
            open @ Breaker::Open { .. } => open,
        };
    }

    /// The pause in force at `now`.
    pub fn pause(&self, now: Timestamp) -> Option<ImposedPause> {
        self.pause.filter(|pause| pause.until > now)
    }

    /// How many probes of a service in trouble have failed in a row; 0 while the breaker is closed.
    pub const fn failed_probes(&self) -> u32 {
        match self.breaker {
            Breaker::Closed { .. } => 0,
            Breaker::Open { opened, .. } | Breaker::Probing { opened } => opened,
        }
    }

    /// How many more requests than are under way the budget has room for at `now`; `None` if unlimited.
    pub fn room(&mut self, now: Timestamp) -> Option<usize> {
        let limit = self.limit?;
        let oldest = now.before(limit.per);
        let ended = self.requests.ended.iter().filter(|at| **at > oldest).count();
        Some((limit.count as usize).saturating_sub(ended + self.requests.running))
    }

    /// When `requests` more could have started at the earliest, if nothing else held them back.
    pub fn estimate(&mut self, requests: usize, now: Timestamp) -> Duration {
        let (Some(limit), Some(room)) = (self.limit, self.room(now)) else { return Duration::ZERO };
        let windows = requests.saturating_sub(room).div_ceil(limit.count as usize);
        limit.per.saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountId, Field};
    use crate::ledger::{Owner, Record};
    use proptest::prelude::*;

    fn ms(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn empty() -> Ledger {
        Ledger::new(Owner::Sandbox)
    }

    fn throttle(limit: &str, now: Timestamp) -> Throttle {
        Throttle::restore(limit.parse().ok(), Duration::from_secs(30), &empty(), now)
    }

    #[test]
    fn a_rate_limit_reads_as_it_prints() {
        assert_eq!("25/1m".parse::<RateLimit>().unwrap().to_string(), "25/1m");
        for bad in ["25", "0/1m", "25/0s", "-1/1m", "1/2days", "10001/1m", "x/1m", "1/x", "unlimited"] {
            assert_eq!(bad.parse::<RateLimit>(), Err(InvalidRateLimit), "{bad}");
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Pass(u64),
        Request { latency: u64 },
        Restart,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..400_u64).prop_map(Step::Pass),
            8 => (0..300_u64).prop_map(|latency| Step::Request { latency }),
            1 => Just(Step::Restart),
        ];
        prop::collection::vec(step, 1..200)
    }

    fn record(account: u64, at: Timestamp) -> Record {
        Record::Intent {
            at,
            account: AccountId::new(account + 1).unwrap(),
            name: "a".into(),
            zuid: None,
            field: Field::Enabled,
            to: true,
            spec_hash: 0,
        }
    }

    /// The most requests that the service can have seen within any span of `per`, when each of them
    /// arrived at the worst moment between its start and its end.
    fn busiest_window(requests: &[(u64, u64)], per: u64) -> usize {
        let within =
            |(_, end): &(u64, u64)| requests.iter().filter(|(start, e)| e >= end && *start < end + per).count();
        requests.iter().map(within).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_window_ever_exceeds_the_request_budget(steps in steps()) {
            let (per, timeout) = (1000, Duration::from_millis(300));
            let limit = Some(RateLimit { count: 3, per: Duration::from_millis(per) });
            let (mut now, mut ledger) = (10_000, empty());
            let mut throttle = Throttle::restore(limit, timeout, &ledger, ms(now));
            let (mut running, mut sent): (Vec<(u64, u64)>, Vec<(u64, u64)>) = (vec![], vec![]);
            for step in steps {
                match step {
                    Step::Pass(millis) => now += millis,
                    Step::Request { latency } => {
                        if throttle.admit_put(ms(now)) == Admission::Now {
                            throttle.begin_put();
                            ledger.apply(record(sent.len() as u64, ms(now)));
                            running.push((now, now + latency));
                            sent.push((now, now + latency));
                        }
                    }
                    Step::Restart => {
                        running.clear();
                        for (_, end) in &mut sent {
                            *end = (*end).min(now);
                        }
                        throttle = Throttle::restore(limit, timeout, &ledger, ms(now));
                    }
                }
                running.sort_by_key(|(_, end)| *end);
                while let Some(&(_, end)) = running.first().filter(|(_, end)| *end <= now) {
                    running.remove(0);
                    throttle.end_put(true, ms(end));
                }
            }
            prop_assert!(busiest_window(&sent, per) <= 3, "{sent:?}");
        }
    }

    #[test]
    fn a_full_window_says_when_it_has_room_again() {
        let mut throttle = throttle("2/1m", ms(0));
        for at in [0, 1000] {
            assert_eq!(throttle.admit_put(ms(at)), Admission::Now);
            throttle.begin_put();
        }
        assert_eq!(throttle.admit_put(ms(1000)), Admission::AfterAnother(Wait::RateLimit));
        throttle.end_put(true, ms(1500));
        assert_eq!(throttle.admit_put(ms(1500)), Admission::At(ms(61_500), Wait::RateLimit));
        throttle.end_put(true, ms(2000));
        assert_eq!(throttle.admit_put(ms(61_500)), Admission::Now);
        assert_eq!(throttle.room(ms(61_500)), Some(1));
        assert_eq!(throttle.estimate(4, ms(61_500)), Duration::from_secs(120));
    }

    #[test]
    fn an_imposed_pause_is_never_jumped_or_shortened_and_ends_with_one_probe() {
        let mut throttle = throttle("unlimited", ms(0));
        assert!(throttle.impose(ms(900_000), Reason::Throttled, ms(0)).is_some());
        assert!(throttle.impose(ms(5_000), Reason::Throttled, ms(0)).is_none());
        let paused = Admission::At(ms(900_000), Wait::Paused(Reason::Throttled));
        assert_eq!(throttle.admit_put(ms(899_999)), paused);
        assert_eq!(throttle.admit_token(ms(899_999)), paused);
        assert_eq!(throttle.admit_put(ms(900_000)), Admission::Now);
        throttle.begin_put();
        assert_eq!(throttle.admit_put(ms(900_000)), Admission::AfterAnother(Wait::Probe));
        throttle.end_put(true, ms(900_100));
        assert_eq!(throttle.admit_put(ms(900_100)), Admission::Now);
    }

    #[test]
    fn a_pause_outlives_a_restart() {
        let mut ledger = empty();
        let pause = Some(ImposedPause { until: ms(60_000), reason: Reason::Throttled });
        ledger.apply(Record::Pause { pause });
        let mut throttle = Throttle::restore(None, Duration::from_secs(30), &ledger, ms(1_000));
        assert_eq!(throttle.admit_put(ms(1_000)), Admission::At(ms(60_000), Wait::Paused(Reason::Throttled)));
    }

    #[test]
    fn the_breaker_opens_after_failures_in_a_row_and_probes_with_one_request() {
        let mut throttle = throttle("unlimited", ms(0));
        for n in 1..=BREAKER_FAILURES {
            throttle.begin_put();
            assert_eq!(throttle.end_put(false, ms(0)), n == BREAKER_FAILURES);
        }
        assert_eq!(throttle.admit_put(ms(0)), Admission::At(ms(5_000), Wait::Breaker));
        assert_eq!(throttle.admit_put(ms(5_000)), Admission::Now);
        throttle.begin_put();
        assert_eq!(throttle.admit_put(ms(5_000)), Admission::AfterAnother(Wait::Probe));
        assert!(throttle.end_put(false, ms(6_000)));
        assert_eq!(throttle.admit_put(ms(6_000)), Admission::At(ms(16_000), Wait::Breaker));
        throttle.begin_put();
        throttle.end_put(true, ms(16_000));
        assert_eq!(throttle.failed_probes(), 0);
        assert_eq!(throttle.admit_put(ms(16_000)), Admission::Now);
    }

    #[test]
    fn token_requests_have_a_limit_of_their_own_that_a_restart_remembers() {
        let mut ledger = empty();
        for n in 0..10 {
            ledger.apply(Record::TokenRequest { at: ms(n * 1000) });
        }
        let mut throttle = Throttle::restore(None, Duration::from_secs(30), &ledger, ms(10_000));
        assert_eq!(throttle.admit_token(ms(10_000)), Admission::At(ms(610_000), Wait::TokenLimit));
        assert_eq!(throttle.admit_put(ms(10_000)), Admission::Now);
    }

    #[test]
    fn moments_from_a_clock_that_ran_ahead_count_as_now() {
        let mut ledger = empty();
        ledger.apply(record(0, ms(999_000_000)));
        let mut throttle = Throttle::restore("1/1m".parse().ok(), Duration::from_secs(30), &ledger, ms(5_000));
        assert_eq!(throttle.admit_put(ms(5_000)), Admission::At(ms(65_000), Wait::RateLimit));
    }
}
