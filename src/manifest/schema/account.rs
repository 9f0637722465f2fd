//! What a `MailAccount` may say.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::super::protection::PROTECT;
use super::{Metadata, moment, one_line, without_defaults};

/// One mail account, and what is wanted of it.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("if" = is_protected()), extend("then" = loses_nothing()))]
pub(super) struct MailAccount {
    /// Version of the manifest's format.
    #[schemars(extend("const" = crate::manifest::API_VERSION))]
    api_version: String,
    /// What the manifest declares: one mail account.
    #[schemars(extend("const" = "MailAccount"))]
    kind: String,
    /// How people and programs call the manifest.
    metadata: Metadata,
    /// What is wanted of the account.
    spec: Spec,
}

/// What is wanted of the account.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    inline,
    transform = without_defaults,
    extend("anyOf" = [{"required": ["enabled"]}, {"required": ["activeSyncEnabled"]}]),
    extend("dependentSchemas" = suspended())
)]
struct Spec {
    /// The account's id in Zoho Mail (accountId), plain or in quotes.
    account_id: Id,
    /// The user's id in Zoho (zuid), plain or in quotes. Required with --auth admin.
    #[serde(default)]
    zuid: Id,
    /// The account's address, for people.
    #[schemars(length(min = 3, max = 254), regex(pattern = r"^[^@\s]+@[^@\s]+$"))]
    #[serde(default)]
    email: String,
    /// Whether the mailbox is enabled. Leave it out to leave it unmanaged.
    #[serde(default)]
    enabled: bool,
    /// Whether ActiveSync is enabled. Leave it out to leave it unmanaged.
    #[serde(default)]
    active_sync_enabled: bool,
    /// Whether reconciling pauses: while true, nothing is sent for this account.
    #[serde(default)]
    suspend: bool,
    /// Why it is suspended: one line, for people.
    #[schemars(transform = one_line)]
    #[serde(default)]
    suspend_reason: String,
    /// From when on it is reconciled again: RFC 3339, like 2027-01-31T08:00:00Z.
    #[schemars(transform = moment)]
    #[serde(default)]
    suspend_until: String,
    /// From when on the above is wanted; before, every managed field is wanted false: RFC 3339, like
    /// 2027-01-31T08:00:00Z or 2027-01-31T09:00:00+01:00.
    #[schemars(transform = moment)]
    #[serde(default)]
    valid_from: String,
    /// From when on every managed field is wanted false: RFC 3339, like 2027-06-30T18:00:00Z; after validFrom.
    #[schemars(transform = moment)]
    #[serde(default)]
    valid_until: String,
}

/// Digits, 1 to 9223372036854775807.
#[derive(Default)]
pub(super) struct Id;

impl JsonSchema for Id {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                {"type": "integer", "minimum": 1, "maximum": crate::account::MAX_ID},
                {"type": "string", "pattern": "^[1-9][0-9]{0,18}$"},
            ]
        })
    }
}

/// `suspendReason` and `suspendUntil` stand only beside `suspend: true`.
fn suspended() -> Value {
    let beside = serde_json::json!({"required": ["suspend"], "properties": {"suspend": {"const": true}}});
    serde_json::json!({"suspendReason": beside, "suspendUntil": beside})
}

/// The annotation protects the account.
fn is_protected() -> Value {
    let annotations = json!({"required": [PROTECT], "properties": {PROTECT: {"const": "true"}}});
    let metadata = json!({"required": ["annotations"], "properties": {"annotations": annotations}});
    json!({"required": ["metadata"], "properties": {"metadata": metadata}})
}

/// Nothing is taken away, now or later.
fn loses_nothing() -> Value {
    let on = json!({"const": true});
    let keys = json!({"enabled": on, "activeSyncEnabled": on, "validFrom": false, "validUntil": false});
    json!({"properties": {"spec": {"properties": keys}}})
}
