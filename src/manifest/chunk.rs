//! One text, cut into its documents, and each looked at before a parser sees it.
//!
//! In: UTF-8 text. Out: [`Chunk`]s, one for each document that holds anything, with its first
//! line; and for each a [`Sketch`], or the reason why no parser may see it.
//! Invariants: linear in the text; never lets more than [`MAX_BRACKETS`] open brackets through,
//! however they are quoted; a tag, anchor, alias or non-decimal number never goes unsuspected.
//! Cutting at `---` and `...` is exact, because YAML recognises these at the first column of a
//! line even within quotes and blocks.

use super::problem::{Place, ProblemCode};

/// The largest document, in bytes. A manifest takes some 300; Kubernetes allows 256 KiB of annotations, for programs.
const MAX_DOCUMENT: usize = 64 * 1024;

/// The most `[` and `{` in a document. The parser's time grows with nesting times length: 64 KiB of `[` take it 16 s.
const MAX_BRACKETS: u32 = 32;

/// One document that holds something besides comments.
pub(super) struct Chunk<'a> {
    /// Its text, from its `---` line on.
    pub text: &'a str,
    /// 1-based line of the file on which `text` begins.
    pub first_line: u32,
    /// 1-based line of the file on which its content begins.
    pub content_line: u32,
}

/// What a first look at a document's text tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sketch {
    /// Whether something may be there that `serde_yaml` hides: a tag, an anchor, an alias, a number like `0x10`.
    pub suspicious: bool,
    /// Where the key `accountId` is, if exactly one line begins with it.
    pub id_key: Option<Place>,
    /// Where the key `name` is, if exactly one line begins with it.
    pub name_key: Option<Place>,
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
            for line in rest.split_inclusive('\n') {
                let marker = marker(line);
                if marker == Some("---") && end > 0 {
                    break;
                }
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
    /// Looks at the text before a parser does.
    pub(super) fn sketch(&self) -> Result<Sketch, Refusal> {
        if self.text.len() > MAX_DOCUMENT {
            return Err(Refusal {
                place: Place { line: self.content_line, column: 1 },
                code: ProblemCode::TooLarge,
                expected: "a document of at most 64 KiB",
                found: format!("one of {} bytes", self.text.len()),
                hint: Some("begin each account's document with a line ---"),
            });
        }
        let mut keys = (Seen::default(), Seen::default());
        let mut sketch = Sketch::default();
        let mut brackets = 0;
        for (line, number) in self.text.split('\n').zip(self.first_line..) {
            let line = line.strip_suffix('\r').unwrap_or(line);
            sketch.suspicious |= look_at(line, number, &mut brackets)?;
            let trimmed = line.trim_start_matches(' ');
            let place = || Place { line: number, column: column(line, line.len() - trimmed.len()) };
            keys.0.note(trimmed, "accountId:", place);
            keys.1.note(trimmed, "name:", place);
        }
        (sketch.id_key, sketch.name_key) = (keys.0.only(), keys.1.only());
        Ok(sketch)
    }
}

/// A key that should stand on one line only.
#[derive(Default)]
struct Seen {
    first: Option<Place>,
    again: bool,
}

impl Seen {
    fn note(&mut self, trimmed: &str, key: &str, place: impl Fn() -> Place) {
        if trimmed.starts_with(key) {
            self.again |= self.first.is_some();
            self.first = Some(place());
        }
    }

    fn only(self) -> Option<Place> {
        self.first.filter(|_| !self.again)
    }
}

