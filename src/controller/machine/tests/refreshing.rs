//! The service is read before anything is sent: what is asked for, what is believed, and when it ends.

use super::*;
use crate::observed::ObservedAccount;
use crate::report::{Oddity, ServiceRead};
use crate::zoho::{Page, PageAnswer, Principal};

/// A machine that reads the service first, all of it in one page, of which `ledger` knows something.
fn reading(mode: Mode, ledger: Ledger) -> Stage {
    Stage::with(Settings { refresh: Some(Principal::User), ..settings(mode) }, ledger)
}

/// The same, page by page.
fn paging(mode: Mode) -> Stage {
    let refresh = Some(Principal::Admin("7".parse().unwrap()));
    Stage::with(Settings { refresh, ..settings(mode) }, Ledger::new(Owner::User))
}

fn shown(n: u64, enabled: Option<bool>) -> ObservedAccount {
    ObservedAccount {
        account: AccountId::new(n).unwrap(),
        zuid: None,
        zoid: None,
        email: None,
        role: None,
        enabled,
        active_sync_enabled: Some(true),
    }
}

pub(super) fn answer(outcome: Outcome, code: Code, page: Option<Page>) -> Event {
    Event::Page(PageAnswer { answer: Answer { outcome, retry_after: None, code, took: Duration::ZERO }, page })
}

/// The last page, with these accounts.
pub(super) fn page(accounts: &[(u64, Option<bool>)]) -> Event {
    let accounts = accounts.iter().map(|(n, enabled)| shown(*n, *enabled)).collect();
    answer(Outcome::Applied, Code::Http(200), Some(Page { accounts, unusable: 0 }))
}

pub(super) fn failed(code: Code) -> Event {
    let failure = Failure { reason: Reason::ServiceUnavailable, message: "it hung up".into() };
    answer(Outcome::InDoubt(failure), code, None)
}

fn found(stage: &mut Stage) -> ServiceRead {
    stage.machine.last_read.take().unwrap_or_else(|| stage.machine.take_read().unwrap().0)
}

/// The words since then, without how many tickets there were.
fn said(stage: &mut Stage) -> Vec<String> {
    let words = std::mem::take(&mut stage.said).into_iter();
    words.map(|word| word.split_once(": ").map_or(word.clone(), |(_, records)| records.to_owned())).collect()
}

#[test]
fn what_is_there_already_takes_no_put_and_what_differs_takes_one() {
    for mode in [Mode::Run, Mode::Apply] {
        let mut stage = reading(mode, Ledger::new(Owner::User));
        stage.check(folder(&[(1, true), (2, true), (3, false)]), &["append 1: read request"]);
        assert_eq!(stage.report().waiting.map(|waiting| waiting.why.label()), Some("reading"));
        stage.check(Event::Durable { ticket: 1 }, &["read 200 from 0"]);
        let then = stage.feed(page(&[(1, Some(true)), (2, Some(false)), (3, Some(false)), (4, Some(true))]));
        assert_eq!(then, Then::Wait);
        assert_eq!(
            said(&mut stage),
            ["shown 1 true -, other, shown 2 false -, other, shown 3 false -, other, intent 2 true"],
            "not what no manifest manages"
        );
        let ServiceRead { requests, accounts, declared, corrected, odd, incomplete, ended_at, .. } = found(&mut stage);
        assert_eq!((requests, accounts, declared, corrected), (1, 4, 3, 3));
        assert_eq!((odd, incomplete, ended_at), (vec![], None, Some(NOW)));
    }
}

#[test]
fn a_refresh_records_what_is_there_and_never_puts() {
    let mut stage = reading(Mode::Refresh, Ledger::new(Owner::User));
    stage.check(folder(&[(1, true), (2, true)]), &["append 1: read request"]);
    stage.feed(Event::Durable { ticket: 1 });
    assert_eq!(stage.feed(page(&[(1, Some(false))])), Then::End);
    assert_eq!(said(&mut stage), ["read 200 from 0", "shown 1 false -, other"]);
    let known = |n| stage.machine.ledger.known(AccountId::new(n).unwrap(), Field::Enabled);
    assert_eq!((known(1), known(2)), (Known::Applied(false), Known::Absent));
    let odd = found(&mut stage).odd;
    assert_eq!(odd.iter().map(|odd| (odd.account.get(), odd.what)).collect::<Vec<_>>(), [(2, Oddity::NotListed)]);
}

