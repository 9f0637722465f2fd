//! The sandbox over real sockets: what a client written from the documents would see.
//!
//! In: HTTP requests. Out: the replies, and the state they left. Each part of the room has its own
//! module; this one holds the running server they share.

// Clippy spares `#[test]` functions, not the functions they share.
#![allow(clippy::unwrap_used)]

mod documents;
mod faults;
mod hostile;
mod limits;
mod reading;
mod server;
mod strictness;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use reqwest::Method;
use tokio_util::sync::{CancellationToken, DropGuard};
use zoho_mail_reconciler::account::AccountId;
use zoho_mail_reconciler::sandbox::{self, Account, Script, Seed, Server, Settings, World};
use zoho_mail_reconciler::timestamp::Timestamp;

/// The account of the documents' samples.
const SAMPLE: u64 = 2_560_636_000_000_008_002;
/// The organization URL of that account.
const ORGANIZATION_URL: &str = "/api/organization/12345678/accounts/2560636000000008002";
/// The own-account URL of that account.
const OWN_URL: &str = "/api/accounts/2560636000000008002";
const ENABLE: &str = r#"{"zuid":1111111,"mode":"enableMailAccount"}"#;
const DISABLE: &str = r#"{"zuid":1111111,"mode":"disableMailAccount"}"#;

fn sample() -> AccountId {
    AccountId::new(SAMPLE).unwrap()
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A world with the documents' account, being served.
struct Rig {
    world: Arc<Mutex<World>>,
    server: Server,
    client: reqwest::Client,
    _stop: DropGuard,
}

impl Rig {
    async fn start(settings: Settings) -> Self {
        let mut world = World::new(settings);
        let zuid = "1111111".parse().ok();
        world.seed_from([Seed { account_id: sample(), zuid, email: Some("alice@example.com"), name: "alice" }]);
        let world = Arc::new(Mutex::new(world));
        let cancel = CancellationToken::new();
        let server = sandbox::serve(loopback(), world.clone(), cancel.clone()).await.unwrap();
        Self { world, server, client: client(), _stop: cancel.drop_guard() }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn account(&self) -> Account {
        self.world().account(sample()).unwrap().clone()
    }

    fn administrator(&self) -> String {
        self.world().issue_token(now(), "sandbox").unwrap()
    }

    fn person(&self) -> String {
        self.world().issue_token(now(), "sandbox-person").unwrap()
    }

    fn script(&self, json: &str) {
        self.world().set_faults(Script::parse(json.as_bytes()).unwrap());
    }

    /// A request without any header.
    fn bare(&self, method: &str, target: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{target}", self.server.api_url()))
    }

    /// A request with the documents' headers.
    fn request(&self, method: &str, target: &str, token: &str) -> reqwest::RequestBuilder {
        self.bare(method, target)
            .header("Accept", "application/json")
            .header("Content-Type", "application/json")
            .header("Authorization", format!("Zoho-oauthtoken {token}"))
    }

    fn put(&self, body: &'static str) -> reqwest::RequestBuilder {
        self.request("PUT", ORGANIZATION_URL, &self.administrator()).body(body)
    }

    fn refresh(&self, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        self.bare("POST", "/oauth/v2/token").form(form)
    }
}

/// A client that trusts no certificates, since it only ever speaks to loopback.
fn client() -> reqwest::Client {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .tls_certs_only([])
        .build()
        .unwrap()
}

/// The credentials of the banner, as the token endpoint takes them.
const REFRESH: [(&str, &str); 4] = [
    ("client_id", "sandbox"),
    ("client_secret", "sandbox"),
    ("refresh_token", "sandbox"),
    ("grant_type", "refresh_token"),
];

/// Status and body on one line.
async fn answer(request: reqwest::RequestBuilder) -> String {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    format!("{status} {}", response.text().await.unwrap())
}

/// Status, errorCode and reason of a refusal on one line.
async fn refusal(request: reqwest::RequestBuilder) -> String {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(body["status"]["code"], status, "the envelope repeats the status");
    let (code, reason) = (body["data"]["errorCode"].as_str(), body["data"]["moreInfo"].as_str());
    format!("{status} {}: {}", code.unwrap_or("?"), reason.unwrap_or("?"))
}
