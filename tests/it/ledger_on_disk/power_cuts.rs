//! The power fails at any moment, and what was not synced is lost, torn, zeroed or out of order: nothing that was
//! acknowledged is forgotten.
//!
//! Real lives of a ledger are recorded with strace and replayed on a disk that promises as little as POSIX does ([`disk`]).
//! Every folder that a power cut may leave there, after any operation, is opened with the real code.

mod disk;
mod trace;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use self::disk::{Disk, Folder, Op, Tears};
use super::super::depth::number;
use super::super::process::folder_in_memory;
use super::crashes::{CHILD, GROUPS, SCRIPT, WHOLE, strace_works};
use super::*;

/// How many of the states that a power cut or a kill leaves have their recovery cut off as well, by default and in full. A
/// variable may ask for more, up to all of them; then writes are torn at every byte, too, which takes an hour.
const RECOVERIES: [u64; 2] = [6, 24];

/// See [`RECOVERIES`].
const VARIABLE: &str = "POWER_CUT_RECOVERIES";

fn tears() -> Tears {
    if number(VARIABLE).is_some() { Tears::All } else { Tears::Some }
}

/// Of so many states every how manieth has its recovery cut off.
fn step(states: usize) -> usize {
    let recoveries = number(VARIABLE).unwrap_or(pick(RECOVERIES[0], RECOVERIES[1]));
    states.div_ceil(usize::try_from(recoveries.max(1)).unwrap()).max(1)
}

fn fill(place: &Path, folder: &Folder) {
    folder.iter().for_each(|(name, bytes)| fs::write(place.join(name), bytes).unwrap());
}

/// A stretch of a ledger's life: the disk it begins on, and what it does there.
#[derive(Clone)]
struct Life {
    begin: Disk,
    ops: Vec<Op>,
    /// What was known to be durable before.
    durable: u64,
}

/// A life of `groups` on a disk, as strace saw it with `options`.
fn live(begin: &Disk, durable: u64, groups: &str, options: &[&str]) -> Life {
    let place = folder_in_memory();
    live_in(place.path(), begin, durable, groups, options)
}

fn live_in(place: &Path, begin: &Disk, durable: u64, groups: &str, options: &[&str]) -> Life {
    let log = tempfile::NamedTempFile::new().unwrap();
    fill(place, &begin.seen());
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qq", "-xx", "-s", "100000000", "-e", "trace=%file,%desc", "-o"]).arg(log.path());
    strace.args(options).arg("--").arg(std::env::current_exe().unwrap());
    strace.args(["--exact", SCRIPT, "--test-threads=1"]).env(CHILD, place).env(GROUPS, groups).output().unwrap();
    let mut disk = begin.clone();
    let ops = trace::read(&fs::read_to_string(log.path()).unwrap(), place, &mut disk);
    assert_eq!(disk.seen(), seen(place), "the trace tells all that happened");
    Life { begin: begin.clone(), ops, durable }
}

/// A folder as it is on the disk.
fn seen(place: &Path) -> Folder {
    let files = files(place).into_iter().map(|(name, bytes, _)| (name, bytes));
    files.filter(|(name, _)| name != trace::SAID && name != trace::BALLAST).collect()
}

/// Every folder that a power cut may leave, each with the last record that must be there.
type States = BTreeMap<Folder, u64>;

impl Life {
    /// The disk after the first operations, and what was known to be durable by then, each time that changed.
    fn moments(&self) -> Vec<(Disk, u64)> {
        let (mut disk, mut durable) = (self.begin.clone(), self.durable);
        let mut moments = vec![(disk.clone(), durable)];
        for op in &self.ops {
            disk.apply(op);
            if let Op::Say(what) = op {
                durable = what.strip_prefix("durable ").map_or(durable, |ticket| ticket.parse().unwrap());
            }
            moments.push((disk.clone(), durable));
        }
        moments
    }

    fn end(&self) -> (Disk, u64) {
        self.moments().pop().unwrap()
    }

    fn states(&self) -> States {
        let mut states = States::new();
        for (disk, durable) in self.moments() {
            for folder in disk.after_power_cut(tears()) {
                let needed = states.entry(folder).or_insert(0);
                *needed = durable.max(*needed);
            }
        }
        states
    }

