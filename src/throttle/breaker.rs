//! Whether the service is in trouble, and when it is asked again.
//!
//! In: how the PUT of which account ended. Out: whether a PUT may start, and whether it probes.
//! Invariants: one account that fails, however often, neither opens the breaker nor makes others wait longer; nor does one
//! that is refused. Several accounts that are refused alike, with none accepted in between, have one cause, as a wrong
//! `zoid` or a lost right, until a probe is refused otherwise, or as many fail as tell of the service. With the breaker open one request goes at a time, until the service accepts one.
//! Absent by design: pauses that the service imposes, and which account probes.

use std::time::Duration;

use super::{Admission, Wait};
use crate::account::AccountId;
use crate::change::Outcome;
use crate::condition::Reason;
use crate::ledger::OutageKind;
use crate::queue::Backoff;
use crate::timestamp::{ClockStep, Timestamp};
use crate::zoho::{Answer, Code};

/// So many different accounts that fail, with no success of any in between, open the breaker. Accounts, not failures: one
/// that fails again and again says nothing of the service. Five, because with the default concurrency of four one lost
/// connection can fail four requests at once.
pub(super) const BREAKER_ACCOUNTS: usize = 5;

/// So many different accounts that are refused alike, with none accepted in between, have one cause. Twice as many as fail:
/// the mailboxes of several people who left at once may be gone.
pub(super) const REFUSED_ALIKE: usize = 10;

/// So many probes that failed in a row, where those of one account after the other count as one, tell of the service even
/// if it was one request that opened the breaker, as after a pause or a restart. Fewer may be one account's.
const FAILED_PROBES: u32 = 3;

/// What opens the breaker of a new process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// One request failed, or its end is not known, or a pause ended.
    ByOne,
    /// Several accounts were refused alike, for this reason and with this code.
    Alike(Reason, Code),
}

/// How a PUT ended, as far as it tells of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was accepted, or the service is well and has everybody wait.
    Well,
    /// It was refused for good, for this reason and with this code.
    Refused(Reason, Code),
    /// The same, of what was refused for good before.
    RefusedAgain(Reason, Code),
    /// It failed, or nothing is known of its end.
    Failed,
}

impl Ended {
    /// The same, of what was refused for good before.
    #[must_use]
    pub const fn again(self) -> Self {
        match self {
            Self::Refused(reason, code) => Self::RefusedAgain(reason, code),
            other => other,
        }
    }

    /// What `answer` tells.
    pub fn by(answer: &Answer) -> Self {
        match &answer.outcome {
            Outcome::Applied | Outcome::Paused(..) => Self::Well,
            Outcome::Rejected(failure) => Self::Refused(failure.reason, answer.code),
            Outcome::Retry(_) | Outcome::InDoubt(_) => Self::Failed,
        }
    }
}

/// The time from the opening of the breaker to its first probe, in shortest waits of an account (`--retry-min`). Five
/// seconds with the default of one.
const PROBE_FACTOR: u32 = 5;

/// The longest time between two probes, however long an account may wait (`--retry-max`): everybody waits for them.
const PROBE_MAX: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// With the accounts whose PUTs ended alike since any ended otherwise, too few to open it.
    Closed {
        accounts: Vec<AccountId>,
        ended: Ended,
    },
    Open {
        until: Timestamp,
        trouble: Trouble,
    },
    Probing {
        since: Timestamp,
        trouble: Trouble,
    },
}

/// What the probes came to since the breaker opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trouble {
    /// How many failed in a row, where those of one account after the other count as one: else an account that always
    /// fails, and has no company, would have the others wait longer and longer.
    probes: u32,
    /// The account of the last one that failed.
    last: Option<AccountId>,
    /// How the PUTs ended that opened the breaker: failed, or refused alike.
    ended: Ended,
    /// How many of the probes failed in a row, if what opened it is that accounts were refused alike.
    failed: u32,
    /// Several accounts opened it, not one request.
    several: bool,
}

impl Trouble {
    /// What one request tells, as after a pause, or what `several` tell that ended so.
    const fn new(ended: Ended, several: bool) -> Self {
        Self { probes: 0, last: None, ended, failed: 0, several }
    }

