//! Keeps one folder in sight: decides at each turn what to look at and whether to tell.
//!
//! In: hints, time, and the wish to rescan. Out: batches.
//! Invariants: the root is checked before anything seen in it is told, so that a folder that went away takes nothing
//! away; while git is at work no batch has files; a turn in which nothing is due costs a dozen system calls.
//! Deliberately absent: waiting ([`Keeper::next_due`] says until when; the parent's `task` waits), and a log of what a
//! batch says: whoever takes it has one.

mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::beneath::{Beneath, Presence};
use super::debounce::Debounce;
use super::events::{Events, Hints};
use super::git::{Gate, Verdict};
use super::ignore::{IgnoreFile, Verdict as IgnoreVerdict};
use super::index::{Index, News, Scanned, Scope};
use super::list::{ListError, Walk};
use super::look::Eyes;
use super::problem::SourceError;
use super::settle::{Moment, Rule};
use super::{Batch, Origin, Parse, Root, Watch};

/// An open root and its watcher.
#[derive(Debug)]
struct Folder {
    beneath: Beneath,
    /// Made after the first scan: our own reads would be as many events.
    events: Option<Events>,
    scanned: bool,
    /// Why something in it could not be watched at the last scan.
    failure: Option<String>,
}

/// One folder in sight.
pub(super) struct Keeper<T> {
    root: PathBuf,
    options: Watch,
    parse: Parse<T>,
    cancel: CancellationToken,
    hints: Arc<Hints>,
    debounce: Debounce,
    gate: Gate,
    ignore: IgnoreFile,
    index: Index<T>,
    folder: Option<Folder>,
    /// Look at everything at the next turn.
    rescan: bool,
    /// Since when a full batch is owed, even if nothing changed.
    owed: Option<Instant>,
    /// An operator asked for it.
    asked: bool,
    /// What the folder as a whole is good for, as far as we know.
    state: Option<Root>,
    told: Told,
    resync_at: Instant,
    poll_at: Instant,
    check_at: Instant,
    /// Not before this: git is at work.
    not_before: Option<Instant>,
    degraded: Option<String>,
}

/// What the last batch said besides files.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    root: Option<Root>,
    degraded: Option<String>,
}

impl<T: Send> Keeper<T> {
    pub(super) fn new(root: PathBuf, options: Watch, parse: Parse<T>, cancel: CancellationToken, now: Instant) -> Self {
        let options = options.bounded();
        Self {
            root,
            debounce: Debounce::new(options.debounce, options.debounce_max),
            ignore: IgnoreFile::new(),
            index: Index::new(options.debounce_max),
            resync_at: now + options.resync,
            gate: Gate::new(options.lock_patience, options.git.clone()),
            options,
            parse,
            cancel,
            hints: Arc::default(),
            folder: None,
            rescan: true,
            owed: Some(now),
            asked: false,
            state: None,
            told: Told::default(),
            poll_at: now,
            check_at: now,
            not_before: None,
            degraded: None,
        }
    }

    /// Where hints come in.
    pub(super) fn hints(&self) -> Arc<Hints> {
        Arc::clone(&self.hints)
    }

    /// A hint came.
    pub(super) fn stir(&mut self, now: Instant) {
        self.debounce.stir(now);
        self.gate.stir(now);
    }

    /// Look at everything, and say so.
    pub(super) fn resync(&mut self, now: Instant) {
        self.rescan = true;
        self.owed.get_or_insert(now);
    }

    /// The same, and try again what failed: an operator asks for it.
    pub(super) fn ask(&mut self, now: Instant) {
        self.asked = true;
        self.resync(now);
    }

    /// When the next turn is due.
    pub(super) fn next_due(&self, now: Instant) -> Instant {
        let mut due = self.check_at.min(self.resync_at);
        if self.folder.is_some() {
            let rescan = self.rescan.then_some(now);
            let tell = self.index.tell_due(self.owed, now).filter(|_| self.is_ready());
            let times = [self.poll_due(), rescan, self.debounce.due(), self.index.look_due(), tell];
            due = times.into_iter().flatten().fold(due, Instant::min);
        }
        self.not_before.map_or(due, |not_before| due.max(not_before))
    }

