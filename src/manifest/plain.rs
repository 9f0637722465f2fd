//! Reads the plainest of documents without a YAML parser, for there may be 100,000 of them.
//!
//! Kept for its speed: with it [`super::parse`] takes 10.5 us for a manifest as programs write it, with the parser alone
//! 23 us, in turns on one core of a busy machine. That is 0.6 s of two cores for 100,000 accounts, where the bare loop
//! that reads the same files takes 0.9 s, and a start may take twice that.
//!
//! In: a document's text. Out: the [`Tree`] that [`super::reader`] would give, places included, or `None`: not plain
//! enough, let the parser read it.
//! Invariants: never guesses. What is read here is one key a line, with a value that is a plain
//! word, digits, a quoted text without escapes, or `{key: value}` of these; at anything else this
//! gives up. A property test holds it against the parser, place by place. Absent by design: errors and rules,
//! which are the same for both readers.

use std::borrow::Cow;
use std::iter::{Peekable, Zip};
use std::ops::RangeFrom;
use std::str::Lines;

use super::node::{Node, Placed};
use super::problem::Place;
use super::reader::Tree;

/// The longest line: far below the 1,024 characters within which YAML wants a key to end.
const MAX_LINE: usize = 512;

/// The most mappings within each other; a manifest has three.
const MAX_DEPTH: usize = 4;

/// The most lines with content, so that no bound of the parser's is ever overstepped here.
const MAX_LINES: usize = 256;

/// Reads `text`, which begins on `first_line` of its file, or gives up.
pub(super) fn read(text: &str, first_line: u32) -> Option<Tree<'_>> {
    let mut lines = (first_line..).zip(text.lines()).peekable();
    lines.next_if(|(_, line)| *line == "---");
    let mut reader = Reader { lines, left: MAX_LINES };
    let root = if reader.peek()?.indent == 0 { reader.mapping(0, MAX_DEPTH)? } else { return None };
    reader.lines.peek().is_none().then_some(Tree { root, tags: Vec::new() })
}

struct Reader<'a> {
    lines: Peekable<Zip<RangeFrom<u32>, Lines<'a>>>,
    left: usize,
}

/// A line with content.
struct Line<'a> {
    number: u32,
    indent: usize,
    content: &'a str,
}

impl<'a> Reader<'a> {
    /// The next line with content.
    fn peek(&mut self) -> Option<Line<'a>> {
        loop {
            let (number, line) = *self.lines.peek()?;
            let content = line.trim_start_matches(' ');
            if !content.is_empty() && !content.starts_with('#') {
                return Some(Line { number, indent: line.len() - content.len(), content });
            }
            self.lines.next();
        }
    }

    /// The mapping whose keys stand at `indent`.
    fn mapping(&mut self, indent: usize, depth: usize) -> Option<Placed<'a>> {
        let mut pairs: Vec<(Placed<'a>, Placed<'a>)> = Vec::with_capacity(8);
        while let Some(Line { number, indent: here, content }) = self.peek() {
            if here < indent {
                break;
            }
            self.left = self.left.checked_sub(1)?;
            if here > indent || here + content.len() > MAX_LINE {
                return None;
            }
            self.lines.next();
            let (key, value) = content.split_once(':')?;
            let place = |at: usize| place(number, here + at);
            let value = match value.strip_prefix(' ') {
                Some(value) => value_of(value, |at| place(key.len() + 2 + at))?,
                None if value.is_empty() => match self.peek() {
                    Some(Line { indent: deeper, .. }) if deeper > indent => {
                        self.mapping(deeper, depth.checked_sub(1)?)?
                    }
                    _ => Placed::nothing(place(0)),
                },
                None => return None,
            };
            pairs.push((key_of(key, place(0))?, value));
        }
        let place = pairs.first()?.0.place;
        Some(Placed { place, node: Node::Map(pairs) })
    }
}

/// The place of the byte `at` of a line that is ASCII as far as it counts.
fn place(line: u32, at: usize) -> Place {
    Place { line, column: u32::try_from(at).unwrap_or(u32::MAX - 1) + 1 }
}

/// The value `text`, whose bytes are where `place` says.
fn value_of(text: &str, place: impl Fn(usize) -> Place) -> Option<Placed<'_>> {
    let Some(inner) = text.strip_prefix('{') else { return scalar(text, place(0)) };
    let inner = inner.strip_suffix('}')?;
    let mut pairs = Vec::new();
    let mut at = 1;
    for pair in inner.split(", ").filter(|_| !inner.is_empty()) {
        let (key, value) = pair.split_once(": ")?;
        pairs.push((key_of(key, place(at))?, scalar(value, place(at + key.len() + 2))?));
        at += pair.len() + 2;
    }
    Some(Placed { place: place(0), node: Node::Map(pairs) })
}

