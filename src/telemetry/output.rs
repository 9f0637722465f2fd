//! Where lines go: to standard error, around the progress bar; at once, or by a queue.
//!
//! In: whole lines. Out: the same on standard error.
//! Invariants: until [`queue_lines`] is called a line is there when its call returns; from then on no call waits for the
//! reader, all lines take the same way and so keep their order, and the log itself says where it has a gap; a reader
//! that went away, or a full disk, ends nothing.
//! Absent by design: what is a line (see [`crate::telemetry`]), and what is dropped when (see [`queue`](super::queue)).

use std::cell::Cell;
use std::io::{ErrorKind, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use indicatif::ProgressBar;
use serde::Serialize;
use tracing::warn;

use super::queue::{Priority, Queue};
use crate::account::printable::{self, Notation};
use crate::runbook;
use crate::timestamp::Timestamp;

/// How long the end of the process waits for a reader that does not read.
const GRACE: Duration = Duration::from_secs(1);

/// How long the writer waits before it tries a descriptor again that another process has made non-blocking.
const AGAIN: Duration = Duration::from_millis(10);

/// The queue, for commands that have one.
static QUEUE: OnceLock<&Queue> = OnceLock::new();

thread_local! {
    /// Whether this thread empties the queue: what it has to say itself does not go through it.
    static IS_WRITER: Cell<bool> = const { Cell::new(false) };
}

/// The progress bar that shares standard error with the log.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// Makes room for log lines above `bar` from now on. One bar a process; a second call changes nothing.
pub fn share_terminal(bar: &ProgressBar) {
    BAR.get_or_init(|| bar.clone());
}

/// From now on no line waits for the reader of standard error: for commands that have more urgent things to do. What is
/// left is written by [`flush`]. A second call changes nothing.
pub fn queue_lines() {
    if QUEUE.get().is_some() {
        return;
    }
    let queue: &Queue = Box::leak(Box::new(Queue::new()));
    let work = move || {
        IS_WRITER.set(true);
        queue.run(write, report_gap);
    };
    // Where no thread can be started, lines go on waiting for the reader; the runtime tells of that trouble.
    if thread::Builder::new().name("log".to_owned()).spawn(work).is_ok() {
        let _ = QUEUE.set(queue);
    }
}

/// The line that stands where lines are missing.
fn report_gap(lines: u64) {
    let runbook = runbook::link(None, "LogLinesDropped");
    warn!(lines, runbook, "the log has a gap here: its reader stopped reading, and lines were dropped");
}

/// How many lines of the log did not reach standard error.
pub fn lines_dropped() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.dropped())
}

/// Waits until standard error has every line, for a second at most if its reader does not read.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(GRACE);
    }
}

/// Flushes when it is dropped: also when a panic ends the process.
#[derive(Debug)]
pub struct Flush;

impl Drop for Flush {
    fn drop(&mut self) {
        flush();
    }
}

/// Whether lines beside the log are JSON as well.
static JSON: AtomicBool = AtomicBool::new(false);

/// From now on a line beside the log is an object like those of the log.
pub fn lines_are_json() {
    JSON.store(true, Ordering::Relaxed);
}

/// What a line beside the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Why a command fails.
    Error,
    /// Something worth knowing.
    Note,
    /// A part of what a command says.
    Plain,
}

/// A line beside the log, with the keys of the log's own in their order.
#[derive(Serialize)]
struct Event<'a> {
    timestamp: Timestamp,
    level: &'static str,
    message: &'a str,
}

/// A line on standard error that is none of the log, but keeps its place among those of the log.
pub fn line(kind: Kind, text: &str) {
    let (prefix, level) = match kind {
        Kind::Error => ("error: ", "ERROR"),
        Kind::Note => ("note: ", "INFO"),
        Kind::Plain => ("", "INFO"),
    };
    let line = if JSON.load(Ordering::Relaxed) {
        let timestamp = Timestamp::from(SystemTime::now());
        // Texts and a moment alone: there is nothing that could fail.
        let event = serde_json::to_string(&Event { timestamp, level, message: text }).unwrap_or_default();
        printable::document(&event, Notation::Json).into_owned()
    } else {
        format!("{prefix}{}", printable::escape(text))
    };
    deliver(format!("{line}\n").as_bytes(), Priority::LastWords);
}

pub(super) fn deliver(line: &[u8], priority: Priority) {
    match QUEUE.get() {
        Some(queue) if IS_WRITER.get() => queue.lost(write(line)),
        Some(queue) => queue.push(line, priority),
        None => drop(write(line)),
    }
}

/// Writes lines, above the bar if there is one. Returns how many of them were lost.
fn write(lines: &[u8]) -> u64 {
    match BAR.get().filter(|bar| !bar.is_finished()) {
        Some(bar) => bar.suspend(|| write_all(lines)),
        None => write_all(lines),
    }
}

fn write_all(lines: &[u8]) -> u64 {
    let (mut out, mut rest) = (std::io::stderr().lock(), lines);
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(0) => break,
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(AGAIN),
            // The reader may be gone, and the disk below it full: the work goes on.
            Err(_) => break,
        }
    }
    rest.iter().filter(|byte| **byte == b'\n').count() as u64
}
