//! The values of a manifest: ids, booleans, names, labels, addresses, moments, reasons.
//!
//! In: a node with its place. Out: the value, or a problem that says what to write instead.
//! Invariant: nothing is guessed. A value that could have been meant is refused with a hint.

use std::str::FromStr;

use super::judge::{Field, Judge, Spot};
use super::look_alike;
use super::node::Node;
use super::problem::{Place, ProblemCode};
use crate::account::printable::is_deceptive;
use crate::timestamp::Timestamp;

/// The longest DNS-1123 subdomain (RFC 1123, Kubernetes object names).
const MAX_SUBDOMAIN: usize = 253;

/// The longest label name or value in Kubernetes, and the longest part of a DNS name.
const MAX_LABEL: usize = 63;

/// The longest address that can be delivered to (RFC 5321: a path of 256 with its brackets).
const MAX_EMAIL: usize = 254;

/// The longest reason, in characters: one line of a log.
const MAX_REASON: usize = 200;

/// What an id is; the number is [`crate::account::MAX_ID`].
const ID: &str = "digits, 1 to 9223372036854775807";

const QUOTE_IT: Option<&str> = Some("put it in quotes");

impl Judge<'_> {
    /// An identifier, plain or quoted digits.
    pub(super) fn id<T: FromStr>(&mut self, spot: Spot<'_>, field: &Field<'_>, new: fn(u64) -> Option<T>) -> Option<T> {
        let parsed = match spot.node {
            Node::Int(value) => new(*value),
            Node::Text(text) => text.parse().ok(),
            Node::Float(_) => {
                self.wrong_type(spot, field, ID, Some("a floating-point number loses digits: write them all"));
                return None;
            }
            Node::OddInt(_) => None,
            Node::Null(_) | Node::Bool(_) | Node::List(_) | Node::Map(_) => {
                self.wrong_type(spot, field, ID, None);
                return None;
            }
        };
        if parsed.is_none() {
            let text = if let Node::Text(text) | Node::OddInt(text) = spot.node { text } else { "" };
            self.invalid(spot, field, ID, id_hint(text));
        }
        parsed
    }

    /// `true` or `false`, without quotes.
    pub(super) fn flag(&mut self, spot: Spot<'_>, field: &Field<'_>) -> Option<bool> {
        let lower = match spot.node {
            Node::Bool(value) => return Some(*value),
            Node::Text(text) if text.len() <= 8 => text.to_ascii_lowercase(),
            Node::Int(value) => value.to_string(),
            _ => String::new(),
        };
        let hint = match &*lower {
            "true" => Some("write true without quotes"),
            "false" => Some("write false without quotes"),
            "yes" | "on" | "y" | "1" | "enabled" => Some("if it is meant to be true, write true"),
            "no" | "off" | "n" | "0" | "disabled" => Some("if it is meant to be false, write false"),
            _ if matches!(spot.node, Node::Null(_)) => Some("leave the key out to leave it unmanaged"),
            _ => None,
        };
        self.wrong_type(spot, field, "true or false", hint);
        None
    }

    /// Text, of whatever content.
    pub(super) fn text<'n>(&mut self, spot: Spot<'n>, field: &Field<'_>, expected: &str) -> Option<&'n str> {
        if let Node::Text(text) = spot.node {
            return Some(text);
        }
        let scalar = matches!(spot.node, Node::Bool(_) | Node::Int(_) | Node::OddInt(_) | Node::Float(_));
        self.wrong_type(spot, field, expected, if scalar { QUOTE_IT } else { None });
        None
    }

    /// `metadata.name`: a DNS-1123 subdomain, as Kubernetes names its objects.
    pub(super) fn name<'n>(&mut self, spot: Spot<'n>, field: &Field<'_>) -> Option<&'n str> {
        let expected = "lower-case letters, digits, '-' and '.' (a DNS-1123 subdomain, at most 253)";
        let name = self.text(spot, field, expected)?;
        if is_subdomain(name) {
            return Some(name);
        }
        let lowers = is_subdomain(&name.to_ascii_lowercase());
        let hint = lowers.then(|| "write it in lower case".to_owned()).or_else(|| look_alike::beyond_latin(name));
        self.invalid(spot, field, expected, hint.as_deref());
        None
    }

    /// `metadata.labels` and `metadata.annotations`: strings under qualified names.
    pub(super) fn strings<'n>(
        &mut self,
        spot: Spot<'n>,
        field: &Field<'_>,
        values_are_labels: bool,
    ) -> Vec<(&'n str, Place, Spot<'n>)> {
        let pairs = self.free_map(spot, field);
        for (key, place, value) in &pairs {
            let field = field.key(key);
            if !is_qualified_name(key) {
                let expected =
                    "a key like team or example.com/team, the name at most 63 letters, digits, '-', '_', '.'";
                let found = format!("the key \"{}\"", super::problem::printable(key));
                self.report((*place, &field), ProblemCode::InvalidValue, expected, found, None);
            }
            let Some(text) = self.text(*value, &field, "a string") else { continue };
            if values_are_labels && !(text.is_empty() || is_label(text)) {
                let expected = "at most 63 letters, digits, '-', '_', '.', a letter or digit at both ends";
                self.invalid(*value, &field, expected, Some("annotations take any text"));
            }
        }
        pairs
    }

    /// `spec.email`: plausible, for only a delivery could prove it.
    pub(super) fn email<'n>(&mut self, spot: Spot<'n>, field: &Field<'_>) -> Option<&'n str> {
        let expected = "an address like alice@example.com, at most 254 characters";
        let email = self.text(spot, field, expected)?;
        let plausible = email.len() <= MAX_EMAIL
            && !email.chars().any(|c| c.is_whitespace() || is_deceptive(c))
            && email
                .split_once('@')
                .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
        if !plausible || email.split(['@', '.']).any(|part| look_alike::hint(part).is_some()) {
            self.invalid(spot, field, expected, None);
            return None;
        }
        // A domain of other letters has a name of ASCII letters, too.
        if !email.rsplit_once('@').is_some_and(|(_, host)| host.is_ascii()) {
            let hint = look_alike::beyond_latin(email);
            let hint = hint.map(|hint| format!("{hint}: write the domain as DNS has it, xn--..."));
            self.report((spot.place, field), ProblemCode::InvalidValue, expected, spot.describe(), hint);
            return None;
        }
        Some(email)
    }

    /// `spec.suspendReason` and `spec.reason`: one printable line.
    pub(super) fn reason<'n>(&mut self, spot: Spot<'n>, field: &Field<'_>) -> Option<&'n str> {
        let expected = "one line of text, 1 to 200 characters";
        let reason = self.text(spot, field, expected)?;
        if !is_reason(reason) {
            self.invalid(spot, field, expected, None);
            return None;
        }
        Some(reason)
    }

    /// `spec.suspendUntil`, `spec.validFrom`, `spec.validUntil` and `spec.expires`: a moment, of any offset from UTC.
    pub(super) fn moment(&mut self, spot: Spot<'_>, field: &Field<'_>) -> Option<Timestamp> {
        let expected = "a moment like 2027-01-31T08:00:00Z or 2027-01-31T09:00:00+01:00 (RFC 3339)";
        let text = self.text(spot, field, expected)?;
        let moment = Timestamp::of_any_offset(text);
        if moment.is_none() {
            let hint = match text.as_bytes().get("2027-01-31".len()) {
                None if text.starts_with("20") => Some("add the time of day: T00:00:00Z"),
                Some(b'T' | b't' | b' ') if !text.ends_with('Z') => {
                    Some("end it with Z for UTC, or with its offset such as +01:00")
                }
                _ => None,
            };
            self.invalid(spot, field, expected, hint);
        }
        moment
    }
}

