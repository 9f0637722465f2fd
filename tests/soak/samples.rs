//! What the daemon holds at one moment, as the system sees it.
//!
//! In: its process and files. Out: [`Sample`].

use std::fs;

use super::churn::Churn;
use super::daemon::Daemon;
use super::process::Rig;

/// How long a tick of the CPU clock is, in milliseconds: USER_HZ is 100 on every Linux that people run.
const TICK: u64 = 10;

/// One moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Anonymous memory in bytes: that of the program's own code comes and goes with the page cache.
    pub memory: u64,
    pub threads: u64,
    pub descriptors: u64,
    /// Watches of inotify.
    pub watches: u64,
    /// Bytes of the ledger, and of its journal.
    pub ledger: u64,
    pub journal: u64,
    /// Since the start: lines and bytes of the log, milliseconds of CPU, requests, and what else was a cause of work.
    pub lines: u64,
    pub bytes: u64,
    pub cpu: u64,
    pub requests: u64,
    pub causes: u64,
}

impl Sample {
    /// Looks at everything; nothing if the process is gone.
    pub fn take(rig: &Rig, churn: &Churn, daemon: &Daemon) -> Option<Self> {
        let process = format!("/proc/{}", daemon.id());
        let status = fs::read_to_string(format!("{process}/status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse::<u64>().ok()
        };
        let size = |name: &str| fs::metadata(rig.ledger.with_file_name(name)).map_or(0, |file| file.len());
        let (descriptors, watches) = descriptors(&process)?;
        let said = daemon.said();
        Some(Self {
            memory: field("RssAnon")? * 1024,
            threads: field("Threads")?,
            descriptors,
            watches,
            ledger: size("ledger.json"),
            journal: size("ledger.json.journal"),
            lines: said.lines,
            bytes: said.bytes,
            cpu: cpu(&process)?,
            requests: rig.world().requests_total(),
            causes: churn.causes,
        })
    }
}

/// Open descriptors, and what those of inotify watch.
fn descriptors(process: &str) -> Option<(u64, u64)> {
    let (mut open, mut watches) = (0, 0);
    for entry in fs::read_dir(format!("{process}/fdinfo")).ok()? {
        open += 1;
        // Closed between the two looks is no error.
        let info = fs::read_to_string(entry.ok()?.path()).unwrap_or_default();
        watches += info.lines().filter(|line| line.starts_with("inotify ")).count() as u64;
    }
    Some((open, watches))
}

/// User and system time: the 14th and 15th field of proc_pid_stat(5), counted behind the name, which may hold spaces.
fn cpu(process: &str) -> Option<u64> {
    let stat = fs::read_to_string(format!("{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some((next()? + next()?) * TICK)
}
