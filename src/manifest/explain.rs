//! A problem, drawn under the line it is on.
//!
//! In: a [`Problem`] and, if it is at hand, the text of its file. Out: an excerpt for people:
//! the line, a mark under what is wrong, what was expected, and what to do.
//! Invariant: whatever the file holds, nothing in the excerpt can steer a terminal.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::problem::{Problem, printable_path};
use crate::account::printable::push_escaped;

/// Characters of the line shown before what is wrong; the rest of a long line says little.
const BEFORE: usize = 60;

/// Characters of the line shown from what is wrong on.
const AFTER: usize = 80;

/// The column behind what is wrong, in characters of its line in `text`; `None` where nothing stands.
pub fn end_column(problem: &Problem, text: &str) -> Option<u32> {
    let line = line(text, problem.line as usize)?;
    let length = token_length(line.chars().skip(problem.column as usize - 1));
    u32::try_from(length).ok().filter(|length| *length > 0).map(|length| problem.column.saturating_add(length))
}

fn line(text: &str, number: usize) -> Option<&str> {
    text.strip_prefix('\u{feff}').unwrap_or(text).lines().nth(number.checked_sub(1)?)
}

/// Draws `problem` with its line out of `text`, the newest text of its file. `color`: with ANSI colours.
pub fn explain(problem: &Problem, text: Option<&str>, color: bool) -> String {
    let path = printable_path(&problem.path);
    let line_number = problem.line as usize;
    let line = text.and_then(|text| line(text, line_number));
    let title = Level::ERROR.primary_title(problem.message()).id(problem.code.as_str());
    let origin = Origin::path(path.clone()).line(line_number).char_column(problem.column as usize);
    let mut group = match line {
        None => title.element(origin),
        Some(line) => {
            let (shown, span) = excerpt(line, problem.column as usize - 1);
            // A line that is shown escaped or cut has other columns than the file: the place is said apart.
            let verbatim = shown == line;
            let snippet = Snippet::source(shown).line_start(line_number);
            let snippet = snippet.annotation(AnnotationKind::Primary.span(span));
            if verbatim { title.element(snippet.path(path)) } else { title.element(origin).element(snippet) }
        }
    };
    if let Some(hint) = &problem.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    render(group, color)
}

fn render(group: Group<'_>, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// The part of `line` around its character `at`, made printable, and the bytes of it to mark.
fn excerpt(line: &str, at: usize) -> (String, Range<usize>) {
    let from = at.saturating_sub(BEFORE);
    let (mut shown, mut span) = (String::new(), None);
    if from > 0 {
        shown.push('…');
    }
    let wrong = at..at + token_length(line.chars().skip(at));
    for (index, c) in line.chars().enumerate().skip(from).take(at - from + AFTER) {
        let start = shown.len();
        push_escaped(&mut shown, c);
        if wrong.contains(&index) {
            span = Some(span.map_or(start, |span: Range<usize>| span.start)..shown.len());
        }
    }
    let end = shown.len();
    if line.chars().nth(at + AFTER).is_some() {
        shown.push('…');
    }
    (shown, span.unwrap_or(end..end))
}

/// How many characters the token has that `chars` begins with: a quoted string, or up to a blank or a separator.
fn token_length(mut chars: impl Iterator<Item = char>) -> usize {
    match chars.next() {
        Some(quote @ ('"' | '\'')) => chars.position(|c| c == quote).map_or(1, |length| length + 2),
        Some(_) => 1 + chars.take_while(|c| !matches!(c, ' ' | '\t' | ',' | ':' | ']' | '}')).count(),
        None => 0,
    }
}
