//! One cell's stage: a simulated service with two accounts, their manifests, and the ledger on the disk.
//!
//! In: an operation, and for each life of the process what it meets. Out: [`Life`], and the ledger as the next one
//! finds it. Time between two lives passes by setting [`Scene::now`].
//! The target has an operation to go through and the bystander the same one; the ledger knows the values before.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use zoho_mail_reconciler::account::{AccountId, AuthMode, Field};
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::controller::{Controller, Ended, Inputs, Mode, Settings, look};
use zoho_mail_reconciler::desired::DesiredState;
use zoho_mail_reconciler::ledger::file::{LedgerFile, read};
use zoho_mail_reconciler::ledger::{ImposedPause, Ledger, Owner};
use zoho_mail_reconciler::manifest::{self, Parsed, Rules};
use zoho_mail_reconciler::metrics::Metrics;
use zoho_mail_reconciler::queue::Backoff;
use zoho_mail_reconciler::report::{Report, Summary};
use zoho_mail_reconciler::sandbox::{self, Account, World, sample_zuid};
use zoho_mail_reconciler::shutdown::Stop;
use zoho_mail_reconciler::source::{Batch, Look, Root};
use zoho_mail_reconciler::status::{self, Item, MailAccountList, Standstill};
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::zoho::{Client, CredentialSource, Principal};

use super::operation::{BYSTANDER, Operation, TARGET};
use super::table::THROTTLE_PAUSE;
use super::wire::{PATIENCE, Wire};

/// How a life of the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// By itself or, once nothing more can happen without help, by a stop. A daemon is helped by a resync first,
    /// if it needs one.
    Quiet,
    /// By a stop while the answer that was waited for is under way.
    StopUnderWay,
}

/// What one life of the process came to.
pub struct Life {
    /// See [`super::wire::Sent`].
    pub sent: String,
    /// What a single pass came to.
    pub summary: Summary,
    /// As the daemon told it when it was quiet; as the command tells it, of a single pass or after a stop.
    pub target: Item,
    /// How the PUTs ended, as the metrics count them.
    pub outcomes: String,
}

/// See the module.
pub struct Scene {
    operation: Operation,
    /// Whether both fields of the target change.
    both: bool,
    folder: TempDir,
    world: Arc<Mutex<World>>,
    pub url: String,
    /// When the next life begins.
    pub now: Timestamp,
    _stop: DropGuard,
}

impl Scene {
    pub async fn new(operation: Operation, both: bool) -> Self {
        let mut world = World::new(sandbox::Settings::default());
        for id in [TARGET, BYSTANDER] {
            let mut account = Account::new(id.parse().unwrap(), sample_zuid(), "a@example.com", id);
            account.mailbox_enabled = !operation.to;
            account.active_sync_enabled = !operation.to;
            world.seed(account);
        }
        let world = Arc::new(Mutex::new(world));
        let cancel = CancellationToken::new();
        let any = "127.0.0.1:0".parse().unwrap();
        let server = sandbox::serve(any, Arc::clone(&world), cancel.clone()).await.unwrap();
        let (folder, now) = (TempDir::new().unwrap(), SystemTime::now().into());
        let scene = Self { operation, both, folder, world, url: server.api_url(), now, _stop: cancel.drop_guard() };
        std::fs::write(scene.folder.path().join("ledger.json"), scene.first_ledger()).unwrap();
        scene
    }

    fn owner(&self) -> Owner {
        match self.operation.auth {
            AuthMode::Admin => Owner::Organization(self.world.lock().unwrap().zoid()),
            AuthMode::User => Owner::User,
        }
    }

