//! The list of accounts, with its search.
//!
//! In: the catalogue and what the address asks for. Out: a form, a table, and the way to the other pages.
//! Invariant: works without the script, and an address says all that is shown.

use maud::{Markup, html};

use super::catalogue::{Catalogue, Entry, FieldView, State};
use super::icon;
use super::selection::{PER_PAGE, Picked, Selection, Sort};
use super::words::{count, lasting, moment, several, text};
use crate::account::printable;
use crate::change::Known;
use crate::timestamp::Timestamp;

/// How much of a message the list shows, in characters; the account's own page shows all of it.
const MESSAGE_SHOWN: usize = 160;

pub(super) fn accounts(catalogue: &Catalogue, selection: &Selection, now: Timestamp) -> Markup {
    let picked = selection.pick(catalogue);
    html! {
        section #accounts aria-labelledby="accounts-title" {
            h2 #accounts-title { "Accounts" }
            (search(catalogue, selection))
            p.found #found {
                @if selection.is_narrow() {
                    (several(picked.found, "account")) " of " (count(catalogue.entries.len())) " · "
                    a href="?#accounts" { "Show all" }
                } @else { (several(picked.found, "account")) }
            }
            @if picked.entries.is_empty() {
                p.empty { @if selection.is_narrow() { "No account is like that." } @else { "There are no accounts yet." } }
            } @else {
                (rows(&picked, now))
            }
            (pager(&picked, selection))
        }
    }
}

fn search(catalogue: &Catalogue, selection: &Selection) -> Markup {
    html! {
        form #search role="search" method="get" action="#accounts" data-keep {
            p.grow {
                label for="q" { "Search" }
                input #q type="search" name="q" value=(selection.text) maxlength="254" autocomplete="off" spellcheck="false"
                    placeholder="Name, id or address";
            }
            p {
                label for="state" { "State" }
                select #state name="state" {
                    option value="" { "Any" }
                    @for state in State::ALL {
                        option value=(state.key()) selected[selection.state == Some(state)] { (state.label()) }
                    }
                }
            }
            p {
                label for="reason" { "Reason" }
                select #reason name="reason" {
                    option value="" { "Any" }
                    @let known: Vec<_> = catalogue.reasons().map(|(reason, _)| reason).collect();
                    @for reason in known.iter().chain(selection.reason.iter().filter(|reason| !known.contains(reason))) {
                        option value=(reason) selected[selection.reason == Some(*reason)] { (reason) }
                    }
                }
            }
            p {
                label for="sort" { "Order" }
                select #sort name="sort" {
                    @for (sort, key, label) in Sort::ALL {
                        option value=(key) selected[selection.sort == sort] { (label) }
                    }
                }
            }
            p { button type="submit" { "Show" } }
        }
    }
}

fn rows(picked: &Picked<'_>, now: Timestamp) -> Markup {
    html! {
        table.stack.accounts aria-labelledby="accounts-title" {
            thead { tr {
                th scope="col" { "Account" }
                th scope="col" { "State" }
                th scope="col" { "Mailbox" }
                th scope="col" { "ActiveSync" }
                th scope="col" { "Since" }
            } }
            tbody { @for entry in &picked.entries { (row(entry, now)) } }
        }
    }
}

fn row(entry: &Entry, now: Timestamp) -> Markup {
    let Entry { id, name, email, state, reason, message, since, next_attempt, fields, .. } = entry;
    let [mailbox, sync] = fields;
    html! {
        tr id={ "a" (id) } {
            th scope="row" {
                a href={ "accounts/" (id) } { @if name.is_empty() { (id) } @else { (text(name)) } }
                span.under { @match email { Some(email) => (text(email)), None => (id) } }
            }
            td.state {
                (badge(*state))
                @if let Some(message) = message {
                    " " a.reason href={ "runbook#" (reason) } { (reason) }
                    span.under { (text(&printable::cut(message, MESSAGE_SHOWN))) }
                }
            }
            td data-label="Mailbox" { (value(mailbox)) }
            td data-label="ActiveSync" { (value(sync)) }
            td data-label="Since" {
                @if matches!(state, State::InSync | State::Orphaned) { (moment(*since, now)) } @else { (lasting(*since, now)) }
                @if let Some(next) = next_attempt { span.under { "again " (moment(*next, now)) } }
            }
        }
    }
}

pub(super) fn badge(state: State) -> Markup {
    html! { span.badge data-state=(state.key()) { (icon::of_state(state)) (state.label()) } }
}

/// `on`, `on → off`, `?→ on`: what is known, and what is wanted if that is something else.
pub(super) fn value(field: &FieldView) -> Markup {
    let known = match field.known {
        Known::Applied(value) => on_or_off(value),
        Known::InDoubt => "in doubt",
        Known::Absent => "not set",
    };
    html! {
        @match field.wanted {
            None => span.quiet { "not managed" },
            Some(wanted) if field.known == Known::Applied(wanted) => (on_or_off(wanted)),
            Some(wanted) => { span.quiet { (known) } " → " strong { (on_or_off(wanted)) } },
        }
    }
}

pub(super) const fn on_or_off(value: bool) -> &'static str {
    if value { "on" } else { "off" }
}

fn pager(picked: &Picked<'_>, selection: &Selection) -> Markup {
    let to = |page| Selection { page, ..selection.clone() }.address();
    let (first, last) = (picked.page * PER_PAGE + 1, picked.page * PER_PAGE + picked.entries.len());
    html! {
        @if picked.pages > 1 {
            nav.pager aria-label="Pages" {
                @if picked.page > 0 { a rel="prev" href=(to(picked.page - 1)) { "← Previous" } } @else { span {} }
                span { (count(first)) "–" (count(last)) " of " (count(picked.found)) }
                @if picked.page + 1 < picked.pages { a rel="next" href=(to(picked.page + 1)) { "Next →" } } @else { span {} }
            }
        }
    }
}
