//! Ledgers and records for this room's tests: any, and a few well-known ones.

use std::sync::Arc;

use proptest::prelude::*;

use super::{
    DeclaredBudget, Evidence, FailedAttempt, FieldState, ImposedPause, Ledger, Outage, OutageKind, Owner, Record,
    Unready, Wanted,
};
use crate::account::{AccountId, Field, MAX_ID, SourceRef, Zoid, Zuid};
use crate::change::Known;
use crate::condition::Reason;
use crate::guard::DisruptionBudget;
use crate::manifest::Budget;
use crate::revision::Revision;
use crate::timestamp::Timestamp;
use crate::validity::Validity;

pub(super) fn owner() -> Owner {
    Owner::Organization(Zoid::new(12_345_678).unwrap())
}

pub(super) fn account(n: u64) -> AccountId {
    AccountId::new(2_560_636_000_000_008_000 + n).unwrap()
}

pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_763_753_000_000 + seconds * 1000)
}

pub(super) fn source() -> SourceRef {
    SourceRef { path: "sales/alice.yaml".into(), line: 1 }
}

pub(super) fn intent(n: u64, field: Field, to: bool) -> Record {
    Record::Intent {
        at: at(n),
        account: account(n),
        name: format!("account-{n}").into(),
        zuid: Zuid::new(1_111_111),
        field,
        to,
        spec_hash: 0xfeed,
        lands_by: None,
        cause: None,
    }
}

pub(super) fn applied(n: u64, field: Field, value: bool) -> Record {
    Record::Applied { at: at(n + 1), account: account(n), field, value, source: source(), evidence: None }
}

/// Both lines of a journaled PUT, for accounts 1, 2, 3, …
pub(super) fn puts(count: u64) -> Vec<Record> {
    (1..=count).flat_map(|n| [intent(n, Field::Enabled, true), applied(n, Field::Enabled, true)]).collect()
}

pub(super) fn after(mut ledger: Ledger, records: &[Record]) -> Ledger {
    records.iter().for_each(|record| ledger.apply(record.clone()));
    ledger
}

/// Few accounts, so that records meet; and the ends of the range.
fn any_account() -> impl Strategy<Value = AccountId> {
    prop_oneof![1..5_u64, Just(MAX_ID)].prop_map(|n| AccountId::new(n).unwrap())
}

/// Sometimes days apart, so that things are forgotten; and the ends of the range.
fn any_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![8 => 0..90_u64, 1 => Just(u64::MAX), 1 => Just(0)].prop_map(|days| {
        Timestamp::from_millis(1_763_753_731_042_u64.saturating_add(days.saturating_mul(24 * 60 * 60 * 1000)))
    })
}

fn any_source() -> impl Strategy<Value = SourceRef> {
    (".{0,12}", any::<u32>()).prop_map(|(path, line)| SourceRef { path: path.into(), line })
}

fn any_revision() -> impl Strategy<Value = Option<Arc<str>>> {
    proptest::option::of(".{0,12}".prop_map(Into::into))
}

fn any_evidence() -> impl Strategy<Value = Box<Evidence>> {
    let from = prop_oneof![Just(Known::Absent), Just(Known::InDoubt), any::<bool>().prop_map(Known::Applied)];
    let texts = (".{0,8}", ".{0,12}", proptest::option::of(".{0,8}"), proptest::option::of(".{0,8}"), ".{0,8}");
    (from, texts).prop_map(|(from, (name, id, author, approval, answer))| {
        let subject = author.as_ref().map(|author| author.chars().rev().collect::<String>().into());
        let revision = Revision { id: id.into(), author: author.map(Into::into), subject };
        let (name, answer): (Arc<str>, Box<str>) = (name.into(), answer.into());
        let validity = Some(Validity::Valid { since: Some(at(1)) }).filter(|_| answer.len() % 2 == 1);
        Box::new(Evidence {
            name,
            from,
            revision: revision.into(),
            approval: approval.map(Into::into),
            validity,
            drift: None,
            answer,
        })
    })
}

fn any_field() -> impl Strategy<Value = Field> {
    prop_oneof![Just(Field::Enabled), Just(Field::ActiveSyncEnabled)]
}

fn any_state() -> impl Strategy<Value = FieldState> {
    prop_oneof![
        (any::<bool>(), any_time(), any_source(), any_revision()).prop_map(|(value, applied_at, source, revision)| {
            FieldState::Applied { value, applied_at, source, revision }
        }),
        (any_time(), any::<Option<bool>>(), any_time()).prop_map(|(since, to, lands_by)| FieldState::InDoubt {
            since,
            to,
            lands_by
        }),
        (any::<bool>(), any_time(), any_source(), any_time()).prop_map(|(value, applied_at, source, until)| {
            FieldState::Unsettled { value, applied_at, source, revision: None, until }
        }),
    ]
}

