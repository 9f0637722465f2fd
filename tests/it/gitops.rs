//! The whole way of a change: a repository, a branch, a pull request's plan, a merge, the daemon's PUTs, the history.
//!
//! In: real Git, the real program, a simulated service. Out: what a reviewer reads before, what the service has after,
//! and what an auditor finds.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::builders::{Manifest, account};
use crate::cli::{Place, Service, until};
use crate::process::temporary_folder;

/// A real repository with a folder of manifests, made by people with names.
pub struct Repository {
    folder: TempDir,
}

impl Repository {
    /// An empty one, on `main`.
    pub fn new() -> Self {
        let repository = Self { folder: temporary_folder() };
        repository.git(&["init", "-q", "--initial-branch", "main", "."]);
        fs::create_dir(repository.path().join("desired-state")).unwrap();
        repository
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs git as somebody called `who`.
    pub fn git_as(&self, who: &str, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(self.path());
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), who).env(format!("GIT_{role}_EMAIL"), format!("{who}@example.com"));
        }
        let output = git.output().expect("git is there");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_as("root", arguments)
    }

    /// Commits everything, as `root`.
    pub fn commit(&self, subject: &str) {
        self.commit_as("root", subject);
    }

    /// Commits everything, as somebody.
    pub fn commit_as(&self, who: &str, subject: &str) {
        self.git(&["add", "-A"]);
        self.git_as(who, &["commit", "-q", "-m", subject]);
    }

    /// Writes the manifest of the account numbered `n`.
    pub fn account(&self, n: u64, wanted: &str) {
        let text = Manifest::of(format_args!("user-{n}")).id(n).wanting(wanted).to_string();
        fs::write(self.path().join(format!("desired-state/user-{n}.yaml")), text).unwrap();
    }
}

/// A checkout that the daemon watches, kept up to date as a sidecar would.
struct Deployment {
    place: Place,
    service: Service,
}

impl Deployment {
    fn of(origin: &Repository) -> Self {
        let (mut place, service) = (Place::new(), Service::start());
        service.serve(&mut place);
        let (from, to) = (origin.path().to_str().unwrap(), place.path().join("checkout"));
        origin.git(&["clone", "-q", "--branch", "main", from, to.to_str().unwrap()]);
        place.set("ZOHO_MAIL_DESIRED_STATE", "checkout/desired-state");
        Self { place, service }
    }

    /// Brings the checkout up to date.
    fn pull(&self, origin: &Repository) {
        let checkout = self.place.path().join("checkout");
        origin.git(&["-C", checkout.to_str().unwrap(), "pull", "-q", "--ff-only"]);
    }

    fn is_enabled(&self, n: u64) -> Option<bool> {
        let account = self.service.world.lock().unwrap().account(account(n)).cloned();
        account.map(|account| account.mailbox_enabled)
    }

    fn until_in_sync(&self) {
        until("everything is applied", || self.place.run("plan --output name").out.is_empty());
    }

    fn history(&self, name: &str) -> Vec<Value> {
        let json: Value = serde_json::from_str(&self.place.ok(&format!("history {name} --output json"))).unwrap();
        assert_eq!(json["kind"], "History");
        json["items"].as_array().unwrap().clone()
    }
}

#[test]
fn a_change_goes_from_a_branch_through_review_to_the_mailbox_and_into_the_history() {
    let origin = Repository::new();
    (1..=3).for_each(|n| origin.account(n, "enabled: true"));
    origin.commit_as("dora", "Everybody has a mailbox");
    let deployment = Deployment::of(&origin);
    let _daemon = deployment.place.start("run --listen off");
    deployment.until_in_sync();
    let before = deployment.service.requests();

    // A branch, and what its pull request says to a reviewer who has nothing but the repository.
    origin.git(&["checkout", "-q", "-b", "offboard-user-2"]);
    origin.account(2, "enabled: false");
    origin.commit_as("erin", "user-2 has left");
    let review = |arguments: &str| {
        let mut command = deployment.place.command(arguments);
        command.current_dir(origin.path()).env("ZOHO_MAIL_DESIRED_STATE", "desired-state");
        deployment.place.ran(assert_cmd::Command::from_std(command))
    };
    assert_eq!(review("validate").code, 0);
    let plan = review("plan --base-ref main --detailed-exitcode");
    assert_eq!(plan.code, 2, "{}", plan.all());
    assert!(plan.out.contains("user-2") && !plan.out.contains("user-1"), "{}", plan.out);
    assert_eq!(deployment.service.requests(), before, "a plan sends nothing");

    // The merge, and what the daemon makes of it.
    origin.git(&["checkout", "-q", "main"]);
    origin.git_as("frank", &["merge", "-q", "--no-ff", "-m", "Merge: user-2 has left", "offboard-user-2"]);
    let merge = origin.git(&["rev-parse", "HEAD"]).trim().to_owned();
    deployment.pull(&origin);
    until("user-2 is disabled", || deployment.is_enabled(2) == Some(false));
    deployment.until_in_sync();
    assert_eq!(deployment.service.requests(), before + 1, "one PUT, for one change");
    assert_eq!((deployment.is_enabled(1), deployment.is_enabled(3)), (Some(true), Some(true)));

    // What an auditor finds.
    let found = deployment.history("user-2");
    let last = found.last().unwrap();
    assert_eq!((found.len(), &last["from"], &last["to"]), (2, &Value::Bool(true), &Value::Bool(false)));
    assert_eq!(last["source"], "user-2.yaml:1");
    assert_eq!(last["revision"], format!("main@sha1:{merge}"));
    assert_eq!(
        (&last["author"], &last["subject"]),
        (&"frank <frank@example.com>".into(), &"Merge: user-2 has left".into())
    );
    assert!(last["answer"].as_str().unwrap().starts_with("HTTP 200"), "{last}");
    assert!(deployment.place.ok("status -o wide user-2").contains("main@sha1:"));
    deployment.place.ok("history --verify");

    // A mistake: the revert is a change like any other.
    origin.git_as("gina", &["revert", "--no-edit", "-m", "1", "HEAD"]);
    deployment.pull(&origin);
    until("user-2 is enabled again", || deployment.is_enabled(2) == Some(true));
    deployment.until_in_sync();
    let found = deployment.history("user-2");
    assert_eq!((found.len(), &found[2]["author"]), (3, &"gina <gina@example.com>".into()));
    assert_eq!(deployment.service.requests(), before + 2);
}

