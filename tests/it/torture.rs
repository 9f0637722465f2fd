//! The real daemon over real folders that everything happens to, and a judge who sees every PUT.
//!
//! The judge knows every value that the folder as a whole ever wanted, and holds the service's log against it: nothing
//! that only stood in half a file, in a mixture of two revisions or under a truncated id was PUT; nothing was PUT twice
//! that was always wanted the same. In the end the world is as the folder, the daemon is well, a resync, a restart and
//! another pass send nothing, and no warning was repeated without end. There is no disruption budget to hide behind.
//!
//! What happens, and where it is lived through:
//!
//! | to the folder | test |
//! |---|---|
//! | a link flipped, a volume swapped, 200 times | [`links`] |
//! | a mount over it, over a part, away, lazily; an overlay's lower layer | [`mounts`] |
//! | removed, emptied, moved away, replaced, a file in its place, its link's target replaced | [`roots`] |
//! | more events than the queue holds; no watch left, at the start or later; no watcher | [`limits`] |
//! | a rebase that stops in the middle | [`unfinished`] |
//! | checkout of many files, stash, reset, a lock left behind, a linked worktree | [`checkouts`] |
//! | halves with the truncated id, vim, emacs, nano, sed, a write every 50 ms, empty files, 1,000 edits | [`saves`] |
//! | an edit and its rollback, line ends, modes, renames, hard links, folders in the place of files | [`saves`] |
//! | deep folders at once, closed folders, odd names, 4,000 nested folders, FIFOs, devices | [`oddities`] |
//!
//! The folders are on a disk, not in memory: which numbers new files get, what is read of a file while it is written,
//! and what may be mounted over it is the file system's own way, and the disk's is that of those who run the daemon.
//!
//! Deliberately absent: sleeping until something must have happened. A later edit that is applied proves that what
//! happened before it was told, or never will be; a publisher or a writer that has a pace sleeps between its steps.

#![allow(clippy::unwrap_used)] // what cannot be made ready for a test fails it

mod checkouts;
mod limits;
mod links;
mod mounts;
mod oddities;
mod revisions;
mod roots;
mod saves;
mod unfinished;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::sandbox::{Entry, Operation};

use super::builders::Manifest;
use super::depth::{number, pick};
use super::process::{Process, Rig, account, wait_for};

/// The shortest debounce there is in effect: what is right with it is right with every other.
const QUICK: &str = "20ms";

/// How often the daemon reads the folder where no event tells of a change, and looks at what its path leads to.
const POLL: &str = "50ms";

/// Lines of one warning that a trial may cost, unless it says otherwise.
const WARNINGS: usize = 10;

/// How often to repeat what is repeated: `default`, `full` for the full product, or any number as `TORTURE_ROUNDS`.
fn rounds(default: usize, full: usize) -> usize {
    number("TORTURE_ROUNDS").map_or(pick(default, full), |rounds| rounds as usize)
}

/// A manifest as everybody writes it.
fn manifest(n: u64, enabled: bool, sync: bool) -> String {
    Manifest::numbered(n).enabled(enabled).active_sync(sync).to_string()
}

/// Writes a file, with the folders it needs, in place: not as careful editors do.
fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Makes `link` lead to `target`, in one step even if it is there already.
fn link(target: impl AsRef<Path>, link: &Path) {
    let next = link.with_file_name("..next");
    std::os::unix::fs::symlink(target, &next).unwrap();
    fs::rename(next, link).unwrap();
}

/// `command`, run by another one: `prefix`, then the program and its arguments.
fn wrapped(prefix: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(prefix[0]);
    outer.args(&prefix[1..]).arg(command.get_program()).args(command.get_args());
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer
}

/// A daemon on trial.
struct Trial {
    rig: Rig,
    daemon: Process,
    /// Every value that was ever wanted by the folder as a whole.
    wanted: BTreeMap<(u64, Field), BTreeSet<bool>>,
    /// What is wanted now.
    last: BTreeMap<(u64, Field), bool>,
    warnings: usize,
}

impl Trial {
    /// `accounts` accounts, each with its file, and a daemon that has applied them.
    fn begin(accounts: u64) -> Self {
        Self::begin_with(Rig::on_disk(accounts), accounts, &[], QUICK)
    }

