//! What a restart must remember, and what a fold may forget. In: requests, token requests and disruptions over hours
//! and months, folds anywhere among them, and a clock that is set back. Out: a ledger that was folded lets exactly the
//! same requests and disruptions through as one that kept everything.

use std::time::Duration;

use proptest::prelude::*;
use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::guard::{DisruptionBudget, Guard};
use zoho_mail_reconciler::ledger::{Ledger, Owner, Record};
use zoho_mail_reconciler::queue::Backoff;
use zoho_mail_reconciler::throttle::{RateLimit, Throttle};
use zoho_mail_reconciler::timestamp::Timestamp;

use super::{config, id, ms};

#[derive(Clone, Debug)]
enum Step {
    Put(u64, bool),
    Token,
    Fold,
    Pass(Duration),
    SetBack(Duration),
}

/// Around the ends of everything that is remembered for a time.
fn any_time() -> impl Strategy<Value = Duration> {
    let hours = prop::sample::select(vec![0_u64, 1, 23, 24, 25, 48, 30 * 24, 90 * 24]);
    (hours, 0..90_u64).prop_map(|(hours, seconds)| Duration::from_secs(hours * 3600 + seconds))
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..9_u64, any::<bool>()).prop_map(|(account, to)| Step::Put(account, to)),
        1 => Just(Step::Token),
        2 => Just(Step::Fold),
        4 => any_time().prop_map(Step::Pass),
        1 => any_time().prop_map(Step::SetBack),
    ];
    prop::collection::vec(step, 1..30)
}

fn fold(ledger: &mut Ledger) {
    ledger.forget_before(ledger.last_request());
    *ledger = Ledger::from_bytes(Some(&ledger.to_bytes()), b"").unwrap().unwrap();
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn a_fold_forgets_nothing_that_a_window_can_still_reach(
        steps in any_steps(), count in 1..4_u32, per in any_time(), lateness in any_time(), window in any_time(),
    ) {
        let day = Duration::from_secs(24 * 3600);
        let limit = Some(RateLimit { count, per: per.clamp(Duration::from_secs(1), day) });
        let (window, lateness) = (window.min(30 * day), lateness.min(day + Duration::from_secs(30)));
        let (mut lived, mut now) = (Ledger::new(Owner::User), ms(1_763_753_731_042));
        let (mut last, mut folded_at) = (Timestamp::default(), Timestamp::default());
        let mut folded = lived.clone();
        for step in steps {
            let record = match step {
                Step::Put(account, to) => Some(Record::Intent {
                    at: now, account: id(account), name: "x".into(), zuid: None, field: Field::Enabled, to, spec_hash: 0, lands_by: None,
                    cause: None,
                }),
                Step::Token => Some(Record::TokenRequest { at: now }),
                Step::Pass(time) => {
                    now = now + time;
                    continue;
                }
                // What was forgotten while the clock ran ahead is forgotten: no clock can tell that it will be set back.
                Step::Fold if now < last => continue,
                Step::Fold => None,
                Step::SetBack(time) => {
                    now = now.before(time).max(folded_at);
                    continue;
                }
            };
            match record {
                None => {
                    folded_at = folded_at.max(last);
                    fold(&mut folded);
                }
                Some(record) => {
                    last = now;
                    lived.apply(record.clone());
                    folded.apply(record);
                }
            }
            let admissions = [&lived, &folded].map(|ledger| {
                let mut throttle = Throttle::restore(limit, lateness, Backoff::default(), ledger, now);
                (throttle.admit_put(now), throttle.admit_token(now))
            });
            prop_assert_eq!(admissions[0], admissions[1]);
            let verdicts = [&lived, &folded].map(|ledger| {
                Guard::new("3".parse::<DisruptionBudget>().unwrap(), window, &ledger.disruptions).verdict(9, now)
            });
            prop_assert_eq!(verdicts[0], verdicts[1]);
        }
    }
}
