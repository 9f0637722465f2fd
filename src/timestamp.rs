//! Words of time: one instant type for every room.
//!
//! In: the wall time that [`crate::clock`] makes of time that runs evenly.
//! Out: [`Timestamp`], milliseconds since the Unix epoch, printed as RFC 3339 UTC; [`ClockStep`], by which moments are
//! carried over when the wall clock was set.
//! Invariant: no room reads a clock through this type; `now` is always an argument, so that
//! every rule about time is arithmetic and every test of it is instant.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, in milliseconds since the Unix epoch. Prints and serialises as RFC 3339 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// The last millisecond of the year 9999, the latest moment RFC 3339 can write.
const LATEST_MILLIS: u64 = 253_402_300_799_999;

impl Timestamp {
    /// A moment from milliseconds since the Unix epoch; later than the year 9999 is cut to it.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > LATEST_MILLIS { Self(LATEST_MILLIS) } else { Self(millis) }
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// A moment as people write it: RFC 3339, of any offset from UTC.
    pub fn of_any_offset(text: &str) -> Option<Self> {
        // `Z`, or a sign, two digits, `:` and two digits.
        let Some((local, offset)) = text.split_at_checked(text.len().checked_sub(6)?) else { return text.parse().ok() };
        let Some(ahead) = offset.strip_prefix('+').map(|_| true).or_else(|| offset.strip_prefix('-').map(|_| false))
        else {
            return text.parse().ok();
        };
        let (hours, minutes) = offset.get(1..)?.split_once(':')?;
        let number = |digits: &str, most: u64| {
            let all = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|number: &u64| all && *number <= most)
        };
        let offset = Duration::from_secs(60 * (60 * number(hours, 23)? + number(minutes, 59)?));
        // The parser takes a second `Z`.
        let local: Self = format!("{local}Z").parse().ok().filter(|_| !local.ends_with('Z'))?;
        Some(if ahead { local.before(offset) } else { local + offset })
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment less `duration`, not before the epoch.
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

/// The wall clock was set: it said `from`, and from that moment on it says `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// What it would say if it had not been set.
    pub from: Timestamp,
    /// What it says.
    pub to: Timestamp,
}

impl ClockStep {
    /// The smallest difference that is a step. Smaller ones are left alone until they add up to it: the deadlines that
    /// people write are not meant to the second.
    pub const MIN: Duration = Duration::from_secs(2);

    /// The moment that is as far from `to` as `at` was from `from`: a span that ends or began there keeps its length.
    pub const fn carry(self, at: Timestamp) -> Timestamp {
        // Moments end with the year 9999, so the sum of two of them is far from the end of u64.
        Timestamp::from_millis((at.0 + self.to.0).saturating_sub(self.from.0))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at the year 9999.
    fn add(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(duration)))
    }
}

impl From<std::time::SystemTime> for Timestamp {
    fn from(time: std::time::SystemTime) -> Self {
        Self::from_millis(millis(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(self.0)).fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = humantime::TimestampError;

    /// RFC 3339 UTC, with or without a fraction.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_rfc3339(text).map(Self::from)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_back_as_rfc_3339() {
        let moment = Timestamp::from_millis(1_763_753_731_042);
        assert_eq!(moment.to_string(), "2025-11-21T19:35:31.042Z");
        assert_eq!(moment.to_string().parse::<Timestamp>().unwrap(), moment);
        assert_eq!("2025-11-21T19:35:31Z".parse::<Timestamp>().unwrap().as_millis(), 1_763_753_731_000);
    }

    #[test]
    fn a_moment_may_have_any_offset() {
        let noon: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for text in [
            "2026-03-01T12:00:00Z",
            "2026-03-01T14:00:00+02:00",
            "2026-03-01T06:30:00-05:30",
            "2026-03-01T12:00:00.000+00:00",
        ] {
            assert_eq!(Timestamp::of_any_offset(text), Some(noon), "{text}");
        }
        for odd in [
            "",
            "12:00",
            "2026-03-01",
            "2026-03-01T12:00:00",
            "2026-03-01T12:00:00+2:00",
            "2026-03-01T12:00:00+25:00",
            "2026-03-01T12:00:00+02:60",
            "2026-03-01T12:00:00Z+02:00",
            "é:é:é",
        ] {
            assert_eq!(Timestamp::of_any_offset(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_step_carries_what_lies_ahead_and_what_lies_behind_as_far_and_back_again() {
        let (early, late) = (Timestamp::from_millis(5_000_000), Timestamp::from_millis(9_000_000));
        for step in [ClockStep { from: early, to: late }, ClockStep { from: late, to: early }] {
            let back = ClockStep { from: step.to, to: step.from };
            for at in [step.from.before(Duration::from_secs(60)), step.from, step.from + Duration::from_secs(60)] {
                let carried = step.carry(at);
                assert_eq!(carried.since(step.to), at.since(step.from));
                assert_eq!(step.to.since(carried), step.from.since(at));
                assert_eq!(back.carry(carried), at);
            }
        }
        let latest = Timestamp::from_millis(u64::MAX);
        assert_eq!(ClockStep { from: early, to: late }.carry(latest), latest);
        assert_eq!(ClockStep { from: late, to: early }.carry(early), Timestamp::from_millis(1_000_000));
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        let latest = Timestamp::from_millis(u64::MAX);
        assert_eq!(latest.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(latest + Duration::from_secs(1), latest);
        assert_eq!(Timestamp::from_millis(5).before(Duration::from_secs(1)), Timestamp::from_millis(0));
        assert_eq!(Timestamp::from_millis(5).since(latest), Duration::ZERO);
    }
}
