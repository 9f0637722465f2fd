//! What must hold at every moment, looked at from outside of the process.
//!
//! In: all that is seen on the wire, on the disk and in the world. Out: violations, and the story so far.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use zoho_mail_reconciler::account::{AccountId, Field};
use zoho_mail_reconciler::change::Known;
use zoho_mail_reconciler::freeze::Freeze;
use zoho_mail_reconciler::guard::Allowance;
use zoho_mail_reconciler::ledger::{Ledger, Record};
use zoho_mail_reconciler::sandbox::{Reply, World};
use zoho_mail_reconciler::throttle::{RateLimit, TOKEN_REQUESTS, TOKEN_WINDOW};
use zoho_mail_reconciler::timestamp::{ClockStep, Timestamp};

use super::dates::Dates;
use super::economy::Economy;
use super::folder::{Policies, Wanted};
use super::removals::Removals;
use super::service::{Kind, Put};
use super::waits::wait;
use super::wall::shifted;
use crate::depth::number;

/// How much of the story is kept where more than one is lived through; of one alone, all of it.
const STORY: usize = 160;

/// What the world is; nothing of an account that a half-written manifest made up.
pub fn actual(world: &World, account: AccountId, field: Field) -> Option<bool> {
    let found = world.account(account)?;
    Some(match field {
        Field::Enabled => found.mailbox_enabled,
        Field::ActiveSyncEnabled => found.active_sync_enabled,
    })
}

/// What is proved, one by one. The tests have them in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    OneInFlight,
    IntentFirst,
    Memory,
    Truth,
    Wanted,
    Budget,
    Pause,
    Freeze,
    Disruptions,
    Protected,
    Sum,
    Economy,
    Converges,
    IdleRestart,
    Isolation,
    Time,
    Ended,
    Alive,
}

impl Rule {
    pub const ALL: [Self; 18] = [
        Self::OneInFlight,
        Self::IntentFirst,
        Self::Memory,
        Self::Truth,
        Self::Wanted,
        Self::Budget,
        Self::Pause,
        Self::Freeze,
        Self::Disruptions,
        Self::Protected,
        Self::Sum,
        Self::Economy,
        Self::Converges,
        Self::IdleRestart,
        Self::Isolation,
        Self::Time,
        Self::Ended,
        Self::Alive,
    ];
}

pub struct Proofs {
    pub violations: Vec<(Rule, String)>,
    /// What was wanted before the newest batch, and after it.
    pub wanted: [Wanted; 2],
    /// Requests that left, since the beginning.
    pub departed: usize,
    /// When the last one left.
    pub departed_last: Timestamp,
    /// Edits of the folder, and lives, since the beginning.
    pub edits: usize,
    pub lives: usize,
    /// Accounts of which a page said anything new, since the beginning.
    pub corrected: usize,
    /// Changes that were needed when the process began.
    pub needed: usize,
    /// Whether the process reads the service first: then what is needed is known only after that.
    pub reads: bool,
    /// By how many milliseconds the clock of the process is ahead; and that of the durable records.
    pub ahead: i64,
    pub written_ahead: i64,
    /// Whether clocks are ever set in this world: then a limit that is broken is broken by that.
    pub clock_moves: bool,
    /// What happened lately; nothing if nobody wants to hear it.
    story: Option<VecDeque<String>>,
    /// How many lines of it are kept.
    kept: usize,
    economy: Economy,
    limit: Option<RateLimit>,
    /// What was taken away, and what may be.
    pub removals: Removals,
    /// What manifests want by their own dates.
    dates: Dates,
    arrivals: Vec<Timestamp>,
    tokens: Vec<Timestamp>,
    /// The accounts whose PUTs were throttled and not accepted since: whether others were since the last time, how often that
    /// was so, and whether it was alone the last time.
    throttled: BTreeMap<AccountId, (bool, u32, bool)>,
    /// Which was throttled last, with none accepted since.
    throttled_last: Option<AccountId>,
    in_flight: BTreeSet<AccountId>,
    /// Durable intents whose PUT has not left yet.
    intents: BTreeMap<(AccountId, Field), bool>,
    token_intents: usize,
    page_intents: usize,
    /// The pause the service told the process of: when, and until when.
    told: Option<(Timestamp, Timestamp)>,
    /// The end of the pause that an operator ordered to lift.
    pub lifted: Option<Timestamp>,
    /// The freeze that an operator set, and when.
    pub frozen: Option<(Timestamp, Freeze)>,
}

impl Proofs {
    pub fn new(limit: Option<RateLimit>, options: Allowance) -> Self {
        Self {
            violations: Vec::new(),
            wanted: Default::default(),
            departed: 0,
            departed_last: Timestamp::from_millis(0),
            edits: 0,
            lives: 0,
            corrected: 0,
            needed: 0,
            reads: false,
            ahead: 0,
            written_ahead: 0,
            clock_moves: false,
            story: None,
            kept: number("SIMULATION_SEED").map_or(STORY, |_| usize::MAX),
            economy: Economy::default(),
            limit,
            removals: Removals::new(options),
            dates: Dates::default(),
            arrivals: Vec::new(),
            tokens: Vec::new(),
            throttled: BTreeMap::new(),
            throttled_last: None,
            in_flight: BTreeSet::new(),
            intents: BTreeMap::new(),
            token_intents: 0,
            page_intents: 0,
            told: None,
            lifted: None,
            frozen: None,
        }
    }

