//! One revision gives way to another, at any moment of a look: what is told is all of one or all of the other.

use super::*;

/// Two versions of 300 files, `..1` and `..2`; the reader itself shows the second one by `show`, when it is half through.
fn changed_in_the_middle_of_a_look(prepare: impl Fn(&Path, &[String]), show: fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let keys: Vec<String> = (0..300).map(|n| format!("{n:03}.yaml")).collect();
    for version in ["1", "2"] {
        fs::create_dir(at(&format!("..{version}"))).unwrap();
        keys.iter().for_each(|key| fs::write(at(&format!("..{version}/{key}")), version).unwrap());
    }
    std::os::unix::fs::symlink("..2", at("..to-2")).unwrap();
    prepare(folder.path(), &keys);
    let (place, seen) = (folder.path().to_owned(), AtomicUsize::new(0));
    let parse: Parse<String> = Arc::new(move |_, bytes| {
        if seen.fetch_add(1, Ordering::Relaxed) == 150 {
            show(&place);
        }
        String::from_utf8_lossy(bytes).into_owned()
    });
    let mut now = Moment { mono: Instant::now(), wall: SystemTime::now() + 60 * SECOND };
    let mut keeper = Keeper::new(folder.path().into(), quiet(), parse, CancellationToken::new(), now.mono);
    let mut told = Vec::new();
    for _ in 0..3 {
        told.extend(keeper.turn(now));
        now.mono = keeper.next_due(now.mono);
    }
    let told: Vec<_> = told.into_iter().flat_map(|batch| batch.files).collect();
    assert_eq!(told.len(), 300, "each once");
    assert!(told.iter().all(|(_, look)| *look == Look::Read("2".to_owned())), "one version only");
}

#[test]
fn a_volume_swapped_in_the_middle_of_a_look_is_looked_at_again() {
    let prepare = |volume: &Path, keys: &[String]| {
        std::os::unix::fs::symlink("..1", volume.join("..data")).unwrap();
        let link = |key| std::os::unix::fs::symlink(format!("..data/{key}"), volume.join(key)).unwrap();
        keys.iter().for_each(link);
    };
    changed_in_the_middle_of_a_look(prepare, |volume| {
        fs::rename(volume.join("..to-2"), volume.join("..data")).unwrap();
    });
}

#[test]
fn a_link_to_a_folder_flipped_in_the_middle_of_a_look_is_looked_at_again() {
    let prepare = |root: &Path, _: &[String]| std::os::unix::fs::symlink("..1", root.join("current")).unwrap();
    changed_in_the_middle_of_a_look(prepare, |root| fs::rename(root.join("..to-2"), root.join("current")).unwrap());
}

#[test]
fn a_checkout_in_the_middle_of_a_look_is_looked_at_again() {
    let prepare = |root: &Path, _: &[String]| {
        fs::create_dir(root.join(".git")).unwrap();
        fs::write(root.join(".git/index"), "1").unwrap();
        fs::rename(root.join("..1"), root.join("files")).unwrap();
    };
    changed_in_the_middle_of_a_look(prepare, |root| {
        fs::read_dir(root.join("..2")).unwrap().map(|file| file.unwrap().file_name()).for_each(|name| {
            fs::rename(root.join("..2").join(&name), root.join("files").join(&name)).unwrap();
        });
        fs::write(root.join(".git/index.lock"), "2").unwrap();
        fs::rename(root.join(".git/index.lock"), root.join(".git/index")).unwrap();
    });
}

#[test]
fn a_checkout_whose_events_are_late_is_told_whole() {
    let mut stage = Stage::set(&[("a.yaml", "one"), ("b.yaml", "one")], quiet());
    fs::create_dir(stage.folder.path().join(".git")).unwrap();
    stage.write(".git/index", "one");
    stage.pass(SECOND);
    ["a.yaml", "b.yaml"].iter().for_each(|file| stage.write(file, "two"));
    stage.write(".git/index.lock", "two");
    fs::rename(stage.folder.path().join(".git/index.lock"), stage.folder.path().join(".git/index")).unwrap();
    stage.report("a.yaml");
    let told = stage.pass(SECOND);
    assert_eq!((told.len(), files(&told)), (1, vec![r#"a.yaml Read("two")"#.into(), r#"b.yaml Read("two")"#.into()]));
}

#[test]
fn revisions_that_come_before_the_last_is_at_rest_are_never_mixed() {
    let mut stage = Stage::set(&[], quiet());
    let revision = |root: &Path, n: u64| {
        fs::create_dir(root.join(format!(".{n}"))).unwrap();
        for file in ["at-rest.yaml", "fresh.yaml"] {
            fs::write(root.join(format!(".{n}/{file}")), n.to_string()).unwrap();
        }
        // Believed after a second look only, which comes after the next flip.
        let fresh = fs::File::options().append(true).open(root.join(format!(".{n}/fresh.yaml"))).unwrap();
        fresh.set_modified(SystemTime::now() + 86_400 * SECOND).unwrap();
        std::os::unix::fs::symlink(format!(".{n}"), root.join(".next")).unwrap();
        fs::rename(root.join(".next"), root.join("current")).unwrap();
    };
    let mut seen = BTreeMap::new();
    let mut live_through = |told: Vec<Batch<String>>| {
        for batch in told {
            seen.extend(batch.files);
            let texts: BTreeSet<String> = seen.values().map(|look| format!("{look:?}")).collect();
            assert!(texts.len() <= 1, "two revisions side by side: {seen:?}");
        }
        seen.len()
    };
    for n in 0..100 {
        revision(stage.folder.path(), n);
        stage.report("current");
        live_through(stage.pass(Duration::from_millis(150)));
    }
    assert_eq!(live_through(stage.pass(SECOND)), 2);
}
