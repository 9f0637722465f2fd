//! Notifications: the real daemon, a real webhook that behaves or not, and what people get to read.

use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::builders::account;
use crate::cli::run::{events, get, started};
use crate::cli::{Place, Running, Service, until};
use crate::loopback::{Reply, Server, http};

/// What nobody may read anywhere.
const SECRET: &str = "T0PsEcReT-of-the-webhook";

/// A webhook that answers as it is told.
struct Webhook {
    server: Server,
    _runtime: Runtime,
}

impl Webhook {
    fn start(reply: Reply) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { server: runtime.block_on(Server::start(reply)), _runtime: runtime }
    }

    fn ok() -> Self {
        Self::start(Reply::Say(http(200, "", "ok")))
    }

    /// Every body so far.
    fn told(&self) -> Vec<Value> {
        self.server.memory.seen().iter().map(crate::loopback::Seen::json).collect()
    }

    fn tell(&self, place: &mut Place) {
        place.set("ZOHO_MAIL_NOTIFY_URL", &format!("{}/hooks/{SECRET}?key={SECRET}", self.server.url));
        place.set("ZOHO_MAIL_NOTIFY_AFTER", "20ms").set("ZOHO_MAIL_LOG_LEVEL", "info");
    }

    fn wait(&self, notices: usize) -> Vec<Value> {
        until("it is told", || self.told().len() >= notices);
        self.told()
    }
}

/// A daemon whose account `bob` the service rejects until its manifest changes.
fn rejecting(webhook: &Webhook) -> (Place, Service) {
    let rejected = format!(
        r#"{{"operation": "put", "account": "{}", "times": 1, "do": {{"answer": {{"status": 403}}}}}}"#,
        account(3)
    );
    let (mut place, service) = (Place::with_alice(), Service::with_faults(&rejected));
    place.account("bob", 3, "enabled: true");
    service.serve(&mut place);
    webhook.tell(&mut place);
    (place, service)
}

fn stop(mut running: Running) {
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), 0);
}

fn applied(service: &Service) -> usize {
    service.world.lock().unwrap().accounts().map(|account| account.puts as usize).sum()
}

#[test]
fn a_stalled_account_is_told_once_and_all_is_well_once_and_the_url_nowhere() {
    let webhook = Webhook::ok();
    let (mut place, _service) = rejecting(&webhook);
    place.set("ZOHO_MAIL_LOG_LEVEL", "trace");
    let (running, address) = started(&place, "run --listen 127.0.0.1:0");
    let notice = webhook.wait(1).remove(0);
    for (key, value) in
        [("kind", "Notification"), ("event", "AccountsStalled"), ("reason", "Forbidden"), ("phase", "New")]
    {
        assert_eq!(notice[key], value, "{notice}");
    }
    assert_eq!((&notice["accounts"]["count"], &notice["accounts"]["names"][0]), (&1.into(), &"bob".into()));
    assert_eq!(notice["instance"], "12345678");
    assert!(notice["text"].as_str().unwrap().contains("`bob`"), "{notice}");

    // An edit tries again, and this time it is applied.
    place.account("bob", 3, "enabled: true, activeSyncEnabled: false");
    let notice = webhook.wait(2).remove(1);
    assert_eq!((&notice["event"], &notice["phase"]), (&"AllWell".into(), &"Resolved".into()));
    let sent = "zoho_mail_reconciler_notifications_total{result=\"sent\"} 2";
    until("both are counted", || get(&address, "/metrics").1.contains(sent));
    let pages = ["/status", "/metrics", "/readyz", "/"].map(|path| get(&address, path).1).concat();
    stop(running);
    assert_eq!(webhook.told().len(), 2, "nothing is told twice");

    let files = crate::process::files(place.path());
    assert!(files.iter().any(|(path, _)| path.ends_with("ledger.json.notified")), "it is remembered what was told");
    let texts = files.into_iter().map(|(path, bytes)| (path.display().to_string(), bytes));
    for (what, bytes) in texts.chain([("the pages".to_owned(), pages.into_bytes())]) {
        assert!(!String::from_utf8_lossy(&bytes).contains(&SECRET[2..SECRET.len() - 2]), "{what}");
    }
}

