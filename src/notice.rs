//! What is told to people, and when: the rules of notifications.
//!
//! In: the conductor's [`Report`] at a moment, again and again; what was told before. Out: at most one [`Notice`] that is
//! wanted now. Saying is one thing and having said another: only [`Rules::told`] makes it so.
//!
//! | what is seen | what is told |
//! |---|---|
//! | trouble that lasts longer than a blip | once, when it begins |
//! | more accounts in the same trouble | at most once an hour |
//! | trouble that goes on | a reminder once a day |
//! | no trouble any more, for longer than a blip | once, if any trouble was told |
//! | anything, while nothing changes | nothing |
//!
//! Invariants: at most [`POSTS_MAX`] attempts in any hour, whatever happens and however often the process starts; nothing
//! waits in a queue: what is told is how it is then. Deliberately absent: the clock, files and the network.

mod memory;
pub mod message;

/// The sums by which budgets hold something.
fn why_held(report: &Report) -> String {
    let words = |(by, verdict): (Direction, Verdict)| match by {
        Direction::TakesAway => verdict.to_string(),
        Direction::GivesBack => format!("{}: {verdict}", by.budget()),
    };
    let held: Vec<_> = report.verdicts().exceeded().map(words).collect();
    if held.is_empty() { report.disruptions.to_string() } else { held.join("; ") }
}

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::change::Direction;
use crate::guard::Verdict;
use crate::report::Report;
use crate::timestamp::{ClockStep, Timestamp};

pub use memory::Memory;
use memory::Told;

/// The most attempts to tell something within [`HOUR`]. A person reads a dozen, and mutes a hundred.
pub const POSTS_MAX: usize = 12;

/// Between two notices of one cause that only says how many; and the window of [`POSTS_MAX`].
pub const HOUR: Duration = Duration::from_secs(3600);

/// After this long, trouble that goes on is told again: once for every shift.
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// First wait after an attempt that failed; doubled with each further one.
const RETRY_MIN: Duration = Duration::from_secs(2);

/// Longest wait after an attempt that failed.
const RETRY_MAX: Duration = Duration::from_secs(600);

/// What can be wrong, the worst first: that nothing at all happens before that something does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Cause {
    /// The ledger cannot be written.
    LedgerUnavailable,
    /// The credentials do not work.
    CredentialsRefused,
    /// No access token can be had.
    TokenUnavailable,
    /// The service refuses one account after the other alike, and accepts none.
    RefusedAlike,
    /// The folder of manifests cannot be read.
    DesiredStateUnknown,
    /// The service rejected changes of accounts.
    AccountsStalled,
    /// The disruption budget holds what would be taken away.
    DisruptionsHeld,
}

impl Cause {
    /// All of them, the worst first.
    pub const ALL: [Self; 7] = [
        Self::LedgerUnavailable,
        Self::CredentialsRefused,
        Self::TokenUnavailable,
        Self::RefusedAlike,
        Self::DesiredStateUnknown,
        Self::AccountsStalled,
        Self::DisruptionsHeld,
    ];

    /// Whether it is about accounts, which have names.
    pub const fn has_accounts(self) -> bool {
        matches!(self, Self::AccountsStalled | Self::DisruptionsHeld)
    }
}

/// What a notice is to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub enum Phase {
    /// It began.
    New,
    /// More accounts are in the same trouble.
    More,
    /// It goes on.
    Reminder,
    /// All is well again.
    Resolved,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What is wrong; nothing, once all is well.
    pub cause: Option<Cause>,
    /// Whether it is news.
    pub phase: Phase,
    /// How many accounts; 0 where it is not about accounts.
    pub accounts: usize,
    /// The report's own words, of which strangers may have written some.
    pub why: String,
    /// Since when; of the end of all trouble, since when there was any.
    pub since: Timestamp,
}

/// Whether a cause is there.
enum Presence {
    Here {
        accounts: usize,
        why: String,
    },
    Gone,
    /// It cannot be told yet: what was rejected is tried again, or nothing was tried so far.
    Unclear,
}

/// A cause as it is now.
#[derive(Clone, Debug, Default)]
struct Seen {
    here: Option<Here>,
    gone: Option<Timestamp>,
    /// How many PUTs had been answered when it was last here.
    answered: u64,
}

#[derive(Clone, Debug)]
struct Here {
    since: Timestamp,
    accounts: usize,
    why: String,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How long trouble, or its absence, lasts before it is believed.
    settle: Duration,
    memory: Memory,
    seen: BTreeMap<Cause, Seen>,
    failures: u32,
    retry_at: Timestamp,
}

impl Rules {
    /// Rules that remember what was told. What lasts shorter than `settle` is a blip.
    pub fn new(settle: Duration, memory: Memory) -> Self {
        Self { settle, memory, seen: BTreeMap::new(), failures: 0, retry_at: Timestamp::default() }
    }

