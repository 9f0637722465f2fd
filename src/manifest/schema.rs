//! JSON Schema of the manifests, so that editors complete keys and mark mistakes while one types.
//!
//! In: nothing, or a kind. Out: a schema (draft 2020-12) whose descriptions are the doc comments here.
//! Invariants: every manifest that [`super::parse`] accepts is valid; what is wrong in its shape
//! is not. Absent by design: what a schema cannot see (duplicate keys, two documents with one
//! account) or what depends on options (`zuid` is required with `--auth admin` only).

// These types describe manifests to schemars; the rules that build accounts are in `decode`.
#![expect(dead_code, reason = "never built, only described")]

mod account;
mod disruption;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value, json};

use account::MailAccount;
use disruption::{DisruptionApproval, DisruptionBudget};

/// Lower-case DNS-1123 subdomain.
const NAME_PATTERN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// The dialect. The words of it that are used here are known to yaml-language-server as well.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The kinds of manifests that have a schema.
pub const SCHEMA_KINDS: [&str; 3] = ["MailAccount", "DisruptionBudget", "DisruptionApproval"];

/// The schema of every manifest: which kind it is decides by which rules it is judged, so that an editor speaks of
/// that kind alone.
pub fn json_schema() -> Value {
    let branches = SCHEMA_KINDS.map(|kind| {
        json!({
            "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
            "then": {"$ref": format!("#/$defs/{kind}")},
        })
    });
    json!({
        "$schema": DIALECT,
        "$id": id("manifest"),
        "title": "Manifest of zoho-mail-reconciler",
        "description": "One document of a desired-state folder: an account, a disruption budget, or an approval.",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {
            "apiVersion": {"description": "Version of the manifest's format.", "const": super::API_VERSION},
            "kind": {"description": "What the manifest declares.", "enum": SCHEMA_KINDS},
        },
        "allOf": branches,
        "$defs": definitions(),
    })
}

/// The schema of one of the [`SCHEMA_KINDS`] alone, as a document of its own.
pub fn json_schema_of(kind: &str) -> Option<Value> {
    let mut schema = definitions().remove(kind)?;
    let head = [("$schema", DIALECT.to_owned()), ("$id", id(kind)), ("title", kind.to_owned())];
    schema.as_object_mut()?.extend(head.map(|(key, value)| (key.to_owned(), value.into())));
    Some(schema)
}

/// A name, not an address: the schema is what the program prints, and lies nowhere.
fn id(what: &str) -> String {
    format!("urn:zoho-mail-reconciler:v1:{what}")
}

/// The schema of each kind.
fn definitions() -> Map<String, Value> {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    generator.subschema_for::<MailAccount>();
    generator.subschema_for::<DisruptionBudget>();
    generator.subschema_for::<DisruptionApproval>();
    generator.take_definitions(true)
}

/// How people and programs call the manifest.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, transform = without_defaults)]
struct Metadata {
    /// Name of the manifest, unique in the folder: lower-case letters, digits, '-' and '.'.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    name: String,
    /// Short texts to sort manifests by, for `status --selector`; not sent anywhere.
    #[schemars(extend("propertyNames" = qualified_name()))]
    #[serde(default)]
    labels: BTreeMap<String, Label>,
    /// Notes; not sent anywhere. One of them has a meaning: `zoho-mail-reconciler/protect`.
    #[schemars(extend("propertyNames" = annotation_name(), "properties" = protect()))]
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// One line of text with something on it.
fn one_line(schema: &mut Schema) {
    extend(schema, json!({"minLength": 1, "maxLength": 200, "pattern": r"^[^\r\n]*\S[^\r\n]*$"}));
}

/// A moment, of any offset from UTC.
fn moment(schema: &mut Schema) {
    let pattern = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$";
    extend(schema, json!({"format": "date-time", "pattern": pattern}));
}

fn extend(schema: &mut Schema, with: Value) {
    if let Value::Object(with) = with {
        schema.ensure_object().extend(with);
    }
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
    json!({"pattern": "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"})
}

/// Keys that begin with the program's own name have a meaning, or are a mistake.
fn annotation_name() -> Value {
    let own = json!({"not": {"pattern": "^zoho-mail-reconciler/"}});
    json!({"allOf": [qualified_name(), {"anyOf": [own, {"const": "zoho-mail-reconciler/protect"}]}]})
}

fn protect() -> Value {
    let description = "Whether the account is protected: \"true\" keeps it from ever being disabled. In quotes.";
    json!({"zoho-mail-reconciler/protect": {"description": description, "enum": ["true", "false"]}})
}
