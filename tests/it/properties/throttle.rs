//! The throttle as the service sees it. In: PUTs and token requests that wait for the disk, leave, and are answered after
//! any time or never; pauses the service imposes; restarts from the folded ledger; a wall clock that is set, forward and
//! back, and that is set back between two runs. Out: no window of the service's, which time runs evenly for, holds
//! more than the budget, whatever moment between its start and its end each request arrived at; nothing leaves
//! during a pause; after one, requests go one by one until the service accepts one again; and nothing waits for ever.
//! Absent by design: a clock that is set forward between two runs, which is as if time had passed.

use std::time::Duration;

use proptest::prelude::*;
use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::condition::Reason;
use zoho_mail_reconciler::ledger::{Ledger, Owner, Record};
use zoho_mail_reconciler::queue::Backoff;
use zoho_mail_reconciler::throttle::{Admission, Ended, RateLimit, TOKEN_REQUESTS, TOKEN_WINDOW, Throttle};
use zoho_mail_reconciler::timestamp::{ClockStep, Timestamp};

use super::{config, id, ms};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Put,
    Token,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Accepted,
    Trouble,
    /// Everybody waits this long, in milliseconds.
    Pause(u64),
}

/// A request: how long its intent waits for the disk, how long it takes from there, and what comes back.
#[derive(Clone, Copy, Debug)]
struct Request {
    kind: Kind,
    disk: u64,
    took: u64,
    answer: Answer,
}

#[derive(Clone, Debug)]
enum Step {
    Try(Request),
    Pass(u64),
    Restart,
    /// The wall clock goes from one of these to the other, in milliseconds.
    SetClock(u64, u64),
    /// It does so between two runs, if it goes back.
    RestartAfter(u64, u64),
}

/// How long a request may take, and its intent before it, in milliseconds.
const LATENESS: u64 = 900;

/// Mostly next to nothing or nearly all of it, where moments meet.
fn any_time(most: u64) -> impl Strategy<Value = u64> {
    prop_oneof![2 => 0..most.min(20), 1 => 0..most, 1 => most - most / 8..most]
}

/// Two moments: now and then years apart.
fn any_setting() -> impl Strategy<Value = (u64, u64)> {
    let moment = || prop_oneof![3 => any_time(90_000), 1 => Just(3 * 365 * 86_400_000)];
    (moment(), moment())
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let answer = prop_oneof![
        6 => Just(Answer::Accepted),
        2 => Just(Answer::Trouble),
        2 => any_time(4000).prop_map(|wait| Answer::Pause(wait + 1)),
    ];
    let kind = prop_oneof![6 => Just(Kind::Put), 1 => Just(Kind::Token)];
    let request = (kind, any_time(LATENESS / 3), any_time(LATENESS * 2 / 3), answer);
    let step = prop_oneof![
        8 => request.prop_map(|(kind, disk, took, answer)| Step::Try(Request { kind, disk, took, answer })),
        5 => any_time(900).prop_map(Step::Pass),
        1 => (0..90_000_u64).prop_map(Step::Pass),
        1 => Just(Step::Restart),
        1 => any_setting().prop_map(|(from, to)| Step::SetClock(from, to)),
        1 => any_setting().prop_map(|(from, to)| Step::RestartAfter(from.max(to), from.min(to))),
    ];
    prop::collection::vec(step, 1..120)
}

/// One request on its way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    request: Request,
    begun: Timestamp,
    leaves: Timestamp,
    ends: Timestamp,
    left: bool,
}

impl Flight {
    /// When something happens to it next.
    fn due(&self) -> Timestamp {
        if self.left { self.ends } else { self.leaves }
    }
}

