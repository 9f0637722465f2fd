//! Secrets that sing when they are found: in what any command prints, logs, writes or serves, whatever goes wrong.
//!
//! In: every command and output, every failure of the service and of the way to it, every way to give a secret wrongly,
//! each with a log of everything. Out: bytes, searched for the secrets in every spelling.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustix::process::Signal;

use super::words;
use crate::builders::account;
use crate::cli::{Place, Service};
use crate::process::{Rig, files, wait_for};

const CLIENT_SECRET: &str = "sEcReT-of/the+client%41&0123456789";
const REFRESH_TOKEN: &str = "1000.sEcReTtOrEfReSh0123456789.fedcba";
const ACCESS_TOKEN: &str = "sEcReT=access~token|0123456789<x>";
const PASSWORD: &str = "sEcReT-of-a-proxy-or-url";

const SECRETS: [&str; 4] = [CLIENT_SECRET, REFRESH_TOKEN, ACCESS_TOKEN, PASSWORD];

/// How somebody might spell `secret` who means no harm, each with a name.
fn spellings(secret: &str) -> Vec<(&'static str, String)> {
    let each = |write: fn(char) -> String| secret.chars().map(write).collect::<String>();
    let percent = each(|c| format!("%{:02X}", u32::from(c)));
    vec![
        ("as it is", secret.to_owned()),
        ("upper case", secret.to_uppercase()),
        ("a form", form_urlencoded::byte_serialize(secret.as_bytes()).collect()),
        ("a URL in a URL", percent.replace('%', "%25")),
        ("a URL", percent),
        ("JSON", each(|c| format!("\\u{:04x}", u32::from(c)))),
        ("HTML", each(|c| format!("&#{};", u32::from(c)))),
        ("hexadecimal", each(|c| format!("{:02x}", u32::from(c)))),
        ("base64", STANDARD_NO_PAD.encode(secret)),
        ("base64 after one", STANDARD_NO_PAD.encode(format!(":{secret}:"))),
        ("base64 after two", STANDARD_NO_PAD.encode(format!("a:{secret}"))),
        ("its first half", secret[..secret.len() / 2 + 1].to_owned()),
        ("its second half", secret[secret.len() / 2 - 1..].to_owned()),
    ]
}

/// What to look for: the middle of each spelling, for the ends may be shared with neighbours, or cut.
fn tunes() -> Vec<(String, String)> {
    let all = SECRETS
        .into_iter()
        .flat_map(|secret| spellings(secret).into_iter().map(move |(how, text)| (secret, how, text)));
    all.map(|(secret, how, text)| (format!("{secret}, as {how}"), text[2..text.len() - 2].to_lowercase())).collect()
}

/// Fails if any of `places` holds a secret.
fn silent(places: impl IntoIterator<Item = (String, Vec<u8>)>) {
    let tunes = tunes();
    for (place, bytes) in places {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for (what, tune) in &tunes {
            let line = text.lines().find(|line| line.contains(tune));
            assert_eq!(line, None, "{what} is in {place}");
        }
    }
}

/// Runs `command` to its end and searches all it said, and all it wrote. Returns its exit code, and what it said.
fn run(place: &Place, command: Command) -> (i32, String) {
    let what = format!("{command:?}").split("env").last().unwrap_or_default().to_owned();
    let output = assert_cmd::Command::from_std(command).timeout(crate::cli::PATIENCE).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let named = |name: &str, bytes| (format!("{name} of {what}"), bytes);
    silent([named("standard output", output.stdout), named("standard error", output.stderr)]);
    silent(written(place));
    (output.status.code().unwrap_or(-1), said)
}

fn written(place: &Place) -> Vec<(String, Vec<u8>)> {
    let secrets = place.path().join("secrets");
    let files = files(place.path()).into_iter().filter(|(path, _)| !path.starts_with(&secrets));
    files.map(|(path, bytes)| (path.display().to_string(), bytes)).collect()
}

/// A place with an account for every spelling, secrets in the environment, and a log of everything.
fn place(format: &str) -> Place {
    let mut place = Place::new();
    for n in 0..spellings("0123456789").len() as u64 {
        place.account(&format!("a{n}"), n, "enabled: true");
    }
    place.set("ZOHO_MAIL_LOG_LEVEL", "trace").set("ZOHO_MAIL_LOG_FORMAT", format).set("RUST_BACKTRACE", "full");
    place.set("ZOHO_MAIL_ZOID", "12345678").set("ZOHO_MAIL_RETRY_MIN", "1ms").set("ZOHO_MAIL_RETRY_MAX", "2ms");
    place.set("RUST_LOG", "trace").set("ZOHO_MAIL_RATE_LIMIT", "unlimited");
    place
}

fn with_secrets(place: &mut Place) {
    place.set("ZOHO_MAIL_CLIENT_ID", "1000.ID").set("ZOHO_MAIL_CLIENT_SECRET", CLIENT_SECRET);
    place.set("ZOHO_MAIL_REFRESH_TOKEN", REFRESH_TOKEN);
}

