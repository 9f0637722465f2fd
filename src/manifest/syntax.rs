//! Why a document could not be read, in words of the person who wrote it.
//!
//! In: the parser's error. Out: one [`Problem`] at its place, with a hint for what people get
//! wrong most: tabs, unquoted colons and symbols, unresolved merges.
//! Invariant: the parser's own places, which count from the document, never reach the message.

use std::sync::Arc;

use super::chunk::{Chunk, end};
use super::node::Unread;
use super::problem::{Place, Problem, ProblemCode, escaped};

/// The most characters of the parser's message: its own are shorter, but it may quote the file.
const MAX_MESSAGE: usize = 200;

/// The problem of a document that `serde_yaml` could not read.
pub(super) fn problem(path: &Arc<str>, chunk: &Chunk<'_>, unread: &Unread) -> Problem {
    let Place { line, column } = place(chunk, &unread.error);
    let problem = match unread.exceeded {
        Some(bound) => Problem::of_file(path, ProblemCode::TooComplex, bound, "more", Some("write it out plainly")),
        None => {
            let error = without_places(&unread.error.to_string());
            let hint = hint(chunk, Place { line, column }, &error);
            let found = format!("a syntax error: {}", escaped(&error, MAX_MESSAGE));
            Problem { found, ..Problem::of_file(path, ProblemCode::Syntax, "valid YAML", "", hint) }
        }
    };
    Problem { line, column, ..problem }
}

fn place(chunk: &Chunk<'_>, error: &serde_yaml::Error) -> Place {
    let Some(location) = error.location() else { return Place { line: chunk.content_line, column: 1 } };
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let line = chunk.first_line.saturating_add(number(location.line()).saturating_sub(1));
    Place { line, column: number(location.column()) }.min(end(chunk.text, chunk.first_line))
}

/// The parser's message less its ` at line 1 column 2` and ` at position 3`.
fn without_places(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut parts = message.split(" at ");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let rest = part
            .strip_prefix("line ")
            .and_then(|rest| rest.trim_start_matches(digit).strip_prefix(" column "))
            .or_else(|| part.strip_prefix("position "));
        match rest {
            Some(rest) => out.push_str(rest.trim_start_matches(digit)),
            None => out.extend([" at ", part]),
        }
    }
    out
}

fn digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn hint(chunk: &Chunk<'_>, place: Place, found: &str) -> Option<&'static str> {
    if chunk.text.lines().any(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ")) {
        return Some("it looks like an unresolved merge conflict");
    }
    let line = chunk.text.lines().nth((place.line - chunk.first_line) as usize).unwrap_or_default();
    match line.chars().nth(place.column.saturating_sub(1) as usize) {
        Some('\t') => Some("indent with spaces, not with tabs"),
        Some('@' | '`' | '%') => Some("put the value in quotes"),
        _ if found.contains("mapping values are not allowed") => {
            Some("check the indentation, or put a value that contains ': ' in quotes")
        }
        _ if found.contains("expected ':'") => Some("put a space after the colon"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_at_the_end_is_placed_there_and_not_on_a_line_of_somebody_else() {
        for (text, place) in [("a: [é", (1, 6)), ("a: [é\n", (1, 6)), ("a: 1\n---\nb:\n  [c, d\n---\ne: 1\n", (4, 8))]
        {
            let parsed = crate::manifest::parse(&"x.yaml".into(), text.as_bytes(), crate::manifest::Rules::default());
            let syntax = parsed.problems.iter().find(|problem| problem.code == ProblemCode::Syntax).unwrap();
            assert_eq!((syntax.line, syntax.column), place, "{text:?}");
        }
        // The key that is nothing is seen by the parser that knows places.
        let parsed = crate::manifest::parse(&"x.yaml".into(), b"? ", crate::manifest::Rules::default());
        assert!(parsed.problems.iter().all(|problem| problem.line == 1), "{:?}", parsed.problems);
    }

    #[test]
    fn a_message_loses_the_places_that_count_from_the_document() {
        for (message, plain) in [
            ("a at line 3 column 14, while b at line 1 column 2", "a, while b"),
            ("a at position 7", "a"),
            ("look at that at line 1 column 1", "look at that"),
        ] {
            assert_eq!(without_places(message), plain);
        }
    }
}
