//! Turns of a keeper on a clock of their own: real files, but nobody waits.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use notify::event::{CreateKind, Flag};
use notify::{Event, EventKind};

use super::super::{Git, Look, ReadProblem, WAYS_MAX};
use super::*;

mod edits;
mod emptied;
mod passing;
mod revisions;

const SECOND: Duration = Duration::from_secs(1);

/// A keeper whose time is ours: turns happen when they are due, and nobody waits.
struct Stage {
    folder: tempfile::TempDir,
    keeper: Keeper<String>,
    start: Moment,
    passed: Duration,
    parsed: Arc<AtomicUsize>,
}

impl Stage {
    /// A folder with these files, at rest, and a watcher without events of its own: what is reported is what a test
    /// reports.
    fn set(files: &[(&str, &str)], options: Watch) -> Self {
        let stage = Self::within("", options);
        files.iter().for_each(|(path, text)| stage.write(path, text));
        stage
    }

    /// A folder within a temporary one, so that it can go and come.
    fn within(name: &str, options: Watch) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(name)).unwrap();
        let parsed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&parsed);
        let parse: Parse<String> = Arc::new(move |_, bytes| {
            count.fetch_add(1, Ordering::Relaxed);
            String::from_utf8_lossy(bytes).into_owned()
        });
        // One minute on: everything that is written has been at rest for long.
        let start = Moment { mono: Instant::now(), wall: SystemTime::now() + 60 * SECOND };
        let keeper = Keeper::new(folder.path().join(name), options, parse, CancellationToken::new(), start.mono);
        Self { folder, keeper, start, passed: Duration::ZERO, parsed }
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.folder.path().join(path), text).unwrap();
    }

    fn now(&self) -> Moment {
        Moment { mono: self.start.mono + self.passed, wall: self.start.wall + self.passed }
    }

    /// Lets time pass, turn by turn. Returns what was told.
    fn pass(&mut self, time: Duration) -> Vec<Batch<String>> {
        let end = self.passed + time;
        let mut told = Vec::new();
        let mut turns = 0;
        loop {
            let due = self.keeper.next_due(self.now().mono).saturating_duration_since(self.start.mono);
            self.passed = self.passed.max(due.min(end));
            if due > end {
                return told;
            }
            told.extend(self.keeper.turn(self.now()));
            turns += 1;
            assert!(turns < 10_000, "turns without end");
        }
    }

    /// Reports an event about `path`.
    fn report(&mut self, path: &str) {
        let base = fs::canonicalize(self.folder.path()).unwrap();
        let event = Event::new(EventKind::Create(CreateKind::Any)).add_path(base.join(path));
        self.keeper.hints().report(&base, Some(&event));
        self.keeper.stir(self.now().mono);
    }
}

/// An hour between scans.
fn quiet() -> Watch {
    Watch { events: false, poll: 3600 * SECOND, resync: 3600 * SECOND, ..Watch::default() }
}

fn files(told: &[Batch<String>]) -> Vec<String> {
    let lines = told.iter().flat_map(|batch| &batch.files);
    lines.map(|(path, look)| format!("{path} {look:?}")).collect()
}

