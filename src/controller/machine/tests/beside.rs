//! One account whose requests never succeed, and others that are edited beside it.

use super::pausing::asking;
use super::*;

/// Both fields of account `n` are to be set.
fn both(n: u64, enabled: bool) -> String {
    document("MailAccount", n, &format!("accountId: '{n}', enabled: {enabled}, activeSyncEnabled: true"))
}

/// What account 1 is answered at each attempt; all others are accepted.
fn trouble(outcome: fn(Failure) -> Outcome) -> impl Fn(u64) -> Event {
    move |n| {
        let failure = Failure { reason: Reason::ServiceUnavailable, message: "HTTP 503".into() };
        if n == 1 { asking(1, outcome(failure), Duration::from_secs(90), false) } else { answered(n, Outcome::Applied) }
    }
}

#[test]
fn after_a_pause_an_account_that_met_it_keeps_no_edit_waiting_though_its_backoff_ends_in_the_pause() {
    for (first, urgent) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut stage = Stage::new(Mode::Run);
        let mut texts = vec![both(1, first)];
        stage.step(files(texts.clone().into_iter()));
        let trouble = trouble(Outcome::InDoubt);
        assert_eq!(stage.answer(1, &trouble), [1]);
        // Each edit comes in a pause, and the account that met it has a field that was not tried yet.
        for n in 2..8 {
            texts.push(document("MailAccount", n, &format!("accountId: '{n}', enabled: {}", !urgent)));
            stage.step(files(texts.clone().into_iter()));
            let asked = stage.answer(2, &trouble);
            assert!(asked.contains(&n), "{n}: {asked:?}, {first} {urgent}");
        }
    }
}

#[test]
fn a_field_that_did_not_fail_goes_before_the_one_that_did_though_its_backoff_is_over() {
    let mut stage = Stage::new(Mode::Run);
    stage.step(files([both(1, true)].into_iter()));
    let put = |stage: &mut Stage| {
        let before = stage.said.len();
        while !stage.said[before.min(stage.said.len())..].iter().any(|word| word.starts_with("put")) {
            let ticket = stage.said.iter().filter(|word| word.starts_with("append")).count() as u64;
            stage.step(Event::Durable { ticket });
            stage.now = stage.machine.next_timeout().unwrap_or(stage.now);
            stage.step(Event::Tick);
        }
        let request = stage.machine.inflight.get(AccountId::new(1).unwrap()).unwrap();
        request.change().field
    };
    let lost = |stage: &mut Stage| stage.step(trouble(Outcome::InDoubt)(1));
    assert_eq!(put(&mut stage), Field::Enabled);
    lost(&mut stage);
    assert_eq!(put(&mut stage), Field::ActiveSyncEnabled, "after a pause of 90 seconds");
    lost(&mut stage);
    assert_eq!(put(&mut stage), Field::Enabled);
}

#[test]
fn a_wait_that_the_service_asks_of_one_account_again_while_others_are_accepted_delays_that_account_alone() {
    let mut stage = Stage::new(Mode::Run);
    let mut texts = vec![both(1, true)];
    stage.step(files(texts.clone().into_iter()));
    let trouble = trouble(Outcome::InDoubt);
    assert_eq!(stage.answer(1, &trouble), [1]);
    assert!(stage.report().pause.is_some(), "the first answer may be for everybody");
    texts.push(both(2, true));
    stage.step(files(texts.into_iter()));
    let asked = stage.answer(3, &trouble);
    assert_eq!((asked.iter().filter(|n| **n == 1).count(), stage.report().pause), (1, None), "{asked:?}");
    let row = stage.machine.ledger.accounts.get(&AccountId::new(1).unwrap()).unwrap();
    let until = Field::ALL.into_iter().filter_map(|field| row.failed(field)).map(|failed| failed.next_attempt).max();
    assert_eq!(until, Some(stage.now + Duration::from_secs(90)), "as long as is asked, and as an answer may ask");
}
