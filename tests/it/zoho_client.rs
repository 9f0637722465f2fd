//! The client against servers that misbehave: what arrives there, and what is concluded here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zoho_mail_reconciler::account::{Field, SourceRef, Zoid, Zuid};
use zoho_mail_reconciler::change::{Change, Known, Outcome};
use zoho_mail_reconciler::condition::Reason;
use zoho_mail_reconciler::zoho::{
    AccessToken, Answer, BaseUrl, Client, Code, HttpTransport, Principal, ReadOnly, RefreshCredentials, RetryAfter,
    TokenOutcome, Window,
};

use crate::loopback::{Reply, Server, http};

/// Longer than anything here takes on a slow machine; a test that reaches it has failed.
const LONG: Duration = Duration::from_secs(30);

/// For tests in which the time-out is what is waited for.
const SHORT: Duration = Duration::from_millis(300);

const SUCCESS: &str = r#"{"status":{"code":200,"description":"success"}}"#;

fn client(url: &str, request_timeout: Duration) -> Client<HttpTransport> {
    let url: BaseUrl = url.parse().unwrap();
    let principal = Principal::Admin(Zoid::new(12_345_678).unwrap());
    Client::new(HttpTransport::new(request_timeout), url.clone(), url, principal)
}

fn change(account: u64) -> Change {
    Change {
        account: account.to_string().parse().unwrap(),
        name: "alice".into(),
        zuid: Zuid::new(account),
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
    }
}

fn token() -> AccessToken {
    AccessToken::new("1000.the-token").unwrap()
}

async fn put(url: &str, request_timeout: Duration) -> Answer {
    let client = client(url, request_timeout);
    timeout(LONG, client.put(&change(1), &token())).await.expect("the client has no bound on its time")
}

fn told(answer: &Answer) -> String {
    format!("{} {} {}", answer.code, answer.outcome.label(), answer.outcome.failure().unwrap())
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_other_host_sees_nothing() {
    let other = Server::start(Reply::success()).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("Location: {}/stolen\r\n", other.url);
        let server = Server::start(Reply::Say(http(status, &location, SUCCESS))).await;
        let answer = put(&server.url, LONG).await;
        assert!(matches!(answer.outcome, Outcome::InDoubt(_)), "{answer:?}");
        assert_eq!(server.memory.seen().len(), 1);
    }
    assert_eq!(other.memory.connections(), 0);
}

#[tokio::test]
async fn a_body_without_end_is_cut_and_never_a_success() {
    for (status, expected) in [
        (
            200,
            "200 in_doubt InDoubt: HTTP 200 with an oversized body (the change may have been made; it is sent again)",
        ),
        (
            403,
            "403 rejected Forbidden: HTTP 403 with an oversized body (the owner of the token may not change this account)",
        ),
    ] {
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 999999999999\r\n\r\n{SUCCESS}");
        let server = Server::start(Reply::Endless(head)).await;
        assert_eq!(told(&put(&server.url, LONG).await), expected);
    }
}

