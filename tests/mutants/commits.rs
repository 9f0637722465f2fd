//! What git says of the latest commits.
//!
//! In: the repository, whole or shallow, and what is not committed yet; `MUTANTS_SINCE`, a revision. Out: [`Latest`],
//! or nothing where there is no git or no commit.

use std::collections::BTreeSet;
use std::process::Command;

use super::copy::project;

/// How many commits are the latest, where `MUTANTS_SINCE` does not say: what is merged at one time. A merge counts as one.
const COMMITS: &str = "20";

/// The latest commits.
pub struct Latest {
    /// The files that they touched, from the project's root.
    pub touched: BTreeSet<String>,
    /// The place of the last one in history, or what stands for it where history is not known: one more each time.
    pub number: u64,
}

/// Asks git.
pub fn latest() -> Option<Latest> {
    let names = match std::env::var("MUTANTS_SINCE") {
        Ok(since) => git(&["diff", "--name-only", "--relative", &since])?,
        Err(_) => {
            let log = ["log", "-n", COMMITS, "--first-parent", "-m", "--name-only", "--relative", "--format="];
            git(&log)? + &git(&["diff", "--name-only", "--relative", "HEAD"])?
        }
    };
    let shallow = git(&["rev-parse", "--is-shallow-repository"])?.trim() == "true";
    let number = if shallow {
        u64::from_str_radix(git(&["rev-parse", "HEAD"])?.get(..8)?, 16).ok()?
    } else {
        git(&["rev-list", "--count", "--first-parent", "HEAD"])?.trim().parse().ok()?
    };
    Some(Latest { touched: names.lines().map(str::to_owned).collect(), number })
}

/// What git answers, unless it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(project()).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
