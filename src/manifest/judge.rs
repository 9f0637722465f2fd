//! What every check needs: a node with its place, the name of its field, and where problems go.
//!
//! In: [`Placed`] nodes. Out: the values that the checks ask for, or problems that name field, place, what was expected
//! and what was found.
//! Invariant: no check here knows what a manifest is; that is [`mod@super::decode`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::look_alike;
use super::node::{Node, Placed};
use super::problem::{Place, Problem, ProblemCode, printable};

/// The longest word that is compared with the words it might have been.
const MAX_NEAR_MISS: usize = 40;

/// A key, and the mapping it stands in; or `[n]`, and the list.
#[derive(Clone, Copy)]
pub(super) struct Field<'p> {
    parent: Option<&'p Self>,
    key: &'p str,
}

impl<'p> Field<'p> {
    /// The document itself.
    pub(super) const ROOT: Self = Field { parent: None, key: "" };

    pub(super) const fn key(&'p self, key: &'p str) -> Self {
        Field { parent: Some(self), key }
    }

    fn path(&self) -> String {
        match self.parent {
            None => String::new(),
            Some(parent) if parent.parent.is_none() => printable(self.key),
            Some(parent) if self.key.starts_with('[') => format!("{}{}", parent.path(), printable(self.key)),
            Some(parent) => format!("{}.{}", parent.path(), printable(self.key)),
        }
    }
}

/// A node and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Spot<'n> {
    pub node: &'n Node<'n>,
    pub place: Place,
}

impl<'n> From<&'n Placed<'n>> for Spot<'n> {
    fn from(placed: &'n Placed<'n>) -> Self {
        Self { node: &placed.node, place: placed.place }
    }
}

impl<'n> Spot<'n> {
    /// The pairs of a mapping, each with the place of its key; nothing if it is no mapping.
    pub(super) fn pairs(self) -> impl Iterator<Item = (&'n Node<'n>, Place, Self)> {
        let pairs = if let Node::Map(pairs) = self.node { pairs.as_slice() } else { &[] };
        pairs.iter().map(|(key, value)| (&key.node, key.place, value.into()))
    }

    /// The items of a list; nothing if it is none.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let items = if let Node::List(items) = self.node { items.as_slice() } else { &[] };
        items.iter().map(Self::from)
    }

    /// What stands here, in words.
    pub(super) fn describe(self) -> String {
        match self.node {
            Node::Null(text) if text.is_empty() => "nothing".to_owned(),
            Node::Null(text) => printable(text),
            Node::Bool(value) => format!("the boolean {value}"),
            Node::Int(value) => format!("the number {value}"),
            Node::OddInt(text) => format!("the number {}", printable(text)),
            Node::Float(text) => format!("the floating-point number {}", printable(text)),
            Node::Text(text) => format!("the string \"{}\"", printable(text)),
            Node::List(_) => "a list".to_owned(),
            Node::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The hint of a text in which a character only looks like another one.
    pub(super) fn look_alike(self) -> Option<String> {
        if let Node::Text(text) = self.node { look_alike::hint(text) } else { None }
    }
}

/// Collects the problems of one document.
pub(super) struct Judge<'a> {
    path: &'a Arc<str>,
    problems: Vec<Problem>,
    most: usize,
    /// The keys that misspelt ones were probably meant to be: these are not reported as missing too.
    meant: Vec<&'static str>,
    /// Whether two manifests stand in the document.
    joined: bool,
}

impl<'a> Judge<'a> {
    /// A judge who notes the first `most` problems; whether there is any is known in any case.
    pub(super) fn new(path: &'a Arc<str>, most: usize) -> Self {
        Self { path, problems: Vec::new(), most: most.max(1), meant: Vec::new(), joined: false }
    }

