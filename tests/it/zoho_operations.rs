//! The six operations, each compared with the sample request on its page of Zoho's documentation:
//! method, URL, headers, and the body in value and JSON type, as they leave on the wire.

use std::sync::Arc;
use std::time::Duration;

use zoho_mail_reconciler::account::{Field, SourceRef, Zoid, Zuid};
use zoho_mail_reconciler::change::{Change, Known, Outcome};
use zoho_mail_reconciler::zoho::{AccessToken, Client, DataCenter, HttpTransport, Principal, encode};

use crate::loopback::{Reply, Server};

const ADMIN_URL: &str = "https://mail.zoho.com/api/organization/12345678/accounts/2560636000000008002";

/// From the pages' "Request URL": the ActiveSync page's sample repeats the administrator's URL here.
const USER_URL: &str = "https://mail.zoho.com/api/accounts/2560636000000008002";

fn change(field: Field, to: bool, zuid: Option<Zuid>) -> Change {
    Change {
        account: "2560636000000008002".parse().unwrap(),
        name: "alice".into(),
        zuid,
        field,
        from: Known::Absent,
        to,
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

/// `sample` is the text after `-d` in the page's curl command.
async fn check(field: Field, to: bool, principal: Principal, url: &str, sample: &str) {
    let token = AccessToken::new("***").unwrap();
    let change = change(field, to, Zuid::new(1_111_111));
    let request = encode(&change, principal, &DataCenter::Us.mail_url(), &token).unwrap();
    assert_eq!(request.url, url);

    let server = Server::start(Reply::success()).await;
    let here: zoho_mail_reconciler::zoho::BaseUrl = server.url.parse().unwrap();
    let client = Client::new(HttpTransport::new(Duration::from_secs(10)), here.clone(), here, principal);
    assert_eq!(client.put(&change, &token).await.outcome, Outcome::Applied);

    let [seen] = &server.memory.seen()[..] else { panic!("not exactly one request") };
    let path = url.strip_prefix("https://mail.zoho.com").unwrap();
    assert_eq!(seen.request_line(), format!("PUT {path} HTTP/1.1"));
    assert_eq!(seen.header("Accept"), ["application/json"]);
    assert_eq!(seen.header("Content-Type"), ["application/json"]);
    assert_eq!(seen.header("Authorization"), ["Zoho-oauthtoken ***"]);
    assert_eq!(seen.header("User-Agent"), [concat!("zoho-mail-reconciler/", env!("CARGO_PKG_VERSION"))]);
    // Equality of JSON values tells "1111111" from 1111111, and "true" from true.
    assert_eq!(seen.json(), serde_json::from_str::<serde_json::Value>(sample).unwrap());
    // Nor is anything else sent, such as a cookie or an Accept-Encoding that would need decoding.
    let mut names: Vec<_> = seen.head.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0)).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "authorization", "content-length", "content-type", "host", "user-agent"]);
}

fn admin() -> Principal {
    Principal::Admin(Zoid::new(12_345_678).unwrap())
}

#[tokio::test]
async fn an_administrator_enables_a_mailbox_as_the_page_shows() {
    let sample = r#"{
   "zuid": 1111111,
   "mode": "enableMailAccount"
}"#;
    check(Field::Enabled, true, admin(), ADMIN_URL, sample).await;
}

#[tokio::test]
async fn a_user_enables_the_own_mailbox_as_the_page_shows() {
    let sample = r#"{
   "mode": "enableMailAccount"
}"#;
    check(Field::Enabled, true, Principal::User, USER_URL, sample).await;
}

#[tokio::test]
async fn an_administrator_disables_a_mailbox_as_the_page_shows() {
    let sample = r#"{
"zuid": 1111111,
"mode": "disableMailAccount"
}"#;
    check(Field::Enabled, false, admin(), ADMIN_URL, sample).await;
}

#[tokio::test]
async fn a_user_disables_the_own_mailbox_as_the_page_shows() {
    let sample = r#"{
"mode" : "disableMailAccount"
}"#;
    check(Field::Enabled, false, Principal::User, USER_URL, sample).await;
}

#[tokio::test]
async fn an_administrator_sets_the_activesync_flag_as_the_page_shows() {
    let sample = r#"{
   "zuid": "1111111",
   "mode": "updateMobileSyncStatus",
   "activeSyncEnabled": "true"
}"#;
    check(Field::ActiveSyncEnabled, true, admin(), ADMIN_URL, sample).await;
    check(Field::ActiveSyncEnabled, false, admin(), ADMIN_URL, &sample.replace("true", "false")).await;
}

#[tokio::test]
async fn a_user_sets_the_own_activesync_flag_as_the_page_shows() {
    let sample = r#"{
   "mode": "updateMobileSyncStatus",
   "activeSyncEnabled": "true"
}"#;
    check(Field::ActiveSyncEnabled, true, Principal::User, USER_URL, sample).await;
    check(Field::ActiveSyncEnabled, false, Principal::User, USER_URL, &sample.replace("true", "false")).await;
}
