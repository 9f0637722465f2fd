//! Promises of the whole that no single room can keep: looked at with the real disk, the real binary, and the
//! system's own eyes.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use zoho_mail_reconciler::account::{AccountId, Field, Zoid};
use zoho_mail_reconciler::change::Known;
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::controller::{Controller, Ended, Fatal, Inputs, Journal};
use zoho_mail_reconciler::ledger::file::{Committed, LedgerFile, read};
use zoho_mail_reconciler::ledger::{Ledger, Owner, Record};
use zoho_mail_reconciler::manifest::Parsed;
use zoho_mail_reconciler::metrics::Metrics;
use zoho_mail_reconciler::sandbox;
use zoho_mail_reconciler::source::Batch;
use zoho_mail_reconciler::zoho::{
    Client, CredentialSource, HttpRequest, HttpResponse, Method, Principal, Transport, TransportError,
};

use super::builders::{Manifest, settings};
use super::conductor::{batch, file_of};
use super::process::{Rig, account, files, strace_works, wait_for};

/// A service that acknowledges everything, and looks into the ledger's files at each PUT.
struct Looking {
    ledger: PathBuf,
    /// What the files knew of the field when its PUT arrived.
    seen: Arc<Mutex<Vec<Known>>>,
}

impl Transport for Looking {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        assert_eq!(request.method, Method::Put);
        let id: AccountId = request.url.rsplit('/').next().unwrap().parse().unwrap();
        let mobile = String::from_utf8_lossy(request.body.expose_secret()).contains("updateMobileSyncStatus");
        let field = if mobile { Field::ActiveSyncEnabled } else { Field::Enabled };
        let ledger = read(&self.ledger, None).unwrap().expect("a ledger");
        self.seen.lock().unwrap().push(ledger.known(id, field));
        let body = br#"{"status":{"code":200,"description":"success"}}"#.to_vec();
        Ok(HttpResponse { status: 200, body, ..HttpResponse::default() })
    }
}

fn manifests(count: u64) -> Batch<Parsed> {
    let files = (0..count).map(|n| file_of(n, &Manifest::numbered(n).enabled(false).active_sync(true)));
    batch(files.collect(), true)
}

/// One pass over what the watcher saw, with this ledger and this service. A watcher that saw nothing has died.
async fn pass<T: Transport, J: Journal>(
    seen: Option<Batch<Parsed>>,
    ledger: (Ledger, J),
    committed: UnboundedReceiver<Committed>,
    transport: T,
) -> Ended<J> {
    let url = || "http://127.0.0.1:1".parse().unwrap();
    let client = Client::new(transport, url(), url(), Principal::Admin(zoid()));
    let credentials = CredentialSource::new(|name| (name == "ZOHO_MAIL_ACCESS_TOKEN").then(|| "token".into()));
    let metrics = Arc::new(Metrics::new());
    let (controller, _reports) =
        Controller::new(settings(), client, credentials, ledger, metrics, Clock::start_at(SystemTime::now().into()));
    let (looks_out, looks) = mpsc::channel(1);
    let (_stops_out, stops) = mpsc::channel(1);
    let (_queries_out, queries) = mpsc::channel(1);
    let mut watcher = Some(looks_out);
    match seen {
        Some(batch) => watcher.iter().for_each(|watcher| watcher.try_send(batch.clone()).unwrap()),
        None => watcher = None,
    }
    let ended = tokio::time::timeout(
        Duration::from_secs(60),
        controller.run(Inputs {
            looks,
            committed,
            stops,
            queries,
            ledger: None,
            orders: tokio::sync::watch::channel(None).1,
        }),
    );
    let ended = ended.await.expect("it ends");
    drop(watcher);
    ended
}

fn zoid() -> Zoid {
    Zoid::new(12_345_678).unwrap()
}

