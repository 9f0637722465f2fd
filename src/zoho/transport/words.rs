//! Why a request did not come through, in words of this program.
//!
//! In: the causes that the HTTP client gives, one inside the other. Out: one line about the innermost, that names the proxy
//! if it is the proxy's.
//! Invariant: nothing is decided by these words, which are for people; a cause without words of its own keeps the
//! library's. Absent by design: which outcome an error is (see the parent).

use std::error::Error;

/// What only says where in the library it happened.
const WRAPPERS: [&str; 9] = [
    "client error (Connect)",
    "client error (SendRequest)",
    "connection error",
    "dns error",
    "error reading a body from connection",
    "failed to create underlying connection",
    "io error establishing tunnel",
    "request or response body error",
    "tcp connect error",
];

/// What says that it happened on the way through a proxy (`HTTPS_PROXY`).
const TUNNEL: &str = "tunnel error";

/// How causes begin, and what they are for people.
const WORDS: [(&str, &str); 10] = [
    ("unsuccessful", "it does not let this through"),
    ("proxy authorization required", "it wants a name and a password, which its URL may have (HTTPS_PROXY)"),
    ("unexpected end of file", "the connection was closed before the answer"),
    ("unexpected EOF", "the connection was closed in the middle"),
    ("tls handshake eof", "the connection was closed before it was secured"),
    ("peer closed connection without", "the connection was closed in the middle"),
    ("connection closed before message completed", "the connection was closed before the answer"),
    ("end of file before message length reached", "the connection was closed in the middle of the answer"),
    ("received corrupt message", "what answers there does not speak TLS"),
    ("invalid HTTP", "what answers there does not speak HTTP"),
];

/// What `error` wraps, in words.
pub(super) fn words(error: &(dyn Error + 'static)) -> String {
    let (mut causes, mut next) = (Vec::new(), error.source());
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    // One cause may repeat the next, as a part of its own text.
    let whole = if causes.is_empty() { error.to_string() } else { causes.join(": ") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split(": ").filter(|part| !WRAPPERS.contains(part)) {
        let known = WORDS.iter().find(|(begins, _)| part.starts_with(begins));
        let part = known.map_or(part, |(_, words)| *words);
        let part = if part == TUNNEL { "the proxy" } else { part };
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if parts.is_empty() { whole } else { parts.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error, and what caused it.
    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Caused {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    fn caused(texts: &[&'static str]) -> Option<Box<Caused>> {
        let (text, rest) = texts.split_first()?;
        Some(Box::new(Caused { text, source: caused(rest) }))
    }

    #[test]
    fn causes_are_told_in_words_and_those_of_a_proxy_as_its_own() {
        let sent = "error sending request";
        for (texts, expected) in [
            (
                &[sent, "client error (Connect)", "tunnel error: unsuccessful"][..],
                "the proxy: it does not let this through",
            ),
            (
                &[
                    sent,
                    "client error (Connect)",
                    "tunnel error: failed to create underlying connection",
                    "tcp connect error",
                    "Connection refused (os error 111)",
                ],
                "the proxy: Connection refused (os error 111)",
            ),
            (
                &[sent, "client error (SendRequest)", "connection closed before message completed"],
                "the connection was closed before the answer",
            ),
            (
                &[sent, "client error (SendRequest)", "invalid HTTP version parsed"],
                "what answers there does not speak HTTP",
            ),
            (&[sent, "invalid peer certificate: UnknownIssuer"], "invalid peer certificate: UnknownIssuer"),
            (&[sent, "connection error"], "connection error"),
            (&[sent], sent),
        ] {
            assert_eq!(words(&*caused(texts).unwrap()), expected);
        }
    }
}
