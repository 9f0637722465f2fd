//! One file at a time: how editors and people save, move and remove.

use std::io::Write;
use std::time::Instant;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_atomic_save_is_told_once_and_its_temporary_file_never() {
    let dir = folder(&[("a.yaml", "one")]);
    let root = dir.path();
    let mut watcher = Watcher::started(root, quick()).await;
    fs::write(root.join(".a.yaml.tmp"), "two").unwrap();
    fs::rename(root.join(".a.yaml.tmp"), root.join("a.yaml")).unwrap();
    watcher.until("the save", |seen| seen.has("a.yaml", "two")).await;
    watcher.mark(root, "end").await;
    assert_eq!(watcher.told_of("a.yaml"), ["one", "two"]);
    assert!(watcher.files.keys().all(|path| !path.contains("tmp")));
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_not_believed_while_it_is_being_written() {
    const DEBOUNCE: Duration = Duration::from_millis(150);
    for options in [quick(), no_events()] {
        let dir = folder(&[("a.yaml", "accountId: 1\n")]);
        let mut watcher = Watcher::started(dir.path(), Watch { debounce: DEBOUNCE, ..options }).await;
        let whole = "accountId: 2560636000000008002\n";
        for attempt in 1.. {
            let path = dir.path().join("a.yaml");
            let writer = std::thread::spawn(move || write_slowly(&path));
            watcher.until("the whole file", |seen| seen.has("a.yaml", whole)).await;
            // On a busy machine the writer may pause for longer than it wants to: that proves nothing, in either way.
            if writer.join().unwrap() < DEBOUNCE {
                assert_eq!(watcher.told_of("a.yaml"), ["accountId: 1\n", whole]);
                break;
            }
            assert!(attempt < 20, "too busy a machine");
            fs::write(dir.path().join("a.yaml"), "accountId: 1\n").unwrap();
            watcher.until("the old file", |seen| seen.has("a.yaml", "accountId: 1\n")).await;
            watcher.told.retain(|(path, _)| path != "a.yaml");
            watcher.told.push(("a.yaml".into(), "accountId: 1\n".into()));
        }
        watcher.stop().await;
    }
}

/// Empties a file and fills it piece by piece, for longer than a debounce and with pauses much shorter than one. Returns
/// the longest of them.
fn write_slowly(path: &Path) -> Duration {
    let (mut longest, mut last) = (Duration::ZERO, Instant::now());
    let mut file = fs::File::create(path).unwrap();
    for piece in ["", "acc", "ount", "Id:", " 25", "60", "636", "0000", "0", "000", "800", "2", "\n"] {
        file.write_all(piece.as_bytes()).unwrap();
        longest = longest.max(last.elapsed());
        last = Instant::now();
        std::thread::sleep(Duration::from_millis(20));
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_file_is_waited_for_and_holds_nobody_up() {
    let dir = folder(&[("a.yaml", "one")]);
    let root = dir.path();
    let mut watcher = Watcher::started(root, quick()).await;
    fs::write(root.join("a.yaml"), "").unwrap();
    watcher.mark(root, "others").await;
    assert_eq!(watcher.told_of("a.yaml"), ["one"]);
    fs::write(root.join("a.yaml"), "two").unwrap();
    watcher.until("the filled file", |seen| seen.has("a.yaml", "two")).await;
    assert_eq!(watcher.told_of("a.yaml"), ["one", "two"]);
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_stays_empty_is_told_as_such_in_the_end() {
    let dir = folder(&[("a.yaml", "one")]);
    let root = dir.path();
    let unfinished = Duration::from_millis(400);
    let mut watcher = Watcher::started(root, Watch { unfinished, ..quick() }).await;
    let begun = Instant::now();
    fs::write(root.join("a.yaml"), "").unwrap();
    watcher.until("the empty file", |seen| seen.has("a.yaml", "")).await;
    // The file system's clock is a tick behind.
    assert!(begun.elapsed() >= unfinished - Duration::from_millis(20), "told after {:?}", begun.elapsed());
    assert_eq!(watcher.told_of("a.yaml"), ["one", ""]);
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn editors_that_move_the_old_file_away_do_not_remove_it() {
    let dir = folder(&[("vim.yaml", "one"), ("emacs.yaml", "one")]);
    let root = dir.path();
    let at = |name: &str| root.join(name);
    let mut watcher = Watcher::started(root, quick()).await;
    for round in ["two", "three"] {
        // vim: probe, move to a backup, write anew, remove the backup.
        fs::write(at("4913"), "").unwrap();
        fs::remove_file(at("4913")).unwrap();
        fs::rename(at("vim.yaml"), at("vim.yaml~")).unwrap();
        fs::write(at("vim.yaml"), round).unwrap();
        fs::remove_file(at("vim.yaml~")).unwrap();
        // emacs: a lock that is a dangling link, an auto-save file, a backup that stays.
        std::os::unix::fs::symlink("user@host.1", at(".#emacs.yaml")).unwrap();
        fs::write(at("#emacs.yaml#"), round).unwrap();
        fs::rename(at("emacs.yaml"), at("emacs.yaml~")).unwrap();
        fs::write(at("emacs.yaml"), round).unwrap();
        fs::remove_file(at(".#emacs.yaml")).unwrap();
        fs::remove_file(at("#emacs.yaml#")).unwrap();
        watcher.until("both saves", |seen| seen.has("vim.yaml", round) && seen.has("emacs.yaml", round)).await;
    }
    watcher.mark(root, "end").await;
    for file in ["vim.yaml", "emacs.yaml"] {
        assert_eq!(watcher.told_of(file), ["one", "two", "three"]);
    }
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_folders_filled_in_the_same_instant_are_read_and_watched() {
    let dir = folder(&[("a.yaml", "one")]);
    let root = dir.path();
    let mut watcher = Watcher::started(root, quick()).await;
    write(root, "x/y/z/deep.yaml", "one");
    watcher.until("the deep file", |seen| seen.has("x/y/z/deep.yaml", "one")).await;
    write(root, "x/y/z/deep.yaml", "two");
    watcher.until("its edit", |seen| seen.has("x/y/z/deep.yaml", "two")).await;
    for n in 0..50 {
        write(root, &format!("n{n}/m/file.yml"), "one");
    }
    watcher.until("fifty folders", |seen| seen.files.keys().filter(|path| path.ends_with(".yml")).count() == 50).await;
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_file_is_gone_and_read_in_one_batch() {
    let dir = folder(&[("a.yaml", "alice"), ("b.yaml", "bob")]);
    let root = dir.path();
    let mut watcher = Watcher::started(root, quick()).await;
    // Told apart, one account would be declared twice, or by nobody, for a while.
    watcher.always = Box::new(|files| assert_eq!(files.values().filter(|text| *text == "alice").count(), 1));
    fs::rename(root.join("a.yaml"), root.join("c.yaml")).unwrap();
    watcher.until("the rename", |seen| seen.has("c.yaml", "alice")).await;
    fs::create_dir(root.join("sub")).unwrap();
    fs::rename(root.join("c.yaml"), root.join("sub/c.yaml")).unwrap();
    watcher.until("the move", |seen| seen.has("sub/c.yaml", "alice")).await;
    fs::rename(root.join("sub"), root.join("other")).unwrap();
    watcher.until("the folder's move", |seen| seen.has("other/c.yaml", "alice")).await;
    write(root, "other/c.yaml", "alice");
    write(root, "other/d.yaml", "dora");
    watcher.until("the moved folder is watched", |seen| seen.has("other/d.yaml", "dora")).await;
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_file_and_a_removed_folder_are_gone() {
    let dir = folder(&[("a.yaml", "a"), ("s/b.yaml", "b"), ("s/t/c.yaml", "c"), ("s-x.yaml", "not beneath s")]);
    let root = dir.path();
    let mut watcher = Watcher::started(root, quick()).await;
    fs::remove_file(root.join("a.yaml")).unwrap();
    watcher.until("the file to go", |seen| !seen.files.contains_key("a.yaml")).await;
    fs::remove_dir_all(root.join("s")).unwrap();
    watcher.until("the folder to go", |seen| !seen.files.keys().any(|path| path.starts_with("s/"))).await;
    assert!(watcher.has("s-x.yaml", "not beneath s"));
    // A file where the folder was, and a folder where the file was.
    write(root, "s", "no manifest");
    write(root, "a.yaml/b.yaml", "inside");
    watcher.until("the exchange", |seen| seen.has("a.yaml/b.yaml", "inside")).await;
    assert!(!watcher.files.contains_key("s"));
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_touched_file_with_the_same_bytes_is_not_told() {
    let dir = folder(&[("a.yaml", "one"), ("b.yaml", "one")]);
    let root = dir.path();
    let mut watcher = Watcher::started(root, quick()).await;
    fs::write(root.join("a.yaml"), "one").unwrap();
    fs::rename(root.join("b.yaml"), root.join(".b")).unwrap();
    fs::copy(root.join(".b"), root.join("b.yaml")).unwrap();
    watcher.mark(root, "end").await;
    watcher.resync.notify_one();
    watcher.until("the resync", |seen| seen.full == 2).await;
    assert_eq!(watcher.told_of("a.yaml"), ["one"]);
    assert_eq!(watcher.told_of("b.yaml"), ["one"]);
    watcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_never_rests_does_not_keep_the_others_waiting() {
    let dir = folder(&[("a.yaml", "one"), ("log.yaml", "one")]);
    let root = dir.path();
    let options = Watch { debounce: Duration::from_millis(200), debounce_max: Duration::from_millis(500), ..quick() };
    let mut watcher = Watcher::started(root, options).await;
    let done = CancellationToken::new();
    let (stop, log) = (done.clone(), root.join("log.yaml"));
    let writer = std::thread::spawn(move || {
        for n in 0.. {
            if stop.is_cancelled() {
                return;
            }
            fs::write(&log, format!("{n}")).unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    fs::write(root.join("a.yaml"), "two").unwrap();
    watcher.until("the other file", |seen| seen.has("a.yaml", "two")).await;
    watcher.until("the restless file's problem", |seen| seen.has("log.yaml", "!being_written")).await;
    done.cancel();
    writer.join().unwrap();
    watcher.until("its rest", |seen| !seen.has("log.yaml", "!being_written")).await;
    assert_eq!(watcher.told_of("log.yaml").len(), 3, "its first text, its problem, its last text");
    watcher.stop().await;
}
