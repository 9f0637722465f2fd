//! The client of Zoho Mail's account API: one change becomes one PUT, and its answer an outcome.
//!
//! In: a [`Change`](crate::change::Change) and an [`AccessToken`]. Out: an [`Answer`], whose
//! [`Outcome`](crate::change::Outcome) says whether the service can have acted.
//!
//! HTTP is done in three steps, so that all but the middle one are plain functions of values:
//!
//! ```text
//! request   Change, Principal, token      -> HttpRequest             pure
//! transport HttpRequest                   -> HttpResponse or error   the network
//! response  HttpResponse or error         -> Answer                  pure (token: the same for OAuth)
//! ```
//!
//! Invariants: this is the only room that knows what `zuid`, `zoid` and `mode` look like on the wire; one call is one
//! request, never a hidden second one; only a refused connection and a plain 4xx count as proof that nothing
//! happened; only an acknowledgement in the documented form counts as success; no secret leaves through Debug, a
//! message or an error; nothing goes over plain http except to this machine.
//!
//! Absent by design: retries, pauses, the request budget and the cache of the token. They belong to whoever sees
//! all accounts at once.

mod auth;
mod base_url;
mod client;
mod credentials;
mod data_center;
mod envelope;
mod listing;
mod paging;
mod reader;
mod request;
mod response;
mod text;
mod token;
mod transport;
mod wait;

pub use auth::{CredentialError, CredentialSource, secret_of};
pub use base_url::{BaseUrl, InvalidBaseUrl, is_loopback};
pub use client::Client;
pub use credentials::{AccessToken, Credentials, RefreshCredentials, UnusableSecret};
pub use data_center::DataCenter;
pub use listing::{PAGE_MAX, Page, PageAnswer, Window, decode_listing, encode_listing};
pub use paging::{Extent, Paging};
pub use reader::{Grant, Reader, Unreachable};
pub use request::{
    ANSWER_MAX, HeaderText, HttpRequest, Method, MissingZuid, Operation, Principal, encode, encode_token_request,
};
pub use response::{Answer, Code, HttpResponse, TransportError, classify};
pub use text::Secrets;
pub use token::{TokenAnswer, TokenOutcome, classify_token};
pub use transport::{HttpTransport, ReadOnly, SetupError, Transport};
pub use wait::RetryAfter;
