//! The disruption budget against a list of everything that was ever taken away. In: disruptions wanted, begun by the
//! budget or by an approval, answered or never answered, other budgets and windows, changes of the organization's size, time, and restarts whose clock may stand earlier. Out: the
//! verdict is exactly the list's; so no window ever holds more than the budget, and nothing is held that fits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use zoho_mail_reconciler::account::{AccountId, Field, SourceRef};
use zoho_mail_reconciler::guard::{DisruptionBudget, Guard, Verdict};
use zoho_mail_reconciler::ledger::{Cause, FieldState, Ledger, Owner, Record};
use zoho_mail_reconciler::timestamp::Timestamp;

use super::{config, id, ms};

#[derive(Clone, Debug)]
enum Step {
    Want(u64, bool),
    /// Begin the account's disruption if it is wanted and the budget lets it.
    Try(u64),
    /// Begin it in any case: an approval covers it.
    Approved(u64),
    /// Another budget, and another window.
    Budget(Budget, u64),
    /// The service acknowledged it, provably did not act, or nobody knows.
    Answer(u64, Option<bool>),
    Managed(usize),
    Pass(u64),
    /// Fold the ledger, and start again this much earlier.
    Restart(u64),
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let account = || 1..7_u64;
    let step = prop_oneof![
        4 => (account(), prop::bool::weighted(0.8)).prop_map(|(account, pending)| Step::Want(account, pending)),
        8 => account().prop_map(Step::Try),
        2 => account().prop_map(Step::Approved),
        1 => (any_budget(), 0..3000_u64).prop_map(|(budget, window)| Step::Budget(budget, window)),
        6 => (account(), any::<Option<bool>>()).prop_map(|(account, answer)| Step::Answer(account, answer)),
        1 => (0..20_usize).prop_map(Step::Managed),
        6 => (0..700_u64).prop_map(Step::Pass),
        1 => prop_oneof![4 => 0..2000_u64, 1 => Just(MONTHS)].prop_map(Step::Restart),
    ];
    prop::collection::vec(step, 1..80)
}

/// A budget in any of its three forms.
#[derive(Clone, Copy, Debug)]
struct Budget(Option<usize>, Option<usize>);

impl Budget {
    fn text(self) -> String {
        let Self(count, percent) = self;
        let parts = [count.map(|count| count.to_string()), percent.map(|percent| format!("{percent}%"))];
        parts.into_iter().flatten().collect::<Vec<_>>().join(",")
    }

    fn parsed(self) -> DisruptionBudget {
        self.text().parse().unwrap()
    }

    /// "The larger of the two."
    fn limit(self, managed: usize) -> usize {
        self.0.unwrap_or(0).max(self.1.map_or(0, |percent| managed * percent / 100))
    }
}

fn any_budget() -> impl Strategy<Value = Budget> {
    prop_oneof![
        (0..4_usize).prop_map(|count| Budget(Some(count), None)),
        (0..101_usize).prop_map(|percent| Budget(None, Some(percent))),
        (0..4_usize, 0..101_usize).prop_map(|(count, percent)| Budget(Some(count), Some(percent))),
    ]
}

/// Longer ago than anything is remembered, in milliseconds: a clock that ran ahead by this was set right.
const MONTHS: u64 = 90 * 24 * 60 * 60 * 1000;

/// The window at first.
const WINDOW: Duration = Duration::from_millis(1000);

/// How long after it was begun a disruption that nobody hears of may still act.
const LATENESS: Duration = Duration::from_millis(300);

const FIELD: Field = Field::Enabled;

/// Everything that was ever begun and may have acted: until when it may act, or when it was acknowledged.
#[derive(Default)]
struct Model {
    taken: Vec<(Timestamp, AccountId)>,
    /// Until when what nobody heard of again may act.
    unheard: Vec<(Timestamp, AccountId)>,
    wanted: BTreeSet<AccountId>,
    /// What was begun, and whose end is not known: it counts since then, and is not held any more.
    begun: BTreeSet<AccountId>,
    managed: usize,
    window: Duration,
}

