//! PUTs that nobody waits for any more, and that may still land.
//!
//! In: PUTs whose end was not known when a later intent replaced them. Out: until when one of a
//! given value may still take effect ([`Strays::until`]).
//! Invariants: the last of each value counts; one is forgotten when a PUT of its field that was begun after it can
//! have landed is acknowledged. Absent by design: the clock; moments are arguments.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::account::{AccountId, Field};
use crate::timestamp::Timestamp;

/// How long after its sender gave up, or died, a PUT may still take effect: a proxy on the way keeps a request for a
/// minute (nginx's default), and before that the kernel delivers what it holds of a closed connection for some 100 s
/// (Linux: eight retries, doubling from 200 ms).
pub const LANDING: Duration = Duration::from_secs(180);

/// How long after its intent, where the intent does not say: the intent waits for the disk for half a minute at most,
/// and the sender gives up after the default `--request-timeout`.
pub const LANDING_UNSAID: Duration = Duration::from_secs(30 + 30).saturating_add(LANDING);

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strays(BTreeMap<(AccountId, Field, bool), Timestamp>);

/// One of them, as the file writes it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stray {
    account: AccountId,
    field: Field,
    to: bool,
    lands_by: Timestamp,
}

impl Strays {
    /// None.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A PUT of `to`, or of either value, may take effect until `lands_by`.
    pub(super) fn add(&mut self, account: AccountId, field: Field, to: Option<bool>, lands_by: Timestamp) {
        for value in [false, true].into_iter().filter(|value| to.is_none_or(|to| to == *value)) {
            let last = self.0.entry((account, field, value)).or_default();
            *last = lands_by.max(*last);
        }
    }

    /// Until when a PUT of `to` may still take effect, if one is out.
    pub fn until(&self, account: AccountId, field: Field, to: bool) -> Option<Timestamp> {
        self.0.get(&(account, field, to)).copied()
    }

    /// Those of the field that landed before `moment`, or never will, are out no more.
    pub(super) fn land(&mut self, account: AccountId, field: Field, moment: Timestamp) {
        for value in [false, true] {
            if self.until(account, field, value).is_some_and(|until| until <= moment) {
                self.0.remove(&(account, field, value));
            }
        }
    }

    /// Gives each another moment until which it may take effect.
    pub(super) fn retime(&mut self, lands_by: impl Fn(Timestamp) -> Timestamp) {
        self.0.values_mut().for_each(|last| *last = lands_by(*last));
    }

    /// The latest of these moments.
    pub(super) fn last(&self) -> Option<Timestamp> {
        self.0.values().copied().max()
    }

    /// Drops what no PUT under way can ask for any more.
    pub(super) fn forget_before(&mut self, moment: Timestamp) {
        self.0.retain(|_, lands_by| *lands_by >= moment);
    }
}

impl Serialize for Strays {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stray = |(&(account, field, to), &lands_by)| Stray { account, field, to, lands_by };
        serializer.collect_seq(self.0.iter().map(stray))
    }
}

impl<'de> Deserialize<'de> for Strays {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut strays = Self::new();
        for Stray { account, field, to, lands_by } in Vec::<Stray>::deserialize(deserializer)? {
            strays.add(account, field, Some(to), lands_by);
        }
        Ok(strays)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{account, after, at, owner, source};
    use super::super::{FieldState, Ledger, Record};
    use super::*;
    use crate::change::Known;

    const FIELD: Field = Field::Enabled;

    /// A PUT is begun, and may land for 100 seconds.
    fn begins(seconds: u64, to: bool) -> Record {
        Record::Intent {
            at: at(seconds),
            account: account(1),
            name: "a".into(),
            zuid: None,
            field: FIELD,
            to,
            spec_hash: 1,
            lands_by: Some(at(seconds + 100)),
            cause: None,
        }
    }

