//! Folders inside the folder, and names and things that nobody meant to be there.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_folder_made_and_filled_at_once_renamed_and_made_again_loses_no_edit() {
    let mut trial = Trial::begin(4);
    let place = |folder: &str| trial.rig.folder.path().join("desired-state").join(folder);
    let (one, two) = (place("x/y/z"), place("u"));
    fs::create_dir_all(&one).unwrap();
    fs::rename(trial.file(1), one.join("a1.yaml")).unwrap();
    write(&one.join("a1.yaml"), &manifest(1, true, false));
    trial.want(1, true, false);
    trial.until_applied("the deep file");
    for round in 0..6 {
        // The folder moves, another one takes its name, and both are written to, before anybody can have looked.
        let (from, to) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        fs::rename(from, to).unwrap();
        let (enabled, sync) = (round % 2 != 0, round % 3 == 0);
        trial.want(1, enabled, sync);
        write(&to.join("a1.yaml"), &manifest(1, enabled, sync));
        trial.want(2, !enabled, !sync);
        // It may be there already.
        let _ = fs::remove_file(trial.file(2));
        write(&from.join("a2.yaml"), &manifest(2, !enabled, !sync));
        trial.until_applied("both");
        trial.want(2, enabled, sync);
        write(&from.join("a2.yaml"), &manifest(2, enabled, sync));
        trial.until_applied("an edit in the folder that took the name");
        fs::rename(from.join("a2.yaml"), trial.file(2)).unwrap();
        fs::remove_dir(from).unwrap();
    }
    trial.verdict();
}

#[test]
fn a_folder_closed_to_the_daemon_keeps_what_was_known_of_it() {
    // In a user namespace that maps nobody, root has no rights but those of the files' owner.
    let prefix = ["unshare", "-U"].map(str::to_owned);
    let Some(mut trial) = Trial::begin_if("a closed folder", &prefix, || Rig::on_disk(4), 4) else { return };
    let closed = trial.root().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::rename(trial.file(1), closed.join("a1.yaml")).unwrap();
    trial.mark();
    let (puts, mode) = (trial.puts(), |mode| fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).unwrap());
    mode(0o0);
    trial.until("the problem", || (trial.report()?["problems"] == 1).then_some(()));
    trial.resync();
    trial.save(2, false, true);
    trial.until_applied("an edit beside it");
    assert_eq!(trial.puts(), puts + 2, "and nothing else");
    mode(0o755);
    trial.want(1, true, true);
    write(&closed.join("a1.yaml"), &manifest(1, true, true));
    trial.until_applied("an edit in it");
    // And a root that is closed.
    let puts = trial.puts();
    fs::set_permissions(trial.root(), fs::Permissions::from_mode(0o0)).unwrap();
    trial.until_unknown("found Permission denied");
    fs::set_permissions(trial.root(), fs::Permissions::from_mode(0o755)).unwrap();
    trial.until("certainty", || trial.report()?["desiredUnknown"].is_null().then_some(()));
    assert_eq!(trial.puts(), puts);
    trial.verdict();
}

/// A chain of folders longer than any path may be.
fn burrow(root: &Path, depth: usize) {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let open = |from: &dyn Fn() -> rustix::io::Result<rustix::fd::OwnedFd>| from().unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut here = open(&|| openat(CWD, root, flags, Mode::empty()));
    for _ in 0..depth {
        mkdirat(&here, "deep", Mode::from_raw_mode(0o755)).unwrap();
        here = open(&|| openat(&here, "deep", flags, Mode::empty()));
    }
    let file = openat(&here, "a0.yaml", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o644)).unwrap();
    rustix::io::write(file, manifest(0, false, false).as_bytes()).unwrap();
}

#[test]
fn odd_names_endless_folders_and_things_that_are_no_files_hold_up_nobody() {
    // In memory unless everything is run: a disk takes seconds to remove such a chain of folders, and names and kinds of
    // files are the same there.
    let mut trial = Trial::begin_with(Rig::new(3), 3, &[], QUICK);
    let root = trial.root();
    let text = manifest(1000, false, false);
    for name in [&b"caf\xe9.yaml"[..], b"\xff\xfe/x.yaml"] {
        write(&root.join(OsStr::from_bytes(name)), &text);
    }
    // Fine names, however odd: each of them is a manifest of somebody else, with a mistake in it.
    for name in ["new\nline.yaml", "esc\x1b[2J.yaml", "bidi\u{202e}.yaml", " .yaml", "-rf.yaml", ".yaml/x.yaml"] {
        write(&root.join(name), &text.replace("enabled: false", "enabled: no"));
    }
    for name in ["pipe.yaml", "deep/pipe.yaml"] {
        fs::create_dir_all(root.join("deep")).unwrap();
        assert!(Command::new("mkfifo").arg(root.join(name)).status().unwrap().success());
    }
    burrow(&root.join("deep"), 4000);
    for (to, name) in [("..", "up"), ("/proc/self/root", "all"), ("loop.yaml", "loop.yaml"), ("/dev/zero", "zero.yaml")]
    {
        std::os::unix::fs::symlink(to, root.join(name)).unwrap();
    }
    trial.mark();
    trial.mark();
    assert!(trial.report().unwrap()["problems"].as_u64().unwrap() >= 12);
    assert!(!trial.daemon.said().contains('\x1b'), "no name moves a cursor");
    // Too deep for one path, and so for Rust's own.
    assert!(Command::new("rm").arg("-rf").arg(root.join("deep")).status().unwrap().success());
    trial.warnings = 20;
    trial.verdict();
}

#[test]
fn a_file_with_another_name_outside_is_found_by_the_resync() {
    let mut trial = Trial::begin(3);
    let outside = trial.rig.folder.path().join("outside.yaml");
    fs::hard_link(trial.file(1), &outside).unwrap();
    // Whoever writes by the other name is not seen here, for events are about names.
    trial.want(1, true, true);
    fs::write(outside, manifest(1, true, true)).unwrap();
    trial.resync();
    trial.until_applied("the edit");
    trial.verdict();
}
