//! A freeze: reconciling as a whole is suspended, by an operator and not by a manifest.
//!
//! In: the bytes of the file beside the ledger whose presence is the freeze. Out: [`Freeze`], in words and as bytes.
//! Invariants: whatever the file holds, it freezes, for whoever put it there meant to; what strangers wrote in it is
//! short. Deliberately absent: the file itself (see [`crate::switch`]), and `spec.suspend` of a single account.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::printable;
use crate::manifest::API_VERSION;
use crate::timestamp::Timestamp;

/// `kind` of the file.
const KIND: &str = "Suspension";

/// The longest reason or name that is repeated, in characters: as long as a manifest's `suspendReason`.
pub const TEXT_MAX: usize = 200;

/// How soon a running daemon takes an order, and notices by itself that everything was suspended or resumed.
pub const NOTICED: Duration = Duration::from_secs(1);

/// Nothing is sent while it lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    /// Since when; `None` if the file does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// From then on everything is reconciled again; `None` is until somebody resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// Who, as the system knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<str>>,
    /// On which machine they asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Box<str>>,
    /// Who lifted it; `None` while it is in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Resumed>,
}

/// How a suspension was lifted before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resumed {
    /// When.
    pub at: Timestamp,
    /// Who, as the system knows them.
    pub by: Box<str>,
    /// On which machine they asked for it.
    pub host: Box<str>,
}

/// The file's text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    freeze: &'a Freeze,
}

impl Freeze {
    /// What the file's bytes say. An empty file is a freeze without a word; so is one that cannot be understood, and
    /// then its reason says that.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        if bytes.trim_ascii().is_empty() {
            return Self::default();
        }
        match serde_json::from_slice::<Self>(bytes) {
            Ok(Self { since, until, reason, by, host, resumed }) => {
                let cut = |text: Box<str>| printable::cut(&text, TEXT_MAX).into();
                let resumed = resumed.map(|Resumed { at, by, host }| Resumed { at, by: cut(by), host: cut(host) });
                Self { since, until, reason: reason.map(cut), by: by.map(cut), host: host.map(cut), resumed }
            }
            Err(error) => Self::unclear(&format!("its file is not understood: {}", printable::json_fault(&error))),
        }
    }

    /// A freeze of which only `why` is known.
    pub fn unclear(why: &str) -> Self {
        Self { reason: Some(printable::cut(why, TEXT_MAX).into()), ..Self::default() }
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let document = Document { api_version: API_VERSION, kind: KIND, freeze: self };
        // Texts and moments alone: there is nothing that could fail.
        let mut bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Whether it is over at `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// `suspended since … by … on … until …: reason`, on one line.
impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { since, until, reason, by, host, resumed: _ } = self;
        f.write_str("suspended")?;
        since.map_or(Ok(()), |since| write!(f, " since {since}"))?;
        by.as_deref().map_or(Ok(()), |by| write!(f, " by {}", printable::escape(by)))?;
        host.as_deref().map_or(Ok(()), |host| write!(f, " on {}", printable::escape(host)))?;
        until.map_or(Ok(()), |until| write!(f, " until {until}"))?;
        reason.as_deref().map_or(Ok(()), |reason| write!(f, ": {}", printable::escape(reason)))
    }
}

/// `2027-01-31T08:00:00.000Z by … on …`.
impl fmt::Display for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, by, host } = self;
        write!(f, "{at} by {} on {}", printable::escape(by), printable::escape(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_reads_back_as_it_was_written() {
        let (since, until) = (Timestamp::from_millis(1_000), Timestamp::from_millis(5_000));
        let freeze = Freeze {
            since: Some(since),
            until: Some(until),
            reason: Some("the\nmigration".into()),
            by: Some("eve\u{202e}".into()),
            host: Some("web1".into()),
            resumed: Some(Resumed { at: until, by: "bob".into(), host: "web\n2".into() }),
        };
        assert_eq!(Freeze::from_bytes(&freeze.to_bytes()), freeze);
        let resumed = freeze.resumed.as_ref().map(ToString::to_string);
        assert_eq!(resumed.as_deref(), Some("1970-01-01T00:00:05.000Z by bob on web\\n2"));
        let printed = "suspended since 1970-01-01T00:00:01.000Z by eve\\u{202e} on web1 until \
                       1970-01-01T00:00:05.000Z: the\\nmigration";
        assert_eq!(freeze.to_string(), printed);
        assert!(!freeze.is_over(since) && freeze.is_over(until));
    }

    #[test]
    fn whatever_the_file_holds_it_freezes() {
        assert_eq!(Freeze::from_bytes(b" \n").to_string(), "suspended");
        for odd in ["{", "7", "{\"until\": \"tomorrow\"}", "\u{0}", "reason: maintenance"] {
            let freeze = Freeze::from_bytes(odd.as_bytes());
            assert!(freeze.to_string().starts_with("suspended: its file is not understood"), "{odd}: {freeze}");
            assert!(!freeze.is_over(Timestamp::from_millis(u64::MAX)));
        }
        let long = format!("{{\"reason\": \"{}\", \"ticket\": 7}}", "x".repeat(5_000));
        assert!(Freeze::from_bytes(long.as_bytes()).to_string().len() < 300);
    }
}
