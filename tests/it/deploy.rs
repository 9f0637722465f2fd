//! What operators deploy names only what the program has.
//!
//! In: every file of `deploy/`, the real command line, the real metrics, the real binary.
//! Invariant: a metric, label, option or variable that is renamed breaks a test here, not somebody's
//! alert at night. What other tools think of these files (systemd-analyze, promtool, kubectl and
//! their kin) is asked by `.ci/full`.

mod alerts;
mod dashboard;
mod environment;
mod exports;
mod kubernetes;
mod page;
mod pull_request;
mod service;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::Value;

/// A file of `deploy/`.
struct Recipe {
    path: PathBuf,
    text: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// The text of one file of `deploy/`.
fn text(path: &str) -> String {
    fs::read_to_string(folder().join(path)).unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&text(path)).unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}

/// Every file of `deploy/`.
fn recipes() -> Vec<Recipe> {
    let (mut folders, mut recipes) = (vec![folder()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                recipes.push(Recipe { text: fs::read_to_string(&path).unwrap(), path });
            }
        }
    }
    assert!(recipes.len() > 15, "deploy/ has only {} files", recipes.len());
    recipes
}

/// Every word of `text` that starts with `start`, made of letters, digits and `more`.
fn words<'a>(text: &'a str, start: &'a str, more: &'a [char]) -> impl Iterator<Item = &'a str> {
    let in_word = move |c: char| c.is_ascii_alphanumeric() || more.contains(&c);
    text.split(move |c: char| !in_word(c)).filter(move |word| word.len() > start.len() && word.starts_with(start))
}
