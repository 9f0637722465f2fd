//! What may start, and when. That no window holds too many requests, whatever happens, is held from outside, by the
//! properties among the integration tests.

use super::breaker::BREAKER_ACCOUNTS;
use super::*;
use crate::account::{AccountId, Field, SourceRef};
use crate::ledger::{FailedAttempt, OutageKind, Owner, Record};
use crate::zoho::Code;

fn ms(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn id(n: u64) -> AccountId {
    AccountId::new(n).unwrap()
}

fn empty() -> Ledger {
    Ledger::new(Owner::Sandbox)
}

fn throttle(limit: &str, now: Timestamp) -> Throttle {
    Throttle::restore(limit.parse().ok(), Duration::from_secs(30), Backoff::default(), &empty(), now)
}

#[test]
fn a_rate_limit_reads_as_it_prints() {
    assert_eq!("25/1m".parse::<RateLimit>().unwrap().to_string(), "25/1m");
    for bad in ["25", "0/1m", "25/0s", "-1/1m", "1/2days", "10001/1m", "x/1m", "1/x", "unlimited"] {
        assert_eq!(bad.parse::<RateLimit>(), Err(InvalidRateLimit), "{bad}");
    }
}

fn record(account: u64, at: Timestamp) -> Record {
    Record::Intent {
        at,
        account: AccountId::new(account + 1).unwrap(),
        name: "a".into(),
        zuid: None,
        field: Field::Enabled,
        to: true,
        spec_hash: 0,
        lands_by: None,
        cause: None,
    }
}

#[test]
fn a_restart_asks_a_service_in_trouble_with_one_probe() {
    let failed = |reason| FailedAttempt {
        to: true,
        spec_hash: 0,
        reason,
        code: "503".into(),
        message: "no answer".into(),
        since: ms(0),
        at: ms(0),
        attempts: 1,
        next_attempt: ms(0),
    };
    for (reason, second) in [
        (Reason::ServiceUnavailable, Admission::AfterAnother(Wait::Probe)),
        (Reason::Throttled, Admission::AfterAnother(Wait::Probe)),
        (Reason::Forbidden, Admission::Now),
    ] {
        let mut ledger = empty();
        let account = AccountId::new(1).unwrap();
        ledger.apply(record(0, ms(0)));
        ledger.apply(Record::NotApplied {
            account,
            field: Field::Enabled,
            restore: None,
            disruption: None,
            returned: None,
            valid_until: None,
            unsent: None,
        });
        let failed = Some(Box::new(failed(reason)));
        ledger.apply(Record::Failed { account, field: Field::ActiveSyncEnabled, failed });
        let mut throttle = Throttle::restore(None, Duration::from_millis(300), Backoff::default(), &ledger, ms(1000));
        assert_eq!(throttle.admit_put(ms(1000)), Admission::Now);
        throttle.begin_put(ms(1000));
        assert_eq!(throttle.admit_put(ms(1000)), second, "{reason:?}");
    }
}

#[test]
fn a_restart_that_finds_a_put_in_doubt_probes_alone_until_one_is_answered() {
    let mut ledger = empty();
    ledger.apply(record(0, ms(0)));
    let restart =
        |ledger: &Ledger| Throttle::restore(None, Duration::from_millis(300), Backoff::default(), ledger, ms(1_000));
    let mut throttle = restart(&ledger);
    assert_eq!(throttle.admit_put(ms(1_000)), Admission::Now);
    throttle.begin_put(ms(1_000));
    assert_eq!(throttle.admit_put(ms(1_000)), Admission::AfterAnother(Wait::Probe));
    throttle.end_put(id(1), ms(1_000), Ended::Well, ms(1_100));
    (0..2).for_each(|_| {
        assert_eq!(throttle.admit_put(ms(1_100)), Admission::Now, "one was answered");
        throttle.begin_put(ms(1_100));
    });
    let (account, source) = (id(1), SourceRef { path: "a.yaml".into(), line: 1 });
    let (at, field, value) = (ms(100), Field::Enabled, true);
    ledger.apply(Record::Applied { at, account, field, value, source, evidence: None });
    let mut throttle = restart(&ledger);
    throttle.begin_put(ms(1_000));
    assert_eq!(throttle.admit_put(ms(1_000)), Admission::Now, "nothing is in doubt");
}

#[test]
fn a_full_window_says_when_it_has_room_again() {
    let mut throttle = throttle("2/1m", ms(0));
    for at in [0, 1000] {
        assert_eq!(throttle.admit_put(ms(at)), Admission::Now);
        throttle.begin_put(ms(at));
    }
    assert_eq!(throttle.admit_put(ms(1000)), Admission::AfterAnother(Wait::RateLimit));
    throttle.end_put(id(1), ms(0), Ended::Well, ms(1500));
    assert_eq!(throttle.admit_put(ms(1500)), Admission::At(ms(61_500), Wait::RateLimit));
    throttle.end_put(id(1), ms(1000), Ended::Well, ms(2000));
    assert_eq!(throttle.admit_put(ms(61_500)), Admission::Now);
}

#[test]
fn an_imposed_pause_is_never_jumped_or_shortened_and_ends_with_one_probe() {
    let mut throttle = throttle("unlimited", ms(0));
    assert!(throttle.impose(ms(900_000), Reason::Throttled, ms(0)).is_some());
    assert!(throttle.impose(ms(5_000), Reason::Throttled, ms(0)).is_none());
    let paused = Admission::At(ms(900_000), Wait::Paused(Reason::Throttled));
    assert_eq!(throttle.admit_put(ms(899_999)), paused);
    assert_eq!(throttle.admit_token(ms(899_999)), paused);
    assert_eq!(throttle.admit_put(ms(900_000)), Admission::Now);
    throttle.begin_put(ms(900_000));
    assert_eq!(throttle.admit_put(ms(900_000)), Admission::AfterAnother(Wait::Probe));
    throttle.end_put(id(1), ms(900_000), Ended::Well, ms(900_100));
    assert_eq!(throttle.admit_put(ms(900_100)), Admission::Now);
}

#[test]
fn a_pause_outlives_a_restart() {
    let mut ledger = empty();
    let pause = Some(ImposedPause { until: ms(60_000), reason: Reason::Throttled });
    ledger.apply(Record::Pause { pause });
    let mut throttle = Throttle::restore(None, Duration::from_secs(30), Backoff::default(), &ledger, ms(1_000));
    assert_eq!(throttle.admit_put(ms(1_000)), Admission::At(ms(60_000), Wait::Paused(Reason::Throttled)));
}

#[test]
fn a_pause_that_a_clock_wrote_down_years_ahead_holds_for_a_day_at_most() {
    let now = ms(1_800_000_000_000);
    for (written, until) in [
        (now + Duration::from_secs(3 * 365 * 24 * 3600), Some(now + PAUSE_MAX)),
        (now + PAUSE_MAX, Some(now + PAUSE_MAX)),
        (now + Duration::from_secs(60), Some(now + Duration::from_secs(60))),
        (now, None),
    ] {
        let mut ledger = empty();
        ledger.apply(Record::Pause { pause: Some(ImposedPause { until: written, reason: Reason::Throttled }) });
        let throttle = Throttle::restore(None, Duration::from_secs(30), Backoff::default(), &ledger, now);
        assert_eq!(throttle.pause(now).map(|pause| pause.until), until, "{written}");
        assert_eq!(remembered_pause(&ledger, now), throttle.pause(now));
    }
}

#[test]
fn the_breaker_opens_after_failures_of_several_accounts_and_probes_with_one_request() {
    let mut throttle = throttle("unlimited", ms(0));
    for n in 1..=BREAKER_ACCOUNTS {
        throttle.begin_put(ms(0));
        assert_eq!(throttle.end_put(id(n as u64), ms(0), Ended::Failed, ms(0)), n == BREAKER_ACCOUNTS);
    }
    assert_eq!(throttle.admit_put(ms(0)), Admission::At(ms(5_000), Wait::Breaker));
    assert_eq!(throttle.admit_put(ms(5_000)), Admission::Now);
    throttle.begin_put(ms(5_000));
    assert_eq!(throttle.admit_put(ms(5_000)), Admission::AfterAnother(Wait::Probe));
    assert!(throttle.end_put(id(1), ms(5_000), Ended::Failed, ms(6_000)));
    assert_eq!(throttle.admit_put(ms(6_000)), Admission::At(ms(16_000), Wait::Breaker));
    throttle.begin_put(ms(16_000));
    throttle.end_put(id(1), ms(16_000), Ended::Well, ms(16_000));
    assert_eq!(throttle.failed_probes(), 0);
    assert_eq!(throttle.admit_put(ms(16_000)), Admission::Now);
}

#[test]
fn one_account_that_always_fails_opens_no_breaker_and_makes_no_probe_wait_longer() {
    let mut throttle = throttle("unlimited", ms(0));
    for n in 0..1_000 {
        throttle.begin_put(ms(n));
        assert!(!throttle.end_put(id(1), ms(n), Ended::Failed, ms(n)));
        assert_eq!(throttle.admit_put(ms(n)), Admission::Now);
    }
    // Where requests go one by one, as after a pause, it fails each probe, and the next one is never further away.
    throttle.probe_next(ms(1_000));
    let mut now = ms(1_000);
    for _ in 0..10 {
        throttle.begin_put(now);
        throttle.end_put(id(1), now, Ended::Failed, now);
        let next = now + Duration::from_secs(5);
        assert_eq!(throttle.admit_put(now), Admission::At(next, Wait::Breaker));
        now = next;
    }
    // Several accounts that fail are the service's trouble.
    for (n, seconds) in [(2, 10), (3, 20), (4, 40)] {
        throttle.begin_put(now);
        throttle.end_put(id(n), now, Ended::Failed, now);
        let next = now + Duration::from_secs(seconds);
        assert_eq!(throttle.admit_put(now), Admission::At(next, Wait::Breaker));
        now = next;
    }
}

#[test]
fn probes_try_grants_and_removals_in_turn() {
    let mut throttle = throttle("unlimited", ms(0));
    for n in 1..=BREAKER_ACCOUNTS {
        assert!(!throttle.probes_with_grant());
        throttle.begin_put(ms(0));
        throttle.end_put(id(n as u64), ms(0), Ended::Failed, ms(0));
    }
    let mut now = ms(0);
    for (n, grant) in (100..).zip([true, false, true, false]) {
        assert_eq!(throttle.probes_with_grant(), grant, "probe {n}");
        now = now + Duration::from_secs(600);
        throttle.begin_put(now);
        throttle.end_put(id(n), now, Ended::Failed, now);
    }
}

#[test]
fn probes_follow_from_the_backoff_of_an_account_and_never_come_further_apart_than_five_minutes() {
    for (min, max, intervals) in [
        (1, 300, [5, 10, 20, 40, 80, 160, 300, 300]),
        (1, 12, [5, 10, 12, 12, 12, 12, 12, 12]),
        (1, 3, [3; 8]),
        (60, 86_400, [300; 8]),
    ] {
        let backoff = Backoff { min: Duration::from_secs(min), max: Duration::from_secs(max) };
        let mut throttle = Throttle::restore(None, Duration::from_secs(30), backoff, &empty(), ms(0));
        for n in 1..BREAKER_ACCOUNTS {
            throttle.begin_put(ms(0));
            throttle.end_put(id(n as u64), ms(0), Ended::Failed, ms(0));
        }
        let mut now = ms(0);
        for (n, seconds) in (100..).zip(intervals) {
            throttle.begin_put(now);
            throttle.end_put(id(n), now, Ended::Failed, now);
            let next = now + Duration::from_secs(seconds);
            assert_eq!(throttle.admit_put(now), Admission::At(next, Wait::Breaker), "{min} s to {max} s");
            now = next;
        }
    }
}

#[test]
fn token_requests_have_a_limit_of_their_own_that_a_restart_remembers() {
    let mut ledger = empty();
    for n in 0..10 {
        ledger.apply(Record::TokenRequest { at: ms(n * 1000) });
    }
    let mut throttle = Throttle::restore(None, Duration::from_secs(30), Backoff::default(), &ledger, ms(10_000));
    assert_eq!(throttle.admit_token(ms(10_000)), Admission::At(ms(610_000), Wait::TokenLimit));
    assert_eq!(throttle.admit_put(ms(10_000)), Admission::Now);
}

#[test]
fn moments_from_a_clock_that_ran_ahead_count_as_now() {
    let mut ledger = empty();
    ledger.apply(record(0, ms(999_000_000)));
    let mut throttle =
        Throttle::restore("1/1m".parse().ok(), Duration::from_secs(30), Backoff::default(), &ledger, ms(5_000));
    assert_eq!(throttle.admit_put(ms(5_000)), Admission::At(ms(65_000), Wait::RateLimit));
}

#[test]
fn what_was_begun_before_a_pause_may_not_leave_in_it() {
    let mut throttle = throttle("1/1m", ms(0));
    throttle.begin_put(ms(0));
    assert!(throttle.may_leave(ms(0), ms(0)));
    throttle.impose(ms(60_000), Reason::Throttled, ms(0));
    assert!(!throttle.may_leave(ms(0), ms(59_999)));
    throttle.cancel_put(ms(0), ms(60_000));
    assert_eq!(throttle.admit_put(ms(60_000)), Admission::Now, "what never left takes no place in the window");
    throttle.begin_put(ms(60_000));
    assert!(throttle.may_leave(ms(60_000), ms(60_000)), "the one that probes");
}

#[test]
fn what_was_under_way_before_a_probe_neither_joins_it_nor_speaks_for_it() {
    for ended in [Ended::Well, Ended::Failed] {
        let mut throttle = throttle("unlimited", ms(0));
        (0..3).for_each(|_| throttle.begin_put(ms(0)));
        throttle.impose(ms(1_000), Reason::Throttled, ms(1));
        throttle.begin_put(ms(1_000));
        assert!(!throttle.may_leave(ms(0), ms(1_001)), "an intent that waited for the disk waits on");
        throttle.cancel_put(ms(0), ms(1_001));
        assert!(!throttle.end_put(id(1), ms(0), ended, ms(1_002)));
        assert_eq!(throttle.admit_put(ms(1_003)), Admission::AfterAnother(Wait::Probe));
        throttle.end_put(id(1), ms(1_000), Ended::Well, ms(2_000));
        assert_eq!(throttle.admit_put(ms(2_000)), Admission::Now);
    }
}

#[test]
fn a_token_request_that_never_left_takes_no_place() {
    let mut throttle = throttle("1/1m", ms(0));
    throttle.begin_token();
    assert_eq!(throttle.admit_token(ms(0)), Admission::AfterAnother(Wait::RateLimit));
    throttle.cancel_token();
    assert_eq!(throttle.admit_token(ms(0)), Admission::Now);
}

#[test]
fn the_usage_counts_what_is_under_way_and_what_ended_within_the_window() {
    let used = |throttle: &Throttle, at| throttle.usage(ms(at)).used;
    let mut throttle = throttle("3/1m", ms(0));
    assert_eq!(throttle.usage(ms(0)), Usage { used: 0, limit: Some(3), window: Some(Duration::from_secs(60)) });
    throttle.begin_put(ms(1_000));
    throttle.begin_token();
    assert_eq!(used(&throttle, 1_000), 2);
    throttle.end_put(id(1), ms(1_000), Ended::Well, ms(2_000));
    throttle.end_token(ms(5_000));
    assert_eq!((used(&throttle, 61_999), used(&throttle, 62_000), used(&throttle, 65_000)), (2, 1, 0));
}

#[test]
fn accounts_that_are_refused_alike_have_one_cause_and_others_beside_them_have_none() {
    let refused = |code| Ended::Refused(Reason::Forbidden, Code::Http(code));
    let mut throttle = throttle("1000/1m", ms(0));
    let mut end = |n: u64, ended| throttle.end_put(id(n), ms(0), ended, ms(0));
    assert!((1..=100).all(|n| !end(n, refused(if n % 7 == 0 { 404 } else { 403 }))), "not all are refused alike");
    assert!(!end(1, Ended::Well));
    assert!((1..=100).all(|_| !end(1, refused(403))), "it is one account");
    assert!((2..=9).all(|n| !end(n, refused(403))));
    assert!(end(10, refused(403)), "ten accounts");
    assert_eq!(throttle.trouble(), Some(OutageKind::RefusesAlike));
    assert_eq!(throttle.admit_put(ms(4_999)), Admission::At(ms(5_000), Wait::Breaker));
    throttle.begin_put(ms(5_000));
    assert!(throttle.end_put(id(11), ms(5_000), refused(403), ms(5_000)), "a probe that is refused as well");
    assert_eq!(throttle.admit_put(ms(5_001)), Admission::At(ms(15_000), Wait::Breaker));
    throttle.begin_put(ms(15_000));
    assert!(!throttle.end_put(id(12), ms(15_000), Ended::Well, ms(15_000)));
    assert_eq!((throttle.admit_put(ms(15_000)), throttle.trouble()), (Admission::Now, None));
}

#[test]
fn windows_the_pause_and_the_next_probe_are_as_far_away_after_a_step_as_before() {
    let (second, early, late) = (Duration::from_secs(1), ms(10_000_000), ms(30_000_000));
    // Forward and back, by more than any window.
    for step in [ClockStep { from: early, to: late }, ClockStep { from: late, to: early }] {
        let mut full = throttle("1/1m", step.from);
        full.begin_put(step.from);
        full.end_put(id(1), step.from, Ended::Well, step.from);
        full.carry(step);
        assert_eq!(full.admit_put(step.to), Admission::At(step.to + 60 * second, Wait::RateLimit));
        assert_eq!(full.admit_put(step.to + 60 * second), Admission::Now);

        let mut tokens = throttle("unlimited", step.from);
        (0..TOKEN_REQUESTS).for_each(|_| tokens.begin_token());
        (0..TOKEN_REQUESTS).for_each(|_| tokens.end_token(step.from));
        tokens.carry(step);
        assert_eq!(tokens.admit_token(step.to), Admission::At(step.to + TOKEN_WINDOW, Wait::TokenLimit));

        let mut paused = throttle("unlimited", step.from);
        paused.impose(step.from + 90 * second, Reason::Throttled, step.from);
        paused.carry(step);
        let paused_for = Admission::At(step.to + 90 * second, Wait::Paused(Reason::Throttled));
        assert_eq!(paused.admit_put(step.to), paused_for);

        let mut failing = throttle("unlimited", step.from);
        for n in 1..=BREAKER_ACCOUNTS as u64 {
            failing.begin_put(step.from);
            failing.end_put(id(n), step.from, Ended::Failed, step.from);
        }
        failing.carry(step);
        assert_eq!(failing.admit_put(step.to), Admission::At(step.to + 5 * second, Wait::Breaker));
        failing.begin_put(step.to + 5 * second);
        let back = ClockStep { from: step.to + 5 * second, to: step.from };
        failing.carry(back);
        assert!(failing.may_leave(back.to, back.to), "the probe is still the probe");
        assert!(!failing.may_leave(back.to.before(second), back.to));
    }
}
