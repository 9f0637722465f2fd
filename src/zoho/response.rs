//! From an answer, or the lack of one, to an outcome: the table of Zoho's errors.
//!
//! In: what the transport brought. Out: [`Answer`].
//! Invariants: the body counts as well as the status, for the service sends errors with HTTP 200;
//! success is an HTTP 2xx *and* the documented acknowledgement; `Rejected`, `Retry` and `Paused`
//! are only said where the request cannot have acted, everything else is in doubt; a message is
//! one line, without secrets, and never a whole body.
//!
//! Status and code are those of the HTTP answer and of the envelope in it; names in capitals are errorCodes, and say
//! it all, under any status. A test meets each line over HTTP, in every form, and holds it to what follows here.
//! For as long as is said means: in the service's own envelope. Anything else that asks for a wait, such as the page of a
//! proxy, is heeded for `--throttle-pause` at most (see [`RetryAfter`]).
//!
//! | answer | outcome | reason | who waits |
//! |---|---|---|---|
//! | 2xx with the acknowledgement | `applied` | - | nobody |
//! | nobody listens, or nothing could be sent | `retry` | `ServiceUnavailable` | the account, for a backoff |
//! | no answer in time, or one that is cut short | `in_doubt` | `InDoubt` | the account, for a backoff |
//! | 2xx without the acknowledgement, or with an error beside it | `in_doubt` | `InDoubt` | the account, for a backoff |
//! | 408, or an acknowledgement under 3xx or 4xx | `in_doubt` | `InDoubt` | the account, for a backoff |
//! | 3xx | `in_doubt` | `ServiceUnavailable` | the account, for a backoff |
//! | 5xx, or a code of 5xx in a 2xx or 4xx | `in_doubt` | `ServiceUnavailable` | the account, for a backoff; everybody, with `Retry-After` |
//! | `THROTTLES_LIMIT_EXCEEDED`, "too many requests", or 429 | `paused` | `Throttled` | everybody, for as long as is said |
//! | `INVALID_OAUTHTOKEN`, `INVALID_OAUTHSCOPE`, or any other 401 | `paused` | `Unauthorized` | everybody, for a fresh token; then for other credentials |
//! | 403 | `rejected` | `Forbidden` | the field, for another manifest or its next try |
//! | `URL_RULE_NOT_CONFIGURED`, or 404 | `rejected` | `AccountNotFound` | the account, for another manifest or its next try |
//! | 400, or any other 4xx | `rejected` | `Rejected` | the field, for another manifest or its next try |

use std::fmt;
use std::time::Duration;

use super::envelope::Envelope;
use super::text::Secrets;
use super::wait::{self, RetryAfter};
use crate::change::{Failure, Outcome, PauseCause};
use crate::condition::Reason;
use crate::timestamp::Timestamp;

/// How much of the service's own words a message repeats, in characters: a sentence or two.
pub(super) const TEXT_MAX: usize = 200;

/// How much of an error code a message repeats, in characters. The longest known one has 35.
const ERROR_CODE_MAX: usize = 64;

/// What came back. Its Debug leaves the body out: it may hold a fresh token.
#[derive(Clone, Default)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header, as it came.
    pub retry_after: Option<String>,
    /// The `Date` header, as it came.
    pub date: Option<String>,
    /// The body, up to the transport's cap.
    pub body: Vec<u8>,
    /// Whether the body went on beyond the cap.
    pub truncated: bool,
}

impl HttpResponse {
    /// The envelope, if the body is whole and has one.
    pub(super) fn envelope(&self) -> Option<Envelope> {
        if self.truncated { None } else { Envelope::parse(&self.body) }
    }

    /// What can be said of a body without an envelope. Not its text: it is a page for browsers.
    pub(super) fn body_kind(&self) -> &'static str {
        let begin = self.body.trim_ascii_start();
        match begin.first() {
            _ if self.truncated => "with an oversized body",
            None => "with an empty body",
            Some(b'<') => "with an HTML page instead of JSON",
            Some(_) => "with a body that is not the documented JSON",
        }
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, retry_after, date: _, body, truncated } = self;
        write!(f, "HttpResponse({status}, {retry_after:?}, {} bytes, truncated: {truncated})", body.len())
    }
}

/// Why nothing came back. Holds no URL and no header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The request was never sent: this program cannot send anything as it is set up.
    #[error("nothing was sent: {0}")]
    Unsent(String),
    /// No connection, so the service cannot have acted.
    #[error("cannot connect to {0}")]
    Connect(String),
    /// The answer did not come within this time.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// The connection ended after the request had begun to leave.
    #[error("the connection was lost before the whole answer had come: {0}")]
    Lost(String),
}

