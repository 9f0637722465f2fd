//! The house rules, held by a test: who may import whom, what pure rooms may not name, how long a file
//! may be, and that every promise has its proof.
//!
//! In: the sources as they are in the repository. Out: every place that breaks a rule, with the rule.
//! A rule that has to bend bends in one of the tables below, where a reader sees it.

mod imports;

use std::fs;
use std::path::{Path, PathBuf};

/// The longest file, in lines.
const LINES_MAX: usize = 400;

/// The longest function, in lines. `Metrics::new` is longer, a table of names and words that is read as one;
/// and so may be a test that shows what is printed.
const FUNCTION_MAX: usize = 70;

/// A source file of this repository.
struct Source {
    /// Relative to the repository, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// The program's own text: without comments, and without the tests at its end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = (1..).zip(self.text.lines());
        let before_tests = numbered.take_while(|(_, line)| *line != "mod tests {");
        before_tests.map(|(number, line)| (number, line.split("//").next().unwrap_or(line)))
    }

    /// Only for tests: their own files, and the values they share.
    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.starts_with("tests/") || self.path.contains("/tests/") || ["tests.rs", "samples.rs"].contains(&name)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            walk(&entry, found);
        } else {
            found.push(entry);
        }
    }
}

/// Every text file under the given files and folders.
fn texts(places: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for place in places.iter().map(|place| root().join(place)) {
        if place.is_dir() { walk(&place, &mut found) } else { found.push(place) }
    }
    found.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).ok()?;
        Some(Source { path: path.strip_prefix(root()).ok()?.to_str()?.to_owned(), text })
    };
    found.into_iter().filter_map(read).collect()
}

fn rust(places: &[&str]) -> Vec<Source> {
    let sources: Vec<_> = texts(places).into_iter().filter(|source| source.path.ends_with(".rs")).collect();
    assert!(sources.len() > 20, "the sources are where they always were");
    sources
}

fn hold(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn a_file_is_short_has_a_header_and_a_name_that_says_something() {
    let mut broken = Vec::new();
    for Source { path, text } in rust(&["src", "tests"]) {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{path}: {lines} lines, {LINES_MAX} at most; split it"));
        }
        if !text.trim_start_matches("#![no_main]\n").starts_with("//! ") {
            broken.push(format!("{path}: begins without a //! header that says its purpose"));
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        if ["utils.rs", "util.rs", "helpers.rs", "common.rs", "types.rs", "misc.rs"].contains(&name) {
            broken.push(format!("{path}: the name says nothing"));
        }
    }
    hold("files", &broken);
}

#[test]
fn a_function_fits_on_a_page() {
    let mut broken = Vec::new();
    for Source { path, text } in rust(&["src", "tests"]) {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let words =
                ["fn ", "pub fn ", "async fn ", "pub async fn ", "const fn ", "pub const fn ", "pub(super) fn "];
            if !words.iter().any(|word| code.starts_with(word)) || line.ends_with(['}', ';']) {
                continue;
            }
            let end = format!("{}}}", &line[..line.len() - code.len()]);
            let length = lines[at..].iter().position(|line| *line == end).unwrap_or(0) + 1;
            let is_table = path == "src/metrics.rs" && code.starts_with("pub fn new(");
            let is_text = lines[at..at + length].iter().any(|line| line.contains("assert_snapshot!"));
            if length > FUNCTION_MAX && !is_table && !is_text {
                broken.push(format!("{path}:{}: {length} lines, {FUNCTION_MAX} at most", at + 1));
            }
        }
    }
    hold("functions", &broken);
}

#[test]
fn the_lock_file_of_the_fuzz_targets_has_every_dependency_of_the_program() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let lock = fs::read_to_string(root().join("tests/fuzz/Cargo.lock")).unwrap();
    let program =
        lock.split("[[package]]").find(|package| package.contains("name = \"zoho-mail-reconciler\"")).unwrap();
    let normal = manifest.split("\n[dependencies]\n").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap();
    let renamed =
        |line: &str| line.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next().map(str::to_owned));
    let names = normal.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (name, _) = line.split_once(" = ")?;
        Some(renamed(line).unwrap_or_else(|| name.to_owned()))
    });
    let missing: Vec<_> = names.filter(|name| !program.contains(&format!(" \"{name}"))).collect();
    hold("dependencies that `cargo metadata --manifest-path tests/fuzz/Cargo.toml` has to add", &missing);
}

#[test]
fn every_dependency_says_why_it_is_here() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (mut section, mut before, mut broken) = ("", "", Vec::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let is_dependency = section.ends_with("dependencies]") && line.contains('=') && !line.starts_with('#');
        if is_dependency && !line.contains(" # ") && !before.starts_with('#') {
            broken.push(line.to_owned());
        }
        before = line;
    }
    hold("dependencies without a reason", &broken);
}