#[test]
fn a_mass_removal_is_held_until_its_approval_is_merged_and_then_nobody_else_goes() {
    let origin = Repository::new();
    (1..=12).for_each(|n| origin.account(n, "enabled: true"));
    origin.commit_as("dora", "Everybody has a mailbox");
    let mut deployment = Deployment::of(&origin);
    // What goes by an approval uses up nothing of the budget, so that only one of nothing holds a single leaver.
    deployment.place.set("ZOHO_MAIL_DISRUPTION_BUDGET", "0");
    let _daemon = deployment.place.start("run --listen off");
    deployment.until_in_sync();

    (1..=11).for_each(|n| origin.account(n, "enabled: false"));
    origin.commit_as("erin", "The branch office closes");
    deployment.pull(&origin);
    until("all eleven are held", || deployment.place.run("plan --detailed-exitcode").code == 3);
    let manifest = {
        let mut command = deployment.place.command("plan --approval --reason");
        command.arg("The branch office closes, ticket 815");
        let ran = deployment.place.ran(assert_cmd::Command::from_std(command));
        assert_eq!(ran.code, 0, "{}", ran.all());
        ran.out
    };
    // What is printed has its moments masked; the real ones are asked for once more, for the file.
    assert!(manifest.contains("kind: DisruptionApproval"), "{manifest}");
    let mut command = deployment.place.command("plan --approval --reason");
    let printed = command.arg("The branch office closes, ticket 815").output().unwrap().stdout;
    fs::create_dir(origin.path().join("desired-state/policy")).unwrap();
    fs::write(origin.path().join("desired-state/policy/branch-office.yaml"), printed).unwrap();
    origin.account(12, "enabled: false");
    origin.commit_as("frank", "Let the eleven go");
    deployment.pull(&origin);
    until("the eleven are disabled", || (1..=11).all(|n| deployment.is_enabled(n) == Some(false)));
    until("nothing but user-12 waits", || deployment.place.run("plan --output name").out == "user-12\n");
    assert_eq!(deployment.is_enabled(12), Some(true), "nobody has approved of user-12");
    let approval = deployment.history("user-3").last().unwrap()["approval"].clone();
    assert!(approval.as_str().is_some_and(|name| name.starts_with("approve-")), "{approval}");
}

#[test]
fn who_comments_renames_or_adds_to_a_manifest_in_the_same_push_is_not_who_disabled_the_account() {
    let origin = Repository::new();
    origin.account(1, "enabled: true");
    origin.commit_as("dora", "A mailbox");
    let deployment = Deployment::of(&origin);
    let _daemon = deployment.place.start("run --listen off");
    deployment.until_in_sync();
    origin.account(1, "enabled: false");
    origin.commit_as("alice", "user-1 has left");
    origin.account(1, "enabled: false, email: user-1@example.com, activeSyncEnabled: false");
    origin.commit_as("bob", "Nor a telephone");
    let file = origin.path().join("desired-state/user-1.yaml");
    fs::write(&file, format!("# Gone.\n{}", fs::read_to_string(&file).unwrap())).unwrap();
    origin.commit_as("carol", "A comment");
    origin.git(&["mv", "desired-state/user-1.yaml", "desired-state/gone.yaml"]);
    origin.commit_as("erin", "A better name");
    deployment.pull(&origin);
    until("user-1 is disabled", || deployment.is_enabled(1) == Some(false));
    deployment.until_in_sync();
    let found = deployment.history("user-1");
    let by = |field: &str| found.iter().rfind(|item| item["field"] == field).unwrap()["author"].clone();
    assert_eq!(by("enabled"), "alice <alice@example.com>");
    assert_eq!(by("activeSyncEnabled"), "bob <bob@example.com>");
}
