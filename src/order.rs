//! What an operator orders of the process that has the ledger.
//!
//! In: the bytes of the file that brings an order to it. Out: [`Order`], and its bytes.
//! Invariants: an order names what it is about, so that one that is late or comes twice does nothing more; what cannot be
//! understood orders nothing. Deliberately absent: the file itself (see [`crate::switch`]).

use serde::{Deserialize, Serialize};

use crate::account::{AccountId, printable};
use crate::freeze::TEXT_MAX;
use crate::manifest::API_VERSION;
use crate::timestamp::Timestamp;

/// An order. The names of the variants are the file's `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Order {
    /// Lift the pause that the service imposed.
    PauseLift {
        /// The end of the pause that is lifted: no other pause has this one.
        until: Timestamp,
        /// Who orders it, as the system knows them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Box<str>>,
    },
    /// Drop what the ledger knows of accounts that no manifest declares.
    Forget {
        /// Which accounts.
        accounts: Vec<AccountId>,
        /// Who orders it, as the system knows them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Box<str>>,
    },
}

/// The file's text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    #[serde(flatten)]
    order: &'a Order,
}

impl Order {
    /// What the file's bytes say.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut order = serde_json::from_slice(bytes).ok()?;
        let (Self::PauseLift { by, .. } | Self::Forget { by, .. }) = &mut order;
        *by = by.take().map(|by| printable::cut(&by, TEXT_MAX).into());
        Some(order)
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let document = Document { api_version: API_VERSION, order: self };
        // Texts, ids and moments alone: there is nothing that could fail.
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
            let by: Option<Box<str>> = by.map(Into::into);
            let accounts = [1, 7].map(|n| AccountId::new(n).unwrap()).into();
            let until = Timestamp::from_millis(1_000);
            for order in [Order::PauseLift { until, by: by.clone() }, Order::Forget { accounts, by }] {
                assert_eq!(Order::from_bytes(&order.to_bytes()), Some(order));
            }
        }
        for odd in [
            "",
            "{}",
            "7",
            r#"{"until": "2027-01-31T08:00:00Z"}"#,
            r#"{"kind": "PauseLift", "until": "tomorrow"}"#,
            r#"{"kind": "Forget", "by": "eve"}"#,
            r#"{"kind": "Forget", "accounts": [0]}"#,
            "\u{0}",
        ] {
            assert_eq!(Order::from_bytes(odd.as_bytes()), None, "{odd}");
        }
        let by = "x".repeat(5_000);
        let long = format!(r#"{{"kind": "PauseLift", "until": "2027-01-31T08:00:00Z", "by": "{by}"}}"#);
        assert!(String::from_utf8(Order::from_bytes(long.as_bytes()).unwrap().to_bytes()).unwrap().len() < 400);
    }
}
