//! The client: encode, send, classify.
//!
//! In: a change or credentials. Out: [`Answer`] or [`TokenAnswer`]; never an error beside it.
//! Invariants: one call is at most one request; whatever a request carried is redacted in what is
//! told of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::base_url::BaseUrl;
use super::credentials::{AccessToken, RefreshCredentials};
use super::listing::{PageAnswer, Window, decode_listing, encode_listing};
use super::request::{HttpRequest, MissingZuid, Principal, encode, encode_token_request};
use super::response::{Answer, Code, HttpResponse, TEXT_MAX, TransportError, classify};
use super::text::Secrets;
use super::token::{TokenAnswer, classify_token};
use super::transport::Transport;
use crate::change::{Change, Failure, Outcome};
use crate::condition::Reason;
use crate::timestamp::Timestamp;

/// Addresses the service as one principal. Cheap to clone; all clones share the connections.
#[derive(Debug)]
pub struct Client<T> {
    inner: Arc<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    transport: T,
    api_url: BaseUrl,
    accounts_url: BaseUrl,
    principal: Principal,
}

impl<T> Clone for Client<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T: Transport> Client<T> {
    /// A client of the account API at `api_url` and the accounts server at `accounts_url`.
    pub fn new(transport: T, api_url: BaseUrl, accounts_url: BaseUrl, principal: Principal) -> Self {
        Self { inner: Arc::new(Inner { transport, api_url, accounts_url, principal }) }
    }

    /// Makes `change` on the service: one PUT, or none if the change lacks what this principal needs.
    pub async fn put(&self, change: &Change, token: &AccessToken) -> Answer {
        let request = match encode(change, self.inner.principal, &self.inner.api_url, token) {
            Ok(request) => request,
            Err(error) => return unsent(&error),
        };
        let (answer, took) = self.send(request).await;
        let secrets = Secrets::new([token.expose()]);
        Answer { took, ..classify(&answer, &secrets, wall_clock()) }
    }

    /// One page of the accounts that this principal may see: one GET.
    pub async fn page(&self, window: Window, token: &AccessToken) -> PageAnswer {
        let (answer, took) = self.send(encode_listing(self.inner.principal, window, &self.inner.api_url, token)).await;
        let PageAnswer { answer, page } = decode_listing(&answer, &Secrets::new([token.expose()]), wall_clock());
        PageAnswer { answer: Answer { took, ..answer }, page }
    }

    /// Asks for an access token: one POST.
    pub async fn fetch_token(&self, credentials: &RefreshCredentials) -> TokenAnswer {
        let accounts_url = &self.inner.accounts_url;
        let (answer, took) = self.send(encode_token_request(credentials, accounts_url)).await;
        let secrets = Secrets::new(credentials.secrets());
        TokenAnswer { took, ..classify_token(&answer, accounts_url, &secrets, wall_clock()) }
    }

    async fn send(&self, request: HttpRequest) -> (Result<HttpResponse, TransportError>, Duration) {
        let begun = Instant::now();
        let answer = self.inner.transport.send(request).await;
        (answer, begun.elapsed())
    }
}

/// The calendar, for a `Retry-After` that names a date. Nothing else here depends on it.
fn wall_clock() -> Timestamp {
    SystemTime::now().into()
}

fn unsent(error: &MissingZuid) -> Answer {
    // A file's name is the word of whoever made the file.
    let message = Secrets::default().clean(&error.to_string(), TEXT_MAX).into();
    let failure = Failure { reason: Reason::Rejected, message };
    Answer { outcome: Outcome::Rejected(failure), retry_after: None, code: Code::Unsent, took: Duration::ZERO }
}
