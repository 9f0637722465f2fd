//! Build script: which commit is built.
//!
//! In: the variable `ZOHO_MAIL_RECONCILER_COMMIT` (an image is built without `.git`), else git, else what
//! `cargo package` wrote down. Out: two variables for `version.rs`.
//! Invariants: nothing is guessed: a checkout of something else around the sources is not asked; a build never fails for
//! want of a commit. In debug builds nobody is asked, or each commit would compile everything again.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=ZOHO_MAIL_RECONCILER_COMMIT");
    println!("cargo::rerun-if-changed=src/build.rs");
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let given = std::env::var("ZOHO_MAIL_RECONCILER_COMMIT").ok().filter(|commit| !commit.is_empty());
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let found = given.or_else(|| if is_release { of_git().or_else(of_package) } else { None });
    let found = found.map(|found| found.chars().filter(|c| c.is_ascii_alphanumeric() || " -".contains(*c)).collect());
    let shown: String = found.unwrap_or_else(|| if is_release { "unknown".into() } else { "debug build".into() });
    let commit = shown.split(' ').next().filter(|_| shown != "debug build").unwrap_or("unknown");
    println!("cargo::rustc-env=ZOHO_MAIL_RECONCILER_VERSION={version} ({shown})");
    println!("cargo::rustc-env=ZOHO_MAIL_RECONCILER_BUILT_OF={commit}");
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// `1f2e3d4c5b6a 2026-11-22`, or `1f2e3d4c5b6a-dirty 2026-11-22`.
fn of_git() -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let here = std::env::current_dir().ok()?.canonicalize().ok()?;
    if Path::new(&top).canonicalize().ok()? != here {
        return None;
    }
    for file in ["HEAD", "index", "logs/HEAD"] {
        println!("cargo::rerun-if-changed={}", git(&["rev-parse", "--git-path", file])?);
    }
    let shown = git(&["show", "--no-patch", "--no-show-signature", "--format=%h %cs", "--abbrev=12", "HEAD"])?;
    let is_dirty = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(if is_dirty { shown.replacen(' ', "-dirty ", 1) } else { shown })
}

/// The commit in `.cargo_vcs_info.json`, which a packaged crate has.
fn of_package() -> Option<String> {
    let info = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let sha = info.split("\"sha1\": \"").nth(1)?.split('"').next()?;
    let dirty = if info.contains("\"dirty\": true") { "-dirty" } else { "" };
    Some(format!("{}{dirty}", sha.get(..12)?))
}
