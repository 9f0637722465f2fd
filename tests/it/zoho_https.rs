//! The client over https: certificates, proxies of the environment, and a system without either.
//!
//! The environment belongs to a process, so each test starts itself once more, as a child with an
//! environment of its own; the child makes one PUT and prints what became of it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use zoho_mail_reconciler::account::{Field, SourceRef};
use zoho_mail_reconciler::change::{Change, Known};
use zoho_mail_reconciler::zoho::{AccessToken, BaseUrl, Client, HttpTransport, Principal};

use crate::loopback::{Memory, Reply, Server, read_request};

/// Set in the child: where to send the PUT.
const TARGET: &str = "IT_TARGET";

/// May be set in the child: milliseconds that the PUT may take.
const TIMEOUT: &str = "IT_TIMEOUT";

/// A name that no name server knows: only a proxy can lead there.
const NAME: &str = "mail.zoho.test";

/// In a child: makes the PUT, prints what became of it, and says that this was the child.
async fn is_child() -> bool {
    let Ok(target) = std::env::var(TARGET) else { return false };
    let url: BaseUrl = target.parse().unwrap();
    let timeout = std::env::var(TIMEOUT).map_or(20_000, |millis| millis.parse().unwrap());
    let transport = HttpTransport::new(Duration::from_millis(timeout));
    println!("TOLD check: {:?}", transport.check(&url).map_err(|error| error.to_string()));
    let client = Client::new(transport, url.clone(), url, Principal::User);
    let change = Change {
        account: "1".parse().unwrap(),
        name: "alice".into(),
        zuid: None,
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
    };
    let answer = client.put(&change, &AccessToken::new("the-token").unwrap()).await;
    let failure = answer.outcome.failure().map(ToString::to_string).unwrap_or_default();
    println!("TOLD put: {} {} {failure}", answer.code, answer.outcome.label());
    true
}

/// Runs the test `name` as a child with nothing but `environment`, and returns what it told.
async fn child(name: &str, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("zoho_https::{name}"), "--nocapture", "--test-threads=1"]);
    command.env_clear().envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().filter_map(|line| Some(line.split_once("TOLD ")?.1)).collect::<Vec<_>>().join("\n")
}

/// An https server for [`NAME`] and `localhost`, and the file with the certificate that proves it.
pub struct Https {
    address: String,
    memory: Memory,
    folder: tempfile::TempDir,
}

impl Https {
    pub async fn start() -> Self {
        Self::proved_by(rcgen::CertificateParams::new([NAME.to_owned(), "localhost".to_owned()]).unwrap()).await
    }

    async fn proved_by(certificate: rcgen::CertificateParams) -> Self {
        let signing_key = rcgen::KeyPair::generate().unwrap();
        let cert = certificate.self_signed(&signing_key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), cert.pem()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], signing_key.into())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let memory = Memory::default();
        let remembering = memory.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(stream) = acceptor.accept(stream).await {
                    remembering.serve(stream, Reply::success()).await;
                }
            }
        });
        Self { address, memory, folder }
    }

    pub fn ca(&self) -> String {
        self.folder.path().join("ca.pem").to_str().unwrap().to_owned()
    }

    pub fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }
}