#[test]
fn no_command_tells_a_secret_of_its_environment() {
    let commands = "validate;doctor --offline;doctor --offline -o json;validate -o json;validate -o name;validate -o github;validate -o sarif;plan;plan -o json;plan -o yaml;plan -o name;diff;status;status \
        -o wide;status -o json;status -o yaml;status -o name;schema;man;completions bash;completions zsh;completions \
        fish;help;--help;-h;help run;apply --help;run -h;--version;apply --sandbox;plan --nonsense;nonsense;sandbox --listen x";
    for format in ["text", "json"] {
        let mut place = place(format);
        with_secrets(&mut place);
        place.set("ZOHO_MAIL_ACCESS_TOKEN", ACCESS_TOKEN);
        let url = format!("https://me:{PASSWORD}@proxy.example");
        for variable in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
            place.set(variable, &url);
        }
        for command in commands.split(';') {
            run(&place, place.command(command));
        }
        // Where a URL is wanted, and where none is. What is a path is shown but for a password before an `@`.
        let spelt = [
            &*url,
            &url.replace("me:", ""),
            &url.replace('@', "%40"),
            &format!("https://h/?t={PASSWORD}"),
            &PASSWORD.repeat(2),
        ];
        for (variables, values) in
            [("API_URL ACCOUNTS_URL ZOID LISTEN DATA_CENTER", &spelt[..]), ("DESIRED_STATE LEDGER", &spelt[..2])]
        {
            for (variable, value) in variables.split(' ').flat_map(|name| values.iter().map(move |value| (name, value)))
            {
                let mut command = place.command(if variable == "LISTEN" { "run" } else { "apply" });
                command.env(format!("ZOHO_MAIL_{variable}"), value).env_remove("ZOHO_MAIL_ACCESS_TOKEN");
                let (code, said) = run(&place, command);
                assert!(code == 64 || code == 1, "{variable}={value}: {said}");
            }
        }
    }
}

