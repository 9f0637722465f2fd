//! The ledger on a real disk: what it promises between processes, after a crash, and without room.

mod audit;
mod backup;
mod crashes;
mod errnos;
mod no_room;
mod power_cuts;
mod refusals;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use zoho_mail_reconciler::account::{AccountId, Field, SourceRef, Zoid};
use zoho_mail_reconciler::ledger::file::{Committed, LedgerError, LedgerFile, history, read};
use zoho_mail_reconciler::ledger::{Ledger, Owner, Record};
use zoho_mail_reconciler::timestamp::Timestamp;

use super::depth::pick;

/// How long anything may take before a test fails; a loaded machine needs seconds.
const DEADLINE: Duration = Duration::from_secs(60);

fn owner() -> Owner {
    Owner::Organization(Zoid::new(12_345_678).unwrap())
}

/// The record with this sequence number, the same in every process: intents and outcomes of a few accounts.
fn record(seq: u64) -> Record {
    let account = AccountId::new(1000 + seq / 2 % 4).unwrap();
    let at = Timestamp::from_millis(1_763_753_000_000 + seq);
    if seq.is_multiple_of(2) {
        let source = SourceRef { path: "sales/alice.yaml".into(), line: 1 };
        Record::Applied { at, account, field: Field::Enabled, value: seq.is_multiple_of(4), source, evidence: None }
    } else {
        let name = format!("account-{account}").into();
        Record::Intent {
            at,
            account,
            name,
            zuid: None,
            field: Field::Enabled,
            to: true,
            spec_hash: seq,
            lands_by: None,
            cause: None,
        }
    }
}

fn records(from: u64, count: u64) -> Vec<Record> {
    (from..from + count).map(record).collect()
}

/// The ledger that lived through the first `serial` records.
fn lived_through(serial: u64) -> Ledger {
    let mut ledger = Ledger::new(owner());
    records(1, serial).into_iter().for_each(|record| ledger.apply(record));
    ledger
}

/// What a clean stop leaves.
const WHOLE_BY_ITSELF: [&str; 2] = ["ledger.json", "ledger.json.audit"];

/// What is wrong with the history of a ledger that lived through the first `serial` records: it tells of each
/// acknowledgement once, in order, and of nothing else.
fn history_fault(path: &Path, serial: u64) -> Option<String> {
    let history = match history(path, &|_| true) {
        Ok(history) => history,
        Err(error) => return Some(error.to_string()),
    };
    let told: Vec<_> = history.entries.iter().map(|entry| entry.seq).collect();
    let expected: Vec<_> = (2..=serial).step_by(2).collect();
    let faulty = history.fault.is_some() || told != expected;
    faulty.then(|| format!("of {serial} records the history tells {told:?}, with the fault {:?}", history.fault))
}

fn check_history(path: &Path, serial: u64) {
    assert_eq!(history_fault(path, serial), None);
}

/// An open ledger and what its writer says.
struct Opened {
    file: LedgerFile,
    ledger: Ledger,
    said: UnboundedReceiver<Committed>,
    runtime: Runtime,
}

fn try_open(path: &Path, owner: Owner) -> Result<Opened, LedgerError> {
    let (committed, said) = unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (file, ledger) = LedgerFile::open(path, owner, committed)?;
    Ok(Opened { file, ledger, said, runtime })
}

fn open(path: &Path) -> Opened {
    try_open(path, owner()).unwrap()
}

impl Opened {
    fn next(&mut self) -> Committed {
        let next = self.runtime.block_on(async { tokio::time::timeout(DEADLINE, self.said.recv()).await });
        next.expect("the writer said nothing in time").expect("the writer ended")
    }

    /// Appends the next `count` records, and waits until they are durable.
    fn append(&mut self, count: u64) {
        let new = records(self.ledger.serial + 1, count);
        new.iter().for_each(|record| self.ledger.apply(record.clone()));
        self.file.append(new, self.ledger.serial);
        self.wait_for(self.ledger.serial);
    }

