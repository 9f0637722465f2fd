//! No access token can be had: the real binary, and an accounts host that is not there or is another thing.
//!
//! In: an address at which nothing listens, or something that is no token endpoint. Out: pages, metrics, log and ledger say
//! so, and once the host is there again everything goes on by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use zoho_mail_reconciler::account::Field;

use super::process::{Process, Rig, wait_for};

/// The daemon, with its accounts host at `url`.
fn run(rig: &Rig, url: &str) -> Process {
    let mut command = rig.writing_to("run", url);
    command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]);
    rig.begin(command)
}

fn metric(process: &Process, name: &str) -> Option<String> {
    let (_, text) = process.page("/metrics")?;
    let start = format!("zoho_mail_reconciler_{name} ");
    text.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
}

/// Waits until the outage is believed; returns what `/readyz` says.
fn outage(process: &Process) -> String {
    wait_for("the outage", || {
        process
            .page("/readyz")
            .filter(|(status, _)| *status == 503)
            .map(|(_, why)| why)
            .filter(|why| why.contains("no access token can be had"))
    })
}

#[test]
fn an_accounts_host_that_is_not_there_is_its_own_condition_and_uses_up_no_token_requests() {
    let rig = Rig::new(2);
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let process = run(&rig, &url);
    let why = outage(&process);
    assert!(why.contains("Connection refused"), "{why}");
    assert_eq!(metric(&process, "token_unavailable").as_deref(), Some("1"));
    let page = process.page("/").unwrap().1;
    assert!(page.contains("No access token can be had"), "{page}");
    let status = process.page("/status").unwrap().1;
    assert!(status.contains("TokenUnavailable"), "{status}");
    // More than the ten that are allowed in ten minutes.
    wait_for("eleven attempts", || (process.said().matches("Connection refused").count() > 10).then_some(()));
    assert_eq!(process.waits_for().unwrap_or("token_unavailable".into()), "token_unavailable");
    let said = process.said();
    assert_eq!(said.matches("\"no access token can be had; trying again").count(), 1, "{said}");
    process.kill();
    // What the ledger remembers lets the next process have its token at once.
    assert!(rig.read_ledger().is_none_or(|ledger| ledger.token_requests.len() <= 1));
    let process = rig.run();
    wait_for("both accounts", || (rig.applied().len() == 4).then_some(()));
    assert_eq!(process.page("/readyz").unwrap().0, 200);
    assert_eq!(metric(&process, "token_unavailable").as_deref(), Some("0"));
    assert!(rig.applied().keys().any(|(_, field)| *field == Field::Enabled));
}

#[test]
fn an_answer_that_is_no_token_answer_is_the_same_condition_and_ends_by_itself() {
    let rig = Rig::new(1);
    rig.script(r#"{"faults": [{"operation": "token", "times": 5, "do": {"answer": {"status": 200, "body": "<html>Sign in</html>"}}}]}"#);
    let process = rig.run();
    let why = outage(&process);
    assert!(why.contains("HTTP 200"), "{why}");
    wait_for("the account", || (rig.applied().len() == 2).then_some(()));
    wait_for("the end of it", || process.page("/readyz").filter(|(status, _)| *status == 200));
}

#[test]
fn a_secret_file_that_is_empty_at_the_start_is_waited_for_and_that_is_shown_also_when_it_vanishes_then() {
    for (vanishes, why) in [(false, "is empty"), (true, "names no file that is there")] {
        let rig = Rig::new(2);
        let secret = rig.folder.path().join("secret");
        let write = |text: &str| {
            fs::write(&secret, text).unwrap();
            fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        };
        write("");
        let with_file = |name| {
            let mut command = rig.writing(name);
            command.env_remove("ZOHO_MAIL_CLIENT_SECRET").env("ZOHO_MAIL_CLIENT_SECRET_FILE", &secret);
            command
        };
        let pass = with_file("apply").output().unwrap();
        let said = String::from_utf8(pass.stderr).unwrap();
        assert!(pass.status.code() == Some(64) && said.contains("is empty"), "{said}");
        let mut command = with_file("run");
        command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]);
        let process = rig.begin(command);
        wait_for("what it waits for", || process.waits_for().filter(|waits| waits == "credentials"));
        if vanishes {
            fs::remove_file(&secret).unwrap();
            wait_for("the file to be missed", || process.page("/readyz").filter(|(_, answer)| answer.contains(why)));
        }
        let (_, status) = process.page("/status").unwrap();
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        assert!(status["reconciler"]["waiting"]["until"].is_string(), "{status}");
        assert_eq!(status["items"][0]["status"]["conditions"][0]["reason"], "Unauthorized");
        let (code, not_ready) = process.page("/readyz").unwrap();
        assert!(
            code == 503 && not_ready.contains("the credentials do not work") && not_ready.contains(why),
            "{not_ready}"
        );
        let page = process.page("/").unwrap().1;
        assert!(page.contains("The credentials do not work") && page.contains("The next attempt: "), "{page}");
        write("sandbox");
        wait_for("both accounts", || (rig.applied().len() == 4).then_some(()));
        assert_eq!(process.waits_for(), None);
    }
}
