//! `validate` for pipelines: what GitHub, GitLab and readers of SARIF make of its outputs, read back as they do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::builders::Manifest;
use crate::cli::{Place, Ran};

/// A name that tries to be a command, of the runner's second kind and of its first.
const FORGED: &str = "::error file=x,line=1::forged";

/// Everything that a path or a value may try, twelve of each kind of sound problem, and what cannot be read.
fn hostile() -> Place {
    let place = Place::with_alice();
    place.manifest(FORGED, "forged", 11, "enabled: \"::error::x ##[error]\"");
    place.manifest("a b/ü,x:y%0A", "comma", 12, "enabled: \"a\\r\\n::warning::b %0A\"");
    place.manifest("li\nne", "line", 13, "enabled: 🙂🙂 # x");
    place.manifest("former/alice", "alice", 14, "enabled: true");
    for number in 20..32 {
        place.account(&format!("many/m{number}"), number, "enabled: yes");
    }
    std::os::unix::fs::symlink("/etc/hostname", place.path().join("desired-state/link.yaml")).unwrap();
    place.write("desired-state/old.yml.bak", "");
    place
}

fn parsed(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
}

const SUM: &str = "17 of 18 files read, 1 skipped; 2 accounts, 18 problems";

/// A command as a GitHub runner reads it: its name, its properties, what it says.
type Command = (String, BTreeMap<String, String>, String);

