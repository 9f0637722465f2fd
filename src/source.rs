//! The folder of manifests and its watcher: which files there are, which changed, and what is in them.
//!
//! In: a folder, and a function that makes something of a file's bytes. Out: [`Batch`]es of what changed,
//! each path with a [`Look`] at it.
//!
//! Invariants:
//! - An unreadable file, folder or listing never takes anything away; a missing or emptied root is [`Root::Unknown`].
//! - Bytes that have not been at rest for a debounce are not passed on; nor is a folder that git is working in, or in
//!   which it has begun something (a rebase, a merge) and not finished: that one says nothing, and says why.
//! - Nothing outside the root is ever opened. No file over [`MAX_FILE`] is ever in memory.
//! - Events are hints and a rescan is the truth: whatever events miss, the next resync finds.
//! - Looking at one edit costs the same whatever the number of files. Behind symbolic links it does not: a change of
//!   a link means a rescan, which compares time stamps and reads only what differs.
//!
//! The parts, in the order of the data: `events` (hints) and `debounce` (when), `git` (not now), `keeper` (what next)
//! with its `task`; `list` (which paths), without those that `ignore` knows, `look` (one path) with `settle` (is it at rest?), all through
//! `beneath` (the only way to a file); `index` (what is known, what is news); `provenance` (whose work it is);
//! `repository`, `sparse`, `lookup`, `parallel`, `problem`. Apart from them: `commit`, the folder as a commit has it.
//!
//! Deliberately absent: YAML; this room only counts bytes. Linux only: openat2 and inotify.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use git::{Git, Operation};
use keeper::Keeper;
pub use problem::{ReadProblem, SourceError};
pub use provenance::{Decided, Origin};

mod beneath;
mod commit;
mod debounce;
mod events;
mod git;
mod ignore;
mod index;
mod keeper;
mod list;
mod load;
mod look;
mod lookup;
mod near;
mod parallel;
mod problem;
mod provenance;
mod repository;
mod settle;
mod sparse;
mod task;

pub use commit::{CommitError, Committed, load_committed, load_committed_ignoring};
pub use ignore::{IGNORE_FILE, Ignored};
pub use list::is_manifest_name;
pub use load::{ignored, load, load_file, load_part};
pub use lookup::{Lookup, is_behind_link, twice};
pub use near::{idle_ignore_files, near_misses};

/// Largest file that is read, in bytes: 4 MiB, some 20,000 manifests. `deploy/reference.md` promises it.
pub const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Most files and folders beneath the root: ten times the largest organization this is measured with.
pub const MAX_ENTRIES: usize = 1_000_000;

/// Most folders inside one another: far beyond any sane layout, and a path of that depth still fits the system's 4096
/// bytes.
pub const MAX_DEPTH: usize = 64;

/// Most ways through links to one folder: a few links may well show the same folder, and links to each other make ways
/// without number.
const WAYS_MAX: usize = 8;

/// Longest wait for a burst of edits to end, and for a file to come to rest.
pub const DEBOUNCE_MAX: Duration = Duration::from_secs(5);

/// How long an empty or unclosed file must be at rest: as long as the longest burst. Editors empty a file for
/// milliseconds before they fill it; an upload may stall for seconds, and the half of a file may be a valid manifest of
/// another account.
pub const UNFINISHED: Duration = DEBOUNCE_MAX;

/// How long git's lock is respected while nothing stirs in the folder: a killed git leaves its lock behind, and one that
/// lives writes many files a second.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// How often the folder is scanned where events cannot be relied on: a scan of 100,000 files takes some 100 ms, so 1 %
/// of a core.
pub const POLL: Duration = Duration::from_secs(10);

/// How often the root is compared with the one held open: no event reports that a link was flipped or a mount went
/// away. Two system calls each.
pub const ROOT_CHECK: Duration = Duration::from_secs(1);

/// What there is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look<T> {
    /// The file, parsed.
    Read(T),
    /// No file any more.
    Gone,
    /// Something that cannot be read; what was last read there still stands.
    Problem(ReadProblem),
}

/// What the folder as a whole is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// It could be listed: what was not named is not there (or not settled yet).
    Ready,
    /// Missing, unreadable or empty, and why. Says nothing about any file.
    Unknown(String),
}