#[test]
fn nothing_speaks_of_the_place_it_was_made_in() {
    let places = ["src", "tests", "desired-state", "deploy", "README.md", "Cargo.toml", ".gitignore", ".rustfmt.toml"];
    // In two parts each, or this file would be the first to break the rule.
    let words = [("/wo", "rk/"), ("../sha", "red"), ("/tmp/", "plan"), ("issue", " 2"), ("the bri", "ef")];
    let words = words.map(|(a, b)| format!("{a}{b}"));
    let broken: Vec<_> = texts(&places)
        .iter()
        .flat_map(|source| (1..).zip(source.text.lines()).map(|(number, line)| (&source.path, number, line)))
        .filter(|(_, _, line)| words.iter().any(|word| line.to_lowercase().contains(word.as_str())))
        .map(|(path, number, line)| format!("{path}:{number}: {line}"))
        .collect();
    hold("places and people that are not part of the program", &broken);
}

#[test]
fn every_invariant_has_a_test_named_after_it() {
    let proofs = [
        (1, "at_most_one_request_is_in_flight_per_account"),
        (2, "an_intent_is_durable_before_its_put_leaves"),
        (2, "an_intent_is_on_the_disk_before_its_put_leaves"),
        (2, "the_ledger_never_claims_what_the_service_has_not_acknowledged"),
        (3, "after_a_successful_pass_the_plan_is_empty_and_a_restart_issues_no_request"),
        (4, "nothing_is_put_that_no_manifest_wants_whatever_cannot_be_read"),
        (5, "whatever_was_in_doubt_is_settled_by_a_put_of_what_is_desired_now"),
        (6, "no_window_exceeds_the_request_budget_even_across_kills"),
        (6, "no_request_leaves_during_a_pause_that_the_service_imposed"),
        (6, "no_request_leaves_while_an_operator_has_suspended_everything"),
        (7, "incremental_reading_and_a_fresh_full_load_give_the_same_desired_state"),
        (8, "an_edit_is_told_a_debounce_after_its_event_and_costs_one_look"),
        (9, "plan_diff_validate_and_status_cannot_write"),
        (9, "the_doctor_only_looks"),
        (10, "planned_is_applied_and_held_and_failed_and_in_doubt"),
        (11, "secrets_are_in_no_log_error_ledger_metric_or_page"),
        (12, "channels_without_a_bound_are_named_here"),
        (12, "a_reader_that_stops_reading_the_log_holds_up_neither_puts_nor_pages_nor_signals"),
        (13, "nothing_is_ever_taken_away_from_a_protected_account"),
        (13, "nothing_is_taken_away_beyond_the_budget_that_no_approval_covers_even_across_kills_and_reverts"),
        (14, "killed_again_and_again_the_history_tells_each_acknowledgement_once"),
        (14, "a_record_that_was_edited_deleted_added_moved_or_cut_off_is_named_by_its_line"),
        (15, "one_account_whose_requests_always_fail_keeps_no_other_from_being_applied"),
        (15, "one_field_that_always_fails_keeps_the_other_of_the_same_account_from_nothing"),
        (15, "a_pass_applies_all_that_the_service_accepts_beside_ten_accounts_that_it_fails"),
        (16, "a_pause_keeps_its_length_whatever_the_clock_does"),
        (16, "a_full_window_of_requests_stays_full_for_its_length_whatever_the_clock_does"),
        (16, "a_window_of_disruptions_keeps_its_length_whatever_the_clock_does"),
        (16, "an_approval_that_was_over_once_stays_over_whatever_the_clock_says_until_another_is_written"),
        (17, "what_the_parser_refuses_is_no_value"),
        (17, "a_file_that_declared_a_budget_keeps_it_for_the_next_process_in_whatever_way_it_is_broken"),
        (17, "a_running_daemon_goes_on_holding_what_a_budget_holds_that_becomes_ignored"),
        (17, "what_a_link_brings_into_the_policy_folder_does_not_count_and_is_a_problem"),
        (18, "two_documents_with_one_address_are_both_held_whatever_its_case_and_both_are_touched_when_that_ends"),
    ];
    let sources = rust(&["src", "tests"]);
    let is_there = |name: &str| sources.iter().any(|source| source.text.contains(&format!("fn {name}(")));
    let broken: Vec<_> = proofs.iter().filter(|(_, name)| !is_there(name)).map(|proof| format!("{proof:?}")).collect();
    hold("invariants without their proof", &broken);
}

#[test]
fn channels_without_a_bound_are_named_here() {
    // The ledger's writer answers each append once, and the appends are bounded by the requests in flight.
    let allowed = ["src/cli/engine.rs"];
    let unbounded = |source: &Source| source.code().any(|(_, line)| line.contains("unbounded_channel("));
    let found: Vec<_> = rust(&["src"]).into_iter().filter(|source| !source.is_test() && unbounded(source)).collect();
    let found: Vec<_> = found.iter().map(|source| source.path.as_str()).collect();
    assert_eq!(found, allowed);
}

#[test]
fn every_key_that_the_program_names_is_in_the_runbook() {
    let keys: Vec<_> = zoho_mail_reconciler::runbook::keys().collect();
    let (mut broken, mut named) = (Vec::new(), 0);
    for source in rust(&["src"]) {
        for (number, line) in source.code() {
            let called =
                line.split("runbook").skip(1).find_map(|rest| rest.trim_start_matches(')').strip_prefix("(\""));
            let Some(key) = called.and_then(|rest| rest.split('"').next()) else { continue };
            named += 1;
            if !keys.contains(&key) {
                broken.push(format!("{}:{number}: {key}", source.path));
            }
        }
    }
    assert!(named >= 2, "only {named}");
    hold("deploy/runbook.md", &broken);
}
