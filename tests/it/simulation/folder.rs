//! The folder that people edit: a handful of files, real manifests in them.
//!
//! In: chance. Out: batches as the watcher sends them, and what is wanted by all manifests together.

mod policies;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use zoho_mail_reconciler::account::{AccountId, AuthMode, MailAccountSpec};
use zoho_mail_reconciler::attribution::look;
use zoho_mail_reconciler::desired::{DesiredState, Standing};
use zoho_mail_reconciler::ledger::{DeclaredBudget, Lapsed};
use zoho_mail_reconciler::manifest::{self, Parsed, Protection, Rules};
use zoho_mail_reconciler::source::{Batch, Look, ReadProblem, Root};
use zoho_mail_reconciler::timestamp::Timestamp;

pub use policies::Policies;

use crate::builders::Manifest;
pub use crate::builders::{account, zuid};

/// How many accounts there are.
pub const ACCOUNTS: u64 = 7;

const FILES: usize = 7;

/// The file of budgets and approvals, if this world has any.
const POLICIES: usize = 7;

/// What every account that may be reconciled is wanted to be.
pub type Wanted = BTreeMap<AccountId, MailAccountSpec>;

/// The account from which the option `--protect` lets nobody take anything away.
pub const PROTECTED: u64 = 3;

/// The option.
pub fn protection() -> Arc<Protection> {
    Arc::new([account(PROTECTED).to_string().parse().unwrap()].into_iter().collect())
}

/// The files, and what a process that read them all knows.
pub struct Folder {
    files: BTreeMap<usize, String>,
    /// The files before the last edit.
    before: BTreeMap<usize, String>,
    /// What was read before: most files stay as they are.
    parsed: HashMap<(usize, String), Parsed>,
    /// A file that is being written, and what it will be.
    unfinished: Option<(usize, String)>,
    desired: DesiredState,
    /// Whether it shows others than it has.
    pub lies: bool,
    /// Whether it shows approvals that nobody wrote.
    pub forges: bool,
    /// Whether it shows what no protection has looked at.
    pub unprotected: bool,
    /// Whether there are budgets and approvals in this world, now and then.
    pub has_policies: bool,
    /// The budgets that an earlier process read, until this one has read the folder.
    known: Vec<DeclaredBudget>,
    /// What approvals and budgets say since the newest batch.
    pub policies: Policies,
    /// What was wanted before the newest batch, and after it.
    pub wanted: [Wanted; 2],
}

fn path(file: usize) -> Arc<str> {
    if file == POLICIES { "limits.yaml".into() } else { format!("team/f{file}.yaml").into() }
}

fn parsed(file: usize, text: &str) -> Parsed {
    let protection = protection();
    manifest::parse(&path(file), text.as_bytes(), Rules { auth: AuthMode::Admin, protection: &protection })
}

fn flag(chance: &mut fastrand::Rng) -> Option<bool> {
    [Some(true), Some(false), Some(chance.bool()), None][chance.usize(0..4)]
}

/// A document that wants these values.
pub fn wanting(n: u64, name: u64, flags: [Option<bool>; 2]) -> Manifest {
    let said = ["enabled", "activeSyncEnabled"].into_iter().zip(flags);
    let said = said.filter_map(|(key, value)| Some((key, value?)));
    said.fold(Manifest::of(format_args!("a{name}")).id(n), |manifest, (key, value)| manifest.set(key, value))
}

/// One document, mostly for the account of its file.
fn document(chance: &mut fastrand::Rng, file: usize, now: Timestamp) -> String {
    let usual = file as u64;
    let n = if chance.u8(0..12) == 0 { chance.u64(0..ACCOUNTS) } else { usual };
    let name = if chance.u8(0..30) == 0 { chance.u64(0..ACCOUNTS) } else { n };
    let flags = match [flag(chance), flag(chance)] {
        [None, None] => [Some(true), None],
        flags => flags,
    };
    let mut manifest = wanting(n, name, flags);
    if chance.u8(0..12) == 0 {
        manifest = manifest.protect(true);
    }
    let manifest = match chance.u8(0..20) {
        0 => manifest.set("suspend", true),
        1 => {
            let until = now + Duration::from_secs(chance.u64(1..1200));
            manifest.set("suspend", true).set("suspendUntil", format_args!("\"{until}\""))
        }
        2..9 => dated(chance, manifest, now),
        _ => manifest,
    };
    manifest.to_string()
}

/// How far ahead an end is that only a wrong clock reaches.
pub const FAR: Duration = Duration::from_secs(10 * 24 * 60 * 60);

