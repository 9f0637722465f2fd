//! The program as a process of its own.
//!
//! In: a folder, a ledger, a command. Out: its end, or when it is ready; its peak memory. It logs to a file, as under a
//! service manager, at its default level.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::service::{Service, ZOID};

/// How often the peak memory of a process that ends by itself is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// How long the daemon may take to read 100,000 files on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A command line against `service`, with nothing to hold it back.
pub fn command(service: &Service, folder: &Path, ledger: &Path, name: &str) -> anyhow::Result<Command> {
    let log = File::create(ledger.with_extension("log"))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler"));
    let (folder, ledger) = (folder.as_os_str(), ledger.as_os_str());
    command.arg(name).arg("--desired-state").arg(folder).arg("--ledger").arg(ledger);
    command.args(["--zoid", ZOID, "--api-url", &service.url, "--accounts-url", &service.url]);
    command.args(["--disruption-budget", "100%", "--rate-limit", "unlimited"]);
    command.env("ZOHO_MAIL_ACCESS_TOKEN", &service.token);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Ok(command)
}

/// Runs a command to its good end. Returns how long it took.
pub fn run(mut command: Command) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let status = command.status()?;
    let took = begun.elapsed();
    succeeded(status, &command)?;
    Ok(took)
}

fn succeeded(status: ExitStatus, command: &Command) -> anyhow::Result<()> {
    if status.success() { Ok(()) } else { bail!("{status}: {command:?}") }
}

/// A process under way, watched until its good end. Returns its peak memory in bytes.
pub fn peak_until_end(mut child: Child, command: &Command) -> anyhow::Result<u64> {
    let mut peak = 0;
    loop {
        // Gone between two looks is no error.
        peak = peak_memory(child.id()).unwrap_or(peak);
        if let Some(status) = child.try_wait()? {
            succeeded(status, command)?;
            return Ok(peak);
        }
        std::thread::sleep(LOOK);
    }
}

/// Peak resident memory of a process, in bytes.
fn peak_memory(process: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

/// The daemon, ready.
pub struct Daemon(Child);

impl Daemon {
    /// Starts the daemon and waits until it tells its service manager (us) that it has read the folder.
    pub fn start(service: &Service, folder: &Path, ledger: &Path) -> anyhow::Result<Self> {
        let address = ledger.with_extension("notify");
        let manager = UnixDatagram::bind(&address)?;
        manager.set_read_timeout(Some(START_PATIENCE))?;
        let mut command = command(service, folder, ledger, "run")?;
        let daemon = Self(command.args(["--listen", "off"]).env("NOTIFY_SOCKET", &address).spawn()?);
        let mut message = [0; 256];
        loop {
            let length = manager.recv(&mut message).context("the daemon does not become ready")?;
            if message[..length].starts_with(b"READY=1") {
                break;
            }
        }
        // What else it has to tell would fill the socket and hold it up.
        drop(manager);
        fs::remove_file(address)?;
        Ok(daemon)
    }

    /// Peak resident memory so far, in bytes.
    pub fn peak(&self) -> anyhow::Result<u64> {
        peak_memory(self.0.id())
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let process = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(process, rustix::process::Signal::TERM)?;
        let status = self.0.wait()?;
        if status.success() { Ok(()) } else { bail!("the daemon ended with {status}") }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only where something failed is it still alive.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
