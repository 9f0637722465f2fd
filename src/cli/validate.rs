//! `validate`: checks manifests, and shows every problem under the line it is on.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Exit, count, json, load, print};
use crate::account::printable;
use crate::config::{Auth, Protect};
use crate::controller::look;
use crate::desired::DesiredState;
use crate::manifest::{self, Problem, Rules, explain};
use crate::source::{self, Look};
use crate::status::API_VERSION;

/// `validate`.
#[derive(Clone, Debug, Args)]
pub(super) struct Validate {
    /// Folders of manifests, or single files
    #[arg(value_name = "PATH", default_value = "desired-state")]
    paths: Vec<PathBuf>,

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
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    accounts: usize,
    problems: &'a [Problem],
}

/// The texts of files that have problems, to be shown with them.
type Texts = BTreeMap<Arc<str>, String>;

impl Validate {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let protection = self.protect.protection();
        let rules = Rules { auth: self.auth.into(), protection: &protection };
        let (mut desired, mut texts) = (DesiredState::protecting(Arc::clone(&protection)), Texts::new());
        for path in &self.paths {
            read(path, rules, &mut desired, &mut texts)?;
        }
        load::note_oddities(&desired);
        let problems: Vec<_> = desired.problems().map(std::borrow::Cow::into_owned).collect();
        let text = match self.output {
            Output::Json => {
                let accounts = desired.managed();
                let document = Document { api_version: API_VERSION, kind: "Validation", accounts, problems: &problems };
                json(&document)?
            }
            Output::Name => problems.iter().map(|problem| format!("{problem}\n")).collect(),
            Output::Text => text(&desired, &problems, &texts),
        };
        print(&text)?;
        Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
    }
}

/// Reads one folder, or one file. Paths are shown as given, so that an editor or a pipeline finds them.
fn read(given: &Path, rules: Rules<'_>, desired: &mut DesiredState, texts: &mut Texts) -> anyhow::Result<()> {
    if !given.exists() {
        anyhow::bail!("there is no file or folder {}: check the path", printable::path(given));
    }
    let folder = if given.is_dir() { Some(given) } else { given.parent() };
    let shown = |path: &str| load::shown_path(folder.unwrap_or(given), path);
    let batch = source::load(given, None, |path, bytes| {
        let parsed = manifest::parse(&shown(path), bytes, rules);
        let text = (!parsed.problems.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned());
        (parsed, text)
    })?;
    if let source::Root::Unknown(why) = &batch.root {
        anyhow::bail!("{}: {why}", printable::path(given));
    }
    for (path, found) in batch.files {
        let path = shown(&path);
        let found = match found {
            Look::Read((parsed, text)) => {
                texts.extend(text.map(|text| (Arc::clone(&path), text)));
                Look::Read(parsed)
            }
            Look::Gone => Look::Gone,
            Look::Problem(problem) => Look::Problem(problem),
        };
        desired.update(&path, look(&path, found));
    }
    Ok(())
}

fn text(desired: &DesiredState, problems: &[Problem], texts: &Texts) -> String {
    let colour = std::io::stdout().is_terminal();
    let explained = |problem: &Problem| {
        let text = texts.get(&problem.path).map(String::as_str);
        format!("{}\n\n", explain(problem, text, colour).trim_end())
    };
    let mut text: String = problems.iter().map(explained).collect();
    let accounts = count(desired.managed(), "account");
    text.push_str(&match problems.len() {
        0 => format!("{accounts}, no problems\n"),
        number => format!("{accounts}, {}\n", count(number, "problem")),
    });
    text
}
