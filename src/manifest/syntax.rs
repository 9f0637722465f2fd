//! Why a document could not be read, in words of the person who wrote it.
//!
//! In: what the parser said, and the document's lines. Out: one [`Problem`] at the place of the cause, with a hint how to
//! write it: an unclosed quote, a tab, a missing space or line, a character that only looks right, a merge conflict.
//! Invariants: the place is in the document; what the parser says and [`CAUSES`] does not know is shown as it is.

use std::sync::Arc;

use super::chunk::{Chunk, column, end};
use super::look_alike;
use super::problem::{Place, Problem, ProblemCode, escaped};
use super::reader::{Cause, Unread};

/// The most characters of the parser's message: its own are shorter, but it may quote the file.
const MAX_MESSAGE: usize = 200;

const SPACES: &str = "indent with spaces, not with tabs";
const CLOSE_QUOTE: &str = "close it, and indent what goes on in further lines deeper than its key";
const CLOSE_BRACKET: &str =
    "close it, separate by commas, and indent what goes on in further lines deeper than its key";
const COLUMN: &str = "check the indentation: the keys of one mapping begin in one column";
const NEXT_DOCUMENT: &str = "begin each document with a line ---";
const BLOCK: &str = "write the text in the lines below, indented deeper than its key";
const NO_TAG: &str = "remove the tag";

/// Parts of what the parser says; what it means, if there is a better word; what to do. The first that fits counts.
const CAUSES: [(&str, &str, &str); 34] = [
    ("found unexpected end of stream", "a quote that is not closed", CLOSE_QUOTE),
    (
        "invalid indentation in quoted scalar",
        "a quote that is not closed, or a line that goes on too far left",
        CLOSE_QUOTE,
    ),
    ("unexpected document indicator", "a quote that is not closed", CLOSE_QUOTE),
    (
        "invalid trailing content after",
        "text after a closing quote",
        "put quotes around the whole value, or around nothing",
    ),
    ("':' must be followed by", "a tab after a colon", "put a space after the colon, not a tab"),
    ("'-' must be followed by", "a tab after a dash", "put a space after the dash, not a tab"),
    ("tabs disallowed", "a tab", SPACES),
    ("tab cannot be used as indentation", "a tab", SPACES),
    ("found a tab", "a tab", SPACES),
    ("cannot start with a tab", "a tab", SPACES),
    ("simple key expect", "a line without a key and a colon", "write key: value, with a space after the colon"),
    ("mapping values are not allowed", "", "check the indentation, or put a value that contains ': ' in quotes"),
    ("mapping keys are not allowed", "", COLUMN),
    ("did not find expected key", "", COLUMN),
    ("invalid indentation in flow", "brackets that go on too far left", CLOSE_BRACKET),
    ("invalid indentation for anchor", "", "write the value out"),
    ("invalid indentation", "", COLUMN),
    ("expected ',' or", "a bracket that is not closed, or a missing comma", CLOSE_BRACKET),
    (
        "did not find expected node content",
        "no value where one has to be",
        "write the value, or check commas and brackets",
    ),
    ("may not precede any of", "", "put a space after the colon"),
    ("misplaced bracket", "a closing bracket that nothing opened", "remove it, or put the value in quotes"),
    ("unexpected character", "", "put the value in quotes"),
    ("comments must be separated", "a # right after a value", "put a space before the #"),
    ("comment intercepting", "a comment within a text of several lines", "put the text in quotes, or on one line"),
    ("unknown anchor", "an alias that nothing has the anchor for", "write the value out"),
    ("anchor or alias", "an & or * without a plain word after it", "put the value in quotes"),
    ("block sequence entries are not allowed", "a list on the line of its key", "begin each item on a line of its own"),
    ("did not find expected '-' indicator", "", "begin each item of a list in the same column"),
    ("block scalar", "", BLOCK),
    ("unknown escape character", "a \\ that begins no escape", "write \\\\ for a backslash, or use single quotes"),
    ("a tag", "", NO_TAG),
    ("the handle wasn't declared", "a tag", NO_TAG),
    ("after document end marker", "text after the end of the document", NEXT_DOCUMENT),
    ("after the end of the document", "text after the end of the document", NEXT_DOCUMENT),
];

