//! Words of validity: from when on, and until when, a manifest wants what it says.
//!
//! In: `validFrom` and `validUntil` as they are written, and a moment. Out: [`Validity`], which decides what is wanted then:
//! outside of the period every managed field is `false`.
//! Invariants: `validFrom` is the first moment of the period, `validUntil` the first one after it; what has ended stays
//! ended, also by a clock that went back since. Absent by design: who remembers that (see [`crate::ledger::Row::ended`]); and
//! a memory of what has begun: a clock that was ahead by mistake would leave access behind that is not due, while one that
//! goes back across a beginning only takes it away until then.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Reason;
use crate::timestamp::Timestamp;

/// When a manifest is valid. At least one of the two is there, and the first lies before the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// `validFrom`.
    pub from: Option<Timestamp>,
    /// `validUntil`.
    pub until: Option<Timestamp>,
}

/// One of the two dates of a [`Period`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `validFrom`.
    From,
    /// `validUntil`.
    Until,
}

impl Bound {
    /// Both, in the order of time.
    pub const ALL: [Self; 2] = [Self::From, Self::Until];

    /// Position in [`Bound::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// How a moment lies to a [`Period`]. Displays as people say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "reason")]
pub enum Validity {
    /// Before it.
    NotYetValid {
        /// When it begins.
        until: Timestamp,
    },
    /// Within it.
    Valid {
        /// When it began, if it has a beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
    /// After it.
    NoLongerValid {
        /// When it ended.
        since: Timestamp,
    },
}

impl Period {
    /// How `now` lies to it. `ended`: the end of the account's period that was acted upon, which is past whatever the clock
    /// says.
    pub fn at(&self, ended: Option<Timestamp>, now: Timestamp) -> Validity {
        match *self {
            Self { until: Some(since), .. } if since <= now || ended == Some(since) => {
                Validity::NoLongerValid { since }
            }
            Self { from: Some(until), .. } if now < until => Validity::NotYetValid { until },
            Self { from: since, .. } => Validity::Valid { since },
        }
    }

    /// One of its dates, if it has it.
    pub const fn date(&self, bound: Bound) -> Option<Timestamp> {
        match bound {
            Bound::From => self.from,
            Bound::Until => self.until,
        }
    }

    /// Its beginning and its end, as far as it has them.
    pub fn boundaries(&self) -> impl Iterator<Item = Timestamp> {
        Bound::ALL.into_iter().filter_map(|bound| self.date(bound))
    }

    /// When something else is wanted next.
    pub fn next_boundary(&self, now: Timestamp) -> Option<Timestamp> {
        self.boundaries().find(|at| now < *at)
    }
}

impl Validity {
    /// Whether what the manifest says is wanted.
    pub const fn is_valid(self) -> bool {
        matches!(self, Self::Valid { .. })
    }

    /// The end that is acted upon, outside of the period.
    pub const fn ended(self) -> Option<Timestamp> {
        match self {
            Self::NoLongerValid { since } => Some(since),
            Self::NotYetValid { .. } | Self::Valid { .. } => None,
        }
    }

    /// The boundary that was passed last.
    pub const fn since(self) -> Option<Timestamp> {
        match self {
            Self::NoLongerValid { since } => Some(since),
            Self::Valid { since } => since,
            Self::NotYetValid { .. } => None,
        }
    }

    /// Why an account is as it is wanted, outside of the period.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::NotYetValid { .. } => Some(Reason::NotYetValid),
            Self::Valid { .. } => None,
            Self::NoLongerValid { .. } => Some(Reason::NoLongerValid),
        }
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYetValid { until } => write!(f, "not valid before {until}"),
            Self::Valid { since: None } => f.write_str("valid"),
            Self::Valid { since: Some(since) } => write!(f, "valid since {since}"),
            Self::NoLongerValid { since } => write!(f, "no longer valid since {since}"),
        }
    }
}

/// For people: `from … until …`.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.until) {
            (Some(from), Some(until)) => write!(f, "valid from {from} until {until}"),
            (Some(from), None) => write!(f, "valid from {from}"),
            (None, Some(until)) => write!(f, "valid until {until}"),
            (None, None) => f.write_str("valid"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_first_moment_of_a_period_belongs_to_it_and_its_end_does_not() {
        let period = Period { from: Some(at(10)), until: Some(at(20)) };
        let seen = |now| period.at(None, at(now)).to_string().split(' ').take(2).collect::<Vec<_>>().join(" ");
        let expected =
            [(0, "not valid"), (9, "not valid"), (10, "valid since"), (19, "valid since"), (20, "no longer")];
        for (now, words) in expected {
            assert_eq!(seen(now), words, "{now}");
        }
        let boundaries: Vec<_> = [0, 10, 19, 20].map(|now| period.next_boundary(at(now))).into();
        assert_eq!(boundaries, [Some(at(10)), Some(at(20)), Some(at(20)), None]);
        let open = Period { from: None, until: Some(at(20)) };
        assert_eq!(
            (open.at(None, at(0)), open.at(None, at(20)).ended()),
            (Validity::Valid { since: None }, Some(at(20)))
        );
    }

    #[test]
    fn what_ended_stays_ended_by_a_clock_that_went_back_until_there_is_another_end() {
        let period = Period { from: Some(at(10)), until: Some(at(20)) };
        for now in [0, 15, 25] {
            assert_eq!(period.at(Some(at(20)), at(now)), Validity::NoLongerValid { since: at(20) }, "{now}");
        }
        assert_eq!(period.at(Some(at(19)), at(15)), Validity::Valid { since: Some(at(10)) });
    }
}
