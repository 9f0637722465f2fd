//! No access token can be had: what is shown from the first failure, what once it lasts, and what it costs.

use super::*;
use crate::ledger::ImposedPause;
use crate::throttle::TOKEN_REQUESTS;
use crate::zoho::{RefreshCredentials, TokenAnswer, TokenOutcome};

/// A machine that has one mailbox to enable, and asked for a token that is on its way.
fn asking() -> Stage {
    let mut stage = Stage::new(Mode::Run);
    assert_eq!(stage.feed(folder(&[(1, true)])), Then::ReadCredentials);
    ask(&mut stage);
    stage
}

/// The machine has its credentials, and its request for a token is durable.
fn ask(stage: &mut Stage) {
    let refresh = RefreshCredentials::new("id", "secret", "refresh").unwrap();
    stage.feed(Event::Credentials(Ok(Credentials::Refresh(refresh))));
    let ticket = stage.said.last().and_then(|said| said.strip_prefix("append ")?.split(':').next()?.parse().ok());
    stage.said.clear();
    stage.check(Event::Durable { ticket: ticket.unwrap() }, &["fetch a token"]);
}

fn unavailable(code: Code) -> Event {
    let failure = Failure { reason: Reason::TokenUnavailable, message: "no access token: refused".into() };
    Event::Token(TokenAnswer { outcome: TokenOutcome::Unavailable(failure), code, took: Duration::ZERO })
}

/// The next request for a token fails as well, when its time has come.
fn fail_again(stage: &mut Stage, code: Code) {
    stage.now = stage.machine.waiting.unwrap().until;
    assert_eq!(stage.feed(Event::Tick), Then::ReadCredentials);
    ask(stage);
    stage.feed(unavailable(code));
    stage.said.clear();
}

fn reason(stage: &mut Stage) -> Reason {
    let list = stage.machine.accounts(Part::default(), stage.now);
    list.items[0].status.conditions[0].reason
}

#[test]
fn a_token_that_cannot_be_had_is_shown_at_once_and_makes_the_daemon_unready_once_that_lasts() {
    let mut stage = asking();
    assert_eq!((stage.report().token_unavailable, reason(&mut stage)), (None, Reason::Progressing));
    stage.feed(unavailable(Code::Http(200)));
    for failures in 1..=3 {
        let report = stage.report();
        assert_eq!(report.token_unavailable.as_deref(), Some("no access token: refused"));
        assert_eq!(report.not_ready().is_some(), failures == 3, "{failures}");
        assert_eq!(reason(&mut stage), Reason::TokenUnavailable);
        fail_again(&mut stage, Code::Timeout);
    }
    // With nothing to send no token is asked for, and what is known of it gets old.
    let suspended = document("MailAccount", 1, "accountId: '1', enabled: true, suspend: true");
    stage.feed(files([suspended].into_iter()));
    assert_eq!((stage.report().token_unavailable, stage.report().not_ready()), (None, None));
}

#[test]
fn a_pause_is_what_counts_while_there_is_one_and_a_refusal_is_another_condition() {
    let mut stage = asking();
    stage.feed(unavailable(Code::Timeout));
    let until = stage.now + Duration::from_secs(90);
    stage.machine.throttle.impose(until, Reason::Throttled, stage.now);
    assert_eq!(reason(&mut stage), Reason::Throttled);
    assert_eq!(stage.report().pause, Some(ImposedPause { until, reason: Reason::Throttled }));
    stage.now = until;
    assert_eq!(stage.feed(Event::Tick), Then::ReadCredentials);
    ask(&mut stage);
    let refused = Failure { reason: Reason::Unauthorized, message: "invalid_code".into() };
    let outcome = TokenOutcome::Refused(refused);
    stage.feed(Event::Token(TokenAnswer { outcome, code: Code::Http(400), took: Duration::ZERO }));
    let report = stage.report();
    assert_eq!((report.token_unavailable, report.credentials_refused.as_deref()), (None, Some("invalid_code")));
}

#[test]
fn a_pause_that_the_accounts_host_asks_for_is_a_pause_wherever_it_is_shown() {
    let mut stage = asking();
    let failure = Failure { reason: Reason::Throttled, message: "HTTP 429".into() };
    let outcome = TokenOutcome::Throttled(failure, None);
    stage.feed(Event::Token(TokenAnswer { outcome, code: Code::Http(429), took: Duration::ZERO }));
    let report = stage.report();
    let (until, waiting) = (stage.now + Duration::from_secs(90), report.waiting.unwrap());
    assert_eq!((waiting.why.label(), waiting.until, report.token_unavailable), ("imposed", Some(until), None));
    assert_eq!((reason(&mut stage), stage.machine.waiting.unwrap().why.label()), (Reason::Throttled, "imposed"));
    stage.now = until;
    assert_eq!(stage.feed(Event::Tick), Then::ReadCredentials);
}

#[test]
fn connections_that_are_refused_use_up_no_token_request_neither_here_nor_in_the_ledger() {
    let mut stage = asking();
    stage.check(unavailable(Code::Connect), &["append 2: token not sent, TokenUnavailable"]);
    for _ in 0..2 * TOKEN_REQUESTS {
        fail_again(&mut stage, Code::Connect);
    }
    assert_eq!((stage.machine.ledger.requests.len(), stage.machine.ledger.token_requests.len()), (0, 0));
    // Requests that were sent are used up.
    for _ in 0..TOKEN_REQUESTS {
        fail_again(&mut stage, Code::Timeout);
    }
    assert_eq!(stage.machine.ledger.token_requests.len(), TOKEN_REQUESTS);
    stage.now = stage.machine.waiting.unwrap().until;
    stage.machine.waiting = None;
    stage.feed(Event::Tick);
    let refresh = RefreshCredentials::new("id", "secret", "refresh").unwrap();
    stage.feed(Event::Credentials(Ok(Credentials::Refresh(refresh))));
    assert_eq!(stage.machine.waiting.unwrap().why, crate::throttle::Wait::TokenLimit);
}

#[test]
fn a_limit_of_token_requests_that_is_reached_is_said_once_with_its_end() {
    let mut ledger = Stage::new(Mode::Run).machine.ledger.clone();
    ledger.token_requests = (0..TOKEN_REQUESTS as u64).map(|n| NOW.before(Duration::from_secs(60 - n))).collect();
    let mut stage = Stage::with(settings(Mode::Run), ledger);
    assert_eq!(stage.feed(folder(&[(1, true)])), Then::ReadCredentials);
    let refresh = || Credentials::Refresh(RefreshCredentials::new("id", "secret", "refresh").unwrap());
    let mut said = Vec::new();
    for event in [Event::Credentials(Ok(refresh())), Event::Tick, Event::Credentials(Ok(refresh()))] {
        stage.machine.handle(event, stage.now, 0.5);
        let effects = stage.machine.turn(stage.now).effects;
        said.extend(
            effects.iter().map(|effect| format!("{effect:?}")).filter(|log| log.contains("Request(TokenLimit")),
        );
    }
    let until = stage.machine.waiting.unwrap().until;
    assert!(until > NOW, "{until}");
    assert!(said.len() == 1 && said[0].contains(&until.as_millis().to_string()), "{said:?}");
}
