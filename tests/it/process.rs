//! The real binary against a simulated service in this process: what its tests share.
//!
//! In: a number of accounts. Out: a folder of manifests, a ledger, and the program as a child that can be
//! watched, told and killed. Nothing here waits for time to pass, only for something to be seen.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::{CancellationToken, DropGuard};
use zoho_mail_reconciler::account::{AccountId, Field};
use zoho_mail_reconciler::change::Known;
use zoho_mail_reconciler::ledger::{self, Ledger};
use zoho_mail_reconciler::sandbox::{self, Account, Operation, Script, Settings, World};

pub use super::builders::account;
use super::builders::{Manifest, zuid};
use super::depth::is_full;

/// How long anything may take before a test fails; a loaded machine needs seconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `seen` sees something.
pub fn wait_for<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = seen() {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "waited too long for {what}");
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// A folder for a test whose subject is not the disk: in memory where that can be had, for there a sync costs nothing. On
/// the disk when everything is run in full.
pub fn temporary_folder() -> TempDir {
    if is_full() { TempDir::new().unwrap() } else { folder_in_memory() }
}

/// A folder in memory, where there is room for more than any test needs; else on the disk.
pub fn folder_in_memory() -> TempDir {
    const MEMORY: &str = "/dev/shm";
    const ROOM: u64 = 1024 * 1024 * 1024;
    let has_room = rustix::fs::statvfs(MEMORY).is_ok_and(|found| found.f_bavail * found.f_frsize >= ROOM);
    let in_memory = if has_room { TempDir::new_in(MEMORY).ok() } else { None };
    in_memory.unwrap_or_else(|| TempDir::new().unwrap())
}

/// Whether strace can trace here. If not, says on standard error what was not tested.
pub fn strace_works(test: &str) -> bool {
    let works =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if !works {
        eprintln!("{test}: SKIPPED, for strace is missing or may not trace");
    }
    works
}

/// A terminal: the end of who looks at it, and that of a command.
pub fn terminal() -> (OwnedFd, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    (ours, theirs)
}

/// A service, a folder of manifests and a ledger.
pub struct Rig {
    pub folder: TempDir,
    /// Where the ledger is; in the folder unless a test moves it.
    pub ledger: PathBuf,
    _apart: Option<TempDir>,
    world: Arc<Mutex<World>>,
    url: String,
    _stop: DropGuard,
    _runtime: Runtime,
}

impl Rig {
    /// A service with `accounts` accounts, a manifest for each, and no ledger yet.
    pub fn new(accounts: u64) -> Self {
        Self::with(accounts, Settings::default())
    }

    /// The same with a folder on the disk, for tests of what a file system does; only the ledger is where it costs less.
    pub fn on_disk(accounts: u64) -> Self {
        let mut rig = Self::within(TempDir::new().unwrap(), accounts, Settings::default());
        let apart = temporary_folder();
        rig.ledger = apart.path().join("ledger.json");
        rig._apart = Some(apart);
        rig
    }

    pub fn with(accounts: u64, settings: Settings) -> Self {
        Self::within(temporary_folder(), accounts, settings)
    }

    /// The same, in a folder of the test's choice.
    pub fn within(folder: TempDir, accounts: u64, settings: Settings) -> Self {
        let mut world = World::new(Settings { log_capacity: 100_000, ..settings });
        (0..accounts).for_each(|n| world.seed(numbered(n)));
        let world = Arc::new(Mutex::new(world));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let cancel = CancellationToken::new();
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = runtime.block_on(sandbox::serve(listen, Arc::clone(&world), cancel.clone())).unwrap();
        fs::create_dir(folder.path().join("desired-state")).unwrap();
        let ledger = folder.path().join("ledger.json");
        let rig = Self {
            ledger,
            _apart: None,
            folder,
            world,
            url: server.api_url(),
            _stop: cancel.drop_guard(),
            _runtime: runtime,
        };
        (0..accounts).for_each(|n| rig.declare(n, n % 2 == 0, n % 3 == 0));
        rig
    }

    /// The service has this account, too.
    pub fn seed(&self, n: u64) {
        self.world().seed(numbered(n));
    }

