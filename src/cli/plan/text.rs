//! The plan for people, in terraform's manner.
//!
//! In: a comparison. Out: text for a terminal: first each account's changes, then what is left alone, then the sum.
//! Invariant: nothing that strangers wrote steers the terminal.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use super::base::Branch;
use super::{Comparison, LeftAlone, Marked};
use crate::account::{Field, printable};
use crate::change::{Change, Direction};
use crate::cli::count;
use crate::compare::{Note, Remark, Safety};
use crate::plan::Upcoming;
use crate::validity::Period;

const GRANT: Style = AnsiColor::Green.on_default();
const REVOKE: Style = AnsiColor::Red.on_default();
const HELD: Style = AnsiColor::Yellow.on_default();

/// How many of the next dates are listed, and how many accounts of each.
const MOMENTS_MAX: usize = 10;
const NAMES_MAX: usize = 5;

/// The whole text.
pub(super) fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, comparison);
    text
}

fn write(text: &mut String, comparison: &Comparison) -> fmt::Result {
    let (own, others) = comparison.split();
    write_accounts(text, &own)?;
    if !others.is_empty() {
        writeln!(text, "Also pending, not from this branch:\n")?;
        write_accounts(text, &others)?;
    }
    if let Some(branch) = &comparison.branch {
        write_branch(text, branch)?;
    }
    write_upcoming(text, comparison)?;
    write_left_alone(text, comparison)?;
    write_sum(text, comparison, &own, others.len())?;
    writeln!(text, "Digest: {}", comparison.digest())
}

