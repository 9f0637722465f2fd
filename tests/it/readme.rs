//! README.md and the pages it leads to say nothing that the program does not do, and tests/README.md names no test that
//! is not there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use zoho_mail_reconciler::change::{Failure, Outcome};
use zoho_mail_reconciler::condition::Reason;
use zoho_mail_reconciler::metrics::Metrics;
use zoho_mail_reconciler::report::Report;
use zoho_mail_reconciler::throttle::Wait;
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::zoho::DataCenter;

use super::cli::{BINARY, masked};

const README: &str = include_str!("../../README.md");
const SETUP: &str = include_str!("../../deploy/setup.md");
const REFERENCE: &str = include_str!("../../deploy/reference.md");
const PAGES: [&str; 5] =
    [README, SETUP, REFERENCE, include_str!("../../deploy/safety.md"), include_str!("../../deploy/ci/README.md")];

/// How many words the first page has at most: what is read before the first command is typed.
const WORDS: usize = 1500;

const TESTS: &str = include_str!("../README.md");

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let of = |page: &'static str| page.split(opening.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap());
    PAGES.into_iter().flat_map(of).collect()
}

/// Every piece of text that begins with `prefix` and goes on with letters, digits and `more`.
fn words(prefix: &str, more: &str) -> BTreeSet<&'static str> {
    let after = |page: &'static str, at: usize| {
        let rest = &page[at..];
        let length = rest[prefix.len()..].find(|c: char| !c.is_ascii_alphanumeric() && !more.contains(c));
        &rest[..prefix.len() + length.unwrap_or(rest.len() - prefix.len())]
    };
    PAGES.into_iter().flat_map(|page| page.match_indices(prefix).map(move |(at, _)| after(page, at))).collect()
}

#[test]
fn what_the_console_shows_is_what_a_fresh_clone_shows() {
    let place = tempfile::tempdir().unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/desired-state");
    assert!(Command::new("cp").args(["-r", folder, "."]).current_dir(&place).status().unwrap().success());
    let mut commands = 0;
    for block in blocks("console") {
        for part in block.split("$ ").skip(1) {
            let (line, expected) = part.split_once('\n').unwrap();
            let arguments = line.strip_prefix("zoho-mail-reconciler ").unwrap().split(' ');
            let mut command = Command::new(BINARY);
            let output = command.args(arguments).current_dir(&place).env_clear().output().unwrap();
            let shown = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "{line}: {shown}{}", String::from_utf8_lossy(&output.stderr));
            // "..." stands for whatever follows; ages are not what the page is about.
            let (shown, expected) = (ageless(&shown), ageless(expected));
            match expected.split_once("...\n") {
                Some((beginning, _)) => assert!(shown.starts_with(beginning), "{line}:\n{shown}"),
                None => assert_eq!(shown, expected, "{line}"),
            }
            commands += 1;
        }
    }
    assert!(commands >= 4, "the page shows the commands at work");
}

fn ageless(text: &str) -> String {
    let line = |line: &str| {
        let is_age = |word: &str| word.strip_suffix('s').is_some_and(|number| number.parse::<u32>().is_ok());
        match line.rsplit_once(' ') {
            Some((rest, last)) if is_age(last) => format!("{} AGE\n", rest.trim_end()),
            _ => format!("{line}\n"),
        }
    };
    masked(text).lines().map(line).collect()
}

