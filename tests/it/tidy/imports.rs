//! Who may import whom, and what pure rooms may not name.

use super::{Source, hold, rust};

/// The layers, from the words up. A room imports its own layer and those before it; but no I/O room
/// imports another one. The first entry that a path begins with counts.
const LAYERS: &[(&str, u8)] = &[
    ("account", WORDS),
    ("change", WORDS),
    ("condition", WORDS),
    ("observed", WORDS),
    ("revision", WORDS),
    ("timestamp", WORDS),
    ("validity", WORDS),
    ("ledger/file", IO),
    ("ledger", PURE),
    ("manifest", PURE),
    ("attribution", PURE),
    ("desired", PURE),
    ("plan", PURE),
    ("guard", PURE),
    ("compare", PURE),
    ("queue", PURE),
    ("throttle", PURE),
    ("status", PURE),
    ("report", PURE),
    ("runbook", PURE),
    ("freeze", PURE),
    ("order", PURE),
    ("notice", PURE),
    ("page", PURE),
    ("zoho/transport", IO),
    ("zoho/client", IO),
    ("zoho/auth", IO),
    ("zoho/reader", IO),
    // By the names under which the room hands them out.
    ("zoho/Client", IO),
    ("zoho/CredentialSource", IO),
    ("zoho/HttpTransport", IO),
    ("zoho/Reader", IO),
    ("zoho/Transport", IO),
    ("zoho/", PURE),
    ("zoho", IO),
    ("sandbox/http", IO),
    ("sandbox/", PURE),
    ("sandbox", IO),
    ("version", WORDS),
    ("build", EDGE),
    ("clock", CLOCK),
    // The values that it hands over.
    ("source/Batch", PURE),
    ("source/Decided", PURE),
    ("source/Look", PURE),
    ("source/ReadProblem", PURE),
    ("source/Root", PURE),
    ("source", IO),
    ("admin", IO),
    ("metrics", IO),
    ("telemetry", IO),
    ("shutdown", IO),
    ("switch", IO),
    ("notifier", IO),
    ("service", IO),
    ("controller/event", PURE),
    ("controller/machine", PURE),
    ("controller", CONDUCTOR),
    ("config", EDGE),
    ("doctor", EDGE),
    ("cli", EDGE),
    ("main", EDGE),
    ("lib", EDGE),
];

const WORDS: u8 = 0;
const PURE: u8 = 1;
/// The one clock: every I/O room may hold it.
const CLOCK: u8 = 2;
const IO: u8 = 3;
const CONDUCTOR: u8 = 4;
const EDGE: u8 = 5;

