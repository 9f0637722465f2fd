//! The client that only looks: is the service there, does it grant a token, what does it say about the organization?
//!
//! In: where the service is, credentials. Out: what was found at each step, in words for whoever has to mend it.
//! Invariants: the methods here are HEAD and GET, and the one POST that asks for a token; there is no way to a PUT; one
//! call is one request; answers are judged as everywhere else, and no secret is in what is told of them.
//! Deliberately absent: retries, pauses and budgets. Whoever asks looks once.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::net::{TcpStream, lookup_host};
use url::Url;

use super::base_url::BaseUrl;
use super::credentials::{AccessToken, RefreshCredentials};
use super::listing::{PageAnswer, Window, decode_listing, encode_listing};
use super::request::{ANSWER_MAX, HttpRequest, Method, Principal, encode_token_request, reading_headers};
use super::response::{HttpResponse, TransportError};
use super::text::Secrets;
use super::token::{TokenOutcome, classify_token};
use super::transport::{HttpTransport, SetupError, Transport as _};
use crate::timestamp::Timestamp;

/// How long resolving a name, or opening a connection, may take: two lost packets and some.
const STEP: Duration = Duration::from_secs(5);

/// At which step a host was out of reach, and the system's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// No certificates to check others with.
    #[error(transparent)]
    NoRoots(#[from] SetupError),
    /// Its name is not known.
    #[error("its name is not known here: {0}")]
    Name(String),
    /// Nobody takes the connection.
    #[error("no connection: {0}")]
    Connection(String),
    /// It cannot prove who it is.
    #[error("no trusted connection: {0}")]
    Tls(String),
    /// It does not answer.
    #[error("{0}")]
    Answer(String),
}

/// A token or why there is none, and what it is good for if that was said.
#[derive(Clone, Debug)]
pub struct Grant {
    /// As the daemon would judge it.
    pub outcome: TokenOutcome,
    /// The scopes the answer names; not every answer does.
    pub scopes: Option<Vec<String>>,
}

/// See the module.
#[derive(Debug)]
pub struct Reader(HttpTransport);

impl Reader {
    /// A reader that gives up on a request after `timeout`.
    pub const fn new(timeout: Duration) -> Self {
        Self(HttpTransport::new(timeout))
    }

    /// Whether there are certificates to check the service's with. Sends nothing.
    ///
    /// # Errors
    /// As [`HttpTransport::check`].
    pub fn check(&self, url: &BaseUrl) -> Result<(), SetupError> {
        self.0.check(url)
    }

    /// Goes all the way to a host: its name, a connection (both only if no proxy does that), TLS, one HEAD. Returns the
    /// service's clock, if it shows one.
    ///
    /// # Errors
    /// The first step that failed.
    pub async fn reach(&self, base: &BaseUrl, proxied: bool) -> Result<Option<Timestamp>, Unreachable> {
        self.check(base)?;
        if !(proxied && base.is_https()) {
            connect(base).await?;
        }
        let url = format!("{base}/");
        let headers = reading_headers(None);
        let request = HttpRequest {
            operation: "reach",
            method: Method::Head,
            url,
            headers,
            body: Vec::new().into(),
            answer_max: ANSWER_MAX,
        };
        match self.0.send(request).await {
            Ok(response) => Ok(response.date.as_deref().and_then(date)),
            Err(TransportError::Connect(why)) if base.is_https() => Err(Unreachable::Tls(why)),
            Err(error) => Err(Unreachable::Answer(error.to_string())),
        }
    }

    /// Asks for a token, once.
    pub async fn token(&self, accounts: &BaseUrl, credentials: &RefreshCredentials) -> Grant {
        let answer = self.0.send(encode_token_request(credentials, accounts)).await;
        let secrets = credentials.secrets();
        let outcome = classify_token(&answer, accounts, &Secrets::new(secrets), SystemTime::now().into()).outcome;
        Grant { outcome, scopes: answer.ok().and_then(|answer| scopes(&answer)) }
    }

    /// One page of the accounts that `principal` may see.
    pub async fn page(&self, api: &BaseUrl, principal: Principal, token: &AccessToken, window: Window) -> PageAnswer {
        let answer = self.0.send(encode_listing(principal, window, api, token)).await;
        decode_listing(&answer, &Secrets::new([token.expose()]), SystemTime::now().into())
    }
}

async fn connect(base: &BaseUrl) -> Result<(), Unreachable> {
    let url = Url::parse(base.as_str()).map_err(|error| Unreachable::Name(error.to_string()))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let slow = || format!("nothing within {}", humantime::format_duration(STEP));
    let addresses = tokio::time::timeout(STEP, lookup_host((host, port))).await;
    let addresses = addresses.map_err(|_| Unreachable::Name(slow()))?;
    let addresses: Vec<_> = addresses.map_err(|error| Unreachable::Name(error.to_string()))?.collect();
    // A list of addresses is tried in its order, as the real client does.
    let connected = tokio::time::timeout(STEP, TcpStream::connect(&*addresses)).await;
    connected
        .map_err(|_| Unreachable::Connection(slow()))?
        .map_err(|error| Unreachable::Connection(error.to_string()))?;
    Ok(())
}

fn date(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text).ok().map(Timestamp::from)
}

/// RFC 6749, section 3.3: words with spaces between them. Zoho's own lists have commas.
fn scopes(answer: &HttpResponse) -> Option<Vec<String>> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let text = body.get("scope")?.as_str()?;
    Some(text.split([' ', ',']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect())
}
