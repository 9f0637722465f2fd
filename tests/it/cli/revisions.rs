//! `plan --base-ref`: what a branch changes since it left another one, as a runner of a pull request sees it.

use std::fs;
use std::path::Path;

use super::{Place, Ran};
use crate::builders::Manifest;
use crate::commits::{commit, git};

/// A repository in `repository/` of a place: main with alice and bob; from there the branch topic, which disables alice,
/// while somebody else merges into main that bob is disabled.
fn place() -> Place {
    let place = Place::new();
    fs::remove_dir(place.path().join("desired-state")).unwrap();
    let top = place.path().join("repository");
    fs::create_dir(&top).unwrap();
    git(&top, "init -q -b main");
    git(&top, "config uploadpack.allowAnySHA1InWant true");
    account(&top, "alice", 2, true);
    account(&top, "bob", 3, true);
    commit(&top);
    git(&top, "checkout -q -b topic");
    account(&top, "alice", 2, false);
    commit(&top);
    git(&top, "checkout -q main");
    account(&top, "bob", 3, false);
    commit(&top);
    git(&top, "checkout -q --detach main");
    git(&top, "merge -q --no-ff -m merged topic");
    git(&top, "update-ref refs/pull/1/merge HEAD");
    git(&top, "checkout -q topic");
    place
}

fn account(top: &Path, name: &str, number: u64, enabled: bool) {
    let folder = top.join("desired-state");
    fs::create_dir_all(&folder).unwrap();
    let text = Manifest::of(name).id(number).enabled(enabled).to_string();
    fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
}

/// Plans in a checkout of the place.
fn plan(place: &Place, checkout: &str, arguments: &str) -> Ran {
    let mut command = place.command(&format!("plan {arguments}"));
    command.current_dir(place.path().join(checkout));
    place.ran(assert_cmd::Command::from_std(command))
}

/// Plans, and lists the accounts that change.
fn names(place: &Place, checkout: &str, revision: &str) -> String {
    let ran = plan(place, checkout, &format!("-o name --base-ref {revision}"));
    assert_eq!(ran.code, 0, "{checkout} {revision}: {}", ran.err);
    ran.out.replace('\n', " ")
}

/// A clone as a runner makes it, with a history of `depth` commits, where 0 is all of it.
fn clone(place: &Place, name: &str, depth: usize, reference: &str) {
    let folder = place.path().join(name);
    fs::create_dir(&folder).unwrap();
    git(&folder, "init -q -b unborn");
    git(&folder, &format!("remote add origin file://{}", place.path().join("repository").display()));
    let deep = if depth == 0 { String::new() } else { format!("--depth={depth}") };
    let all = if depth == 0 { "+refs/heads/*:refs/remotes/origin/*" } else { "" };
    git(&folder, &format!("fetch -q {deep} origin {all} +{reference}:refs/remotes/pull/1"));
    git(&folder, "checkout -q --detach refs/remotes/pull/1");
}

