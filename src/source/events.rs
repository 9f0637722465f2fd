//! The operating system's events, as hints at what to look at.
//!
//! In: what `notify` reports. Out: [`Hints`]: paths, or "look at everything".
//! Invariants: a hint is never taken for the truth; an overflow, a link or a doubt means everything; our own
//! reads are no hints; the number of hints kept is bounded.
//! Deliberately absent: `notify`'s own recursion. Each folder is watched by itself, before it is listed: one that
//! cannot be watched leaves its siblings watched, and `.git` is not watched at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::beneath::Id;
use super::ignore::IGNORE_FILE;
use super::list::{SWAP_LINK, is_manifest_name};

/// More paths than this are looked at faster by a rescan: it takes about as long as looking at a tenth of its files
/// one by one.
const MAX_HINTS: usize = 10_000;

/// What an event hints at.
#[derive(Debug, PartialEq, Eq)]
enum Hint {
    Nothing,
    Path(Arc<str>),
    Everything,
}

/// What has been hinted at since the last [`Hints::take`].
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) paths: BTreeSet<Arc<str>>,
    pub(super) everything: bool,
}

/// Hints on their way from the watcher's thread.
#[derive(Debug, Default)]
pub(super) struct Hints {
    heard: Mutex<Heard>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Heard {
    taken: Taken,
    /// Files that were written to, and not closed by their writer since.
    open: BTreeSet<Arc<str>>,
}

impl Hints {
    /// Waits for the next hint.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// All hints so far.
    pub(super) fn take(&self) -> Taken {
        std::mem::take(&mut self.lock().taken)
    }

    /// Files whose writers have not finished, as far as events tell.
    pub(super) fn open(&self) -> BTreeSet<Arc<str>> {
        self.lock().open.clone()
    }

    /// Whether there is anything to take.
    pub(super) fn is_pending(&self) -> bool {
        let taken = &self.lock().taken;
        taken.everything || !taken.paths.is_empty()
    }

    /// Takes in an event; `None` is one that could not be read. `base` is the root without links.
    pub(super) fn report(&self, base: &Path, event: Option<&Event>) {
        match event {
            Some(event) => hints_of(base, event).into_iter().for_each(|hint| self.add(hint, event.kind)),
            None => self.add(Hint::Everything, EventKind::Any),
        }
    }

    fn add(&self, hint: Hint, kind: EventKind) {
        let mut heard = self.lock();
        let Heard { taken, open } = &mut *heard;
        match hint {
            Hint::Nothing => return,
            Hint::Everything => taken.everything = true,
            Hint::Path(path) => {
                if is_written(kind) {
                    open.insert(Arc::clone(&path));
                } else if !matches!(kind, EventKind::Modify(ModifyKind::Metadata(_))) {
                    open.remove(&path);
                }
                taken.paths.insert(path);
                taken.everything |= taken.paths.len() > MAX_HINTS;
            }
        }
        if taken.everything {
            taken.paths.clear();
        }
        // Who has closed what is lost with the events that were lost.
        if open.len() > MAX_HINTS || kind == EventKind::Other {
            open.clear();
        }
        drop(heard);
        self.bell.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The watcher of one root.
#[derive(Debug)]
pub(super) struct Events {
    base: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    watcher: RecommendedWatcher,
    failure: Option<String>,
    /// What is watched, and by which path it was found first.
    found: BTreeMap<Id, String>,
    /// Paths that lead to one and the same place: the system reports it under one of them only.
    shared: BTreeSet<String>,
}

impl Events {
    /// A watcher that watches nothing yet. `base` is the root without links.
    pub(super) fn new(base: &Path, hints: Arc<Hints>) -> Result<Self, String> {
        let root = base.to_owned();
        let report = move |event: notify::Result<Event>| hints.report(&root, event.as_ref().ok());
        let config = Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(report, config).map_err(|error| reason(&error))?;
        Ok(Self {
            base: base.to_owned(),
            inner: Mutex::new(Inner { watcher, failure: None, found: BTreeMap::new(), shared: BTreeSet::new() }),
        })
    }

    /// Watches the folder, or what the link leads to, at `path`; again if it already does, for it may be another one
    /// by now.
    pub(super) fn watch(&self, path: &str, id: Id) {
        let mut inner = self.lock();
        if inner.failure.is_some() {
            return;
        }
        let full = if path.is_empty() { self.base.clone() } else { self.base.join(path) };
        if let Err(error) = inner.watcher.watch(&full, RecursiveMode::NonRecursive)
            && !is_gone_or_closed(&error)
        {
            inner.failure = Some(reason(&error));
        }
        let first = inner.found.entry(id).or_insert_with(|| path.to_owned());
        if first != path {
            let both = [first.clone(), path.to_owned()];
            inner.shared.extend(both);
        }
    }

    /// A rescan begins, which will watch everything again.
    pub(super) fn begin_rescan(&self) {
        let mut inner = self.lock();
        inner.found.clear();
        inner.shared.clear();
    }

    /// Whether a hint at `path` may mean other paths as well.
    pub(super) fn is_shared(&self, path: &str) -> bool {
        let inner = self.lock();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        inner.shared.contains(path) || inner.shared.contains(folder)
    }

    /// Why something could not be watched since the last call of this. Until then nothing more is tried.
    pub(super) fn take_failure(&self) -> Option<String> {
        self.lock().failure.take()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gone: its parent reports that. Closed to us: it cannot be listed either, which is reported as a problem, and a
/// change of its permissions is an event in its parent.
fn is_gone_or_closed(error: &notify::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(io) => matches!(io.kind(), NotFound | NotADirectory | PermissionDenied),
        _ => false,
    }
}

fn reason(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            "the system's limit of inotify watches is reached: raise fs.inotify.max_user_watches".to_owned()
        }
        ErrorKind::Io(io) => format!("{io}: see fs.inotify.max_user_instances, if that is a limit"),
        other => format!("{other:?}"),
    }
}

fn hints_of(base: &Path, event: &Event) -> Vec<Hint> {
    // First of all: an overflow has no paths.
    if event.need_rescan() {
        return vec![Hint::Everything];
    }
    // Our own opens and reads. Only a writer's close says that something happened.
    if event.kind.is_access() && event.kind != EventKind::Access(AccessKind::Close(AccessMode::Write)) {
        return Vec::new();
    }
    let written = event.kind.is_access() || is_written(event.kind);
    event.paths.iter().map(|path| hint_of(base, path, written)).collect()
}

/// Whether somebody wrote to a file, and will close it.
const fn is_written(kind: EventKind) -> bool {
    matches!(kind, EventKind::Modify(ModifyKind::Data(_)))
}

/// `written`: only a file's content is concerned.
fn hint_of(base: &Path, path: &Path, written: bool) -> Hint {
    // The late event of an earlier root.
    let Ok(relative) = path.strip_prefix(base) else { return Hint::Nothing };
    // Not UTF-8: only a listing can name it.
    let Some(relative) = relative.to_str() else { return Hint::Everything };
    if relative.is_empty() {
        return Hint::Everything;
    }
    let mut parts = relative.rsplit('/');
    let name = parts.next().unwrap_or(relative);
    if parts.any(|folder| folder.starts_with('.')) {
        return Hint::Nothing;
    }
    if name == SWAP_LINK || relative == IGNORE_FILE {
        return Hint::Everything;
    }
    if name.starts_with('.') || (written && !is_manifest_name(name)) {
        return Hint::Nothing;
    }
    Hint::Path(relative.into())
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, MetadataKind, RemoveKind, RenameMode};

