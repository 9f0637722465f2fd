//! Killed at every system call, failed by every one that may fail: what was durable is there.

use super::*;

/// Where a child of this test keeps its ledger; unset in the test itself.
pub const CHILD: &str = "LEDGER_TEST_FOLDER";

/// The groups a child appends, by size and joined by commas, if not [`WHOLE`]; behind the third it folds.
pub const GROUPS: &str = "LEDGER_TEST_GROUPS";

/// Groups of several sizes.
pub const WHOLE: &str = "1,2,8,1,3,4";

/// The test a child runs.
pub const SCRIPT: &str = "ledger_on_disk::crashes::a_whole_life_of_a_ledger";

/// Opens the ledger, appends, folds, closes; writes down what it was told in `said`. In a child
/// of the tests below it does so in their folder, and may not live to the end.
#[test]
fn a_whole_life_of_a_ledger() {
    let own = TempDir::new().unwrap();
    let folder = std::env::var_os(CHILD).map_or(own.path().to_owned(), PathBuf::from);
    let mut said = fs::OpenOptions::new().create(true).append(true).open(folder.join("said")).unwrap();
    let mut say = |what: String| said.write_all(format!("{what}\n").as_bytes()).unwrap();
    let mut opened = match try_open(&folder.join("ledger.json"), owner()) {
        Ok(opened) => opened,
        Err(error) => return say(format!("not opened {}", words(error))),
    };
    say(format!("durable {}", opened.ledger.serial));
    let groups = std::env::var(GROUPS).unwrap_or_else(|_| WHOLE.to_owned());
    for (size, n) in groups.split(',').map(|size| size.parse().unwrap()).zip(1..) {
        let first = opened.ledger.serial + 1;
        records(first, size).into_iter().for_each(|record| opened.ledger.apply(record));
        opened.file.append(records(first, size), opened.ledger.serial);
        loop {
            match opened.next() {
                Committed::Durable { ticket, .. } => break say(format!("durable {ticket}")),
                Committed::Stopped { error } => {
                    say(format!("stopped {}", error.label()));
                    let _ = fs::remove_file(folder.join("ballast"));
                }
                Committed::Resumed => say("resumed".to_owned()),
                Committed::Fatal(error) => return say(format!("fatal {}", words(error))),
            }
        }
        if n == 3 {
            opened.file.fold();
        }
    }
    match opened.file.close() {
        Ok(()) => say("closed".to_owned()),
        Err(error) => return say(format!("not closed {}", words(error))),
    }
    if std::env::var_os(CHILD).is_none() {
        assert_eq!(read(&folder.join("ledger.json"), None).unwrap(), Some(opened.ledger));
    }
}

/// An error's label and all it says, as the program prints it.
fn words(error: LedgerError) -> String {
    format!("{} {:#}", error.label(), anyhow::Error::new(error))
}

/// A child in a folder of its own, under strace.
pub struct Child {
    folder: TempDir,
    pub log: PathBuf,
}

impl Child {
    /// Runs a whole life under strace, with one option for calls on the ledger's files; whether it
    /// lived to the end.
    pub fn run(&self, option: &str) -> bool {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-qq", "-o"]).arg(&self.log).args(["-e", option, "-P"]).arg(self.folder.path());
        for name in ["", ".audit", ".journal", ".lock", ".tmp"].map(|suffix| format!("ledger.json{suffix}")) {
            strace.arg("-P").arg(self.folder.path().join(name));
        }
        strace.arg("--").arg(std::env::current_exe().unwrap()).args(["--exact", SCRIPT, "--test-threads=1"]);
        strace.env(CHILD, self.folder.path()).output().unwrap().status.success()
    }

    pub fn said(&self) -> Vec<String> {
        let said = fs::read_to_string(self.folder.path().join("said")).unwrap_or_default();
        said.lines().map(str::to_owned).collect()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.json")
    }

