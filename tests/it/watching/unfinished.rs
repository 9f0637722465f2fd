//! Git in the middle of something, by its own commands: whatever that is, its half is never told.

use zoho_mail_reconciler::source::{Git, SourceError, load};

use super::*;
use crate::repository::command;

/// How git gets into a state, the file that says so, and how it gets out; run by a shell at the top of the work tree.
const STATES: [(&str, &str, &str); 10] = [
    ("GIT_SEQUENCE_EDITOR='sed -i 1s/pick/edit/' git rebase -i HEAD~2", "rebase-merge", "git rebase --abort"),
    ("git rebase other", "rebase-merge", "git rebase --abort"),
    ("git rebase --apply other", "rebase-apply", "git rebase --abort"),
    ("git format-patch -1 --stdout other | git am", "rebase-apply/applying", "git am --abort"),
    ("git merge other", "MERGE_HEAD", "git merge --abort"),
    ("git merge --no-commit --no-ff elsewhere", "MERGE_HEAD", "git merge --abort"),
    ("git cherry-pick other", "CHERRY_PICK_HEAD", "git cherry-pick --abort"),
    ("git revert HEAD~1", "REVERT_HEAD", "git revert --abort"),
    (
        "git cherry-pick elsewhere other elsewhere~1; git reset -q --hard; git commit -q --allow-empty -m empty",
        "sequencer/todo",
        "git cherry-pick --abort",
    ),
    ("git bisect start HEAD HEAD~2", "BISECT_LOG", "git bisect reset"),
];

/// main, three commits of one file; two branches from the first of them, one of which clashes with main.
fn repository(top: &Path) -> impl Fn(&str) {
    let shell = repository_at(top);
    shell(
        "git init -q -b main && mkdir state && commit() { echo $2 > state/$1.yaml; git add -A; git commit -q -m $2; }
         commit b whole; commit a one; git branch other; git branch elsewhere; commit a two; commit a three
         git checkout -q other; commit a other; git checkout -q elsewhere; commit c four; commit d five; git checkout -q main",
    );
    shell
}

/// A shell there.
fn repository_at(top: &Path) -> impl Fn(&str) + use<> {
    let top = top.to_owned();
    move |script: &str| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", script]).current_dir(&top).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_EDITOR", "true");
        for role in ["AUTHOR", "COMMITTER"] {
            shell.env(format!("GIT_{role}_NAME"), "t").env(format!("GIT_{role}_EMAIL"), "t@example.com");
        }
        // Git fails where it stops.
        shell.output().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_git_is_in_the_middle_of_is_named_and_its_half_never_told() {
    for (begin, file, end) in STATES {
        let dir = tempfile::tempdir().unwrap();
        let shell = repository(dir.path());
        let state = dir.path().join("state");
        // `rebase --apply` checks the other branch out, whole, before it leaves a sign of itself: a debounce has to outlast
        // that on a busy machine.
        let (debounce, lock_patience) = (Duration::from_secs(1), Duration::from_millis(100));
        let mut watcher = Watcher::start(&state, Watch { debounce, lock_patience, ..quick() });
        watcher.until("the start", |seen| seen.has("a.yaml", "three\n") && seen.has("b.yaml", "whole\n")).await;
        shell(begin);
        let file = dir.path().canonicalize().unwrap().join(".git").join(file);
        assert!(file.exists(), "{begin}");
        let names = |root: &Option<Root>| matches!(root, Some(Root::Unknown(why)) if why.contains(&format!("({})", file.display())));
        watcher.until(begin, |seen| names(&seen.root)).await;
        let told = watcher.told.len();
        shell(end);
        watcher.until(end, |seen| seen.root == Some(Root::Ready)).await;
        watcher.mark(&state, "after").await;
        let since = watcher.told[told..].iter().filter(|(path, _)| path != "zz-after.yaml").collect::<Vec<_>>();
        assert!(since.is_empty() || begin.contains("--allow-empty"), "{begin}: {since:?}");
        assert!(watcher.has("a.yaml", "three\n"), "{begin}: {:?}", watcher.files);
        assert_eq!(watcher.told_of("a.yaml"), ["three\n"], "{begin}");
        watcher.stop().await;
    }
}

