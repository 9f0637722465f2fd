//! Text of strangers as code: the one place in Markdown where every character stands for itself.
//!
//! In: any text. Out: a code span, for a paragraph or for a cell of a table.
//! Invariants: what is shown is the text as [`printable::escape`] shows it, cut at [`SHOWN_MAX`]; no line break, mention,
//! link, reference, tag or end of a cell comes of it. In a cell, a bar right after a backslash is shown as `\u{7c}`, for
//! no spelling of the two stays one cell.

use crate::account::printable;

/// The most characters that are shown of one text: the longest e-mail address there is has 254 (RFC 5321).
const SHOWN_MAX: usize = 256;

/// `text` in a paragraph or a list.
pub(super) fn code(text: &str) -> String {
    let text = printable::cut(&printable::escape(text), SHOWN_MAX);
    if text.is_empty() {
        return String::new();
    }
    // A span ends with as many backticks as it begins with: one more than any run within.
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // One blank at both ends is taken away, if there is something besides blanks.
    let blanks = text.starts_with(' ') && text.ends_with(' ') && !text.trim_matches(' ').is_empty();
    let pad = if blanks || text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// `text` in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    code(text).replace("\\|", "\\u{7c}").replace('|', "\\|")
}

/// A place in a file; of a long path the end counts, which tells more.
pub(super) fn place(path: &str, line: u32) -> String {
    // Room for the line and the mark of the cut.
    const PATH_SHOWN: usize = SHOWN_MAX - 16;
    let path = printable::escape(path);
    let length = path.chars().count();
    let path = match length.checked_sub(PATH_SHOWN) {
        None | Some(0) => path,
        Some(cut) => path.chars().skip(cut).fold("…".to_owned(), |mut end, c| {
            end.push(c);
            end
        }),
    };
    format!("{path}:{line}")
}
