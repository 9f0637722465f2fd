//! The folder of manifests: can it be read, watched, and is what stands in it right?

use std::path::Path;

use super::place::{self, Kind};
use super::{Finding, Subject, count};
use crate::account::printable;

/// How many problems are named: a screen of them is no help.
const PROBLEMS_SHOWN: usize = 3;

/// Folders beyond this are not counted: any limit is reached by then.
const FOLDERS_MAX: usize = 200_000;

/// How many folders inside one another are looked into: as deep as the daemon.
const DEPTH_MAX: usize = crate::source::MAX_DEPTH;

pub(super) fn folder(subject: &Subject) -> Finding {
    let shown = printable::path(&subject.folder);
    match std::fs::read_dir(&subject.folder) {
        Ok(_) => Finding::ok(format!("{shown} is there and can be listed")),
        Err(error) => Finding::fail(
            format!("{shown} cannot be listed: {error}"),
            "make it, or correct --desired-state; let the daemon's user read it",
        ),
    }
}

pub(super) fn file_system(subject: &Subject) -> Finding {
    match place::noted(&subject.folder) {
        Some((name, Kind::Remote)) => Finding::warn(
            format!("{name}: changes that other machines make are not told, and are seen by scanning"),
            "lower --resync-interval, or keep a checkout on a local disk (git-sync)",
        ),
        Some((name, _)) => Finding::ok(name),
        None => Finding::ok("local"),
    }
}

pub(super) fn manifests(subject: &Subject) -> Finding {
    let (desired, problems) = match subject.manifests() {
        Ok(found) => found,
        Err(why) => return Finding::fail(why, "put manifests there: zoho-mail-reconciler explain DesiredStateUnknown"),
    };
    let accounts = count(desired.managed(), "account");
    if problems.is_empty() {
        return Finding::ok(format!("{accounts}, no problem"));
    }
    let shown: Vec<_> = problems.iter().take(PROBLEMS_SHOWN).map(ToString::to_string).collect();
    let more = if problems.len() > PROBLEMS_SHOWN { "; …" } else { "" };
    Finding::fail(
        format!("{} beside {accounts}: {}{more}", count(problems.len(), "problem"), shown.join("; ")),
        "mend them; zoho-mail-reconciler validate shows each under its line",
    )
}

pub(super) fn watching(subject: &Subject) -> Finding {
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches");
    let Some(limit) = limit.ok().and_then(|text| text.trim().parse::<usize>().ok()) else {
        return Finding::skip("the limit on watches cannot be read here");
    };
    let folders = folders(&subject.folder);
    let what = format!("{} to watch, of {limit} that this user may", count(folders, "folder"));
    // Other programs of the same user watch as well.
    if folders.saturating_mul(2) > limit {
        let remedy =
            format!("sysctl fs.inotify.max_user_watches={}; until then edits are found by scanning", folders * 4);
        return Finding::warn(what, remedy);
    }
    Finding::ok(what)
}

fn folders(root: &Path) -> usize {
    let (mut found, mut waiting) = (0, vec![(root.to_owned(), 0)]);
    while let Some((folder, depth)) = waiting.pop() {
        found += 1;
        if found >= FOLDERS_MAX || depth >= DEPTH_MAX {
            continue;
        }
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| {
            entry.file_type().is_ok_and(|kind| kind.is_dir()) && !entry.file_name().to_string_lossy().starts_with('.')
        });
        waiting.extend(folders.map(|entry| (entry.path(), depth + 1)));
    }
    found
}

pub(super) fn git(subject: &Subject) -> Finding {
    let Ok(real) = std::fs::canonicalize(&subject.folder) else { return Finding::skip("there is no folder") };
    if real.components().any(|part| part.as_os_str() == ".worktrees") {
        return Finding::ok("published by git-sync");
    }
    let Some(tree) = real.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok()) else {
        return Finding::ok("no checkout: the history will say what was changed, not by whose commit");
    };
    let shown = printable::path(tree);
    if let Some(operation) = &subject.unfinished {
        return Finding::warn(
            format!("git has begun {operation} in {shown}"),
            "end it, or run with --git-in-progress read: nothing is read until then",
        );
    }
    if tree.join(".git/index.lock").exists() {
        return Finding::warn(
            format!("git works in {shown}, or was killed there: .git/index.lock"),
            "if no git runs, remove that file: each look waits for it",
        );
    }
    Finding::ok(format!("a checkout in {shown}"))
}
