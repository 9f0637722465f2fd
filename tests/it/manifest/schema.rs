//! The schema as editors and pipelines use it: every kind, every field, every mistake of shape.

use serde_json::{Value, json};
use zoho_mail_reconciler::manifest::{SCHEMA_KINDS, json_schema, json_schema_of};

use super::{as_json, files, fs, relative, repository};

/// The first document of a text.
fn document(text: &str) -> Value {
    as_json(text.as_bytes()).unwrap().remove(0)
}

/// What is wrong with `value`, by the schema of all kinds and by that of `kind` alone, which say the same.
fn judge(kind: &str, value: &Value) -> Result<(), String> {
    let verdict = |name: &str, schema: Value| {
        let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
        compiler.add_resource(name, schema).unwrap();
        let schema = compiler.compile(name, &mut schemas).unwrap();
        schemas.validate(value, schema).map_err(|error| error.to_string())
    };
    let (all, one) = (verdict("all.json", json_schema()), verdict("one.json", json_schema_of(kind).unwrap()));
    assert_eq!(all.is_ok(), one.is_ok(), "{kind}: {all:?} {one:?}");
    all
}

/// A manifest of `kind` with this `spec`, in YAML's flow style.
fn manifest(kind: &str, spec: &str) -> Value {
    document(&format!("{{apiVersion: zoho-mail-reconciler/v1, kind: {kind}, metadata: {{name: x}}, spec: {spec}}}"))
}

fn check(kind: &str, good: &[&str], bad: &[&str]) {
    for spec in good {
        assert_eq!(judge(kind, &manifest(kind, spec)), Ok(()), "{kind}: {spec}");
    }
    for spec in bad {
        assert!(judge(kind, &manifest(kind, spec)).is_err(), "{kind}: {spec}");
    }
}

#[test]
fn a_disruption_budget_has_a_number_a_percentage_or_both_and_a_window() {
    let good = [
        "{maxDisruptions: 0}",
        "{maxDisruptions: 10}",
        "{maxDisruptions: '10'}",
        "{maxDisruptions: 5%}",
        "{maxDisruptions: '10,100%'}",
        "{maxDisruptions: ' 10% , 3 '}",
        "{window: 1h}",
        "{window: 1h 30min}",
        "{maxDisruptions: 1, window: 7days}",
        "{maxGrants: off}",
        "{maxGrants: 5%, maxDisruptions: 1}",
    ];
    let bad = [
        "{}",
        "{maxDisruptions: -1}",
        "{maxDisruptions: 1.5}",
        "{maxDisruptions: 101%}",
        "{maxDisruptions: '1,2'}",
        "{maxDisruptions: ''}",
        "{maxDisruptions: null, window: 1h}",
        "{maxDisruptions: off}",
        "{maxGrants: on}",
        "{maxGrants: 'off, 1'}",
        "{window: 1}",
        "{window: 1 fortnight}",
        "{window: ''}",
        "{window: 1h, maxDisruption: 1}",
        "[]",
    ];
    check("DisruptionBudget", &good, &bad);
}

#[test]
fn a_disruption_approval_says_why_until_when_and_exactly_what() {
    let approval =
        |accounts: &str| format!("{{reason: audit 7, expires: '2027-01-31T08:00:00Z', accounts: {accounts}}}");
    let good = [
        "[{name: alice, fields: [enabled]}]",
        "[{name: alice, accountId: 7, fields: [activeSyncEnabled, enabled]}, {name: b.c, accountId: '7', fields: [enabled]}]",
    ];
    let bad = [
        "[]",
        "{}",
        "[{name: alice}]",
        "[{name: alice, fields: []}]",
        "[{name: alice, fields: [suspend]}]",
        "[{name: alice, fields: [enabled, enabled]}]",
        "[{name: Alice, fields: [enabled]}]",
        "[{name: alice, accountId: 0, fields: [enabled]}]",
        "[{fields: [enabled]}]",
        "[{name: alice, fields: [enabled], zuid: 1}]",
    ];
    let (mut good, mut bad) = (good.map(approval).to_vec(), bad.map(approval).to_vec());
    good.push(good[0].replace("T08:00:00Z", "T09:00:00.5-11:30"));
    for (right, wrong) in [
        ("audit 7", "''"),
        ("audit 7", "\"a\\nb\""),
        ("audit 7", &*"x".repeat(201)),
        ("audit 7", "7"),
        ("'2027-01-31T08:00:00Z'", "'2027-01-31'"),
        ("'2027-01-31T08:00:00Z'", "'2027-01-31T08:00:00'"),
        ("'2027-01-31T08:00:00Z'", "'2027-01-31T08:00:00+1:00'"),
        ("reason: audit 7, ", ""),
        ("expires: '2027-01-31T08:00:00Z', ", ""),
        ("reason", "resaon"),
    ] {
        bad.push(good[0].replace(right, wrong));
    }
    check(
        "DisruptionApproval",
        &good.iter().map(|s| &**s).collect::<Vec<_>>(),
        &bad.iter().map(|s| &**s).collect::<Vec<_>>(),
    );
}