/// The same, valid from some moment on, or until one, or both.
fn dated(chance: &mut fastrand::Rng, manifest: Manifest, now: Timestamp) -> Manifest {
    let from = now + Duration::from_secs(chance.u64(1..600));
    let until = from + if chance.u8(0..4) == 0 { FAR } else { Duration::from_secs(chance.u64(1..900)) };
    let dates = [("validFrom", from), ("validUntil", until)];
    let dates = &dates[[0..1, 1..2, 1..2, 0..2][chance.usize(0..4)].clone()];
    dates.iter().fold(manifest, |manifest, (key, at)| manifest.set(key, format_args!("\"{at}\"")))
}

/// The same look, with the opposite of what is wanted.
fn distorted((path, mut found): (Arc<str>, Look<Parsed>)) -> (Arc<str>, Look<Parsed>) {
    if let Look::Read(parsed) = &mut found {
        for document in &mut parsed.documents {
            let enabled = &mut document.spec.enabled;
            *enabled = enabled.map(|enabled| !enabled);
        }
    }
    (path, found)
}

impl Folder {
    /// A folder with a file for most accounts.
    pub fn draw(chance: &mut fastrand::Rng, now: Timestamp) -> Self {
        let mut files: BTreeMap<_, _> = (0..FILES).map(|file| (file, document(chance, file, now))).collect();
        if chance.bool() {
            files.remove(&chance.usize(0..FILES));
        }
        let has_policies = chance.bool();
        if has_policies && chance.bool() {
            files.insert(POLICIES, policies::draw(chance, now));
        }
        let desired = DesiredState::protecting(protection());
        let (before, parsed, unfinished) = (files.clone(), HashMap::new(), None);
        let (wanted, policies, known) = Default::default();
        let (lies, forges, unprotected) = (false, false, false);
        Self {
            files,
            before,
            parsed,
            unfinished,
            desired,
            lies,
            forges,
            unprotected,
            has_policies,
            policies,
            known,
            wanted,
        }
    }

    /// What a process reads first, which knows these budgets of an earlier one: everything.
    pub fn read_first(&mut self, known: &[DeclaredBudget]) -> Batch<Parsed> {
        self.desired = DesiredState::protecting(protection());
        self.known = known.to_vec();
        let looks = self.looks(self.files.keys().copied().collect());
        Batch { full: true, ..self.take(looks) }
    }

    /// What it reads at a resync: everything.
    pub fn read_again(&mut self) -> Batch<Parsed> {
        Batch { full: true, asked: true, ..self.take(Vec::new()) }
    }

    /// The folder cannot be read.
    pub fn unreadable(chance: &mut fastrand::Rng) -> Batch<Parsed> {
        let why = ["it is missing", "it cannot be read", "it is empty"][chance.usize(0..3)];
        Batch {
            files: Vec::new(),
            root: Root::Unknown(why.into()),
            full: true,
            asked: false,
            degraded: None,
            origin: Default::default(),
            decided: Default::default(),
        }
    }

    /// Somebody edits, once or a few files at once. Returns the news, and words for it.
    pub fn edit(&mut self, chance: &mut fastrand::Rng, now: Timestamp) -> (Batch<Parsed>, String) {
        // What was half-written is whole by now.
        let finished = self.unfinished.take();
        let mut touched: Vec<usize> = finished.iter().map(|(file, _)| *file).collect();
        self.files.extend(finished);
        let several = if chance.u8(0..4) == 0 { chance.usize(2..4) } else { 1 };
        let mut words = String::new();
        for _ in 0..several {
            let (files, what) = self.edit_one(chance, now);
            touched.extend(files);
            words += &what;
        }
        touched.sort_unstable();
        touched.dedup();
        let mut looks = self.looks(touched);
        if chance.u8(0..12) == 0 {
            let (file, why) = (chance.usize(0..FILES), "permission denied".into());
            looks.retain(|(there, _)| *there != path(file));
            looks.push((path(file), Look::Problem(ReadProblem::Unreadable { why })));
            words += &format!("f{file} cannot be read");
        }
        (self.take(looks), words)
    }

    /// One edit. Returns the files it touches, and words for it.
    fn edit_one(&mut self, chance: &mut fastrand::Rng, now: Timestamp) -> (Vec<usize>, String) {
        let file = chance.usize(0..FILES);
        if self.has_policies && chance.u8(0..3) == 0 {
            return (vec![POLICIES], self.edit_policies(chance, now).into());
        }
        if chance.u8(0..4) == 0 {
            std::mem::swap(&mut self.files, &mut self.before);
            return ((0..=POLICIES).collect(), "reverts the last edit; ".into());
        }
        self.before = self.files.clone();
        let what = match chance.u8(0..12) {
            0 if self.files.len() > 1 => {
                self.files.remove(&file);
                "removes"
            }
            1 => {
                let text = self.files.entry(file).or_insert_with(|| document(chance, file, now));
                *text += "  enabled: maybe\n";
                "breaks"
            }
            2 if self.unfinished.is_none() => {
                // Cut anywhere: it may parse, and mean less, or another account.
                let text = document(chance, file, now);
                self.files.insert(file, text[..chance.usize(0..text.len())].to_owned());
                self.unfinished = Some((file, text));
                "half-writes"
            }
            3 => {
                let two = document(chance, file, now) + "---\n" + &document(chance, (file + 1) % FILES, now);
                self.files.insert(file, two);
                "doubles"
            }
            4 => {
                // A script that went wrong: the same edit everywhere.
                let documents: Vec<_> = (0..FILES).map(|file| (file, document(chance, file, now))).collect();
                let spoilt = documents.into_iter().map(|(file, text)| (file, text.replace("d: true", "d: false")));
                self.files.extend(spoilt);
                return ((0..FILES).collect(), "rewrites everything; ".into());
            }
            _ => {
                self.files.insert(file, document(chance, file, now));
                "writes"
            }
        };
        (vec![file], format!("{what} f{file}; "))
    }

