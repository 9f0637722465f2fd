//! The pages on `--listen`: `/healthz`, `/readyz`, `/metrics` and `/status`.
//!
//! In: HTTP requests, the conductor's [`Report`], its metrics. Out: text for probes and Prometheus,
//! JSON for people and scripts.
//! Invariants: nothing here changes anything; health is that the loop turns, never that the service
//! answers, or a restart would be the answer to an outage that it cannot mend. The page for people
//! has its place at `/`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::clock::Clock;
use crate::report::{HEARTBEAT, Report};
use crate::status::MailAccountList;
use crate::timestamp::Timestamp;

/// A loop that has not turned for this long is stuck: thirty heartbeats, more than any disk needs.
pub const STUCK_AFTER: Duration = HEARTBEAT.saturating_mul(30);

/// How long `/status` waits for the loop.
const STATUS_TIMEOUT: Duration = Duration::from_secs(10);

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
    /// Questions to the conductor.
    pub queries: mpsc::Sender<oneshot::Sender<MailAccountList>>,
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
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .fallback(nothing)
        .with_state(pages);
    if let Ok(address) = listener.local_addr() {
        info!(%address, "listening: /healthz /readyz /metrics /status");
    }
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(cancel.cancelled_owned()).await;
        if let Err(error) = served {
            error!(%error, "the pages are gone");
        }
    });
}

async fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "no such page; there are /healthz, /readyz, /metrics and /status\n").into_response()
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

async fn status(State(pages): State<Pages>) -> Response {
    let (reply, answer) = oneshot::channel();
    let busy = || (StatusCode::SERVICE_UNAVAILABLE, "the loop is busy; ask again\n").into_response();
    if pages.queries.try_send(reply).is_err() {
        return busy();
    }
    let Ok(Ok(accounts)) = tokio::time::timeout(STATUS_TIMEOUT, answer).await else { return busy() };
    let reconciler = pages.reports.borrow().clone();
    match serde_json::to_string(&StatusPage { accounts, reconciler }) {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