#[test]
fn an_annotation_of_our_own_is_protect_true_or_false_and_no_other() {
    let annotated = |annotations: &str| {
        let spec = "{accountId: 1, zuid: 9, enabled: true}";
        let mut value = manifest("MailAccount", spec);
        value["metadata"]["annotations"] = document(annotations);
        judge("MailAccount", &value).is_ok()
    };
    for good in ["'true'", "'false'"] {
        assert!(annotated(&format!("{{zoho-mail-reconciler/protect: {good}}}")), "{good}");
    }
    for bad in ["true", "'yes'", "''", "'True'"] {
        assert!(!annotated(&format!("{{zoho-mail-reconciler/protect: {bad}}}")), "{bad}");
    }
    assert!(annotated("{example.com/protect: maybe, protect: maybe}"));
    assert!(!annotated("{zoho-mail-reconciler/protected: 'true'}"));
}

#[test]
fn another_kind_is_one_mistake_and_not_three() {
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("all.json", json_schema()).unwrap();
    let schema = compiler.compile("all.json", &mut schemas).unwrap();
    let places = |value: Value| {
        let error = schemas.validate(&value, schema).unwrap_err().detailed_output().to_string();
        let error: Value = serde_json::from_str(&error).unwrap();
        let mut places = Vec::new();
        leaves(&error, &mut places);
        places
    };
    assert_eq!(places(json!({"apiVersion": "zoho-mail-reconciler/v1", "kind": "MailAcount", "spec": 1})), ["/kind"]);
    // Nothing is said of a kind that nobody has chosen yet.
    assert_eq!(places(json!({"apiVersion": "zoho-mail-reconciler/v1"})), [""]);
    let budget = json!({"apiVersion": "zoho-mail-reconciler/v1", "kind": "DisruptionBudget", "metadata": {"name": "x"},
        "spec": {"window": 7}});
    assert_eq!(places(budget), ["/spec/window"]);
}

/// Where the mistakes are, by the standard's detailed output: its leaves.
fn leaves(error: &Value, places: &mut Vec<String>) {
    match error["errors"].as_array().filter(|errors| !errors.is_empty()) {
        Some(errors) => errors.iter().for_each(|error| leaves(error, places)),
        None => places.push(error["instanceLocation"].as_str().unwrap().to_owned()),
    }
}

#[test]
fn every_field_is_described() {
    fn walk(schema: &Value, path: &str, found: &mut usize) {
        let Some(object) = schema.as_object() else { return };
        for (key, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = format!("{path}.{key}");
            let described = property["description"].as_str().is_some_and(|text| text.ends_with('.') && text.len() > 10);
            // What a condition looks at is described where it is allowed.
            assert!(described || property.get("const").is_some() && property.as_object().unwrap().len() == 1, "{path}");
            *found += usize::from(described);
            walk(property, &path, found);
        }
        for key in ["items", "additionalProperties"].into_iter().filter(|key| object.contains_key(*key)) {
            walk(&object[key], &format!("{path}.{key}"), found);
        }
    }
    let all = json_schema();
    let mut found = 0;
    walk(&all, "", &mut found);
    for kind in SCHEMA_KINDS {
        let schema = &all["$defs"][kind];
        assert!(schema["description"].is_string(), "{kind}");
        walk(schema, kind, &mut found);
    }
    assert!(found > 30, "{found} fields");
}

#[test]
fn a_schema_says_what_it_is_and_each_kind_stands_by_itself() {
    for (schema, id) in std::iter::once((json_schema(), "manifest"))
        .chain(SCHEMA_KINDS.map(|kind| (json_schema_of(kind).unwrap(), kind)))
    {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["$id"], format!("urn:zoho-mail-reconciler:v1:{id}"));
        assert!(schema["title"].is_string() && schema["description"].is_string());
    }
    assert_eq!(json_schema_of("Secret"), None);
    let place = crate::cli::Place::new();
    let printed: Value = serde_json::from_str(&place.ok("schema --kind DisruptionBudget")).unwrap();
    assert_eq!(Some(printed), json_schema_of("DisruptionBudget"));
    assert_eq!(place.run("schema --kind Secret").code, 64);
}

#[test]
fn the_first_line_of_every_example_leads_an_editor_to_the_schema() {
    let folder = repository().join("desired-state");
    let schema = folder.join(".schema.json").canonicalize().unwrap();
    let examples: Vec<_> =
        files(&folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    assert!(examples.len() >= 5);
    for example in examples {
        let (text, name) = (fs::read_to_string(&example).unwrap(), relative(&folder, &example));
        let leads_to = text.lines().next().and_then(|line| line.strip_prefix("# yaml-language-server: $schema="));
        let leads_to = example.parent().unwrap().join(leads_to.unwrap_or_else(|| panic!("{name} has no modeline")));
        assert_eq!(leads_to.canonicalize().unwrap(), schema, "{name}");
        for value in as_json(text.as_bytes()).unwrap() {
            assert_eq!(judge(value["kind"].as_str().unwrap(), &value), Ok(()), "{name}");
        }
    }
}
