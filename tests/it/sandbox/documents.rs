//! The documents' sample requests, as they stand on the three pages, and the sample response.

use super::*;

const ACTIVE_SYNC_ADMIN: &str = r#"curl "https://mail.zoho.com/api/organization/12345678/accounts/2560636000000008002" \
-X PUT \
-H "Accept: application/json" \
-H "Content-Type: application/json" \
-H "Authorization: Zoho-oauthtoken ***" \
-d '{
   "zuid": "1111111",
   "mode": "updateMobileSyncStatus",
   "activeSyncEnabled": "true"
}'"#;

/// The page shows the organization URL here, against its own "Request URL" section.
const ACTIVE_SYNC_USER: &str = r#"curl "https://mail.zoho.com/api/organization/12345678/accounts/2560636000000008002" \
-X PUT \
-H "Accept: application/json" \
-H "Content-Type: application/json" \
-H "Authorization: Zoho-oauthtoken ***" \
-d '{
   "mode": "updateMobileSyncStatus",
   "activeSyncEnabled": "true"
}'"#;

const ENABLE_ADMIN: &str = r#"curl "https://mail.zoho.com/api/organization/12345678/accounts/2560636000000008002" \
-X PUT \
-H "Accept: application/json" \
-H "Content-Type: application/json" \
-H "Authorization: Zoho-oauthtoken ***" \
-d '{
   "zuid": 1111111,
   "mode": "enableMailAccount"
}'"#;

const ENABLE_USER: &str = r#"curl "https://mail.zoho.com/api/accounts/2560636000000008002" \
-X PUT \
-H "Accept: application/json" \
-H "Content-Type: application/json" \
-H "Authorization:Zoho-oauthtoken ***" \
-d '{
   "mode": "enableMailAccount"
}'"#;

const DISABLE_ADMIN: &str = r#"curl "https://mail.zoho.com/api/organization/12345678/accounts/2560636000000008002" \
-X PUT \
-H "Accept: application/json" \
-H "Content-Type: application/json" \
-H "Authorization: Zoho-oauthtoken ***" \
-d '{
"zuid": 1111111,
"mode": "disableMailAccount"
}'"#;

const DISABLE_USER: &str = r#"curl "https://mail.zoho.com/api/accounts/2560636000000008002" \
-X PUT \
-H "Accept: application/json" \
-H "Content-Type: application/json" \
-H "Authorization:Zoho-oauthtoken ***" \
-d '{
"mode" : "disableMailAccount"
}'"#;

/// Sends a page's curl command to the sandbox, with a real token for `***`.
async fn paste(rig: &Rig, curl: &str, token: &str) -> String {
    let (head, body) = curl.split_once("-d '").unwrap();
    let mut lines = head.lines().map(|line| line.trim_end_matches(" \\"));
    let url = lines.next().unwrap().split('"').nth(1).unwrap();
    let method = lines.next().unwrap().strip_prefix("-X ").unwrap();
    let mut request = rig.bare(method, url.strip_prefix("https://mail.zoho.com").unwrap());
    for line in lines {
        let (name, value) = line.split('"').nth(1).unwrap().split_once(':').unwrap();
        request = request.header(name, value.trim().replace("***", token));
    }
    answer(request.body(body.trim_end_matches('\'').to_owned())).await
}

const SAMPLE_RESPONSE: &str = r#"200 {"status":{"code":200,"description":"success"}}"#;

/// Pastes `curl`, expects the sample response, and returns mailbox and ActiveSync as they are after it.
async fn state_after(rig: &Rig, curl: &str, token: &str) -> (bool, bool) {
    assert_eq!(paste(rig, curl, token).await, SAMPLE_RESPONSE);
    let account = rig.account();
    (account.mailbox_enabled, account.active_sync_enabled)
}

#[tokio::test]
async fn each_administrators_sample_is_answered_as_sampled_and_takes_effect() {
    let rig = Rig::start(Settings::default()).await;
    let token = rig.administrator();
    assert_eq!(state_after(&rig, DISABLE_ADMIN, &token).await, (false, true));
    assert_eq!(state_after(&rig, ENABLE_ADMIN, &token).await, (true, true));
    let off = ACTIVE_SYNC_ADMIN.replace(r#""activeSyncEnabled": "true""#, r#""activeSyncEnabled": "false""#);
    assert_eq!(state_after(&rig, &off, &token).await, (true, false));
    assert_eq!(state_after(&rig, ACTIVE_SYNC_ADMIN, &token).await, (true, true));
    assert_eq!(rig.account().puts, 4);
}

#[tokio::test]
async fn each_persons_sample_is_answered_as_sampled_and_takes_effect() {
    let rig = Rig::start(Settings::default()).await;
    let token = rig.person();
    assert_eq!(state_after(&rig, DISABLE_USER, &token).await, (false, true));
    assert_eq!(state_after(&rig, ENABLE_USER, &token).await, (true, true));
    let as_the_page_says = ACTIVE_SYNC_USER.replace("organization/12345678/", "");
    let off = as_the_page_says.replace(r#""activeSyncEnabled": "true""#, r#""activeSyncEnabled": "false""#);
    assert_eq!(state_after(&rig, &off, &token).await, (true, false));
    assert_eq!(state_after(&rig, &as_the_page_says, &token).await, (true, true));
}

#[tokio::test]
async fn the_one_sample_whose_url_contradicts_its_page_is_refused() {
    let rig = Rig::start(Settings::default()).await;
    let mut refusals = paste(&rig, ACTIVE_SYNC_USER, &rig.person()).await;
    refusals.push('\n');
    refusals.push_str(&paste(&rig, ACTIVE_SYNC_USER, &rig.administrator()).await);
    let short: Vec<&str> =
        refusals.lines().filter_map(|line| line.split_once(r#","status""#)).map(|(s, _)| s).collect();
    insta::assert_snapshot!(short.join("\n"), @r#"
    401 {"data":{"errorCode":"INVALID_OAUTHSCOPE","moreInfo":"the token lacks ZohoMail.organization.accounts.UPDATE"}
    400 {"data":{"errorCode":"LESS_THAN_MIN_OCCURANCE","moreInfo":"zuid is null: admin authentication needs it"}
    "#);
    assert_eq!(rig.account().puts, 0);
}