    /// Does what is due.
    pub(super) fn turn(&mut self, now: Moment) -> Option<Batch<T>> {
        self.not_before = None;
        if self.resync_at <= now.mono {
            self.resync_at = now.mono + self.options.resync;
            self.resync(now.mono);
        }
        self.check_root(now.mono);
        if self.folder.is_none()
            && let Err(error) = self.open()
        {
            self.doubt(&error, now.mono);
            return self.tell(now.mono);
        }
        if let Verdict::Unfinished(operation) = self.gate.unfinished(now.mono) {
            return self.wait_for(operation, now.mono);
        }
        if self.look_is_due(now.mono) || self.index.has_news() {
            if self.git_is_at_work(now.mono) {
                return None;
            }
            self.git_has_worked(now.mono);
        }
        if self.look_is_due(now.mono) {
            match self.look_at_ignored(now) {
                IgnoreVerdict::Known { changed } => self.rescan |= changed,
                IgnoreVerdict::Later(left) => {
                    self.rescan = true;
                    self.not_before = Some(now.mono + left.min(self.options.root_check));
                    return None;
                }
                IgnoreVerdict::Broken(problem) => {
                    self.doubt(&SourceError::Ignore { root: self.root.clone(), problem }, now.mono);
                    return self.tell(now.mono);
                }
            }
            match self.look(now) {
                Ok(()) => {}
                Err(ListError::Stopped) => return None,
                Err(ListError::Root(errno)) => self.doubt(&SourceError::of(&self.root, errno), now.mono),
                Err(ListError::TooMany) => self.doubt(&SourceError::TooMany { root: self.root.clone() }, now.mono),
            }
            // What was seen may have been a folder on its way out, or a checkout on its way in.
            self.check_root(now.mono);
            self.folder.as_ref()?;
            if self.git_is_at_work(now.mono) || self.git_has_worked(now.mono) {
                return None;
            }
        }
        self.tell(now.mono)
    }

    fn check_root(&mut self, now: Instant) {
        self.check_at = now + self.options.root_check;
        if self.folder.as_ref().is_some_and(|folder| folder.beneath.presence(&self.root) == Presence::Other) {
            info!(folder = %self.root.display(), "the desired-state folder was replaced or removed");
            self.folder = None;
            self.index.forget_doubts(now);
            self.debounce.clear();
            self.hints.take();
            self.resync(now);
            self.check_at = now;
        }
    }

    fn open(&mut self) -> Result<(), SourceError> {
        let beneath = Beneath::open(&self.root)?;
        self.gate.find(&beneath.real);
        self.folder = Some(Folder { beneath, events: None, scanned: false, failure: None });
        Ok(())
    }

    fn look_is_due(&self, now: Instant) -> bool {
        let times = [self.poll_due(), self.debounce.due(), self.index.look_due()];
        self.rescan || self.must_look_first(now) || times.into_iter().flatten().any(|due| due <= now)
    }

    /// Whether a file is about to be told as gone while there are hints at others that may have gone with it.
    fn must_look_first(&self, now: Instant) -> bool {
        let overdue = || self.index.tell_due(self.owed, now).is_some_and(|due| due <= now);
        self.index.has_gone() && self.hints.is_pending() && overdue()
    }

    const fn is_ready(&self) -> bool {
        matches!(self.state, Some(Root::Ready))
    }

    /// When to scan although nothing hints at a change: where events may be missing, or while the folder says nothing.
    fn poll_due(&self) -> Option<Instant> {
        (self.degraded.is_some() || !self.is_ready() || self.index.has_links()).then_some(self.poll_at)
    }

    /// What is ignored comes first: without it no one file is known to be a manifest.
    fn look_at_ignored(&mut self, now: Moment) -> IgnoreVerdict {
        let Some(Folder { beneath, .. }) = &self.folder else { return IgnoreVerdict::Known { changed: false } };
        let rule = Some(Rule::of(&self.options, beneath));
        let verdict = self.ignore.look(beneath, (rule, now), &self.hints.open(), self.options.debounce_max);
        if matches!(verdict, IgnoreVerdict::Broken(_)) {
            // What hinted at a look has had one. The next is at the next hint or poll, and looks at everything.
            self.hints.take();
            self.debounce.clear();
            self.rescan = false;
            self.poll_at = now.mono + self.options.poll;
        }
        verdict
    }

    fn look(&mut self, now: Moment) -> Result<(), ListError> {
        let since = self.debounce.since().unwrap_or(now.mono);
        let scope = self.take_scope(now.mono);
        let whole = matches!(scope, Scope::All);
        if whole {
            self.prepare_rescan(now.mono);
        }
        let Some(folder) = &self.folder else { return Ok(()) };
        let watch = |path: &str, id| folder.events.iter().for_each(|events| events.watch(path, id));
        let stop = || self.cancel.is_cancelled();
        let rule = Rule::of(&self.options, &folder.beneath);
        let eyes = Eyes {
            beneath: &folder.beneath,
            parse: &*self.parse,
            rule: Some(rule),
            now,
            since,
            trust_stamps: whole,
            open: &self.hints.open(),
        };
        let walk = Walk { beneath: &folder.beneath, ignored: &self.ignore.ignored(), on_find: &watch, stop: &stop };
        let scanned = self.index.scan(&scope, walk, &eyes)?;
        if let Some(needs) = self.options.needs.as_deref().filter(|needs| folder.beneath.folder(needs).is_err()) {
            // What lay in it is not gone: nothing of this scan is passed on.
            self.doubt(&SourceError::Incomplete { root: self.root.clone(), needs: needs.to_owned() }, now.mono);
            return Ok(());
        }
        self.degraded = self.degradation();
        match scanned {
            Scanned::Empty => self.doubt(&SourceError::Empty { root: self.root.clone() }, now.mono),
            Scanned::Swapped => self.rescan = true,
            Scanned::Whole => {}
        }
        if whole && scanned != Scanned::Empty && !self.is_ready() {
            self.state = Some(Root::Ready);
            self.owed.get_or_insert(now.mono);
        }
        Ok(())
    }

