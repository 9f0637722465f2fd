//! Nothing is written, whatever is found: seen from the files, and from the system calls.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Rig, ask, command, diagnose};
use crate::process::strace_works;

/// Every file and folder with its bytes, its mode, and when it or its name last changed.
fn everything(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        if about.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let bytes = if about.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.insert(path, (bytes, about.mode(), about.ctime(), about.ctime_nsec()));
    }
    found
}

#[test]
fn no_file_comes_goes_or_changes_whatever_state_they_are_in() {
    let rig = Rig::new(3);
    for state in ["fresh", "applied", "torn", "damaged"] {
        match state {
            "applied" => assert!(rig.apply().status.success()),
            "torn" => fs::write(rig.ledger.with_extension("json.journal"), "{\"torn").unwrap(),
            "damaged" => fs::write(&rig.ledger, "{").unwrap(),
            _ => {}
        }
        let before = everything(rig.folder.path());
        diagnose(&rig);
        assert_eq!(everything(rig.folder.path()), before, "{state}");
    }
    assert_eq!(rig.world().totals().puts, 6, "those of the one apply");
}

#[test]
fn no_system_call_opens_a_file_for_writing() {
    if !strace_works("no_system_call_opens_a_file_for_writing") {
        return;
    }
    let rig = Rig::new(2);
    assert!(rig.apply().status.success());
    let trace = tempfile::tempdir().unwrap();
    let log = trace.path().join("trace");
    let program = command(&rig);
    let mut traced = Command::new("strace");
    let calls = "trace=open,openat,openat2,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,link,linkat,symlink,\
                 symlinkat,truncate,ftruncate,chmod,fchmod,fchmodat,flock,utimensat,mknod,mknodat";
    traced.args(["-qq", "-f", "-e", calls, "-o"]).arg(&log).arg(program.get_program()).args(program.get_args());
    traced.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let told = ask(traced);
    assert_eq!(told.code, 0, "{}", told.text);
    let lines = fs::read_to_string(&log).unwrap();
    let reads = |line: &&str| {
        let opens = line.contains("open")
            && !["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| line.contains(flag));
        // What is written to, or made, is none of the disk: the sink, and what threads wait with.
        opens || line.contains("/dev/null") || line.contains("+++") || line.contains("---") || line.contains("resumed")
    };
    let wrong: Vec<_> = lines.lines().filter(|line| !reads(line)).collect();
    assert!(lines.lines().count() > 10 && wrong.is_empty(), "{wrong:#?}");
}
