//! Why may nothing start?
//!
//! In: the machine's state. Out: every reason, the one that counts most first.
//! Invariant: nothing else works this out. Dispatch, sending, the end of a pass, the report and the answers to queries
//! read [`Machine::blocked`], and ask of each reason what follows of it.

use super::Machine;
use crate::freeze::Freeze;
use crate::ledger::{ImposedPause, Outage, OutageKind};
use crate::report::{Waiting, WaitsFor};
use crate::status::BlockedBy;
use crate::throttle::Wait;
use crate::timestamp::Timestamp;

/// What the last dispatch found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delay {
    /// No request starts before this moment.
    pub(super) until: Timestamp,
    /// Why.
    pub(super) why: Wait,
}

/// One reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked<'a> {
    /// The process received an order to end.
    Stopping,
    /// The folder was not read yet: there is nothing to start. Why it cannot be, if so.
    Unread(Option<&'a str>),
    /// The ledger cannot be written, since then.
    Ledger(&'a str, Timestamp),
    /// An operator suspended everything.
    Suspended(&'a Freeze),
    /// The single pass ends early.
    GaveUp(&'a str),
    /// Something keeps every request from succeeding, as far as answers tell.
    Outage(&'a Outage),
    /// The service asked everybody to pause.
    Paused(ImposedPause),
    /// The service is read first.
    Reading,
    /// The service is in trouble, and what was intended before is not what probes it.
    InTrouble,
    /// The last dispatch found that a request has to wait: for its place in a budget, or as a probe.
    Waiting(Delay),
}

impl Blocked<'_> {
    /// Whether no account is even planned. Behind the other reasons accounts are planned, to learn what is held and
    /// what has become needless.
    pub(super) const fn stops_planning(&self) -> bool {
        matches!(self, Self::Stopping | Self::Ledger(..) | Self::Suspended(_) | Self::GaveUp(_) | Self::Reading)
    }

    /// Whether no page is asked for.
    pub(super) const fn stops_reading(&self) -> bool {
        self.stops_planning() && !matches!(self, Self::Reading)
    }

    /// Whether intents whose PUTs did not leave are taken back. A ledger that cannot be written only delays them.
    pub(super) const fn recalls_intents(&self) -> bool {
        matches!(self, Self::Stopping | Self::Suspended(_) | Self::Paused(_) | Self::InTrouble)
    }

    /// Whether a token request that was written down does not leave.
    pub(super) const fn recalls_token_request(&self) -> bool {
        matches!(self, Self::Stopping | Self::Suspended(_) | Self::Paused(_))
    }

    /// What `/status` says that all requests wait for. What an outage has them wait for, if not other credentials, the
    /// last dispatch found out.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        let (why, until) = match self {
            Self::Stopping => (WaitsFor::End, None),
            Self::Unread(_) => (WaitsFor::DesiredState, None),
            Self::Ledger(..) => (WaitsFor::Ledger, None),
            Self::Suspended(freeze) => (WaitsFor::Suspension, freeze.until),
            Self::GaveUp(_) => (WaitsFor::NextPass, None),
            Self::Outage(Outage { kind: OutageKind::CredentialsRefused, .. }) => (WaitsFor::Credentials, None),
            Self::Paused(pause) => (WaitsFor::Limit(Wait::Paused(pause.reason)), Some(pause.until)),
            Self::Waiting(Delay { until, why }) => (WaitsFor::Limit(*why), Some(*until)),
            Self::Reading => (WaitsFor::Reading, None),
            Self::Outage(_) | Self::InTrouble => return None,
        };
        Some(Waiting { until, why })
    }

    /// What the status of each account that waits says of it.
    pub(super) fn blocked_by(&self) -> Option<BlockedBy> {
        match self {
            Self::Unread(why) => Some(BlockedBy::unread(*why)),
            Self::Ledger(why, since) => Some(BlockedBy::unrecorded(why, Some(*since))),
            Self::Suspended(freeze) => Some(BlockedBy::suspended(freeze)),
            Self::Outage(outage) => Some(BlockedBy::outage(outage)),
            Self::Paused(pause) => Some(BlockedBy::paused(*pause)),
            Self::Stopping | Self::GaveUp(_) | Self::Reading | Self::InTrouble | Self::Waiting(_) => None,
        }
    }
}

impl Machine {
    /// Every reason for which nothing may start at `now`.
    pub(super) fn blocked(&self, now: Timestamp) -> impl Iterator<Item = Blocked<'_>> {
        let pause = self.throttle.pause(now);
        // Other credentials are needed, pause or not; of the others it is not known what comes after the pause.
        let outage = self.ledger.outage.as_ref();
        let refused = outage.filter(|outage| outage.kind == OutageKind::CredentialsRefused);
        let other = outage.filter(|outage| outage.kind != OutageKind::CredentialsRefused);
        let in_trouble = pause.is_none() && !self.throttle.may_leave(now, now);
        [
            self.stop_by.map(|_| Blocked::Stopping),
            (!self.folder.is_loaded()).then_some(Blocked::Unread(self.folder.unknown())),
            self.unwritable.as_ref().map(|(why, since)| Blocked::Ledger(why, *since)),
            self.suspension.in_force(now).map(Blocked::Suspended),
            self.pass.gave_up().map(Blocked::GaveUp),
            refused.map(Blocked::Outage),
            pause.map(Blocked::Paused),
            other.map(Blocked::Outage),
            in_trouble.then_some(Blocked::InTrouble),
            self.waiting.map(Blocked::Waiting),
            self.reads_first().then_some(Blocked::Reading),
        ]
        .into_iter()
        .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Reason;

    #[test]
    fn what_follows_of_each_reason() {
        let (until, reason) = (Timestamp::from_millis(1), Reason::Throttled);
        let kind = OutageKind::CredentialsRefused;
        let (freeze, outage) = (Freeze::default(), Outage { kind, why: "no".into(), since: until, failures: 1 });
        let wait = Wait::RateLimit;
        // Whether it stops planning, recalls intents, recalls a token request, and is shown in each status; its label.
        for (blocked, [planning, intents, token, shown], label) in [
            (Blocked::Stopping, [true, true, true, false], "stopping"),
            (Blocked::Unread(None), [false, false, false, true], "desired_state"),
            (Blocked::Ledger("full", until), [true, false, false, true], "ledger"),
            (Blocked::Suspended(&freeze), [true, true, true, true], "suspended"),
            (Blocked::GaveUp("it throttles"), [true, false, false, false], "gave_up"),
            (Blocked::Outage(&outage), [false, false, false, true], "credentials"),
            (Blocked::Paused(ImposedPause { until, reason }), [false, true, true, true], "imposed"),
            (Blocked::Reading, [true, false, false, false], "reading"),
            (Blocked::InTrouble, [false, true, false, false], ""),
            (Blocked::Waiting(Delay { until, why: wait }), [false, false, false, false], "rate_limit"),
        ] {
            assert_eq!(blocked.stops_planning(), planning, "{blocked:?}");
            assert_eq!(blocked.recalls_intents(), intents, "{blocked:?}");
            assert_eq!(blocked.recalls_token_request(), token, "{blocked:?}");
            assert_eq!(blocked.blocked_by().is_some(), shown, "{blocked:?}");
            assert_eq!(blocked.waiting().map_or("", |waiting| waiting.why.label()), label, "{blocked:?}");
        }
    }
}