    /// With a probe that ended in trouble as well. Accounts that were refused alike are one cause until so many probes in a
    /// row fail as tell of the service.
    fn and(self, account: AccountId, ended: Ended) -> Self {
        let more = u32::from(self.last != Some(account));
        let failed = if ended == Ended::Failed { self.failed.saturating_add(more) } else { 0 };
        let ended = if failed < FAILED_PROBES { self.ended } else { Ended::Failed };
        Self { probes: self.probes.saturating_add(more), last: Some(account), ended, failed, ..self }
    }
}

const CLOSED: State = State::Closed { accounts: Vec::new(), ended: Ended::Well };

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    state: State,
    probes: Backoff,
}

impl Breaker {
    /// Open from the start if the service was in trouble, and then it is probed at once. The next probe comes after five
    /// times the minimum of an account's `backoff`, each further one after twice as long, up to its maximum and to five
    /// minutes.
    pub(super) fn new(opened: Option<Opened>, backoff: Backoff, now: Timestamp) -> Self {
        let trouble = opened.map(|opened| match opened {
            Opened::ByOne => Trouble::new(Ended::Failed, false),
            Opened::Alike(reason, code) => Trouble::new(Ended::Refused(reason, code), true),
        });
        let state = trouble.map_or(CLOSED, |trouble| State::Open { until: now, trouble });
        let probes = Backoff { min: backoff.min.saturating_mul(PROBE_FACTOR), max: backoff.max.min(PROBE_MAX) };
        Self { state, probes }
    }

    /// Whether a PUT may start at `now`.
    pub(super) fn admit(&self, now: Timestamp) -> Admission {
        match self.state {
            State::Open { until, .. } if until > now => Admission::At(until, Wait::Breaker),
            State::Probing { .. } => Admission::AfterAnother(Wait::Probe),
            State::Open { .. } | State::Closed { .. } => Admission::Now,
        }
    }

    /// A PUT begins.
    pub(super) fn begin(&mut self, now: Timestamp) {
        if let State::Open { trouble, .. } = self.state {
            self.state = State::Probing { since: now, trouble };
        }
    }

