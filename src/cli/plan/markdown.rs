//! The plan as a comment under a pull request, in GitHub's and GitLab's dialect of Markdown.
//!
//! In: a comparison. Out: a marker to find the comment by, the sum, what is held and why, one table with disruptions
//! first, and folded lists of the rest.
//! Invariants: never more than [`COMMENT_MAX`] bytes, and whatever is left out is counted; a grant is shown only if every
//! disruption is; the text of strangers is code, in which nobody is mentioned, and nothing links, formats or hides.

mod code;
mod paper;

use std::path::Path;

use super::base::{Branch, Origin};
use super::document::Summary;
use super::text::{told, what_is_held, what_is_safe};
use super::{Comparison, LeftAlone, Marked, NOT_SENT};
use crate::change::Change;
use crate::cli::count;
use crate::compare::{Note, Remark};
use crate::manifest::Problem;
use code::{cell, code};
use paper::{Section, fill};

/// The longest comment, in bytes. GitHub's limit is 65,536 characters, and no text has fewer bytes than characters.
const COMMENT_MAX: usize = 65_535;

/// The first line: invisible, and the same in every version, so that the one comment can be found again.
const MARKER: &str = "<!-- zoho-mail-reconciler plan -->\n";

/// How many digits of a commit are shown.
const SHORT: usize = 12;

/// The whole comment.
pub(super) fn markdown(comparison: &Comparison, folder: &Path) -> String {
    let (own, others) = comparison.split();
    let branch = comparison.branch.as_ref();
    let summary = Summary::of(comparison);
    let origin = branch.map(|branch| &branch.origin);
    let mut sections = vec![Section::text(head(&summary, origin, folder, comparison))];
    sections.extend(comparison.suspended.iter().map(|freeze| {
        Section::text(format!("**Everything is suspended:** {}; {NOT_SENT}.\n", code(&freeze.to_string())))
    }));
    sections.push(problems("in the manifests; nothing is sent for what is wrong", &comparison.problems));
    let remarks = |weight: Weight| remarks_of(comparison, weight).map(remark).collect::<Vec<_>>();
    let safety =
        branch.iter().flat_map(|branch| &branch.safety).map(|safety| format!("- {}\n", code(&what_is_safe(safety))));
    sections
        .push(Section::list("**What may be taken away changes:**", safety.chain(remarks(Weight::Safety)).collect()));
    sections.push(Section::list("**Left alone until it is mended:**", remarks(Weight::Held)));
    for (by, what) in what_is_held(comparison) {
        // The advice names the manifest that has the say.
        let advice = code(&comparison.advice(by));
        sections.push(Section::text(format!("**Held by the {}:** {what} {advice}\n", by.budget())));
    }
    sections.push(Section::list("**Dates change:**", remarks(Weight::Dated)));
    for held in comparison.later_held() {
        sections.push(Section::text(format!("**Later held by the {}:** {held}.\n", held.direction().budget())));
    }
    sections.push(table(comparison, &own));
    let pending = format!("Also pending, not from this branch: {}", count(others.len(), "change"));
    sections.push(Section::folded(&pending, others.iter().map(pending_row).collect()));
    let remarks = remarks(Weight::Light);
    let without = format!("Changes without a PUT: {}", remarks.len());
    sections.push(Section::folded(&without, remarks));
    match branch {
        Some(branch) => sections.extend(rest(branch)),
        // Of a branch the remarks say what it changes about that.
        None => sections.push(left_alone(comparison)),
    }
    fill(MARKER, sections, COMMENT_MAX)
}

/// The branch's remarks of this weight.
fn remarks_of(comparison: &Comparison, weight: Weight) -> impl Iterator<Item = &Remark> {
    let remarks = comparison.branch.iter().flat_map(|branch| &branch.remarks);
    remarks.filter(move |remark| Weight::of(remark) == weight)
}

/// The sum, and what is compared.
fn head(summary: &Summary, origin: Option<&Origin>, folder: &Path, comparison: &Comparison) -> String {
    let Summary { puts, take_away, grant, held, no_longer_managed, unexplained, held_accounts: _, problems: _ } =
        *summary;
    let mut sum = if puts + held == 0 {
        "No changes".to_owned()
    } else {
        let takes = if take_away == 1 { "takes" } else { "take" };
        let grants = if grant == 1 { "grants" } else { "grant" };
        format!("{}: {take_away} {takes} away, {grant} {grants}; {} held", count(puts, "PUT"), count(held, "change"))
    };
    if no_longer_managed > 0 {
        sum.push_str(&format!("; {} no longer managed", count(no_longer_managed, "account")));
    }
    let dated = remarks_of(comparison, Weight::Dated).count();
    if dated > 0 {
        sum.push_str(&format!("; dates of {} change", count(dated, "account")));
    }
    if unexplained > 0 {
        sum.push_str(&format!("; {unexplained} pending that are not from this branch"));
    }
    let safety = comparison.branch.iter().map(|branch| branch.safety.len()).sum::<usize>();
    let safety = safety + remarks_of(comparison, Weight::Safety).count();
    if safety > 0 {
        sum.push_str("; what may be taken away changes");
    }
    let folder = code(&folder.to_string_lossy());
    let compared = match origin {
        None => format!("What apply would do for {folder}."),
        Some(Origin::Folder { folder: base }) => format!("From {} to {folder}.", code(base)),
        Some(Origin::Commit { revision, commit, .. }) => {
            let short = code(commit.get(..SHORT).unwrap_or(commit));
            format!("From {folder} where this branch left {} ({short}).", code(revision))
        }
    };
    if puts + held + no_longer_managed + dated + unexplained + safety == 0 {
        return format!("**{sum}.** {compared}\n");
    }
    format!("**{sum}**\n\n{compared} Nothing else is sent. Digest {}\n", code(comparison.digest()))
}

