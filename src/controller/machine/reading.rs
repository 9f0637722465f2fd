//! The reading of the organization's accounts, page by page: before anything is sent, or beside it to find drift.
//!
//! In: pages that were asked for and answered. Out: which page is asked for next, and when; what was found.
//! Invariants: one page is under way at a time; PUTs wait for the end of a reading that goes first, and it always ends:
//! after [`APPLY_ATTEMPTS`] attempts at one page, or with an answer that no further attempt changes; one that goes beside
//! is spread over its interval, and waits for everything else.
//! Absent by design: what an account that was shown means for the ledger (see `on_page`).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::account::AccountId;
use crate::controller::{APPLY_ATTEMPTS, Settings};
use crate::observed::ObservedAccount;
use crate::report::ServiceRead;
use crate::timestamp::{ClockStep, Timestamp};
use crate::zoho::{Extent, Page, Paging, Principal, Window};

/// How far the page has come that is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is not asked for before this moment.
    Due(Timestamp),
    /// That it is asked for since then is on the way to the disk.
    Begun(Timestamp),
    /// It was asked for then, with this access token.
    Sent(Timestamp, u64),
    /// All is read, or nothing more is going to be.
    Over,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Reading {
    principal: Principal,
    paging: Paging,
    stage: Stage,
    /// PUTs wait for it.
    goes_first: bool,
    /// Over how long it is spread, if it goes beside everything else.
    interval: Duration,
    /// When it began.
    began: Timestamp,
    /// How often in a row the page was not had.
    attempts: u32,
    found: ServiceRead,
    /// How many accounts were logged one by one.
    logged: usize,
    /// The accounts that it is about, if not about all.
    only: Option<BTreeSet<AccountId>>,
    /// All accounts that were read, if they are asked for.
    accounts: Option<Vec<ObservedAccount>>,
}

impl Reading {
    /// One that is about to begin, of what `principal` may see. `keeps`: the accounts are handed out at the end.
    pub(super) fn new(principal: Principal, keeps: bool, now: Timestamp) -> Self {
        let (paging, stage, found) = (Paging::new(principal), Stage::Due(now), ServiceRead::default());
        let (accounts, interval) = (keeps.then(Vec::new), Duration::ZERO);
        Self {
            principal,
            paging,
            stage,
            goes_first: true,
            interval,
            began: now,
            attempts: 0,
            found,
            logged: 0,
            only: None,
            accounts,
        }
    }

    /// One that goes beside everything else, from `now` on, and ends within `interval` if nothing holds it up.
    fn beside(principal: Principal, interval: Duration, now: Timestamp) -> Self {
        Self { goes_first: false, interval, ..Self::new(principal, false, now) }
    }

    /// The reading that a process begins with, if it makes one.
    pub(super) fn first(settings: &Settings, now: Timestamp) -> Option<Self> {
        let first = settings.refresh.map(|principal| Self::new(principal, settings.mode.only_reads(), now));
        first.or_else(|| settings.drift_interval.map(|(interval, principal)| Self::beside(principal, interval, now)))
    }

    /// The one that follows this one, if drift is looked for.
    pub(super) fn next(&self, settings: &Settings, now: Timestamp) -> Option<Self> {
        let (interval, principal) = settings.drift_interval?;
        Some(Self::beside(principal, interval, now.max(self.began + interval)))
    }

    /// How long it waits between two pages, if there are so many accounts.
    fn pace(&self, accounts: usize) -> Duration {
        let pages = accounts.max(self.paging.read()) / self.paging.window().limit as usize;
        self.interval / u32::try_from(pages).unwrap_or(u32::MAX).saturating_add(2)
    }

    /// Whether PUTs wait for it.
    pub(super) const fn goes_first(&self) -> bool {
        self.goes_first
    }

    /// It is about these accounts alone.
    pub(super) fn restrict(&mut self, accounts: &BTreeSet<AccountId>) {
        self.only = Some(accounts.clone());
    }

