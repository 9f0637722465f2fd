//! Symbolic links: volumes that Kubernetes swaps, folders that are published by a link, links that lead astray.

use std::os::unix::fs::symlink;

use super::*;

/// Publishes a volume as the kubelet does: a new hidden folder, a flip of `..data`, links for new keys, then tidying
/// up.
fn publish(volume: &Path, version: u32, keys: &[&str]) {
    let data = format!("..2026_{version}");
    for key in keys {
        write(volume, &format!("{data}/{key}"), &version.to_string());
    }
    let old = fs::read_link(volume.join("..data")).ok();
    symlink(&data, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    for key in keys {
        let visible = key.split('/').next().unwrap();
        if fs::symlink_metadata(volume.join(visible)).is_err() {
            symlink(format!("..data/{visible}"), volume.join(visible)).unwrap();
        }
    }
    for entry in fs::read_dir(volume).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("..") && !path.exists() {
            fs::remove_file(path).unwrap();
        }
    }
    if let Some(old) = old {
        fs::remove_dir_all(volume.join(old)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swapped_volume_is_told_whole_and_only_removed_keys_go() {
    for options in [quick(), no_events()] {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path().to_owned();
        publish(&volume, 0, &["a.yaml", "b.yaml", "sub/c.yaml", "old.yaml"]);
        let mut watcher = Watcher::start(&volume, options);
        watcher.always = Box::new(|files| {
            let versions: std::collections::BTreeSet<_> = files.values().collect();
            assert_eq!(versions.len(), 1, "two versions side by side: {files:?}");
        });
        watcher.until("the first version", |seen| seen.files.len() == 4).await;
        for version in 1..5 {
            publish(&volume, version, &["a.yaml", "b.yaml", "sub/c.yaml", "new.yaml"]);
            watcher.until("the version", |seen| seen.has("sub/c.yaml", &version.to_string())).await;
        }
        let keys: Vec<_> = watcher.files.keys().collect();
        assert_eq!(keys, ["a.yaml", "b.yaml", "new.yaml", "sub/c.yaml"]);
        assert!(!watcher.told_of("a.yaml").contains(&"-"));
        watcher.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_swaps_never_shows_two_versions() {
    let dir = tempfile::tempdir().unwrap();
    let volume = dir.path().to_owned();
    let keys: Vec<String> = (0..40).map(|n| format!("{n:02}.yaml")).collect();
    let keys: Vec<&str> = keys.iter().map(|key| &**key).collect();
    publish(&volume, 0, &keys);
    // Nobody is waited for as long as the storm lasts.
    let options = Watch {
        debounce: Duration::from_millis(20),
        debounce_max: Duration::from_millis(100),
        poll: Duration::from_millis(5),
        ..no_events()
    };
    let mut watcher = Watcher::start(&volume, options);
    watcher.always = Box::new(|files| {
        let versions: std::collections::BTreeSet<_> = files.values().collect();
        assert!(files.len() == 40 && versions.len() == 1, "two versions side by side: {files:?}");
    });
    watcher.until("the first version", |seen| seen.files.len() == 40).await;
    for version in 1..60 {
        publish(&volume, version, &keys);
    }
    watcher.until("the last version", |seen| seen.has("00.yaml", "59")).await;
    watcher.stop().await;
}

/// Two revisions, whole and at rest for long, take turns behind `link` while `root` is looked at all the time. They are
/// never told as one, though nobody is waited for as long as the turns last.
async fn take_turns(root: &Path, link: &Path) {
    for revision in 0..2 {
        let place = link.with_file_name(format!(".pool/{revision}"));
        (0..80).for_each(|n| write(&place, &format!("files/{n:02}.yaml"), &revision.to_string()));
    }
    // Under a name of its own each time, as git-sync and the kubelet do.
    let show = |link: &Path, turn: usize| {
        let name = |turn: usize| format!("..turn-{turn}");
        symlink(format!(".pool/{}", turn % 2), link.with_file_name(name(turn))).unwrap();
        super::link(&name(turn), link);
        // There was none before the first.
        let _ = turn.checked_sub(1).map(|last| fs::remove_file(link.with_file_name(name(last))));
    };
    show(link, 0);
    let soon = Duration::from_millis(5);
    let options = Watch {
        debounce: Duration::from_millis(20),
        debounce_max: Duration::from_millis(100),
        poll: soon,
        root_check: soon,
        ..no_events()
    };
    let mut watcher = Watcher::start(root, options);
    watcher.always = Box::new(|files| {
        let revisions: std::collections::BTreeSet<_> = files.values().collect();
        assert!(files.len() == 80 && revisions.len() == 1, "two revisions side by side: {files:?}");
    });
    watcher.until("the first revision", |seen| seen.files.len() == 80).await;
    let (done, link, resync) = (CancellationToken::new(), link.to_owned(), Arc::clone(&watcher.resync));
    let is_done = done.clone();
    let turns = std::thread::spawn(move || {
        for turn in 1..=81 {
            show(&link, turn);
            std::thread::sleep(Duration::from_micros(turn as u64 * 700 % 9000));
        }
        done.cancel();
        resync.notify_one();
    });
    let is_last = |text: &String| text == "1";
    watcher.until("the last revision", |seen| is_done.is_cancelled() && seen.files.values().all(is_last)).await;
    turns.join().unwrap();
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revisions_at_rest_that_take_turns_are_never_told_as_one() {
    let outer = tempfile::tempdir().unwrap();
    let outer = outer.path();
    // The folder itself, one inside it, and a volume whose keys lead into it.
    take_turns(&outer.join("root"), &outer.join("root")).await;
    take_turns(&outer.join("inside"), &outer.join("inside/current")).await;
    fs::create_dir(outer.join("volume")).unwrap();
    symlink("..data/files", outer.join("volume/files")).unwrap();
    take_turns(&outer.join("volume"), &outer.join("volume/..data")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_published_by_a_link_is_followed() {
    let dir = folder(&[("own.yaml", "own"), (".w/1/a.yaml", "one"), (".w/1/b.yaml", "one"), (".w/2/a.yaml", "two")]);
    let root = dir.path();
    link(".w/1", &root.join("current"));
    let options = Watch { debounce_max: Duration::from_millis(300), ..quick() };
    let mut watcher = Watcher::started(root, options).await;
    assert!(watcher.has("current/a.yaml", "one"));
    write(root, ".w/1/a.yaml", "edited");
    watcher.until("an edit behind the link", |seen| seen.has("current/a.yaml", "edited")).await;
    // The old folder goes before the link is flipped: that says nothing about the files.
    fs::remove_dir_all(root.join(".w/1")).unwrap();
    watcher.mark(root, "while-dangling").await;
    assert!(watcher.has("current/a.yaml", "edited") && watcher.has("current/b.yaml", "one"));
    link(".w/2", &root.join("current"));
    watcher.until("the flip", |seen| seen.has("current/a.yaml", "two")).await;
    watcher.until("what is not there", |seen| !seen.files.contains_key("current/b.yaml")).await;
    write(root, ".w/2/a.yaml", "three");
    watcher.until("an edit behind the flipped link", |seen| seen.has("current/a.yaml", "three")).await;
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_a_hidden_file_behind_a_link_is_an_event() {
    let dir = folder(&[(".pool/a", "one"), ("own.yaml", "own")]);
    let root = dir.path();
    link(".pool/a", &root.join("a.yaml"));
    let mut watcher = Watcher::started(root, quick()).await;
    for round in ["two", "three"] {
        write(root, ".pool/a", round);
        watcher.until("the edit in place", |seen| seen.has("a.yaml", round)).await;
    }
    for round in ["four", "five"] {
        write(root, ".pool/new", round);
        fs::rename(root.join(".pool/new"), root.join(".pool/a")).unwrap();
        watcher.until("the atomic save", |seen| seen.has("a.yaml", round)).await;
    }
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_lead_astray_are_problems_and_name_no_target() {
    let outer = folder(&[("secret.yaml", "password"), ("root/good.yaml", "good"), ("root/sub/x.yaml", "x")]);
    let root = outer.path().join("root");
    for (target, name) in [
        ("../secret.yaml", "out.yaml"),
        ("..", "out"),
        ("/etc/passwd", "absolute.yaml"),
        ("nothing", "dangling.yaml"),
        ("turn.yaml", "round.yaml"),
        ("round.yaml", "turn.yaml"),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    symlink("..", root.join("sub/up")).unwrap();
    let options = Watch { debounce_max: Duration::from_millis(300), ..quick() };
    let mut watcher = Watcher::started(&root, options).await;
    watcher.until("the dangling link", |seen| seen.has("dangling.yaml", "!dangling")).await;
    // The same verdicts when a single path is hinted at.
    symlink("..", root.join("sub/up2")).unwrap();
    watcher.until("a new circle", |seen| seen.files.contains_key("sub/up2")).await;
    let found: Vec<_> = watcher.files.iter().filter(|(path, _)| !path.starts_with("zz")).collect();
    let found: Vec<_> = found.into_iter().map(|(path, text)| format!("{path} {text}")).collect();
    assert_eq!(
        found,
        [
            "absolute.yaml !leads_outside",
            "dangling.yaml !dangling",
            "good.yaml good",
            "out !leads_outside",
            "out.yaml !leads_outside",
            "round.yaml !loop",
            "sub/up !loop",
            "sub/up2 !loop",
            "sub/x.yaml x",
            "turn.yaml !loop",
        ]
    );
    assert!(watcher.told.iter().all(|(_, text)| !text.contains("password")));
    fs::remove_file(root.join("out.yaml")).unwrap();
    watcher.until("the problem to go", |seen| !seen.files.contains_key("out.yaml")).await;
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ways_to_one_folder_are_both_watched() {
    let dir = folder(&[("a/x.yaml", "one"), (".pool/y", "one")]);
    let root = dir.path();
    link("a", &root.join("b"));
    link(".pool/y", &root.join("y1.yaml"));
    link(".pool/y", &root.join("y2.yaml"));
    let mut watcher = Watcher::started(root, quick()).await;
    for round in ["two", "three"] {
        // One after the other: either may find the other by a rescan.
        write(root, "a/x.yaml", round);
        watcher.until("the folder's ways", |seen| seen.has("a/x.yaml", round) && seen.has("b/x.yaml", round)).await;
        write(root, ".pool/y", round);
        watcher.until("the file's ways", |seen| seen.has("y1.yaml", round) && seen.has("y2.yaml", round)).await;
    }
    fs::remove_file(root.join("b")).unwrap();
    watcher.until("one way", |seen| !seen.files.contains_key("b/x.yaml")).await;
    write(root, "a/x.yaml", "four");
    watcher.until("the other way", |seen| seen.has("a/x.yaml", "four")).await;
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_link_that_is_flipped_is_seen_wherever_it_lies_and_also_there_and_back() {
    for store in [".current", ".store/current"] {
        let dir = folder(&[("real.yaml", "real")]);
        for version in ["one", "two"] {
            write(dir.path(), &format!(".{version}/a.yaml"), version);
            write(dir.path(), &format!(".{version}/sub/b.yaml"), version);
        }
        let flip = |version: &str| {
            let to = dir.path().join(store);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            let up = if store.contains('/') { "../" } else { "" };
            link(&format!("{up}.{version}"), &to);
        };
        flip("one");
        symlink(format!("{store}/a.yaml"), dir.path().join("a.yaml")).unwrap();
        symlink(format!("{store}/sub"), dir.path().join("sub")).unwrap();
        let options = Watch { poll: Duration::from_millis(50), ..quick() };
        let mut watcher = Watcher::started(dir.path(), options).await;
        for version in ["two", "one", "two"] {
            flip(if version == "one" { "two" } else { "one" });
            flip(version);
            watcher.until(version, |seen| seen.has("a.yaml", version) && seen.has("sub/b.yaml", version)).await;
        }
        assert_eq!(watcher.degraded, None, "{store}");
        watcher.stop().await;
    }
}
