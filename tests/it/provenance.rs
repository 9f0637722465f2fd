//! Whose work a manifest is: real repositories, made by git, read by the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use zoho_mail_reconciler::revision::Revision;
use zoho_mail_reconciler::source::{Git, Look, load};

use crate::process::temporary_folder;

/// A repository with a work tree, of which nobody's configuration says anything.
pub struct Repository(pub PathBuf);

impl Repository {
    pub fn new(at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        let repository = Self(at.to_owned());
        repository.git("nobody", &["init", "-q", "-b", "main"]);
        repository
    }

    /// Runs git as `who`; returns what it printed.
    pub fn git(&self, who: &str, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.0).args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        git.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("HOME", "/nonexistent")]);
        git.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), who).env(format!("GIT_{role}_EMAIL"), format!("{who}@example.com"));
        }
        let output = git.output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Commits all there is as `who`; returns the commit.
    pub fn commit(&self, who: &str, subject: &str) -> String {
        self.git(who, &["add", "-A"]);
        self.git(who, &["commit", "-q", "--allow-empty", "-m", subject]);
        self.git(who, &["rev-parse", "HEAD"])
    }
}

/// A repository in which alice and bob have committed a file each, and bob's is in a folder.
fn alice_and_bob() -> (TempDir, Repository, [String; 2]) {
    let folder = temporary_folder();
    let repository = Repository::new(&folder.path().canonicalize().unwrap().join("repository"));
    repository.write("state/a.yaml", "a");
    let first = repository.commit("alice", "Add a");
    repository.write("state/sales/b.yaml", "b");
    let second = repository.commit("bob", "Add b");
    (folder, repository, [first, second])
}

/// What a file says: its lines, but for comments.
fn said(text: &str) -> Vec<u64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| xxhash_rust::xxh3::xxh3_64(line.as_bytes())).collect()
}

/// The revision of each line of each file beneath `root`, by its path; of files of several lines also by the line.
fn revisions_of(root: &Path, git: &Git) -> Vec<(String, Arc<Revision>)> {
    let parse = |_: &Arc<str>, bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut batch = load(root, git, None, parse).unwrap();
    batch.attribute(&|path, bytes| said(&parse(path, bytes)), &|text| said(text));
    let mut found = Vec::new();
    for (path, look) in &batch.files {
        let Look::Read(text) = look else { panic!("{path}: {look:?}") };
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        for line in &lines {
            let by = batch.decided.get(path).and_then(|all| all.get(&said(line)[0])).map(Arc::clone);
            let name = if lines.len() == 1 { path.to_string() } else { format!("{path} {line}") };
            found.push((name, by.unwrap_or_default()));
        }
    }
    found
}

fn revisions(root: &Path) -> Vec<(String, Arc<Revision>)> {
    revisions_of(root, &Git::default())
}

/// Who said what, and nothing of when.
fn authors(root: &Path) -> Vec<String> {
    let by = |revision: &Revision| {
        let author = revision.author.as_deref().and_then(|author| author.split(' ').next());
        let dirty = if revision.id.ends_with("-dirty") { " (dirty)" } else { "" };
        format!("{}{dirty}", author.unwrap_or("nobody"))
    };
    revisions(root).iter().map(|(what, revision)| format!("{what}: {}", by(revision))).collect()
}

/// The same as text.
fn told(root: &Path) -> Vec<String> {
    let by = |revision: &Revision| revision.author.as_deref().unwrap_or("nobody").to_owned();
    revisions(root).iter().map(|(path, revision)| format!("{path} {revision} {}", by(revision))).collect()
}

#[test]
fn each_file_is_the_work_of_the_newest_commit_that_changed_it() {
    let (_folder, repository, [first, second]) = alice_and_bob();
    repository.write("elsewhere", "x");
    repository.commit("carol", "Not a manifest");
    let [a, b] = [
        format!("a.yaml main@sha1:{first} alice <alice@example.com>"),
        format!("sales/b.yaml main@sha1:{second} bob <bob@example.com>"),
    ];
    assert_eq!(told(&repository.0.join("state")), [a, b]);
    assert_eq!(revisions(&repository.0.join("state"))[1].1.subject.as_deref(), Some("Add b"));
}

