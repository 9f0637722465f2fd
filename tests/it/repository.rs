//! Git repositories that are made in one go, and git's commands in them.
//!
//! In: branches, each with all of its files. Out: a repository with the first branch checked out. One import writes them
//! as one pack: adding thousands of files and committing them takes seconds, this takes as long as the checkout.
//! Deliberately absent: histories. Tests whose subject is who changed what make their own commits.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Git in `folder`, which knows nothing of whoever runs the tests.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    let settings = ["user.name=t", "user.email=t@example.com", "gc.auto=0", "core.fsync=none"];
    git.current_dir(folder).args(settings.iter().flat_map(|setting| ["-c", setting]));
    git.args(arguments).env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE").env("GIT_CONFIG_GLOBAL", "/dev/null");
    git
}

/// Runs it, to its good end.
pub fn git(folder: &Path, arguments: &[&str]) {
    let output = command(folder, arguments).output().expect("git is needed for these tests");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes `top` a repository with these branches, and checks out the first. The files are told by path and text.
pub fn make<F: IntoIterator<Item = (String, String)>>(
    top: &Path,
    branches: impl IntoIterator<Item = (&'static str, F)>,
) {
    let (mut history, mut first) = (String::new(), None);
    for (branch, files) in branches {
        first.get_or_insert(branch);
        write!(history, "commit refs/heads/{branch}\ncommitter t <t@example.com> 0 +0000\ndata 0\n").unwrap();
        for (path, text) in files {
            write!(history, "M 644 inline {path}\ndata {}\n{text}\n", text.len()).unwrap();
        }
    }
    git(top, &["init", "-q", "-b", first.unwrap()]);
    let mut import = command(top, &["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(history.as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
    git(top, &["reset", "-q", "--hard"]);
}
