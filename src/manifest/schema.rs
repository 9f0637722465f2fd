//! JSON Schema of a manifest, so that editors complete keys and mark mistakes while one types.
//!
//! In: nothing. Out: a schema (draft 2020-12) whose descriptions are the doc comments here.
//! Invariants: every manifest that [`super::parse`] accepts is valid; what is wrong in its shape
//! is not. Absent by design: what a schema cannot see (duplicate keys, two documents with one
//! account) or what depends on options (`zuid` is required with `--auth admin` only).

// These types describe manifests to schemars; the rules that build accounts are in `decode`.
#![expect(dead_code, reason = "never built, only described")]

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};
use serde_json::Value;

/// Lower-case DNS-1123 subdomain.
const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// The JSON Schema of a `MailAccount`, as a document of its own.
pub fn json_schema() -> Value {
    schema_for!(MailAccount).to_value()
}

/// One mail account, and what is wanted of it.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MailAccount {
    /// Version of the manifest's format.
    #[schemars(extend("const" = super::API_VERSION))]
    api_version: String,
    /// What the manifest declares.
    #[schemars(extend("const" = super::KIND))]
    kind: String,
    /// How people and programs call the manifest.
    metadata: Metadata,
    /// What is wanted of the account.
    spec: Spec,
}

/// How people and programs call the manifest.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, transform = without_defaults)]
struct Metadata {
    /// Name of the manifest, unique in the folder: lower-case letters, digits, '-' and '.'.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    name: String,
    /// Short texts to sort manifests by; not sent anywhere.
    #[schemars(extend("propertyNames" = qualified_name()))]
    #[serde(default)]
    labels: BTreeMap<String, Label>,
    /// Notes; not sent anywhere.
    #[schemars(extend("propertyNames" = qualified_name()))]
    #[serde(default)]
    annotations: BTreeMap<String, String>,
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
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[^\r\n]*\S[^\r\n]*$"))]
    #[serde(default)]
    suspend_reason: String,
    /// From when on it is reconciled again: RFC 3339, UTC, like 2027-01-31T08:00:00Z.
    #[schemars(extend("format" = "date-time"), regex(pattern = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?Z?$"))]
    #[serde(default)]
    suspend_until: String,
}

/// Keys that may be left out have a Rust default, but no default for users: absent is not managed.
fn without_defaults(schema: &mut Schema) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(|properties| properties.values_mut()) {
        if let Some(property) = property.as_object_mut() {
            property.remove("default");
        }
    }
}

/// Digits, 1 to 9223372036854775807.
#[derive(Default)]
struct Id;

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

/// At most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends; or empty.
struct Label;

impl JsonSchema for Label {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Label".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 63, "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"})
    }
}

fn qualified_name() -> Value {
    serde_json::json!({"pattern": "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"})
}

/// `suspendReason` and `suspendUntil` stand only beside `suspend: true`.
fn suspended() -> Value {
    let beside = serde_json::json!({"required": ["suspend"], "properties": {"suspend": {"const": true}}});
    serde_json::json!({"suspendReason": beside, "suspendUntil": beside})
}