    fn wait_for(&mut self, expected: u64) {
        match self.next() {
            Committed::Durable { ticket, .. } => assert_eq!(ticket, expected),
            other => panic!("not durable but {other:?}"),
        }
    }

    fn fatal(&mut self) -> LedgerError {
        match self.next() {
            Committed::Fatal(error) => error,
            other => panic!("not fatal but {other:?}"),
        }
    }
}

/// Every file of a folder with its bytes and mode, but for the lock.
fn files(folder: &Path) -> Vec<(String, Vec<u8>, u32)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| !entry.file_name().to_str().unwrap().ends_with(".lock"))
        .map(|entry| {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap(), mode)
        })
        .collect();
    files.sort();
    files
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).into_iter().map(|(name, ..)| name).collect()
}

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.json");
    (folder, path)
}

fn journal_of(path: &Path) -> PathBuf {
    path.with_extension("json.journal")
}

/// Says why a test proved nothing on this machine, past the capture of a test's output.
fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// Mounts a tmpfs until dropped; `None` where that is not allowed.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(at: PathBuf, options: &str) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mut command = Command::new("mount");
        let mounted = command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn what_was_durable_is_there_after_a_clean_stop_in_one_whole_file() {
    let (folder, path) = folder();
    let mut opened = open(&path);
    assert_eq!(opened.ledger, Ledger::new(owner()));
    opened.append(3);
    opened.append(4);
    assert_eq!(names(folder.path()), ["ledger.json", "ledger.json.journal"]);
    opened.file.close().unwrap();
    assert_eq!(names(folder.path()), WHOLE_BY_ITSELF);
    assert_eq!(read(&path, None).unwrap(), Some(lived_through(7)));
    assert_eq!(open(&path).ledger, lived_through(7));
}

#[test]
fn a_run_that_appends_nothing_writes_nothing_but_the_lock() {
    let (folder, path) = folder();
    open(&path).file.close().unwrap();
    assert_eq!(names(folder.path()), Vec::<String>::new());
    let mut opened = open(&path);
    opened.append(2);
    opened.file.close().unwrap();

    let written = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let (before, at) = (files(folder.path()), written(&path));
    let mut opened = open(&path);
    opened.file.fold();
    opened.file.append(vec![], 5);
    opened.wait_for(5);
    opened.file.close().unwrap();
    assert_eq!((files(folder.path()), written(&path)), (before, at));
}

#[test]
fn everything_that_waits_is_durable_in_the_order_it_was_appended() {
    let (_folder, path) = folder();
    let mut opened = open(&path);
    for seq in 1..=500 {
        opened.file.append(vec![record(seq)], seq);
    }
    for seq in 1..=500 {
        opened.wait_for(seq);
    }
    drop(opened);
    assert_eq!(open(&path).ledger, lived_through(500));
}

#[test]
fn a_journal_is_folded_by_itself_and_the_ledger_goes_on() {
    let (folder, path) = folder();
    let mut opened = open(&path);
    for _ in 0..10 {
        opened.append(1000);
    }
    opened.append(1);
    let journal = fs::metadata(journal_of(&path)).unwrap().len();
    assert!(journal < 1024 * 1024, "{journal} bytes");
    let snapshot: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(snapshot["serial"].as_u64().unwrap() >= 4000, "{}", snapshot["serial"]);
    assert_eq!(read(&path, None).unwrap(), Some(lived_through(10_001)));
    opened.file.close().unwrap();
    assert_eq!(names(folder.path()), WHOLE_BY_ITSELF);
    assert_eq!(open(&path).ledger, lived_through(10_001));
}

