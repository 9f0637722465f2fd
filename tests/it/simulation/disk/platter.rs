//! The bytes of a ledger's two files, and what a kill or a power cut leaves of them.
//!
//! In: groups of records, folds, crashes. Out: the ledger that the real reader finds in the bytes afterwards.
//! Invariant: what was synced stays, whatever happens; everything else is up to chance.
//! Deliberately absent: names, folders and system calls. The tests on real files have those.

use zoho_mail_reconciler::ledger::{Fault, Ledger, Owner, Record, journal, snapshot};

/// The unit in which bytes reach a disk, or do not.
const SECTOR: usize = 512;

pub struct Platter {
    owner: Owner,
    snapshot: Option<Vec<u8>>,
    /// The snapshot that a power cut brings back: the folder was not synced since it was replaced.
    snapshot_before: Option<Option<Vec<u8>>>,
    journal: Vec<u8>,
    /// How much of the journal no power cut takes away.
    pub synced: usize,
    /// The journal that a power cut brings back: nothing was synced since it was emptied.
    emptied: Option<Vec<u8>>,
    /// Number of the last record that is synced.
    serial: u64,
    /// How many records are written and not synced.
    pub written: usize,
}

impl Platter {
    pub const fn new(owner: Owner) -> Self {
        let (snapshot, snapshot_before, emptied) = (None, None, None);
        Self { owner, snapshot, snapshot_before, journal: Vec::new(), synced: 0, emptied, serial: 0, written: 0 }
    }

    /// Writes one group; not synced yet.
    pub fn write(&mut self, records: &[Record]) {
        if self.snapshot.is_none() {
            self.snapshot = Some(document(&Ledger::new(self.owner)));
        }
        if self.journal.is_empty() {
            journal::encode_head(self.owner, &mut self.journal);
        }
        self.written = journal::encode_group(records, self.serial + 1, &mut self.journal);
        assert_eq!(self.written, records.len(), "no group of a simulation is too large");
    }

    /// What was written is synced.
    pub fn sync(&mut self) {
        self.emptied = None;
        self.synced = self.journal.len();
        self.serial += self.written as u64;
        self.written = 0;
    }

    /// There was no room: what was written is cut off again.
    pub fn cut_back(&mut self) {
        self.journal.truncate(self.synced);
        self.written = 0;
    }

    /// Whether there is anything to fold.
    pub const fn is_folded(&self) -> bool {
        self.journal.is_empty()
    }

    /// A new snapshot is renamed over the old one.
    pub fn replace_snapshot(&mut self, ledger: &Ledger) {
        self.snapshot_before = Some(self.snapshot.replace(document(ledger)));
    }

    /// The folder is synced, and the journal emptied: the fold is over.
    pub fn empty_journal(&mut self) {
        self.snapshot_before = None;
        self.emptied = Some(std::mem::take(&mut self.journal));
        self.synced = 0;
    }

    /// The process is killed, maybe in the middle of a write; the system goes on.
    pub fn kill(&mut self, chance: &mut fastrand::Rng) {
        if chance.bool() {
            self.journal.truncate(chance.usize(self.synced..=self.journal.len()));
        }
    }

    /// The power fails: of what was not synced there is left whatever a disk can leave.
    pub fn power_cut(&mut self, chance: &mut fastrand::Rng) {
        if let Some(before) = self.snapshot_before.take().filter(|_| chance.bool()) {
            self.snapshot = before;
        }
        if let Some(emptied) = self.emptied.take().filter(|_| chance.bool()) {
            (self.journal, self.written) = (emptied, 0);
        } else {
            let tail = self.journal.split_off(self.synced);
            self.journal.extend(torn(&tail, self.synced, chance));
        }
        // What came through is there.
        self.synced = self.journal.len();
    }

    /// What whoever starts next finds, with the torn end cut off as the real reader says, and synced.
    pub fn open(&mut self) -> Result<Ledger, Fault> {
        let folded = self.snapshot.as_deref().map(snapshot::parse).transpose()?;
        let replayed = journal::replay(&self.journal, folded)?;
        self.journal.truncate(replayed.good_len);
        let ledger = replayed.ledger.unwrap_or_else(|| Ledger::new(self.owner));
        (self.synced, self.written, self.serial) = (self.journal.len(), 0, ledger.serial);
        self.snapshot_before = None;
        self.emptied = self.emptied.take().filter(|_| self.journal.is_empty());
        Ok(ledger)
    }
}

fn document(ledger: &Ledger) -> Vec<u8> {
    let mut bytes = Vec::new();
    snapshot::write(ledger, &mut bytes).unwrap();
    bytes
}

/// What is left of `tail`, which began `offset` bytes into its file.
fn torn(tail: &[u8], offset: usize, chance: &mut fastrand::Rng) -> Vec<u8> {
    let mut left = tail.to_vec();
    match chance.u8(0..4) {
        0 => {}
        // The file grew, and none of its new bytes came to the disk.
        1 => left.fill(0),
        // Some sectors came, in any order.
        2 => {
            let sectors = offset / SECTOR..=(offset + tail.len()) / SECTOR;
            for sector in sectors.filter(|_| chance.bool()) {
                let inside = |at: usize| at.clamp(offset, offset + tail.len()) - offset;
                left[inside(sector * SECTOR)..inside((sector + 1) * SECTOR)].fill(0);
            }
        }
        // The last line shows what the disk held before.
        _ => {
            let line = tail.iter().rev().skip(1).position(|byte| *byte == b'\n').map_or(0, |at| tail.len() - 1 - at);
            let begin = chance.usize(line..=tail.len());
            left[begin..].fill(b'x');
            return left;
        }
    }
    left.truncate(chance.usize(0..=left.len()));
    left
}