struct Rig {
    limit: RateLimit,
    throttle: Throttle,
    ledger: Ledger,
    /// The moment at which the wall clock was right, and what it says instead.
    wall: ClockStep,
    /// By time that runs evenly, as all moments of this model are.
    now: Timestamp,
    flights: Vec<Flight>,
    /// All that left: what kind, when, and when it ended.
    sent: Vec<(Kind, Timestamp, Timestamp)>,
    paused_until: Timestamp,
    /// Since the end of this pause no PUT that left after it was accepted.
    on_probation: bool,
}

impl Rig {
    fn new(limit: RateLimit) -> Self {
        let (ledger, now) = (Ledger::new(Owner::User), ms(1_763_753_731_042));
        let throttle =
            Throttle::restore(Some(limit), Duration::from_millis(LATENESS), Backoff::default(), &ledger, now);
        let (flights, sent, wall) = (Vec::new(), Vec::new(), ClockStep { from: now, to: now });
        Self { limit, throttle, ledger, wall, now, flights, sent, paused_until: ms(0), on_probation: false }
    }

    fn admit(&self, kind: Kind, at: Timestamp) -> Admission {
        let mut throttle = self.throttle.clone();
        if kind == Kind::Put { throttle.admit_put(at) } else { throttle.admit_token(at) }
    }

    /// What the wall clock says now.
    fn by_the_wall(&self) -> Timestamp {
        self.wall.carry(self.now)
    }

    fn attempt(&mut self, request: Request) {
        match self.admit(request.kind, self.by_the_wall()) {
            Admission::Now => self.begin(request),
            Admission::At(then, why) => {
                // Whoever waits until then has got further, even if something else is in the way by then.
                assert!(then > self.by_the_wall(), "{why:?}");
                assert!(!matches!(self.admit(request.kind, then), Admission::At(later, _) if later <= then));
            }
            Admission::AfterAnother(why) => assert!(!self.flights.is_empty(), "{why:?} waits for nobody"),
        }
    }

    fn begin(&mut self, request: Request) {
        let at = self.by_the_wall();
        match request.kind {
            Kind::Put => {
                self.throttle.begin_put(at);
                let (account, name, zuid) = (id(1), "x".into(), None);
                self.ledger.apply(Record::Intent {
                    at,
                    account,
                    name,
                    zuid,
                    field: Field::Enabled,
                    to: true,
                    spec_hash: 0,
                    lands_by: None,
                    cause: None,
                });
            }
            Kind::Token => {
                self.throttle.begin_token();
                self.ledger.apply(Record::TokenRequest { at });
            }
        }
        let leaves = self.now + Duration::from_millis(request.disk);
        self.flights.push(Flight {
            request,
            begun: self.now,
            leaves,
            ends: leaves + Duration::from_millis(request.took),
            left: false,
        });
    }

    /// Lets time pass; what is due meanwhile happens at its moment.
    fn pass(&mut self, time: u64) {
        let end = self.now + Duration::from_millis(time);
        while let Some(next) = (0..self.flights.len()).min_by_key(|index| self.flights[*index].due()) {
            let flight = self.flights[next];
            if flight.due() > end {
                break;
            }
            self.now = flight.due();
            if flight.left {
                self.flights.remove(next);
                self.end(flight);
            } else if self.leave(flight) {
                self.flights[next].left = true;
            } else {
                self.flights.remove(next);
            }
        }
        self.now = end;
    }

    fn leave(&mut self, flight: Flight) -> bool {
        let Request { kind, .. } = flight.request;
        let (begun, now) = (self.wall.carry(flight.begun), self.by_the_wall());
        match kind {
            Kind::Put if !self.throttle.may_leave(begun, now) => self.throttle.cancel_put(begun, now),
            Kind::Token if self.throttle.pause(now).is_some() => self.throttle.cancel_token(),
            _ => {
                assert!(self.now >= self.paused_until, "left during a pause");
                let after_pause = |other: &Flight| other.left && other.leaves >= self.paused_until;
                let company = self.flights.iter().filter(|other| after_pause(other) && other.request.kind == Kind::Put);
                assert!(!self.on_probation || kind == Kind::Token || company.count() == 0, "the probe is not alone");
                self.sent.push((kind, self.now, flight.ends));
                return true;
            }
        }
        false
    }

