//! The one clock: time that runs evenly, read as wall time; and whether the wall clock was set meanwhile.
//!
//! In: the system's clocks. Out: [`Clock::now`], a [`Timestamp`]; [`Clock::look`], a [`ClockStep`] once for each time that
//! the wall clock was set.
//! Invariants: between two looks that find a step, time runs evenly, also while the machine is suspended
//! (CLOCK_BOOTTIME); all clones show the same time; each clone gets each step once. A clock made by
//! [`SimulatedWall::clock`] follows tokio's time, so that a test with paused time controls it.
//!
//! Why one moment, and not an even one for spans and one of the wall for the deadlines that people write: whatever is
//! written down, logged or shown is wall time, and an even moment means nothing to the next process. So both would go
//! through every room, and be mistaken for each other. With one, a step is one event, at which whatever holds spans
//! carries them over ([`ClockStep::carry`]), and deadlines are compared with a `now` that is right.
//!
//! NTP slews both clocks alike, so that they differ only by steps. Steps of less than [`ClockStep::MIN`] are left alone
//! until they add up.
//! Absent by design: steps between two runs, which only what is remembered can tell of (see [`crate::ledger`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use crate::timestamp::{ClockStep, Timestamp};

/// Two looks at the even clock, before and after one at the wall clock, that are farther apart say nothing: this thread
/// was held up in between. In milliseconds.
const HELD_UP: i64 = 100;

/// Where the time comes from.
#[derive(Clone, Debug)]
enum Source {
    System,
    Simulated(SimulatedWall),
}

impl Source {
    /// The even time, in milliseconds since any moment.
    fn even(&self) -> i64 {
        match self {
            Self::System => {
                let since_boot = clock_gettime(ClockId::Boottime);
                since_boot.tv_sec * 1_000 + since_boot.tv_nsec / 1_000_000
            }
            Self::Simulated(wall) => millis(wall.started.elapsed()),
        }
    }

    /// By how many milliseconds the wall clock is ahead of the even one; `None` if this look at both failed.
    fn ahead(&self) -> Option<i64> {
        match self {
            Self::System => {
                let before = self.even();
                let wall = Timestamp::from(SystemTime::now());
                let after = self.even();
                (after - before <= HELD_UP).then(|| signed(wall) - before)
            }
            Self::Simulated(wall) => Some(wall.ahead.load(Ordering::Relaxed)),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

const fn signed(at: Timestamp) -> i64 {
    at.as_millis().cast_signed()
}

/// What a wall clock says that is `ahead` of the even one.
fn moment(even: i64, ahead: i64) -> Timestamp {
    Timestamp::from_millis(even.saturating_add(ahead).max(0).cast_unsigned())
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    /// By how many milliseconds the wall clock is ahead of the even one, as the last step left it. For all clones.
    ahead: Arc<AtomicI64>,
    /// The same, as this clone knows it.
    known: i64,
}

impl Clock {
    /// The system's clock.
    pub fn start() -> Self {
        Self::of(Source::System)
    }

    /// A clock of tokio's time that starts at `wall`, and is never set.
    pub fn start_at(wall: Timestamp) -> Self {
        SimulatedWall::at(wall).clock()
    }

    fn of(source: Source) -> Self {
        // Whatever a thread that is held up each time sees, its first look for a step sets it right.
        let ahead = (0..10).find_map(|_| source.ahead());
        let ahead = ahead.unwrap_or_else(|| signed(SystemTime::now().into()) - source.even());
        Self { source, ahead: Arc::new(AtomicI64::new(ahead)), known: ahead }
    }

    /// The current moment.
    pub fn now(&self) -> Timestamp {
        moment(self.source.even(), self.ahead.load(Ordering::Relaxed))
    }

    /// Looks at the wall clock. If it was set, all clones show the new time from now on; the step, as by [`Self::step`].
    pub fn look(&mut self) -> Option<ClockStep> {
        let before = self.ahead.load(Ordering::Relaxed);
        if let Some(ahead) = self.source.ahead()
            && ahead.abs_diff(before) >= millis(ClockStep::MIN).unsigned_abs()
        {
            self.ahead.store(ahead, Ordering::Relaxed);
        }
        self.step()
    }

    /// The step that another clone's look found since this one was last asked.
    pub fn step(&mut self) -> Option<ClockStep> {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let before = std::mem::replace(&mut self.known, ahead);
        let even = self.source.even();
        (before != ahead).then(|| ClockStep { from: moment(even, before), to: moment(even, ahead) })
    }
}

/// A wall clock that a test sets, over tokio's time.
#[derive(Clone, Debug)]
pub struct SimulatedWall {
    started: Instant,
    ahead: Arc<AtomicI64>,
}

impl SimulatedWall {
    /// A wall clock that says `wall`.
    pub fn at(wall: Timestamp) -> Self {
        Self { started: Instant::now(), ahead: Arc::new(AtomicI64::new(signed(wall))) }
    }

    /// A clock that looks at this one.
    pub fn clock(&self) -> Clock {
        Clock::of(Source::Simulated(self.clone()))
    }

    /// What it says now.
    pub fn now(&self) -> Timestamp {
        moment(millis(self.started.elapsed()), self.ahead.load(Ordering::Relaxed))
    }

    /// Sets it.
    pub fn set(&self, wall: Timestamp) {
        self.ahead.store(signed(wall) - millis(self.started.elapsed()), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_step_is_found_by_one_look_reported_to_each_clone_once_and_time_runs_evenly_in_between() {
        let wall = SimulatedWall::at(T0);
        let mut clock = wall.clock();
        let mut other = clock.clone();
        assert_eq!((clock.now(), clock.look()), (T0, None));
        tokio::time::advance(HOUR).await;
        assert_eq!((clock.now(), clock.look()), (T0 + HOUR, None));
        for (from, to) in [(T0 + HOUR, T0 + 3 * HOUR), (T0 + 3 * HOUR, T0)] {
            wall.set(to);
            assert_eq!((clock.now(), other.now(), other.step()), (from, from, None), "no look has found it yet");
            assert_eq!(clock.look(), Some(ClockStep { from, to }));
            assert_eq!((clock.now(), clock.look(), other.now()), (to, None, to));
            assert_eq!((other.step(), other.step()), (Some(ClockStep { from, to }), None));
        }
        tokio::time::advance(HOUR).await;
        assert_eq!((clock.now(), wall.now()), (T0 + HOUR, T0 + HOUR));
    }

    #[tokio::test(start_paused = true)]
    async fn small_differences_are_left_alone_until_they_add_up() {
        let wall = SimulatedWall::at(T0);
        let mut clock = wall.clock();
        let (most, second) = (Duration::from_millis(1_999), Duration::from_secs(1));
        wall.set(T0 + most);
        assert_eq!((clock.look(), clock.now()), (None, T0));
        wall.set(T0 + most + second);
        assert_eq!(clock.look(), Some(ClockStep { from: T0, to: T0 + most + second }));
        wall.set(T0 + most);
        assert_eq!((clock.look(), clock.now()), (None, T0 + most + second));
    }

    #[test]
    fn the_systems_clock_shows_the_systems_time_and_sees_no_step_where_there_is_none() {
        let mut clock = Clock::start();
        let (now, wall) = (clock.now(), Timestamp::from(SystemTime::now()));
        assert!(now.since(wall).max(wall.since(now)) < Duration::from_secs(60), "{now}, {wall}");
        assert_eq!(clock.look(), None);
    }
}
