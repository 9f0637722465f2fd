//! A service whose reads lag behind its writes.
//!
//! In: PUTs as they arrive, and requests for pages. Out: the accounts as a page shows them: as they are, or as they were up
//! to some time ago.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use zoho_mail_reconciler::account::AccountId;
use zoho_mail_reconciler::ledger::READ_LAG;
use zoho_mail_reconciler::sandbox::{Account, World};
use zoho_mail_reconciler::timestamp::Timestamp;

use super::service::Kind;

/// See the module.
#[derive(Default)]
pub struct Past {
    /// By how much reads lag at most; [`READ_LAG`] in a world that is as the program takes it to be.
    longest: Option<Duration>,
    /// Accounts before a PUT came, and when that was; the oldest first.
    before: VecDeque<(Timestamp, Account)>,
}

impl Past {
    /// Reads lag longer than the program takes it to be possible.
    pub fn lag_too_long(&mut self) {
        self.longest = Some(READ_LAG * 20);
    }

    /// A request comes: the accounts that it sees as they were, if it asks for a page.
    pub fn seen_by(&mut self, kind: Kind, world: &World, chance: &mut fastrand::Rng, now: Timestamp) -> Vec<Account> {
        let longest = self.longest.unwrap_or(READ_LAG);
        match kind {
            Kind::Token => Vec::new(),
            Kind::Put(put) => {
                let before = world.account(put.account).cloned();
                self.before.extend(before.map(|account| (now, account)));
                while self.before.front().is_some_and(|(at, _)| *at + longest < now) {
                    self.before.pop_front();
                }
                Vec::new()
            }
            Kind::Page => {
                let lag = if chance.bool() { 0 } else { chance.u64(0..longest.as_millis() as u64) };
                let since = now.before(Duration::from_millis(lag));
                // The oldest state that a PUT ended after that moment.
                let mut seen: BTreeMap<AccountId, Account> = BTreeMap::new();
                for (_, account) in self.before.iter().filter(|(at, _)| *at > since) {
                    seen.entry(account.account_id).or_insert_with(|| account.clone());
                }
                seen.into_values().collect()
            }
        }
    }
}
