//! What the service says, made fit for one line of a log.
//!
//! In: text from the network, which nobody vouches for, and the secrets of the request. Out: one
//! line of bounded length without secrets or invisible characters.
//! Invariant: secrets go first, on the whole text, so that a cut never leaves half of one.

mod spelling;

use std::borrow::Cow;

use crate::account::printable::{cut, push_escaped};

/// The secrets a request carried, which its answer might echo; the longest first.
#[derive(Default)]
pub struct Secrets<'a>(Vec<&'a str>);

/// What stands where a secret stood.
const REDACTED: &str = "[redacted]";

/// Every token of Zoho begins so: a version, then hexadecimal parts (Zoho's documentation, OAuth).
const TOKEN_PREFIX: &str = "1000.";

/// From this many characters on, what follows [`TOKEN_PREFIX`] is taken for a token; a number has fewer.
const TOKEN_MIN: usize = 16;

impl<'a> Secrets<'a> {
    /// These secrets.
    pub fn new(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all: Vec<_> = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        // One secret may be part of another: the longer one has to go first.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(all)
    }

    /// `text` on one line, without secrets, of at most `max` characters. A text that tells a secret in another
    /// spelling than its own says nothing that is worth the risk.
    pub(super) fn clean(&self, text: &str, max: usize) -> String {
        let without = |text: &str, secret: &str| text.replace(secret, REDACTED);
        // Each in the whole text: a shorter secret may be part of a longer one in another spelling.
        if self.0.iter().any(|secret| spelling::tells(&without(text, secret), secret)) {
            return REDACTED.to_owned();
        }
        let text = self.0.iter().fold(text.to_owned(), |text, secret| without(&text, secret));
        cut(&escape(&without_tokens(&text)), max)
    }
}

/// Names nothing: the secrets must not get out this way either.
impl std::fmt::Debug for Secrets<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// Whatever looks like a token of Zoho's is gone: an old one, a cut one, somebody else's.
fn without_tokens(text: &str) -> Cow<'_, str> {
    if !text.contains(TOKEN_PREFIX) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(TOKEN_PREFIX) {
        let (before, token) = rest.split_at(start);
        let len = token.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'.').count();
        let (token, after) = token.split_at(len);
        kept.push_str(before);
        kept.push_str(if len >= TOKEN_PREFIX.len() + TOKEN_MIN { REDACTED } else { token });
        rest = after;
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// Control characters, direction marks and whatever else a terminal does not show become `\n`, `\u{202e}`, ….
fn escape(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '"' | '\'' | '\\' => line.push(c),
            _ => c.escape_debug().for_each(|c| push_escaped(&mut line, c)),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_shown_and_letters_stay() {
        let clean = |text| Secrets::default().clean(text, 200);
        assert_eq!(clean("  plain \"text\" \\ Zürich 東京  "), "plain \"text\" \\ Zürich 東京");
        assert_eq!(clean("a\r\nb\tc\u{1b}[31m\0"), "a\\r\\nb\\tc\\u{1b}[31m\\0");
        assert_eq!(
            clean("\u{202e}x\u{2066}\u{200b}\u{feff}\u{85}\u{2028}y"),
            "\\u{202e}x\\u{2066}\\u{200b}\\u{feff}\\u{85}\\u{2028}y"
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(Secrets::default().clean(&"ä".repeat(300), 200), format!("{}…", "ä".repeat(200)));
        assert_eq!(Secrets::default().clean(&"ä".repeat(200), 200), "ä".repeat(200));
    }

    #[test]
    fn a_secret_is_gone_however_it_is_spelt_and_wherever_it_stands() {
        let secrets = Secrets::new(["hush", "hush-hush+"]);
        let text = "xhush hush-hush+ hush\nhush";
        assert_eq!(secrets.clean(text, 200), "x[redacted] [redacted] [redacted]\\n[redacted]");
        assert_eq!(secrets.clean("HTTP 400: HUSH-hush%2B", 200), "[redacted]");
        assert_eq!(secrets.clean(&format!("{}hush", "a".repeat(198)), 200), format!("{}[r…", "a".repeat(198)));
        assert!(!format!("{secrets:?}").contains("hush"));
    }

    #[test]
    fn what_looks_like_a_token_is_gone_even_if_it_is_none_of_ours() {
        let secrets = Secrets::default();
        assert_eq!(secrets.clean("token 1000.0123456789abcdef.0123 expired", 200), "token [redacted] expired");
        assert_eq!(secrets.clean("limit 1000.00 of 1000.", 200), "limit 1000.00 of 1000.");
    }
}