#[test]
fn a_restart_repeats_nothing_and_a_damaged_memory_is_forgotten_and_said_once() {
    let webhook = Webhook::ok();
    let (place, _service) = rejecting(&webhook);
    let told = |count: usize| {
        let (running, address) = started(&place, "run --listen 127.0.0.1:0 --resync-interval 24h");
        until("it stalls", || get(&address, "/metrics").1.contains("accounts{condition=\"Stalled\"} 1"));
        webhook.wait(count);
        // Far more looks than a notice takes.
        let looked = std::time::Instant::now() + std::time::Duration::from_millis(300);
        until("it was looked at often enough", || std::time::Instant::now() > looked);
        stop(running);
        assert_eq!(webhook.told().len(), count);
    };
    told(1);
    // The fault was for the first attempt: the account is rejected by the world from now on.
    _service.world.lock().unwrap().set_faults(always_rejecting());
    told(1);
    let path = place.path().join("ledger.json.notified");
    std::fs::write(&path, "{\"damaged").unwrap();
    told(2);
    let said = events(&place).iter().filter(|event| event["message"].to_string().contains("is forgotten")).count();
    assert_eq!(said, 1);
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

fn always_rejecting() -> zoho_mail_reconciler::sandbox::Script {
    let fault =
        format!(r#"{{"operation": "put", "account": "{}", "do": {{"answer": {{"status": 403}}}}}}"#, account(3));
    zoho_mail_reconciler::sandbox::Script::parse(format!("{{\"faults\": [{fault}]}}").as_bytes()).unwrap()
}

#[test]
fn refused_credentials_held_disruptions_and_a_missing_folder_are_told() {
    let webhook = Webhook::ok();
    let (mut place, service) = (Place::new(), Service::start());
    service.serve(&mut place);
    webhook.tell(&mut place);
    (2..5).for_each(|n| place.account(&format!("a{n}"), n, "enabled: false"));
    place.set("ZOHO_MAIL_DISRUPTION_BUDGET", "1");
    let running = place.start("run --listen off");
    let notice = webhook.wait(1).remove(0);
    assert_eq!((&notice["event"], &notice["accounts"]["count"]), (&"DisruptionsHeld".into(), &3.into()));
    assert_eq!(notice["accounts"]["names"], serde_json::json!(["a2", "a3", "a4"]));
    assert_eq!(notice["runbook"], "zoho-mail-reconciler explain DisruptionBudgetExceeded");
    std::fs::rename(place.path().join("desired-state"), place.path().join("away")).unwrap();
    assert_eq!(webhook.wait(2)[1]["event"], "DesiredStateUnknown");
    stop(running);

    let webhook = Webhook::ok();
    let mut place = Place::with_alice();
    service.serve(&mut place);
    webhook.tell(&mut place);
    place.set("ZOHO_MAIL_CLIENT_SECRET", "hunter2");
    let running = place.start("run --listen off");
    let notice = webhook.wait(1).remove(0);
    assert_eq!((&notice["event"], &notice["reason"]), (&"CredentialsRefused".into(), &"Unauthorized".into()));
    assert!(notice["message"].as_str().unwrap().contains("invalid_client"), "{notice}");
    assert!(!notice.to_string().contains("hunter2"));
    stop(running);
}

#[test]
fn a_webhook_that_hangs_redirects_fails_or_floods_disturbs_nobody_and_is_complained_of_once() {
    let elsewhere = Webhook::ok();
    let redirect = http(307, &format!("Location: {}/\r\n", elsewhere.server.url), "");
    let cases = [
        (Reply::Silence, None),
        (Reply::Say(redirect), Some("HTTP 307")),
        (Reply::Say(http(500, "", "oops")), Some("HTTP 500")),
        (Reply::SayAndClose(String::new()), Some("the connection was lost")),
        (Reply::Endless("HTTP/1.1 404 X\r\nContent-Length: 1000000000\r\n\r\n".into()), Some("HTTP 404")),
    ];
    std::thread::scope(|scope| {
        for (reply, said) in cases {
            scope.spawn(move || disturbs_nobody(reply, said));
        }
    });
    assert_eq!(elsewhere.told().len(), 0, "a redirect is never followed");
}

fn disturbs_nobody(reply: Reply, said: Option<&str>) {
    let webhook = Webhook::start(reply);
    let (place, service) = rejecting(&webhook);
    let running = place.start("run --listen off");
    webhook.wait(if said.is_some() { 2 } else { 1 });
    // The webhook is at work, or hangs: edits go through all the same.
    (10..40).for_each(|n| place.account(&format!("a{n}"), n, "enabled: true"));
    until("all edits are applied", || applied(&service) >= 32);
    if let Some(said) = said {
        let lines =
            || events(&place).into_iter().filter(|event| event["message"].to_string().contains("not delivered"));
        until("it is complained of", || lines().count() > 0);
        let lines: Vec<_> = lines().collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let error = lines[0]["error"].as_str().unwrap();
        assert!(error.contains(said) && error.contains("127.0.0.1"), "{error}");
    }
    stop(running);
    assert!(!place.read("stderr").contains(SECRET));
}

#[test]
fn a_webhook_that_nobody_serves_is_tried_again_until_somebody_does() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let webhook = Webhook::ok();
    let (mut place, _service) = rejecting(&webhook);
    // The URL comes from a file that is read again each time.
    place.set("ZOHO_MAIL_NOTIFY_URL", "").set("ZOHO_MAIL_NOTIFY_URL_FILE", "secrets/url");
    place.keep("secrets/url", &format!("http://{free}/{SECRET}\n"));
    let running = place.start("run --listen off");
    until("it fails", || events(&place).iter().any(|event| event["message"].to_string().contains("not delivered")));
    place.keep("secrets/url", &format!("{}/{SECRET}\n", webhook.server.url));
    assert_eq!(webhook.wait(1)[0]["event"], "AccountsStalled");
    stop(running);
    assert!(!place.read("stderr").contains(SECRET));
}

#[test]
fn a_url_that_is_none_is_a_usage_error_that_does_not_show_it() {
    for url in [
        "http://example.com/T0PsEcReT-x",
        "T0PsEcReT-x",
        "ftp://h/T0PsEcReT-x",
        "https://me:T0PsEcReT-x@h/",
        "https://h/T0PsEcReT-x y",
    ] {
        let (mut place, service) = (Place::with_alice(), Service::start());
        service.serve(&mut place);
        for given in [false, true] {
            place.set("ZOHO_MAIL_NOTIFY_URL", if given { "" } else { url });
            let mut command = place.command("run --listen off");
            if given {
                command.arg("--notify-url").arg(url);
            }
            let ran = place.ran(assert_cmd::Command::from_std(command));
            assert_eq!(ran.code, 64, "{}", ran.all());
            assert!(ran.err.contains("ZOHO_MAIL_NOTIFY_URL") && !ran.err.contains("sEcReT"), "{}", ran.err);
        }
        assert!(!place.path().join("ledger.json.lock").exists());
    }
}
