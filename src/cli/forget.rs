//! `forget`: drops what the ledger knows of accounts whose manifest is gone. Sends nothing.
//!
//! Invariant: an account that a manifest declares is never forgotten, nor one whose manifest cannot be read: that is
//! looked at here, and once more by the process that has the ledger.

use clap::Args;

use super::order::Task;
use super::status::{is_called, unknown};
use super::suspend::user;
use super::{Exit, complain, load, print};
use crate::account::{AccountId, printable};
use crate::clock::Clock;
use crate::condition::Reason;
use crate::config::{Auth, Folder, LedgerPlace};
use crate::desired::DesiredState;
use crate::ledger::{Ledger, Record, file};
use crate::order::Order;
use crate::status::{Item, Part, list};

/// `forget`.
#[derive(Clone, Debug, Args)]
pub(super) struct Forget {
    /// Accounts to forget, by name or accountId
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,

    #[command(flatten)]
    folder: Folder,

    #[command(flatten)]
    place: LedgerPlace,

    /// As whom the service is addressed; decides whether a manifest needs a zuid
    #[arg(long, value_enum, env = "ZOHO_MAIL_AUTH", default_value = "admin", help_heading = "Target")]
    auth: Auth,
}

impl Forget {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let place = self.place.file();
        let desired = load::desired(&self.folder.desired_state, self.auth.into(), Default::default(), None)?;
        let Some(ledger) = file::read(&place, None)? else {
            complain(&format!("{}: there is no ledger, so nothing to forget", printable::path(&place)));
            return Ok(Exit::Failed);
        };
        let all = list(&desired, &ledger, Part::default(), |_| None, None, Clock::start().now()).items;
        let mut meant: Vec<&Item> = Vec::new();
        let mut complaints = Vec::new();
        for name in &self.names {
            let called: Vec<_> = all.iter().filter(|item| is_called(item, name)).collect();
            if called.is_empty() {
                complaints.push(unknown(name));
            }
            complaints.extend(called.iter().filter_map(|item| declared(item, &desired)));
            meant.extend(called);
        }
        if !complaints.is_empty() {
            complaints.iter().for_each(|complaint| complain(complaint));
            return Ok(Exit::Failed);
        }
        let accounts: Vec<AccountId> = meant.iter().map(|item| item.spec.account_id).collect();
        let is_known = |ledger: &Ledger| accounts.iter().any(|account| ledger.accounts.contains_key(account));
        let task = Task {
            ledger: &place,
            owner: ledger.owner,
            order: Order::Forget { accounts: accounts.clone(), by: user() },
            records: &|ledger| accounts.iter().filter_map(|account| forgotten(*account, ledger)).collect(),
            outcome: &|ledger| (!ledger.as_ref().is_some_and(is_known)).then_some(()),
            command: "forget",
        };
        task.carry_out()?;
        let line = |item: &&Item| {
            format!("forgotten: {} ({})\n", printable::escape(&item.metadata.name), item.spec.account_id)
        };
        print(&meant.iter().map(line).collect::<String>())?;
        Ok(Exit::Done)
    }
}

fn forgotten(account: AccountId, ledger: &Ledger) -> Option<Record> {
    let name = ledger.accounts.get(&account)?.name.clone();
    Some(Record::Forgotten { at: Clock::start().now(), account, name, by: user() })
}

/// Why the account is not to be forgotten, if so.
fn declared(item: &Item, desired: &DesiredState) -> Option<String> {
    let name = printable::escape(&item.metadata.name);
    if let Some(declared) = desired.get(item.spec.account_id) {
        return Some(format!(
            "{name}: {} declares it; only an account whose manifest is gone can be forgotten",
            declared.source
        ));
    }
    let is_orphan = item.status.conditions.iter().all(|condition| condition.reason == Reason::Orphaned);
    (!is_orphan).then(|| format!("{name}: its manifest is broken, not gone; see `validate`"))
}
