//! What is in doubt is settled. In: edits, PUTs that are answered, refused, lost before or after they acted, and
//! restarts from the ledger's bytes. Out: as long as a managed field is in doubt there is a change for it in the plan,
//! and whoever carries the plan out brings the service to what is desired, whatever was lost before.

use std::collections::BTreeMap;

use proptest::prelude::*;
use zoho_mail_reconciler::account::{AccountId, Field};
use zoho_mail_reconciler::change::{Change, Known};
use zoho_mail_reconciler::desired::{DesiredState, Look};
use zoho_mail_reconciler::ledger::{Ledger, Owner, Record};
use zoho_mail_reconciler::plan::plan;

use super::{Doc, config, id, ms, parsed};

/// How a PUT ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Acknowledged,
    Refused,
    /// No answer came; whether it acted only the service knows.
    Lost {
        acted: bool,
    },
    /// The process died before it left, or before its answer was on the disk.
    Killed {
        acted: bool,
    },
}

#[derive(Clone, Debug)]
enum Step {
    Edit(u64, Option<bool>, Option<bool>),
    Put(prop::sample::Index, End),
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop_oneof![
        2 => Just(End::Acknowledged),
        1 => Just(End::Refused),
        2 => any::<bool>().prop_map(|acted| End::Lost { acted }),
        2 => any::<bool>().prop_map(|acted| End::Killed { acted }),
    ];
    let step = prop_oneof![
        2 => (1..3_u64, any::<(Option<bool>, Option<bool>)>()).prop_map(|(account, (a, b))| Step::Edit(account, a, b)),
        3 => (any::<prop::sample::Index>(), end).prop_map(|(which, end)| Step::Put(which, end)),
    ];
    prop::collection::vec(step, 1..40)
}

type World = BTreeMap<(AccountId, Field), bool>;

struct Rig {
    state: DesiredState,
    ledger: Ledger,
    world: World,
}

impl Rig {
    fn edit(&mut self, account: u64, enabled: Option<bool>, active_sync: Option<bool>) {
        let name = if account == 1 { "ann" } else { "bob" };
        let doc = Doc { account, name, enabled, active_sync, suspended: None, broken: false };
        let look = match (enabled, active_sync) {
            (None, None) => Look::Gone,
            _ => Look::Parsed(parsed(name, &[doc])),
        };
        self.state.update(&name.into(), look);
    }

    fn put(&mut self, change: Change, end: End) {
        let Change { account, name, zuid, field, from: _, to, source } = change;
        let prior = self.ledger.accounts.get(&account).and_then(|row| row.field(field).cloned());
        let disruption = self.ledger.disruptions.get(&account).copied();
        self.ledger.apply(Record::Intent { at: ms(1), account, name, zuid, field, to, spec_hash: 0 });
        if matches!(end, End::Acknowledged | End::Lost { acted: true } | End::Killed { acted: true }) {
            self.world.insert((account, field), to);
        }
        match end {
            End::Acknowledged => self.ledger.apply(Record::Applied { at: ms(2), account, field, value: to, source }),
            End::Refused => self.ledger.apply(Record::NotApplied { account, field, restore: prior, disruption }),
            End::Lost { .. } => {}
            End::Killed { .. } => {
                self.ledger = Ledger::from_bytes(Some(&self.ledger.to_bytes()), b"").unwrap().unwrap();
            }
        }
    }

    fn planned(&self) -> Vec<Change> {
        plan(&self.state, &self.ledger, ms(9)).changes
    }

    /// The managed fields of which nobody knows what the service made of them.
    fn in_doubt(&self) -> impl Iterator<Item = (AccountId, Field, bool)> {
        let fields = self.state.iter().flat_map(|(account, desired)| {
            Field::ALL.map(|field| Some((account, field, desired.spec.wanted(field)?))).into_iter().flatten()
        });
        fields.filter(|(account, field, _)| self.ledger.known(*account, *field) == Known::InDoubt)
    }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn a_managed_field_in_doubt_is_in_the_plan_and_carrying_it_out_ends_right(steps in any_steps()) {
        let world = [1, 2].into_iter().flat_map(|n| Field::ALL.map(|field| ((id(n), field), true))).collect();
        let mut rig = Rig { state: DesiredState::new(), ledger: Ledger::new(Owner::User), world };
        for step in steps {
            match step {
                Step::Edit(account, enabled, active_sync) => rig.edit(account, enabled, active_sync),
                Step::Put(which, end) => {
                    let planned = rig.planned();
                    if !planned.is_empty() {
                        rig.put(which.get(&planned).clone(), end);
                    }
                }
            }
            for ((account, field), value) in &rig.world {
                if let Known::Applied(applied) = rig.ledger.known(*account, *field) {
                    prop_assert_eq!(applied, *value, "the ledger claims what is not so");
                }
            }
            let planned = rig.planned();
            for (account, field, wanted) in rig.in_doubt() {
                let settles = |change: &Change| (change.account, change.field, change.to) == (account, field, wanted);
                prop_assert!(planned.iter().any(settles), "{account} {field} stays in doubt");
            }
        }
        while let Some(change) = rig.planned().into_iter().next() {
            rig.put(change, End::Acknowledged);
        }
        prop_assert_eq!(rig.in_doubt().count(), 0);
        for (account, desired) in rig.state.iter() {
            for field in Field::ALL {
                prop_assert!(desired.spec.wanted(field).is_none_or(|wanted| rig.world[&(account, field)] == wanted));
            }
        }
    }
}
