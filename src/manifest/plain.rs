//! The documents that most people write, read without a YAML parser.
//!
//! In: a document's text. Out: the very [`Node`] that [`super::node::read`] makes of it, or nothing, which means: ask
//! the parser. Invariant: it answers only where there is one way to read the text. What it knows: ASCII, one `key: value`
//! a line, mappings by indentation, one level of `{key: value}`, plain words, decimal numbers, simple double quotes, comments.
//!
//! Why it is here: of a start with 100,000 manifests, the parser took three quarters of the time.

use std::borrow::Cow;

use super::node::Node;

/// The most mappings within each other; beyond it, the parser has the word on its own bound.
const MAX_DEPTH: usize = 8;

/// The most lines; beyond it, the parser has the word on its bound of nodes.
const MAX_LINES: usize = 256;

/// The longest key. YAML forbids those of more than 1,024 characters.
const MAX_KEY: usize = 253;

/// Reads the one document of `text`, if it is as simple as that.
pub(super) fn read(text: &str) -> Option<Node<'_>> {
    let mut lines = Vec::with_capacity(16);
    for (number, line) in text.split('\n').enumerate() {
        if number == MAX_LINES {
            return None;
        }
        if !(number == 0 && line == "---") {
            lines.extend(Line::read(line)?);
        }
    }
    let (root, rest) = mapping(&lines, 0)?;
    rest.is_empty().then_some(root)
}

/// A line that holds something.
struct Line<'a> {
    indent: usize,
    key: &'a str,
    /// `None`: a mapping follows.
    value: Option<Value<'a>>,
}

enum Value<'a> {
    Scalar(Scalar<'a>),
    Map(Vec<(&'a str, Scalar<'a>)>),
}

#[derive(Clone, Copy)]
enum Scalar<'a> {
    Bool(bool),
    Int(u64),
    Text(&'a str),
}

impl<'a> Scalar<'a> {
    const fn node(self) -> Node<'a> {
        match self {
            Self::Bool(value) => Node::Bool(value),
            Self::Int(value) => Node::Int(value),
            Self::Text(text) => Node::Text(Cow::Borrowed(text)),
        }
    }
}

impl<'a> Line<'a> {
    /// `None`: not simple. `Some(None)`: nothing but a comment.
    fn read(line: &'a str) -> Option<Option<Self>> {
        if !line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return None;
        }
        let content = line.trim_start_matches(' ');
        if content.is_empty() || content.starts_with('#') {
            return Some(None);
        }
        let (key, rest) = content.split_once(':')?;
        if !is_key(key) || key.len() > MAX_KEY || !(rest.is_empty() || rest.starts_with(' ')) {
            return None;
        }
        let rest = rest.trim_start_matches(' ');
        let value = if rest.is_empty() || rest.starts_with('#') { None } else { Some(value(rest)?) };
        Some(Some(Self { indent: line.len() - content.len(), key, value }))
    }
}

