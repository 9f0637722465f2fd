//! Whatever arrives: an answer or a closed connection, never a panic, and never an effect.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zoho_mail_reconciler::sandbox::Request;

use super::*;

fn world() -> (World, String) {
    let mut world = World::new(Settings::default());
    let zuid = "1111111".parse().ok();
    world.seed_from([Seed { account_id: sample(), zuid, email: None, name: "alice" }]);
    let token = world.issue_token(Timestamp::from_millis(0), "sandbox").unwrap();
    (world, format!("Zoho-oauthtoken {token}"))
}

proptest! {
    #[test]
    fn no_stranger_ever_changes_anything(
        method in "PUT|GET|POST|[A-Z]{0,9}",
        target in "(/api/organization/12345678/accounts/2560636000000008002|/oauth/v2/token|/sandbox/[a-z]*|\\PC*)",
        header in "\\PC*",
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let (mut world, _) = world();
        let before = world.account(sample()).cloned();
        let json = "application/json";
        let headers = [("Authorization", header.as_str()), ("Accept", json), ("Content-Type", json)];
        let request = Request { method: &method, target: &target, headers: &headers, body: &body };
        let reply = world.handle(Timestamp::from_millis(1), &request);
        prop_assert!(reply.status >= 200);
        prop_assert_eq!(world.account(sample()).cloned(), before);
    }

    #[test]
    fn only_the_documented_bodies_take_effect(
        zuid in "1111111|\"1111111\"|\"\"|1111112|-1|1e3|null|[0-9]{1,25}",
        mode in "enableMailAccount|disableMailAccount|updateMobileSyncStatus|disableUser|resetPassword|[a-zA-Z]*",
        flag in proptest::option::of("true|false|\"true\"|\"false\"|\"yes\"|1|null"),
    ) {
        let (mut world, authorization) = world();
        let flag_key = flag.as_ref().map(|flag| format!(r#","activeSyncEnabled":{flag}"#)).unwrap_or_default();
        let body = format!(r#"{{"zuid":{zuid},"mode":"{mode}"{flag_key}}}"#);
        let json = "application/json";
        let headers = [("Authorization", authorization.as_str()), ("Accept", json), ("Content-Type", json)];
        let put = Request { method: "PUT", target: ORGANIZATION_URL, headers: &headers, body: body.as_bytes() };
        let reply = world.handle(Timestamp::from_millis(1), &put);
        let flag_is_right = match mode.as_str() {
            "enableMailAccount" | "disableMailAccount" => flag.is_none(),
            "updateMobileSyncStatus" => flag.is_some_and(|flag| matches!(flag.trim_matches('"'), "true" | "false")),
            _ => false,
        };
        let documented = zuid.trim_matches('"') == "1111111" && flag_is_right;
        prop_assert_eq!(reply.status == 200, documented, "{} {}", body, String::from_utf8_lossy(&reply.body));
        prop_assert_eq!(world.totals().applied, u64::from(documented));
    }
}

#[tokio::test]
async fn bytes_that_are_not_http_end_only_their_own_connection() {
    let rig = Rig::start(Settings::default()).await;
    let huge_head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(1024 * 1024));
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"GET /\r\n\r\n", b"\0\0\0\0\r\n\r\n", huge_head.as_bytes()] {
        let mut stream = TcpStream::connect(rig.server.addr()).await.unwrap();
        // The server may hang up before it has taken everything; that is an end, too.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(10), end).await.expect("the connection ends");
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    assert!(answer(rig.put(ENABLE)).await.starts_with("200 "));
}
