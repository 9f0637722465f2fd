//! What people and programs do to the folder.
//!
//! In: chance. Out: edits on a real disk, and what is wanted in the end.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fastrand::Rng;
use zoho_mail_reconciler::sandbox::Account;

use super::builders::{Manifest, account, zuid};
use super::process::Rig;

/// How many accounts there are: a company.
const ACCOUNTS: usize = 500;

/// Their folders, each watched by itself.
const TEAMS: usize = 20;

/// The folder and what lies in it.
pub struct Churn {
    pub chance: Rng,
    /// How often anything was done that the daemon may have a word to say about.
    pub causes: u64,
    folder: PathBuf,
    /// Until when the folder is away.
    lost_until: Option<Instant>,
    wanted: Vec<[bool; 2]>,
    /// Whose manifest is broken, or not there.
    spoilt: Vec<usize>,
    last: usize,
}

impl Churn {
    /// A folder with a sound manifest for each account, and the accounts on the service.
    pub fn new(rig: &Rig, seed: u64) -> anyhow::Result<Self> {
        let folder = rig.folder.path().join("desired-state");
        fs::create_dir(folder.join(".git"))?;
        for team in 0..TEAMS {
            fs::create_dir(folder.join(format!("team-{team}")))?;
        }
        let mut chance = Rng::with_seed(seed);
        let wanted = (0..ACCOUNTS).map(|_| [chance.bool(), chance.bool()]).collect();
        let mut churn = Self { chance, causes: 0, folder, lost_until: None, wanted, spoilt: Vec::new(), last: 0 };
        for n in 0..ACCOUNTS {
            let id = n as u64;
            rig.world().seed(Account::new(account(id), zuid(id), &format!("a{n}@example.com"), &format!("a{n}")));
            churn.write(n)?;
        }
        Ok(churn)
    }

    /// How many accounts there are.
    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    fn path(&self, n: usize) -> PathBuf {
        self.folder.join(format!("team-{}/a{n}.yaml", n % TEAMS))
    }

    fn copy(&self, n: usize) -> PathBuf {
        self.path(n).with_extension("copy.yaml")
    }

    /// The manifest of an account: in place, or as a new file over the old one.
    fn write(&mut self, n: usize) -> anyhow::Result<()> {
        let [enabled, sync] = self.wanted[n];
        let text = Manifest::numbered(n as u64).enabled(enabled).active_sync(sync).to_string();
        self.causes += 1;
        let path = self.path(n);
        if self.chance.bool() {
            return Ok(fs::write(path, text)?);
        }
        let new = path.with_file_name(format!(".a{n}.new"));
        fs::write(&new, text)?;
        Ok(fs::rename(new, path)?)
    }

    fn edit(&mut self, n: usize) -> anyhow::Result<()> {
        self.wanted[n] = [self.chance.bool(), self.chance.bool()];
        self.last = n;
        self.write(n)
    }

    /// Somebody does something, or the folder comes back.
    pub fn step(&mut self) -> anyhow::Result<()> {
        if let Some(until) = self.lost_until {
            if until <= Instant::now() {
                self.lost_until = None;
                fs::rename(self.away(), &self.folder)?;
            }
            return Ok(());
        }
        let n = self.chance.usize(..ACCOUNTS);
        match self.chance.u16(0..1000) {
            0 => self.rewrite()?,
            1..4 => self.lose()?,
            4..12 => {
                self.spoilt.push(n);
                self.causes += 1;
                fs::write(
                    self.path(n),
                    "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nspec: {enabled: maybe}\n",
                )?;
            }
            12..22 => {
                self.spoilt.push(n);
                self.causes += 1;
                // It may be gone already.
                let _ = fs::remove_file(self.path(n));
            }
            22..30 => {
                // Copied, and the copy forgotten: both are held.
                self.spoilt.push(n);
                self.causes += 1;
                // There may be none to copy.
                let _ = fs::copy(self.path(n), self.copy(n));
            }
            30..45 => self.repair()?,
            45..95 => {
                // A revert: what was just wanted is wanted no more, perhaps while its request is under way.
                self.wanted[self.last] = self.wanted[self.last].map(|wanted| !wanted);
                self.write(self.last)?;
            }
            _ => (0..self.chance.usize(1..6)).try_for_each(|_| {
                let n = self.chance.usize(..ACCOUNTS);
                self.edit(n)
            })?,
        }
        Ok(())
    }

    /// A checkout: every file anew, with git's lock beside it.
    fn rewrite(&mut self) -> anyhow::Result<()> {
        let lock = self.folder.join(".git/index.lock");
        fs::write(&lock, "")?;
        self.repair()?;
        (0..ACCOUNTS).try_for_each(|n| self.edit(n))?;
        Ok(fs::remove_file(lock)?)
    }

    fn away(&self) -> PathBuf {
        self.folder.with_extension("away")
    }

    fn lose(&mut self) -> anyhow::Result<()> {
        // That it is gone, that it is back, and that it is read: each is told by whoever sees it.
        self.causes += 6;
        self.lost_until = Some(Instant::now() + Duration::from_millis(self.chance.u64(100..3000)));
        Ok(fs::rename(&self.folder, self.away())?)
    }

    /// The folder is there, and every manifest in it is sound.
    pub fn repair(&mut self) -> anyhow::Result<()> {
        if self.lost_until.take().is_some() {
            fs::rename(self.away(), &self.folder)?;
        }
        std::mem::take(&mut self.spoilt).into_iter().try_for_each(|n| {
            // There may be none.
            let _ = fs::remove_file(self.copy(n));
            self.write(n)
        })
    }

    /// Whether the world is as the manifests want it.
    pub fn is_done(&self, rig: &Rig) -> bool {
        self.differs(rig).is_empty()
    }

    /// The accounts that are not as their manifests want them.
    pub fn differs(&self, rig: &Rig) -> Vec<usize> {
        let world = rig.world();
        let is = |n: usize| {
            let account = world.account(account(n as u64));
            account.map(|account| [account.mailbox_enabled, account.active_sync_enabled])
        };
        (0..self.len()).filter(|n| is(*n) != Some(self.wanted[*n])).collect()
    }
}
