//! What a `DisruptionBudget` and a `DisruptionApproval` may say.

use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::account::Id;
use super::{Metadata, NAME_PATTERN, moment, one_line, without_defaults};

/// Every spelling of a duration that `humantime` knows: `30s`, `1h 30m`, `2days`.
const DURATION: &str = "^\\s*(([0-9.]+\\s*(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|\
    mins|min|m|hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w|months|month|M|years|year|yrs|yr|y)\\s*)+|0\\s*)$";

/// How many accounts may lose something at a time; stands in for the options of the daemon.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DisruptionBudget {
    /// Version of the manifest's format.
    #[schemars(extend("const" = crate::manifest::API_VERSION))]
    api_version: String,
    /// What the manifest declares: the disruption budget.
    #[schemars(extend("const" = "DisruptionBudget"))]
    kind: String,
    /// How people and programs call the manifest.
    metadata: Metadata,
    /// The budget. What is left out is as the daemon's options say.
    spec: BudgetSpec,
}

/// The budget. What is left out is as the daemon's options say.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    inline,
    transform = without_defaults,
    extend("anyOf" = [{"required": ["maxDisruptions"]}, {"required": ["maxGrants"]}, {"required": ["window"]}])
)]
struct BudgetSpec {
    /// How many accounts may lose something within the window: a number like 10, a percentage of the managed
    /// accounts like 5%, or the larger of both like 10,5%.
    #[serde(default)]
    max_disruptions: MaxDisruptions,
    /// How many accounts whose mailbox was disabled may come back within the window: the same, or off.
    #[serde(default)]
    max_grants: MaxGrants,
    /// How long a disruption counts, and a return: a duration such as 30m, 1h or 7days, at most 30 days.
    #[schemars(regex(pattern = DURATION))]
    #[serde(default)]
    window: String,
}

/// `N`, `P%` or `N,P%`.
#[derive(Default)]
struct MaxDisruptions;

/// `N`, `P%`, `N,P%` or `off`.
#[derive(Default)]
struct MaxGrants;

impl JsonSchema for MaxGrants {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MaxGrants".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        most(r"\s*off\s*|")
    }
}

/// A number of accounts, a share, both, or one of these words.
fn most(words: &str) -> Schema {
    let (number, percent) = ("[0-9]+", "0*(100|[0-9]{1,2})%");
    let both = format!(r"{number}\s*,\s*{percent}|{percent}\s*,\s*{number}");
    json_schema!({
        "oneOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": format!(r"^({words}\s*({number}|{percent}|{both})\s*)$")},
        ]
    })
}

impl JsonSchema for MaxDisruptions {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MaxDisruptions".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        most("")
    }
}

/// Lets exactly the named accounts lose exactly the named fields, beyond the budget, once reviewed.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DisruptionApproval {
    /// Version of the manifest's format.
    #[schemars(extend("const" = crate::manifest::API_VERSION))]
    api_version: String,
    /// What the manifest declares: an approval.
    #[schemars(extend("const" = "DisruptionApproval"))]
    kind: String,
    /// How people and programs call the manifest.
    metadata: Metadata,
    /// What is approved, why, and until when.
    spec: ApprovalSpec,
}

/// What is approved, why, and until when.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline, transform = without_defaults)]
struct ApprovalSpec {
    /// Why it is approved: one line, for whoever asks later.
    #[schemars(transform = one_line)]
    reason: String,
    /// From when on it approves nothing any more: RFC 3339, like 2027-01-31T08:00:00Z.
    #[schemars(transform = moment)]
    expires: String,
    /// The accounts that may lose something, or come back.
    #[schemars(length(min = 1))]
    accounts: Vec<Approved>,
    /// Whether it lets mailboxes come back that were disabled, and takes nothing away. Left out: it lets accounts lose
    /// something.
    #[serde(default)]
    grants: bool,
}

/// One account, and what it may lose.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline, transform = without_defaults)]
struct Approved {
    /// The account, as metadata.name of its manifest calls it.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    name: String,
    /// The account's id, if the approval is to hold for this account only, whoever bears the name by then.
    #[serde(default)]
    account_id: Id,
    /// What it may lose, or get back: enabled, activeSyncEnabled, or both.
    #[schemars(length(min = 1))]
    fields: BTreeSet<Loss>,
}

/// A field that may be set to false.
#[derive(JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
#[schemars(inline, transform = plain_enum)]
enum Loss {
    /// The mailbox.
    Enabled,
    /// The ActiveSync flag.
    ActiveSyncEnabled,
}

/// One list of words, where schemars would write an alternative for each: editors complete that better.
fn plain_enum(schema: &mut Schema) {
    if let Some(Value::Array(words)) = schema.remove("oneOf") {
        let words: Vec<_> = words.into_iter().filter_map(|mut word| word.get_mut("const").map(Value::take)).collect();
        schema.insert("type".to_owned(), "string".into());
        schema.insert("enum".to_owned(), words.into());
    }
}