fn any_failure() -> impl Strategy<Value = Box<FailedAttempt>> {
    (any_time(), "\\PC{0,20}|.{0,20}", any::<(u64, u32, bool)>()).prop_map(
        |(at, message, (spec_hash, attempts, to))| {
            let (reason, code, message) = (Reason::Forbidden, "403".into(), message.into());
            Box::new(FailedAttempt { to, spec_hash, reason, code, message, since: at, at, attempts, next_attempt: at })
        },
    )
}

fn any_unready() -> impl Strategy<Value = Unready> {
    let wanted = || proptest::option::of((any::<bool>(), any_time()).prop_map(|(to, since)| Wanted { to, since }));
    (any_time(), wanted(), wanted(), any::<bool>()).prop_map(|(since, enabled, active_sync_enabled, unreconciled)| {
        Unready { since, enabled, active_sync_enabled, unreconciled }
    })
}

pub(super) fn any_record() -> impl Strategy<Value = Record> {
    let zuid = || any::<Option<u32>>().prop_map(|n| n.and_then(|n| Zuid::new(n.into())));
    let pause = || any_time().prop_map(|until| ImposedPause { until, reason: Reason::Throttled });
    prop_oneof![
        4 => (any_time(), any_account(), ".{0,8}", zuid(), any_field(), any::<(bool, u64)>(), proptest::option::of(any_time()))
            .prop_map(|(at, account, name, zuid, field, (to, spec_hash), lands_by)| {
                Record::Intent { at, account, name: name.into(), zuid, field, to, spec_hash, lands_by, cause: None }
            }),
        4 => (any_time(), any_account(), any_field(), any::<bool>(), any_source(), proptest::option::of(any_evidence()))
            .prop_map(|(at, account, field, value, source, evidence)| {
                Record::Applied { at, account, field, value, source, evidence }
            }),
        2 => (any_account(), any_field(), proptest::option::of(any_state()), proptest::option::of(any_time())).prop_map(
            |(account, field, restore, disruption)| {
                let (returned, valid_until, unsent) = (disruption, disruption, disruption);
                Record::NotApplied { account, field, restore, disruption, returned, valid_until, unsent }
            }
        ),
        1 => (any_account(), any_field(), proptest::option::of(any_failure()))
            .prop_map(|(account, field, failed)| Record::Failed { account, field, failed }),
        1 => (any_account(), ".{0,8}", zuid(), any::<u64>(), proptest::option::of(any_source())).prop_map(
            |(account, name, zuid, spec_hash, source)| {
                let path = source.map(|source| source.path);
                Record::Observed { account, name: name.into(), zuid, spec_hash, path }
            }
        ),
        1 => (any_time(), any_account(), ".{0,8}", proptest::option::of(".{0,8}")).prop_map(
            |(at, account, name, by)| Record::Forgotten { at, account, name: name.into(), by: by.map(Into::into) }
        ),
        2 => (any_account(), proptest::option::of(any_unready()), proptest::option::of(any_time()))
            .prop_map(|(account, unready, ready_since)| Record::Unready { account, unready, ready_since }),
        1 => any_time().prop_map(|at| Record::TokenRequest { at }),
        1 => Just(Record::TokenNotSent),
        1 => (any_time(), any_time()).prop_map(|(from, to)| Record::ClockStepped { from, to }),
        1 => (any_time(), any_time(), proptest::option::of(any_time()))
            .prop_map(|(at, lands_by, remembered)| Record::ClockBehind { at, lands_by, remembered }),
        1 => proptest::collection::btree_set((".{0,8}".prop_map(Into::into), any_time()), 0..3)
            .prop_map(|approvals| Record::Lapsed { approvals }),
        1 => proptest::collection::vec((any_source(), proptest::option::of(0..30_u64)), 0..3).prop_map(|budgets| {
            let spec = |days: Option<u64>| Budget {
                max: days.is_none_or(|days| days > 9).then(DisruptionBudget::default),
                window: days.map(|days| std::time::Duration::from_secs(days * 86_400)),
                max_grants: days.map(|_| crate::guard::GrantBudget(None)),
            };
            let budget = |(source, days)| DeclaredBudget { source, spec: spec(days) };
            Record::Budgets { budgets: budgets.into_iter().map(budget).collect() }
        }),
        1 => proptest::option::of(pause()).prop_map(|pause| Record::Pause { pause }),
        1 => proptest::option::of((any_time(), ".{0,8}", any::<u32>())).prop_map(|outage| {
            let kind = OutageKind::RefusesAlike;
            let outage = outage.map(|(since, why, failures)| Box::new(Outage { kind, why: why.into(), since, failures }));
            Record::Outage { outage }
        }),
        1 => (any_time(), pause(), proptest::option::of(".{0,8}"))
            .prop_map(|(at, pause, by)| Record::PauseLifted { at, pause, by: by.map(Into::into) }),
    ]
}

pub(super) fn any_records() -> impl Strategy<Value = Vec<Record>> {
    proptest::collection::vec(any_record(), 0..40)
}
