//! Text of strangers, made fit to be printed: names of files, words of the service, values of options.
//!
//! In: any text. Out: text that a terminal shows, a log keeps on its line, and a build log takes for text.
//! Invariants: no control character, line break, direction mark or invisible character is left, nor the `##[` and
//! `##vso[` with which a line of a build log gives orders; in documents the value stays what it was.
//! Deliberately absent: secrets, which are the service's business.

use std::borrow::Cow;
use std::path::Path;

use serde_json::error::Category;

/// How a document writes a character by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// `\u202e`, and two of them beyond the first 65,536 characters (RFC 8259, section 7).
    Json,
    /// `\u202e`, and `\U000e0041` beyond (YAML 1.2.2, section 5.7), which takes no halves.
    Yaml,
}

/// Whether a character steers a terminal, reorders text, breaks lines, or cannot be seen.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a `[` after `before` would make an order of it: `##[error]`, `##vso[task.setvariable …]`,
/// `##teamcity[…]`. These count wherever they stand in a line.
fn begins_order(before: &str) -> bool {
    before.trim_end_matches(|c: char| c.is_ascii_alphanumeric()).ends_with("##")
}

/// Appends `c`, or its escape if a terminal or a log could be misled by it.
pub fn push_escaped(out: &mut String, c: char) {
    if is_deceptive(c) {
        out.extend(c.escape_default());
    } else if c == '[' && begins_order(out) {
        out.extend(c.escape_unicode());
    } else {
        out.push(c);
    }
}

/// `text` on one line.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(&mut escaped, c));
    escaped
}

/// The longest path that is shown in full, in bytes: the longest there is (`PATH_MAX` of Linux).
const PATH_MAX: usize = 4096;

/// A path on one line. Of a URL in the place of a path, the password is left out.
pub fn path(path: &Path) -> String {
    escape(&without_password(&cut(&path.to_string_lossy(), PATH_MAX)))
}

/// A word of a command that a person pastes into a shell.
pub fn argument(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", escape(word).replace('\'', r"'\''")))
    }
}

/// `text`, of which at most `most` characters are left.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// `text` without what stands before the `@` of a URL.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://(not shown){}", &rest[at..]),
        None => text.to_owned(),
    }
}

/// Why a text could not be read as JSON, on one line.
pub fn json_fault(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Eof => format!("it ends too early, in line {line}"),
        Category::Syntax => format!("it is no JSON from line {line}, column {column} on"),
        Category::Data | Category::Io => escape(&error.to_string()),
    }
}

/// A document in JSON, where deceptive characters stand in strings only, with these escaped. It says the same.
/// Line breaks between its parts stay; those within strings are escaped already.
pub fn document(json: &str, notation: Notation) -> Cow<'_, str> {
    // Most documents have nothing to escape, and that of 100,000 accounts has 60 MB.
    if json.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)) && !json.contains("##") {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        let plain = !is_deceptive(c) && (c != '[' || !begins_order(&escaped));
        if plain || c == '\n' {
            escaped.push(c);
        } else if notation == Notation::Yaml && c > '\u{ffff}' {
            escaped.push_str(&format!("\\U{:08x}", u32::from(c)));
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_text_cannot_forge_a_line_move_the_cursor_or_give_orders_to_a_build_log() {
        for (text, shown) in [
            ("a\nb\u{1b}[31m\u{202e}ü", "a\\nb\\u{1b}[31m\\u{202e}ü"),
            ("\r\t\u{7f}\u{9b}", "\\r\\t\\u{7f}\\u{9b}"),
            ("x##[error]y ##vso[task.x]", "x##\\u{5b}error]y ##vso\\u{5b}task.x]"),
            ("# [a], ##a [b] c[0]", "# [a], ##a [b] c[0]"),
        ] {
            assert_eq!(escape(text), shown);
        }
    }

    #[test]
    fn a_document_says_the_same_without_deceptive_characters() {
        let value = "ü \u{202e}x\u{7f}\u{85}\u{e0041}\u{1b}\n##[group]";
        let json = serde_json::json!({ "why": [value] }).to_string();
        let shown = document(&json, Notation::Json);
        assert_eq!(shown, r#"{"why":["ü \u202ex\u007f\u0085\udb40\udc41\u001b\n##\u005bgroup]"]}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap()["why"][0], value);
        assert!(document(&json, Notation::Yaml).contains(r"\u0085\U000e0041\u001b"));
    }

    #[test]
    fn a_url_in_the_place_of_a_path_is_shown_without_its_password() {
        for (given, shown) in [
            ("https://me:hunter2@git.example.com/a", "https://(not shown)@git.example.com/a"),
            ("https://hunter2@h", "https://(not shown)@h"),
            ("https://me:hunter@2@h/x@y", "https://(not shown)@h/x@y"),
            ("https://h/x@y", "https://h/x@y"),
            ("a/b@c", "a/b@c"),
        ] {
            assert_eq!(path(Path::new(given)), shown);
        }
    }
}
