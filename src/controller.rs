//! The conductor: one task owns all state and reads one closed [`Event`].
//!
//! In: looks at the folder, commits of the ledger, answers of the service, signals. Out: PUTs, and
//! a [`Report`] that the outside watches.
//! Invariants: at most one request in flight per account; an intent is durable before its PUT
//! leaves; every account is planned again when it is popped, so stale work cannot exist; nothing
//! here waits, but for the next event. The only two cycles of the house are here: a retry goes
//! back to the queue, and the ledger feeds the plan.
//!
//! The rooms inside: [`intake`] (looks become queued accounts), [`dispatch`] (queued accounts
//! become intents), [`launch`] (intents become durable, then PUTs), [`settle`] (answers become records), [`halt`] (what stops it, for good or for a while), [`backlog`]
//! (what is pending, held and stalled), [`tokens`] (one access token for everybody), [`mod@report`].

pub mod backlog;
mod dispatch;
mod halt;
mod intake;
mod launch;
mod report;
mod settle;
pub mod tokens;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use self::backlog::Backlog;
pub use self::report::Query;
use self::tokens::Tokens;
use crate::account::AccountId;
use crate::change::Change;
use crate::clock::Clock;
use crate::condition::Reason;
use crate::desired::DesiredState;
use crate::freeze::Freeze;
use crate::guard::{Allowance, DisruptionBudget, Guard, InForce};
use crate::ledger::file::{Committed, LedgerError, LedgerFile};
use crate::ledger::{FieldState, Ledger, Record};
use crate::manifest::{Parsed, Protection};
use crate::metrics::Metrics;
use crate::queue::{Backoff, WorkQueue};
use crate::report::{Recent, Report, Summary, Totals, Waiting};
use crate::runbook::ExternalUrl;
use crate::shutdown::Stop;
use crate::source::Batch;
use crate::throttle::{RateLimit, Throttle};
use crate::timestamp::Timestamp;
use crate::zoho::{Answer, Client, CredentialSource, TokenAnswer, Transport};

/// How many events are taken before work is dispatched again: enough to share one commit among
/// many answers, few enough to keep the requests going.
const EVENTS_PER_TURN: usize = 256;

/// How often `apply` tries one account before it counts as failed: a blip is survived, a pipeline does not hang.
pub const APPLY_ATTEMPTS: u32 = 4;

/// How many probes `apply` makes of a service that is in trouble or throttles, before it gives up on all that is left.
pub const APPLY_PROBES: u32 = 3;

/// Whether the controller lives on after the first pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The daemon: watches, resyncs, never gives up.
    Run,
    /// One pass, then the end; gives up after [`APPLY_ATTEMPTS`] and [`APPLY_PROBES`].
    Apply,
}

/// Everything that options decide about the conductor.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Daemon or one pass.
    pub mode: Mode,
    /// The request budget; `None` is unlimited.
    pub rate_limit: Option<RateLimit>,
    /// Requests in flight at the same time, at most.
    pub max_concurrency: usize,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long an account waits after a failure.
    pub backoff: Backoff,
    /// How long everybody waits when throttled and not told how long.
    pub throttle_pause: Duration,
    /// How many accounts may lose something within the window.
    pub disruption_budget: DisruptionBudget,
    /// The window of the disruption budget.
    pub disruption_window: Duration,
    /// How long a stop waits for what is in flight.
    pub shutdown_grace: Duration,
    /// Where people reach the pages, for links in the log.
    pub external_url: Option<ExternalUrl>,
}

/// Everything that can happen. Closed: a new kind does not compile until it is handled.
#[derive(Debug)]
enum Event {
    Looked(Batch<Parsed>),
    Committed(Committed),
    /// The ledger's writer ended without a word, as after a panic.
    WriterGone,
    /// So did the watcher of the folder.
    WatcherGone,
    Answered {
        account: AccountId,
        answer: Answer,
    },
    Token(TokenAnswer),
    Stop,
    Frozen(Option<Freeze>),
    Query(Query),
    Tick,
}

/// The streams of events from outside.
#[derive(Debug)]
pub struct Inputs {
    /// Looks at the folder.
    pub looks: mpsc::Receiver<Batch<Parsed>>,
    /// What the ledger's writer says.
    pub committed: mpsc::UnboundedReceiver<Committed>,
    /// Orders to finish what is in flight and end.
    pub stops: mpsc::Receiver<Stop>,
    /// The switch that suspends everything.
    pub freeze: watch::Receiver<Option<Freeze>>,
    /// Who wants to know the status of accounts.
    pub queries: mpsc::Receiver<Query>,
}

