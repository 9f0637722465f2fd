//! A disk that promises no more than POSIX: what was not synced may be there after a power cut, or not, or in part.
//!
//! In: operations, as a process made them. Out: every folder that a power cut may leave.
//! Each change of a file and each change of a name is lost or kept by itself, in any order; a write is kept up to some
//! byte, or in some of its sectors, the others being as they were before, or zeros beyond the old end. A sync makes
//! durable what came before it: of a file its bytes and not its name, of the folder its names. What a sync that failed
//! was to make durable stays in doubt for ever, though the system shows it and later syncs succeed.
//! Absent by design: what disks do not do, such as to tear a sector in two or to damage what was synced.

use std::collections::{BTreeMap, BTreeSet};

/// The unit in which bytes reach a disk, or do not.
const SECTOR: usize = 512;

/// How many sectors of a write are kept in every combination; of more, one is missing, or all before or behind it.
const SECTORS_COMBINED: usize = 3;

/// How many changes of a file are kept in every combination: a life whose files have more is too long for this.
const CHANGES_COMBINED: usize = 8;

/// The files of a folder with their bytes.
pub type Folder = BTreeMap<String, Vec<u8>>;

/// A file, whatever its name is.
pub type File = usize;

/// What a process did to the disk, or said.
#[derive(Clone, Debug)]
pub enum Op {
    Make(String, File),
    Rename(String, String),
    Unlink(String),
    /// At an offset, or at the end.
    Write(File, Option<usize>, Vec<u8>),
    Truncate(File, usize),
    /// Of a file, or of the folder; and whether it succeeded.
    Sync(Option<File>, bool),
    /// To the outside, where no power cut takes it back.
    Say(String),
}

/// What a power cut does to a change.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// Nothing.
    Durable,
    /// Whatever it likes, until the next sync.
    Open,
    /// Whatever it likes, for ever: a sync that was to cover it failed.
    Doubtful,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// A disk with one folder.
#[derive(Clone, Default)]
pub struct Disk {
    files: BTreeMap<File, Vec<(Change, Fate)>>,
    /// What each name has stood for, oldest first; the first one is durable.
    names: BTreeMap<String, Vec<(Option<File>, Fate)>>,
}

/// Whether every byte of a torn write is a place to tear it, or only the ends of lines and sectors and their middles.
#[derive(Clone, Copy, PartialEq)]
pub enum Tears {
    Some,
    All,
}

impl Disk {
    /// A disk on which all of `folder` is durable.
    pub fn of(folder: &Folder) -> Self {
        let mut disk = Self::default();
        for (file, (name, bytes)) in folder.iter().enumerate() {
            disk.files.insert(file, vec![(Change::Write(0, bytes.clone()), Fate::Durable)]);
            disk.names.insert(name.clone(), vec![(Some(file), Fate::Durable)]);
        }
        disk
    }

    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Make(name, file) => {
                self.files.insert(*file, Vec::new());
                self.name(name, Some(*file));
            }
            Op::Rename(from, to) => {
                let file = self.named(from);
                self.name(to, file);
                self.name(from, None);
            }
            Op::Unlink(name) => self.name(name, None),
            Op::Write(file, at, bytes) => {
                let at = at.unwrap_or_else(|| self.content(*file).len());
                self.change(*file, Change::Write(at, bytes.clone()));
            }
            Op::Truncate(file, len) => {
                assert!(*len <= self.content(*file).len(), "a file that grows by truncation is not known here");
                self.change(*file, Change::Truncate(*len));
            }
            Op::Sync(Some(file), succeeded) => {
                let changes = self.files.get_mut(file).unwrap();
                sync(changes.iter_mut().map(|(_, fate)| fate), *succeeded);
            }
            Op::Sync(None, succeeded) => {
                for versions in self.names.values_mut() {
                    sync(versions.iter_mut().map(|(_, fate)| fate), *succeeded);
                    // A name stands for one thing: the last durable one, or one that came after it.
                    let durable = versions.iter().rposition(|(_, fate)| *fate == Fate::Durable).unwrap();
                    versions.drain(..durable);
                }
            }
            Op::Say(_) => {}
        }
    }

    fn name(&mut self, name: &str, file: Option<File>) {
        let nothing = || vec![(None, Fate::Durable)];
        self.names.entry(name.to_owned()).or_insert_with(nothing).push((file, Fate::Open));
    }

    fn change(&mut self, file: File, change: Change) {
        self.files.get_mut(&file).unwrap().push((change, Fate::Open));
    }

    /// The file a process finds under a name.
    pub fn named(&self, name: &str) -> Option<File> {
        self.names.get(name)?.last()?.0
    }

    /// A number that no file has.
    pub fn unused(&self) -> File {
        self.files.len()
    }

    /// The bytes a process finds in a file.
    fn content(&self, file: File) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.files[&file].iter().for_each(|(change, _)| keep(change, None, &mut bytes));
        bytes
    }

    /// The folder as processes find it: what a killed one leaves to the next.
    pub fn seen(&self) -> Folder {
        let named = self.names.keys().filter_map(|name| Some((name.clone(), self.content(self.named(name)?))));
        named.collect()
    }

    /// Every folder that a power cut may leave now.
    pub fn after_power_cut(&self, tears: Tears) -> Vec<Folder> {
        let mut choices = vec![Vec::new()];
        for (name, versions) in &self.names {
            let versions: BTreeSet<Option<File>> = versions.iter().map(|(file, _)| *file).collect();
            choices = with_each(&choices, &versions.into_iter().map(|file| (name, file)).collect::<Vec<_>>());
        }
        let mut folders = Vec::new();
        for choice in choices {
            let mut contents = vec![Vec::new()];
            for (name, file) in choice.iter().filter_map(|(name, file)| Some((name, (*file)?))) {
                let kept = kept(&self.files[&file], tears);
                let named: Vec<_> = kept.into_iter().map(|bytes| ((*name).clone(), bytes)).collect();
                contents = with_each(&contents, &named);
            }
            folders.extend(contents.into_iter().map(Folder::from_iter));
        }
        folders
    }
}

