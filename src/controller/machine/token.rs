//! One access token for everybody.
//!
//! In: credentials, token answers, refusals. Out: [`Need`], what has to happen before the next PUT.
//! Invariants: one token request at a time; a token that works for others is not replaced because one
//! account's requests are refused; a refused token is replaced once, and only when a fresh one is refused for another
//! account as well, or there is no other, all requests stop; then credentials are tried again at growing intervals;
//! secrets are never printed. Absent by design: the request itself, its budget, and where credentials are read.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::account::AccountId;
use crate::change::Failure;
use crate::queue::Backoff;
use crate::timestamp::{ClockStep, Timestamp};
use crate::zoho::{AccessToken, Credentials, RefreshCredentials};

/// A token is renewed this long before it expires: longer than any request with it can last.
const RENEW_EARLY: Duration = Duration::from_secs(5 * 60);

/// How long credentials that do not work wait for the next trial: an operator who corrects them at the service waits a
/// minute at first; later a trial every ten minutes costs one of the ten token requests in that time.
const TRIALS: Backoff = Backoff { min: Duration::from_secs(60), max: Duration::from_secs(600) };

/// The same where they cannot be read: a file is empty for a moment while it is replaced, and reading it costs nothing.
const READS: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(5) };

/// How often an access token that was given by itself is read again: as often as one that is requested expires.
const STATIC_READS: Duration = Duration::from_secs(3600);

/// So many different accounts whose PUTs a fresh token is refused for, with none accepted in between, say that it is not
/// about them: two that lose something and two that are granted something.
const SUSPECTS: usize = 4;

/// The same where the credentials were accepted for some account before: the others may be idle, and tell nothing. Of
/// accounts that were accepted themselves [`SUSPECTS`] are enough then as well: what is new is not about each of them.
const SUSPECTS_PROVEN: usize = 16;

/// What a refusal of a token means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It was a token from before the one in hand.
    Late,
    /// The token is replaced: the next PUT asks for a fresh one.
    Replaced,
    /// As far as is known, it is about the account alone: others try the token.
    OfAccount,
    /// The credentials do not work.
    OfCredentials,
}

/// The accounts beside one whose token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// There is none.
    None,
    /// None of them has anything to send now.
    Idle,
    /// The PUT of one could go next.
    Ready,
}

/// What has to happen before the next PUT may start.
#[derive(Debug, PartialEq)]
pub(super) enum Need {
    /// Nothing: there is a token.
    Nothing,
    /// The credentials have to be read: [`Tokens::read`].
    Credentials,
    /// A token has to be requested with what was read: [`Tokens::begin`].
    Request,
    /// The request under way has to end.
    Patience,
    /// Not before this moment: the last request failed.
    Until(Timestamp),
    /// Other credentials.
    Others(Failure),
}

#[derive(Debug)]
enum State {
    Absent,
    Requested,
    Valid { token: AccessToken, renew_at: Option<Timestamp> },
    Failed { until: Timestamp },
    Refused { failure: Failure, until: Timestamp },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tokens {
    /// As they were read last.
    credentials: Option<RefreshCredentials>,
    /// They were read since the last [`Tokens::need`].
    fresh: bool,
    state: State,
    /// Counts tokens, so that a late refusal of an old one is not taken for one of the new.
    generation: u64,
    /// The token before this one was refused, and this one has not been accepted yet.
    doubted: bool,
    /// A PUT with this token was accepted.
    works: bool,
    /// A PUT with a token of these credentials was accepted since they were last said not to work.
    proven: bool,
    /// The accounts whose PUTs were refused since the last that was accepted, with this token or the one before.
    suspects: Vec<AccountId>,
    /// How many of them were accepted before.
    accepted_before: usize,
    /// Those that were refused with a token that was accepted for others: what they are answered says nothing of it.
    alone: BTreeSet<AccountId>,
    /// How often in a row the credentials did not work.
    trials: u32,
    /// An edit had them tried again before the time of the next trial.
    hastened: bool,
    /// How many requests for a token failed in a row.
    failures: u32,
}

impl Tokens {
    /// No token yet.
    pub(super) const fn new() -> Self {
        Self {
            credentials: None,
            fresh: false,
            state: State::Absent,
            generation: 0,
            doubted: false,
            works: false,
            proven: false,
            suspects: Vec::new(),
            accepted_before: 0,
            alone: BTreeSet::new(),
            trials: 0,
            hastened: false,
            failures: 0,
        }
    }

