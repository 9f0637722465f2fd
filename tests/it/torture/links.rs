//! Revisions that are published by a link.

use std::time::Duration;

use super::revisions::{PLAIN, Side};
use super::*;

/// Accounts in the ring: enough for a flip to hit the middle of a look.
const RING: u64 = 100;

/// Where the revisions are, and the link that shows one of them.
struct Publisher {
    top: PathBuf,
    link: PathBuf,
    flips: usize,
}

impl Publisher {
    /// Both revisions beside `link`, whole and at rest for long by the time they are shown.
    fn new(link: PathBuf) -> Self {
        let top = link.parent().unwrap().to_owned();
        for side in revisions::BOTH {
            side.write(&top.join(".pool").join(side.name()), RING);
        }
        Self { top, link, flips: 0 }
    }

    /// As git-sync does: a name of its own for each revision, one rename, and the old name goes at once.
    fn show(&mut self, side: Side) {
        let name = |flip: usize| format!("..worktree-{flip}");
        self.flips += 1;
        std::os::unix::fs::symlink(format!(".pool/{}", side.name()), self.top.join(name(self.flips))).unwrap();
        link(name(self.flips), &self.link);
        // There was none before the first.
        let _ = fs::remove_file(self.top.join(name(self.flips - 1)));
    }
}

/// Flips at all speeds, from many in one look to one in many, for longer than anybody is waited for; and somebody else
/// edits what is not published so.
fn flip_again_and_again(mut publisher: Publisher, rig: Rig, edited: Option<PathBuf>) {
    publisher.show(Side::A);
    let mut trial = Trial::begin_with(rig, PLAIN, &[], QUICK);
    Side::B.want(&mut trial);
    let mut side = Side::A;
    for flip in 0..rounds(24, 200) {
        side = side.other();
        publisher.show(side);
        if let Some(edited) = &edited {
            write(edited, &format!("# {flip}\n"));
        }
        // Every third time at any speed, else as long as it takes until somebody looks.
        let flip = flip as u64;
        std::thread::sleep(Duration::from_millis(if flip.is_multiple_of(3) {
            flip * 7 % 80
        } else {
            18 + flip * 5 % 24
        }));
    }
    for side in [side.other(), side] {
        publisher.show(side);
        side.want(&mut trial);
        trial.until_applied("one of the last revisions");
    }
    trial.verdict();
}

/// A rig whose folder is yet to be made.
fn bare() -> Rig {
    let rig = Rig::on_disk(PLAIN);
    fs::remove_dir_all(rig.folder.path().join("desired-state")).unwrap();
    rig
}

#[test]
fn a_folder_that_is_a_link_and_is_flipped_again_and_again_is_never_read_as_two() {
    let rig = bare();
    let publisher = Publisher::new(rig.folder.path().join("desired-state"));
    flip_again_and_again(publisher, rig, None);
}

#[test]
fn a_link_inside_the_folder_that_is_flipped_again_and_again_is_never_read_as_two() {
    let rig = bare();
    let root = rig.folder.path().join("desired-state");
    let publisher = Publisher::new(root.join("current"));
    flip_again_and_again(publisher, rig, Some(root.join("own.yaml")));
}

#[test]
fn a_volume_that_is_swapped_again_and_again_is_never_read_as_two() {
    let rig = bare();
    let root = rig.folder.path().join("desired-state");
    let publisher = Publisher::new(root.join("..data"));
    for key in ["plain", "ring"] {
        std::os::unix::fs::symlink(format!("..data/{key}"), root.join(key)).unwrap();
    }
    flip_again_and_again(publisher, rig, None);
}
