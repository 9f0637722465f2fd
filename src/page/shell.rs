//! What stands around every page: head, header, footer.
//!
//! In: a title and the page's content. Out: a whole document.
//! Invariant: everything is loaded from here; nothing runs or is styled inline, so that the policy can forbid it.

use maud::{DOCTYPE, Markup, html};

use super::Frame;
use super::words::text;
use crate::version::VERSION;

/// What a browser may do with a page: load from here, ask here, and nothing else.
pub const SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page.
pub(super) struct Page<'a> {
    pub(super) frame: Frame<'a>,
    /// What the browser's tab says first.
    pub(super) title: &'a str,
    /// The way to `/`: empty, or `../`.
    pub(super) up: &'static str,
    /// Whether the script keeps it up to date.
    pub(super) live: bool,
    pub(super) main: Markup,
}

impl Page<'_> {
    pub(super) fn render(self) -> String {
        let Self { frame, title, up, live, main } = self;
        let asset = |name: &str| format!("{up}{name}?v={}", env!("CARGO_PKG_VERSION"));
        let document = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="robots" content="noindex";
                    title { (text(title)) " · " (text(frame.target)) " · Zoho Mail reconciler" }
                    link rel="icon" type="image/svg+xml" href=(asset("icon.svg"));
                    link rel="stylesheet" href=(asset("page.css"));
                    script src=(asset("page.js")) defer {}
                }
                body data-live[live] {
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        a.home href={ (up) "." } { img src=(asset("icon.svg")) alt="" width="22" height="22"; "Zoho Mail reconciler" }
                        span.target { (text(frame.target)) }
                        p #connection role="status" {}
                    }
                    main #main tabindex="-1" { (main) }
                    footer {
                        nav aria-label="More" {
                            a href={ (up) "runbook" } { "Runbook" }
                            a href={ (up) "status" } { "Status as JSON" }
                            a href={ (up) "metrics" } { "Metrics" }
                        }
                        p { "zoho-mail-reconciler " (VERSION) ". These pages only show; what is wanted is changed in Git." }
                    }
                }
            }
        };
        document.into_string()
    }
}

/// The page that says that there is no such thing.
pub fn missing(frame: Frame<'_>, up: &'static str, what: &str) -> String {
    let main = html! {
        h1 { "Nothing here" }
        p.lead { (text(what)) }
        p { a href={ (up) "." } { "All accounts" } }
    };
    Page { frame, title: "Nothing here", up, live: false, main }.render()
}
