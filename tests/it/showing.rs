//! What is shown is true: every reader sees the same of an account, also after a kill.
//!
//! In: one account for each state there is, and the real binary. Out: page, command and ledger agree on its conditions and
//! since when they hold.
//! Deliberately absent: the words of each condition, which `cli::status` has.

mod broken;
mod budgets;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use serde_json::Value;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::builders::Manifest;
use super::process::{Process, Rig, account, wait_for};

/// The conditions of each account, by its id: type, status, reason and since when.
type Shown = BTreeMap<String, Vec<[String; 4]>>;

fn shown(document: &str) -> Option<Shown> {
    let document: Value = serde_json::from_str(document).ok()?;
    let condition = |condition: &Value| {
        ["type", "status", "reason", "lastTransitionTime"].map(|key| condition[key].as_str().unwrap().to_owned())
    };
    let item = |item: &Value| {
        let conditions = item["status"]["conditions"].as_array().unwrap().iter().map(condition).collect();
        (item["spec"]["accountId"].as_str().unwrap().to_owned(), conditions)
    };
    Some(document["items"].as_array()?.iter().map(item).collect())
}

fn with_budget(mut command: Command) -> Command {
    command.env("ZOHO_MAIL_DISRUPTION_BUDGET", "1");
    command
}

fn daemon(rig: &Rig) -> Process {
    let mut command = with_budget(rig.writing("run"));
    command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]);
    rig.begin(command)
}

/// What the daemon shows, once it shows this of each account.
fn by_daemon(process: &Process, reasons: &[&str]) -> Shown {
    wait_for("the state of each account", || {
        let (_, body) = process.page("/status")?;
        let shown = shown(&body)?;
        let found: Vec<_> = shown.values().map(|conditions| conditions[0][2].as_str()).collect();
        (found == reasons).then_some(shown)
    })
}

/// All counts are those of what is shown: in the metrics, in `/status`, and in the page's headline and tiles.
fn assert_counted(process: &Process, shown: &Shown) {
    let is = |conditions: &[[String; 4]], kind: &str| {
        conditions.iter().any(|[found, status, ..]| found == kind && status == "True")
    };
    let number = |counts: &dyn Fn(&[[String; 4]]) -> bool| shown.values().filter(|found| counts(found)).count();
    let because = |reason: &str| number(&|conditions| conditions[0][2] == reason);
    let counted = |kind: &str| if kind == "Suspended" { because(kind) } else { number(&|found| is(found, kind)) };
    let kinds = ["Ready", "Reconciling", "Stalled", "Suspended"];
    let (counts, held) = (kinds.map(counted), because("DisruptionBudgetExceeded"));
    let mut expected: Vec<_> = std::iter::zip(kinds, counts)
        .map(|(kind, count)| format!("zoho_mail_reconciler_accounts{{condition=\"{kind}\"}} {count}\n"))
        .collect();
    expected.push(format!("zoho_mail_reconciler_disruptions_held {held}\n"));
    wait_for(&format!("the metrics to count {expected:?}"), || {
        let (_, metrics) = process.page("/metrics")?;
        expected.iter().all(|line| metrics.contains(line)).then_some(())
    });
    let (_, status) = process.page("/status").unwrap();
    let reconciler = &serde_json::from_str::<Value>(&status).unwrap()["reconciler"];
    let by_condition = kinds.map(|kind| reconciler["byCondition"][kind.to_lowercase()].as_u64().unwrap());
    assert_eq!(by_condition.map(|count| usize::try_from(count).unwrap()), counts, "{shown:?}");
    assert_eq!(reconciler["held"].as_u64(), Some(held as u64), "{shown:?}");
    // What stops everybody comes first there.
    if counts[2] == 0 || !reconciler["credentialsRefused"].is_null() {
        return;
    }
    let attention = match counts[2] {
        1 => "1 account needs attention".to_owned(),
        more => format!("{more} accounts need attention"),
    };
    wait_for(&attention, || process.page("/").filter(|(_, page)| page.contains(&attention)).map(drop));
}

fn by_command(rig: &Rig) -> Shown {
    let output = with_budget(rig.reading("status")).args(["-o", "json"]).output().unwrap();
    shown(&String::from_utf8(output.stdout).unwrap()).unwrap()
}

/// A command that knows the ledger alone.
fn beside(rig: &Rig, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler"));
    command.env_clear().args(arguments).arg("--ledger").arg(&rig.ledger).output().unwrap()
}