    fn said(&self) -> Vec<&str> {
        self.ops.iter().filter_map(|op| if let Op::Say(what) = op { Some(what.as_str()) } else { None }).collect()
    }

    /// The same without one operation, as if the program had forgotten it.
    fn without(&self, at: usize) -> Self {
        let mut ops = self.ops.clone();
        ops.remove(at);
        Self { ops, ..self.clone() }
    }
}

/// Folders that are opened at the same time: each waits more for its threads than it computes.
const AT_A_TIME: usize = 6;

/// Opens folders with the real code. What is wrong with one of the states that is not what it must be.
fn fault(states: &States) -> Option<String> {
    let (states, found) = (Vec::from_iter(states), AtomicBool::new(false));
    let find = |part: &[(&Folder, &u64)]| {
        let mut left = part.iter().take_while(|_| !found.load(Ordering::Relaxed));
        let fault = left.find_map(|(folder, durable)| fault_of(folder, **durable));
        found.fetch_or(fault.is_some(), Ordering::Relaxed);
        fault
    };
    let find = &find;
    std::thread::scope(|scope| {
        let parts = states.chunks(states.len().div_ceil(AT_A_TIME).max(1));
        let workers: Vec<_> = parts.map(|part| scope.spawn(move || find(part))).collect();
        workers.into_iter().filter_map(|worker| worker.join().unwrap()).next()
    })
}

fn fault_of(folder: &Folder, durable: u64) -> Option<String> {
    let what = match recovered(folder) {
        Ok(serial) if serial >= durable => return None,
        Ok(serial) => format!("{durable} was durable, {serial} is there"),
        Err(error) => error,
    };
    let show = |(name, bytes): (&String, &Vec<u8>)| format!("{name}: {}\n", bytes.escape_ascii());
    Some(format!("{what}\n{}", folder.iter().map(show).collect::<String>()))
}

fn accept(life: &Life, of: &str) {
    let fault = fault(&life.states());
    assert!(fault.is_none(), "{of}: {}", fault.unwrap());
}

/// [`recover`], once for all tests: their lives leave the same folders again and again.
fn recovered(folder: &Folder) -> Result<u64, String> {
    static KNOWN: Mutex<BTreeMap<Folder, Result<u64, String>>> = Mutex::new(BTreeMap::new());
    let known = KNOWN.lock().unwrap().get(folder).cloned();
    known.unwrap_or_else(|| {
        let found = recover(folder);
        KNOWN.lock().unwrap().insert(folder.clone(), found.clone());
        found
    })
}

/// The last record in the ledger in `folder`, if it is whole and can be gone on from.
fn recover(folder: &Folder) -> Result<u64, String> {
    let place = folder_in_memory();
    let path = place.path().join("ledger.json");
    fill(place.path(), folder);
    let told = |error: LedgerError| error.to_string();
    let before = read(&path, Some(owner())).map_err(told)?.unwrap_or_else(|| Ledger::new(owner()));
    let history = |serial| history_fault(&path, serial).map_or(Ok(()), Err);
    history(before.serial)?;
    let mut opened = try_open(&path, owner()).map_err(told)?;
    let serial = opened.ledger.serial;
    history(serial)?;
    if opened.ledger != before || before != lived_through(serial) {
        return Err(format!("it is not as it was after any {serial} records"));
    }
    opened.append(2);
    drop(opened);
    let opened = try_open(&path, owner()).map_err(told)?;
    let gone_on = opened.ledger == lived_through(serial + 2);
    opened.file.close().map_err(told)?;
    history(serial + 2)?;
    let is_whole = names(place.path()).iter().all(|name| WHOLE_BY_ITSELF.contains(&&**name) || name.contains("torn-"));
    if gone_on && is_whole { Ok(serial) } else { Err("it could not be gone on from".to_owned()) }
}

/// Few groups, and a fold behind the third.
const SHORT: &str = "1,6,1,1";

/// What a killed process left: three records and the beginning of a fourth.
fn torn() -> Disk {
    let place = folder_in_memory();
    let path = place.path().join("ledger.json");
    let mut opened = open(&path);
    opened.append(3);
    drop(opened);
    fs::OpenOptions::new().append(true).open(journal_of(&path)).unwrap().write_all(b"{\"torn").unwrap();
    Disk::of(&seen(place.path()))
}