    /// The first `accounts` accounts are wanted as the rig declares them. `prefix` is the command that begins the
    /// daemon.
    fn begin_with(rig: Rig, accounts: u64, prefix: &[&str], debounce: &str) -> Self {
        let mut command = rig.writing("run");
        command.args(["--listen", "127.0.0.1:0", "--debounce", debounce, "--poll-interval", POLL]);
        if !prefix.is_empty() {
            command = wrapped(prefix, &command);
        }
        let daemon = rig.begin(command);
        let (wanted, last) = (BTreeMap::new(), BTreeMap::new());
        let mut trial = Self { rig, daemon, wanted, last, warnings: WARNINGS };
        (0..accounts).for_each(|n| trial.want(n, n % 2 == 0, n % 3 == 0));
        trial.until_applied("the first pass");
        trial
    }

    /// The same, where `prefix` can be run here. If not, says on standard error what was not tested.
    fn begin_if(test: &str, prefix: &[String], rig: impl FnOnce() -> Rig, accounts: u64) -> Option<Self> {
        let prefix: Vec<&str> = prefix.iter().map(String::as_str).collect();
        // Whether there are namespaces at all; what is done in them must work.
        let options = prefix.iter().take_while(|word| **word == "unshare" || word.starts_with('-'));
        let mut probe = Command::new("env");
        if !probe.args(options).arg("true").output().unwrap().status.success() {
            eprintln!("{test}: SKIPPED, for unshare is missing or namespaces are not allowed");
            return None;
        }
        Some(Self::begin_with(rig(), accounts, &prefix, QUICK))
    }

    /// The folder of manifests.
    fn root(&self) -> PathBuf {
        self.rig.folder.path().join("desired-state")
    }

    fn file(&self, n: u64) -> PathBuf {
        self.root().join(format!("a{n}.yaml"))
    }

    /// From now on the folder may want this, and in the end it does.
    fn want(&mut self, n: u64, enabled: bool, sync: bool) {
        for (field, value) in [(Field::Enabled, enabled), (Field::ActiveSyncEnabled, sync)] {
            self.wanted.entry((n, field)).or_default().insert(value);
            self.last.insert((n, field), value);
        }
    }

    /// An edit as a careful editor makes it.
    fn save(&mut self, n: u64, enabled: bool, sync: bool) {
        self.want(n, enabled, sync);
        self.rig.declare(n, enabled, sync);
    }

    /// The state of the world; an account that is not there is on in every way, as nothing was PUT.
    fn actual(&self) -> BTreeMap<(u64, Field), bool> {
        let world = self.rig.world();
        let both = |n: u64| {
            let account = world.account(account(n)).unwrap();
            [
                ((n, Field::Enabled), account.mailbox_enabled),
                ((n, Field::ActiveSyncEnabled), account.active_sync_enabled),
            ]
        };
        let accounts: BTreeSet<u64> = self.last.keys().map(|(n, _)| *n).collect();
        accounts.into_iter().flat_map(both).collect()
    }

    /// Waits until the world is as wanted, and nothing is under way.
    fn until_applied(&self, what: &str) {
        let idle = || {
            let report = self.report()?;
            (report["pending"] == 0 && report["inFlight"] == 0).then_some(())
        };
        self.until(what, || (self.actual() == self.last).then(idle).flatten());
        self.judge();
    }