#[test]
fn what_others_merged_since_is_not_taken_for_something_the_branch_reverts() {
    let place = place();
    insta::assert_snapshot!(plan(&place, "repository", "--base-ref main").all(), @"
    # alice (2560636000000008002), alice.yaml:1
      - enabled           true -> false

    Plan: 1 PUT, of which 0 grant and 1 take away; 0 changes held.
    Digest: sha256:14d94767163744d2d6de790b02bd49343d83ea24eeb9b40f14d5e74cce8da31f
    --- stderr
    --- exit 0
    ");
    // Beside it, what a comparison with the tip of main would say.
    git(&place.path().join("repository"), "worktree add -q ../tip main");
    let tip = plan(&place, "repository", "-o name --base ../tip/desired-state").out;
    assert_eq!(tip, "alice\nbob\n");
}

#[test]
fn any_name_of_the_base_will_do() {
    let place = place();
    let top = place.path().join("repository");
    git(&top, "tag light main");
    git(&top, "tag -a -m heavy heavy main");
    for name in
        ["main", "HEAD~1", "HEAD^", "light", "heavy", "refs/heads/main", "main~1", "heads/main", "main^{commit}"]
    {
        assert_eq!(names(&place, "repository", name), "alice ", "{name}");
    }
    assert_eq!(names(&place, "repository", "HEAD"), "", "nothing that is not committed");
    account(&top, "carol", 4, true);
    assert_eq!(names(&place, "repository", "main"), "alice carol ", "what is planned is the work tree's");
}

#[test]
fn a_runner_with_the_whole_history_plans_the_branch_and_the_merge_alike() {
    let place = place();
    clone(&place, "head", 0, "refs/heads/topic");
    clone(&place, "merge", 0, "refs/pull/1/merge");
    assert_eq!(names(&place, "head", "origin/main"), "alice ");
    assert_eq!(names(&place, "merge", "origin/main"), "alice ");
    assert_eq!(names(&place, "merge", "HEAD^1"), "alice ");
}

#[test]
fn a_shallow_runner_plans_the_merge_or_is_told_what_to_fetch() {
    let place = place();
    clone(&place, "merge-2", 2, "refs/pull/1/merge");
    assert_eq!(names(&place, "merge-2", "HEAD^1"), "alice ", "the merge commit and its parents are enough");
    clone(&place, "merge-1", 1, "refs/pull/1/merge");
    clone(&place, "head-1", 1, "refs/heads/topic");
    git(&place.path().join("head-1"), "fetch -q --depth=1 origin main:refs/remotes/origin/main");
    for (checkout, revision) in [("merge-1", "HEAD^1"), ("merge-1", "origin/main"), ("head-1", "origin/main")] {
        let ran = plan(&place, checkout, &format!("--base-ref {revision}"));
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{checkout} {revision}");
        assert!(ran.err.contains("fetch-depth: 0") && ran.err.lines().count() == 1, "{checkout}: {}", ran.err);
    }
    git(&place.path().join("head-1"), "fetch -q --unshallow origin");
    assert_eq!(names(&place, "head-1", "origin/main"), "alice ");
}

#[test]
fn nothing_is_written_and_no_git_is_needed() {
    let place = place();
    let top = place.path().join("repository");
    git(&top, "gc -q");
    let stamps = || {
        let mut found = Vec::new();
        let mut folders = vec![top.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let meta = entry.metadata().unwrap();
                found.push((entry.path(), meta.modified().unwrap(), meta.len()));
                if meta.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        found.sort();
        found
    };
    let before = stamps();
    let mut command = place.command("plan -o name --base-ref main");
    command.current_dir(&top).env("PATH", "/nonexistent").env("HOME", "/nonexistent");
    let ran = place.ran(assert_cmd::Command::from_std(command));
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "alice\n", ""));
    assert_eq!(stamps(), before);
}

#[test]
fn a_first_pull_request_plans_everything_as_new() {
    let place = place();
    let top = place.path().join("repository");
    fs::rename(top.join("desired-state"), top.join("accounts")).unwrap();
    let ran = plan(&place, "repository", "--desired-state accounts --base-ref main -o json");
    assert_eq!(ran.code, 0);
    assert!(ran.err.ends_with(" has no accounts: everything is new\n") && ran.err.starts_with("note: "), "{}", ran.err);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["summary"]["puts"], 2);
    assert_eq!(json["allowed"][0]["from"], serde_json::Value::Null);
    assert_eq!(json["base"]["revision"], "main");
    assert_eq!(json["base"]["commit"].as_str().unwrap().len(), 40);
    assert_ne!(json["base"]["commit"], json["base"]["tip"], "main went on");
}

#[test]
fn a_problem_of_the_base_is_told_with_its_commit_and_fails_nothing() {
    let place = place();
    let top = place.path().join("repository");
    fs::write(top.join("desired-state/carol.yaml"), "kind: [").unwrap();
    commit(&top);
    account(&top, "carol", 4, true);
    let ran = plan(&place, "repository", "--base-ref HEAD -o name");
    assert_eq!((ran.code, ran.out.as_str()), (0, "carol\n"));
    let (commit, problem) = ran.err.strip_prefix("note: in the base: ").unwrap().split_once(':').unwrap();
    assert_eq!(commit.len(), 12);
    assert!(problem.starts_with("desired-state/carol.yaml:1:"), "{problem}");
}

#[test]
fn one_base_at_a_time() {
    let place = place();
    assert_eq!(plan(&place, "repository", "--base-ref main --base desired-state").code, 64);
    assert_eq!(plan(&place, "repository", "--base-ref").code, 64);
    let empty = plan(&place, "repository", "--base-ref=");
    assert_eq!((empty.code, empty.out.as_str()), (1, ""), "a variable that is not set: {}", empty.err);
}