#[test]
fn whatever_a_power_cut_leaves_of_what_was_not_synced_nothing_acknowledged_is_forgotten() {
    if !strace_works("power cuts") {
        return;
    }
    for (begin, durable) in [(Disk::default(), 0), (torn(), 3)] {
        let life = live(&begin, durable, WHOLE, &[]);
        assert_eq!(life.said().last(), Some(&"closed"));
        let states = life.states().len();
        assert!(states > 200, "only {states} states: strace no longer sees the calls");
        accept(&life, "a whole life");
    }
}

#[test]
fn a_write_that_found_no_room_leaves_nothing_to_a_power_cut() {
    if !strace_works("power cuts where there is no room") {
        return;
    }
    let place = folder_in_memory();
    let Some(mount) = Mount::tmpfs(place.path().join("small"), "size=36k") else {
        return skip("power cuts where there is no room", "mounting a small tmpfs needs root");
    };
    fs::write(mount.0.join(trace::BALLAST), [1; 20 * 1024]).unwrap();
    let life = live_in(&mount.0, &Disk::default(), 0, "1,16,20,3", &[]);
    let said = life.said().join(" ");
    assert!(said.contains("stopped no_room resumed") && said.ends_with("closed"), "{said}");
    let cut = life.ops.windows(2).find(|ops| matches!(ops, [Op::Write(..), Op::Truncate(_, 1..)]));
    assert!(cut.is_some(), "no write was short: {:?}", life.ops);
    accept(&life, "no room");
}

/// What the next process finds is what the system shows it, on the disk or not.
#[test]
fn killed_at_any_moment_and_started_again_a_power_cut_still_finds_nothing_forgotten() {
    if !strace_works("power cuts after a kill") {
        return;
    }
    let moments = live(&torn(), 3, SHORT, &[]).moments();
    let step = step(moments.len());
    for (disk, durable) in moments.into_iter().step_by(step) {
        accept(&live(&disk, durable, "2", &[]), "after a kill");
    }
}

#[test]
fn a_power_cut_during_the_recovery_from_one_forgets_nothing_either() {
    if !strace_works("power cuts in a recovery") {
        return;
    }
    let states = live(&torn(), 3, WHOLE, &[]).states();
    let step = step(states.len());
    for (folder, durable) in states.iter().step_by(step) {
        accept(&live(&Disk::of(folder), *durable, "2", &[]), "in a recovery");
    }
}

#[test]
fn what_a_failed_sync_left_in_doubt_is_written_anew_before_it_is_relied_on() {
    if !strace_works("power cuts after a failed sync") {
        return;
    }
    for call in ["fdatasync", "fsync"] {
        for n in (1..).step_by(pick(4, 1)) {
            let first = live(&Disk::default(), 0, SHORT, &["-e", &format!("inject={call}:error=EIO:when={n}")]);
            if first.said().last() == Some(&"closed") {
                assert!(n > 5, "only {n} of {call}: strace no longer sees the calls");
                break;
            }
            let (disk, durable) = first.end();
            accept(&live(&disk, durable, "2", &[]), &format!("after a failed {call}"));
        }
    }
}

/// That the tests above can fail: each sync that is left out of a life is missed.
#[test]
fn without_any_one_of_its_syncs_the_ledger_would_forget() {
    if !strace_works("power cuts without a sync") {
        return;
    }
    let whole = live(&Disk::default(), 0, WHOLE, &[]);
    // And the life of whoever finds what another one wrote and was killed before it could sync it.
    let mut before_syncs = whole.moments().into_iter().zip(&whole.ops).filter(|(_, op)| matches!(op, Op::Sync(..)));
    let ((disk, durable), _) = before_syncs.nth(5).unwrap();
    for (life, step) in [(live(&disk, durable, "2", &[]), 1), (whole, pick(4, 1))] {
        let syncs: Vec<_> = (0..life.ops.len()).filter(|at| matches!(life.ops[*at], Op::Sync(..))).collect();
        assert!(syncs.len() >= 4, "only {} syncs: strace no longer sees the calls", syncs.len());
        for at in syncs.into_iter().step_by(step) {
            let fault = fault(&life.without(at).states());
            assert!(fault.is_some(), "nobody misses {:?}", &life.ops[at - 1..=at]);
        }
    }
}
