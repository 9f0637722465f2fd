//! An operator's order to lift the pause that the service imposed.
//!
//! In: the bytes of the file that brings it to a running process. Out: [`LiftOrder`], and its bytes.
//! Invariants: an order names the pause that it lifts, so that one that is late or comes twice lifts no later pause; what
//! cannot be understood lifts nothing. Deliberately absent: the file itself (see [`crate::switch`]).

use serde::{Deserialize, Serialize};

use crate::account::printable;
use crate::freeze::TEXT_MAX;
use crate::manifest::API_VERSION;
use crate::timestamp::Timestamp;

/// `kind` of the file.
const KIND: &str = "PauseLift";

/// Lifts one pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiftOrder {
    /// The end of the pause that is lifted: no other pause has this one.
    pub until: Timestamp,
    /// Who orders it, as the system knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<str>>,
}

/// The file's text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    order: &'a LiftOrder,
}

impl LiftOrder {
    /// What the file's bytes say.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Self { until, by } = serde_json::from_slice(bytes).ok()?;
        Some(Self { until, by: by.map(|by| printable::cut(&by, TEXT_MAX).into()) })
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let document = Document { api_version: API_VERSION, kind: KIND, order: self };
        // Texts and moments alone: there is nothing that could fail.
        let mut bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_back_as_it_was_written_and_what_is_not_understood_is_none() {
        for by in [Some("eve\u{202e}"), None] {
            let order = LiftOrder { until: Timestamp::from_millis(1_000), by: by.map(Into::into) };
            assert_eq!(LiftOrder::from_bytes(&order.to_bytes()), Some(order));
        }
        for odd in ["", "{}", "7", "{\"until\": \"tomorrow\"}", "{\"by\": \"eve\"}", "\u{0}"] {
            assert_eq!(LiftOrder::from_bytes(odd.as_bytes()), None, "{odd}");
        }
        let long = format!("{{\"until\": \"2027-01-31T08:00:00Z\", \"by\": \"{}\"}}", "x".repeat(5_000));
        assert!(LiftOrder::from_bytes(long.as_bytes()).unwrap().by.unwrap().len() < 300);
    }
}
