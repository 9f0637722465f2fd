//! The daemon as a child: its log is counted as it comes, its pages are read, its signals sent.
//!
//! In: the rig's command. Out: how much it said, whether it is idle, how it ended.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::process::{Rig, wait_for};

/// How many lines of the log are kept for whoever has to find out what went wrong.
const KEPT: usize = 40;

/// How long a page may take.
const PAGE_PATIENCE: Duration = Duration::from_secs(20);

/// The program, running. Killed when dropped.
pub struct Daemon {
    child: Child,
    said: Arc<Mutex<Said>>,
}

/// What it said so far.
#[derive(Default)]
pub struct Said {
    pub lines: u64,
    pub bytes: u64,
    address: Option<String>,
    last: VecDeque<String>,
}

impl Said {
    fn take_in(&mut self, line: String) {
        self.lines += 1;
        self.bytes += line.len() as u64 + 1;
        if self.address.is_none() {
            let event: Option<Value> = serde_json::from_str(&line).ok();
            self.address = event.and_then(|event| Some(event["address"].as_str()?.to_owned()));
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }
}

impl Daemon {
    /// Starts it, with its pages on a free port.
    pub fn start(rig: &Rig) -> anyhow::Result<Self> {
        let mut command = rig.writing("run");
        command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = BufReader::new(child.stderr.take().context("its log")?);
        let said = Arc::new(Mutex::new(Said::default()));
        let daemon = Self { child, said: Arc::clone(&said) };
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                said.lock().unwrap_or_else(PoisonError::into_inner).take_in(line);
            }
        });
        wait_for("its address", || daemon.said().address.clone());
        Ok(daemon)
    }

    /// What it said so far.
    pub fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        self.said().last.iter().cloned().collect::<Vec<_>>().join("\n")
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    fn page(&self, path: &str) -> Option<String> {
        let address = self.said().address.clone()?;
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PAGE_PATIENCE)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.split_once("\r\n\r\n")?.1.to_owned())
    }

    /// Reads every page, and one that is none.
    pub fn read_pages(&self) {
        for path in ["/healthz", "/readyz", "/metrics", "/status", "/nowhere"] {
            drop(self.page(path));
        }
    }

    /// Its own numbers.
    pub fn report(&self) -> Option<Value> {
        let page: Value = serde_json::from_str(&self.page("/status")?).ok()?;
        Some(page["reconciler"].clone())
    }

    /// Whether nothing is left to do.
    pub fn is_idle(&self) -> anyhow::Result<bool> {
        let Some(report) = self.report() else { return Ok(false) };
        let counts = ["/pending", "/rejected", "/held", "/byCondition/suspended", "/queued", "/inFlight", "/problems"];
        let mut sum = 0;
        for count in counts {
            sum += report.pointer(count).and_then(Value::as_u64).with_context(|| format!("/status has no {count}"))?;
        }
        Ok(sum == 0)
    }

    /// When it last read the folder.
    pub fn last_sync(&self) -> Option<String> {
        Some(self.report()?["lastSync"].as_str()?.to_owned())
    }

    /// SIGTERM: it must end well.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let status = wait_for("its end", || self.child.try_wait().ok()?);
        ensure!(status.success(), "it ended with {status}:\n{}", self.last_words());
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
