//! Whether the service is in trouble, and when it is asked again.
//!
//! In: how the PUT of which account ended. Out: whether a PUT may start, and whether it probes.
//! Invariants: one account that fails, however often, neither opens the breaker nor makes others wait longer; nor does one
//! that is refused. Several accounts that are refused alike, with none accepted in between, have one cause, as a wrong
//! `zoid` or a lost right. With the breaker open one request goes at a time, until the service accepts one.
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

/// How a PUT ended, as far as it tells of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was accepted, or the service is well and has everybody wait.
    Well,
    /// It was refused for good, for this reason and with this code.
    Refused(Reason, Code),
    /// It failed, or nothing is known of its end.
    Failed,
}

impl Ended {
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Trouble {
    /// How many failed in a row, where those of one account after the other count as one: else an account that always
    /// fails, and has no company, would have the others wait longer and longer.
    probes: u32,
    /// The account of the last one that failed.
    last: Option<AccountId>,
    /// What opened the breaker is that accounts were refused alike.
    refused: bool,
    /// Several accounts opened it, not one request.
    several: bool,
}

impl Trouble {
    fn and(self, account: AccountId) -> Self {
        let probes = if self.last == Some(account) { self.probes } else { self.probes.saturating_add(1) };
        Self { probes, last: Some(account), ..self }
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
    /// Open from the start if the service `was_in_trouble`. The first probe comes after five times the minimum of an
    /// account's `backoff`, each further one after twice as long, up to its maximum and to five minutes.
    pub(super) fn new(was_in_trouble: bool, backoff: Backoff, now: Timestamp) -> Self {
        let state = if was_in_trouble { State::Open { until: now, trouble: Trouble::default() } } else { CLOSED };
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
        let trouble = match (&mut self.state, ended) {
            // Requests that were under way when it opened, or when the probe began, tell nothing new.
            (State::Open { .. }, _) => return false,
            (State::Probing { since, .. }, _) if begun < *since => return false,
            (State::Probing { trouble, .. }, Ended::Failed) => trouble.and(account),
            (State::Probing { trouble, .. }, Ended::Refused(..)) if trouble.refused => trouble.and(account),
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
                let refused = ended != Ended::Failed;
                if accounts.len() < if refused { REFUSED_ALIKE } else { BREAKER_ACCOUNTS } {
                    return false;
                }
                Trouble { refused, several: true, ..Trouble::default() }.and(account)
            }
            (State::Probing { .. }, Ended::Refused(..)) => {
                self.state = State::Closed { accounts: vec![account], ended };
                return false;
            }
        };
        // Without jitter: there is one service, and nothing to spread.
        let until = now + self.probes.delay(trouble.probes, 1.0);
        self.state = State::Open { until, trouble };
        true
    }

    /// Lets the next PUT go alone, and the others only after the service accepted it.
    pub(super) fn probe_next(&mut self, now: Timestamp) {
        let trouble = match self.state {
            State::Closed { .. } => Trouble::default(),
            State::Probing { trouble, .. } => trouble,
            State::Open { .. } => return,
        };
        self.state = State::Open { until: now, trouble };
    }

    /// What is wrong with the service, once several accounts tell so.
    pub(super) fn trouble(&self) -> Option<OutageKind> {
        let (State::Open { trouble, .. } | State::Probing { trouble, .. }) = self.state else { return None };
        let is_known = trouble.several || trouble.probes >= FAILED_PROBES;
        let kind = if trouble.refused { OutageKind::RefusesAlike } else { OutageKind::ServiceFails };
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