/// How a request ended, for metrics: few values, whatever the service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The HTTP status.
    Http(u16),
    /// See [`TransportError::Timeout`].
    Timeout,
    /// See [`TransportError::Connect`].
    Connect,
    /// See [`TransportError::Lost`].
    Lost,
    /// See [`TransportError::Unsent`].
    Unsent,
    /// The request panicked, which is a bug of this program.
    Panicked,
}

impl fmt::Display for Code {
    /// The label: `200`, `401`, `timeout`, `connect`, `lost`, `unsent`, `panicked`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Http(status) => return write!(f, "{status}"),
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Lost => "lost",
            Self::Unsent => "unsent",
            Self::Panicked => "panicked",
        })
    }
}

impl Code {
    pub(super) fn of(answer: &Result<HttpResponse, TransportError>) -> Self {
        match answer {
            Ok(response) => Self::Http(response.status),
            Err(TransportError::Unsent(_)) => Self::Unsent,
            Err(TransportError::Connect(_)) => Self::Connect,
            Err(TransportError::Timeout(_)) => Self::Timeout,
            Err(TransportError::Lost(_)) => Self::Lost,
        }
    }
}

/// What one PUT led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether the service acted, and what follows for the account.
    pub outcome: Outcome,
    /// How long everybody is asked to wait.
    pub retry_after: Option<RetryAfter>,
    /// How the request ended, for metrics.
    pub code: Code,
    /// From the first byte out to the last byte in; zero from [`classify`], which has no clock.
    pub took: Duration,
}

/// The outcome of a PUT. `secrets` are those of the request, `now` is for a `Retry-After` that names a date in an answer
/// without one of its own.
pub fn classify(answer: &Result<HttpResponse, TransportError>, secrets: &Secrets<'_>, now: Timestamp) -> Answer {
    let (outcome, retry_after) = match answer {
        Ok(response) => answered(response, secrets, now),
        Err(error) => (unanswered(error, secrets), None),
    };
    Answer { outcome, retry_after, code: Code::of(answer), took: Duration::ZERO }
}

fn unanswered(error: &TransportError, secrets: &Secrets<'_>) -> Outcome {
    let failure = |reason| Failure { reason, message: secrets.clean(&error.to_string(), TEXT_MAX).into() };
    match error {
        TransportError::Unsent(_) | TransportError::Connect(_) => Outcome::Retry(failure(Reason::ServiceUnavailable)),
        TransportError::Timeout(_) | TransportError::Lost(_) => Outcome::InDoubt(failure(Reason::InDoubt)),
    }
}

fn answered(response: &HttpResponse, secrets: &Secrets<'_>, now: Timestamp) -> (Outcome, Option<RetryAfter>) {
    let envelope = response.envelope();
    let verdict = Verdict::of(response, envelope.as_ref());
    let in_envelope = envelope.as_ref().is_some_and(|envelope| envelope.is_documented);
    let in_header = || wait::in_header(response, in_envelope, now);
    let retry_after = match verdict {
        Verdict::Throttled => in_header().or_else(|| wait::in_words(response, envelope.as_ref(), in_envelope)),
        Verdict::Unavailable | Verdict::Redirected | Verdict::Doubtful => in_header(),
        _ => None,
    };
    let remark = retry_after.and_then(|_| wait::remark(response));
    let hint = verdict.hint(envelope.as_ref()).or(remark);
    let message = || message(response, envelope.as_ref(), hint, secrets);
    (verdict.outcome(message), retry_after)
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Applied,
    Throttled,
    TokenRefused,
    ScopeMissing,
    Forbidden,
    NotFound,
    Rejected,
    Redirected,
    Unavailable,
    Doubtful,
}

impl Verdict {
    fn of(response: &HttpResponse, envelope: Option<&Envelope>) -> Self {
        let status = response.status;
        let accepted = (200..300).contains(&status);
        match envelope {
            Some(envelope) if envelope.is_success() && accepted => return Self::Applied,
            // "Success" under an error status: one of the two is wrong, and nobody can tell which.
            Some(envelope) if envelope.is_success() && status < 500 => return Self::Doubtful,
            // A 2xx without a word of the service's own proves nothing, whatever the page says.
            None if accepted => return Self::Doubtful,
            _ => {}
        }
        // Zoho's documentation, errors: these say it all, under any status. The gateway in front of
        // Mail sends them, so the request never got to the account.
        if is_throttled(response, envelope) {
            return Self::Throttled;
        }
        for (error, verdict) in [
            ("INVALID_OAUTHTOKEN", Self::TokenRefused),
            ("INVALID_OAUTHSCOPE", Self::ScopeMissing),
            ("URL_RULE_NOT_CONFIGURED", Self::NotFound),
        ] {
            if envelope.is_some_and(|envelope| envelope.is_error(error)) {
                return verdict;
            }
        }
        Self::of_code(deciding_code(status, envelope.and_then(|envelope| envelope.code)))
    }

