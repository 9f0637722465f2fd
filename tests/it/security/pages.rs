//! The pages, and who asks for them without good intent: nobody who asks can change, stall or starve the daemon.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use zoho_mail_reconciler::admin::{self, Pages};
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::controller::Query;
use zoho_mail_reconciler::report::Report;
use zoho_mail_reconciler::status::MailAccountList;

use crate::process::{Rig, wait_for};

/// Pages with a report of its own, served in this process; the answer to `/status` is made by a test.
struct Served {
    address: SocketAddr,
    queries: mpsc::Receiver<Query>,
    _stop: DropGuard,
    _runtime: Runtime,
}

fn serve(listen: &str, report: Report) -> Served {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (cancel, clock) = (CancellationToken::new(), Clock::start());
    let (queries_out, queries) = mpsc::channel(16);
    let (_, reports) = watch::channel(Report { turned_at: clock.now(), ..report });
    let metrics = Arc::new(|_, _: &Report, _| "# EOF\n".to_owned());
    let address = runtime.block_on(async {
        let listener = admin::bind(listen.parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let pages = Pages { reports, target: "Sandbox".into(), queries: queries_out, metrics, clock };
        admin::serve(listener, pages, cancel.clone());
        address
    });
    Served { address, queries, _stop: cancel.drop_guard(), _runtime: runtime }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, address.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Sends `request` and reads the answer to its end.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address);
    // The other side may hang up before it has read everything.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn whatever_is_asked_nothing_is_changed_and_every_answer_says_how_to_take_it() {
    let served = serve("127.0.0.1:0", Report::default());
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        for path in [
            "/healthz",
            "/readyz",
            "/metrics",
            "/runbook",
            "/page.js",
            "/../etc/passwd",
            "/status/..%2f",
            "/%00",
            "//evil.example",
        ] {
            let answer = ask(
                served.address,
                &format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
            );
            let status = answer.split(' ').nth(1).unwrap_or_default();
            let known = matches!(path, "/healthz" | "/readyz" | "/metrics" | "/runbook" | "/page.js");
            let expected = match (known, method) {
                (false, _) => ["404", "404"],
                (true, "GET" | "HEAD") => ["200", "503"],
                (true, _) => ["405", "405"],
            };
            assert!(expected.contains(&status), "{method} {path}: {answer}");
            let head = answer.to_ascii_lowercase();
            for header in [
                "x-content-type-options: nosniff",
                "cache-control: no-store",
                "content-security-policy: default-src 'none'",
            ] {
                assert!(head.contains(header), "{method} {path}: {answer}");
            }
            assert!(!head.contains("access-control-allow"), "no other site may read it: {answer}");
        }
    }
    for odd in
        ["\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u{16}\u{3}\u{1}"]
    {
        let mut stream = connect(served.address);
        stream.write_all(odd.as_bytes()).unwrap();
    }
    assert!(ask(served.address, "GET /healthz HTTP/1.0\r\n\r\n").ends_with("ok\n"));
}