#[tokio::test]
async fn an_intent_is_on_the_disk_before_its_put_leaves() {
    const ACCOUNTS: usize = 10;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.json");
    let (committed_out, committed) = mpsc::unbounded_channel();
    let (file, ledger) = LedgerFile::open(&path, Owner::Organization(zoid()), committed_out).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let service = Looking { ledger: path, seen: Arc::clone(&seen) };
    let ended = pass(Some(manifests(ACCOUNTS as u64)), (ledger, file), committed, service).await;
    assert_eq!(ended.summary.applied, 2 * ACCOUNTS);
    assert_eq!(*seen.lock().unwrap(), [Known::InDoubt; 2 * ACCOUNTS]);
}

/// A journal whose writer dies of the first record.
struct Dying(Option<UnboundedSender<Committed>>);

impl Journal for Dying {
    fn append(&mut self, _: Vec<Record>, _: u64) {
        self.0 = None;
    }
}

/// A service that nobody may ask.
struct Nobody;

impl Transport for Nobody {
    async fn send(&self, _: HttpRequest) -> Result<HttpResponse, TransportError> {
        panic!("a PUT left without its intent on the disk")
    }
}

#[tokio::test]
async fn a_ledger_whose_writer_died_ends_the_process() {
    let (committed_out, committed) = mpsc::unbounded_channel();
    let ledger = (Ledger::new(Owner::Organization(zoid())), Dying(Some(committed_out)));
    let ended = pass(Some(manifests(1)), ledger, committed, Nobody).await;
    assert!(matches!(ended.result, Err(Fatal::Ledger(None))));
}

#[tokio::test]
async fn a_watcher_that_died_ends_the_process() {
    let (committed_out, committed) = mpsc::unbounded_channel();
    let ledger = (Ledger::new(Owner::Organization(zoid())), Dying(Some(committed_out)));
    let ended = pass(None, ledger, committed, Nobody).await;
    assert!(matches!(ended.result, Err(Fatal::Watcher)));
}

#[test]
fn commands_that_only_read_open_no_socket() {
    if !strace_works("commands_that_only_read_open_no_socket") {
        return;
    }
    let rig = Rig::new(2);
    assert!(rig.apply().status.success());
    rig.declare(0, false, false);
    let admin = ["--zoid", "12345678"];
    let folder = rig.folder.path().join("desired-state");
    let log = rig.folder.path().join("calls");
    for (name, options) in [("plan", &admin[..]), ("diff", &admin), ("status", &[]), ("validate", &[])] {
        let mut program = rig.reading(name);
        if name == "validate" {
            program = Command::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler"));
            program.env_clear().arg(name).arg(&folder);
        }
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-e", "trace=socket,connect,sendto,sendmsg", "-o"]).arg(&log).arg("--");
        strace.arg(program.get_program()).args(program.get_args()).args(options);
        let output = strace.output().unwrap();
        let said = format!("{name}: {} {}", output.status, String::from_utf8_lossy(&output.stderr));
        assert!(output.status.code().is_some_and(|code| code < 2), "{said}");
        assert!(!output.stdout.is_empty() || name == "validate", "{said}");
        let calls = std::fs::read_to_string(&log).unwrap();
        assert!(!calls.contains("AF_INET"), "{name} opened a socket: {calls}");
    }
    // The eyes are open: what writes is seen.
    let program = rig.writing("apply");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=socket", "-o"]).arg(&log).arg("--");
    strace.arg(program.get_program()).args(program.get_args());
    strace.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(strace.output().unwrap().status.success());
    assert!(std::fs::read_to_string(&log).unwrap().contains("AF_INET"));
}

/// Secrets that are easy to find again. The access token is what the sandbox makes.
const SECRETS: [&str; 3] = ["sEcReT-of-the-client", "sEcReT-to-refresh", "1000.sandbox."];

/// A service with the secrets above.
fn service_with_secrets() -> Rig {
    let credentials = sandbox::Credentials {
        client_secret: SECRETS[0].into(),
        refresh_token: SECRETS[1].into(),
        ..sandbox::Credentials::administrator()
    };
    Rig::with(6, sandbox::Settings { credentials: vec![credentials], ..sandbox::Settings::default() })
}