/// Where records become durable: the ledger's file, or memory in a simulation.
pub trait Journal {
    /// Takes records to write, in order; [`Committed::Durable`] with `ticket` follows.
    fn append(&mut self, records: Vec<Record>, ticket: u64);
}

impl Journal for LedgerFile {
    fn append(&mut self, records: Vec<Record>, ticket: u64) {
        Self::append(self, records, ticket);
    }
}

/// One request, from its intent to its answer.
#[derive(Debug)]
struct Flight {
    change: Change,
    /// What the ledger knew of the field before, to restore if the service provably did not act.
    prior: Option<FieldState>,
    /// When the account had last lost something, likewise.
    disruption: Option<Timestamp>,
    began: Timestamp,
    /// The access token it was sent with; `None` while its intent is on the way to the disk.
    token: Option<u64>,
}

/// What waits for a commit.
#[derive(Debug, Default)]
struct Commit {
    puts: Vec<AccountId>,
    /// A token request, and when it was begun.
    token_request: Option<Timestamp>,
}

/// Owner of all state. Built by a command, run to its end, then taken apart.
pub struct Controller<T: Transport, J: Journal> {
    settings: Settings,
    clock: Clock,
    client: Client<T>,
    journal: J,
    metrics: Arc<Metrics>,
    desired: DesiredState,
    ledger: Ledger,
    queue: WorkQueue,
    guard: Guard,
    throttle: Throttle,
    tokens: Tokens,
    backlog: Backlog,
    /// The freeze, which may be over.
    frozen: Option<Freeze>,
    /// The whole folder was read at least once.
    loaded: bool,
    flights: BTreeMap<AccountId, Flight>,
    commits: BTreeMap<u64, Commit>,
    /// What waits for the records that are not written yet.
    next_commit: Commit,
    /// Accounts whose intents are durable and whose PUTs wait for their turn, in the order of their intents.
    durable: VecDeque<AccountId>,
    /// How many PUTs were answered during the last commit, and since.
    answered: usize,
    answered_since: usize,
    unwritten: Vec<Record>,
    unwritten_since: Timestamp,
    ticket: u64,
    answers_out: mpsc::Sender<Event>,
    answers: mpsc::Receiver<Event>,
    report: watch::Sender<Report>,
    /// What all requests wait for, as the last dispatch found it.
    waiting: Option<Waiting>,
    /// How many pauses the service asked for in a row.
    throttled: u32,
    turned_at: Timestamp,
    totals: Totals,
    planned: Vec<Change>,
    stop_by: Option<Timestamp>,
}

/// Why the conductor cannot go on: better a restart than to go on blind, or without a memory.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// With what the ledger's writer said, if it could.
    #[error("the ledger can no longer be trusted to be on disk")]
    Ledger(#[source] Option<LedgerError>),
    /// Nobody looks at the folder any more.
    #[error("the watcher of the desired state broke down, which is a bug of this program; start it again")]
    Watcher,
}

/// What is left when the conductor has ended.
pub struct Ended<J> {
    /// The journal, to be closed.
    pub journal: J,
    /// What the pass came to.
    pub summary: Summary,
    /// Why it ended early, if it did.
    pub result: Result<(), Fatal>,
}