#[tokio::test]
async fn silence_and_a_trickle_end_with_the_timeout_and_leave_doubt() {
    let silent = Server::start(Reply::Silence).await;
    let halting = Server::start(Reply::Say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".into())).await;
    let headless = Server::start(Reply::Say("HTTP/1.1 200 OK\r\nX: ".into())).await;
    for server in [silent, halting, headless] {
        let answer = put(&server.url, SHORT).await;
        assert_eq!(told(&answer), "timeout in_doubt InDoubt: no answer within 300ms");
        assert!(answer.took >= SHORT, "{:?}", answer.took);
        assert_eq!(server.memory.seen().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_doubt_and_is_not_asked_for_twice() {
    for reply in [
        "",
        "HTTP/1.1 2",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\":",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ] {
        let server = Server::start(Reply::SayAndClose(reply.into())).await;
        let answer = put(&server.url, LONG).await;
        assert_eq!(answer.code, Code::Lost, "{reply:?} {answer:?}");
        assert!(told(&answer).starts_with("lost in_doubt InDoubt: the connection was lost"), "{}", told(&answer));
        assert_eq!(server.memory.seen().len(), 1, "{reply:?}");
    }
}

#[tokio::test]
async fn headers_without_end_leave_doubt_in_bounded_memory() {
    let server = Server::start(Reply::Endless("HTTP/1.1 200 OK\r\nX: ".into())).await;
    assert_eq!(put(&server.url, LONG).await.code, Code::Lost);
}

#[tokio::test]
async fn a_refused_connection_proves_that_nothing_happened() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let answer = put(&format!("http://{address}"), LONG).await;
    let message = told(&answer);
    let expected = format!("connect retry ServiceUnavailable: cannot connect to {address}: ");
    assert!(message.starts_with(&expected) && message.contains("Connection refused"), "{message}");
}

#[tokio::test]
async fn a_wait_in_the_header_reaches_the_caller() {
    let server = Server::start(Reply::Say(http(429, "Retry-After: 120\r\n", "slow down"))).await;
    let answer = put(&server.url, LONG).await;
    let asked = RetryAfter { wait: Duration::from_secs(120), in_envelope: false };
    assert_eq!((answer.code, answer.retry_after), (Code::Http(429), Some(asked)));
    // An hour by the clock of the service, whatever ours says.
    let day = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 09:49:37 GMT\r\n";
    let envelope = r#"{"status":{"code":429}}"#;
    let server = Server::start(Reply::Say(http(429, day, envelope))).await;
    let asked = RetryAfter { wait: Duration::from_secs(3600), in_envelope: true };
    assert_eq!(put(&server.url, LONG).await.retry_after, Some(asked));
    let too_long = format!("Retry-After: {}\r\n", "1".repeat(1000));
    let server = Server::start(Reply::Say(http(429, &too_long, ""))).await;
    assert_eq!(put(&server.url, LONG).await.retry_after, None);
}

#[tokio::test]
async fn many_puts_share_few_connections_and_each_arrives_once() {
    const PUTS: u64 = 400;
    const CONCURRENCY: u64 = 16;
    let server = Server::start(Reply::success()).await;
    let client = client(&server.url, LONG);
    let mut tasks = JoinSet::new();
    for first in 1..=CONCURRENCY {
        let client = client.clone();
        tasks.spawn(async move {
            for account in (first..=PUTS).step_by(CONCURRENCY as usize) {
                assert_eq!(client.put(&change(account), &token()).await.outcome, Outcome::Applied);
            }
        });
    }
    timeout(LONG, tasks.join_all()).await.unwrap();
    let seen = server.memory.seen();
    let zuids: BTreeSet<_> = seen.iter().map(|seen| seen.json()["zuid"].as_u64().unwrap()).collect();
    assert_eq!((seen.len() as u64, zuids.len() as u64), (PUTS, PUTS));
    assert!(server.memory.connections() <= CONCURRENCY as usize, "{}", server.memory.connections());
}

#[tokio::test]
async fn a_change_without_a_zuid_never_reaches_the_network_of_an_administrator() {
    let server = Server::start(Reply::success()).await;
    let answer = client(&server.url, LONG).put(&Change { zuid: None, ..change(1) }, &token()).await;
    assert_eq!(answer.outcome.failure().unwrap().reason, Reason::Rejected);
    assert_eq!((answer.code, server.memory.connections()), (Code::Unsent, 0));
}

#[tokio::test]
async fn a_client_that_only_reads_lets_no_put_out() {
    let server = Server::start(Reply::success()).await;
    let url: BaseUrl = server.url.parse().unwrap();
    let transport = ReadOnly(HttpTransport::new(LONG));
    let client = Client::new(transport, url.clone(), url, Principal::Admin(Zoid::new(12_345_678).unwrap()));
    let answer = client.put(&change(1), &token()).await;
    assert_eq!((answer.code, server.memory.connections()), (Code::Unsent, 0));
    assert!(matches!(answer.outcome, Outcome::Retry(_)), "nothing happened: {:?}", answer.outcome);
    let read = client.page(Window { start: 0, limit: 200 }, &token()).await;
    assert_eq!((read.page.is_some(), server.memory.connections()), (false, 1), "a success without a listing is none");
}

#[tokio::test]
async fn a_token_is_asked_for_with_a_form_and_granted() {
    let body = r#"{"access_token":"1000.granted","api_domain":"https://www.zohoapis.com","token_type":"Bearer","expires_in":3600}"#;
    let server = Server::start(Reply::json(200, body)).await;
    let credentials = RefreshCredentials::new("1000.ID", "the&secret", "1000.refresh").unwrap();
    let answer = client(&server.url, LONG).fetch_token(&credentials).await;
    let granted = AccessToken::new("1000.granted").unwrap();
    assert_eq!(answer.outcome, TokenOutcome::Granted { token: granted, expires_in: Duration::from_secs(3600) });

    let [seen] = &server.memory.seen()[..] else { panic!("not exactly one request") };
    assert_eq!(seen.request_line(), "POST /oauth/v2/token HTTP/1.1");
    assert_eq!(seen.header("Content-Type"), ["application/x-www-form-urlencoded"]);
    assert!(seen.header("Authorization").is_empty());
    let form: Vec<_> = form_urlencoded::parse(&seen.body).collect();
    let expected = [
        ("client_id", "1000.ID"),
        ("client_secret", "the&secret"),
        ("refresh_token", "1000.refresh"),
        ("grant_type", "refresh_token"),
    ];
    assert_eq!(form, expected.map(|(key, value)| (key.into(), value.into())));
}

#[tokio::test]
async fn a_token_that_the_service_echoes_is_in_nothing_that_is_told() {
    let body = r#"{"status":{"code":403,"description":"bad 1000.the-token"},"data":{"errorCode":"1000.the-token"}}"#;
    let server = Server::start(Reply::json(403, body)).await;
    let client = client(&server.url, LONG);
    let answer = client.put(&change(1), &token()).await;
    let told = format!("{} {answer:?} {client:?} {:?}", told(&answer), token());
    assert!(told.starts_with("403 rejected Forbidden: HTTP 403 [redacted]: bad [redacted] ("), "{told}");
    assert!(!told.contains("the-token"), "{told}");
}

#[tokio::test]
async fn credentials_that_the_accounts_server_echoes_are_in_nothing_that_is_told() {
    let body = r#"{"error":"invalid_code","error_description":"the-refresh of the&secret, the%26secret"}"#;
    let server = Server::start(Reply::json(200, body)).await;
    let client = client(&server.url, LONG);
    let credentials = RefreshCredentials::new("the-id", "the&secret", "the-refresh").unwrap();
    let answer = client.fetch_token(&credentials).await;
    let TokenOutcome::Refused(failure) = &answer.outcome else { panic!("{answer:?}") };
    let told = format!("{failure} {answer:?} {client:?} {credentials:?}");
    assert!(told.contains("invalid_code: [redacted] ("), "{told}");
    for secret in ["the&secret", "the%26secret", "the-refresh"] {
        assert!(!told.contains(secret), "{secret} is in {told}");
    }
}