    /// Somebody edits budgets and approvals. Returns words for it.
    fn edit_policies(&mut self, chance: &mut fastrand::Rng, now: Timestamp) -> &'static str {
        self.before = self.files.clone();
        match chance.u8(0..6) {
            0 => {
                self.files.remove(&POLICIES);
                "removes all policies; "
            }
            1 => {
                let text = self.files.entry(POLICIES).or_default();
                *text += "---\nkind: DisruptionBudget\nspec: [\n";
                "breaks the policies; "
            }
            _ => {
                self.files.insert(POLICIES, policies::draw(chance, now));
                "writes policies; "
            }
        }
    }

    /// Somebody commits a manifest of policies, and nothing else.
    pub fn approve(&mut self, text: String) {
        self.files.insert(POLICIES, text);
    }

    /// Somebody repairs what is broken.
    pub fn repair(&mut self, chance: &mut fastrand::Rng, now: Timestamp) {
        self.files.extend(self.unfinished.take());
        for (file, text) in &mut self.files {
            if !parsed(*file, text).problems.is_empty() {
                *text = if *file == POLICIES { String::new() } else { document(chance, *file, now) };
            }
        }
    }

    fn looks(&mut self, files: Vec<usize>) -> Vec<(Arc<str>, Look<Parsed>)> {
        let Self { files: texts, parsed: known, .. } = self;
        let mut found = |file| {
            let Some(text) = texts.get(&file) else { return Look::Gone };
            let read = known.entry((file, text.clone())).or_insert_with(|| parsed(file, text));
            Look::Read(read.clone())
        };
        files.into_iter().map(|file| (path(file), found(file))).collect()
    }

    fn take(&mut self, looks: Vec<(Arc<str>, Look<Parsed>)>) -> Batch<Parsed> {
        for (path, found) in &looks {
            self.desired.update(path, look(path, found.clone()));
        }
        self.desired.recall(&std::mem::take(&mut self.known));
        let may = |standing| !matches!(standing, Standing::Duplicate { .. });
        let now = self.desired.iter().filter(|(_, desired)| may(desired.standing));
        let now = now.map(|(id, desired)| (id, desired.spec.clone())).collect();
        let [_, before] = std::mem::take(&mut self.wanted);
        self.wanted = [before, now];
        self.policies = Policies::of(&self.desired);
        let mut files = if self.lies { looks.into_iter().map(distorted).collect() } else { looks };
        if self.unprotected {
            files.iter_mut().for_each(|(path, found)| self.expose(path, found));
        }
        if self.forges && !files.is_empty() {
            let (path, text) = ("forged.yaml".into(), policies::forged());
            files.push((path, Look::Read(parsed(POLICIES, &text))));
        }
        Batch {
            files,
            root: Root::Ready,
            full: false,
            asked: false,
            degraded: None,
            origin: Default::default(),
            decided: Default::default(),
        }
    }

    /// The same look, as it would be if nobody were protected by an option.
    fn expose(&self, there: &Arc<str>, found: &mut Look<Parsed>) {
        let text = self.files.iter().find(|(file, _)| path(**file) == *there).map(|(_, text)| text);
        if let (Look::Read(parsed), Some(text)) = (found, text) {
            *parsed = manifest::parse(there, text.as_bytes(), Rules { auth: AuthMode::Admin, ..Rules::default() });
        }
    }

    /// What the file of policies says.
    pub fn policies_text(&self) -> &str {
        self.files.get(&POLICIES).map_or("", String::as_str)
    }

    /// The manifests are these, and nothing else.
    pub fn write(&mut self, texts: impl IntoIterator<Item = String>) {
        self.files = texts.into_iter().enumerate().collect();
        self.before = self.files.clone();
    }

    /// Everything that is desired.
    pub const fn desired(&self) -> &DesiredState {
        &self.desired
    }

    /// These approvals are over, whatever the clock says now.
    pub fn lapse(&mut self, lapsed: &Lapsed) {
        self.desired.lapse(lapsed);
    }
}
