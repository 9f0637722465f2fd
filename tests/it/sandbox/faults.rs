//! Each scripted fault, as it looks from the other end of a real connection.

use std::io::{ErrorKind, Result};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// All bytes that come back before the connection is closed.
async fn raw_put(rig: &Rig) -> Result<Vec<u8>> {
    let token = rig.administrator();
    let request = format!(
        "PUT {ORGANIZATION_URL} HTTP/1.1\r\nHost: sandbox\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nAuthorization: Zoho-oauthtoken {token}\r\n\
         Content-Length: {}\r\n\r\n{DISABLE}",
        DISABLE.len()
    );
    let mut stream = TcpStream::connect(rig.server.addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    tokio::time::timeout(Duration::from_secs(60), end).await.expect("the server closes the connection")?;
    Ok(bytes)
}

#[tokio::test]
async fn dropped_before_acting_means_closed_without_a_byte_and_without_effect() {
    let rig = Rig::start(Settings::default()).await;
    rig.script(r#"{"faults": [{"operation": "disableMailAccount", "do": "dropBeforeActing"}]}"#);
    assert_eq!(raw_put(&rig).await.unwrap(), b"");
    assert!(rig.account().mailbox_enabled);
    assert_eq!(rig.world().totals().dropped, 1);
}

#[tokio::test]
async fn dropped_after_acting_means_closed_without_a_byte_but_with_effect() {
    let rig = Rig::start(Settings::default()).await;
    rig.script(r#"{"faults": [{"operation": "put", "do": "dropAfterActing"}]}"#);
    assert_eq!(raw_put(&rig).await.unwrap(), b"");
    assert!(!rig.account().mailbox_enabled);
    let totals = rig.world().totals();
    assert_eq!((totals.dropped, totals.applied), (1, 1));
}

#[tokio::test]
async fn a_client_cannot_tell_the_two_drops_apart_and_only_loses_that_connection() {
    let rig = Rig::start(Settings::default()).await;
    rig.script(r#"{"faults": [{"nth": 2, "times": 1, "do": "dropAfterActing"}]}"#);
    assert!(answer(rig.put(ENABLE)).await.starts_with("200 "));
    let error = rig.put(DISABLE).send().await.unwrap_err();
    assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
    assert!(answer(rig.put(ENABLE)).await.starts_with("200 "));
    assert_eq!(rig.account().puts, 3);
}

#[tokio::test]
async fn latency_delays_the_answer_but_not_the_effect() {
    let rig = Rig::start(Settings::default()).await;
    rig.script(r#"{"faults": [{"latency": "10m", "operation": "put", "times": 1}, {"latency": "30ms"}]}"#);
    let late = tokio::spawn(rig.put(DISABLE).send());
    let acted = async {
        while rig.account().mailbox_enabled {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), acted).await.expect("it takes effect while the client waits");
    assert!(!late.is_finished());
    late.abort();
    let asked = Instant::now();
    assert!(answer(rig.put(ENABLE)).await.starts_with("200 "));
    assert!(asked.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn an_expired_token_stays_expired_and_another_one_works() {
    let rig = Rig::start(Settings::default()).await;
    let token = rig.administrator();
    rig.script(r#"{"faults": [{"times": 1, "do": "expireToken"}]}"#);
    for attempt in ["the fault", "afterwards"] {
        let refused = refusal(rig.request("PUT", ORGANIZATION_URL, &token).body(DISABLE)).await;
        assert!(refused.starts_with("401 INVALID_OAUTHTOKEN"), "{attempt}: {refused}");
    }
    assert!(answer(rig.put(DISABLE)).await.starts_with("200 "));
}

#[tokio::test]
async fn answers_can_be_scripted_down_to_the_byte() {
    let rig = Rig::start(Settings::default()).await;
    rig.script(
        r#"{"faults": [
            {"times": 1, "do": "badGateway"},
            {"nth": 2, "times": 1, "do": {"redirect": "http://127.0.0.1:9/elsewhere"}},
            {"nth": 3, "times": 1,
             "do": {"answer": {"status": 503, "headers": {"Retry-After": "7"}, "body": "busy"}}},
            {"nth": 4, "times": 1, "do": {"answer": {"status": 200, "body": {"data": {"error": "no"}}}}},
            {"nth": 5, "times": 1, "do": {"answer": {"status": 204}}},
            {"nth": 6, "times": 1, "do": {"answer": {"status": 500, "body": "boom", "acts": true}}}
        ]}"#,
    );
    let mut all = Vec::new();
    for _ in 0..6 {
        let response = rig.put(DISABLE).send().await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let headers: Vec<String> = ["Content-Type", "Location", "Retry-After"].into_iter().filter_map(header).collect();
        let status = response.status().as_u16();
        let applied = rig.world().totals().applied;
        all.push(format!("{status} {headers:?} {:?} applied: {applied}", response.text().await.unwrap()));
    }
    insta::assert_snapshot!(all.join("\n"), @r#"
    502 ["text/html"] "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>" applied: 0
    302 ["http://127.0.0.1:9/elsewhere"] "" applied: 0
    503 ["7"] "busy" applied: 0
    200 ["application/json;charset=UTF-8"] "{\"data\":{\"error\":\"no\"}}" applied: 0
    204 [] "" applied: 0
    500 [] "boom" applied: 1
    "#);
}

#[tokio::test]
async fn a_token_request_can_be_met_by_a_fault_too() {
    let rig = Rig::start(Settings::default()).await;
    rig.script(
        r#"{"faults": [{"operation": "token", "do": {"answer": {"status": 200, "body": {"error": "invalid_code"}}}}]}"#,
    );
    assert_eq!(answer(rig.refresh(&REFRESH)).await, r#"200 {"error":"invalid_code"}"#);
    assert!(answer(rig.put(DISABLE)).await.starts_with("200 "), "other operations are spared");
}

#[tokio::test]
async fn a_reset_is_a_reset_and_not_a_close_whether_it_acted_or_not() {
    for (fault, acted) in [("resetBeforeActing", false), ("resetAfterActing", true)] {
        let rig = Rig::start(Settings::default()).await;
        rig.script(&format!(r#"{{"faults": [{{"operation": "put", "do": "{fault}"}}]}}"#));
        let error = raw_put(&rig).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{fault}");
        let totals = rig.world().totals();
        assert_eq!((totals.dropped, rig.account().mailbox_enabled), (1, !acted), "{fault}");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_short_promises_more_than_it_sends() {
    let rig = Rig::start(Settings::default()).await;
    for sent in [0, 3] {
        let answer = format!(r#"{{"status": 200, "body": "abcdef", "cutAfter": {sent}, "acts": true}}"#);
        rig.script(&format!(r#"{{"faults": [{{"operation": "put", "do": {{"answer": {answer}}}}}]}}"#));
        let answer = String::from_utf8(raw_put(&rig).await.unwrap()).unwrap();
        assert!(answer.contains("content-length: 6\r\n"), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{}", &"abcdef"[..sent])), "{answer}");
    }
    assert_eq!(rig.account().puts, 2);
}