#[test]
fn page_and_command_show_the_same_conditions_since_the_same_moments_also_after_a_kill() {
    let rig = Rig::new(10);
    (0..10).for_each(|n| rig.declare(n, n > 1, false));
    assert!(rig.apply().status.success());
    let faults = [(0, 404), (1, 503)].map(|(n, status)| {
        format!(r#"{{"operation": "put", "account": "{}", "do": {{"answer": {{"status": {status}}}}}}}"#, account(n))
    });
    rig.script(&format!(r#"{{"faults": [{}]}}"#, faults.join(",")));
    let place = rig.folder.path().join("desired-state");
    let write = |name: &str, text: String| fs::write(place.join(name), text).unwrap();
    let process = daemon(&rig);
    by_daemon(&process, &["ReconciliationSucceeded"; 10]);

    (0..2).for_each(|n| rig.declare(n, true, false));
    write("a2.yaml", Manifest::numbered(2).enabled(false).set("suspend", "true").to_string());
    write("again.yaml", Manifest::of("again").id(3).enabled(true).to_string());
    write("a4.yaml", "kind: [".to_owned());
    fs::remove_file(place.join("a5.yaml")).unwrap();
    (6..8).for_each(|n| rig.declare(n, false, false));
    let reasons = [
        "AccountNotFound",
        "ServiceUnavailable",
        "Suspended",
        "DuplicateAccount",
        "InvalidManifest",
        "Orphaned",
        "DisruptionBudgetExceeded",
        "DisruptionBudgetExceeded",
        "ReconciliationSucceeded",
        "ReconciliationSucceeded",
    ];
    let before = by_daemon(&process, &reasons);
    // What the daemon knows is on the disk a moment later.
    wait_for("the command to show the same", || (by_command(&rig) == before).then_some(()));
    assert_counted(&process, &before);
    process.kill();
    assert_eq!(by_command(&rig), before, "while no process runs");
    let process = daemon(&rig);
    assert_eq!(by_daemon(&process, &reasons), before, "after the kill");
    assert_counted(&process, &before);
}

#[test]
fn the_age_of_the_oldest_change_and_of_what_is_suspended_survives_a_restart() {
    let rig = Rig::new(2);
    assert!(beside(&rig, &["suspend", "--force", "--reason", "a migration"]).status.success());
    let oldest = |process: &Process| {
        wait_for("the suspension", || {
            let (_, body) = process.page("/status")?;
            let document: Value = serde_json::from_str(&body).ok()?;
            let oldest = document["reconciler"]["oldestPending"].as_str()?.to_owned();
            let shown = shown(&body)?;
            let all = shown.values().filter(|conditions| conditions[0][2] == "Suspended").count() == 2;
            all.then_some((oldest, shown))
        })
    };
    let process = daemon(&rig);
    let before = oldest(&process);
    assert!(before.1.values().all(|conditions| conditions[0][3] == before.0), "{before:?}");
    assert_counted(&process, &before.1);
    // What the daemon knows is on the disk a moment later.
    wait_for("the command to show the same", || (by_command(&rig) == before.1).then_some(()));
    process.kill();
    let process = daemon(&rig);
    assert_eq!(oldest(&process), before);
}

#[test]
fn an_account_that_is_resumed_is_ready_since_then_though_nothing_was_sent_also_after_a_restart() {
    let rig = Rig::new(1);
    assert!(rig.apply().status.success());
    let process = daemon(&rig);
    let since = |reason| by_daemon(&process, &[reason]).into_values().next().unwrap()[0][3].clone();
    let applied = since("ReconciliationSucceeded");
    let sent = rig.world().requests_total();
    let suspended = Manifest::numbered(0).enabled(true).active_sync(true).set("suspend", "true").to_string();
    fs::write(rig.folder.path().join("desired-state/a0.yaml"), suspended).unwrap();
    let suspended = since("Suspended");
    rig.declare(0, true, true);
    let ready = since("ReconciliationSucceeded");
    let moments: Vec<Timestamp> = [&applied, &suspended, &ready].map(|text| text.parse().unwrap()).into();
    assert!(moments.is_sorted_by(|before, after| before < after), "{moments:?}");
    let shown = by_daemon(&process, &["ReconciliationSucceeded"]);
    wait_for("the command to show the same", || (by_command(&rig) == shown).then_some(()));
    process.kill();
    assert_eq!(by_command(&rig), shown, "while no process runs");
    let process = daemon(&rig);
    assert_eq!(by_daemon(&process, &["ReconciliationSucceeded"]), shown, "after the restart");
    assert_eq!(rig.world().requests_total(), sent);
}

/// `forget` with these arguments: its exit code and all it printed.
fn forget(rig: &Rig, names: &[&str]) -> (Option<i32>, String) {
    let output = rig.reading("forget").env("USER", "eve").args(names).args(["--log-format", "text"]).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code(), text.replace(rig.folder.path().to_str().unwrap(), "DIR"))
}

#[test]
fn an_account_whose_manifest_is_gone_is_forgotten_with_and_without_a_daemon_and_no_other() {
    let rig = Rig::new(5);
    assert!(rig.apply().status.success());
    let place = rig.folder.path().join("desired-state");
    (1..4).for_each(|n| fs::remove_file(place.join(format!("a{n}.yaml"))).unwrap());
    fs::write(place.join("a4.yaml"), "kind: [").unwrap();
    let known = || rig.read_ledger().unwrap().accounts.into_keys().collect::<Vec<_>>();
    let refused = forget(&rig, &["a1", "a0", "a4", "a9"]);
    assert_eq!(known().len(), 5, "all or nothing");
    insta::assert_snapshot!(format!("{}--- exit {:?}", refused.1, refused.0), @r#"
    error: a0: a0.yaml:1 declares it; only an account whose manifest is gone can be forgotten
    error: no account is called "a9", neither in the manifests nor in the ledger
    error: 1 problem in manifests, so it is not known whose is gone; see `validate DIR/desired-state`
    --- exit Some(1)
    "#);

    rig.declare(4, true, false);
    let (code, text) = forget(&rig, &["a1", "a1"]);
    assert_eq!((code, &*text), (Some(0), &*format!("forgotten: a1 ({})\n", account(1))));
    assert_eq!(known(), [0, 2, 3, 4].map(account));
    let process = rig.run();
    wait_for("the daemon to have read all", || process.page("/readyz").filter(|(status, _)| *status == 200));
    let (code, text) = forget(&rig, &[&account(2).to_string(), "a3"]);
    assert_eq!(code, Some(0), "{text}{}", process.said());
    assert_eq!(known(), [0, 4].map(account));
    let (_, body) = process.page("/status").unwrap();
    assert_eq!(shown(&body).unwrap().len(), 2, "{body}");
    process.kill();
    assert_eq!(known(), [0, 4].map(account), "also after a kill");
    let of_one = String::from_utf8(beside(&rig, &["history", "a3"]).stdout).unwrap();
    assert!(of_one.contains("forgotten"), "{of_one}");
    let history = String::from_utf8(beside(&rig, &["history", "-o", "jsonl"]).stdout).unwrap();
    assert_eq!(history.matches("\"forgotten\"").count(), 3, "{history}");
    assert_eq!(history.matches("\"by\":\"eve\"").count(), 3, "{history}");
    assert!(beside(&rig, &["history", "--verify"]).status.success());

    // Declared again, all that it wants is sent.
    let before = rig.world().requests_total();
    rig.declare(1, true, true);
    assert!(rig.apply().status.success());
    assert_eq!(rig.puts(before).len(), 2);
}

#[test]
fn an_account_of_which_a_put_may_still_take_effect_is_not_forgotten() {
    let rig = Rig::new(1);
    rig.script(r#"{"faults": [{"operation": "put", "latency": "10m"}]}"#);
    let process = rig.run();
    wait_for("a request", || (rig.world().requests_total() > 1).then_some(()));
    process.kill();
    fs::remove_file(rig.folder.path().join("desired-state/a0.yaml")).unwrap();
    // The folder must not look emptied by accident.
    rig.declare(1, true, true);
    let (code, text) = forget(&rig, &["a0"]);
    assert!(code == Some(1) && text.contains("a0: a PUT may still take effect until"), "{text}");
    let process = rig.run();
    wait_for("the daemon to have read all", || process.page("/readyz").filter(|(status, _)| *status == 200));
    let accounts = vec![account(0)];
    let order = zoho_mail_reconciler::order::Order::Forget { accounts, by: None };
    fs::write(rig.ledger.with_file_name("ledger.json.order"), order.to_bytes()).unwrap();
    wait_for("the daemon to say no", || process.said().contains("not forgotten").then_some(()));
    assert!(rig.read_ledger().unwrap().accounts.contains_key(&account(0)));
}

#[test]
fn a_ledger_that_cannot_be_written_is_shown_by_the_command_too_and_its_absence_and_the_absence_of_a_daemon() {
    let rig = Rig::new(2);
    let status = || {
        let output = rig.reading("status").args(["--sort-by", "status"]).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        text.replace(rig.ledger.to_str().unwrap(), "LEDGER")
    };
    assert!(status().contains("there is no ledger LEDGER"), "{}", status());
    assert!(rig.apply().status.success());
    assert!(status().contains("no daemon runs with this ledger"), "{}", status());

    // A limit on the size of its files is to a process what a full disk is.
    let mut command = Command::new("prlimit");
    let program = rig.writing("run");
    command.args(["--fsize=2000", "--"]).arg(program.get_program()).args(program.get_args());
    command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]);
    command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let process = rig.begin(command);
    wait_for("the daemon to have read all", || process.page("/readyz").filter(|(status, _)| *status == 200));
    assert!(!status().contains("note:"), "{}", status());
    for n in 2..40 {
        rig.declare(n, true, true);
    }
    let (_, why) = wait_for("the ledger to be full", || process.page("/readyz").filter(|(status, _)| *status == 503));
    assert!(why.contains("the ledger cannot be written"), "{why}{}", process.said());
    let shown = wait_for("the command to show it", || Some(status()).filter(|text| text.contains("LedgerUnavailable")));
    assert!(!shown.contains("note:"), "{shown}");
    // Since when nothing can be written, and not since when somebody looks.
    let since = |shown: Shown| {
        let blocked = shown.into_values().filter(|conditions| conditions[0][2] == "LedgerUnavailable");
        blocked.flatten().map(|[.., since]| since.parse::<Timestamp>().unwrap().as_millis()).collect::<Vec<_>>()
    };
    let found = since(by_command(&rig));
    let by_page = since(self::shown(&process.page("/status").unwrap().1).unwrap());
    assert_eq!(found.len(), by_page.len());
    let differs = std::iter::zip(&found, &by_page).any(|(command, page)| command.abs_diff(*page) > 1_000);
    assert!(!differs, "{found:?} {by_page:?}");
    process.kill();
    assert!(status().contains("LedgerUnavailable"), "what the last daemon could not do: {}", status());
    assert_eq!(since(by_command(&rig)), found, "until the ledger is written again");
}

#[test]
fn refused_credentials_are_shown_by_the_command_and_said_again_after_a_restart_until_they_work() {
    let rig = Rig::new(2);
    let secret = rig.folder.path().join("secret");
    fs::write(&secret, "wrong").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let begin = || {
        let mut command = rig.writing("run");
        command.env_remove("ZOHO_MAIL_CLIENT_SECRET").env("ZOHO_MAIL_CLIENT_SECRET_FILE", &secret);
        command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]);
        rig.begin(command)
    };
    let process = begin();
    let reasons = || {
        let conditions = by_command(&rig).into_values().map(|conditions| conditions[0].clone());
        conditions.map(|[_, status, reason, since]| (status, reason, since)).collect::<Vec<_>>()
    };
    let refused = |found: &Vec<(String, String, String)>| found.iter().all(|(_, reason, _)| reason == "Unauthorized");
    let before = wait_for("the refusal", || Some(reasons()).filter(refused));
    assert_counted(&process, &by_command(&rig));
    assert!(process.page("/readyz").unwrap().1.contains("the credentials do not work"));
    process.kill();
    assert_eq!(reasons(), before, "while no process runs");
    let process = begin();
    wait_for("the log to say it again", || process.said().contains("when the last process ended").then_some(()));
    wait_for("the refusal again", || process.said().contains("the credentials do not work; all PUTs").then_some(()));
    assert_eq!(reasons(), before);
    fs::write(&secret, "sandbox").unwrap();
    process.signal(rustix::process::Signal::HUP);
    let ready = |found: &Vec<(String, String, String)>| found.iter().all(|(status, ..)| status == "True");
    wait_for("the accounts to be applied", || Some(reasons()).filter(ready));
    let answer = wait_for("the daemon to be ready", || process.page("/readyz").filter(|(status, _)| *status == 200));
    assert_eq!(answer.0, 200);
}