    /// The fields that change, of the target and of the bystander.
    fn changing(&self) -> [(&'static str, Vec<Field>); 2] {
        let Operation { field, .. } = self.operation;
        let both = [Some(field), self.both.then_some(self.operation.other())];
        [(TARGET, both.into_iter().flatten().collect()), (BYSTANDER, vec![field])]
    }

    fn first_ledger(&self) -> String {
        let row = |(account, fields): (&str, Vec<Field>)| {
            let known = fields.iter().fold(String::new(), |mut text, field| {
                let value = !self.operation.to;
                let _ = write!(
                    text,
                    r#""{field}":{{"value":{value},"appliedAt":"2026-01-01T00:00:00Z","source":"{account}.yaml:1"}},"#
                );
                text
            });
            format!(r#""{account}":{{"name":"a{account}",{known}"conditions":[]}}"#)
        };
        let rows = self.changing().map(row).join(",");
        let header = r#""apiVersion":"zoho-mail-reconciler/v1","kind":"Ledger","serial":1"#;
        format!(r#"{{{header},"zoid":"{}","accounts":{{{rows}}}}}"#, self.owner())
    }

    fn manifests(&self) -> Batch<Parsed> {
        let files = self.changing().map(|(account, fields)| {
            let path: Arc<str> = format!("{account}.yaml").into();
            let zuid = sample_zuid();
            let to = self.operation.to;
            let wants: Vec<_> = fields.iter().map(|field| format!("{field}: {to}")).collect();
            let text = format!(
                "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata: {{name: a{account}}}\n\
                 spec: {{accountId: {account}, zuid: {zuid}, {}}}\n",
                wants.join(", ")
            );
            let parsed = manifest::parse(&path, text.as_bytes(), Rules { auth: self.operation.auth });
            (path, Look::Read(parsed))
        });
        Batch { files: files.into(), root: Root::Ready, full: true, degraded: None }
    }

    pub fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Whether the world is as it is wanted, field by field.
    pub fn has(&self, account: &str, field: Field) -> bool {
        let world = self.world();
        let account = world.account(account.parse().unwrap()).unwrap();
        let value = match field {
            Field::Enabled => account.mailbox_enabled,
            Field::ActiveSyncEnabled => account.active_sync_enabled,
        };
        value == self.operation.to
    }

    /// The ledger, as whoever starts next finds it.
    pub fn ledger(&self) -> Ledger {
        read(&self.folder.path().join("ledger.json"), Some(self.owner())).unwrap().unwrap()
    }

    /// The pause in force.
    pub fn pause(&self) -> Option<ImposedPause> {
        self.ledger().pause.filter(|pause| pause.until > self.now)
    }

    /// As the command `status` tells it.
    pub fn told(&self) -> MailAccountList {
        let (mut desired, ledger) = (DesiredState::new(), self.ledger());
        for (path, found) in self.manifests().files {
            let found = look(&path, found);
            desired.update(&path, found);
        }
        let pause = self.pause().map(Standstill::paused);
        status::list(&desired, &ledger, |_| None, pause.as_ref(), self.now)
    }

    /// A life of the process.
    pub async fn live(&mut self, mode: Mode, wire: Wire, course: Course) -> Result<Life, String> {
        let (committed_out, committed) = mpsc::unbounded_channel();
        let opened = LedgerFile::open(&self.folder.path().join("ledger.json"), self.owner(), committed_out).unwrap();
        let (file, ledger) = opened;
        let (clock, metrics) = (Clock::start_at(self.now), Arc::new(Metrics::new()));
        let (gate, sent) = (wire.gate.clone(), Arc::clone(&wire.sent));
        let before = self.world().requests_total();
        let url = || self.url.parse().unwrap();
        let client = Client::new(wire, url(), url(), self.principal());
        let (controller, mut reports) =
            Controller::new(settings(mode), client, self.credentials(), (ledger, file), Arc::clone(&metrics), clock);
        let (looks_out, looks) = mpsc::channel(2);
        let (stops_out, stops) = mpsc::channel(1);
        let (queries_out, queries) = mpsc::channel(1);
        let _ = looks_out.send(self.manifests()).await;
        let mut running = tokio::spawn(controller.run(Inputs { looks, committed, stops, queries }));
        let ask = async || {
            let (reply_out, reply) = oneshot::channel();
            let _ = queries_out.send(reply_out).await;
            reply.await.ok()
        };
        let mut told = None;
        let over = async |running: &mut tokio::task::JoinHandle<Ended<LedgerFile>>| {
            let ended = timeout(PATIENCE, running).await.map_err(|_| "it does not end".to_owned())?;
            ended.map_err(|panic| panic.to_string())
        };
        let ended = match course {
            Course::StopUnderWay => {
                let gate = gate.expect("an answer that can be held back");
                let reached = timeout(PATIENCE, gate.reached.acquire()).await;
                reached.map_err(|_| "the request is not sent")?.unwrap().forget();
                let _ = stops_out.send(Stop).await;
                // Answered after the stop was heard, unless that was the end.
                ask().await;
                gate.open.add_permits(1);
                over(&mut running).await?
            }
            Course::Quiet => {
                let quiet = tokio::select! {
                    biased;
                    ended = over(&mut running) => Err(ended?),
                    quiet = wait_for(&mut reports, |report| is_quiet(report, mode)) => Ok(quiet?),
                };
                match quiet {
                    Err(ended) => ended,
                    Ok(needs_resync) => {
                        told = ask().await;
                        if needs_resync && mode == Mode::Run {
                            sent.lock().unwrap().resync();
                            let _ = looks_out.send(self.manifests()).await;
                            wait_for(&mut reports, |report| (report.pending == 0).then_some(())).await?;
                        }
                        let _ = stops_out.send(Stop).await;
                        over(&mut running).await?
                    }
                }
            }
        };
        self.now = clock.now();
        ended.result.map_err(|fatal| fatal.to_string())?;
        ended.journal.close().map_err(|error| error.to_string())?;
        let told = told.unwrap_or_else(|| self.told());
        let outcomes = outcomes(&metrics.text(&reports.borrow(), self.now));
        let sent = sent.lock().unwrap();
        let arrived = self.arrived(before);
        if arrived != sent.arriving {
            return Err(format!("sent {}, but the service saw {arrived}", sent.all));
        }
        let target: AccountId = TARGET.parse().unwrap();
        let target = told.items.into_iter().find(|item| item.spec.account_id == target).ok_or("no status")?;
        Ok(Life { sent: sent.all.clone(), summary: ended.summary, target, outcomes })
    }

    fn principal(&self) -> Principal {
        match self.owner() {
            Owner::Organization(zoid) => Principal::Admin(zoid),
            _ => Principal::User,
        }
    }

    fn credentials(&self) -> CredentialSource {
        let credentials = match self.operation.auth {
            AuthMode::Admin => sandbox::Credentials::administrator(),
            AuthMode::User => sandbox::Credentials::person(sample_zuid()),
        };
        CredentialSource::new(move |name| match name {
            "ZOHO_MAIL_CLIENT_ID" => Some(credentials.client_id.clone().into()),
            "ZOHO_MAIL_CLIENT_SECRET" => Some(credentials.client_secret.clone().into()),
            "ZOHO_MAIL_REFRESH_TOKEN" => Some(credentials.refresh_token.clone().into()),
            _ => None,
        })
    }

    /// What the service saw after its first `before` requests, in the letters of [`super::wire::Sent`].
    fn arrived(&self, before: u64) -> String {
        let (target, bystander): (AccountId, AccountId) = (TARGET.parse().unwrap(), BYSTANDER.parse().unwrap());
        let letter = |entry: &sandbox::Entry| match entry.account {
            None if entry.operation == sandbox::Operation::Token => 'k',
            Some(account) if account == bystander && entry.operation == self.operation.name_in_sandbox() => 'B',
            Some(account) if account == target && entry.operation == self.operation.name_in_sandbox() => 'T',
            Some(account) if account == target => 'O',
            _ => '?',
        };
        self.world().log().skip(usize::try_from(before).unwrap()).map(letter).collect()
    }
}

fn settings(mode: Mode) -> Settings {
    Settings {
        mode,
        rate_limit: None,
        max_concurrency: 1,
        request_timeout: PATIENCE,
        backoff: Backoff { min: Duration::from_millis(1), max: Duration::from_millis(10) },
        throttle_pause: Duration::from_secs(THROTTLE_PAUSE),
        disruption_budget: "100%".parse().unwrap(),
        disruption_window: Duration::from_secs(3600),
        shutdown_grace: PATIENCE,
    }
}

/// Whether nothing more happens without help; and if so, whether a resync helps. A single pass waits for a pause only,
/// and otherwise ends by itself.
fn is_quiet(report: &Report, mode: Mode) -> Option<bool> {
    let refused = report.credentials_refused.is_some();
    let nothing_open = mode == Mode::Run && (report.pending == report.stalled || refused);
    let quiet = report.loaded && report.in_flight == 0 && (nothing_open || report.pause.is_some());
    quiet.then_some(refused || report.stalled > 0)
}

async fn wait_for<T>(reports: &mut watch::Receiver<Report>, seen: impl Fn(&Report) -> Option<T>) -> Result<T, String> {
    match timeout(PATIENCE, reports.wait_for(|report| seen(report).is_some())).await {
        Ok(Ok(report)) => return Ok(seen(&report).expect("just seen")),
        // It ended; its end says how.
        Ok(Err(_)) => return std::future::pending().await,
        Err(_) => {}
    }
    Err(format!("it does not come to rest: {:?}", reports.borrow()))
}

/// `applied 1, in_doubt 4`.
fn outcomes(metrics: &str) -> String {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("zoho_mail_reconciler_reconcile_total{result=\""));
    let counts = lines.filter_map(|line| line.split_once("\"} ")).filter(|(_, count)| *count != "0");
    let mut counts: Vec<_> = counts.map(|(label, count)| format!("{label} {count}")).collect();
    counts.sort();
    counts.join(", ")
}
