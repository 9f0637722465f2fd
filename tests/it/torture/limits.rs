//! Limits of the system's event queues: too short, too few, none at all.

use super::*;

/// Runs what follows in a user namespace of its own, whose limit of inotify `watches` or `instances` is this.
fn limited(name: &str, to: u32) -> Vec<String> {
    let script = format!("echo {to} > /proc/sys/user/max_inotify_{name} && exec \"$@\"");
    ["unshare", "-Ur", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
}

/// Eight accounts, each in a folder of its own.
fn scattered() -> Rig {
    let rig = Rig::on_disk(8);
    let root = rig.folder.path().join("desired-state");
    for n in 0..8 {
        fs::create_dir(root.join(format!("s{n}"))).unwrap();
        fs::rename(root.join(format!("a{n}.yaml")), root.join(format!("s{n}/a{n}.yaml"))).unwrap();
    }
    rig
}

impl Trial {
    fn edit_scattered(&mut self, n: u64, enabled: bool, sync: bool) {
        self.want(n, enabled, sync);
        write(&self.root().join(format!("s{n}/a{n}.yaml")), &manifest(n, enabled, sync));
    }

    fn until_degraded(&self, why: &str) {
        let says = |said: &&str| said.contains(why) && said.ends_with(&format!("rescanning every {POLL}"));
        self.until("the doubt", || self.report()?["degraded"].as_str().filter(says).map(|_| ()));
        let (_, metrics) = self.daemon.page("/metrics").unwrap();
        assert!(metrics.contains("\nzoho_mail_reconciler_watch_degraded 1\n"), "{metrics}");
    }
}

/// Every edit arrives all the same, and one line says why it may take its time.
fn polls(mut trial: Trial, why: &str) {
    trial.until_degraded(why);
    for n in 0..8 {
        trial.edit_scattered(n, n % 3 != 0, n % 2 != 0);
    }
    trial.until_applied("an edit in every folder");
    let new = trial.root().join("new/a7.yaml");
    fs::create_dir(trial.root().join("new")).unwrap();
    fs::rename(trial.root().join("s7/a7.yaml"), &new).unwrap();
    trial.mark_in("s0/a0.yaml");
    trial.want(7, false, false);
    write(&new, &manifest(7, false, false));
    trial.until_applied("an edit in a new folder");
    trial.warnings = 1;
    trial.verdict();
}

#[test]
fn where_no_watch_is_left_at_the_start_the_folder_is_polled() {
    let prefix = limited("watches", 4);
    if let Some(trial) = Trial::begin_if("no watches", &prefix, scattered, 8) {
        polls(trial, "max_user_watches");
    }
}

#[test]
fn where_no_watch_is_left_for_new_folders_the_folder_is_polled() {
    let prefix = limited("watches", 12);
    let Some(mut trial) = Trial::begin_if("few watches", &prefix, scattered, 8) else { return };
    trial.edit_scattered(0, false, false);
    trial.until_applied("an edit that was an event");
    for n in 0..8 {
        write(&trial.root().join(format!("more/{n}/README.md")), "more folders than watches");
    }
    polls(trial, "max_user_watches");
}

#[test]
fn where_there_is_no_watcher_at_all_the_folder_is_polled() {
    let prefix = limited("instances", 0);
    if let Some(trial) = Trial::begin_if("no instances", &prefix, scattered, 8) {
        polls(trial, "max_user_instances");
    }
}

#[test]
fn an_overflowed_queue_loses_no_edit_and_no_new_folder() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    let mut trial = Trial::begin(4);
    // While it is stopped nobody empties its queue. Each rename is two events.
    trial.daemon.signal(Signal::STOP);
    let (one, two) = (trial.root().join("noise"), trial.root().join("noise2"));
    fs::write(&one, "").unwrap();
    for _ in 0..limit / 4 + 100 {
        fs::rename(&one, &two).unwrap();
        fs::rename(&two, &one).unwrap();
    }
    trial.save(1, true, true);
    trial.want(2, false, true);
    fs::remove_file(trial.file(2)).unwrap();
    let moved = trial.root().join("made/meanwhile/a2.yaml");
    write(&moved, &manifest(2, false, true));
    trial.daemon.signal(Signal::CONT);
    trial.until_applied("what happened during the overflow");
    trial.want(2, true, true);
    write(&moved, &manifest(2, true, true));
    trial.until_applied("an edit in the folder that was made during the overflow");
    assert!(trial.report().unwrap()["degraded"].is_null(), "by its event: nobody polls");
    trial.verdict();
}

#[test]
fn a_manifest_for_which_there_is_no_file_handle_for_a_moment_is_applied_seconds_later() {
    use rustix::process::{Resource, Rlimit, prlimit};
    let mut trial = Trial::begin(2);
    let limit = |files| {
        prlimit(Some(trial.daemon.pid()), Resource::Nofile, Rlimit { current: Some(files), maximum: Some(1024) })
    };
    limit(3).unwrap();
    let text = manifest(1, true, true);
    write(&trial.root().join("a1.yaml"), &text);
    let said = || trial.daemon.said().contains("Too many open files").then_some(());
    trial.until("a manifest that cannot be opened", said);
    limit(1024).unwrap();
    // Nothing happens to the folder from here on.
    trial.want(1, true, true);
    trial.until_applied("the edit");
    trial.verdict();
}
