//! Reads one document in one go: what it says and where it says it come from the same events of the same parser.
//!
//! In: a document's text. Out: a [`Tree`], or [`Unread`]: the place and the cause.
//! Invariants: fails closed. What the parser refuses, and what follows the document's own end, is no value; there is no
//! place that the parser did not give; indentation by tabs and anchors that are no words, on which parsers differ, are
//! refused. At most [`MAX_NODES`] nodes, [`MAX_DEPTH`] collections within each other and
//! [`MAX_TEXT`] bytes of text, so that aliases cannot multiply.

use std::collections::BTreeMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::chunk::{column, end};
use super::node::{Node, Placed};
use super::problem::Place;

/// The most nodes of one document. A manifest has some 25, a hundred labels add 200; an account in an approval has ten.
const MAX_NODES: u32 = 4_096;

/// The most mappings and lists within each other, in brackets or by indentation. A manifest has four.
const MAX_DEPTH: usize = 16;

/// The most bytes of text in one document, aliases expanded: four times the largest document.
const MAX_TEXT: usize = 256 * 1024;

const TOO_DEEP: &str = "at most 16 mappings and lists within each other";

/// What the parser says of more than 255 brackets within each other.
const PARSER_TOO_DEEP: &str = "recursion limit exceeded";

/// What a document says.
#[derive(Debug, PartialEq)]
pub(super) struct Tree<'a> {
    pub root: Placed<'a>,
    /// Each tag, and where its node stands.
    pub tags: Vec<(Place, String)>,
}

/// Why a document cannot be read, and where that shows.
#[derive(Debug, PartialEq)]
pub(super) struct Unread {
    pub place: Place,
    pub cause: Cause,
    /// Where the innermost collection begins that was being read.
    pub within: Option<Place>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Cause {
    /// A bound was exceeded.
    Exceeded(&'static str),
    /// It is not YAML, in the parser's words.
    Syntax(String),
}

/// Reads the one document of `text`, which begins on `first_line` of its file.
pub(super) fn read(text: &str, first_line: u32) -> Result<Tree<'_>, Unread> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        first_line,
        end: end(text, first_line),
        text,
        tabs: tabs(text, first_line),
        tags: Vec::new(),
        anchors: BTreeMap::new(),
        nodes: 0,
        bytes: 0,
        open: Vec::new(),
    };
    match reader.document() {
        Ok(root) => Ok(Tree { root, tags: reader.tags }),
        Err(unread) => Err(Unread { within: reader.open.last().copied(), ..unread }),
    }
}

/// The places right after an indentation that has a tab in it. Some parsers take such a line for one of the root.
fn tabs(text: &str, first_line: u32) -> Vec<Place> {
    if !text.contains('\t') {
        return Vec::new();
    }
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let lines = text.lines().zip(first_line..).map(|(line, number)| (&line[..indentation(line)], number));
    let tabbed = lines.filter(|(indentation, _)| indentation.contains('\t'));
    tabbed.map(|(indentation, line)| Place { line, column: column(indentation, indentation.len()) }).collect()
}

fn syntax(place: Place, words: &str) -> Unread {
    Unread { place, cause: Cause::Syntax(words.to_owned()), within: None }
}

const fn exceeded(place: Place, bound: &'static str) -> Unread {
    Unread { place, cause: Cause::Exceeded(bound), within: None }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    first_line: u32,
    /// No place is further on.
    end: Place,
    text: &'a str,
    /// See [`tabs`].
    tabs: Vec<Place>,
    tags: Vec<(Place, String)>,
    /// What has an anchor, by the parser's number for it.
    anchors: BTreeMap<usize, Rc<Placed<'a>>>,
    nodes: u32,
    /// Of text, aliases expanded.
    bytes: usize,
    /// Where the collections begin that are being read, the innermost last.
    open: Vec<Place>,
}