/// A proxy that opens a tunnel to `address`, whatever name it is asked for. Returns where it listens.
async fn proxy(memory: Memory, address: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let Some(seen) = read_request(&mut stream).await else { continue };
            memory.remember(seen);
            let mut server = TcpStream::connect(&address).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        }
    });
    here
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_goes_through_the_proxy_of_the_environment_to_a_verified_server() {
    if is_child().await {
        return;
    }
    let server = Https::start().await;
    let tunnels = Memory::default();
    let proxy = proxy(tunnels.clone(), server.address.clone()).await;
    let (target, proxy) = (format!("https://{NAME}"), format!("http://me:the-password@{proxy}"));
    let name = "a_put_goes_through_the_proxy_of_the_environment_to_a_verified_server";
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let told = child(name, &[(TARGET, &target), (variable, &proxy), ("SSL_CERT_FILE", &server.ca())]).await;
        assert_eq!(told, "check: Ok(())\nput: 200 applied ", "{variable}");
    }
    assert_eq!(server.memory.seen().len(), 3);
    assert_eq!(server.memory.seen()[0].request_line(), "PUT /api/accounts/1 HTTP/1.1");
    for tunnel in tunnels.seen() {
        assert_eq!(tunnel.request_line(), format!("CONNECT {NAME}:443 HTTP/1.1"));
        assert_eq!(tunnel.header("Proxy-Authorization"), ["Basic bWU6dGhlLXBhc3N3b3Jk"]);
        assert!(!tunnel.head.contains("the-token"), "{tunnel:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_leads_past_the_proxy() {
    if is_child().await {
        return;
    }
    let server = Https::start().await;
    let tunnels = Memory::default();
    let proxy = format!("http://{}", proxy(tunnels.clone(), server.address.clone()).await);
    let target = format!("https://localhost:{}", server.port());
    let environment =
        [(TARGET, &*target), ("HTTPS_PROXY", &proxy), ("NO_PROXY", "localhost"), ("SSL_CERT_FILE", &server.ca())];
    let told = child("no_proxy_leads_past_the_proxy", &environment).await;
    assert_eq!(told, "check: Ok(())\nput: 200 applied ");
    assert_eq!((server.memory.seen().len(), tunnels.seen().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_proves_that_nothing_happened_and_its_password_is_not_told() {
    if is_child().await {
        return;
    }
    let proxy = Server::start(Reply::json(407, "who are you?")).await;
    let proxy_url = proxy.url.replace("http://", "http://me:the-password@");
    let ca = Https::start().await;
    let environment = [(TARGET, &*format!("https://{NAME}")), ("HTTPS_PROXY", &proxy_url), ("SSL_CERT_FILE", &ca.ca())];
    let name = "a_proxy_that_refuses_proves_that_nothing_happened_and_its_password_is_not_told";
    let told = child(name, &environment).await;
    assert!(told.contains("put: connect retry ServiceUnavailable: cannot connect to mail.zoho.test: "), "{told}");
    assert!(!told.contains("the-password"), "{told}");
    assert_eq!(proxy.memory.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_to_this_machine_goes_through_no_proxy_and_needs_no_certificates() {
    if is_child().await {
        return;
    }
    let server = Server::start(Reply::success()).await;
    let proxy = Server::start(Reply::success()).await;
    let name = "plain_http_to_this_machine_goes_through_no_proxy_and_needs_no_certificates";
    for target in [server.url.clone(), server.url.replace("127.0.0.1", "localhost")] {
        let environment =
            [(TARGET, &*target), ("HTTP_PROXY", &proxy.url), ("ALL_PROXY", &proxy.url), ("SSL_CERT_FILE", "/nowhere")];
        assert_eq!(child(name, &environment).await, "check: Ok(())\nput: 200 applied ");
    }
    assert_eq!((server.memory.seen().len(), proxy.memory.connections()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_nobody_vouches_for_gets_no_token() {
    if is_child().await {
        return;
    }
    let (server, other) = (Https::start().await, Https::start().await);
    let target = format!("https://localhost:{}", server.port());
    let environment = [(TARGET, &*target), ("SSL_CERT_FILE", &other.ca())];
    let told = child("a_server_nobody_vouches_for_gets_no_token", &environment).await;
    assert!(told.contains("put: connect retry ServiceUnavailable") && told.contains("certificate"), "{told}");
    assert_eq!(server.memory.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_host_or_another_time_gets_no_token() {
    if is_child().await {
        return;
    }
    let of = |name: &str| rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    let mut expired = of("localhost");
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let mut early = of("localhost");
    early.not_before = rcgen::date_time_ymd(4000, 1, 1);
    for (certificate, why) in [
        (of(NAME), "not valid for name"),
        (of("*.localhost"), "not valid for name"),
        (expired, "expired"),
        (early, "not valid yet"),
    ] {
        let server = Https::proved_by(certificate).await;
        let target = format!("https://localhost:{}", server.port());
        let name = "a_certificate_of_another_host_or_another_time_gets_no_token";
        let told = child(name, &[(TARGET, &*target), ("SSL_CERT_FILE", &server.ca())]).await;
        assert!(told.contains("put: connect retry ServiceUnavailable") && told.contains(why), "{why}: {told}");
        assert_eq!(server.memory.seen().len(), 0, "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_never_finished_proves_that_nothing_happened() {
    if is_child().await {
        return;
    }
    // Accepts, and then says nothing to the TLS handshake.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("https://{}", listener.local_addr().unwrap());
    let ca = Https::start().await;
    let environment = [(TARGET, &*target), (TIMEOUT, "600"), ("SSL_CERT_FILE", &ca.ca())];
    let told = child("a_connection_that_is_never_finished_proves_that_nothing_happened", &environment).await;
    assert!(told.contains("put: connect retry ServiceUnavailable: cannot connect to 127.0.0.1:"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_without_ca_certificates_is_told_what_to_install() {
    if is_child().await {
        return;
    }
    assert!(!Path::new("/nowhere").exists());
    let environment = [(TARGET, "https://mail.zoho.test"), ("SSL_CERT_FILE", "/nowhere")];
    let told = child("a_system_without_ca_certificates_is_told_what_to_install", &environment).await;
    insta::assert_snapshot!(told, @r#"
    check: Err("cannot set up https: unexpected error: No CA certificates were loaded from the system; install CA certificates (package ca-certificates), or name a PEM file in SSL_CERT_FILE")
    put: unsent retry ServiceUnavailable: nothing was sent: cannot set up https: unexpected error: No CA certificates were loaded from the system; install CA certificates (package ca-certificates), or name a PEM file in SSL_CERT_FILE
    "#);
}