/// What a runner makes of a line of a log, by GitHub's description of workflow commands: `::name key=value,…::text`
/// at the beginning of a line but for blanks; or `##[name key=value;…]text` anywhere in it.
fn command(line: &str) -> Option<Command> {
    let unescape = |text: &str, marks: &[(&str, &str)]| {
        marks.iter().fold(text.to_owned(), |text, (mark, c)| text.replace(mark, c)).replace("%25", "%")
    };
    let (lines, separators) =
        ([("%0D", "\r"), ("%0A", "\n")], [("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ",")]);
    if line.contains("##[") {
        return Some(("of the first kind".into(), BTreeMap::new(), line.into()));
    }
    let (head, text) = line.trim_start().strip_prefix("::")?.split_once("::")?;
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let pair = |property: &str| property.split_once('=').map(|(k, v)| (k.to_owned(), unescape(v, &separators)));
    Some((name.to_owned(), properties.split(',').filter_map(pair).collect(), unescape(text, &lines)))
}

#[test]
fn a_github_runner_reads_ten_annotations_on_the_right_lines_and_nothing_that_a_stranger_wrote() {
    let ran = hostile().run("validate -o github");
    let commands: Vec<Command> = ran.out.lines().filter_map(command).collect();
    let told = |kind: &str| commands.iter().filter(|(name, ..)| name == kind).collect::<Vec<_>>();
    let (errors, warnings, notices) = (told("error"), told("warning"), told("notice"));
    assert_eq!((errors.len(), warnings.len(), notices.len(), commands.len()), (10, 1, 1, 12), "{}", ran.out);
    let of = |file: &str| errors.iter().find(|(_, properties, _)| properties["file"] == file).expect(file);

    let (_, forged, text) = of(&format!("desired-state/{FORGED}.yaml"));
    let place = (&*forged["line"], &*forged["col"], &*forged["endColumn"], &*forged["title"]);
    assert_eq!(place, ("8", "12", "34", "wrong-type"));
    assert!(text.contains("::error::x ##\\u{5b}error]"), "{text}");
    let (_, comma, text) = of("desired-state/a b/ü,x:y%0A.yaml");
    assert_eq!(comma["endColumn"], "35");
    assert!(text.contains(r#"found the string "a\r\n::warning::b %0A""#), "{text}");
    let (_, line, _) = of("desired-state/li\\nne.yaml");
    assert_eq!((&*line["col"], &*line["endColumn"]), ("12", "14"), "columns are characters");
    assert!(!of("desired-state/link.yaml").1.contains_key("endColumn"), "nothing stands where a file was not read");
    assert_eq!(warnings[0].1["file"], "desired-state/old.yml.bak");
    assert_eq!(notices[0].2, "8 more, all of which are in the log of this step");

    let log: Vec<&str> = ran.out.lines().filter(|line| command(line).is_none()).collect();
    assert_eq!((log.len(), *log.last().unwrap(), ran.code), (19, SUM, 1), "each problem, and the sum");
}

#[test]
fn a_runner_that_works_in_a_folder_of_its_checkout_is_told_paths_from_the_top() {
    let place = hostile();
    let at = |output: &str, variable: &str| {
        let mut command = place.command(&format!("validate -o {output} ../desired-state/many"));
        std::fs::create_dir_all(place.path().join("tools")).unwrap();
        command.current_dir(place.path().join("tools")).env(variable, place.path());
        place.ran(assert_cmd::Command::from_std(command))
    };
    let github = at("github", "GITHUB_WORKSPACE").out;
    assert!(github.starts_with("::error file=desired-state/many/m20.yaml,line=8,col=12,"), "{github}");
    assert!(github.contains("\n../desired-state/many/m20.yaml:8:12: "), "people are told what they can open: {github}");
    let gitlab = parsed(&at("gitlab", "CI_PROJECT_DIR"));
    assert_eq!(gitlab[0]["location"]["path"], "desired-state/many/m20.yaml");
    for variable in ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"] {
        let location = &parsed(&at("sarif", variable))["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        let artifact = json!({"uri": "desired-state/many/m20.yaml", "uriBaseId": "%SRCROOT%"});
        assert_eq!(location["artifactLocation"], artifact);
    }
}

/// What GitLab asks of a code quality report ("Code Quality report format"), as a schema.
fn code_quality() -> Value {
    let issue = json!({
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "location", "severity"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^[^/]", "not": {"pattern": r"^\./|^\.\./"}},
                    "lines": {"type": "object", "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}}},
                },
            },
        },
    });
    json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "array", "items": issue})
}

#[test]
fn a_gitlab_report_has_what_gitlab_asks_for_and_is_empty_where_all_is_sound() {
    let place = hostile();
    let ran = place.run("validate -o gitlab");
    let report = parsed(&ran);
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("report.json", code_quality()).unwrap();
    let schema = compiler.compile("report.json", &mut schemas).unwrap();
    schemas.validate(&report, schema).unwrap_or_else(|error| panic!("{error}"));
    let issues = report.as_array().unwrap();
    let prints: BTreeSet<&str> = issues.iter().map(|issue| issue["fingerprint"].as_str().unwrap()).collect();
    assert_eq!((issues.len(), prints.len()), (18, 18), "one fingerprint each");
    let paths: BTreeSet<&str> = issues.iter().map(|issue| issue["location"]["path"].as_str().unwrap()).collect();
    assert!(paths.contains("desired-state/li\nne.yaml"), "{paths:?}");
    assert!(ran.err.ends_with(&format!("{SUM}\n")), "{}", ran.err);

    let sound = Place::with_alice().run("validate -o gitlab");
    assert_eq!((&*sound.out, sound.code), ("[]\n", 0));
}

#[test]
fn a_fingerprint_stays_while_lines_move_and_tells_twins_apart() {
    let place = Place::new();
    let prints = |text: &str, output: &str| -> BTreeSet<String> {
        place.write("desired-state/twins.yaml", text);
        let found = parsed(&place.run(&format!("validate -o {output}")));
        let print = |value: &Value| value.as_str().unwrap().to_owned();
        match found.as_array() {
            Some(issues) => issues.iter().map(|issue| print(&issue["fingerprint"])).collect(),
            None => {
                let results = found["runs"][0]["results"].as_array().unwrap();
                results.iter().map(|result| print(&result["partialFingerprints"]["pathCodeField/v1"])).collect()
            }
        }
    };
    let both = ["a", "b"].map(|name| Manifest::of(name).set("enabled", "yes").to_string()).join("---\n");
    let (before, moved) = (prints(&both, "gitlab"), prints(&format!("# why\n\n{both}"), "gitlab"));
    assert_eq!(before.len(), 2);
    assert_eq!(before, moved);
    assert_eq!(before, prints(&both, "sarif"));
    assert_ne!(before, prints(&both.replace("yes", "true, email: x"), "gitlab"));
}

#[test]
fn a_sarif_log_names_rules_regions_and_encoded_paths() {
    let ran = hostile().run("validate -o sarif");
    let log = parsed(&ran);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let (rules, results) = (run["tool"]["driver"]["rules"].as_array().unwrap(), run["results"].as_array().unwrap());
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!((&rule["id"], &rule["defaultConfiguration"]["level"]), (&result["ruleId"], &result["level"]));
        assert!(rule["shortDescription"]["text"].as_str().unwrap().ends_with('.'), "{rule}");
    }
    let located = |uri: &str| {
        let location = |result: &&Value| result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri;
        results.iter().find(location).unwrap_or_else(|| panic!("{uri}: {}", ran.out))
    };
    let region = |uri: &str| located(uri)["locations"][0]["physicalLocation"]["region"].clone();
    assert_eq!(region("desired-state/li%0Ane.yaml"), json!({"startLine": 8, "startColumn": 12, "endColumn": 14}));
    assert_eq!(run["columnKind"], "unicodeCodePoints", "two characters, which are four of UTF-16's units");
    assert_eq!(region("desired-state/a%20b/%C3%BC%2Cx%3Ay%250A.yaml")["endColumn"], 35);
    located("desired-state/%3A%3Aerror%20file%3Dx%2Cline%3D1%3A%3Aforged.yaml");
    assert_eq!(region("desired-state/link.yaml"), json!({"startLine": 1, "startColumn": 1}));
    let invocation = &run["invocations"][0];
    assert_eq!((&invocation["executionSuccessful"], &invocation["exitCode"]), (&json!(false), &json!(1)));
    let told = &invocation["toolExecutionNotifications"][0];
    assert_eq!(told["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "desired-state/old.yml.bak");
    let files = json!({"found": 18, "read": 17, "skipped": 1, "nearMisses": ["desired-state/old.yml.bak"]});
    assert_eq!(run["properties"], json!({"accounts": 2, "files": files}));
}

#[test]
fn what_is_not_there_or_holds_no_manifest_fails_in_every_form() {
    let place = Place::with_alice();
    std::fs::create_dir(place.path().join("empty")).unwrap();
    place.write("other/README.md", "");
    for output in ["text", "json", "name", "github", "gitlab", "sarif"] {
        for path in ["nowhere", "empty", "other"] {
            let ran = place.run(&format!("validate -o {output} desired-state {path}"));
            assert_eq!(ran.code, 1, "{output} {path}: {}", ran.all());
            let expected =
                if path == "nowhere" { "expected a file or a folder" } else { "expected .yaml or .yml files" };
            let said = if output == "json" { ran.out.contains(&expected[9..]) } else { ran.out.contains(expected) };
            assert!(said && ran.out.contains(path), "{output} {path}: {}", ran.all());
            let sum = "1 of 1 file read, 0 skipped; 1 account, 1 problem\n";
            let summary = if ["text", "github"].contains(&output) { ran.out } else { ran.err };
            assert!(summary.ends_with(sum), "{output} {path}: {summary}");
        }
    }
}

#[test]
fn names_that_miss_by_little_are_told_and_hidden_ones_are_not() {
    let place = Place::with_alice();
    for name in ["BOB.YAML", "sales/carol.yml.bak", "dan.ymal", ".hidden.yml.bak", "README.md", ".git/x.YAML"] {
        place.write(&format!("desired-state/{name}"), "");
    }
    let ran = place.run("validate");
    insta::assert_snapshot!(ran.all(), @"
    1 of 1 file read, 0 skipped; 1 account, no problems
    --- stderr
    note: desired-state/BOB.YAML is not read: its name ends in neither .yaml nor .yml
    note: desired-state/dan.ymal is not read: its name ends in neither .yaml nor .yml
    note: desired-state/sales/carol.yml.bak is not read: its name ends in neither .yaml nor .yml
    --- exit 0
    ");
}
