//! The whole way of a change: a repository, a branch, a pull request's plan, a merge, the daemon's PUTs, the history.
//!
//! In: real Git, the real program, a simulated service. Out: what a reviewer reads before, what the service has after,
//! and what an auditor finds.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A real repository with a folder of manifests, made by people with names.
pub struct Repository {
    folder: TempDir,
}

impl Repository {
    /// An empty one, on `main`.
    pub fn new() -> Self {
        let repository = Self { folder: TempDir::new().unwrap() };
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
        let text = format!(
            "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata:\n  name: user-{n}\nspec:\n  \
             accountId: {n}\n  zuid: {n}\n  {wanted}\n"
        );
        fs::write(self.path().join(format!("desired-state/user-{n}.yaml")), text).unwrap();
    }
}
