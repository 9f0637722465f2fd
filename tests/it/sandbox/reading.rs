//! The three reads, and the pages of the listing.

use serde_json::{Value, json};

use super::*;

async fn read(rig: &Rig, target: &str, token: &str) -> Value {
    let text = answer(rig.request("GET", target, token)).await;
    let (status, body) = text.split_once(' ').unwrap();
    assert_eq!(status, "200", "{body}");
    serde_json::from_str::<Value>(body).unwrap()["data"].take()
}

async fn rig_with_25_accounts() -> Rig {
    let rig = Rig::start(Settings::default()).await;
    rig.world().seed_from((1..25).map(|id| Seed {
        account_id: AccountId::new(id).unwrap(),
        zuid: (id + 100).to_string().parse().ok(),
        email: None,
        name: "bulk",
    }));
    rig
}

#[tokio::test]
async fn the_listing_has_the_documented_names_and_types() {
    let rig = Rig::start(Settings::default()).await;
    answer(rig.put(DISABLE)).await;
    let data = read(&rig, "/api/organization/12345678/accounts", &rig.administrator()).await;
    let alice = json!({
        "accountId": "2560636000000008002",
        "zuid": 1_111_111,
        "policyId": {"zoid": 12_345_678},
        "primaryEmailAddress": "alice@example.com",
        "mailboxAddress": "alice@example.com",
        "mailboxStatus": "disabled",
        "enabled": false,
        "status": true,
        "activeSyncEnabled": true,
        "role": "member",
        "type": "ZOHO_ACCOUNT",
        "isDefaultAccount": true,
    });
    assert_eq!(data, json!([alice]));
    for user in ["1111111", "alice@example.com", "ALICE%40example.com"] {
        let target = format!("/api/organization/12345678/accounts/{user}");
        assert_eq!(read(&rig, &target, &rig.administrator()).await, alice, "{user}");
    }
    assert_eq!(read(&rig, "/api/accounts", &rig.person()).await, json!([alice]));
}

#[tokio::test]
async fn pages_are_offsets_and_the_last_one_is_short() {
    let rig = rig_with_25_accounts().await;
    let token = rig.administrator();
    let list = "/api/organization/12345678/accounts";
    let mut seen = Vec::new();
    for (query, expected) in [("", 10), ("?start=10", 10), ("?start=20&limit=10", 5), ("?start=25&limit=200", 0)] {
        let page = read(&rig, &format!("{list}{query}"), &token).await;
        let ids: Vec<String> =
            page.as_array().unwrap().iter().map(|a| a["accountId"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), expected, "{query}");
        seen.extend(ids);
    }
    seen.dedup();
    assert_eq!(seen.len(), 25, "every account is on exactly one page");
    assert_eq!(read(&rig, "/api/accounts", &rig.person()).await.as_array().unwrap().len(), 1, "only the own account");
}

#[tokio::test]
async fn reads_are_as_strict_as_writes() {
    let rig = Rig::start(Settings::default()).await;
    let token = rig.administrator();
    let list = "/api/organization/12345678/accounts";
    let mut all = Vec::new();
    for suffix in
        ["?limit=0", "?limit=201", "?start=-1", "?limit=ten", "?limit=1&limit=2", "?page=1", "/2560636000000008002"]
    {
        all.push(refusal(rig.request("GET", &format!("{list}{suffix}"), &token)).await);
    }
    all.push(refusal(rig.request("GET", list, &rig.person())).await);
    all.push(refusal(rig.request("GET", "/api/accounts", &token)).await);
    all.push(refusal(rig.request("GET", "/api/accounts?limit=5", &rig.person())).await);
    all.push(refusal(rig.bare("GET", list).header("Accept", "application/json")).await);
    insta::assert_snapshot!(all.join("\n"), @"
    400 PATTERN_NOT_MATCHED: limit is not within 1 to 200
    400 PATTERN_NOT_MATCHED: limit is not within 1 to 200
    400 PATTERN_NOT_MATCHED: start and limit are whole numbers
    400 PATTERN_NOT_MATCHED: start and limit are whole numbers
    400 EXTRA_PARAM_FOUND: start or limit is there twice
    400 EXTRA_PARAM_FOUND: the listing takes start and limit only
    404 USER_NOT_FOUND: no user has this zuid or e-mail; an accountId is neither
    401 INVALID_OAUTHSCOPE: the token lacks ZohoMail.organization.accounts.READ
    401 INVALID_OAUTHSCOPE: the token lacks ZohoMail.accounts.READ
    400 EXTRA_PARAM_FOUND: this URL takes no query
    400 INVALID_TICKET: the header Authorization is missing
    ");
}
