//! What operating systems do to watchers: no events, closed folders, what is no file. Limits: see `torture`, where the
//! watcher is a process of its own.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_events_the_resync_finds_edits() {
    let dir = folder(&[("a.yaml", "one"), ("s/b.yaml", "one")]);
    let hour = Duration::from_secs(3600);
    let mut watcher = Watcher::start(dir.path(), Watch { poll: hour, ..no_events() });
    watcher.until("the start", |seen| seen.has("s/b.yaml", "one")).await;
    assert!(watcher.degraded.as_ref().is_some_and(|why| why.contains("rescanning every 1h")), "{:?}", watcher.degraded);
    write(dir.path(), "s/b.yaml", "two");
    fs::remove_file(dir.path().join("a.yaml")).unwrap();
    watcher.resync.notify_one();
    watcher.until("the edit", |seen| seen.has("s/b.yaml", "two") && seen.files.len() == 1).await;
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_resync_is_told_even_if_nothing_changed() {
    let dir = folder(&[("a.yaml", "one")]);
    let mut watcher = Watcher::start(dir.path(), Watch { resync: Duration::from_millis(100), ..quick() });
    watcher.until("three of them", |seen| seen.full >= 4).await;
    assert_eq!(watcher.told_of("a.yaml"), ["one"]);
    watcher.stop().await;
}

/// Runs `test` on a thread, and in a runtime, for which closed folders are closed even if the tests run as root.
fn without_privileges<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let thread = std::thread::spawn(move || {
        let mut mine = capabilities(None).unwrap();
        mine.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, mine).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(test());
    });
    thread.join().unwrap();
}

fn close(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_closed_folder_leaves_its_siblings_watched_and_its_files_unknown() {
    without_privileges(|| async {
        let dir =
            folder(&[("a/a.yaml", "one"), ("closed/b.yaml", "one"), ("closed/t/c.yaml", "one"), ("z/z.yaml", "one")]);
        let root = dir.path().to_owned();
        let mut watcher = Watcher::started(&root, quick()).await;
        close(&root.join("closed"), 0);
        watcher.until("the problem", |seen| seen.has("closed", "!unlistable")).await;
        assert!(watcher.has("closed/b.yaml", "one") && watcher.has("closed/t/c.yaml", "one"));
        for sibling in ["a/a.yaml", "z/z.yaml"] {
            write(&root, sibling, "two");
            watcher.until("a sibling", |seen| seen.has(sibling, "two")).await;
        }
        watcher.resync.notify_one();
        watcher.until("a resync", |seen| seen.full == 2).await;
        assert!(watcher.has("closed/b.yaml", "one") && watcher.has("closed/t/c.yaml", "one"));
        assert_eq!(watcher.degraded, None, "its permissions are an event of its parent");
        close(&root.join("closed"), 0o755);
        watcher.until("the problem to go", |seen| !seen.files.contains_key("closed")).await;
        write(&root, "closed/t/c.yaml", "two");
        watcher.until("it is watched again", |seen| seen.has("closed/t/c.yaml", "two")).await;
        watcher.stop().await;
    });
}

#[test]
fn a_closed_file_is_a_problem_and_a_closed_root_is_unknown() {
    without_privileges(|| async {
        let outer = folder(&[("root/a.yaml", "one"), ("root/b.yaml", "one")]);
        let root = outer.path().join("root");
        let mut watcher = Watcher::started(&root, quick()).await;
        close(&root.join("a.yaml"), 0);
        watcher.until("the problem", |seen| seen.has("a.yaml", "!unreadable")).await;
        close(&root.join("a.yaml"), 0o644);
        watcher.until("the file", |seen| seen.has("a.yaml", "one")).await;
        close(&root, 0);
        watcher.until("doubt", Watcher::is_unknown).await;
        close(&root, 0o755);
        watcher.until("certainty", |seen| seen.root == Some(Root::Ready)).await;
        assert!(watcher.told.iter().all(|(_, text)| text != "-"));
        watcher.stop().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_file_is_a_problem_of_its_own() {
    use std::os::unix::ffi::OsStrExt;
    let dir = folder(&[("a.yaml", "one")]);
    let root = dir.path();
    let mut watcher = Watcher::started(root, quick()).await;
    let fifo = std::process::Command::new("mkfifo").arg(root.join("fifo.yaml")).status().unwrap();
    assert!(fifo.success());
    let socket = std::os::unix::net::UnixListener::bind(root.join("socket.yaml")).unwrap();
    fs::File::create(root.join("huge.yaml")).unwrap().set_len(100 << 20).unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"caf\xe9.yaml")), "latin").unwrap();
    let deep = root.join("d/".repeat(65));
    fs::create_dir_all(&deep).unwrap();
    watcher.until("all of them", |seen| seen.files.values().filter(|text| text.starts_with('!')).count() == 5).await;
    let problems: Vec<_> = (watcher.files.iter())
        .filter(|(_, text)| text.starts_with('!'))
        .map(|(path, text)| format!("{} {text}", path.replace("d/", "")))
        .collect();
    assert_eq!(
        problems,
        [
            r"caf\xe9.yaml !name_not_utf8",
            "d !too_deep",
            "fifo.yaml !not_a_file",
            "huge.yaml !too_large",
            "socket.yaml !not_a_file",
        ]
    );
    drop(socket);
    watcher.mark(root, "others").await;
    watcher.stop().await;
}