#[test]
fn no_answer_of_the_service_makes_a_secret_known() {
    let granted = format!(r#"{{"access_token": {ACCESS_TOKEN:?}, "expires_in": 3600}}"#);
    let granted = format!(r#"{{"operation": "token", "do": {{"answer": {{"status": 200, "body": {granted}}}}}}}"#);
    for format in ["text", "json"] {
        // Each account's PUT is answered with the token in another spelling.
        let echoes = (0..).zip(spellings(ACCESS_TOKEN)).map(|(n, (_, text))| {
            let status = [403, 400, 404][n as usize % 3];
            words("put", Some(account(n)), status, &format!("bad token {text}"))
        });
        let faults: Vec<_> = echoes.chain([granted.clone()]).collect();
        let (mut place, service) = (place(format), Service::with_faults(&faults.join(",")));
        service.serve(&mut place);
        with_secrets(&mut place);
        let (code, said) = run(&place, place.command("apply"));
        assert_eq!(code, 1, "{said}");
        assert!(said.matches("[redacted]").count() >= faults.len() - 1, "what was left out is said: {said}");
        run(&place, place.command("status -o json"));
        run(&place, place.command("status -o wide"));

        // The accounts server repeats what it was sent; a redirect, garbage and a time-out carry it along.
        let first = [CLIENT_SECRET, REFRESH_TOKEN].into_iter().flat_map(spellings);
        let told = first.map(|(_, text)| words("token", None, 400, &text));
        let odd = |what: &str| format!(r#"{{"operation": "token", "times": 1, "do": {what}}}"#);
        let odd = [
            odd(&format!(r#"{{"redirect": "http://127.0.0.1:1/?{CLIENT_SECRET}"}}"#)),
            odd(&format!(r#"{{"answer": {{"status": 500, "body": "<html>{REFRESH_TOKEN}</html>"}}}}"#)),
            odd(&format!(
                r#"{{"answer": {{"status": 200, "headers": {{"X-Echo": "{REFRESH_TOKEN}"}}, "body": "[]"}}}}"#
            )),
            odd(&format!(r#"{{"answer": {{"status": 429, "headers": {{"Retry-After": "{REFRESH_TOKEN}"}}}}}}"#)),
            odd("\"dropAfterActing\""),
        ];
        for fault in told.chain(odd) {
            let service = Service::with_faults(&fault);
            service.serve(&mut place);
            with_secrets(&mut place);
            // It remembers how many tokens were asked for, and would wait before the eleventh.
            fs::remove_file(place.path().join("ledger.json")).unwrap();
            let (code, said) = run(&place, place.command("apply --throttle-pause 1ms"));
            assert_eq!((code, service.requests() > 0), (1, true), "{fault}: {said}");
        }
    }
}

#[test]
fn no_trouble_on_the_way_to_the_service_makes_a_secret_known() {
    let plain = Service::start();
    let port = plain.url.rsplit_once(':').unwrap().1.to_owned();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap().port().to_string();
    drop(free);
    let at = |port: &str| format!("://me:{PASSWORD}@127.0.0.1:{port}");
    for format in ["text", "json"] {
        for (api, proxy, why) in [
            (format!("https://127.0.0.1:{port}"), String::new(), "TLS with a server that does not speak it"),
            (format!("https://127.0.0.1:{nobody}"), String::new(), "nobody there"),
            ("https://mail.zoho.test".into(), format!("http{}", at(&port)), "a proxy that is none"),
            ("https://mail.zoho.test".into(), format!("http{}", at(&nobody)), "no proxy there"),
            ("https://mail.zoho.test".into(), format!("https{}", at(&port)), "a proxy without TLS"),
            ("https://mail.zoho.test".into(), format!("socks5{}", at(&port)), "a proxy of another kind"),
            ("https://mail.zoho.test".into(), format!("http://me:{PASSWORD}@[::"), "a proxy with a broken URL"),
            ("https://mail.zoho.test".into(), format!("me:{PASSWORD}@127.0.0.1:{nobody}"), "a proxy without a scheme"),
        ] {
            let mut place = place(format);
            with_secrets(&mut place);
            for (name, value) in [("API_URL", &api), ("ACCOUNTS_URL", &api)] {
                place.set(&format!("ZOHO_MAIL_{name}"), value);
            }
            place.set("HTTPS_PROXY", &proxy);
            let (code, said) = run(&place, place.command("apply --request-timeout 5s"));
            assert_eq!(code, 1, "{why}: {said}");
        }
    }
}

#[test]
fn no_secret_is_told_that_was_given_in_a_wrong_way() {
    let place = place("text");
    place.keep("secrets/x", "");
    let path = place.path().join("secrets/x");
    for secret in [CLIENT_SECRET, REFRESH_TOKEN, PASSWORD, "sEcReT-of-a-proxy-or-url sEcReT-of-a-proxy-or-url"] {
        for wrong in [
            format!("{secret}\n{secret}\n"),
            format!(" {secret}"),
            format!("\"{secret}\""),
            format!("{secret}é"),
            format!("{secret}\u{202e}\u{1b}[2J"),
            format!("{secret}\0"),
            format!("export TOKEN={secret} "),
            secret.repeat(200),
        ] {
            for bytes in [wrong.clone().into_bytes(), [wrong.as_bytes(), b"\xff"].concat()] {
                fs::write(&path, &bytes).unwrap();
                for mode in [0o600, 0o644] {
                    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
                    let mut command = place.command("apply");
                    command.env("ZOHO_MAIL_ACCESS_TOKEN_FILE", &path);
                    let (code, said) = run(&place, command);
                    assert_eq!(code, 64, "{said}");
                    assert!(said.contains("ZOHO_MAIL_ACCESS_TOKEN"), "the variable is named: {said}");
                }
            }
            let mut command = place.command("apply");
            command.env("ZOHO_MAIL_ACCESS_TOKEN", wrong.replace('\0', "\t"));
            assert_eq!(run(&place, command).0, 64);
        }
        // The secret itself, where a path belongs; and a folder of it.
        for value in [secret.to_owned(), format!("/{secret}"), format!("./{secret}"), format!("/run/{secret}/x")] {
            let mut command = place.command("run --listen off");
            command.env("ZOHO_MAIL_ACCESS_TOKEN_FILE", value);
            assert_eq!(run(&place, command).0, 64);
        }
    }
}

#[test]
fn the_daemon_tells_no_secret_in_its_log_files_pages_or_process_list() {
    let rig = Rig::new(3);
    let granted = format!(r#"{{"access_token": {ACCESS_TOKEN:?}, "expires_in": 3600}}"#);
    let faults = [
        words("put", None, 403, ACCESS_TOKEN),
        words("token", None, 500, &format!("{CLIENT_SECRET} {}", STANDARD_NO_PAD.encode(REFRESH_TOKEN))),
        format!(r#"{{"operation": "token", "do": {{"answer": {{"status": 200, "body": {granted}}}}}}}"#),
    ];
    rig.script(&format!(r#"{{"faults": [{}]}}"#, faults.join(",")));
    let mut daemon = rig.writing("run");
    daemon.args(["--listen", "127.0.0.1:0", "--log-level", "trace"]);
    daemon.env("ZOHO_MAIL_CLIENT_SECRET", CLIENT_SECRET).env("ZOHO_MAIL_REFRESH_TOKEN", REFRESH_TOKEN);
    let mut process = rig.begin(daemon);
    wait_for("the service's words", || process.page("/status").filter(|(_, page)| page.contains("[redacted]")));
    let pages = ["/status", "/metrics", "/readyz", "/healthz", "/", "/?x"];
    silent(pages.map(|path| (path.to_owned(), process.page(path).unwrap().1.into_bytes())));
    let pid = fs::read_to_string(rig.ledger.with_extension("json.lock")).unwrap();
    for file in ["cmdline", "comm"] {
        let path = format!("/proc/{}/{file}", pid.lines().next().unwrap());
        silent([(path.clone(), fs::read(path).unwrap())]);
    }
    process.signal(Signal::TERM);
    assert!(process.end().success());
    silent(files(rig.folder.path()).into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)));
    assert!(process.said().contains("[redacted]") && process.said().contains("TRACE"), "the log is of everything");
}