/// Each of `all` with each of `more` added.
fn with_each<T: Clone>(all: &[Vec<T>], more: &[T]) -> Vec<Vec<T>> {
    let with = |one: &Vec<T>, new: &T| one.iter().chain([new]).cloned().collect();
    all.iter().flat_map(|one| more.iter().map(move |new| with(one, new))).collect()
}

fn sync<'a>(fates: impl Iterator<Item = &'a mut Fate>, succeeded: bool) {
    let fate = if succeeded { Fate::Durable } else { Fate::Doubtful };
    fates.filter(|found| **found == Fate::Open).for_each(|found| *found = fate);
}

/// What may be left of a file's content.
fn kept(changes: &[(Change, Fate)], tears: Tears) -> BTreeSet<Vec<u8>> {
    let open: Vec<usize> = (0..changes.len()).filter(|at| changes[*at].1 != Fate::Durable).collect();
    assert!(open.len() <= CHANGES_COMBINED, "{} changes are not synced", open.len());
    let mut contents = BTreeSet::new();
    for lost in 0..1_u32 << open.len() {
        let is_lost = |at: usize| open.iter().position(|open| *open == at).is_some_and(|bit| lost >> bit & 1 == 1);
        let mut content = |torn: Option<(usize, &Part)>| {
            let mut bytes = Vec::new();
            for (at, (change, _)) in changes.iter().enumerate().filter(|(at, _)| !is_lost(*at)) {
                keep(change, torn.filter(|(torn, _)| *torn == at).map(|(_, part)| part), &mut bytes);
            }
            contents.insert(bytes);
        };
        content(None);
        for at in open.iter().copied().filter(|at| !is_lost(*at)) {
            if let Change::Write(offset, bytes) = &changes[at].0 {
                parts(*offset, bytes, tears).iter().for_each(|part| content(Some((at, part))));
            }
        }
    }
    contents
}

/// What is kept of a write.
enum Part {
    /// Its first bytes, and the file grew no further.
    Beginning(usize),
    /// These of the sectors it touches, and the file grew by all of it.
    Sectors(Vec<bool>),
}

fn parts(offset: usize, bytes: &[u8], tears: Tears) -> Vec<Part> {
    let ends =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').flat_map(|(at, _)| [at - at.min(80), at, at + 1]);
    let sectors = (1..).map(|sector| sector * SECTOR).take_while(|end| *end < offset + bytes.len());
    let cuts: BTreeSet<usize> = match tears {
        Tears::All => (0..bytes.len()).collect(),
        Tears::Some => ends.chain(sectors.filter_map(|end| end.checked_sub(offset))).chain([1]).collect(),
    };
    let count = (offset + bytes.len()).div_ceil(SECTOR) - offset / SECTOR;
    let combined = |mask: u32| (0..count).map(|sector| mask >> sector & 1 == 1).collect();
    let holes = |hole: usize| {
        let parts: [fn(usize, usize) -> bool; 3] =
            [|sector, hole| sector != hole, |sector, hole| sector < hole, |sector, hole| sector > hole];
        parts.map(|is_kept| (0..count).map(|sector| is_kept(sector, hole)).collect())
    };
    let sectors: Vec<Vec<bool>> = match count {
        0..=SECTORS_COMBINED => (0..1 << count).map(combined).collect(),
        _ => (0..count).flat_map(holes).collect(),
    };
    cuts.into_iter().map(Part::Beginning).chain(sectors.into_iter().map(Part::Sectors)).collect()
}

/// Changes a content as it was asked to, or by a part of that.
fn keep(change: &Change, part: Option<&Part>, content: &mut Vec<u8>) {
    match (change, part) {
        (Change::Truncate(len), _) => content.truncate(*len),
        (Change::Write(at, bytes), part) => {
            let mut end = at + bytes.len();
            if let Some(Part::Beginning(len)) = part {
                end = at + len;
                if end < content.len() {
                    end = (end - end % SECTOR).max(*at); // no sector is torn in two
                }
            }
            if content.len() < end {
                content.resize(end, 0);
            }
            for (place, byte) in (*at..end).zip(bytes) {
                let is_kept = match part {
                    Some(Part::Sectors(kept)) => kept[place / SECTOR - at / SECTOR],
                    _ => true,
                };
                if is_kept {
                    content[place] = *byte;
                }
            }
        }
    }
}
