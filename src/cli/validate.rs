//! `validate`: checks manifests, and tells every problem to people, editors and pipelines.
//!
//! In: folders and files, or standard input. Out: [`Checked`], printed in one of several forms, each of which says how complete the look
//! was. Invariants: documents for machines are the only text on standard output, and the summary then goes to
//! standard error; a path that cannot be read is a problem like any other, in every form.

mod document;
mod github;
mod gitlab;
mod look;
mod place;
mod sarif;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Exit, count, json, note, print, say};
use crate::config::{Auth, Folder, Protect};
use crate::manifest::{Problem, explain};
use place::Repository;

/// `validate`.
#[derive(Clone, Debug, Args)]
pub(super) struct Validate {
    /// Folders of manifests, or single files; - is standard input [default: the folder of the desired state]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    folder: Folder,

    /// As whom the service will be addressed: an admin needs the zuid of each account
    #[arg(long, value_enum, env = "ZOHO_MAIL_AUTH", default_value = "admin", help_heading = "Target")]
    auth: Auth,

    #[command(flatten)]
    protect: Protect,

    /// How problems are printed
    #[arg(short, long, value_enum, default_value = "text", help_heading = "Output")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// With the lines they are on
    Text,
    /// One JSON document
    Json,
    /// One line each: file:line:column: problem
    Name,
    /// One line each, and annotations of a pull request for a GitHub workflow
    Github,
    /// A GitLab code quality report
    Gitlab,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// How many near misses are told on standard error; a document lists them all.
const NEAR_MISSES_TOLD: usize = 10;

/// What a look at all the paths found.
struct Checked {
    problems: Vec<Finding>,
    files: Files,
    /// How many accounts at least one readable document declares.
    accounts: usize,
    /// What is worth a second look, and no problem.
    notes: Vec<String>,
}

/// A problem, and what only its file's text tells of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    #[serde(flatten)]
    problem: Problem,
    /// The column behind what is wrong, 1-based, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_column: Option<u32>,
    #[serde(skip)]
    text: Option<Arc<str>>,
}

/// How complete the look was.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Files {
    /// Paths whose names say that they are manifests, or that were given.
    found: usize,
    /// Those whose text was read, whatever was in it.
    read: usize,
    /// Those that could not be read, or may not be. Each is a problem, too.
    skipped: usize,
    /// Files that look as if they were meant to be read, and are not.
    near_misses: Vec<Arc<str>>,
}

impl Validate {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let whole = std::slice::from_ref(&self.folder.desired_state);
        let paths = if self.paths.is_empty() { whole } else { &self.paths };
        let protection = self.protect.protection(&self.folder.desired_state)?;
        let checked = look::at(paths, &self.folder, self.auth.into(), protection);
        checked.notes.iter().for_each(|text| note(text));
        let summary = summary(&checked);
        let near_misses = &checked.files.near_misses;
        for path in near_misses.iter().take(NEAR_MISSES_TOLD) {
            note(&format!("{path} is not read: its name ends in neither .yaml nor .yml"));
        }
        if let Some(more @ 1..) = near_misses.len().checked_sub(NEAR_MISSES_TOLD) {
            note(&format!("{more} more such names; see -o json"));
        }
        let repository = |variables: &[&str]| Repository::of_pipeline(variables);
        match self.output {
            Output::Text => print(&format!("{}{summary}\n", text(&checked)))?,
            Output::Github => print(&github::render(&checked, &repository(&["GITHUB_WORKSPACE"]), &summary))?,
            machine => {
                print(&match machine {
                    Output::Json => json(&document::document(&checked))?,
                    Output::Gitlab => json(&gitlab::report(&checked, &repository(&["CI_PROJECT_DIR"])))?,
                    Output::Sarif => {
                        json(&sarif::log(&checked, &repository(&["GITHUB_WORKSPACE", "CI_PROJECT_DIR"]), sarif::HOME))?
                    }
                    _ => checked.problems.iter().map(|finding| format!("{}\n", finding.problem)).collect(),
                })?;
                say(&summary);
            }
        }
        Ok(if checked.problems.is_empty() { Exit::Done } else { Exit::Failed })
    }
}

/// `412 of 412 files read, 0 skipped; 409 accounts, no problems`
fn summary(Checked { problems, files, accounts, notes: _ }: &Checked) -> String {
    let Files { found, read, skipped, near_misses: _ } = files;
    let problems = if problems.is_empty() { "no problems".to_owned() } else { count(problems.len(), "problem") };
    format!("{read} of {} read, {skipped} skipped; {}, {problems}", count(*found, "file"), count(*accounts, "account"))
}

/// Each problem under its line. In colour: where the terminal does not want it, printing leaves it out.
fn text(checked: &Checked) -> String {
    let explained =
        |Finding { problem, text, .. }: &Finding| format!("{}\n\n", explain(problem, text.as_deref(), true).trim_end());
    checked.problems.iter().map(explained).collect()
}
