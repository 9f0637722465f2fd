//! A copy of the project that holds every bug of the table, each behind a switch.
//!
//! In: the variants. Out: a folder below the target directory, ready to be built.
//! Invariants: a text that is not in its file exactly once is an error, for then the variant no longer applies; a file
//! that is the same as in the last copy is not touched, so that a second build is short.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::variants::{Edit, Variant};

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
    let edits = variants.iter().flat_map(|variant| variant.edits.iter().map(move |edit| (variant.name, edit)));
    let mut by_file: BTreeMap<&str, Vec<(&str, &Edit)>> = BTreeMap::new();
    edits.for_each(|(name, edit)| by_file.entry(edit.file).or_default().push((name, edit)));
    for (file, edits) in by_file {
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

/// `text` with every edit in it, each behind its switch. Edits of one and the same place share it.
fn switched(text: &str, edits: &[(&str, &Edit)]) -> anyhow::Result<String> {
    let mut places: BTreeMap<(usize, usize), Vec<(&str, &str)>> = BTreeMap::new();
    let mut stale = Vec::new();
    for (name, edit) in edits {
        match locate(text, edit.find).as_slice() {
            [place] => places.entry((place.start, place.end)).or_default().push((name, edit.replace)),
            found => stale.push(format!("{name}: its text is there {} times: {}", found.len(), edit.find)),
        }
    }
    ensure!(stale.is_empty(), "these no longer apply:\n{}", stale.join("\n"));
    let (mut out, mut end) = (String::new(), 0);
    for ((start, stop), bugs) in places {
        ensure!(start >= end, "{} overlaps another one", bugs[0].0);
        let sound = &text[start..stop];
        let chain: String = (bugs.iter())
            .map(|(name, bug)| format!("if crate::mutant::is(\"{name}\") {{ {bug} }} else "))
            .chain([format!("{{ {sound} }}")])
            .collect();
        let statement = sound.ends_with([';', '}']);
        out += &text[end..start];
        out += &if statement { chain } else { format!("({chain})") };
        end = stop;
    }
    Ok(out + &text[end..])
}

/// Where `find` is in `text`, of whatever kind its white space is; of that, what lies between the marks « and ».
fn locate(text: &str, find: &str) -> Vec<Range<usize>> {
    text.char_indices().filter_map(|(start, _)| matched(text, start, find)).collect()
}

fn matched(text: &str, start: usize, find: &str) -> Option<Range<usize>> {
    let (mut at, mut begin, mut end) = (start, start, None);
    let mut spaced = false;
    for char in find.chars() {
        match char {
            '«' => begin = at,
            '»' => end = Some(at),
            char if char.is_whitespace() => {
                let gap = text[at..].len() - text[at..].trim_start().len();
                if gap == 0 && !spaced {
                    return None;
                }
                at += gap;
            }
            char => at = text[at..].starts_with(char).then_some(at + char.len_utf8())?,
        }
        spaced = char.is_whitespace();
    }
    Some(begin..end.unwrap_or(at))
}
