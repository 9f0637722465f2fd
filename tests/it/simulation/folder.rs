//! The folder that people edit: a handful of files, real manifests in them.
//!
//! In: chance. Out: batches as the watcher sends them, and what is wanted by all manifests together.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use zoho_mail_reconciler::account::{AccountId, AuthMode, MailAccountSpec, Zuid};
use zoho_mail_reconciler::controller::look;
use zoho_mail_reconciler::desired::{DesiredState, Standing};
use zoho_mail_reconciler::manifest::{self, Parsed, Rules};
use zoho_mail_reconciler::source::{Batch, Look, ReadProblem, Root};
use zoho_mail_reconciler::timestamp::Timestamp;

/// How many accounts there are.
pub const ACCOUNTS: u64 = 7;

const FILES: usize = 7;

/// The account numbered `n`.
pub fn account(n: u64) -> AccountId {
    AccountId::new(2_560_636_000_000_008_000 + n).unwrap()
}

/// Its user.
pub fn zuid(n: u64) -> Zuid {
    Zuid::new(1_111_000 + n).unwrap()
}

/// What every account that may be reconciled is wanted to be.
pub type Wanted = BTreeMap<AccountId, MailAccountSpec>;

/// The files, and what a process that read them all knows.
pub struct Folder {
    files: BTreeMap<usize, String>,
    /// The files before the last edit.
    before: BTreeMap<usize, String>,
    desired: DesiredState,
    /// What was wanted before the newest batch, and after it.
    pub wanted: [Wanted; 2],
}

fn path(file: usize) -> Arc<str> {
    format!("team/f{file}.yaml").into()
}

fn parsed(file: usize, text: &str) -> Parsed {
    manifest::parse(&path(file), text.as_bytes(), Rules { auth: AuthMode::Admin })
}

fn flag(chance: &mut fastrand::Rng) -> Option<bool> {
    [Some(true), Some(false), Some(chance.bool()), None][chance.usize(0..4)]
}

/// One document, mostly for the account of its file.
fn document(chance: &mut fastrand::Rng, file: usize, now: Timestamp) -> String {
    let usual = file as u64;
    let n = if chance.u8(0..12) == 0 { chance.u64(0..ACCOUNTS) } else { usual };
    let name = if chance.u8(0..30) == 0 { chance.u64(0..ACCOUNTS) } else { n };
    let mut text = format!(
        "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata:\n  name: a{name}\nspec:\n  accountId: {}\n  \
         zuid: {}\n",
        account(n),
        zuid(n)
    );
    let (enabled, sync) = match (flag(chance), flag(chance)) {
        (None, None) => (Some(true), None),
        flags => flags,
    };
    for (key, value) in [("enabled", enabled), ("activeSyncEnabled", sync)] {
        if let Some(value) = value {
            writeln!(text, "  {key}: {value}").unwrap();
        }
    }
    match chance.u8(0..20) {
        0 => text += "  suspend: true\n",
        1 => {
            let until = now + Duration::from_secs(chance.u64(1..1200));
            writeln!(text, "  suspend: true\n  suspendUntil: \"{until}\"").unwrap();
        }
        _ => {}
    }
    text
}

impl Folder {
    /// A folder with a file for most accounts.
    pub fn draw(chance: &mut fastrand::Rng, now: Timestamp) -> Self {
        let mut files: BTreeMap<_, _> = (0..FILES).map(|file| (file, document(chance, file, now))).collect();
        if chance.bool() {
            files.remove(&chance.usize(0..FILES));
        }
        Self { before: files.clone(), files, desired: DesiredState::new(), wanted: Default::default() }
    }

    /// What a process reads first, or at a resync: everything.
    pub fn read_all(&mut self, fresh: bool) -> Batch<Parsed> {
        if fresh {
            self.desired = DesiredState::new();
        }
        let files: Vec<usize> = if fresh { self.files.keys().copied().collect() } else { Vec::new() };
        Batch { full: true, ..self.batch(files) }
    }

    /// The folder cannot be read.
    pub fn unreadable() -> Batch<Parsed> {
        Batch { files: Vec::new(), root: Root::Unknown("unmounted".into()), full: true, degraded: None }
    }

    /// Somebody edits. Returns the news, and words for it.
    pub fn edit(&mut self, chance: &mut fastrand::Rng, now: Timestamp) -> (Batch<Parsed>, String) {
        let file = chance.usize(0..FILES);
        if chance.u8(0..4) == 0 {
            std::mem::swap(&mut self.files, &mut self.before);
            return (self.batch((0..FILES).collect()), "reverts the last edit".into());
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
            2 if self.files.contains_key(&file) => {
                let problem = ReadProblem::Unreadable { why: "permission denied".into() };
                return (self.take(vec![(path(file), Look::Problem(problem))]), format!("f{file} cannot be read"));
            }
            3 => {
                let two = document(chance, file, now) + "---\n" + &document(chance, (file + 1) % FILES, now);
                self.files.insert(file, two);
                "doubles"
            }
            4 => {
                // A script that went wrong: the same edit everywhere.
                let documents: Vec<_> = (0..FILES).map(|file| (file, document(chance, file, now))).collect();
                self.files = documents.into_iter().map(|(file, text)| (file, text.replace("true", "false"))).collect();
                return (self.batch((0..FILES).collect()), "rewrites everything".into());
            }
            _ => {
                self.files.insert(file, document(chance, file, now));
                "writes"
            }
        };
        (self.batch(vec![file]), format!("{what} f{file}"))
    }

    /// Somebody repairs what is broken.
    pub fn repair(&mut self, chance: &mut fastrand::Rng, now: Timestamp) {
        for (file, text) in &mut self.files {
            if !parsed(*file, text).problems.is_empty() {
                *text = document(chance, *file, now);
            }
        }
    }

    fn batch(&mut self, files: Vec<usize>) -> Batch<Parsed> {
        let looks: Vec<_> = files
            .into_iter()
            .map(|file| (path(file), self.files.get(&file).map_or(Look::Gone, |text| Look::Read(parsed(file, text)))))
            .collect();
        self.take(looks)
    }

    fn take(&mut self, looks: Vec<(Arc<str>, Look<Parsed>)>) -> Batch<Parsed> {
        for (path, found) in &looks {
            self.desired.update(path, look(path, found.clone()));
        }
        let may = |standing| !matches!(standing, Standing::Duplicate { .. });
        let now = self.desired.iter().filter(|(_, desired)| may(desired.standing));
        let now = now.map(|(id, desired)| (id, desired.spec.clone())).collect();
        let [_, before] = std::mem::take(&mut self.wanted);
        self.wanted = [before, now];
        Batch { files: looks, root: Root::Ready, full: false, degraded: None }
    }

    /// Everything that is desired.
    pub const fn desired(&self) -> &DesiredState {
        &self.desired
    }
}
