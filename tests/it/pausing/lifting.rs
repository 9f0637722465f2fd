//! `resume --pause`: with a daemon, without one, and where the daemon dies in between.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use zoho_mail_reconciler::ledger::Record;
use zoho_mail_reconciler::order::Order;

use super::*;
use crate::process::strace_works;

/// A service that asks for a pause of a day once, and a daemon that is paused; and until when.
fn paused(requests: u64) -> (Rig, Process, Timestamp) {
    let rig = Rig::new(requests);
    meets(&rig, "put", 429, json!({"Retry-After": "86400"}), envelope(429));
    let process = run(&rig, &[]);
    let until = wait_for("the pause to be written down", || paused_until(&rig));
    wait_for("the pause", || process.waits_for().filter(|why| why == "imposed"));
    (rig, process, until)
}

fn command(rig: &Rig, name: &str, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler"));
    command.env_clear().env("USER", "eve").args([name, "--log-format", "json", "--ledger"]).arg(&rig.ledger);
    command.args(options).stdin(Stdio::null());
    command
}

/// How it ended, and what it printed.
fn ended(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn resume(rig: &Rig) -> (Option<i32>, String, String) {
    ended(command(rig, "resume", &["--pause"]).output().unwrap())
}

fn order_of(rig: &Rig) -> PathBuf {
    rig.ledger.with_file_name("ledger.json.order")
}

/// The history says once that the pause until then was lifted, and by whom; and nothing of it was edited.
fn check_history(rig: &Rig, until: Timestamp) {
    let (code, out, err) = ended(command(rig, "history", &["-o", "jsonl"]).output().unwrap());
    assert_eq!((code, &*err), (Some(0), ""));
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lifted: Vec<_> = lines.iter().filter(|line| !line["pauseLifted"].is_null()).collect();
    assert_eq!(lifted.len(), 1, "{out}");
    assert_eq!(lifted[0]["pauseLifted"], json!({"until": until.to_string(), "reason": "Throttled"}));
    assert_eq!(lifted[0]["by"], "eve");
    let (code, out, _) = ended(command(rig, "history", &[]).output().unwrap());
    let expected = format!("  pause lifted\n  until     {until} (Throttled)\n  by        eve\n");
    assert!(code == Some(0) && out.contains(&expected), "{out}");
    let (code, out, err) = ended(command(rig, "history", &["--verify"]).output().unwrap());
    assert_eq!(code, Some(0), "{out}{err}");
}

/// The daemon goes on, and stops on a signal.
fn goes_on(rig: &Rig, process: &mut Process, fields: usize) {
    wait_for("all to be applied", || (rig.applied().len() == fields).then_some(()));
    process.signal(Signal::TERM);
    assert!(process.end().success(), "{}", process.said());
}

#[test]
fn a_running_daemon_lifts_the_pause_and_says_who_asked() {
    let (rig, mut process, until) = paused(2);
    let (code, out, err) = resume(&rig);
    let expected =
        format!("resumed: the pause until {until} (Throttled) is lifted; one request goes first, as a probe\n");
    assert_eq!((code, out, &*err), (Some(0), expected, ""));
    assert!(!order_of(&rig).exists());
    goes_on(&rig, &mut process, 4);
    let said = process.said();
    assert!(said.contains("the pause was lifted") && said.contains("\"by\":\"eve\""), "{said}");
    check_history(&rig, until);
}

#[test]
fn without_a_daemon_the_command_lifts_the_pause_itself_and_the_next_start_probes_alone() {
    let (rig, process, until) = paused(8);
    process.kill();
    let (code, out, err) = resume(&rig);
    assert!(code == Some(0) && out.starts_with(&format!("resumed: the pause until {until}")), "{out}{err}");
    check_history(&rig, until);
    // The service wants a pause still: one request finds that out.
    let before = rig.world().totals().puts;
    meets(&rig, "put", 429, json!({}), envelope(429));
    let process = rig.run();
    wait_for("another pause", || paused_until(&rig).filter(|until| *until > now()));
    assert_eq!(rig.world().totals().puts, before + 1, "four may be under way, and one probes alone");
    process.kill();
    check_history(&rig, until);
}

#[test]
fn where_nothing_is_paused_it_says_so_and_changes_nothing() {
    let rig = Rig::new(1);
    let not_paused = (Some(0), "not paused: the service has imposed no pause that is in force\n".into(), "".into());
    let (code, out, err) = resume(&rig);
    assert!(err.contains("there is no such ledger, and no daemon runs with one"), "{err}");
    assert_eq!((code, &*out), (Some(1), ""), "as where a suspension is meant");
    assert!(!rig.ledger.exists());
    assert!(rig.apply().status.success());
    let ledger = fs::read(&rig.ledger).unwrap();
    assert_eq!(resume(&rig), not_paused);
    let over = ImposedPause { until: now().before(MINUTE), reason: Reason::Throttled };
    assert_eq!(fs::read(&rig.ledger).unwrap(), ledger);
    remember(&rig, vec![Record::Pause { pause: Some(over) }]);
    assert_eq!(resume(&rig), not_paused);
}

#[test]
fn a_suspension_is_no_pause_and_a_pause_no_suspension() {
    let (rig, process, until) = paused(1);
    assert_eq!(ended(command(&rig, "suspend", &[]).output().unwrap()).0, Some(0));
    let (code, out, err) = resume(&rig);
    assert!(code == Some(0) && out.contains(&until.to_string()), "{out}{err}");
    assert!(err.contains("all reconciling is still suspended"), "{err}");
    process.kill();
    remember(&rig, vec![Record::Pause { pause: Some(ImposedPause { until, reason: Reason::Throttled }) }]);
    let (code, out, _) = ended(command(&rig, "resume", &[]).output().unwrap());
    assert!(code == Some(0) && out.starts_with("resumed; it was suspended"), "{out}");
    assert_eq!(paused_until(&rig), Some(until), "the pause is there still");
}

#[test]
fn if_the_daemon_dies_before_it_takes_the_order_the_command_lifts_the_pause_itself() {
    let (rig, process, until) = paused(2);
    process.signal(Signal::STOP);
    let resuming = command(&rig, "resume", &["--pause"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the order", || order_of(&rig).exists().then_some(()));
    process.kill();
    let (code, out, err) = ended(resuming.wait_with_output().unwrap());
    assert!(code == Some(0) && out.contains(&until.to_string()), "{out}{err}");
    assert!(!order_of(&rig).exists());
    check_history(&rig, until);
    goes_on(&rig, &mut run(&rig, &[]), 4);
    check_history(&rig, until);
}

#[test]
fn if_the_daemon_dies_while_it_takes_the_order_the_pause_is_lifted_once() {
    if !strace_works("if_the_daemon_dies_while_it_takes_the_order") {
        return;
    }
    let (rig, process, until) = paused(2);
    process.kill();
    let mut program = rig.writing("run");
    program.args(["--listen", "127.0.0.1:0"]);
    let traced = rig.traced_on(&["ledger.json.order"], &program, "inject=?unlink,unlinkat:signal=KILL");
    let mut process = rig.begin(traced);
    wait_for("the pause", || process.waits_for().filter(|why| why == "imposed"));
    let (code, out, err) = resume(&rig);
    assert!(code == Some(0) && out.contains(&until.to_string()), "{out}{err}");
    assert!(!process.end().success(), "{}", process.said());
    check_history(&rig, until);
    goes_on(&rig, &mut run(&rig, &[]), 4);
    check_history(&rig, until);
}

#[test]
fn an_order_that_is_left_from_before_lifts_the_pause_that_it_names_and_no_other() {
    let (rig, process, until) = paused(2);
    process.kill();
    let leave = |until| {
        fs::write(order_of(&rig), Order::PauseLift { until, by: Some("eve".into()) }.to_bytes()).unwrap();
        let process = run(&rig, &[]);
        wait_for("the order to be taken", || (!order_of(&rig).exists()).then_some(()));
        process
    };
    let process = leave(until.before(MINUTE));
    wait_for("the pause to go on", || process.waits_for().filter(|why| why == "imposed"));
    process.kill();
    goes_on(&rig, &mut leave(until), 4);
    check_history(&rig, until);
}

#[test]
fn root_leaves_the_ledger_of_another_user_to_the_process_that_has_it() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("root_leaves_the_ledger_of_another_user: SKIPPED, for this is not root");
        return;
    }
    let (rig, process, until) = paused(1);
    let other = 65_534;
    std::os::unix::fs::chown(&rig.ledger, Some(other), None).unwrap();
    let (code, out, err) = resume(&rig);
    assert!(code == Some(0) && out.contains(&until.to_string()), "{out}{err}");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(&rig.ledger).unwrap()), other, "it is still theirs");
    process.kill();
}
