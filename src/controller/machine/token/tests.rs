//! Which refusals are the account's, the token's, or those of the credentials; and when what is tried again.

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
        tokens.read(refresh(), now);
        assert_eq!(tokens.need(now), Need::Request);
    }
    tokens.begin();
    assert_eq!(tokens.need(now), Need::Patience);
    tokens.granted(token(), Duration::from_secs(3600), now);
    assert_eq!(tokens.need(now + Duration::from_secs(3299)), Need::Nothing);
    assert_eq!(tokens.need(now + Duration::from_secs(3300)), Need::Credentials);
}

/// Tokens with one in hand, of generation 1, at moment 0.
fn granted() -> (Tokens, Timestamp) {
    let (mut tokens, now) = (Tokens::new(), Timestamp::from_millis(0));
    tokens.granted(token(), Duration::from_secs(3600), now);
    (tokens, now)
}

fn account(n: u64) -> AccountId {
    AccountId::new(n).unwrap()
}

#[test]
fn a_refused_token_is_replaced_once_and_the_next_refusal_stops_all_requests_until_the_next_trial() {
    let (mut tokens, now) = granted();
    assert_eq!(tokens.refused(1, account(1), false, Others::None, refusal(), now), Refusal::Replaced);
    assert_eq!((tokens.need(now), tokens.next_trial()), (Need::Credentials, None));
    tokens.granted(token(), Duration::from_secs(3600), now);
    assert_eq!(tokens.refused(1, account(1), false, Others::None, refusal(), now), Refusal::Late);
    assert_eq!(tokens.refused(2, account(1), false, Others::None, refusal(), now), Refusal::OfCredentials);
    assert_eq!(tokens.need(now), Need::Others(refusal()));
    let trial = now + Duration::from_secs(60);
    assert_eq!(tokens.next_trial(), Some(trial));
    tokens.try_if_due(trial.before(Duration::from_millis(1)));
    assert!(tokens.next_trial().is_some());
    tokens.try_if_due(trial);
    assert_eq!(tokens.need(now), Need::Credentials);
}

#[test]
fn a_token_that_works_for_others_is_not_replaced_for_one_account() {
    let (mut tokens, now) = granted();
    tokens.accepted(1, account(2));
    assert_eq!(tokens.refused(1, account(1), false, Others::Ready, refusal(), now), Refusal::OfAccount);
    assert!(tokens.wants_grant());
    tokens.accepted(1, account(2));
    for _ in 0..9 {
        assert_eq!(tokens.refused(1, account(1), false, Others::Idle, refusal(), now), Refusal::OfAccount);
    }
    tokens.accepted(1, account(1));
    assert_eq!(tokens.refused(1, account(1), false, Others::Ready, refusal(), now), Refusal::OfAccount);
    assert_eq!(
        tokens.refused(1, account(2), false, Others::Ready, refusal(), now),
        Refusal::Replaced,
        "it works no longer"
    );
}

#[test]
fn a_fresh_token_that_is_refused_is_tried_on_another_account_first() {
    let fresh = || {
        let (mut tokens, now) = granted();
        assert_eq!(tokens.refused(1, account(1), false, Others::Ready, refusal(), now), Refusal::Replaced);
        tokens.granted(token(), Duration::from_secs(3600), now);
        assert_eq!(tokens.refused(2, account(1), false, Others::Ready, refusal(), now), Refusal::OfAccount);
        (tokens, now)
    };
    let (mut tokens, now) = fresh();
    for n in [2, 3] {
        assert_eq!(tokens.refused(2, account(n), false, Others::Ready, refusal(), now), Refusal::OfAccount);
    }
    assert_eq!(tokens.refused(2, account(4), false, Others::Ready, refusal(), now), Refusal::OfCredentials);
    let (mut tokens, now) = fresh();
    tokens.accepted(2, account(2));
    assert_eq!(tokens.refused(2, account(1), false, Others::Ready, refusal(), now), Refusal::OfAccount);
    assert_eq!(tokens.need(now), Need::Nothing);
}

#[test]
fn credentials_that_only_one_account_had_refused_are_tried_at_once_for_another() {
    let (mut tokens, now) = granted();
    assert_eq!(tokens.refused(1, account(1), false, Others::None, refusal(), now), Refusal::Replaced);
    tokens.granted(token(), Duration::from_secs(3600), now);
    assert_eq!(tokens.refused(2, account(1), false, Others::None, refusal(), now), Refusal::OfCredentials);
    tokens.may_tell(account(1));
    assert!(tokens.next_trial().is_some());
    tokens.may_tell(account(2));
    assert_eq!(tokens.need(now), Need::Credentials);
}

#[test]
fn a_storm_of_edits_tries_credentials_that_are_refused_once_between_two_trials() {
    let (mut tokens, now) = granted();
    assert_eq!(tokens.refused(1, account(1), false, Others::None, refusal(), now), Refusal::Replaced);
    tokens.give_up(refusal(), now);
    let (mut now, mut requests) = (now, 0);
    let end = now + Duration::from_secs(600);
    while now < end {
        now = now + Duration::from_secs(1);
        tokens.try_if_due(now);
        tokens.may_tell(account(2 + now.as_millis()));
        if tokens.need(now) == Need::Credentials {
            requests += 1;
            tokens.give_up(refusal(), now);
        }
    }
    assert!((3..=8).contains(&requests), "{requests} of the ten that are allowed in ten minutes");
}

