//! `doctor`: every trouble is made for real, and found with its remedy; nothing is written, and nothing is changed.

mod quiet;
mod service;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use zoho_mail_reconciler::account::Zoid;
use zoho_mail_reconciler::ledger::file::LedgerFile;
use zoho_mail_reconciler::ledger::{Owner, Record};
use zoho_mail_reconciler::timestamp::Timestamp;

use crate::cli::PATIENCE;
use crate::process::{Rig, wait_for};

/// What `doctor` said.
struct Told {
    code: i32,
    checks: BTreeMap<String, Value>,
    text: String,
}

impl Told {
    /// Level, words and remedy of one check.
    fn of(&self, check: &str) -> (&str, &str, &str) {
        let check = self.checks.get(check).unwrap_or_else(|| panic!("{check} is not in {}", self.text));
        let text = |key: &str| check[key].as_str().unwrap_or_default();
        (text("level"), text("message"), text("remedy"))
    }

    /// The checks that came out like this.
    fn at(&self, level: &str) -> Vec<&str> {
        let at = self.checks.iter().filter(|(_, check)| check["level"] == level);
        at.map(|(name, _)| name.as_str()).collect()
    }

    /// Fails unless `check` came out as `level`, and its words and its remedy hold these.
    fn expect(&self, check: &str, level: &str, words: &str, remedy: &str) {
        let found = self.of(check);
        assert_eq!(found.0, level, "{check}: {found:?}");
        assert!(found.1.contains(words), "{check}: {found:?} says {words:?}");
        assert!(found.2.contains(remedy), "{check}: {found:?} has the remedy {remedy:?}");
        assert_eq!(self.code, i32::from(!self.at("fail").is_empty()), "{}", self.text);
    }
}

/// The command, as somebody would ask with the daemon's own options.
fn command(rig: &Rig) -> Command {
    let mut command = rig.writing("doctor");
    command.args(["-o", "json", "--listen", "127.0.0.1:0"]);
    command
}

fn ask(command: Command) -> Told {
    let output = assert_cmd::Command::from_std(command).timeout(PATIENCE).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"));
    assert_eq!(document["kind"], "Diagnosis");
    let name = |check: &Value| format!("{}/{}", check["group"].as_str().unwrap(), check["check"].as_str().unwrap());
    let checks = document["checks"].as_array().unwrap();
    let named: BTreeMap<_, _> = checks.iter().map(|check| (name(check), check.clone())).collect();
    assert_eq!(named.len(), checks.len(), "two checks have one name");
    for check in checks.iter().filter(|check| ["warn", "fail"].contains(&check["level"].as_str().unwrap())) {
        assert!(!check["remedy"].as_str().unwrap().is_empty(), "{check}");
    }
    Told { code: output.status.code().unwrap_or(-1), checks: named, text }
}

fn diagnose(rig: &Rig) -> Told {
    ask(command(rig))
}

/// A ledger that remembers these.
fn remember(rig: &Rig, records: Vec<Record>) {
    let (committed, _kept) = tokio::sync::mpsc::unbounded_channel();
    let owner = Owner::Organization(Zoid::new(12_345_678).unwrap());
    let (file, _) = LedgerFile::open(&rig.ledger, owner, committed).unwrap();
    file.append(records, 0);
    file.close().unwrap();
}

fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

#[test]
fn all_is_well_before_the_first_run_and_after_it() {
    let rig = Rig::new(3);
    for applied in [false, true] {
        let told = diagnose(&rig);
        assert_eq!((told.code, told.at("fail")), (0, vec![]), "{}", told.text);
        // Where the tests run may be a container, or memory.
        let warned: Vec<_> = told.at("warn").into_iter().filter(|check| !check.contains("file system")).collect();
        assert_eq!(warned, [""; 0], "{}", told.text);
        assert_eq!(told.at("skip"), ["Service/scopes"], "{}", told.text);
        told.expect("Plan/first pass", "ok", if applied { "nothing to send" } else { "6 PUTs" }, "");
        told.expect("Service/accounts", "ok", "lists all 3 accounts", "");
        told.expect("Service/organization", "ok", "12345678", "");
        let totals = rig.world().totals();
        assert_eq!(totals.tokens, 1 + 2 * u64::from(applied), "one token a run");
        assert_eq!(totals.puts, 6 * u64::from(applied), "and no PUT");
        if !applied {
            assert!(rig.apply().status.success());
        }
    }
}

#[test]
fn what_people_read_has_groups_marks_and_remedies_and_no_colours_in_a_pipe() {
    let rig = Rig::new(2);
    let mut command = replace(rig.reading("doctor"), "--ledger", "/nowhere/ledger.json");
    command.args(["--offline", "--listen", "off", "--zoid", "1"]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for line in [
        "Desired state\n",
        "  ok    manifests       2 accounts, no problem\n",
        "  fail  folder          there is no folder /nowhere\n                        -> create it, or correct --ledger\n",
        "  skip  token           --offline\n",
        "  fail  credentials     no credentials\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in:\n{text}");
    }
    assert!(!text.contains('\u{1b}') && text.ends_with(" skip\n"), "{text}");
    let help = rig.reading("doctor").arg("--help").output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("Exit codes: 0 nothing fails"));
}

#[test]
fn the_sandbox_needs_nothing_and_is_well() {
    let rig = Rig::new(1);
    let mut command = rig.reading("doctor");
    command.args(["--sandbox", "-o", "json", "--listen", "off"]);
    let told = ask(command);
    assert_eq!((told.code, told.at("fail")), (0, vec![]), "{}", told.text);
    told.expect("Service/token", "ok", "granted", "");
    assert_eq!(rig.world().requests_total(), 0, "its own sandbox, and not another");
}

