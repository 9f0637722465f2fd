//! One cell's stage: a simulated service with two accounts, their manifests, and the ledger on the disk.
//!
//! In: an operation, and for each life of the process what it meets. Out: [`Life`], and the ledger as the next one
//! finds it. Time between two lives passes by setting [`Scene::now`].
//! The target has an operation to go through and the bystander the same one; the ledger knows the values before.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use zoho_mail_reconciler::account::{AuthMode, Field};
use zoho_mail_reconciler::attribution::look;
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::controller::{Controller, Inputs, Mode, Settings};
use zoho_mail_reconciler::desired::DesiredState;
use zoho_mail_reconciler::ledger::file::{LedgerFile, read};
use zoho_mail_reconciler::ledger::{ImposedPause, Ledger, Owner};
use zoho_mail_reconciler::manifest::{self, Parsed, Rules};
use zoho_mail_reconciler::metrics::Metrics;
use zoho_mail_reconciler::queue::Backoff;
use zoho_mail_reconciler::sandbox::{self, Account, World, sample_zuid};
use zoho_mail_reconciler::source::{Batch, Look, Root};
use zoho_mail_reconciler::status::{self, BlockedBy, MailAccountList, Part};
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::zoho::{Client, CredentialSource, Principal};

use super::life::{Course, Life, Process};
use super::operation::{BYSTANDER, Operation, TARGET};
use super::table::THROTTLE_PAUSE;
use super::wire::{PATIENCE, Wire};
use crate::builders::{self, Manifest};
use crate::process::temporary_folder;

/// See the module.
pub struct Scene {
    operation: Operation,
    /// Whether both fields of the target change.
    both: bool,
    folder: TempDir,
    world: Arc<Mutex<World>>,
    pub url: String,
    /// When the first life begins.
    pub begun: Timestamp,
    /// When the next one does.
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
        let (folder, now) = (temporary_folder(), SystemTime::now().into());
        let scene =
            Self { operation, both, folder, world, url: server.api_url(), begun: now, now, _stop: cancel.drop_guard() };
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
            format!(r#""{account}":{{"name":"a{account}",{known}"observedGeneration":0}}"#)
        };
        let rows = self.changing().map(row).join(",");
        let header = r#""apiVersion":"zoho-mail-reconciler/v2","kind":"Ledger","serial":1"#;
        format!(r#"{{{header},"zoid":"{}","accounts":{{{rows}}}}}"#, self.owner())
    }

    fn manifests(&self) -> Batch<Parsed> {
        let files = self.changing().map(|(account, fields)| {
            let path: Arc<str> = format!("{account}.yaml").into();
            let named = Manifest::of(format_args!("a{account}")).set("accountId", account).set("zuid", sample_zuid());
            let wanting = |manifest: Manifest, field: Field| manifest.set(&field.to_string(), self.operation.to);
            let text = fields.into_iter().fold(named, wanting).to_string();
            let parsed =
                manifest::parse(&path, text.as_bytes(), Rules { auth: self.operation.auth, ..Rules::default() });
            (path, Look::Read(parsed))
        });
        Batch {
            files: files.into(),
            root: Root::Ready,
            full: true,
            asked: false,
            degraded: None,
            origin: Default::default(),
            decided: Default::default(),
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
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
        let pause = self.pause().map(BlockedBy::paused);
        status::list(&desired, &ledger, Part::default(), |_| None, pause.as_ref(), self.now)
    }

    /// A life of the process.
    pub async fn live(&mut self, mode: Mode, wire: Wire, course: Course) -> Result<Life, String> {
        let before = self.world().requests_total();
        let (gate, sent) = (wire.gate.clone(), Arc::clone(&wire.sent));
        let mut process = self.begin(mode, wire).await;
        let told = match course {
            Course::StopUnderWay => process.stop_while_waiting_at(&gate.expect("a gate")).await.map(|()| None)?,
            Course::Quiet => process.come_to_rest(mode, &sent, || Batch { asked: true, ..self.manifests() }).await?,
        };
        let summary = process.end().await?;
        self.now = process.clock.now();
        let sent = sent.lock().unwrap();
        let arrived = self.arrived(before);
        if arrived != sent.arriving {
            return Err(format!("sent {}, but the service saw {arrived}", sent.all));
        }
        Ok(Life { sent: sent.all.clone(), summary, told, process })
    }

    async fn begin(&self, mode: Mode, wire: Wire) -> Process {
        let (committed_out, committed) = mpsc::unbounded_channel();
        let ledger = self.folder.path().join("ledger.json");
        let (file, ledger) = LedgerFile::open(&ledger, self.owner(), committed_out).unwrap();
        let (clock, metrics) = (Clock::start_at(self.now), Arc::new(Metrics::new()));
        let url = || self.url.parse().unwrap();
        let client = Client::new(wire, url(), url(), self.principal());
        let (settings, known) = (settings(mode), (ledger, file));
        let (controller, reports) =
            Controller::new(settings, client, self.credentials(), known, Arc::clone(&metrics), clock.clone());
        let (looks_out, looks) = mpsc::channel(2);
        let (stops_out, stops) = mpsc::channel(1);
        let (queries_out, queries) = mpsc::channel(1);
        looks_out.send(self.manifests()).await.unwrap();
        let running = tokio::spawn(controller.run(Inputs {
            looks,
            committed,
            stops,
            queries,
            ledger: None,
            orders: tokio::sync::watch::channel(None).1,
        }));
        Process { running, clock, metrics, reports, looks: looks_out, stops: stops_out, queries: queries_out }
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
        let letter = |entry: &sandbox::Entry| match entry.account.map(|account| account.to_string()).as_deref() {
            None if entry.operation == sandbox::Operation::Token => 'k',
            Some(BYSTANDER) if entry.operation == self.operation.name_in_sandbox() => 'B',
            Some(TARGET) if entry.operation == self.operation.name_in_sandbox() => 'T',
            Some(TARGET) => 'O',
            _ => '?',
        };
        self.world().log().skip(usize::try_from(before).unwrap()).map(letter).collect()
    }
}

fn settings(mode: Mode) -> Settings {
    Settings {
        mode,
        max_concurrency: 1,
        request_timeout: PATIENCE,
        backoff: Backoff { min: Duration::from_millis(1), max: Duration::from_millis(10) },
        throttle_pause: Duration::from_secs(THROTTLE_PAUSE),
        // A pass waits until it is stopped: what it comes to is the answer's doing alone.
        max_wait: Duration::MAX,
        refresh: None,
        shutdown_grace: PATIENCE,
        ..builders::settings()
    }
}
