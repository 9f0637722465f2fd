//! The controller's shell: it waits, and performs what the machine decides.
//!
//! In: looks at the folder, commits of the ledger, answers of the service, signals. Out: PUTs, and
//! a [`Report`] that the outside watches.
//! Invariants: nothing is decided here; effects are performed in their order, and none is waited for. With its requests
//! the only async code of the room, and the only place in it that knows the clock, chance, tasks, channels, the log and
//! metrics.
//! The only two cycles of the house are in the machine: a retry goes back to the queue, and the ledger feeds the plan.
//!
//! The parts: [`event`] (what can happen, and what is done), [`machine`] (which follows of which), `log` (its words),
//! `requests` (the tasks), `settings` (what options decide).

pub mod event;
mod log;
pub mod machine;
mod requests;
mod settings;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use self::event::{Effect, Event, Metric, Then, Turn};
use self::log::Logger;
use self::machine::Machine;
pub use self::settings::{APPLY_ATTEMPTS, APPLY_PROBES, ATTEMPT_WAIT_MAX, DriftPolicy, MAX_WAIT, Mode, Settings};
use crate::account::{AccountId, Field};
use crate::change::Failure;
use crate::clock::Clock;
use crate::condition::Reason;
use crate::freeze::Freeze;
use crate::ledger::file::{Committed, LedgerError, LedgerFile};
use crate::ledger::{Ledger, Record};
use crate::manifest::{Parsed, Protection};
use crate::metrics::Metrics;
use crate::observed::ObservedAccount;
use crate::order::Order;
use crate::report::{HEARTBEAT, Report, ServiceRead, Summary};
use crate::shutdown::Stop;
use crate::source::Batch;
use crate::status::{MailAccountList, Part};
use crate::switch;
use crate::zoho::{Client, CredentialSource, Transport};

/// How many events are taken before work is dispatched again: enough to share one commit among
/// many answers, few enough to keep the requests going.
const EVENTS_PER_TURN: usize = 256;

/// Somebody wants to know the status of a part of the accounts.
pub type Query = (Part, oneshot::Sender<MailAccountList>);

/// The streams of events from outside.
#[derive(Debug)]
pub struct Inputs {
    /// Looks at the folder.
    pub looks: mpsc::Receiver<Batch<Parsed>>,
    /// What the ledger's writer says.
    pub committed: mpsc::UnboundedReceiver<Committed>,
    /// Orders to finish what is in flight and end.
    pub stops: mpsc::Receiver<Stop>,
    /// The ledger beside which the switch that suspends everything is, if there is one. It is looked at, and not heard
    /// of: what was suspended before a look is never sent after it.
    pub ledger: Option<PathBuf>,
    /// What an operator orders.
    pub orders: watch::Receiver<Option<Order>>,
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

/// Owner of the machine and of everything it cannot touch. Built by a command, run to its end, then taken apart.
pub struct Controller<T: Transport, J: Journal> {
    machine: Machine,
    clock: Clock,
    client: Client<T>,
    credentials: CredentialSource,
    journal: J,
    metrics: Arc<Metrics>,
    logger: Logger,
    /// Where tasks send what their requests came to.
    answers_out: mpsc::Sender<Event>,
    answers: mpsc::Receiver<Event>,
    /// Who asked and was not answered yet, in their order.
    askers: VecDeque<oneshot::Sender<MailAccountList>>,
    report: watch::Sender<Report>,
    /// See [`Inputs::ledger`].
    switch: Option<PathBuf>,
}

/// What came in.
enum Input {
    Event(Event),
    Committed(Committed),
    /// The ledger's writer ended without a word, as after a panic.
    WriterGone,
    /// So did the watcher of the folder.
    WatcherGone,
    Asked(Query),
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
    /// What was read of the service, if anything was to be, and with [`Mode::Refresh`] its accounts.
    pub read: Option<(ServiceRead, Vec<ObservedAccount>)>,
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
        // One slot for each PUT that can be under way, one for the request for a page, one for that for a token.
        let (answers_out, answers) = mpsc::channel(settings.max_concurrency + 2);
        let logger = Logger(settings.external_url.clone());
        let machine = Machine::new(settings, ledger, clock.now());
        let (report, reports) = watch::channel(machine.first_report());
        let askers = VecDeque::new();
        let controller = Self {
            machine,
            clock,
            client,
            credentials,
            journal,
            metrics,
            logger,
            answers_out,
            answers,
            askers,
            report,
            switch: None,
        };
        (controller, reports)
    }