    fn of_code(code: Option<u16>) -> Self {
        match code {
            None | Some(408) => Self::Doubtful,
            Some(401) => Self::TokenRefused,
            Some(403) => Self::Forbidden,
            Some(404) => Self::NotFound,
            Some(429) => Self::Throttled,
            Some(400..=499) => Self::Rejected,
            Some(300..=399) => Self::Redirected,
            Some(_) => Self::Unavailable,
        }
    }

    fn outcome(self, message: impl FnOnce() -> Box<str>) -> Outcome {
        let failure = |reason| Failure { reason, message: message() };
        match self {
            Self::Applied => Outcome::Applied,
            Self::Throttled => Outcome::Paused(PauseCause::Throttled, failure(Reason::Throttled)),
            Self::TokenRefused => Outcome::Paused(PauseCause::TokenRefused, failure(Reason::Unauthorized)),
            Self::ScopeMissing => Outcome::Paused(PauseCause::ScopeMissing, failure(Reason::Unauthorized)),
            Self::Forbidden => Outcome::Rejected(failure(Reason::Forbidden)),
            Self::NotFound => Outcome::Rejected(failure(Reason::AccountNotFound)),
            Self::Rejected => Outcome::Rejected(failure(Reason::Rejected)),
            Self::Redirected | Self::Unavailable => Outcome::InDoubt(failure(Reason::ServiceUnavailable)),
            Self::Doubtful => Outcome::InDoubt(failure(Reason::InDoubt)),
        }
    }

    /// What to do about it, where the service's words do not say.
    fn hint(self, envelope: Option<&Envelope>) -> Option<&'static str> {
        match self {
            Self::TokenRefused => Some("check the credentials, and that the data center is theirs"),
            Self::ScopeMissing => Some(
                "make credentials with the scope ZohoMail.organization.accounts.UPDATE, \
                 or ZohoMail.accounts.UPDATE with user authentication",
            ),
            Self::Forbidden => Some("the owner of the token may not change this account"),
            Self::NotFound => Some("check accountId, which is not the zuid, the organization and the data center"),
            Self::Rejected if envelope.is_some_and(|envelope| envelope.is_error("INVALID_TICKET")) => Some(
                "the Authorization header did not arrive: a proxy may have taken it away, \
                 otherwise this is a bug of zoho-mail-reconciler",
            ),
            Self::Redirected => {
                Some("redirects are never followed: check the API URL, and for a proxy or login page in between")
            }
            Self::Doubtful => Some("the change may have been made; it is sent again"),
            Self::Applied | Self::Throttled | Self::Rejected | Self::Unavailable => None,
        }
    }
}

/// The code that counts if status and body differ: of two proofs that nothing happened the more
/// exact one, but never a proof against a sign of trouble.
fn deciding_code(status: u16, body: Option<u16>) -> Option<u16> {
    let body = body.filter(|code| (400..600).contains(code));
    match status {
        200..=299 => body,
        // 400 is what the service says when it has nothing better to say.
        400 => body.or(Some(400)),
        401..=499 => body.filter(|code| *code >= 500).or(Some(status)),
        _ => Some(status),
    }
}

/// Whether a text, of whatever status, is one of those with which Zoho's products throttle
/// (Zoho's documentation, errors; Mail's own form is not documented).
fn says_throttled(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("throttles_limit_exceeded") || text.contains("too many requests")
}

pub(super) fn is_throttled(response: &HttpResponse, envelope: Option<&Envelope>) -> bool {
    let says_so = match envelope {
        Some(envelope) => envelope.error_code.iter().chain(&envelope.texts).any(|text| says_throttled(text)),
        None => says_throttled(&String::from_utf8_lossy(&response.body)),
    };
    response.status == 429 || says_so
}

/// `HTTP 403 FORBIDDEN: their words (our hint)`.
pub(super) fn message(
    response: &HttpResponse,
    envelope: Option<&Envelope>,
    hint: Option<&str>,
    secrets: &Secrets<'_>,
) -> Box<str> {
    let mut line = format!("HTTP {}", response.status);
    match envelope {
        Some(envelope) => {
            if let Some(code) = envelope.code.filter(|code| *code != response.status) {
                line += &format!(" with code {code}");
            }
            if let Some(error) = envelope.error_code.as_deref().filter(|error| !error.trim().is_empty()) {
                line += &format!(" {}", secrets.clean(error, ERROR_CODE_MAX));
            }
            let words = secrets.clean(&envelope.texts.join(": "), TEXT_MAX);
            if !words.is_empty() {
                line += &format!(": {words}");
            } else if envelope.code.is_none() && envelope.error_code.is_none() {
                line += " with an undocumented answer";
            }
        }
        None => line += &format!(" {}", response.body_kind()),
    }
    if let Some(hint) = hint {
        line += &format!(" ({hint})");
    }
    line.into()
}

#[cfg(test)]
mod tests;
