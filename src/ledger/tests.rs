//! What is known after each record of the ledger.

use super::samples::{account, after, applied, at, intent, owner, source};
use super::*;
use crate::condition::Reason;

#[test]
fn a_field_is_in_doubt_from_its_intent_until_its_end_is_known() {
    let mut ledger = Ledger::new(owner());
    let enabled = |ledger: &Ledger| ledger.known(account(1), Field::Enabled);
    assert_eq!(enabled(&ledger), Known::Absent);
    ledger.apply(intent(1, Field::Enabled, true));
    assert_eq!(enabled(&ledger), Known::InDoubt);
    ledger.apply(applied(1, Field::Enabled, true));
    assert_eq!(enabled(&ledger), Known::Applied(true));
    assert_eq!(ledger.known(account(1), Field::ActiveSyncEnabled), Known::Absent);
    assert_eq!(ledger.serial, 2);
}

fn not_applied(restore: Option<FieldState>) -> Record {
    let (account, field, disruption, returned, valid_until, unsent) =
        (account(1), Field::Enabled, None, None, None, None);
    Record::NotApplied { account, field, restore, disruption, returned, valid_until, unsent }
}

#[test]
fn what_provably_did_not_happen_leaves_the_field_as_it_was() {
    let before = after(Ledger::new(owner()), &[intent(1, Field::Enabled, true), applied(1, Field::Enabled, true)]);
    let restore = before.accounts[&account(1)].enabled.clone();
    let ledger = after(before.clone(), &[intent(1, Field::Enabled, false), not_applied(restore)]);
    assert_eq!(ledger.accounts, before.accounts);
    assert!(ledger.disruptions.is_empty());
}

#[test]
fn only_taking_away_is_remembered_as_a_disruption_and_once_an_account() {
    let field = Field::ActiveSyncEnabled;
    let mut ledger = after(Ledger::new(owner()), &[intent(1, field, true), applied(1, field, true)]);
    assert!(ledger.disruptions.is_empty());
    for later in [7, 9] {
        ledger.apply(intent(1, field, false));
        ledger.apply(Record::Applied {
            at: at(later),
            account: account(1),
            field,
            value: false,
            source: source(),
            evidence: None,
        });
    }
    assert_eq!(ledger.disruptions, BTreeMap::from([(account(1), at(9))]));
}

#[test]
fn a_disruption_counts_from_its_intent_until_it_provably_did_not_happen() {
    let field = Field::Enabled;
    let mut ledger = after(Ledger::new(owner()), &[intent(1, field, true), applied(1, field, true)]);
    ledger.apply(intent(1, field, false));
    assert_eq!(ledger.disruptions.len(), 1, "it is not known whether it acted");
    ledger.apply(not_applied(None));
    assert!(ledger.disruptions.is_empty());
}

#[test]
fn a_generation_begins_with_a_spec_not_seen_before() {
    let observed =
        |spec_hash| Record::Observed { account: account(1), name: "a".into(), zuid: None, spec_hash, path: None };
    let ledger = after(Ledger::new(owner()), &[1, 1, 2, 2, 1].map(observed));
    assert_eq!(ledger.accounts[&account(1)].observed_generation, 3);
}

#[test]
fn a_token_request_that_was_not_sent_is_remembered_no_longer() {
    let token = |n| Record::TokenRequest { at: at(n) };
    let before = after(Ledger::new(owner()), &[token(1), intent(1, Field::Enabled, true)]);
    let ledger = after(before.clone(), &[token(9), Record::TokenNotSent]);
    assert_eq!((&ledger.requests, &ledger.token_requests), (&before.requests, &before.token_requests));
    let none = after(Ledger::new(owner()), &[Record::TokenNotSent]);
    assert_eq!((none.requests.len(), none.token_requests.len()), (0, 0));
}

#[test]
fn a_pause_is_in_force_until_it_is_lifted() {
    let pause = Some(ImposedPause { until: at(60), reason: Reason::Throttled });
    let mut ledger = after(Ledger::new(owner()), &[Record::Pause { pause }]);
    assert_eq!(ledger.pause, pause);
    ledger.apply(Record::Pause { pause: None });
    assert_eq!(ledger.pause, None);
}

#[test]
fn an_owner_reads_back_as_it_prints() {
    for owner in [owner(), Owner::User, Owner::Sandbox] {
        assert_eq!(owner.to_string().parse::<Owner>().unwrap(), owner);
    }
    assert!("somebody else".parse::<Owner>().is_err());
}
