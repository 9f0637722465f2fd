//! A request and a reply, without any HTTP library.
//!
//! In: method, target, headers and body as they came. Out: status, headers, body, and how they are
//! delivered. Invariants: a header that is sent twice is refused, not guessed; no reply and no
//! refusal repeats a token or a body.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

/// One HTTP request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// Path and query, still percent-encoded: `/api/accounts?limit=10`.
    pub target: &'a str,
    /// Names in any case, with their values.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, empty if there was none.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The target without its query.
    pub fn path(&self) -> &'a str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// The query without its `?`, empty if there is none.
    pub fn query(&self) -> &'a str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The one value of the header `name`.
    pub(super) fn header(&self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        let mut values = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Refusal::input("INVALID_HEADER", format!("the header {name} is there more than once"))),
        }
    }
}

/// Whether a reply reaches its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The reply is sent.
    Answer,
    /// The reply is sent up to this many bytes of its body, then the connection is closed.
    CutAfter(usize),
    /// The connection is closed without a reply.
    DropConnection,
    /// The connection is reset without a reply.
    ResetConnection,
}

/// What the service answers, and how.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers, `Content-Type` among them.
    pub headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    /// The body.
    pub body: Cow<'static, [u8]>,
    /// How long after the request the reply is sent, or the connection closed.
    pub after: Duration,
    /// Whether the reply is sent at all.
    pub delivery: Delivery,
    /// How the log names the end of the request: `success`, or an errorCode.
    pub(super) result: Cow<'static, str>,
    /// Whether a PUT took effect.
    pub(super) applied: bool,
}

/// The media type of every JSON reply.
const JSON: (Cow<'static, str>, Cow<'static, str>) =
    (Cow::Borrowed("Content-Type"), Cow::Borrowed("application/json;charset=UTF-8"));

/// The sample response of all three pages, without its blanks.
const SUCCESS: &[u8] = br#"{"status":{"code":200,"description":"success"}}"#;

impl Reply {
    /// A reply with a body that is sent at once.
    pub(super) fn new(status: u16, body: impl Into<Cow<'static, [u8]>>, result: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            after: Duration::ZERO,
            delivery: Delivery::Answer,
            result: result.into(),
            applied: false,
        }
    }

    /// The sample response: the PUT took effect.
    pub(super) fn applied() -> Self {
        Self { applied: true, ..Self::new(200, SUCCESS, "success").header(JSON.0, JSON.1) }
    }

    /// Any JSON document.
    pub(super) fn json(status: u16, document: &impl Serialize) -> Self {
        let body = serde_json::to_vec(document).expect("the sandbox's own documents have string keys only");
        Self::new(status, body, "success").header(JSON.0, JSON.1)
    }

    /// A successful read: `data` in the envelope.
    pub(super) fn data(data: &impl Serialize) -> Self {
        Self::json(200, &json!({"status": {"code": 200, "description": "success"}, "data": data}))
    }

    /// Nothing: the connection ends as `delivery` says.
    pub(super) fn none(delivery: Delivery, result: &'static str) -> Self {
        Self { delivery, ..Self::new(0, Vec::new(), result) }
    }

    pub(super) fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// A 4xx that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, reason: impl Into<String>) -> Self {
        Self { status, code, reason: reason.into() }
    }

    /// 400, the status of bad input (Zoho's documentation, errors).
    pub(super) fn input(code: &'static str, reason: impl Into<String>) -> Self {
        Self::new(400, code, reason)
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let description = match refusal.status {
            401 => "Unauthorized",
            403 => "Forbidden",
            405 => "Method Not Allowed",
            413 => "Payload Too Large",
            429 => "Too Many Requests",
            _ => "Invalid Input",
        };
        let body = json!({
            "status": {"code": refusal.status, "description": description},
            "data": {"errorCode": refusal.code, "moreInfo": refusal.reason},
        });
        Self { result: refusal.code.into(), ..Self::json(refusal.status, &body) }
    }
}

/// Whether a `Content-Type` is `expected`, with or without parameters.
pub(super) fn is_media_type(value: &str, expected: &str) -> bool {
    value.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(expected))
}
