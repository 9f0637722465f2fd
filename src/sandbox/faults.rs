//! Scripted misfortune: which requests meet it, what happens to them, and how a script writes that.
//!
//! In: JSON, or values in Rust. Out: [`Fault`]s, which [`super::script`] holds against each request.
//! Invariants: a fault that could never do anything, or would break the connection where only an
//! answer was meant, is refused; everything is bounded.
//!
//! ```json
//! {"faults": [
//!   {"operation": "disableMailAccount", "account": "2560636000000008002", "nth": 2, "times": 1,
//!    "do": "dropAfterActing"},
//!   {"operation": "token", "do": {"answer": {"status": 200, "body": {"error": "invalid_code"}}}},
//!   {"operation": "put", "times": 3,
//!    "do": {"answer": {"status": 503, "headers": {"Retry-After": "2"}, "body": "busy"}}},
//!   {"latency": "40ms"}
//! ]}
//! ```
//!
//! | key | meaning |
//! |---|---|
//! | `operation` | a name of [`Operation`], such as `list`; `put` is any PUT; left out: all |
//! | `account` | the `accountId` in the path of a PUT, as a string; left out: all |
//! | `nth` | the first matching request that is met, counted from 1 since the script was set; default 1 |
//! | `times` | how many matching requests from there on; left out: all |
//! | `latency` | the reply comes this much later; of several faults the sum |
//! | `do` | what happens; of several faults the first one in the script |
//!
//! | `do` | happens |
//! |---|---|
//! | `"dropBeforeActing"` | the connection is closed, nothing took effect |
//! | `"dropAfterActing"` | the connection is closed, the request took effect |
//! | `"resetBeforeActing"` | the connection is reset, as by a crash or a firewall; nothing took effect |
//! | `"resetAfterActing"` | the connection is reset, the request took effect |
//! | `"expireToken"` | the request's access token is invalid from now on |
//! | `"badGateway"` | 502 with a page of HTML, nothing took effect |
//! | `{"redirect": "URL"}` | 302 to there |
//! | `{"answer": {…}}` | `status`, `headers`, `body` (text, or JSON); takes effect first with `"acts": true`, ends after N bytes of the body with `"cutAfter": N` |
//!
//! A request the budget refuses meets no fault and counts for none. Latency delays the reply, not
//! the effect: what was asked has happened while the caller still waits.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::message::{Delivery, Reply};
use super::route::Operation;
use crate::account::AccountId;

/// The longest latency of one fault: beyond any time-out, short enough not to be taken for a hang.
pub const MAX_LATENCY: Duration = Duration::from_secs(10 * 60);

/// One fault. See the module for the meaning of each field.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Fault {
    /// Which operation it is for; `None` is all.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// Which account it is for; `None` is all.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// The first matching request that is met.
    #[serde(default = "first")]
    pub nth: NonZeroU64,
    /// How many are met; `None` is all.
    #[serde(default)]
    pub times: Option<NonZeroU64>,
    /// How much later the reply comes.
    #[serde(default, deserialize_with = "duration")]
    pub latency: Duration,
    /// What happens.
    #[serde(default, rename = "do")]
    pub effect: Option<Effect>,
}

fn first() -> NonZeroU64 {
    NonZeroU64::MIN
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|error| serde::de::Error::custom(format!("expected a duration like 250ms or 2s: {error}")))
}

impl Default for Fault {
    /// Meets every request and does nothing to it.
    fn default() -> Self {
        Self { operation: None, account: None, nth: first(), times: None, latency: Duration::ZERO, effect: None }
    }
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// The connection is closed without an answer, and nothing took effect.
    DropBeforeActing,
    /// The request takes effect, then the connection is closed without an answer.
    DropAfterActing,
    /// The connection is reset, and nothing took effect.
    ResetBeforeActing,
    /// The request takes effect, then the connection is reset.
    ResetAfterActing,
    /// The request's access token becomes invalid, and then the request is handled.
    ExpireToken,
    /// 502 with HTML, as a proxy before the service answers.
    BadGateway,
    /// 302 to this URL.
    Redirect(String),
    /// This answer.
    Answer(Answer),
}

