//! Two revisions of a folder that betray every mixture of them.
//!
//! A ring of traps: account k of the ring is declared, with `enabled: false`, by the files `steady-k` and `turning-k` in
//! the one revision, by `steady-k` and `turning-(k-1)` in the other. In each of them every account of the ring is declared
//! twice, so it is held and nothing is PUT. In a mixture some account is declared once, and is cut off.

use std::path::Path;

use super::{Trial, manifest, write};

/// The number of the first account of the ring.
const RING: u64 = 1_000_000;

/// Accounts that are no traps, and by which a revision is known in the world.
pub const PLAIN: u64 = 4;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// As a [`super::Rig`] declares the plain accounts.
    A,
    /// Without ActiveSync, and with the other half of the mailboxes enabled.
    B,
}

pub const BOTH: [Side; 2] = [Side::A, Side::B];

impl Side {
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "one",
            Self::B => "two",
        }
    }

    fn plain(self, n: u64) -> (bool, bool) {
        match self {
            Self::A => (n.is_multiple_of(2), n.is_multiple_of(3)),
            Self::B => (!n.is_multiple_of(2), false),
        }
    }

    /// Every file of this revision, with a ring of `ring` accounts: `2 * ring + PLAIN` files.
    pub fn files(self, ring: u64) -> impl Iterator<Item = (String, String)> {
        let plain = (0..PLAIN).map(move |n| {
            let (enabled, sync) = self.plain(n);
            (format!("plain/a{n}.yaml"), manifest(n, enabled, sync))
        });
        let rings = (0..ring).flat_map(move |k| {
            let turned = (k + u64::from(self == Self::B)) % ring;
            // Every file differs, so that every file is written.
            let trap = |k: u64, name: &str| {
                let text = manifest(RING + k, false, false);
                text.replace("metadata:\n", &format!("# {self:?}\nmetadata:\n  labels: {{file: {name}-{self:?}}}\n"))
            };
            let folder = k % 20;
            [
                (format!("ring/{folder}/steady-{k}.yaml"), trap(k, "steady")),
                (format!("ring/{folder}/turning-{k}.yaml"), trap(turned, "turning")),
            ]
        });
        plain.chain(rings)
    }

    pub fn write(self, root: &Path, ring: u64) {
        self.files(ring).for_each(|(path, text)| write(&root.join(path), &text));
    }

    /// From now on this revision is wanted.
    pub fn want(self, trial: &mut Trial) {
        for n in 0..PLAIN {
            let (enabled, sync) = self.plain(n);
            trial.want(n, enabled, sync);
        }
    }
}
