//! The folder as a commit has it: by the same rules as the folder on the disk, from every kind of repository.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use zoho_mail_reconciler::source::{CommitError, Committed, Git, Look, ReadProblem, load, load_committed};

use crate::process::temporary_folder;

/// Runs git, as nobody in particular.
pub fn git(folder: &Path, arguments: &str) {
    let mut git = Command::new("git");
    git.args(arguments.split_whitespace())
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    git.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("HOME", "/nonexistent")]);
    for who in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{who}_NAME"), "nobody").env(format!("GIT_{who}_EMAIL"), "nobody@example.com");
    }
    let output = git.output().unwrap();
    assert!(output.status.success(), "git {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Commits everything that is there.
pub fn commit(folder: &Path) {
    git(folder, "add -A");
    git(folder, "commit -q --allow-empty -m all");
}

fn repository() -> (TempDir, PathBuf) {
    let dir = temporary_folder();
    let top = dir.path().join("top");
    fs::create_dir(&top).unwrap();
    git(&top, "init -q -b main");
    (dir, top)
}

fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn text(_: &Arc<str>, bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(40).collect()
}

fn committed(root: &Path, revision: &str) -> Committed<String> {
    load_committed(root, &Git::default(), revision, text).unwrap()
}

/// The texts of the files in the folder where HEAD left a revision.
fn texts(root: &Path, revision: &str) -> Vec<(String, String)> {
    let read = |(path, look): (Arc<str>, Look<String>)| match look {
        Look::Read(text) => (path.to_string(), text),
        other => panic!("{path}: {other:?}"),
    };
    committed(root, revision).batch.files.into_iter().map(read).collect()
}

fn one(path: &str, text: &str) -> Vec<(String, String)> {
    vec![(path.to_owned(), text.to_owned())]
}

#[test]
fn a_commit_reads_as_its_checkout_does() {
    let (_dir, top) = repository();
    let root = top.join("state");
    for (path, text) in [
        ("a.yaml", "a"),
        ("b.yml", "b"),
        ("empty.yaml", ""),
        ("notes.txt", "no manifest"),
        ("noyaml", "no manifest"),
        ("a.yaml.bak", "no manifest"),
        (".hidden.yaml", "hidden"),
        (".hidden/x.yaml", "hidden"),
        ("..data/x.yaml", "hidden"),
        ("deep/er/x.yaml", "x"),
        ("deep-er.yaml", "sorts between"),
        ("deep.yaml/x.yaml", "a folder called like a file"),
        ("ümläut/ñ.yaml", "ü"),
        ("sp ace/\"quote\\\n.yaml", "odd"),
        ("sub/real.txt", "behind a link"),
    ] {
        write(&root.join(path), text);
    }
    write(&top.join("outside.yaml"), "outside");
    write(&root.join("large.yaml"), vec![b'#'; 4 * 1024 * 1024 + 1]);
    write(&root.join("largest.yaml"), vec![b'#'; 4 * 1024 * 1024]);
    fs::set_permissions(root.join("b.yml"), fs::Permissions::from_mode(0o755)).unwrap();
    for bytes in [&b"\xff.yaml"[..], b"\xff.txt", b"\xfe/x.yaml"] {
        write(&root.join(OsStr::from_bytes(bytes)), "raw");
    }
    let too_deep = (0..70).map(|_| "d").collect::<Vec<_>>().join("/");
    write(&root.join(format!("{too_deep}/x.yaml")), "deep");
    for (link, target) in [
        ("link.yaml", "a.yaml"),
        ("to-text.yaml", "sub/real.txt"),
        ("to-manifest", "a.yaml"),
        ("hidden-behind.yaml", ".hidden.yaml"),
        ("folder-link", "deep"),
        ("folder-link.yaml", "deep/er"),
        ("through", "folder-link/er"),
        ("dot-folder", ".hidden"),
        ("sub/up.yaml", "../a.yaml"),
        ("sub/around", "../deep/../deep/./er//"),
        ("out.yaml", "../outside.yaml"),
        ("out-and-in.yaml", "../state/a.yaml"),
        ("out-folder", ".."),
        ("absolute.yaml", "/etc/passwd"),
        ("dangling.yaml", "nothing.yaml"),
        ("dangling-text", "nothing"),
        ("through-a-file.yaml", "a.yaml/x"),
        ("loop-a.yaml", "loop-b.yaml"),
        ("loop-b.yaml", "loop-a.yaml"),
        ("self", "."),
        ("sub/parent", ".."),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    commit(&top);
    let disk = load(&root, &Git::default(), None, text).unwrap();
    let files = committed(&root, "HEAD").batch.files;
    let lines = |files: &[(Arc<str>, Look<String>)]| files.iter().map(|file| format!("{file:?}")).collect::<Vec<_>>();
    let (disk, files) = (lines(&disk.files), lines(&files));
    assert!(disk.len() > 30, "{disk:#?}");
    assert_eq!(files, disk);
    // The same from a pack.
    git(&top, "gc -q");
    assert_eq!(lines(&committed(&root, "HEAD").batch.files), disk);
}

#[test]
fn a_commit_ignores_what_its_checkout_ignores() {
    let (_dir, top) = repository();
    let root = top.join("state");
    for path in ["a.yaml", "ignored.yaml", "deep/ignored.yaml", "deep/not.yaml", "deep/old/b.yaml", "deep/.x/c.yaml"] {
        write(&root.join(path), path);
    }
    symlink("nowhere", root.join("ignored-link.yaml")).unwrap();
    symlink("deep", root.join("ignored-folder")).unwrap();
    symlink("deep", root.join("old")).unwrap();
    write(&root.join(".reconcilerignore"), "ignored*\nold/\n");
    // Only the one at the top counts.
    write(&root.join("deep/.reconcilerignore"), "*\n");
    commit(&top);
    let disk = load(&root, &Git::default(), None, text).unwrap().files;
    assert_eq!(disk.iter().map(|(path, _)| &**path).collect::<Vec<_>>(), ["a.yaml", "deep/not.yaml"]);
    assert_eq!(committed(&root, "HEAD").batch.files, disk);
    fs::remove_file(root.join(".reconcilerignore")).unwrap();
    assert!(load(&root, &Git::default(), None, text).unwrap().files.len() > 6, "the checkout says so, not the commit");
    assert_eq!(committed(&root, "HEAD").batch.files, disk);
    symlink("nowhere", root.join(".reconcilerignore")).unwrap();
    commit(&top);
    let error = load_committed(&root, &Git::default(), "HEAD", text).unwrap_err().to_string();
    assert!(
        error.starts_with(
            ".reconcilerignore in the base revision: expected a file or a folder, found a symbolic link to"
        ),
        "{error}"
    );
}

#[test]
fn a_folder_is_found_wherever_it_lies_in_whatever_work_tree() {
    let (dir, top) = repository();
    write(&top.join("a.yaml"), "top");
    write(&top.join("envs/prod/a.yaml"), "prod");
    write(&top.join("envs/test/a.yaml"), "test");
    symlink("envs/test", top.join("current")).unwrap();
    commit(&top);
    git(&top, "tag -a -m one v1");
    fs::remove_file(top.join("current")).unwrap();
    symlink("envs/prod", top.join("current")).unwrap();
    write(&top.join("envs/prod/a.yaml"), "prod, edited");
    commit(&top);
    assert_eq!(texts(&top.join("envs/prod"), "v1"), one("a.yaml", "prod"));
    assert_eq!(texts(&top.join("envs/./../envs/prod/"), "HEAD~1"), one("a.yaml", "prod"));
    assert_eq!(texts(&top.join("current"), "v1"), one("a.yaml", "test"), "the link as the commit has it");
    assert_eq!(texts(&top.join("current"), "HEAD"), one("a.yaml", "prod, edited"));
    assert_eq!(texts(&top, "v1").len(), 4, "the whole repository, and once more what the link shows");
    assert_eq!(texts(&top.join("envs/prod/a.yaml"), "v1"), one("a.yaml", "prod"), "one file alone");
    symlink(&top, dir.path().join("elsewhere")).unwrap();
    symlink(top.join("envs/prod"), dir.path().join("state")).unwrap();
    assert_eq!(texts(&dir.path().join("elsewhere/envs/prod"), "v1"), one("a.yaml", "prod"));
    assert_eq!(texts(&dir.path().join("state"), "v1"), one("a.yaml", "prod"));

    git(&top, "worktree add -q --detach ../tree HEAD");
    assert!(dir.path().join("tree/.git").is_file());
    assert_eq!(texts(&dir.path().join("tree/envs/prod"), "v1"), one("a.yaml", "prod"));
    git(&top, "clone -q --bare . ../bare.git");
    git(&dir.path().join("bare.git"), "worktree add -q ../of-bare main");
    assert_eq!(texts(&dir.path().join("of-bare/envs/prod"), "v1"), one("a.yaml", "prod"));
}

#[test]
fn a_submodule_is_read_from_within_and_a_problem_from_without() {
    let (dir, inner) = repository();
    write(&inner.join("state/a.yaml"), "one");
    commit(&inner);
    let outer = dir.path().join("outer");
    fs::create_dir(&outer).unwrap();
    git(&outer, "init -q -b main");
    git(&outer, "-c protocol.file.allow=always submodule add -q ../top sub");
    commit(&outer);
    write(&outer.join("sub/state/a.yaml"), "two");
    commit(&outer.join("sub"));
    assert!(outer.join("sub/.git").is_file());
    assert_eq!(texts(&outer.join("sub/state"), "HEAD~1"), one("a.yaml", "one"));
    let files = committed(&outer, "HEAD").batch.files;
    assert_eq!(files, [("sub".into(), Look::Problem(ReadProblem::Submodule))]);
}

#[test]
fn a_folder_that_the_commit_does_not_have_is_certain_to_be_absent() {
    let (_dir, top) = repository();
    write(&top.join("README"), "x");
    commit(&top);
    write(&top.join("state/a.yaml"), "a");
    commit(&top);
    let Committed { batch, present, .. } = committed(&top.join("state"), "HEAD~1");
    assert_eq!((batch.files, present), (Vec::new(), false));
    assert!(committed(&top.join("state"), "HEAD").present);
}

#[test]
fn an_object_that_is_missing_is_an_error_and_never_an_absent_file() {
    let (_dir, top) = repository();
    write(&top.join("state/deep/a.yaml"), "a");
    commit(&top);
    let objects = || {
        let mut found = Vec::new();
        for folder in fs::read_dir(top.join(".git/objects")).unwrap().map(|entry| entry.unwrap().path()) {
            if folder.file_name().is_some_and(|name| name.len() == 2) {
                found.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        found
    };
    // A commit, three trees and a blob: whichever is gone, nothing is said.
    assert_eq!(objects().len(), 5);
    for object in objects() {
        let bytes = fs::read(&object).unwrap();
        fs::remove_file(&object).unwrap();
        let error = load_committed(&top.join("state"), &Git::default(), "main", text).unwrap_err();
        assert!(matches!(error, CommitError::Missing { .. } | CommitError::Unknown { .. }), "{error}");
        fs::write(&object, bytes).unwrap();
    }
    assert_eq!(texts(&top.join("state"), "main"), one("deep/a.yaml", "a"));
}

#[test]
fn what_cannot_be_compared_says_why_on_one_line() {
    let (dir, top) = repository();
    write(&top.join("state/a.yaml"), "a");
    let error =
        |root: &Path, revision: &str| load_committed(root, &Git::default(), revision, text).unwrap_err().to_string();
    let nothing = error(&top.join("state"), "HEAD");
    assert!(nothing.contains("\"HEAD\""), "a branch without a commit: {nothing}");
    commit(&top);
    git(&top, "checkout -q --orphan other");
    write(&top.join("state/b.yaml"), "b");
    commit(&top);
    let root = top.join("state");
    insta::assert_snapshot!([error(&root, "main"), error(&root, "no\u{1b}[2J\nsuch"), error(&root, "HEAD^{tree}")].join("\n"), @r#"
    expected a commit that both "main" and HEAD come from, found none: name a revision that this branch comes from, or compare two checkouts with --base
    expected a revision whose commit is here, found "no\u{1b}[2J\nsuch" (no commit of that name): check its spelling, and fetch it first (on a runner, the base branch main is origin/main)
    expected a revision whose commit is here, found "HEAD^{tree}" (a tree, and no commit): check its spelling, and fetch it first (on a runner, the base branch main is origin/main)
    "#);
    fs::create_dir(dir.path().join("plain")).unwrap();
    let plain = error(&dir.path().join("plain"), "HEAD");
    assert!(plain.contains("in the work tree of a Git repository") && plain.contains("use --base"), "{plain}");
    git(&top, "clone -q --bare . ../bare.git");
    assert!(error(&dir.path().join("bare.git"), "HEAD").contains("no .git in it or above it"));
}

#[test]
fn a_name_that_two_references_have_is_an_error_that_names_both() {
    let (_dir, top) = repository();
    write(&top.join("state/a.yaml"), "a");
    commit(&top);
    let root = top.join("state");
    let ambiguous = |revision: &str, first: &str, second: &str| {
        let error = load_committed(&root, &Git::default(), revision, text).unwrap_err();
        let (first, second) = (first.to_owned(), second.to_owned());
        assert_eq!(error, CommitError::Ambiguous { revision: revision.to_owned(), first, second });
    };
    git(&top, "tag main");
    for revision in ["main", "main~0", "main^{commit}", "main@{0}"] {
        ambiguous(revision, "refs/tags/main", "refs/heads/main");
    }
    git(&top, "update-ref refs/remotes/origin/main HEAD");
    git(&top, "branch origin/main HEAD");
    ambiguous("origin/main", "refs/heads/origin/main", "refs/remotes/origin/main");
    for exact in ["refs/heads/main", "tags/main", "remotes/origin/main", "HEAD"] {
        assert_eq!(texts(&root, exact), one("a.yaml", "a"), "{exact}");
    }
    let error = load_committed(&root, &Git::default(), "main", text).unwrap_err().to_string();
    insta::assert_snapshot!(error, @r#"expected a revision that names one commit, found "main", which is both refs/tags/main and refs/heads/main: write one of these in full"#);
}

#[test]
fn a_repository_that_cannot_be_read_is_named_by_its_extension() {
    for (option, extension) in [
        ("--object-format=sha256", "extensions.objectformat is sha256"),
        ("--ref-format=reftable", "extensions.refstorage is reftable"),
    ] {
        let dir = temporary_folder();
        git(dir.path(), &format!("init -q {option} top"));
        write(&dir.path().join("top/state/a.yaml"), "a");
        commit(&dir.path().join("top"));
        let error =
            load_committed(&dir.path().join("top/state"), &Git::default(), "HEAD", text).unwrap_err().to_string();
        assert!(error.contains(extension) && !error.contains("spelling"), "{error}");
    }
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_not_in_the_base_either() {
    for index in ["--no-sparse-index", "--sparse-index"] {
        let (_dir, top) = repository();
        for path in ["state/sales/a.yaml", "state/it/b.yaml", "state/it/deep/c.yaml", "state/d.yaml"] {
            write(&top.join(path), path);
        }
        commit(&top);
        git(&top, &format!("sparse-checkout set --cone {index} state/sales"));
        assert!(!top.join("state/it").exists());
        let base = committed(&top.join("state"), "HEAD");
        let files: Vec<&str> = base.batch.files.iter().map(|(path, _)| &**path).collect();
        assert_eq!((files, base.left_out), (vec!["d.yaml", "sales/a.yaml"], 2), "{index}");
        // What the branch adds where nothing is checked out is in neither; it is counted.
        git(&top, "sparse-checkout disable");
        write(&top.join("state/it/new.yaml"), "new");
        commit(&top);
        git(&top, &format!("sparse-checkout set --cone {index} state/sales"));
        assert_eq!(committed(&top.join("state"), "HEAD~1").left_out, 3, "{index}");
    }
}

#[test]
fn a_git_directory_elsewhere_is_read_where_it_is_named() {
    let (dir, top) = repository();
    write(&top.join("desired/state/a.yaml"), "one");
    commit(&top);
    git(&top, "clone -q --bare . ../bare.git");
    let (bare, tree) = (dir.path().join("bare.git"), dir.path().join("tree"));
    fs::create_dir(&tree).unwrap();
    git(&tree, &format!("--git-dir={} --work-tree=. checkout -q -f main", bare.display()));
    let named = Git { dir: Some(bare), ..Git::default() };
    let base = load_committed(&tree.join("desired/state"), &named, "main", text).unwrap();
    assert_eq!(base.batch.files, [("a.yaml".into(), Look::Read("one".to_owned()))]);
    assert!(load_committed(&tree.join("desired/state"), &Git::default(), "main", text).is_err());
}

#[test]
fn a_maze_of_links_in_a_commit_has_the_ways_and_the_problems_of_its_checkout() {
    let (_dir, top) = repository();
    let root = top.join("state");
    write(&root.join("sane.yaml"), "sane");
    for n in 0..13 {
        write(&root.join(format!("d{n}/a.yaml")), "a");
        for step in [1, 3, 5] {
            symlink(format!("../d{}", (n + step) % 13), root.join(format!("d{n}/to{step}"))).unwrap();
        }
    }
    commit(&top);
    let disk = load(&root, &Git::default(), None, text).unwrap();
    assert_eq!(committed(&root, "HEAD").batch.files, disk.files);
    assert!(disk.files.len() < 600, "{} paths", disk.files.len());
}
