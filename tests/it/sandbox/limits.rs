//! The request budget with its lock, and the limits of the token endpoint.

use zoho_mail_reconciler::sandbox::{Budget, LockForm};
use zoho_mail_reconciler::timestamp::Timestamp;

use super::*;

fn limited(requests: u32, form: LockForm) -> Settings {
    Settings { budget: Some(Budget { requests, form, ..Budget::default() }), ..Settings::default() }
}

#[tokio::test]
async fn one_request_too_many_locks_everybody_out_and_says_for_how_long() {
    let rig = Rig::start(limited(2, LockForm::Text)).await;
    assert!(answer(rig.put(DISABLE)).await.starts_with("200 "));
    assert!(answer(rig.put(ENABLE)).await.starts_with("200 "));
    let locked = "400 URL_ROLLING_THROTTLES_LIMIT_EXCEEDED: Try again after 15 minutes";
    assert_eq!(refusal(rig.put(DISABLE)).await, locked);
    assert_eq!(rig.world().totals().while_locked, 0, "the one that began the lock is not yet a violation");
    let list = "/api/organization/12345678/accounts";
    assert_eq!(refusal(rig.request("GET", list, &rig.administrator())).await, locked);
    let totals = rig.world().totals();
    assert_eq!((totals.over_budget, totals.while_locked, totals.applied), (1, 1, 2));
    assert!(rig.account().mailbox_enabled, "what was refused took no effect");
    assert!(rig.world().locked_until(now()).is_some());
    assert!(answer(rig.refresh(&REFRESH)).await.contains("access_token"), "tokens come from another host");
}

#[tokio::test]
async fn the_lock_can_also_be_told_by_retry_after_or_not_at_all() {
    let rig = Rig::start(limited(0, LockForm::RetryAfter)).await;
    let response = rig.put(DISABLE).send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["Retry-After"], "900");
    let rig = Rig::start(limited(0, LockForm::Bare)).await;
    assert_eq!(answer(rig.put(DISABLE)).await, "429 ");
}

#[tokio::test]
async fn a_refresh_token_buys_an_access_token_that_works() {
    let rig = Rig::start(Settings::default()).await;
    let text = answer(rig.refresh(&REFRESH)).await;
    let body: serde_json::Value = serde_json::from_str(text.strip_prefix("200 ").unwrap()).unwrap();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&"Bearer".into(), &3600.into()));
    let api_domain = body["api_domain"].as_str().unwrap();
    assert!(!rig.server.api_url().starts_with(api_domain), "the api_domain is never the mail host");
    let token = body["access_token"].as_str().unwrap();
    assert!(answer(rig.request("PUT", ORGANIZATION_URL, token).body(DISABLE)).await.starts_with("200 "));
}

#[tokio::test]
async fn oauth_errors_come_with_http_200() {
    let rig = Rig::start(Settings::default()).await;
    let with = |index: usize, value| {
        let mut form = REFRESH;
        form[index].1 = value;
        form
    };
    let mut all = vec![
        answer(rig.refresh(&with(0, "stranger"))).await,
        answer(rig.refresh(&with(1, "wrong"))).await,
        answer(rig.refresh(&with(2, "revoked"))).await,
        answer(rig.refresh(&with(3, "password"))).await,
    ];
    for odd in [&[REFRESH[0], REFRESH[0]], &[REFRESH[0], ("scope", "ZohoMail.accounts.ALL")]] {
        all.push(refusal(rig.refresh(odd)).await);
    }
    all.push(refusal(rig.bare("POST", "/oauth/v2/token?client_id=sandbox").form(&REFRESH)).await);
    all.push(refusal(rig.bare("POST", "/oauth/v2/token").header("Content-Type", "application/json")).await);
    insta::assert_snapshot!(all.join("\n"), @r#"
    200 {"error":"invalid_client"}
    200 {"error":"invalid_client"}
    200 {"error":"invalid_code"}
    200 {"error":"unsupported_grant_type"}
    400 INVALID_REQUEST: a field is there twice
    400 INVALID_REQUEST: a field is none of client_id, client_secret, refresh_token, grant_type
    400 INVALID_REQUEST: the token request takes form fields, not a query: secrets in URLs end up in logs
    400 INVALID_REQUEST: Content-Type is not application/x-www-form-urlencoded
    "#);
}

#[tokio::test]
async fn the_eleventh_token_request_is_denied_whatever_it_asks_for() {
    let rig = Rig::start(Settings::default()).await;
    for _ in 0..10 {
        assert!(answer(rig.refresh(&REFRESH)).await.contains("access_token"));
    }
    let denied = answer(rig.refresh(&REFRESH)).await;
    assert!(denied.starts_with(r#"200 {"error":"Access Denied""#), "{denied}");
    assert_eq!(rig.world().totals().tokens, 11);
}

#[tokio::test]
async fn an_access_token_ends_with_its_time_or_with_a_revocation() {
    let rig = Rig::start(Settings::default()).await;
    let long_ago = Timestamp::from_millis(0);
    let token = rig.world().issue_token(long_ago, "sandbox").unwrap();
    let refused = refusal(rig.request("PUT", ORGANIZATION_URL, &token).body(DISABLE)).await;
    assert!(refused.starts_with("401 INVALID_OAUTHTOKEN"), "{refused}");
    let token = rig.administrator();
    rig.world().revoke_tokens();
    let refused = refusal(rig.request("PUT", ORGANIZATION_URL, &token).body(DISABLE)).await;
    assert!(refused.starts_with("401 INVALID_OAUTHTOKEN"), "{refused}");
}
