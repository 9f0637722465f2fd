//! The pages on `--listen`: `/healthz`, `/readyz`, `/metrics`, `/status`, and those for people at `/`.
//!
//! In: HTTP requests, the conductor's [`Report`], its metrics. Out: text for probes and Prometheus,
//! JSON for scripts, HTML for people (see [`site`]).
//! Invariants: nothing here changes anything; no web site can read the pages with a browser of this machine; whoever asks
//! takes a bounded share of descriptors and memory; health is that the loop turns, never that the service
//! answers, or a restart would be the answer to an outage that it cannot mend.

mod accounts;
mod connections;
mod site;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use self::connections::Connections;
use crate::account::printable::{self, Notation};
use crate::clock::Clock;
use crate::report::{HEARTBEAT, Report};
use crate::status::{MailAccountList, Part};
use crate::timestamp::Timestamp;

/// A loop that has not turned for this long is stuck: thirty heartbeats, more than any disk needs.
pub const STUCK_AFTER: Duration = HEARTBEAT.saturating_mul(30);

/// How many answers of `/status` are made or sent at a time: of 100,000 accounts one has some 60 MB, and who asks may read
/// slowly.
const STATUS_MOST: usize = 4;

/// Why there are no pages.
#[derive(Debug, thiserror::Error)]
#[error("--listen {address}: cannot listen there; choose another address, or off")]
pub struct ListenError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// Prints the metrics: OpenMetrics if `true`, else the classic text.
pub type MetricsText = Arc<dyn Fn(bool, &Report, Timestamp) -> String + Send + Sync>;

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// The conductor's state.
    pub reports: watch::Receiver<Report>,
    /// Whose accounts these are, for people.
    pub target: Arc<str>,
    /// Questions to the conductor.
    pub queries: mpsc::Sender<(Part, oneshot::Sender<MailAccountList>)>,
    /// The text of `/metrics`, in OpenMetrics if asked for.
    pub metrics: MetricsText,
    /// The conductor's clock.
    pub clock: Clock,
}

/// Takes the address, before anything else is begun.
///
/// # Errors
///
/// If it is taken, or not of this machine.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError { address, source })
}

/// Serves `pages` until `cancel`.
pub fn serve(listener: TcpListener, pages: Pages, cancel: CancellationToken) {
    let room = Arc::new(Semaphore::new(STATUS_MOST));
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(move |pages| status(pages, Arc::clone(&room))))
        .merge(site::routes())
        .fallback(nothing)
        .with_state(pages)
        .layer(map_response(sealed));
    let address = listener.local_addr();
    // Who listens to other machines has a name there that this program cannot know.
    let local = address.as_ref().is_ok_and(|address| address.ip().is_loopback());
    let router = if local { router.layer(from_fn(only_this_machine)) } else { router };
    if let Ok(address) = address {
        info!(%address, "listening: / /healthz /readyz /metrics /status");
    }
    tokio::spawn(async move {
        let served =
            axum::serve(Connections::new(listener), router).with_graceful_shutdown(cancel.cancelled_owned()).await;
        if let Err(error) = served {
            error!(%error, "the pages are gone");
        }
    });
}

/// Says to browsers that an answer is what it says it is, and nobody else's to keep or to show. Pages for people have a
/// policy of their own.
async fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A web site can give its own name the address of this machine, and would then read the pages with a visitor's browser.
/// Whoever means this machine calls it by its address, or localhost; HTTP/1.0 needs no name.
async fn only_this_machine(request: Request, next: Next) -> Response {
    let names_this = |host: &str| {
        let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
    };
    match request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default()) {
        Some(host) if !names_this(host) => {
            let text = "these pages are for this machine: ask for localhost or 127.0.0.1\n";
            sealed((StatusCode::MISDIRECTED_REQUEST, text).into_response()).await
        }
        _ => next.run(request).await,
    }
}

async fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "no such page; there are /, /runbook, /healthz, /readyz, /metrics and /status\n")
        .into_response()
}

async fn healthz(State(pages): State<Pages>) -> Response {
    let age = pages.clock.now().since(pages.reports.borrow().turned_at);
    if age < STUCK_AFTER {
        return (StatusCode::OK, "ok\n").into_response();
    }
    let text = format!("the loop has not turned for {}\n", humantime::format_duration(age));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn readyz(State(pages): State<Pages>) -> Response {
    match pages.reports.borrow().not_ready() {
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
        None => (StatusCode::OK, "ok\n").into_response(),
    }
}

async fn metrics(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    let (report, now) = (pages.reports.borrow().clone(), pages.clock.now());
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let open = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let kind = if open {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    ([(CONTENT_TYPE, kind)], (pages.metrics)(open, &report, now)).into_response()
}

#[derive(Serialize)]
struct StatusPage {
    #[serde(flatten)]
    accounts: MailAccountList,
    reconciler: Report,
}

/// The text of `/status`, which counts until all of it is sent.
struct Sending {
    text: String,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Sending {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

async fn status(State(pages): State<Pages>, room: Arc<Semaphore>) -> Response {
    let busy = || (StatusCode::SERVICE_UNAVAILABLE, "the loop is busy; ask again\n").into_response();
    let Ok(room) = room.try_acquire_owned() else { return busy() };
    let everything = tokio::time::timeout(accounts::PATIENCE, accounts::everything(&pages)).await;
    let Ok(Some(accounts)) = everything else { return busy() };
    let reconciler = pages.reports.borrow().clone();
    // Of many accounts the text takes a second to make: the loop, which shares the other threads, does not wait for that.
    let text = move || {
        let json = serde_json::to_string(&StatusPage { accounts, reconciler }).map_err(|error| error.to_string())?;
        Ok(printable::document(&json, Notation::Json).into_owned())
    };
    let made = tokio::task::spawn_blocking(text).await;
    match made.unwrap_or_else(|_| Err("the status could not be made".to_owned())) {
        Ok(text) => {
            let body = Bytes::from_owner(Sending { text, _room: room });
            ([(CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
