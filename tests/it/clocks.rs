//! The wall clock of the real binary is set while it runs, and between two runs, by libfaketime.
//!
//! In: a daemon whose calls for the wall clock are answered as a file says. Out: what the service saw, `/status`, the log.
//! Where libfaketime is missing (package `faketime`) these are skipped.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use serde_json::Value;
use zoho_mail_reconciler::ledger::file::history;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::builders::Manifest;
use super::process::{Process, Rig, account, wait_for};

const STEPPED: &str = "the clock was set";
const BEHIND: &str = "the ledger remembers what is still to come";

/// A daemon, and the clock it believes.
struct WrongClock {
    rig: Rig,
    preload: PathBuf,
}

impl WrongClock {
    /// `None`, with a word on standard error, where libfaketime is missing or does not do what is wanted.
    fn new(test: &str, accounts: u64) -> Option<Self> {
        let folders = fs::read_dir("/usr/lib").ok()?.flatten().map(|folder| folder.path());
        let folders = folders.chain([PathBuf::from("/usr/lib")]).map(|folder| folder.join("faketime"));
        let library = folders.map(|folder| folder.join("libfaketime.so.1")).find(|library| library.exists());
        if library.is_none() {
            eprintln!("{test}: SKIPPED, for libfaketime is missing");
        }
        Some(Self { rig: Rig::new(accounts), preload: library? })
    }

    fn file(&self) -> PathBuf {
        self.rig.folder.path().join("clock")
    }

    /// The daemon's wall clock is off by this much from now on: `+2h`, `-3y`.
    fn set(&self, off: &str) {
        let new = self.rig.folder.path().join("clock.new");
        fs::write(&new, off).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    /// The daemon, with these settings.
    fn run(&self, settings: &[(&str, &str)]) -> Process {
        let mut command = self.rig.writing("run");
        command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]);
        command.envs(settings.iter().map(|(name, value)| (format!("ZOHO_MAIL_{name}"), value)));
        self.rig.begin(self.believed(command))
    }

    /// The command, with the clock that the daemon believes.
    fn believed(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", &self.preload).env("FAKETIME_TIMESTAMP_FILE", self.file());
        // Only the wall clock is wrong: neither time that runs evenly nor the files' own.
        for name in ["FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT", "FAKETIME_NO_CACHE"] {
            command.env(name, "1");
        }
        command
    }

    /// Sets the clock of a running daemon, and waits until it says so.
    fn step(&self, process: &Process, off: &str) {
        let before = said(process, STEPPED);
        self.set(off);
        wait_for("the step to be noticed", || (said(process, STEPPED) == before + 1).then_some(()));
    }

    fn write(&self, name: &str, text: &impl ToString) {
        fs::write(self.rig.folder.path().join("desired-state").join(name), text.to_string()).unwrap();
    }
}

/// How many lines of the log begin so.
fn said(process: &Process, what: &str) -> usize {
    process.said().matches(&format!("\"message\":\"{what}")).count()
}

fn report(process: &Process) -> Option<Value> {
    let page: Value = serde_json::from_str(&process.page("/status")?.1).ok()?;
    Some(page["reconciler"].clone())
}

/// The daemon's own numbers, once they are as wished.
fn until(process: &Process, what: &str, wish: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || report(process).filter(&wish))
}

/// Everything is read again: whatever could be sent has been by then.
fn resync(process: &Process) {
    let before = report(process).unwrap()["lastSync"].clone();
    process.signal(Signal::HUP);
    until(process, "the resync", |report| report["lastSync"] != before && report["inFlight"] == 0);
}

