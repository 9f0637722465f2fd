//! One YAML document as a tree, before anybody validates it: each value with the place where it is written.
//!
//! In: texts of scalars. Out: [`Placed`] values. A [`Node`] keeps every pair of a mapping, also those whose key stands
//! twice, and borrows its texts where it can.
//! Invariants: there is no value without a place; what a plain scalar means is decided here alone, by [`Node::plain`]; a
//! number is an [`Node::Int`] only if it is written as its own decimal digits. Absent by design: how a text is quoted,
//! for it changes nothing, and tags, with which nothing is read.

use std::borrow::Cow;

use super::problem::Place;

/// A value, and where it is written; what an alias stands for is where the alias is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed<'a> {
    pub place: Place,
    pub node: Node<'a>,
}

/// A value of a document. Scalars that are not text were written plain, without quotes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node<'a> {
    /// Nothing, `~` or `null`, as written.
    Null(Cow<'a, str>),
    Bool(bool),
    /// A whole number of 64 bits without a sign, written as it prints.
    Int(u64),
    /// Any other whole number, as written: negative, too large, `0x10`, `+1`, `007`.
    OddInt(Cow<'a, str>),
    /// A floating-point number, as written.
    Float(Cow<'a, str>),
    Text(Cow<'a, str>),
    List(Vec<Placed<'a>>),
    Map(Vec<(Placed<'a>, Placed<'a>)>),
}

impl<'a> Placed<'a> {
    /// Nothing, where `place` is.
    pub(super) const fn nothing(place: Place) -> Self {
        Self { place, node: Node::Null(Cow::Borrowed("")) }
    }

    /// Whether nothing is written: not even `null`.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(&self.node, Node::Null(text) if text.is_empty())
    }

    /// The last key of `path` and its value.
    pub(super) fn at(&self, path: &[&str]) -> Option<&(Self, Self)> {
        let (key, rest) = path.split_first()?;
        let Node::Map(pairs) = &self.node else { return None };
        let pair = pairs.iter().find(|(found, _)| matches!(&found.node, Node::Text(text) if **text == **key))?;
        if rest.is_empty() { Some(pair) } else { pair.1.at(rest) }
    }
}

impl<'a> Node<'a> {
    /// What a scalar without quotes means: the core schema of YAML 1.2.2, section 10.3, and the numbers with which
    /// programs extend it (`0b1`, `-0x1`). A number that others read as a text, or a text as a number, is an odd number.
    pub(super) fn plain(text: Cow<'a, str>) -> Self {
        match &*text {
            "" | "~" | "null" | "Null" | "NULL" => Node::Null(text),
            "true" | "True" | "TRUE" => Node::Bool(true),
            "false" | "False" | "FALSE" => Node::Bool(false),
            number if number.starts_with(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '+', '-', '.']) => {
                if is_int(number) {
                    let value = number.parse().ok().filter(|_| number == "0" || !number.starts_with(['0', '+']));
                    value.map_or_else(|| Node::OddInt(text), Node::Int)
                } else if is_float(number) {
                    Node::Float(text)
                } else {
                    Node::Text(text)
                }
            }
            _ => Node::Text(text),
        }
    }
}

/// Whether `text` is not empty and of digits that `is_digit` takes.
fn digits(text: &str, is_digit: fn(&u8) -> bool) -> bool {
    !text.is_empty() && text.as_bytes().iter().all(is_digit)
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn is_int(text: &str) -> bool {
    let text = unsigned(text);
    let radix = |prefix: &str, is_digit| text.strip_prefix(prefix).is_some_and(|text| digits(text, is_digit));
    digits(text, u8::is_ascii_digit)
        || radix("0x", u8::is_ascii_hexdigit)
        || radix("0o", |digit| matches!(digit, b'0'..=b'7'))
        || radix("0b", |digit| matches!(digit, b'0' | b'1'))
}

fn is_float(text: &str) -> bool {
    let number = unsigned(text);
    if matches!(number, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = number.split_once(['e', 'E']).map_or((number, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_part = |part: &str| part.is_empty() || digits(part, u8::is_ascii_digit);
    is_part(whole)
        && is_part(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| digits(unsigned(exponent), u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_counts_only_as_its_own_decimal_digits() {
        for (text, value) in [("0", 0), ("7", 7), ("2560636000000008002", 2_560_636_000_000_008_002)] {
            assert_eq!(Node::plain(text.into()), Node::Int(value));
        }
        assert_eq!(Node::plain(u64::MAX.to_string().into()), Node::Int(u64::MAX));
        for odd in ["0x21", "0o17", "0b1", "+5", "-5", "-0", "00", "007", "+0x1F", "-0o7", "18446744073709551616"] {
            assert_eq!(Node::plain(odd.into()), Node::OddInt(odd.into()));
        }
        for float in ["1.0", "1.", ".5", "1e6", "-1.5E-3", "+.5", "1e999", ".inf", "-.INF", "+.Inf", ".nan"] {
            assert_eq!(Node::plain(float.into()), Node::Float(float.into()));
        }
        for text in [
            "1_000",
            "0x",
            "0xg",
            "0o8",
            "0b2",
            "1:30",
            "1.2.3",
            ".",
            "-",
            "+",
            "e5",
            "1e",
            "--5",
            "0X1",
            "5%",
            "10,10%",
            "2027-01-31",
            ".",
            "-.nan",
            "yes",
            "no",
            "on",
            "y",
            "nUll",
            "tRue",
            "١",
        ] {
            assert_eq!(Node::plain(text.into()), Node::Text(text.into()));
        }
        for nothing in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(Node::plain(nothing.into()), Node::Null(nothing.into()));
        }
    }
}
