//! Manifests as files: the fixtures, the schema, the examples, and texts written to do harm.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod schema;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use zoho_mail_reconciler::account::AuthMode;
use zoho_mail_reconciler::desired::{DesiredState, Look, Standing};
use zoho_mail_reconciler::manifest::{Rules, explain, json_schema, parse};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file beneath `folder`, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// The path of a file beneath `folder`, as messages name it.
fn relative(folder: &Path, path: &Path) -> Arc<str> {
    path.strip_prefix(folder).unwrap().to_str().unwrap().into()
}

fn fixtures(which: &str) -> Vec<(Arc<str>, Vec<u8>)> {
    let folder = repository().join("tests/fixtures").join(which);
    let found: Vec<_> = files(&folder).iter().map(|path| (relative(&folder, path), fs::read(path).unwrap())).collect();
    assert!(found.len() > 10, "the fixtures are gone");
    found
}

#[test]
fn every_valid_fixture_is_without_a_problem() {
    for (path, bytes) in fixtures("valid") {
        let parsed = parse(&path, &bytes, Rules::default());
        assert_eq!(parsed.problems, [], "{path}");
        assert_eq!(parsed.claims, [], "{path}");
        let expected = match &*path {
            "nothing.yaml" | "only-comments.yaml" => 0,
            "several-documents.yaml" | "mixed-kinds.yaml" => 3,
            _ => 1,
        };
        assert_eq!(parsed.documents.len() + parsed.policies.len(), expected, "{path}");
    }
}

#[test]
fn every_invalid_fixture_names_its_problems_with_place_and_hint() {
    let mut rendered = String::new();
    for (path, bytes) in fixtures("invalid") {
        let parsed = parse(&path, &bytes, Rules::default());
        assert_ne!(parsed.problems, [], "{path}");
        for problem in &parsed.problems {
            writeln!(rendered, "{} {problem}", problem.code).unwrap();
        }
        writeln!(rendered).unwrap();
    }
    insta::with_settings!({ snapshot_path => "../fixtures", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("invalid", rendered);
    });
}

#[test]
fn a_document_with_a_problem_leaves_its_neighbour_standing() {
    let bytes = fs::read(repository().join("tests/fixtures/invalid/one-good-one-bad.yaml")).unwrap();
    let parsed = parse(&"x.yaml".into(), &bytes, Rules::default());
    assert_eq!(parsed.documents.iter().map(|document| &*document.name).collect::<Vec<_>>(), ["alice"]);
    assert_eq!(parsed.claims.iter().map(|claim| claim.name.as_deref()).collect::<Vec<_>>(), [Some("bob")]);
}

#[test]
fn the_zuid_is_needed_with_admin_authentication_only() {
    let bytes = fs::read(repository().join("tests/fixtures/invalid/missing-zuid.yaml")).unwrap();
    let path = "x.yaml".into();
    assert_eq!(parse(&path, &bytes, Rules { auth: AuthMode::User, ..Rules::default() }).problems, []);
    assert_eq!(
        parse(&path, &bytes, Rules { auth: AuthMode::Admin, ..Rules::default() }).problems[0].field,
        "spec.zuid"
    );
}

#[test]
fn an_excerpt_shows_the_line_and_nothing_that_steers_a_terminal() {
    for (path, bytes) in fixtures("invalid") {
        let text = String::from_utf8_lossy(&bytes);
        for problem in parse(&path, &bytes, Rules::default()).problems {
            let plain = explain(&problem, Some(&text), false);
            assert!(!plain.chars().any(|c| c.is_control() && c != '\n'), "{plain:?}");
            assert!(!plain.contains(['\u{202e}', '\u{2028}']), "{plain:?}");
            assert!(plain.contains(&format!("{path}:{}:{}", problem.line, problem.column)), "{plain}");
            assert!(explain(&problem, None, true).contains("\u{1b}["));
        }
    }
}

