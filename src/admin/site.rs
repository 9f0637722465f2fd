//! The pages for people: `/`, `/accounts/{accountId}`, `/runbook` and what they load.
//!
//! In: what somebody's browser asks for. Out: HTML that [`crate::page`] makes of the report and the accounts.
//! Invariants: a page is made away from the loop; what is not an account is a 404 that leads back.

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Pages;
use super::accounts::{self, Known, Shared};
use crate::page::{self, Frame, SECURITY_POLICY, Selection};
use crate::report::Report;

/// The routes.
pub(super) fn routes() -> Router<Pages> {
    let shared = Shared::default();
    let asset = |kind: &'static str, text: &'static str| get(move || async move { ([(CONTENT_TYPE, kind)], text) });
    Router::new()
        .route("/", get(move |state, query| overview(state, query, shared.clone())))
        .route("/accounts/{id}", get(account))
        .route("/runbook", get(runbook))
        .route("/page.css", asset("text/css; charset=utf-8", page::STYLE))
        .route("/page.js", asset("text/javascript; charset=utf-8", page::SCRIPT))
        .route("/icon.svg", asset("image/svg+xml", page::ICON))
}

async fn overview(State(pages): State<Pages>, RawQuery(query): RawQuery, shared: Shared) -> Response {
    let Some(Known { catalogue, behind }) = shared.get(&pages).await else { return busy() };
    let selection = Selection::from_query(query.as_deref().unwrap_or_default());
    made(&pages, StatusCode::OK, move |frame| page::overview(frame, &catalogue, &selection, behind)).await
}

async fn account(State(pages): State<Pages>, Path(id): Path<String>) -> Response {
    let found = match id.parse() {
        Ok(id) => accounts::one(&pages, id).await,
        Err(_) => Some(None),
    };
    match found {
        Some(Some(item)) => made(&pages, StatusCode::OK, move |frame| page::account(frame, &item)).await,
        Some(None) => {
            let what = "No manifest declares this account, and the ledger does not know it.";
            made(&pages, StatusCode::NOT_FOUND, move |frame| page::missing(frame, "../", what)).await
        }
        None => busy(),
    }
}

async fn runbook(State(pages): State<Pages>) -> Response {
    made(&pages, StatusCode::OK, page::runbook).await
}

/// A page, made where it keeps nobody waiting but who asked.
async fn made(pages: &Pages, status: StatusCode, make: impl FnOnce(Frame<'_>) -> String + Send + 'static) -> Response {
    let (report, now, target) = (pages.reports.borrow().clone(), pages.clock.now(), pages.target.clone());
    let html = move |report: Report| make(Frame { target: &target, report: &report, now });
    match tokio::task::spawn_blocking(move || html(report)).await {
        Ok(html) => {
            let policy = HeaderValue::from_static(SECURITY_POLICY);
            let kind = HeaderValue::from_static("text/html; charset=utf-8");
            let referrer = HeaderValue::from_static("no-referrer");
            let headers = [(CONTENT_SECURITY_POLICY, policy), (CONTENT_TYPE, kind), (REFERRER_POLICY, referrer)];
            (status, headers, html).into_response()
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made\n").into_response(),
    }
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "2")], "the loop is busy; ask again\n").into_response()
}
