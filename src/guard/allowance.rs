//! The disruption budget: how many accounts may lose something, and within how long.
//!
//! In: texts of options and manifests. Out: [`Allowance`], and [`InForce`]: the one that counts, and who says so.
//! Invariant: the same text means the same in an option and in a manifest.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::account::SourceRef;
use crate::change::Direction;
use crate::ledger::DISRUPTION_MEMORY;
use crate::manifest::Budget;

/// How many accounts may lose something within the window: a number, a share of the managed ones,
/// or the larger of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisruptionBudget {
    count: Option<u32>,
    percent: Option<u32>,
}

impl DisruptionBudget {
    /// The number of accounts it allows among `managed`.
    pub fn limit(self, managed: usize) -> usize {
        let count = self.count.map_or(0, |count| count as usize);
        let share = self.percent.map_or(0, |percent| managed.saturating_mul(percent as usize) / 100);
        count.max(share)
    }
}

/// `10,10%`: a slip in one folder must not reach a whole organization, and everyday leavers must not wait.
impl Default for DisruptionBudget {
    fn default() -> Self {
        Self { count: Some(10), percent: Some(10) }
    }
}

/// Why a text is not a disruption budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBudget {
    /// It is written otherwise.
    #[error("expected N, P% (0% to 100%) or N,P%, such as 10, 5% or 10,10%")]
    Form,
    /// A share of more than all accounts.
    #[error("{0}% is more than all accounts: expected at most 100%, or a number of accounts such as 500")]
    Share(u32),
}

impl FromStr for DisruptionBudget {
    type Err = InvalidBudget;

    fn from_str(text: &str) -> Result<Self, InvalidBudget> {
        let mut budget = Self { count: None, percent: None };
        for part in text.split(',').map(str::trim) {
            let (slot, digits) = match part.strip_suffix('%') {
                Some(digits) => (&mut budget.percent, digits),
                None => (&mut budget.count, part),
            };
            let value = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
            if slot.replace(value.ok_or(InvalidBudget::Form)?).is_some() {
                return Err(InvalidBudget::Form);
            }
        }
        match budget.percent {
            Some(percent @ 101..) => Err(InvalidBudget::Share(percent)),
            _ => Ok(budget),
        }
    }
}

impl fmt::Display for DisruptionBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.count, self.percent) {
            (Some(count), Some(percent)) => write!(f, "{count},{percent}%"),
            (None, Some(percent)) => write!(f, "{percent}%"),
            (count, None) => write!(f, "{}", count.unwrap_or(0)),
        }
    }
}

/// As options and manifests write it.
impl Serialize for DisruptionBudget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DisruptionBudget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// How many accounts may come back within the window, in the same forms; `off`: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantBudget(pub Option<DisruptionBudget>);

/// Why a text is not a grant budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected off, N or P% (0% to 100%), such as 10 or 5%")]
pub struct InvalidGrantBudget;

impl FromStr for GrantBudget {
    type Err = InvalidGrantBudget;

    fn from_str(text: &str) -> Result<Self, InvalidGrantBudget> {
        if text.trim() == "off" {
            return Ok(Self(None));
        }
        text.parse().map(|budget| Self(Some(budget))).map_err(|_| InvalidGrantBudget)
    }
}

impl fmt::Display for GrantBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(budget) => budget.fmt(f),
            None => f.write_str("off"),
        }
    }
}

/// As options and manifests write it.
impl Serialize for GrantBudget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GrantBudget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Why a text is not a window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration such as 15m, 1h or 7days, at most 30days")]
pub struct InvalidWindow;

/// The window of a disruption budget, as humantime writes durations; at most what the ledger remembers.
///
/// # Errors
/// [`InvalidWindow`] for anything else.
pub fn window(text: &str) -> Result<Duration, InvalidWindow> {
    humantime::parse_duration(text).ok().filter(|window| *window <= DISRUPTION_MEMORY).ok_or(InvalidWindow)
}