    /// What the next PUT needs at `now`. What was read for an earlier one is not good enough for this one.
    pub(super) fn need(&mut self, now: Timestamp) -> Need {
        let fresh = std::mem::take(&mut self.fresh);
        match &self.state {
            State::Valid { renew_at, .. } if renew_at.is_none_or(|at| now < at) => Need::Nothing,
            State::Requested => Need::Patience,
            State::Failed { until } if *until > now => Need::Until(*until),
            State::Refused { failure, .. } => Need::Others(failure.clone()),
            State::Valid { .. } | State::Failed { .. } | State::Absent => {
                if fresh {
                    Need::Request
                } else {
                    Need::Credentials
                }
            }
        }
    }

    /// The credentials as they are now.
    pub(super) fn read(&mut self, credentials: Result<Credentials, Failure>, now: Timestamp) {
        match credentials {
            // It is read again as often as another one would be requested: nothing else tells that it was replaced, if only
            // accounts ask for it that are refused alone.
            Ok(Credentials::Token(token)) => self.accept(token, Some(now + STATIC_READS)),
            Ok(Credentials::Refresh(credentials)) => {
                self.credentials = Some(credentials);
                self.fresh = true;
                self.state = State::Absent;
            }
            Err(failure) => self.refuse(failure, READS, now),
        }
    }

    /// The token request is on its way.
    pub(super) fn begin(&mut self) {
        self.state = State::Requested;
    }

    /// The token request never left.
    pub(super) fn cancel(&mut self) {
        self.state = State::Absent;
    }

    /// What the request under way is made with.
    pub(super) fn credentials(&self) -> Option<RefreshCredentials> {
        self.credentials.clone()
    }

    /// The service granted a token.
    pub(super) fn granted(&mut self, token: AccessToken, expires_in: Duration, now: Timestamp) {
        self.answered();
        let early = RENEW_EARLY.min(expires_in / 2);
        self.accept(token, Some(now + expires_in.saturating_sub(early)));
    }

    fn accept(&mut self, token: AccessToken, renew_at: Option<Timestamp>) {
        self.generation += 1;
        self.works = false;
        self.state = State::Valid { token, renew_at };
    }

