//! Promises that the sources keep by themselves: no unsafe code, no other program started, no file made but for its owner.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), fs::read_to_string(path).unwrap()));
        }
    }
    found
}

/// Every line of the program, but for tests, that has one of `words`.
fn lines_with(words: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let all = sources(&root);
    assert!(all.len() > 50, "the sources are where they always were");
    let program = all
        .iter()
        .filter(|(path, _)| path.strip_prefix(&root).unwrap().iter().all(|part| part != "tests.rs" && part != "tests"));
    let found = program.flat_map(|(path, text)| {
        let code = text.lines().take_while(|line| *line != "mod tests {");
        let told = code.filter(|line| words.iter().any(|word| line.contains(word)));
        told.map(|line| format!("{}: {}", path.strip_prefix(&root).unwrap().display(), line.trim()))
    });
    found.collect()
}

#[test]
fn unsafe_code_is_forbidden_and_nobody_allows_it() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    // `forbid`, which no attribute can take back, and not `deny`.
    let lints = manifest.split("[lints.rust]").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(lints.lines().any(|line| line == "unsafe_code = \"forbid\""), "{lints}");
    assert_eq!(lines_with(&["unsafe ", "unsafe_code"]), [""; 0]);
}

#[test]
fn no_other_program_is_ever_started() {
    let starts = lines_with(&["Command::new(", "process::Command", "posix_spawn", "execve", "fork("]);
    // The build script is no part of the program.
    let starts: Vec<_> = starts.iter().filter(|line| !line.starts_with("build.rs: ")).collect();
    assert!(starts.is_empty(), "{starts:#?}");
}

#[test]
fn files_are_made_in_one_place_which_gives_them_to_their_owner() {
    let makes =
        ["File::create", "fs::write(", ".create(true)", ".create_new(true)", "tempfile", "NamedTempFile", "create_dir"];
    let found = lines_with(&makes);
    // The switch is everybody's to read, or the daemon could not see what its administrator set.
    // What was told is kept as the ledger is: a temp file of mode 0600 from the start.
    // Manifests that are exported are files of a repository: who may read them, the mask of the process says.
    let rooms = ["ledger/file/place.rs: ", "switch.rs: ", "notifier/memory.rs: ", "cli/export.rs: "];
    let known = |line: &&String| rooms.iter().any(|room| line.starts_with(room));
    let elsewhere: Vec<_> = found.iter().filter(|line| !known(line)).collect();
    assert!(found.len() > 2 && elsewhere.is_empty(), "{elsewhere:#?}");
    assert_eq!(lines_with(&["temp_dir", "\"/tmp", "tempfile()"]), [""; 0], "nothing lies where others can guess it");
    let modes = lines_with(&["umask", "set_permissions", "chmod("]);
    let modes: Vec<_> = modes.iter().filter(|line| !line.starts_with("switch.rs: ")).collect();
    assert!(modes.is_empty(), "a mode is right from the start: {modes:?}");
}

#[test]
fn every_recipe_gives_secrets_a_mode_that_the_program_takes() {
    let recipe =
        |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)).unwrap();
    let pod = recipe("kubernetes/base/statefulset.yaml");
    let secret = pod.split(" projected:").nth(1).unwrap();
    let mode = secret.lines().find_map(|line| line.trim().strip_prefix("defaultMode: ")).unwrap();
    assert_eq!(u32::from_str_radix(mode, 8).unwrap() & 0o007, 0, "everybody's share of {mode}");
    let secrets = [" secret:", "secretName:", "secretKeyRef:"].map(|word| pod.matches(word).count());
    assert_eq!(secrets, [1, 0, 0], "the one above is the only one");
    // Compose ignores a mode for secrets that are files: who sets it up has to.
    assert!(recipe("container/compose.yaml").contains("chmod 0400 deploy/container/secrets/*"));
    let unit = recipe("systemd/zoho-mail-reconciler.service");
    for name in ["client-id", "client-secret", "refresh-token"] {
        assert!(unit.contains(&format!("LoadCredential={name}:")), "systemd gives {name} mode 0400");
    }
}
