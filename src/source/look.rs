//! One look at one path: read it, and say whether what was read may be believed.
//!
//! In: a [`Target`], and what was known of its path. Out: a [`Sight`].
//! Invariants: a file over [`MAX_FILE`] never gets into memory; only regular files are read; bytes that
//! are not at rest never reach the parser.
//! Deliberately absent: memory of earlier looks; see the parent's `index`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, read, retry_on_intr};
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::MAX_FILE;
use super::beneath::Beneath;
use super::list::{Kind, Target, odd_name};
use super::problem::ReadProblem;
use super::settle::{Glimpse, Moment, Print, Rule, Stamp};

/// What a look saw.
#[derive(Debug)]
pub(super) enum Sight<T> {
    /// Not changed since it was last believed; perhaps not even read.
    Same,
    /// Other time stamps, but the bytes that are known.
    Touched(Print),
    /// New bytes, at rest.
    Read(Print, T),
    /// New bytes, not at rest; look again after this time.
    Fresh(Print, Duration),
    /// No file there.
    Missing,
    /// A link to nothing there.
    Dangling,
    /// Something there that cannot be read.
    Bad(ReadProblem),
}

/// How to look.
pub(super) struct Eyes<'a, T> {
    pub(super) beneath: &'a Beneath,
    pub(super) parse: &'a (dyn Fn(&Arc<str>, &[u8]) -> T + Sync),
    /// `None`: believe whatever is there (the commands that only read).
    pub(super) rule: Option<Rule>,
    pub(super) now: Moment,
    /// Since when what is news now may have been waiting: the first hint at it, as far as that is known.
    pub(super) since: Instant,
    /// Whether a stamp that is known is enough. Only where nothing hints at a change.
    pub(super) trust_stamps: bool,
    /// Files that somebody writes to, as far as is known.
    pub(super) open: &'a BTreeSet<Arc<str>>,
}

impl<T> Eyes<'_, T> {
    /// How long until a second look.
    pub(super) fn pause(&self) -> Duration {
        self.rule.map_or(Duration::ZERO, |rule| rule.need(false))
    }

    /// Looks at `target`.
    pub(super) fn look(
        &self,
        target: &Target,
        known: Option<&Print>,
        earlier: Option<Glimpse>,
        buffer: &mut Vec<u8>,
    ) -> Sight<T> {
        match &target.kind {
            Kind::Bad(problem) => return Sight::Bad((**problem).clone()),
            Kind::Dangling => return Sight::Dangling,
            Kind::File => {}
        }
        let path = &target.path;
        if let (true, Some(known)) = (self.trust_stamps, known)
            && self.beneath.peek(path).is_ok_and(|stat| Stamp::of(&stat) == known.stamp)
        {
            return Sight::Same;
        }
        let (stamp, bytes) = match self.read(path, buffer) {
            Ok(read) => read,
            Err(sight) => return sight,
        };
        let print = Print { stamp, hash: xxh3_64(bytes), empty: bytes.is_empty(), open: self.open.contains(path) };
        if let Some(rule) = self.rule
            && let Some(left) = rule.wait(&print, earlier, self.now)
        {
            return Sight::Fresh(print, left);
        }
        if known.is_some_and(|known| known.hash == print.hash) {
            return Sight::Touched(print);
        }
        Sight::Read(print, (self.parse)(path, bytes))
    }

    fn read<'b>(&self, path: &str, buffer: &'b mut Vec<u8>) -> Result<(Stamp, &'b [u8]), Sight<T>> {
        let fd = self.beneath.file(path).map_err(|errno| self.refused(path, errno))?;
        let unreadable = |errno| Sight::Bad(ReadProblem::of_file(errno));
        let stat = fstat(&fd).map_err(unreadable)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(Sight::Missing),
            odd => return Err(Sight::Bad(ReadProblem::NotAFile { found: odd_name(odd) })),
        }
        let stamp = Stamp::of(&stat);
        if stamp.size > MAX_FILE {
            return Err(Sight::Bad(ReadProblem::TooLarge { size: stamp.size }));
        }
        let length = fill(&fd, stamp.size, buffer).map_err(unreadable)?;
        if length as u64 > MAX_FILE {
            return Err(Sight::Bad(ReadProblem::TooLarge { size: length as u64 }));
        }
        // The stamp that counts is the one after reading: if it says "at rest for long", then so it was while we read.
        let stamp = match self.rule {
            Some(_) => Stamp::of(&fstat(&fd).map_err(unreadable)?),
            None => stamp,
        };
        Ok((stamp, &buffer[..length]))
    }

    fn refused(&self, path: &str, errno: Errno) -> Sight<T> {
        match errno {
            Errno::NOENT => match self.beneath.peek_link(path) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => Sight::Dangling,
                _ => Sight::Missing,
            },
            Errno::NOTDIR => Sight::Missing,
            errno => Sight::Bad(ReadProblem::of_file(errno)),
        }
    }
}

/// Reads to the end, but at most one byte more than [`MAX_FILE`]. Returns how much of the buffer is filled.
fn fill(fd: &OwnedFd, size: u64, buffer: &mut Vec<u8>) -> Result<usize, Errno> {
    let most = MAX_FILE as usize + 1;
    // One byte more than the file claims, so that its end shows in the first read.
    let wanted = (size as usize + 1).min(most);
    if buffer.len() < wanted {
        buffer.resize(wanted, 0);
    }
    let mut length = 0;
    loop {
        let room = buffer.len().min(most);
        let count = retry_on_intr(|| read(fd.as_fd(), &mut buffer[length..room]))?;
        length += count;
        // A file gives all it has: less than there is room for is its end.
        if count == 0 || length == most || (length as u64 == size && length < room) {
            return Ok(length);
        }
        if length == room {
            buffer.resize((room * 2).min(most), 0);
        }
    }
}