    use super::*;

    const DATA: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const TO: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));

    fn hints(kind: EventKind, path: &str) -> Vec<Hint> {
        hints_of(Path::new("/root"), &Event::new(kind).add_path(PathBuf::from(path)))
    }

    fn path(path: &str) -> Vec<Hint> {
        vec![Hint::Path(path.into())]
    }

    #[test]
    fn an_overflow_means_everything_though_it_names_no_path() {
        let event = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(hints_of(Path::new("/root"), &event), [Hint::Everything]);
    }

    #[test]
    fn our_own_reads_are_no_hints_but_a_writers_close_is() {
        for own in [AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read), AccessKind::Read] {
            assert_eq!(hints(EventKind::Access(own), "/root/a.yaml"), []);
        }
        let close = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert_eq!(hints(close, "/root/a/b.yaml"), path("a/b.yaml"));
    }

    #[test]
    fn hidden_names_and_the_text_of_other_files_are_no_hints() {
        for nothing in ["/root/.git/index.yaml", "/root/.x.yaml.swp", "/root/a/.b/c.yaml", "/other/x.yaml"] {
            assert_eq!(hints(TO, nothing).into_iter().filter(|hint| *hint != Hint::Nothing).count(), 0, "{nothing}");
        }
        assert_eq!(hints(DATA, "/root/notes.txt"), [Hint::Nothing]);
        assert_eq!(hints(EventKind::Create(CreateKind::Any), "/root/current"), path("current"), "may be a folder");
        assert_eq!(hints(EventKind::Remove(RemoveKind::Folder), "/root/a/b"), path("a/b"));
    }

    #[test]
    fn the_root_itself_a_swapped_volume_what_is_ignored_and_a_name_that_is_no_text_mean_everything() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(hints(EventKind::Remove(RemoveKind::Folder), "/root"), [Hint::Everything]);
        assert_eq!(hints(TO, "/root/volume/..data"), [Hint::Everything]);
        assert_eq!(hints(DATA, "/root/.reconcilerignore"), [Hint::Everything]);
        assert_eq!(hints(DATA, "/root/sub/.reconcilerignore"), [Hint::Nothing]);
        let bytes = Path::new(std::ffi::OsStr::from_bytes(b"/root/\xff.yaml"));
        assert_eq!(hints_of(Path::new("/root"), &Event::new(TO).add_path(bytes.to_owned())), [Hint::Everything]);
    }

    #[test]
    fn the_number_of_hints_is_bounded() {
        let hints = Hints::default();
        for n in 0..=MAX_HINTS {
            hints.add(Hint::Path(format!("{n}.yaml").into()), DATA);
        }
        let taken = hints.take();
        assert!(taken.everything && taken.paths.is_empty());
        assert!(!hints.take().everything, "taken once");
        assert_eq!(hints.open().len(), 0);
    }

    #[test]
    fn a_file_is_open_from_its_first_write_until_its_writer_closes_it_or_it_is_another() {
        let hints = Hints::default();
        let meta = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
        let close = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        for end in [close, TO, EventKind::Remove(RemoveKind::File), overflow.kind] {
            for kind in [EventKind::Create(CreateKind::File), DATA, meta] {
                hints.report(Path::new("/root"), Some(&Event::new(kind).add_path("/root/a.yaml".into())));
            }
            assert_eq!(hints.open(), BTreeSet::from(["a.yaml".into()]));
            let end = Event::new(end).add_path("/root/a.yaml".into());
            hints.report(Path::new("/root"), Some(if end.kind == EventKind::Other { &overflow } else { &end }));
            assert_eq!(hints.open(), BTreeSet::new(), "{end:?}");
        }
    }
}