#[test]
fn an_edit_that_finds_credentials_refused_again_has_to_wait_for_the_next_trial() {
    let (mut tokens, now) = granted();
    let refuse = |tokens: &mut Tokens, n| {
        let (generation, state) =
            (tokens.generation, tokens.refused(tokens.generation, account(n), false, Others::None, refusal(), now));
        assert_eq!((tokens.generation, state), (generation, Refusal::OfCredentials));
    };
    assert_eq!(tokens.refused(1, account(1), false, Others::None, refusal(), now), Refusal::Replaced);
    tokens.granted(token(), Duration::from_secs(3600), now);
    refuse(&mut tokens, 1);
    tokens.may_tell(account(2));
    assert_eq!(tokens.need(now), Need::Credentials, "it is tried for another account");
    tokens.granted(token(), Duration::from_secs(3600), now);
    refuse(&mut tokens, 2);
    tokens.may_tell(account(3));
    assert_eq!(tokens.need(now), Need::Others(refusal()), "once between two trials");
}

#[test]
fn a_file_that_cannot_be_read_is_read_again_soon() {
    let (mut tokens, now) = (Tokens::new(), Timestamp::from_millis(0));
    for seconds in [1, 2, 4, 5, 5] {
        tokens.read(Err(refusal()), now);
        assert_eq!(tokens.next_trial(), Some(now + Duration::from_secs(seconds)));
    }
    tokens.try_if_due(now + Duration::from_secs(5));
    tokens.read(refresh(), now);
    assert_eq!(tokens.need(now), Need::Request);
}

#[test]
fn a_token_is_renewed_and_a_failure_waited_for_as_late_after_a_step_as_before() {
    let (early, late) = (Timestamp::from_millis(10_000_000), Timestamp::from_millis(90_000_000));
    let second = Duration::from_secs(1);
    for step in [ClockStep { from: early, to: late }, ClockStep { from: late, to: early }] {
        let mut tokens = Tokens::new();
        tokens.granted(token(), 3600 * second, step.from);
        tokens.carry(step);
        assert_eq!(tokens.need(step.to + 3299 * second), Need::Nothing);
        assert_eq!(tokens.need(step.to + 3300 * second), Need::Credentials);
        tokens.wait(step.from + second);
        tokens.carry(step);
        assert_eq!(tokens.need(step.to), Need::Until(step.to + second));
        tokens.give_up(refusal(), step.from);
        tokens.carry(step);
        assert_eq!(tokens.next_trial(), Some(step.to + 60 * second));
    }
}

#[test]
fn a_fresh_token_that_is_refused_for_the_one_account_that_has_anything_to_send_says_nothing_of_the_credentials() {
    let (mut tokens, now) = granted();
    assert_eq!(tokens.refused(1, account(1), false, Others::Idle, refusal(), now), Refusal::Replaced);
    tokens.granted(token(), Duration::from_secs(3600), now);
    for _ in 0..10 {
        assert_eq!(tokens.refused(2, account(1), false, Others::Idle, refusal(), now), Refusal::OfAccount);
    }
    assert_eq!(tokens.refused(2, account(2), false, Others::Idle, refusal(), now), Refusal::OfAccount);
    assert_eq!(
        tokens.refused(2, account(1), false, Others::Idle, refusal(), now),
        Refusal::OfCredentials,
        "two say the same"
    );
}

#[test]
fn an_access_token_that_was_given_is_read_again_each_hour() {
    let (mut tokens, now) = (Tokens::new(), Timestamp::from_millis(0));
    let hour = Duration::from_secs(3600);
    for read in [now, now + hour] {
        assert_eq!(tokens.need(read), Need::Credentials);
        tokens.read(Ok(Credentials::Token(token())), read);
        assert_eq!(tokens.need((read + hour).before(Duration::from_millis(1))), Need::Nothing);
    }
}

#[test]
fn an_account_that_was_refused_alone_tells_of_the_credentials_once_it_is_the_only_one() {
    let (mut tokens, now) = granted();
    assert_eq!(tokens.refused(1, account(1), false, Others::Ready, refusal(), now), Refusal::Replaced);
    tokens.granted(token(), Duration::from_secs(3600), now);
    tokens.accepted(2, account(2));
    assert_eq!(tokens.refused(2, account(1), false, Others::Idle, refusal(), now), Refusal::OfAccount);
    assert_eq!(tokens.refused(2, account(1), false, Others::None, refusal(), now), Refusal::Replaced);
    tokens.granted(token(), Duration::from_secs(3600), now);
    assert_eq!(tokens.refused(3, account(1), false, Others::None, refusal(), now), Refusal::OfCredentials);
}

#[test]
fn a_few_accounts_that_were_accepted_before_and_are_refused_now_tell_that_the_credentials_are_dead() {
    for (accepted_before, expected) in [(true, Refusal::OfCredentials), (false, Refusal::OfAccount)] {
        let (mut tokens, now) = granted();
        tokens.accepted(1, account(9));
        let mut refused =
            |generation, n| tokens.refused(generation, account(n), accepted_before, Others::Ready, refusal(), now);
        assert_eq!(refused(1, 1), Refusal::OfAccount);
        assert_eq!(refused(1, 2), Refusal::Replaced);
        tokens.granted(token(), Duration::from_secs(3600), now);
        let mut refused =
            |generation, n| tokens.refused(generation, account(n), accepted_before, Others::Ready, refusal(), now);
        assert_eq!(refused(2, 3), Refusal::OfAccount);
        assert_eq!(refused(2, 4), expected);
    }
}