/// A scripted answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Answer {
    /// The HTTP status, 200 to 599.
    pub status: u16,
    /// Any headers, `Retry-After` for one.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A string is sent as it is, null is empty, anything else is sent as JSON.
    #[serde(default)]
    pub body: Value,
    /// Whether the request takes effect before it is answered so.
    #[serde(default)]
    pub acts: bool,
    /// After how many bytes of the body the connection is closed; `None` sends all of it.
    #[serde(default)]
    pub cut_after: Option<usize>,
}

impl Fault {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.latency > MAX_LATENCY {
            return Err(format!("has a latency above {}", humantime::format_duration(MAX_LATENCY)));
        }
        if self.account.is_some() && self.operation.is_some_and(|operation| !operation.is_put()) {
            return Err("names an account, but only a PUT has one in its path".into());
        }
        match &self.effect {
            None if self.latency.is_zero() => Err("does nothing: it needs `do` or `latency`".into()),
            Some(Effect::ExpireToken) if self.operation == Some(Operation::Token) => {
                Err("expires the token of a token request, which has none".into())
            }
            Some(Effect::Redirect(url)) => check_header("Location", url),
            Some(Effect::Answer(answer)) if !(200..=599).contains(&answer.status) => {
                Err(format!("answers with status {}, which is not within 200 to 599", answer.status))
            }
            Some(Effect::Answer(answer))
                if answer.cut_after.is_some_and(|bytes| bytes >= answer.body_bytes().len()) =>
            {
                Err("cuts the answer where it ends anyway".into())
            }
            Some(Effect::Answer(answer)) => {
                answer.headers.iter().try_for_each(|(name, value)| check_header(name, value))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn matches(&self, operation: Operation, account: Option<AccountId>) -> bool {
        let operation_matches = match self.operation {
            None => true,
            Some(Operation::Put) => operation.is_put(),
            Some(wanted) => wanted == operation,
        };
        operation_matches && self.account.is_none_or(|wanted| account == Some(wanted))
    }

    /// Whether the `seen`th matching request, counted from 1, is met.
    pub(super) fn is_due(&self, seen: u64) -> bool {
        let since_first = seen.checked_sub(self.nth.get());
        since_first.is_some_and(|index| self.times.is_none_or(|times| index < times.get()))
    }
}

/// Headers that frame the message: a wrong one would break the connection, not the answer.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "connection"];

fn check_header(name: &str, value: &str) -> Result<(), String> {
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_name {
        return Err(format!("has a header name with other than letters, digits and hyphens: {name:?}"));
    }
    if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
        return Err(format!("sets {name}, which the sandbox sets itself"));
    }
    if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(format!("has a value of {name} that is not printable ASCII"));
    }
    Ok(())
}

impl Answer {
    fn body_bytes(&self) -> Vec<u8> {
        match &self.body {
            Value::Null => Vec::new(),
            Value::String(text) => text.clone().into_bytes(),
            document => document.to_string().into_bytes(),
        }
    }

    pub(super) fn reply(&self) -> Reply {
        let is_json = !matches!(self.body, Value::Null | Value::String(_));
        let mut reply = Reply::new(self.status, self.body_bytes(), "scripted");
        reply.delivery = self.cut_after.map_or(Delivery::Answer, Delivery::CutAfter);
        if is_json && !self.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
            reply = reply.header("Content-Type", "application/json;charset=UTF-8");
        }
        self.headers.iter().fold(reply, |reply, (name, value)| reply.header(name.clone(), value.clone()))
    }
}

/// A proxy's page.
pub(super) fn bad_gateway() -> Reply {
    Reply::new(502, &b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"[..], "scripted")
        .header("Content-Type", "text/html")
}

/// A redirect to `url`.
pub(super) fn redirect(url: &str) -> Reply {
    Reply::new(302, Vec::new(), "scripted").header("Location", url.to_owned())
}
