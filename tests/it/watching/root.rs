//! The folder itself: missing, emptied, replaced, moved; links that are flipped.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_folder_is_unknown_until_it_is_there() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("state");
    let mut watcher = Watcher::start(&root, quick());
    watcher.until("doubt", Watcher::is_unknown).await;
    fs::create_dir(&root).unwrap();
    watcher
        .until(
            "an empty folder is doubtful as well",
            |seen| matches!(&seen.root, Some(Root::Unknown(why)) if why.contains("found none")),
        )
        .await;
    write(&root, "a.yaml", "one");
    watcher.until("the file", |seen| seen.has("a.yaml", "one")).await;
    assert_eq!(watcher.root, Some(Root::Ready));
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_removed_and_made_again_takes_nothing_away() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("state");
    write(&root, "a.yaml", "one");
    write(&root, "s/b.yaml", "one");
    let mut watcher = Watcher::started(&root, quick()).await;
    for round in ["two", "three"] {
        fs::remove_dir_all(&root).unwrap();
        watcher.until("doubt", Watcher::is_unknown).await;
        let other = outer.path().join("other");
        write(&other, "a.yaml", round);
        write(&other, "s/b.yaml", "one");
        write(&other, "zz-started.yaml", "marker");
        write(&other, "zz-watching.yaml", "marker");
        fs::rename(&other, &root).unwrap();
        watcher.until("the new folder", |seen| seen.has("a.yaml", round) && seen.root == Some(Root::Ready)).await;
    }
    write(&root, "s/b.yaml", "two");
    watcher.until("the new folder is watched", |seen| seen.has("s/b.yaml", "two")).await;
    assert!(watcher.told.iter().all(|(_, text)| text != "-"), "{:?}", watcher.told);
    assert_eq!(watcher.told_of("s/b.yaml"), ["one", "two"], "the same bytes are not told again");
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_moved_away_and_back_changes_nothing() {
    let outer = tempfile::tempdir().unwrap();
    let (root, away) = (outer.path().join("state"), outer.path().join("away"));
    write(&root, "a.yaml", "one");
    let mut watcher = Watcher::started(&root, quick()).await;
    let told = watcher.told.len();
    fs::rename(&root, &away).unwrap();
    watcher.until("doubt", Watcher::is_unknown).await;
    fs::rename(&away, &root).unwrap();
    watcher.until("certainty", |seen| seen.root == Some(Root::Ready)).await;
    assert_eq!(watcher.told.len(), told);
    watcher.mark(&root, "still-watched").await;
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suddenly_empty_folder_takes_nothing_away() {
    let dir = folder(&[("a.yaml", "one"), ("s/b.yaml", "one")]);
    let root = dir.path();
    let mut watcher = Watcher::started(root, quick()).await;
    let known = watcher.files.clone();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    watcher.until("doubt", Watcher::is_unknown).await;
    assert_eq!(watcher.files, known);
    // As soon as there is one file, the folder is believed again, and so is what is not in it.
    write(root, "a.yaml", "one");
    watcher.until("the rest to go", |seen| seen.files.len() == 1).await;
    assert!(watcher.has("a.yaml", "one"));
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_with_nothing_but_what_cannot_be_read_takes_nothing_away() {
    let dir = folder(&[("a.yaml", "one"), ("s/b.yaml", "one")]);
    let root = dir.path();
    // Like `lost+found` on a disk that was mounted over the folder.
    std::os::unix::fs::symlink("/etc/passwd", root.join("astray")).unwrap();
    let mut watcher = Watcher::started(root, Watch { poll: Duration::from_millis(50), ..quick() }).await;
    let known = watcher.files.clone();
    assert!(watcher.has("astray", "!leads_outside"));
    for file in ["a.yaml", "s/b.yaml", "zz-started.yaml", "zz-watching.yaml"] {
        fs::remove_file(root.join(file)).unwrap();
    }
    watcher.until("doubt", Watcher::is_unknown).await;
    watcher.resync.notify_one();
    let full = watcher.full;
    watcher.until("a resync", |seen| seen.full > full).await;
    assert!(watcher.is_unknown(), "and it stays so");
    assert_eq!(watcher.files, known);
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_git_sync_link_is_followed_from_flip_to_flip() {
    let outer = tempfile::tempdir().unwrap();
    let publish = |revision: u32| {
        let tree = outer.path().join(format!(".worktrees/{revision}"));
        for n in 0..20 {
            write(&tree, &format!("s/{n}.yaml"), &format!("{revision}"));
        }
        write(&tree, "same.yaml", "same");
        link(&format!(".worktrees/{revision}"), &outer.path().join("current"));
        if revision > 0 {
            fs::remove_dir_all(outer.path().join(format!(".worktrees/{}", revision - 1))).unwrap();
        }
    };
    publish(0);
    let mut watcher = Watcher::start(outer.path().join("current"), quick());
    watcher.always = Box::new(|files| {
        let revisions: std::collections::BTreeSet<_> = files.values().filter(|text| *text != "same").collect();
        assert!(revisions.len() <= 1, "two revisions side by side: {files:?}");
        assert!(files.is_empty() || files.len() == 21, "something was taken away: {files:?}");
    });
    for revision in 0..4 {
        watcher.until("the revision", |seen| seen.has("s/7.yaml", &revision.to_string())).await;
        publish(revision + 1);
    }
    watcher.until("the last revision", |seen| seen.has("s/0.yaml", "4")).await;
    assert_eq!(watcher.told_of("same.yaml"), ["same"]);
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_on_the_way_to_the_folder_may_be_flipped_too() {
    let outer = tempfile::tempdir().unwrap();
    write(outer.path(), ".w/1/desired/state/a.yaml", "one");
    write(outer.path(), ".w/2/desired/state/a.yaml", "two");
    link(".w/1", &outer.path().join("current"));
    let mut watcher = Watcher::start(outer.path().join("current/desired/state"), quick());
    watcher.until("the first", |seen| seen.has("a.yaml", "one")).await;
    link(".w/2", &outer.path().join("current"));
    watcher.until("the second", |seen| seen.has("a.yaml", "two")).await;
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_a_cancel_ends_the_watcher() {
    let dir = folder(&[("a.yaml", "one")]);
    let Watcher { batches, cancel, mut handle, .. } = Watcher::started(dir.path(), quick()).await;
    drop(batches);
    fs::write(dir.path().join("a.yaml"), "two").unwrap();
    // With nobody to tell, it waits; one that ended would have done so by then.
    assert!(timeout(Duration::from_millis(500), &mut handle).await.is_err());
    cancel.cancel();
    timeout(DEADLINE, handle).await.unwrap().unwrap();
}
