//! The power fails under a busy daemon, on a real file system: what it knew is known, and what it sent is not forgotten.
//!
//! An ext4 of its own is shut down with the ioctl that file systems offer for this very purpose: from then on nothing
//! reaches the disk, and what had not been flushed is gone. Needs root, a loop device, mkfs.ext4 and Python.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;
use zoho_mail_reconciler::change::Known;

use super::super::depth::number;
use super::super::process::{Process, Rig, wait_for};
use super::converge;

/// How many rounds, each at another moment; the first one's seed.
const ROUNDS: &str = "POWER_CUT_ROUNDS";
const SEED: &str = "POWER_CUT_SEED";

/// Enough for a taste. Also in full: the long proof goes alone, for it is about a busy daemon and not about a busy
/// machine.
const FEW: u64 = 1;

const ACCOUNTS: u64 = 12;

/// `FS_IOC_SHUTDOWN` of linux/fs.h (there `EXT4_IOC_SHUTDOWN`), on the folder and with the flags it is given.
const SHUT_DOWN: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', int(sys.argv[2])))";

/// An ext4 of its own; gone when dropped.
struct Ext4 {
    image: PathBuf,
    at: PathBuf,
    _folder: TempDir,
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

impl Ext4 {
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let (image, at) = (folder.path().join("image"), folder.path().join("disk"));
        std::fs::create_dir(&at).unwrap();
        File::create(&image).unwrap().set_len(16 * 1024 * 1024).unwrap();
        let made = succeeds(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        let disk = Self { image, at, _folder: folder };
        (made && disk.attach()).then_some(disk)
    }

    fn attach(&self) -> bool {
        succeeds(Command::new("mount").args(["-t", "ext4", "-o", "loop"]).arg(&self.image).arg(&self.at))
    }

    /// Nothing reaches the disk from here on. With 0 all is flushed first, with 1 the file system's own journal, with 2
    /// nothing.
    fn cut(&self, flags: u64) {
        let cut =
            Command::new("python3").args(["-c", SHUT_DOWN]).arg(&self.at).arg(flags.to_string()).output().unwrap();
        assert!(cut.status.success(), "{}", String::from_utf8_lossy(&cut.stderr));
    }

    /// Starts again as a machine does.
    fn power_on(&self) {
        assert!(succeeds(Command::new("umount").arg(&self.at)), "somebody still uses the disk");
        let mut check = Command::new("e2fsck");
        let checked = check.arg("-p").arg(&self.image).output().unwrap();
        assert!(checked.status.code().is_some_and(|code| code <= 1), "{}", String::from_utf8_lossy(&checked.stdout));
        assert!(self.attach());
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        // It may not be mounted, or never have been.
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
    }
}

/// Lives until something it asks of the dead disk fails; then it ends and says why.
fn ends_and_says_why(rig: &Rig, process: &mut Process) {
    let mut turn = 0;
    let status = wait_for("the daemon to notice", || {
        turn += 1;
        let flip = (turn / ACCOUNTS).is_multiple_of(2);
        rig.declare(turn % ACCOUNTS, flip, !flip);
        process.has_ended()
    });
    let said = process.said();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("ledger.json") && said.contains("Input/output error"), "{said}");
}

fn round(seed: u64, disk: &Ext4) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut rig = Rig::new(ACCOUNTS);
    rig.ledger = disk.at.join("ledger.json");
    rig.script(r#"{"faults": [{"operation": "put", "latency": "1ms"}]}"#);
    let mut process = rig.run();
    let goal = chance.u64(0..2 * ACCOUNTS + 4).min(2 * ACCOUNTS);
    wait_for("a few PUTs", || (rig.world().totals().puts >= goal).then_some(()));
    if goal > 0 && chance.u8(0..3) == 0 {
        process.signal(Signal::TERM); // in the middle of a clean stop
    }
    (0..chance.u32(0..2_000_000)).for_each(|_| std::hint::spin_loop());
    disk.cut(chance.u64(0..3));
    if chance.bool() && process.has_ended().is_none() {
        process.kill();
    } else if !process.said().contains("stopping:") {
        ends_and_says_why(&rig, &mut process);
    } else {
        process.end();
    }
    disk.power_on();

    // What it claims is true; and whatever the service was sent is known or in doubt.
    let known = rig.applied();
    let ledger = rig.read_ledger();
    let forgotten: Vec<_> = rig
        .puts(0)
        .into_iter()
        .filter(|(account, field)| ledger.as_ref().is_none_or(|ledger| ledger.known(*account, *field) == Known::Absent))
        .collect();
    assert_eq!(forgotten, [], "sent, and forgotten");
    (0..ACCOUNTS).for_each(|n| rig.declare(n, n % 2 == 0, n % 3 == 0));
    let before = rig.world().requests_total();
    converge(&rig, ACCOUNTS);
    let needless: Vec<_> = rig.puts(before).into_iter().filter(|put| known.get(put) == Some(&rig.wants(put))).collect();
    assert_eq!(needless, [], "known to be done, and sent again");
}

#[test]
fn the_power_fails_under_a_busy_daemon_and_nothing_it_sent_is_forgotten() {
    let rounds = number(ROUNDS).unwrap_or(FEW);
    let first = number(SEED).unwrap_or_else(|| fastrand::u64(0..1_000_000));
    for seed in first..first + rounds {
        let Some(disk) = Ext4::mount() else {
            return eprintln!("the_power_fails_under_a_busy_daemon: SKIPPED, for this process may not mount an ext4");
        };
        eprintln!("again with: {SEED}={seed} {ROUNDS}=1 cargo test --test it the_power_fails");
        round(seed, &disk);
    }
}
