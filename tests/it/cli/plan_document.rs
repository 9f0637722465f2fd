//! The plan as a document: its schema, and its digest.

use sha2::{Digest as _, Sha256};

use super::{Place, Service};

/// Checks a document against the schema of plans.
fn valid(text: &str) -> Result<serde_json::Value, String> {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.enable_format_assertions();
    compiler.add_resource("plan.json", zoho_mail_reconciler::cli::plan_schema()).unwrap();
    let schema = compiler.compile("plan.json", &mut schemas).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text.replace("\"TIME\"", "\"2026-01-01T00:00:00Z\"")).unwrap();
    schemas.validate(&json, schema).map_err(|error| format!("{error:#}\n{text}"))?;
    Ok(json)
}

#[test]
fn the_schema_of_plans_is_printed() {
    let printed: serde_json::Value = serde_json::from_str(&Place::new().ok("schema --kind Plan")).unwrap();
    assert_eq!(printed, zoho_mail_reconciler::cli::plan_schema());
    assert_eq!(printed["properties"]["kind"]["const"], "Plan");
}

fn check(place: &Place, command: &str) -> serde_json::Value {
    let out = place.run(&format!("{command} -o json")).out;
    valid(&out).unwrap_or_else(|error| panic!("{command}: {error}"));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let yaml = place.run(&format!("{command} -o yaml")).out;
    assert_eq!(serde_yaml::from_str::<serde_json::Value>(&yaml).unwrap(), json, "{command}");
    assert_eq!(json["digest"], digest(&json), "{command}");
    json
}

