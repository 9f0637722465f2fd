//! The one clock: wall time at start, plus the monotonic time since.
//!
//! In: nothing. Out: [`Clock::now`], a [`Timestamp`] that never goes back while the process lives.
//! Invariant: it follows tokio's clock, so that a test with paused time controls it.

use std::time::SystemTime;

use tokio::time::Instant;

use crate::timestamp::Timestamp;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    started: Instant,
}

impl Clock {
    /// A clock that starts with the system's wall time.
    pub fn start() -> Self {
        Self::start_at(SystemTime::now().into())
    }

    /// A clock that starts at `wall`.
    pub fn start_at(wall: Timestamp) -> Self {
        Self { wall, started: Instant::now() }
    }

    /// The current moment.
    pub fn now(&self) -> Timestamp {
        self.wall + self.started.elapsed()
    }
}