    fn applied(seconds: u64, value: bool) -> Record {
        Record::Applied { at: at(seconds), account: account(1), field: FIELD, value, source: source(), evidence: None }
    }

    fn not_applied(restore: Option<FieldState>) -> Record {
        let (disruption, returned, valid_until, unsent) = (None, None, None, None);
        Record::NotApplied { account: account(1), field: FIELD, restore, disruption, returned, valid_until, unsent }
    }

    /// What is known in the end, and until when the acknowledged value may be undone.
    fn check(records: &[Record], known: Known, until: Option<u64>) {
        let ledger = after(Ledger::new(owner()), records);
        let state = ledger.accounts[&account(1)].field(FIELD).unwrap();
        let unsettled = [false, true].into_iter().find_map(|value| state.unsettled_until(value));
        assert_eq!((ledger.known(account(1), FIELD), unsettled), (known, until.map(at)), "{records:#?}");
    }

    #[test]
    fn what_was_acknowledged_is_in_doubt_while_an_earlier_put_of_the_other_value_may_land() {
        // Nothing contradicts it: it is known at once, as it always was.
        check(&[begins(0, true), applied(1, true)], Known::Applied(true), None);
        check(&[begins(0, true), begins(40, true), applied(41, true)], Known::Applied(true), None);
        // The end of a PUT of false is not known; true is acknowledged.
        let reverted = [begins(0, false), begins(40, true), applied(41, true)];
        check(&reverted, Known::InDoubt, Some(100));
        // Acknowledged again by a PUT that was begun too early, and by one that was not.
        check(&[&reverted[..], &[begins(99, true), applied(200, true)]].concat(), Known::InDoubt, Some(100));
        check(&[&reverted[..], &[begins(100, true), applied(101, true)]].concat(), Known::Applied(true), None);
        // It is what is wanted again: what is still out does no harm.
        check(&[&reverted[..], &[begins(50, false), applied(51, false)]].concat(), Known::Applied(false), None);
        // It never took effect: what was out before is out still.
        let unsettled = after(Ledger::new(owner()), &reverted).accounts[&account(1)].enabled.clone();
        check(&[&reverted[..], &[begins(50, false), not_applied(unsettled)]].concat(), Known::InDoubt, Some(100));
        // The same value as the acknowledged one, until the other is wanted.
        let repeated = [begins(0, true), begins(40, true), applied(41, true), begins(50, false), applied(51, false)];
        check(&repeated, Known::InDoubt, Some(100));
    }

    #[test]
    fn a_disruption_counts_until_nothing_that_takes_away_can_land_any_more() {
        let last = |records: &[Record]| after(Ledger::new(owner()), records).disruptions.get(&account(1)).copied();
        assert_eq!(last(&[begins(0, false)]), Some(at(100)), "it may act until then");
        assert_eq!(last(&[begins(0, false), applied(7, false)]), Some(at(7)));
        assert_eq!(last(&[begins(0, false), begins(40, false), applied(41, false)]), Some(at(100)));
        assert_eq!(last(&[begins(0, false), begins(40, true), applied(41, true)]), Some(at(100)));
        assert_eq!(last(&[begins(0, true), begins(40, false), applied(41, false)]), Some(at(41)));
    }

    #[test]
    fn a_ledger_that_does_not_say_what_was_sent_or_for_how_long_means_either_value_and_the_longest_time() {
        let old: FieldState = serde_json::from_str(r#"{"inDoubt":true,"since":"2025-11-21T19:23:20Z"}"#).unwrap();
        let lands_by = at(0) + LANDING_UNSAID;
        assert_eq!(old, FieldState::InDoubt { since: at(0), to: None, lands_by });
        let mut ledger = after(Ledger::new(owner()), &[begins(0, true), not_applied(Some(old))]);
        ledger.apply(begins(40, true));
        for value in [false, true] {
            assert_eq!(ledger.strays.until(account(1), FIELD, value), Some(lands_by));
        }
    }
}