    /// From now on the story is kept: most are never heard, and their words would cost more than what happens.
    pub fn listen(&mut self) {
        self.story = Some(VecDeque::new());
    }

    pub fn note(&mut self, now: Timestamp, what: impl FnOnce() -> String) {
        let Some(story) = &mut self.story else { return };
        if story.len() == self.kept {
            story.pop_front();
        }
        story.push_back(format!("{now} {}", what()));
    }

    pub fn story(&self) -> String {
        self.story.iter().flatten().cloned().collect::<Vec<_>>().join("\n")
    }

    /// Something went against a rule. Only the first of many is told.
    pub fn violate(&mut self, rule: Rule, now: Timestamp, what: String) {
        let of_time = self.clock_moves && matches!(rule, Rule::Pause | Rule::Budget | Rule::Disruptions);
        let rule = if of_time { Rule::Time } else { rule };
        self.note(now, || format!("VIOLATED {rule:?}: {what}"));
        if !self.violations.iter().any(|(violated, _)| *violated == rule) {
            self.violations.push((rule, format!("{now} {what}")));
        }
    }

    /// A process begins: what the one before it did not write down it does not know.
    pub fn begins(&mut self, durable: &Ledger, now: Timestamp) {
        self.in_flight.clear();
        (self.throttled, self.throttled_last) = (BTreeMap::new(), None);
        self.removals.begins();
        self.intents.clear();
        (self.token_intents, self.page_intents) = (0, 0);
        self.economy.died();
        self.told = self.durable_pause(durable).filter(|until| *until > now).map(|until| (now, until));
    }

    /// When the pause ends that the durable ledger knows of, by the time of the world.
    fn durable_pause(&self, durable: &Ledger) -> Option<Timestamp> {
        durable.pause.map(|pause| shifted(pause.until, -self.written_ahead))
    }

    /// The clock of the process was set.
    pub fn stepped(&mut self, step: ClockStep) {
        self.removals.lapse(step.from);
    }

    /// The process is shown what is wanted, and what policies say.
    pub fn shows(&mut self, wanted: &[Wanted; 2], policies: &Policies) {
        self.wanted.clone_from(wanted);
        self.removals.shows(policies);
    }

    /// The conductor hands a record to the journal.
    pub fn appended(&mut self, record: &Record, now: Timestamp) {
        self.economy.appended(record);
        self.corrected += usize::from(matches!(record, Record::Read { .. }));
        if let Record::Drifted { account, field, found: Some(found), .. } = record {
            self.violate(Rule::Truth, now, format!("{account} {field} {found} is taken for drift, and is none"));
        }
        if let Record::Intent { account, field, to, cause, .. } = record {
            // What people wrote about time is meant by the clock of the process.
            let wants = |wanted: &Wanted| wanted.get(account).is_some_and(|spec| self.dates.want(spec, record));
            if !self.wanted.iter().any(wants) {
                self.violate(
                    Rule::Wanted,
                    now,
                    format!("{account} {field} {to} is intended, and no manifest wants it"),
                );
            }
            if !to {
                let approved = cause.as_ref().is_some_and(|cause| cause.approval.is_some());
                for (rule, what) in self.removals.intended(*account, *field, approved, now, self.ahead) {
                    self.violate(rule, now, what);
                }
            }
        }
        if let Some(what) = self.removals.appended(record, now) {
            self.violate(Rule::Disruptions, now, what);
        }
        let specs = self.wanted.iter().map(|wanted| wanted.get(&record.account()?));
        if let Some(what) = self.dates.appended(record, specs) {
            self.violate(Rule::Ended, now, what);
        }
        match record {
            Record::PauseLifted { pause, .. } if self.lifted == Some(pause.until) => self.told = None,
            Record::PauseLifted { pause, .. } => {
                self.violate(Rule::Pause, now, format!("{pause:?} is lifted without an order"));
            }
            _ => {}
        }
    }

    /// A record reached the disk.
    pub fn durable(&mut self, record: &Record) {
        self.economy.durable(record);
        self.removals.durable(record, self.ahead);
        match record {
            Record::Intent { account, field, to, .. } => drop(self.intents.insert((*account, *field), *to)),
            Record::TokenRequest { .. } => self.token_intents += 1,
            Record::ReadRequest { .. } => self.page_intents += 1,
            _ => {}
        }
    }

    /// What the ledger claims is what the world is.
    pub fn truth(&mut self, ledger: &Ledger, world: &World, now: Timestamp) {
        for (account, row) in &ledger.accounts {
            for field in Field::ALL {
                let Some(is) = actual(world, *account, field) else { continue };
                if row.known(field) == Known::Applied(!is) {
                    self.violate(
                        Rule::Truth,
                        now,
                        format!("the ledger says {account} {field} {}, the world is {is}", !is),
                    );
                }
            }
        }
    }