#[test]
fn a_fold_after_the_clock_was_set_carries_what_is_in_doubt_of_accounts_that_no_record_names() {
    let (_folder, path) = folder();
    let mut opened = open(&path);
    opened.append(1);
    opened.file.close().unwrap();
    let (from, to) = (Timestamp::from_millis(1_763_753_000_000), Timestamp::from_millis(1_863_753_000_000));
    let (stepped, mut ledger) = (Record::ClockStepped { from, to }, lived_through(1));
    ledger.apply(stepped.clone());
    let mut opened = open(&path);
    opened.file.append(vec![stepped], 2);
    opened.wait_for(2);
    opened.file.close().unwrap();
    assert_eq!(read(&path, None).unwrap(), Some(ledger));
}

#[test]
fn a_reader_beside_a_running_writer_sees_some_whole_number_of_records() {
    let (_folder, path) = folder();
    let mut opened = open(&path);
    opened.append(1);
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let path = &path;
        let reader = scope.spawn(move || {
            let (mut reads, mut last) = (0, 0);
            while stopped.try_recv().is_err() {
                let ledger = read(path, Some(owner())).unwrap().unwrap();
                assert!(ledger.serial >= last, "went back from {last} to {}", ledger.serial);
                last = ledger.serial;
                assert_eq!(ledger, lived_through(last));
                let told = history(path, &|_| true).unwrap();
                assert_eq!(told.fault, None);
                let seqs: Vec<_> = told.entries.iter().map(|entry| entry.seq).collect();
                assert!(
                    seqs.len() as u64 >= last / 2
                        && seqs.iter().eq((2..).step_by(2).take(seqs.len()).collect::<Vec<_>>().iter()),
                    "{seqs:?}"
                );
                reads += 1;
            }
            reads
        });
        for _ in 0..150 {
            opened.append(2);
            opened.file.fold();
        }
        stop.send(()).unwrap();
        assert!(reader.join().unwrap() > 0);
    });
}

#[test]
fn every_file_is_for_its_owner_only() {
    let (folder, path) = folder();
    let mut opened = open(&path);
    opened.append(2);
    drop(opened);
    fs::OpenOptions::new().append(true).open(journal_of(&path)).unwrap().write_all(b"{\"seq\":3,").unwrap();
    let mut opened = open(&path);
    (0..2).for_each(|_| opened.append(2));
    assert_eq!(names(folder.path()), ["ledger.json", "ledger.json.journal", "ledger.json.journal.torn-2"]);
    opened.file.close().unwrap();
    assert_eq!(names(folder.path()), ["ledger.json", "ledger.json.audit", "ledger.json.journal.torn-2"]);
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o7777, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn a_linked_ledger_stays_a_link_and_its_target_is_what_changes() {
    let (folder, _) = folder();
    fs::create_dir(folder.path().join("data")).unwrap();
    let link = folder.path().join("ledger.json");
    symlink("data/real.json", &link).unwrap();
    let mut opened = open(&link);
    opened.append(2);
    assert_eq!(try_open(&folder.path().join("data/real.json"), owner()).err().unwrap().label(), "in_use");
    opened.file.close().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read(&folder.path().join("data/real.json"), None).unwrap(), Some(lived_through(2)));
    assert_eq!(open(&link).ledger, lived_through(2));
}

#[test]
fn a_torn_tail_is_copied_cut_and_gone_on_from_and_few_copies_are_kept() {
    let (folder, path) = folder();
    for start in 0..5 {
        let mut opened = open(&path);
        assert_eq!(opened.ledger, lived_through(start));
        opened.append(1);
        drop(opened);
        fs::OpenOptions::new().append(true).open(journal_of(&path)).unwrap().write_all(b"{\"torn").unwrap();
        assert_eq!(read(&path, None).unwrap(), Some(lived_through(start + 1)));
    }
    drop(open(&path));
    let torn: Vec<_> = files(folder.path()).into_iter().filter(|(name, ..)| name.contains("torn-")).collect();
    let copy = |serial| (format!("ledger.json.journal.torn-{serial}"), b"{\"torn".to_vec(), 0o600);
    assert_eq!(torn, [3, 4, 5].map(copy));
}
