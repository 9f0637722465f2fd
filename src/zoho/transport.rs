//! The network: one request out, at most one answer back.
//!
//! In: [`HttpRequest`]. Out: [`HttpResponse`], or a [`TransportError`] that says whether the request can have arrived.
//! Invariants: one call is one request (no redirect, no retry); every wait and every body is
//! bounded; https is verified against the system's certificates and goes through the proxies of
//! the environment; plain http goes to this machine directly, through no proxy.
//! Absent by design: HTTP/2 (a few requests a second need no multiplexing, and its streams may be
//! refused in more ways than one) and compression (answers have a hundred bytes).

mod words;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;

use super::base_url::BaseUrl;
use super::request::{HeaderText, HttpRequest, Method};
use super::response::{HttpResponse, TransportError};
use words::words;

/// How long connecting may take, name resolution and TLS included: three lost SYNs (1 + 2 + 4 s) and some.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept. Shorter than the 60 seconds after which common load
/// balancers close it: a PUT into a closing connection is in doubt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of a `Retry-After` or `Date` is kept, in bytes. HTTP's longest date has 33.
const DATE_MAX: usize = 64;

/// Brings a request to the service. The one thing that tests put something else in the place of.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` once and waits for the whole answer.
    fn send(&self, request: HttpRequest) -> impl Future<Output = Result<HttpResponse, TransportError>> + Send;
}

/// A transport by which no PUT leaves: for commands that only read.
#[derive(Debug)]
pub struct ReadOnly<T>(pub T);

impl<T: Transport> Transport for ReadOnly<T> {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        if request.method == Method::Put {
            return Err(TransportError::Unsent("this command only reads, and sends no PUT".into()));
        }
        self.0.send(request).await
    }
}

/// No client can be built on this system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot set up https: {0}; install CA certificates (package ca-certificates), \
     or name a PEM file in SSL_CERT_FILE"
)]
pub struct SetupError(String);

/// The real network. Building its clients takes milliseconds, so each is built when first needed.
#[derive(Debug)]
pub struct HttpTransport {
    request_timeout: Duration,
    secure: OnceLock<Result<reqwest::Client, SetupError>>,
    plain: OnceLock<Result<reqwest::Client, SetupError>>,
}

impl HttpTransport {
    /// A transport that gives up on a request after `request_timeout`, from connecting to the answer's last byte.
    pub const fn new(request_timeout: Duration) -> Self {
        Self { request_timeout, secure: OnceLock::new(), plain: OnceLock::new() }
    }

    /// Makes sure that requests to `url` can be made from here. Sends nothing.
    ///
    /// # Errors
    /// [`SetupError`], as on a system without CA certificates: better at start than at the first change.
    pub fn check(&self, url: &BaseUrl) -> Result<(), SetupError> {
        self.client(url.is_https()).map(|_| ())
    }

    fn client(&self, https: bool) -> Result<&reqwest::Client, SetupError> {
        let client = if https {
            self.secure.get_or_init(|| build(secure(self.common())))
        } else {
            self.plain.get_or_init(|| build(plain(self.common())))
        };
        client.as_ref().map_err(Clone::clone)
    }

    fn common(&self) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .timeout(self.request_timeout)
            // Shorter than the whole, or else "nobody is there" looks like "nobody answered", which is in doubt.
            .connect_timeout(CONNECT_TIMEOUT.min(self.request_timeout / 2))
            .pool_idle_timeout(IDLE_TIMEOUT)
    }
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, SetupError> {
    builder.build().map_err(|error| SetupError(words(&error.without_url())))
}

/// For https: certificates of the system, proxies of the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`).
fn secure(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    // The one error is that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    builder.https_only(true)
}

/// For this machine: no proxy, which would carry the token away in the clear; no name server for
/// the same reason; no CA certificates, which a container with the sandbox need not have.
fn plain(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    builder
        .no_proxy()
        .resolve_to_addrs("localhost", &loopback.map(|address| SocketAddr::new(address, 0)))
        .tls_backend_preconfigured(without_certificates())
}

fn without_certificates() -> rustls::ClientConfig {
    let provider = rustls::crypto::ring::default_provider();
    rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

impl Transport for HttpTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let url = reqwest::Url::parse(&request.url).map_err(|_| TransportError::Unsent("not a URL".into()))?;
        let client = self.client(url.scheme() == "https").map_err(|error| TransportError::Unsent(error.to_string()))?;
        let host = url.authority().to_owned();
        let failed = |error| self.failed(&host, error);
        let method = match request.method {
            Method::Head => reqwest::Method::HEAD,
            Method::Get => reqwest::Method::GET,
            Method::Put => reqwest::Method::PUT,
            Method::Post => reqwest::Method::POST,
        };
        let body = request.body.expose_secret().to_vec();
        let (headers, answer_max) = (headers(&request)?, request.answer_max);
        let mut request = client.request(method, url).headers(headers);
        if !body.is_empty() {
            request = request.body(body);
        }
        let mut response = request.send().await.map_err(failed)?;
        let short = |name| {
            let text = response.headers().get(name).and_then(|value| value.to_str().ok());
            text.filter(|text| text.len() <= DATE_MAX).map(str::to_owned)
        };
        let mut answer = HttpResponse {
            status: response.status().as_u16(),
            retry_after: short(RETRY_AFTER),
            date: short(DATE),
            ..HttpResponse::default()
        };
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            let room = answer_max - answer.body.len();
            answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                answer.truncated = true;
                break;
            }
        }
        Ok(answer)
    }
}

impl HttpTransport {
    fn failed(&self, host: &str, error: reqwest::Error) -> TransportError {
        let error = error.without_url();
        if error.is_builder() {
            TransportError::Unsent(words(&error))
        } else if error.is_connect() {
            TransportError::Connect(format!("{host}: {}", words(&error)))
        } else if error.is_timeout() {
            TransportError::Timeout(self.request_timeout)
        } else {
            TransportError::Lost(words(&error))
        }
    }
}

fn headers(request: &HttpRequest) -> Result<HeaderMap, TransportError> {
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for (name, text) in &request.headers {
        let value = match text {
            HeaderText::Plain(text) => HeaderValue::from_static(text),
            HeaderText::Secret(secret) => {
                let mut value = HeaderValue::from_str(secret.expose_secret())
                    .map_err(|_| TransportError::Unsent(format!("the value of the header {name} cannot be sent")))?;
                value.set_sensitive(true);
                value
            }
        };
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}