#[test]
fn a_listing_has_as_many_requests_as_pages_and_puts_wait_for_the_last() {
    let mut stage = paging(Mode::Run);
    stage.check(folder(&[(1, true), (250, true)]), &["append 1: read request"]);
    stage.check(Event::Durable { ticket: 1 }, &["read 200 from 0"]);
    let first: Vec<_> = (1..=200).map(|n| (n, Some(false))).collect();
    stage.feed(page(&first));
    assert_eq!(said(&mut stage), ["shown 1 false -, other, read request"]);
    stage.check(Event::Durable { ticket: 2 }, &["read 200 from 200"]);
    stage.feed(page(&[(250, Some(true))]));
    assert_eq!(said(&mut stage), ["shown 250 true -, other, read request"], "a short page is not the end");
    stage.check(Event::Durable { ticket: 3 }, &["read 200 from 201"]);
    stage.feed(page(&[]));
    assert_eq!(said(&mut stage), ["intent 1 true"]);
}

#[test]
fn a_page_that_is_not_had_is_asked_for_four_times_then_a_pass_sends_nothing_and_a_daemon_goes_on() {
    for (mode, after) in [(Mode::Run, &["intent 1 true"][..]), (Mode::Apply, &[])] {
        let mut stage = reading(mode, Ledger::new(Owner::User));
        stage.feed(folder(&[(1, true)]));
        stage.step(Event::Credentials(Ok(Credentials::Token(AccessToken::new("token").unwrap()))));
        for attempt in 1..=4 {
            assert_eq!(said(&mut stage), ["read request"], "{attempt}");
            stage.check(Event::Durable { ticket: attempt }, &["read 200 from 0"]);
            stage.feed(failed(Code::Lost));
            if attempt < 4 {
                assert!(stage.said.is_empty(), "it waits");
                stage.now = stage.machine.next_timeout().unwrap();
                stage.feed(Event::Tick);
            }
        }
        assert_eq!(said(&mut stage), after);
        let gave_up = stage.report().gave_up;
        assert_eq!(gave_up.is_some(), mode == Mode::Apply, "{gave_up:?}");
        assert_eq!(found(&mut stage).incomplete.as_deref(), Some("it hung up"));
    }
}

#[test]
fn a_page_that_takes_too_long_is_asked_for_in_shorter_ones() {
    let mut stage = reading(Mode::Refresh, Ledger::new(Owner::User));
    stage.check(folder(&[(1, true)]), &["append 1: read request"]);
    for (ticket, limit) in [(1, 200), (2, 100), (3, 50), (4, 25)] {
        stage.check(Event::Durable { ticket }, &[&format!("read {limit} from 0")]);
        stage.feed(failed(Code::Timeout));
        stage.now = stage.machine.next_timeout().unwrap();
        stage.feed(Event::Tick);
        stage.said.clear();
    }
    stage.check(Event::Durable { ticket: 5 }, &["read 25 from 0"]);
    assert_eq!(stage.feed(page(&[(1, Some(true))])), Then::End);
    assert_eq!(found(&mut stage).incomplete, None);
}

#[test]
fn a_scope_that_is_missing_ends_the_reading_at_once_and_is_no_outage_of_puts() {
    let mut stage = reading(Mode::Run, Ledger::new(Owner::User));
    stage.check(folder(&[(1, true)]), &["append 1: read request"]);
    stage.feed(Event::Durable { ticket: 1 });
    let failure = Failure { reason: Reason::Unauthorized, message: "HTTP 401 INVALID_OAUTHSCOPE".into() };
    stage.feed(answer(Outcome::Paused(PauseCause::ScopeMissing, failure), Code::Http(401), None));
    assert_eq!(said(&mut stage), ["read 200 from 0", "intent 1 true"]);
    assert_eq!(stage.report().credentials_refused, None);
}

