//! The page for people: what a mail administrator wants to know at a glance.
//!
//! In: the conductor's [`Report`], a [`Catalogue`] of the accounts, what the address asks for. Out: HTML, a style sheet
//! and a script.
//! Invariants: whatever strangers wrote is text, in HTML as on a terminal; no state is told by colour alone; every page
//! works without the script, and its address says all that it shows; the links are relative, so that a proxy may serve
//! the pages beneath any path. Nothing here can change anything: there is no form but the search.
//! Deliberately absent: sockets, time-outs and the questions to the conductor (see [`crate::admin`]); whatever is not of
//! this program's own making, fonts included.
//!
//! The rooms inside: [`catalogue`] (the accounts, small), [`selection`] (search, filter, order, pages), [`headline`] (how
//! it stands, in one sentence), [`words`] (moments and numbers), and the views.

pub mod catalogue;
mod changes;
mod detail;
mod headline;
mod icon;
mod overview;
mod runbook;
mod selection;
mod shell;
mod table;
mod words;

pub use self::catalogue::Catalogue;
pub use self::detail::account;
pub use self::overview::overview;
pub use self::runbook::runbook;
pub use self::selection::Selection;
pub use self::shell::{SECURITY_POLICY, missing};
use crate::ledger::Owner;
use crate::report::Report;
use crate::timestamp::Timestamp;

/// The style sheet.
pub const STYLE: &str = include_str!("page/page.css");

/// The script.
pub const SCRIPT: &str = include_str!("page/page.js");

/// The picture in the browser's tab.
pub const ICON: &str = include_str!("page/icon.svg");

/// Whose accounts these are, for people.
pub fn target(owner: Owner) -> String {
    match owner {
        Owner::Organization(zoid) => format!("Organization {zoid}"),
        Owner::User => "Own account".to_owned(),
        Owner::Sandbox => "Sandbox".to_owned(),
    }
}

/// What every page says.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Whose accounts these are: `organization 12345678`, `sandbox`.
    pub target: &'a str,
    /// The conductor's state.
    pub report: &'a Report,
    /// When the page is made.
    pub now: Timestamp,
}