    /// Writes the manifest of one account, as an editor does: a new file in the place of the old one.
    pub fn declare(&self, n: u64, enabled: bool, sync: bool) {
        let text = Manifest::numbered(n).enabled(enabled).active_sync(sync).to_string();
        let place = self.folder.path().join("desired-state");
        let new = place.join(format!(".a{n}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, place.join(format!("a{n}.yaml"))).unwrap();
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub fn script(&self, json: &str) {
        self.world().set_faults(Script::parse(json.as_bytes()).unwrap());
    }

    /// A command of the program that only reads.
    pub fn reading(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler"));
        command.env_clear().arg(name).args(["--log-format", "json"]);
        command.arg("--desired-state").arg(self.folder.path().join("desired-state")).arg("--ledger").arg(&self.ledger);
        command
    }

    /// A command of the program that writes: impatient, and without any budget unless a test gives it one.
    pub fn writing(&self, name: &str) -> Command {
        self.writing_to(name, &self.url)
    }

    /// The same with its accounts host somewhere else.
    pub fn writing_to(&self, name: &str, accounts_url: &str) -> Command {
        let mut command = self.reading(name);
        command.args(["--zoid", "12345678", "--api-url", &self.url, "--accounts-url", accounts_url]);
        command.args(["--retry-min", "10ms", "--retry-max", "50ms"]);
        for (variable, value) in [
            ("CLIENT_ID", "sandbox"),
            ("CLIENT_SECRET", "sandbox"),
            ("REFRESH_TOKEN", "sandbox"),
            ("RATE_LIMIT", "unlimited"),
            ("DISRUPTION_BUDGET", "100%"),
        ] {
            command.env(format!("ZOHO_MAIL_{variable}"), value);
        }
        command
    }

    /// `program` with strace beside it, for calls on the ledger's files.
    pub fn traced(&self, program: &Command, option: &str) -> Command {
        let names = ["", ".audit", ".journal", ".lock", ".tmp"].map(|suffix| format!("ledger.json{suffix}"));
        self.traced_on(&names.each_ref().map(String::as_str), program, option)
    }

    /// The same for calls on these of them. The process is the program itself: it can be told and killed.
    pub fn traced_on(&self, names: &[&str], program: &Command, option: &str) -> Command {
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", option, "-P"]).arg(self.ledger.parent().unwrap());
        for name in names {
            command.arg("-P").arg(self.ledger.with_file_name(name));
        }
        command.arg("--").arg(program.get_program()).args(program.get_args());
        command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// One pass, to its end.
    pub fn apply(&self) -> Output {
        self.writing("apply").output().unwrap()
    }

    /// Begins `command`; what it says goes to a file.
    pub fn begin(&self, mut command: Command) -> Process {
        let said = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.reopen().unwrap()).spawn().unwrap();
        Process { child, said }
    }

    /// Begins the daemon, with its pages on a free port.
    pub fn run(&self) -> Process {
        let mut command = self.writing("run");
        command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]);
        self.begin(command)
    }

    /// The ledger, as whoever starts next finds it.
    pub fn read_ledger(&self) -> Option<Ledger> {
        ledger::file::read(&self.ledger, None).unwrap()
    }

    /// Every field the ledger says was applied; and that it says the truth.
    pub fn applied(&self) -> BTreeMap<(AccountId, Field), bool> {
        let ledger = self.read_ledger();
        let world = self.world();
        let fields = ledger.iter().flat_map(|ledger| &ledger.accounts);
        let fields = fields.flat_map(|(account, row)| Field::ALL.map(|field| (*account, field, row.known(field))));
        let mut applied = BTreeMap::new();
        for (account, field, known) in fields {
            if let Known::Applied(value) = known {
                assert_eq!(actual(&world, account, field), value, "the ledger claims {field} of {account}");
                applied.insert((account, field), value);
            }
        }
        applied
    }

    /// What [`Rig::check_world`] wants a field to be.
    pub fn wants(&self, (account, field): &(AccountId, Field)) -> bool {
        let n = account.get() - self::account(0).get();
        n.is_multiple_of(if *field == Field::Enabled { 2 } else { 3 })
    }

    /// Holds the first `accounts` accounts of the world against their manifests.
    pub fn check_world(&self, accounts: u64) {
        let world = self.world();
        for n in 0..accounts {
            let is = Field::ALL.map(|field| actual(&world, account(n), field));
            assert_eq!(is, [n % 2 == 0, n % 3 == 0], "a{n}");
        }
    }

    /// The PUTs the service saw, after the first `skip` requests.
    pub fn puts(&self, skip: u64) -> Vec<(AccountId, Field)> {
        let world = self.world();
        let puts = world
            .log()
            .skip(usize::try_from(skip).unwrap())
            .filter_map(|entry| Some((entry.account?, entry.operation)));
        let field = |operation| match operation {
            Operation::UpdateMobileSyncStatus => Field::ActiveSyncEnabled,
            _ => Field::Enabled,
        };
        puts.map(|(account, operation)| (account, field(operation))).collect()
    }
}

/// An account as the service begins with it.
fn numbered(n: u64) -> Account {
    Account::new(account(n), zuid(n), &format!("a{n}@example.com"), &format!("a{n}"))
}

fn actual(world: &World, account: AccountId, field: Field) -> bool {
    let account = world.account(account).unwrap();
    match field {
        Field::Enabled => account.mailbox_enabled,
        Field::ActiveSyncEnabled => account.active_sync_enabled,
    }
}

/// The program, running. Killed when dropped.
pub struct Process {
    child: Child,
    said: tempfile::NamedTempFile,
}

impl Process {
    pub fn said(&self) -> String {
        fs::read_to_string(self.said.path()).unwrap()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// How it ended.
    pub fn end(&mut self) -> ExitStatus {
        let ended = wait_for("the end of the process", || self.has_ended().map(Ok::<_, ()>));
        ended.unwrap_or_else(|()| panic!("{}", self.said()))
    }

    /// One of the pages: its status and body; `None` while there is nobody to ask.
    pub fn page(&self, path: &str) -> Option<(u16, String)> {
        let (head, body) = self.ask("GET", path)?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body))
    }

    /// The head and the body of an answer; `None` while there is nobody to ask.
    pub fn ask(&self, method: &str, path: &str) -> Option<(String, String)> {
        let said = self.said();
        let line = said.lines().find(|line| line.contains("listening: "))?;
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let mut stream = TcpStream::connect(line["address"].as_str()?).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).ok()?;
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.to_owned(), body.to_owned()))
    }

    /// What all requests wait for, as `/status` says it.
    pub fn waits_for(&self) -> Option<String> {
        let (_, body) = self.page("/status")?;
        let body: serde_json::Value = serde_json::from_str(&body).ok()?;
        Some(body["reconciler"]["waiting"]["why"].as_str()?.to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every file beneath a folder, with its bytes.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push((entry.clone(), fs::read(entry).unwrap())) }
    }
    found
}