    /// What is on the disk is consistent, holds all that was said to be durable, and can be gone on from.
    pub fn check(&self, after: &str) {
        let durable =
            self.said().iter().rev().find_map(|line| line.strip_prefix("durable ")?.parse().ok()).unwrap_or(0);
        let found = read(&self.path(), Some(owner())).unwrap_or_else(|error| panic!("{after}: {error}"));
        assert_eq!(history_fault(&self.path(), found.as_ref().map_or(0, |ledger| ledger.serial)), None, "{after}");
        let mut opened = open(&self.path());
        assert_eq!(opened.ledger, found.unwrap_or_else(|| Ledger::new(owner())), "{after}");
        assert!(opened.ledger.serial >= durable, "{after}: {durable} was durable, {} is there", opened.ledger.serial);
        assert_eq!(opened.ledger, lived_through(opened.ledger.serial), "{after}");
        check_history(&self.path(), opened.ledger.serial);
        opened.append(2);
        let ledger = opened.ledger;
        opened.file.close().unwrap();
        check_history(&self.path(), ledger.serial);
        let rest = names(self.folder.path()).into_iter().filter(|name| name != "said" && !name.contains("torn-"));
        assert_eq!(rest.collect::<Vec<_>>(), WHOLE_BY_ITSELF, "{after}");
        assert_eq!(open(&self.path()).ledger, ledger, "{after}");
    }
}

/// A folder in which a killed process left a journal with a torn tail, or nothing yet.
pub fn child(torn: bool) -> Child {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.json");
    if torn {
        let mut opened = open(&path);
        opened.append(3);
        drop(opened);
        fs::OpenOptions::new().append(true).open(journal_of(&path)).unwrap().write_all(b"{\"torn").unwrap();
    }
    let log = folder.path().with_extension("strace");
    Child { folder, log }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.log);
    }
}

pub fn strace_works(test: &str) -> bool {
    let works = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|s| s.success());
    if !works {
        skip(test, "strace is not here, or may not trace");
    }
    works
}

#[test]
fn killed_at_any_system_call_the_ledger_holds_what_was_durable() {
    if !strace_works("killed at any system call") {
        return;
    }
    for torn in [false, true] {
        let mut kills = 0;
        for call in
            ["openat", "write", "fdatasync", "fsync", "?rename,?renameat,renameat2", "ftruncate", "?unlink,unlinkat"]
        {
            for n in (1..).step_by(pick(3, 1)) {
                let child = child(torn);
                let lived = child.run(&format!("inject={call}:signal=KILL:when={n}"));
                child.check(&format!("killed at {call} {n}, torn before: {torn}"));
                if lived {
                    assert_eq!(child.said().last().map(String::as_str), Some("closed"));
                    break;
                }
                kills += 1;
            }
        }
        assert!(kills >= pick(10, 30), "only {kills} kills: strace no longer sees the calls");
    }
}

#[test]
fn a_write_without_room_is_tried_again_and_a_fold_without_room_is_put_off() {
    if !strace_works("a write without room") {
        return;
    }
    let check = |error: &str, n: u32| {
        let child = child(false);
        let lived = child.run(&format!("inject=write:error={error}:when={n}"));
        let said = child.said();
        assert!(!said.iter().any(|line| line.starts_with("fatal")), "write {n}: {said:?}");
        assert!(lived || said.last().is_some_and(|line| line.starts_with("not closed no_room")), "write {n}: {said:?}");
        child.check(&format!("{error} at write {n}"));
    };
    // Side by side, for most of them wait before they try again.
    std::thread::scope(|scope| {
        scope.spawn(|| check("EDQUOT", 4));
        for n in 1..14 {
            scope.spawn(move || check("ENOSPC", n));
        }
    });
}

#[test]
fn a_file_size_limit_does_not_end_the_process() {
    let folder = TempDir::new().unwrap();
    // The log of all of it fits, and the journal does not.
    let script = format!("ulimit -f 3; exec \"$0\" --exact {SCRIPT} --test-threads=1");
    let mut limited = Command::new("bash");
    limited
        .arg("-c")
        .arg(script)
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, folder.path())
        .env(GROUPS, "8,9,1,1");
    let output = limited.output().unwrap();
    let said = fs::read_to_string(folder.path().join("said")).unwrap();
    assert!(said.contains("stopped no_room\nresumed\n"), "{said}");
    assert!(output.status.success() && said.ends_with("closed\n"), "{said} {output:?}");
}
