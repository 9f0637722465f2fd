//! The benchmarks: what the program costs, beside bare loops that do the same work without it.
//!
//! In: `BENCH_SIZES`, numbers of accounts with commas (1000,10000,100000 unless told). Out: one
//! Markdown table on standard output, with each aim reached or not; progress on standard error.
//! Everything that is measured is a process of its own, the bare loop of PUTs as well; only the
//! simulated service lives here, a third party to both. What is compared is measured in turns, so
//! that a busy machine slows down both alike.
//!
//! For each size, in this order: a folder is made and checked (`validate`), everything in it is applied to a fresh ledger
//! (`converge`), started again with nothing to do (`cold`), then watched while single files are edited (`edit`).
//! Deliberately absent: statistics beyond the median, and a memory of earlier runs.

mod child;
mod cold;
mod converge;
mod edit;
mod folder;
mod service;
mod table;
mod validate;

use std::time::Duration;

use anyhow::Context;

use folder::Folder;
use service::Service;
use table::{Aim, Table};

/// The sizes that are published: a company, a large one, and ten times the largest we heard of.
const SIZES: &str = "1000,10000,100000";

/// The aims, as the project published them before anything was measured.
const COLD_MOST: f64 = 2.0;
const EDIT_MOST: Duration = Duration::from_millis(20);
const MEMORY_MOST: f64 = 1024.0;
const CONVERGENCE_LEAST: f64 = 0.6;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((converge::BARE, order)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return converge::bare(order);
    }
    let sizes = std::env::var("BENCH_SIZES").unwrap_or_else(|_| SIZES.to_owned());
    let sizes = sizes.split(',').map(|size| size.trim().parse::<u64>());
    let sizes: Vec<u64> = sizes.collect::<Result<_, _>>().context("BENCH_SIZES: expected numbers with commas")?;
    let runtime = tokio::runtime::Runtime::new()?;
    let service = Service::start(&runtime)?;
    // The real disk, not a tmpfs: making things durable is part of what is measured.
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let base = edit::idle_peak(&service, scratch.path())?;
    let mut results = Vec::new();
    for size in &sizes {
        results.push(measure(*size, &service, scratch.path(), base).with_context(|| format!("with {size} accounts"))?);
    }
    println!("{}", render(&sizes, &results));
    Ok(())
}

/// What one size came to.
struct Measured {
    validated: Duration,
    cold: cold::Cold,
    edit: edit::Edit,
    convergence: Vec<converge::Convergence>,
    /// Peak memory of the daemon with nothing to do, and of applying everything, in bytes an account.
    memory: [f64; 2],
}

fn measure(size: u64, service: &Service, scratch: &std::path::Path, base: u64) -> anyhow::Result<Measured> {
    eprintln!("{size} accounts: making the folder");
    let home = scratch.join(size.to_string());
    let folder = Folder::generate(home.join("desired-state"), size)?;
    let ledger = home.join("ledger.json");
    eprintln!("{size} accounts: validating everything");
    let validated = validate::measure(&folder)?;
    let mut convergence = Vec::new();
    for concurrency in [4, 16] {
        eprintln!("{size} accounts: applying everything, {concurrency} in flight");
        convergence.push(converge::measure(&folder, &ledger, service, concurrency)?);
    }
    eprintln!("{size} accounts: cold start with nothing to do");
    let cold = cold::measure(&folder, &ledger, service)?;
    eprintln!("{size} accounts: single edits");
    let edit = edit::measure(&folder, &ledger, service)?;
    let an_account = |peak: u64| peak.saturating_sub(base) as f64 / size as f64;
    let busiest = convergence.iter().map(|convergence| convergence.peak).max().unwrap_or_default();
    let memory = [an_account(edit.peak_idle), an_account(busiest)];
    std::fs::remove_dir_all(home)?;
    Ok(Measured { validated, cold, edit, convergence, memory })
}

fn render(sizes: &[u64], results: &[Measured]) -> Table {
    let mut table = Table::new(sizes);
    let each = |cell: &dyn Fn(&Measured) -> String| results.iter().map(cell).collect::<Vec<_>>();
    let all = |text: String, reached: &dyn Fn(&Measured) -> bool| Aim {
        text,
        reached: results.iter().map(reached).collect(),
    };
    table.row("Checking every file (`validate`)", each(&|r| table::millis(r.validated)), None);
    table.row("Cold start, nothing to do (`apply`)", each(&|r| table::millis(r.cold.ours)), None);
    table.row("Bare loop that reads the same files", each(&|r| table::millis(r.cold.bare)), None);
    table.row(
        "Ratio",
        each(&|r| format!("{:.1}x", r.cold.ratio)),
        Some(all(format!("at most {COLD_MOST:.0}x"), &|r| r.cold.ratio <= COLD_MOST)),
    );
    table.row(
        "Requests of such a start",
        each(&|r| r.cold.requests.to_string()),
        Some(all("none".to_owned(), &|r| r.cold.requests == 0)),
    );
    table.row(
        "One edit to its PUT, beyond the debounce: median (worst)",
        each(&|r| format!("{} ({})", table::millis(r.edit.median), table::millis(r.edit.worst))),
        Some(all(format!("median at most {}", table::millis(EDIT_MOST)), &|r| r.edit.median <= EDIT_MOST)),
    );
    table.row("Journal, bytes a PUT", each(&|r| format!("{:.0}", r.edit.journal)), None);
    for (which, name) in ["with nothing to do (`run`)", "applying everything (`apply`)"].into_iter().enumerate() {
        table.row(
            &format!("Peak memory an account, {name}"),
            each(&|r| format!("{:.0} B", r.memory[which])),
            Some(all("at most 1 KiB".to_owned(), &|r| r.memory[which] <= MEMORY_MOST)),
        );
    }
    let counts = results.iter().map(|result| result.convergence.len()).min().unwrap_or_default();
    for which in 0..counts {
        let concurrency = results[0].convergence[which].concurrency;
        let rate = |rate: f64| format!("{rate:.0}/s");
        table.row(
            &format!("Applying everything, {concurrency} in flight: durable PUTs"),
            each(&|r| rate(r.convergence[which].ours)),
            None,
        );
        table.row("Bare loop of the same PUTs", each(&|r| rate(r.convergence[which].bare)), None);
        table.row(
            "Ratio",
            each(&|r| format!("{:.0} %", r.convergence[which].ratio * 100.0)),
            Some(all(format!("at least {:.0} %", CONVERGENCE_LEAST * 100.0), &|r| {
                r.convergence[which].ratio >= CONVERGENCE_LEAST
            })),
        );
    }
    table
}
