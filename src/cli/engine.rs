//! Builds the conductor and all it needs: shared by `run` and `apply`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::policies::Remembered;
use crate::account::{Field, printable};
use crate::attribution::Baseline;
use crate::change::Known;
use crate::clock::Clock;
use crate::config::{Auth, Service, Target, UsageError};
use crate::controller::{Controller, Ended, Inputs, Mode, Query, Settings};
use crate::ledger::file::{LedgerError, LedgerFile};
use crate::ledger::{Ledger, Owner, Record};
use crate::manifest::{Budget, Parsed, Protection};
use crate::metrics::Metrics;
use crate::report::{Report, Summary};
use crate::sandbox::{self, Account, World};
use crate::shutdown::Stop;
use crate::source::Batch;
use crate::switch;
use crate::zoho::{BaseUrl, Client, CredentialSource, HttpTransport, Transport};

/// How many looks at the folder, signals and questions may wait for the conductor.
const INPUTS_WAITING: usize = 16;

/// How long the runtime's threads may take to end; all that matters has ended before.
const RUNTIME_GRACE: Duration = Duration::from_secs(1);

/// Runs `main` to its end on a runtime of its own, and does not wait for stray threads after.
pub(super) fn block_on<T: Send + 'static>(
    main: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<T> {
    let runtime: Runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the async runtime")?;
    // A task among the others: from the thread that blocks, each message to it and from it wakes up another thread.
    let result = runtime.block_on(runtime.spawn(main));
    runtime.shutdown_timeout(RUNTIME_GRACE);
    match result {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(error).context("the conductor was cancelled"),
        },
    }
}

/// The conductor, ready to run, and the ends of its channels.
pub(super) struct Engine<T: Transport> {
    pub(super) controller: Controller<T, LedgerFile>,
    pub(super) reports: watch::Receiver<Report>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
    pub(super) inputs: Inputs,
    pub(super) outside: Outside,
    /// What the ledger knew when it was opened.
    pub(super) acknowledged: Baseline,
    /// The files that were read by then.
    pub(super) known: Remembered,
    /// Ends the embedded sandbox, if there is one.
    pub(super) cancel: CancellationToken,
}

/// Where looks, signals and questions go in.
pub(super) struct Outside {
    pub(super) looks: mpsc::Sender<Batch<Parsed>>,
    pub(super) stops: mpsc::Sender<Stop>,
    pub(super) queries: mpsc::Sender<Query>,
}

/// Opens the ledger (which locks it), builds the client, and starts the sandbox if it is the target. `transport` wraps the
/// network.
pub(super) async fn build<T: Transport>(
    target: &Target,
    service: &Service,
    settings: Settings,
    protection: Arc<Protection>,
    transport: impl FnOnce(HttpTransport) -> T,
) -> anyhow::Result<Engine<T>> {
    let (committed_out, committed) = mpsc::unbounded_channel();
    let path = target.ledger_file();
    let (owner, principal) = (target.owner()?, target.principal()?);
    // What is wrong with the options is said before a file is made.
    let real = if target.sandbox { None } else { Some(credentials(settings.mode)?) };
    let (file, ledger) = tokio::task::block_in_place(|| LedgerFile::open(&path, owner, committed_out))?;
    if settings.mode == Mode::Run {
        file.announce(serde_json::to_string(&Budget::from(settings.allowance()))?);
    }
    let cancel = CancellationToken::new();
    let (api, accounts, credentials) = match real {
        None => {
            let url = embed_sandbox(target, &ledger, cancel.clone()).await?;
            info!(%url, ledger = %path.display(), "sandbox: nothing that happens here reaches Zoho");
            (url.clone(), url, sandbox_credentials(target))
        }
        Some(credentials) => {
            let (api, accounts) = service.urls();
            (api, accounts, credentials)
        }
    };
    let network = HttpTransport::new(settings.request_timeout);
    network.check(&api)?;
    let client = Client::new(transport(network), api, accounts, principal);
    let (looks_out, looks) = mpsc::channel(INPUTS_WAITING);
    let (stops_out, stops) = mpsc::channel(INPUTS_WAITING);
    let (queries_out, queries) = mpsc::channel(INPUTS_WAITING);
    let (metrics, clock) = (Arc::new(Metrics::new()), Clock::start());
    metrics.started(clock.now());
    let acknowledged = Baseline::of(&ledger);
    let known = Remembered::of(&ledger);
    let (controller, reports) =
        Controller::new(settings, client, credentials, (ledger, file), Arc::clone(&metrics), clock.clone());
    let orders = switch::watch(path.clone(), cancel.clone());
    Ok(Engine {
        controller: controller.protecting(protection),
        reports,
        metrics,
        clock,
        inputs: Inputs { looks, committed, stops, queries, ledger: Some(path), orders },
        acknowledged,
        known,
        outside: Outside { looks: looks_out, stops: stops_out, queries: queries_out },
        cancel,
    })
}