#[test]
fn an_excerpt_marks_what_is_wrong() {
    let check = |text: &str| {
        let path = "sales/alice.yaml".into();
        let problems = parse(&path, text.as_bytes(), Rules { auth: AuthMode::User, ..Rules::default() }).problems;
        problems.iter().map(|problem| explain(problem, Some(text), false)).collect::<Vec<_>>().join("\n")
    };
    let head =
        "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata: {name: alice, labels: {日本: x}}\nspec:\n";
    let long = format!("  email: {}\u{202e}{}\n", "é".repeat(120), "x".repeat(120));
    let text = format!(
        "{head}  accountId: 2560636000000008002\n  enabeld: \"yes\"\n  activeSyncEnabled: \"ye s\" # no\n{long}"
    );
    insta::assert_snapshot!(check(&text), @r#"
    error[invalid-value]: metadata.labels.日本: expected a key like team or example.com/team, the name at most 63 letters, digits, '-', '_', '.', found the key "日本"
     --> sales/alice.yaml:3:34
      |
    3 | metadata: {name: alice, labels: {日本: x}}
      |                                  ^^^^
    error[unknown-key]: spec.enabeld: expected one of accountId, zuid, email, enabled, activeSyncEnabled, suspend, suspendReason, suspendUntil, validFrom, validUntil, found the unknown key "enabeld"
     --> sales/alice.yaml:6:3
      |
    6 |   enabeld: "yes"
      |   ^^^^^^^
      |
      = help: did you mean enabled?
    error[wrong-type]: spec.activeSyncEnabled: expected true or false, found the string "ye s"
     --> sales/alice.yaml:7:22
      |
    7 |   activeSyncEnabled: "ye s" # no
      |                      ^^^^^^
    error[invalid-value]: spec.email: expected an address like alice@example.com, at most 254 characters, found the string "éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé…"
     --> sales/alice.yaml:8:10
      |
     ::: 
    8 |   email: éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé…
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: its character 121 is an invisible character (U+202E): remove it
    "#);
}

/// The documents of a text as JSON; `None` if it is no YAML.
fn as_json(bytes: &[u8]) -> Option<Vec<serde_json::Value>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let documents = serde_yaml::Deserializer::from_str(text.trim_start_matches('\u{feff}'));
    documents.map(|document| serde_json::Value::deserialize(document).ok()).collect()
}

#[test]
fn the_schema_accepts_what_parse_accepts_and_refuses_the_wrong_shapes() {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("manifest.json", json_schema()).unwrap();
    let schema = compiler.compile("manifest.json", &mut schemas).unwrap();
    let is_valid = |value: &serde_json::Value| value.is_null() || schemas.validate(value, schema).is_ok();

    for (path, bytes) in fixtures("valid") {
        for value in as_json(&bytes).unwrap() {
            assert!(is_valid(&value), "{path}: {}", schemas.validate(&value, schema).unwrap_err());
        }
    }
    let mut accepted = Vec::new();
    for (path, bytes) in fixtures("invalid") {
        if as_json(&bytes).is_some_and(|documents| documents.iter().all(is_valid)) {
            accepted.push(path.to_string());
        }
    }
    // What JSON does not show (to it 2.5e18 is an integer), what only some parsers read, or what depends on options:
    // everything else an editor marks.
    insta::assert_snapshot!(accepted.join(" "), @"approval-duplicate-account.yaml directive.yaml duplicate-key.yaml duplicate-label.yaml duplicate-root-key.yaml id-float.yaml id-radix.yaml joined-documents.yaml line-separator.yaml missing-zuid.yaml quoted-text-too-far-left.yaml tab-after-colon.yaml zuid-of-the-account.yaml");
}

#[test]
fn the_examples_are_valid_and_take_little_away() {
    let folder = repository().join("desired-state");
    let mut state = DesiredState::new();
    for path in files(&folder).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "yaml")) {
        let name = relative(&folder, &path);
        let parsed = parse(&name, &fs::read(path).unwrap(), Rules { auth: AuthMode::Admin, ..Rules::default() });
        state.update(&name, Look::Parsed(parsed));
    }
    let problems: Vec<String> = state.problems().map(|problem| problem.to_string()).collect();
    assert_eq!(problems, Vec::<String>::new());
    assert!(state.len() >= 6);
    assert!(state.iter().all(|(_, account)| account.standing == Standing::Current));
    let taking = state
        .iter()
        .filter(|(_, account)| account.spec.enabled == Some(false) || account.spec.active_sync_enabled == Some(false));
    assert!(taking.count() <= 3, "a first run of the examples must not look like a purge");
}

#[test]
fn the_schema_beside_the_examples_is_the_one_the_program_prints() {
    let path = repository().join("desired-state/.schema.json");
    let kept: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(kept, json_schema(), "renew it with what `zoho-mail-reconciler schema` prints");
}
