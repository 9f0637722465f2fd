//! A folder that lost all it had is in doubt, whatever its files were when they went.

use std::os::unix::fs::symlink;

use super::*;

fn gone(told: &[Batch<String>]) -> Vec<&str> {
    let files = told.iter().flat_map(|batch| &batch.files);
    files.filter(|(_, look)| *look == Look::Gone).map(|(path, _)| &**path).collect()
}

/// Writes a file again and again, until it is told that it never rests.
fn keep_busy(stage: &mut Stage, path: usize) -> Vec<Batch<String>> {
    let busy = |n: u32| {
        stage.edit(&edits::Edit::Write(path, n.to_string()));
        stage.report_edit(edits::PATHS[path]);
        stage.pass(Duration::from_millis(150))
    };
    (0..90).flat_map(busy).collect()
}

fn is_unknown(told: &[Batch<String>]) -> bool {
    told.last().is_some_and(|batch| matches!(batch.root, Root::Unknown(_)))
}

#[test]
fn a_file_that_became_a_problem_before_its_folder_was_emptied_is_not_gone() {
    for with_another in [false, true] {
        let mut stage = Stage::within("state", quiet());
        let at = |name: &str| stage.folder.path().join("state").join(name);
        let (file, another) = (at("a.yaml"), at("astray"));
        fs::write(&file, "one").unwrap();
        if with_another {
            // Like `lost+found` on a disk that was mounted over the folder.
            symlink("/etc/passwd", another).unwrap();
        }
        assert_eq!(files(&stage.pass(SECOND))[0], r#"a.yaml Read("one")"#);
        let told = files(&keep_busy(&mut stage, 0));
        assert_eq!(told, [format!("a.yaml {:?}", Look::<String>::Problem(ReadProblem::BeingWritten))]);
        fs::remove_file(&file).unwrap();
        stage.report_edit("a.yaml");
        let mut told = stage.pass(SECOND);
        assert!(is_unknown(&told), "beside another problem: {with_another}");
        stage.edit(&edits::Edit::Resync);
        told.extend(stage.pass(10 * SECOND));
        assert!(is_unknown(&told), "and it stays so");
        assert_eq!(gone(&told), [""; 0]);
        fs::write(&file, "two").unwrap();
        stage.edit(&edits::Edit::Resync);
        assert_eq!(files(&stage.pass(10 * SECOND)), [r#"a.yaml Read("two")"#]);
    }
}

#[test]
fn a_folder_that_lost_all_it_had_is_in_doubt_even_if_nothing_there_could_be_read() {
    let mut stage = Stage::within("state", quiet());
    let path = stage.folder.path().join("state").join("a.yaml");
    let large = fs::File::create(&path).unwrap();
    large.set_len(crate::source::MAX_FILE + 1).unwrap();
    stage.pass(SECOND);
    fs::remove_file(&path).unwrap();
    stage.report_edit("a.yaml");
    // As a look at everything has it: there is no manifest at all.
    let told = stage.pass(SECOND);
    assert!(is_unknown(&told));
    assert_eq!(gone(&told), [""; 0]);
}

/// A file that is never at rest holds back what there is to tell until nobody waits any longer. If just then all files
/// go, one is missed for a debounce before another: by a look that was due anyhow, not by the events.
#[test]
fn a_folder_that_is_being_emptied_when_patience_ends_loses_nothing() {
    let at_rest = Duration::from_millis(150);
    for late in (4_000..5_600).step_by(25) {
        for stir in [false, true] {
            let mut stage = Stage::within("state", quiet());
            stage.edit(&edits::Edit::Write(0, "one".into()));
            stage.edit(&edits::Edit::Write(1, "one".into()));
            stage.pass(SECOND);
            stage.edit(&edits::Edit::Write(2, "new".into()));
            edits::PATHS.iter().for_each(|path| stage.report_edit(path));
            let mut told = Vec::new();
            for n in 0..late / 150 {
                stage.edit(&edits::Edit::Write(1, n.to_string()));
                told.extend(stage.pass(at_rest));
            }
            told.extend(stage.pass(Duration::from_millis(late % 150)));
            stage.edit(&edits::Edit::RemoveAll);
            edits::PATHS.iter().for_each(|path| stage.report_edit(path));
            for _ in 0..8 {
                told.extend(stage.pass(Duration::from_millis(100)));
                if stir {
                    stage.report_edit("d.yaml");
                }
            }
            told.extend(stage.pass(SECOND));
            assert_eq!(gone(&told), [""; 0], "removed after {late} ms, more events: {stir}");
            assert!(is_unknown(&told));
        }
    }
}

#[test]
fn without_the_folder_that_is_needed_nothing_is_told_and_nothing_is_gone() {
    let needs = Some("policy".to_owned());
    let mut stage = Stage::within("policy", Watch { needs, poll: 10 * SECOND, ..quiet() });
    stage.keeper.root = stage.folder.path().to_owned();
    stage.write("a.yaml", "one");
    stage.write("policy/limits.yaml", "two");
    assert_eq!(stage.pass(SECOND)[0].files.len(), 2);
    let (policy, aside) = (stage.folder.path().join("policy"), stage.folder.path().join(".aside"));
    fs::rename(&policy, &aside).unwrap();
    stage.write("a.yaml", "three");
    let told = stage.pass(20 * SECOND);
    assert!(
        matches!(&told[..], [Batch { files, root: Root::Unknown(why), .. }] if files.is_empty() && why.contains("policy"))
    );
    fs::rename(&aside, &policy).unwrap();
    assert_eq!(files(&stage.pass(20 * SECOND)), [r#"a.yaml Read("three")"#]);
}
