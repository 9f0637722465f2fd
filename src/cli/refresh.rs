//! `refresh`: reads the service, records what is there, and shows what is left to be done. No PUT can leave.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;

use super::engine::{self, Engine};
use super::pass::{self, Pass, Patience};
use super::plan::Comparison;
use super::{Exit, complain, count, load, note, print, progress};
use crate::account::{AccountId, printable};
use crate::config::{Disruptions, Folder, Service, Target, UsageError};
use crate::controller::{Mode, Settings};
use crate::desired::DesiredState;
use crate::ledger::file::LedgerError;
use crate::report::{Odd, Oddity, ServiceRead};
use crate::zoho::ReadOnly;

/// How many accounts with something odd are listed of each kind.
const LISTED: usize = 20;

/// `refresh`.
#[derive(Clone, Debug, Args)]
pub(super) struct Refresh {
    /// Names of accounts in their manifests; without any, all that are declared
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    disruptions: Disruptions,

    #[command(flatten)]
    patience: Patience,
}

impl Refresh {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        engine::block_on(self.pass())
    }

    async fn pass(self) -> anyhow::Result<Exit> {
        let Self { names, folder, target, service, disruptions, patience: Patience { max_wait } } = self;
        let limit = service.limit(target.sandbox);
        let settings = service.settings(Mode::Refresh, target.sandbox, disruptions.options(), pass::GRACE, None)?;
        let settings = Settings { max_wait, refresh: Some(target.principal()?), ..settings };
        let begun = pass::begin(&folder, &target, &service, &disruptions, settings, ReadOnly).await;
        let begun = begun.map_err(who_reads)?;
        let Pass { engine: Engine { controller, reports, clock, inputs, outside, cancel, .. }, batch, protection } =
            begun;
        let desired = load::declared(batch.clone(), protection);
        let controller = if names.is_empty() { controller } else { controller.reading_only(named(&names, &desired)?) };
        // The controller reads it as its first event; the channel has room for one.
        let _ = outside.looks.send(batch).await;
        let bar = progress::show(reports.clone(), limit, clock, cancel.clone());
        let mut ended = controller.run(inputs).await;
        cancel.cancel();
        bar.await;
        let (read, accounts) = ended.read.take().unwrap_or_default();
        let problems = reports.borrow().problems;
        let suspended = reports.borrow().suspended.is_some();
        let gave_up = engine::close(ended)?.gave_up;
        let undeclared = accounts.iter().filter(|account| desired.get(account.account).is_none()).count();
        let plan = tokio::task::block_in_place(|| Comparison::of_pass(desired, &folder, &target, &disruptions))?;
        tokio::task::block_in_place(|| print(&format!("{}\n{}", text(&read, undeclared), plan.text())))?;
        if problems > 0 {
            let (folder, problems) = (printable::path(&folder.desired_state), count(problems, "problem"));
            note(&format!("{problems} in manifests; what they declare was not compared; see `validate {folder}`"));
        }
        if let Some(why) =
            read.incomplete.map(String::from).or(gave_up).or_else(|| (read.ended_at.is_none()).then(String::new))
        {
            let colon = if why.is_empty() { "" } else { ": " };
            complain(&format!(
                "not all accounts were read{colon}{why}; what was read is recorded, and the plan is by what is known now"
            ));
            return Ok(if suspended { Exit::Held } else { Exit::Failed });
        }
        Ok(if problems > 0 { Exit::Failed } else { Exit::Done })
    }
}

/// Says of a ledger that a daemon has how that one reads.
pub(super) fn who_reads(error: anyhow::Error) -> anyhow::Error {
    if error.downcast_ref::<LedgerError>().is_some_and(|error| error.exit_code() == 4) {
        return error.context("a daemon reads the service itself, when it starts with --refresh-at-start");
    }
    error
}

/// The accounts of these names.
fn named(names: &[String], desired: &DesiredState) -> Result<BTreeSet<AccountId>, UsageError> {
    let account = |name: &String| {
        let found = desired.iter().find(|(_, account)| **account.name == **name).map(|(account, _)| account);
        found.ok_or_else(|| UsageError(format!("no manifest declares an account named {}", printable::escape(name))))
    };
    names.iter().map(account).collect()
}

/// What was read, for people.
fn text(read: &ServiceRead, undeclared: usize) -> String {
    let ServiceRead { requests, accounts, declared, corrected, odd, .. } = read;
    let (accounts, requests) = (count(*accounts, "account"), count(*requests as usize, "request"));
    let mut text = format!(
        "Read {accounts} in {requests}: {declared} of them declared, {undeclared} not; the ledger learned something of {}.\n",
        count(*corrected, "account")
    );
    // Writing to a String cannot fail.
    for (title, kind) in [
        ("Not listed by the service; check spec.accountId:", 0),
        ("Of another user there, so not believed; check spec.zuid and spec.accountId:", 1),
        ("Without a clear state in the service's answer, so left as known:", 2),
    ] {
        let of_kind: Vec<_> = odd.iter().filter(|odd| order(odd.what) == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{title}");
        for Odd { account, name, source, what } in of_kind.iter().take(LISTED) {
            let there = if let Oddity::OtherUser(zuid) = what { format!(", zuid {zuid} there") } else { String::new() };
            let _ = writeln!(text, "  {name} ({account}){there}, {source}");
        }
        if of_kind.len() > LISTED {
            let _ = writeln!(text, "  and {} more", of_kind.len() - LISTED);
        }
    }
    text
}

const fn order(what: Oddity) -> u8 {
    match what {
        Oddity::NotListed => 0,
        Oddity::OtherUser(_) => 1,
        Oddity::Unclear => 2,
    }
}
