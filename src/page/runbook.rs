//! The page at `/runbook`: each entry under the key that links lead to.
//!
//! In: the runbook that is part of the program. Out: the page.
//! Invariant: the text is this program's own, and HTML in it would be shown and not obeyed.

use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{Event, Parser};

use super::Frame;
use super::shell::Page;
use crate::runbook as book;

/// The page.
pub fn runbook(frame: Frame<'_>) -> String {
    let main = html! {
        section.hero { h1 { "Runbook" } }
        div.book {
            div.prose { (markdown(book::introduction())) }
            nav.contents aria-label="Entries" {
                ul { @for key in book::keys() { li { a href={ "#" (key) } { (key) } } } }
            }
            @for (key, entry) in book::entries() {
                section.prose id=(key) aria-labelledby={ "title-" (key) } { h2 id={ "title-" (key) } { (key) } (markdown(entry)) }
            }
        }
    };
    Page { frame, title: "Runbook", up: "", live: false, main }.render()
}

fn markdown(text: &str) -> Markup {
    let events = Parser::new(text).map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        other => other,
    });
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events);
    PreEscaped(out)
}
