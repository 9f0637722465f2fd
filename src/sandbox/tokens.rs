//! The OAuth endpoint and its limits.
//!
//! In: token requests, and access tokens to look up. Out: answers as documented (errors come with
//! HTTP 200), and whose token it is. Invariants: at most ten token requests per ten minutes, and a
//! refused one counts too, so that retrying prolongs the wait; at most ten living tokens per refresh
//! token, the eleventh kills the oldest (Zoho's documentation, limits). Absent: `authorization_code`, which
//! needs a person with a browser.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;

use super::message::{Refusal, Reply, Request, is_media_type};
use super::settings::Credentials;
use crate::timestamp::Timestamp;

/// Token requests per [`WINDOW`], and living tokens per refresh token (Zoho's documentation, limits).
const LIMIT: usize = 10;

/// The window of token requests (Zoho's documentation, limits).
const WINDOW: Duration = Duration::from_secs(10 * 60);

/// Not the mail host, on purpose: a client that follows it fails where it can be seen.
const API_DOMAIN: &str = "https://api-domain-is-not-the-mail-host.invalid";

/// One refresh token with what came of it.
#[derive(Clone, Debug)]
struct Grant {
    credentials: Credentials,
    living: VecDeque<(String, Timestamp)>,
    asked: VecDeque<Timestamp>,
}

/// All tokens of the world.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    grants: Vec<Grant>,
    /// Requests no grant is known for; they share one window.
    strangers: VecDeque<Timestamp>,
    ttl: Duration,
    issued: u64,
}

impl Tokens {
    pub(super) fn new(credentials: &[Credentials], ttl: Duration) -> Self {
        let grants = credentials
            .iter()
            .map(|credentials| Grant {
                credentials: credentials.clone(),
                living: VecDeque::new(),
                asked: VecDeque::new(),
            })
            .collect();
        Self { grants, strangers: VecDeque::new(), ttl, issued: 0 }
    }

    pub(super) fn credentials(&self) -> impl Iterator<Item = &Credentials> {
        self.grants.iter().map(|grant| &grant.credentials)
    }

    /// Whose the access token is, if it lives at `now`.
    pub(super) fn holder(&self, now: Timestamp, token: &str) -> Option<&Credentials> {
        self.grants
            .iter()
            .find(|grant| grant.living.iter().any(|(living, expires)| living == token && now < *expires))
            .map(|grant| &grant.credentials)
    }

    /// Kills one access token.
    pub(super) fn revoke(&mut self, token: &str) {
        for grant in &mut self.grants {
            grant.living.retain(|(living, _)| living != token);
        }
    }

    /// Kills every access token.
    pub(super) fn revoke_all(&mut self) {
        for grant in &mut self.grants {
            grant.living.clear();
        }
    }

    /// A fresh access token, without asking the endpoint; `None` if the refresh token is unknown.
    pub(super) fn issue(&mut self, now: Timestamp, refresh_token: &str) -> Option<String> {
        let index = self.grants.iter().position(|grant| grant.credentials.refresh_token == refresh_token)?;
        Some(self.issue_for(now, index))
    }

    fn issue_for(&mut self, now: Timestamp, index: usize) -> String {
        self.issued += 1;
        let token = format!("1000.sandbox.{index}.{}", self.issued);
        let living = &mut self.grants[index].living;
        living.retain(|(_, expires)| now < *expires);
        if living.len() == LIMIT {
            living.pop_front();
        }
        living.push_back((token.clone(), now + self.ttl));
        token
    }

    /// Answers `POST /oauth/v2/token`.
    pub(super) fn answer(&mut self, now: Timestamp, request: &Request<'_>) -> Reply {
        match Form::read(request) {
            Ok(form) => self.grant(now, &form),
            Err(refusal) => refusal.into(),
        }
    }

    fn grant(&mut self, now: Timestamp, form: &Form) -> Reply {
        let index = self.grants.iter().position(|grant| form.is_from(&grant.credentials));
        let asked = index.map_or(&mut self.strangers, |index| &mut self.grants[index].asked);
        if !within_limit(asked, now) {
            return Reply { result: "Access Denied".into(), ..too_many() };
        }
        if form.grant_type != "refresh_token" {
            return oauth_error("unsupported_grant_type");
        }
        if let Some(index) = index {
            let token = self.issue_for(now, index);
            return Reply::json(
                200,
                &json!({
                    "access_token": token,
                    "api_domain": API_DOMAIN,
                    "token_type": "Bearer",
                    "expires_in": self.ttl.as_secs(),
                }),
            );
        }
        let client_known = self.grants.iter().any(|grant| form.is_client_of(&grant.credentials));
        oauth_error(if client_known { "invalid_code" } else { "invalid_client" })
    }
}