    /// What has to outlive this process.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Takes a look at `now`. Whether the memory changed: told trouble is over.
    pub fn see(&mut self, report: &Report, now: Timestamp) -> bool {
        let told = self.memory.told.len();
        for cause in Cause::ALL {
            let seen = self.seen.entry(cause).or_default();
            let is_told = self.memory.told.contains_key(&cause);
            match presence(cause, report, seen.answered) {
                Presence::Here { accounts, why } => {
                    let since = seen.here.as_ref().map_or(now, |here| here.since);
                    *seen = Seen {
                        here: Some(Here { since, accounts, why }),
                        gone: None,
                        answered: answered(cause, report),
                    };
                }
                Presence::Gone if is_told => {
                    seen.here = None;
                    if now.since(*seen.gone.get_or_insert(now)) >= self.settle {
                        self.memory.told.remove(&cause);
                    }
                }
                Presence::Gone | Presence::Unclear => (seen.here, seen.gone) = (None, None),
            }
        }
        self.memory.told.len() != told
    }

    /// What should be told at `now`; the same until it was told, or is no news any more.
    pub fn wanted(&self, now: Timestamp) -> Option<Notice> {
        let here = |cause: &Cause| Some((*cause, self.seen.get(cause)?.here.as_ref()?));
        if let Some(notice) = Cause::ALL.iter().filter_map(here).find_map(|(cause, here)| self.news(cause, here, now)) {
            return Some(notice);
        }
        let well = self.memory.told.is_empty() && Cause::ALL.iter().filter_map(here).next().is_none();
        let since = self.memory.troubled_since.filter(|_| well)?;
        Some(Notice { cause: None, phase: Phase::Resolved, accounts: 0, why: String::new(), since })
    }

    fn news(&self, cause: Cause, here: &Here, now: Timestamp) -> Option<Notice> {
        let told = self.memory.told.get(&cause);
        let phase = match told {
            None if now.since(here.since) >= self.settle => Phase::New,
            Some(told) if now.since(told.at) >= DAY => Phase::Reminder,
            Some(told) if here.accounts > told.accounts && now.since(told.at) >= HOUR => Phase::More,
            _ => return None,
        };
        let since = told.map_or(here.since, |told| told.since);
        Some(Notice { cause: Some(cause), phase, accounts: here.accounts, why: here.why.clone(), since })
    }

    /// Whether an attempt may be made at `now`.
    pub fn may_attempt(&self, now: Timestamp) -> bool {
        now >= self.retry_at && self.memory.posts_within_hour(now) < POSTS_MAX
    }

    /// An attempt begins at `now`. It counts whether it succeeds or not: nobody knows what a lost answer was.
    pub fn attempt(&mut self, now: Timestamp) {
        self.memory.posted(now);
    }

    /// `notice` was told at `now`.
    pub fn told(&mut self, notice: &Notice, now: Timestamp) {
        (self.failures, self.retry_at) = (0, Timestamp::default());
        let Notice { cause, phase: _, accounts, why: _, since } = notice;
        match cause {
            Some(cause) => {
                self.memory.told.insert(*cause, Told { since: *since, at: now, accounts: *accounts });
                self.memory.troubled_since.get_or_insert(*since);
            }
            None => self.memory.troubled_since = None,
        }
    }

    /// The wall clock was set: trouble began, and was reported, as long ago as before.
    pub fn carry(&mut self, step: ClockStep) {
        let carry = |at: &mut Timestamp| *at = step.carry(*at);
        for seen in self.seen.values_mut() {
            seen.here.as_mut().map(|here| &mut here.since).into_iter().chain(&mut seen.gone).for_each(carry);
        }
        carry(&mut self.retry_at);
        self.memory.carry(step);
    }

    /// The attempt failed at `now`: the next one waits.
    pub fn failed(&mut self, now: Timestamp) {
        let wait = RETRY_MIN.saturating_mul(2_u32.saturating_pow(self.failures)).min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now + wait;
    }
}

/// PUTs that the service answered in a way that ends `cause`: for good, which it does for no one whose credentials it
/// refuses; where it refuses all alike, only those that it accepted.
fn answered(cause: Cause, report: &Report) -> u64 {
    let rejected = if cause == Cause::RefusedAlike { 0 } else { report.totals.rejected };
    report.totals.applied + rejected
}

fn presence(cause: Cause, report: &Report, answered_before: u64) -> Presence {
    let failing = |why: &Option<String>| why.clone().map(|why| Presence::Here { accounts: 0, why });
    let several = |accounts| (accounts > 0).then(|| Presence::Here { accounts, why: String::new() });
    let idle = report.loaded && report.is_all_held();
    let (here, is_gone) = match cause {
        Cause::LedgerUnavailable => (failing(&report.ledger_error), true),
        // A restart, or another try, asks for a token only when there is something to send.
        Cause::CredentialsRefused => {
            (failing(&report.credentials_refused), idle || answered(cause, report) > answered_before)
        }
        // One that fails for the first time may be trouble that lasts, and is not over.
        Cause::TokenUnavailable => (
            failing(&report.token_outage().cloned()),
            report.token_unavailable.is_none() && (idle || answered(cause, report) > answered_before),
        ),
        // A restart has to find it out anew; only what is accepted tells that it is over.
        Cause::RefusedAlike => (failing(&report.refused_alike), idle || answered(cause, report) > answered_before),
        Cause::DesiredStateUnknown => (failing(&report.desired_unknown), report.loaded),
        // What stalled is tried again by and by: until all of it has ended, nothing is over.
        Cause::AccountsStalled => (several(report.rejected), idle),
        Cause::DisruptionsHeld => (
            several(report.held).map(|_| Presence::Here { accounts: report.held, why: why_held(report) }),
            report.loaded,
        ),
    };
    here.unwrap_or(if is_gone { Presence::Gone } else { Presence::Unclear })
}