impl Model {
    /// Who lost something within the window before `now`. Moments ahead of a clock that was set back are within it.
    fn lately(&self, now: Timestamp) -> BTreeSet<AccountId> {
        // Of an account only the latest moment counts: what it lost once more, it has not lost twice.
        let latest: BTreeMap<AccountId, Timestamp> = self.taken.iter().map(|(at, account)| (*account, *at)).collect();
        latest.into_iter().filter(|(_, at)| *at + self.window > now).map(|(account, _)| account).collect()
    }

    /// The moment that counts of a loss at `at`: what was begun before and never heard of may act later.
    fn moment(&self, at: Timestamp, account: AccountId) -> Timestamp {
        let later = self.unheard.iter().filter(|(_, other)| *other == account).map(|(lands, _)| *lands);
        later.fold(at, Timestamp::max)
    }

    /// Accounts that count as applied and as pending, and the limit.
    fn sum(&self, budget: Budget, now: Timestamp) -> (usize, usize, usize) {
        let lately = self.lately(now);
        let pending = self.wanted.difference(&lately).filter(|account| !self.begun.contains(account)).count();
        (lately.len(), pending, budget.limit(self.managed))
    }
}

/// A disruption under way: when it was begun, and what to go back to if it provably did not act.
struct Flight {
    began: Timestamp,
    prior: Option<FieldState>,
    /// It is the first try, and no approval covers it.
    counts: bool,
    was_begun: bool,
    disruption: Option<Timestamp>,
}

struct Rig {
    guard: Guard,
    ledger: Ledger,
    flights: BTreeMap<AccountId, Flight>,
    model: Model,
    now: Timestamp,
}

impl Rig {
    /// The guard is told what the ledger remembers, as the conductor does it.
    fn record(&mut self, account: AccountId, record: Record) {
        self.ledger.apply(record);
        match self.ledger.disruptions.get(&account) {
            Some(at) => self.guard.applied(account, *at),
            None => self.guard.undo(account, None),
        }
    }

    fn begin(&mut self, account: AccountId, approved: bool) {
        let prior = self.ledger.accounts.get(&account).and_then(|row| row.field(FIELD).cloned());
        let disruption = self.ledger.disruptions.get(&account).copied();
        let was_begun = !self.model.begun.insert(account);
        let counts = !was_begun && !approved;
        self.flights.insert(account, Flight { began: self.now, prior, counts, was_begun, disruption });
        let (at, name, zuid, spec_hash) = (self.now, "x".into(), None, 0);
        let lands_by = Some(at + LATENESS);
        let approval = approved.then(|| "they leave".into());
        let cause = Cause {
            source: SourceRef { path: "x.yaml".into(), line: 1 },
            revision: "r".into(),
            approval,
            valid_until: None,
        };
        let cause = Some(Box::new(cause));
        self.record(
            account,
            Record::Intent { at, account, name, zuid, field: FIELD, to: false, spec_hash, lands_by, cause },
        );
        if counts {
            self.model.taken.push((self.model.moment(at + LATENESS, account), account));
        }
    }

    fn answer(&mut self, account: AccountId, acted: Option<bool>) {
        let Some(Flight { began, prior, counts, was_begun, disruption }) = self.flights.remove(&account) else {
            return;
        };
        let last = self.model.taken.iter().rposition(|(_, other)| *other == account);
        if acted == Some(true) || acted == Some(false) && !was_begun {
            self.model.begun.remove(&account);
        }
        match acted {
            None => self.model.unheard.push((began + LATENESS, account)),
            Some(true) => {
                let source = SourceRef { path: "x.yaml".into(), line: 1 };
                self.record(
                    account,
                    Record::Applied { at: self.now, account, field: FIELD, value: false, source, evidence: None },
                );
                // What can have landed before this one was begun has.
                self.model.unheard.retain(|(lands, other)| *other != account || *lands > began);
                let moment = self.model.moment(self.now, account);
                last.into_iter().for_each(|last| self.model.taken[last].0 = moment.min(self.model.taken[last].0));
            }
            Some(false) => {
                let (field, restore, returned, valid_until, unsent) = (FIELD, prior, None, None, None);
                let record = Record::NotApplied { account, field, restore, disruption, returned, valid_until, unsent };
                self.record(account, record);
                if let Some(last) = last.filter(|_| counts) {
                    self.model.taken.remove(last);
                }
            }
        }
    }