/// A key: a word that means nothing but itself.
fn key_of(text: &str, place: Place) -> Option<Placed<'_>> {
    word(text).filter(|node| matches!(node, Node::Text(_))).map(|node| Placed { place, node })
}

fn scalar(text: &str, place: Place) -> Option<Placed<'_>> {
    let node = match text.as_bytes() {
        [b'0'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => Node::plain(Cow::Borrowed(text)),
        [quote @ (b'"' | b'\''), inner @ .., last] if quote == last => {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" @._/+-:".contains(byte);
            let text = &text[1..text.len() - 1];
            inner.iter().all(plain).then_some(Node::Text(Cow::Borrowed(text)))?
        }
        _ => word(text)?,
    };
    Some(Placed { place, node })
}

/// A word: a letter, then letters, digits and what cannot mean anything within a word.
fn word(text: &str) -> Option<Node<'_>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@._/+-".contains(&byte);
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(plain);
    is_word.then(|| Node::plain(Cow::Borrowed(text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::reader;
    use super::*;

    /// Whether the parser reads `text` as the plain reader does, and whether the latter read it at all.
    fn check(text: &str) -> bool {
        let plain = read(text, 3);
        if let Some(plain) = &plain {
            assert_eq!(Ok(plain), reader::read(text, 3).as_ref(), "{text:?}");
        }
        plain.is_some()
    }

    #[test]
    fn a_manifest_as_programs_write_it_is_plain() {
        let text = "---\napiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\n# note: x\nmetadata:\n  name: alice\n  \
                    labels: {team: sales, floor: \"3\"}\n  annotations: {}\nspec:\n    accountId: 2560636000000008002\n    \
                    zuid: '1111111'\n\n    email: alice+x@example.com\n    enabled: true\n    activeSyncEnabled:\n";
        assert!(check(text));
        assert!(check("a:\nb: c\n"), "a key without a value is null, whatever comes after it");
    }

    #[test]
    fn whatever_could_mean_something_else_is_left_to_the_parser() {
        for text in [
            "",
            "# x",
            "a",
            "a:b",
            "a : b",
            "a: 0x1",
            "a: 1.5",
            "a: 1e3",
            "a: b c",
            "a: b # c",
            "a: b:",
            "a: *b",
            "a: &b c",
            "a: !b c",
            "a: |\n  b",
            "a: \"\\n\"",
            "a: 'b''c'",
            "a: 'b' ",
            "a: [b]",
            "a: {b}",
            "a: {b: {c: d}}",
            "a: {b: c,d: e}",
            "a: b\n  c: d",
            "a: b\n  c",
            "a:\n  b: c\n d: e",
            " a: b",
            "a:\tb",
            "a: b\n...",
            "- a",
            "? a",
            "\"a\": b",
            "1: b",
            "true: b",
            "a:\n- b",
            "a: é",
            "a: b\n\n  c",
            "%a: b",
            "a: b\n--- c",
            "--- a: b",
            "a: -1",
            "a: ~",
        ] {
            assert!(!check(text), "{text:?}");
        }
    }

    fn any_line() -> impl Strategy<Value = String> {
        let indent = prop::sample::select(vec!["", "", "", "  ", "  ", "    ", " ", "\t"]);
        let key = prop::sample::select(vec![
            "a", "b", "name", "x-y", "null", "True", "1", "\"q\"", "# c", "-", "a b", "?", "",
        ]);
        let colon = prop::sample::select(vec![": ", ": ", ": ", ": ", ":", ":", ":", " : ", ":  ", " "]);
        let value = prop_oneof![
            1 => Just(String::new()),
            4 => prop::sample::select(vec![
                "", "b", "true", "FALSE", "null", "~", "0", "00", "7", "9223372036854775808", "18446744073709551616", "1_0", "+1", "-1", "1.5",
                "0x1", "e5", "inf", "nan", "a@b.c", "a/b", "v1.2", "2027-01-01", "'q'", "\"q: r\"", "'", "\"\\x\"", "''", "'a' b", "{}", "{a: b}",
                "{a: b, c: 1}", "{a: 'b, c', d: e}", "{a: b,}", "{a:b}", "{a: {}}", "[a]", "| ", ">", "&x y", "*x", "!t y", "b # c", "b #c", "b: c",
                "# c", "é", "a-", "a.", "a:",
            ]).prop_map(str::to_owned),
            1 => "[a-z0-9'\" {}:,#.@+-]{0,12}",
        ];
        (indent, key, colon, value).prop_map(|(indent, key, colon, value)| format!("{indent}{key}{colon}{value}\n"))
    }

    proptest! {
        // A failure is kept as an example above, not in a folder of seeds.
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_plain_reading_is_what_the_parser_reads(
            marker in prop::sample::select(vec!["", "---\n", "--- \n"]),
            lines in prop::collection::vec(any_line(), 1..5),
        ) {
            check(&format!("{marker}{}", lines.concat()));
        }
    }
}
