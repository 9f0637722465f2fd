//! When a burst of events is over: after a quiet time, and at the latest after a cap.
//!
//! In: the moments at which events came. Out: the moment to look.
//! Invariant: the moment to look is never later than the cap after the first event, so a writer
//! that never rests cannot keep the others waiting.
//! Deliberately absent: what the events were about.

use std::time::Duration;

use tokio::time::Instant;

/// Quiet time with a cap.
#[derive(Clone, Debug)]
pub(super) struct Debounce {
    quiet: Duration,
    cap: Duration,
    burst: Option<Burst>,
}

#[derive(Clone, Copy, Debug)]
struct Burst {
    first: Instant,
    last: Instant,
}

impl Debounce {
    /// A debounce without a burst.
    pub(super) const fn new(quiet: Duration, cap: Duration) -> Self {
        Self { quiet, cap, burst: None }
    }

    /// An event came at `now`.
    pub(super) fn stir(&mut self, now: Instant) {
        let first = self.burst.map_or(now, |burst| burst.first);
        self.burst = Some(Burst { first, last: now });
    }

    /// When to look; `None` while nothing stirs.
    pub(super) fn due(&self) -> Option<Instant> {
        self.burst.map(|burst| (burst.last + self.quiet).min(burst.first + self.cap))
    }

    /// When the burst began; `None` while nothing stirs.
    pub(super) fn since(&self) -> Option<Instant> {
        self.burst.map(|burst| burst.first)
    }

    /// The burst has been looked at.
    pub(super) const fn clear(&mut self) {
        self.burst = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn each_event_of_a_burst_moves_the_look_until_the_cap() {
        let start = Instant::now();
        let mut debounce = Debounce::new(ms(200), ms(5000));
        assert_eq!(debounce.due(), None);
        debounce.stir(start);
        assert_eq!(debounce.due(), Some(start + ms(200)));
        debounce.stir(start + ms(150));
        assert_eq!(debounce.due(), Some(start + ms(350)));
        for step in 0..120 {
            debounce.stir(start + ms(150 + 50 * step));
        }
        assert_eq!(debounce.due(), Some(start + ms(5000)), "a writer that never rests is looked at all the same");
        debounce.clear();
        assert_eq!(debounce.due(), None);
        debounce.stir(start + ms(7000));
        assert_eq!(debounce.due(), Some(start + ms(7200)), "the next burst has a cap of its own");
    }
}
