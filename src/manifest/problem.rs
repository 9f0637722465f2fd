//! What is wrong with a manifest: where, what was expected, what was found, and what to do.
//!
//! In: findings of the parser and the checks, and text that strangers wrote. Out: [`Problem`],
//! one line when displayed, ready for a log, a terminal or a report.
//! Invariants: every text in a problem is printable and short, whatever the file held; the code
//! is one of a closed set, so that reports can be filtered by it.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
#[cfg(test)]
use serde::Deserialize;
use serde::Serialize;

use crate::account::printable::push_escaped;

/// The most characters of a file's own text that a problem quotes: a line of an 80-column terminal.
const MAX_QUOTE: usize = 80;

/// A spot in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// 1-based line.
    pub line: u32,
    /// 1-based column, in characters.
    pub column: u32,
}

impl Place {
    /// The beginning of a file: where a problem of the whole file is reported.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What kind of problem it is. Closed: reports for machines are keyed by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[cfg_attr(test, derive(Deserialize))]
#[serde(rename_all = "kebab-case")]
pub enum ProblemCode {
    /// The file could not be read, or may not be (a link that leads outside the folder).
    Unreadable,
    /// The file, one of its documents, or their number is over a limit.
    TooLarge,
    /// The bytes are not UTF-8.
    NotUtf8,
    /// A character that YAML forbids, or that breaks lines in some parsers only.
    ForbiddenCharacter,
    /// The text is not YAML.
    Syntax,
    /// YAML, but nested or repeated beyond any use a manifest has for it.
    TooComplex,
    /// A YAML feature that manifests do without: a tag, a directive, a merge key.
    UnsupportedSyntax,
    /// `apiVersion` or `kind` is of another program, or of another version of this one.
    UnsupportedKind,
    /// A key that means nothing here.
    UnknownKey,
    /// A key that stands twice in one mapping.
    DuplicateKey,
    /// A key that must be there is not.
    MissingKey,
    /// A value of the wrong type.
    WrongType,
    /// A value of the right type that is not allowed.
    InvalidValue,
    /// Two documents declare one account.
    DuplicateAccount,
    /// Two documents have one name.
    DuplicateName,
    /// Two documents have one address.
    DuplicateEmail,
    /// Two documents declare a budget.
    DuplicateBudget,
    /// A document takes something away from an account that is protected.
    Protected,
    /// The file has more problems than are listed.
    TooManyProblems,
}

impl ProblemCode {
    /// Every code, each at the place of its number.
    pub const ALL: [Self; 19] = [
        Self::Unreadable,
        Self::TooLarge,
        Self::NotUtf8,
        Self::ForbiddenCharacter,
        Self::Syntax,
        Self::TooComplex,
        Self::UnsupportedSyntax,
        Self::UnsupportedKind,
        Self::UnknownKey,
        Self::DuplicateKey,
        Self::MissingKey,
        Self::WrongType,
        Self::InvalidValue,
        Self::DuplicateAccount,
        Self::DuplicateName,
        Self::DuplicateEmail,
        Self::DuplicateBudget,
        Self::Protected,
        Self::TooManyProblems,
    ];

