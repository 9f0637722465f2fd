//! What is known of the folder as a whole.
//!
//! In: what each look found it good for. Out: whether it was read, and since when it is not known; what of that is news.
//! Invariant: a folder that cannot be read now was still read before. Absent by design: its manifests.

use crate::controller::event::ManifestLog;
use crate::source::Root;
use crate::timestamp::{ClockStep, Timestamp};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Folder {
    loaded: bool,
    unknown: Option<String>,
    degraded: Option<String>,
    last_sync: Option<Timestamp>,
}

impl Folder {
    /// It was looked at; `full`: at all of it. Returns what is news.
    pub(super) fn looked(&mut self, root: Root, full: bool, now: Timestamp) -> Option<ManifestLog> {
        let unknown = match root {
            Root::Ready => None,
            Root::Unknown(reason) => Some(reason),
        };
        if unknown.is_none() {
            self.loaded |= full;
            self.last_sync = Some(now);
        }
        let changed = self.unknown != unknown;
        self.unknown = unknown;
        changed.then(|| self.unknown.clone().map_or(ManifestLog::KnownAgain, ManifestLog::Unknown))
    }

    /// Why it cannot be watched, only polled, if so. Returns what is news.
    pub(super) fn watched(&mut self, degraded: Option<String>) -> Option<ManifestLog> {
        let changed = self.degraded != degraded;
        self.degraded = degraded;
        changed.then(|| self.degraded.clone().map_or(ManifestLog::WatchRestored, ManifestLog::WatchDegraded))
    }

    /// The wall clock was set.
    pub(super) fn carry(&mut self, step: ClockStep) {
        self.last_sync = self.last_sync.map(|at| step.carry(at));
    }

    /// All of it was read at least once.
    pub(super) const fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Why it cannot be read now.
    pub(super) fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }

    /// Why it cannot be watched, only polled.
    pub(super) fn degraded(&self) -> Option<&str> {
        self.degraded.as_deref()
    }

    /// When it was last read successfully.
    pub(super) const fn last_sync(&self) -> Option<Timestamp> {
        self.last_sync
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_read_is_told_once_and_so_is_its_return() {
        let (mut folder, at) = (Folder::default(), Timestamp::from_millis);
        let lost = || Root::Unknown("it is gone".to_owned());
        assert!(matches!(folder.looked(lost(), true, at(1)), Some(ManifestLog::Unknown(why)) if why == "it is gone"));
        assert!(folder.looked(lost(), true, at(2)).is_none());
        assert_eq!((folder.is_loaded(), folder.last_sync(), folder.unknown()), (false, None, Some("it is gone")));
        assert!(matches!(folder.looked(Root::Ready, false, at(3)), Some(ManifestLog::KnownAgain)));
        assert_eq!((folder.is_loaded(), folder.last_sync(), folder.unknown()), (false, Some(at(3)), None));
        assert!(folder.looked(Root::Ready, true, at(4)).is_none());
        assert!(matches!(folder.looked(lost(), true, at(5)), Some(ManifestLog::Unknown(_))));
        assert_eq!((folder.is_loaded(), folder.last_sync()), (true, Some(at(4))));
        assert!(folder.watched(None).is_none());
        assert!(matches!(folder.watched(Some("full".into())), Some(ManifestLog::WatchDegraded(_))));
        assert!(folder.watched(Some("full".into())).is_none());
    }
}
