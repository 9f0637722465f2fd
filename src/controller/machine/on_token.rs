//! What concerns everybody: tokens and their refusal, pauses, a service in trouble.
//!
//! In: how a token request ended; what an answer to a PUT says about all of them; an order to lift a pause. Out: the state of the token, pauses
//! in the throttle and in the ledger, and the end of a single pass that cannot go on.
//! Invariant: what is told is told once, however many requests meet it.

use super::{APPLY_ATTEMPTS, APPLY_PROBES, Machine};
use crate::change::Failure;
use crate::condition::Reason;
use crate::controller::event::{Metric, RequestLog};
use crate::ledger::{OutageKind, Record};
use crate::timestamp::Timestamp;
use crate::zoho::{RetryAfter, TokenAnswer, TokenOutcome};

impl Machine {
    /// `chance`, from 0 to 1, spreads a backoff.
    pub(super) fn on_token(&mut self, answer: TokenAnswer, now: Timestamp, chance: f64) {
        if answer.was_not_sent() {
            self.token_not_sent(now);
        } else {
            self.throttle.end_token(now);
        }
        self.count(Metric::Request { operation: "token", code: answer.code, took: answer.took });
        self.count(Metric::TokenAnswered(answer.outcome.label()));
        match answer.outcome {
            TokenOutcome::Granted { token, expires_in } => {
                self.log(RequestLog::TokenGranted { expires_in });
                self.tokens.granted(token, expires_in, now);
                self.end_outage(&[OutageKind::TokenUnavailable], now);
            }
            TokenOutcome::Refused(failure) => {
                self.tokens.give_up(failure.clone(), now);
                self.credentials_refused(failure, now);
            }
            TokenOutcome::Throttled(failure, asked) => {
                self.log(RequestLog::TokenThrottled(failure.clone()));
                let until = self.slow_down(asked, &failure, now);
                self.tokens.answered();
                self.end_outage(&[OutageKind::TokenUnavailable], now);
                self.tokens.wait(until);
            }
            TokenOutcome::Unavailable(failure) => {
                let failures = self.tokens.failed();
                self.begin_outage(OutageKind::TokenUnavailable, &failure.message, now);
                self.log(RequestLog::TokenUnavailable { failure: failure.clone(), failures });
                // At least the shortest backoff: requests for tokens are few, and each is one less for a restart.
                let wait = self.settings.backoff.min + self.settings.backoff.delay(failures, chance);
                self.tokens.wait(now + wait);
                if failures >= APPLY_ATTEMPTS {
                    self.pass.give_up(|| failure.message.into());
                }
            }
        }
    }

    /// A token request that was begun did not leave: it takes no place among those that are allowed, here and in the ledger.
    pub(super) fn token_not_sent(&mut self, now: Timestamp) {
        self.throttle.cancel_token();
        self.record(Record::TokenNotSent, now);
    }

    /// The service throttles: everybody pauses for as long as is `asked`, or as the options say. Returns until when. A
    /// single pass sits out a few pauses, but not one after the other without an end.
    pub(super) fn slow_down(&mut self, asked: Option<RetryAfter>, failure: &Failure, now: Timestamp) -> Timestamp {
        let usual = RetryAfter { wait: self.settings.throttle_pause, in_envelope: false };
        let asked = asked.unwrap_or(usual);
        // What was under way at the same time was throttled as well, and tells nothing new.
        self.throttled += u32::from(self.throttle.pause(now).is_none());
        let until = self.impose(asked, Reason::Throttled, now);
        if self.throttled > APPLY_PROBES {
            self.pass.give_up(|| format!("the service throttles after each pause again: {}", failure.message));
        }
        until
    }

    /// Everybody pauses: for what is not in the service's own words no longer than the options say. Returns until when.
    pub(super) fn impose(&mut self, asked: RetryAfter, reason: Reason, now: Timestamp) -> Timestamp {
        let until = now + asked.capped(self.settings.throttle_pause);
        if let Some(pause) = self.throttle.impose(until, reason, now) {
            self.log(RequestLog::Paused(pause));
            self.record(Record::Pause { pause: Some(pause) }, now);
        }
        until
    }

    /// An operator lifts the pause. An order that names another one than that in force came too late, or twice.
    pub(super) fn lift_pause(&mut self, until: Timestamp, by: Option<Box<str>>, now: Timestamp) {
        let Some(pause) = self.throttle.pause(now).filter(|pause| pause.until == until) else { return };
        self.throttle.lift_pause();
        self.tokens.stop_waiting();
        self.throttled = 0;
        self.log(RequestLog::PauseLifted { pause, by: by.clone() });
        self.record(Record::PauseLifted { at: now, pause, by }, now);
    }

    /// A pause that the ledger remembers as longer than any can be is written down as it counts: otherwise each restart would
    /// begin it anew.
    pub(super) fn correct_remembered_pause(&mut self, now: Timestamp) {
        if let Some(pause) = self.throttle.pause(now).filter(|pause| self.ledger.pause != Some(*pause)) {
            self.log(RequestLog::Paused(pause));
            self.record(Record::Pause { pause: Some(pause) }, now);
        }
    }
}