fn id_hint(text: &str) -> Option<&'static str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(text) {
        return (text.len() > 1 && text.starts_with('0')).then_some("write it without leading zeros");
    }
    if digits(&text.replace(['_', ',', '.', ' ', '\''], "")) {
        return Some("digits only, without separators");
    }
    let radix = ["0x", "0o", "0b"].iter().any(|prefix| text.starts_with(prefix));
    (radix || text.starts_with('+')).then_some("write it as plain decimal digits")
}

/// Lower-case letters, digits and `-` in parts separated by `.`, a letter or digit at both ends of each.
pub(super) fn is_subdomain(text: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| match part.as_bytes() {
        [] => false,
        [only] => edge(*only),
        [first, middle @ .., last] => {
            edge(*first) && edge(*last) && middle.iter().all(|byte| edge(*byte) || *byte == b'-')
        }
    };
    text.len() <= MAX_SUBDOMAIN && text.split('.').all(part)
}

/// Whether `text` can be a reason: one printable line of 1 to 200 characters.
pub fn is_reason(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= MAX_REASON && !text.chars().any(is_deceptive)
}

pub(crate) fn is_label(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= MAX_LABEL
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

pub(crate) fn is_qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_label(name),
        None => is_label(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_id_is_the_one_that_messages_name() {
        assert_eq!(ID, format!("digits, 1 to {}", crate::account::MAX_ID));
    }

    #[test]
    fn names_and_labels_follow_kubernetes() {
        for good in ["a", "1", "a-b.c1", &"a".repeat(253)] {
            assert!(is_subdomain(good), "{good}");
        }
        for bad in ["", "A", "-a", "a-", "a..b", ".a", "a_b", "é", &"a".repeat(254)] {
            assert!(!is_subdomain(bad), "{bad}");
        }
        for good in ["a", "A_b.c-1", "example.com/Team", &"a".repeat(63)] {
            assert!(is_qualified_name(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "Ex.com/a", "-a", "a.", "a b", &"a".repeat(64)] {
            assert!(!is_qualified_name(bad), "{bad}");
        }
    }
}
