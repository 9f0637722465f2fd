//! Another parser reads what this one reads, and to the same values: `serde_yaml`, which is libyaml in Rust.
//!
//! In: generated documents, from plain ones to those that no person writes. Holds: what is read here, the other reads as
//! well, and says the same of each value; what is no plain decimal number here may be any number there.

use proptest::prelude::*;
use serde_yaml::Value;

use super::super::read;
use crate::manifest::node::{Node, Placed};

/// Whether the other parser's `value` is what was read here.
fn is_same(ours: &Placed<'_>, value: &Value) -> bool {
    match (&ours.node, value) {
        // The tag is reported by itself, and refused.
        (_, Value::Tagged(tagged)) => is_same(ours, &tagged.value),
        (Node::Null(_), Value::Null) => true,
        (Node::Bool(ours), Value::Bool(value)) => ours == value,
        (Node::Int(ours), Value::Number(value)) => value.as_u64() == Some(*ours),
        (Node::OddInt(_) | Node::Float(_), Value::Number(_)) => true,
        // Zeros before it, or too large: a text to the other parser, and refused as a number here.
        (Node::OddInt(ours) | Node::Float(ours), Value::String(value)) => {
            ours == value && ours.starts_with(|first: char| first.is_ascii_digit() || first == '+' || first == '-')
        }
        (Node::Text(ours), Value::String(value)) => ours == value,
        (Node::List(ours), Value::Sequence(values)) => {
            ours.len() == values.len() && ours.iter().zip(values).all(|(ours, value)| is_same(ours, value))
        }
        (Node::Map(ours), Value::Mapping(values)) => {
            ours.len() == values.len()
                && ours.iter().zip(values).all(|((a, b), (key, value))| is_same(a, key) && is_same(b, value))
        }
        _ => false,
    }
}

/// What the other parser says of texts that YAML 1.2 allows and this one reads: it is of YAML 1.1, keeps the pairs of a
/// mapping by their keys, and has no number beyond 64 bits. None of it can stand in a manifest but tabs beside what
/// counts: before a comment, and in a block of text.
const KNOWN: [&str; 8] = [
    "duplicate entry",
    "18446744073709551616",
    "did not find expected key",
    "found a tab character",
    "found character that cannot start any token",
    "more than one document",
    "mapping keys are not allowed",
    "mapping values are not allowed",
];

/// Whether `text` is read here; panics if the other parser does not read it to the same values.
fn check(text: &str) -> bool {
    let Ok(tree) = read(text, 1) else { return false };
    // With a tag nothing counts, and comments alone say nothing.
    if !tree.tags.is_empty() || tree.root.is_nothing() {
        return false;
    }
    // Where the last line does not end, a block of text at its end does here, and does not there.
    let ended = format!("{text}\n");
    let other = serde_yaml::from_str::<Value>(if text.ends_with('\n') { text } else { &ended });
    match other {
        Ok(value) => assert!(is_same(&tree.root, &value), "{text:?}: {:?}, the other parser: {value:?}", tree.root),
        Err(error) => {
            let error = error.to_string();
            assert!(KNOWN.iter().any(|known| error.contains(known)), "{text:?}: {:?}: {error}", tree.root);
        }
    }
    true
}

proptest! {
    // A failure is kept as an example beside this, not in a folder of seeds.
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_read_here_is_what_the_other_parser_reads(text in any_document()) {
        check(&text);
    }
}

#[test]
fn both_read_what_is_written_in_any_style() {
    for text in [
        "a: 1\n",
        "? a\n: - b\n  - c\n",
        "a:\n- b\n-  - c\n   - d\n",
        "{a: [b, 'c', \"\\u00e9\"], \"d\":e, f: }\n",
        "a: >-\n  b\n  c\n\n  d\nf: |2+\n    g\n\n",
        "a: 'b\n\n  c'\nd: \"e\\\n  f\"\ng: h\n  i\n",
        "a: &x {b: c}\nd: [*x, *x]\n",
        "a: 1\r\nb:\r\n  c: d # e\r\n",
        "--- # a\na: b\n...\n",
    ] {
        assert!(check(text), "{text:?}");
    }
}

fn any_line() -> impl Strategy<Value = String> {
    let indent = prop::sample::select(vec!["", "", "", "  ", "  ", "    ", " ", "\t", "  \t", " \t "]);
    let key = prop::sample::select(vec![
        "a", "b", "name", "x-y", "null", "1", "\"q\"", "'r s'", "# c", "-", "- a", "- - a", "? a", "?", "", "a b",
        "*x", "&x a", "!t a", "[a]", "{a: b}", "\"",
    ]);
    let colon = prop::sample::select(vec![": ", ": ", ": ", ": ", ": ", ":", ":", " : ", ":  ", ":\t", " ", ": \t"]);
    let value = prop_oneof![
        8 => prop::sample::select(vec![
            "", "b", "true", "FALSE", "null", "~", "0", "00", "7", "9223372036854775808", "18446744073709551616", "1_0",
            "+1", "-1", "1.5", "0x1", "0o7", "0b1", "e5", "1e999", ".inf", ".nan", "a@b.c", "2027-01-01", "1:30", "'q'", "\"q: r\"", "'",
            "\"", "\"\\x41\"", "''", "'a' b", "\"a\"#c", "{}", "[]", "{a: b}", "{a: b, c: 1}", "{a: 'b, c', d: e}",
            "{a: b,}", "{a:b}", "{a: {}}", "[a, b]", "[a,", "b]", "{a: b,", "c: d}", "{a}", "[a: b]", "[{a: b}, c]", "[a, b]#c", "| ", "|", ">", "|-", ">+", "|2", ">-1",
            "&x y", "&x", "*x", "!t y", "!!str 1", "!!int \"17\"", "!", "b # c", "b #c", "#c", "b: c", "# c", "é", "a\u{a0}b", "a-", "a.", "a:", "? a", "- b",
            "@a", "`a", "%a", "\"a", "a\"", "\"a\\", "b\"", "'a", "a'", "\"\\u00e9\"", "\"a\\\tb\"", "...", "---", "--- a",
        ]).prop_map(str::to_owned),
        1 => "[a-z0-9'\" {}:,#.@+?*&!|>-]{0,12}".prop_map(|text| text),
    ];
    let end = prop::sample::select(vec!["\n", "\n", "\n", "\n", "\r\n", " \n", "\n\n", " # c\n", "\t\n", ""]);
    (indent, key, colon, value, end)
        .prop_map(|(indent, key, colon, value, end)| format!("{indent}{key}{colon}{value}{end}"))
}

fn any_document() -> impl Strategy<Value = String> {
    let marker = prop::sample::select(vec!["", "", "---\n", "--- \n", "--- # c\n", "---\t"]);
    (marker, prop::collection::vec(any_line(), 1..5)).prop_map(|(marker, lines)| format!("{marker}{}", lines.concat()))
}
