//! The envelope in which the service answers: `{"status":{"code","description"},"data":{"errorCode","moreInfo"}}`.
//!
//! In: a body of any kind. Out: [`Envelope`], or nothing if the body is no JSON object.
//! Invariant: success is read only from the documented form of it; whatever else is there, in
//! whatever type, is taken for an error rather than overlooked.
//! Old samples quote numbers, some calls say `error` for `errorCode`, and the accounts server
//! answers without an envelope: all of them are accepted here, so that nobody else has to know.

use serde_json::{Map, Value};

/// What can be read from an answer's body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    /// `status.code`, a number or digits.
    pub code: Option<u16>,
    /// `data.errorCode`, `data.error`, or either at the top. Empty if it is there without a text.
    pub error_code: Option<String>,
    /// Whether it is the documented one: with `status.code`, or with an error in `data`. Proxies and gateways answer in
    /// JSON as well, such as `{"message": "busy"}`.
    pub is_documented: bool,
    /// The texts for people, in the order in which they are worth reading.
    pub texts: Vec<String>,
}

impl Envelope {
    /// The envelope in `body`.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let Value::Object(top) = serde_json::from_slice(body).ok()? else { return None };
        let status = top.get("status").and_then(Value::as_object);
        let data = top.get("data").and_then(Value::as_object);
        let mut texts = Vec::new();
        add_text(&mut texts, status, "description");
        for key in ["moreInfo", "message"] {
            add_text(&mut texts, data, key);
        }
        for key in ["error_description", "message"] {
            add_text(&mut texts, Some(&top), key);
        }
        let code = status.and_then(|status| status.get("code")).and_then(code);
        let own_error = data.and_then(error_code);
        Some(Self {
            code,
            is_documented: code.is_some() || own_error.is_some(),
            error_code: own_error.or_else(|| error_code(&top)),
            texts,
        })
    }

    /// Whether this is the documented acknowledgement: a 2xx code and no error.
    pub fn is_success(&self) -> bool {
        self.error_code.is_none() && self.code.is_some_and(|code| (200..300).contains(&code))
    }

    /// Whether the error code is this one.
    pub fn is_error(&self, code: &str) -> bool {
        self.error_code.as_deref().is_some_and(|found| found.trim().eq_ignore_ascii_case(code))
    }
}

fn code(value: &Value) -> Option<u16> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|code| u16::try_from(code).ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// `null` says that there is no error; anything else that there is one.
fn error_code(object: &Map<String, Value>) -> Option<String> {
    ["errorCode", "error"].into_iter().filter_map(|key| object.get(key)).find(|value| !value.is_null()).map(text)
}

fn add_text(texts: &mut Vec<String>, object: Option<&Map<String, Value>>, key: &str) {
    if let Some(value) = object.and_then(|object| object.get(key)).filter(|value| !value.is_null()) {
        let text = text(value);
        if !text.trim().is_empty() && !texts.contains(&text) {
            texts.push(text);
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Envelope {
        Envelope::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn only_the_documented_form_is_success() {
        for body in [
            r#"{"status":{"code":200,"description":"success"}}"#,
            r#"{"status":{"code":"200","description":"success"}}"#,
            r#"{"status":{"code":200,"description":"success"},"data":{}}"#,
            r#"{"status":{"code":200},"data":{"errorCode":null}}"#,
            r#"{"status":{"code":201},"data":[]}"#,
        ] {
            assert!(parse(body).is_success(), "{body}");
        }
        for body in [
            "{}",
            r#"{"status":200}"#,
            r#"{"status":"success"}"#,
            r#"{"status":{"description":"success"}}"#,
            r#"{"status":{"code":null}}"#,
            r#"{"status":{"code":true}}"#,
            r#"{"status":{"code":-200}}"#,
            r#"{"status":{"code":200.5}}"#,
            r#"{"status":{"code":65736}}"#,
            r#"{"status":{"code":302}}"#,
            r#"{"status":{"code":200},"data":{"errorCode":"X"}}"#,
            r#"{"status":{"code":200},"data":{"errorCode":""}}"#,
            r#"{"status":{"code":200},"data":{"error":{}}}"#,
            r#"{"status":{"code":200},"error":"X"}"#,
            r#"{"code":200}"#,
        ] {
            assert!(!parse(body).is_success(), "{body}");
        }
    }

    #[test]
    fn json_with_neither_a_code_nor_an_error_in_its_place_is_not_the_documented_envelope() {
        for body in [
            r#"{"status":{"code":"429"}}"#,
            r#"{"status":{"code":500,"description":"Internal Error"}}"#,
            r#"{"data":{"errorCode":"X"}}"#,
            r#"{"data":{"error":"URL_RULE_NOT_CONFIGURED"}}"#,
        ] {
            assert!(parse(body).is_documented, "{body}");
        }
        for body in [
            "{}",
            r#"{"message":"API rate limit exceeded"}"#,
            r#"{"error":"busy"}"#,
            r#"{"status":503}"#,
            r#"{"status":{"code":"busy"}}"#,
            r#"{"data":{"errorCode":null}}"#,
            r#"{"code":503,"errorCode":"X"}"#,
        ] {
            assert!(!parse(body).is_documented, "{body}");
        }
    }

    #[test]
    fn what_is_no_json_object_is_no_envelope() {
        let deep = "[".repeat(60_000);
        for body in
            ["", " ", "success", "[]", "200", "\"200\"", "<html></html>", r#"{"status":{"code":200}"#, "{} {}", &deep]
        {
            assert_eq!(Envelope::parse(body.as_bytes()), None, "{:.20}", body);
        }
        assert_eq!(Envelope::parse(b"{\"a\":\"\xff\"}"), None);
    }

    #[test]
    fn every_known_place_of_an_error_is_looked_at() {
        let body = r#"{"data":{"errorCode":"PATTERN_NOT_MATCHED","moreInfo":"zuid is null"},"status":{"code":400,"description":"Invalid Input"}}"#;
        let expected = Envelope {
            code: Some(400),
            error_code: Some("PATTERN_NOT_MATCHED".into()),
            is_documented: true,
            texts: vec!["Invalid Input".into(), "zuid is null".into()],
        };
        assert_eq!(parse(body), expected);
        assert!(parse(body).is_error("pattern_not_matched"));
        assert_eq!(parse(r#"{"data":{"error":42}}"#).error_code.as_deref(), Some("42"));
        let body = r#"{"error":"Access Denied","error_description":"too many requests"}"#;
        assert_eq!(parse(body).texts, ["too many requests"]);
        assert!(parse(body).is_error("Access Denied"));
    }
}