    /// What a problem of this kind is, in a sentence for whoever meets the code in a report.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Unreadable => "The file or folder could not be read, or may not be.",
            Self::TooLarge => "The file, one of its documents, or their number is over a limit.",
            Self::NotUtf8 => "The file is not UTF-8.",
            Self::ForbiddenCharacter => {
                "The file holds a character that YAML forbids, or that only some parsers accept."
            }
            Self::Syntax => "The text is not YAML.",
            Self::TooComplex => "The YAML is nested or repeated beyond any use a manifest has for it.",
            Self::UnsupportedSyntax => "Manifests do without this YAML feature: a tag, a directive, a merge key.",
            Self::UnsupportedKind => "The document is of another program, or of another version of this one.",
            Self::UnknownKey => "The key means nothing here.",
            Self::DuplicateKey => "The key stands twice in one mapping.",
            Self::MissingKey => "A key that must be there is not.",
            Self::WrongType => "The value is of the wrong type.",
            Self::InvalidValue => "The value is of the right type, but not allowed.",
            Self::DuplicateAccount => "Two documents declare one account; nothing is sent for either.",
            Self::DuplicateName => "Two documents have one name; nothing is sent for either.",
            Self::DuplicateEmail => "Two documents have one address; nothing is sent for either.",
            Self::DuplicateBudget => "Two documents set the disruption budget; only what is approved is taken away.",
            Self::Protected => "The document takes something away from an account that is protected.",
            Self::TooManyProblems => "The file has more problems than are listed.",
        }
    }

    /// Whether it is between documents, each of which can be read.
    pub const fn is_clash(self) -> bool {
        matches!(self, Self::DuplicateAccount | Self::DuplicateName | Self::DuplicateEmail | Self::DuplicateBudget)
    }

    /// The code in reports and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too-large",
            Self::NotUtf8 => "not-utf8",
            Self::ForbiddenCharacter => "forbidden-character",
            Self::Syntax => "syntax",
            Self::TooComplex => "too-complex",
            Self::UnsupportedSyntax => "unsupported-syntax",
            Self::UnsupportedKind => "unsupported-kind",
            Self::UnknownKey => "unknown-key",
            Self::DuplicateKey => "duplicate-key",
            Self::MissingKey => "missing-key",
            Self::WrongType => "wrong-type",
            Self::InvalidValue => "invalid-value",
            Self::DuplicateAccount => "duplicate-account",
            Self::DuplicateName => "duplicate-name",
            Self::DuplicateEmail => "duplicate-email",
            Self::DuplicateBudget => "duplicate-budget",
            Self::Protected => "protected",
            Self::TooManyProblems => "too-many-problems",
        }
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that is wrong. Displays as one line: `path:line:column: field: expected …, found … (hint)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The file, relative to the desired-state folder.
    pub path: Arc<str>,
    /// 1-based line.
    pub line: u32,
    /// 1-based column, in characters.
    pub column: u32,
    /// The key it is about, `spec.accountId`; empty when it is about the file or a whole document.
    pub field: String,
    /// What kind of problem.
    pub code: ProblemCode,
    /// What would have been right.
    pub expected: String,
    /// What is there instead; quotes the file, escaped and cut short.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of a whole file. `found` may hold any text: it is escaped and cut here.
    pub fn of_file(path: &Arc<str>, code: ProblemCode, expected: &str, found: &str, hint: Option<&str>) -> Self {
        Self {
            path: Arc::clone(path),
            line: Place::START.line,
            column: Place::START.column,
            field: String::new(),
            code,
            expected: expected.to_owned(),
            found: printable(found),
            hint: hint.map(str::to_owned),
        }
    }

    /// `path:line:column`, printable, for problems that name a second place.
    pub fn location(path: &str, place: Place) -> String {
        format!("{}:{place}", printable_path(path))
    }

    /// The spot in the file.
    pub const fn place(&self) -> Place {
        Place { line: self.line, column: self.column }
    }

    /// The problem without its path and place, in one line: `field: expected …, found … (hint)`.
    pub fn sentence(&self) -> String {
        let hint = self.hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
        format!("{}{hint}", self.message())
    }

    /// The problem without its path, place and hint: `field: expected …, found …`.
    pub(super) fn message(&self) -> String {
        let colon = if self.field.is_empty() { "" } else { ": " };
        format!("{}{colon}expected {}, found {}", self.field, self.expected, self.found)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", printable_path(&self.path), self.place(), self.sentence())
    }
}

/// Text of a stranger, made safe for one line of a terminal: escaped, and cut at [`MAX_QUOTE`].
pub(super) fn printable(text: &str) -> String {
    escaped(text, MAX_QUOTE)
}

/// A path, made safe for one line. Paths keep their whole length (the file system bounds it at 4,096).
pub(super) fn printable_path(path: &str) -> String {
    escaped(path, usize::MAX)
}

/// Text of a stranger, made safe for one line, and cut at `most` characters.
pub(super) fn escaped(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for (count, c) in text.chars().enumerate() {
        if count == most {
            out.push('…');
            break;
        }
        push_escaped(&mut out, c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::printable::is_deceptive;

    #[test]
    fn a_problem_is_one_line_whatever_the_file_held() {
        let path: Arc<str> = "sales/\u{1b}[31mred\n.yaml".into();
        let found = format!("the string \"\u{202e}x\r\n{}\"", "é".repeat(200));
        let problem = Problem::of_file(&path, ProblemCode::Syntax, "valid YAML", &found, Some("look"));
        let line = problem.to_string();
        assert!(!line.chars().any(is_deceptive), "{line:?}");
        assert!(
            line.starts_with("sales/\\u{1b}[31mred\\n.yaml:1:1: expected valid YAML, found the string \"\\u{202e}x")
        );
        assert!(line.ends_with("é… (look)"), "{line}");
    }

    #[test]
    fn a_code_serialises_as_it_prints_and_all_of_them_are_known() {
        let mut codes: Vec<&str> = Vec::new();
        for (number, code) in ProblemCode::ALL.into_iter().enumerate() {
            let json = serde_json::to_string(&code).unwrap();
            assert_eq!(json.trim_matches('"'), code.as_str());
            assert_eq!(number, code as usize, "{code}");
            codes.push(code.as_str());
        }
        // serde's own list of the variants, in the words of its error.
        let listed = serde_json::from_str::<ProblemCode>("\"?\"").unwrap_err().to_string();
        let listed = listed.split('`').skip(3).step_by(2).collect::<Vec<_>>();
        assert_eq!(codes, listed);
    }
}
