//! What a listing finds in folders made for it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Mutex;

use super::*;

/// Everything beneath `root`, or what is at `path`, one a line.
fn check(root: &Path, path: Option<&str>, expected: &[&str]) {
    let beneath = Beneath::open(root).unwrap();
    let found = Mutex::new(Vec::new());
    let on_find = |path: &str, _| found.lock().unwrap().push(path.to_owned());
    let walk = Walk { beneath: &beneath, ignored: &Ignored::default(), on_find: &on_find, stop: &|| false };
    let mut listing = Listing::default();
    match path {
        Some(path) => listing.add_path(walk, &path.into()).unwrap(),
        None => listing.add_root(walk).unwrap(),
    }
    listing.sort();
    let mut lines: Vec<String> = (listing.targets.iter())
        .map(|target| match &target.kind {
            Kind::File => format!("{}", target.path),
            Kind::Dangling => format!("{} -> nothing", target.path),
            Kind::Bad(problem) => format!("{} !{}", target.path, problem.label()),
        })
        .collect();
    lines.extend(listing.unlisted.iter().map(|path| format!("unknown: {path}")));
    lines.extend(listing.swaps.iter().map(|swap| format!("swap: {}", swap.link)));
    let mut found = found.into_inner().unwrap();
    found.sort();
    lines.push(format!("watched: {}", found.join(" ")));
    assert_eq!(lines, expected);
}

fn folder(files: &[&str], links: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    for (link, target) in links {
        symlink(target, folder.path().join(link)).unwrap();
    }
    folder
}

#[test]
fn manifests_are_found_in_order_and_hidden_or_other_names_are_not() {
    let folder =
        folder(&["b.yaml", "a/z.yml", "a-b.yaml", ".hidden/c.yaml", ".d.yaml", "e.YAML", "f.yaml~", "yaml"], &[]);
    check(folder.path(), None, &["a-b.yaml", "a/z.yml", "b.yaml", "watched:  a"]);
    check(folder.path(), Some("a"), &["a/z.yml", "watched: a"]);
    check(folder.path(), Some("b.yaml"), &["b.yaml", "watched: "]);
    check(folder.path(), Some("absent.yaml"), &["watched: "]);
}

#[test]
fn a_volume_of_kubernetes_is_listed_through_its_links() {
    let folder = folder(
        &["v/..2026_1/x.yaml", "v/..2026_1/sub/y.yaml"],
        &[("v/..data", "..2026_1"), ("v/x.yaml", "..data/x.yaml"), ("v/sub", "..data/sub")],
    );
    let expected = ["v/sub/y.yaml", "v/x.yaml", "swap: v/sub", "swap: v/..data", "watched:  v v/sub v/x.yaml"];
    check(folder.path(), None, &expected);
}

#[test]
fn what_cannot_be_followed_is_named_and_what_may_be_behind_it_is_unknown() {
    let folder = folder(
        &["a/x.yaml"],
        &[("a/circle", ".."), ("out", ".."), ("gone", "nowhere"), ("gone.yaml", "nowhere"), ("turn", "turn")],
    );
    let all = [
        "a/circle !loop",
        "a/x.yaml",
        "gone -> nothing",
        "gone.yaml -> nothing",
        "out !leads_outside",
        "turn !loop",
        "unknown: a/circle",
        "unknown: gone",
        "unknown: gone.yaml",
        "unknown: out",
        "unknown: turn",
        "swap: a/circle",
        "watched:  a",
    ];
    check(folder.path(), None, &all);
    check(folder.path(), Some("a/circle"), &["a/circle !loop", "unknown: a/circle", "swap: a/circle", "watched: "]);
    check(folder.path(), Some("gone/x.yaml"), &["gone -> nothing", "unknown: gone", "watched: "]);
    check(
        folder.path(),
        Some("out/root/x.yaml"),
        &["out/root/x.yaml !leads_outside", "unknown: out/root/x.yaml", "watched: "],
    );
}

#[test]
fn folders_are_followed_to_a_bounded_depth() {
    let folder = tempfile::tempdir().unwrap();
    let deepest = "d/".repeat(MAX_DEPTH);
    fs::create_dir_all(folder.path().join(&deepest).join("d")).unwrap();
    fs::write(folder.path().join(&deepest).join("x.yaml"), "").unwrap();
    fs::write(folder.path().join(&deepest).join("d/y.yaml"), "").unwrap();
    let beneath = Beneath::open(folder.path()).unwrap();
    let mut listing = Listing::default();
    listing
        .add_root(Walk { beneath: &beneath, ignored: &Ignored::default(), on_find: &|_, _| {}, stop: &|| false })
        .unwrap();
    listing.sort();
    let found: Vec<_> = listing.targets.iter().map(|target| target.path.replace("d/", "")).collect();
    assert_eq!(found, ["d", "x.yaml"]);
    assert_eq!(listing.targets[0].kind, Kind::Bad(Box::new(ReadProblem::TooDeep)));
}