/// What changed since the last batch. Belongs together: a file that was renamed is gone and read in one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<T> {
    /// The changed paths, relative to the root with `/` between their parts, in their order, each once.
    pub files: Vec<(Arc<str>, Look<T>)>,
    /// What the folder is good for.
    pub root: Root,
    /// Whether this ends a scan of everything that was due or asked for: the first, a resync, one of a new or replaced
    /// root. What stalled may be tried again. Rescans that make up for lost events are not told apart from events: a
    /// storm of
    /// events must not make a storm of retries.
    pub full: bool,
    /// An operator asked for it.
    pub asked: bool,
    /// Why events may be missing, in which case the folder is scanned every [`Watch::poll`].
    pub degraded: Option<String>,
    /// Where it was read.
    pub origin: Origin,
    /// Of those files that [`Self::attribute`] asks about: at which revisions they came to say what they say.
    pub decided: BTreeMap<Arc<str>, Decided>,
}

/// What is made of a file: its path and its bytes. Called on several threads at once.
pub type Parse<T> = Arc<dyn Fn(&Arc<str>, &[u8]) -> T + Send + Sync>;

/// How to watch.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Quiet time before a burst of edits is looked at, and how long a file must have been at rest.
    pub debounce: Duration,
    /// Longest wait for quiet or rest; [`DEBOUNCE_MAX`]. Never less than two debounces.
    pub debounce_max: Duration,
    /// How long a file that is empty, or that its writer has not closed, must have been at rest; [`UNFINISHED`]. Never
    /// less than a debounce.
    pub unfinished: Duration,
    /// How long git's lock is waited for while nothing stirs, and in silence for what git has begun; [`LOCK_PATIENCE`].
    pub lock_patience: Duration,
    /// Where the repository is, and whether git is waited for.
    pub git: Git,
    /// A folder beneath the root, without which the root is [`Root::Unknown`]: the rest is a part of what is meant.
    pub needs: Option<String>,
    /// Time between two full scans, each of which sends a batch.
    pub resync: Duration,
    /// Time between two scans while events may be missing; [`POLL`].
    pub poll: Duration,
    /// Time between two looks at what the root's path leads to; [`ROOT_CHECK`].
    pub root_check: Duration,
    /// Whether to ask the system for events. `false` is for tests: a file system without events.
    pub events: bool,
}

impl Default for Watch {
    /// The defaults of the command line.
    fn default() -> Self {
        Self {
            debounce: Duration::from_millis(200),
            debounce_max: DEBOUNCE_MAX,
            unfinished: UNFINISHED,
            lock_patience: LOCK_PATIENCE,
            git: Git::default(),
            needs: None,
            resync: Duration::from_secs(600),
            poll: POLL,
            root_check: ROOT_CHECK,
            events: true,
        }
    }
}

/// A time that never comes, and with which no sum overflows.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 86_400);

/// The shortest time between two scans: with less, the folder would be scanned without end.
const SHORTEST: Duration = Duration::from_millis(5);

impl Watch {
    /// The same, such that no sum of times overflows, no scan follows on the heels of another, and two looks a debounce
    /// apart fit into the patience with a file.
    fn bounded(self) -> Self {
        let debounce = self.debounce.min(FOREVER / 4);
        Self {
            debounce,
            debounce_max: self.debounce_max.min(FOREVER).max(debounce * 2),
            unfinished: self.unfinished.min(FOREVER),
            lock_patience: self.lock_patience.min(FOREVER),
            git: self.git,
            needs: self.needs,
            resync: self.resync.clamp(SHORTEST, FOREVER),
            poll: self.poll.clamp(SHORTEST, FOREVER),
            root_check: self.root_check.clamp(SHORTEST, FOREVER),
            events: self.events,
        }
    }
}

/// Watches the folder at `root`, which need not exist, and sends what changes. The first batch holds everything.
///
/// `resync` asks for a full scan now. Ends only when `cancel`led; nothing about the folder or the system ends it.
/// Must be called within a tokio runtime.
pub fn watch<T: Send + 'static>(
    root: PathBuf,
    options: Watch,
    parse: Parse<T>,
    out: mpsc::Sender<Batch<T>>,
    resync: Arc<Notify>,
    cancel: CancellationToken,
) -> JoinHandle<()> {
    let keeper = Keeper::new(root, options, parse, cancel.clone(), Instant::now());
    tokio::spawn(task::run(keeper, out, resync, cancel))
}
