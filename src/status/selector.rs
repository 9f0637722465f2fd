//! Label selectors, as kubectl understands them: `team=sales,region!=eu`, `tier in (a,b)`, `!gone`.
//!
//! In: what somebody typed, and labels. Out: whether they match, or what is wrong with the selector, in kubectl's
//! words. Invariant: what Kubernetes accepts is accepted and means the same, `notin` and `!=` without the key included.

use std::cmp::Ordering;
use std::str::FromStr;

use crate::account::printable;
use crate::manifest::{Labels, is_label, is_qualified_name};

/// A selector: all of its requirements must hold. None at all match everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: Box<str>,
    operator: Operator,
    values: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Exists,
    Absent,
    In,
    NotIn,
    Compares(Ordering),
}

/// Why a selector means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSelector(String);

impl Selector {
    /// Whether something with these `labels` is meant.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels.get(&*requirement.key).map(|value| &**value)))
    }
}

impl Requirement {
    /// Whether it holds of the key's value, if there is any.
    fn holds(&self, value: Option<&str>) -> bool {
        let listed = |value: &str| self.values.iter().any(|listed| **listed == *value);
        // Only whole numbers are larger or smaller than others.
        let number = |text: &str| text.parse::<i64>().ok();
        match self.operator {
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::In => value.is_some_and(listed),
            Operator::NotIn => !value.is_some_and(listed),
            Operator::Compares(order) => {
                let (found, wanted) = (value.and_then(number), self.values.first().and_then(|value| number(value)));
                found.zip(wanted).is_some_and(|(found, wanted)| found.cmp(&wanted) == order)
            }
        }
    }
}

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        let mut reader = Reader { rest: text };
        let mut requirements = Vec::new();
        match reader.peek() {
            Token::End => return Ok(Self(requirements)),
            Token::Word(_) | Token::Sign("!") => {}
            other => return other.instead_of("!, identifier, or 'end of string'"),
        }
        loop {
            let requirement = reader.requirement();
            let within = |InvalidSelector(why)| InvalidSelector(format!("unable to parse requirement: {why}"));
            requirements.push(requirement.map_err(within)?);
            match reader.next() {
                Token::End => return Ok(Self(requirements)),
                Token::Sign(",") if matches!(reader.peek(), Token::Word(_) | Token::Sign("!")) => {}
                Token::Sign(",") => return reader.peek().instead_of("identifier after ','"),
                other => return other.instead_of("',' or 'end of string'"),
            }
        }
    }
}

/// What a selector's text is made of. A word is whatever has none of the signs, and no blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Word(&'t str),
    Sign(&'static str),
    End,
}

/// The signs, longer ones before those they begin with.
const SIGNS: [&str; 9] = ["!=", "==", "=", "!", ",", "(", ")", ">", "<"];

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

impl Token<'_> {
    fn instead_of<T>(self, expected: &str) -> Result<T, InvalidSelector> {
        let found = match self {
            Token::Word(word) => word,
            Token::Sign(sign) => sign,
            Token::End => "",
        };
        Err(InvalidSelector(format!("found '{}', expected: {expected}", shown(found))))
    }
}

