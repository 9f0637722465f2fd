//! From the accounts server's answer to a token, or to what to do without one.
//!
//! In: what the transport brought. Out: [`TokenAnswer`].
//! Invariants: errors come with HTTP 200 as well, so only a usable `access_token` without an
//! `error` beside it is a grant; `Refused` is only said where other credentials are the one thing
//! that helps; the token is in no message. For as long as is said means: in an answer with an `error` of the accounts
//! server; anything else is heeded for `--throttle-pause` at most.
//!
//! | answer | outcome | reason | what follows |
//! |---|---|---|---|
//! | 2xx with a usable token and no error | `granted` | - | the PUTs |
//! | an error that stays, such as `invalid_client` or `invalid_code` | `refused` | `Unauthorized` | everybody waits for other credentials |
//! | `Access Denied`, or what throttles a PUT | `throttled` | `Throttled` | everybody pauses for as long as is said |
//! | any other answer, or none | `unavailable` | `TokenUnavailable` | another request, after a backoff |

use std::time::Duration;

use serde_json::Value;

use super::base_url::BaseUrl;
use super::credentials::AccessToken;
use super::envelope::Envelope;
use super::response::{Code, HttpResponse, TEXT_MAX, TransportError, is_throttled, message};
use super::text::Secrets;
use super::wait::{self, RetryAfter};
use crate::change::Failure;
use crate::condition::Reason;
use crate::timestamp::Timestamp;

/// How long an access token lives, and the longest life that is believed (Zoho's documentation,
/// OAuth: 3600 seconds). Old answers give `expires_in` in milliseconds; the bound covers them too.
const LIFETIME: Duration = Duration::from_secs(3600);

/// How a token request ended.
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    /// A token, or why there is none.
    pub outcome: TokenOutcome,
    /// How the request ended, for metrics.
    pub code: Code,
    /// From the first byte out to the last byte in; set by the client.
    pub took: Duration,
}

/// A token, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenOutcome {
    /// Here it is.
    Granted {
        /// The token.
        token: AccessToken,
        /// How long it is good for, counted from the answer: 1 second to 1 hour.
        expires_in: Duration,
    },
    /// Only other credentials help; the message says which.
    Refused(Failure),
    /// Too many token requests; asking again sooner than this prolongs it.
    Throttled(Failure, Option<RetryAfter>),
    /// The accounts server is in trouble, out of reach, or not the accounts server.
    Unavailable(Failure),
}

impl TokenAnswer {
    /// Whether nothing of the request reached the accounts server: no connection was there to send it through.
    pub const fn was_not_sent(&self) -> bool {
        matches!(self.code, Code::Connect | Code::Unsent)
    }
}

impl TokenOutcome {
    /// The outcome's name in metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Granted { .. } => "granted",
            Self::Refused(_) => "refused",
            Self::Throttled(..) => "throttled",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// The outcome of a token request to `accounts_url`. `secrets` are those of the request, `now` is for a
/// `Retry-After` that names a date in an answer without one of its own.
pub fn classify_token(
    answer: &Result<HttpResponse, TransportError>,
    accounts_url: &BaseUrl,
    secrets: &Secrets<'_>,
    now: Timestamp,
) -> TokenAnswer {
    let outcome = match answer {
        Ok(response) => answered(response, accounts_url, secrets, now),
        Err(error) => TokenOutcome::Unavailable(Failure {
            reason: Reason::TokenUnavailable,
            message: secrets.clean(&format!("no access token: {error}"), TEXT_MAX).into(),
        }),
    };
    TokenAnswer { outcome, code: Code::of(answer), took: Duration::ZERO }
}

fn answered(response: &HttpResponse, accounts_url: &BaseUrl, secrets: &Secrets<'_>, now: Timestamp) -> TokenOutcome {
    let envelope = response.envelope();
    if let Some((token, expires_in)) = granted(response, envelope.as_ref()) {
        return TokenOutcome::Granted { token, expires_in };
    }
    let failure = |reason, hint: Option<&str>| {
        let line = message(response, envelope.as_ref(), hint, secrets);
        Failure { reason, message: format!("no access token from {}: {line}", accounts_url.host()).into() }
    };
    // Zoho's documentation, OAuth: "Access Denied" is how one token request too many is answered.
    let denied = envelope.as_ref().is_some_and(|envelope| envelope.is_error("Access Denied"));
    if denied || is_throttled(response, envelope.as_ref()) {
        // The accounts server answers without the envelope of Mail: its error stands at the top.
        let in_envelope = envelope.as_ref().is_some_and(|envelope| envelope.error_code.is_some());
        let in_header = wait::in_header(response, in_envelope, now);
        let asked = in_header.or_else(|| wait::in_words(response, envelope.as_ref(), in_envelope));
        return TokenOutcome::Throttled(failure(Reason::Throttled, wait::remark(response)), asked);
    }
    match envelope.as_ref().and_then(refusal) {
        Some(hint) if response.status < 500 => TokenOutcome::Refused(failure(Reason::Unauthorized, Some(hint))),
        _ => TokenOutcome::Unavailable(failure(Reason::TokenUnavailable, redirect_hint(response.status))),
    }
}

fn granted(response: &HttpResponse, envelope: Option<&Envelope>) -> Option<(AccessToken, Duration)> {
    if !(200..300).contains(&response.status) || envelope?.error_code.is_some() {
        return None;
    }
    let body: Value = serde_json::from_slice(&response.body).ok()?;
    let token = AccessToken::new(body.get("access_token")?.as_str()?).ok()?;
    let expires_in = ["expires_in_sec", "expires_in"].into_iter().find_map(|key| seconds(body.get(key)?));
    Some((token, expires_in.unwrap_or(LIFETIME).clamp(Duration::from_secs(1), LIFETIME)))
}

fn seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Duration::from_secs(seconds))
}

