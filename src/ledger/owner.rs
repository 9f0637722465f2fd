//! Whose accounts a ledger speaks of.
//!
//! In: the options, or the text in a file. Out: [`Owner`]. Invariant: a text reads as it prints.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::account::Zoid;

/// Whose accounts a ledger speaks of. Ledgers of two owners are never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// An organization, with admin authentication.
    Organization(Zoid),
    /// The person who signed in, with user authentication.
    User,
    /// The embedded sandbox.
    Sandbox,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization(zoid) => zoid.fmt(f),
            Self::User => f.write_str("user"),
            Self::Sandbox => f.write_str("sandbox"),
        }
    }
}

impl FromStr for Owner {
    type Err = crate::account::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "user" => Ok(Self::User),
            "sandbox" => Ok(Self::Sandbox),
            digits => digits.parse().map(Self::Organization),
        }
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
