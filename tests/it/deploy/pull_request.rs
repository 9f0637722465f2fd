//! The script that plans a pull request judges it as the daemon would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A base branch with 12 enabled accounts, and a pull request that is equal to it.
struct Branches(TempDir);

impl Branches {
    fn new() -> Self {
        let branches = Self(TempDir::new().unwrap());
        for branch in ["base", "head"] {
            fs::create_dir(branches.path(branch)).unwrap();
            (1..=12).for_each(|id| branches.declare(branch, id, true));
        }
        branches
    }

    fn path(&self, branch: &str) -> PathBuf {
        self.0.path().join(branch)
    }

    fn declare(&self, branch: &str, id: u64, enabled: bool) {
        let manifest = format!(
            "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata: {{name: user-{id}}}\n\
             spec: {{accountId: {id}, zuid: {id}, enabled: {enabled}}}\n"
        );
        fs::write(self.path(branch).join(format!("{id}.yaml")), manifest).unwrap();
    }

    fn plan(&self) -> Planned {
        let binary = Path::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler"));
        let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let script = super::folder().join("ci/plan-pull-request");
        let output = Command::new("sh")
            .arg(script)
            .args([self.path("base"), self.path("head")])
            .env("PATH", path)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        Planned::from(output)
    }
}

struct Planned {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Planned {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

#[test]
fn a_pull_request_that_changes_nothing_plans_nothing() {
    let planned = Branches::new().plan();
    assert_eq!((planned.code, planned.err.as_str()), (Some(0), ""));
    assert!(planned.out.contains("No changes: "), "{}", planned.out);
}

#[test]
fn exactly_what_the_pull_request_changes_is_planned() {
    let branches = Branches::new();
    branches.declare("head", 7, false);
    let planned = branches.plan();
    assert_eq!((planned.code, planned.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!(planned.out, @"
    12 of 12 files read, 0 skipped; 12 accounts, no problems
    # user-7 (7), 7.yaml:1
      - enabled           true -> false

    Plan: 1 PUT, of which 0 grant and 1 take away; 0 held.
    ");
}

#[test]
fn a_pull_request_beyond_the_disruption_budget_fails_with_3() {
    let branches = Branches::new();
    (1..=12).for_each(|id| branches.declare("head", id, false));
    let planned = branches.plan();
    assert_eq!(planned.code, Some(3), "{}", planned.err);
    assert!(planned.out.contains("12 held"), "{}", planned.out);
}

#[test]
fn accounts_that_are_disabled_on_the_base_branch_use_up_no_budget() {
    let branches = Branches::new();
    for id in 1..=12 {
        branches.declare("base", id, false);
        branches.declare("head", id, false);
    }
    branches.declare("base", 1, true);
    let planned = branches.plan();
    assert_eq!((planned.code, planned.err.as_str()), (Some(0), ""));
    assert!(planned.out.contains("1 take away; 0 held"), "{}", planned.out);
}

#[test]
fn a_broken_manifest_fails_with_1_and_is_shown() {
    let branches = Branches::new();
    fs::write(branches.path("head").join("7.yaml"), "kind: [").unwrap();
    let planned = branches.plan();
    assert_eq!(planned.code, Some(1));
    assert!(planned.out.contains("7.yaml"), "{}", planned.out);
}

#[test]
fn a_broken_base_branch_is_said_and_does_not_stop_the_pull_request_that_mends_it() {
    let branches = Branches::new();
    fs::write(branches.path("base").join("7.yaml"), "kind: [").unwrap();
    let planned = branches.plan();
    assert_eq!(planned.code, Some(0), "{}", planned.err);
    assert!(planned.err.contains("The base branch is not sound"), "{}", planned.err);
    assert!(planned.out.contains("# user-7 (7)") && planned.out.contains("1 grant"), "{}", planned.out);
}

#[test]
fn a_first_pull_request_without_a_base_plans_everything() {
    let branches = Branches::new();
    fs::remove_dir_all(branches.path("base")).unwrap();
    let planned = branches.plan();
    assert_eq!((planned.code, planned.err.as_str()), (Some(0), ""));
    assert!(planned.out.contains("12 grant"), "{}", planned.out);
}
