//! One text, cut into its documents, and each checked before a parser sees it.
//!
//! In: UTF-8 text. Out: [`Chunk`]s, one for each document that holds anything, with its first
//! line; and for each the reason why no parser may see it, if there is one.
//! Invariants: linear in the text; no control character, line separator or directive is let through.
//! Cutting at `---` and `...` is exact, because YAML recognises these at the first column of a
//! line even within quotes and blocks. A directive is of the document behind it: both are one, and refused together.

use super::problem::{Place, ProblemCode};

/// The largest document, in bytes. A manifest takes some 300; Kubernetes allows 256 KiB of annotations, for programs.
const MAX_DOCUMENT: usize = 64 * 1024;

/// One document that holds something besides comments.
pub(super) struct Chunk<'a> {
    /// Its text, from its `---` line on.
    pub text: &'a str,
    /// 1-based line of the file on which `text` begins.
    pub first_line: u32,
    /// 1-based line of the file on which its content begins.
    pub content_line: u32,
}

/// Why no parser may see a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub place: Place,
    pub code: ProblemCode,
    pub expected: &'static str,
    pub found: String,
    pub hint: Option<&'static str>,
}

/// The documents of `text` that hold something, in order.
pub(super) fn chunks(text: &str) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = text;
    let mut next_line = 1;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (first_line, mut content_line, mut lines, mut end) = (next_line, None, 0, 0);
            let mut directed = false;
            for line in rest.split_inclusive('\n') {
                let marker = marker(line);
                if marker == Some("---") && end > 0 && !std::mem::take(&mut directed) {
                    break;
                }
                directed |= line.starts_with('%');
                let content = if marker.is_some() { &line[3..] } else { line }.trim_start();
                if content_line.is_none() && !content.is_empty() && !content.starts_with('#') {
                    content_line = Some(first_line + lines);
                }
                lines += 1;
                end += line.len();
                if marker == Some("...") {
                    break;
                }
            }
            let (chunk, after) = rest.split_at(end);
            rest = after;
            next_line = first_line + lines;
            if let Some(content_line) = content_line {
                return Some(Chunk { text: chunk, first_line, content_line });
            }
        }
        None
    })
}

/// The document marker that `line` begins with.
fn marker(line: &str) -> Option<&str> {
    let marker = line.get(..3).filter(|marker| matches!(*marker, "---" | "..."))?;
    matches!(line.as_bytes().get(3), None | Some(b' ' | b'\t' | b'\r' | b'\n')).then_some(marker)
}

impl Chunk<'_> {
    /// Why no parser may see the text.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.text.len() > MAX_DOCUMENT {
            return Err(Refusal {
                place: Place { line: self.content_line, column: 1 },
                code: ProblemCode::TooLarge,
                expected: "a document of at most 64 KiB",
                found: format!("one of {} bytes", self.text.len()),
                hint: Some("begin each account's document with a line ---"),
            });
        }
        self.text.split('\n').zip(self.first_line..).try_for_each(|(line, number)| {
            let line = line.strip_suffix('\r').unwrap_or(line);
            check_line(line).map_err(|(at, code, expected, found, hint)| {
                let place = Place { line: number, column: column(line, at) };
                Refusal { place, code, expected, found, hint }
            })
        })
    }
}

/// What a line must not hold, and at which byte.
type Odd = (usize, ProblemCode, &'static str, String, Option<&'static str>);

fn check_line(line: &str) -> Result<(), Odd> {
    if let Some((at, c)) = forbidden(line) {
        let found = format!("the character U+{:04X}", u32::from(c));
        return Err((at, ProblemCode::ForbiddenCharacter, "text without control characters", found, None));
    }
    if line.starts_with('%') {
        let found = "a line that begins with %".to_owned();
        return Err((0, ProblemCode::UnsupportedSyntax, "no directives", found, Some("remove the line")));
    }
    Ok(())
}

/// The first character that YAML forbids, or that some parsers take for the end of a line.
fn forbidden(line: &str) -> Option<(usize, char)> {
    if line.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        return None;
    }
    line.char_indices().find(|(_, c)| {
        (c.is_control() && *c != '\t') || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    })
}

/// The 1-based column, in characters, of the byte `at` of `line`.
pub(super) fn column(line: &str, at: usize) -> u32 {
    let chars = line.get(..at).map_or(0, |before| before.chars().count());
    u32::try_from(chars).unwrap_or(u32::MAX - 1) + 1
}

/// Just after the last character of `text`, which begins on `first_line`. A parser may miss something only on the line
/// after that; but that line is another document's, or nobody's.
pub(super) fn end(text: &str, first_line: u32) -> Place {
    let (index, last) = text.lines().enumerate().last().unwrap_or_default();
    let line = first_line.saturating_add(u32::try_from(index).unwrap_or(u32::MAX));
    Place { line, column: column(last, last.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(u32, u32, &str)> {
        chunks(text).map(|chunk| (chunk.first_line, chunk.content_line, chunk.text)).collect()
    }

    #[test]
    fn documents_are_cut_at_their_markers_and_empty_ones_skipped() {
        assert_eq!(cut(""), []);
        assert_eq!(cut("# only\n\n---\n# comments\n...\n"), []);
        assert_eq!(cut("a: 1"), [(1, 1, "a: 1")]);
        assert_eq!(
            cut("# c\n---\n\na: 1\n--- # two\nb: |\n  ---\n...\n---\n"),
            [(2, 4, "---\n\na: 1\n"), (5, 6, "--- # two\nb: |\n  ---\n...\n"),]
        );
        assert_eq!(cut("--- {a: 1}\r\n---\r\nb: 2\r\n"), [(1, 1, "--- {a: 1}\r\n"), (2, 3, "---\r\nb: 2\r\n")]);
        assert_eq!(cut("----\n---x\n"), [(1, 1, "----\n---x\n")]);
        // A directive and its document, and the next one by itself.
        for directives in ["%YAML 1.2\n", "# c\n%TAG ! x\n%YAML 1.1\n"] {
            let (one, two) = (format!("{directives}---\na: 1\n"), "---\nb: 2\n");
            assert_eq!(chunks(&(one.clone() + two)).map(|chunk| chunk.text).collect::<Vec<_>>(), [&*one, two]);
            let behind = format!("c: 3\n...\n{one}{two}");
            assert_eq!(chunks(&behind).map(|chunk| chunk.text).collect::<Vec<_>>(), ["c: 3\n...\n", &*one, two]);
        }
        // Where no line ends the document before it, it is of both.
        assert_eq!(cut("a: 1\n%YAML 1.2\n---\nb: 2\n").len(), 1);
    }

    #[test]
    fn forbidden_characters_are_named_with_their_place() {
        for (text, place) in
            [("é: \0", (1, 4)), ("a: 1\nb\r: 2", (2, 2)), ("# \u{85}", (1, 3)), ("a: \u{2028}", (1, 4))]
        {
            let refusal = Chunk { text, first_line: 1, content_line: 1 }.check().unwrap_err();
            assert_eq!(refusal.code, ProblemCode::ForbiddenCharacter);
            assert_eq!((refusal.place.line, refusal.place.column), place, "{text:?}");
        }
    }
}
