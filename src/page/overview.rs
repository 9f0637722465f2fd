//! The page at `/`: how it stands, what is in the way, what changed, and every account.
//!
//! In: the report, the catalogue, what the address asks for. Out: the page.

use maud::{Markup, html};

use super::catalogue::{Catalogue, State};
use super::headline::{Notice, headline, notices};
use super::selection::Selection;
use super::shell::Page;
use super::words::{count, lasting, moment, several, span, text};
use super::{Frame, changes, icon, table};
use crate::report::Report;
use crate::timestamp::Timestamp;

/// How many of the next dates are listed; `plan` lists more.
const DATES_MAX: usize = 3;

/// The page; `behind` says that the accounts are from then, for the conductor has not answered since.
pub fn overview(frame: Frame<'_>, catalogue: &Catalogue, selection: &Selection, behind: Option<Timestamp>) -> String {
    let Frame { report, now, .. } = frame;
    let notices = notices(report, catalogue, now);
    let headline = headline(report, catalogue, &notices);
    let main = html! {
        section.hero data-level=(headline.level.key()) aria-label="How it stands" {
            div aria-live="polite" aria-atomic="true" {
                h1 { (icon::of_level(headline.level)) (headline.title) }
            }
            p.lead {
                (several(report.managed, "account")) " declared"
                @if report.pending > 0 { " · " (count(report.pending)) " pending" }
                @if let Some(read) = report.last_sync { " · manifests read " (moment(read, now)) }
                @if let Some(behind) = behind { " · accounts as of " (moment(behind, now)) ", for the daemon is busy" }
            }
        }
        @if !notices.is_empty() {
            section.notices aria-label="What to know" { ul { @for notice in &notices { (told(notice, now)) } } }
        }
        (states(catalogue, selection))
        (cards(report, now))
        (approvals(catalogue, now))
        (dates(catalogue, now))
        section aria-labelledby="changes-title" {
            h2 #changes-title { "Latest changes" }
            @match changes::list(report.recent.iter(), Some(""), now) {
                Some(list) => (list),
                None => p.empty { "Nothing was changed yet." },
            }
        }
        (table::accounts(catalogue, selection, now))
    };
    Page { frame, title: &headline.title, up: "", live: true, main }.render()
}

fn told(notice: &Notice, now: Timestamp) -> Markup {
    let Notice { title, text, key, since, until, next, lines, state, level } = notice;
    html! {
        li id={ "n-" (key) "-" (state.map_or("", State::key)) } data-level=[level.map(|level| level.key())] {
            h2 { @if let Some(level) = level { (icon::of_level(*level)) } (title) }
            p {
                (text)
                @if let Some(since) = since { " " span.nowrap { "Since " (moment(*since, now)) "." } }
                @if let Some(until) = until { " " (ends(*state)) " " span.nowrap { (moment(*until, now)) "." } }
                @if let Some(next) = next { " The next attempt: " span.nowrap { (moment(*next, now)) "." } }
            }
            @if !lines.is_empty() { ul.lines { @for line in lines { li { code { (line) } } } } }
            p.links {
                @if let Some(state) = state {
                    a href=(Selection { state: Some(*state), ..Selection::default() }.address()) { "Show them" }
                }
                @if !key.is_empty() { a href={ "runbook#" (key) } { "What to do: " (key) } }
            }
        }
    }
}

/// A bar of all accounts, and a link to those of each state.
fn states(catalogue: &Catalogue, selection: &Selection) -> Markup {
    let all = catalogue.entries.len().max(1);
    let mut x = 0.0;
    let parts = State::ALL.into_iter().rev().filter(|state| catalogue.count(*state) > 0).map(|state| {
        // Wide enough to be seen, also if it is one of 10,000.
        let width = (catalogue.count(state) as f64 / all as f64 * 1000.0).max(4.0);
        x += width;
        (state, x - width, width)
    });
    let parts: Vec<_> = parts.collect();
    html! {
        section.states aria-label="Accounts by state" {
            svg.bar viewBox={ "0 0 " (x.max(1.0)) " 10" } preserveAspectRatio="none" aria-hidden="true" focusable="false" {
                @for (state, x, width) in parts {
                    rect data-state=(state.key()) x=(x) width=(width) height="10" {}
                }
            }
            ul {
                @for state in State::ALL.into_iter().rev() {
                    @let chosen = selection.state == Some(state);
                    li {
                        a.count data-state=(state.key()) data-none[catalogue.count(state) == 0]
                            aria-current=[chosen.then_some("true")]
                            href=(Selection { state: Some(state), ..Selection::default() }.address()) {
                            span.number { (count(catalogue.count(state))) }
                            span.label { (icon::of_state(state)) (state.label()) }
                        }
                    }
                }
            }
        }
    }
}

