//! One access token for everybody.
//!
//! In: credentials, token answers, refusals. Out: [`Need`], what has to happen before the next PUT.
//! Invariants: one token request at a time, whoever needs it; a refused token is replaced once, and
//! a second refusal stops everybody until the resync or a new signal to try; secrets are never
//! printed. Absent by design: the request itself, its budget, and where credentials are read.

use std::time::Duration;

use crate::change::Failure;
use crate::timestamp::Timestamp;
use crate::zoho::{AccessToken, Credentials, RefreshCredentials};

/// A token is renewed this long before it expires: longer than any request with it can last.
const RENEW_EARLY: Duration = Duration::from_secs(5 * 60);

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
    Refused(Failure),
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
    failures: u32,
    /// Why the credentials do not work, as it was told; until a PUT is accepted.
    told: Option<Box<str>>,
}

impl Tokens {
    /// No token yet.
    pub(super) const fn new() -> Self {
        let (credentials, fresh, state) = (None, false, State::Absent);
        Self { credentials, fresh, state, generation: 0, doubted: false, failures: 0, told: None }
    }

    /// What the next PUT needs at `now`. What was read for an earlier one is not good enough for this one.
    pub(super) fn need(&mut self, now: Timestamp) -> Need {
        let fresh = std::mem::take(&mut self.fresh);
        match &self.state {
            State::Valid { renew_at, .. } if renew_at.is_none_or(|at| now < at) => Need::Nothing,
            State::Requested => Need::Patience,
            State::Failed { until } if *until > now => Need::Until(*until),
            State::Refused(failure) => Need::Others(failure.clone()),
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
    pub(super) fn read(&mut self, credentials: Result<Credentials, Failure>) {
        match credentials {
            Ok(Credentials::Token(token)) => self.accept(token, None),
            Ok(Credentials::Refresh(credentials)) => {
                self.credentials = Some(credentials);
                self.fresh = true;
                self.state = State::Absent;
            }
            Err(failure) => self.state = State::Refused(failure),
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
        self.failures = 0;
        let early = RENEW_EARLY.min(expires_in / 2);
        self.accept(token, Some(now + expires_in.saturating_sub(early)));
    }

    fn accept(&mut self, token: AccessToken, renew_at: Option<Timestamp>) {
        self.generation += 1;
        self.state = State::Valid { token, renew_at };
    }

    /// The token request failed for reasons that pass. Returns how often in a row.
    pub(super) const fn failed(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// Waits until `until` before the next request.
    pub(super) fn wait(&mut self, until: Timestamp) {
        self.state = State::Failed { until };
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

    /// A PUT with the token of `generation` was accepted: the credentials work.
    pub(super) fn accepted(&mut self, generation: u64) {
        self.told = None;
        if generation == self.generation {
            self.doubted = false;
        }
    }

    /// A PUT with the token of `generation` was refused. Returns whether this stops everybody.
    pub(super) fn refused(&mut self, generation: u64, failure: Failure) -> bool {
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
    pub(super) fn give_up(&mut self, failure: Failure) {
        self.state = State::Refused(failure);
    }

    /// Why everybody waits for other credentials, if so.
    pub(super) const fn refusal(&self) -> Option<&Failure> {
        match &self.state {
            State::Refused(failure) => Some(failure),
            _ => None,
        }
    }

    /// People are told why the credentials do not work. Returns whether that is news.
    pub(super) fn tell(&mut self, failure: &Failure) -> bool {
        let news = self.told.as_ref() != Some(&failure.message);
        if news {
            self.told = Some(failure.message.clone());
        }
        news
    }

    /// What they were told, until a PUT is accepted. It stands while the credentials are tried again.
    pub(super) fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }

    /// Credentials may have changed: they are read again.
    pub(super) fn try_again(&mut self) {
        if matches!(self.state, State::Refused(_)) {
            self.state = State::Absent;
            self.doubted = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Reason;

    fn refresh() -> Result<Credentials, Failure> {
        Ok(Credentials::Refresh(RefreshCredentials::new("id", "secret", "refresh").unwrap()))
    }

    fn token() -> AccessToken {
        AccessToken::new("token").unwrap()
    }

    fn refusal() -> Failure {
        Failure { reason: Reason::Unauthorized, message: "no".into() }
    }

    #[test]
    fn credentials_are_read_for_each_request_anew() {
        let (mut tokens, now) = (Tokens::new(), Timestamp::from_millis(0));
        for _ in 0..2 {
            assert_eq!(tokens.need(now), Need::Credentials);
            tokens.read(refresh());
            assert_eq!(tokens.need(now), Need::Request);
        }
        tokens.begin();
        assert_eq!(tokens.need(now), Need::Patience);
        tokens.granted(token(), Duration::from_secs(3600), now);
        assert_eq!(tokens.need(now + Duration::from_secs(3299)), Need::Nothing);
        assert_eq!(tokens.need(now + Duration::from_secs(3300)), Need::Credentials);
    }

    #[test]
    fn a_refused_token_is_replaced_once_and_the_next_refusal_stops_everybody_until_they_are_tried_again() {
        let (mut tokens, now) = (Tokens::new(), Timestamp::from_millis(0));
        tokens.granted(token(), Duration::from_secs(3600), now);
        assert!(!tokens.refused(1, refusal()));
        assert_eq!((tokens.need(now), tokens.refusal()), (Need::Credentials, None));
        tokens.granted(token(), Duration::from_secs(3600), now);
        assert!(!tokens.refused(1, refusal()), "a late refusal of the old one");
        assert!(tokens.refused(2, refusal()));
        assert_eq!(tokens.need(now), Need::Others(refusal()));
        assert!(tokens.tell(&refusal()) && !tokens.tell(&refusal()));
        tokens.try_again();
        assert_eq!((tokens.need(now), tokens.told()), (Need::Credentials, Some("no")));
        tokens.accepted(2);
        assert_eq!(tokens.told(), None);
    }
}