/// The digest, as a script computes it of the document: one line a change, sorted.
fn digest(plan: &serde_json::Value) -> String {
    let lines = |list: &str| {
        let changes = plan[list].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let line = |change: &serde_json::Value| {
            let zuid = if change["zuid"].is_null() { "-".to_owned() } else { text(&change["zuid"]) };
            let parts = ["account", "field", "from", "to"].map(|key| text(&change[key]));
            format!("{} {zuid} {} {} {} {list}\n", parts[0], parts[1], parts[2], parts[3])
        };
        changes.map(line).collect::<Vec<_>>()
    };
    let mut all = [lines("allowed"), lines("held")].concat();
    all.sort();
    let digits = Sha256::digest(all.concat()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{digits}")
}

/// A base and a branch with every remark there is.
fn everything() -> Place {
    let place = Place::new();
    for (name, number) in
        [("alice", 2), ("bob", 3), ("carol", 4), ("dave", 5), ("erin", 6), ("frank", 7), ("grace", 8), ("heidi", 9)]
    {
        place.account(name, number, "enabled: true, activeSyncEnabled: true");
    }
    place.account("ivan", 10, "enabled: true, suspend: true");
    place.account("judy", 11, "enabled: true");
    std::fs::rename(place.path().join("desired-state"), place.path().join("base")).unwrap();
    place.write("base/broken.yaml", "kind: [");
    place.account("alice", 2, "enabled: false, activeSyncEnabled: false");
    place.write("desired-state/bob.yaml", "kind: [");
    place.account("carol", 4, "enabled: true");
    place.manifest("also-carol", "carol", 40, "enabled: true");
    place.account("dave", 5, "enabled: true, suspend: true, suspendReason: leave, suspendUntil: 2999-01-01T00:00:00Z");
    place.account("frank", 7, "enabled: true");
    place.manifest("grace", "gracia", 8, "enabled: true, activeSyncEnabled: true");
    place.account("moved/heidi", 9, "enabled: true, activeSyncEnabled: true");
    let text = place.read("desired-state/moved/heidi.yaml").replace("1111118", "1111119");
    place.write("desired-state/moved/heidi.yaml", &text);
    place.account("ivan", 10, "enabled: true");
    place.account("judy", 111, "enabled: true");
    place
}

#[test]
fn every_document_is_valid_by_the_schema_of_plans() {
    let place = everything();
    let json = check(&place, "plan --base base");
    let notes: std::collections::BTreeSet<&str> =
        json["remarks"].as_array().unwrap().iter().map(|remark| remark["note"].as_str().unwrap()).collect();
    let all = "accountChanged broken duplicate fieldsNoLongerManaged moved noLongerManaged renamed resumed suspended userChanged";
    assert_eq!(notes.into_iter().collect::<Vec<_>>().join(" "), all);
    check(&place, "plan --base base --disruption-budget 0");
    check(&place, "plan --base desired-state");
    check(&place, "plan --base base --sandbox --ledger ledger.json");
    check(&place, "plan --sandbox");
    place.write("base/broken.yaml", "");
    place.ok("apply --sandbox --desired-state base");
    check(&place, "plan --sandbox --disruption-budget 0");
    check(&place, "plan --base base --sandbox --ledger ledger.json");
}

#[test]
fn a_document_about_doubt_is_valid_too() {
    let (mut place, service) =
        (Place::with_alice(), Service::with_faults(r#"{"operation": "put", "do": "dropAfterActing"}"#));
    service.serve(&mut place);
    assert_eq!(place.run("apply").code, 1);
    let json = check(&place, "plan");
    assert_eq!(json["allowed"][0]["from"], "inDoubt");
}

#[test]
fn the_schema_refuses_what_is_no_plan() {
    let place = everything();
    let good = place.run("plan --base base -o json").out;
    assert!(valid(&good).is_ok());
    for (from, to) in [
        ("\"kind\": \"Plan\"", "\"kind\": \"Plans\""),
        ("\"from\": true", "\"from\": \"yes\""),
        ("\"field\": \"enabled\"", "\"field\": \"disabled\""),
        ("sha256:", "sha1:"),
        ("\"note\": \"moved\"", "\"note\": \"gone\""),
        ("\"verdict\"", "\"judgement\""),
        ("\"account\": \"2560636000000008002\"", "\"account\": 2560636000000008002"),
    ] {
        assert!(good.contains(from), "{from}");
        assert!(valid(&good.replacen(from, to, 1)).is_err(), "{from} -> {to}");
    }
}

#[test]
fn a_schema_describes_every_key() {
    fn describe(schema: &serde_json::Value, at: &str) {
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            let told = value["description"].is_string() || value["$ref"].is_string() || value["const"].is_string();
            assert!(told, "{at}.{key} has no description");
            describe(value, &format!("{at}.{key}"));
        }
    }
    let schema = zoho_mail_reconciler::cli::plan_schema();
    describe(&schema, "Plan");
    schema["$defs"].as_object().unwrap().iter().for_each(|(name, schema)| describe(schema, name));
}

#[test]
fn the_same_digest_stands_in_every_output() {
    let place = everything();
    let json: serde_json::Value = serde_json::from_str(&place.run("plan --base base -o json").out).unwrap();
    let digest = json["digest"].as_str().unwrap();
    assert!(place.run("plan --base base").out.ends_with(&format!("Digest: {digest}\n")));
    assert!(place.run("plan --base base -o markdown").out.contains(&format!("Digest `{digest}`")));
    // Other files, other lines, another place: the same PUTs.
    let manifest = place.read("desired-state/alice.yaml");
    place.write("elsewhere/deep/er.yml", &format!("# a remark\n\n{manifest}"));
    for name in ["carol", "also-carol", "dave", "frank", "grace", "moved/heidi", "ivan", "judy", "bob"] {
        let text = place.read(&format!("desired-state/{name}.yaml"));
        place.write(&format!("elsewhere/{}.yaml", name.replace('/', "-")), &text);
    }
    let elsewhere = place.run("plan --base base --desired-state elsewhere -o json").out;
    let elsewhere: serde_json::Value = serde_json::from_str(&elsewhere).unwrap();
    assert_eq!(elsewhere["digest"], digest);
}