#[test]
fn a_folder_that_is_missing_empty_or_wrong_is_told_with_its_remedy() {
    let rig = Rig::new(1);
    let manifest = rig.folder.path().join("desired-state/a0.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("enabled: true", "enabled: yes")).unwrap();
    let told = diagnose(&rig);
    told.expect("Desired state/manifests", "fail", "a0.yaml:8:", "zoho-mail-reconciler validate");
    told.expect("Desired state/folder", "ok", "", "");
    fs::remove_file(&manifest).unwrap();
    diagnose(&rig).expect("Desired state/manifests", "fail", "", "DesiredStateUnknown");
    fs::remove_dir(rig.folder.path().join("desired-state")).unwrap();
    let told = diagnose(&rig);
    told.expect("Desired state/folder", "fail", "No such file", "--desired-state");
    told.expect("Plan/first pass", "skip", "", "");
    told.expect("Service/token", "ok", "granted", "");
}

#[test]
fn what_git_and_the_environment_leave_behind_is_warned_of() {
    let rig = Rig::new(1);
    fs::create_dir_all(rig.folder.path().join(".git")).unwrap();
    diagnose(&rig).expect("Desired state/git", "ok", "a checkout in", "");
    fs::write(rig.folder.path().join(".git/index.lock"), "").unwrap();
    let mut command = command(&rig);
    command.env("ZOHO_MAIL_CLIENT_SECRET_FLIE", "x").env("ZOHO_MAIL_\u{1b}[2J", "x");
    let told = ask(command);
    told.expect("Desired state/git", "warn", "index.lock", "remove that file");
    told.expect("Program/environment", "warn", "ZOHO_MAIL_CLIENT_SECRET_FLIE", "ZOHO_MAIL_CLIENT_SECRET_FILE");
    assert!(!told.text.contains('\u{1b}'));
}

#[test]
fn a_ledger_that_is_damaged_foreign_or_open_is_told_and_left_as_it_is() {
    let rig = Rig::new(2);
    assert!(rig.apply().status.success());
    let good = fs::read(&rig.ledger).unwrap();
    fs::set_permissions(&rig.ledger, Permissions::from_mode(0o644)).unwrap();
    diagnose(&rig).expect("Ledger/mode", "warn", "ledger.json (0644)", "chmod 600");
    ask(replace(command(&rig), "--zoid", "7")).expect(
        "Ledger/ledger",
        "fail",
        "belongs to organization 12345678",
        "Check --zoid",
    );
    fs::write(&rig.ledger, &good[..good.len() / 2]).unwrap();
    let told = diagnose(&rig);
    told.expect("Ledger/ledger", "fail", "is damaged", "Restore the ledger");
    told.expect("Service/organization", "ok", "", "");
    assert_eq!(fs::read(&rig.ledger).unwrap(), good[..good.len() / 2]);
}

/// The same command with another value of an option that may be given once.
fn replace(command: Command, option: &str, value: &str) -> Command {
    let mut arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let at = arguments.iter().position(|argument| argument == option).unwrap();
    arguments[at + 1] = value.into();
    let mut new = Command::new(command.get_program());
    new.args(arguments).env_clear();
    new.envs(command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
    new
}

#[test]
fn a_running_daemon_is_seen_and_not_disturbed() {
    let rig = Rig::new(2);
    let mut daemon = rig.writing("run");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    daemon.args(["--listen", &free, "--debounce", "10ms"]);
    let mut process = rig.begin(daemon);
    wait_for("everything to be applied", || (rig.world().totals().puts == 4).then_some(()));
    let told = ask(replace(command(&rig), "--listen", &free));
    told.expect("Ledger/lock", "ok", &format!("held by process {}", process.pid().as_raw_nonzero()), "");
    told.expect("Program/pages", "ok", "the daemon runs", "");
    rig.declare(0, false, false);
    wait_for("the daemon to go on", || (rig.world().totals().puts > 4).then_some(()));
    process.signal(Signal::TERM);
    assert!(process.end().success());
    diagnose(&rig).expect("Ledger/lock", "ok", "free", "");
}

#[test]
fn a_port_that_is_taken_is_named_with_the_way_to_find_out_by_whom() {
    let rig = Rig::new(1);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    ask(replace(command(&rig), "--listen", &address)).expect("Program/pages", "fail", &address, "ss -ltnp");
}

#[test]
fn a_plan_tells_how_long_it_takes_what_is_held_and_that_all_is_suspended() {
    let rig = Rig::new(60);
    let mut command = command(&rig);
    command.env("ZOHO_MAIL_RATE_LIMIT", "25/1m").env("ZOHO_MAIL_DISRUPTION_BUDGET", "3");
    fs::write(rig.ledger.with_extension("json.suspended"), "").unwrap();
    let told = ask(command);
    told.expect("Plan/first pass", "ok", "120 PUTs, in about 4m at 25/1m", "");
    told.expect("Plan/disruptions", "warn", "would be held", "DisruptionBudgetExceeded");
    told.expect("Plan/switch", "warn", "suspended", "resume");
    told.expect("Service/accounts", "ok", "lists all 60 accounts", "");
}

#[test]
fn a_clock_that_was_set_back_is_noticed_by_the_ledger() {
    let rig = Rig::new(1);
    remember(&rig, vec![Record::TokenRequest { at: now() + Duration::from_secs(3600) }]);
    diagnose(&rig).expect("Program/clock", "warn", "still to come", "timedatectl");
}
