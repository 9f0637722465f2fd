//! Words of time: one instant type for every room.
//!
//! In: the wall clock at start plus the monotonic time since (see [`crate::controller`]).
//! Out: [`Timestamp`], milliseconds since the Unix epoch, printed as RFC 3339 UTC.
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

    /// How long ago `earlier` was; zero if it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment less `duration`, not before the epoch.
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
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
    fn arithmetic_saturates_instead_of_wrapping() {
        let latest = Timestamp::from_millis(u64::MAX);
        assert_eq!(latest.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(latest + Duration::from_secs(1), latest);
        assert_eq!(Timestamp::from_millis(5).before(Duration::from_secs(1)), Timestamp::from_millis(0));
        assert_eq!(Timestamp::from_millis(5).since(latest), Duration::ZERO);
    }
}
