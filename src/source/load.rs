//! One full look at the folder, for the commands that end.
//!
//! In: a folder, a part of it, or one file. Out: one batch with everything in it, or the reason why there is none.
//! Invariants: those of the parent; with waits (a debounce of at most [`DEBOUNCE_MAX`]), what is not at rest is looked
//! at again, for at most twice that, and then named as a problem.
//! Deliberately absent: a watcher.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use super::beneath::{ATTEMPTS, Beneath, Presence};
use super::git::{Gate, Git, LOCK_POLL, Verdict as GitVerdict, warn_of_lock};
use super::ignore::{IgnoreFile, Ignored, Verdict};
use super::index::{Index, News, Scanned, Scope};
use super::list::{Kind, ListError, Target, Walk};
use super::look::{Eyes, Sight};
use super::problem::{ReadProblem, SourceError};
use super::settle::{Moment, Rule};
use super::{Batch, DEBOUNCE_MAX, LOCK_PATIENCE, Look, Origin, Root, Watch};

/// Reads every manifest file beneath `root`, on all cores, in the order of their paths.
///
/// `waits`: how long a file must have been at rest to be believed, and git's lock is waited for, as by a watcher (for
/// commands that act on what they read). `None` takes each file as it is, half-written or not. Blocks; with the usual waits
/// for up to 20 s.
///
/// # Errors
/// If there is no such folder, it cannot be listed, holds no manifest files, or far too many; if what is ignored in it
/// cannot be told; with waits also if git has begun something in it that it does not finish meanwhile.
pub fn load<T: Send>(
    root: &Path,
    git: &Git,
    waits: Option<&Watch>,
    parse: impl Fn(&Arc<str>, &[u8]) -> T + Sync,
) -> Result<Batch<T>, SourceError> {
    load_by(root, git, waits, None, &parse)
}

/// Reads the folder `part`, which is a part of another one: `ignored` is what that one ignores of it. A file of its own that
/// says what is ignored does not count.
///
/// # Errors
/// As [`load`].
pub fn load_part<T: Send>(
    part: &Path,
    ignored: &Ignored,
    parse: impl Fn(&Arc<str>, &[u8]) -> T + Sync,
) -> Result<Batch<T>, SourceError> {
    load_by(part, &Git::default(), None, Some(ignored), &parse)
}

/// What is ignored in the folder `root` just now.
///
/// # Errors
/// If there is no such folder, or the file that says it cannot be used.
pub fn ignored(root: &Path) -> Result<Ignored, SourceError> {
    let beneath = Beneath::open(root)?;
    let mut file = IgnoreFile::new();
    match file.look(&beneath, (None, Moment::now()), &BTreeSet::new(), DEBOUNCE_MAX) {
        Verdict::Broken(problem) => Err(SourceError::Ignore { root: root.to_owned(), problem }),
        Verdict::Known { .. } | Verdict::Later(_) => Ok(file.ignored()),
    }
}

fn load_by<T: Send>(
    root: &Path,
    git: &Git,
    waits: Option<&Watch>,
    ignored: Option<&Ignored>,
    parse: &(dyn Fn(&Arc<str>, &[u8]) -> T + Sync),
) -> Result<Batch<T>, SourceError> {
    for _ in 0..ATTEMPTS {
        let beneath = Beneath::open(root)?;
        let (files, hashes) = load_folder(root, &beneath, git, (waits, ignored), parse)?;
        // A link that was flipped meanwhile: what was read may have been on its way out.
        if beneath.presence(root) == Presence::Same {
            return batch(root, files, Origin::of(&beneath.real, git, hashes));
        }
    }
    Err(SourceError::Unlistable { root: root.to_owned(), why: "it is replaced again and again".to_owned() })
}

type Files<T> = Vec<(Arc<str>, Look<T>)>;

fn batch<T>(root: &Path, files: Files<T>, origin: Origin) -> Result<Batch<T>, SourceError> {
    if files.is_empty() {
        return Err(SourceError::Empty { root: root.to_owned() });
    }
    Ok(Batch { files, root: Root::Ready, full: true, asked: false, degraded: None, origin, decided: BTreeMap::new() })
}

