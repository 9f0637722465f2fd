//! The fault script at work: what each request meets.
//!
//! In: [`Fault`]s, and each request's operation and account. Out: what is done to the request.
//! Invariants: a script is checked as a whole before it replaces the one before it; the same
//! requests in the same order meet the same faults.

use std::time::Duration;

use serde::Deserialize;

use super::Error;
use super::faults::{Effect, Fault};
use super::route::Operation;
use crate::account::{AccountId, printable};

/// Faults in a script: far more than a rehearsal needs, few enough to look at one by one.
pub const MAX_FAULTS: usize = 1000;

/// The faults in force, with how many requests each has seen.
#[derive(Clone, Debug, Default)]
pub struct Script {
    faults: Vec<(Fault, u64)>,
}

/// What a request meets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    pub(super) latency: Duration,
    pub(super) effect: Option<Effect>,
}

impl Script {
    /// A script from values.
    pub fn new(faults: Vec<Fault>) -> Result<Self, Error> {
        if faults.len() > MAX_FAULTS {
            return Err(Error::TooManyFaults { count: faults.len() });
        }
        for (index, fault) in faults.iter().enumerate() {
            fault.check().map_err(|reason| Error::Fault { position: index + 1, reason })?;
        }
        Ok(Self { faults: faults.into_iter().map(|fault| (fault, 0)).collect() })
    }

    /// A script from JSON.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, expecting = "a JSON object with the key faults")]
        struct Document {
            faults: Vec<Fault>,
        }
        let Document { faults } =
            serde_json::from_slice(json).map_err(|error| Error::Script(printable::json_fault(&error)))?;
        Self::new(faults)
    }

    /// How many faults there are.
    pub const fn len(&self) -> usize {
        self.faults.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Counts one request for every fault it matches, and says what it meets.
    pub(super) fn meet(&mut self, operation: Operation, account: Option<AccountId>) -> Met {
        let mut met = Met::default();
        for (fault, seen) in &mut self.faults {
            if !fault.matches(operation, account) {
                continue;
            }
            *seen += 1;
            if fault.is_due(*seen) {
                met.latency += fault.latency;
                met.effect = met.effect.or_else(|| fault.effect.clone());
            }
        }
        met
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn refused(json: &str) -> String {
        let error = Script::parse(json.as_bytes()).unwrap_err();
        let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        let text = format!("{error}{source}");
        text.split_once("expected one of").map_or(text.clone(), |(start, _)| format!("{start}expected …"))
    }

    fn met(script: &mut Script, operation: Operation, account: u64) -> Option<Effect> {
        script.meet(operation, AccountId::new(account)).effect
    }

    #[test]
    fn a_fault_meets_the_requests_it_names_from_the_nth_on_and_no_more() {
        let mut script = Script::parse(
            br#"{"faults": [{"operation": "put", "account": "7", "nth": 2, "times": 2, "do": "dropAfterActing"}]}"#,
        )
        .unwrap();
        let dropped = Some(Effect::DropAfterActing);
        assert_eq!(met(&mut script, Operation::EnableMailAccount, 7), None, "the first");
        assert_eq!(met(&mut script, Operation::EnableMailAccount, 8), None, "another account");
        assert_eq!(met(&mut script, Operation::List, 7), None, "another operation");
        assert_eq!(met(&mut script, Operation::DisableMailAccount, 7), dropped);
        assert_eq!(met(&mut script, Operation::UpdateMobileSyncStatus, 7), dropped);
        assert_eq!(met(&mut script, Operation::EnableMailAccount, 7), None, "twice is over");
    }

    #[test]
    fn latencies_add_up_and_the_first_effect_wins() {
        let faults =
            r#"{"faults": [{"latency": "40ms"}, {"latency": "2s", "do": "badGateway"}, {"do": "expireToken"}]}"#;
        let met = Script::parse(faults.as_bytes()).unwrap().meet(Operation::List, None);
        assert_eq!(met, Met { latency: Duration::from_millis(2040), effect: Some(Effect::BadGateway) });
    }

    #[test]
    fn a_wrong_script_is_refused_with_the_place_and_the_reason() {
        let all: Vec<String> = [
            "",
            r#"{"faults": [{"operatoin": "put"}]}"#,
            r#"{"faults": [{"account": 7, "do": "badGateway"}]}"#,
            r#"{"faults": [{"nth": 0, "do": "badGateway"}]}"#,
            r#"{"faults": [{"do": "explode"}]}"#,
            r#"{"faults": [{"latency": "fast"}]}"#,
            r#"{"faults": [{"latency": "11m"}]}"#,
            r#"{"faults": [{"operation": "put"}]}"#,
            r#"{"faults": [{"operation": "list", "account": "7", "do": "badGateway"}]}"#,
            r#"{"faults": [{"operation": "token", "do": "expireToken"}]}"#,
            r#"{"faults": [{"do": {"answer": {"status": 199}}}]}"#,
            r#"{"faults": [{"latency": "1s"}, {"do": {"answer": {"status": 200, "headers": {"A b": "c"}}}}]}"#,
            r#"{"faults": [{"do": {"answer": {"status": 200, "headers": {"Connection": "close"}}}}]}"#,
            r#"{"faults": [{"do": {"redirect": "http://a\r\nSet-Cookie: b"}}]}"#,
            r#"{"faults": [{"do": {"answer": {"status": 200, "body": "ok", "cutAfter": 2}}}]}"#,
        ]
        .map(refused)
        .into();
        insta::assert_snapshot!(all.join("\n"), @r#"
        the fault script cannot be read: it ends too early, in line 1
        the fault script cannot be read: unknown field `operatoin`, expected …
        the fault script cannot be read: invalid type: integer `7`, expected a string at line 1 column 25
        the fault script cannot be read: invalid value: integer `0`, expected a nonzero u64 at line 1 column 21
        the fault script cannot be read: unknown variant `explode`, expected …
        the fault script cannot be read: expected a duration like 250ms or 2s: expected number at 0 at line 1 column 31
        fault 1 of the script has a latency above 10m
        fault 1 of the script does nothing: it needs `do` or `latency`
        fault 1 of the script names an account, but only a PUT has one in its path
        fault 1 of the script expires the token of a token request, which has none
        fault 1 of the script answers with status 199, which is not within 200 to 599
        fault 2 of the script has a header name with other than letters, digits and hyphens: "A b"
        fault 1 of the script sets Connection, which the sandbox sets itself
        fault 1 of the script has a value of Location that is not printable ASCII
        fault 1 of the script cuts the answer where it ends anyway
        "#);
        let many = vec![Fault { effect: Some(Effect::BadGateway), ..Fault::default() }; MAX_FAULTS + 1];
        let error = Script::new(many).unwrap_err();
        insta::assert_snapshot!(error, @"the fault script has 1001 faults, and the sandbox keeps at most 1000");
    }

    #[test]
    fn the_script_in_the_module_documentation_is_valid() {
        let documentation: String = include_str!("faults.rs")
            .lines()
            .skip_while(|line| *line != "//! ```json")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .map(|line| line.trim_start_matches("//!"))
            .collect();
        assert_eq!(Script::parse(documentation.as_bytes()).unwrap().len(), 4);
    }
}
