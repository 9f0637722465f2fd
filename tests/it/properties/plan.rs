//! The plan against the interface's own words. In: any edits of a few files, any ledger, any moment. Out: the changes
//! an oracle expects that was written from the truth table, without a look at the planner or the desired state.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use zoho_mail_reconciler::account::{Field, SourceRef};
use zoho_mail_reconciler::change::{Change, Known};
use zoho_mail_reconciler::condition::Reason;
use zoho_mail_reconciler::desired::{DesiredState, Look};
use zoho_mail_reconciler::ledger::{Ledger, Owner, Record};
use zoho_mail_reconciler::manifest::{Problem, ProblemCode, Protection};
use zoho_mail_reconciler::plan::{Plan, plan, plan_account};
use zoho_mail_reconciler::timestamp::Timestamp;

use super::{Doc, config, id, ms, parsed};

const PATHS: [&str; 3] = ["a.yaml", "b.yaml", "c/d.yaml"];
const ACCOUNTS: std::ops::Range<u64> = 1..5;

#[derive(Clone, Debug)]
enum Edit {
    Write(Vec<Doc>),
    Remove,
    Lock,
}

fn any_doc() -> impl Strategy<Value = Doc> {
    let managed = || {
        prop_oneof![
            3 => (any::<bool>(), any::<bool>()).prop_map(|(a, b)| (Some(a), Some(b))),
            1 => any::<bool>().prop_map(|a| (Some(a), None)),
            1 => any::<bool>().prop_map(|b| (None, Some(b))),
        ]
    };
    let name = prop::sample::select(vec!["ann", "bob", "cat", "dan", "eve"]);
    let until = prop_oneof![Just(None), (0..4_u64).prop_map(|n| Some(ms(n * 1000)))];
    let suspended = prop_oneof![4 => Just(None), 1 => until.prop_map(Some)];
    let dates = (0..3_u64, 1..3_u64, any::<bool>(), any::<bool>());
    let dates = dates.prop_map(|(from, length, begins, ends)| {
        [begins.then_some(ms(from * 1000)), ends.then_some(ms((from + length) * 1000))]
    });
    let dates = prop_oneof![2 => Just([None; 2]), 1 => dates];
    (ACCOUNTS, name, managed(), suspended, dates, prop::bool::weighted(0.2)).prop_map(
        |(account, name, (enabled, active_sync), suspended, dates, broken)| Doc {
            account,
            name,
            enabled,
            active_sync,
            suspended,
            dates,
            broken,
        },
    )
}

fn any_edits() -> impl Strategy<Value = Vec<(usize, Edit)>> {
    let edit = prop_oneof![
        8 => prop::collection::vec(any_doc(), 0..4).prop_map(Edit::Write),
        1 => Just(Edit::Remove),
        1 => Just(Edit::Lock),
    ];
    prop::collection::vec((0..PATHS.len(), edit), 1..8)
}

fn any_known() -> impl Strategy<Value = Known> {
    prop_oneof![Just(Known::Absent), any::<bool>().prop_map(Known::Applied), Just(Known::InDoubt)]
}

type Knowledge = BTreeMap<(u64, Field), Known>;

fn any_knowledge() -> impl Strategy<Value = Knowledge> {
    let keys = ACCOUNTS.flat_map(|account| Field::ALL.map(|field| (account, field)));
    let keys: Vec<_> = keys.collect();
    prop::collection::vec(any_known(), keys.len()).prop_map(move |known| keys.iter().copied().zip(known).collect())
}

fn intent(account: u64, field: Field, to: bool) -> Record {
    Record::Intent {
        at: ms(1),
        account: id(account),
        name: "x".into(),
        zuid: None,
        field,
        to,
        spec_hash: 0,
        lands_by: Some(ms(1)),
        cause: None,
    }
}

fn applied(account: u64, field: Field, value: bool) -> Record {
    let source = SourceRef { path: "x.yaml".into(), line: 1 };
    Record::Applied { at: ms(2), account: id(account), field, value, source, evidence: None }
}

fn ledger(knowledge: &Knowledge) -> Ledger {
    let mut ledger = Ledger::new(Owner::User);
    for ((account, field), known) in knowledge {
        match known {
            Known::Absent => continue,
            Known::InDoubt => ledger.apply(intent(*account, *field, true)),
            Known::Applied(value) => {
                ledger.apply(intent(*account, *field, *value));
                ledger.apply(applied(*account, *field, *value));
            }
        }
    }
    ledger
}

/// The folder as the interface's words have it: every declaration with its file, and whether it is only kept.
#[derive(Default)]
struct Model {
    declared: Vec<(usize, Doc, bool)>,
}

impl Model {
    fn edit(&mut self, file: usize, edit: &Edit) {
        let (mine, others) = self.declared.drain(..).partition(|(path, ..)| *path == file);
        self.declared = others;
        let mine: Vec<(usize, Doc, bool)> = mine;
        let keep = |doc: &Doc| match edit {
            Edit::Remove => false,
            Edit::Lock => true,
            // "A broken file holds only what it declares": what a broken document still names stays as it was.
            Edit::Write(docs) => {
                let names = |broken: &&Doc| broken.account == doc.account || broken.name == doc.name;
                let again = docs.iter().any(|new| !new.broken && new.account == doc.account);
                !again && docs.iter().filter(|doc| doc.broken).any(|broken| names(&broken))
            }
        };
        self.declared.extend(mine.into_iter().filter(|(_, doc, _)| keep(doc)).map(|(path, doc, _)| (path, doc, true)));
        if let Edit::Write(docs) = edit {
            self.declared.extend(docs.iter().filter(|doc| !doc.broken).map(|doc| (file, doc.clone(), false)));
        }
    }

