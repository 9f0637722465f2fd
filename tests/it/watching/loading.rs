//! One look, for the commands that end.

use std::sync::Mutex;

use zoho_mail_reconciler::source::{Git, SourceError, load, load_file};

use super::*;
use crate::depth::pick;

/// Longer than the pauses of the slow writer, who also empties the file.
const UNFINISHED: Duration = Duration::from_millis(500);

fn load_text(root: &Path, settle: Option<Duration>) -> Result<Vec<String>, SourceError> {
    let waits = settle.map(|debounce| Watch { debounce, unfinished: UNFINISHED, ..Watch::default() });
    let text = |_: &Arc<str>, bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(lines(load(root, &Git::default(), waits.as_ref(), text)?))
}

fn lines(batch: Batch<String>) -> Vec<String> {
    assert!(batch.full && batch.root == Root::Ready && batch.degraded.is_none());
    let line = |(path, look): (Arc<str>, Look<String>)| match look {
        Look::Read(text) => format!("{path} {text}"),
        Look::Problem(problem) => format!("{path} !{}", problem.label()),
        Look::Gone => format!("{path} -"),
    };
    batch.files.into_iter().map(line).collect()
}

#[test]
fn every_file_is_read_once_in_the_order_of_the_paths() {
    let dir = folder(&[
        ("b.yaml", "1"),
        ("a/z.yml", "2"),
        ("a-b.yaml", "3"),
        ("a/b/c.yaml", "4"),
        (".x/y.yaml", "no"),
        ("n.txt", "no"),
    ]);
    assert_eq!(load_text(dir.path(), None).unwrap(), ["a-b.yaml 3", "a/b/c.yaml 4", "a/z.yml 2", "b.yaml 1"]);
    let many = pick(600, 3000);
    for n in 0..many {
        write(dir.path(), &format!("many/{}/{n}.yaml", n % 5), &n.to_string());
    }
    let parsed = Mutex::new(Vec::new());
    let batch = load(dir.path(), &Git::default(), None, |path: &Arc<str>, _: &[u8]| {
        parsed.lock().unwrap().push(Arc::clone(path))
    })
    .unwrap();
    let paths: Vec<_> = batch.files.into_iter().map(|(path, _)| path).collect();
    let mut parsed = parsed.into_inner().unwrap();
    parsed.sort();
    assert_eq!(parsed, paths);
    assert_eq!(paths.len(), many + 4);
    assert!(paths.is_sorted());
}

#[test]
fn what_is_not_there_or_no_folder_or_empty_says_so() {
    let dir = folder(&[("notes.txt", "x")]);
    assert_eq!(load_text(&dir.path().join("none"), None).unwrap_err().label(), "missing");
    assert_eq!(load_text(dir.path(), None).unwrap_err().label(), "empty");
    let settle = Some(Duration::from_millis(20));
    assert_eq!(load_text(dir.path(), settle).unwrap_err().label(), "empty");
}

#[test]
fn a_single_file_may_be_named_but_not_one_behind_a_link_that_leads_outside() {
    let dir = folder(&[("secret", "s"), ("root/a.yaml", "one"), ("root/b.txt", "two")]);
    let root = dir.path().join("root");
    std::os::unix::fs::symlink("../secret", root.join("out.yaml")).unwrap();
    std::os::unix::fs::symlink("a.yaml", root.join("in.yaml")).unwrap();
    let text = |_: &Arc<str>, bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let alone = |path: &Path| lines(load_file(path, text).unwrap());
    assert_eq!(load_text(&root.join("a.yaml"), None).unwrap_err().label(), "not_a_folder", "its context is missing");
    assert_eq!(alone(&root.join("a.yaml")), ["a.yaml one"]);
    assert_eq!(alone(&root.join("b.txt")), ["b.txt two"]);
    assert_eq!(alone(&root.join("in.yaml")), ["in.yaml one"]);
    assert_eq!(alone(&root.join("out.yaml")), ["out.yaml !leads_outside"]);
}

#[test]
fn one_look_takes_a_file_as_it_is_but_a_settled_one_waits_for_its_writer() {
    let dir = folder(&[("a.yaml", "old")]);
    let path = dir.path().join("a.yaml");
    fs::write(&path, "half").unwrap();
    assert_eq!(load_text(dir.path(), None).unwrap(), ["a.yaml half"]);
    let writer = std::thread::spawn(move || {
        for text in ["", "h", "ha", "hal", "half", "half ", "half an", "half and", "half and half"] {
            fs::write(&path, text).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    // Whenever the look begins, it ends with a text that stood for the whole time.
    assert_eq!(load_text(dir.path(), Some(Duration::from_millis(400))).unwrap(), ["a.yaml half and half"]);
    writer.join().unwrap();
}

#[test]
fn a_link_that_is_flipped_during_the_look_is_read_whole() {
    let outer = tempfile::tempdir().unwrap();
    let tree = |revision: u32| {
        for n in 0..30 {
            write(outer.path(), &format!(".w/{revision}/{n}.yaml"), &revision.to_string());
        }
    };
    tree(0);
    let current = outer.path().join("current");
    link(".w/0", &current);
    std::thread::scope(|scope| {
        let flips = scope.spawn(|| {
            for revision in 1..pick(40, 100) {
                tree(revision);
                link(&format!(".w/{revision}"), &current);
                fs::remove_dir_all(outer.path().join(format!(".w/{}", revision - 1))).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let mut looks = 0;
        while !flips.is_finished() || looks == 0 {
            let Ok(lines) = load_text(&current, None) else { continue };
            let texts: std::collections::BTreeSet<_> =
                lines.iter().map(|line| line.split_once(' ').unwrap().1).collect();
            assert!(lines.len() == 30 && texts.len() == 1, "{lines:?}");
            looks += 1;
        }
    });
}

#[test]
fn a_checkout_in_the_middle_of_the_look_is_read_whole() {
    let dir = folder(&[(".git/index", "one")]);
    let all = |text: &str| (0..300).for_each(|n| write(dir.path(), &format!("{n:03}.yaml"), text));
    all("one");
    // The reader itself checks out, when it is half through: as the look sees it, git's lock was never there.
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let parse = |_: &Arc<str>, bytes: &[u8]| {
        if seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 150 {
            all("two");
            write(dir.path(), ".git/index.lock", "two");
            fs::rename(dir.path().join(".git/index.lock"), dir.path().join(".git/index")).unwrap();
        }
        String::from_utf8_lossy(bytes).into_owned()
    };
    let waits = Watch { debounce: Duration::from_millis(20), ..Watch::default() };
    let batch = load(dir.path(), &Git::default(), Some(&waits), parse).unwrap();
    let texts: Vec<_> = batch.files.into_iter().map(|(_, look)| look).collect();
    assert_eq!(texts, vec![Look::Read("two".to_owned()); 300]);
}

#[test]
fn a_lock_of_git_is_waited_for_before_acting() {
    let dir = folder(&[("state/a.yaml", "one")]);
    fs::create_dir(dir.path().join(".git")).unwrap();
    let lock = dir.path().join(".git/index.lock");
    fs::write(&lock, "").unwrap();
    let state = dir.path().join("state");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            fs::write(state.join("a.yaml"), "two").unwrap();
            fs::remove_file(&lock).unwrap();
        });
        assert_eq!(load_text(&state, Some(Duration::from_millis(20))).unwrap(), ["a.yaml two"]);
    });
}
