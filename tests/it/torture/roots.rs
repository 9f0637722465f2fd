//! The folder itself: removed, moved, emptied, replaced, and what leads to it.

use super::*;

/// A way to take the folder, the first path, away; the second one is where it may go.
type Way = fn(&Path, &Path);

/// The same manifests in another folder.
fn copy(trial: &Trial, name: &str) -> PathBuf {
    let other = trial.rig.folder.path().join(name);
    for (&(n, _), _) in trial.last.iter().step_by(2) {
        let value = |field| trial.last[&(n, field)];
        write(&other.join(format!("a{n}.yaml")), &manifest(n, value(Field::Enabled), value(Field::ActiveSyncEnabled)));
    }
    other
}

#[test]
fn a_folder_removed_emptied_moved_away_or_made_unlistable_takes_nothing_away() {
    let mut trial = Trial::begin(4);
    let puts = trial.puts();
    let (root, away) = (trial.root(), trial.rig.folder.path().join("away"));
    // Each, and what of it the daemon says: then the folder comes back as it was.
    let ways: [(&str, Way); 4] = [
        ("found nothing", |root, away| fs::rename(root, away).unwrap()),
        ("found none", |root, away| {
            fs::rename(root, away).unwrap();
            fs::create_dir(root).unwrap();
        }),
        ("found none", |root, away| {
            // Not the folder but its files, one by one.
            fs::create_dir(away).unwrap();
            for file in fs::read_dir(root).unwrap().map(|file| file.unwrap()) {
                fs::rename(file.path(), away.join(file.file_name())).unwrap();
            }
        }),
        ("found something else", |root, away| {
            fs::rename(root, away).unwrap();
            fs::write(root, "a file").unwrap();
        }),
    ];
    for (says, take_away) in ways {
        take_away(&root, &away);
        trial.until_unknown(says);
        assert_eq!(trial.puts(), puts);
        // Whatever is in its place goes; it may be nothing.
        let _ = fs::remove_file(&root);
        let _ = fs::remove_dir(&root);
        fs::rename(&away, &root).unwrap();
        trial.until("certainty", || trial.report()?["desiredUnknown"].is_null().then_some(()));
    }
    assert_eq!(trial.puts(), puts);
    trial.save(1, true, true);
    trial.until_applied("it is still watched");
    trial.verdict();
}

#[test]
fn a_folder_replaced_by_another_is_read_and_watched_at_once() {
    let mut trial = Trial::begin(4);
    let root = trial.root();
    for round in 0..5 {
        trial.want(1, round % 2 == 0, round % 3 == 0);
        let other = copy(&trial, "other");
        if round % 2 == 0 {
            fs::remove_dir_all(&root).unwrap();
        } else {
            fs::rename(&root, trial.rig.folder.path().join(format!("old-{round}"))).unwrap();
        }
        fs::rename(other, &root).unwrap();
        trial.until_applied("the new folder");
        trial.save(2, round % 2 != 0, round % 3 == 0);
        trial.until_applied("an edit in it");
    }
    trial.verdict();
}

#[test]
fn the_target_of_a_link_to_the_folder_may_be_replaced_or_be_another() {
    let mut trial = Trial::begin(3);
    let root = trial.root();
    let real = copy(&trial, "real");
    fs::remove_dir_all(&root).unwrap();
    link("real", &root);
    trial.save(1, true, true);
    trial.until_applied("an edit behind the link");
    for round in 0..3 {
        // The link stays, what it leads to is another one.
        trial.want(1, round % 2 != 0, true);
        let other = copy(&trial, "other");
        fs::rename(&real, trial.rig.folder.path().join(format!("old-{round}"))).unwrap();
        fs::rename(other, &real).unwrap();
        trial.until_applied("the new target");
        trial.save(2, round % 2 == 0, true);
        trial.until_applied("an edit in it");
    }
    trial.verdict();
}