    fn until<T>(&self, what: &str, seen: impl FnMut() -> Option<T>) -> T {
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wait_for(what, seen)));
        found.unwrap_or_else(|_| {
            self.judge();
            panic!("{what}: {:?} is not {:?}\n{}", self.actual(), self.last, self.daemon.said())
        })
    }

    /// One more edit, and its end: what happened before has been told by then, or never will be.
    fn mark(&mut self) {
        self.mark_in("a0.yaml");
    }

    /// The same, where the first account is in another file.
    fn mark_in(&mut self, file: &str) {
        let (enabled, sync) = (self.last[&(0, Field::Enabled)], self.last[&(0, Field::ActiveSyncEnabled)]);
        self.want(0, enabled, !sync);
        write(&self.root().join(file), &manifest(0, enabled, !sync));
        self.until_applied("a later edit");
    }

    fn report(&self) -> Option<serde_json::Value> {
        let (_, body) = self.daemon.page("/status")?;
        let mut page: serde_json::Value = serde_json::from_str(&body).ok()?;
        Some(page["reconciler"].take())
    }

    /// Waits until the folder says nothing, for this reason; the daemon lives on.
    fn until_unknown(&self, why: &str) {
        self.until(why, || self.report()?["desiredUnknown"].as_str().filter(|said| said.contains(why)).map(|_| ()));
        assert_eq!(self.daemon.page("/readyz").unwrap().0, 503);
        assert_eq!(self.daemon.page("/healthz").unwrap().0, 200);
    }

    fn puts(&self) -> u64 {
        self.rig.world().totals().puts
    }

    /// Every PUT was wanted by the folder as it once was as a whole, and took effect.
    fn judge(&self) {
        let world = self.rig.world();
        let wrong: Vec<String> = world
            .log()
            .filter(|entry| entry.operation.is_put() && !self.is_right(entry))
            .map(|entry| format!("{} {:?} {}", entry.operation, entry.account, entry.result))
            .collect();
        drop(world);
        assert_eq!(wrong, [""; 0], "PUTs that nothing whole ever asked for:\n{}", self.daemon.said());
    }

    fn is_right(&self, entry: &Entry) -> bool {
        let Some(n) = entry.account.and_then(|id| id.get().checked_sub(account(0).get())) else { return false };
        let wanted = |field| self.wanted.get(&(n, field));
        let known = match entry.operation {
            Operation::EnableMailAccount => wanted(Field::Enabled).is_some_and(|wanted| wanted.contains(&true)),
            Operation::DisableMailAccount => wanted(Field::Enabled).is_some_and(|wanted| wanted.contains(&false)),
            _ => wanted(Field::ActiveSyncEnabled).is_some(),
        };
        known && entry.applied
    }

    /// What has always been wanted the same was PUT once; the log of the service does not tell ActiveSync's value.
    fn judge_constants(&self) {
        let puts = self.rig.puts(0);
        for ((n, field), _) in self.wanted.iter().filter(|(_, wanted)| wanted.len() == 1) {
            let count = puts.iter().filter(|put| **put == (account(*n), *field)).count();
            assert!(count <= 1, "{field} of a{n} was PUT {count} times:\n{}", self.daemon.said());
        }
    }

    /// The end: the world is as the folder, nothing is left to do, and nobody complains without end.
    fn verdict(mut self) {
        self.until_applied("the final world");
        self.judge_constants();
        let puts = self.puts();
        self.resync();
        assert_eq!(self.daemon.page("/healthz").map(|(status, _)| status), Some(200));
        assert_eq!(self.daemon.page("/readyz"), Some((200, "ok\n".to_owned())));
        for (line, count) in warnings(&self.daemon.said()) {
            assert!(count <= self.warnings, "{count} lines: {line}");
        }
        self.daemon.signal(Signal::TERM);
        assert!(self.daemon.end().success());
        // Duplicates are problems, and so the pass that does nothing fails.
        assert!(matches!(self.rig.apply().status.code(), Some(0 | 1)));
        assert_eq!(self.puts(), puts, "a resync, and another pass, have nothing to send:\n{}", self.daemon.said());
        self.judge();
        self.rig.applied();
    }

    /// SIGHUP, and the folder read again.
    fn resync(&self) {
        let read = || Some(self.report()?["lastSync"].to_string());
        let before = self.until("a report", read);
        self.daemon.signal(Signal::HUP);
        self.until("the resync", || read().filter(|now| *now != before));
    }
}

/// Warnings and errors by their message, as far as it names nothing, and how many there are.
fn warnings(said: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        if line["level"] == "WARN" || line["level"] == "ERROR" {
            let message = line["message"].as_str().unwrap_or_default();
            *counts.entry(message.split([':', '{']).next().unwrap_or(message).to_owned()).or_default() += 1;
        }
    }
    counts
}