/// The mapping that `lines` begin with, and the lines after it. All its keys stand at the first one's indentation.
fn mapping<'a, 'l>(lines: &'l [Line<'a>], depth: usize) -> Option<(Node<'a>, &'l [Line<'a>])> {
    let indent = lines.first()?.indent;
    if depth == MAX_DEPTH {
        return None;
    }
    let mut pairs = Vec::with_capacity(8);
    let mut rest = lines;
    while let Some((line, after)) = rest.split_first() {
        if line.indent < indent {
            break;
        }
        if line.indent > indent {
            return None;
        }
        let value;
        (value, rest) = match &line.value {
            Some(Value::Scalar(scalar)) => (scalar.node(), after),
            Some(Value::Map(pairs)) => {
                let pairs = pairs.iter().map(|(key, value)| (Node::Text(Cow::Borrowed(key)), value.node()));
                (Node::Map(pairs.collect()), after)
            }
            // Nothing deeper is null, which no manifest means.
            None if after.first()?.indent > indent => mapping(after, depth + 1)?,
            None => return None,
        };
        pairs.push((Node::Text(Cow::Borrowed(line.key)), value));
    }
    Some((Node::Map(pairs), rest))
}

/// A value that ends with its line, or with a comment.
fn value(text: &str) -> Option<Value<'_>> {
    let (value, rest) = match text.as_bytes()[0] {
        b'{' => {
            let (inside, rest) = text[1..].split_once('}')?;
            (Value::Map(flow(inside)?), rest)
        }
        b'"' => {
            let (inside, rest) = text[1..].split_once('"')?;
            if inside.contains('\\') {
                return None;
            }
            (Value::Scalar(Scalar::Text(inside)), rest)
        }
        _ => {
            let (word, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
            (Value::Scalar(scalar(word)?), rest)
        }
    };
    let comment = rest.trim_start_matches(' ');
    let ends = comment.is_empty() || (comment.starts_with('#') && comment.len() < rest.len());
    ends.then_some(value)
}

/// The pairs between two braces.
fn flow(inside: &str) -> Option<Vec<(&str, Scalar<'_>)>> {
    if inside.is_empty() {
        return Some(Vec::new());
    }
    inside.split(", ").map(pair).collect()
}

fn pair(text: &str) -> Option<(&str, Scalar<'_>)> {
    let (key, value) = text.split_once(": ")?;
    is_key(key).then_some((key, scalar(value)?))
}

/// A word that is a string, and as a key not too long for anybody.
fn is_key(word: &str) -> bool {
    matches!(scalar(word), Some(Scalar::Text(_)))
}

/// A word without quotes that YAML can read in one way only.
fn scalar(word: &str) -> Option<Scalar<'_>> {
    match word {
        "true" => return Some(Scalar::Bool(true)),
        "false" => return Some(Scalar::Bool(false)),
        _ => {}
    }
    let (first, rest) = word.as_bytes().split_first()?;
    if first.is_ascii_digit() {
        // 19 digits always fit 64 bits; a leading zero is octal to some.
        let decimal = rest.len() < 19 && rest.iter().all(u8::is_ascii_digit) && (*first != b'0' || rest.is_empty());
        return if decimal { word.parse().ok().map(Scalar::Int) } else { None };
    }
    let simple = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/' | b'@' | b'+');
    let reserved = ["true", "false", "null"].iter().any(|reserved| word.eq_ignore_ascii_case(reserved));
    (first.is_ascii_alphabetic() && !reserved && rest.iter().all(simple)).then_some(Scalar::Text(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::node;
    use super::*;

    const USUAL: &str = "---\n# who\napiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata:\n  name: alice # her\n  \
        labels: {team: sales, floor: 3}\n  annotations:\n      a.b/c: \"x: #1\"\n\nspec:\n  accountId: 2560636000000008002\n  \
        zuid: \"1111111\"\n  email: alice+x@example.com\n  enabled: true\n  activeSyncEnabled: false   \n";

    #[test]
    fn what_people_write_needs_no_parser_and_is_read_as_the_parser_reads_it() {
        let usual = read(USUAL).unwrap();
        assert_eq!(Some(usual), node::read(USUAL).ok());
        for text in ["a: 1", "a: 0 # b", "a: {}", "a:\n b:\n  c: d\n e: f\ng: yes\n", "a: 1\na: 2\n", "a: nan"] {
            assert!(read(text).is_some(), "{text}");
            assert_eq!(read(text), node::read(text).ok(), "{text}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_left_to_the_parser() {
        for text in [
            "",
            "a",
            "a:b",
            "- a: 1",
            "a: 1.0",
            "a: 1e3",
            "a: 0x10",
            "a: 017",
            "a: -1",
            "a: +1",
            "a: 1_000",
            "a: ~",
            "a: null",
            "a: True",
            "true: 1",
            "1: a",
            "a: &x b",
            "a: *x",
            "a: !t b",
            "a: |\n  b",
            "a: b c",
            "a: 'b'",
            "a: \"\\n\"",
            "a: \"b\"c",
            "a: \"b\nc\"",
            "a: \"b\"#c",
            "a: {b: {c: d}}",
            "a: {b: [c]}",
            "a: {b: c}d",
            "a: {b}",
            "a: [b]",
            "a:\nb: 1",
            "a:",
            "a: b\n  c: d",
            "a:\n  b: 1\n c: 2",
            "  a: 1\nb: 2",
            "a: 1\n...",
            "a: 1\n---\nb: 2",
            "%YAML 1.1\na: 1",
            "\ta: 1",
            "a: \t1",
            "a: ä",
            "# ä\na: 1",
            "a: 1\r\n",
            "<<: {a: b}",
            "2026-01-01: a",
            "a: 2026-01-01",
            "a: 99999999999999999999",
            "\"a\": 1",
            "? a: 1",
            "a: b#c",
            "a: b: c",
            "a: @b",
            "a: `b",
        ] {
            assert!(read(text).is_none(), "{text:?}");
        }
    }

    /// The usual manifest with some pieces cut, doubled, moved in or put in place of others.
    fn mutated() -> impl Strategy<Value = String> {
        const PIECES: &[&str] = &[
            "", " ", "  ", "\n", "\n  ", ": ", ":", "#", " # ", "\"", "'", "{", "}", ", ", ",", "[", "]", "- ",
            "---\n", "...\n", "0", "1", "01", "0x1", "1e3", ".5", "~", "null", "True", "true", "yes", "\t", "\r\n",
            "&a ", "*a", "!t ", "|", ">", "?", "? ", "%", "@", "\\", "ä", "\u{85}", "a: b", "a:\n", "<<: ", ".inf",
            "-", "+", "+1", "_", "=",
        ];
        let edit = (0..USUAL.len(), 0..12usize, proptest::sample::select(PIECES));
        proptest::collection::vec(edit, 0..4).prop_map(|edits| {
            let mut text = USUAL.to_owned();
            for (at, cut, piece) in edits {
                let at = text.floor_char_boundary(at.min(text.len()));
                let end = text.floor_char_boundary((at + cut).min(text.len()));
                text.replace_range(at..end, piece);
            }
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn whatever_it_reads_the_parser_reads_alike(text in mutated()) {
            if let Some(node) = read(&text) {
                prop_assert_eq!(Some(node), node::read(&text).ok());
            }
        }

        #[test]
        fn so_it_does_with_lines_of_any_shape(text in "(( {0,4}[ab1]{1,2}:( [a1{}:, \"#]{0,6})?| *#[a:]*|)\n){1,6}") {
            if let Some(node) = read(&text) {
                prop_assert_eq!(Some(node), node::read(&text).ok());
            }
        }
    }
}