    fn end(&mut self, flight: Flight) {
        let Request { kind, answer, .. } = flight.request;
        let (begun, now) = (self.wall.carry(flight.begun), self.by_the_wall());
        match kind {
            Kind::Put => {
                let ended = if answer == Answer::Trouble { Ended::Failed } else { Ended::Well };
                self.throttle.end_put(id(1), begun, ended, now);
                self.on_probation &= answer != Answer::Accepted || flight.leaves < self.paused_until;
            }
            Kind::Token => self.throttle.end_token(now),
        }
        if let Answer::Pause(wait) = answer {
            let until = self.now + Duration::from_millis(wait);
            let pause = self.throttle.impose(self.wall.carry(until), Reason::Throttled, now);
            pause.into_iter().for_each(|pause| self.ledger.apply(Record::Pause { pause: Some(pause) }));
            self.paused_until = self.paused_until.max(until);
            self.on_probation = true;
        }
    }

    /// The process dies, and what was under way with it.
    fn restart(&mut self) {
        self.flights.clear();
        self.sent.iter_mut().for_each(|(.., end)| *end = (*end).min(self.now));
        self.ledger.forget_before(self.ledger.last_request());
        self.ledger = Ledger::from_bytes(Some(&self.ledger.to_bytes()), b"").unwrap().unwrap();
        let (lateness, at) = (Duration::from_millis(LATENESS), self.by_the_wall());
        let remembered = self.ledger.ahead_of(at);
        if remembered.is_some() {
            self.ledger.apply(Record::ClockBehind { at, lands_by: at + lateness, remembered });
        }
        self.throttle = Throttle::restore(Some(self.limit), lateness, Backoff::default(), &self.ledger, at);
    }

    /// The wall clock goes from one of these to the other.
    fn set_clock(&mut self, from: u64, to: u64) -> ClockStep {
        let before = self.by_the_wall();
        self.wall = ClockStep { from: self.now, to: ClockStep { from: ms(from), to: ms(to) }.carry(before) };
        ClockStep { from: before, to: self.by_the_wall() }
    }

    /// The most requests that the service can have seen within any span of `per`.
    fn busiest(&self, per: Duration, counts: impl Fn(Kind) -> bool) -> usize {
        let sent = || self.sent.iter().filter(|(kind, ..)| counts(*kind));
        let within = |from: Timestamp| sent().filter(|(_, start, end)| *end >= from && *start < from + per).count();
        sent().map(|(.., end)| within(*end)).max().unwrap_or(0)
    }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn no_window_holds_too_many_requests_and_no_pause_is_jumped_whatever_happens(
        steps in any_steps(), count in 1..8_u32, per in prop::sample::select(vec![500_u64, 3_000, 60_000]),
    ) {
        let limit = RateLimit { count, per: Duration::from_millis(per) };
        let mut rig = Rig::new(limit);
        for step in steps {
            match step {
                Step::Try(request) => rig.attempt(request),
                Step::Pass(time) => rig.pass(time),
                Step::Restart => rig.restart(),
                Step::SetClock(from, to) => {
                    let ClockStep { from, to } = rig.set_clock(from, to);
                    rig.throttle.carry(ClockStep { from, to });
                    rig.ledger.apply(Record::ClockStepped { from, to });
                }
                Step::RestartAfter(from, to) => {
                    rig.set_clock(from, to);
                    rig.restart();
                }
            }
        }
        prop_assert!(rig.busiest(limit.per, |_| true) <= count as usize, "{:?}", rig.sent);
        prop_assert!(rig.busiest(TOKEN_WINDOW, |kind| kind == Kind::Token) <= TOKEN_REQUESTS, "{:?}", rig.sent);
    }
}