fn moment(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// In how many seconds the pause in force ends, by the daemon's own clock.
fn pause_left(process: &Process) -> u64 {
    let report = until(process, "the pause", |report| report["pause"].is_object());
    moment(&report["pause"]["until"]).since(moment(&report["turnedAt"])).as_secs()
}

#[test]
fn no_request_leaves_a_full_window_whatever_the_clock_does_in_a_run_or_before_the_next_one() {
    let Some(clock) = WrongClock::new("clocks", 20) else { return };
    let settings = [("RATE_LIMIT", "5/1h")];
    let is_full = |report: &Value| report["requestBudget"]["used"] == 5 && report["inFlight"] == 0;
    clock.set("-2h");
    let process = clock.run(&settings);
    until(&process, "a full window", is_full);
    for off in ["+0", "+3y", "-2h", "+0"] {
        clock.step(&process, off);
        resync(&process);
        until(&process, "the window that stays full", is_full);
    }
    assert_eq!((said(&process, STEPPED), clock.rig.world().requests_total()), (4, 5));
    process.kill();
    // The last clock was right, as far as that process could tell; these are behind it.
    for (off, lines) in [("+0", 0), ("-2h", 1), ("-2h", 0), ("-3y", 1)] {
        clock.set(off);
        let process = clock.run(&settings);
        until(&process, "the next run", |report| is_full(report) && report["loaded"] == true);
        resync(&process);
        assert_eq!((said(&process, BEHIND), clock.rig.world().requests_total()), (lines, 5), "{off}");
        process.kill();
    }
}

#[test]
fn an_approval_that_expired_an_hour_ago_lets_nothing_out_once_a_clock_that_ran_behind_is_set_right() {
    let Some(clock) = WrongClock::new("clocks", 1) else { return };
    clock.set("-2h");
    let process = clock.run(&[("DISRUPTION_BUDGET", "0")]);
    until(&process, "the grants", |report| report["loaded"] == true && report["pending"] == 0);
    let sent = clock.rig.world().requests_total();
    clock.step(&process, "+0");
    let expires = Timestamp::from(SystemTime::now()).before(Duration::from_secs(3600));
    clock.write("approval.yaml", &Manifest::approval("leavers").set("expires", expires).approving("a0", "enabled"));
    clock.rig.declare(0, false, true);
    until(&process, "the hold", |report| report["held"] == 1);
    // Nor if it runs behind again, and the account is planned anew.
    clock.step(&process, "-2h");
    clock.rig.declare(0, false, false);
    until(&process, "the edit", |report| report["pendingChanges"]["activeSyncEnabled"]["disable"] == 1);
    resync(&process);
    assert_eq!((&report(&process).unwrap()["held"], clock.rig.world().requests_total()), (&1.into(), sent));
}

#[test]
fn a_pause_lasts_as_long_as_the_service_asked_for_though_the_clock_was_three_years_ahead_once() {
    let Some(clock) = WrongClock::new("clocks", 1) else { return };
    clock.rig.script(
        r#"{"faults": [{"operation": "put", "do": {"answer": {"status": 429, "headers": {"Retry-After": "600"}}}}]}"#,
    );
    clock.set("+0");
    let process = clock.run(&[]);
    let mut left = vec![pause_left(&process)];
    for off in ["+3y", "+0", "-2h", "+0"] {
        clock.step(&process, off);
        left.push(pause_left(&process));
    }
    assert!(left.is_sorted_by(|before, after| before >= after), "{left:?}");
    assert!(left.iter().all(|left| (300..=600).contains(left)), "{left:?}");
    let sent = clock.rig.world().requests_total();
    resync(&process);
    assert_eq!(clock.rig.world().requests_total(), sent);
}

#[test]
fn the_log_and_the_history_have_the_time_of_a_clock_that_was_set_right() {
    let Some(clock) = WrongClock::new("clocks", 1) else { return };
    clock.set("-2h");
    let process = clock.run(&[]);
    until(&process, "the first PUTs", |report| report["loaded"] == true && report["pending"] == 0);
    clock.step(&process, "+0");
    let now = Timestamp::from(SystemTime::now()).before(Duration::from_secs(1));
    clock.rig.declare(0, false, true);
    until(&process, "the last PUT", |report| report["totals"]["applied"] == 3);
    // The log has a thread of its own.
    let applied = || process.said().lines().filter(|line| line.contains("\"applied\"")).nth(2).map(str::to_owned);
    let line: Value = serde_json::from_str(&wait_for("its line in the log", applied)).unwrap();
    let history = history(&clock.rig.ledger, &|_| true).unwrap();
    for at in [moment(&line["timestamp"]), history.entries.last().unwrap().at] {
        assert!(at >= now, "{at}, and it is past {now}");
    }
}

/// An approval that ends so much later than now.
fn approval(later: Duration) -> Manifest {
    let expires = Timestamp::from(SystemTime::now()) + later;
    Manifest::approval("leavers").set("expires", expires).approving("a0", "enabled")
}

/// By `status` and `plan`, with the clock of the daemon: whether the approval is over, and how many changes are held.
fn by_commands(clock: &WrongClock) -> (Value, usize) {
    let read = |name: &str| {
        let mut command = clock.believed(clock.rig.reading(name));
        command.env("ZOHO_MAIL_ZOID", "12345678").env("ZOHO_MAIL_DISRUPTION_BUDGET", "0").args(["-o", "json"]);
        let output = command.output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    (read("status")["approvals"][0]["expired"].clone(), read("plan")["held"].as_array().unwrap().len())
}

#[test]
fn no_restart_revives_an_approval_that_was_over_before_the_clock_went_back_in_a_run_or_between_two() {
    let settings = [("DISRUPTION_BUDGET", "0")];
    for steps_in_a_run in [false, true] {
        let Some(clock) = WrongClock::new("clocks", 1) else { return };
        clock.set("+2h");
        let process = clock.run(&settings);
        until(&process, "the grants", |report| report["loaded"] == true && report["pending"] == 0);
        let sent = clock.rig.world().requests_total();
        clock.write("approval.yaml", &approval(Duration::from_secs(3600)));
        clock.rig.declare(0, false, true);
        until(&process, "the hold", |report| report["held"] == 1);
        if steps_in_a_run {
            clock.step(&process, "+0");
        }
        process.kill();
        clock.set("+0");
        for _ in 0..2 {
            assert_eq!(by_commands(&clock), (true.into(), 1), "while no process runs");
            let process = clock.run(&settings);
            until(&process, "the restart", |report| report["loaded"] == true && report["held"] == 1);
            resync(&process);
            assert_eq!((clock.rig.world().requests_total(), by_commands(&clock)), (sent, (true.into(), 1)));
            process.kill();
        }
        // One that is written anew counts.
        clock.write("approval.yaml", &approval(Duration::from_secs(5400)));
        let process = clock.run(&settings);
        until(&process, "the removal", |report| report["totals"]["applied"] == 1);
    }
}

/// An account that is valid until so much later than now.
fn contractor(later: Duration) -> Manifest {
    let until = Timestamp::from(SystemTime::now()) + later;
    Manifest::numbered(0).enabled(true).active_sync(true).set("validUntil", until)
}

#[test]
fn an_account_ends_at_its_date_by_itself() {
    let rig = Rig::new(1);
    let ends = |rig: &Rig| rig.applied().values().all(|value| !value);
    fs::write(rig.folder.path().join("desired-state/a0.yaml"), contractor(Duration::from_secs(5)).to_string()).unwrap();
    let process = rig.run();
    until(&process, "the grants", |report| report["loaded"] == true && report["pending"] == 0);
    assert!(!ends(&rig));
    until(&process, "the end", |report| report["totals"]["applied"] == 4 && report["pending"] == 0);
    assert_eq!(rig.world().account(account(0)).map(|account| account.mailbox_enabled), Some(false));
}

#[test]
fn access_that_ended_does_not_come_back_with_a_clock_that_goes_back_in_a_run_or_between_two() {
    for steps_in_a_run in [false, true] {
        let Some(clock) = WrongClock::new("clocks", 1) else { return };
        clock.write("a0.yaml", &contractor(Duration::from_secs(3600)));
        clock.set("+0");
        let process = clock.run(&[]);
        until(&process, "the grants", |report| report["loaded"] == true && report["pending"] == 0);
        clock.step(&process, "+2h");
        until(&process, "the end", |report| report["totals"]["applied"] == 4 && report["pending"] == 0);
        let sent = clock.rig.world().requests_total();
        if steps_in_a_run {
            clock.step(&process, "+0");
            resync(&process);
        }
        process.kill();
        clock.set("+0");
        let process = clock.run(&[]);
        until(&process, "the restart", |report| report["loaded"] == true && report["pending"] == 0);
        resync(&process);
        assert_eq!(clock.rig.world().requests_total(), sent);
        // Another end begins it anew.
        clock.write("a0.yaml", &contractor(Duration::from_secs(5400)));
        until(&process, "the edit", |report| report["totals"]["applied"] == 2 && report["pending"] == 0);
    }
}