    /// All problems, in the order of their places.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(Problem::place);
        self.problems
    }

    pub(super) const fn found_nothing(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether the document holds a second manifest, of which nothing is reported.
    pub(super) const fn is_joined(&self) -> bool {
        self.joined
    }

    const fn is_full(&self) -> bool {
        self.problems.len() >= self.most
    }

    /// Notes a problem. `found` and `hint` must be printable already.
    pub(super) fn report(
        &mut self,
        (place, field): (Place, &Field<'_>),
        code: ProblemCode,
        expected: &str,
        found: String,
        hint: Option<String>,
    ) {
        if !self.is_full() {
            let (Place { line, column }, field) = (place, field.path());
            let (path, expected) = (Arc::clone(self.path), expected.to_owned());
            self.problems.push(Problem { path, line, column, field, code, expected, found, hint });
        }
    }

    /// Notes that a value is of the wrong type.
    pub(super) fn wrong_type(&mut self, spot: Spot<'_>, field: &Field<'_>, expected: &str, hint: Option<&str>) {
        let hint = spot.look_alike().or_else(|| hint.map(str::to_owned));
        self.report((spot.place, field), ProblemCode::WrongType, expected, spot.describe(), hint);
    }

    /// Notes that a value of the right type is not allowed.
    pub(super) fn invalid(&mut self, spot: Spot<'_>, field: &Field<'_>, expected: &str, hint: Option<&str>) {
        let hint = spot.look_alike().or_else(|| hint.map(str::to_owned));
        self.report((spot.place, field), ProblemCode::InvalidValue, expected, spot.describe(), hint);
    }

    /// Notes that the mapping `parent` lacks a key.
    pub(super) fn missing(&mut self, parent: Spot<'_>, field: &Field<'_>, expected: &str, hint: Option<&str>) {
        if self.meant.contains(&field.key) {
            return;
        }
        let (found, hint) = ("no such key".to_owned(), hint.map(str::to_owned));
        self.report((parent.place, field), ProblemCode::MissingKey, expected, found, hint);
    }

    /// The values of `keys` in the mapping at `spot`; every other key and every second one is a problem.
    pub(super) fn object<'n, const N: usize>(
        &mut self,
        spot: Spot<'n>,
        field: &Field<'_>,
        keys: &[&'static str; N],
        elsewhere: impl Fn(&str) -> Option<&'static str>,
    ) -> Option<[Option<Spot<'n>>; N]> {
        if !matches!(spot.node, Node::Map(_)) {
            let hint = matches!(spot.node, Node::List(_))
                .then_some("each account is a document of its own: separate them by lines ---");
            self.wrong_type(
                spot,
                field,
                &format!("a mapping with the keys {}", keys.join(", ")),
                hint.filter(|_| field.parent.is_none()),
            );
            return None;
        }
        let mut found: [Option<(Place, Spot<'n>)>; N] = [None; N];
        let mut again = Vec::new();
        for (key, place, value) in spot.pairs() {
            let Node::Text(key) = key else {
                self.odd_key(place, field, key);
                continue;
            };
            match keys.iter().position(|known| known == key) {
                None => self.unknown_key((place, &field.key(key)), keys, elsewhere(key)),
                Some(index) => match &mut found[index] {
                    Some((first, _)) => again.push((keys[index], place, *first)),
                    empty => *empty = Some((place, value)),
                },
            }
        }
        self.joined |= field.parent.is_none() && again.iter().any(|(key, ..)| matches!(*key, "apiVersion" | "kind"));
        match again.first() {
            Some((key, place, first)) if self.joined && field.parent.is_none() => {
                let found = format!("a second {key}, after line {}", first.line);
                let hint = Some("if another document begins here, write a line --- before it".to_owned());
                self.report((*place, field), ProblemCode::DuplicateKey, "one manifest in a document", found, hint);
            }
            _ => again.iter().for_each(|(key, place, first)| self.duplicate_key((*place, &field.key(key)), *first)),
        }
        Some(found.map(|found| found.map(|(_, value)| value)))
    }

    /// The pairs of a mapping whose keys are free, each once.
    pub(super) fn free_map<'n>(&mut self, spot: Spot<'n>, field: &Field<'_>) -> Vec<(&'n str, Place, Spot<'n>)> {
        if !matches!(spot.node, Node::Map(_)) {
            self.wrong_type(spot, field, "a mapping", Some("leave the key out, or write {}"));
        }
        let mut places = BTreeMap::new();
        let mut pairs = Vec::new();
        for (key, place, value) in spot.pairs() {
            let Node::Text(key) = key else {
                self.odd_key(place, field, key);
                continue;
            };
            match places.insert(key, place) {
                Some(first) => self.duplicate_key((place, &field.key(key)), first),
                None => pairs.push((&**key, place, value)),
            }
        }
        pairs
    }

    fn odd_key(&mut self, place: Place, field: &Field<'_>, key: &Node<'_>) {
        let found = Spot { node: key, place }.describe();
        let hint = Some("put it in quotes".to_owned());
        self.report((place, field), ProblemCode::WrongType, "keys that are strings", found, hint);
    }

    fn duplicate_key(&mut self, at: (Place, &Field<'_>), first: Place) {
        let found = format!("it again, after line {}", first.line);
        self.report(at, ProblemCode::DuplicateKey, "each key once", found, Some("remove one of the two".to_owned()));
    }

    fn unknown_key(&mut self, at: (Place, &Field<'_>), keys: &[&'static str], elsewhere: Option<&'static str>) {
        if self.is_full() {
            return; // Thousands of keys are not worth thousands of comparisons.
        }
        let key = at.1.key;
        let hint = if key == "<<" {
            Some("merge keys are not supported: write the keys out".to_owned())
        } else if let Some(near) = near_miss(key, keys) {
            self.meant.push(near);
            Some(look_alike::hint(key).unwrap_or_else(|| format!("did you mean {near}?")))
        } else {
            elsewhere.map(|parent| format!("it belongs under {parent}"))
        };
        let expected = format!("one of {}", keys.join(", "));
        self.report(at, ProblemCode::UnknownKey, &expected, format!("the unknown key \"{}\"", printable(key)), hint);
    }
}

/// The shortest beginning of a word that is taken for it: shorter ones begin too many.
const MIN_BEGINNING: usize = 3;

/// The one of `words` that `word` was probably meant to be.
pub(super) fn near_miss<'w>(word: &str, words: &[&'w str]) -> Option<&'w str> {
    if word.len() > MAX_NEAR_MISS {
        return None;
    }
    let plain = |word: &str| word.replace(['-', '_', ' '], "").to_lowercase();
    let word = plain(word);
    let distance = |candidate: &&str| strsim::damerau_levenshtein(&word, &plain(candidate));
    let nearest = words.iter().copied().min_by_key(distance)?;
    // A third of the letters wrong is still a misspelling, not another word.
    if distance(&nearest) <= nearest.len() / 3 {
        return Some(nearest);
    }
    // So is a word that was cut short, if it can be the beginning of one only.
    let mut begun = words.iter().copied().filter(|candidate| plain(candidate).starts_with(&word));
    begun.next().filter(|_| word.len() >= MIN_BEGINNING && begun.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_suggested_and_another_word_is_not() {
        let words = ["accountId", "zuid", "enabled", "activeSyncEnabled"];
        for (word, near) in [
            ("enabeld", Some("enabled")),
            ("account_id", Some("accountId")),
            ("ActiveSync-Enabled", Some("activeSyncEnabled")),
            ("accountid", Some("accountId")),
            ("zuidd", Some("zuid")),
            ("activeSync", Some("activeSyncEnabled")),
            ("account", Some("accountId")),
            ("ac", None),
            ("status", None),
            ("", None),
        ] {
            assert_eq!(near_miss(word, &words), near, "{word}");
        }
    }
}
