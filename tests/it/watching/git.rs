//! Real git checkouts.

use std::process::Command;

use super::*;

fn git(folder: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .current_dir(folder)
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "init.defaultBranch=one",
            "-c",
            "gc.auto=0",
        ])
        .args(arguments)
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is needed for these tests");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Two branches, `one` and `two`, of 400 files each: half of them changed, some moved, some only in one.
fn repository(top: &Path) {
    git(top, &["init", "-q"]);
    for branch in ["one", "two"] {
        if branch == "two" {
            git(top, &["checkout", "-q", "-b", "two"]);
            git(top, &["rm", "-q", "-r", "state"]);
        }
        for n in 0..400 {
            let text = if n % 2 == 0 { "same".to_owned() } else { branch.to_owned() };
            let folder = if n % 10 == 3 { format!("{branch}-{}", n % 4) } else { format!("s{}", n % 7) };
            write(top, &format!("state/{folder}/{n}.yaml"), &text);
        }
        git(top, &["add", "-A"]);
        git(top, &["commit", "-q", "-m", branch]);
    }
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
    check_out_back_and_forth(dir.path(), Watch { debounce: Duration::from_millis(200), ..quick() }).await;
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
    check_out_back_and_forth(&tree, Watch { debounce: Duration::from_millis(200), ..no_events() }).await;
}
