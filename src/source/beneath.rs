//! The root folder as an open descriptor, and every way to reach something beneath it.
//!
//! In: paths relative to the root, with `/` between their parts. Out: descriptors and stats.
//! Invariants: nothing outside the root is ever opened, whatever links say; nothing hangs on a FIFO;
//! the descriptor is held, so that a folder made anew at the same path is never taken for this one
//! (without it, a file system may hand out the same inode number again).
//! Deliberately absent: what names mean; see the parent's `list`.

use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, Stat, fstat, fstatfs, openat, openat2, readlinkat, stat};
use rustix::io::{Errno, retry_on_intr};

use super::problem::SourceError;

/// How often an open is tried again when a rename elsewhere disturbs it (`EAGAIN`, see openat2(2)),
/// or when the root is swapped between two looks at it.
pub(super) const ATTEMPTS: usize = 8;

/// File systems whose time stamps and changes are made by other machines or by user programs, by their
/// `f_type` in statfs(2): NFS, SMB, CIFS, SMB2, FUSE, 9p, Ceph, AFS, Coda, VirtualBox.
const REMOTE: [u32; 10] = [
    0x6969,
    0x517B,
    0xFF53_4D42,
    0xFE53_4D42,
    0x6573_5546,
    0x0102_1997,
    0x00C3_6400,
    0x5346_414F,
    0x7375_7245,
    0x786F_4256,
];

/// Which file this is, on this machine, while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    dev: u64,
    ino: u64,
}

impl Id {
    // The fields' widths differ between architectures.
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
    pub(super) const fn of(stat: &Stat) -> Self {
        Self { dev: stat.st_dev as u64, ino: stat.st_ino as u64 }
    }
}

/// Where a link leads: what is written in it, and which file that is in the end, through all other links; and which link it
/// is, for one that was flipped there and back leads where it led before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lead {
    link: (Id, i64, i64),
    text: Vec<u8>,
    end: Option<Id>,
}

impl Lead {
    /// Whether it leads to anything.
    pub(super) const fn has_end(&self) -> bool {
        self.end.is_some()
    }
}

/// Whether the path still leads to the root that is held open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Same,
    Other,
}

/// How to reach things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The kernel keeps us beneath the root.
    Openat2,
    /// Kernels before 5.6 and some sandboxes have no openat2: resolve, compare, open without following.
    Canonical,
}

/// An open root folder.
#[derive(Debug)]
pub(super) struct Beneath {
    fd: OwnedFd,
    /// The root without links; what the watcher watches.
    pub(super) real: PathBuf,
    /// Whether other machines may write here: no events then, and another clock.
    pub(super) remote: bool,
    reach: Reach,
}

impl Beneath {
    /// Opens the folder at `root`, which may be a link.
    pub(super) fn open(root: &Path) -> Result<Self, SourceError> {
        let fail = |errno| SourceError::of(root, errno);
        for _ in 0..ATTEMPTS {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let fd = retry_on_intr(|| openat(CWD, root, flags, Mode::empty())).map_err(fail)?;
            let real = canonical(root).map_err(fail)?;
            // A link that was flipped in between: open what it leads to now.
            if stat(&real).is_ok_and(|there| fstat(&fd).is_ok_and(|here| Id::of(&here) == Id::of(&there))) {
                let remote = fstatfs(&fd).is_ok_and(|fs| is_remote(&fs));
                let reach = probe(&fd);
                return Ok(Self { fd, real, remote, reach });
            }
        }
        Err(SourceError::Unlistable { root: root.to_owned(), why: "it is replaced again and again".to_owned() })
    }

    /// Two system calls, whatever the folder holds.
    pub(super) fn presence(&self, root: &Path) -> Presence {
        match (fstat(&self.fd), stat(root)) {
            (Ok(held), Ok(there)) if held.st_nlink > 0 && Id::of(&held) == Id::of(&there) => Presence::Same,
            _ => Presence::Other,
        }
    }

