//! The machine: all state of the controller, and what follows of each event.
//!
//! In: [`Event`]s, each with the moment at which it came. Out: [`Effect`]s, in the order in which they are to be
//! performed. A protocol without I/O: it waits for nothing, so a test or a simulation drives it with no more than values.
//!
//! Two calls, for many events share one commit: [`Machine::handle`] takes an event in, [`Machine::turn`] says what
//! follows of all that came since the last turn. [`Machine::next_timeout`] says when there has to be a turn though
//! nothing happens.
//! Credentials are read at the moment at which a token is needed, neither before (they may be replaced at any time) nor
//! after (the order of requests would change). So a turn may stop in its middle, at [`Then::ReadCredentials`], and goes
//! on with the next call after [`Event::Credentials`].
//!
//! Invariants: at most one request in flight per account; an intent is durable before its PUT leaves; every account is
//! planned again when it is popped; each part below owns its fields, and "why may nothing start" is worked out in
//! `blocked` alone.
//! Absent by design: tasks, channels, the clock, chance (both are arguments), the log, metrics, files.
//!
//! ```text
//! loop {
//!     handle(event, now, chance)      for each that came, and a Tick if next_timeout() is over
//!     turn(now) -> effects, then      perform the effects; at ReadCredentials: handle(Credentials), turn again
//!     wait                            for an event, or until next_timeout(); at End: end(now) -> the last effects
//! }
//! ```
//!
//! The parts: `on_files` (looks become queued accounts), `dispatch` (queued accounts become intents), `reconcile`
//! (one account's next step), `send` (durable intents become PUTs), `on_response`, `on_page` and `on_token` (answers),
//! `outages` (what keeps every request from succeeding), `orders` (to stop, to suspend), `on_clock` (the wall clock was
//! set), `attempts` (what failed, and is tried again), `patience` (of a single pass), `report` and `summary` (what is
//! reported). Their state: `inflight`, `backlog`, `token`, `unwritten`, `suspension`, `folder`,
//! `reading`.

mod attempts;
mod backlog;
mod blocked;
mod dispatch;
mod folder;
mod inflight;
mod on_clock;
mod on_files;
mod on_page;
mod on_response;
mod on_token;
mod orders;
mod outages;
mod patience;
mod reading;
mod reconcile;
mod report;
mod send;
mod summary;
mod suspension;
mod throttling;
#[cfg(test)]
mod tests;
mod token;
mod unwritten;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::backlog::Backlog;
use self::blocked::{Blocked, Delay};
use self::folder::Folder;
use self::inflight::Inflight;
use self::reading::Reading;
use self::summary::Pass;
use self::suspension::Suspension;
use self::throttling::Throttling;
use self::token::Tokens;
use self::unwritten::{Due, Unwritten};
use super::event::{Effect, Event, Log, Metric, Then, Turn};
use super::{APPLY_ATTEMPTS, APPLY_PROBES, Mode, Settings};
use crate::account::{AccountId, Field};
use crate::desired::DesiredState;
use crate::guard::{Guards, InForce};
use crate::ledger::Ledger;
use crate::manifest::Protection;
use crate::queue::WorkQueue;
use crate::report::{Acknowledged, ServiceRead, Totals};
use crate::throttle::Throttle;
use crate::timestamp::Timestamp;

/// The controller without its I/O: see the module for how to drive it.
pub struct Machine {
    settings: Settings,
    desired: DesiredState,
    ledger: Ledger,
    queue: WorkQueue,
    guards: Guards,
    throttle: Throttle,
    tokens: Tokens,
    backlog: Backlog,
    inflight: Inflight,
    unwritten: Unwritten,
    folder: Folder,
    /// The reading of the service that goes before everything else, if one does.
    reading: Option<Reading>,
    /// What the one before it came to.
    last_read: Option<ServiceRead>,
    suspension: Suspension,
    pass: Pass,
    /// Why the ledger cannot be written now, and since when.
    unwritable: Option<(String, Timestamp)>,
    /// Until when what is in flight may end, since an order to stop.
    stop_by: Option<Timestamp>,
    /// What all requests wait for, as the last dispatch found it.
    waiting: Option<Delay>,
    /// Whether this process found the ledger's outage so as well.
    outage_confirmed: bool,
    /// That accounts are held by the budget of a direction was logged.
    held_logged: [bool; 2],
    /// Whom the service asks to wait.
    throttling: Throttling,
    /// Until when the limit of token requests held everything back, as was logged last.
    token_limit: Option<Timestamp>,
    /// The account whose request ended last without success: others probe before it.
    met_trouble: Option<AccountId>,
    /// How many pauses the service asked for in a row.
    throttled: u32,
    /// When this process began.
    began: Timestamp,
    /// What failed before this moment is tried all the same.
    tries_from: Timestamp,
    /// The budgets, and who says so.
    budget: InForce,
    /// The first problems of manifests, a line each.
    first_problems: Vec<String>,
    /// What was acknowledged since the last report.
    acknowledged: Vec<Acknowledged>,
    totals: Totals,
    /// When the last turn was, and how many accounts were pending then.
    turned_at: Timestamp,
    was_pending: usize,
    /// Not yet handed out.
    effects: Vec<Effect>,
}