#[test]
fn every_command_line_is_understood() {
    let mut lines = BTreeSet::new();
    for code in blocks("sh").into_iter().flat_map(str::lines).chain(PAGES.into_iter().flat_map(|page| page.split('`')))
    {
        let Some((_, arguments)) = code.split_once("zoho-mail-reconciler ") else { continue };
        let end = arguments.find([';', '|', '#', '\n', '<', '>']).unwrap_or(arguments.len());
        let after_a_word =
            code.split_once("zoho-mail-reconciler ").is_some_and(|(before, _)| !before.trim().is_empty());
        if !after_a_word {
            lines.insert(arguments[..end].split(" -- ").last().unwrap().trim());
        }
    }
    assert!(lines.len() > 10, "{lines:?}");
    for line in lines {
        // An option that is not there, or a bad value, is found before --help is shown.
        let output = Command::new(BINARY).args(line.split_whitespace()).arg("--help").env_clear().output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // The one command that stands behind cargo's own arguments.
    assert!(README.contains("cargo run --release -- run --sandbox"));
}

#[test]
fn every_option_and_variable_exists() {
    let mut command = zoho_mail_reconciler::cli::command();
    command.build();
    let arguments: Vec<_> = command.get_subcommands().flat_map(clap::Command::get_arguments).collect();
    let options: BTreeSet<_> = arguments.iter().filter_map(|argument| argument.get_long()).collect();
    for option in words("--", "-").into_iter().map(|option| option.trim_start_matches('-')) {
        let of_others = ["", "release", "data", "open", "test", "locked", "path", "version"].contains(&option);
        assert!(of_others || option == "help" || options.contains(option), "--{option}");
    }
    let mut variables: BTreeSet<_> = arguments.iter().filter_map(|a| a.get_env()?.to_str()).collect();
    variables.extend(["CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN", "ACCESS_TOKEN"].map(|name| match name {
        "CLIENT_ID" => "ZOHO_MAIL_CLIENT_ID",
        "CLIENT_SECRET" => "ZOHO_MAIL_CLIENT_SECRET",
        "REFRESH_TOKEN" => "ZOHO_MAIL_REFRESH_TOKEN",
        _ => "ZOHO_MAIL_ACCESS_TOKEN",
    }));
    for variable in words("ZOHO_MAIL_", "_") {
        assert!(variables.contains(variable), "{variable}");
    }
}

#[test]
fn every_metric_is_in_the_table_and_every_one_of_the_table_exists() {
    let metrics = Metrics::new();
    // What has a label appears with its first value.
    let failure = Failure { reason: Reason::Forbidden, message: "".into() };
    metrics.reconciled(&Outcome::Rejected(failure), Duration::ZERO, Timestamp::from_millis(0));
    metrics.api_request("token", 200, Duration::ZERO);
    metrics.waited(Wait::TokenLimit, Duration::from_secs(1));
    metrics.token_answered("granted");
    metrics.notified("sent");
    let text = metrics.text(&Report::default(), Timestamp::from_millis(0));
    let there = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let there: BTreeSet<_> = there.collect();
    assert_eq!(words("zoho_mail_reconciler_", "_"), there);
}

#[test]
fn every_test_that_proves_a_promise_exists() {
    let output = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    let tests = String::from_utf8(output.stdout).unwrap();
    let section = TESTS.split("## What is promised").nth(1).unwrap();
    let mut named = 0;
    for row in section.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let proofs = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for name in proofs.split('`').skip(1).step_by(2) {
            let is_there = |test: &str| test.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
            let script = name.starts_with(".ci/") && Path::new(env!("CARGO_MANIFEST_DIR")).join(name).is_file();
            assert!(script || tests.lines().any(is_there), "there is no test {name}");
            named += 1;
        }
    }
    assert!(named > 12, "only {named} tests are named");
}

#[test]
fn the_data_centers_are_those_of_the_program() {
    use clap::ValueEnum as _;
    for center in DataCenter::value_variants() {
        let row =
            format!("| `{}` | {} | {} |\n", center.as_str(), center.accounts_url().host(), center.mail_url().host());
        assert!(SETUP.contains(&row), "{row}");
    }
    assert_eq!(SETUP.matches("| accounts.zoho").count(), DataCenter::value_variants().len());
}

#[test]
fn the_example_is_a_manifest() {
    use zoho_mail_reconciler::account::AuthMode;
    use zoho_mail_reconciler::manifest::{Rules, parse};
    for example in blocks("yaml") {
        let parsed =
            parse(&"README.md".into(), example.as_bytes(), Rules { auth: AuthMode::Admin, ..Rules::default() });
        assert_eq!(parsed.problems, []);
        assert!(parsed.documents.len() + parsed.policies.len() > 0, "{example}");
    }
}

#[test]
fn every_exit_code_is_explained() {
    for code in [0, 1, 2, 3, 4, 5, 64] {
        assert!(README.contains(&format!("\n| {code} | ")), "{code}");
    }
}

#[test]
fn lines_are_short_enough_to_review_outside_of_tables() {
    let long = PAGES.into_iter().flat_map(str::lines);
    let long = long.filter(|line| !line.starts_with('|') && line.chars().count() > 120);
    assert_eq!(long.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_first_page_is_read_in_minutes_and_leads_to_the_others() {
    let words = README.split_whitespace().count();
    assert!(words <= WORDS, "{words} words");
    for page in ["deploy/README.md", "deploy/setup.md", "deploy/reference.md", "deploy/safety.md", "deploy/runbook.md"]
    {
        assert!(README.contains(&format!("({page})")), "{page}");
    }
}

#[test]
fn what_is_pasted_into_bash_is_bash() {
    for block in blocks("sh") {
        let output = Command::new("bash").args(["-n", "-c", block]).output().unwrap();
        assert!(output.status.success(), "{block}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_path_of_the_repository_exists() {
    for prefix in ["deploy/", "desired-state/"] {
        for path in words(prefix, "/-_.").into_iter().filter(|path| !path.contains(".yaml")) {
            let there = Path::new(env!("CARGO_MANIFEST_DIR")).join(path.trim_end_matches('.'));
            assert!(there.exists(), "{path}");
        }
    }
}
