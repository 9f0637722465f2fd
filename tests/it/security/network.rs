//! A service, or somebody who calls himself so, that breaks HTTP to be believed, to hang the client, or to fill its memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use zoho_mail_reconciler::account::{Field, SourceRef};
use zoho_mail_reconciler::change::{Change, Known, Outcome};
use zoho_mail_reconciler::zoho::{AccessToken, Answer, BaseUrl, Client, HttpTransport, Principal};

use crate::loopback::{Memory, Reply, Server, http, read_request};

const SUCCESS: &str = r#"{"status":{"code":200,"description":"success"}}"#;

fn client(url: &str, timeout: Duration) -> Client<HttpTransport> {
    let url: BaseUrl = url.parse().unwrap();
    Client::new(HttpTransport::new(timeout), url.clone(), url, Principal::User)
}

async fn put(client: &Client<HttpTransport>, account: &str) -> Answer {
    let change = Change {
        account: account.parse().unwrap(),
        name: "alice".into(),
        zuid: None,
        field: Field::Enabled,
        from: Known::Absent,
        to: true,
        source: SourceRef { path: "alice.yaml".into(), line: 1 },
        revision: Arc::default(),
        approval: None,
        not_before: None,
        begun: false,
        refused: false,
        validity: None,
        wanted_since: None,
        gives_back: false,
        drift: None,
    };
    let token = AccessToken::new("the-token").unwrap();
    tokio::time::timeout(LONG, client.put(&change, &token)).await.expect("the client has no bound on its time")
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_answer_smuggled_behind_another_is_never_taken_for_that_of_the_next_request() {
    let refused = r#"{"status":{"code":403,"description":"no"}}"#;
    for first in [
        http(403, "", refused) + &http(200, "", SUCCESS),
        // Told in chunks, and a length that is none; the parts behind are what the next request would read.
        format!(
            "HTTP/1.1 403 X\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{refused}\r\n0\r\n\r\n{}",
            refused.len(),
            http(200, "", SUCCESS)
        ),
        format!("HTTP/1.1 204 X\r\n\r\n{}", http(200, "", SUCCESS)),
        format!("HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n{}", http(200, "", SUCCESS)),
    ] {
        let server = Server::start(Reply::Say(first.clone())).await;
        let client = client(&server.url, LONG);
        for account in ["1", "2", "3"] {
            let answer = put(&client, account).await;
            assert_ne!(answer.outcome, Outcome::Applied, "{account}, {first}");
        }
        assert_eq!(server.memory.seen().len(), 3, "each request reached the service: {first}");
    }
}

#[tokio::test]
async fn an_answer_that_can_be_read_in_two_ways_is_no_success() {
    let with = |headers: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}");
    let (length, other) = (SUCCESS.len(), SUCCESS.len() + 5);
    for answer in [
        with(&format!("Content-Length: {other}\r\nContent-Length: {length}\r\n"), SUCCESS),
        with(&format!("Content-Length: {length}, {other}\r\n"), SUCCESS),
        with("Content-Length: -1\r\n", SUCCESS),
        with("Content-Length: 18446744073709551616\r\n", SUCCESS),
        with("Content-Length : 47\r\n", SUCCESS),
        with("X\u{b}: y\r\n", SUCCESS),
        with("Transfer-Encoding: chunked\r\n", "-1\r\n{}\r\n0\r\n\r\n"),
        with("Transfer-Encoding: chunked\r\n", "ffffffffffffffff1\r\n{}\r\n0\r\n\r\n"),
        format!("HTTP/9.9 200 OK\r\nContent-Length: {length}\r\n\r\n{SUCCESS}"),
        format!("HTTP/1.1 99 OK\r\nContent-Length: {length}\r\n\r\n{SUCCESS}"),
        SUCCESS.to_owned(),
    ] {
        let server = Server::start(Reply::SayAndClose(answer.clone())).await;
        let told = put(&client(&server.url, LONG), "1").await;
        assert!(matches!(told.outcome, Outcome::InDoubt(_)), "{answer:?}: {told:?}");
        assert_eq!(server.memory.seen().len(), 1, "{answer:?}");
    }
}