/// From now on the service repeats every secret it is shown: the accounts server those of the client, the
/// mail API the access `token`.
fn echo(rig: &Rig, token: &str) {
    let echo = |status: u16, words: String| {
        format!(
            r#"{{"answer": {{"status": {status}, "headers": {{"X-Echo": "{words}"}},
                "body": {{"status": {{"code": {status}, "description": "{words}"}},
                    "data": {{"errorCode": "E_{words}", "moreInfo": "{words}"}}}}}}}}"#
        )
    };
    // Twice: more in a row would open the breaker, and there is nothing to see while it waits.
    let put = |n: u64, what: String| {
        format!(r#"{{"operation": "put", "account": "{}", "times": 2, "do": {what}}}"#, account(n))
    };
    let client = || format!("{}: {} was wrong", SECRETS[0], SECRETS[1]);
    let shown = || format!("Authorization: Zoho-oauthtoken {token}");
    let faults = [
        format!(r#"{{"operation": "token", "times": 1, "do": {}}}"#, echo(503, client())),
        put(0, echo(403, shown())),
        put(1, echo(500, shown())),
        put(2, echo(400, shown())),
        put(3, format!(r#"{{"redirect": "http://127.0.0.1:1/?token={token}"}}"#)),
        put(4, format!(r#"{{"answer": {{"status": 200, "body": "<html>{token}</html>"}}}}"#)),
    ];
    rig.script(&format!(r#"{{"faults": [{}]}}"#, faults.join(",")));
}

#[test]
fn secrets_are_in_no_log_error_ledger_metric_or_page() {
    let rig = service_with_secrets();
    echo(&rig, "1000.sandbox.0.1");
    // One from a variable, one from a file, which is no place that is searched below.
    let elsewhere = TempDir::new().unwrap();
    let file = elsewhere.path().join("refresh-token");
    std::fs::write(&file, SECRETS[1]).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let secret = |command: &mut Command| {
        command.env("ZOHO_MAIL_CLIENT_SECRET", SECRETS[0]);
        command.env_remove("ZOHO_MAIL_REFRESH_TOKEN").env("ZOHO_MAIL_REFRESH_TOKEN_FILE", &file);
        command.args(["--log-level", "trace"]);
    };
    let mut daemon = rig.writing("run");
    daemon.args(["--listen", "127.0.0.1:0"]);
    secret(&mut daemon);
    let mut process = rig.begin(daemon);
    let stalled = || Some(process.page("/status")?.1.matches("HTTP 4").count()).filter(|count| *count >= 2);
    wait_for("the service's words in the status", stalled);
    wait_for("a success as well", || (rig.world().totals().applied >= 2).then_some(()));
    let pages = ["/status", "/metrics", "/readyz", "/healthz", "/"].map(|path| process.page(path).unwrap().1);
    process.signal(Signal::TERM);
    process.end();
    echo(&rig, "1000.sandbox.0.2");
    let mut apply = rig.writing("apply");
    secret(&mut apply);
    let apply = apply.output().unwrap();
    let status = rig.reading("status").args(["-o", "json"]).output().unwrap();
    let mut wrong = rig.writing("apply");
    secret(&mut wrong);
    let wrong = wrong.env("ZOHO_MAIL_ACCESS_TOKEN", "sEcReT-of-the-client and more").output().unwrap();
    assert_eq!(wrong.status.code(), Some(64), "contradicting credentials are an error");

    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    all.extend(pages.into_iter().map(|page| ("a page".to_owned(), page.into_bytes())));
    for (name, output) in [("apply", apply), ("status", status), ("a wrong start", wrong)] {
        all.extend([output.stdout, output.stderr].map(|bytes| (name.to_owned(), bytes)));
    }
    // The log of the daemon, the ledger and its journal lie in the folder.
    all.extend(files(rig.folder.path()).into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)));
    let words: usize = all.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).matches("HTTP 403").count()).sum();
    assert!(words > 2, "what the service said is told, without the secrets in it");
    for (place, bytes) in all {
        let text = String::from_utf8_lossy(&bytes);
        for secret in SECRETS {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} is in {place}");
        }
    }
}