/// How many accounts may lose something within a window, and how many may come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Allowance {
    /// The budget.
    #[serde(rename = "maxDisruptions")]
    pub max: DisruptionBudget,
    /// The grant budget.
    #[serde(rename = "maxGrants", skip_serializing_if = "is_off")]
    pub max_grants: GrantBudget,
    /// For how long a disruption counts, and a return.
    #[serde(serialize_with = "humane")]
    pub window: Duration,
}

impl Allowance {
    /// Nothing may be taken away, and nothing given back: what counts where it is unclear which budget does.
    pub const fn nothing(window: Duration) -> Self {
        let none = DisruptionBudget { count: Some(0), percent: None };
        Self { max: none, max_grants: GrantBudget(Some(none)), window }
    }
}

const fn is_off(budget: &GrantBudget) -> bool {
    budget.0.is_none()
}

fn humane<S: Serializer>(window: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*window))
}

/// The budget that counts, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InForce {
    /// What may be taken away.
    #[serde(flatten)]
    pub allowance: Allowance,
    /// The `DisruptionBudget` that says so; `None`: the options.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<SourceRef>,
    /// What that document says; the rest is the options'.
    #[serde(skip)]
    pub declared: Budget,
    /// Why nothing may be taken away until somebody mends the manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclear: Option<String>,
}

/// The options' defaults.
impl Default for InForce {
    fn default() -> Self {
        let allowance = Allowance {
            max: DisruptionBudget::default(),
            max_grants: GrantBudget::default(),
            window: Duration::from_secs(60 * 60),
        };
        Self { allowance, manifest: None, declared: Budget::default(), unclear: None }
    }
}

impl InForce {
    /// What to do about changes that are held by the budget of this direction.
    pub fn advice(&self, direction: Direction) -> String {
        const APPROVE: &str = "If all of them are meant, commit what `plan --approval --reason TEXT` prints and have it \
                               reviewed";
        const ELSE: &str = "else look for the mistake.";
        let (option, is_declared) = match direction {
            Direction::TakesAway => ("--disruption-budget", self.declared.max.is_some()),
            Direction::GivesBack => ("--grant-budget", self.declared.max_grants.is_some()),
        };
        match (&self.unclear, &self.manifest) {
            (Some(why), _) => {
                let done = match direction {
                    Direction::TakesAway => "taken away",
                    Direction::GivesBack => "given back",
                };
                format!("Nothing may be {done} before it is clear which budget counts: {why}.")
            }
            (None, Some(source)) if is_declared => {
                format!("{APPROVE} ({option} has no say: the manifest {source} has); {ELSE}")
            }
            (None, _) => format!("{APPROVE}, or raise {option} for one apply; {ELSE}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_the_larger_of_count_and_share() {
        for (text, managed, limit) in
            [("10,10%", 20, 10), ("10,10%", 500, 50), ("5", 1000, 5), ("3%", 99, 2), ("0", 9, 0), ("100%", 7, 7)]
        {
            let budget: DisruptionBudget = text.parse().unwrap();
            assert_eq!(budget.limit(managed), limit, "{text} of {managed}");
            assert_eq!(budget.to_string(), text);
        }
        for bad in ["", "%", "10,10", "5%,5%", "-1", "+1", "1.5", "10,10%,1", "ten"] {
            assert_eq!(bad.parse::<DisruptionBudget>(), Err(InvalidBudget::Form), "{bad:?}");
        }
        assert_eq!("10,101%".parse::<DisruptionBudget>(), Err(InvalidBudget::Share(101)));
    }

    #[test]
    fn a_grant_budget_takes_the_same_forms_or_is_off() {
        for text in ["off", "0", "10", "5%", "10,10%"] {
            assert_eq!(text.parse::<GrantBudget>().unwrap().to_string(), text);
        }
        for bad in ["", "no", "OFF", "-1", "101%", "off,1"] {
            assert_eq!(bad.parse::<GrantBudget>(), Err(InvalidGrantBudget), "{bad:?}");
        }
    }

    #[test]
    fn a_window_is_at_most_what_the_ledger_remembers() {
        assert_eq!(window("30days"), Ok(DISRUPTION_MEMORY));
        for bad in ["30days 1ms", "1", "", "-1h", "soon"] {
            assert_eq!(window(bad), Err(InvalidWindow), "{bad:?}");
        }
    }
}