/// The problem of a document that could not be read.
pub(super) fn problem(path: &Arc<str>, chunk: &Chunk<'_>, unread: &Unread) -> Problem {
    let (place, problem) = match &unread.cause {
        Cause::Exceeded(bound) => {
            let hint = Some("write it out plainly");
            (unread.place, Problem::of_file(path, ProblemCode::TooComplex, bound, "more", hint))
        }
        Cause::Syntax(words) => {
            let (place, found, hint) = cause(chunk, unread, words);
            let problem = Problem::of_file(path, ProblemCode::Syntax, "valid YAML", "", hint);
            (place, Problem { found, ..problem })
        }
    };
    Problem { line: place.line, column: place.column, ..problem }
}

/// Where the cause of what the parser said is, what is there, and what to do.
fn cause(chunk: &Chunk<'_>, unread: &Unread, words: &str) -> (Place, String, Option<&'static str>) {
    let place = unread.place;
    if let Some((line, _)) = lines(chunk).find(|(_, line)| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "))
    {
        let hint = "it looks like an unresolved merge conflict";
        return (Place { line, column: 1 }, "the marker of a conflict".to_owned(), Some(hint));
    }
    // A line is only known to be wrong when the next one begins.
    let suspects = || {
        let before = lines(chunk).filter(|(line, text)| *line < place.line && is_content(text)).last();
        lines(chunk).find(|(line, _)| *line == place.line).into_iter().chain(before)
    };
    for (line, text) in suspects() {
        let code = text.split(" #").next().unwrap_or_default();
        if let Some(odd) = look_alike::in_line(code) {
            let place = Place { line, column: column_of(odd.index) };
            return (place, odd.describe(), Some(odd.remedy()));
        }
    }
    let of_key = ["simple key", "mapping values", "expected key"].iter().any(|of_key| words.contains(of_key));
    if let Some((place, found)) = suspects().filter(|_| of_key).find_map(|(line, text)| {
        let at = colon_without_space(text)?;
        Some((Place { line, column: column(text, at + 1) }, "a colon without a space after it"))
    }) {
        return (place, found.to_owned(), Some("put a space after the colon"));
    }
    let bracket = unread.within.filter(|within| opens_above(chunk, *within, place));
    if let Some(bracket) = bracket.filter(|_| words.contains("indentation") || words.contains("expected ',' or")) {
        return (bracket, "a bracket that is not closed, or that goes on too far left".to_owned(), Some(CLOSE_BRACKET));
    }
    let Some((part, what, hint)) = CAUSES.iter().find(|(part, ..)| words.contains(part)) else {
        return (place, said(words), None);
    };
    let place = match (*part, *hint) {
        ("simple key expect", _) => key_place(chunk, place),
        (_, SPACES) => tab_place(chunk, place),
        _ => place,
    };
    (place, if what.is_empty() { said(words) } else { (*what).to_owned() }, Some(hint))
}

/// Where the next tab in an indentation is, for a text of several lines may begin before.
fn tab_place(chunk: &Chunk<'_>, place: Place) -> Place {
    let tab = lines(chunk).skip_while(|(line, _)| *line < place.line).find_map(|(line, text)| {
        let at = text.find(|c| c != ' ').filter(|at| text[*at..].starts_with('\t'))?;
        Some(Place { line, column: column(text, at) })
    });
    tab.unwrap_or(place)
}

/// Whether a bracket opens at `within`, on a line above `place`.
fn opens_above(chunk: &Chunk<'_>, within: Place, place: Place) -> bool {
    let line = lines(chunk).find(|(line, _)| *line == within.line).map_or("", |(_, line)| line);
    within.line < place.line && line.chars().nth(within.column as usize - 1).is_some_and(|c| matches!(c, '{' | '['))
}

fn said(words: &str) -> String {
    format!("a syntax error: {}", escaped(words, MAX_MESSAGE))
}

/// The lines of a document, with their numbers in the file.
fn lines<'a>(chunk: &Chunk<'a>) -> impl Iterator<Item = (u32, &'a str)> {
    (chunk.first_line..).zip(chunk.text.lines())
}

