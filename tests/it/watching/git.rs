//! Real git checkouts.

use std::time::Instant;

use super::*;
use crate::repository::{self, git};

/// All the files of a branch: of `one` and `two`, with 400 files each, half are changed, some moved, some only in one.
fn files(branch: &'static str) -> impl Iterator<Item = (String, String)> {
    (0..400).map(move |n| {
        let text = if n % 2 == 0 { "same".to_owned() } else { branch.to_owned() };
        let folder = if n % 10 == 3 { format!("{branch}-{}", n % 4) } else { format!("s{}", n % 7) };
        (format!("state/{folder}/{n}.yaml"), text)
    })
}

/// A repository with both branches, and the second one checked out.
fn repository(top: &Path) {
    repository::make(top, ["two", "one"].map(|branch| (branch, files(branch))));
}

/// Every file of one branch and none of the other.
fn is_on(files: &BTreeMap<String, String>, branch: &str) -> bool {
    let other = if branch == "one" { "two" } else { "one" };
    files.len() == 400
        && files.values().filter(|text| *text == branch).count() == 200
        && !files.keys().any(|path| path.contains(other))
}

async fn check_out_back_and_forth(top: &Path, options: Watch) {
    let mut watcher = Watcher::start(top.join("state"), options);
    watcher.always = Box::new(|files| assert!(is_on(files, "one") || is_on(files, "two"), "a mix of two revisions"));
    watcher.until("the start", |seen| is_on(&seen.files, "two")).await;
    for branch in ["one", "two", "one"] {
        git(top, &["checkout", "-q", branch]);
        watcher.until(branch, |seen| is_on(&seen.files, branch)).await;
    }
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_is_told_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    repository(dir.path());
    check_out_back_and_forth(dir.path(), quick()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_in_a_linked_worktree_is_told_whole_even_without_events() {
    let dir = tempfile::tempdir().unwrap();
    let (main, tree) = (dir.path().join("main"), dir.path().join("tree"));
    fs::create_dir(&main).unwrap();
    repository(&main);
    git(&main, &["checkout", "-q", "--detach"]);
    git(&main, &["worktree", "add", "-q", "../tree", "two"]);
    assert!(tree.join(".git").is_file());
    check_out_back_and_forth(&tree, no_events()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_a_killed_git_left_behind_holds_edits_up_but_not_without_end() {
    let patience = Duration::from_millis(300);
    let dir = tempfile::tempdir().unwrap();
    repository(dir.path());
    for (options, branch) in [(quick(), "one"), (no_events(), "two")] {
        let (state, lock) = (dir.path().join("state"), dir.path().join(".git/index.lock"));
        let mut watcher = Watcher::started(&state, Watch { lock_patience: patience, ..options }).await;
        // A git that was killed before it began.
        fs::write(&lock, "").unwrap();
        let begun = Instant::now();
        for text in ["an edit beside it", "another one"] {
            write(&state, "own.yaml", text);
            watcher.until(text, |seen| seen.has("own.yaml", text)).await;
            assert!(begun.elapsed() >= patience, "told after {:?}, beside a lock", begun.elapsed());
        }
        fs::remove_file(&lock).unwrap();
        git(dir.path(), &["checkout", "-q", branch]);
        watcher.until("the checkout", |seen| seen.files.values().filter(|text| *text == branch).count() == 200).await;
        watcher.stop().await;
    }
}