/// Looks at one line; whether it is suspicious.
fn look_at(line: &str, number: u32, brackets: &mut u32) -> Result<bool, Refusal> {
    let refuse = |at: usize, code, expected, found, hint| {
        Err(Refusal { place: Place { line: number, column: column(line, at) }, code, expected, found, hint })
    };
    if let Some((at, c)) = forbidden(line) {
        let found = format!("the character U+{:04X}", u32::from(c));
        return refuse(at, ProblemCode::ForbiddenCharacter, "text without control characters", found, None);
    }
    if line.starts_with('%') {
        let hint = Some("remove the line");
        return refuse(0, ProblemCode::UnsupportedSyntax, "no directives", "a line that begins with %".into(), hint);
    }
    let mut suspicious = false;
    let mut before = b' ';
    for (at, &byte) in line.as_bytes().iter().enumerate().skip(comment_length(line)) {
        match byte {
            b'[' | b'{' => {
                *brackets += 1;
                if *brackets > MAX_BRACKETS {
                    let found = format!("more than {MAX_BRACKETS}");
                    let hint = Some("indent instead of nesting brackets");
                    return refuse(at, ProblemCode::TooComplex, "at most 32 brackets in a document", found, hint);
                }
            }
            b'&' | b'*' | b'!' => {
                suspicious |= matches!(before, b' ' | b'\t' | b'[' | b'{' | b',' | b':' | b'"' | b'\'')
            }
            b'x' | b'o' | b'b' => suspicious |= before == b'0',
            b'0'..=b'9' => suspicious |= before == b'+',
            _ => {}
        }
        before = byte;
    }
    Ok(suspicious)
}

/// How much of the beginning of `line` cannot matter to a parser, whatever comes before the line.
///
/// A line that begins with `#` is a comment, or within a block or a quoted scalar that goes on at
/// least until the line's first quote.
fn comment_length(line: &str) -> usize {
    if line.trim_start_matches(' ').starts_with('#') { line.find(['"', '\'']).unwrap_or(line.len()) } else { 0 }
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

    fn sketch(text: &str) -> Result<Sketch, Refusal> {
        Chunk { text, first_line: 1, content_line: 1 }.sketch()
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
    }

    #[test]
    fn what_serde_yaml_hides_is_suspected() {
        for calm in ["a: 25606", "# [[[[ &x *y !z 0x1", "a: R&D", "a: wow!", "email: bob+x@b.c", "a: 1\n# it's 5"] {
            assert!(!sketch(calm).unwrap().suspicious, "{calm}");
        }
        for text in
            ["a: !!str 1", "a: &x 1", "a: *x", "{a: [*x]}", "a: 0x10", "a: 0o7", "a: +5", "!t", "{\"a\":!!str 1}"]
        {
            assert!(sketch(text).unwrap().suspicious, "{text}");
        }
    }

    #[test]
    fn brackets_count_even_behind_quotes_that_only_a_comment_seems_to_open() {
        let hidden = format!("a: it's {}", "[".repeat(33));
        let after_comment_quote = format!("a: \"x\n# \" {}", "[".repeat(33));
        for text in [hidden, after_comment_quote, "{".repeat(33)] {
            assert_eq!(sketch(&text).unwrap_err().code, ProblemCode::TooComplex, "{text}");
        }
        assert!(sketch(&format!("# {}\na: {{}}", "[".repeat(99))).is_ok());
    }

    #[test]
    fn a_key_is_placed_only_when_one_line_begins_with_it() {
        let found = sketch("metadata:\n  name: a\n  labels:\n    name: b\nspec:\n  accountId: 1\n").unwrap();
        assert_eq!(found.id_key, Some(Place { line: 6, column: 3 }));
        assert_eq!(found.name_key, None);
    }

    #[test]
    fn forbidden_characters_are_named_with_their_place() {
        for (text, place) in
            [("é: \0", (1, 4)), ("a: 1\nb\r: 2", (2, 2)), ("# \u{85}", (1, 3)), ("a: \u{2028}", (1, 4))]
        {
            let refusal = sketch(text).unwrap_err();
            assert_eq!(refusal.code, ProblemCode::ForbiddenCharacter);
            assert_eq!((refusal.place.line, refusal.place.column), place, "{text:?}");
        }
    }
}
