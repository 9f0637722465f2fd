//! The commands as users see them: the real binary, its output, its exit codes.
//!
//! Each test has a folder of its own and no environment but what it sets. What changes from run to run (moments, ports,
//! the folder) is masked before it is compared.

mod apply;
mod approval;
mod base;
mod colours;
mod comment;
mod dates;
mod credentials;
mod explain;
mod help;
mod identity;
mod ledgers;
mod logs;
mod options;
mod plan;
mod plan_document;
mod policies;
mod policy_folder;
mod returning;
mod revisions;
pub mod run;
mod sandbox;
mod status;
mod suspend;
mod validate;
mod words;

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use zoho_mail_reconciler::sandbox::{Script, Settings, World, serve};

use crate::builders::Manifest;
use crate::process::temporary_folder;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_zoho-mail-reconciler");

/// No command may take longer than this, whatever else the machine does.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with manifests, and the environment of the commands that run in it.
pub struct Place {
    pub folder: TempDir,
    env: Vec<(String, String)>,
}

/// How a command ended.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Everything at once, for a snapshot.
    pub fn all(&self) -> String {
        let Self { code, out, err } = self;
        format!("{out}--- stderr\n{err}--- exit {code}")
    }
}

impl Place {
    /// An empty place.
    pub fn new() -> Self {
        let folder = temporary_folder();
        std::fs::create_dir(folder.path().join("desired-state")).unwrap();
        // The log of a program whose standard error is a pipe is JSON: tests that want it say so.
        Self { folder, env: vec![("ZOHO_MAIL_LOG_LEVEL".into(), "off".into())] }
    }

    /// A place with one account: alice, enabled and without ActiveSync.
    pub fn with_alice() -> Self {
        let place = Self::new();
        place.account("sales/alice", 2, "enabled: true, activeSyncEnabled: false");
        place
    }

    /// Writes the manifest of an account called by its file's name, whose accountId ends in `number`.
    pub fn account(&self, path: &str, number: u64, wanted: &str) {
        let name = path.rsplit('/').next().unwrap();
        self.manifest(path, name, number, wanted);
    }

    /// Writes the manifest of an account called `name`.
    pub fn manifest(&self, path: &str, name: &str, number: u64, wanted: &str) {
        let text = Manifest::of(name).id(number).wanting(wanted).to_string();
        self.write(&format!("desired-state/{path}.yaml"), &text);
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Writes a file that only its owner can read.
    pub fn keep(&self, path: &str, text: &str) {
        self.write(path, text);
        std::fs::set_permissions(self.path().join(path), Permissions::from_mode(0o600)).unwrap();
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Sets a variable for all commands from now on.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.into()));
        self
    }

    /// A command that is not running yet.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments.split_whitespace()).current_dir(self.path()).env_clear().envs(self.env.clone());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end; arguments are separated by blanks.
    pub fn run(&self, arguments: &str) -> Ran {
        let command = assert_cmd::Command::from_std(self.command(arguments));
        self.ran(command)
    }

    /// Runs a prepared command to its end.
    pub fn ran(&self, mut command: assert_cmd::Command) -> Ran {
        let output = command.timeout(PATIENCE).output().unwrap();
        let text = |bytes: Vec<u8>| self.mask(&String::from_utf8(bytes).unwrap());
        Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs a command that must end well, and returns its standard output.
    pub fn ok(&self, arguments: &str) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments}: {}", ran.all());
        ran.out
    }

    /// Starts a command that runs until it is told to stop; its standard error goes to `stderr`, its output to `stdout`.
    pub fn start(&self, arguments: &str) -> Running {
        let file = |name: &str| std::fs::File::create(self.path().join(name)).unwrap();
        let mut command = self.command(arguments);
        let child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        Running { child }
    }

    /// `text` without what changes from run to run.
    pub fn mask(&self, text: &str) -> String {
        let real = self.path().canonicalize().unwrap();
        let text = text.replace(real.to_str().unwrap(), "DIR").replace(self.path().to_str().unwrap(), "DIR");
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        masked(&text.replace(&format!(" on {}", host.trim()), " on HOST"))
    }
}

/// A process that ends with the test.
pub struct Running {
    pub child: Child,
}

impl Running {
    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end, and returns the exit code.
    pub fn ended(&mut self) -> i32 {
        let mut code = None;
        until("the process ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a condition, with a deadline.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A simulated service in this process.
pub struct Service {
    pub url: String,
    pub world: Arc<Mutex<World>>,
    cancel: CancellationToken,
    _runtime: Runtime,
}

impl Service {
    /// A service where every account exists, with faults as the sandbox's scripts write them.
    pub fn with_faults(faults: &str) -> Self {
        let mut world = World::new(Settings { open: true, ..Settings::default() });
        world.set_faults(Script::parse(format!("{{\"faults\": [{faults}]}}").as_bytes()).unwrap());
        let world = Arc::new(Mutex::new(world));
        let (runtime, cancel) = (Runtime::new().unwrap(), CancellationToken::new());
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = runtime.block_on(serve(anywhere, Arc::clone(&world), cancel.clone())).unwrap();
        Self { url: server.api_url(), world, cancel, _runtime: runtime }
    }

    /// A service where every account exists and nothing goes wrong.
    pub fn start() -> Self {
        Self::with_faults("")
    }

    /// Makes the commands of `place` talk to it, as the administrator of organization 12345678.
    pub fn serve(&self, place: &mut Place) {
        for (name, value) in [("API_URL", &*self.url), ("ACCOUNTS_URL", &*self.url), ("ZOID", "12345678")] {
            place.set(&format!("ZOHO_MAIL_{name}"), value);
        }
        for name in ["CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN"] {
            place.set(&format!("ZOHO_MAIL_{name}"), "sandbox");
        }
        place.set("ZOHO_MAIL_RATE_LIMIT", "unlimited");
        place.set("ZOHO_MAIL_RETRY_MIN", "1ms").set("ZOHO_MAIL_RETRY_MAX", "5ms");
    }

    /// How many requests of any kind it got.
    pub fn requests(&self) -> u64 {
        self.world.lock().unwrap().requests_total()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// `text` with moments, ports, process ids and ages made the same in every run.
pub fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let replaced = shape(rest, "dddd-dd-ddTdd:dd:dd.dddZ").map(|length| ("TIME", length)).or_else(|| {
            let port = rest.strip_prefix("127.0.0.1:")?;
            let digits = port.len() - port.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            (digits > 0).then_some(("127.0.0.1:PORT", "127.0.0.1:".len() + digits))
        });
        let (shown, length) = replaced.unwrap_or((&rest[..c.len_utf8()], c.len_utf8()));
        out.push_str(shown);
        rest = &rest[length..];
    }
    out
}

fn shape(text: &str, shape: &str) -> Option<usize> {
    let fits = |(byte, like): (u8, u8)| if like == b'd' { byte.is_ascii_digit() } else { byte == like };
    (text.len() >= shape.len() && text.bytes().zip(shape.bytes()).all(fits)).then_some(shape.len())
}