    /// The one document that counts for an account. "Two documents with one accountId, or one name: both are held."
    /// A document that is only kept holds no readable one.
    fn counts(&self, account: u64) -> Option<(usize, &Doc)> {
        let mut mine = self.declared.iter().filter(|(_, doc, _)| doc.account == account);
        let has_readable = mine.clone().any(|(.., kept)| !kept);
        let (path, doc, kept) = mine.find(|(.., kept)| !(has_readable && *kept))?;
        let shares = |(_, other, _): &&(usize, Doc, bool)| other.account == account || other.name == doc.name;
        let rivals = self.declared.iter().filter(|(.., other_kept)| *kept || !other_kept).filter(shares).count();
        (rivals == 1).then_some((*path, doc))
    }

    fn changes(&self, knowledge: &Knowledge, now: Timestamp) -> Vec<String> {
        let mut changes = Vec::new();
        for account in ACCOUNTS {
            let Some((path, doc)) = self.counts(account) else { continue };
            if doc.suspended.is_some_and(|until| until.is_none_or(|until| now < until)) {
                continue;
            }
            // "Before validFrom, and from validUntil on, every managed field is false."
            let [from, until] = doc.dates;
            let is_valid = from.is_none_or(|from| from <= now) && until.is_none_or(|until| now < until);
            let [enabled, active_sync] =
                [doc.enabled, doc.active_sync].map(|written| written.map(|written| written && is_valid));
            let mut wanted = vec![(Field::Enabled, enabled), (Field::ActiveSyncEnabled, active_sync)];
            // "ActiveSync is changed while the mailbox is enabled (enable first, disable last)."
            if enabled == Some(false) {
                wanted.reverse();
            }
            for (field, to) in wanted {
                let known = knowledge[&(account, field)];
                let Some(to) = to.filter(|to| known != Known::Applied(*to)) else { continue };
                changes.push(format!("{} {account} {} {field} {known} {to} {}", doc.name, account + 1000, PATHS[path]));
            }
        }
        changes
    }
}

fn printed(plan: &Plan) -> Vec<String> {
    let line = |change: &Change| {
        let Change { account, name, zuid, field, from, to, source, approval: None, not_before: None, .. } = change
        else {
            panic!("{change:?}")
        };
        format!("{name} {account} {} {field} {from} {to} {}", zuid.unwrap(), source.path)
    };
    plan.changes.iter().map(line).collect()
}

fn look(path: &str, edit: &Edit) -> Look {
    let locked =
        || Problem::of_file(&path.into(), ProblemCode::Unreadable, "a readable file", "permission denied", None);
    match edit {
        Edit::Write(docs) => Look::Parsed(parsed(path, docs)),
        Edit::Remove => Look::Gone,
        Edit::Lock => Look::Unreadable(locked()),
    }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn the_plan_is_what_the_truth_table_says_for_any_edits_and_any_ledger(
        edits in any_edits(), knowledge in any_knowledge(), now in 0..4000_u64,
    ) {
        let (mut model, mut state, mut ledger) = (Model::default(), DesiredState::new(), ledger(&knowledge));
        for (file, edit) in &edits {
            model.edit(*file, edit);
            state.update(&PATHS[*file].into(), look(PATHS[*file], edit));
        }
        let found = plan(&state, &ledger, ms(now));
        prop_assert_eq!(printed(&found), model.changes(&knowledge, ms(now)));

        for account in ACCOUNTS.map(id) {
            let alone = plan_account(account, state.get(account), ledger.accounts.get(&account), ms(now));
            let orphaned = state.get(account).is_none() && ledger.accounts.contains_key(&account);
            prop_assert_eq!(alone.blocked == Some(Reason::Orphaned), orphaned);
            prop_assert!(alone.changes.iter().eq(found.changes.iter().filter(|change| change.account == account)));
        }
        for Change { account, field, from, to, .. } in found.changes {
            prop_assert_ne!(from, Known::Applied(to), "a change that changes nothing");
            ledger.apply(intent(account.get(), field, to));
            ledger.apply(applied(account.get(), field, to));
        }
        prop_assert_eq!(plan(&state, &ledger, ms(now)), Plan::default(), "applied, and still planned");
    }

    #[test]
    fn nothing_is_ever_planned_that_takes_something_away_from_a_protected_account(
        edits in any_edits(), knowledge in any_knowledge(), now in 0..4000_u64,
        protect in prop::collection::vec(prop::sample::select(vec!["1", "2", "ann", "bob"]), 1..3),
    ) {
        // The manifests were read before anybody was protected: nothing but the plan stands in the way.
        let protection: Protection = protect.iter().map(|text| text.parse().unwrap()).collect();
        let (mut open, mut locked) = (DesiredState::new(), DesiredState::protecting(Arc::new(protection)));
        for (file, edit) in &edits {
            open.update(&PATHS[*file].into(), look(PATHS[*file], edit));
            locked.update(&PATHS[*file].into(), look(PATHS[*file], edit));
        }
        let ledger = ledger(&knowledge);
        let is_protected = |change: &Change| {
            let id = change.account.to_string();
            protect.iter().any(|text| *text == id || *text == &*change.name)
        };
        let mut allowed = plan(&open, &ledger, ms(now)).changes;
        allowed.retain(|change| change.to || !is_protected(change));
        prop_assert_eq!(plan(&locked, &ledger, ms(now)).changes, allowed);
    }
}
