//! Where the service is: a base URL that is safe to send a token to.
//!
//! In: text from an option, or a data center. Out: [`BaseUrl`], without a slash at its end.
//! Invariants: https anywhere, plain http only to this machine; no user name, password, query or
//! fragment; the error never echoes what may be a password.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// The longest URL that is accepted, in bytes: a host name has at most 253, the rest is a prefix.
const MAX_LEN: usize = 1024;

/// Why a text is no base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    /// Neither `https://` nor `http://` and a host.
    #[error("expected https:// and a host, as in https://mail.zoho.com")]
    NotAUrl,
    /// Plain http to another machine would show the token to everybody in between.
    #[error("plain http is only for this machine (127.0.0.0/8, [::1], localhost): use https")]
    PlainHttp,
    /// A user name or a password stands in it.
    #[error("a user name or password does not belong into a URL: remove the part before @")]
    UserInfo,
    /// A query or a fragment stands in it.
    #[error("remove what begins with ? or #: requests are made of this URL and a path")]
    QueryOrFragment,
}

/// A base URL to which paths such as `/api/accounts/…` are appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Cow<'static, str>);

impl BaseUrl {
    /// A URL known when the program was written; a test of [`super::DataCenter`] parses each.
    pub(super) const fn known(url: &'static str) -> Self {
        Self(Cow::Borrowed(url))
    }

    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether TLS protects what is sent there; if not, it is this machine.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// Host and port, for messages: `mail.zoho.com`, `127.0.0.1:8080`.
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    /// # Errors
    /// [`InvalidBaseUrl`] names what is wrong, never the text itself.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The URL standard silently drops line breaks, turns `\` into `/` and takes `https:host`:
        // good for browsers, but a value that was mangled on its way here should be noticed.
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
        if text.len() > MAX_LEN || text.contains(odd) || !text.contains("://") {
            return Err(InvalidBaseUrl::NotAUrl);
        }
        // Names that are not ASCII grow when they are written as a request needs them.
        let fits = |url: &Url| url.as_str().len() <= MAX_LEN;
        let url = Url::parse(text).ok().filter(fits).ok_or(InvalidBaseUrl::NotAUrl)?;
        if !url.username().is_empty() || url.password().is_some() || url.authority().contains('@') {
            return Err(InvalidBaseUrl::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidBaseUrl::QueryOrFragment);
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(InvalidBaseUrl::PlainHttp),
            _ => return Err(InvalidBaseUrl::NotAUrl),
        }
        Ok(Self(Cow::Owned(url.as_str().trim_end_matches('/').to_owned())))
    }
}

/// Whether the URL's host is this machine by its very name, without asking anybody.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<BaseUrl, InvalidBaseUrl> {
        text.parse()
    }

    #[test]
    fn what_is_too_long_when_it_is_written_in_ascii_is_too_long() {
        for labels in 1..200 {
            if let Ok(url) = parse(&format!("https://{}example", "ϙ\u{359}m.".repeat(labels))) {
                assert_eq!(parse(url.as_str()), Ok(url), "{labels} labels");
            }
        }
    }

    #[test]
    fn https_goes_anywhere_and_http_stays_on_this_machine() {
        for (text, kept) in [
            ("https://mail.zoho.com", "https://mail.zoho.com"),
            ("HTTPS://Mail.Zoho.com/", "https://mail.zoho.com"),
            ("https://gateway.example:8443/zoho/", "https://gateway.example:8443/zoho"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.9.9.9", "http://127.9.9.9"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
            ("http://localhost:1", "http://localhost:1"),
        ] {
            assert_eq!(parse(text).unwrap().as_str(), kept, "{text:?}");
        }
        for text in [
            "http://mail.zoho.com",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://[::ffff:127.0.0.1]",
            "http://[::]",
        ] {
            assert_eq!(parse(text), Err(InvalidBaseUrl::PlainHttp), "{text:?}");
        }
    }

    #[test]
    fn what_could_hide_or_mangle_the_target_is_refused() {
        for text in ["https://user:pass@mail.zoho.com", "https://user@mail.zoho.com", "http://127.0.0.1@evil.example"] {
            assert_eq!(parse(text), Err(InvalidBaseUrl::UserInfo), "{text:?}");
        }
        for text in ["https://mail.zoho.com?x=1", "https://mail.zoho.com/#a", "https://mail.zoho.com?"] {
            assert_eq!(parse(text), Err(InvalidBaseUrl::QueryOrFragment), "{text:?}");
        }
        let long = format!("https://mail.zoho.com/{}", "a".repeat(MAX_LEN));
        for text in [
            "",
            "mail.zoho.com",
            "https:mail.zoho.com",
            "https://",
            "ftp://mail.zoho.com",
            " https://mail.zoho.com",
            "https://mail.zo\nho.com",
            "https:\\\\mail.zoho.com://",
            "unix:///var/run/x",
            &long,
        ] {
            assert_eq!(parse(text), Err(InvalidBaseUrl::NotAUrl), "{text:?}");
        }
    }

    #[test]
    fn an_error_never_echoes_a_password() {
        let error = parse("https://user:hunter2@mail.zoho.com").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn the_host_is_told_without_scheme_and_path() {
        assert_eq!(parse("https://gateway.example:8443/zoho/").unwrap().host(), "gateway.example:8443");
        assert_eq!(parse("http://[::1]:80").unwrap().host(), "[::1]");
    }
}
