//! Nothing outside holds the daemon up: the real binary beside readers that stop reading.
//!
//! In: a pipe or a terminal on standard error that is full, pages that are asked for and not read, a webhook that does not
//! answer, a service manager that does not listen. Out: PUTs, pages and signals as if they were not there, and a log that
//! says what is missing in it. The daemon has one worker thread, so whatever blocks one blocks everything.

mod panics;

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::runtime::Runtime;
use zoho_mail_reconciler::runbook;

use super::builders::Manifest;
use super::loopback::{Reply, Server};
use super::process::{Rig, account, terminal, wait_for};

/// The default of `--shutdown-grace`.
const GRACE: Duration = Duration::from_secs(25);

const DROPPED: &str = "zoho_mail_reconciler_log_lines_dropped_total ";

/// The daemon, whose log is read up to the line that names its address, and no further.
struct Daemon {
    child: Child,
    log: Option<BufReader<ChildStderr>>,
    address: String,
}

impl Daemon {
    fn begin(mut command: Command) -> Self {
        command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms"]).env("TOKIO_WORKER_THREADS", "1");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = wait_for("the address", || {
            let mut line = String::new();
            log.read_line(&mut line).unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            let is_it = event["message"].as_str().is_some_and(|message| message.starts_with("listening"));
            is_it.then(|| event["address"].as_str().unwrap().to_owned())
        });
        Self { child, log: Some(log), address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(GRACE * 2)).unwrap();
        stream
    }

    fn page(&self, path: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn dropped(&self) -> u64 {
        let metrics = self.page("/metrics");
        metrics.lines().find_map(|line| line.strip_prefix(DROPPED)).unwrap().parse().unwrap()
    }

    /// Goes on reading the log. Returns the lines, to which more are added as they come.
    fn read_on(&mut self) -> Arc<Mutex<Vec<Value>>> {
        let (lines, log) = (Arc::new(Mutex::new(Vec::new())), self.log.take().unwrap());
        let into = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in log.lines() {
                let line = line.unwrap();
                let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                into.lock().unwrap().push(event);
            }
        });
        lines
    }

    /// Asks it to stop, and waits until it has.
    fn stop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let begun = Instant::now();
        let ended = wait_for("the end of the process", || self.child.try_wait().unwrap());
        assert!(ended.success() && begun.elapsed() < GRACE, "{ended} after {:?}", begun.elapsed());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Edits every one of so many accounts, and waits until the service has it.
fn edit(rig: &Rig, accounts: u64, enabled: bool) {
    (0..accounts).for_each(|n| rig.declare(n, enabled, enabled));
    wait_for("the edits", || {
        let world = rig.world();
        let mut all = (0..accounts).map(|n| world.account(account(n)).unwrap());
        all.all(|it| it.mailbox_enabled == enabled && it.active_sync_enabled == enabled).then_some(())
    });
}

/// A daemon whose log has not been read for so long that lines were dropped. All that while it worked.
fn unread(rig: &Rig, accounts: u64) -> Daemon {
    let mut command = rig.writing("run");
    command.args(["--log-level", "trace"]);
    let daemon = Daemon::begin(command);
    let mut enabled = false;
    wait_for("dropped lines", || {
        edit(rig, accounts, enabled);
        enabled = !enabled;
        assert!(daemon.page("/healthz").ends_with("ok\n"));
        (daemon.dropped() > 0).then_some(())
    });
    daemon
}

fn is_gap(event: &Value) -> bool {
    event["message"].as_str().is_some_and(|message| message.starts_with("the log has a gap here"))
}

#[test]
fn a_reader_that_stops_reading_the_log_holds_up_neither_puts_nor_pages_nor_signals() {
    let rig = Rig::new(20);
    let mut daemon = unread(&rig, 20);
    daemon.stop();
    // What had been begun was acknowledged, and is in the ledger.
    assert_eq!(rig.applied().len(), 40);
}

#[test]
fn a_log_that_is_read_again_says_where_lines_are_missing_and_how_many() {
    let rig = Rig::new(20);
    let mut daemon = unread(&rig, 20);
    let lines = daemon.read_on();
    wait_for("the gap", || lines.lock().unwrap().iter().any(is_gap).then_some(()));
    edit(&rig, 3, true);
    edit(&rig, 3, false);
    daemon.stop();
    let stopped = |event: &Value| event["message"] == "stopped";
    wait_for("the last line", || lines.lock().unwrap().last().is_some_and(stopped).then_some(()));
    let lines = lines.lock().unwrap();
    let gaps: Vec<_> = lines.iter().filter(|event| is_gap(event)).collect();
    assert_eq!(gaps[0]["level"], "WARN");
    assert!(gaps[0]["lines"].as_u64().unwrap() > 0);
    assert_eq!(gaps[0]["runbook"], "zoho-mail-reconciler explain LogLinesDropped");
    assert!(runbook::entry("LogLinesDropped").is_some());
}