/// A server that says `head`, and then `unit` again and again, until nobody listens.
async fn tireless(head: Vec<u8>, unit: &'static str, pause: Duration) -> (String, Memory) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, memory) = (format!("http://{}", listener.local_addr().unwrap()), Memory::default());
    let remembering = memory.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let Some(seen) = read_request(&mut stream).await else { continue };
            remembering.remember(seen);
            let _ = stream.write_all(&head).await;
            while !unit.is_empty() && stream.write_all(unit.as_bytes()).await.is_ok() {
                tokio::time::sleep(pause).await;
            }
        }
    });
    (url, memory)
}

/// `text` as a gzip file that holds it as it is (RFC 1952; RFC 1951, section 3.2.4).
fn gzip(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    bytes.extend(length.to_le_bytes().iter().chain(&(!length).to_le_bytes()));
    bytes.extend(text.as_bytes());
    bytes.extend(crc32fast::hash(text.as_bytes()).to_le_bytes().iter().chain(&u32::from(length).to_le_bytes()));
    bytes
}

#[tokio::test]
async fn a_compressed_answer_is_not_asked_for_and_not_unpacked() {
    // Whoever unpacked it would believe it; and of a larger one, run out of memory.
    let body = gzip(SUCCESS);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
    let (url, memory) = tireless([head.into_bytes(), body].concat(), "", Duration::ZERO).await;
    let told = put(&client(&url, LONG), "1").await;
    assert!(matches!(told.outcome, Outcome::InDoubt(_)), "{told:?}");
    let seen = memory.seen();
    assert!(seen[0].header("Accept-Encoding").is_empty() && seen[0].header("TE").is_empty(), "{:?}", seen[0]);
}

#[tokio::test]
async fn nothing_that_never_ends_outlasts_the_time_out() {
    const SHORT: Duration = Duration::from_millis(400);
    let nothing = Duration::ZERO;
    let trickle = Duration::from_millis(20);
    for (head, unit, pause) in [
        ("", "HTTP/1.1 100 Continue\r\n\r\n", nothing),
        ("", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", nothing),
        ("", "HTTP/1.1 103 Early Hints\r\n\r\n", trickle),
        ("HTTP/1.1 200 OK\r\n", "X: x\r\n", nothing),
        ("HTTP/1.1 200 OK\r\nX: ", "x", trickle),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", " ", trickle),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n", trickle),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxx", nothing),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: xxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", nothing),
    ] {
        let (url, memory) = tireless(head.into(), unit, pause).await;
        let begun = std::time::Instant::now();
        let told = put(&client(&url, SHORT), "1").await;
        assert!(matches!(told.outcome, Outcome::InDoubt(_)), "{head}{unit}: {told:?}");
        assert!(begun.elapsed() < LONG, "{head}{unit}");
        assert_eq!(memory.seen().len(), 1, "{head}{unit}");
    }
}

#[test]
fn only_this_machine_is_reached_without_tls_however_it_is_spelt() {
    for (text, kept) in [
        ("http://2130706433:1", Some("http://127.0.0.1:1")),
        ("http://0x7f.1", Some("http://127.0.0.1")),
        ("http://0177.0.0.1", Some("http://127.0.0.1")),
        ("http://127.1", Some("http://127.0.0.1")),
        ("http://[0:0:0:0:0:0:0:1]", Some("http://[::1]")),
        ("http://LOCALHOST", Some("http://localhost")),
        ("http://127.0.0.1.evil.example", None),
        ("http://localhost@evil.example", None),
        ("http://localhost:80@evil.example", None),
        ("http://127.0.0.1#@evil.example", None),
        ("http://127.0.0.1%2eevil.example", None),
        ("http://127.0.0.1\\@evil.example", None),
        ("http://localhost.", None),
        ("http://localhost.localdomain", None),
        ("http://[::ffff:7f00:1]", None),
        ("http://[fe80::1%25lo]", None),
        ("http://3232235777", None),
        ("http://0", None),
        ("HTTP://mail.zoho.com", None),
        ("ws://127.0.0.1", None),
        ("file:///etc/passwd", None),
    ] {
        assert_eq!(text.parse::<BaseUrl>().ok().as_ref().map(BaseUrl::as_str), kept, "{text}");
    }
}