#[test]
fn a_token_that_is_refused_is_replaced_and_the_page_asked_for_again() {
    let mut stage = reading(Mode::Run, Ledger::new(Owner::User));
    stage.check(folder(&[(1, true)]), &["append 1: read request"]);
    stage.feed(Event::Durable { ticket: 1 });
    let failure = Failure { reason: Reason::Unauthorized, message: "HTTP 401 INVALID_OAUTHTOKEN".into() };
    stage.feed(answer(Outcome::Paused(PauseCause::TokenRefused, failure), Code::Http(401), None));
    stage.now = stage.machine.next_timeout().unwrap();
    stage.said.clear();
    assert_eq!(stage.feed(Event::Tick), Then::ReadCredentials, "the token is not used again");
    stage.step(Event::Credentials(Ok(Credentials::Token(AccessToken::new("other").unwrap()))));
    assert_eq!(said(&mut stage), ["read request"]);
}

#[test]
fn a_throttled_page_pauses_everybody_and_is_asked_for_after_the_pause() {
    let mut stage = reading(Mode::Run, Ledger::new(Owner::User));
    stage.check(folder(&[(1, true)]), &["append 1: read request"]);
    stage.feed(Event::Durable { ticket: 1 });
    let failure = Failure { reason: Reason::Throttled, message: "too many".into() };
    stage.feed(answer(Outcome::Paused(PauseCause::Throttled, failure), Code::Http(429), None));
    assert_eq!(said(&mut stage), ["read 200 from 0", "pause"]);
    stage.now = stage.now + Duration::from_millis(89_999);
    stage.check(Event::Tick, &[]);
    stage.now = stage.now + Duration::from_millis(1);
    stage.check(Event::Tick, &["append 3: read request"]);
}

#[test]
fn nothing_is_read_during_a_suspension_and_what_did_not_leave_takes_no_place_in_the_request_budget() {
    let mut stage = reading(Mode::Run, Ledger::new(Owner::User));
    stage.check(folder(&[(1, true)]), &["append 1: read request"]);
    assert_eq!(stage.machine.ledger.requests.len(), 1);
    stage.check(Event::Suspension(Some(Freeze::default())), &[]);
    stage.check(Event::Durable { ticket: 1 }, &["append 2: read not sent"]);
    assert_eq!(stage.machine.ledger.requests.len(), 0);
    stage.check(Event::Suspension(None), &["append 3: read request"]);
    // Ended before it was durable.
    let last = stage.machine.end(stage.now);
    assert_eq!(last.iter().filter_map(word).collect::<Vec<_>>(), ["append 4: read not sent"]);
}

#[test]
fn an_account_whose_user_is_another_one_is_not_believed_and_one_without_a_clear_state_stays_as_known() {
    let mut stage = reading(Mode::Refresh, Ledger::new(Owner::User));
    let other = document("MailAccount", 1, "accountId: '1', zuid: 11, enabled: true");
    let unclear = document("MailAccount", 2, "accountId: '2', zuid: 22, enabled: true");
    stage.check(files([other, unclear].into_iter()), &["append 1: read request"]);
    stage.feed(Event::Durable { ticket: 1 });
    let theirs = ObservedAccount { zuid: crate::account::Zuid::new(99), ..shown(1, Some(true)) };
    let accounts = vec![theirs, shown(2, None)];
    stage.feed(answer(Outcome::Applied, Code::Http(200), Some(Page { accounts, unusable: 0 })));
    assert_eq!(said(&mut stage), ["read 200 from 0"]);
    let kinds: Vec<_> = found(&mut stage).odd.into_iter().map(|odd| odd.what).collect();
    assert_eq!(kinds, [Oddity::OtherUser(crate::account::Zuid::new(99).unwrap()), Oddity::Unclear]);
}

#[test]
fn accounts_of_another_organization_and_a_listing_of_none_are_no_listing_and_a_pass_sends_nothing() {
    let foreign = ObservedAccount { zoid: Some("8".parse().unwrap()), ..shown(1, Some(false)) };
    for (accounts, why) in [
        (vec![foreign], "asked for organization 7, the service lists accounts of 8; check --zoid"),
        (vec![], "the service lists no account at all"),
    ] {
        let mut stage = paging(Mode::Apply);
        stage.check(folder(&[(1, true)]), &["append 1: read request"]);
        stage.feed(Event::Durable { ticket: 1 });
        let listed = answer(Outcome::Applied, Code::Http(200), Some(Page { accounts, unusable: 0 }));
        assert_eq!(stage.feed(listed), Then::End);
        assert_eq!(said(&mut stage), ["read 200 from 0"]);
        assert_eq!(found(&mut stage).incomplete.as_deref(), Some(why));
    }
}

