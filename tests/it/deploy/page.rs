//! `deploy/README.md` says nothing that is not so.

use std::path::Path;
use std::process::Command;

use zoho_mail_reconciler::throttle::RateLimit;

use super::text;
use crate::cli::BINARY;

const COMMAND: &str = "zoho-mail-reconciler ";

/// The page's fenced blocks.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_path_of_the_repository_that_it_names_exists() {
    let page = text("README.md");
    let paths = page.split(['`', ' ', ')', ',', ';']).filter(|word| word.starts_with("deploy/"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = paths.inspect(|path| assert!(root.join(path.trim_end_matches('.')).exists(), "{path}")).count();
    assert!(found > 10, "only {found} paths");
}

#[test]
fn every_command_line_is_understood() {
    let page = text("README.md");
    let lines = page.split('`').chain(blocks(&page).into_iter().flat_map(str::lines));
    let ours = lines
        .filter_map(|line| line.split_once(COMMAND).filter(|(before, _)| before.is_empty() || before.ends_with("-- ")));
    let mut seen = 0;
    for (_, arguments) in ours {
        let output =
            Command::new(BINARY).args(arguments.split_whitespace()).arg("--help").env_clear().output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} command lines");
    for block in blocks(&page) {
        let output = Command::new("bash").args(["-n", "-c", block]).output().unwrap();
        assert!(output.status.success(), "{block}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_price_of_a_lost_volume_is_reckoned_with_the_real_budget() {
    let page = text("README.md");
    let RateLimit { count, per } = RateLimit::default();
    for (accounts, puts, told) in
        [(100, "200", "8 minutes"), (1_000, "2,000", "80 minutes"), (10_000, "20,000", "13 hours 20 minutes")]
    {
        let takes = per * (accounts * 2) / count;
        assert_eq!(takes, humantime::parse_duration(told).unwrap());
        let thousands = if accounts < 1000 { accounts.to_string() } else { format!("{},000", accounts / 1000) };
        assert!(page.contains(&format!("| {thousands} | {puts} | {told} |")), "{accounts}");
    }
    assert!(page.contains(&format!("At {count} requests a minute:")));
}

#[test]
fn lines_are_short_enough_to_review_outside_of_tables() {
    let page = text("README.md");
    let long = page.lines().filter(|line| !line.starts_with('|') && line.chars().count() > 120);
    assert_eq!(long.collect::<Vec<_>>(), [""; 0]);
}
