//! The daemon keeps the unit's promises to systemd, and the probes' to Kubernetes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long anything may take before the test fails: far more than a busy machine needs.
const DEADLINE: Duration = Duration::from_secs(30);

/// A daemon under a manager's eyes.
struct Daemon {
    child: Child,
    manager: UnixDatagram,
    address: String,
    _folder: TempDir,
}

impl Daemon {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let desired = folder.path().join("desired-state");
        fs::create_dir(&desired).unwrap();
        let manifest = "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata: {name: alice}\n\
                        spec: {accountId: 1, zuid: 1, enabled: true}\n";
        fs::write(desired.join("alice.yaml"), manifest).unwrap();
        let socket = folder.path().join("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler"))
            .args(["run", "--sandbox", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .current_dir(folder.path())
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "10000000")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = log.by_ref().map(Result::unwrap).find_map(|line| {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            let address = event["address"].as_str()?;
            event["message"].as_str()?.starts_with("listening").then(|| address.to_owned())
        });
        // Nobody reads the rest, and a full pipe would stop the daemon.
        std::thread::spawn(move || log.for_each(drop));
        Self { child, manager, address: address.unwrap(), _folder: folder }
    }

    /// Waits until the daemon tells its manager `state`.
    fn wait_for(&self, state: &str) {
        let (begun, mut datagram, mut told) = (Instant::now(), [0; 4096], String::new());
        while begun.elapsed() < DEADLINE {
            let length = self.manager.recv(&mut datagram).unwrap_or_else(|error| panic!("{error} after:\n{told}"));
            let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
            told.push_str(&text);
            if text.lines().any(|line| line.starts_with(state)) {
                return;
            }
        }
        panic!("no {state} in:\n{told}");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The status line of a page.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap().to_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_daemon_tells_systemd_that_it_is_ready_alive_and_read_again_and_ends_with_0() {
    let mut daemon = Daemon::start();
    daemon.wait_for("READY=1");
    daemon.wait_for("WATCHDOG=1");
    daemon.signal(Signal::HUP);
    daemon.wait_for("RELOADING=1");
    daemon.wait_for("READY=1");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
}

#[test]
fn every_path_that_a_probe_or_an_alert_names_is_served() {
    let daemon = Daemon::start();
    daemon.wait_for("READY=1");
    let mut served = 0;
    for recipe in super::recipes() {
        for path in ["/healthz", "/readyz", "/status", "/metrics"].into_iter().filter(|path| recipe.text.contains(path))
        {
            assert_eq!(daemon.get(path), "HTTP/1.1 200 OK", "{path}, named in {}", recipe.path.display());
            served += 1;
        }
    }
    assert!(served > 4, "only {served} paths");
    assert_eq!(daemon.get("/health"), "HTTP/1.1 404 Not Found");
}