/// Counts one attempt, refused or not, and says whether it is within the limit.
fn within_limit(asked: &mut VecDeque<Timestamp>, now: Timestamp) -> bool {
    let oldest = if asked.len() == LIMIT { asked.pop_front() } else { None };
    asked.push_back(now);
    oldest.is_none_or(|oldest| now.since(oldest) >= WINDOW)
}

fn too_many() -> Reply {
    Reply::json(
        200,
        &json!({
            "error": "Access Denied",
            "error_description": "You have made too many requests continuously. Please try again after some time.",
            "status": "failure",
        }),
    )
}

/// An OAuth error: HTTP 200 all the same (Zoho's documentation, OAuth).
fn oauth_error(error: &'static str) -> Reply {
    Reply { result: error.into(), ..Reply::json(200, &json!({"error": error})) }
}

/// The four fields of the token request.
#[derive(Default)]
struct Form {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    grant_type: String,
}

impl Form {
    fn read(request: &Request<'_>) -> Result<Self, Refusal> {
        let media = request.header("Content-Type")?.unwrap_or_default();
        if !is_media_type(media, "application/x-www-form-urlencoded") {
            return Err(invalid("Content-Type is not application/x-www-form-urlencoded"));
        }
        if !request.query().is_empty() {
            return Err(invalid("the token request takes form fields, not a query: secrets in URLs end up in logs"));
        }
        let mut form = Self::default();
        for (key, value) in form_urlencoded::parse(request.body) {
            let slot = match key.as_ref() {
                "client_id" => &mut form.client_id,
                "client_secret" => &mut form.client_secret,
                "refresh_token" => &mut form.refresh_token,
                "grant_type" => &mut form.grant_type,
                _ => return Err(invalid("a field is none of client_id, client_secret, refresh_token, grant_type")),
            };
            if !slot.is_empty() {
                return Err(invalid("a field is there twice"));
            }
            *slot = value.into_owned();
        }
        Ok(form)
    }

    fn is_client_of(&self, credentials: &Credentials) -> bool {
        self.client_id == credentials.client_id && self.client_secret == credentials.client_secret
    }

    fn is_from(&self, credentials: &Credentials) -> bool {
        self.is_client_of(credentials) && self.refresh_token == credentials.refresh_token
    }
}

fn invalid(reason: &str) -> Refusal {
    Refusal::input("INVALID_REQUEST", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn tokens() -> Tokens {
        Tokens::new(&[Credentials::administrator()], Duration::from_secs(3600))
    }

    fn ask(tokens: &mut Tokens, now: Timestamp) -> String {
        let body = b"client_id=sandbox&client_secret=sandbox&refresh_token=sandbox&grant_type=refresh_token";
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let request = Request { method: "POST", target: "/oauth/v2/token", headers: &headers, body };
        String::from_utf8(tokens.answer(now, &request).body.into_owned()).unwrap()
    }

    #[test]
    fn the_eleventh_request_in_ten_minutes_is_denied_and_retrying_prolongs_it() {
        let mut tokens = tokens();
        for second in 0..10 {
            assert!(ask(&mut tokens, at(second)).contains("access_token"));
        }
        assert!(ask(&mut tokens, at(599)).contains("Access Denied"));
        assert!(ask(&mut tokens, at(600)).contains("Access Denied"), "the refused request counted");
        assert!(ask(&mut tokens, at(1210)).contains("access_token"));
    }

    #[test]
    fn the_eleventh_living_token_kills_the_oldest() {
        let mut tokens = tokens();
        let issued: Vec<String> = (0..11).map(|_| tokens.issue(at(0), "sandbox").unwrap()).collect();
        assert!(tokens.holder(at(1), &issued[0]).is_none());
        assert!(issued[1..].iter().all(|token| tokens.holder(at(1), token).is_some()));
        assert!(tokens.holder(at(3600), &issued[10]).is_none(), "an hour is over");
    }
}