    fn restart(&mut self, budget: Budget, back: u64) {
        let unheard = self.flights.iter().map(|(account, flight)| (flight.began + LATENESS, *account));
        self.model.unheard.extend(unheard);
        self.flights.clear();
        self.ledger.forget_before(self.ledger.last_request());
        self.now = self.now.before(Duration::from_millis(back));
        self.ledger = Ledger::from_bytes(Some(&self.ledger.to_bytes()), b"").unwrap().unwrap();
        self.guard = Guard::new(budget.parsed(), self.model.window, &self.ledger.disruptions);
        self.model.wanted.iter().for_each(|account| self.guard.set_pending(*account, 1));
    }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn no_window_ever_exceeds_the_disruption_budget_and_nothing_that_fits_is_held(
        steps in any_steps(), mut budget in any_budget(),
    ) {
        let guard = Guard::new(budget.parsed(), WINDOW, &BTreeMap::new());
        let model = Model { managed: 6, window: WINDOW, ..Model::default() };
        let mut rig = Rig { guard, ledger: Ledger::new(Owner::User), flights: BTreeMap::new(), model, now: ms(1_763_753_731_042) };
        for step in steps {
            match step {
                Step::Want(account, pending) => {
                    rig.guard.set_pending(id(account), usize::from(pending));
                    if pending { rig.model.wanted.insert(id(account)) } else { rig.model.wanted.remove(&id(account)) };
                }
                Step::Try(account) => {
                    let wanted = rig.model.wanted.contains(&id(account)) && !rig.flights.contains_key(&id(account));
                    let begun = rig.ledger.accounts.get(&id(account)).is_some_and(|row| row.has_begun_removal(FIELD));
                    prop_assert_eq!(begun, rig.model.begun.contains(&id(account)));
                    if wanted && begun {
                        rig.begin(id(account), false);
                    } else if wanted && !rig.guard.verdict(rig.model.managed, rig.now).exceeded() {
                        let lately = rig.model.lately(rig.now);
                        rig.begin(id(account), false);
                        let (limit, fresh) = (budget.limit(rig.model.managed), !lately.contains(&id(account)));
                        prop_assert!(!fresh || rig.model.lately(rig.now).len() <= limit, "{:?}", rig.model.taken);
                    }
                }
                Step::Approved(account) => {
                    if rig.model.wanted.contains(&id(account)) && !rig.flights.contains_key(&id(account)) {
                        rig.begin(id(account), true);
                    }
                }
                Step::Budget(other, window) => {
                    (budget, rig.model.window) = (other, Duration::from_millis(window));
                    rig.guard.allow(budget.parsed(), rig.model.window, &rig.ledger.disruptions);
                }
                Step::Answer(account, acted) => rig.answer(id(account), acted),
                Step::Managed(managed) => rig.model.managed = managed,
                Step::Pass(millis) => rig.now = rig.now + Duration::from_millis(millis),
                Step::Restart(back) => rig.restart(budget, back),
            }
            for account in (1..7).map(id) {
                let pending = rig.model.wanted.contains(&account) && !rig.model.begun.contains(&account);
                rig.guard.set_pending(account, usize::from(pending));
            }
            let verdict = rig.guard.verdict(rig.model.managed, rig.now);
            let Verdict { applied, pending, limit, pending_changes, next_freed, .. } = verdict;
            prop_assert_eq!((applied, pending, limit), rig.model.sum(budget, rig.now));
            let waits = rig.model.wanted.difference(&rig.model.begun).count();
            prop_assert_eq!(pending_changes, waits);
            prop_assert_eq!(next_freed, rig.guard.next_expiry().filter(|_| waits <= limit));
            let over = |at| rig.model.sum(budget, at).0 < applied;
            match rig.guard.next_expiry() {
                None => prop_assert_eq!(applied, 0),
                Some(at) => prop_assert!(over(at) && !over(at.before(Duration::from_millis(1)))),
            }
        }
    }
}
