//! One scan: list, look, and learn from what was seen and from what was not.
//!
//! In: a [`Scope`]. Out: the index, one scan wiser.
//! Invariants: nothing is missed that lies in a folder which could not be listed; what a flipped volume showed
//! is not learnt at all.
//! Deliberately absent: what is learnt from one look; see the parent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::super::list::{self, ListError, Listing, Target, Walk};
use super::super::look::{Eyes, Sight};
use super::super::parallel;
use super::super::settle::Glimpse;
use super::{Index, Known, What};

/// Files a worker takes at a time: some hundred microseconds of work.
const CHUNK: usize = 64;

/// What to look at.
#[derive(Debug)]
pub(in super::super) enum Scope {
    /// The whole folder.
    All,
    /// These paths, and all that is due.
    Some(BTreeSet<Arc<str>>),
}

/// How a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Scanned {
    Whole,
    /// A link to many files was flipped meanwhile; what lies behind it must be looked at again.
    Swapped,
    /// There is no manifest at all.
    Empty,
}

impl<T: Send> Index<T> {
    /// Lists and looks. Without a listing nothing is learnt and nothing forgotten.
    pub(in super::super) fn scan(
        &mut self,
        scope: &Scope,
        walk: Walk<'_>,
        eyes: &Eyes<'_, T>,
    ) -> Result<Scanned, ListError> {
        let mut listing = Listing::default();
        let scopes = match scope {
            Scope::All => {
                listing.add_root(walk)?;
                None
            }
            Scope::Some(paths) => Some(self.list_paths(paths, eyes.now.mono, walk, &mut listing)?),
        };
        listing.sort();
        if scopes.is_none() && self.is_empty(&listing) {
            return Ok(Scanned::Empty);
        }
        if listing.swaps.iter().any(|swap| self.swaps.get(&swap.link).is_some_and(|lead| *lead != swap.lead)) {
            self.renew(eyes.now.mono);
        }
        let sights = self.look_at(&listing.targets, walk, eyes)?;
        let flipped: Vec<&str> = (listing.swaps.iter())
            .filter(|swap| walk.beneath.lead(&swap.link).as_ref() != Some(&swap.lead))
            .map(|swap| &*swap.folder)
            .collect();
        let flipped = |path: &str| flipped.iter().any(|folder| is_beneath(path, folder));
        let mut swapped = false;
        for (target, sight) in listing.targets.iter().zip(sights.into_iter().flatten()) {
            if flipped(&target.path) {
                swapped = true;
            } else {
                self.absorb(&target.path, sight, eyes);
            }
        }
        for path in self.missing(scopes.as_deref(), &listing) {
            if !flipped(&path) {
                self.absorb(&path, Sight::Missing, eyes);
            }
        }
        self.remember_links(scopes.is_none(), listing);
        self.put_off(eyes);
        Ok(if swapped { Scanned::Swapped } else { Scanned::Whole })
    }

    /// Whether a listing of everything has no file, nor a folder that may still have those that are known.
    fn is_empty(&self, listing: &Listing) -> bool {
        let there = |path: &str| listing.is_unlisted(path) || listing.has(path);
        let lost = || self.known.iter().any(|(path, known)| known.holds_content() && !there(path));
        let all_bad = listing.targets.iter().all(|target| matches!(target.kind, list::Kind::Bad(_)));
        listing.targets.is_empty() || all_bad && lost()
    }

    /// Lists `paths` and what is due. Returns the paths, each of which may have been a folder.
    fn list_paths(
        &self,
        paths: &BTreeSet<Arc<str>>,
        now: Instant,
        walk: Walk<'_>,
        listing: &mut Listing,
    ) -> Result<Vec<Arc<str>>, ListError> {
        let due = self.unsettled.iter().filter(|(_, unsettled)| unsettled.due <= now).map(|(path, _)| path);
        let due = due.chain(self.again.iter().filter(|(_, again)| again.due <= now).map(|(path, _)| path));
        let wanted: BTreeMap<&str, &Arc<str>> = paths.iter().chain(due).map(|path| (&**path, path)).collect();
        let covered = |path: &str| list::ancestors(path).any(|folder| wanted.contains_key(folder));
        let tops = wanted.iter().filter(|(path, _)| !covered(path)).map(|(_, path)| Arc::clone(path));
        let tops: Vec<Arc<str>> = tops.collect();
        for path in &tops {
            listing.add_path(walk, path)?;
        }
        Ok(tops)
    }

    fn look_at(&self, targets: &[Target], walk: Walk<'_>, eyes: &Eyes<'_, T>) -> Result<Vec<Vec<Sight<T>>>, ListError> {
        let (known, unsettled) = (&self.known, &self.unsettled);
        let looks = parallel::map(targets, CHUNK, walk.stop, |buffer, target| {
            let known = match known.get(&target.path) {
                Some(Known::Content(print)) => Some(print),
                _ => None,
            };
            let earlier = unsettled.get(&target.path).and_then(|unsettled| match unsettled.what {
                What::Bytes { hash, .. } => Some(Glimpse { hash, since: unsettled.since }),
                What::Missing | What::Dangling => None,
            });
            eyes.look(target, known, earlier, buffer)
        });
        looks.ok_or(ListError::Stopped)
    }

    /// What is known or unsettled in the scope, but was not found.
    fn missing(&self, scopes: Option<&[Arc<str>]>, listing: &Listing) -> Vec<Arc<str>> {
        let lost = |path: &Arc<str>| !listing.has(path) && !listing.is_unlisted(path);
        let Some(scopes) = scopes else {
            // Both sides are in order: one walk along both.
            let mut targets = listing.targets.iter().peekable();
            let mut unseen = |path: &Arc<str>| {
                while targets.next_if(|target| target.path < *path).is_some() {}
                targets.peek().is_none_or(|target| target.path != *path)
            };
            let known = self.known.keys().filter(|path| unseen(path) && !listing.is_unlisted(path));
            let unsettled = self.unsettled.keys().filter(|path| !self.known.contains_key(*path) && lost(path));
            return known.chain(unsettled).cloned().collect();
        };
        let mut missing = Vec::new();
        for scope in scopes {
            let inside = Arc::from(format!("{scope}/"))..Arc::from(format!("{scope}0"));
            let exact = [scope].into_iter().filter(|path| self.known.contains_key(*path));
            missing.extend(exact.chain(self.known.range(inside.clone()).map(|(path, _)| path)).cloned());
            let exact = [scope].into_iter().filter(|path| self.unsettled.contains_key(*path));
            missing.extend(exact.chain(self.unsettled.range(inside).map(|(path, _)| path)).cloned());
        }
        missing.sort_unstable();
        missing.dedup();
        missing.retain(lost);
        missing
    }

    fn remember_links(&mut self, whole: bool, listing: Listing) {
        if whole {
            self.links.clear();
            self.swaps.clear();
        }
        self.links.extend(listing.links);
        self.swaps.extend(listing.swaps.into_iter().map(|swap| (swap.link, swap.lead)));
    }
}

/// Whether `path` lies in `folder`, however deep. Everything lies in the root, the empty path.
fn is_beneath(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}
