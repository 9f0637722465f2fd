//! How long a single pass waits for its next request.
//!
//! In: every reason for which nothing may start, and when the next backoff ends. Out: the end of a pass that would wait for
//! longer than `--max-wait`, with the moment, the reason and what to do.
//! Invariants: a daemon waits for as long as it takes; a pass ends for a pause that was imposed before it began as well;
//! what is under way and may change the answer is waited for.

use super::{Blocked, Machine};
use crate::throttle::Wait;
use crate::timestamp::Timestamp;

/// What the next request of a pass waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    /// Something that holds every request back.
    All(Wait),
    /// Each account that is left failed, and waits for its backoff, or until an earlier PUT can no longer take effect.
    Backoff,
}

impl Obstacle {
    /// What it is, and what to do.
    const fn advice(self) -> &'static str {
        match self {
            Self::All(Wait::Paused(_)) => {
                "the service asked for a pause; apply again after that, or lift it with zoho-mail-reconciler resume --pause and the same --ledger"
            }
            Self::All(Wait::RateLimit) => {
                "the request budget is used up; apply again after that, or with a longer --max-wait"
            }
            Self::All(Wait::TokenLimit | Wait::TokenUnavailable) => {
                "no access token can be requested earlier; apply again after that, or with a longer --max-wait"
            }
            Self::All(Wait::Breaker | Wait::Probe) => {
                "the service is in trouble and is not asked earlier; apply again after that, or with a longer --max-wait"
            }
            Self::Backoff => {
                "everything that is left was tried, or may still take effect; apply again after that, or with a longer \
                 --max-wait"
            }
        }
    }
}

impl Machine {
    /// Ends a single pass whose next request cannot start within `--max-wait`.
    pub(super) fn lose_patience(&mut self, now: Timestamp) {
        let max_wait = self.settings.max_wait;
        if !self.pass.is_single() || self.pass.gave_up().is_some() {
            return;
        }
        if let Some((until, obstacle)) = self.next_start(now).filter(|(until, _)| until.since(now) > max_wait) {
            let (max_wait, advice) = (humantime::format_duration(max_wait), obstacle.advice());
            self.pass
                .give_up(|| format!("no request can start before {until}, and --max-wait is {max_wait}: {advice}"));
        }
    }

    /// The earliest moment at which another request can start, and what it waits for; `None` while that is not known,
    /// because something is under way, or where nothing is in its way.
    fn next_start(&self, now: Timestamp) -> Option<(Timestamp, Obstacle)> {
        let is_reading = self.reading.as_ref().is_some_and(|reading| !reading.is_over());
        if self.queue.depth() == 0 && !is_reading {
            return None;
        }
        let all = self.blocked(now).filter_map(|blocked| match blocked {
            Blocked::Paused(pause) => Some((pause.until, Obstacle::All(Wait::Paused(pause.reason)))),
            Blocked::Waiting(waiting) => Some((waiting.until, Obstacle::All(waiting.why))),
            _ => None,
        });
        let only_backoffs = !is_reading && self.inflight.len() == 0 && self.queue.delayed() == self.queue.depth();
        let backoff = self.queue.next_due().filter(|_| only_backoffs).map(|due| (due, Obstacle::Backoff));
        // Of two that end together the first one counts: a pause holds requests for tokens as well.
        all.chain(backoff).reduce(|latest, next| if next.0 > latest.0 { next } else { latest })
    }
}