    /// A request leaves the process.
    pub fn departs(&mut self, kind: Kind, durable: &Ledger, now: Timestamp) {
        let put = kind.put();
        self.departed += 1;
        self.departed_last = now;
        if let Some((since, freeze)) =
            self.frozen.clone().filter(|(since, freeze)| *since < now && !freeze.is_over(now))
        {
            self.violate(Rule::Freeze, now, format!("{put:?} leaves, and since {since} everything is {freeze}"));
        }
        if let Some((_, until)) = self.told.filter(|(told, until)| *told < now && now < *until) {
            self.violate(Rule::Pause, now, format!("{put:?} leaves during a pause until {until}"));
        }
        let durable_pause = self.durable_pause(durable);
        if durable_pause.is_some_and(|until| until > now) && self.told.is_none_or(|(told, _)| told < now) {
            self.violate(Rule::Pause, now, format!("{put:?} leaves before it is durable that the pause was lifted"));
        }
        let Some(Put { account, field, to }) = put else {
            let intents = if kind == Kind::Page { &mut self.page_intents } else { &mut self.token_intents };
            match intents.checked_sub(1) {
                Some(left) => *intents = left,
                None => {
                    let what = format!("a request ({kind:?}) leaves before its record is durable");
                    self.violate(Rule::IntentFirst, now, what);
                }
            }
            return;
        };
        if !self.in_flight.insert(account) {
            self.violate(Rule::OneInFlight, now, format!("{account} has two requests in flight"));
        }
        let intended = self.intents.remove(&(account, field)) == Some(to);
        if let Some(objection) = self.economy.objection(Put { account, field, to }, now) {
            self.violate(Rule::Economy, now, format!("{account} {field} {to} leaves without need: {objection}"));
        }
        if !intended || durable.known(account, field) != Known::InDoubt {
            self.violate(Rule::IntentFirst, now, format!("{account} {field} {to} leaves before its intent is durable"));
        }
    }

    /// A request reaches the service, or its sender gives up.
    pub fn counted(&mut self, kind: Kind, now: Timestamp) {
        self.arrivals.push(now);
        if let Some(limit) = self.limit.filter(|limit| crowded(&self.arrivals, limit.count as usize, limit.per)) {
            self.violate(Rule::Budget, now, format!("more requests than {limit}"));
        }
        if kind == Kind::Token {
            self.tokens.push(now);
            if crowded(&self.tokens, TOKEN_REQUESTS, TOKEN_WINDOW) {
                self.violate(Rule::Budget, now, "more token requests than ten in ten minutes".into());
            }
        }
    }

    /// An answer, or the lack of one, reaches the process.
    pub fn returned(&mut self, put: Option<Put>, reply: Option<&Reply>, now: Timestamp) {
        if let Some(put) = put {
            self.in_flight.remove(&put.account);
        }
        let Some(reply) = reply else { return };
        let body = String::from_utf8_lossy(&reply.body);
        if self.is_of_one_account(put, reply, &body) {
            return;
        }
        if body.contains("Access Denied") {
            self.violate(Rule::Budget, now, "the token endpoint was asked too often".into());
        }
        if let Some(wait) = wait(reply, &body) {
            let until = self.told.map_or(now, |(_, until)| until);
            if now + wait > until {
                self.told = Some((now, now + wait));
                self.note(now, || format!("told to wait {}", humantime::format_duration(wait)));
            }
        }
    }

    /// Whether the reply asks an account alone to wait: it was asked before, and another one was accepted since, twice, or
    /// with the answer before this one; or others are known to be asked alone, and that answer accepted something.
    fn is_of_one_account(&mut self, put: Option<Put>, reply: &Reply, body: &str) -> bool {
        let Some(Put { account, .. }) = put else { return false };
        if wait(reply, body).is_some() {
            let before = self.throttled_last.replace(account);
            let others_are = self.throttled.iter().any(|(other, (.., alone))| *other != account && *alone);
            let (others_accepted, again, alone) = self.throttled.entry(account).or_default();
            *again += u32::from(std::mem::take(others_accepted));
            *alone = match before {
                _ if *again > 1 => true,
                Some(before) => before == account && *alone,
                None => *again == 1 || others_are,
            };
            return *alone;
        }
        let is_refused = matches!(reply.status, 400..500) && !matches!(reply.status, 401 | 408);
        if is_refused || reply.status == 200 && body.contains(r#""code":200"#) {
            self.throttled.remove(&account);
            self.throttled.values_mut().for_each(|(others_accepted, ..)| *others_accepted = true);
            self.throttled_last = None;
        }
        false
    }
}

/// Whether the newest of `moments` is one too many.
fn crowded(moments: &[Timestamp], count: usize, per: Duration) -> bool {
    let Some(newest) = moments.last() else { return false };
    moments.len().checked_sub(count + 1).is_some_and(|at| moments[at] + per > *newest)
}
