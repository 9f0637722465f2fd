//! `-o sarif`: SARIF 2.1.0 (OASIS), for code scanning and for whatever else reads it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::place::{Repository, fingerprinted};
use super::{Checked, Finding};
use crate::manifest::ProblemCode;

/// Where the program is described, if it has a page of its own.
pub(super) const HOME: &str = env!("CARGO_PKG_HOMEPAGE");

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What stands for the top of the repository, by convention of GitHub's code scanning.
const TOP: &str = "%SRCROOT%";

/// The name and version of the fingerprint: another way to make it must have another one.
const FINGERPRINT: &str = "pathCodeField/v1";

/// What stands for itself in the path of a URI (RFC 3986, section 3.3).
const PATH: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// One run: what was looked at, by which rules, and every problem.
pub(super) fn log(checked: &Checked, repository: &Repository, home: &str) -> Value {
    let files = &checked.files;
    let results: Vec<_> = fingerprinted(&checked.problems, repository).map(result).collect();
    let near_miss = |path: &std::sync::Arc<str>| {
        json!({
            "level": "note",
            "message": {"text": "This file is not read: its name ends in neither .yaml nor .yml."},
            "locations": [{"physicalLocation": {"artifactLocation": artifact(&repository.path(path))}}],
        })
    };
    let unread = checked.problems.iter().any(|finding| finding.problem.code == ProblemCode::Unreadable);
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": driver(home)},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {TOP: {"description": {"text": "The top of the repository."}}},
            "invocations": [{
                "executionSuccessful": !unread,
                "exitCode": i32::from(!checked.problems.is_empty()),
                "toolExecutionNotifications": files.near_misses.iter().map(near_miss).collect::<Vec<_>>(),
            }],
            "results": results,
            "properties": {"files": files, "accounts": checked.accounts},
        }],
    })
}

fn driver(home: &str) -> Value {
    let mut driver = json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "shortDescription": {"text": env!("CARGO_PKG_DESCRIPTION")},
        "rules": ProblemCode::ALL.map(|code| rule(code, home)),
    });
    if !home.is_empty() {
        driver["informationUri"] = home.into();
    }
    driver
}

fn rule(code: ProblemCode, home: &str) -> Value {
    let mut rule = json!({
        "id": code.as_str(),
        "shortDescription": {"text": code.meaning()},
        "help": {"text": "The message says what was expected, what was found, and what to do. The format of the manifests \
            is described in deploy/reference.md, section \"Manifests\"."},
        "defaultConfiguration": {"level": "error"},
    });
    if !home.is_empty() {
        rule["helpUri"] = format!("{home}#manifests").into();
    }
    rule
}

fn result((finding, path, fingerprint): (&Finding, String, String)) -> Value {
    let Finding { problem, end_column, .. } = finding;
    let mut region = json!({"startLine": problem.line, "startColumn": problem.column});
    if let Some(end) = end_column {
        region["endColumn"] = (*end).into();
    }
    json!({
        "ruleId": problem.code.as_str(),
        "ruleIndex": problem.code as usize,
        "level": "error",
        "message": {"text": problem.sentence()},
        "locations": [{"physicalLocation": {"artifactLocation": artifact(&path), "region": region}}],
        "partialFingerprints": {FINGERPRINT: fingerprint},
    })
}

/// A path in the repository is relative to its top; one elsewhere is a URI by itself.
fn artifact(path: &str) -> Value {
    let encoded = utf8_percent_encode(path, &PATH);
    if path.starts_with('/') {
        json!({"uri": format!("file://{encoded}")})
    } else {
        json!({"uri": encoded.to_string(), "uriBaseId": TOP})
    }
}