/// The parts of a room's inside that stand in for the room itself: what `crate::ledger::file` is to `ledger`.
fn layer(path: &str) -> Option<u8> {
    let fits =
        |room: &str| path.strip_prefix(room).is_some_and(|rest| room.ends_with('/') || !rest.starts_with(is_word));
    LAYERS.iter().find(|(room, _)| fits(room)).map(|(_, layer)| *layer)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn room(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

fn is_in(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `src/ledger/file/writer.rs` is `ledger/file/writer`.
fn module(source: &Source) -> &str {
    source.path.trim_start_matches("src/").trim_end_matches(".rs")
}

/// What a line names after `crate::`, as a path: `ledger/file`, `account`, each of `zoho/{Answer, Code}`.
fn named(line: &str) -> impl Iterator<Item = String> {
    let path = |text: &str| {
        let path: String = text.trim().chars().take_while(|c| is_word(*c) || *c == ':').collect();
        path.trim_end_matches(':').replace("::", "/")
    };
    line.split("crate::").skip(1).flat_map(move |rest| match rest.split_once('{') {
        Some(("", several)) => several.split(',').map(path).collect::<Vec<_>>(),
        // Names that follow on other lines count as the room itself.
        Some((room, several)) if room.ends_with("::") && several.contains('}') => {
            let several = several.split('}').next().unwrap_or_default();
            several.split(',').map(|name| format!("{}/{}", path(room), path(name))).collect()
        }
        _ => vec![path(rest)],
    })
}

#[test]
fn words_then_pure_rooms_then_io_rooms_then_the_conductor_then_the_command_line() {
    let mut broken = Vec::new();
    for source in rust(&["src"]).iter().filter(|source| !source.is_test() && source.path != "src/lib.rs") {
        let me = module(source);
        let Some(mine) = layer(me) else {
            broken.push(format!("{}: a room that is in no layer", source.path));
            continue;
        };
        for (number, line) in source.code() {
            for other in named(line).filter(|other| room(other) != room(me)) {
                let allowed = layer(&other).is_some_and(|theirs| theirs < mine || theirs == mine && mine != IO);
                if !allowed {
                    broken.push(format!("{}:{number}: {me} imports {other}", source.path));
                }
            }
        }
    }
    hold("words <- pure <- I/O <- controller <- cli", &broken);
}

#[test]
fn pure_rooms_name_no_runtime_no_files_no_network_no_clock_and_no_chance() {
    let forbidden = [
        "tokio", "tracing", "std::fs", "std::net", "std::env", "now()", "fastrand", "rand::", "async ", "HashMap",
        "HashSet",
    ];
    let mut broken = Vec::new();
    for source in rust(&["src"]).iter().filter(|source| !source.is_test()) {
        if layer(module(source)).is_none_or(|layer| layer > PURE) {
            continue;
        }
        for (number, line) in source.code() {
            for word in forbidden.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    hold("pure rooms", &broken);
}

#[test]
fn each_library_at_the_edge_has_one_room_that_knows_it() {
    let known_to = [
        ("serde_yaml::", &["manifest/yaml"][..]),
        ("saphyr_parser::", &["manifest/reader", "manifest/yaml"]),
        ("reqwest::", &["zoho/transport"]),
        ("notify::", &["source"]),
        ("axum::", &["admin"]),
        ("maud::", &["page"]),
        ("pulldown_cmark::", &["page/runbook"]),
        ("hyper::", &["sandbox/http"]),
        ("prometheus_client::", &["metrics"]),
        ("clap::", &["cli", "config", "zoho/data_center", "telemetry"]),
        ("anyhow::", &["cli", "main"]),
        ("sd_notify::", &["service"]),
        (
            "gix::",
            &["source/provenance", "source/commit", "source/repository", "source/sparse", "source/git/operation"],
        ),
        ("std::env::", &["cli", "main", "build"]),
    ];
    let mut broken = Vec::new();
    for source in rust(&["src"]).iter().filter(|source| !source.is_test()) {
        for (number, line) in source.code() {
            for (library, rooms) in known_to.iter().filter(|(library, _)| names(line, library)) {
                if !rooms.iter().any(|room| module(source).starts_with(room)) {
                    broken.push(format!("{}:{number}: {library} is for {rooms:?}", source.path));
                }
            }
        }
    }
    hold("libraries", &broken);
}

/// Whether a line names a library, and not something else whose name ends like it.
fn names(line: &str, library: &str) -> bool {
    line.match_indices(library).any(|(at, _)| !line[..at].ends_with(is_word) && !line[..at].ends_with("::"))
}

#[test]
fn the_sandbox_is_an_independent_reading_of_the_documentation() {
    let sources = rust(&["src"]);
    let names = |source: &&Source| module(source).starts_with("sandbox") && source.text.contains("use crate::zoho");
    let broken: Vec<_> = sources.iter().filter(names).map(|source| source.path.clone()).collect();
    hold("the sandbox imports the client it is to judge", &broken);
}

#[test]
fn plan_diff_validate_and_status_cannot_write() {
    let reading = ["cli/plan", "cli/diff", "cli/validate", "cli/status", "cli/history", "cli/load"];
    let writes =
        ["Client", "Transport", "engine", "Controller", "LedgerFile", "reqwest", "std::net", "tokio::net", "fs::write"];
    let mut broken = Vec::new();
    for source in rust(&["src"]).iter().filter(|source| reading.iter().any(|room| is_in(module(source), room))) {
        for (number, line) in source.code() {
            for word in writes.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    hold("commands that only read", &broken);
}

#[test]
fn the_doctor_only_looks() {
    let reading = ["doctor", "cli/doctor", "zoho/reader"];
    let writes = [
        "Client",
        "Controller",
        "LedgerFile",
        "Method::Put",
        "encode(",
        "engine::build",
        "reqwest",
        "fs::write",
        "File::create",
        ".create(",
        "create_dir",
        "OpenOptions",
        "tempfile",
        "set_len",
        "fs::remove",
        "rename(",
        ".try_lock",
        ".lock(",
    ];
    let (mut broken, mut seen) = (Vec::new(), 0);
    for source in rust(&["src"]).iter().filter(|source| reading.iter().any(|room| is_in(module(source), room))) {
        seen += 1;
        for (number, line) in source.code() {
            for word in writes.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    assert!(seen > 5, "the sources are where they always were");
    hold("a look that changes something", &broken);
}
