//! Hostile text in every place where strangers put some, through every output that ends on a terminal or in a build log.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use zoho_mail_reconciler::sandbox::Script;

use super::words;
use crate::builders::account;
use crate::cli::{Place, Ran, Service};

/// A good deal of what a terminal, a log or a build server obeys. No `/` and no NUL, so that a file can be called so.
const HOSTILE: &str = "\u{1b}[2J\u{1b}[45m\u{1b}]8;;x\u{1b}\\\u{1b}]52;c;eA==\u{7}\u{9b}31m\n::error::forged\r\n::set-output \
                       name=a::b\r##[error]forged\u{85}##vso[task.x]\u{b}\u{c}\t\u{7f}\u{8}\u{202e}\u{2066}\u{200f}\u{200b}\
                       \u{feff}\u{2028}\u{2029}\u{e0041}";

/// Whether a character may not reach a terminal: controls of both sets, line breaks of Unicode, directions, the invisible.
fn is_hostile(c: char) -> bool {
    c != '\n' && c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Holds an output to the rules, but for the colours of this program's own.
fn harmless(what: &str, output: &str) {
    assert!(!output.contains("\u{1b}[45m"), "{what}: a stranger's colour in {output:?}");
    let mut plain = String::new();
    for (at, part) in output.split("\u{1b}[").enumerate() {
        let own =
            part.split_once('m').filter(|(code, _)| at > 0 && code.bytes().all(|b| b.is_ascii_digit() || b == b';'));
        match own {
            Some((_, rest)) => plain.push_str(rest),
            None if at > 0 => plain.push_str(&format!("\u{1b}[{part}")),
            None => plain.push_str(part),
        }
    }
    if let Some(c) = plain.chars().find(|c| is_hostile(*c)) {
        panic!("{what}: {c:?} in {plain:?}");
    }
    for line in plain.lines() {
        // `:::` is the excerpt's own mark, and no order.
        let order = line.trim_start().strip_prefix("::").is_some_and(|rest| !rest.starts_with(':'));
        assert!(!order, "{what}: an order to the build server: {line:?}");
        assert!(!line.contains("##[") && !line.contains("##vso["), "{what}: an order to the build server: {line:?}");
        assert!(line.chars().count() < 20_000, "{what}: a line of {} characters", line.chars().count());
    }
}

/// A place that sees what a terminal would be sent, although no terminal is there.
fn place() -> Place {
    let mut place = Place::new();
    std::fs::create_dir(place.path().join("empty")).unwrap();
    place.set("CLICOLOR_FORCE", "1").set("ZOHO_MAIL_LOG_LEVEL", "trace").set("ZOHO_MAIL_ZOID", "12345678");
    place
}

fn all(place: &Place, arguments: &str) -> Ran {
    let ran = place.run(arguments);
    harmless(&format!("{arguments}, standard output"), &ran.out);
    harmless(&format!("{arguments}, standard error"), &ran.err);
    ran
}

/// Every output of every command that tells of manifests or the ledger.
const READING: [&str; 21] = [
    "validate",
    "validate -o json",
    "validate -o name",
    "validate -o gitlab",
    "validate -o sarif",
    "plan",
    "plan -o json",
    "plan -o yaml",
    "plan -o name",
    "plan -o markdown",
    "plan --base empty",
    "plan --base empty -o markdown",
    "plan --base empty -o json",
    "diff",
    "status",
    "status -o wide",
    "status -o json",
    "status -o yaml",
    "status -o name",
    "status nobody --log-format text",
    "plan --log-format text",
];

/// Every output, and what machines read of it. Returns how many outputs quoted the stranger, escaped.
fn outputs(place: &Place) -> usize {
    let mut quoted = 0;
    for command in READING.iter().chain(&["apply --sandbox --log-format text", "apply --sandbox --log-format json"]) {
        let ran = all(place, command);
        quoted += usize::from(format!("{}{}", ran.out, ran.err).contains("error::forged"));
        if command.ends_with("json") && !command.starts_with("apply") {
            let _: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{command}: {e}"));
        }
        if command.ends_with("yaml") {
            let _: serde_yaml::Value = serde_yaml::from_str(&ran.out).unwrap_or_else(|e| panic!("{command}: {e}"));
        }
        if command.starts_with("apply") && command.ends_with("json") {
            let log = ran.err.lines().filter(|line| !line.starts_with("error: ") && !line.starts_with("note: "));
            log.for_each(|line| drop(serde_json::from_str::<serde_json::Value>(line).expect(line)));
        }
    }
    quoted
}

#[test]
fn names_of_files_and_folders_steer_nothing() {
    let place = place();
    let (folder, wanted) = (HOSTILE, "enabled: true, activeSyncEnabled: false");
    place.manifest(&format!("{folder}/good"), "alice", 2, wanted);
    place.manifest(&format!("{folder}/{}", HOSTILE.replace("forged", "error::forged")), "bob", 3, wanted);
    place.manifest(&format!("{folder}/twice"), "bob", 4, wanted);
    place.manifest("::error file=x::forged", "carol", 5, wanted);
    place.write(&format!("desired-state/{folder}/broken.yaml"), "kind: MailAccount\n");
    let raw = [OsStr::from_bytes(b"\xff\n::error::forged\x1b[2J.yaml")].iter().collect::<std::path::PathBuf>();
    std::fs::write(place.path().join("desired-state").join(raw), "").unwrap();
    assert!(outputs(&place) > 10);
    // Without a folder before it, a name begins the line.
    for output in ["text", "json", "name", "gitlab", "sarif"] {
        let mut here = place.command(&format!("validate -o {output} ."));
        here.current_dir(place.path().join("desired-state"));
        harmless(output, &place.ran(assert_cmd::Command::from_std(here)).all());
    }
}

/// A text as YAML writes any text.
fn quoted(text: &str) -> String {
    let escape = |c: char| format!("\\U{:08x}", u32::from(c));
    format!(
        "\"{}\"",
        text.chars().map(|c| if is_hostile(c) || c == '\n' { escape(c) } else { c.into() }).collect::<String>()
    )
}

#[test]
fn nothing_in_a_manifest_steers_what_is_told_of_it() {
    let place = place();
    let head = "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\n";
    let spec = |n: u64| format!("spec:\n  accountId: {}\n  zuid: 1\n  enabled: true\n", account(n));
    let (h, long) = (quoted(HOSTILE), quoted(&HOSTILE.repeat(2_000)));
    let on_a_line: String = HOSTILE.chars().filter(|c| !"\n\r".contains(*c)).collect();
    for (at, text) in [
        format!("{head}metadata: {{name: {h}}}\n{}", spec(10)),
        format!("{head}metadata: {{name: {long}}}\n{}", spec(11)),
        format!("{head}metadata:\n  name: l\n  labels:\n    {h}: x\n    team: {h}\n{}", spec(12)),
        format!("{head}metadata:\n  name: n\n  annotations:\n    note: {h}\n    {h}: {h}\n{}", spec(13)),
        format!("{head}metadata: {{name: e}}\n{}  email: {h}\n  suspend: true\n  suspendReason: {h}\n", spec(14)),
        format!("{head}metadata: {{name: f}}\nspec:\n  accountId: {h}\n  zuid: {h}\n  enabled: {h}\n  {h}: {h}\n"),
        format!("apiVersion: {h}\nkind: {h}\n{h}: 1\n"),
        format!("{head}metadata: {{name: *{on_a_line}}}\n{}", spec(15)),
        format!("{head}metadata: !{on_a_line} {{name: t}}\n{}", spec(16)),
        format!("{head}metadata: {{name: c}}\nspec: # {on_a_line}\n  enabled: nope # {on_a_line}\n"),
        format!(
            "{head}metadata: {{name: r}} # \u{202e}##[error]error::forged ##vso[task.x]\u{200b}\nspec: 1 # \u{2066}\n"
        ),
        HOSTILE.to_owned(),
        HOSTILE.repeat(20_000),
    ]
    .iter()
    .enumerate()
    {
        place.write(&format!("desired-state/{at}.yaml"), text);
    }
    assert!(outputs(&place) > 5);
}

#[test]
fn nothing_the_service_says_steers_a_log_a_page_or_a_terminal() {
    let long = HOSTILE.repeat(200);
    let faults = [words("token", None, 400, HOSTILE), words("put", None, 403, HOSTILE), words("put", None, 500, &long)];
    let (mut place, service) = (place(), Service::with_faults(&faults.join(",")));
    service.serve(&mut place);
    for (n, name) in [(2, "alice"), (3, "bob"), (4, "carol")] {
        place.account(name, n, "enabled: true");
    }
    for format in ["text", "json"] {
        service
            .world
            .lock()
            .unwrap()
            .set_faults(Script::parse(format!("{{\"faults\": [{}]}}", faults.join(",")).as_bytes()).unwrap());
        let _ = std::fs::remove_file(place.path().join("ledger.json"));
        let ran = all(&place, &format!("apply --log-format {format}"));
        assert!(ran.err.contains("error::forged"), "{}", ran.err);
    }
    assert!(outputs(&place) >= 3);
    assert!(place.read("ledger.json").contains("error::forged"), "the last word of the service is remembered");
}

#[test]
fn a_ledger_edited_by_hand_steers_nothing() {
    let place = place();
    place.account("alice", 2, "enabled: true");
    place.ok("apply --sandbox");
    place.account("alice", 2, "enabled: false");
    let whole = place.read("ledger.sandbox.json");
    let hostile = serde_json::to_string(HOSTILE).unwrap();
    let inner = &hostile[1..hostile.len() - 1];
    let mut quoted = 0;
    for (from, to) in [
        ("\"alice\"", hostile.clone()),
        ("alice.yaml:1", format!("{inner}:1")),
        ("\"Ledger\"", hostile.clone()),
        ("zoho-mail-reconciler/v2", inner.to_owned()),
        ("\"serial\"", hostile.clone()),
        ("sandbox", inner.to_owned()),
        ("2560636000000008002", inner.to_owned()),
        ("{", HOSTILE.to_owned()),
    ] {
        let edited = whole.replacen(from, &to, 1);
        assert_ne!(edited, whole, "{from}");
        for orphan in [false, true] {
            place.write("ledger.sandbox.json", &edited);
            place.account(if orphan { "bob" } else { "alice" }, if orphan { 3 } else { 2 }, "enabled: false");
            for output in ["table", "wide", "json", "yaml", "name"] {
                let ran = all(&place, &format!("status --sandbox -o {output}"));
                quoted += usize::from(ran.all().contains("error::forged"));
            }
            for command in ["plan", "plan -o json", "diff", "apply"] {
                quoted += usize::from(all(&place, &format!("{command} --sandbox")).all().contains("error::forged"));
            }
        }
    }
    assert!(quoted > 5, "{quoted}");
}

/// Every option that has a variable.
const VARIABLES: &str = "AUTH ZOID DATA_CENTER API_URL ACCOUNTS_URL RATE_LIMIT MAX_CONCURRENCY REQUEST_TIMEOUT RETRY_MIN \
    RETRY_MAX THROTTLE_PAUSE DISRUPTION_BUDGET GRANT_BUDGET DISRUPTION_WINDOW DEBOUNCE RESYNC_INTERVAL DRIFT_INTERVAL LISTEN \
    GIT_DIR GIT_IN_PROGRESS SHUTDOWN_GRACE LOG_FORMAT LOG_LEVEL DESIRED_STATE LEDGER SANDBOX CLIENT_ID CLIENT_ID_FILE ACCESS_TOKEN_FILE";

#[test]
fn no_value_of_an_option_or_a_variable_steers_the_error_about_it() {
    let long = HOSTILE.repeat(500);
    for variable in VARIABLES.split_whitespace() {
        for value in [HOSTILE, &long] {
            let mut place = place();
            place.account("alice", 2, "enabled: true");
            place.set(&format!("ZOHO_MAIL_{variable}"), value);
            let ran = all(&place, "run");
            assert!([1, 64].contains(&ran.code), "{variable}: {}", ran.code);
        }
    }
    let place = place();
    place.account("alice", 2, "enabled: true");
    let option = format!("--{HOSTILE}");
    for (command, argument) in [
        ("", HOSTILE),
        ("", &*option),
        ("", &long),
        ("plan", HOSTILE),
        ("plan", &option),
        ("plan", &long),
        ("validate", HOSTILE),
        ("status", HOSTILE),
        ("status", &long),
        ("completions", HOSTILE),
        ("sandbox --faults", HOSTILE),
        ("sandbox --accounts", HOSTILE),
        ("sandbox --listen", HOSTILE),
        ("help", HOSTILE),
    ] {
        for argument in [OsString::from(argument), OsStr::from_bytes(&[argument.as_bytes(), b"\xff"].concat()).into()] {
            let mut with = place.command(command);
            with.arg(&argument);
            let ran = place.ran(assert_cmd::Command::from_std(with));
            harmless(&format!("{command} {argument:?}"), &ran.all());
            assert!([1, 64].contains(&ran.code), "{command}: {}", ran.code);
        }
    }
}
