//! The runbook: what each reason, cause and alert means, and what to do.
//!
//! In: `deploy/runbook.md`, as it was when the program was built. Out: its entries by key, and links to them.
//! Invariants: what the program names can be looked up with nothing but the program; a link leads to the entry of this
//! very version, never to a web site that may say something else.

use std::str::FromStr;

use url::Url;

const TEXT: &str = include_str!("../deploy/runbook.md");

/// What a heading of an entry begins with.
const HEADING: &str = "\n## ";

/// All entries in the order of the runbook: the key, and its Markdown without the heading.
pub fn entries() -> impl Iterator<Item = (&'static str, &'static str)> {
    TEXT.split(HEADING).skip(1).filter_map(|entry| entry.split_once('\n')).map(|(key, text)| (key, text.trim()))
}

/// All keys, in the order of the runbook.
pub fn keys() -> impl Iterator<Item = &'static str> {
    entries().map(|(key, _)| key)
}

/// The entry of `key` in Markdown, without its heading.
pub fn entry(key: &str) -> Option<&'static str> {
    entries().find(|(other, _)| *other == key).map(|(_, text)| text)
}

/// What stands before the first entry, in Markdown, without the title.
pub fn introduction() -> &'static str {
    let before = TEXT.split(HEADING).next().unwrap_or_default();
    before.split_once('\n').map_or("", |(_, text)| text.trim())
}

/// Where `key` is explained: on the daemon's own page if it is known how people reach it, else by a command.
pub fn link(external: Option<&ExternalUrl>, key: &str) -> String {
    match external {
        Some(url) => format!("{url}/runbook#{key}"),
        None => format!("zoho-mail-reconciler explain {key}"),
    }
}

/// Why a text is no [`ExternalUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a URL such as https://mail-reconciler.example.com, without user name, query or fragment")]
pub struct InvalidExternalUrl;

/// Under which URL people reach the pages: what a proxy or an ingress in front of them makes of `--listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalUrl(Url);

impl FromStr for ExternalUrl {
    type Err = InvalidExternalUrl;

    /// # Errors
    /// Never repeats the text, which may hold a password.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| InvalidExternalUrl)?;
        let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        if is_web && is_plain && url.fragment().is_none() { Ok(Self(url)) } else { Err(InvalidExternalUrl) }
    }
}

impl std::fmt::Display for ExternalUrl {
    /// Without a slash at its end.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Reason;

    #[test]
    fn every_reason_has_an_entry_that_says_what_whom_and_what_to_do() {
        for reason in Reason::ALL {
            assert!(entry(reason.as_str()).is_some(), "{reason} has no entry");
        }
        for (key, text) in entries() {
            assert!(key.chars().all(|c| c.is_ascii_alphanumeric()), "{key} cannot be an anchor");
            let parts = ["**What happened.** ", "**Whom it concerns.** ", "**What to do.** "];
            let places = parts.map(|part| text.find(part).unwrap_or_else(|| panic!("{key} lacks {part}")));
            assert!(places.is_sorted() && places[0] == 0, "{key}: {places:?}");
        }
    }

    #[test]
    fn a_key_stands_once() {
        let mut keys: Vec<_> = keys().map(str::to_ascii_lowercase).collect();
        keys.sort_unstable();
        let count = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn a_link_is_a_page_where_there_is_one_and_else_a_command() {
        let link_by = |url: &str| link(Some(&url.parse().unwrap()), "Throttled");
        assert_eq!(link_by("https://mail.example.com"), "https://mail.example.com/runbook#Throttled");
        assert_eq!(link_by("http://ops/zoho/"), "http://ops/zoho/runbook#Throttled");
        assert_eq!(link(None, "Throttled"), "zoho-mail-reconciler explain Throttled");
        for bad in ["mail.example.com", "ftp://x", "https://a:b@x", "https://x?y", "https://x#y", "javascript:0", ""] {
            assert_eq!(bad.parse::<ExternalUrl>(), Err(InvalidExternalUrl), "{bad}");
        }
    }
}
