//! The watcher against real files: every way in which editors, git, Kubernetes and people change a folder.
//!
//! A test changes files and waits, with a deadline, for what the watcher has told to be true. "Never told" is proved by
//! a later change that was told: batches come in order.

// What cannot be made ready for a test fails it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zoho_mail_reconciler::source::{Batch, Look, Parse, Root, Watch, watch};

mod git;
mod ignoring;
mod links;
mod loading;
mod root;
mod saves;
mod troubles;
mod unfinished;

/// Far longer than anything here takes, even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Short enough for quick tests, long enough to be told from the pauses of a slow writer.
fn quick() -> Watch {
    Watch {
        debounce: Duration::from_millis(60),
        resync: Duration::from_secs(3600),
        root_check: Duration::from_millis(50),
        ..Watch::default()
    }
}

fn no_events() -> Watch {
    Watch { events: false, poll: Duration::from_millis(30), ..quick() }
}

/// Bytes as text.
fn text() -> Parse<String> {
    Arc::new(|_, bytes| String::from_utf8_lossy(bytes).into_owned())
}

type Invariant = Box<dyn Fn(&BTreeMap<String, String>) + Send>;

/// A running watcher, and all it has told.
struct Watcher {
    batches: mpsc::Receiver<Batch<String>>,
    /// Each path with its text, or `!` and the label of its problem.
    files: BTreeMap<String, String>,
    /// Everything ever told, in order; what is gone with `-`.
    told: Vec<(String, String)>,
    root: Option<Root>,
    degraded: Option<String>,
    full: usize,
    resync: Arc<Notify>,
    cancel: CancellationToken,
    handle: JoinHandle<()>,
    /// Must hold after every batch.
    always: Invariant,
}

impl Watcher {
    fn start(root: impl Into<PathBuf>, options: Watch) -> Self {
        let (out, batches) = mpsc::channel(4);
        let (resync, cancel) = (Arc::new(Notify::new()), CancellationToken::new());
        let handle = watch(root.into(), options, text(), out, Arc::clone(&resync), cancel.clone());
        Self {
            batches,
            files: BTreeMap::new(),
            told: Vec::new(),
            root: None,
            degraded: None,
            full: 0,
            resync,
            cancel,
            handle,
            always: Box::new(|_| {}),
        }
    }

    /// Starts, and waits for a marker file made after the first batch: from then on events are at work.
    async fn started(root: impl Into<PathBuf>, options: Watch) -> Self {
        let root = root.into();
        let mut watcher = Self::start(&root, options);
        watcher.until("the first batch", |seen| seen.root == Some(Root::Ready)).await;
        watcher.mark(&root, "started").await;
        watcher.mark(&root, "watching").await;
        watcher
    }

    /// Writes a file and waits for it: everything that happened before has been told by then, or never will be.
    async fn mark(&mut self, root: &Path, name: &str) {
        let file = format!("zz-{name}.yaml");
        fs::write(root.join(&file), "marker").unwrap();
        self.until(name, |seen| seen.has(&file, "marker")).await;
    }

    async fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        while !condition(self) {
            match timeout(DEADLINE, self.batches.recv()).await {
                Ok(Some(batch)) => self.live_through(batch),
                Ok(None) => panic!("the watcher ended while waiting for {what}"),
                Err(_) => panic!("waited in vain for {what}: {:?} {:?} {:?}", self.root, self.files, self.degraded),
            }
        }
    }

    fn live_through(&mut self, batch: Batch<String>) {
        assert!(batch.files.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order, each path once");
        assert!(batch.root == Root::Ready || batch.files.is_empty(), "an unknown root says nothing of files");
        for (path, look) in batch.files {
            let text = match look {
                Look::Read(text) => text,
                Look::Problem(problem) => format!("!{}", problem.label()),
                Look::Gone => "-".to_owned(),
            };
            if text == "-" {
                assert!(self.files.remove(&*path).is_some(), "{path} was gone before");
            } else {
                self.files.insert(path.to_string(), text.clone());
            }
            self.told.push((path.to_string(), text));
        }
        self.root = Some(batch.root);
        self.degraded = batch.degraded;
        self.full += usize::from(batch.full);
        (self.always)(&self.files);
    }

    fn has(&self, path: &str, text: &str) -> bool {
        self.files.get(path).is_some_and(|found| found == text)
    }

    fn is_unknown(&self) -> bool {
        matches!(self.root, Some(Root::Unknown(_)))
    }

    /// All that was ever told of a path.
    fn told_of(&self, path: &str) -> Vec<&str> {
        self.told.iter().filter(|(told, _)| told == path).map(|(_, text)| &**text).collect()
    }

    async fn stop(self) {
        self.cancel.cancel();
        timeout(DEADLINE, self.handle).await.expect("a cancelled watcher ends").unwrap();
    }
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(path, text)| write(folder.path(), path, text));
    folder
}

/// Writes a file, with the folders it needs.
fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Makes `link` lead to `target`, in one step even if it is there already.
fn link(target: &str, link: &Path) {
    let next = link.with_file_name("..next");
    std::os::unix::fs::symlink(target, &next).unwrap();
    fs::rename(next, link).unwrap();
}