fn is_content(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#')
}

fn column_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX - 1) + 1
}

/// The byte of the colon of a line like `enabled:true`.
fn colon_without_space(line: &str) -> Option<usize> {
    let key = line.trim_start_matches([' ', '-']);
    let at = key.find(':')?;
    let is_word = at > 0 && key[..at].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./\"'".contains(&byte));
    let value = &key[at + 1..];
    (is_word && !value.is_empty() && !value.starts_with([' ', '\t', '/'])).then_some(line.len() - key.len() + at)
}

/// Where the line begins that has no key, if the parser has noticed at `place`: on a later line, or at the end.
fn key_place(chunk: &Chunk<'_>, place: Place) -> Place {
    let at_end = place == end(chunk.text, chunk.first_line);
    let earlier = lines(chunk).filter(|(line, text)| (*line < place.line || at_end) && is_content(text));
    earlier.last().map_or(place, |(line, text)| {
        let indent = text.len() - text.trim_start().len();
        Place { line, column: column(text, indent) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Rules, parse};

    /// The first problem of `text`: its place, and its sentence.
    fn first(text: &str) -> (u32, u32, String) {
        let parsed = parse(&"x.yaml".into(), text.as_bytes(), Rules::default());
        assert_eq!(parsed.documents, []);
        let problem = &parsed.problems[0];
        (problem.line, problem.column, problem.sentence())
    }

    #[test]
    fn what_is_missing_at_the_end_is_placed_there_and_not_on_a_line_of_another_document() {
        for (text, place) in [("a: [é", (1, 6)), ("a: [é\n", (1, 6)), ("a: 1\n---\nb:\n  [c, d\n---\ne: 1\n", (4, 8))]
        {
            let parsed = parse(&"x.yaml".into(), text.as_bytes(), Rules::default());
            let syntax = parsed.problems.iter().find(|problem| problem.code == ProblemCode::Syntax).unwrap();
            assert_eq!((syntax.line, syntax.column), place, "{text:?}");
        }
        let parsed = parse(&"x.yaml".into(), b"? ", Rules::default());
        assert!(parsed.problems.iter().all(|problem| problem.line == 1), "{:?}", parsed.problems);
    }

    #[test]
    fn the_cause_is_named_at_its_last_place() {
        for (text, line, column, part) in [
            ("a: \"b\nc: d\ne: f\n", 1, 4, "a quote that is not closed"),
            ("a:\n  b: 'it's'\n", 2, 10, "text after a closing quote"),
            ("a:\n  b:\u{a0}1\n  c: 2\n", 2, 5, "a no-break space (U+00A0) (write a plain space)"),
            ("a:\n  b: 1\n  c:\u{a0}2\n", 3, 5, "a no-break space (U+00A0)"),
            ("a: b\nc\u{ff1a} d\n", 2, 2, "a character that looks like : (U+FF1A)"),
            ("a:\n  b:1\n  c: 2\n", 2, 5, "a colon without a space after it"),
            ("a:\n  b: 1\n  c:2\n", 3, 5, "a colon without a space after it"),
            ("a: 1\nb\n# c\nd: 2\n", 2, 1, "a line without a key and a colon"),
            ("a:\ttrue\n", 1, 4, "a tab after a colon"),
            ("a:\n\tb: 1\n", 2, 1, "a tab"),
            ("a:\n  b: 1\n\tc: 1\n", 3, 1, "a tab"),
            ("a:\n  b: {c: d\ne:\n  f: 1\n", 2, 6, "a bracket that is not closed"),
            ("a: b: c\n", 1, 5, "put a value that contains ': ' in quotes"),
            ("a: @b\n", 1, 4, "put the value in quotes"),
            ("a: 1\n<<<<<<< x\nb: [\n", 2, 1, "unresolved merge conflict"),
            ("a: 1\n b: 2\n", 2, 3, "check the indentation"),
        ] {
            let (found_line, found_column, sentence) = first(text);
            assert!(sentence.contains(part), "{text:?}: {sentence}");
            assert_eq!((found_line, found_column), (line, column), "{text:?}: {sentence}");
        }
    }
}
