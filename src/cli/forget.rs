//! `forget`: drops what the ledger knows of accounts whose manifest is gone. Sends nothing.
//!
//! Invariants: no account is forgotten that a manifest declares, or may declare as long as some cannot be read, nor one of
//! which something is in doubt; that is looked at here, and once more by the process that has the ledger.

use std::collections::BTreeMap;

use clap::Args;

use super::order::Task;
use super::status::{is_called, unknown};
use super::suspend::user;
use super::{Exit, complain, count, load, policies, print};
use crate::account::{AccountId, printable};
use crate::clock::Clock;
use crate::config::{Auth, Folder, LedgerPlace};
use crate::desired::DesiredState;
use crate::ledger::{Ledger, Record, file};
use crate::order::Order;
use crate::status::{Item, Part, list};
use crate::timestamp::Timestamp;

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
        let (folder, git) = (&self.folder.desired_state, self.folder.git());
        if let Some(operation) = git.in_progress(folder) {
            complain(&format!("{}, so it is not known whose is gone", load::half_done(folder, &operation)));
            return Ok(Exit::Failed);
        }
        let mut desired = load::desired(folder, &git, self.auth.into(), Default::default(), None)?;
        let Some(ledger) = file::read(&place, None)? else {
            complain(&format!("{}: there is no ledger, so nothing to forget", printable::path(&place)));
            return Ok(Exit::Failed);
        };
        policies::recall(&mut desired, &ledger, &self.folder);
        let now = Clock::start().now();
        let (meant, complaints) = self.meant(&desired, &ledger, now);
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
            command: &self.command(),
        };
        task.carry_out()?;
        let line =
            |item: &Item| format!("forgotten: {} ({})\n", printable::escape(&item.metadata.name), item.spec.account_id);
        print(&meant.iter().map(line).collect::<String>())?;
        Ok(Exit::Done)
    }

    /// What an operator types for the same.
    fn command(&self) -> String {
        let names: String = self.names.iter().map(|name| format!(" {}", printable::argument(name))).collect();
        format!("forget{names}{}", self.place.options())
    }

    /// The accounts to forget, and why some of them may not be.
    fn meant(&self, desired: &DesiredState, ledger: &Ledger, now: Timestamp) -> (Vec<Item>, Vec<String>) {
        let all = list(desired, ledger, Part::default(), |_| None, None, now).items;
        let (mut meant, mut complaints) = (BTreeMap::new(), Vec::new());
        for name in &self.names {
            let called: Vec<_> = all.iter().filter(|item| is_called(item, name)).collect();
            match &called[..] {
                [] => complaints.push(unknown(name)),
                [item] => {
                    complaints.extend(declared(item, desired));
                    complaints.extend(in_doubt(item, ledger, now));
                    meant.insert(item.spec.account_id, (*item).clone());
                }
                several => {
                    let ids: Vec<_> = several.iter().map(|item| item.spec.account_id.to_string()).collect();
                    let (number, ids) = (several.len(), ids.join(", "));
                    complaints.push(format!("{number} accounts are called {name:?}; name it by its accountId: {ids}"));
                }
            }
        }
        let problems = desired.problem_count();
        if problems > 0 {
            let folder = printable::path(&self.folder.desired_state);
            let problems = count(problems, "problem");
            complaints
                .push(format!("{problems} in manifests, so it is not known whose is gone; see `validate {folder}`"));
        }
        (meant.into_values().collect(), complaints)
    }
}

fn forgotten(account: AccountId, ledger: &Ledger) -> Option<Record> {
    let name = ledger.accounts.get(&account)?.name.clone();
    Some(Record::Forgotten { at: Clock::start().now(), account, name, by: user() })
}

/// Says that a manifest declares the account, if one does.
fn declared(item: &Item, desired: &DesiredState) -> Option<String> {
    let source = desired.get(item.spec.account_id)?.source;
    let name = printable::escape(&item.metadata.name);
    Some(format!("{name}: {source} declares it; only an account whose manifest is gone can be forgotten"))
}

/// Says that something of the account is in doubt, if so: what the ledger knows of that keeps it from being wrong later.
fn in_doubt(item: &Item, ledger: &Ledger, now: Timestamp) -> Option<String> {
    let until = ledger.may_land(item.spec.account_id, now)?;
    let name = printable::escape(&item.metadata.name);
    Some(format!("{name}: a PUT may still take effect until {until}; forget it after that"))
}