    /// Whether it is about the account.
    pub(super) fn is_about(&self, account: AccountId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&account))
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Whether a page is asked for, or about to be.
    pub(super) const fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::Begun(_) | Stage::Sent(..))
    }

    /// When the next page is due, if none is under way.
    pub(super) const fn due(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Due(at) => Some(at),
            Stage::Begun(_) | Stage::Sent(..) | Stage::Over => None,
        }
    }

    /// The page is going to be asked for when that is on the disk.
    pub(super) const fn begin(&mut self, now: Timestamp) {
        self.stage = Stage::Begun(now);
    }

    /// When the page was begun that did not leave yet, if one is.
    pub(super) const fn unsent(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Begun(begun) => Some(begun),
            Stage::Due(_) | Stage::Sent(..) | Stage::Over => None,
        }
    }

    /// The page did not leave, and is due again.
    pub(super) const fn cancel(&mut self, now: Timestamp) {
        self.stage = Stage::Due(now);
    }

    /// The page leaves with the token of this generation. Returns which it is.
    pub(super) const fn send(&mut self, begun: Timestamp, token: u64) -> Window {
        self.stage = Stage::Sent(begun, token);
        self.found.requests += 1;
        self.paging.window()
    }

    /// The page was answered: when it was begun, and the generation of its token.
    pub(super) const fn answered(&mut self, now: Timestamp) -> Option<(Timestamp, u64)> {
        match self.stage {
            Stage::Sent(begun, token) => {
                self.stage = Stage::Due(now);
                Some((begun, token))
            }
            Stage::Due(_) | Stage::Begun(_) | Stage::Over => None,
        }
    }

    /// The organization of an account on the page, if it is another one than was asked for.
    fn foreign(&self, page: &Page) -> Option<Box<str>> {
        let Principal::Admin(ours) = self.principal else { return None };
        let theirs = page.accounts.iter().filter_map(|account| account.zoid).find(|theirs| *theirs != ours)?;
        Some(format!("asked for organization {ours}, the service lists accounts of {theirs}; check --zoid").into())
    }

    /// Takes in a page: keeps in it those accounts that no page before it showed. So many accounts are expected in all.
    pub(super) fn take(&mut self, page: &mut Page, expected: usize) {
        self.attempts = 0;
        if let Some(why) = self.foreign(page) {
            *page = Page::default();
            return self.end(why);
        }
        let extent = self.paging.take(page);
        self.found.accounts = self.paging.read();
        if let Some(accounts) = &mut self.accounts {
            accounts.extend(page.accounts.iter().cloned());
        }
        let has_all = self.only.as_ref().is_some_and(|only| only.iter().all(|account| self.paging.has(*account)));
        match extent {
            _ if has_all => self.stage = Stage::Over,
            Extent::More => {
                if let Stage::Due(now) = self.stage {
                    self.stage = Stage::Due(now + self.pace(expected));
                }
            }
            Extent::Whole => self.stage = Stage::Over,
            Extent::Partial(why) => self.end(why.into()),
        }
    }

    /// Whether one more account may be logged by itself, of `most`.
    pub(super) const fn logs_one_more(&mut self, most: usize) -> bool {
        self.logged += 1;
        self.logged <= most
    }

    /// Whether the page under way is the first attempt at it.
    pub(super) const fn is_first_attempt(&self) -> bool {
        self.attempts == 0
    }

    /// The page was not had for a reason that may pass. Returns how often in a row, unless that is the end of it.
    pub(super) fn fail(&mut self, why: &str, timed_out: bool) -> Option<u32> {
        self.attempts += 1;
        if timed_out && self.paging.shorten() {
            // A page half as long is another one.
            self.attempts = 1;
        }
        if self.attempts >= APPLY_ATTEMPTS {
            self.end(why.into());
            return None;
        }
        Some(self.attempts)
    }

    /// The next attempt waits.
    pub(super) fn wait(&mut self, now: Timestamp, wait: Duration) {
        self.stage = Stage::Due(now + wait);
    }

    /// It ends before all is read.
    pub(super) fn end(&mut self, why: Box<str>) {
        self.stage = Stage::Over;
        self.found.incomplete = Some(why);
    }

    /// What was found so far.
    pub(super) const fn found(&self) -> &ServiceRead {
        &self.found
    }

    pub(super) const fn found_mut(&mut self) -> &mut ServiceRead {
        &mut self.found
    }

    /// Whether the account was on a page.
    pub(super) fn has(&self, account: AccountId) -> bool {
        self.paging.has(account)
    }

    /// Hands out the accounts that were kept.
    pub(super) fn into_parts(self) -> (ServiceRead, Vec<ObservedAccount>) {
        (self.found, self.accounts.unwrap_or_default())
    }

    /// The wall clock was set.
    pub(super) const fn carry(&mut self, step: ClockStep) {
        self.began = step.carry(self.began);
        match &mut self.stage {
            Stage::Due(at) | Stage::Begun(at) | Stage::Sent(at, _) => *at = step.carry(*at),
            Stage::Over => {}
        }
    }
}
