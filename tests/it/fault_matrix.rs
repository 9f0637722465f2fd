//! Every line of the tables of answers, in every form, for every operation, whenever it comes: over real HTTP, with the
//! real client, the real conductor and the real ledger on the disk.
//!
//! In: [`table`]. Out: nothing, or every cell that came to something else than it should, as a table.
//! A cell is lived through in a thread of its own. Nothing waits for a pause: the next life begins when it is over.
//! What is deliberately absent: signals and exit codes, of which [`binary`] has a few.

mod beside;
mod binary;
mod cell;
mod expected;
mod life;
mod operation;
mod scene;
mod table;
mod wire;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::depth::is_full;
use cell::{Cell, Phase, Whose, live_through};
use operation::operations;
use table::{Does, Line, PUTS, TOKENS};

/// Cells that are lived through at the same time. Some spend most of their time waiting for an answer.
const CELLS_AT_A_TIME: usize = 32;

const PHASES: [Phase; 3] = [Phase::First, Phase::Retry, Phase::Shutdown];

/// Every form of every line, for every operation, in these phases.
fn cells(whose: Whose, phases: &[Phase]) -> Vec<Cell> {
    let lines = if whose == Whose::Put { PUTS } else { TOKENS };
    let forms = lines.iter().flat_map(|line| line.forms.iter().map(|form| (line.ends, *form)));
    let cells = forms.enumerate().flat_map(|(number, (ends, form))| {
        operations(number % 2 == 0).flat_map(move |operation| {
            phases.iter().map(move |phase| Cell { whose, ends, form, operation, phase: *phase })
        })
    });
    cells.collect()
}

/// Lives through every cell, and tells of all that came to something else.
fn hold(cells: Vec<Cell>) {
    hold_each(cells, async |cell| {
        let (got, expected) = (live_through(cell).await, cell.expected());
        if got.as_ref() == Ok(&expected) {
            return Ok(());
        }
        let got = got.map_or_else(|error| error, |picture| picture.to_string());
        Err(format!("\n  expected {expected}\n  got      {got}"))
    });
}

/// Lives through every cell in this way, and tells of all that went wrong.
fn hold_each(mut cells: Vec<Cell>, live: impl AsyncFn(&Cell) -> Result<(), String> + Sync) {
    // Those that wait for time to pass go first, all at once.
    cells.sort_by_key(|cell| !matches!(cell.form.does, Does::Silence));
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            if let Err(error) = runtime.block_on(live(cell)) {
                failures.lock().unwrap().push(format!("{cell}: {error}"));
            }
        }
    };
    std::thread::scope(|scope| (0..CELLS_AT_A_TIME).for_each(|_| drop(scope.spawn(work))));
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} cells:\n{}", failures.len(), cells.len(), failures.join("\n"));
}

/// All of the product; by default each form for each operation in one of the phases, in turn.
fn representative(cells: Vec<Cell>) -> Vec<Cell> {
    let phases = PHASES.len();
    let each = phases * operations(true).count();
    let is_chosen = |at: usize| is_full() || at % phases == (at / phases + at / each) % phases;
    cells.into_iter().enumerate().filter(|(at, _)| is_chosen(*at)).map(|(_, cell)| cell).collect()
}

#[test]
fn every_answer_to_a_put_comes_to_what_the_table_says_whenever_it_comes() {
    hold(representative(cells(Whose::Put, &PHASES)));
}

#[test]
fn every_answer_to_a_token_request_comes_to_what_the_table_says_whenever_it_comes() {
    hold(representative(cells(Whose::Token, &PHASES)));
}

#[test]
fn every_answer_to_one_of_two_puts_leaves_the_other_its_due() {
    let mut cells = cells(Whose::Put, &[Phase::OneOfTwo]);
    // One form with a pause and one without speak for all others that end alike.
    let kind = |cell: &Cell| format!("{:?} {:?} {}", cell.operation, cell.ends, cell.form.pause.is_some());
    cells.sort_by_key(kind);
    cells.dedup_by_key(|cell| kind(cell));
    hold(cells);
}

#[test]
fn whatever_one_account_is_answered_at_every_attempt_the_account_beside_it_is_applied() {
    let cells = cells(Whose::Put, &[Phase::Beside]);
    // By default one operation a form, another one for each.
    let each = operations(true).count();
    let is_chosen = |at: usize| is_full() || at % each == at / each % each;
    let cells = cells.into_iter().enumerate().filter(|(at, _)| is_chosen(*at)).map(|(_, cell)| cell);
    hold_each(cells.collect(), beside::live_beside);
}

/// The lines of the table in a module's documentation: answer, outcome and reason.
fn documented(module: &str) -> Vec<[&str; 3]> {
    let rows = module.lines().filter_map(|line| line.strip_prefix("//! | ")).skip(1);
    rows.map(|row| {
        let mut cells = row.split(" | ").map(str::trim);
        std::array::from_fn(|_| cells.next().unwrap_or_default().trim_matches('`'))
    })
    .collect()
}

#[test]
fn the_documented_tables_and_the_matrix_have_the_same_lines() {
    let lines = |table: &'static [Line], whose| -> Vec<[&str; 3]> {
        table.iter().map(|line| [line.answer.trim_matches('`'), line.ends.label(whose), line.ends.reason()]).collect()
    };
    assert_eq!(documented(include_str!("../../src/zoho/response.rs")), lines(PUTS, Whose::Put));
    assert_eq!(documented(include_str!("../../src/zoho/token.rs")), lines(TOKENS, Whose::Token));
}