/// The credentials in the environment, looked at once so that a missing one is said before anything is done. The daemon
/// waits for a file that is empty as it does later: it may begin while its secret is replaced.
fn credentials(mode: Mode) -> anyhow::Result<CredentialSource> {
    let source = CredentialSource::new(|name| std::env::var_os(name));
    let Err(error) = source.load() else { return Ok(source) };
    let may_pass = mode == Mode::Run && error.may_pass();
    let why = format!("{:#}", anyhow::Error::new(error));
    if !may_pass {
        return Err(UsageError(why).into());
    }
    warn!(why = %printable::escape(&why), "there are no credentials yet; they are read again when something is to be sent");
    Ok(source)
}

/// A sandbox on a free port of this machine. Its world is what the sandbox's ledger says was applied,
/// so that a restart finds it as it left it; accounts it never saw are adopted at their first PUT.
pub(super) async fn embed_sandbox(
    target: &Target,
    ledger: &Ledger,
    cancel: CancellationToken,
) -> anyhow::Result<BaseUrl> {
    let mut settings = sandbox::Settings { open: true, ..sandbox::Settings::default() };
    if let Some(zoid) = target.zoid {
        settings.zoid = zoid;
    }
    let person = sandbox::sample_zuid();
    let mut world = World::new(settings);
    for (id, row) in &ledger.accounts {
        // With user authentication a PUT names no zuid: whatever it reached is the person's own.
        let zuid = row.zuid.filter(|_| target.auth == Auth::Admin).unwrap_or(person);
        let mut account = Account::new(*id, zuid, &format!("{}@sandbox.example", row.name), &row.name);
        account.mailbox_enabled = row.known(Field::Enabled) != Known::Applied(false);
        account.active_sync_enabled = row.known(Field::ActiveSyncEnabled) != Known::Applied(false);
        world.seed(account);
    }
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = sandbox::serve(listen, Arc::new(Mutex::new(world)), cancel).await?;
    server.api_url().parse().context("the sandbox's URL")
}

/// Who may sign in there.
pub(super) fn sandbox_credentials(target: &Target) -> CredentialSource {
    let credentials = match target.auth {
        Auth::Admin => sandbox::Credentials::administrator(),
        Auth::User => sandbox::Credentials::person(sandbox::sample_zuid()),
    };
    CredentialSource::new(move |name| {
        let value = match name {
            "ZOHO_MAIL_CLIENT_ID" => &credentials.client_id,
            "ZOHO_MAIL_CLIENT_SECRET" => &credentials.client_secret,
            "ZOHO_MAIL_REFRESH_TOKEN" => &credentials.refresh_token,
            _ => return None,
        };
        Some(value.into())
    })
}

/// Folds the journal after the conductor has ended. Its own error, if it has one, comes first.
pub(super) fn close(ended: Ended<LedgerFile>) -> anyhow::Result<Summary> {
    let Ended { journal, summary, result, read: _ } = ended;
    result?;
    tokio::task::block_in_place(|| journal.close())
        .context("what was acknowledged is in the journal, but it could not be folded into the ledger at the end")?;
    Ok(summary)
}

/// Adds the records that `decide` makes of the ledger, where no process has the ledger. Blocks on the disk.
pub(super) fn amend(path: &Path, owner: Owner, decide: impl FnOnce(&Ledger) -> Vec<Record>) -> Result<(), LedgerError> {
    // What it would say of a commit, closing says as well.
    let (committed, _unheard) = mpsc::unbounded_channel();
    let (file, ledger) = LedgerFile::open(path, owner, committed)?;
    let records = decide(&ledger);
    if records.is_empty() {
        return Ok(());
    }
    file.append(records, 1);
    file.close()
}