/// What to do about an error that stays until the credentials change; nothing for an error that may pass.
fn refusal(envelope: &Envelope) -> Option<&'static str> {
    // The first two are in Zoho's documentation, OAuth; the others in RFC 6749 section 5.2, and seen.
    [
        (
            "invalid_client",
            "check ZOHO_MAIL_CLIENT_ID and ZOHO_MAIL_CLIENT_SECRET, and that the client was made in this data center",
        ),
        (
            "invalid_code",
            "the refresh token is wrong, of another data center, or revoked, as a new password of its owner does: \
             make a new one and set ZOHO_MAIL_REFRESH_TOKEN",
        ),
        ("invalid_client_secret", "check ZOHO_MAIL_CLIENT_SECRET, and that the client was made in this data center"),
        ("invalid_grant", "make a new refresh token and set ZOHO_MAIL_REFRESH_TOKEN"),
        ("unauthorized_client", "check the client in the API console, and make a new refresh token with it"),
        ("invalid_scope", "make a new refresh token with the scopes that are needed"),
        ("access_denied", "check the client in the API console, and make a new refresh token with it"),
    ]
    .into_iter()
    .find_map(|(error, hint)| envelope.is_error(error).then_some(hint))
}

fn redirect_hint(status: u16) -> Option<&'static str> {
    (300..400)
        .contains(&status)
        .then_some("redirects are never followed: check the accounts URL, and for a proxy or login page in between")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANT: &str = r#"{"access_token":"1000.abc.def","api_domain":"https://www.zohoapis.com","token_type":"Bearer","expires_in":3600}"#;

    fn outcome(status: u16, body: &str) -> TokenOutcome {
        let answer = Ok(HttpResponse { status, body: body.into(), ..HttpResponse::default() });
        let secrets = Secrets::new(["client-secret", "refresh-token"]);
        classify_token(&answer, &"https://accounts.zoho.eu".parse().unwrap(), &secrets, Timestamp::default()).outcome
    }

    fn line(status: u16, body: &str) -> String {
        let outcome = outcome(status, body);
        match &outcome {
            TokenOutcome::Granted { expires_in, .. } => format!("granted for {}s\n", expires_in.as_secs()),
            TokenOutcome::Throttled(failure, asked) => {
                let wait = asked.map(|asked| (asked.wait.as_secs(), asked.in_envelope));
                format!("throttled {wait:?} {failure}\n")
            }
            TokenOutcome::Refused(failure) | TokenOutcome::Unavailable(failure) => {
                format!("{} {failure}\n", outcome.label())
            }
        }
    }

    #[test]
    fn a_grant_needs_a_usable_token_and_no_error() {
        let expected = AccessToken::new("1000.abc.def").unwrap();
        assert_eq!(outcome(200, GRANT), TokenOutcome::Granted { token: expected, expires_in: LIFETIME });
        for body in [
            "",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":null,"expires_in":3600}"#,
            r#"{"access_token":"a\r\nHost: evil"}"#,
            r#"{"access_token":"abc","error":"general_error"}"#,
            "[\"abc\"]",
        ] {
            assert_eq!(outcome(200, body).label(), "unavailable", "{body}");
        }
        assert_eq!(outcome(500, GRANT).label(), "unavailable");
    }

    #[test]
    fn a_lifetime_in_any_unit_ends_within_the_hour() {
        let grant = |life: &str| line(200, &format!(r#"{{"access_token":"abc"{life}}}"#));
        assert_eq!(grant(""), "granted for 3600s\n");
        assert_eq!(grant(r#","expires_in":"60""#), "granted for 60s\n");
        assert_eq!(grant(r#","expires_in":3600000"#), "granted for 3600s\n");
        assert_eq!(grant(r#","expires_in":1800000,"expires_in_sec":1800"#), "granted for 1800s\n");
        assert_eq!(grant(r#","expires_in":0"#), "granted for 1s\n");
        assert_eq!(grant(r#","expires_in":-5"#), "granted for 3600s\n");
    }

    #[test]
    fn an_error_says_whether_other_credentials_patience_or_a_retry_helps() {
        let table: String = [
            line(200, r#"{"error":"invalid_client"}"#),
            line(400, r#"{"error":"invalid_code"}"#),
            line(401, r#"{"error":"invalid_client_secret"}"#),
            line(400, r#"{"error_description":"You have made too many requests continuously. Please try again after some time.","error":"Access Denied","status":"failure"}"#),
            line(200, r#"{"error":"Access Denied","error_description":"Try again after 10 minutes"}"#),
            line(429, ""),
            line(429, "<html>Too many requests, try after 3 hours</html>"),
            line(200, r#"{"error":"general_error"}"#),
            line(200, r#"{"access_token":""}"#),
            line(503, r#"{"error":"invalid_client"}"#),
            line(302, ""),
            line(403, "<html>blocked</html>"),
        ]
        .concat();
        insta::assert_snapshot!(table, @"
        refused Unauthorized: no access token from accounts.zoho.eu: HTTP 200 invalid_client (check ZOHO_MAIL_CLIENT_ID and ZOHO_MAIL_CLIENT_SECRET, and that the client was made in this data center)
        refused Unauthorized: no access token from accounts.zoho.eu: HTTP 400 invalid_code (the refresh token is wrong, of another data center, or revoked, as a new password of its owner does: make a new one and set ZOHO_MAIL_REFRESH_TOKEN)
        refused Unauthorized: no access token from accounts.zoho.eu: HTTP 401 invalid_client_secret (check ZOHO_MAIL_CLIENT_SECRET, and that the client was made in this data center)
        throttled None Throttled: no access token from accounts.zoho.eu: HTTP 400 Access Denied: You have made too many requests continuously. Please try again after some time.
        throttled Some((600, true)) Throttled: no access token from accounts.zoho.eu: HTTP 200 Access Denied: Try again after 10 minutes
        throttled None Throttled: no access token from accounts.zoho.eu: HTTP 429 with an empty body
        throttled Some((10800, false)) Throttled: no access token from accounts.zoho.eu: HTTP 429 with an HTML page instead of JSON
        unavailable TokenUnavailable: no access token from accounts.zoho.eu: HTTP 200 general_error
        unavailable TokenUnavailable: no access token from accounts.zoho.eu: HTTP 200 with an undocumented answer
        unavailable TokenUnavailable: no access token from accounts.zoho.eu: HTTP 503 invalid_client
        unavailable TokenUnavailable: no access token from accounts.zoho.eu: HTTP 302 with an empty body (redirects are never followed: check the accounts URL, and for a proxy or login page in between)
        unavailable TokenUnavailable: no access token from accounts.zoho.eu: HTTP 403 with an HTML page instead of JSON
        ");
    }

    #[test]
    fn an_answer_that_echoes_secrets_is_told_without_them() {
        let line =
            line(200, r#"{"error":"client-secret","error_description":"refresh-token 1000.0123456789abcdef0 is bad"}"#);
        insta::assert_snapshot!(line, @"unavailable TokenUnavailable: no access token from accounts.zoho.eu: HTTP 200 [redacted]: [redacted] [redacted] is bad");
        let granted = format!("{:?}", outcome(200, GRANT));
        assert!(!granted.contains("1000.abc"), "{granted}");
    }

    #[test]
    fn a_server_out_of_reach_is_unavailable() {
        let error = Err(TransportError::Timeout(Duration::from_secs(30)));
        let url = "https://accounts.zoho.eu".parse().unwrap();
        let answer = classify_token(&error, &url, &Secrets::default(), Timestamp::default());
        assert_eq!((answer.code, answer.outcome.label()), (Code::Timeout, "unavailable"));
    }
}
