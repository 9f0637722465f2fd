//! The page of one account: what is wanted of it, what is known, what was said, what changed.
//!
//! In: the account's status and the report. Out: the page.

use maud::{Markup, html};

use super::catalogue::{Entry, FieldView, known};
use super::shell::Page;
use super::words::{lasting, moment, revision, source, text};
use super::{Frame, changes, table};
use crate::account::Field;
use crate::change::Known;
use crate::condition::ConditionStatus;
use crate::ledger::FieldState;
use crate::status::Item;
use crate::timestamp::Timestamp;

/// The page of the account that `item` describes.
pub fn account(frame: Frame<'_>, item: &Item) -> String {
    let (entry, now, up) = (Entry::from(item), frame.now, "../");
    let name = if entry.name.is_empty() { entry.id.to_string() } else { entry.name.to_string() };
    let own = frame.report.recent.iter().filter(|change| change.account == entry.id);
    let main = html! {
        p.back { a href={ (up) "." } { "← All accounts" } }
        section.hero data-state=(entry.state.key()) aria-label="How it stands" {
            h1 { (text(&name)) }
            p.lead {
                (table::badge(entry.state)) " "
                @match &entry.message {
                    Some(message) => { (text(message)) " " a.nowrap href={ (up) "runbook#" (entry.reason) } { "What to do: " (entry.reason) } },
                    None => "The service acknowledged everything that the manifest wants.",
                }
            }
        }
        (facts(item, now))
        section aria-labelledby="fields-title" {
            h2 #fields-title { "Settings" }
            (fields(item, now))
        }
        section aria-labelledby="conditions-title" {
            h2 #conditions-title { "Conditions" }
            (conditions(item, up, now))
        }
        section aria-labelledby="changes-title" {
            h2 #changes-title { "Latest changes" }
            @match changes::list(own, None, now) {
                Some(list) => (list),
                None => p.empty { "Not among the latest changes. " code { "zoho-mail-reconciler history " (text(&name)) } " shows all of them." },
            }
        }
    };
    Page { frame, title: &name, up, live: true, main }.render()
}

fn facts(item: &Item, now: Timestamp) -> Markup {
    let (spec, work) = (&item.spec, &item.status.work);
    let fact = |label: &str, value: Markup| html! { div { dt { (label) } dd { (value) } } };
    html! {
        dl.facts {
            @if let Some(email) = &spec.email { (fact("Address", html! { (text(email)) })) }
            (fact("Account id", html! { code { (spec.account_id) } }))
            @if let Some(zuid) = spec.zuid { (fact("User id (zuid)", html! { code { (zuid) } })) }
            @match &work.declared {
                Some((place, by)) => {
                    (fact("Manifest", html! { (source(place)) }))
                    (fact("Revision", revision(by)))
                },
                None => (fact("Manifest", html! { span.quiet { "none" } })),
            }
            (fact("Generation", html! { (item.metadata.generation) " " span.quiet { "(" (item.status.observed_generation) " observed)" } }))
            @if let Some(since) = work.pending_since { (fact("Pending", lasting(since, now))) }
            @if work.failures > 0 { (fact("Failed in a row", html! { (work.failures) })) }
            @if let Some(next) = work.next_attempt { (fact("Next attempt", moment(next, now))) }
            @if let Some(from) = spec.valid_from { (fact("Valid from", moment(from, now))) }
            @if let Some(until) = spec.valid_until { (fact("Valid until", moment(until, now))) }
            @if spec.suspend { (fact("Suspended", html! { "by its manifest" })) }
        }
    }
}

fn fields(item: &Item, now: Timestamp) -> Markup {
    let wanted = item.status.work.wanted;
    html! {
        table.stack.settings {
            thead { tr {
                th scope="col" { "Setting" } th scope="col" { "Value" } th scope="col" { "Acknowledged" }
                th scope="col" { "Wanted by" }
            } }
            tbody { @for field in Field::ALL {
                @let state = item.status.last_applied.of(field);
                @let view = FieldView { wanted: wanted[field as usize], known: state.map_or(Known::Absent, known) };
                tr {
                    th scope="row" { (changes::label(field)) }
                    td data-label="Value" { (table::value(&view)) }
                    (provenance(state, now))
                }
            } }
        }
    }
}

fn provenance(state: Option<&FieldState>, now: Timestamp) -> Markup {
    let acknowledged = |value: bool, at, place, by: &Option<std::sync::Arc<str>>| {
        html! {
            td { (table::on_or_off(value)) ", " (moment(at, now)) }
            td { (source(place)) " " @if let Some(by) = by { (revision(&of(by))) } }
        }
    };
    match state {
        None => html! { td { "never" } td {} },
        Some(FieldState::InDoubt { since, .. }) => html! {
            td { "in doubt: sent " (moment(*since, now)) ", and its end is not known" } td {}
        },
        Some(FieldState::Read { value, read_at }) => html! {
            td { (table::on_or_off(*value)) ", read " (moment(*read_at, now)) } td { "as the service showed it" }
        },
        Some(FieldState::Applied { value, applied_at, source, revision }) => {
            acknowledged(*value, *applied_at, source, revision)
        }
        Some(FieldState::Unsettled { value, applied_at, source, revision, .. }) => {
            acknowledged(*value, *applied_at, source, revision)
        }
    }
}

fn of(id: &std::sync::Arc<str>) -> crate::revision::Revision {
    crate::revision::Revision { id: std::sync::Arc::clone(id), ..Default::default() }
}

fn conditions(item: &Item, up: &str, now: Timestamp) -> Markup {
    html! {
        table.stack.conditions {
            thead { tr {
                th scope="col" { "Condition" } th scope="col" { "Status" } th scope="col" { "Reason" }
                th scope="col" { "Message" } th scope="col" { "Since" }
            } }
            tbody { @for told in &item.status.conditions {
                tr {
                    th scope="row" { (format!("{:?}", told.kind)) }
                    td { @match told.status { ConditionStatus::True => "True", ConditionStatus::False => "False" } }
                    td { a href={ (up) "runbook#" (told.reason) } { (told.reason) } }
                    td { (text(&told.message)) }
                    td { (moment(told.last_transition_time, now)) }
                }
            } }
        }
    }
}