#[test]
fn packed_or_loose_detached_or_in_a_linked_worktree_the_same_is_told() {
    let (folder, repository, [first, second]) = alice_and_bob();
    repository.git("alice", &["gc", "-q"]);
    let state = repository.0.join("state");
    assert!(told(&state)[0].starts_with(&format!("a.yaml main@sha1:{first} alice")), "{:?}", told(&state));
    let linked = folder.path().join("linked");
    repository.git("alice", &["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
    let expected = [
        format!("a.yaml sha1:{first} alice <alice@example.com>"),
        format!("sales/b.yaml sha1:{second} bob <bob@example.com>"),
    ];
    assert_eq!(told(&linked.join("state")), expected);
    repository.git("alice", &["checkout", "-q", "--detach"]);
    assert_eq!(told(&state), expected);
}

#[test]
fn bytes_that_are_in_no_commit_are_nobodys() {
    let (_folder, repository, [_, head]) = alice_and_bob();
    repository.write("state/a.yaml", "changed");
    repository.write("state/new.yaml", "new");
    let dirty = format!("main@sha1:{head}-dirty nobody");
    let told = told(&repository.0.join("state"));
    assert_eq!((&*told[0], &*told[1]), (&*format!("a.yaml {dirty}"), &*format!("new.yaml {dirty}")));
    assert!(told[2].ends_with("bob <bob@example.com>"));
}

#[test]
fn where_history_ends_early_the_head_is_named_and_no_author() {
    let (folder, repository, [_, head]) = alice_and_bob();
    let shallow = folder.path().join("shallow");
    let from = format!("file://{}", repository.0.display());
    repository.git("carol", &["clone", "-q", "--depth", "1", &from, shallow.to_str().unwrap()]);
    let expected = [format!("a.yaml main@sha1:{head} nobody"), format!("sales/b.yaml main@sha1:{head} nobody")];
    assert_eq!(told(&shallow.join("state")), expected);
}

#[test]
fn what_cannot_be_read_is_unknown_and_nothing_fails() {
    let unknown = ["a.yaml unknown nobody", "sales/b.yaml unknown nobody"];
    type Harm = fn(&Repository);
    let harms: [(&str, Harm); 5] = [
        ("unborn", |repository| drop(repository.git("x", &["checkout", "-q", "--orphan", "other"]))),
        ("no objects", |repository| fs::remove_dir_all(repository.0.join(".git/objects")).unwrap()),
        ("no head", |repository| fs::write(repository.0.join(".git/HEAD"), "\u{1b}]0;x").unwrap()),
        ("no git behind its file", |repository| {
            fs::remove_dir_all(repository.0.join(".git")).unwrap();
            fs::write(repository.0.join(".git"), "gitdir: /nonexistent\n").unwrap();
        }),
        ("no repository", |repository| fs::remove_dir_all(repository.0.join(".git")).unwrap()),
    ];
    for (what, harm) in harms {
        let (_folder, repository, _) = alice_and_bob();
        harm(&repository);
        assert_eq!(told(&repository.0.join("state")), unknown, "{what}");
    }
}

#[test]
fn each_object_that_is_damaged_costs_no_more_than_names() {
    let (_folder, repository, _) = alice_and_bob();
    let objects = repository.git("x", &["rev-list", "--objects", "--no-object-names", "--all"]);
    for object in objects.lines() {
        let path = repository.0.join(".git/objects").join(&object[..2]).join(&object[2..]);
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        for damaged in [&whole[..whole.len() / 2], b"", &[&whole[..10], &[0xff; 20][..]].concat()] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(told(&repository.0.join("state")).len(), 2);
            fs::remove_file(&path).unwrap();
        }
        fs::write(&path, whole).unwrap();
    }
    assert!(told(&repository.0.join("state"))[0].ends_with("alice <alice@example.com>"), "it is whole again");
}

#[test]
fn what_git_sync_publishes_is_known_by_git_or_else_by_its_name() {
    let (folder, repository, [first, second]) = alice_and_bob();
    let root = folder.path().canonicalize().unwrap().join("sync");
    fs::create_dir_all(root.join(".worktrees")).unwrap();
    let current = root.join("current");
    for commit in [&first, &second] {
        let published = root.join(".worktrees").join(commit);
        repository.git("x", &["worktree", "add", "-q", "--detach", published.to_str().unwrap(), commit]);
        let _ = fs::remove_file(&current);
        std::os::unix::fs::symlink(&published, &current).unwrap();
        assert!(told(&current.join("state"))[0].starts_with(&format!("a.yaml sha1:{first} alice")));
    }
    // In a container the repository is mounted elsewhere.
    fs::write(current.join(".git"), "gitdir: /git/.git/worktrees/x\n").unwrap();
    assert_eq!(told(&current.join("state"))[1], format!("sales/b.yaml git-sync@{second} nobody"));
    let older = folder.path().join(format!("rev-{second}"));
    fs::create_dir_all(&older).unwrap();
    fs::write(older.join("a.yaml"), "a").unwrap();
    assert_eq!(told(&older), [format!("a.yaml git-sync@{second} nobody")]);
}

#[test]
fn a_volume_of_kubernetes_is_no_revision_and_a_submodule_is_its_own_repository() {
    let (folder, repository, [first, _]) = alice_and_bob();
    let volume = folder.path().join("volume");
    fs::create_dir_all(volume.join("..2026_11_22_01_02_03.123")).unwrap();
    fs::write(volume.join("..2026_11_22_01_02_03.123/a.yaml"), "a").unwrap();
    std::os::unix::fs::symlink("..2026_11_22_01_02_03.123", volume.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/a.yaml", volume.join("a.yaml")).unwrap();
    assert_eq!(told(&volume), ["a.yaml unknown nobody"]);
    let outer = Repository::new(&folder.path().join("outer"));
    let from = repository.0.to_str().unwrap();
    outer.git("carol", &["-c", "protocol.file.allow=always", "submodule", "add", "-q", from, "inner"]);
    outer.commit("carol", "Take it in");
    assert!(told(&outer.0.join("inner/state"))[0].starts_with(&format!("a.yaml main@sha1:{first} alice")));
    // Also where the folder is the outer one.
    outer.write("b.yaml", "b is on");
    outer.commit("carol", "One of its own");
    let by = ["b.yaml: carol", "inner/state/a.yaml: alice", "inner/state/sales/b.yaml: bob"];
    assert_eq!(authors(&outer.0), by);
    outer.write("inner/state/a.yaml", "a is off");
    assert_eq!(authors(&outer.0)[1], "inner/state/a.yaml: nobody (dirty)");
}

#[test]
fn what_strangers_wrote_in_git_cannot_steer_a_terminal_or_forge_a_line() {
    let folder = temporary_folder();
    let repository = Repository::new(&folder.path().join("repository"));
    repository.git("x", &["checkout", "-q", "-b", "ma\u{202e}in"]);
    repository.write("a.yaml", "a");
    repository.commit("mal\u{1b}[31mory", &format!("\u{9b}31m ::error::{}", "x".repeat(9000)));
    let (_, revision) = revisions(&repository.0).pop().unwrap();
    let all = format!("{revision} {:?} {:?}", revision.author, revision.subject);
    assert!(!all.chars().any(|c| c.is_control() || c == '\u{202e}') && all.len() < 600, "{all}");
}

#[test]
fn who_renames_or_comments_or_says_something_else_has_not_said_what_stood_there() {
    let folder = temporary_folder();
    let repository = Repository::new(&folder.path().canonicalize().unwrap().join("repository"));
    let state = repository.0.join("state");
    repository.write("state/a.yaml", "a is on\nb is on\n");
    repository.write("state/c.yaml", "c is on\n");
    repository.commit("alice", "All are on");
    repository.write("state/a.yaml", "a is off\nb is on\n");
    repository.commit("bob", "a has left");
    repository.write("state/a.yaml", "# a has left\na is off\nb is on\n");
    repository.commit("carol", "A comment");
    assert_eq!(authors(&state), ["a.yaml a is off: bob", "a.yaml b is on: alice", "c.yaml: alice"]);
    repository.git("dora", &["mv", "state/a.yaml", "state/z.yaml"]);
    repository.commit("dora", "A rename");
    assert_eq!(authors(&state), ["c.yaml: alice", "z.yaml a is off: bob", "z.yaml b is on: alice"]);
    repository.git("erin", &["mv", "state/z.yaml", "state/y.yaml"]);
    repository.write("state/y.yaml", "# renamed, and a comment\na is off\nb is off\n");
    repository.commit("erin", "A rename, a comment, and b has left");
    assert_eq!(authors(&state), ["c.yaml: alice", "y.yaml a is off: bob", "y.yaml b is off: erin"]);
    repository.write("state/sales/a.yaml", "a is off");
    repository.write("state/sales/b.yaml", "b is off");
    fs::remove_file(state.join("y.yaml")).unwrap();
    repository.commit("frank", "One file each");
    assert_eq!(authors(&state), ["c.yaml: alice", "sales/a.yaml: bob", "sales/b.yaml: erin"]);
    fs::remove_dir_all(state.join("sales")).unwrap();
    repository.write("state/c.yaml", "c is on\na is off\nb is off\n");
    repository.git("gina", &["add", "-A"]);
    repository.git("gina", &["mv", "state", "accounts"]);
    repository.commit("gina", "One file for all, in another folder");
    let accounts = repository.0.join("accounts");
    assert_eq!(authors(&accounts), ["c.yaml c is on: alice", "c.yaml a is off: bob", "c.yaml b is off: erin"]);
    repository.write("accounts/c.yaml", "c is on\na is on\nb is off\n");
    repository.commit("hugo", "a is back");
    repository.write("accounts/c.yaml", "c is on\na is off\nb is off\n");
    repository.commit("ida", "a is not");
    assert_eq!(authors(&accounts)[1], "c.yaml a is off: ida", "said anew");
    repository.write("accounts/c.yaml", "c is on\na is off\nb is on\n");
    assert_eq!(authors(&accounts)[0], "c.yaml c is on: alice");
    assert_eq!(authors(&accounts)[2], "c.yaml b is on: nobody (dirty)");
}

#[test]
fn what_was_no_manifest_before_is_wanted_since_it_became_one() {
    let folder = temporary_folder();
    let repository = Repository::new(&folder.path().canonicalize().unwrap().join("repository"));
    let state = repository.0.join("state");
    for (way, what) in ["drafts/a.yaml", "state/.a.yaml", "state/.old/a.yaml", "state/a.txt"].iter().zip("bcde".chars())
    {
        repository.write("state/kept.yaml", "kept");
        repository.write(way, &format!("{what} is off"));
        repository.commit("alice", "A draft");
        repository.git("bob", &["mv", way, &format!("state/{what}.yaml")]);
        repository.commit("bob", "It counts");
        let now = authors(&state);
        assert!(
            now.contains(&format!("{what}.yaml: bob")) && now.contains(&"kept.yaml: alice".into()),
            "{way}: {now:?}"
        );
    }
    repository.write("state/.reconcilerignore", "z*\n");
    repository.write("state/z.yaml", "z is off");
    repository.write("state/y.yaml", "y is off");
    repository.commit("alice", "An ignored draft, and another one");
    repository.write("state/.reconcilerignore", "y*\n");
    repository.commit("carol", "One counts, and the other does not any more");
    assert_eq!(authors(&state).pop().unwrap(), "z.yaml: carol");
    repository.write("state/.reconcilerignore", "# none\n");
    repository.git("dora", &["mv", "state/z.yaml", "state/x.yaml"]);
    repository.commit("dora", "All count, and one has another name");
    let now = authors(&state);
    assert_eq!(now[now.len() - 2..], ["x.yaml: carol", "y.yaml: dora"]);
}

#[test]
fn a_clean_tree_is_not_dirty_whatever_git_does_to_its_bytes() {
    let (_folder, repository, _) = alice_and_bob();
    let state = repository.0.join("state");
    for line_ends in ["eol=crlf", "text=auto eol=crlf"] {
        repository.write(".gitattributes", &format!("*.yaml {line_ends}\n"));
        repository.write("state/a.yaml", "a\n");
        repository.commit("alice", "A line end");
        fs::remove_dir_all(&state).unwrap();
        repository.git("x", &["checkout", "-q", "--", "."]);
        assert_eq!(fs::read_to_string(state.join("a.yaml")).unwrap(), "a\r\n");
        assert_eq!(authors(&state)[0], "a.yaml: alice", "{line_ends}");
    }
    for way in ["clean", "smudge"] {
        repository.git("x", &["config", &format!("filter.turned.{way}"), "tr a-z n-za-m"]);
    }
    repository.write(".gitattributes", "*.yaml filter=turned\n");
    fs::remove_dir_all(&state).unwrap();
    repository.write("state/a.yaml", "secret");
    repository.commit("carol", "Through a filter");
    // As old as a file is in which git trusts its stamp.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    fs::File::options().append(true).open(state.join("a.yaml")).unwrap().set_modified(old).unwrap();
    repository.git("x", &["update-index", "--refresh"]);
    assert_eq!(repository.git("x", &["show", "HEAD:state/a.yaml"]), "frperg");
    assert_eq!(authors(&state), ["a.yaml: nobody"]);
    repository.write("state/a.yaml", "others");
    assert_eq!(authors(&state), ["a.yaml: nobody (dirty)"]);
}

#[test]
fn a_git_directory_elsewhere_is_asked_where_it_is_named() {
    let (folder, repository, [first, _]) = alice_and_bob();
    let (bare, tree) = (folder.path().join("bare.git"), folder.path().canonicalize().unwrap().join("tree"));
    repository.git("x", &["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    fs::create_dir(&tree).unwrap();
    let (dir, work) = (format!("--git-dir={}", bare.display()), format!("--work-tree={}", tree.display()));
    repository.git("x", &[&dir, &work, "checkout", "-q", "-f", "main"]);
    let named = Git { dir: Some(bare), ..Git::default() };
    assert_eq!(revisions_of(&tree.join("state"), &named)[0].1.id, format!("main@sha1:{first}").into());
    assert_eq!(revisions(&tree.join("state"))[0].1.id, "unknown".into());
}
