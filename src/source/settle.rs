//! When a file may be believed: not before it has been at rest for a debounce.
//!
//! In: what `fstat` and two clocks say. Out: at rest, or not yet and when to look again.
//! Invariants: a file whose time stamps cannot be trusted (they lie in the future, or another machine's
//! clock made them) is believed only after two looks, a debounce apart, saw the same bytes; a file that is empty, or
//! that its writer has not closed, is "being written" until it has been at rest for [`Rule::unfinished`].
//! Deliberately absent: reading. This is arithmetic.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;
use tokio::time::Instant;

use super::Watch;
use super::beneath::Beneath;

/// The shortest rest, whatever the debounce: two ticks of a 100 Hz kernel, the step of its file time stamps.
/// Within one step a second write leaves no trace in them.
const MIN_SETTLE: Duration = Duration::from_millis(20);

/// What whole-second stamps may hide: FAT keeps even seconds, the coarsest in use.
const COARSE: Duration = Duration::from_secs(2);

const NANOS: i64 = 1_000_000_000;

/// One moment on both clocks: the monotonic one for our own waiting, the wall clock for file times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) mono: Instant,
    pub(super) wall: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { mono: Instant::now(), wall: SystemTime::now() }
    }
}

/// What `fstat` says about a file's content: as long as it is equal, the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    dev: u64,
    ino: u64,
    pub(super) size: u64,
    mtime: i64,
    ctime: i64,
}

impl Stamp {
    // The fields' widths differ between architectures.
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
    pub(super) fn of(stat: &Stat) -> Self {
        let nanos = |seconds: i64, rest: i64| seconds.saturating_mul(NANOS).saturating_add(rest);
        Self {
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            size: (stat.st_size as i64).try_into().unwrap_or(u64::MAX),
            mtime: nanos(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime: nanos(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }

    /// How long the file has certainly been at rest; zero if its stamps lie ahead of `wall`.
    fn rest(&self, wall: SystemTime) -> Duration {
        let now = wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let newest = self.mtime.max(self.ctime);
        let age = i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(newest);
        Duration::from_nanos(u64::try_from(age).unwrap_or(0))
    }

    /// Whether the file system keeps whole seconds only.
    const fn is_coarse(&self) -> bool {
        self.mtime % NANOS == 0 && self.ctime % NANOS == 0
    }
}

/// A file's stamp and the fingerprint of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print {
    pub(super) stamp: Stamp,
    pub(super) hash: u64,
    /// Bytes read; the stamp's size is what the file system claims.
    pub(super) empty: bool,
    /// Whether it was written to and not closed since.
    pub(super) open: bool,
}

impl Print {
    /// Whether more is to come, by all appearances.
    pub(super) const fn is_unfinished(&self) -> bool {
        self.empty || self.open
    }
}

/// An earlier look at the same path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glimpse {
    /// Fingerprint of what was there.
    pub(super) hash: u64,
    /// Since when every look has seen it.
    pub(super) since: Instant,
}

/// The rule of one folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// How long a file must have been at rest.
    pub(super) settle: Duration,
    /// How long one that is empty, or not closed by its writer.
    pub(super) unfinished: Duration,
    /// Whether the folder's time stamps come from this machine's clock.
    pub(super) own_clock: bool,
}

impl Rule {
    /// The rule of the folder `beneath` is.
    pub(super) const fn of(options: &Watch, beneath: &Beneath) -> Self {
        Self { settle: options.debounce, unfinished: options.unfinished, own_clock: !beneath.remote }
    }

    /// How long a file (or its absence) must last before it is believed.
    pub(super) fn need(&self, unfinished: bool) -> Duration {
        let settle = self.settle.max(MIN_SETTLE);
        if unfinished { settle.max(self.unfinished) } else { settle }
    }

    /// `None`: believe it. Otherwise: how long until the next look.
    pub(super) fn wait(&self, print: &Print, earlier: Option<Glimpse>, now: Moment) -> Option<Duration> {
        let hidden = if print.stamp.is_coarse() { COARSE } else { Duration::ZERO };
        let need = self.need(print.is_unfinished()) + hidden;
        let rest = if self.own_clock { print.stamp.rest(now.wall) } else { Duration::ZERO };
        let seen = earlier
            .filter(|glimpse| glimpse.hash == print.hash)
            .map_or(Duration::ZERO, |glimpse| now.mono.saturating_duration_since(glimpse.since));
        need.checked_sub(rest.max(seen)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    const RULE: Rule = Rule { settle: ms(200), unfinished: ms(5000), own_clock: true };

    /// A file of 10 bytes last changed at `at` since the epoch.
    fn print(at: Duration) -> Print {
        let nanos = i64::try_from(at.as_nanos()).unwrap();
        Print {
            stamp: Stamp { dev: 1, ino: 2, size: 10, mtime: nanos, ctime: nanos },
            hash: 7,
            empty: false,
            open: false,
        }
    }

    /// The wall clock at `at` since the epoch.
    fn moment(at: Duration) -> Moment {
        Moment { mono: Instant::now(), wall: UNIX_EPOCH + at }
    }

    #[test]
    fn a_file_at_rest_for_a_debounce_is_believed_at_once() {
        let now = moment(ms(1_000_300));
        assert_eq!(RULE.wait(&print(ms(1_000_100)), None, now), None);
        assert_eq!(RULE.wait(&print(ms(1_000_250)), None, now), Some(ms(150)));
    }

    #[test]
    fn a_stamp_from_the_future_needs_two_looks() {
        let now = moment(ms(1_000_300));
        let ahead = print(ms(9_000_001));
        assert_eq!(RULE.wait(&ahead, None, now), Some(ms(200)));
        let glimpse = Glimpse { hash: 7, since: now.mono };
        let later = Moment { mono: now.mono + ms(200), wall: now.wall + ms(200) };
        assert_eq!(RULE.wait(&ahead, Some(glimpse), later), None);
        assert_eq!(RULE.wait(&ahead, Some(Glimpse { hash: 8, ..glimpse }), later), Some(ms(200)), "other bytes");
    }

    #[test]
    fn another_machines_clock_needs_two_looks_however_old_the_file_seems() {
        let rule = Rule { own_clock: false, ..RULE };
        assert_eq!(rule.wait(&print(ms(5)), None, moment(ms(1_000_300))), Some(ms(200)));
    }

    #[test]
    fn whole_second_stamps_hide_two_seconds() {
        let file = print(Duration::from_secs(1000));
        assert_eq!(RULE.wait(&file, None, moment(ms(1_001_000))), Some(ms(1200)));
        assert_eq!(RULE.wait(&file, None, moment(ms(1_002_150))), Some(ms(50)));
        assert_eq!(RULE.wait(&file, None, moment(ms(1_002_200))), None);
    }

    #[test]
    fn an_empty_or_unclosed_file_is_being_written_for_five_seconds() {
        let print = print(ms(1_000_001));
        for unfinished in [Print { empty: true, ..print }, Print { open: true, ..print }] {
            assert_eq!(RULE.wait(&unfinished, None, moment(ms(1_001_001))), Some(ms(4000)));
            assert_eq!(RULE.wait(&unfinished, None, moment(ms(1_005_001))), None);
        }
    }

    #[test]
    fn a_debounce_of_zero_still_outlasts_the_step_of_time_stamps() {
        let rule = Rule { settle: Duration::ZERO, ..RULE };
        assert_eq!(rule.wait(&print(ms(1_000_001)), None, moment(ms(1_000_011))), Some(ms(10)));
    }
}