/// A piece of what was typed, short (the longest name there is) and printable.
fn shown(text: &str) -> String {
    printable::escape(&printable::cut(text, 63))
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Token<'t> {
        Reader { rest: self.rest }.next()
    }

    fn next(&mut self) -> Token<'t> {
        self.rest = self.rest.trim_start_matches(BLANKS);
        if let Some(sign) = SIGNS.into_iter().find(|sign| self.rest.starts_with(sign)) {
            self.rest = &self.rest[sign.len()..];
            return Token::Sign(sign);
        }
        let ends = |c: char| BLANKS.contains(&c) || "=!,()><".contains(c);
        let (word, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        if word.is_empty() { Token::End } else { Token::Word(word) }
    }

    fn requirement(&mut self) -> Result<Requirement, InvalidSelector> {
        let absent = self.peek() == Token::Sign("!");
        if absent {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            other => return other.instead_of("identifier"),
        };
        if !is_qualified_name(key) {
            let key = shown(key);
            return Err(InvalidSelector(format!(
                "'{key}' is no label's key: expected one like team or example.com/team"
            )));
        }
        let (operator, values) = match self.peek() {
            _ if absent => (Operator::Absent, Vec::new()),
            Token::End | Token::Sign(",") => (Operator::Exists, Vec::new()),
            _ => self.comparison()?,
        };
        let compares = matches!(operator, Operator::Compares(_));
        for value in &values {
            if compares && value.parse::<i64>().is_err() {
                let value = shown(value);
                return Err(InvalidSelector(format!("'{value}': for '>' and '<' the value must be an integer")));
            }
            if !value.is_empty() && !is_label(value) {
                let (value, expected) = (shown(value), "letters, digits, '-', '_', '.', at most 63");
                return Err(InvalidSelector(format!("'{value}' is no label's value: expected {expected}")));
            }
        }
        Ok(Requirement { key: key.into(), operator, values })
    }

    fn comparison(&mut self) -> Result<(Operator, Vec<Box<str>>), InvalidSelector> {
        let operator = match self.next() {
            Token::Sign("=" | "==") => Operator::In,
            Token::Sign("!=") => Operator::NotIn,
            Token::Sign(">") => Operator::Compares(Ordering::Greater),
            Token::Sign("<") => Operator::Compares(Ordering::Less),
            Token::Word("in") => return Ok((Operator::In, self.list()?)),
            Token::Word("notin") => return Ok((Operator::NotIn, self.list()?)),
            other => return other.instead_of("in, notin, =, ==, !=, gt, lt"),
        };
        // Nothing after the sign is the empty value.
        let value = match self.peek() {
            Token::End | Token::Sign(",") => "",
            _ => match self.next() {
                Token::Word(word) => word,
                other => return other.instead_of("identifier"),
            },
        };
        Ok((operator, vec![value.into()]))
    }

    /// `(a, b)`; where nothing stands before a comma or the end stands the empty value.
    fn list(&mut self) -> Result<Vec<Box<str>>, InvalidSelector> {
        match self.next() {
            Token::Sign("(") => {}
            other => return other.instead_of("'('"),
        }
        let mut values: Vec<Box<str>> = Vec::new();
        loop {
            let value = match self.peek() {
                Token::Word(word) => {
                    self.next();
                    word
                }
                Token::Sign("," | ")") => "",
                other => return other.instead_of("',', ')' or identifier"),
            };
            values.push(value.into());
            match self.next() {
                Token::Sign(")") => return Ok(values),
                Token::Sign(",") => {}
                other => return other.instead_of("',' or ')'"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(selector: &str) -> String {
        let labels =
            |pairs: &[(&str, &str)]| -> Labels { pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect() };
        let all = [
            ("sales", labels(&[("team", "sales"), ("tier", "3")])),
            ("ops", labels(&[("team", "ops"), ("region", "eu"), ("tier", "10")])),
            ("empty", labels(&[("team", ""), ("tier", "x")])),
            ("none", Labels::new()),
        ];
        let selector: Selector = selector.parse().unwrap();
        all.iter().filter(|(_, labels)| selector.matches(labels)).map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_selector_means_what_it_means_to_kubectl() {
        for (selector, matches) in [
            ("", "sales ops empty none"),
            ("team=sales", "sales"),
            ("team==sales", "sales"),
            (" team = sales ", "sales"),
            ("team!=sales", "ops empty none"),
            ("team", "sales ops empty"),
            ("!team", "none"),
            ("! region , team", "sales empty"),
            ("team in (sales,ops)", "sales ops"),
            ("team in (sales , ops),region notin (us)", "sales ops"),
            ("region notin (eu)", "sales empty none"),
            ("team=", "empty"),
            ("team=,tier", "empty"),
            ("team in ()", "empty"),
            ("team in (,ops)", "ops empty"),
            ("team in (ops,)", "ops empty"),
            ("tier>3", "ops"),
            ("tier<10", "sales"),
            ("team!=", "sales ops none"),
            ("in in (in)", ""),
            ("notin=in", ""),
            ("example.com/team=x", ""),
        ] {
            assert_eq!(matching(selector), matches, "{selector}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused_in_kubectls_words() {
        let why = |selector: &str| selector.parse::<Selector>().unwrap_err().to_string();
        let all = [
            "=a",
            "a=b c",
            "a,",
            "a,,b",
            "a in b",
            "a in (b",
            "a in (b c)",
            "a=(b)",
            "!a=b",
            "!",
            "a b",
            "-a=b",
            "a=-b",
            "a>b",
            "a=b\u{1b}[31m",
            "a in (b),)",
        ];
        let said: Vec<_> = all.iter().map(|selector| format!("{}: {}", shown(selector), why(selector))).collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        =a: found '=', expected: !, identifier, or 'end of string'
        a=b c: found 'c', expected: ',' or 'end of string'
        a,: found '', expected: identifier after ','
        a,,b: found ',', expected: identifier after ','
        a in b: unable to parse requirement: found 'b', expected: '('
        a in (b: unable to parse requirement: found '', expected: ',' or ')'
        a in (b c): unable to parse requirement: found 'c', expected: ',' or ')'
        a=(b): unable to parse requirement: found '(', expected: identifier
        !a=b: found '=', expected: ',' or 'end of string'
        !: unable to parse requirement: found '', expected: identifier
        a b: unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt
        -a=b: unable to parse requirement: '-a' is no label's key: expected one like team or example.com/team
        a=-b: unable to parse requirement: '-b' is no label's value: expected letters, digits, '-', '_', '.', at most 63
        a>b: unable to parse requirement: 'b': for '>' and '<' the value must be an integer
        a=b\u{1b}[31m: unable to parse requirement: 'b\u{1b}[31m' is no label's value: expected letters, digits, '-', '_', '.', at most 63
        a in (b),): found ')', expected: identifier after ','
        ");
    }
}
