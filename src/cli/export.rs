//! `export`: the organization as manifests. No PUT can leave, and no file is overwritten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use globset::{Glob, GlobBuilder, GlobMatcher};

use super::engine::{self, Engine};
use super::pass::{self, Patience};
use super::refresh::who_reads;
use super::{Exit, count, load, note, print, progress};
use crate::account::{AccountId, Field, Zuid, printable};
use crate::change::Known;
use crate::clock::Clock;
use crate::config::{Service, Target, UsageError};
use crate::controller::{Mode, Settings};
use crate::desired::DesiredState;
use crate::guard::InForce;
use crate::ledger;
use crate::manifest::export;
use crate::observed::ObservedAccount;
use crate::plan::{Difference, shown};
use crate::report::ServiceRead;
use crate::source::Git;
use crate::timestamp::Timestamp;
use crate::zoho::ReadOnly;
use crate::{shutdown, telemetry};

/// How many accounts that are left out are named.
const NAMED: usize = 10;

/// `export`.
#[derive(Clone, Debug, Args)]
pub(super) struct Export {
    /// Folder to write to; made if it is not there. What it declares already is left as it is
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Only accounts whose address fits, as *@example.com
    #[arg(long = "match", value_name = "GLOB", value_parser = glob, help_heading = "Manifests")]
    pattern: Option<Glob>,

    /// Whether all files are in one folder, or in one for each domain
    #[arg(long, value_enum, default_value = "flat", help_heading = "Manifests")]
    layout: Layout,

    /// A label of each manifest; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label, action = clap::ArgAction::Append,
        help_heading = "Manifests")]
    labels: Vec<(String, String)>,

    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Layout {
    /// DIR/alice.yaml
    Flat,
    /// DIR/example.com/alice.yaml
    Domain,
}

