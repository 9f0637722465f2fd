//! A copy of the project that holds every bug of the table, each behind a switch.
//!
//! In: the variants. Out: a folder below the target directory, ready to be built.
//! Invariant: a file that is the same as in the last copy is not touched, so that a second build is short.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::switches::switched;
use super::variants::{Variant, edits_by_file};

/// Everything a build and the tests need.
const COPIED: [&str; 8] =
    ["Cargo.toml", "Cargo.lock", "README.md", "LICENSE", "src", "tests", "desired-state", "deploy"];

/// The variable that names the bug in force.
pub const VARIABLE: &str = "MUTANT";

/// Appended to the copy's crate.
const SWITCH: &str = "
#[allow(missing_docs)]
pub mod mutant {
    pub fn is(name: &str) -> bool {
        static CHOSEN: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        CHOSEN.get_or_init(|| std::env::var(\"MUTANT\").unwrap_or_default()) == name
    }
}
";

/// Appended to the copy's manifest. A package with another profile has artifacts of other names: the copy shares the
/// build of all dependencies, and overwrites nothing of the original.
const PROFILE: &str = "\n[profile.dev.package.zoho-mail-reconciler]\ncodegen-units = 128\n";

/// What is different in the copy's tests: children inherit the bug as well, and what a bug keeps from happening is not
/// waited for as long as on a machine of which nothing is known. Without a bug all of it happens in that time.
const TESTS: [(&str, &str); 2] = [
    (".env_clear()", ".env_clear().envs(std::env::vars_os().filter(|(name, _)| name == \"MUTANT\"))"),
    ("DEADLINE: Duration = Duration::from_secs(60)", "DEADLINE: Duration = Duration::from_secs(20)"),
];

/// Where the project is.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Makes the copy, or brings it up to date. Returns where it is.
pub fn make(variants: &[Variant]) -> anyhow::Result<PathBuf> {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let copy = tmp.parent().context("the build directory")?.join("mutants").join("copy");
    let mut texts = BTreeMap::new();
    for top in COPIED {
        read(&project().join(top), Path::new(top), &mut texts)?;
    }
    for (file, edits) in edits_by_file(variants) {
        let text = texts.get_mut(Path::new(file)).with_context(|| format!("there is no {file}"))?;
        *text = switched(std::str::from_utf8(text)?, &edits).with_context(|| file.to_owned())?.into_bytes();
    }
    for (file, more) in [("src/lib.rs", SWITCH), ("Cargo.toml", PROFILE)] {
        texts.get_mut(Path::new(file)).context(file)?.extend_from_slice(more.as_bytes());
    }
    for (path, bytes) in texts {
        write(&copy.join(&path), &if path.starts_with("tests/it") { for_trials(bytes) } else { bytes })?;
    }
    Ok(copy)
}

fn read(from: &Path, name: &Path, texts: &mut BTreeMap<PathBuf, Vec<u8>>) -> anyhow::Result<()> {
    if !from.is_dir() {
        texts.insert(name.to_owned(), fs::read(from).with_context(|| from.display().to_string())?);
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        read(&entry.path(), &name.join(entry.file_name()), texts)?;
    }
    Ok(())
}

fn write(to: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::create_dir_all(to.parent().context("a folder")?)?;
    fs::write(to, bytes).with_context(|| to.display().to_string())
}

fn for_trials(bytes: Vec<u8>) -> Vec<u8> {
    let change = |text: String, (from, to): &(&str, &str)| text.replace(from, to);
    match String::from_utf8(bytes) {
        Ok(text) => TESTS.iter().fold(text, change).into_bytes(),
        Err(other) => other.into_bytes(),
    }
}