/// What there is to say of the end of a notice: a budget does not end, it frees one account after the other.
fn ends(state: Option<State>) -> &'static str {
    if state == Some(State::Held) { "The window frees the next account" } else { "Ends" }
}

fn cards(report: &Report, now: Timestamp) -> Markup {
    let budget = report.request_budget;
    let disruptions = report.disruptions;
    let changes = report.pending_changes;
    html! {
        section.cards aria-label="Budgets and work" {
            div.card {
                h2 { "Request budget" }
                @if let (Some(limit), Some(window)) = (budget.limit, budget.window) {
                    p.figure { (count(budget.used)) span.of { " of " (limit) " in " (span(window)) } }
                    (meter(budget.used, limit as usize))
                } @else { p.figure { "unlimited" } }
                p.quiet {
                    (count(report.in_flight)) " under way"
                    @if report.backing_off > 0 { " · " (count(report.backing_off)) " waiting to be tried again" }
                }
            }
            div.card {
                h2 { "Disruption budget" }
                p.figure { (count(disruptions.applied)) span.of { " of " (count(disruptions.limit)) " in " (span(report.budget.allowance.window)) } }
                (meter(disruptions.applied, disruptions.limit))
                p.quiet {
                    @if disruptions.pending > 0 { (several(disruptions.pending, "account")) " would lose something" }
                    @else { "accounts that lost something" }
                    @if report.held > report.held_grants {
                        " · " (several(disruptions.pending_changes, "change")) " of " (several(report.held - report.held_grants, "account")) " held"
                    }
                    @if let Some(at) = disruptions.next_freed { " · frees the next " (moment(at, now)) }
                }
                @if let Some(grants) = report.grants {
                    p.quiet {
                        "Grant budget: " (count(grants.applied)) " of " (count(grants.limit)) " came back"
                        @if report.held_grants > 0 { " · " (several(report.held_grants, "account")) " held" }
                    }
                }
            }
            div.card {
                h2 { "Pending changes" }
                p.figure {
                    (count(changes.total()))
                    @if let Some(oldest) = report.oldest_pending { span.of { " waiting " (lasting(oldest, now)) } }
                }
                dl.pending {
                    @for (label, directions) in [("Mailbox", changes.enabled), ("ActiveSync", changes.active_sync_enabled)] {
                        div { dt { (label) } dd { (count(directions.enable)) " on · " (count(directions.disable)) " off" } }
                    }
                }
            }
        }
    }
}

/// How much of something is used. The numbers stand beside it.
fn meter(used: usize, limit: usize) -> Markup {
    let share = if limit == 0 { u32::from(used > 0) as f64 } else { (used as f64 / limit as f64).min(1.0) };
    html! {
        svg.meter viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" focusable="false" data-full[share >= 1.0] {
            rect.track width="100" height="4" {}
            rect.used width=(format!("{:.1}", share * 100.0)) height="4" {}
        }
    }
}

/// What approvals let through, where any count.
fn approvals(catalogue: &Catalogue, now: Timestamp) -> Markup {
    let current = || catalogue.approvals.iter().filter(|approval| !approval.expired);
    html! {
        @if current().next().is_some() {
            section aria-labelledby="approvals-title" {
                h2 #approvals-title { "Approvals" }
                ul.approvals { @for approval in current() {
                    li {
                        strong { (text(&approval.name)) } ": " (text(&approval.reason)) " "
                        span.quiet {
                            (count(approval.open)) " of " (several(approval.disruptions, "disruption")) " open · ends "
                            (moment(approval.expires, now)) " · " (super::words::source(&approval.source))
                        }
                    }
                } }
            }
        }
    }
}

/// What the dates of manifests bring next.
fn dates(catalogue: &Catalogue, now: Timestamp) -> Markup {
    let moments = catalogue.upcoming(now).count();
    html! {
        @if moments > 0 {
            section aria-labelledby="dates-title" {
                h2 #dates-title { "Upcoming dates" }
                ul.approvals { @for (at, [begin, end]) in catalogue.upcoming(now).take(DATES_MAX) {
                    li {
                        (moment(at, now)) ": "
                        @if begin > 0 { (several(begin, "account")) @if begin == 1 { " begins" } @else { " begin" } }
                        @if begin > 0 && end > 0 { " · " }
                        @if end > 0 { (several(end, "account")) @if end == 1 { " ends" } @else { " end" } }
                    }
                } }
                @if moments > DATES_MAX { p.quiet { "and " (several(moments - DATES_MAX, "later moment")) } }
            }
        }
    }
}