impl<T: Transport, J: Journal> Controller<T, J> {
    /// A controller that knows `ledger` and nothing of the folder yet.
    pub fn new(
        settings: Settings,
        client: Client<T>,
        credentials: CredentialSource,
        (ledger, journal): (Ledger, J),
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> (Self, watch::Receiver<Report>) {
        let now = clock.now();
        // One slot for each request that can be under way, and the token request.
        let (answers_out, answers) = mpsc::channel(settings.max_concurrency + 1);
        let allowance = Allowance { max: settings.disruption_budget, window: settings.disruption_window };
        let budget = InForce { allowance, ..InForce::default() };
        let (report, reports) =
            watch::channel(Report { budget, recent: Recent::restore(&ledger), ..Report::default() });
        let controller = Self {
            throttle: Throttle::restore(
                settings.rate_limit,
                dispatch::INTENT_AGE_MAX + settings.request_timeout,
                &ledger,
                now,
            )
            .probing(settings.backoff),
            guard: Guard::new(settings.disruption_budget, settings.disruption_window, &ledger.disruptions),
            tokens: Tokens::new(credentials),
            // The daemon remembers what was rejected; whoever asks for a single pass wants it tried again.
            backlog: match settings.mode {
                Mode::Run => Backlog::restore(&ledger),
                Mode::Apply => Backlog::default(),
            },
            desired: DesiredState::new(),
            queue: WorkQueue::default(),
            loaded: false,
            frozen: None,
            flights: BTreeMap::new(),
            commits: BTreeMap::new(),
            next_commit: Commit::default(),
            durable: VecDeque::new(),
            answered: 0,
            answered_since: 0,
            unwritten: Vec::new(),
            unwritten_since: now,
            ticket: 0,
            waiting: None,
            throttled: 0,
            turned_at: now,
            totals: Totals::default(),
            planned: Vec::new(),
            stop_by: None,
            settings,
            clock,
            client,
            journal,
            metrics,
            ledger,
            answers_out,
            answers,
            report,
        };
        (controller, reports)
    }

    /// From these accounts nothing is ever taken away, whatever their manifests say.
    #[must_use]
    pub fn protecting(self, protection: Arc<Protection>) -> Self {
        Self { desired: DesiredState::protecting(protection), ..self }
    }

    /// Turns until the end: a signal, the end of the one pass, or a ledger that cannot be trusted.
    pub async fn run(mut self, mut inputs: Inputs) -> Ended<J> {
        let freeze = inputs.freeze.borrow_and_update().clone();
        self.switched(freeze);
        let result = loop {
            let event = self.next(&mut inputs).await;
            let mut turn = self.handle(event);
            for _ in 0..EVENTS_PER_TURN {
                match self.ready(&mut inputs).filter(|_| turn.is_ok()) {
                    Some(event) => turn = self.handle(event),
                    None => break,
                }
            }
            self.launch();
            self.dispatch();
            self.write_if_due();
            self.publish();
            if turn.is_err() || self.has_ended() {
                break turn;
            }
        };
        self.take_back_unsent();
        self.write();
        Ended { summary: self.summary(), journal: self.journal, result }
    }

    async fn next(&mut self, inputs: &mut Inputs) -> Event {
        let sleep = self.sleep();
        tokio::select! {
            biased;
            // What comes seldom comes first: a bulk change must not drown an order to stop.
            Some(Stop) = inputs.stops.recv() => Event::Stop,
            Ok(()) = inputs.freeze.changed() => Event::Frozen(inputs.freeze.borrow_and_update().clone()),
            batch = inputs.looks.recv() => batch.map_or(Event::WatcherGone, Event::Looked),
            committed = inputs.committed.recv() => committed.map_or(Event::WriterGone, Event::Committed),
            Some(event) = self.answers.recv() => event,
            Some(query) = inputs.queries.recv() => Event::Query(query),
            () = tokio::time::sleep(sleep) => Event::Tick,
        }
    }

    /// The next event that has already happened.
    fn ready(&mut self, inputs: &mut Inputs) -> Option<Event> {
        let committed = inputs.committed.try_recv().ok().map(Event::Committed);
        committed.or_else(|| self.answers.try_recv().ok())
    }

    fn handle(&mut self, event: Event) -> Result<(), Fatal> {
        match event {
            Event::Looked(batch) => self.take_in(batch),
            Event::Committed(committed) => return self.committed(committed),
            Event::WriterGone => return Err(Fatal::Ledger(None)),
            Event::WatcherGone => return Err(Fatal::Watcher),
            Event::Answered { account, answer } => self.settle(account, answer),
            Event::Token(answer) => self.token_answered(answer),
            Event::Stop => self.stop(),
            Event::Frozen(freeze) => self.switched(freeze),
            Event::Query((part, reply)) => {
                // Nobody is left to answer if the asker hung up.
                let _ = reply.send(self.accounts(part));
            }
            Event::Tick => self.wake(),
        }
        Ok(())
    }

    fn committed(&mut self, committed: Committed) -> Result<(), Fatal> {
        match committed {
            Committed::Durable { ticket, took } => {
                self.metrics.ledger_committed(took);
                self.answered = std::mem::take(&mut self.answered_since);
                let Commit { puts, token_request } = self.commits.remove(&ticket).unwrap_or_default();
                self.durable.extend(puts);
                if let Some(begun) = token_request {
                    self.fetch_token(begun);
                }
            }
            Committed::Stopped { error } => {
                self.metrics.ledger_commit_failed();
                let source = std::error::Error::source(&error);
                let runbook = self.runbook(Reason::LedgerUnavailable.as_str());
                error!(%error, source, runbook, "the ledger cannot be written; no PUT leaves until it can");
                self.report.send_modify(|report| report.ledger_error = Some(error.to_string()));
            }
            Committed::Resumed => {
                info!("the ledger can be written again");
                self.report.send_modify(|report| report.ledger_error = None);
            }
            Committed::Fatal(error) => {
                self.metrics.ledger_commit_failed();
                return Err(Fatal::Ledger(Some(error)));
            }
        }
        Ok(())
    }
}
