//! The service's side: out of reach, in other hands, with other ideas of who we are; and when it must not be asked at all.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use zoho_mail_reconciler::condition::Reason;
use zoho_mail_reconciler::ledger::{ImposedPause, Record};
use zoho_mail_reconciler::sandbox::{Credentials, Scope, Settings};

use super::{Duration, Rig, ask, command, diagnose, now, remember, replace};
use crate::builders::zuid;
use crate::process::account;
use crate::zoho_https::Https;

fn with(command: Command, variable: &str, value: &str) -> Command {
    let mut command = command;
    command.env(variable, value);
    command
}

#[test]
fn during_a_pause_and_offline_not_one_request_leaves() {
    let rig = Rig::new(1);
    let mut offline = command(&rig);
    offline.arg("--offline");
    ask(offline).expect("Service/token", "skip", "--offline", "");
    let pause = ImposedPause { until: now() + Duration::from_secs(900), reason: Reason::Throttled };
    remember(&rig, vec![Record::Pause { pause: Some(pause) }]);
    let told = diagnose(&rig);
    told.expect("Plan/request budget", "warn", "asked for a pause", "wait");
    told.expect("Network/mail host", "skip", "pause lasts until", "");
    assert_eq!(rig.world().requests_total(), 0);
}

#[test]
fn no_token_is_asked_for_that_the_daemon_may_need() {
    let rig = Rig::new(1);
    let asked = |count| (0..count).map(|n| Record::TokenRequest { at: now().before(Duration::from_secs(n)) }).collect();
    remember(&rig, asked(8));
    diagnose(&rig).expect("Service/token", "ok", "granted", "");
    remember(&rig, asked(1));
    let told = diagnose(&rig);
    told.expect("Service/token", "warn", "9 token requests", "wait ten minutes");
    told.expect("Service/organization", "skip", "", "");
    assert_eq!(rig.world().totals().tokens, 1);
}

#[test]
fn credentials_that_are_wrong_open_or_missing_are_told_apart_and_never_shown() {
    let rig = Rig::new(1);
    let told = ask(with(command(&rig), "ZOHO_MAIL_REFRESH_TOKEN", "hunter2"));
    told.expect("Service/token", "fail", "invalid_code", "explain Unauthorized");
    told.expect("Access/credentials", "ok", "", "");
    assert!(!told.text.contains("hunter2"));
    ask(with(command(&rig), "ZOHO_MAIL_CLIENT_SECRET", "hunter2")).expect(
        "Service/token",
        "fail",
        "invalid_client",
        "",
    );
    let secret = rig.folder.path().join("secret");
    fs::write(&secret, "sandbox").unwrap();
    for (mode, words, remedy) in [(0o644, "open to every user", "chmod 600"), (0o600, "are there", "")] {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = with(command(&rig), "ZOHO_MAIL_CLIENT_SECRET", "");
        command.env("ZOHO_MAIL_CLIENT_SECRET_FILE", &secret);
        ask(command).expect("Access/credentials", if remedy.is_empty() { "ok" } else { "fail" }, words, remedy);
    }
    let mut command = with(command(&rig), "ZOHO_MAIL_CLIENT_SECRET", "");
    command.env("ZOHO_MAIL_CLIENT_SECRET_FILE", rig.folder.path().join("missing"));
    ask(command).expect("Access/credentials", "fail", "names no file", "explain Unauthorized");
}

#[test]
fn another_organization_and_a_person_who_is_no_administrator_are_refused() {
    let rig = Rig::new(1);
    let told = ask(replace(command(&rig), "--zoid", "7"));
    told.expect("Service/organization", "fail", "403", "--zoid");
    let member =
        Credentials { scopes: vec![Scope::OrganizationAll], ..Credentials::person(1000.to_string().parse().unwrap()) };
    let rig = Rig::with(1, Settings { credentials: vec![member], ..Settings::default() });
    let told = ask(with(command(&rig), "ZOHO_MAIL_REFRESH_TOKEN", "sandbox-person"));
    told.expect("Service/organization", "fail", "403", "administrator");
}

