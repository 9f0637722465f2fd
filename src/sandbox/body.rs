//! The JSON of a PUT, read as strictly as the three pages allow.
//!
//! In: the body's bytes. Out: [`Body`], the `zuid` and what is to be done, or a refusal that names
//! the key. Invariants: keys are those of the page for the `mode`, each once; ids are whole numbers
//! or strings of digits, `activeSyncEnabled` a boolean or `"true"`/`"false"`, because the pages'
//! samples and type columns differ (Zoho's documentation, the three operations). The sibling modes that
//! reset passwords or disable whole users do not exist here.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::message::Refusal;
use super::route::Operation;
use crate::account::Zuid;

/// What a PUT asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Mailbox { enabled: bool },
    ActiveSync { enabled: bool },
}

/// A PUT's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) zuid: Option<Zuid>,
    pub(super) command: Command,
}

impl Body {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        // Only the place: serde_json's own text can repeat what stands there.
        let Pairs(pairs) = serde_json::from_slice(bytes).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Refusal::input("JSON_PARSE_ERROR", format!("the body is not one JSON object: see {place}"))
        })?;
        let mut zuid = None;
        let mut mode = None;
        let mut active_sync = None;
        for (key, value) in pairs {
            let slot = match key.as_str() {
                "zuid" => &mut zuid,
                "mode" => &mut mode,
                "activeSyncEnabled" => &mut active_sync,
                _ => return Err(extra(format!("the pages know no key {}", shown(&key)))),
            };
            if slot.replace(value).is_some() {
                return Err(extra(format!("the key {key} is there twice")));
            }
        }
        Ok(Self { command: command(mode, active_sync)?, zuid: zuid.as_ref().map(read_zuid).transpose()? })
    }

    pub(super) const fn operation(&self) -> Operation {
        match self.command {
            Command::Mailbox { enabled: true } => Operation::EnableMailAccount,
            Command::Mailbox { enabled: false } => Operation::DisableMailAccount,
            Command::ActiveSync { .. } => Operation::UpdateMobileSyncStatus,
        }
    }
}

fn command(mode: Option<Value>, active_sync: Option<Value>) -> Result<Command, Refusal> {
    let command = match mode.as_ref().map(Value::as_str) {
        None => return Err(missing("mode is missing")),
        Some(Some("enableMailAccount")) => Command::Mailbox { enabled: true },
        Some(Some("disableMailAccount")) => Command::Mailbox { enabled: false },
        Some(Some("updateMobileSyncStatus")) => {
            let value = active_sync.ok_or_else(|| missing("updateMobileSyncStatus needs activeSyncEnabled"))?;
            return Ok(Command::ActiveSync { enabled: read_flag(&value)? });
        }
        Some(_) => {
            return Err(pattern("mode is none of enableMailAccount, disableMailAccount, updateMobileSyncStatus"));
        }
    };
    match active_sync {
        None => Ok(command),
        Some(_) => Err(extra("activeSyncEnabled belongs to updateMobileSyncStatus only".into())),
    }
}

fn read_zuid(value: &Value) -> Result<Zuid, Refusal> {
    let zuid = match value {
        Value::Number(number) => number.as_u64().and_then(Zuid::new),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    };
    zuid.ok_or_else(|| pattern("zuid is not a long: a whole number, or a string of digits"))
}

fn read_flag(value: &Value) -> Result<bool, Refusal> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        _ => Err(pattern("activeSyncEnabled is not true or false")),
    }
}

// These errorCodes are the ones public clients of Zoho Mail report for such bodies [L].

fn extra(reason: String) -> Refusal {
    Refusal::input("EXTRA_KEY_FOUND_IN_JSON", reason)
}

fn missing(reason: &str) -> Refusal {
    Refusal::input("LESS_THAN_MIN_OCCURANCE", reason)
}

fn pattern(reason: &str) -> Refusal {
    Refusal::input("PATTERN_NOT_MATCHED", reason)
}

/// A stranger's key, short and on one line.
fn shown(key: &str) -> String {
    format!("{:?}", key.chars().take(40).collect::<String>())
}

/// A JSON object that keeps duplicate keys, which a map would hide.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::with_capacity(3);
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        let refusal = Body::parse(body.as_bytes()).unwrap_err();
        assert_eq!(refusal.status, 400);
        format!("{}: {}", refusal.code, refusal.reason)
    }

    #[test]
    fn numbers_and_strings_are_both_read() {
        let body = |zuid: &str, flag: &str| {
            let text = format!(r#"{{"zuid":{zuid},"mode":"updateMobileSyncStatus","activeSyncEnabled":{flag}}}"#);
            Body::parse(text.as_bytes()).unwrap()
        };
        let expected = Body { zuid: Zuid::new(1_111_111), command: Command::ActiveSync { enabled: false } };
        assert_eq!(body("1111111", "false"), expected);
        assert_eq!(body("\"1111111\"", "\"false\""), expected);
    }

    #[test]
    fn what_no_page_allows_is_refused_with_its_reason() {
        let all: Vec<String> = [
            "",
            "[]",
            r#"{"mode":"enableMailAccount"} {}"#,
            r#"{}"#,
            r#"{"mode":"disableUser"}"#,
            r#"{"mode":7}"#,
            r#"{"mode":"enableMailAccount","mode":"enableMailAccount"}"#,
            r#"{"mode":"enableMailAccount","Mode":"enableMailAccount"}"#,
            r#"{"mode":"enableMailAccount","activeSyncEnabled":true}"#,
            r#"{"mode":"updateMobileSyncStatus"}"#,
            r#"{"mode":"updateMobileSyncStatus","activeSyncEnabled":1}"#,
            r#"{"mode":"updateMobileSyncStatus","activeSyncEnabled":"True"}"#,
            r#"{"mode":"enableMailAccount","zuid":1111111.0}"#,
            r#"{"mode":"enableMailAccount","zuid":"01"}"#,
            r#"{"mode":"enableMailAccount","zuid":null}"#,
        ]
        .map(refused)
        .into();
        insta::assert_snapshot!(all.join("\n"), @r#"
        JSON_PARSE_ERROR: the body is not one JSON object: see line 1, column 0
        JSON_PARSE_ERROR: the body is not one JSON object: see line 1, column 0
        JSON_PARSE_ERROR: the body is not one JSON object: see line 1, column 30
        LESS_THAN_MIN_OCCURANCE: mode is missing
        PATTERN_NOT_MATCHED: mode is none of enableMailAccount, disableMailAccount, updateMobileSyncStatus
        PATTERN_NOT_MATCHED: mode is none of enableMailAccount, disableMailAccount, updateMobileSyncStatus
        EXTRA_KEY_FOUND_IN_JSON: the key mode is there twice
        EXTRA_KEY_FOUND_IN_JSON: the pages know no key "Mode"
        EXTRA_KEY_FOUND_IN_JSON: activeSyncEnabled belongs to updateMobileSyncStatus only
        LESS_THAN_MIN_OCCURANCE: updateMobileSyncStatus needs activeSyncEnabled
        PATTERN_NOT_MATCHED: activeSyncEnabled is not true or false
        PATTERN_NOT_MATCHED: activeSyncEnabled is not true or false
        PATTERN_NOT_MATCHED: zuid is not a long: a whole number, or a string of digits
        PATTERN_NOT_MATCHED: zuid is not a long: a whole number, or a string of digits
        PATTERN_NOT_MATCHED: zuid is not a long: a whole number, or a string of digits
        "#);
    }
}
