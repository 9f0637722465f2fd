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
