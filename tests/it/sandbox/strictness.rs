//! What the pages do not allow is a 4xx that says why, and changes nothing.

use zoho_mail_reconciler::sandbox::{Credentials, Scope};

use super::*;

#[tokio::test]
async fn urls_and_methods_that_are_on_no_page() {
    let rig = Rig::start(Settings::default()).await;
    let token = rig.administrator();
    let mut all = Vec::new();
    for (method, target) in [
        ("PUT", "/api/organization/12345678/accounts/2560636000000008002/"),
        ("PUT", "/api/organization/12345678/users/2560636000000008002"),
        ("PUT", "/api/v1/accounts/2560636000000008002"),
        ("GET", "/"),
        ("POST", ORGANIZATION_URL),
        ("DELETE", OWN_URL),
        ("PUT", "/api/accounts"),
        ("GET", "/oauth/v2/token"),
        ("PUT", "/api/organization/12345678/accounts/2560636000000008002?mode=enableMailAccount"),
        ("PUT", "/api/organization/12345678/accounts/alice@example.com"),
        ("PUT", "/api/organization/acme/accounts/2560636000000008002"),
        ("PUT", "/api/organization/12345678/accounts/9223372036854775808"),
    ] {
        all.push(refusal(rig.request(method, target, &token).body(DISABLE)).await);
    }
    insta::assert_snapshot!(all.join("\n"), @"
    404 URL_RULE_NOT_CONFIGURED: the pages know no such URL
    404 URL_RULE_NOT_CONFIGURED: the pages know no such URL
    404 URL_RULE_NOT_CONFIGURED: the pages know no such URL
    404 URL_RULE_NOT_CONFIGURED: the pages know no such URL
    405 INVALID_METHOD: this URL takes GET, PUT
    405 INVALID_METHOD: this URL takes PUT
    405 INVALID_METHOD: this URL takes GET
    405 INVALID_METHOD: this URL takes POST
    400 EXTRA_PARAM_FOUND: this URL takes no query
    400 PATTERN_NOT_MATCHED: accountId in the URL is not a long
    400 PATTERN_NOT_MATCHED: zoid in the URL is not a long
    400 PATTERN_NOT_MATCHED: accountId in the URL is not a long
    ");
    assert_eq!((rig.account().puts, rig.world().requests_total()), (0, 12));
}

#[tokio::test]
async fn headers_that_are_missing_wrong_or_there_twice() {
    let rig = Rig::start(Settings::default()).await;
    let signed = format!("Zoho-oauthtoken {}", rig.administrator());
    let (json, accept, kind, auth) = ("application/json", "Accept", "Content-Type", "Authorization");
    let mut all = Vec::new();
    for headers in [
        vec![(accept, json), (kind, json)],
        vec![(accept, json), (kind, json), (auth, "Zoho-oauthtoken 1000.stranger")],
        vec![(accept, json), (kind, json), (auth, "Zoho-oauthtoken ")],
        vec![(accept, json), (kind, json), (auth, "Bearer 1000.sandbox.0.1")],
        vec![(accept, json), (kind, json), (auth, &signed), (auth, &signed)],
        vec![(kind, json), (auth, &signed)],
        vec![(accept, "text/html"), (kind, json), (auth, &signed)],
        vec![(accept, json), (auth, &signed)],
        vec![(accept, json), (kind, "text/plain"), (auth, &signed)],
    ] {
        let bare = rig.bare("PUT", ORGANIZATION_URL).body(DISABLE);
        all.push(refusal(headers.into_iter().fold(bare, |request, (name, value)| request.header(name, value))).await);
    }
    insta::assert_snapshot!(all.join("\n"), @"
    400 INVALID_TICKET: the header Authorization is missing
    401 INVALID_OAUTHTOKEN: the access token is unknown or has expired
    401 INVALID_OAUTHTOKEN: Authorization is not: Zoho-oauthtoken <token>
    401 INVALID_OAUTHTOKEN: Authorization is not: Zoho-oauthtoken <token>
    400 INVALID_HEADER: the header Authorization is there more than once
    400 INVALID_HEADER: Accept is not application/json
    400 INVALID_HEADER: Accept is not application/json
    400 INVALID_HEADER: Content-Type is not application/json
    400 INVALID_HEADER: Content-Type is not application/json
    ");
    assert_eq!(rig.account().puts, 0);
}

#[tokio::test]
async fn bodies_that_do_not_fit_their_url_or_account() {
    let rig = Rig::start(Settings::default()).await;
    let (administrator, person) = (rig.administrator(), rig.person());
    let unknown = "/api/organization/12345678/accounts/5";
    let mut all = Vec::new();
    for (token, url, body) in [
        (&administrator, ORGANIZATION_URL, r#"{"mode":"disableMailAccount"}"#),
        (&administrator, ORGANIZATION_URL, r#"{"zuid":2222222,"mode":"disableMailAccount"}"#),
        (&administrator, ORGANIZATION_URL, r#"{"zuid":1111111,"mode":"disableUser"}"#),
        (&administrator, ORGANIZATION_URL, r#"{"zuid":1111111,"mode":"disableMailAccount","password":"x"}"#),
        (&administrator, ORGANIZATION_URL, ""),
        (&administrator, ORGANIZATION_URL, r#""1000.token""#),
        (&administrator, unknown, DISABLE),
        (&person, OWN_URL, DISABLE),
        (&person, "/api/accounts/5", r#"{"mode":"disableMailAccount"}"#),
    ] {
        all.push(refusal(rig.request("PUT", url, token).body(body)).await);
    }
    insta::assert_snapshot!(all.join("\n"), @r#"
    400 LESS_THAN_MIN_OCCURANCE: zuid is null: admin authentication needs it
    400 INVALID_ZUID: zuid 2222222 is not the user of account 2560636000000008002
    400 PATTERN_NOT_MATCHED: mode is none of enableMailAccount, disableMailAccount, updateMobileSyncStatus
    400 EXTRA_KEY_FOUND_IN_JSON: the pages know no key "password"
    400 JSON_PARSE_ERROR: the body is not one JSON object: see line 1, column 0
    400 JSON_PARSE_ERROR: the body is not one JSON object: see line 1, column 12
    404 ACCOUNT_NOT_FOUND: Account id 5 is invalid
    400 EXTRA_KEY_FOUND_IN_JSON: zuid is for admin authentication only
    404 ACCOUNT_NOT_FOUND: Account id 5 is invalid
    "#);
    assert_eq!(rig.account().puts, 0);
}

#[tokio::test]
async fn a_token_reaches_only_its_scope_its_organization_and_its_own_account() {
    let mut member_with_too_much = Credentials::person("2222222".parse().unwrap());
    member_with_too_much.refresh_token = "sandbox-too-much".into();
    member_with_too_much.scopes = vec![Scope::OrganizationAll, Scope::OwnAll];
    let mut settings = Settings::default();
    settings.credentials.push(member_with_too_much);
    let rig = Rig::start(settings).await;
    let too_much = rig.world().issue_token(now(), "sandbox-too-much").unwrap();
    let own = r#"{"mode":"disableMailAccount"}"#;
    let all = [
        refusal(rig.request("PUT", OWN_URL, &rig.administrator()).body(own)).await,
        refusal(rig.request("PUT", ORGANIZATION_URL, &rig.person()).body(DISABLE)).await,
        refusal(rig.request("PUT", ORGANIZATION_URL, &too_much).body(DISABLE)).await,
        refusal(rig.request("PUT", OWN_URL, &too_much).body(own)).await,
        refusal(rig.request("PUT", "/api/organization/87654321/accounts/5", &rig.administrator()).body(DISABLE)).await,
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    401 INVALID_OAUTHSCOPE: the token lacks ZohoMail.accounts.UPDATE
    401 INVALID_OAUTHSCOPE: the token lacks ZohoMail.organization.accounts.UPDATE
    403 FORBIDDEN: the token's person does not administer the organization
    403 FORBIDDEN: account 2560636000000008002 is somebody else's
    403 FORBIDDEN: the token's organization is not 87654321
    ");
    assert_eq!(rig.account().puts, 0);
}

#[tokio::test]
async fn a_body_too_large_is_refused_and_the_server_goes_on() {
    let rig = Rig::start(Settings::default()).await;
    let padded = |size: usize| format!("{}{ENABLE}", " ".repeat(size));
    let request = rig.request("PUT", ORGANIZATION_URL, &rig.administrator());
    let refused = refusal(request.body(padded(64 * 1024))).await;
    insta::assert_snapshot!(refused, @"413 BODY_TOO_LARGE: the body is over 65536 bytes");
    assert!(answer(rig.put(ENABLE)).await.starts_with("200 "));
    assert_eq!(rig.account().puts, 1);
}

#[tokio::test]
async fn an_open_world_adopts_an_account_when_it_is_first_spoken_of() {
    let rig = Rig::start(Settings { open: true, ..Settings::default() }).await;
    let url = "/api/organization/12345678/accounts/5";
    let token = rig.administrator();
    assert!(answer(rig.request("PUT", url, &token).body(DISABLE)).await.starts_with("200 "));
    let adopted = rig.world().account(AccountId::new(5).unwrap()).unwrap().clone();
    assert!(!adopted.mailbox_enabled);
    assert_eq!(adopted.zuid.get(), 1_111_111);
    let other = r#"{"zuid":2222222,"mode":"enableMailAccount"}"#;
    assert!(refusal(rig.request("PUT", url, &token).body(other)).await.starts_with("400 INVALID_ZUID"));
}