fn glob(text: &str) -> Result<Glob, String> {
    let glob = GlobBuilder::new(text).case_insensitive(true).literal_separator(false).build();
    glob.map_err(|error| format!("expected a pattern such as *@example.com: {}", error.kind()))
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as team=sales")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        engine::block_on(self.pass())
    }

    async fn pass(self) -> anyhow::Result<Exit> {
        self.check_labels()?;
        let begun = Clock::start().now();
        let before = self.declared()?;
        let (read, mut accounts, is_suspended) = self.read().await?;
        if let Some(why) = read.incomplete.or_else(|| (read.ended_at.is_none()).then(|| "it was stopped".into())) {
            super::complain(&format!("not all accounts were read, so nothing was written: {why}"));
            return Ok(if is_suspended { Exit::Held } else { Exit::Failed });
        }
        tokio::task::block_in_place(|| self.believed(&mut accounts, (begun, Clock::start().now())))?;
        let written = tokio::task::block_in_place(|| self.write(&accounts, &before))?;
        let after = self.declared()?;
        let known = tokio::task::block_in_place(|| self.remember(&accounts, &after, begun))?;
        let folder = printable::argument(&self.folder.to_string_lossy()).into_owned();
        let (accounts, requests) = (count(accounts.len(), "account"), count(read.requests as usize, "request"));
        let mut text =
            format!("Read {accounts} in {requests}, and wrote {} to {folder}.\n", count(written.files, "manifest"));
        for (number, what) in [
            (written.declared, "declared there already"),
            (written.unmatched, "left out by --match"),
            (written.protected, "protected by an annotation, for an administrator's"),
        ] {
            if number > 0 {
                text += &format!("  {}: {what}\n", count(number, "account"));
            }
        }
        text += &format!(
            "The ledger learned something of {}. See what is left: plan --desired-state {folder}\n",
            count(known, "account")
        );
        tokio::task::block_in_place(|| print(&text))?;
        for why in written.left_out.iter().take(NAMED) {
            note(why);
        }
        if written.left_out.len() > NAMED {
            note(&format!("{} more are left out for such reasons", count(written.left_out.len() - NAMED, "account")));
        }
        Ok(Exit::Done)
    }

    /// Labels that no manifest may have are a usage error.
    fn check_labels(&self) -> Result<(), UsageError> {
        let account = ObservedAccount {
            account: AccountId::new(1).expect("1 is an id"),
            zuid: Zuid::new(2),
            zoid: None,
            email: None,
            role: None,
            enabled: Some(true),
            active_sync_enabled: None,
        };
        let checked = export::manifest(&account, "a", &self.labels(), self.target.auth.into());
        checked.map(drop).map_err(|why| UsageError(format!("--label: {why}")))
    }

    fn labels(&self) -> BTreeMap<String, String> {
        self.labels.iter().cloned().collect()
    }

    /// What the folder declares now; nothing if it is not there, or empty.
    fn declared(&self) -> anyhow::Result<DesiredState> {
        let shown = printable::path(&self.folder);
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(DesiredState::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot list {shown}")),
        };
        let is_hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
        if entries.flatten().all(|entry| is_hidden(&entry.file_name())) {
            return Ok(DesiredState::new());
        }
        let desired = load::desired(&self.folder, &Git::default(), self.target.auth.into(), Arc::default(), None)?;
        match desired.problem_count() {
            0 => Ok(desired),
            problems => bail!(
                "{} in {shown}: what is declared there is not known, so nothing was written; see `validate {shown}`",
                count(problems, "problem")
            ),
        }
    }

    /// Reads the service.
    async fn read(&self) -> anyhow::Result<(ServiceRead, Vec<ObservedAccount>, bool)> {
        let Self { target, service, patience, .. } = self;
        let limit = service.limit(target.sandbox);
        let allowance = InForce::default().allowance;
        let settings = service.settings(Mode::Export, target.sandbox, allowance, pass::GRACE, None)?;
        let settings = Settings { max_wait: patience.max_wait, refresh: Some(target.principal()?), ..settings };
        let built = engine::build(target, service, settings, Arc::default(), ReadOnly).await.map_err(who_reads)?;
        let Engine { controller, reports, clock, inputs, outside, cancel, .. } = built;
        shutdown::listen(outside.stops.clone(), || {}, telemetry::flush)?;
        let bar = progress::show(reports.clone(), limit, clock, cancel.clone());
        let mut ended = controller.run(inputs).await;
        cancel.cancel();
        bar.await;
        drop(outside);
        let (mut read, accounts) = ended.read.take().unwrap_or_default();
        let is_suspended = reports.borrow().suspended.is_some();
        let gave_up = engine::close(ended)?.gave_up;
        read.incomplete = read.incomplete.or(gave_up.map(Into::into));
        Ok((read, accounts, is_suspended))
    }

    /// The accounts as far as what was read is believed: a field that this program set a moment ago is as it was set, and one
    /// whose state is in doubt is left out.
    fn believed(&self, accounts: &mut [ObservedAccount], times: (Timestamp, Timestamp)) -> anyhow::Result<()> {
        let owner = self.target.owner()?;
        let ledger = ledger::file::read(&self.target.ledger_file(), Some(owner))?;
        let Some(ledger) = ledger else { return Ok(()) };
        for account in accounts {
            let shown = Field::ALL.map(|field| account.field(field));
            let news = ledger.news(account.account, shown, times);
            let believed = Field::ALL.map(|field| match ledger.known(account.account, field) {
                _ if news[field.index()].is_some() => news[field.index()],
                Known::Absent => shown[field.index()],
                Known::Applied(value) => Some(value),
                Known::InDoubt => None,
            });
            [account.enabled, account.active_sync_enabled] = believed;
        }
        Ok(())
    }

    /// Writes a file for each account that is not declared `before`.
    fn write(&self, accounts: &[ObservedAccount], before: &DesiredState) -> anyhow::Result<Written> {
        let pattern = self.pattern.as_ref().map(Glob::compile_matcher);
        let fits = |account: &ObservedAccount, pattern: &GlobMatcher| {
            account.email.as_deref().is_some_and(|email| pattern.is_match(email))
        };
        let (mut written, labels) = (Written::default(), self.labels());
        let mut fresh: Vec<ObservedAccount> = Vec::new();
        for account in accounts {
            if before.get(account.account).is_some() {
                written.declared += 1;
            } else if pattern.as_ref().is_some_and(|pattern| !fits(account, pattern)) {
                written.unmatched += 1;
            } else {
                fresh.push(account.clone());
            }
        }
        let shared = shared_addresses(&fresh, before);
        let taken: BTreeSet<_> = before.iter().map(|(_, account)| Arc::clone(account.name)).collect();
        for (account, name) in fresh.iter().zip(export::names(&fresh, &taken)) {
            let is_shared = account.email.as_deref().is_some_and(|email| shared.contains(&email.to_lowercase()));
            let declared = ObservedAccount { email: account.email.clone().filter(|_| !is_shared), ..account.clone() };
            let text = match export::manifest(&declared, &name, &labels, self.target.auth.into()) {
                Ok(text) => text,
                Err(why) => {
                    written.left_out.push(format!("{name} ({}) is left out: {why}", account.account));
                    continue;
                }
            };
            let folder = match self.layout {
                Layout::Flat => self.folder.clone(),
                Layout::Domain => self.folder.join(export::domain(account)),
            };
            let file = folder.join(format!("{name}.yaml"));
            if create(&folder, &file, &text).with_context(|| format!("cannot write {}", printable::path(&file)))? {
                written.files += 1;
                written.protected += usize::from(export::is_protected(account));
            } else {
                let file = printable::path(&file);
                written.left_out.push(format!("{name} ({}) is left out: {file} is there already", account.account));
            }
        }
        Ok(written)
    }

    /// Has the ledger know what was read of the accounts that are declared now. Returns of how many that is news.
    fn remember(
        &self,
        accounts: &[ObservedAccount],
        declared: &DesiredState,
        begun: Timestamp,
    ) -> anyhow::Result<usize> {
        let (mut known, now) = (0, Clock::start().now());
        engine::amend(&self.target.ledger_file(), self.target.owner()?, |ledger| {
            let news = accounts.iter().filter_map(|account| {
                let declared = declared.get(account.account)?;
                shown(account.account, &declared, ledger, account, Difference::Corrects, (begun, now)).news
            });
            let news: Vec<_> = news.collect();
            known = news.len();
            news
        })?;
        Ok(known)
    }
}

/// What became of the accounts.
#[derive(Debug, Default)]
struct Written {
    files: usize,
    declared: usize,
    unmatched: usize,
    protected: usize,
    /// Why some have no file, a line each.
    left_out: Vec<String>,
}

/// The addresses, in lower case, that several accounts have: two manifests with one address would both be held.
fn shared_addresses(accounts: &[ObservedAccount], before: &DesiredState) -> BTreeSet<String> {
    let declared = before.iter().filter_map(|(_, account)| account.spec.email.as_deref());
    let fresh = accounts.iter().filter_map(|account| account.email.as_deref());
    let mut seen = BTreeSet::new();
    declared.chain(fresh).map(str::to_lowercase).filter(|email| !seen.insert(email.clone())).collect()
}

/// Makes the file, all of it or nothing. Returns whether it was not there before.
fn create(folder: &Path, file: &Path, text: &str) -> io::Result<bool> {
    std::fs::create_dir_all(folder)?;
    // As any other file of a repository: what others may, the process's mask says.
    let mut made = tempfile::Builder::new();
    let mut new = made.prefix(".export-").permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
    new.write_all(text.as_bytes())?;
    match new.persist_noclobber(file) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}
