//! One file at a time: how editors and people save, and what goes wrong meanwhile.

use std::fs::{File, FileTimes};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::*;

#[test]
fn half_a_file_is_no_manifest_however_long_its_writer_pauses() {
    let mut trial = Trial::begin(3);
    // As written here, each half is a valid manifest: of an account with a shorter id, or of one that is not suspended.
    let id = account(1).to_string();
    let start = manifest(1, false, false).replace(&format!("  accountId: {id}\n"), "");
    for (half, rest) in [
        (format!("{start}  accountId: {}", &id[..16]), format!("{}\n", &id[16..])),
        (format!("{start}  accountId: {id}\n"), "  suspend: true\n".to_owned()),
    ] {
        let mut file = File::create(trial.file(1)).unwrap();
        file.write_all(half.as_bytes()).unwrap();
        trial.mark();
        trial.mark();
        file.write_all(rest.as_bytes()).unwrap();
        drop(file);
        if rest.contains("suspend") {
            trial.mark();
        } else {
            trial.want(1, false, false);
            trial.until_applied("the whole file");
            trial.save(1, true, true);
            trial.until_applied("another state");
        }
    }
    let enabled = trial.rig.world().account(account(1)).unwrap().mailbox_enabled;
    assert!(enabled, "suspended before it could be disabled again");
    trial.save(1, true, true);
    trial.verdict();
}

#[test]
fn the_dances_of_editors_are_one_edit_each() {
    let mut trial = Trial::begin(5);
    let puts = trial.puts();
    for (n, dance) in [(1, vim as fn(&Path, &str)), (2, emacs), (3, nano), (4, sed)] {
        let file = trial.file(n);
        let (enabled, sync) = (n % 2 != 0, n % 3 == 0);
        trial.want(n, enabled, sync);
        dance(&file, &manifest(n, enabled, sync));
    }
    trial.until_applied("four edits");
    assert_eq!(trial.puts(), puts + 4);
    trial.verdict();
}

/// A probe whether the folder can be written, the old file moved to a backup, the new one written in its place.
fn vim(file: &Path, text: &str) {
    fs::write(file.with_file_name(".a.yaml.swp"), "b0VIM").unwrap();
    fs::write(file.with_file_name("4913"), "").unwrap();
    fs::remove_file(file.with_file_name("4913")).unwrap();
    let backup = file.with_extension("yaml~");
    fs::rename(file, &backup).unwrap();
    fs::write(file, text).unwrap();
    fs::remove_file(backup).unwrap();
    fs::remove_file(file.with_file_name(".a.yaml.swp")).unwrap();
}

/// A lock that is a dangling link, with the name of a manifest; an auto-save; a backup that stays.
fn emacs(file: &Path, text: &str) {
    let name = file.file_name().unwrap().to_str().unwrap();
    let lock = file.with_file_name(format!(".#{name}"));
    symlink("user@host.1:2", &lock).unwrap();
    fs::write(file.with_file_name(format!("#{name}#")), text).unwrap();
    fs::rename(file, file.with_extension("yaml~")).unwrap();
    fs::write(file, text).unwrap();
    fs::remove_file(file.with_file_name(format!("#{name}#"))).unwrap();
    fs::remove_file(lock).unwrap();
}

/// In place, piece by piece.
fn nano(file: &Path, text: &str) {
    let mut file = File::create(file).unwrap();
    text.as_bytes().chunks(20).for_each(|piece| file.write_all(piece).unwrap());
}