/// The table of changes: what takes away, what is held, what grants.
fn table(comparison: &Comparison, changes: &[Marked<'_>]) -> Section {
    let mut changes = changes.to_vec();
    changes.sort_by_key(|(change, held)| (!change.is_disruption(), *held));
    let row = |(change, held): &Marked<'_>| {
        let approved =
            change.approval.as_ref().map_or_else(String::new, |name| format!(", approved by {}", cell(name)));
        let sign = format!("{}{approved}", sign(change, *held));
        let Change { name, field, from, to, source, revision, .. } = change;
        // Whom to ask about what is held.
        let decided = revision.decided().filter(|_| *held);
        let decided = decided.map_or_else(String::new, |decided| format!(", {}", cell(&decided)));
        let when = change.not_before.map_or_else(String::new, |until| format!(" not before {until}"));
        let when = change.validity.map_or(when.clone(), |validity| format!(", {validity}{when}"));
        let (name, email) = (cell(name), comparison.email(change).map_or_else(String::new, cell));
        let place = cell(&code::place(&source.path, source.line));
        format!("| {sign} | {name} | {email} | {field} | {from} | {to}{when} | {place}{decided} |\n")
    };
    Section::table(
        "| | account | e-mail | field | from | to | declared at |\n|-|-|-|-|-|-|-|\n",
        changes.iter().map(row).collect(),
    )
}

const fn sign(change: &Change, held: bool) -> &'static str {
    match (held, change.is_disruption()) {
        (true, _) => "! held",
        (false, true) => "- takes away",
        (false, false) => "+ grants",
    }
}

fn pending_row((change, held): &Marked<'_>) -> String {
    let Change { name, field, from, to, source, .. } = change;
    let (name, place) = (code(name), code(&code::place(&source.path, source.line)));
    format!("- {}: {name} {field} {from} → {to}, {place}\n", sign(change, *held))
}

/// How much a remark matters to whoever reviews.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// An account is protected, or not any more.
    Safety,
    /// Nothing is PUT for an account until a mistake is mended.
    Held,
    /// It is valid at other times.
    Dated,
    /// Anything else.
    Light,
}

impl Weight {
    const fn of(remark: &Remark) -> Self {
        match remark.note {
            Note::Protected | Note::Unprotected => Self::Safety,
            Note::Broken | Note::Duplicate { .. } => Self::Held,
            Note::Dated { .. } => Self::Dated,
            _ => Self::Light,
        }
    }
}

fn remark(remark: &Remark) -> String {
    let (label, detail) = told(remark);
    let (name, place) = (code(&remark.name), code(&code::place(&remark.source.path, remark.source.line)));
    let detail = detail.map_or_else(String::new, |detail| format!(", {}", code(&detail)));
    format!("- {label}: {name}, {place}{detail}\n")
}

fn problems(what: &str, problems: &[Problem]) -> Section {
    let rows = problems.iter().map(|problem| format!("- {}\n", code(&problem.to_string())));
    Section::list(&format!("**{} {what}:**", count(problems.len(), "problem")), rows.collect())
}

fn left_alone(comparison: &Comparison) -> Section {
    let row = |one: &LeftAlone| format!("- {}: {}\n", one.reason.words(), code(&one.shown()));
    let sum = format!("Left alone: {}", count(comparison.left_alone.len(), "account"));
    Section::folded(&sum, comparison.left_alone.iter().map(row).collect())
}

/// What nobody has to read.
fn rest(branch: &Branch) -> [Section; 2] {
    let settled = branch
        .split
        .settled
        .iter()
        .map(|Change { name, field, to, .. }| format!("- {} {field} is {to} already\n", code(name)));
    let problems = branch.base_problems.iter().map(|problem| format!("- {}\n", code(&problem.to_string())));
    let settled_sum = format!("Changes that need no PUT any more: {}", branch.split.settled.len());
    let problems_sum = format!("Problems of the base, not of this branch: {}", branch.base_problems.len());
    [Section::folded(&settled_sum, settled.collect()), Section::folded(&problems_sum, problems.collect())]
}

#[cfg(test)]
mod tests;