    /// The token request failed for reasons that pass. Returns how often in a row.
    pub(super) const fn failed(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// The endpoint answers as one for tokens does, whatever it says.
    pub(super) const fn answered(&mut self) {
        self.failures = 0;
    }

    /// Waits until `until` before the next request.
    pub(super) fn wait(&mut self, until: Timestamp) {
        self.state = State::Failed { until };
    }

    /// The wall clock was set.
    pub(super) fn carry(&mut self, step: ClockStep) {
        match &mut self.state {
            State::Valid { renew_at: Some(at), .. }
            | State::Failed { until: at }
            | State::Refused { until: at, .. } => *at = step.carry(*at),
            State::Valid { renew_at: None, .. } | State::Absent | State::Requested => {}
        }
    }

    /// What the next request waited for is over.
    pub(super) fn stop_waiting(&mut self) {
        if matches!(self.state, State::Failed { .. }) {
            self.state = State::Absent;
        }
    }

    /// The token in hand, with its generation.
    pub(super) const fn current(&self) -> Option<(&AccessToken, u64)> {
        match &self.state {
            State::Valid { token, .. } => Some((token, self.generation)),
            _ => None,
        }
    }

    /// A PUT of `account` with the token of `generation` was accepted: the credentials work, also where that token was
    /// replaced meanwhile, for it was refused to others and not to this one.
    pub(super) fn accepted(&mut self, generation: u64, account: AccountId) {
        self.alone.remove(&account);
        (self.trials, self.hastened) = (0, false);
        self.works |= generation == self.generation;
        (self.doubted, self.proven) = (false, true);
        self.accepted_before = 0;
        let others = std::mem::take(&mut self.suspects).into_iter().filter(|suspect| *suspect != account);
        self.alone.extend(others);
        if matches!(self.state, State::Refused { .. }) {
            self.state = State::Absent;
        }
    }

    /// A PUT of `account` with the token of `generation` was refused at `now`. `accepted_before`: something of it was
    /// acknowledged once; `others`: which other accounts there are, that could tell whose fault it is.
    pub(super) fn refused(
        &mut self,
        generation: u64,
        account: AccountId,
        accepted_before: bool,
        others: Others,
        failure: Failure,
        now: Timestamp,
    ) -> Refusal {
        if generation != self.generation || !matches!(self.state, State::Valid { .. }) {
            return Refusal::Late;
        }
        if others != Others::None && self.alone.contains(&account) {
            return Refusal::OfAccount;
        }
        let again = self.suspects.contains(&account);
        if !again {
            self.suspects.push(account);
            self.accepted_before += usize::from(accepted_before);
        }
        let are_enough = |suspects: usize| suspects >= SUSPECTS || again && suspects > 1;
        let by_several = match self.suspects.len() {
            suspects if self.proven => suspects >= SUSPECTS_PROVEN || are_enough(self.accepted_before),
            suspects => are_enough(suspects),
        };
        if self.doubted && (by_several || others == Others::None) {
            self.give_up(failure, now);
            return Refusal::OfCredentials;
        }
        let by_one = self.suspects.len() == 1 && !again;
        if self.doubted || self.works && by_one && others == Others::Ready {
            return Refusal::OfAccount;
        }
        self.doubted = true;
        self.state = State::Absent;
        Refusal::Replaced
    }

    /// The token of `generation` was refused to a read, which says nothing of PUTs: the next request asks for a fresh one.
    pub(super) fn renew(&mut self, generation: u64) {
        // One that PUTs were accepted with is not what is wrong, and requests in flight have it.
        if generation == self.generation && matches!(self.state, State::Valid { .. }) && !self.works {
            self.state = State::Absent;
        }
    }

    /// Whether so many were refused that the next one to be asked should be one from the other end of the queue: those at
    /// its beginning may be refused together.
    pub(super) const fn wants_another_end(&self) -> bool {
        self.suspects.len() >= SUSPECTS / 2
    }

    /// Whether the next PUT should be one that grants something, to tell whose fault a refusal is: removals go first, and
    /// they may be what is refused.
    pub(super) const fn wants_grant(&self) -> bool {
        self.suspects.len() % 2 == 1
    }

    /// No token from these credentials will do, as far as is known at `now`.
    pub(super) fn give_up(&mut self, failure: Failure, now: Timestamp) {
        self.refuse(failure, TRIALS, now);
    }

    fn refuse(&mut self, failure: Failure, trials: Backoff, now: Timestamp) {
        self.answered();
        self.proven = false;
        self.trials = self.trials.saturating_add(1);
        self.state = State::Refused { failure, until: now + trials.delay(self.trials, 1.0) };
    }

    /// Credentials that do not work are tried again, if it is time for that.
    pub(super) fn try_if_due(&mut self, now: Timestamp) {
        if self.next_trial().is_some_and(|until| until <= now) {
            self.hastened = false;
            self.try_again();
        }
    }

    /// When credentials that do not work are tried again.
    pub(super) const fn next_trial(&self) -> Option<Timestamp> {
        match self.state {
            State::Refused { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Credentials may have changed: they are read again.
    pub(super) fn try_again(&mut self) {
        if matches!(self.state, State::Refused { .. }) {
            self.state = State::Absent;
            self.doubted = true;
            // Each trial has its own: what the last one asked says nothing of those that it did not.
            self.suspects.clear();
            self.accepted_before = 0;
        }
    }

    /// Another account has something to send: if its PUTs were not refused, it tells whose fault it is. Once between two
    /// trials: each costs a token request, and edits may come by the hundred.
    pub(super) fn may_tell(&mut self, account: AccountId) {
        let is_refused = matches!(self.state, State::Refused { .. });
        if is_refused && !self.hastened && !self.suspects.is_empty() && !self.suspects.contains(&account) {
            self.hastened = true;
            self.try_again();
        }
    }
}

#[cfg(test)]
mod tests;
