//! Where everything in a document stands: the places that `serde_yaml` does not keep.
//!
//! In: a document's text. Out: a tree of [`Mark`]s of the same shape as its [`super::node::Node`],
//! each with its place, and scalars with their text as written.
//! Invariant: judges nothing. A place that is missing, because this parser gave up earlier than
//! the other or an alias stands for the rest, is replaced by that of the parent. Built only for documents
//! that have a problem, or may have one that `serde_yaml` hides.

use std::borrow::Cow;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::chunk::end;
use super::problem::Place;

/// The most nodes that are marked: twice what a document may have.
const MAX_MARKS: u32 = 8_192;

/// The most collections within each other that are marked. Deeper documents are refused anyway.
const MAX_DEPTH: u32 = 64;

/// A node's place, and what stands there.
pub(super) struct Mark<'a> {
    pub place: Place,
    pub shape: Shape<'a>,
}

/// What a [`Mark`] marks.
pub(super) enum Shape<'a> {
    /// A scalar: its text, and whether it is plain (without quotes).
    Scalar(Cow<'a, str>, bool),
    /// An alias: its value stands elsewhere.
    Alias,
    /// A list's items, in order.
    List(Vec<Mark<'a>>),
    /// A mapping's pairs, in order.
    Map(Vec<(Mark<'a>, Mark<'a>)>),
}

/// All marks of a document.
pub(super) struct Marks<'a> {
    /// The root; `None` if the text is too broken.
    pub root: Option<Mark<'a>>,
    /// Each tag, and where its node stands.
    pub tags: Vec<(Place, String)>,
}

/// Marks the one document of `text`, which begins on `first_line` of its file.
pub(super) fn mark(text: &str, first_line: u32) -> Marks<'_> {
    let (parser, end) = (Parser::new_from_str(text), end(text, first_line));
    let mut marker = Marker { parser, first_line, end, tags: Vec::new(), left: MAX_MARKS };
    let root = loop {
        match marker.parser.next_event() {
            Some(Ok((Event::StreamStart | Event::DocumentStart(_), _))) => {}
            Some(Ok((event, span))) => break marker.node(event, span, 0),
            Some(Err(_)) | None => break None,
        }
    };
    Marks { root, tags: marker.tags }
}

struct Marker<'a> {
    parser: Parser<'a, StrInput<'a>>,
    first_line: u32,
    /// No place is further on.
    end: Place,
    tags: Vec<(Place, String)>,
    left: u32,
}

impl<'a> Marker<'a> {
    fn next(&mut self, depth: u32) -> Option<Mark<'a>> {
        match self.parser.next_event()? {
            Ok((event, span)) => self.node(event, span, depth),
            Err(_) => self.give_up(),
        }
    }

    /// From here on nothing is marked: a mark beside the wrong node would be worse than none.
    fn give_up(&mut self) -> Option<Mark<'a>> {
        self.left = 0;
        None
    }

    /// The node that `event` begins. `None` at the end of a collection, at an error, and beyond the bounds.
    fn node(&mut self, event: Event<'a>, span: Span, depth: u32) -> Option<Mark<'a>> {
        if matches!(event, Event::SequenceEnd | Event::MappingEnd) {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let place = self.place(span);
        if let Event::Scalar(.., Some(tag)) | Event::SequenceStart(_, Some(tag)) | Event::MappingStart(_, Some(tag)) =
            &event
        {
            let prefix = if tag.is_yaml_core_schema() { "!!" } else { &*tag.handle };
            self.tags.push((place, format!("{prefix}{}", tag.suffix)));
        }
        let shape = match event {
            Event::Scalar(text, style, ..) => Shape::Scalar(text, style == ScalarStyle::Plain),
            Event::Alias(_) => Shape::Alias,
            Event::SequenceStart(..) if depth < MAX_DEPTH => {
                Shape::List(std::iter::from_fn(|| self.next(depth + 1)).collect())
            }
            Event::MappingStart(..) if depth < MAX_DEPTH => Shape::Map(self.pairs(depth + 1)),
            _ => return self.give_up(),
        };
        Some(Mark { place, shape })
    }

    fn pairs(&mut self, depth: u32) -> Vec<(Mark<'a>, Mark<'a>)> {
        let mut pairs = Vec::new();
        while let Some(key) = self.next(depth) {
            match self.next(depth) {
                Some(value) => pairs.push((key, value)),
                None => break,
            }
        }
        pairs
    }

    fn place(&self, span: Span) -> Place {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX - 1);
        Place {
            line: self.first_line.saturating_add(number(span.start.line()).saturating_sub(1)),
            column: number(span.start.col()) + 1,
        }
        .min(self.end)
    }
}

impl Marks<'_> {
    /// Where the last key of `path` stands.
    pub(super) fn key(&self, path: &[&str]) -> Option<Place> {
        let (last, parents) = path.split_last()?;
        let mut mark = self.root.as_ref()?;
        for key in parents {
            mark = &mark.pair(key)?.1;
        }
        mark.pair(last).map(|(key, _)| key.place)
    }
}

impl Mark<'_> {
    fn pair(&self, key: &str) -> Option<&(Self, Self)> {
        let Shape::Map(pairs) = &self.shape else { return None };
        pairs.iter().find(|(found, _)| matches!(&found.shape, Shape::Scalar(text, _) if text == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tags_are_placed_in_lines_of_the_file() {
        let marks = mark("---\n# é\nspec:\n  labels: {\"é\": !!str 1}\n  accountId: 0x10\n", 11);
        assert_eq!(marks.key(&["spec", "accountId"]), Some(Place { line: 15, column: 3 }));
        let (place, tag) = &marks.tags[0];
        assert_eq!((place.line, place.column, tag == "!!str"), (14, 17, true), "{tag}");
    }

    #[test]
    fn nothing_is_marked_after_an_error() {
        let marks = mark("a: 1\nb: [1, }\nc: 2\n", 1);
        assert!(marks.key(&["a"]).is_some());
        assert_eq!(marks.key(&["c"]), None);
    }
}
