//! The daemon keeps the unit's promises to systemd, and the probes' to Kubernetes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::builders::Manifest;
use crate::process::temporary_folder;

/// How long anything may take before the test fails: far more than a busy machine needs.
const DEADLINE: Duration = Duration::from_secs(30);

/// A daemon under a manager's eyes.
struct Daemon {
    child: Child,
    manager: UnixDatagram,
    address: String,
    _folder: TempDir,
}

/// A folder of one manifest, beside which the daemon's socket will be.
fn folder() -> TempDir {
    let folder = temporary_folder();
    let desired = folder.path().join("desired-state");
    fs::create_dir(&desired).unwrap();
    write_manifest(&folder, true);
    folder
}

/// Writes what is wanted of the one account.
fn write_manifest(folder: &TempDir, enabled: bool) {
    let manifest = Manifest::of("alice").enabled(enabled).to_string();
    fs::write(folder.path().join("desired-state/alice.yaml"), manifest).unwrap();
}

/// Starts the daemon; its log goes to `log`, and a watchdog waits for `watchdog`.
fn spawn(folder: &TempDir, log: impl Into<Stdio>, watchdog: Duration) -> (Child, UnixDatagram) {
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler"))
        .args(["run", "--sandbox", "--listen", "127.0.0.1:0", "--log-format", "json", "--debounce", "20ms"])
        .current_dir(folder.path())
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
        .stderr(log)
        .spawn()
        .unwrap();
    (child, manager)
}

impl Daemon {
    fn start() -> Self {
        let folder = folder();
        let (mut child, manager) = spawn(&folder, Stdio::piped(), Duration::from_secs(10));
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = log.by_ref().map(Result::unwrap).find_map(|line| {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            let address = event["address"].as_str()?;
            event["message"].as_str()?.starts_with("listening").then(|| address.to_owned())
        });
        // The rest is read as well: a log with gaps is another test's.
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
fn a_log_that_is_not_read_stops_neither_the_loop_nor_its_signs_of_life() {
    /// What a pipe holds, and what of it is left for the log of the start (pipe(7)).
    const PIPE: (usize, usize) = (64 * 1024, 4 * 1024);
    /// Longer than any line of the log.
    const LINE: usize = 1024;
    const LIMIT: Duration = Duration::from_secs(1);
    /// The loop says that it lives twice in [`LIMIT`], and the last time may be just before the pipe is full.
    const SIGNS: usize = 6;
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&vec![b'\n'; PIPE.0 - PIPE.1]).unwrap();
    let folder = folder();
    let (mut child, manager) = spawn(&folder, writer, LIMIT);
    manager.set_read_timeout(Some(Duration::from_millis(60))).unwrap();
    let (mut enabled, mut fed) = (false, 0);
    wait_until("fed after the pipe was full", || {
        // There is always something to do, and to log.
        write_manifest(&folder, enabled);
        enabled = !enabled;
        let mut datagram = [0; 4096];
        let length = manager.recv(&mut datagram).unwrap_or(0);
        let is_full = rustix::io::ioctl_fionread(&reader).unwrap() > (PIPE.0 - LINE) as u64;
        let is_fed = String::from_utf8_lossy(&datagram[..length]).contains("WATCHDOG=1");
        fed += usize::from(is_full && is_fed);
        fed == SIGNS
    });
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Asks until the answer is yes.
fn wait_until(what: &str, mut ask: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !ask() {
        assert!(begun.elapsed() < DEADLINE * 2, "never {what}");
    }
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