#[test]
fn scopes_are_judged_where_they_are_told_and_looking_is_not_needed() {
    let rig = Rig::new(1);
    for (scope, level, words) in [
        (
            "ZohoMail.organization.accounts.READ,ZohoMail.accounts.READ",
            "fail",
            "without ZohoMail.organization.accounts.UPDATE",
        ),
        ("ZohoMail.organization.accounts.UPDATE ZohoMail.accounts.READ", "ok", "is among them"),
        ("ZohoMail.organization.accounts.ALL", "ok", "is among them"),
    ] {
        let body = format!(r#"{{"access_token": "abc", "scope": "{scope}", "expires_in": 3600}}"#);
        rig.script(&format!(
            r#"{{"faults": [{{"operation": "token", "do": {{"answer": {{"status": 200, "body": {body}}}}}}}]}}"#
        ));
        let told = diagnose(&rig);
        assert_eq!(told.of("Service/scopes").0, level, "{}", told.text);
        assert!(told.of("Service/scopes").1.contains(words), "{}", told.text);
        // The made-up token is one that the service does not know.
        assert_eq!(told.of("Service/organization").0, "fail", "{}", told.text);
    }
    let update = Credentials { scopes: vec![Scope::OrganizationUpdate], ..Credentials::administrator() };
    let rig = Rig::with(1, Settings { credentials: vec![update], ..Settings::default() });
    let told = diagnose(&rig);
    told.expect("Service/organization", "skip", "the daemon need not", "");
    assert_eq!(told.code, 0, "{}", told.text);
}

#[test]
fn accounts_that_the_service_does_not_list_or_knows_for_another_user_are_named() {
    let rig = Rig::new(2);
    rig.declare(7, true, true);
    diagnose(&rig).expect("Service/accounts", "warn", "does not list a7", "AccountNotFound");
    let path = rig.folder.path().join("desired-state/a1.yaml");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace(&format!("zuid: {}", zuid(1)), "zuid: 4711")).unwrap();
    diagnose(&rig).expect("Service/accounts", "warn", "another zuid for a1", "spec.zuid");
    let text = fs::read_to_string(&path).unwrap().replace("zuid: 4711", &format!("zuid: {}", account(1)));
    fs::write(&path, text.replacen(&account(1).to_string(), &zuid(1).to_string(), 1)).unwrap();
    diagnose(&rig).expect("Service/accounts", "warn", "accountId and zuid are swapped", "spec.zuid its zuid");
}

#[test]
fn the_whole_listing_is_compared_as_far_as_the_request_budget_goes() {
    let rig = Rig::new(410);
    rig.declare(409, true, true);
    let rate_limited = |limit| {
        let mut command = command(&rig);
        command.env("ZOHO_MAIL_RATE_LIMIT", limit);
        ask(command)
    };
    let before = rig.world().totals().reads;
    rate_limited("25/1m").expect("Service/accounts", "ok", "lists all 410 accounts", "");
    assert_eq!(rig.world().totals().reads - before, 4, "three pages, and one that shows the end");
    // Half of the budget is left to the daemon.
    rate_limited("4/1m").expect("Service/accounts", "ok", "400 of 410 found among 400 accounts", "");
    assert_eq!(rig.world().totals().reads - before, 6);
    rig.declare(500, true, true);
    rate_limited("25/1m").expect("Service/accounts", "warn", "does not list a500", "AccountNotFound");
}

#[test]
fn a_clock_that_is_off_is_told_by_the_services_own() {
    let rig = Rig::new(1);
    for (seconds, level) in [(20, "warn"), (4000, "fail")] {
        let date = httpdate::fmt_http_date(std::time::SystemTime::now() - Duration::from_secs(seconds));
        let answer = format!(r#"{{"answer": {{"status": 404, "headers": {{"Date": "{date}"}}}}}}"#);
        rig.script(&format!(r#"{{"faults": [{{"operation": "unknown", "do": {answer}}}]}}"#));
        diagnose(&rig).expect("Network/time", level, "ahead of the service", "timedatectl");
    }
}

#[test]
fn a_host_that_is_dead_silent_nameless_or_without_tls_is_told_at_its_step() {
    let rig = Rig::new(1);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ca = rig.folder.path().join("ca.pem").to_str().unwrap().to_owned();
    fs::write(&ca, rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem()).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = rig
        .writing("doctor")
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned())
        .find(|argument| argument.starts_with("http"))
        .unwrap();
    for (api, words, remedy) in [
        (format!("http://{free}"), "no connection", "firewall"),
        (format!("http://{}", silent.local_addr().unwrap()), "no answer within", "network in between"),
        ("https://mail.zoho.invalid".to_owned(), "its name is not known", "resolv.conf"),
        (url.replace("http://", "https://"), "no trusted connection", "SSL_CERT_FILE"),
    ] {
        let mut command = replace(command(&rig), "--api-url", &api);
        command.args(["--request-timeout", "2s"]);
        // The system of a test may have no certificates of its own.
        let told = ask(with(command, "SSL_CERT_FILE", &ca));
        told.expect("Network/mail host", "fail", words, remedy);
        told.expect("Network/accounts host", "ok", "", "");
        told.expect("Service/token", "ok", "granted", "");
        told.expect("Service/organization", "skip", "mail host", "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_decides_whether_a_host_is_trusted() {
    let (server, other) = (Https::start().await, Https::start().await);
    let rig = tokio::task::spawn_blocking(|| Rig::new(1)).await.unwrap();
    let url = format!("https://localhost:{}", server.port());
    let asked = |ca: String| {
        let mut command = replace(command(&rig), "--api-url", &url);
        command.env("SSL_CERT_FILE", ca).args(["--request-timeout", "5s"]);
        command
    };
    for (ca, level, words, remedy) in [
        (server.ca(), "ok", "trusted certificate", ""),
        (other.ca(), "fail", "certificate", "if a proxy inspects TLS"),
        ("/nowhere".to_owned(), "fail", "cannot set up https", "ca-certificates"),
    ] {
        let command = asked(ca);
        let told = tokio::task::spawn_blocking(move || ask(command)).await.unwrap();
        told.expect("Network/mail host", level, words, remedy);
    }
    tokio::task::spawn_blocking(move || drop(rig)).await.unwrap();
}
