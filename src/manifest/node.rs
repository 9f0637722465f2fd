//! One YAML document as a tree, exactly as `serde_yaml` read it, before anybody judges it.
//!
//! In: a document's text. Out: a [`Node`] that keeps every pair of a mapping, also those whose
//! key stands twice, and borrows its texts where it can.
//! Invariants: at most [`MAX_NODES`] nodes, [`MAX_DEPTH`] collections within each other and
//! [`MAX_TEXT`] bytes of text, so that aliases cannot multiply. Absent by design: tags (the marks know them).

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// The most nodes of one document. A manifest has some 25, a hundred labels add 200; an account in an approval has ten.
const MAX_NODES: u32 = 4_096;

/// The most mappings and lists within each other. A manifest has four.
const MAX_DEPTH: u32 = 16;

const TOO_DEEP: &str = "at most 16 mappings and lists within each other";

/// The most bytes of text in one document, aliases expanded: four times the largest document.
const MAX_TEXT: usize = 256 * 1024;

/// A node of a document.
#[derive(Debug, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    /// A whole number that 64 bits without a sign can hold.
    Int(u64),
    /// Any other whole number: negative, or too large.
    OddInt,
    Float,
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

/// Reads the one document of `text`. The error says whether a bound was exceeded.
pub(super) fn read(text: &str) -> Result<Node<'_>, Unread> {
    let budget = Budget::default();
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(document) = documents.next() else { return Ok(Node::Null) };
    let node = (Seed { budget: &budget, depth: 0 })
        .deserialize(document)
        .map_err(|error| Unread { error, exceeded: budget.exceeded.get() })?;
    match documents.next() {
        None => Ok(node),
        // The text holds one document marker, so what follows is no document: read it for its error.
        Some(more) => match (Seed { budget: &budget, depth: 0 }).deserialize(more) {
            Err(error) => Err(Unread { error, exceeded: budget.exceeded.get() }),
            Ok(_) => {
                Err(Unread { error: serde_yaml::Error::custom("text after the end of the document"), exceeded: None })
            }
        },
    }
}

/// Why a document cannot be read.
pub(super) struct Unread {
    pub error: serde_yaml::Error,
    /// The bound that was exceeded; `None`: it is not YAML.
    pub exceeded: Option<&'static str>,
}

#[derive(Default)]
struct Budget {
    nodes: Cell<u32>,
    text: Cell<usize>,
    exceeded: Cell<Option<&'static str>>,
}

impl Budget {
    fn spend<E: Error>(&self, nodes: u32, text: usize) -> Result<(), E> {
        self.nodes.set(self.nodes.get() + nodes);
        self.text.set(self.text.get() + text);
        if self.nodes.get() > MAX_NODES {
            return Err(self.exceed("at most 4096 keys and values in a document"));
        }
        if self.text.get() > MAX_TEXT {
            return Err(self.exceed("at most 256 KiB of text in a document, aliases included"));
        }
        Ok(())
    }

    fn exceed<E: Error>(&self, bound: &'static str) -> E {
        self.exceeded.set(Some(bound));
        E::custom(bound)
    }
}

struct Seed<'b> {
    budget: &'b Budget,
    depth: u32,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        self.budget.spend(1, 0)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Int(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node<'de>, E> {
        Ok(Node::OddInt)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node<'de>, E> {
        Ok(Node::OddInt)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node<'de>, E> {
        Ok(Node::OddInt)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node<'de>, E> {
        Ok(Node::Float)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node<'de>, E> {
        self.budget.spend(0, value.len())?;
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node<'de>, A::Error> {
        let Self { budget, depth } = self;
        if depth == MAX_DEPTH {
            return Err(budget.exceed(TOO_DEEP));
        }
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Seed { budget, depth: depth + 1 })? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
        let Self { budget, depth } = self;
        if depth == MAX_DEPTH {
            return Err(budget.exceed(TOO_DEEP));
        }
        let mut pairs = Vec::new();
        while let Some(key) = map.next_key_seed(Seed { budget, depth: depth + 1 })? {
            pairs.push((key, map.next_value_seed(Seed { budget, depth: depth + 1 })?));
        }
        Ok(Node::Map(pairs))
    }

    /// A value with a tag: the tag is dropped here and refused by the marks.
    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Node<'de>, A::Error> {
        let Self { budget, depth } = self;
        let (_, value) = data.variant::<IgnoredAny>()?;
        if depth == MAX_DEPTH {
            return Err(budget.exceed(TOO_DEEP));
        }
        value.newtype_variant_seed(Seed { budget, depth: depth + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_kept_and_texts_are_borrowed() {
        let node = read("a: 1\na: yes\nb: [1, {c: d}]\n~: -1\n? 1.5\n: 99999999999999999999\n").ok().unwrap();
        let text = |text| Node::Text(Cow::Borrowed(text));
        assert_eq!(
            node,
            Node::Map(vec![
                (text("a"), Node::Int(1)),
                (text("a"), text("yes")),
                (text("b"), Node::List(vec![Node::Int(1), Node::Map(vec![(text("c"), text("d"))])])),
                (Node::Null, Node::OddInt),
                (Node::Float, Node::OddInt),
            ])
        );
    }

    #[test]
    fn text_after_the_end_of_a_document_is_not_ignored() {
        assert!(read("a: 1\n... b: 2\n").is_err());
    }
}
