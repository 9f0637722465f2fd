//! `-o gitlab`: a code quality report, which a merge request compares with that of its target branch.

use serde::Serialize;

use super::Checked;
use super::place::{Repository, fingerprinted};

/// One problem, with the keys that GitLab asks for ("Code Quality report format").
#[derive(Serialize)]
pub(super) struct Issue {
    description: String,
    check_name: &'static str,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
}

/// Every problem; none where all is sound. What is broken is not reconciled: `major`, for all of them.
pub(super) fn report(checked: &Checked, repository: &Repository) -> Vec<Issue> {
    let issue = |(finding, path, fingerprint): (&super::Finding, String, String)| Issue {
        description: finding.problem.sentence(),
        check_name: finding.problem.code.as_str(),
        fingerprint,
        severity: "major",
        location: Location { path, lines: Lines { begin: finding.problem.line } },
    };
    fingerprinted(&checked.problems, repository).map(issue).collect()
}
