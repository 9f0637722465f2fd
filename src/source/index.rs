//! What is known of the folder, what is not settled yet, and what has not been told yet.
//!
//! In: listings and looks. Out: the paths whose content changed, in order, as one batch that belongs together.
//! Invariants: a path is told as gone only after it was missing for a debounce, in a folder that could be
//! listed; nothing is told twice; a look at one path costs the same whatever the number of others.
//! Deliberately absent: when to look; see the parent's `keeper`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Look;
use super::beneath::Lead;
use super::look::{Eyes, Sight};
use super::problem::ReadProblem;
use super::settle::Print;

mod scan;

pub(super) use scan::{Scanned, Scope};

/// What was last told about a path.
#[derive(Debug)]
enum Known {
    Content(Print),
    Problem {
        problem: Box<ReadProblem>,
        /// Whether content was read before: whoever was told of it lets it stand.
        stands: bool,
    },
}

impl Known {
    /// Whether content is lost if the path is.
    const fn holds_content(&self) -> bool {
        matches!(self, Self::Content(_) | Self::Problem { stands: true, .. })
    }

    fn is_problem(&self, other: &ReadProblem) -> bool {
        matches!(self, Self::Problem { problem, .. } if **problem == *other)
    }
}

/// A path that is not at rest.
#[derive(Debug)]
struct Unsettled {
    what: What,
    /// When it first was not at rest.
    first: Instant,
    /// Since when every look has seen the same.
    since: Instant,
    /// When to look again.
    due: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Bytes {
        hash: u64,
        /// Perhaps about to be filled. Nobody else waits for it: that would be 5 s.
        unfinished: bool,
    },
    Missing,
    Dangling,
}

/// When to look at a path without a hint.
#[derive(Debug)]
struct Again {
    due: Instant,
    /// How long the wait for it was.
    pause: Duration,
}

/// How soon: limits on open files and stalled disks pass in seconds.
const AGAIN: Duration = Duration::from_secs(1);

/// How seldom at the least, while it cannot be read; each wait is twice the one before.
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// What there is to tell.
#[derive(Debug)]
pub(super) enum News<T> {
    /// The files, and the fingerprint of what was read of each.
    Files(Vec<(Arc<str>, Look<T>)>, Vec<u64>),
    /// Everything that was known is gone. That is no news but a doubt: nothing is forgotten.
    AllGone,
}

/// The folder as it was last seen.
#[derive(Debug)]
pub(super) struct Index<T> {
    known: BTreeMap<Arc<str>, Known>,
    unsettled: BTreeMap<Arc<str>, Unsettled>,
    gone: BTreeSet<Arc<str>>,
    untold: BTreeMap<Arc<str>, (Look<T>, u64)>,
    /// Paths to look at again although nothing hints at them: what could not be read for a moment, and what was
    /// reported gone, for it may be written again in that instant.
    again: BTreeMap<Arc<str>, Again>,
    /// Since when there has been something to tell.
    held_since: Option<Instant>,
    links: BTreeSet<Arc<str>>,
    /// Links behind which files are published together, and where they led.
    swaps: BTreeMap<Arc<str>, Lead>,
    /// How long one path's unrest holds up what else there is to tell.
    patience: Duration,
    /// When the newest revision came, as far as that shows: patience with its files begins then.
    renewed: Option<Instant>,
}

impl<T: Send> Index<T> {
    pub(super) const fn new(patience: Duration) -> Self {
        Self {
            known: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            gone: BTreeSet::new(),
            untold: BTreeMap::new(),
            again: BTreeMap::new(),
            held_since: None,
            links: BTreeSet::new(),
            swaps: BTreeMap::new(),
            patience,
            renewed: None,
        }
    }

    /// Whether a change at `path` can mean changes anywhere.
    pub(super) fn is_link(&self, path: &str) -> bool {
        self.links.contains(path)
    }

    /// Whether there are links: where they lead in the end may change without an event, behind hidden names.
    pub(super) fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    /// Whether files are published together through a link: they are read together or not at all.
    pub(super) fn has_swaps(&self) -> bool {
        !self.swaps.is_empty()
    }