#[test]
fn a_web_site_that_calls_itself_this_machine_cannot_read_the_pages() {
    let local = serve("127.0.0.1:0", Report::default());
    let open = serve("0.0.0.0:0", Report::default());
    for (host, trusted) in [
        ("127.0.0.1", true),
        ("127.0.0.1:8686", true),
        ("localhost:8686", true),
        ("LOCALHOST", true),
        ("[::1]:8686", true),
        ("10.1.2.3", true),
        ("evil.example", false),
        ("evil.example:8686", false),
        ("127.0.0.1.evil.example", false),
        ("localhost.evil.example", false),
        ("", false),
    ] {
        for (served, expected) in [(&local, trusted), (&open, true)] {
            let answer =
                ask(served.address, &format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
            let status = if expected { "200" } else { "421" };
            assert_eq!(answer.split(' ').nth(1), Some(status), "{host:?}: {answer}");
        }
    }
}

#[test]
fn clients_that_hold_connections_take_a_bounded_share_and_keep_nobody_out() {
    let rig = Rig::new(1);
    let process = rig.run();
    let pages = || process.page("/healthz");
    wait_for("the pages", pages);
    let pid = fs::read_to_string(rig.ledger.with_extension("json.lock")).unwrap();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", pid.lines().next().unwrap())).unwrap().count();
    wait_for("the first work", || (rig.world().totals().applied >= 2).then_some(()));
    // Connections to the service, and a page that is just being closed.
    let before = descriptors() + 8;
    let said = process.said();
    let listening = said.lines().find(|line| line.contains("listening: ")).unwrap();
    let listening: serde_json::Value = serde_json::from_str(listening).unwrap();
    let address: SocketAddr = listening["address"].as_str().unwrap().parse().unwrap();
    let mut held = Vec::new();
    for begin in ["", "GET /sta", "GET /status HTTP/1.1\r\nHost: localhost\r\nX: "] {
        for _ in 0..100 {
            let mut stream = connect(address);
            stream.write_all(begin.as_bytes()).unwrap();
            held.push(stream);
        }
        // Whoever asks properly is served, and the work goes on.
        assert_eq!(wait_for("a page", pages), (200, "ok\n".to_owned()));
    }
    wait_for("the connections to be few", || (descriptors() <= before + 64).then_some(()));
    let applied = rig.world().totals().applied;
    rig.declare(0, false, false);
    wait_for("an edit", || (rig.world().totals().applied > applied).then_some(()));
}

#[test]
fn slow_readers_of_a_large_status_hold_a_bounded_number_of_answers() {
    // More than the system takes off its hands: it gives a socket 4 MiB at most, and a slow reader asks for less.
    let large = "x".repeat(8 << 20);
    let Served { address, mut queries, _stop, _runtime } =
        serve("127.0.0.1:0", Report { ledger_error: Some(large), ..Report::default() });
    std::thread::spawn(move || {
        while let Some((_, reply)) = queries.blocking_recv() {
            // Whoever asked may be gone.
            let _ = reply.send(MailAccountList::new(Vec::new()));
        }
    });
    let asking = "GET /status HTTP/1.0\r\n\r\n";
    let mut slow = Vec::new();
    let busy = wait_for("the answers to be enough", || {
        let mut stream = connect(address);
        rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4096).unwrap();
        stream.write_all(asking.as_bytes()).unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        slow.push(stream);
        (head.ends_with(b"503")).then_some(slow.len())
    });
    assert!((2..10).contains(&busy), "{busy}");
    assert!(ask(address, "GET /healthz HTTP/1.0\r\n\r\n").ends_with("ok\n"));
    drop(slow);
    wait_for("an answer again", || ask(address, asking).starts_with("HTTP/1.0 200").then_some(()));
}

#[test]
fn an_endless_request_is_cut_off() {
    let served = serve("127.0.0.1:0", Report::default());
    let line = format!("GET /{} HTTP/1.1\r\n", "x".repeat(4 << 20));
    let headers = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: x\r\n".repeat(1 << 20));
    let body = format!(
        "POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n{}",
        "x".repeat(4 << 20)
    );
    for request in [line, headers, body] {
        let answer = ask(served.address, &request);
        assert!(["414", "431", "405", ""].contains(&answer.split(' ').nth(1).unwrap_or_default()), "{answer:.200}");
    }
    assert!(ask(served.address, "GET /healthz HTTP/1.0\r\n\r\n").ends_with("ok\n"));
}

#[test]
fn reasons_are_one_line_whatever_they_quote() {
    let hostile = "x\n::error::forged\u{1b}[2J\u{202e}\u{85}";
    let report =
        Report { ledger_error: Some(hostile.into()), desired_unknown: Some(hostile.into()), ..Report::default() };
    let mut served = serve("127.0.0.1:0", report);
    let answer = ask(served.address, "GET /readyz HTTP/1.0\r\n\r\n");
    assert!(
        answer.ends_with("the ledger cannot be written: x\\n::error::forged\\u{1b}[2J\\u{202e}\\u{85}\n"),
        "{answer:?}"
    );
    let address = served.address;
    let asking = std::thread::spawn(move || ask(address, "GET /status HTTP/1.0\r\n\r\n"));
    let (_, reply) = served.queries.blocking_recv().unwrap();
    reply.send(MailAccountList::new(Vec::new())).unwrap();
    let answer = asking.join().unwrap();
    assert!(!answer.contains(['\u{1b}', '\u{202e}', '\u{85}']), "{answer:?}");
    let page: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(page["reconciler"]["ledgerError"], hostile);
}
