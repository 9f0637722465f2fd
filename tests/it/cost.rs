//! What one edit and one PUT cost does not grow with the number of accounts: a hundred times as many, the same work.
//!
//! Counted in time on the processor, which a busy machine does not stretch, and with a bound far from both answers: work
//! for every account is some hundred times more, the depth of a tree a little.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use zoho_mail_reconciler::account::{AccountId, AuthMode, Field, SourceRef, Zoid, Zuid};
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::controller::{Controller, Inputs, Journal, Mode, Settings};
use zoho_mail_reconciler::ledger::file::{Committed, LedgerFile};
use zoho_mail_reconciler::ledger::{Ledger, Owner, Record};
use zoho_mail_reconciler::manifest::{self, Parsed, Rules};
use zoho_mail_reconciler::metrics::Metrics;
use zoho_mail_reconciler::queue::Backoff;
use zoho_mail_reconciler::report::Report;
use zoho_mail_reconciler::source::{Batch, Look, Root};
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::zoho::{
    Client, CredentialSource, HttpRequest, HttpResponse, Principal, Transport, TransportError,
};

const FEW: u64 = 100;
const MANY: u64 = 100 * FEW;

/// How many times more an edit among many may cost.
const RATIO: u32 = 5;

/// How many edits are measured: enough that a tick of the scheduler's clock does not matter.
const EDITS: u64 = 50;

fn owner() -> Owner {
    Owner::Organization(Zoid::new(12_345_678).unwrap())
}

fn account(n: u64) -> AccountId {
    AccountId::new(n + 1).unwrap()
}

/// Acknowledges everything at once.
struct Agreeable;

impl Transport for Agreeable {
    async fn send(&self, _: HttpRequest) -> Result<HttpResponse, TransportError> {
        let body = br#"{"status":{"code":200,"description":"success"}}"#.to_vec();
        Ok(HttpResponse { status: 200, body, ..HttpResponse::default() })
    }
}

/// Says at once that all is durable.
struct Instantly(mpsc::UnboundedSender<Committed>);

impl Journal for Instantly {
    fn append(&mut self, _: Vec<Record>, ticket: u64) {
        let _ = self.0.send(Committed::Durable { ticket, took: Duration::ZERO });
    }
}

fn file(n: u64, enabled: bool) -> (Arc<str>, Look<Parsed>) {
    let path: Arc<str> = format!("a{n}.yaml").into();
    let text = format!(
        "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata:\n  name: a{n}\nspec:\n  accountId: {}\n  \
         zuid: 1\n  enabled: {enabled}\n",
        account(n)
    );
    let parsed = manifest::parse(&path, text.as_bytes(), Rules { auth: AuthMode::Admin });
    (path, Look::Read(parsed))
}

fn batch(files: Vec<(Arc<str>, Look<Parsed>)>, full: bool) -> Batch<Parsed> {
    Batch { files, root: Root::Ready, full, degraded: None }
}

/// The records after which all of `accounts` accounts are enabled.
fn enabled(accounts: u64) -> impl Iterator<Item = Record> {
    let (at, field) = (Timestamp::from_millis(1_763_753_000_000), Field::Enabled);
    (0..accounts).flat_map(move |n| {
        let (account, source) = (account(n), SourceRef { path: format!("a{n}.yaml").into(), line: 1 });
        let (name, zuid) = (format!("a{n}").into(), Zuid::new(1));
        let intent = Record::Intent { at, account, name, zuid, field, to: true, spec_hash: n, lands_by: None };
        [intent, Record::Applied { at, account, field, value: true, source }]
    })
}

/// Time on the processor that this thread has used: the first field of proc's schedstat, in nanoseconds.
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// What [`EDITS`] edits cost the conductor, each with its PUT, when there are so many accounts that need nothing.
async fn edits_among(accounts: u64) -> Duration {
    let settings = Settings {
        mode: Mode::Run,
        rate_limit: None,
        max_concurrency: 4,
        request_timeout: Duration::from_secs(30),
        backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(1) },
        throttle_pause: Duration::from_secs(1),
        disruption_budget: "100%".parse().unwrap(),
        disruption_window: Duration::from_secs(3600),
        shutdown_grace: Duration::from_secs(1),
    };
    let mut ledger = Ledger::new(owner());
    enabled(accounts).for_each(|record| ledger.apply(record));
    let (committed_out, committed) = mpsc::unbounded_channel();
    let url = || "http://127.0.0.1:1".parse().unwrap();
    let client = Client::new(Agreeable, url(), url(), Principal::Admin(Zoid::new(12_345_678).unwrap()));
    let credentials = CredentialSource::new(|name| (name == "ZOHO_MAIL_ACCESS_TOKEN").then(|| "token".into()));
    let ledger = (ledger, Instantly(committed_out));
    let (controller, mut reports) =
        Controller::new(settings, client, credentials, ledger, Arc::new(Metrics::new()), Clock::start());
    let (looks_out, looks) = mpsc::channel(1);
    let (_stops_out, stops) = mpsc::channel(1);
    let (_queries_out, queries) = mpsc::channel(1);
    let mut edit = async move || {
        looks_out.send(batch((0..accounts).map(|n| file(n, true)).collect(), true)).await.unwrap();
        reports.wait_for(|report| report.loaded && report.managed as u64 == accounts).await.unwrap();
        let edits: Vec<_> = (0..EDITS).map(|n| batch(vec![file(n, false)], false)).collect();
        let begun = worked();
        for (edit, done) in edits.into_iter().zip(1..) {
            looks_out.send(edit).await.unwrap();
            reports.wait_for(|report: &Report| report.totals.applied == done).await.unwrap();
        }
        worked() - begun
    };
    // All of it on this one thread.
    tokio::select! {
        _ = controller.run(Inputs { looks, committed, stops, queries }) => panic!("it ended by itself"),
        took = edit() => took,
    }
}

#[tokio::test]
async fn an_edit_costs_the_same_with_a_hundred_times_the_accounts() {
    let (few, many) = (edits_among(FEW).await, edits_among(MANY).await);
    assert!(many < few * RATIO, "{EDITS} edits took {few:?} among {FEW} accounts, and {many:?} among {MANY}");
}

#[test]
fn a_put_leaves_all_but_its_own_lines_of_the_ledger_alone() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("ledger.json");
    let (committed_out, mut committed) = mpsc::unbounded_channel();
    let (ledger, _) = LedgerFile::open(&path, owner(), committed_out).unwrap();
    let mut append = |records: Vec<Record>| {
        ledger.append(records, 1);
        assert!(matches!(committed.blocking_recv(), Some(Committed::Durable { .. })));
        let files = [path.clone(), folder.path().join("ledger.json.journal")];
        files.map(|path| std::fs::metadata(path).unwrap())
    };
    append(enabled(MANY).collect());
    // The journal that this made long is folded, if at all, before the next group.
    let [snapshot, journal] = append(enabled(1).collect());
    for _ in 0..EDITS {
        let [now, grown] = append(enabled(1).collect());
        assert_eq!((now.ino(), now.mtime_nsec()), (snapshot.ino(), snapshot.mtime_nsec()), "it was written anew");
        assert!(grown.len() - journal.len() <= EDITS * 1024, "some hundred bytes a record");
    }
}