#[test]
fn every_line_that_is_missing_is_counted_and_reported_once() {
    let rig = Rig::new(20);
    let mut daemon = unread(&rig, 20);
    let lines = daemon.read_on();
    let reported = || {
        let lines = lines.lock().unwrap();
        lines.iter().filter(|event| is_gap(event)).map(|event| event["lines"].as_u64().unwrap()).sum::<u64>()
    };
    wait_for("the sum", || (daemon.dropped() == reported()).then_some(()));
}

/// One pass over so many accounts, whose log goes where nothing is read. Checks that it sends everything.
fn pass_unread(accounts: u64, stderr: Stdio) {
    let rig = Rig::new(accounts);
    let mut command = rig.writing("apply");
    command.args(["--log-level", "trace"]).env("TOKIO_WORKER_THREADS", "1").env("TERM", "xterm-256color");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    drop(command);
    let ended = wait_for("the end of the pass", || child.try_wait().unwrap());
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let all = accounts * 2;
    assert!(ended.success() && said.starts_with(&format!("{all} planned = {all} applied")), "{ended}: {said}");
    rig.check_world(accounts);
}

#[test]
fn a_pass_whose_log_is_not_read_sends_everything_and_ends() {
    /// What a pipe of 64 KiB (pipe(7)) holds at least when it is full: a line that does not fit into a page begins another.
    const FULL: u64 = 48 * 1024;
    let (reader, writer) = std::io::pipe().unwrap();
    pass_unread(200, writer.into());
    let held = rustix::io::ioctl_fionread(&reader).unwrap();
    assert!(held > FULL, "the log fits into the pipe, so this shows nothing: {held} bytes");
}

#[test]
fn a_pass_whose_terminal_takes_no_output_sends_everything_and_ends() {
    // It takes a few pages, and then waits for its reader: as after Ctrl-S. The progress bar is drawn there as well.
    let (_reader, writer) = terminal();
    pass_unread(200, writer.into());
}

#[test]
fn a_service_manager_that_does_not_listen_holds_up_neither_puts_nor_signals() {
    let rig = Rig::new(3);
    let socket = rig.folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    let mut command = rig.writing("run");
    // A sign of life each half of a millisecond, so that soon no more are taken.
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "1000");
    let mut daemon = Daemon::begin(command);
    daemon.read_on();
    let other = UnixDatagram::unbound().unwrap();
    other.set_nonblocking(true).unwrap();
    let is_full = || other.send_to(b"X", &socket).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    wait_for("too many datagrams", || is_full().then_some(()));
    edit(&rig, 3, true);
    edit(&rig, 3, false);
    assert!(is_full(), "nothing was taken");
    daemon.stop();
    drop(manager);
}

#[test]
fn pages_that_are_not_read_and_a_webhook_that_does_not_answer_hold_up_neither_puts_nor_signals() {
    let rig = Rig::new(3);
    // Many accounts, for which nothing is sent, and of which much is said: more than the system takes off a sender's hands.
    let reason = "\u{1f3d6}".repeat(200);
    let suspended = |n| {
        let manifest = Manifest::numbered(n).enabled(true).set("suspend", true).set("suspendReason", &reason);
        manifest.to_string()
    };
    for first in (1_000..7_000).step_by(500) {
        let some: Vec<_> = (first..first + 500).map(suspended).collect();
        fs::write(rig.folder.path().join(format!("desired-state/many-{first}.yaml")), some.join("---\n")).unwrap();
    }
    rig.script(&format!(r#"{{"faults": [{{"account": "{}", "do": {{"answer": {{"status": 403}}}}}}]}}"#, account(2)));
    let runtime = Runtime::new().unwrap();
    let webhook = runtime.block_on(Server::start(Reply::Silence));
    let mut command = rig.writing("run");
    command.env("ZOHO_MAIL_NOTIFY_URL", format!("{}/hook", webhook.url)).env("ZOHO_MAIL_NOTIFY_AFTER", "20ms");
    let mut daemon = Daemon::begin(command);
    daemon.read_on();
    wait_for("a notification", || (!webhook.memory.seen().is_empty()).then_some(()));
    // As many as may be sent at a time are stuck when one more is turned away.
    let mut unread = Vec::new();
    wait_for("the answers to be enough", || {
        let mut stream = daemon.connect();
        rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4096).unwrap();
        stream.write_all(b"GET /status HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        unread.push(stream);
        head.ends_with(b"503").then_some(())
    });
    for path in ["/", "/runbook", "/metrics", "/page.js"].iter().cycle().take(40) {
        let mut stream = daemon.connect();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        unread.push(stream);
    }
    edit(&rig, 2, true);
    edit(&rig, 2, false);
    assert!(daemon.page("/healthz").ends_with("ok\n"));
    assert_eq!(webhook.memory.seen().len(), 1, "the webhook has not answered");
    daemon.stop();
}