    /// At `now` another revision took the place of the one before: its files have not been waited for yet.
    pub(super) const fn renew(&mut self, now: Instant) {
        self.renewed = Some(now);
    }

    /// Until when patience lasts with what began at `since`.
    fn patience_ends(&self, since: Instant) -> Instant {
        self.renewed.map_or(since, |renewed| renewed.max(since)) + self.patience
    }

    /// When something unsettled wants to be looked at again.
    pub(super) fn look_due(&self) -> Option<Instant> {
        let unsettled = self.unsettled.values().map(|unsettled| unsettled.due);
        unsettled.chain(self.again.values().map(|again| again.due)).min()
    }

    /// When what there is to tell, or was `owed` since then, is told whatever stirs. Paths that are not settled are
    /// waited for; but not without end, unless revisions come without end.
    pub(super) fn tell_due(&self, owed: Option<Instant>, now: Instant) -> Option<Instant> {
        let since = self.held_since.into_iter().chain(owed).min()?;
        Some(if self.is_settled(now) { since + self.patience } else { self.patience_ends(since) })
    }

    /// Whether no look is about to change what there is to tell.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        let waits = |u: &Unsettled| {
            !matches!(u.what, What::Bytes { unfinished: true, .. }) && now < self.patience_ends(u.first)
        };
        !self.unsettled.values().any(waits)
    }

    /// Whether nothing can be learnt by looking again: all is at rest, or has been given up on.
    pub(super) fn is_done(&self, now: Instant) -> bool {
        self.unsettled.values().all(|unsettled| now >= self.patience_ends(unsettled.first))
    }

    /// Whether there is something to tell.
    pub(super) const fn has_news(&self) -> bool {
        self.held_since.is_some()
    }

    /// Whether it tells of anything that it is gone.
    pub(super) fn has_gone(&self) -> bool {
        !self.gone.is_empty()
    }

    /// Takes what there is to tell.
    pub(super) fn take_news(&mut self, now: Instant) -> News<T> {
        self.held_since = None;
        if self.has_lost_all() {
            // What is untold waits with the doubt: it is told when the folder says something again.
            self.gone.clear();
            return News::AllGone;
        }
        let mut files = std::mem::take(&mut self.untold);
        for path in std::mem::take(&mut self.gone) {
            self.known.remove(&path);
            self.again.insert(Arc::clone(&path), Again { due: now + AGAIN, pause: AGAIN });
            files.insert(path, (Look::Gone, 0));
        }
        let (files, hashes) = files.into_iter().map(|(path, (look, hash))| ((path, look), hash)).unzip();
        News::Files(files, hashes)
    }

    /// Whether every file with content is gone, or whatever there was. Problems that are left, a mount's `lost+found`
    /// say, are no manifests; but one that is gone was a manifest if it could ever be read.
    fn has_lost_all(&self) -> bool {
        let left = || self.known.iter().filter(|(path, _)| !self.is_missing(path)).map(|(_, known)| known);
        if self.gone.is_empty() || left().any(|known| matches!(known, Known::Content(_))) {
            return false;
        }
        let nothing_is_left = left().next().is_none();
        let mut gone = self.gone.iter().filter_map(|path| self.known.get(path));
        gone.any(|known| nothing_is_left || known.holds_content())
    }

    /// Whether the last look did not find it, be that for long or just now: a folder that is being emptied loses one
    /// file after the other.
    fn is_missing(&self, path: &Arc<str>) -> bool {
        let seen = |path| self.unsettled.get(path).is_some_and(|unsettled| unsettled.what == What::Missing);
        self.gone.contains(path) || seen(path)
    }

    /// The root is in doubt: what was about to be taken for gone, or for half-written, was seen in a folder that is no
    /// more.
    pub(super) fn forget_doubts(&mut self, now: Instant) {
        self.renew(now);
        self.unsettled.clear();
        self.again.clear();
        self.gone.clear();
        self.held_since = self.held_since.filter(|_| !self.untold.is_empty());
    }

    /// Learns from one look.
    fn absorb(&mut self, path: &Arc<str>, sight: Sight<T>, eyes: &Eyes<'_, T>) {
        let now = eyes.now.mono;
        match sight {
            Sight::Same => self.settle(path),
            Sight::Touched(print) => {
                self.settle(path);
                self.known.insert(Arc::clone(path), Known::Content(print));
            }
            Sight::Read(print, value) => {
                let hash = print.hash;
                self.settle(path);
                self.known.insert(Arc::clone(path), Known::Content(print));
                self.tell(path, (Look::Read(value), hash), eyes.since);
            }
            Sight::Bad(problem) => {
                self.settle(path);
                if problem.may_pass() {
                    let pause = self.again.get(path).map_or(AGAIN, |again| (again.pause * 2).min(AGAIN_MAX));
                    self.again.insert(Arc::clone(path), Again { due: now + pause, pause });
                }
                self.complain(path, problem, eyes.since);
            }
            Sight::Fresh(print, left) => {
                self.gone.remove(path);
                let what = What::Bytes { hash: print.hash, unfinished: print.is_unfinished() };
                if self.unrest(path, what, left, now) && !print.empty {
                    self.complain(path, ReadProblem::BeingWritten, eyes.since);
                }
            }
            Sight::Dangling => {
                self.gone.remove(path);
                let told = self.known.get(path).is_some_and(|known| known.is_problem(&ReadProblem::Dangling));
                if told || self.unrest(path, What::Dangling, eyes.pause(), now) || eyes.rule.is_none() {
                    self.settle(path);
                    self.complain(path, ReadProblem::Dangling, eyes.since);
                }
            }
            Sight::Missing => self.lose(path, eyes),
        }
    }

    /// Notes that a path is not at rest. Says whether it has not been for longer than anybody's patience.
    fn unrest(&mut self, path: &Arc<str>, what: What, pause: Duration, now: Instant) -> bool {
        let fresh = || Unsettled { what, first: now, since: now, due: now };
        let unsettled = self.unsettled.entry(Arc::clone(path)).or_insert_with(fresh);
        if unsettled.what != what {
            unsettled.what = what;
            unsettled.since = now;
        }
        unsettled.due = now + pause;
        let first = unsettled.first;
        now >= self.patience_ends(first)
    }

    fn lose(&mut self, path: &Arc<str>, eyes: &Eyes<'_, T>) {
        let now = eyes.now.mono;
        if !self.known.contains_key(path) {
            self.unsettled.remove(path);
            return;
        }
        if self.gone.contains(path) {
            return;
        }
        let need = eyes.pause();
        self.unrest(path, What::Missing, need, now);
        let since = self.unsettled.get(path).map_or(now, |unsettled| unsettled.since);
        if now >= since + need {
            // What of it is untold stays: it may be back before anything is told.
            self.settle(path);
            self.gone.insert(Arc::clone(path));
            self.held_since.get_or_insert(eyes.since);
        } else if let Some(unsettled) = self.unsettled.get_mut(path) {
            unsettled.due = since + need;
        }
    }

    /// What was due and could be neither seen nor missed (its folder cannot be listed just now) is due again later.
    fn put_off(&mut self, eyes: &Eyes<'_, T>) {
        let now = eyes.now.mono;
        self.again.retain(|_, again| again.due > now);
        for unsettled in self.unsettled.values_mut().filter(|unsettled| unsettled.due <= now) {
            unsettled.due = now + eyes.pause();
        }
    }

    fn settle(&mut self, path: &Arc<str>) {
        self.unsettled.remove(path);
        self.gone.remove(path);
    }

    fn complain(&mut self, path: &Arc<str>, problem: ReadProblem, since: Instant) {
        let known = self.known.get(path);
        if known.is_some_and(|known| known.is_problem(&problem)) {
            return;
        }
        let stands = known.is_some_and(Known::holds_content);
        self.known.insert(Arc::clone(path), Known::Problem { problem: Box::new(problem.clone()), stands });
        self.tell(path, (Look::Problem(problem), 0), since);
    }

    fn tell(&mut self, path: &Arc<str>, look: (Look<T>, u64), since: Instant) {
        self.untold.insert(Arc::clone(path), look);
        self.held_since.get_or_insert(since);
    }
}
