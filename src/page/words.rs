//! Moments, numbers and strangers' texts, as people read them.
//!
//! In: values. Out: pieces of HTML. Invariant: a moment is said relative to now and, for machines and whoever points at
//! it, absolutely in UTC.

use std::time::Duration;

use maud::{Markup, html};

use crate::account::{SourceRef, printable};
use crate::revision::Revision;
use crate::timestamp::Timestamp;

/// How many digits of a commit's hash are shown: as many as git shows of a large repository.
const HASH_SHOWN: usize = 8;

/// What a stranger wrote, fit to be shown; the template makes it fit for HTML.
pub(super) fn text(text: &str) -> String {
    printable::escape(text)
}

/// `10,000`.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// `1 account`, `2 accounts`.
pub(super) fn several(number: usize, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}

/// The largest whole unit of a duration, and the next one where the first is small: `1 h 20 min`, `3 days`.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        60 => "1 min".to_owned(),
        3600 => "1 h".to_owned(),
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{minutes} min"),
        7200..36000 if minutes % 60 > 0 => format!("{hours} h {} min", minutes % 60),
        7200..172_800 => format!("{hours} h"),
        _ => format!("{} days", count(usize::try_from(days).unwrap_or(usize::MAX))),
    }
}

/// A moment: `3 min ago`, `in 40 s`.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> Markup {
    let words = match (at > now, now.since(at).as_secs()) {
        (true, _) => format!("in {}", span(at.since(now) + Duration::from_millis(999))),
        (false, 0..2) => "just now".to_owned(),
        (false, _) => format!("{} ago", span(now.since(at))),
    };
    stamped(at, &words)
}

/// How long something has lasted: `for 3 min`.
pub(super) fn lasting(since: Timestamp, now: Timestamp) -> Markup {
    stamped(since, &format!("for {}", span(now.since(since))))
}

fn stamped(at: Timestamp, words: &str) -> Markup {
    let absolute = at.to_string();
    let (date, time) = absolute.split_once('T').unwrap_or((&absolute, ""));
    let time = time.get(..8).unwrap_or(time);
    html! { time datetime=(absolute) title={ (date) " " (time) " UTC" } { (words) } }
}

/// A place in a manifest. It may be broken between its parts only.
pub(super) fn source(source: &SourceRef) -> Markup {
    html! { code.path { (source.to_string()) } }
}

/// A revision, short: `main@1a2b3c4d`, and behind it who wrote it and why, where that is known.
pub(super) fn revision(revision: &Revision) -> Markup {
    let Revision { id, author, subject } = revision;
    let (branch, hash) = id.rsplit_once("sha1:").unwrap_or((id, ""));
    let (digits, suffix) = hash.split_at(hash.find('-').unwrap_or(hash.len()));
    let short = format!("{branch}{}{suffix}", digits.get(..HASH_SHOWN).unwrap_or(digits));
    html! {
        @if **id == *"unknown" { span.quiet { "revision unknown" } } @else { code title=(text(id)) { (text(&short)) } }
        @if let Some(subject) = subject { " " span.subject { (text(subject)) } }
        @if let Some(author) = author { " " span.quiet { (text(name(author))) } }
    }
}

/// The author's name, without the address where there is a name.
fn name(author: &str) -> &str {
    author.split_once(" <").map_or(author, |(name, _)| name).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_said_as_people_say_them() {
        for (number, said) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), said);
        }
        for (seconds, said) in [
            (0, "0 s"),
            (60, "1 min"),
            (3_600, "1 h"),
            (119, "119 s"),
            (120, "2 min"),
            (7_260, "2 h 1 min"),
            (50_000, "13 h"),
            (400_000, "4 days"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), said);
        }
    }

    #[test]
    fn a_moment_is_relative_for_people_and_absolute_for_whoever_points_at_it() {
        let now = Timestamp::from_millis(1_763_753_000_000);
        assert_eq!(
            moment(now.before(Duration::from_secs(180)), now).into_string(),
            "<time datetime=\"2025-11-21T19:20:20.000Z\" title=\"2025-11-21 19:20:20 UTC\">3 min ago</time>"
        );
        assert!(moment(now + Duration::from_millis(39_500), now).into_string().contains(">in 40 s<"));
    }
}
