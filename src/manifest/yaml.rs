//! Values as YAML, for `-o yaml`.
//!
//! In: anything that serialises. Out: a text that ends with a newline.
//! Invariant: a text is in quotes if any reader might take it for something else: `no` and `on` are booleans to YAML
//! 1.1, `1_000` and `1:30` numbers, `2027-01-31` a date. Here because no other room knows the YAML libraries.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde::Serialize;

use super::node::Node;

/// A value that YAML cannot express.
#[derive(Debug, thiserror::Error)]
#[error("the value cannot be written as YAML")]
pub struct NotYaml(#[from] serde_yaml::Error);

/// Writes `value` as a YAML document.
///
/// # Errors
/// Only if the value's own `Serialize` fails, or nests enums in a way YAML has no form for.
pub fn to_yaml<T: Serialize>(value: &T) -> Result<String, NotYaml> {
    Ok(quote(serde_yaml::to_string(value)?))
}

/// Puts those plain texts of `yaml` in quotes that YAML 1.1 takes for something else.
fn quote(yaml: String) -> String {
    let mut plain = Vec::new();
    let mut parser = Parser::new_from_str(&yaml);
    while let Some(Ok((event, span))) = parser.next_event() {
        if let Event::Scalar(text, ScalarStyle::Plain, ..) = event
            && is_no_text_to_others(&text)
            && matches!(Node::plain(text.as_ref().into()), Node::Text(_))
        {
            // A text without quotes is on one line: the library breaks none.
            plain.push((span.start.line(), span.start.col(), text.chars().count()));
        }
    }
    let mut plain = plain.into_iter().peekable();
    if plain.peek().is_none() {
        return yaml;
    }
    let mut out = String::with_capacity(yaml.len() + yaml.len() / 8);
    for (number, line) in (1..).zip(yaml.split_inclusive('\n')) {
        let mut quotes = Vec::new();
        while let Some((_, from, length)) = plain.next_if(|(line, ..)| *line == number) {
            quotes.extend([from, from + length]);
        }
        let mut quotes = quotes.into_iter().peekable();
        for (index, c) in line.chars().enumerate() {
            if quotes.next_if_eq(&index).is_some() {
                out.push('\'');
            }
            out.push(c);
        }
        if quotes.next().is_some() {
            out.push('\'');
        }
    }
    out
}

/// Whether some reader takes `text` for a boolean, a number, a moment or a sign of its own (<https://yaml.org/type>).
/// Says so of more than need be, of an address like `10.0.0.1` for one.
fn is_no_text_to_others(text: &str) -> bool {
    let number = |byte: u8| byte.is_ascii_hexdigit() || b"xXoO_:.+-TtZz ".contains(&byte);
    let words = ["y", "n", "yes", "no", "on", "off", "=", "<<"];
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
        || text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) && text.bytes().all(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountId;

    #[test]
    fn what_yaml_1_1_takes_for_something_else_is_in_quotes() {
        let texts = [
            "no",
            "On",
            "y",
            "1_000",
            "1:30",
            "2027-01-31",
            "2027-01-31T00:00:00Z",
            "0o17",
            "0777",
            "1e3",
            ".5_0",
            "=",
            "<<",
            "10.0.0.1",
            "+1",
            "~",
            "true",
            "null",
            "",
        ];
        for text in texts {
            assert_eq!(to_yaml(&[text]).unwrap(), format!("- '{text}'\n"));
        }
        for text in ["alice", "no more", "é", "v1.2", "none", "main@sha1:12"] {
            assert_eq!(to_yaml(&[text]).unwrap(), format!("- {text}\n"));
        }
        assert_eq!(to_yaml(&(1, 2.5, true, None::<u8>)).unwrap(), "- 1\n- 2.5\n- true\n- null\n");
        let nested = serde_json::json!({"é": {"on": ["off", {"y": "a: no"}]}, "text": "no\n on\n", "n": "no"});
        let yaml = to_yaml(&nested).unwrap();
        assert_eq!(serde_yaml::from_str::<serde_json::Value>(&yaml).unwrap(), nested);
        for quoted in ["'on':", "- 'off'", "- 'y': 'a: no'", "'n': 'no'", "|\n  no\n   on\n"] {
            assert!(yaml.contains(quoted), "{yaml}");
        }
    }

    #[test]
    fn ids_stay_strings_in_yaml() {
        let id = AccountId::new(2_560_636_000_000_008_002).unwrap();
        assert_eq!(to_yaml(&[id]).unwrap(), "- '2560636000000008002'\n");
    }
}
