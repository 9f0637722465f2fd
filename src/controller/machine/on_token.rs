//! What concerns everybody: tokens and their refusal, pauses, a service in trouble.
//!
//! In: how a token request ended; what an answer to a PUT says about all of them. Out: the state of the token, pauses
//! in the throttle and in the ledger, and the end of a single pass that cannot go on.
//! Invariant: what is told is told once, however many requests meet it.

use std::time::Duration;

use super::{APPLY_ATTEMPTS, APPLY_PROBES, Machine};
use crate::change::{Failure, Outcome};
use crate::condition::Reason;
use crate::controller::event::{Metric, RequestLog};
use crate::ledger::Record;
use crate::timestamp::Timestamp;
use crate::zoho::{TokenAnswer, TokenOutcome};

impl Machine {
    /// `chance`, from 0 to 1, spreads a backoff.
    pub(super) fn on_token(&mut self, answer: TokenAnswer, now: Timestamp, chance: f64) {
        self.throttle.end_token(now);
        self.count(Metric::Request { operation: "token", code: answer.code, took: answer.took });
        self.count(Metric::TokenAnswered(answer.outcome.label()));
        match answer.outcome {
            TokenOutcome::Granted { token, expires_in } => {
                self.log(RequestLog::TokenGranted { expires_in });
                self.tokens.granted(token, expires_in, now);
            }
            TokenOutcome::Refused(failure) => {
                self.tokens.give_up(failure.clone(), now);
                self.credentials_refused(failure);
            }
            TokenOutcome::Throttled(failure, wait) => {
                self.log(RequestLog::TokenThrottled(failure.clone()));
                let until = self.slow_down(wait, &failure, now);
                self.tokens.wait(until);
            }
            TokenOutcome::Unavailable(failure) => {
                let failures = self.tokens.failed();
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

    pub(super) fn credentials_refused(&mut self, failure: Failure) {
        self.pass.give_up(|| format!("the credentials do not work: {}", failure.message));
        if self.tokens.tell(&failure) {
            self.log(RequestLog::CredentialsRefused(failure));
        }
    }

    /// The service throttles: nobody asks for `wait`, or as long as the options say. Returns until when. A single pass
    /// sits out a few pauses, but not one after the other without an end.
    pub(super) fn slow_down(&mut self, wait: Option<Duration>, failure: &Failure, now: Timestamp) -> Timestamp {
        let wait = wait.unwrap_or(self.settings.throttle_pause);
        // What was under way at the same time was throttled as well, and tells nothing new.
        self.throttled += u32::from(self.throttle.pause(now).is_none());
        self.impose(wait, Reason::Throttled, now);
        if self.throttled > APPLY_PROBES {
            self.pass.give_up(|| format!("the service throttles after each pause again: {}", failure.message));
        }
        now + wait
    }

    pub(super) fn impose(&mut self, wait: Duration, reason: Reason, now: Timestamp) {
        if let Some(pause) = self.throttle.impose(now + wait, reason, now) {
            self.log(RequestLog::Paused(pause));
            self.record(Record::Pause { pause: Some(pause) }, now);
        }
    }

    pub(super) fn breaker_opened(&mut self, outcome: &Outcome) {
        let probes = self.throttle.failed_probes();
        let why = outcome.failure().map_or("", |failure| &failure.message);
        // Probes that fail as well are no news.
        let one_cause = self.throttle.is_one_cause();
        if probes == 1 {
            self.log(if one_cause {
                RequestLog::RefusedAlike(why.to_owned())
            } else {
                RequestLog::Failing(why.to_owned())
            });
        }
        if probes > APPLY_PROBES {
            let what = if one_cause { "refuses one account after the other alike" } else { "is not available" };
            self.pass.give_up(|| format!("the service {what}: {why}"));
        }
    }
}
