//! The table of broken variants fits the source, and which of them a short run tries.
//!
//! The trials themselves are `cargo test --test mutants`.

#[path = "../mutants/selection.rs"]
mod selection;
#[path = "../mutants/switches.rs"]
mod switches;
#[path = "../mutants/variants/mod.rs"]
mod variants;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use selection::{PER_SHARE, SHARES, choose};

/// Every Rust file below `folder`, as one text.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    entries.map(|path| if path.is_dir() { sources(&path) } else { text(&path) }).collect()
}

#[test]
fn every_variant_changes_a_text_that_is_in_its_file_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut stale = Vec::new();
    for (file, edits) in variants::edits_by_file(&variants::all()) {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        stale.extend(switches::switched(&text, &edits).err().map(|error| format!("{file}: {error}")));
    }
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}

#[test]
fn every_variant_has_a_name_of_its_own_and_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = sources(&root.join("src")) + &sources(&root.join("tests/it"));
    let (mut names, mut missing) = (BTreeSet::new(), Vec::new());
    for variant in variants::all() {
        assert!(names.insert(variant.name), "two variants are called {}", variant.name);
        assert!(!variant.caught_by.is_empty() && variant.seeds > 0, "{variant:?}");
        let functions = variant.caught_by.iter().filter(|test| !test.starts_with("soak "));
        let functions = functions.map(|test| test.rsplit("::").next().unwrap());
        missing
            .extend(functions.filter(|test| !tests.contains(&format!("fn {test}("))).map(|test| (variant.name, test)));
    }
    assert_eq!(missing, []);
}

#[test]
fn every_invariant_and_every_rule_of_the_simulation_has_two_variants() {
    assert_eq!(variants::too_few(&variants::all()), Vec::<String>::new());
}

const FILES: [&str; 4] = ["a.rs", "b.rs", "c.rs", "d.rs"];

/// Variants of one or two files each, some touched files, a commit's number.
fn cases() -> impl Strategy<Value = (Vec<Vec<&'static str>>, BTreeSet<String>, u64)> {
    let files = || prop::sample::subsequence(FILES.to_vec(), 1..=2);
    let touched = prop::sample::subsequence(FILES.to_vec(), 0..=FILES.len());
    let touched = touched.prop_map(|files| files.into_iter().map(str::to_owned).collect());
    (prop::collection::vec(files(), 0..60), touched, 0..u64::MAX - SHARES)
}

/// Whether the variant edits a touched file.
fn is_touched(files: &[&str], touched: &BTreeSet<String>) -> bool {
    files.iter().any(|file| touched.contains(*file))
}

proptest! {
    #[test]
    fn variants_of_touched_files_are_always_chosen_and_none_twice((edited, touched, number) in cases()) {
        let chosen = choose(&edited, &touched, number);
        let once: BTreeSet<_> = chosen.iter().copied().collect();
        prop_assert_eq!(once.len(), chosen.len());
        for (place, files) in edited.iter().enumerate() {
            prop_assert!(!is_touched(files, &touched) || once.contains(&place), "{} is not chosen", place);
        }
    }

    #[test]
    fn successive_commits_choose_every_variant((edited, touched, number) in cases()) {
        let chosen: BTreeSet<_> =
            (number..number + SHARES).flat_map(|number| choose(&edited, &touched, number)).collect();
        prop_assert_eq!(chosen, (0..edited.len()).collect());
    }

    #[test]
    fn the_touched_go_first_and_keep_the_share_waiting_for_three_trials_at_most((edited, touched, number) in cases()) {
        let chosen = choose(&edited, &touched, number);
        let of_the_share: Vec<_> = chosen.iter().map(|place| !is_touched(&edited[*place], &touched)).collect();
        let share = of_the_share.iter().filter(|is| **is).count();
        for (tried, is_share) in of_the_share.iter().enumerate() {
            let before = of_the_share[..tried].iter().filter(|is| **is).count();
            if *is_share {
                let touched_remain = of_the_share[tried..].iter().any(|is| !is);
                prop_assert!(!touched_remain || tried - before == PER_SHARE * (before + 1));
            } else {
                prop_assert!(before == share || tried - before < PER_SHARE * (before + 1));
            }
        }
    }
}

#[test]
fn where_time_is_short_the_next_commit_begins_with_others() {
    let edited = vec![vec!["a.rs"]; 40];
    let touched = BTreeSet::from(["a.rs".to_owned()]);
    let begins: BTreeSet<_> = (0..SHARES).map(|number| choose(&edited, &touched, number)[0]).collect();
    assert_eq!(begins.len() as u64, SHARES);
}