    /// Whether what was `begun` may still leave: nobody probes, or it is the probe.
    pub(super) fn may_leave(&self, begun: Timestamp) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { .. } => false,
            State::Probing { since, .. } => begun >= since,
        }
    }

    /// A PUT that was `begun` never left.
    pub(super) fn cancel(&mut self, begun: Timestamp, now: Timestamp) {
        if let State::Probing { since, trouble } = self.state
            && begun >= since
        {
            self.state = State::Open { until: now, trouble };
        }
    }

    /// A PUT to `account` that was `begun` `ended` at `now`. Returns whether the breaker opened by it.
    pub(super) fn end(&mut self, account: AccountId, begun: Timestamp, ended: Ended, now: Timestamp) -> bool {
        let ended = match (&self.state, ended) {
            // Ten people who left long ago are no news, however close together they are tried again.
            (State::Closed { .. }, Ended::RefusedAgain(..)) => return false,
            (_, Ended::RefusedAgain(reason, code)) => Ended::Refused(reason, code),
            (_, ended) => ended,
        };
        let trouble = match (&mut self.state, ended) {
            // Requests that were under way when it opened, or when the probe began, tell nothing new.
            (State::Open { .. }, _) => return false,
            (State::Probing { since, .. }, _) if begun < *since => return false,
            (State::Probing { trouble, .. }, _) if ended == Ended::Failed || ended == trouble.ended => {
                trouble.and(account, ended)
            }
            (State::Closed { .. } | State::Probing { .. }, Ended::Well) => {
                self.state = CLOSED;
                return false;
            }
            (State::Closed { accounts, ended: before }, _) => {
                if *before != ended {
                    (*accounts, *before) = (Vec::new(), ended);
                }
                if !accounts.contains(&account) {
                    accounts.push(account);
                }
                if accounts.len() < if ended == Ended::Failed { BREAKER_ACCOUNTS } else { REFUSED_ALIKE } {
                    return false;
                }
                Trouble::new(ended, true).and(account, ended)
            }
            // The service works, or refuses for more than one cause.
            (State::Probing { .. }, _) => {
                self.state = State::Closed { accounts: vec![account], ended };
                return false;
            }
        };
        // Without jitter: there is one service, and nothing to spread.
        let until = now + self.probes.delay(trouble.probes, 1.0);
        self.state = State::Open { until, trouble };
        true
    }

    /// Somebody who may have mended what several accounts tell of: the next probe does not wait.
    pub(super) fn ask_now(&mut self, now: Timestamp) {
        if let State::Open { until, .. } = &mut self.state {
            *until = now.min(*until);
        }
    }

    /// Lets the next PUT go alone, and the others only after the service accepted it.
    pub(super) fn probe_next(&mut self, now: Timestamp) {
        let trouble = match self.state {
            State::Closed { .. } => Trouble::new(Ended::Failed, false),
            State::Probing { trouble, .. } => trouble,
            State::Open { .. } => return,
        };
        self.state = State::Open { until: now, trouble };
    }

    /// What is wrong with the service, once several accounts tell so.
    pub(super) fn trouble(&self) -> Option<OutageKind> {
        let (State::Open { trouble, .. } | State::Probing { trouble, .. }) = self.state else { return None };
        let is_known = trouble.several || trouble.probes >= FAILED_PROBES;
        let kind = if trouble.ended == Ended::Failed { OutageKind::ServiceFails } else { OutageKind::RefusesAlike };
        is_known.then_some(kind)
    }

    /// Whether the next PUT goes alone, as a probe.
    pub(super) const fn probes_next(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Whether the next PUT is a probe that tries a grant first: every other one, so that neither removals nor grants that
    /// always fail are all that is ever tried.
    pub(super) fn probes_with_grant(&self) -> bool {
        matches!(self.state, State::Open { trouble, .. } if trouble.probes % 2 == 1)
    }

    /// The wall clock was set.
    pub(super) fn carry(&mut self, step: ClockStep) {
        match &mut self.state {
            State::Closed { .. } => {}
            State::Open { until: at, .. } | State::Probing { since: at, .. } => *at = step.carry(*at),
        }
    }

    /// How many probes failed in a row; 0 while the breaker is closed.
    pub(super) const fn failed_probes(&self) -> u32 {
        match self.state {
            State::Closed { .. } => 0,
            State::Open { trouble, .. } | State::Probing { trouble, .. } => trouble.probes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_again_tells_of_the_service_only_where_it_probes() {
        let (refused, at) = (Ended::Refused(Reason::AccountNotFound, Code::Http(404)), Timestamp::from_millis(1));
        let mut breaker = Breaker::new(None, Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) }, at);
        let mut end = |n: u64, ended| {
            breaker.begin(at);
            breaker.end(AccountId::new(n).unwrap(), at, ended, at)
        };
        assert!((1..=30).all(|n| !end(n, refused.again())), "gone long ago");
        assert!((1..=9).all(|n| !end(n, refused)) && end(10, refused), "ten that nothing was known of");
        breaker.ask_now(at);
        breaker.begin(at);
        assert!(breaker.end(AccountId::new(11).unwrap(), at, refused.again(), at), "a probe");
        assert_eq!(breaker.trouble(), Some(OutageKind::RefusesAlike));
    }

    #[test]
    fn accounts_that_were_refused_alike_are_one_cause_until_three_probes_fail_or_one_is_refused_otherwise() {
        let refused = |code| Ended::Refused(Reason::Forbidden, Code::Http(code));
        let at = |n: u64| Timestamp::from_millis(n * 1_000_000);
        let end = |breaker: &mut Breaker, n: u64, ended| {
            breaker.begin(at(n));
            breaker.end(AccountId::new(n).unwrap(), at(n), ended, at(n));
            breaker.trouble()
        };
        let alike = || {
            let mut breaker = Breaker::new(None, Backoff::default(), at(0));
            for n in 1..=10 {
                end(&mut breaker, n, refused(403));
            }
            breaker
        };
        let mut breaker = alike();
        for (n, ended, trouble) in [
            (20, Ended::Failed, Some(OutageKind::RefusesAlike)),
            (21, Ended::Failed, Some(OutageKind::RefusesAlike)),
            (22, refused(403), Some(OutageKind::RefusesAlike)),
            (23, Ended::Failed, Some(OutageKind::RefusesAlike)),
            (24, Ended::Failed, Some(OutageKind::RefusesAlike)),
            (25, Ended::Failed, Some(OutageKind::ServiceFails)),
            (26, Ended::Failed, Some(OutageKind::ServiceFails)),
            (27, refused(403), None),
        ] {
            assert_eq!(end(&mut breaker, n, ended), trouble, "probe {n}");
        }
        let mut breaker = alike();
        assert_eq!(end(&mut breaker, 20, refused(404)), None, "not all are refused alike");
        assert_eq!(breaker.admit(at(20)), Admission::Now);
    }
}