    /// Opens a file for reading.
    pub(super) fn file(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.reach(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
    }

    /// Opens a folder for listing. The root itself is the empty path.
    pub(super) fn folder(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.reach(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::DIRECTORY)
    }

    /// What is at `path`, through links.
    pub(super) fn peek(&self, path: &str) -> Result<Stat, Errno> {
        fstat(self.reach(path, OFlags::PATH)?)
    }

    /// What is at `path`; a link is a link.
    pub(super) fn peek_link(&self, path: &str) -> Result<Stat, Errno> {
        fstat(self.reach(path, OFlags::PATH | OFlags::NOFOLLOW)?)
    }

    /// Where the link at `path` leads now; `None` if there is no link.
    // The fields' widths differ between architectures.
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
    pub(super) fn lead(&self, path: &str) -> Option<Lead> {
        let link = self.reach(path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        let stat = fstat(&link).ok()?;
        let text = readlinkat(link, "", Vec::new()).ok()?.into_bytes();
        let link = (Id::of(&stat), stat.st_ctime as i64, stat.st_ctime_nsec as i64);
        Some(Lead { link, text, end: self.peek(path).ok().map(|stat| Id::of(&stat)) })
    }

    fn reach(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { "." } else { path };
        let flags = flags | OFlags::CLOEXEC;
        match self.reach {
            Reach::Openat2 => open_beneath(&self.fd, path, flags),
            Reach::Canonical => self.open_canonical(path, flags),
        }
    }

    fn open_canonical(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let joined = self.real.join(path);
        let found = match (flags.contains(OFlags::NOFOLLOW), joined.parent(), joined.file_name()) {
            (true, Some(parent), Some(name)) => canonical(parent)?.join(name),
            _ => canonical(&joined)?,
        };
        if !found.starts_with(&self.real) {
            return Err(Errno::XDEV);
        }
        retry_on_intr(|| openat(CWD, &found, flags | OFlags::NOFOLLOW, Mode::empty()))
    }
}

fn open_beneath(root: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut attempt = 0;
    loop {
        attempt += 1;
        match openat2(root.as_fd(), path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if attempt < ATTEMPTS => {}
            other => return other,
        }
    }
}

fn probe(root: &OwnedFd) -> Reach {
    match open_beneath(root, ".", OFlags::PATH | OFlags::CLOEXEC) {
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => Reach::Canonical,
        _ => Reach::Openat2,
    }
}

// `f_type` is signed on some architectures and wide on others; all its values fit 32 bits.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
fn is_remote(fs: &rustix::fs::StatFs) -> bool {
    REMOTE.contains(&(fs.f_type as u32))
}

fn canonical(path: &Path) -> Result<PathBuf, Errno> {
    std::fs::canonicalize(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::FileType;

    use super::*;

    /// Both ways to reach things, over the same folder: `root/` with links of every kind, `secret` beside it.
    fn both(check: impl Fn(&Beneath)) {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(outer.path().join("secret"), "s").unwrap();
        fs::write(root.join("sub/x.yaml"), "x").unwrap();
        for (link, target) in [
            ("inside", "sub/x.yaml"),
            ("sub/up", "../sub/x.yaml"),
            ("outside", "../secret"),
            ("sub/outside", "../../secret"),
            ("absolute", "/etc/passwd"),
            ("magic", "/proc/self/root/etc/passwd"),
            ("nowhere", "gone"),
            ("a", "b"),
            ("b", "a"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let mut beneath = Beneath::open(&root).unwrap();
        assert_eq!(beneath.reach, Reach::Openat2, "this kernel has openat2");
        check(&beneath);
        beneath.reach = Reach::Canonical;
        check(&beneath);
    }

    #[test]
    fn links_that_stay_inside_are_followed_and_others_never_opened() {
        both(|beneath| {
            let way = beneath.reach;
            for inside in ["sub/x.yaml", "inside", "sub/up"] {
                assert!(beneath.file(inside).is_ok(), "{inside} {way:?}");
            }
            for outside in ["outside", "sub/outside", "absolute", "../secret"] {
                assert_eq!(beneath.file(outside).unwrap_err(), Errno::XDEV, "{outside} {way:?}");
            }
            assert!(beneath.file("magic").is_err(), "{way:?}");
            assert_eq!(beneath.file("a").unwrap_err(), Errno::LOOP, "{way:?}");
            assert_eq!(beneath.file("nowhere").unwrap_err(), Errno::NOENT, "{way:?}");
            assert_eq!(beneath.file("absent").unwrap_err(), Errno::NOENT, "{way:?}");
            assert!(beneath.folder("").is_ok() && beneath.folder("sub").is_ok(), "{way:?}");
            assert_eq!(beneath.folder("inside").unwrap_err(), Errno::NOTDIR, "{way:?}");
        });
    }

    #[test]
    fn a_link_can_be_looked_at_without_following_it() {
        both(|beneath| {
            let kind = |stat: Stat| FileType::from_raw_mode(stat.st_mode);
            assert_eq!(beneath.peek_link("outside").map(kind).unwrap(), FileType::Symlink);
            assert_eq!(beneath.peek_link("nowhere").map(kind).unwrap(), FileType::Symlink);
            assert_eq!(beneath.peek("inside").map(kind).unwrap(), FileType::RegularFile);
        });
    }

    #[test]
    fn a_fifo_does_not_hang() {
        let root = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("mkfifo").arg(root.path().join("x.yaml")).status().unwrap();
        assert!(made.success());
        let beneath = Beneath::open(root.path()).unwrap();
        let fd = beneath.file("x.yaml").unwrap();
        assert_eq!(FileType::from_raw_mode(fstat(fd).unwrap().st_mode), FileType::Fifo);
    }

    #[test]
    fn a_root_made_again_at_the_same_path_is_another_one() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        fs::create_dir(&root).unwrap();
        let beneath = Beneath::open(&root).unwrap();
        assert_eq!(beneath.presence(&root), Presence::Same);
        for _ in 0..20 {
            fs::remove_dir(&root).unwrap();
            assert_eq!(beneath.presence(&root), Presence::Other);
            fs::create_dir(&root).unwrap();
            assert_eq!(beneath.presence(&root), Presence::Other);
        }
    }

    #[test]
    fn a_link_as_root_that_is_flipped_leads_to_another_root() {
        let outer = tempfile::tempdir().unwrap();
        let at = |name: &str| outer.path().join(name);
        fs::create_dir(at("one")).unwrap();
        fs::create_dir(at("two")).unwrap();
        symlink("one", at("current")).unwrap();
        let beneath = Beneath::open(&at("current")).unwrap();
        symlink("two", at("next")).unwrap();
        fs::rename(at("next"), at("current")).unwrap();
        assert_eq!(beneath.presence(&at("current")), Presence::Other);
    }

    #[test]
    fn what_is_no_folder_is_named_so() {
        let outer = tempfile::tempdir().unwrap();
        fs::write(outer.path().join("file"), "").unwrap();
        assert_eq!(Beneath::open(&outer.path().join("file")).unwrap_err().label(), "not_a_folder");
        assert_eq!(Beneath::open(&outer.path().join("none")).unwrap_err().label(), "missing");
    }
}
