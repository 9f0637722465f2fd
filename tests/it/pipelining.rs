//! Where nothing but the disk holds requests back, it is kept ahead of them; and no more are in flight than allowed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::Instant;
use zoho_mail_reconciler::account::Zoid;
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::controller::{Controller, Inputs, Journal, Settings};
use zoho_mail_reconciler::ledger::file::Committed;
use zoho_mail_reconciler::ledger::{Ledger, Owner, Record};
use zoho_mail_reconciler::manifest::Parsed;
use zoho_mail_reconciler::metrics::Metrics;
use zoho_mail_reconciler::source::Batch;
use zoho_mail_reconciler::throttle::RateLimit;
use zoho_mail_reconciler::zoho::{
    Client, CredentialSource, HttpRequest, HttpResponse, Principal, Transport, TransportError,
};

use super::builders::{Manifest, settings};
use super::conductor::{batch, file_of};

const ACCOUNTS: usize = 200;
const CONCURRENCY: usize = 4;
const SYNC: Duration = Duration::from_millis(10);

/// Acknowledges everything after `latency`, and counts how many requests it has at once.
struct Service {
    latency: Duration,
    here: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Transport for Service {
    async fn send(&self, _: HttpRequest) -> Result<HttpResponse, TransportError> {
        let here = self.here.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(here, Ordering::Relaxed);
        tokio::time::sleep(self.latency).await;
        self.here.fetch_sub(1, Ordering::Relaxed);
        let body = br#"{"status":{"code":200,"description":"success"}}"#.to_vec();
        Ok(HttpResponse { status: 200, body, ..HttpResponse::default() })
    }
}

/// A disk on which every sync takes [`SYNC`], one after another; what comes meanwhile shares the next one.
struct Disk {
    appended: mpsc::UnboundedSender<u64>,
    /// The most intents that were on the disk or on the way there, without an end.
    most_open: Arc<AtomicUsize>,
    open: usize,
}

impl Disk {
    fn new(most_open: Arc<AtomicUsize>, syncs: Arc<Mutex<usize>>) -> (Self, mpsc::UnboundedReceiver<Committed>) {
        let (appended, mut waiting) = mpsc::unbounded_channel();
        let (committed, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut tickets = Vec::new();
            while waiting.recv_many(&mut tickets, usize::MAX >> 1).await > 0 {
                tokio::time::sleep(SYNC).await;
                *syncs.lock().unwrap() += 1;
                for ticket in tickets.drain(..) {
                    let _ = committed.send(Committed::Durable { ticket, took: SYNC });
                }
            }
        });
        (Self { appended, most_open, open: 0 }, receiver)
    }
}

impl Journal for Disk {
    fn append(&mut self, records: Vec<Record>, ticket: u64) {
        for record in &records {
            match record {
                Record::Intent { .. } => self.open += 1,
                Record::Applied { .. } | Record::NotApplied { .. } => self.open -= 1,
                _ => {}
            }
        }
        self.most_open.fetch_max(self.open, Ordering::Relaxed);
        let _ = self.appended.send(ticket);
    }
}

fn manifests() -> Batch<Parsed> {
    let files = (0..ACCOUNTS as u64).map(|n| file_of(n, &Manifest::numbered(n).enabled(true).active_sync(true)));
    batch(files.collect(), true)
}

/// What one pass came to.
#[derive(Debug)]
struct Pass {
    took: Duration,
    syncs: usize,
    most_in_flight: usize,
    most_open: usize,
}

async fn pass(latency: Duration, rate_limit: Option<RateLimit>) -> Pass {
    let zoid = Zoid::new(12_345_678).unwrap();
    let owner = Owner::Organization(zoid);
    let (here, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (most_open, syncs) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<usize>>::default());
    let (disk, committed) = Disk::new(Arc::clone(&most_open), Arc::clone(&syncs));
    let url = || "http://127.0.0.1:1".parse().unwrap();
    let service = Service { latency, here, most: Arc::clone(&most) };
    let client = Client::new(service, url(), url(), Principal::Admin(zoid));
    let credentials = CredentialSource::new(|name| (name == "ZOHO_MAIL_ACCESS_TOKEN").then(|| "token".into()));
    let settings = Settings { rate_limit, max_concurrency: CONCURRENCY, ..settings() };
    let metrics = Arc::new(Metrics::new());
    let ledger = (Ledger::new(owner), disk);
    let (controller, _reports) =
        Controller::new(settings, client, credentials, ledger, metrics, Clock::start_at(SystemTime::now().into()));
    let (looks_out, looks) = mpsc::channel(1);
    let (_stops_out, stops) = mpsc::channel(1);
    let (_queries_out, queries) = mpsc::channel(1);
    looks_out.send(manifests()).await.unwrap();
    let begun = Instant::now();
    let ended = controller
        .run(Inputs { looks, committed, stops, queries, ledger: None, orders: tokio::sync::watch::channel(None).1 })
        .await;
    let took = begun.elapsed();
    assert_eq!(ended.summary.applied, 2 * ACCOUNTS);
    let syncs = *syncs.lock().unwrap();
    Pass { took, syncs, most_in_flight: most.load(Ordering::Relaxed), most_open: most_open.load(Ordering::Relaxed) }
}

#[tokio::test(start_paused = true)]
async fn a_fast_service_does_not_wait_for_each_sync_of_a_slow_disk() {
    let pass = pass(Duration::from_millis(1), None).await;
    assert_eq!(pass.most_in_flight, CONCURRENCY, "{pass:?}");
    // If each round of requests waited for a sync of its own, there would be a hundred.
    assert!(pass.syncs < 60 && pass.took < SYNC * 60, "{pass:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_service_has_no_intents_ahead_of_its_requests() {
    let pass = pass(Duration::from_millis(503), None).await;
    assert_eq!(pass.most_in_flight, CONCURRENCY, "{pass:?}");
    assert!(pass.most_open <= 4 * CONCURRENCY, "{pass:?}");
}

#[tokio::test(start_paused = true)]
async fn with_a_request_budget_no_intent_is_made_ahead_of_its_request() {
    let limit = RateLimit { count: 100, per: Duration::from_secs(1) };
    let pass = pass(Duration::from_millis(1), Some(limit)).await;
    assert!(pass.most_in_flight <= CONCURRENCY && pass.most_open <= CONCURRENCY, "{pass:?}");
}
