//! What the service acknowledged last, with who wanted it.
//!
//! In: acknowledged changes, the newest first. Out: a list.

use maud::{Markup, html};

use super::table::on_or_off;
use super::words::{moment, revision, source, text};
use crate::account::Field;
use crate::report::Acknowledged;
use crate::timestamp::Timestamp;

/// How many changes stand open; the others are behind a click.
const SHOWN: usize = 6;

/// How many changes there are in all.
const MOST: usize = 60;

/// How a person names a field.
pub(super) const fn label(field: Field) -> &'static str {
    match field {
        Field::Enabled => "mailbox",
        Field::ActiveSyncEnabled => "ActiveSync",
    }
}

/// The changes; with a link to the account where `up` says where the accounts are.
pub(super) fn list<'a>(
    changes: impl Iterator<Item = &'a Acknowledged>,
    up: Option<&str>,
    now: Timestamp,
) -> Option<Markup> {
    let mut changes = changes.take(MOST);
    let open: Vec<_> = changes.by_ref().take(SHOWN).collect();
    let more: Vec<_> = changes.collect();
    (!open.is_empty()).then(|| {
        html! {
            ol.changes { @for change in open { (one(change, up, now)) } }
            @if !more.is_empty() {
                details #more-changes {
                    summary { (more.len()) " earlier" }
                    ol.changes { @for change in more { (one(change, up, now)) } }
                }
            }
        }
    })
}

fn one(change: &Acknowledged, up: Option<&str>, now: Timestamp) -> Markup {
    let Acknowledged { at, account, name, field, to, source: place, revision: by, approval } = change;
    html! {
        li id={ "c" (at.as_millis()) "-" (account) "-" (field) } {
            span.when { (moment(*at, now)) }
            span.what {
                @if let Some(up) = up { a href={ (up) "accounts/" (account) } { (text(name)) } ": " }
                (label(*field)) " " strong { (on_or_off(*to)) }
                @if let Some(approval) = approval { " " span.quiet { "approved by " (text(approval)) } }
            }
            span.why { (source(place)) " " (revision(by)) }
        }
    }
}