fn load_folder<T: Send>(
    root: &Path,
    beneath: &Beneath,
    git: &Git,
    (waits, given): (Option<&Watch>, Option<&Ignored>),
    parse: &(dyn Fn(&Arc<str>, &[u8]) -> T + Sync),
) -> Result<(Files<T>, Vec<u64>), SourceError> {
    let waits = waits.map(|waits| Watch { debounce: waits.debounce.min(DEBOUNCE_MAX), ..waits.clone() }.bounded());
    let rule = waits.as_ref().map(|waits| Rule::of(waits, beneath));
    let mut gate = Gate::new(waits.as_ref().map_or(LOCK_PATIENCE, |waits| waits.lock_patience), git.clone());
    gate.find(&beneath.real);
    let patience = waits.as_ref().map_or(DEBOUNCE_MAX, |waits| waits.debounce_max);
    let (mut index, mut ignore) = (Index::new(patience), IgnoreFile::new());
    loop {
        if waits.is_some() {
            wait_for_git(&mut gate)?;
        }
        gate.has_worked();
        if given.is_none() {
            match ignore.look(beneath, (rule, Moment::now()), &BTreeSet::new(), patience) {
                Verdict::Known { .. } => {}
                Verdict::Later(left) => {
                    std::thread::sleep(left);
                    continue;
                }
                Verdict::Broken(problem) => return Err(SourceError::Ignore { root: root.to_owned(), problem }),
            }
        }
        let ignored = given.cloned().unwrap_or_else(|| ignore.ignored());
        let now = Moment::now();
        let walk = Walk { beneath, ignored: &ignored, on_find: &|_, _| {}, stop: &|| false };
        let eyes = Eyes { beneath, parse, rule, now, since: now.mono, trust_stamps: true, open: &BTreeSet::new() };
        let scanned = match index.scan(&Scope::All, walk, &eyes) {
            Ok(scanned) => scanned,
            Err(ListError::Root(errno)) => return Err(SourceError::of(root, errno)),
            Err(ListError::TooMany | ListError::Stopped) => return Err(SourceError::TooMany { root: root.to_owned() }),
        };
        // What is believed belongs together: the last look saw all of it, and neither links nor git moved meanwhile.
        let done = scanned == Scanned::Whole && index.is_done(now.mono);
        let is_at_work = |verdict| matches!(verdict, GitVerdict::Wait | GitVerdict::Unfinished(_));
        let git = waits.is_some() && (gate.has_worked() || is_at_work(gate.ask(Instant::now())));
        if scanned == Scanned::Empty || done && !git {
            break;
        }
        if let Some(due) = index.look_due() {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
    match index.take_news(Instant::now()) {
        News::Files(files, hashes) => {
            let both = files.into_iter().zip(hashes);
            Ok(both.filter(|((_, look), _)| !matches!(look, Look::Gone)).unzip())
        }
        News::AllGone => Ok(Default::default()),
    }
}

fn wait_for_git(gate: &mut Gate) -> Result<(), SourceError> {
    loop {
        match gate.ask(Instant::now()) {
            GitVerdict::GoOn => return Ok(()),
            GitVerdict::GoOnAnyway => {
                warn_of_lock(gate);
                return Ok(());
            }
            GitVerdict::Wait => std::thread::sleep(LOCK_POLL),
            GitVerdict::Unfinished(operation) => return Err(SourceError::Unfinished { operation }),
        }
    }
}

/// Reads one file, whatever its name. Its own folder is its root, so that a link to a secret is refused here as well.
///
/// # Errors
/// If there is no such file.
pub fn load_file<T>(path: &Path, parse: impl Fn(&Arc<str>, &[u8]) -> T + Sync) -> Result<Batch<T>, SourceError> {
    let missing = || SourceError::Missing { root: path.to_owned() };
    let name = path.file_name().ok_or_else(missing)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beneath = Beneath::open(folder)?;
    let now = Moment::now();
    let eyes = Eyes {
        beneath: &beneath,
        parse: &parse,
        rule: None,
        now,
        since: now.mono,
        trust_stamps: false,
        open: &BTreeSet::new(),
    };
    let (name, kind) = match name.to_str() {
        Some(name) => (Arc::from(name), Kind::File),
        None => {
            let name = name.as_encoded_bytes().escape_ascii().to_string();
            (Arc::from(name), Kind::Bad(Box::new(ReadProblem::NameNotUtf8)))
        }
    };
    let target = Target { path: name, kind };
    let look = match eyes.look(&target, None, None, &mut Vec::new()) {
        Sight::Read(_, value) => Look::Read(value),
        Sight::Bad(problem) => Look::Problem(problem),
        Sight::Dangling => Look::Problem(ReadProblem::Dangling),
        // Nothing was known, and whatever is there is believed: neither can be.
        Sight::Same | Sight::Touched(_) | Sight::Fresh(..) | Sight::Missing => return Err(missing()),
    };
    batch(path, vec![(target.path, look)], Origin::default())
}
