//! The server itself, its control URLs, and the world without a server.

use std::error::Error as _;

use zoho_mail_reconciler::sandbox::{Delivery, Effect, Error, Fault, Request};

use super::*;

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let world = Arc::new(Mutex::new(World::new(Settings::default())));
    let anywhere = (Ipv4Addr::UNSPECIFIED, 0).into();
    let error = sandbox::serve(anywhere, world.clone(), CancellationToken::new()).await.unwrap_err();
    insta::assert_snapshot!(error, @"the sandbox listens on loopback only (127.0.0.1 or [::1]), and 0.0.0.0:0 is not");
    let cancel = CancellationToken::new();
    let first = sandbox::serve(loopback(), world.clone(), cancel.clone()).await.unwrap();
    let taken = sandbox::serve(first.addr(), world, cancel.clone()).await.unwrap_err();
    assert!(matches!(taken, Error::Listen { .. }) && taken.source().is_some());
    cancel.cancel();
    first.stopped().await;
}

#[tokio::test]
async fn a_stop_frees_the_port_even_while_an_answer_is_late() {
    let world = Arc::new(Mutex::new(World::new(Settings::default())));
    world.lock().unwrap().set_faults(Script::parse(br#"{"faults": [{"latency": "10m"}]}"#).unwrap());
    let cancel = CancellationToken::new();
    let server = sandbox::serve(loopback(), world.clone(), cancel.clone()).await.unwrap();
    let (addr, url) = (server.addr(), server.api_url());
    let late = tokio::spawn(async move { client().get(url).send().await });
    let arrived = async {
        while world.lock().unwrap().requests_total() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), arrived).await.expect("the request arrives");
    cancel.cancel();
    tokio::time::timeout(Duration::from_secs(5), server.stopped()).await.expect("stopped within its grace");
    assert!(late.await.unwrap().is_err());
    sandbox::serve(addr, world, CancellationToken::new()).await.expect("the port is free again");
}

#[tokio::test]
async fn the_control_urls_show_the_state_and_the_log_without_entering_it() {
    let rig = Rig::start(Settings { log_capacity: 2, ..Settings::default() }).await;
    answer(rig.put(ENABLE)).await;
    answer(rig.put(DISABLE)).await;
    answer(rig.bare("GET", "/nowhere?secret=1")).await;
    let document =
        |text: String| serde_json::from_str::<serde_json::Value>(text.strip_prefix("200 ").unwrap()).unwrap();
    let accounts = document(answer(rig.bare("GET", "/sandbox/accounts")).await);
    insta::assert_snapshot!(format!("{accounts:#}"), @r#"
    {
      "accounts": [
        {
          "accountId": "2560636000000008002",
          "activeSyncEnabled": true,
          "email": "alice@example.com",
          "mailboxEnabled": false,
          "name": "alice",
          "puts": 2,
          "role": "member",
          "zuid": "1111111"
        }
      ]
    }
    "#);
    let mut log = document(answer(rig.bare("GET", "/sandbox/requests")).await);
    for entry in log["requests"].as_array_mut().unwrap() {
        assert!(entry["time"].take().is_string());
    }
    insta::assert_snapshot!(format!("{log:#}"), @r#"
    {
      "lockedUntil": null,
      "requests": [
        {
          "account": "2560636000000008002",
          "applied": true,
          "method": "PUT",
          "operation": "disableMailAccount",
          "path": "/api/organization/12345678/accounts/2560636000000008002",
          "result": "success",
          "status": 200,
          "time": null
        },
        {
          "account": null,
          "applied": false,
          "method": "GET",
          "operation": "unknown",
          "path": "/nowhere",
          "result": "URL_RULE_NOT_CONFIGURED",
          "status": 404,
          "time": null
        }
      ],
      "totals": {
        "applied": 2,
        "dropped": 0,
        "overBudget": 0,
        "puts": 2,
        "reads": 0,
        "requests": 3,
        "tokens": 0,
        "whileLocked": 0
      }
    }
    "#);
}

#[tokio::test]
async fn a_fault_script_is_taken_whole_or_not_at_all() {
    let rig = Rig::start(Settings::default()).await;
    let put = |script: &'static str| answer(rig.bare("PUT", "/sandbox/faults").body(script));
    let all = [
        put(r#"{"faults": [{"operation": "put", "do": "badGateway"}]}"#).await,
        put(r#"{"faults": [{"do": "dropAfterActing"}, {"nth": 3}]}"#).await,
        put("[").await,
        answer(rig.bare("GET", "/sandbox/faults")).await,
        answer(rig.bare("GET", "/sandbox/")).await,
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
    200 {"faults":1}
    400 {"error":"fault 2 of the script does nothing: it needs `do` or `latency`; nothing changed"}
    400 {"error":"the fault script cannot be read: it ends too early, in line 1; nothing changed"}
    405 {"error":"this URL takes PUT"}
    404 {"error":"there are GET /sandbox/accounts, GET /sandbox/requests and PUT /sandbox/faults"}
    "#);
    assert!(answer(rig.put(DISABLE)).await.starts_with("502 "), "the first script is still in force");
    put(r#"{"faults": []}"#).await;
    assert!(answer(rig.put(DISABLE)).await.starts_with("200 "));
}

#[test]
fn the_world_works_without_a_socket() {
    let mut world = World::new(Settings { open: true, ..Settings::default() });
    let start = Timestamp::from_millis(0);
    let token = world.issue_token(start, "sandbox").unwrap();
    let authorization = format!("Zoho-oauthtoken {token}");
    let headers =
        [("accept", "application/json"), ("content-type", "application/json"), ("authorization", &authorization)];
    let put = Request { method: "PUT", target: ORGANIZATION_URL, headers: &headers, body: DISABLE.as_bytes() };
    assert_eq!(world.handle(start, &put).status, 200);
    let drop = Fault { effect: Some(Effect::DropAfterActing), latency: Duration::from_secs(9), ..Fault::default() };
    world.set_faults(Script::new(vec![drop]).unwrap());
    let reply = world.handle(start, &put);
    assert_eq!((reply.delivery, reply.after), (Delivery::DropConnection, Duration::from_secs(9)));
    world.set_faults(Script::default());
    assert_eq!(world.handle(start + Duration::from_secs(3600), &put).status, 401, "the token's hour is over");
    assert_eq!(world.log().map(|entry| entry.applied).collect::<Vec<_>>(), [true, true, false]);
}