    fn take_scope(&mut self, now: Instant) -> Scope {
        let hinted = self.debounce.due().is_some_and(|due| due <= now) || self.must_look_first(now);
        let polled = self.poll_due().is_some_and(|due| due <= now);
        let mut all = self.rescan || polled || self.index.has_swaps() || !self.is_ready();
        if !hinted && !all {
            return Scope::Some(BTreeSet::new());
        }
        let hints = self.hints.take();
        self.debounce.clear();
        all |= hints.everything || hints.paths.iter().any(|path| self.reaches_further(path));
        if all { Scope::All } else { Scope::Some(hints.paths) }
    }

    /// Whether a change at `path` may be one elsewhere too: it is a link, or there is another way to the same place.
    fn reaches_further(&self, path: &str) -> bool {
        let events = self.folder.as_ref().and_then(|folder| folder.events.as_ref());
        self.index.is_link(path) || events.is_some_and(|events| events.is_shared(path))
    }

    /// The first scan goes without a watcher, so that the first batch is there soonest. The next one, which only
    /// compares time stamps, watches each folder before it lists it: from then on nothing is missed.
    fn prepare_rescan(&mut self, now: Instant) {
        self.rescan = false;
        self.poll_at = now + self.options.poll;
        let Some(folder) = &mut self.folder else { return };
        self.gate.find(&folder.beneath.real);
        folder.failure = None;
        folder.events.iter().for_each(Events::begin_rescan);
        if !std::mem::replace(&mut folder.scanned, true) {
            self.rescan = self.options.events;
        } else if self.options.events && folder.events.is_none() {
            match Events::new(&folder.beneath.real, Arc::clone(&self.hints)) {
                Ok(events) => folder.events = Some(events),
                Err(why) => folder.failure = Some(why),
            }
        }
    }

    /// Why events may be missing, if they may.
    fn degradation(&mut self) -> Option<String> {
        let folder = self.folder.as_mut()?;
        if let Some(failure) = folder.events.as_ref().and_then(Events::take_failure) {
            folder.failure = Some(failure);
        }
        let why = if !self.options.events {
            "watching is switched off"
        } else if folder.beneath.remote {
            "other machines or programs may change this file system without an event"
        } else {
            folder.failure.as_deref()?
        };
        Some(format!("{why}; rescanning every {}", humantime::format_duration(self.options.poll)))
    }

    /// The folder says nothing. What was told before still stands.
    fn doubt(&mut self, error: &SourceError, now: Instant) {
        self.index.forget_doubts(now);
        self.state = Some(Root::Unknown(error.to_string()));
    }

    fn tell(&mut self, now: Instant) -> Option<Batch<T>> {
        let changed = self.told.root != self.state || self.told.degraded != self.degraded;
        let wanted = changed || self.owed.is_some();
        let (files, hashes) = match &self.state {
            None => return None,
            Some(Root::Unknown(_)) if wanted => (Vec::new(), Vec::new()),
            Some(Root::Unknown(_)) => return None,
            Some(Root::Ready) => {
                // What is on its way, or not at rest, belongs with what there is.
                let stirs = self.debounce.due().is_some() || self.hints.is_pending();
                let whole = !stirs && self.index.is_settled(now);
                let overdue = self.index.tell_due(self.owed, now).is_some_and(|due| due <= now);
                if !(whole || overdue) || !(wanted || self.index.has_news()) {
                    return None;
                }
                match self.index.take_news(now) {
                    News::Files(files, hashes) => (files, hashes),
                    News::AllGone => {
                        self.doubt(&SourceError::Empty { root: self.root.clone() }, now);
                        (Vec::new(), Vec::new())
                    }
                }
            }
        };
        let root = self.state.clone()?;
        self.told = Told { root: Some(root.clone()), degraded: self.degraded.clone() };
        let full = self.owed.take().is_some();
        let asked = std::mem::take(&mut self.asked);
        let folder = self.folder.as_ref().filter(|_| !files.is_empty());
        let origin =
            folder.map(|folder| Origin::of(&folder.beneath.real, &self.options.git, hashes)).unwrap_or_default();
        Some(Batch { files, root, full, asked, degraded: self.degraded.clone(), origin, decided: BTreeMap::new() })
    }
}

#[cfg(test)]
mod tests;