/// A ledger in which so many accounts were set to `value` an hour ago.
fn known(accounts: u64, value: bool) -> Ledger {
    let mut ledger = Ledger::new(Owner::User);
    let at = NOW.before(Duration::from_secs(3600));
    for n in 1..=accounts {
        let (account, field) = (AccountId::new(n).unwrap(), Field::Enabled);
        let (name, zuid, cause, lands_by) = ("a".into(), None, None, Some(at));
        let source = crate::account::SourceRef { path: "a.yaml".into(), line: 1 };
        ledger.apply(Record::Intent { at, account, name, zuid, field, to: value, spec_hash: 0, lands_by, cause });
        ledger.apply(Record::Applied { at, account, field, value, source, evidence: None });
    }
    ledger
}

#[test]
fn a_pass_sends_what_its_reading_shows_to_be_otherwise_than_was_acknowledged() {
    let mut stage = reading(Mode::Apply, known(2, true));
    stage.feed(folder(&[(1, true), (2, true)]));
    stage.step(Event::Credentials(Ok(Credentials::Token(AccessToken::new("token").unwrap()))));
    let asked = said(&mut stage).join(", ");
    assert!(asked.ends_with("read request"), "{asked}");
    stage.feed(Event::Durable { ticket: 1 });
    stage.feed(page(&[(1, Some(true)), (2, Some(false))]));
    let said = said(&mut stage).join(", ");
    assert!(said.ends_with("intent 2 true"), "{said}");
}

#[test]
fn what_a_budget_holds_is_judged_by_what_the_reading_shows() {
    for mode in [Mode::Apply, Mode::Run] {
        let settings =
            Settings { refresh: Some(Principal::User), disruption_budget: "1".parse().unwrap(), ..settings(mode) };
        let mut stage = Stage::with(settings, Ledger::new(Owner::User));
        stage.check(folder(&[(1, false), (2, false), (3, false)]), &["append 1: read request"]);
        stage.feed(Event::Durable { ticket: 1 });
        stage.feed(page(&[(1, Some(false)), (2, Some(false)), (3, Some(true))]));
        let said = said(&mut stage).join(", ");
        assert!(said.ends_with("intent 3 false"), "{mode:?}: {said}");
        assert_eq!(stage.report().held, 0);
    }
}

#[test]
fn a_listing_that_is_always_throttled_keeps_puts_waiting_for_four_pauses_and_no_longer() {
    let mut stage = reading(Mode::Run, Ledger::new(Owner::User));
    stage.check(folder(&[(1, true)]), &["append 1: read request"]);
    let mut tickets = 1;
    for pause in 1..=4 {
        stage.feed(Event::Durable { ticket: tickets });
        let failure = Failure { reason: Reason::Throttled, message: "too many".into() };
        stage.feed(answer(Outcome::Paused(PauseCause::Throttled, failure), Code::Http(429), None));
        stage.now = stage.now + Duration::from_secs(90);
        stage.said.clear();
        stage.feed(Event::Tick);
        let last = stage.said.last().unwrap().clone();
        tickets = last.strip_prefix("append ").unwrap().split(':').next().unwrap().parse().unwrap();
        assert_eq!(last.ends_with("intent 1 true"), pause == 4, "{last}");
    }
}

#[test]
fn reading_some_accounts_ends_when_they_were_shown() {
    let mut stage = paging(Mode::Refresh);
    stage.machine.read_only([AccountId::new(2).unwrap()].into());
    stage.check(folder(&[(1, true), (2, true), (250, true)]), &["append 1: read request"]);
    stage.feed(Event::Durable { ticket: 1 });
    let first: Vec<_> = (1..=200).map(|n| (n, Some(true))).collect();
    assert_eq!(stage.feed(page(&first)), Then::End);
    assert_eq!(said(&mut stage), ["read 200 from 0", "shown 2 true -, other"]);
    assert_eq!(found(&mut stage).odd, [], "the others are not missed");
}
