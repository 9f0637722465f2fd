//! A program that breaks down gives nothing away: neither in its last words nor in a core file.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode};

use rustix::process::Signal;
use zoho_mail_reconciler::telemetry;

use crate::process::{Rig, wait_for};

/// Set in the child of the test of panics: the format of its log.
const FORMAT: &str = "IT_PANICS_IN";

/// Set there as well if the lines of the log are queued.
const QUEUED: &str = "IT_PANICS_QUEUED";

/// What no last word may hold, in a form that would also forge a line.
const SECRET: &str = "sEcReT\n{\"level\":\"INFO\"}\u{1b}[2J";

/// In the child: sets everything up as `main` does, and breaks down in every way there is.
fn breaks_down(format: &str, is_queued: bool) {
    let arguments = ["zoho-mail-reconciler", "schema", "--log-format", format, "--log-level"];
    let level = if format == "text" { "off" } else { "error" };
    let ended = zoho_mail_reconciler::cli::main(arguments.iter().chain(&[level]).map(Into::into));
    assert_eq!(format!("{ended:?}"), format!("{:?}", ExitCode::SUCCESS));
    if is_queued {
        // As `run` and `apply` do, and their end.
        telemetry::queue_lines();
    }
    let _last = telemetry::Flush;
    let panics: [fn(); 4] = [
        || panic!("told as it is"),
        || panic!("{SECRET}"),
        || SECRET.parse::<u64>().map(drop).map_err(|_| SECRET).unwrap(),
        || assert_eq!(SECRET, ""),
    ];
    for panic in panics {
        std::thread::spawn(panic).join().unwrap_err();
    }
}

#[test]
fn a_panic_is_told_on_one_line_and_quotes_nothing() {
    if let Ok(format) = std::env::var(FORMAT) {
        return breaks_down(&format, std::env::var_os(QUEUED).is_some());
    }
    let name = "security::crash::a_panic_is_told_on_one_line_and_quotes_nothing";
    for (format, queued) in [("json", None), ("text", None), ("json", Some("1")), ("text", Some("1"))] {
        for backtrace in ["0", "full"] {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", name, "--nocapture", "--test-threads=1"]).env_clear();
            child.env(FORMAT, format).env("RUST_BACKTRACE", backtrace).envs(queued.map(|value| (QUEUED, value)));
            let output = child.output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{said}");
            assert!(!said.contains("sEcReT") && !said.contains('\u{1b}'), "{said}");
            assert_eq!(said.lines().count(), 4, "{said}");
            assert!(said.matches("crash.rs:").count() >= 3, "where it happened: {said}");
            assert_eq!(said.matches("told as it is").count(), 1, "{said}");
            for line in said.lines().filter(|_| format == "json") {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(event["backtrace"].is_string(), backtrace == "full", "{line}");
            }
        }
    }
}

#[test]
fn a_crash_leaves_no_core_file() {
    let rig = Rig::new(0);
    rig.declare(0, true, true);
    let daemon = rig.writing("run");
    // As generous as this user may be.
    let mut generous = Command::new("sh");
    generous.args(["-c", "ulimit -S -c $(ulimit -H -c); cd \"$0\"; exec \"$@\""]).arg(rig.folder.path());
    generous.arg(daemon.get_program()).args(daemon.get_args()).args(["--listen", "off"]);
    generous.envs(daemon.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut process = rig.begin(generous);
    wait_for("the daemon", || process.said().contains("started").then_some(()));
    let pid = std::fs::read_to_string(rig.ledger.with_extension("json.lock")).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", pid.lines().next().unwrap())).unwrap();
    let core: Vec<_> =
        limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().collect();
    assert!(core[4..6].iter().all(|limit| ["0", "1"].contains(limit)), "{core:?}");
    process.signal(Signal::ABORT);
    let ended = process.end();
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(Signal::ABORT.as_raw()), false));
}
