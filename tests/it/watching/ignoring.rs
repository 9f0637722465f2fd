//! `.reconcilerignore`: what is ignored is not there, for the watcher as for a single look, and half of the file says nothing.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use zoho_mail_reconciler::source::{Git, IGNORE_FILE, Ignored, load};

use super::*;
use crate::repository::{command, git};

#[tokio::test]
async fn what_is_ignored_is_gone_and_what_is_no_longer_ignored_is_there() {
    let dir = folder(&[("a.yaml", "1"), ("old/b.yaml", "2"), ("c.tpl.yaml", "3"), (IGNORE_FILE, "*.tpl.yaml\n")]);
    let mut watcher = Watcher::started(dir.path(), quick()).await;
    assert!(watcher.has("a.yaml", "1") && watcher.has("old/b.yaml", "2"));
    assert!(watcher.told_of("c.tpl.yaml").is_empty());
    write(dir.path(), IGNORE_FILE, "*.tpl.yaml\nold/\n");
    watcher.until("b is gone", |seen| !seen.files.contains_key("old/b.yaml")).await;
    // An edit of what is ignored is no event.
    write(dir.path(), "old/b.yaml", "4");
    watcher.mark(dir.path(), "ignored").await;
    assert_eq!(watcher.told_of("old/b.yaml"), ["2", "-"]);
    fs::remove_file(dir.path().join(IGNORE_FILE)).unwrap();
    watcher.until("both are there", |seen| seen.has("old/b.yaml", "4") && seen.has("c.tpl.yaml", "3")).await;
    watcher.stop().await;
}

#[tokio::test]
async fn half_of_the_file_says_nothing_and_one_that_is_broken_holds_everything() {
    let dir = folder(&[("a.yaml", "1"), ("old.yaml", "2"), (IGNORE_FILE, "old.yaml\n")]);
    let options = Watch { unfinished: Duration::from_millis(500), poll: Duration::from_millis(100), ..quick() };
    let mut watcher = Watcher::started(dir.path(), options).await;
    // An editor empties the file before it writes it.
    let writer = fs::File::create(dir.path().join(IGNORE_FILE)).unwrap();
    write(dir.path(), "a.yaml", "3");
    std::io::Write::write_all(&mut &writer, b"old.yaml\n# more\n").unwrap();
    drop(writer);
    watcher.until("a's edit", |seen| seen.has("a.yaml", "3")).await;
    assert!(watcher.told_of("old.yaml").is_empty());
    write(dir.path(), IGNORE_FILE, "old.yaml\n[a\n");
    watcher.until("the folder is unknown", Watcher::is_unknown).await;
    let Some(Root::Unknown(why)) = &watcher.root else { panic!() };
    assert!(
        why.contains(".reconcilerignore\": expected patterns as in a .gitignore, found unclosed")
            && why.contains("(line 2)"),
        "{why}"
    );
    write(dir.path(), "a.yaml", "4");
    write(dir.path(), IGNORE_FILE, "old.yaml\n");
    watcher.until("a's edit", |seen| seen.has("a.yaml", "4")).await;
    assert_eq!(watcher.root, Some(Root::Ready));
    assert_eq!(watcher.told_of("a.yaml"), ["1", "3", "4"], "what was known stood meanwhile");
    assert!(watcher.told_of("old.yaml").is_empty());
    watcher.stop().await;
}

#[test]
fn one_that_cannot_be_used_is_no_reason_to_read_everything() {
    for (make, label) in [
        ((|path| fs::write(path, b"\xff").unwrap()) as fn(&Path), "ignore"),
        (|path| symlink("../outside", path).unwrap(), "ignore"),
        (|path| symlink("nothing", path).unwrap(), "ignore"),
        (|path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success()), "ignore"),
    ] {
        let dir = folder(&[("state/a.yaml", "1"), ("outside", "a.yaml")]);
        let root = dir.path().join("state");
        make(&root.join(IGNORE_FILE));
        for waits in [None, Some(Watch { debounce_max: Duration::from_millis(300), ..quick() })] {
            let found = load(&root, &Git::default(), waits.as_ref(), |_: &Arc<str>, _: &[u8]| ());
            assert_eq!(found.unwrap_err().label(), label);
        }
    }
}

/// What Git says of these paths, as the oracle: the same file, under Git's own name.
fn by_git(top: &Path, paths: &[String]) -> Vec<bool> {
    let mut check = command(top, &["check-ignore", "--no-index", "--verbose", "--non-matching", "--stdin"]);
    let mut check = check.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut check.stdin.take().unwrap(), (paths.join("\n") + "\n").as_bytes()).unwrap();
    let output = String::from_utf8(check.wait_with_output().unwrap().stdout).unwrap();
    let said = output.lines().map(|line| {
        // `::` and a tab where nothing matches; a pattern that begins with `!` takes back.
        let (matched, _) = line.rsplit_once('\t').unwrap();
        matched.splitn(3, ':').nth(2).is_some_and(|pattern| !pattern.is_empty() && !pattern.starts_with('!'))
    });
    said.collect()
}

#[test]
fn patterns_mean_what_they_mean_to_git() {
    let patterns = [
        "*.tpl.yaml",
        "!keep.tpl.yaml",
        "/a.yaml",
        "old/",
        "!old/keep.yaml",
        "sub/*.yaml",
        "**/deep.yaml",
        "sub/**",
        "a?.yaml",
        "[ab].yaml",
        "[!a].yaml",
        "\\#x.yaml",
        "# comment",
        "\\!x.yaml",
        "b.yaml   ",
        "",
        "sub/**/x.yaml",
        "/sub",
        "*",
        "!*/",
        "!*.yaml",
        "OLD/",
    ];
    let names = [
        "a.yaml",
        "b.yaml",
        "ab.yaml",
        "a.tpl.yaml",
        "keep.tpl.yaml",
        "keep.yaml",
        "x.yaml",
        "#x.yaml",
        "!x.yaml",
        "deep.yaml",
    ];
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q"]);
    let mut paths = Vec::new();
    for folder in ["", "old/", "sub/", "sub/old/", "sub/deep/er/"] {
        paths.extend(names.map(|name| format!("{folder}{name}")));
    }
    for path in &paths {
        write(dir.path(), path, "");
    }
    let mut random = fastrand::Rng::with_seed(7);
    let mut seen = [0; 2];
    for _ in 0..crate::depth::pick(60, 600) {
        let mut text = String::new();
        for _ in 0..random.usize(1..5) {
            writeln!(text, "{}", patterns[random.usize(..patterns.len())]).unwrap();
        }
        fs::write(dir.path().join(".gitignore"), &text).unwrap();
        let ignored = Ignored::parse(text.as_bytes()).unwrap();
        for (path, git) in paths.iter().zip(by_git(dir.path(), &paths)) {
            assert_eq!(ignored.has(path, false), git, "{path} by {text:?}");
            seen[usize::from(git)] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 500), "{seen:?}");
}