#[test]
fn one_look_waits_for_a_while_and_then_refuses_unless_it_is_to_read_the_half() {
    let dir = tempfile::tempdir().unwrap();
    let shell = repository(dir.path());
    shell("git merge other");
    let text = |_: &Arc<str>, bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let waits = Watch { lock_patience: Duration::from_millis(100), ..quick() };
    let refused = load(dir.path(), &Git::default(), Some(&waits), text).unwrap_err();
    assert!(matches!(refused, SourceError::Unfinished { .. }), "{refused}");
    let anyway = Git { reads_unfinished: true, ..Git::default() };
    let batch = load(dir.path(), &anyway, Some(&Watch { git: anyway.clone(), ..waits }), text).unwrap();
    assert!(matches!(&batch.files[0].1, Look::Read(text) if text.contains("<<<<<<<")), "{:?}", batch.files);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submodule_in_the_folder_is_waited_for_and_a_repository_that_does_not_keep_the_folder_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    let inner = top.join("inner");
    fs::create_dir(&inner).unwrap();
    let _ = repository(&inner);
    let shell = repository(&top);
    shell(
        "rm -rf inner/.git/hooks; git -c protocol.file.allow=always submodule add -q ./inner state/sub; git commit -qm sub",
    );
    let state = top.join("state");
    let module = repository_at(&state.join("sub"));
    assert_eq!(Git::default().in_progress(&state), None);
    let mut watcher = Watcher::start(&state, Watch { lock_patience: Duration::from_millis(100), ..quick() });
    watcher.until("the start", |seen| seen.has("a.yaml", "three\n") && seen.has("sub/state/b.yaml", "whole\n")).await;
    module("git rebase origin/other");
    let names = |why: &str| why.contains("a rebase") && why.contains("modules/state/sub/rebase-merge");
    watcher.until("the rebase", |seen| matches!(&seen.root, Some(Root::Unknown(why)) if names(why))).await;
    let found = Git::default().in_progress(&state).unwrap().to_string();
    assert!(names(&found), "{found}");
    let text = |_: &Arc<str>, bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let waits = Watch { lock_patience: Duration::from_millis(100), ..quick() };
    assert!(matches!(load(&state, &Git::default(), Some(&waits), text), Err(SourceError::Unfinished { .. })));
    module("git rebase --abort");
    watcher.until("its end", |seen| seen.root == Some(Root::Ready)).await;
    watcher.stop().await;
    // An ignored folder is none of the repository's business, unless it keeps something there.
    shell("mkdir -p other/state; echo x > other/state/a.yaml; git rebase other");
    let other = || load(&top.join("other/state"), &Git::default(), Some(&waits), text);
    assert!(other().is_err(), "it may be about to be kept");
    for (file, pattern) in [(".git/info/exclude", "/other"), (".gitignore", "other/\n"), ("other/.gitignore", "*")] {
        let file = top.join(file);
        fs::write(&file, pattern).unwrap();
        assert!(other().is_ok(), "{file:?}");
        fs::remove_file(file).unwrap();
    }
    fs::write(top.join(".gitignore"), "other/\n").unwrap();
    assert_eq!(Git::default().in_progress(&top.join("other/state")), None);
    assert!(load(&state, &Git::default(), Some(&waits), text).is_err());
    shell("git add -f other/state/a.yaml");
    assert!(other().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bare_repository_that_is_checked_out_elsewhere_is_waited_for_where_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (source, bare, tree) = (dir.path().join("source"), dir.path().join("bare.git"), dir.path().join("tree"));
    [&source, &tree].into_iter().for_each(|folder| fs::create_dir(folder).unwrap());
    let shell = repository(&source);
    shell("git clone -q --bare . ../bare.git && git --git-dir ../bare.git --work-tree ../tree checkout -q -f main");
    let named = Git { dir: Some(bare.clone()), ..Git::default() };
    let mut watcher = Watcher::start(tree.join("state"), Watch { git: named, ..quick() });
    watcher.until("the start", |seen| seen.has("a.yaml", "three\n")).await;
    // What a checkout looks like in its middle.
    fs::write(bare.join("index.lock"), "").unwrap();
    write(&tree, "state/a.yaml", "half");
    write(&tree, "state/c.yaml", "half");
    let (git_dir, work_tree) = (bare.to_str().unwrap(), tree.to_str().unwrap());
    fs::remove_file(bare.join("index.lock")).unwrap();
    let mut checkout =
        command(&tree, &["--git-dir", git_dir, "--work-tree", work_tree, "checkout", "-q", "-f", "elsewhere"]);
    assert!(checkout.status().unwrap().success());
    watcher.until("the other branch", |seen| seen.has("a.yaml", "one\n") && seen.has("c.yaml", "four\n")).await;
    assert_eq!(watcher.told_of("a.yaml"), ["three\n", "one\n"]);
    watcher.stop().await;
}