    /// From these accounts nothing is ever taken away, whatever their manifests say.
    #[must_use]
    pub fn protecting(mut self, protection: Arc<Protection>) -> Self {
        self.machine.protect(protection);
        self
    }

    /// Nothing is recorded but of these accounts, and reading ends when all of them were shown.
    #[must_use]
    pub fn reading_only(mut self, accounts: BTreeSet<AccountId>) -> Self {
        self.machine.read_only(accounts);
        self
    }

    /// The single pass makes none but these changes: the account, the field and the value of each.
    #[must_use]
    pub fn restricted_to(mut self, reviewed: BTreeSet<(AccountId, Field, bool)>) -> Self {
        self.machine.restrict(reviewed);
        self
    }

    /// Turns until the end: a signal, the end of the one pass, or a ledger that cannot be trusted.
    pub async fn run(mut self, mut inputs: Inputs) -> Ended<J> {
        self.switch = inputs.ledger.take();
        let unclear = |error: io::Error| Some(Freeze::unclear(&error.to_string()));
        let first = self.switch.as_deref().map(|ledger| switch::read(ledger).unwrap_or_else(unclear));
        self.feed(Event::Suspension(first.flatten()));
        let order = inputs.orders.borrow_and_update().clone();
        order.into_iter().for_each(|order| self.feed(Event::Ordered(order)));
        let result = loop {
            let input = self.next(&mut inputs).await;
            self.look_at_clock();
            // What became durable sends a token request at once.
            self.look_at_switch();
            let mut fed = self.take(input);
            for _ in 0..EVENTS_PER_TURN {
                match self.ready(&mut inputs).filter(|_| fed.is_ok()) {
                    Some(input) => fed = self.take(input),
                    None => break,
                }
            }
            // A ledger that cannot be trusted takes no intent any more, so nothing is begun.
            if fed.is_err() || self.turn() == Then::End {
                break fed;
            }
        };
        let now = self.clock.now();
        self.machine.end(now).into_iter().for_each(|effect| self.perform(effect));
        let (summary, read) = (self.machine.summary(now), self.machine.take_read());
        Ended { summary, read, journal: self.journal, result }
    }

    async fn next(&mut self, inputs: &mut Inputs) -> Input {
        let now = self.clock.now();
        let sleep = self.machine.next_timeout().map_or(HEARTBEAT, |next| next.since(now).min(HEARTBEAT));
        tokio::select! {
            biased;
            // What comes seldom comes first: a bulk change must not drown an order to stop.
            Some(Stop) = inputs.stops.recv() => Input::Event(Event::Stop),
            Ok(()) = inputs.orders.changed() => {
                Input::Event(inputs.orders.borrow_and_update().clone().map_or(Event::Tick, Event::Ordered))
            }
            batch = inputs.looks.recv() => batch.map_or(Input::WatcherGone, |batch| Input::Event(Event::Looked(batch))),
            committed = inputs.committed.recv() => committed.map_or(Input::WriterGone, Input::Committed),
            Some(event) = self.answers.recv() => Input::Event(event),
            Some(query) = inputs.queries.recv() => Input::Asked(query),
            () = tokio::time::sleep(sleep) => Input::Event(Event::Tick),
        }
    }

    /// What has already come in.
    fn ready(&mut self, inputs: &mut Inputs) -> Option<Input> {
        let committed = inputs.committed.try_recv().ok().map(Input::Committed);
        committed.or_else(|| self.answers.try_recv().ok().map(Input::Event))
    }

