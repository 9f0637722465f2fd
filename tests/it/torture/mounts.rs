//! Mounts that come and go beneath the daemon, in a mount namespace of its own.

use super::*;

/// A mount namespace that nobody else sees, with the right to mount.
const PREFIX: [&str; 3] = ["unshare", "-Urm", "--propagation=private"];

impl Trial {
    /// A command where the daemon is.
    fn inside(&self, command: &[&str]) {
        let target = self.daemon.pid().as_raw_nonzero().to_string();
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--preserve-credentials", "-U", "-m", "-t", &target]).args(command);
        let output = nsenter.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn begin(test: &str, accounts: u64, prefix: &[&str]) -> Option<Trial> {
    let prefix: Vec<String> = PREFIX.iter().chain(prefix).map(|&word| word.to_owned()).collect();
    Trial::begin_if(test, &prefix, || Rig::on_disk(accounts), accounts)
}

#[test]
fn an_empty_mount_over_the_folder_takes_nothing_away_and_its_end_brings_back_what_is_beneath() {
    let Some(mut trial) = begin("mounts", 4, &[]) else { return };
    let root = trial.root();
    let root = root.to_str().unwrap();
    for round in 0..2 {
        let puts = trial.puts();
        trial.inside(&["mount", "-t", "tmpfs", "none", root]);
        trial.until_unknown("found none");
        // An edit beneath the mount: not to be seen from where the daemon is.
        trial.save(1, round == 0, true);
        trial.daemon.signal(Signal::HUP);
        trial.until_unknown("found none");
        assert_eq!(trial.puts(), puts);
        // The daemon holds its folder open, as every program that works in one does.
        trial.inside(&["umount", "-l", root]);
        trial.until_applied("what is beneath");
        trial.save(2, round != 0, true);
        trial.until_applied("it is watched again");
    }
    trial.verdict();
}

#[test]
fn a_mount_that_brings_its_own_manifests_is_read_whole() {
    let Some(mut trial) = begin("mounts", 3, &[]) else { return };
    let (root, other) = (trial.root(), trial.rig.folder.path().join("other"));
    for n in 0..3 {
        trial.want(n, n != 1, true);
        write(&other.join(format!("a{n}.yaml")), &manifest(n, n != 1, true));
    }
    trial.inside(&["mount", "--bind", other.to_str().unwrap(), root.to_str().unwrap()]);
    trial.until_applied("what was mounted");
    trial.want(2, false, false);
    write(&other.join("a2.yaml"), &manifest(2, false, false));
    trial.until_applied("it is watched");
    trial.inside(&["umount", "-l", root.to_str().unwrap()]);
    (0..3).for_each(|n| trial.want(n, n % 2 == 0, n % 3 == 0));
    trial.until_applied("what is beneath");
    trial.verdict();
}

#[test]
fn a_mount_over_a_part_of_the_folder_is_found_by_the_resync() {
    let Some(mut trial) = begin("mounts", 3, &[]) else { return };
    let (part, other) = (trial.root().join("part"), trial.rig.folder.path().join("other"));
    fs::create_dir(&part).unwrap();
    fs::rename(trial.file(1), part.join("a1.yaml")).unwrap();
    write(&other.join("a1.yaml"), &manifest(1, true, false));
    trial.mark();
    trial.want(1, true, false);
    trial.inside(&["mount", "--bind", other.to_str().unwrap(), part.to_str().unwrap()]);
    trial.resync();
    trial.until_applied("what was mounted");
    // Nothing was mounted by way of it: from now on its edits are events.
    trial.want(1, true, true);
    write(&other.join("a1.yaml"), &manifest(1, true, true));
    trial.until_applied("an edit of it");
    trial.inside(&["umount", "-l", part.to_str().unwrap()]);
    trial.want(1, false, false);
    trial.resync();
    trial.until_applied("what is beneath");
    // Those who read it next have no mount.
    trial.verdict();
}

#[test]
fn an_edit_of_an_overlays_lower_layer_is_found_by_the_resync() {
    let layers = tempfile::tempdir().unwrap();
    let (upper, work) = (layers.path().join("upper"), layers.path().join("work"));
    fs::create_dir(&upper).unwrap();
    fs::create_dir(&work).unwrap();
    let options = format!("upperdir={},workdir={},userxattr", upper.display(), work.display());
    // The program's own words name the folder; the layer beneath has the same name.
    let script = format!(
        "for word; do case $last in --desired-state) root=$word;; esac; last=$word; done; \
         mount -t overlay none -o lowerdir=$root,{options} $root && exec \"$@\""
    );
    let Some(mut trial) = begin("an overlay", 3, &["sh", "-c", &script, "sh"]) else { return };
    let puts = trial.puts();
    trial.want(1, true, true);
    fs::write(trial.file(1), manifest(1, true, true)).unwrap();
    trial.resync();
    trial.until_applied("the edit");
    assert_eq!(trial.puts(), puts + 2);
    trial.verdict();
}