#[test]
fn an_edit_is_told_a_debounce_after_its_event_and_costs_one_look() {
    let names: Vec<String> = (0..2000).map(|n| format!("{n}.yaml")).collect();
    let all: Vec<_> = names.iter().map(|name| (&**name, "one")).collect();
    let mut stage = Stage::set(&all, quiet());
    assert_eq!(stage.pass(SECOND)[0].files.len(), 2000);
    assert_eq!(stage.parsed.swap(0, Ordering::Relaxed), 2000);
    stage.write("7.yaml", "two");
    stage.write("8.yaml", "changed as well, but nobody said so");
    stage.report("7.yaml");
    assert_eq!(files(&stage.pass(Duration::from_millis(199))), [""; 0]);
    assert_eq!(files(&stage.pass(Duration::from_millis(1))), [r#"7.yaml Read("two")"#]);
    assert_eq!(stage.parsed.load(Ordering::Relaxed), 1);
}

#[test]
fn lost_events_mean_a_look_at_everything() {
    let mut stage = Stage::set(&[("a.yaml", "one"), ("b.yaml", "one")], quiet());
    stage.pass(SECOND);
    stage.write("b.yaml", "two");
    stage.write("c.yaml", "new");
    fs::remove_file(stage.folder.path().join("a.yaml")).unwrap();
    let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
    stage.keeper.hints().report(Path::new("/"), Some(&overflow));
    stage.keeper.stir(stage.now().mono);
    let told = stage.pass(SECOND);
    assert_eq!(files(&told), ["a.yaml Gone", r#"b.yaml Read("two")"#, r#"c.yaml Read("new")"#]);
    assert_eq!(told.len(), 1);
    assert!(!told[0].full, "nobody asked for it");
    stage.pass(3600 * SECOND);
    assert_eq!(stage.parsed.load(Ordering::Relaxed), 4, "what did not change was not read again");
}

#[test]
fn nothing_is_told_while_git_is_at_work_but_a_lock_left_behind_is_outwaited() {
    let mut stage = Stage::set(&[("a.yaml", "one")], quiet());
    fs::create_dir(stage.folder.path().join(".git")).unwrap();
    stage.pass(SECOND);
    stage.write(".git/index.lock", "");
    for text in ["two", "three", "four"] {
        stage.write("a.yaml", text);
        stage.report("a.yaml");
        assert_eq!(files(&stage.pass(SECOND)), [""; 0]);
    }
    fs::remove_file(stage.folder.path().join(".git/index.lock")).unwrap();
    assert_eq!(files(&stage.pass(SECOND)), [r#"a.yaml Read("four")"#]);
    // Killed, and its lock never removed.
    stage.write(".git/index.lock", "");
    stage.write("a.yaml", "five");
    stage.report("a.yaml");
    assert_eq!(files(&stage.pass(9 * SECOND)), [""; 0]);
    assert_eq!(files(&stage.pass(2 * SECOND)), [r#"a.yaml Read("five")"#]);
    stage.write("a.yaml", "six");
    stage.report("a.yaml");
    assert_eq!(files(&stage.pass(SECOND)), [r#"a.yaml Read("six")"#], "the same lock is not waited for again");
}

#[test]
fn a_missing_file_is_gone_only_after_a_second_look() {
    let mut stage = Stage::set(&[("a.yaml", "one"), ("b.yaml", "one")], quiet());
    stage.pass(SECOND);
    let (path, away) = (stage.folder.path().join("a.yaml"), stage.folder.path().join(".away"));
    fs::rename(&path, &away).unwrap();
    stage.report("a.yaml");
    assert_eq!(files(&stage.pass(Duration::from_millis(300))), [""; 0], "seen missing once");
    fs::rename(&away, &path).unwrap();
    assert_eq!(files(&stage.pass(SECOND)), [""; 0], "it was there at the second look");
    fs::remove_file(&path).unwrap();
    stage.report("a.yaml");
    assert_eq!(files(&stage.pass(Duration::from_millis(400))), ["a.yaml Gone"]);
}

#[test]
fn what_was_read_and_not_told_yet_is_told_even_if_its_file_was_away_meanwhile() {
    for all_away in [false, true] {
        let mut stage = Stage::within("state", quiet());
        let at = |name: &str| stage.folder.path().join("state").join(name);
        let (a, b, away) = (at("a.yaml"), at("b.yaml"), at(".away"));
        [&a, &b].into_iter().for_each(|path| fs::write(path, "one").unwrap());
        stage.pass(SECOND);
        fs::write(&b, "two").unwrap();
        stage.report_edit("b.yaml");
        stage.report_edit("a.yaml");
        // A file that is at rest at no look holds back what else there is to tell.
        let busy = |stage: &mut Stage, n: u32| {
            stage.edit(&edits::Edit::Write(0, n.to_string()));
            stage.pass(Duration::from_millis(150))
        };
        let mut told: Vec<_> = (0..3).flat_map(|n| busy(&mut stage, n)).collect();
        fs::rename(&b, &away).unwrap();
        stage.report_edit("b.yaml");
        if all_away {
            fs::remove_file(&a).unwrap();
            stage.report_edit("a.yaml");
            told.extend(stage.pass(SECOND));
        } else {
            told.extend((3..9).flat_map(|n| busy(&mut stage, n)));
        }
        fs::rename(&away, &b).unwrap();
        stage.report_edit("b.yaml");
        told.extend(stage.pass(10 * SECOND));
        let of_b: Vec<_> = files(&told).into_iter().filter(|told| told.starts_with("b.yaml")).collect();
        assert_eq!(of_b, [r#"b.yaml Read("two")"#], "all away: {all_away}");
    }
}

#[test]
fn a_file_from_the_future_is_believed_after_two_equal_looks() {
    let mut stage = Stage::set(&[("a.yaml", "one")], quiet());
    let file = fs::File::options().append(true).open(stage.folder.path().join("a.yaml")).unwrap();
    file.set_modified(SystemTime::now() + 86_400 * SECOND).unwrap();
    assert_eq!(files(&stage.pass(Duration::from_millis(199))), [""; 0]);
    let told = stage.pass(Duration::from_millis(1));
    assert_eq!(files(&told), [r#"a.yaml Read("one")"#]);
    assert!(told[0].full);
}

#[test]
fn a_file_that_never_rests_becomes_a_problem_and_a_file_again() {
    let mut stage = Stage::set(&[("a.yaml", "one")], quiet());
    stage.pass(SECOND);
    let later = |n: u64| SystemTime::now() + 86_400 * SECOND + Duration::from_secs(n);
    let mut told = Vec::new();
    for n in 0..90 {
        stage.write("a.yaml", &n.to_string());
        let file = fs::File::options().append(true).open(stage.folder.path().join("a.yaml")).unwrap();
        file.set_modified(later(n)).unwrap();
        stage.report("a.yaml");
        // Shorter than a debounce.
        told.extend(stage.pass(Duration::from_millis(150)));
    }
    assert_eq!(files(&told), [format!("a.yaml {:?}", Look::<String>::Problem(ReadProblem::BeingWritten))]);
    assert_eq!(files(&stage.pass(SECOND)), [r#"a.yaml Read("89")"#]);
    assert_eq!(files(&stage.pass(10 * SECOND)), [""; 0]);
}

#[test]
fn an_edit_that_leaves_size_and_modification_time_as_they_were_is_found_by_a_scan() {
    let mut stage = Stage::set(&[("a.yaml", "one")], Watch { poll: 10 * SECOND, ..quiet() });
    stage.pass(SECOND);
    let path = stage.folder.path().join("a.yaml");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    stage.write("a.yaml", "two");
    fs::File::options().append(true).open(&path).unwrap().set_modified(before).unwrap();
    assert_eq!(files(&stage.pass(10 * SECOND)), [r#"a.yaml Read("two")"#]);
}

#[test]
fn where_events_are_missing_the_folder_is_polled() {
    let mut stage = Stage::set(&[("a.yaml", "one")], Watch { poll: 10 * SECOND, ..quiet() });
    let told = stage.pass(SECOND);
    assert_eq!(told[0].degraded.as_deref(), Some("watching is switched off; rescanning every 10s"));
    stage.write("a.yaml", "two");
    assert_eq!(files(&stage.pass(8 * SECOND)), [""; 0]);
    let told = stage.pass(2 * SECOND);
    assert_eq!(files(&told), [r#"a.yaml Read("two")"#]);
    assert!(!told[0].full, "a poll is not a resync");
}

#[test]
fn a_resync_is_told_on_time_whether_the_folder_is_there_or_not() {
    let mut stage = Stage::set(&[("a.yaml", "one")], Watch { resync: 60 * SECOND, ..quiet() });
    let shape = |told: Vec<Batch<String>>| -> Vec<(usize, bool, bool)> {
        told.into_iter().map(|batch| (batch.files.len(), batch.full, batch.root == Root::Ready)).collect()
    };
    assert_eq!(shape(stage.pass(55 * SECOND)), [(1, true, true)]);
    assert_eq!(shape(stage.pass(60 * SECOND)), [(0, true, true)]);
    fs::remove_dir_all(stage.folder.path()).unwrap();
    assert_eq!(
        shape(stage.pass(59 * SECOND)),
        [(0, true, false), (0, true, false)],
        "the doubt, then a resync in doubt"
    );
    fs::create_dir(stage.folder.path()).unwrap();
    stage.write("a.yaml", "one");
    assert_eq!(shape(stage.pass(2 * SECOND)), [(0, true, true)], "the same bytes are no news");
}

#[test]
fn a_file_that_never_rests_keeps_an_edit_waiting_for_five_seconds_at_most() {
    let mut stage = Stage::set(&[("a.yaml", "one"), ("log.yaml", "one")], quiet());
    stage.pass(SECOND);
    stage.write("a.yaml", "two");
    stage.report("a.yaml");
    let begun = stage.passed;
    let mut told = Vec::new();
    for n in 0..90 {
        stage.write("log.yaml", &n.to_string());
        let file = fs::File::options().append(true).open(stage.folder.path().join("log.yaml")).unwrap();
        file.set_modified(SystemTime::now() + 86_400 * SECOND).unwrap();
        stage.report("log.yaml");
        told.extend(stage.pass(Duration::from_millis(100)));
        if files(&told).contains(&r#"a.yaml Read("two")"#.to_owned()) {
            break;
        }
    }
    assert_eq!(files(&told), [r#"a.yaml Read("two")"#]);
    assert!(stage.passed - begun <= 5 * SECOND, "told after {:?}", stage.passed - begun);
}

#[test]
fn a_stream_of_edits_is_told_at_least_every_five_seconds() {
    let mut stage = Stage::set(&[("a.yaml", "one")], quiet());
    stage.pass(SECOND);
    let mut told = Vec::new();
    for n in 0..200 {
        // Another file each time, so that something always stirs.
        stage.write(&format!("{n:03}.yaml"), "new");
        stage.report(&format!("{n:03}.yaml"));
        told.extend(stage.pass(Duration::from_millis(100)));
    }
    assert!((3..=5).contains(&told.len()), "{} batches in 20 s", told.len());
    told.extend(stage.pass(SECOND));
    assert_eq!(files(&told).len(), 200);
}

#[test]
fn no_option_is_too_long_or_too_short() {
    let (long, none) = (Duration::MAX, Duration::ZERO);
    let all = |time| Watch {
        debounce: time,
        debounce_max: time,
        unfinished: time,
        lock_patience: time,
        git: Git::default(),
        needs: None,
        resync: time,
        poll: time,
        root_check: time,
        events: false,
    };
    let endless = Watch { debounce: none, ..all(long) };
    let mut stage = Stage::set(&[("a.yaml", "one")], endless);
    assert_eq!(stage.pass(60 * SECOND).len(), 1);
    let mut stage = Stage::set(&[("a.yaml", "one")], all(none));
    assert_eq!(files(&stage.pass(SECOND)), [r#"a.yaml Read("one")"#], "and time does pass");
    let slow = Watch { debounce: 10 * SECOND, ..quiet() };
    let mut stage = Stage::set(&[("a.yaml", "one")], slow);
    stage.pass(SECOND);
    stage.write("a.yaml", "two");
    stage.report("a.yaml");
    assert_eq!(files(&stage.pass(30 * SECOND)), [r#"a.yaml Read("two")"#], "a debounce longer than the usual patience");
}
