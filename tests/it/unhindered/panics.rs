//! A request that panics has an answer all the same: the controller in this process, over a service that breaks it.
//!
//! In: a transport that panics in the first request of a kind. Out: the field is in doubt, or there is no token for now;
//! both are tried again, and nothing else waits for them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use zoho_mail_reconciler::condition::Reason;
use zoho_mail_reconciler::controller::Journal;
use zoho_mail_reconciler::ledger::file::Committed;
use zoho_mail_reconciler::ledger::{Ledger, Record};
use zoho_mail_reconciler::metrics::Metrics;
use zoho_mail_reconciler::report::Report;
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::zoho::{CredentialSource, HttpRequest, HttpResponse, Transport, TransportError};

use crate::conductor::{Agreeable, account, batch, build_over, file, owner};

/// Panics in the first request to a URL with these words in it; grants tokens and agrees to everything after that.
struct Breaking {
    at: String,
    is_broken: AtomicBool,
}

impl Transport for Breaking {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        // As a bug would: with the request under way.
        tokio::task::yield_now().await;
        let is_meant = request.url.contains(&self.at);
        assert!(!is_meant || self.is_broken.swap(true, Ordering::Relaxed), "a bug");
        if request.url.contains("/token") {
            let body = br#"{"access_token":"1000.abc","expires_in":3600}"#.to_vec();
            return Ok(HttpResponse { status: 200, body, ..HttpResponse::default() });
        }
        Agreeable.send(request).await
    }
}

/// A journal in memory, whose records the test can read.
struct Memory(mpsc::UnboundedSender<Committed>, Arc<Mutex<Vec<Record>>>);

impl Journal for Memory {
    fn append(&mut self, records: Vec<Record>, ticket: u64) {
        self.1.lock().unwrap().extend(records);
        let _ = self.0.send(Committed::Durable { ticket, took: Duration::ZERO });
    }
}

/// Lets two accounts be applied over a service that is broken at `at`. Returns the records and the metrics.
async fn applied_over(at: &str, credentials: CredentialSource) -> (Vec<Record>, String) {
    let records = Arc::new(Mutex::new(Vec::new()));
    let (durable, committed) = mpsc::unbounded_channel();
    let journal = (Ledger::new(owner()), Memory(durable, Arc::clone(&records)));
    let metrics = Arc::new(Metrics::new());
    let transport = Breaking { at: at.to_owned(), is_broken: AtomicBool::new(false) };
    let (controller, inputs, mut outside) =
        build_over(transport, credentials, journal, committed, Arc::clone(&metrics));
    let running = tokio::spawn(controller.run(inputs));
    outside.looks.send(batch(vec![file(0, true), file(1, true)], true)).await.unwrap();
    let all = |report: &Report| report.loaded && report.pending == 0 && report.in_flight == 0;
    // In time that passes at once: a minute is more than any backoff.
    let done = timeout(Duration::from_secs(60), outside.reports.wait_for(all)).await;
    let report = done.expect("all is applied").unwrap().clone();
    assert_eq!(report.totals.applied, 2);
    running.abort();
    let records = records.lock().unwrap().clone();
    (records, metrics.text(&report, Timestamp::from_millis(0)))
}

fn counts(metrics: &str, line: &str) {
    let line = format!("zoho_mail_reconciler_{line}");
    assert!(metrics.lines().any(|found| found == line), "{line} is not in:\n{metrics}");
}

#[tokio::test(start_paused = true)]
async fn a_put_that_panics_leaves_its_account_in_doubt_and_is_sent_again() {
    let token = CredentialSource::new(|name| (name == "ZOHO_MAIL_ACCESS_TOKEN").then(|| "token".into()));
    let (records, metrics) = applied_over(&account(1).to_string(), token).await;
    let of_it: Vec<_> = records.iter().filter(|record| record.account() == Some(account(1))).collect();
    let failed = of_it.iter().find_map(|record| match record {
        Record::Failed { failed, .. } => failed.as_ref(),
        _ => None,
    });
    let failed = failed.expect("a failure");
    assert_eq!(failed.reason, Reason::InDoubt);
    assert!(failed.message.contains("this program has a bug"), "{}", failed.message);
    assert!(!of_it.iter().any(|record| matches!(record, Record::NotApplied { .. })), "it may have been made");
    assert_eq!(of_it.iter().filter(|record| matches!(record, Record::Intent { .. })).count(), 2, "{of_it:?}");
    counts(&metrics, "reconcile_total{result=\"in_doubt\"} 1");
    counts(&metrics, "api_requests_total{operation=\"enable_mail_account\",code=\"panicked\"} 1");
}

#[tokio::test(start_paused = true)]
async fn a_token_request_that_panics_is_made_again() {
    let names = ["ZOHO_MAIL_CLIENT_ID", "ZOHO_MAIL_CLIENT_SECRET", "ZOHO_MAIL_REFRESH_TOKEN"];
    let refresh = CredentialSource::new(move |name| names.contains(&name).then(|| "sandbox".into()));
    let (_, metrics) = applied_over("/token", refresh).await;
    counts(&metrics, "token_refreshes_total{result=\"unavailable\"} 1");
    counts(&metrics, "token_refreshes_total{result=\"granted\"} 1");
    counts(&metrics, "api_requests_total{operation=\"token\",code=\"panicked\"} 1");
}