/// `sed -i`: a new file beside the old one, under a name without a dot, renamed over it.
fn sed(file: &Path, text: &str) {
    let new = file.with_file_name("sedX1y2Z3");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

#[test]
fn a_file_written_every_50_ms_holds_nobody_up_and_counts_when_it_rests() {
    // A debounce that the writer never leaves it: only the cap of five seconds ends the wait.
    let mut trial = Trial::begin_with(Rig::on_disk(3), 3, &[], "200ms");
    let file = trial.file(1);
    let enough = Arc::new(AtomicBool::new(false));
    let is_enough = Arc::clone(&enough);
    let writer = std::thread::spawn(move || {
        for n in 0.. {
            let last = is_enough.load(Ordering::Relaxed);
            fs::write(&file, format!("{}# {n}\n", manifest(1, last, last))).unwrap();
            if last {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    trial.mark();
    trial.want(1, true, true);
    enough.store(true, Ordering::Relaxed);
    trial.until_applied("its last text");
    writer.join().unwrap();
    trial.verdict();
}

#[test]
fn an_emptied_file_takes_nothing_away_and_counts_when_it_is_filled() {
    let mut trial = Trial::begin(3);
    let puts = trial.puts();
    fs::write(trial.file(1), "").unwrap();
    trial.mark();
    assert_eq!(trial.puts(), puts + 1);
    trial.want(1, true, true);
    fs::write(trial.file(1), manifest(1, true, true)).unwrap();
    trial.until_applied("the filled file");
    trial.verdict();
}

#[test]
fn an_edit_without_a_trace_in_size_and_time_is_seen() {
    let mut trial = Trial::begin(4);
    let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    // Long ago, as after `touch -d` or a clock set back; and in a hundred years.
    for (n, time) in [(1, at(1)), (2, at(1_000_000_000)), (3, at(4_900_000_000))] {
        for (enabled, sync) in [(false, true), (true, false)] {
            // `true` and `false` change places: the size stays.
            let text = manifest(n, enabled, sync);
            trial.want(n, enabled, sync);
            let mut file = File::create(trial.file(n)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.set_times(FileTimes::new().set_modified(time).set_accessed(time)).unwrap();
            drop(file);
            trial.until_applied("the edit");
        }
    }
    trial.verdict();
}

#[test]
fn what_changes_no_value_sends_nothing() {
    // A machine so busy that an edit and its rollback are not one proves nothing.
    assert!((0..20).any(|_| sends_nothing()), "too busy a machine");
}

/// `false` if the edits took so long that somebody may have looked in between.
fn sends_nothing() -> bool {
    const DEBOUNCE: Duration = Duration::from_millis(200);
    let mut trial = Trial::begin_with(Rig::on_disk(12), 12, &[], &humantime::format_duration(DEBOUNCE).to_string());
    let (puts, begun) = (trial.puts(), Instant::now());
    let root = trial.root();
    let at = |n: u64| root.join(format!("a{n}.yaml"));
    let text = |n: u64| fs::read_to_string(at(n)).unwrap();
    let away = trial.rig.folder.path().join("away");
    // An edit and its rollback, in place and by renames.
    fs::write(at(1), manifest(1, true, true)).unwrap();
    fs::write(at(1), manifest(1, false, false)).unwrap();
    trial.rig.declare(2, false, true);
    trial.rig.declare(2, true, false);
    // The line ends of another system, a comment, the same bytes, a touch.
    fs::write(at(3), text(3).replace('\n', "\r\n")).unwrap();
    fs::write(at(4), format!("# why\n{}", text(4))).unwrap();
    fs::write(at(5), text(5)).unwrap();
    File::options().append(true).open(at(6)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    // Closed and opened again, away and back, another name in another case, another folder.
    fs::set_permissions(at(7), fs::Permissions::from_mode(0o0)).unwrap();
    fs::set_permissions(at(7), fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(at(8), &away).unwrap();
    fs::rename(&away, at(8)).unwrap();
    fs::rename(at(9), at(9).with_file_name("A9.yaml")).unwrap();
    fs::create_dir(root.join("s")).unwrap();
    fs::rename(at(10), root.join("s/a10.yaml")).unwrap();
    // A folder of the same name, with the file in it.
    fs::rename(at(11), &away).unwrap();
    fs::create_dir(at(11)).unwrap();
    fs::rename(&away, at(11).join("inside.yaml")).unwrap();
    if begun.elapsed() > DEBOUNCE / 2 {
        return false;
    }
    trial.mark();
    // And back.
    fs::rename(at(11).join("inside.yaml"), &away).unwrap();
    fs::remove_dir(at(11)).unwrap();
    fs::rename(&away, at(11)).unwrap();
    fs::rename(root.join("s"), root.join("t")).unwrap();
    // Two names for one file are two manifests of one account: held, until one of them goes.
    fs::hard_link(at(5), root.join("second-name.yaml")).unwrap();
    trial.mark();
    fs::remove_file(root.join("second-name.yaml")).unwrap();
    trial.mark();
    assert_eq!(trial.puts(), puts + 3, "only what marks the ends");
    trial.verdict();
    true
}

#[test]
fn a_thousand_edits_of_one_file_end_with_the_last() {
    let mut trial = Trial::begin(3);
    for n in 0..1000 {
        trial.save(1, n % 2 == 0, n % 3 == 0);
    }
    trial.until_applied("the last edit");
    trial.verdict();
}

#[test]
fn two_thousand_files_made_and_removed_at_once_leave_the_others_alone() {
    // In memory unless everything is run: what matters is how many events there are in how short a time.
    let mut trial = Trial::begin_with(Rig::new(3), 3, &[], QUICK);
    let root = trial.root();
    let passing = |n: u64| root.join(format!("m{}/p{n}.yaml", n % 20));
    (0..20).for_each(|n| fs::create_dir(root.join(format!("m{n}"))).unwrap());
    trial.mark();
    let puts = trial.puts();
    // Manifests of accounts that are not wanted: whoever believes one of them sends it.
    let text = |n: u64| manifest(1000 + n, false, false);
    // A busy machine may pause for a debounce between writing and removing; what was at rest then is told, once a file.
    trial.warnings = 2000;
    (0..2000).for_each(|n| write(&passing(n), &text(n)[..100]));
    (0..2000).for_each(|n| fs::remove_file(passing(n)).unwrap());
    (0..20).for_each(|n| fs::remove_dir(root.join(format!("m{n}"))).unwrap());
    trial.mark();
    assert_eq!(trial.puts(), puts + 1);
    trial.verdict();
}
