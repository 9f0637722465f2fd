//! The order of the queue, case by case. That nothing is lost and none wakes early, for any sequence of events, is held
//! from outside, by the properties among the integration tests.

use super::*;
use Urgency::{Grant, Revocation};

const SECOND: Duration = Duration::from_secs(1);

fn id(n: u64) -> AccountId {
    AccountId::new(n).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn order(queue: &mut WorkQueue, now: Timestamp) -> Vec<u64> {
    std::iter::from_fn(|| queue.pop(now).map(|popped| popped.account.get())).collect()
}

#[test]
fn fresh_revocations_go_first_then_fresh_grants_then_retries_in_the_order_of_their_backoffs() {
    let mut queue = WorkQueue::default();
    for (n, urgency, until) in [(1, Grant, 1), (2, Revocation, 2)] {
        queue.add(id(n), urgency, 1, at(0));
        queue.pop(at(0)).unwrap();
        queue.retry(id(n), at(until), at(0));
    }
    queue.add(id(3), Grant, 1, at(5));
    queue.add(id(4), Revocation, 1, at(6));
    queue.add(id(5), Grant, 1, at(4));
    assert_eq!(order(&mut queue, at(7)), [4, 5, 3, 1, 2]);
}

#[test]
fn a_small_edit_overtakes_a_bulk_until_the_bulk_has_waited_as_long_as_it_takes() {
    let bulk = || {
        let mut queue = WorkQueue::default();
        (1..=100).for_each(|n| queue.add(id(n), Grant, 100, at(0)));
        queue
    };
    for (edited, first) in [(1, 1000), (238, 1000), (240, 1)] {
        let mut queue = bulk();
        queue.add(id(1000), Grant, 1, at(edited - 1));
        assert_eq!(queue.peek(at(300)), Some(id(first)), "edited after {edited} s");
    }
    // An account of the bulk that is edited by itself comes as soon as any other.
    let mut queue = bulk();
    queue.add(id(50), Grant, 1, at(1));
    assert_eq!(queue.peek(at(1)), Some(id(50)));
}

#[test]
fn while_fresh_edits_wait_one_in_twenty_is_a_retry() {
    let mut queue = WorkQueue::default();
    for n in 1..=3 {
        queue.add_retry(id(n), at(0));
    }
    (100..200).for_each(|n| queue.add(id(n), Revocation, 1, at(0)));
    let order = order(&mut queue, at(0));
    let retries: Vec<_> = (1..).zip(&order).filter(|(_, account)| **account < 100).map(|(place, _)| place).collect();
    assert_eq!(retries, [20, 40, 60]);
}

#[test]
fn a_probe_is_a_fresh_grant_if_there_is_one_or_the_last_of_all_if_that_is_wanted() {
    let mut queue = WorkQueue::default();
    queue.add_retry(id(1), at(0));
    queue.add(id(2), Revocation, 1, at(0));
    assert_eq!(queue.peek_probe(Probe::Grant, None, at(0)), Some(id(2)), "as any other request");
    queue.add(id(3), Grant, 1, at(1));
    queue.add(id(4), Grant, 1, at(0));
    assert_eq!((queue.peek_probe(Probe::Grant, None, at(1)), queue.peek(at(1))), (Some(id(4)), Some(id(2))));
    assert_eq!(queue.peek_probe(Probe::Last, None, at(1)), Some(id(3)));
    assert_eq!(queue.peek_probe(Probe::Last, Some(id(3)), at(1)), Some(id(4)));
    queue.take(id(4), at(1)).unwrap();
    assert_eq!(queue.peek_probe(Probe::Grant, None, at(1)), Some(id(3)));
}

#[test]
fn an_account_that_met_the_trouble_probes_after_every_other_that_is_ready_whatever_their_classes() {
    for urgency in [Some(Revocation), Some(Grant), None] {
        let mut queue = WorkQueue::default();
        queue.add(id(1), Revocation, 1, at(0));
        for probe in [Probe::Next, Probe::Grant, Probe::Last] {
            assert_eq!(queue.peek_probe(probe, Some(id(1)), at(0)), Some(id(1)), "no other is ready");
        }
        match urgency {
            Some(urgency) => queue.add(id(2), urgency, 100, at(1)),
            None => queue.add_retry(id(2), at(1)),
        }
        for probe in [Probe::Next, Probe::Grant, Probe::Last] {
            assert_eq!(queue.peek_probe(probe, Some(id(1)), at(1)), Some(id(2)), "{urgency:?}");
        }
        assert_eq!(queue.peek(at(1)), Some(id(1)), "any other request goes in the usual order");
    }
}

#[test]
fn an_account_that_fails_again_and_again_goes_behind_all_others_that_failed() {
    let mut queue = WorkQueue::default();
    (1..=3).for_each(|n| queue.add_retry(id(n), at(0)));
    let mut order = Vec::new();
    for second in 1..=6 {
        let account = queue.pop(at(second)).unwrap().account;
        order.push(account.get());
        queue.retry(account, at(second), at(second));
    }
    assert_eq!(order, [1, 2, 3, 1, 2, 3]);
}

#[test]
fn an_account_in_flight_is_never_popped_and_comes_again_after_an_edit() {
    let mut queue = WorkQueue::default();
    queue.add(id(1), Grant, 1, at(0));
    queue.add(id(1), Grant, 1, at(0));
    assert_eq!(order(&mut queue, at(0)), [1]);
    queue.add(id(1), Revocation, 1, at(1));
    assert_eq!(queue.pop(at(1)), None);
    queue.done(id(1), at(2));
    assert_eq!(queue.pop(at(3)), Some(Popped { account: id(1), waited: Duration::from_secs(1) }));
    queue.done(id(1), at(3));
    assert_eq!((queue.depth(), queue.next_due()), (0, None));
}

#[test]
fn a_fresh_edit_ends_a_backoff() {
    let mut queue = WorkQueue::default();
    queue.add(id(1), Grant, 1, at(0));
    queue.pop(at(0)).unwrap();
    queue.retry(id(1), at(1), at(0));
    assert_eq!(queue.next_due(), Some(at(1)));
    assert_eq!(queue.peek(at(0)), None);
    queue.add(id(1), Grant, 1, at(0));
    assert_eq!(order(&mut queue, at(0)), [1]);
}

#[test]
fn a_deferred_account_is_ready_again_then_or_after_an_edit() {
    let mut queue = WorkQueue::default();
    queue.add(id(1), Grant, 1, at(0));
    queue.defer(id(1), at(60));
    assert_eq!((queue.peek(at(59)), queue.next_due(), queue.depth()), (None, Some(at(60)), 1));
    assert_eq!(queue.peek(at(60)), Some(id(1)));
    queue.defer(id(1), at(120));
    queue.add(id(1), Revocation, 1, at(61));
    assert_eq!(order(&mut queue, at(61)), [1]);
}

#[test]
fn an_edit_during_a_failing_attempt_is_tried_at_once() {
    let mut queue = WorkQueue::default();
    queue.add(id(1), Grant, 1, at(0));
    queue.pop(at(0)).unwrap();
    queue.add(id(1), Revocation, 1, at(1));
    queue.retry(id(1), at(3), at(2));
    assert_eq!(order(&mut queue, at(2)), [1]);
}

#[test]
fn the_backoff_doubles_up_to_its_bound_and_is_spread_over_all_of_it() {
    let bounds: Vec<_> = [1, 2, 3, 9, 10, 40].map(|n| Backoff::default().delay(n, 1.0).as_secs()).into();
    assert_eq!(bounds, [1, 2, 4, 256, 300, 300]);
    assert_eq!(Backoff::default().delay(3, 0.25), Duration::from_secs(1));
    assert_eq!(Backoff::default().delay(3, 0.0), Duration::ZERO);
}

#[test]
fn what_failed_before_is_put_back_behind_what_is_fresh_and_a_delay_takes_its_turn_away() {
    let mut queue = WorkQueue::default();
    (1..=3).for_each(|n| queue.add(id(n), Revocation, 1, at(0)));
    queue.take(id(1), at(0)).unwrap();
    queue.put_back(id(1), Revocation, true, at(0));
    queue.delay(id(2), at(9));
    assert_eq!((order(&mut queue, at(8)), queue.next_due()), (vec![3, 1], Some(at(9))));
    queue.delay(id(1), at(9));
    queue.add_retry(id(2), at(8));
    assert_eq!((order(&mut queue, at(8)), queue.depth()), (vec![2], 0), "what is in flight is not delayed");
}

#[test]
fn turns_and_backoffs_are_as_far_away_after_a_step_as_before() {
    for step in [ClockStep { from: at(5000), to: at(9000) }, ClockStep { from: at(5000), to: at(1000) }] {
        let mut queue = WorkQueue::default();
        queue.add(id(1), Grant, 1, step.from);
        queue.pop(step.from).unwrap();
        queue.retry(id(1), step.from + SECOND, step.from);
        queue.add(id(2), Grant, 1, step.from);
        queue.pop(step.from).unwrap();
        queue.add(id(2), Revocation, 1, step.from);
        (10..110).for_each(|n| queue.add(id(n), Grant, 100, step.from));
        queue.carry(step);
        assert_eq!((queue.due(id(1)), queue.next_due()), (Some(step.to + SECOND), Some(step.to + SECOND)));
        assert_eq!(queue.depth(), 101);
        // A small edit that comes after overtakes the bulk, as it would have.
        queue.add(id(3), Grant, 1, step.to + SECOND);
        queue.done(id(2), step.to + SECOND);
        let next: Vec<_> = order(&mut queue, step.to + SECOND).into_iter().take(3).collect();
        assert_eq!(next, [2, 3, 10]);
        let mut bulk = WorkQueue::default();
        bulk.add(id(1), Grant, 1, step.from);
        bulk.carry(step);
        assert_eq!(bulk.pop(step.to + SECOND).unwrap().waited, SECOND);
    }
}
