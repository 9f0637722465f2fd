//! What is over in a moment without an event, and links without end.

use std::os::unix::fs::symlink;

use super::*;

#[test]
fn what_could_not_be_read_for_a_moment_is_read_again_within_seconds() {
    let mut stage = Stage::set(&[("a.yaml", "one")], quiet());
    let path = stage.folder.path().join("b.yaml");
    // The system refuses to open it, root or not.
    symlink("x".repeat(300), &path).unwrap();
    let told = stage.pass(SECOND);
    assert!(matches!(&told[0].files[1].1, Look::Problem(ReadProblem::Unreadable { .. })), "{told:?}");
    assert_eq!(files(&stage.pass(600 * SECOND)), [""; 0], "the same problem is no news");
    fs::remove_file(&path).unwrap();
    stage.write("b.yaml", "two");
    assert_eq!(files(&stage.pass(60 * SECOND)), [r#"b.yaml Read("two")"#], "however long it lasted");
    let mut stage = Stage::set(&[("a.yaml", "one")], quiet());
    let path = stage.folder.path().join("b.yaml");
    symlink("x".repeat(300), &path).unwrap();
    stage.pass(SECOND);
    fs::remove_file(&path).unwrap();
    stage.write("b.yaml", "two");
    assert_eq!(files(&stage.pass(2 * SECOND)), [r#"b.yaml Read("two")"#], "a moment is over in seconds");
}

#[test]
fn a_file_that_was_told_as_gone_in_the_instant_it_was_written_again_is_told_within_seconds() {
    let mut stage = Stage::set(&[("a.yaml", "one"), ("b.yaml", "one")], quiet());
    stage.pass(SECOND);
    fs::remove_file(stage.folder.path().join("a.yaml")).unwrap();
    stage.report("a.yaml");
    assert_eq!(files(&stage.pass(Duration::from_millis(400))), ["a.yaml Gone"]);
    // Nothing says so.
    stage.write("a.yaml", "one");
    assert_eq!(files(&stage.pass(2 * SECOND)), [r#"a.yaml Read("one")"#]);
    fs::remove_file(stage.folder.path().join("a.yaml")).unwrap();
    stage.report("a.yaml");
    stage.pass(SECOND);
    let before = stage.parsed.load(Ordering::Relaxed);
    assert_eq!(files(&stage.pass(600 * SECOND)), [""; 0]);
    assert_eq!(stage.parsed.load(Ordering::Relaxed), before, "what stays away is not looked for without end");
}

#[test]
fn a_maze_of_links_costs_no_more_than_its_links_and_only_they_are_problems() {
    let mut stage = Stage::set(&[("sane.yaml", "one")], quiet());
    let at = |name: String| stage.folder.path().join(name);
    for n in 0..13 {
        fs::create_dir(at(format!("d{n}"))).unwrap();
        fs::write(at(format!("d{n}/a.yaml")), "one").unwrap();
        for step in [1, 3, 5] {
            symlink(format!("../d{}", (n + step) % 13), at(format!("d{n}/to{step}"))).unwrap();
        }
    }
    let told = stage.pass(SECOND);
    assert_eq!((told.len(), &told[0].root), (1, &Root::Ready));
    let (read, bad): (Vec<_>, Vec<_>) = told[0].files.iter().partition(|(_, look)| matches!(look, Look::Read(_)));
    let real = read.iter().filter(|(path, _)| !path.contains("/to")).count();
    assert_eq!((real, read.len()), (14, 1 + 13 * (1 + WAYS_MAX)), "each folder, and some other ways to it");
    let is_link = |(path, look): &&(Arc<str>, Look<String>)| {
        let is_maze = matches!(look, Look::Problem(ReadProblem::TooManyWays | ReadProblem::Loop));
        is_maze && path.rsplit('/').next().is_some_and(|name| name.starts_with("to"))
    };
    assert!(!bad.is_empty() && bad.iter().all(is_link), "{bad:?}");
    assert_eq!(files(&stage.pass(3600 * SECOND)), [""; 0], "the same ways are taken each time");
}
