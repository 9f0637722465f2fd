//! The conductor in this process: a service that agrees to everything, a journal as the test wants it.
//!
//! In: a ledger, a journal, looks at files. Out: its reports. For what a test must see between two turns.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{mpsc, watch};
use zoho_mail_reconciler::account::{AuthMode, Field, SourceRef, Zoid};
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::controller::{Controller, Inputs, Journal, Mode, Query, Settings};
use zoho_mail_reconciler::ledger::file::Committed;
use zoho_mail_reconciler::ledger::{Ledger, Owner, Record};
use zoho_mail_reconciler::manifest::{self, Parsed, Rules};
use zoho_mail_reconciler::metrics::Metrics;
use zoho_mail_reconciler::report::Report;
use zoho_mail_reconciler::shutdown::Stop;
use zoho_mail_reconciler::source::{Batch, Look, Root};
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::zoho::{
    Client, CredentialSource, HttpRequest, HttpResponse, Principal, Transport, TransportError,
};

pub use super::builders::account;
use super::builders::{Manifest, settings, zuid};

/// Whose accounts these are.
pub fn owner() -> Owner {
    Owner::Organization(Zoid::new(12_345_678).unwrap())
}

/// Acknowledges everything at once.
pub struct Agreeable;

impl Transport for Agreeable {
    async fn send(&self, _: HttpRequest) -> Result<HttpResponse, TransportError> {
        let body = br#"{"status":{"code":200,"description":"success"}}"#.to_vec();
        Ok(HttpResponse { status: 200, body, ..HttpResponse::default() })
    }
}

/// The ends of the conductor's channels that the world outside holds.
pub struct Outside {
    pub looks: mpsc::Sender<Batch<Parsed>>,
    pub reports: watch::Receiver<Report>,
    _stops: mpsc::Sender<Stop>,
    pub queries: mpsc::Sender<Query>,
}

/// A conductor with nothing to hold it back, that knows `ledger`, and writes to `journal`.
pub fn build<J: Journal>(
    ledger: Ledger,
    journal: J,
    committed: mpsc::UnboundedReceiver<Committed>,
) -> (Controller<Agreeable, J>, Inputs, Outside) {
    let credentials = CredentialSource::new(|name| (name == "ZOHO_MAIL_ACCESS_TOKEN").then(|| "token".into()));
    build_over(Agreeable, credentials, (ledger, journal), committed, Arc::default())
}

/// The same over a service of the test's own.
pub fn build_over<T: Transport, J: Journal>(
    transport: T,
    credentials: CredentialSource,
    (ledger, journal): (Ledger, J),
    committed: mpsc::UnboundedReceiver<Committed>,
    metrics: Arc<Metrics>,
) -> (Controller<T, J>, Inputs, Outside) {
    let settings = Settings { mode: Mode::Run, ..settings() };
    let url = || "http://127.0.0.1:1".parse().unwrap();
    let client = Client::new(transport, url(), url(), Principal::Admin(Zoid::new(12_345_678).unwrap()));
    let (controller, reports) = Controller::new(
        settings,
        client,
        credentials,
        (ledger, journal),
        metrics,
        Clock::start_at(SystemTime::now().into()),
    );
    let (looks_out, looks) = mpsc::channel(1);
    let (stops_out, stops) = mpsc::channel(1);
    let (queries_out, queries) = mpsc::channel(1);
    let outside = Outside { looks: looks_out, reports, _stops: stops_out, queries: queries_out };
    (controller, Inputs { looks, committed, stops, queries, ledger: None, orders: watch::channel(None).1 }, outside)
}

/// A look at the manifest of the account numbered `n`.
pub fn file(n: u64, enabled: bool) -> (Arc<str>, Look<Parsed>) {
    file_of(n, &Manifest::numbered(n).enabled(enabled))
}

/// A look at the file numbered `n`, in which this stands.
pub fn file_of(n: u64, manifest: &Manifest) -> (Arc<str>, Look<Parsed>) {
    let path: Arc<str> = format!("a{n}.yaml").into();
    let rules = Rules { auth: AuthMode::Admin, ..Rules::default() };
    let parsed = manifest::parse(&path, manifest.to_string().as_bytes(), rules);
    (path, Look::Read(parsed))
}

/// Looks that belong together.
pub fn batch(files: Vec<(Arc<str>, Look<Parsed>)>, full: bool) -> Batch<Parsed> {
    Batch {
        files,
        root: Root::Ready,
        full,
        asked: full,
        degraded: None,
        origin: Default::default(),
        decided: Default::default(),
    }
}

/// The records after which the mailboxes of so many accounts are known to be as `value` says.
pub fn applied(accounts: u64, value: bool) -> impl Iterator<Item = Record> {
    let (at, field) = (Timestamp::from_millis(1_763_753_000_000), Field::Enabled);
    (0..accounts).flat_map(move |n| {
        let (account, source) = (account(n), SourceRef { path: format!("a{n}.yaml").into(), line: 1 });
        let (name, zuid) = (format!("a{n}").into(), Some(zuid(n)));
        let intent =
            Record::Intent { at, account, name, zuid, field, to: value, spec_hash: n, lands_by: None, cause: None };
        [intent, Record::Applied { at, account, field, value, source, evidence: None }]
    })
}
