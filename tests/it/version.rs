//! What the program says it was built of, told by its build script in each place where it may be built.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

const COMMIT: &str = "ZOHO_MAIL_RECONCILER_COMMIT";

/// The build script, as cargo would compile it.
fn script() -> &'static Path {
    static SCRIPT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = SCRIPT.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("build");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/build.rs");
        let rustc = std::env::var("RUSTC").unwrap_or("rustc".into());
        let compiled = Command::new(rustc).args(["--edition", "2024", source, "-o"]).arg(&path).status().unwrap();
        assert!(compiled.success());
        (place, path)
    });
    path
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Dora", "-c", "user.email=dora@example.com"]).args(arguments).current_dir(folder);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.env("GIT_COMMITTER_DATE", "2026-03-07T12:00:00Z").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository with one commit, and the first twelve digits of that.
fn repository() -> (TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("Cargo.toml"), "").unwrap();
    git(place.path(), &["init", "-q"]);
    git(place.path(), &["add", "-A"]);
    git(place.path(), &["commit", "-qm", "first"]);
    let commit = git(place.path(), &["rev-parse", "--short=12", "HEAD"]);
    (place, commit)
}

/// The version that a build in `folder` would have, without the number, and its commit.
fn told(folder: &Path, profile: &str, given: &str) -> (String, String) {
    let mut command = Command::new(script());
    command.current_dir(folder).env("PROFILE", profile).env("CARGO_PKG_VERSION", "1.2.3").env(COMMIT, given);
    let output = command.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let value = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix("cargo::rustc-env=")?.strip_prefix(name));
        found.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
    };
    (value("ZOHO_MAIL_RECONCILER_VERSION=1.2.3 "), value("ZOHO_MAIL_RECONCILER_BUILT_OF="))
}

#[test]
fn a_release_names_its_commit_and_whether_anything_was_changed_since() {
    let (place, commit) = repository();
    assert_eq!(told(place.path(), "release", ""), (format!("({commit} 2026-03-07)"), commit.clone()));
    std::fs::write(place.path().join("Cargo.toml"), "changed").unwrap();
    let dirty = format!("{commit}-dirty");
    assert_eq!(told(place.path(), "release", ""), (format!("({dirty} 2026-03-07)"), dirty));
}

#[test]
fn a_checkout_of_something_else_around_the_sources_is_not_asked() {
    let (place, _) = repository();
    let vendored = place.path().join("vendor/zoho-mail-reconciler");
    std::fs::create_dir_all(&vendored).unwrap();
    assert_eq!(told(&vendored, "release", ""), ("(unknown)".into(), "unknown".into()));
    // What cargo wrote down when it packed the sources is theirs.
    let info = "{\n  \"git\": {\n    \"sha1\": \"0123456789abcdef0123456789abcdef01234567\"\n  }\n}";
    std::fs::write(vendored.join(".cargo_vcs_info.json"), info).unwrap();
    assert_eq!(told(&vendored, "release", ""), ("(0123456789ab)".into(), "0123456789ab".into()));
}

#[test]
fn an_image_is_told_its_commit_and_a_debug_build_asks_nobody() {
    let (place, _) = repository();
    assert_eq!(told(place.path(), "release", "abc123\"\n$x").0, "(abc123x)");
    assert_eq!(told(place.path(), "debug", ""), ("(debug build)".into(), "unknown".into()));
}

#[test]
fn the_program_says_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler")).arg("--version").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let version = zoho_mail_reconciler::version::VERSION;
    assert_eq!(said, format!("zoho-mail-reconciler {version}\n"));
    assert!(version.starts_with(concat!(env!("CARGO_PKG_VERSION"), " (")) && version.ends_with(')'), "{version}");
}