fn write_sum(text: &mut String, comparison: &Comparison, own: &[Marked<'_>], others: usize) -> fmt::Result {
    let held = own.iter().filter(|(_, held)| *held).count();
    let also = match others {
        0 => String::new(),
        others => format!(" {} more pending, not from this branch.", count(others, "change")),
    };
    match (own.len(), &comparison.branch, comparison.planned) {
        (0, Some(_), _) => writeln!(text, "No changes: nothing is PUT for what this branch changes.{also}")?,
        (0, None, 0) => writeln!(text, "No changes.")?,
        (0, None, planned) => {
            writeln!(text, "No changes: all that is wanted of {} has been acknowledged.", count(planned, "account"))?;
        }
        (all, ..) => {
            let revoke = own.iter().filter(|(change, held)| !held && change.is_disruption()).count();
            let (puts, grant) = (all - held, all - held - revoke);
            let (puts, held) = (count(puts, "PUT"), count(held, "change"));
            writeln!(text, "Plan: {puts}, of which {grant} grant and {revoke} take away; {held} held.{also}")?;
        }
    }
    for (by, what) in what_is_held(comparison) {
        writeln!(text, "{HELD}Held by the {}{HELD:#}: {what} {}", by.budget(), comparison.advice(by))?;
    }
    Ok(())
}

/// How much each budget holds, and why: `3 changes of 2 accounts: …`.
pub(super) fn what_is_held(comparison: &Comparison) -> impl Iterator<Item = (Direction, String)> {
    comparison.reviewed.held_by().map(|(by, verdict, held)| {
        let accounts: BTreeSet<_> = held.iter().map(|change| change.account).collect();
        (by, format!("{} of {}: {verdict}.", count(held.len(), "change"), count(accounts.len(), "account")))
    })
}

fn write_accounts(text: &mut String, changes: &[Marked<'_>]) -> fmt::Result {
    for account in changes.chunk_by(|(a, _), (b, _)| a.account == b.account) {
        if let Some((Change { name, account, source, .. }, _)) = account.first() {
            writeln!(text, "# {name} ({account}), {source}")?;
        }
        for (change, held) in account {
            let (sign, style, note) = match (held, change.to) {
                (true, _) => ('!', HELD, " (held)"),
                (false, true) => ('+', GRANT, ""),
                (false, false) => ('-', REVOKE, ""),
            };
            let approved = change.approval.as_ref().map_or_else(String::new, |name| format!(" (approved by {name})"));
            let dated = change.validity.map_or_else(String::new, |validity| format!(" ({validity})"));
            let when = change.not_before.map_or_else(String::new, |until| format!(" (not before {until})"));
            writeln!(
                text,
                "  {style}{sign}{style:#} {:<17} {} -> {}{note}{dated}{approved}{when}",
                change.field, change.from, change.to
            )?;
        }
        // Whom to ask about it. The changes of an account are one document's, hence one commit's.
        if let Some((Change { revision, .. }, _)) = account.iter().find(|(_, held)| *held)
            && let Some(decided) = revision.decided()
        {
            writeln!(text, "    {decided}")?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn write_branch(text: &mut String, branch: &Branch) -> fmt::Result {
    for safety in &branch.safety {
        writeln!(text, "{HELD}Safety{HELD:#}: {}", printable::escape(&what_is_safe(safety)))?;
    }
    for remark in &branch.remarks {
        let Remark { account, name, source, note: _ } = remark;
        let (label, detail) = told(remark);
        let detail = detail.map_or_else(String::new, |detail| format!(": {}", printable::escape(&detail)));
        writeln!(text, "{label}: {name} ({account}), {source}{detail}")?;
    }
    for Change { account, name, field, to, .. } in &branch.split.settled {
        writeln!(text, "Needs no PUT: {name} ({account}): {field} is {to} already")?;
    }
    match branch.base_problems.len() {
        0 => Ok(()),
        problems => {
            writeln!(text, "The base has {}; what it leaves unknown is planned anew.", count(problems, "problem"))
        }
    }
}

/// A remark for people: what it is, and what there is to say about it, which strangers may have written.
pub(super) fn told(remark: &Remark) -> (&'static str, Option<String>) {
    let fields = |fields: &[Field]| fields.iter().map(|field| field.as_str()).collect::<Vec<_>>().join(", ");
    match &remark.note {
        Note::Broken => ("Broken, left alone", None),
        Note::Duplicate { other } => ("Declared twice, left alone", Some(format!("see {}:{}", other.path, other.line))),
        Note::NoLongerManaged { fields: managed } => ("No longer managed, nothing is PUT", Some(fields(managed))),
        Note::AccountChanged { from, fields: managed } => {
            let keeps =
                if managed.is_empty() { String::new() } else { format!("; {from} keeps its {}", fields(managed)) };
            ("Another account", Some(format!("accountId changed {from} -> {}{keeps}", remark.account)))
        }
        Note::FieldsNoLongerManaged { fields: dropped } => {
            ("No longer managed in part, nothing is PUT", Some(fields(dropped)))
        }
        Note::Suspended { reason, until } => {
            let until = until.map(|until| format!("until {until}"));
            let parts: Vec<String> = reason.as_deref().map(str::to_owned).into_iter().chain(until).collect();
            ("Suspended", (!parts.is_empty()).then(|| parts.join(", ")))
        }
        Note::Dated { valid_from: from, valid_until: until, was } => {
            let period = Period { from: *from, until: *until };
            let was = was.as_ref().map_or_else(String::new, |was| format!("; was {was}"));
            let now = if period == Period::default() {
                "valid at any time".to_owned()
            } else {
                format!("{period}; outside of that every managed field is false")
            };
            ("Dates", Some(format!("{now}{was}")))
        }
        Note::Resumed => ("Not suspended any more", None),
        Note::Protected => ("Protected: nothing can be taken away", None),
        Note::Unprotected => ("NOT PROTECTED any more", None),
        Note::UserChanged { from, to } => {
            let id = |id: &Option<crate::account::Zuid>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
            ("Another user, no PUT by itself", Some(format!("zuid changed {} -> {}", id(from), id(to))))
        }
        Note::Renamed { from } => ("Renamed", Some(format!("was {from}"))),
        Note::Moved { from } => ("Moved", Some(format!("was {}:{}", from.path, from.line))),
    }
}

/// What changes about what may be taken away, for people; strangers may have written parts of it.
pub(super) fn what_is_safe(safety: &Safety) -> String {
    match safety {
        Safety::Budget { from, to } => format!("the disruption budget is {to}; it was {from}"),
        Safety::Approves { name, source, reason, expires, expired, grants, disruptions, arriving, changed } => {
            if *expired {
                return format!("{name} ({source}) expired at {expires} and approves of nothing: {reason}");
            }
            let also = if *changed { ", other than before" } else { "" };
            let what = count(*disruptions, if *grants { "grant" } else { "disruption" });
            let arriving = match arriving {
                0 => String::new(),
                arriving => format!(" ({arriving} of them in this same change)"),
            };
            format!("{name} ({source}) approves of {what}{arriving} until {expires}{also}: {reason}")
        }
        Safety::Withdraws { name, source } => format!("{name} ({source}) approves of nothing any more"),
    }
}

/// What dates bring later. Of a branch the remarks say so.
fn write_upcoming(text: &mut String, comparison: &Comparison) -> fmt::Result {
    if comparison.upcoming.is_empty() || comparison.branch.is_some() {
        return Ok(());
    }
    let alike = |a: &Upcoming, b: &Upcoming| (a.at, a.takes_away) == (b.at, b.takes_away);
    let moments: Vec<_> = comparison.upcoming.chunk_by(alike).collect();
    writeln!(text, "Later, by the dates of manifests:")?;
    for all in moments.iter().take(MOMENTS_MAX) {
        let names = listed(all.iter().map(|one| Cow::Borrowed(&*one.name)));
        let Some(Upcoming { at, takes_away, .. }) = all.first() else { continue };
        let verb = match (takes_away, all.len()) {
            (true, 1) => "ends",
            (true, _) => "end",
            (false, 1) => "begins",
            (false, _) => "begin",
        };
        writeln!(text, "  {at}  {} {verb}: {names}", count(all.len(), "account"))?;
    }
    if let Some(more) = moments.len().checked_sub(MOMENTS_MAX).filter(|more| *more > 0) {
        writeln!(text, "  and at {}", count(more, "later moment"))?;
    }
    writeln!(text)
}

fn write_left_alone(text: &mut String, comparison: &Comparison) -> fmt::Result {
    for alike in comparison.left_alone.chunk_by(|a, b| a.reason == b.reason) {
        let Some(LeftAlone { reason, .. }) = alike.first() else { continue };
        let names = listed(alike.iter().map(LeftAlone::shown));
        writeln!(text, "Left alone: {} {}: {names}", count(alike.len(), "account"), reason.words())?;
    }
    Ok(())
}

/// The first names, and how many more there are.
fn listed<'n>(names: impl ExactSizeIterator<Item = Cow<'n, str>>) -> String {
    let more = names.len().checked_sub(NAMES_MAX).filter(|more| *more > 0);
    let more = more.map_or_else(String::new, |more| format!(" and {more} more"));
    names.take(NAMES_MAX).collect::<Vec<_>>().join(", ") + &more
}