impl<'a> Reader<'a> {
    /// The root, after which nothing may come.
    fn document(&mut self) -> Result<Placed<'a>, Unread> {
        let root = loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_), _) => {}
                (Event::StreamEnd, place) => return Ok(Placed::nothing(place)),
                (event, place) => break self.node(event, place)?,
            }
        };
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(root),
                (_, place) => return Err(syntax(place, "text after the end of the document")),
            }
        }
    }

    /// The next event and where it begins.
    fn next(&mut self) -> Result<(Event<'a>, Place), Unread> {
        match self.parser.next_event() {
            Some(Ok((event, Span { start, .. }))) => Ok((event, self.place(start.line(), start.col()))),
            Some(Err(error)) => {
                let place = self.place(error.marker().line(), error.marker().col());
                let too_deep = error.info() == PARSER_TOO_DEEP;
                Err(if too_deep { exceeded(place, TOO_DEEP) } else { syntax(place, error.info()) })
            }
            // The end of the stream is read once.
            None => Ok((Event::StreamEnd, self.end)),
        }
    }

    /// The place of the parser's line, counted from 1 in the document, and column, counted from 0.
    fn place(&self, line: usize, column: usize) -> Place {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX - 1);
        let line = self.first_line.saturating_add(number(line).saturating_sub(1));
        Place { line, column: number(column) + 1 }.min(self.end)
    }

    fn spend(&mut self, place: Place, text: usize) -> Result<(), Unread> {
        self.nodes += 1;
        self.bytes += text;
        if self.nodes > MAX_NODES {
            return Err(exceeded(place, "at most 4096 keys and values in a document"));
        }
        if self.bytes > MAX_TEXT {
            return Err(exceeded(place, "at most 256 KiB of text in a document, aliases included"));
        }
        Ok(())
    }

    /// The node that `event` begins.
    fn node(&mut self, event: Event<'a>, place: Place) -> Result<Placed<'a>, Unread> {
        if self.tabs.binary_search(&place).is_ok() {
            return Err(syntax(place, "found a tab in the indentation"));
        }
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.tag(place, tag.as_deref());
                self.spend(place, text.len())?;
                let node = if style == ScalarStyle::Plain { Node::plain(text) } else { Node::Text(text) };
                (anchor, node)
            }
            Event::SequenceStart(anchor, tag) => {
                self.tag(place, tag.as_deref());
                self.enter(place)?;
                (anchor, Node::List(self.items()?))
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(place, tag.as_deref());
                self.enter(place)?;
                (anchor, Node::Map(self.pairs()?))
            }
            Event::Alias(anchor) => {
                let Some(target) = self.anchors.get(&anchor).map(Rc::clone) else {
                    return Err(exceeded(place, "no alias within what it stands for"));
                };
                return self.copy(&target, place);
            }
            _ => return Err(syntax(place, "a value is missing")),
        };
        let placed = Placed { place, node };
        if anchor > 0 {
            self.check_anchor(place)?;
            self.anchors.insert(anchor, Rc::new(placed.clone()));
        }
        Ok(placed)
    }

    /// Refuses an anchor like `&a:5`, which to some parsers is `a`, and to others all of it.
    fn check_anchor(&self, place: Place) -> Result<(), Unread> {
        let line = self.text.lines().nth((place.line - self.first_line) as usize).unwrap_or_default();
        let mut rest = line.chars().skip(place.column as usize - 1);
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        // A tag may stand before it, with which nothing is read.
        if rest.next() == Some('&')
            && rest.find(|c| !is_word(*c)).is_some_and(|c| !matches!(c, ' ' | '\t' | ',' | ']' | '}'))
        {
            return Err(syntax(place, "anchor or alias with other characters than letters and digits"));
        }
        Ok(())
    }

    fn tag(&mut self, place: Place, tag: Option<&Tag>) {
        if let Some(tag) = tag {
            let prefix = if tag.is_yaml_core_schema() { "!!" } else { &*tag.handle };
            self.tags.push((place, format!("{prefix}{}", tag.suffix)));
        }
    }

    /// A collection begins, which ends by [`Self::leave`].
    fn enter(&mut self, place: Place) -> Result<(), Unread> {
        self.spend(place, 0)?;
        if self.open.len() == MAX_DEPTH {
            return Err(exceeded(place, TOO_DEEP));
        }
        self.open.push(place);
        Ok(())
    }

    fn leave<T>(&mut self, collection: T) -> Result<T, Unread> {
        self.open.pop();
        Ok(collection)
    }

    fn items(&mut self) -> Result<Vec<Placed<'a>>, Unread> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return self.leave(items),
                (event, place) => items.push(self.node(event, place)?),
            }
        }
    }

    fn pairs(&mut self) -> Result<Vec<(Placed<'a>, Placed<'a>)>, Unread> {
        let mut pairs = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return self.leave(pairs),
                (event, place) => self.node(event, place)?,
            };
            let (event, place) = self.next()?;
            let mut value = self.node(event, place)?;
            // Nothing after a colon has no place of its own: the parser gives that of whatever comes next.
            if value.is_nothing() {
                value.place = key.place;
            }
            pairs.push((key, value));
        }
    }

    /// What an alias at `place` stands for.
    fn copy(&mut self, of: &Placed<'a>, place: Place) -> Result<Placed<'a>, Unread> {
        let node = match &of.node {
            Node::List(items) => {
                self.enter(place)?;
                let items = items.iter().map(|item| self.copy(item, place)).collect::<Result<_, _>>()?;
                Node::List(self.leave(items)?)
            }
            Node::Map(pairs) => {
                self.enter(place)?;
                let pairs = pairs.iter().map(|(key, value)| Ok((self.copy(key, place)?, self.copy(value, place)?)));
                let pairs = pairs.collect::<Result<_, _>>()?;
                Node::Map(self.leave(pairs)?)
            }
            Node::Null(text) | Node::OddInt(text) | Node::Float(text) | Node::Text(text) => {
                self.spend(place, text.len())?;
                of.node.clone()
            }
            Node::Bool(_) | Node::Int(_) => {
                self.spend(place, 0)?;
                of.node.clone()
            }
        };
        Ok(Placed { place, node })
    }
}

#[cfg(test)]
mod tests;
