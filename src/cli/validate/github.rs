//! `-o github`: workflow commands, which a runner shows beside the lines of a pull request.
//!
//! A command is a line that begins with `::`, or that holds `##[` anywhere (GitHub, "Workflow commands"). No line here
//! begins with a stranger's text, and that text never holds `##[`: `printable` sees to it.

use std::fmt::Write as _;

use super::place::Repository;
use super::{Checked, Finding};
use crate::account::printable;

/// How many annotations of one kind GitHub shows of one step ("Usage limits" of workflow commands).
const SHOWN: usize = 10;

/// First the annotations that are shown, then every problem as a line of the log, then the sum.
pub(super) fn render(checked: &Checked, repository: &Repository, summary: &str) -> String {
    let problems = &checked.problems;
    let mut text: String = problems.iter().take(SHOWN).map(|finding| annotation(finding, repository)).collect();
    for path in checked.files.near_misses.iter().take(SHOWN) {
        let (file, why) = (property(&repository.path(path)), "its name ends in neither .yaml nor .yml");
        let _ = writeln!(text, "::warning file={file},title=not read::This file is not read: {why}");
    }
    if let Some(more @ 1..) = problems.len().checked_sub(SHOWN) {
        let _ = writeln!(text, "::notice title=validate::{more} more, all of which are in the log of this step");
    }
    problems.iter().for_each(|finding| {
        let _ = writeln!(text, "{}", finding.problem);
    });
    text + summary + "\n"
}

fn annotation(Finding { problem, end_column, .. }: &Finding, repository: &Repository) -> String {
    let file = property(&repository.path(&problem.path));
    let end = end_column.map_or_else(String::new, |end| format!(",endColumn={end}"));
    let (line, column, title) = (problem.line, problem.column, problem.code.as_str());
    format!("::error file={file},line={line},col={column}{end},title={title}::{}\n", data(&problem.sentence()))
}

/// Text as what a command says: three characters would end or falsify it.
fn data(text: &str) -> String {
    printable::escape(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Text as the value of a command's property: two more separate these.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
