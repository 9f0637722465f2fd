//! Reads the plainest of documents without a YAML parser: ten times as fast, for there may be 100,000 of them.
//!
//! In: a document's text. Out: the [`Node`] that `serde_yaml` would give, or `None`: not plain
//! enough, let the parser read it.
//! Invariants: never guesses. What is read here is one key a line, with a value that is a plain
//! word, digits, a quoted text without escapes, or `{key: value}` of these; at anything else this
//! gives up. A property test holds it against the parser. Absent by design: errors and rules,
//! which are the same for both readers.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Lines;

use super::node::Node;

/// The longest line: far below the 1,024 characters within which YAML wants a key to end.
const MAX_LINE: usize = 512;

/// The most mappings within each other; a manifest has three.
const MAX_DEPTH: usize = 4;

/// The most lines with content, so that no bound of the parser's is ever overstepped here.
const MAX_LINES: usize = 256;

/// Reads `text`, or gives up.
pub(super) fn read(text: &str) -> Option<Node<'_>> {
    let mut lines = text.lines().peekable();
    lines.next_if_eq(&"---");
    let mut reader = Reader { lines, left: MAX_LINES };
    let (indent, _) = reader.peek()?;
    let root = if indent == 0 { reader.mapping(0, MAX_DEPTH)? } else { return None };
    reader.lines.peek().is_none().then_some(root)
}

struct Reader<'a> {
    lines: Peekable<Lines<'a>>,
    left: usize,
}

impl<'a> Reader<'a> {
    /// The next line with content: its indentation, and the rest.
    fn peek(&mut self) -> Option<(usize, &'a str)> {
        loop {
            let line = *self.lines.peek()?;
            let content = line.trim_start_matches(' ');
            if !content.is_empty() && !content.starts_with('#') {
                return Some((line.len() - content.len(), content));
            }
            self.lines.next();
        }
    }

    /// The mapping whose keys stand at `indent`.
    fn mapping(&mut self, indent: usize, depth: usize) -> Option<Node<'a>> {
        let mut pairs = Vec::with_capacity(8);
        while let Some((here, content)) = self.peek() {
            if here < indent {
                break;
            }
            self.left = self.left.checked_sub(1)?;
            if here > indent || here + content.len() > MAX_LINE {
                return None;
            }
            self.lines.next();
            let (key, value) = content.split_once(':')?;
            let value = match value.strip_prefix(' ') {
                Some(value) => value_of(value)?,
                None if value.is_empty() => match self.peek() {
                    Some((deeper, _)) if deeper > indent => self.mapping(deeper, depth.checked_sub(1)?)?,
                    _ => Node::Null,
                },
                None => return None,
            };
            pairs.push((key_of(key)?, value));
        }
        Some(Node::Map(pairs))
    }
}

fn value_of(text: &str) -> Option<Node<'_>> {
    let Some(inner) = text.strip_prefix('{') else { return scalar(text) };
    let inner = inner.strip_suffix('}')?;
    if inner.is_empty() {
        return Some(Node::Map(Vec::new()));
    }
    let pairs = inner.split(", ").map(|pair| {
        let (key, value) = pair.split_once(": ")?;
        Some((key_of(key)?, scalar(value)?))
    });
    pairs.collect::<Option<_>>().map(Node::Map)
}

/// A key: a word that means nothing but itself.
fn key_of(text: &str) -> Option<Node<'_>> {
    match word(text)? {
        key @ Node::Text(_) => Some(key),
        _ => None,
    }
}

fn scalar(text: &str) -> Option<Node<'_>> {
    match text.as_bytes() {
        [b'0'..=b'9', ..] => digits(text),
        [quote @ (b'"' | b'\''), inner @ .., last] if quote == last => {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" @._/+-:".contains(byte);
            let text = &text[1..text.len() - 1];
            inner.iter().all(plain).then_some(Node::Text(Cow::Borrowed(text)))
        }
        _ => word(text),
    }
}

/// Digits without a leading zero, few enough to be sure of their type.
fn digits(text: &str) -> Option<Node<'_>> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain && text.len() <= 19 { text.parse().ok().map(Node::Int) } else { None }
}

/// A word: a letter, then letters, digits and what cannot mean anything within a word.
fn word(text: &str) -> Option<Node<'_>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@._/+-".contains(&byte);
    if !text.starts_with(|first: char| first.is_ascii_alphabetic()) || !text.bytes().all(plain) {
        return None;
    }
    Some(match text {
        "true" | "True" | "TRUE" => Node::Bool(true),
        "false" | "False" | "FALSE" => Node::Bool(false),
        "null" | "Null" | "NULL" => Node::Null,
        _ => Node::Text(Cow::Borrowed(text)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::node;
    use super::*;

    /// Whether the parser reads `text` as the plain reader does, and whether the latter read it at all.
    fn check(text: &str) -> bool {
        let plain = read(text);
        if let Some(plain) = &plain {
            assert_eq!(Some(plain), node::read(text).ok().as_ref(), "{text:?}");
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
            "a: 01",
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
            "a: 99999999999999999999",
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