    /// Passes on what came in, unless it is the end of something that the machine cannot be without.
    fn take(&mut self, input: Input) -> Result<(), Fatal> {
        match input {
            Input::Event(event) => self.feed(event),
            Input::Asked((part, asker)) => {
                self.askers.push_back(asker);
                self.feed(Event::Query(part));
            }
            Input::Committed(Committed::Durable { ticket, took }) => {
                self.metrics.ledger_committed(took);
                self.feed(Event::Durable { ticket });
            }
            Input::Committed(Committed::Stopped { error }) => {
                self.metrics.ledger_commit_failed();
                self.logger.unwritable(&error);
                self.feed(Event::Unwritable(error.to_string()));
            }
            Input::Committed(Committed::Resumed) => {
                self.logger.writable();
                self.feed(Event::Writable);
            }
            Input::Committed(Committed::Fatal(error)) => {
                self.metrics.ledger_commit_failed();
                return Err(Fatal::Ledger(Some(error)));
            }
            Input::WriterGone => return Err(Fatal::Ledger(None)),
            Input::WatcherGone => return Err(Fatal::Watcher),
        }
        Ok(())
    }

    /// Looks before anything is made of what came in. A step is found within a heartbeat.
    fn look_at_clock(&mut self) {
        if let Some(step) = self.clock.look() {
            self.feed(Event::ClockStepped(step));
        }
    }

    /// Looks before anything leaves: when `suspend` has returned, no request begins. One open(2), which finds nothing.
    fn look_at_switch(&mut self) {
        // A shortage of this process changes nothing.
        if let Some(Ok(freeze)) = self.switch.as_deref().map(switch::read) {
            self.feed(Event::Suspension(freeze));
        }
    }

    fn feed(&mut self, event: Event) {
        self.machine.handle(event, self.clock.now(), fastrand::f64());
    }

    /// Performs what follows of all events so far, and shows the state they led to.
    fn turn(&mut self) -> Then {
        // To take in a large look at the folder takes time.
        self.look_at_switch();
        let now = self.clock.now();
        let then = loop {
            let Turn { effects, then } = self.machine.turn(now);
            effects.into_iter().for_each(|effect| self.perform(effect));
            if then != Then::ReadCredentials {
                break then;
            }
            let read = self.credentials.load();
            let refused = |message: String| Failure { reason: Reason::Unauthorized, message: message.into() };
            self.feed(Event::Credentials(read.map_err(|error| refused(error.to_string()))));
        };
        self.report.send_modify(|report| self.machine.describe(report, now));
        then
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Append { records, ticket } => self.journal.append(records, ticket),
            Effect::Put(put) => requests::put(self.client.clone(), *put, self.answers_out.clone()),
            Effect::Read(read) => requests::read(self.client.clone(), *read, self.answers_out.clone()),
            Effect::FetchToken(credentials) => {
                requests::fetch_token(self.client.clone(), credentials, self.answers_out.clone());
            }
            Effect::Answer(list) => {
                if let Some(asker) = self.askers.pop_front() {
                    // Fails only if the asker hung up: then no answer is needed.
                    let _ = asker.send(*list);
                }
            }
            Effect::Log(log) => self.logger.write(*log),
            Effect::Count(metric) => self.count(metric),
        }
    }

    fn count(&self, metric: Metric) {
        let metrics = &self.metrics;
        match metric {
            Metric::QueueAdded(accounts) => metrics.queue_added(accounts),
            Metric::QueueRetried => metrics.queue_retried(),
            Metric::QueueWaited(waited) => metrics.queue_waited(waited),
            Metric::Request { operation, code, took } => metrics.api_request(operation, code, took),
            Metric::Reconciled { outcome, took, at } => metrics.reconciled(&outcome, took, at),
            Metric::DisruptionApproved => metrics.disruption_approved(),
            Metric::TokenAnswered(result) => metrics.token_answered(result),
            Metric::Waited { why, how_long } => metrics.waited(why, how_long),
        }
    }
}
