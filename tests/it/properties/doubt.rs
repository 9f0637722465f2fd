//! What is in doubt is settled. In: edits, PUTs that are answered, refused, lost before or after they acted or on their
//! way until they land, and restarts from the ledger's bytes. Out: as long as a managed field is in doubt there is a change for it in the plan,
//! and whoever carries the plan out brings the service to what is desired, whatever was lost before.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use zoho_mail_reconciler::account::{AccountId, Field};
use zoho_mail_reconciler::change::{Change, Known};
use zoho_mail_reconciler::desired::{DesiredState, Look};
use zoho_mail_reconciler::ledger::{Ledger, Owner, Record};
use zoho_mail_reconciler::plan::plan;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::{Doc, config, id, ms, parsed};

/// How a PUT ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Acknowledged,
    Refused,
    /// No answer came; what became of it only the service knows.
    Lost(Fate),
    /// The process died before it left, or before its answer was on the disk.
    Killed(Fate),
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Acted,
    Vanished,
    /// It acts at the last moment at which it can.
    Late,
}

#[derive(Clone, Debug)]
enum Step {
    Edit(u64, Option<bool>, Option<bool>),
    Put(prop::sample::Index, End),
    Pass(Duration),
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let fate = || prop_oneof![Just(Fate::Acted), Just(Fate::Vanished), Just(Fate::Late)];
    let end = prop_oneof![
        2 => Just(End::Acknowledged),
        1 => Just(End::Refused),
        2 => fate().prop_map(End::Lost),
        2 => fate().prop_map(End::Killed),
    ];
    let step = prop_oneof![
        2 => (1..3_u64, any::<(Option<bool>, Option<bool>)>()).prop_map(|(account, (a, b))| Step::Edit(account, a, b)),
        3 => (any::<prop::sample::Index>(), end).prop_map(|(which, end)| Step::Put(which, end)),
        1 => (1..400_u64).prop_map(|seconds| Step::Pass(Duration::from_secs(seconds))),
    ];
    prop::collection::vec(step, 1..40)
}

type World = BTreeMap<(AccountId, Field), bool>;

struct Rig {
    state: DesiredState,
    ledger: Ledger,
    world: World,
    /// What is still on its way, and when it lands.
    late: BTreeMap<(AccountId, Field, bool), Timestamp>,
    now: Timestamp,
}

impl Rig {
    fn edit(&mut self, account: u64, enabled: Option<bool>, active_sync: Option<bool>) {
        let name = if account == 1 { "ann" } else { "bob" };
        let doc = Doc { account, name, enabled, active_sync, suspended: None, dates: [None; 2], broken: false };
        let look = match (enabled, active_sync) {
            (None, None) => Look::Gone,
            _ => Look::Parsed(parsed(name, &[doc])),
        };
        self.state.update(&name.into(), look);
    }

    /// Time goes on until `then`, and what was on its way lands.
    fn pass(&mut self, then: Timestamp) {
        self.now = then.max(self.now);
        let landed = self.late.extract_if(.., |_, lands| *lands <= self.now);
        self.world.extend(landed.map(|((account, field, to), _)| ((account, field), to)));
    }

    fn put(&mut self, change: Change, end: End) {
        let Change {
            account,
            name,
            zuid,
            field,
            from: _,
            to,
            source,
            revision: _,
            approval: _,
            not_before,
            validity: _,
            wanted_since: _,
            gives_back: _,
            drift: _,
            begun: _,
            refused: _,
        } = change;
        self.pass(not_before.unwrap_or_default());
        let prior = self.ledger.accounts.get(&account).and_then(|row| row.field(field).cloned());
        let disruption = self.ledger.disruptions.get(&account).copied();
        let (at, lands) = (self.now, self.now + Duration::from_secs(200));
        let (spec_hash, lands_by) = (0, Some(lands));
        self.ledger.apply(Record::Intent { at, account, name, zuid, field, to, spec_hash, lands_by, cause: None });
        match end {
            End::Acknowledged | End::Lost(Fate::Acted) | End::Killed(Fate::Acted) => {
                self.world.insert((account, field), to);
            }
            End::Lost(Fate::Late) | End::Killed(Fate::Late) => {
                self.late.insert((account, field, to), lands);
            }
            End::Refused | End::Lost(Fate::Vanished) | End::Killed(Fate::Vanished) => {}
        }
        self.pass(self.now + Duration::from_millis(1));
        match end {
            End::Acknowledged => {
                self.ledger.apply(Record::Applied { at: self.now, account, field, value: to, source, evidence: None });
            }
            End::Refused => {
                let (restore, returned, valid_until, unsent) = (prior, None, None, None);
                self.ledger.apply(Record::NotApplied {
                    account,
                    field,
                    restore,
                    disruption,
                    returned,
                    valid_until,
                    unsent,
                })
            }
            End::Lost(_) => {}
            End::Killed(_) => {
                self.ledger = Ledger::from_bytes(Some(&self.ledger.to_bytes()), b"").unwrap().unwrap();
            }
        }
    }

    fn planned(&self) -> Vec<Change> {
        plan(&self.state, &self.ledger, self.now).changes
    }

    /// The managed fields of which nobody knows what the service made of them.
    fn in_doubt(&self) -> impl Iterator<Item = (AccountId, Field, bool)> {
        let fields = self.state.iter().flat_map(|(account, desired)| {
            Field::ALL.map(|field| Some((account, field, desired.spec.written(field)?))).into_iter().flatten()
        });
        fields.filter(|(account, field, _)| self.ledger.known(*account, *field) == Known::InDoubt)
    }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn a_managed_field_in_doubt_is_in_the_plan_and_carrying_it_out_ends_right(steps in any_steps()) {
        let world = [1, 2].into_iter().flat_map(|n| Field::ALL.map(|field| ((id(n), field), true))).collect();
        let mut rig = Rig {
            state: DesiredState::new(), ledger: Ledger::new(Owner::User), world, late: BTreeMap::new(), now: ms(1_000_000),
        };
        for step in steps {
            match step {
                Step::Edit(account, enabled, active_sync) => rig.edit(account, enabled, active_sync),
                Step::Put(which, end) => {
                    let planned = rig.planned();
                    if !planned.is_empty() {
                        rig.put(which.get(&planned).clone(), end);
                    }
                }
                Step::Pass(time) => rig.pass(rig.now + time),
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
        rig.pass(rig.now + Duration::from_secs(1000));
        prop_assert_eq!(rig.in_doubt().count(), 0);
        for (account, desired) in rig.state.iter() {
            for field in Field::ALL {
                prop_assert!(desired.spec.written(field).is_none_or(|wanted| rig.world[&(account, field)] == wanted));
            }
        }
    }
}