impl Machine {
    /// A machine that knows `ledger` and nothing of the folder yet. `now`, here and below: the wall clock, which
    /// [`Event::ClockStepped`] reports when it is set.
    pub fn new(settings: Settings, ledger: Ledger, now: Timestamp) -> Self {
        let allowance = settings.allowance();
        let lateness = dispatch::INTENT_AGE_MAX + settings.request_timeout;
        let mut machine = Self {
            throttle: Throttle::restore(settings.rate_limit, lateness, settings.backoff, &ledger, now),
            guards: Guards::new(allowance, &ledger),
            // The daemon remembers what failed; a single pass tries it again.
            tries_from: match settings.mode {
                Mode::Run => Timestamp::default(),
                Mode::Apply | Mode::Refresh | Mode::Export => now,
            },
            began: now,
            backlog: Backlog::default(),
            inflight: Inflight::new(settings.max_concurrency, settings.rate_limit.is_none()),
            pass: Pass::new(settings.mode),
            budget: InForce { allowance, ..InForce::default() },
            acknowledged: Vec::new(),
            desired: DesiredState::new(),
            queue: WorkQueue::default(),
            tokens: Tokens::new(),
            unwritten: Unwritten::default(),
            folder: Folder::default(),
            reading: Reading::first(&settings, now),
            last_read: None,
            suspension: Suspension::default(),
            unwritable: None,
            stop_by: None,
            waiting: None,
            outage_confirmed: false,
            held_logged: [false; 2],
            throttling: Throttling::default(),
            token_limit: None,
            met_trouble: None,
            throttled: 0,
            first_problems: Vec::new(),
            totals: Totals::default(),
            turned_at: now,
            was_pending: 0,
            effects: Vec::new(),
            settings,
            ledger,
        };
        machine.correct_remembered_moments(now);
        machine.correct_remembered_pause(now);
        machine
    }

    /// From these accounts nothing is ever taken away, whatever their manifests say.
    pub fn protect(&mut self, protection: Arc<Protection>) {
        self.desired = DesiredState::protecting(protection);
    }

    /// Nothing is read of the service but what it shows of these accounts.
    pub fn read_only(&mut self, accounts: BTreeSet<AccountId>) {
        self.reading.iter_mut().for_each(|reading| reading.restrict(&accounts));
    }

    /// A single pass makes none but these changes: the account, the field and the value of each.
    pub fn restrict(&mut self, reviewed: BTreeSet<(AccountId, Field, bool)>) {
        self.pass.restrict(reviewed);
    }

    /// Takes in what happened at `now`. `chance`, from 0 to 1, spreads a backoff if one follows.
    pub fn handle(&mut self, event: Event, now: Timestamp, chance: f64) {
        match event {
            Event::Looked(batch) => self.on_files(batch, now),
            Event::Durable { ticket } => self.on_commit(ticket, now),
            Event::Unwritable(why) => {
                let since = self.unwritable.take().map_or(now, |(_, since)| since);
                self.unwritable = Some((why, since));
            }
            Event::Writable => self.unwritable = None,
            Event::Answered { account, answer } => self.on_response(account, answer, now, chance),
            Event::Page(answer) => self.on_page(answer, now, chance),
            Event::Token(answer) => self.on_token(answer, now, chance),
            Event::Credentials(credentials) => self.tokens.read(credentials, now),
            Event::Stop => self.stop(now),
            Event::Suspension(freeze) => self.suspend(freeze, now),
            Event::Ordered(order) => self.carry_out(order, now),
            Event::Query(part) => {
                let list = self.accounts(part, now);
                self.effects.push(Effect::Answer(Box::new(list)));
            }
            Event::ClockStepped(step) => self.on_clock_step(step),
            // What is due by now follows in the turn.
            Event::Tick => {}
        }
    }

    /// What follows of everything since the last turn. Its effects are to be performed in their order, and before
    /// anything else is taken in; none is waited for.
    pub fn turn(&mut self, now: Timestamp) -> Turn {
        self.send_durable(now);
        let mut then = self.dispatch(now);
        if then != Then::ReadCredentials {
            self.lose_patience(now);
            self.end_outage_if_idle(now);
            self.write_if_due(now);
            self.note_turn(now);
            if self.has_ended(now) {
                then = Then::End;
            }
        }
        Turn { effects: std::mem::take(&mut self.effects), then }
    }

    /// When something may happen by itself: an [`Event::Tick`] is due then, and a turn. `None`: not before another event.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        let held = self.guards.next_expiry().filter(|_| self.backlog.holds_any());
        let waiting = self.waiting.map(|waiting| waiting.until);
        let (resumed, woken) = (self.suspension.until(), self.backlog.next_wake());
        let (due, trial) = (self.queue.next_due(), self.tokens.next_trial());
        let page = self.reading.as_ref().and_then(|reading| reading.due()).filter(|_| self.may_read());
        let page = page.filter(|due| *due > self.turned_at);
        let due = [due, trial, waiting, held, resumed, woken, page, self.stop_by, self.unwritten.due()];
        due.into_iter().flatten().min()
    }

    /// The last words: what never left is taken back, and all records are handed over.
    pub fn end(&mut self, now: Timestamp) -> Vec<Effect> {
        self.take_back_unsent(now);
        self.read_not_sent(now);
        self.write();
        std::mem::take(&mut self.effects)
    }

    fn on_commit(&mut self, ticket: u64, now: Timestamp) {
        let Due { puts, token_request, read } = self.unwritten.durable(ticket);
        self.inflight.committed(puts);
        if let Some(begun) = read {
            self.send_read(begun, now);
        }
        if let Some(begun) = token_request {
            self.fetch_token(begun, now);
        }
    }

    fn log(&mut self, log: impl Into<Log>) {
        self.effects.push(Effect::Log(Box::new(log.into())));
    }

    /// Counts; what is counted for each of many accounts is one effect.
    fn count(&mut self, metric: Metric) {
        match (self.effects.last_mut(), metric) {
            (Some(Effect::Count(Metric::QueueAdded(before))), Metric::QueueAdded(more)) => *before += more,
            (_, metric) => self.effects.push(Effect::Count(metric)),
        }
    }
}
