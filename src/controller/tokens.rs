//! One access token for everybody.
//!
//! In: credentials, token answers, refusals. Out: [`Need`], what has to happen before the next PUT.
//! Invariants: one token request at a time, whoever needs it; a refused token is replaced once, and
//! a second refusal stops everybody until the resync or a new signal to try; secrets are never
//! printed. Absent by design: the request itself, and its budget.

use std::time::Duration;

use crate::change::Failure;
use crate::condition::Reason;
use crate::timestamp::Timestamp;
use crate::zoho::{AccessToken, CredentialSource, Credentials, RefreshCredentials};

/// A token is renewed this long before it expires: longer than any request with it can last.
pub const RENEW_EARLY: Duration = Duration::from_secs(5 * 60);

/// What has to happen before the next PUT may start.
#[derive(Debug)]
pub enum Need {
    /// Nothing: there is a token.
    Nothing,
    /// A token has to be requested with [`Tokens::begin`].
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
    Refused(Failure),
}

/// See the module.
#[derive(Debug)]
pub struct Tokens {
    source: CredentialSource,
    credentials: Option<RefreshCredentials>,
    state: State,
    /// Counts tokens, so that a late refusal of an old one is not taken for one of the new.
    generation: u64,
    /// The token before this one was refused, and this one has not been accepted yet.
    doubted: bool,
    failures: u32,
}

impl Tokens {
    /// No token yet.
    pub const fn new(source: CredentialSource) -> Self {
        Self { source, credentials: None, state: State::Absent, generation: 0, doubted: false, failures: 0 }
    }

    /// What the next PUT needs at `now`. Reads the credentials (environment, files) when a token is needed.
    pub fn need(&mut self, now: Timestamp) -> Need {
        match &self.state {
            State::Valid { renew_at, .. } if renew_at.is_none_or(|at| now < at) => return Need::Nothing,
            State::Requested => return Need::Patience,
            State::Failed { until } if *until > now => return Need::Until(*until),
            State::Refused(failure) => return Need::Others(failure.clone()),
            State::Valid { .. } | State::Failed { .. } | State::Absent => {}
        }
        match self.source.load() {
            Ok(Credentials::Token(token)) => {
                self.accept(token, None);
                Need::Nothing
            }
            Ok(Credentials::Refresh(credentials)) => {
                self.credentials = Some(credentials);
                self.state = State::Absent;
                Need::Request
            }
            Err(error) => {
                let failure = Failure { reason: Reason::Unauthorized, message: error.to_string().into() };
                self.state = State::Refused(failure.clone());
                Need::Others(failure)
            }
        }
    }

    /// The token request is on its way.
    pub fn begin(&mut self) {
        self.state = State::Requested;
    }

    /// The token request never left.
    pub fn cancel(&mut self) {
        self.state = State::Absent;
    }

    /// What the request under way is made with.
    pub fn credentials(&self) -> Option<RefreshCredentials> {
        self.credentials.clone()
    }

    /// The service granted a token.
    pub fn granted(&mut self, token: AccessToken, expires_in: Duration, now: Timestamp) {
        self.failures = 0;
        let early = RENEW_EARLY.min(expires_in / 2);
        self.accept(token, Some(now + expires_in.saturating_sub(early)));
    }

    fn accept(&mut self, token: AccessToken, renew_at: Option<Timestamp>) {
        self.generation += 1;
        self.state = State::Valid { token, renew_at };
    }

    /// The token request failed for reasons that pass. Returns how often in a row.
    pub fn failed(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// Waits until `until` before the next request.
    pub fn wait(&mut self, until: Timestamp) {
        self.state = State::Failed { until };
    }

    /// The token in hand, with its generation.
    pub const fn current(&self) -> Option<(&AccessToken, u64)> {
        match &self.state {
            State::Valid { token, .. } => Some((token, self.generation)),
            _ => None,
        }
    }

    /// A PUT with the token of `generation` was accepted.
    pub const fn accepted(&mut self, generation: u64) {
        if generation == self.generation {
            self.doubted = false;
        }
    }

    /// A PUT with the token of `generation` was refused. Returns whether this stops everybody.
    pub fn refused(&mut self, generation: u64, failure: Failure) -> bool {
        if generation != self.generation || !matches!(self.state, State::Valid { .. }) {
            return false;
        }
        if self.doubted {
            self.state = State::Refused(failure);
            return true;
        }
        self.doubted = true;
        self.state = State::Absent;
        false
    }

    /// No token from these credentials will ever do.
    pub fn give_up(&mut self, failure: Failure) {
        self.state = State::Refused(failure);
    }

    /// Why everybody waits for other credentials, if so.
    pub const fn refusal(&self) -> Option<&Failure> {
        match &self.state {
            State::Refused(failure) => Some(failure),
            _ => None,
        }
    }

    /// Credentials may have changed: reads them again. Returns whether everybody was stopped.
    pub fn try_again(&mut self) -> bool {
        let stopped = matches!(self.state, State::Refused(_));
        if stopped {
            self.state = State::Absent;
            self.doubted = true;
        }
        stopped
    }
}
