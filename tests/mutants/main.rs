//! Can the proofs fail? The program with one bug at a time, each of which a test must catch.
//!
//! In: the table of [`variants`]; `MUTANTS`, nothing for all of them, the names of some with commas, or `changed` for
//! those of the files that the latest commits touched and a share of the rest; `MUTANTS_MINUTES`, after which no other
//! trial begins. Out: a Markdown table on standard output: which variant breaks what, which test caught it, how soon.
//! The product stays free of switches: a [`copy`] of it has all bugs at once, each behind a test of the environment,
//! and is built once. Invariant: the copy without a bug passes every test that is named here. That the table fits the
//! source is a test of `it`, `mutants`.
//! Deliberately absent: bugs made by machine. Each of these is one that somebody tired would write.

mod commits;
mod copy;
mod selection;
mod switches;
mod trial;
mod variants;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use trial::{Built, Caught};
use variants::Variant;

/// How many variants are on trial at the same time. Two, for each starts processes of its own.
const AT_ONCE: usize = 2;

/// How long trials may go on where only some are chosen: what a pipeline bears. The build comes on top.
const CHANGED_MINUTES: f64 = 5.0;

/// How long trials are begun at the least, however long the check of the healthy copy took.
const LEAST_TRIALS: Duration = Duration::from_secs(90);

fn main() -> anyhow::Result<()> {
    let all = variants::all();
    let few = variants::too_few(&all);
    ensure!(few.is_empty(), "too few variants: {}", few.join(", "));
    let mutants = std::env::var("MUTANTS").unwrap_or_default();
    let chosen: Vec<&Variant> = match mutants.as_str() {
        "" => all.iter().collect(),
        "changed" => changed(&all),
        names => names.split(',').map(|name| find(&all, name.trim())).collect::<Result<_, _>>()?,
    };
    let minutes = match std::env::var("MUTANTS_MINUTES") {
        Ok(text) => Some(text.parse().with_context(|| format!("MUTANTS_MINUTES: expected a number, found {text:?}"))?),
        Err(_) => (mutants == "changed").then_some(CHANGED_MINUTES),
    };
    let begun = Instant::now();
    let built = Built::build(&copy::make(&all)?)?;
    eprintln!("the copy with all variants: built in {:.0} s", begun.elapsed().as_secs_f64());
    // Without time for a trial at all, the healthy copy would have been judged for nothing.
    let until = minutes.map(|minutes| Instant::now() + Duration::from_secs_f64(60.0 * minutes));
    built.check_healthy(&chosen)?;
    let until = until.map(|until| until.max(Instant::now() + LEAST_TRIALS));
    let caught = try_all(&built, &chosen, until);
    let (tried, missed): (Vec<_>, Vec<_>) = chosen.iter().partition(|variant| caught.contains_key(variant.name));
    print(&tried, &caught);
    if !missed.is_empty() {
        let names: Vec<_> = missed.iter().map(|variant| variant.name).collect();
        println!("{} were not reached in time: {}", missed.len(), names.join(", "));
    }
    ensure!(!tried.is_empty(), "no trial at all in that time");
    let survivors: Vec<_> = tried.iter().filter(|variant| !caught[variant.name].all()).map(|v| v.name).collect();
    ensure!(survivors.is_empty(), "not caught: {}", survivors.join(", "));
    Ok(())
}

/// The variants of what the latest commits touched, and a share of the rest.
fn changed(all: &[Variant]) -> Vec<&Variant> {
    let latest = commits::latest();
    if latest.is_none() {
        eprintln!("no commit is known here: nothing counts as touched, and it is the first share of all");
    }
    let (touched, number) = latest.map(|latest| (latest.touched, latest.number)).unwrap_or_default();
    let concerned: Vec<Vec<String>> = all.iter().map(files_of).collect();
    let concerned: Vec<Vec<&str>> = concerned.iter().map(|files| files.iter().map(String::as_str).collect()).collect();
    let chosen = selection::choose(&concerned, &touched, number);
    let (share, shares) = (number % selection::SHARES + 1, selection::SHARES);
    eprintln!("{} variants of {}: those that were touched, and share {share} of {shares}", chosen.len(), all.len());
    chosen.into_iter().map(|place| &all[place]).collect()
}

/// The files that a variant is about: those that it edits, and those of the tests that must catch it.
fn files_of(variant: &Variant) -> Vec<String> {
    let edited = variant.edits.iter().map(|edit| edit.file.to_owned());
    let tests = variant.caught_by.iter().flat_map(|test| {
        let (below, path) = match test.strip_prefix("lib::") {
            Some(path) => ("src", path),
            None => ("tests/it", *test),
        };
        // `watching::saves::name` stands in watching/saves.rs, or in watching.rs.
        let mut parts: Vec<_> = path.split("::").collect();
        let mut files = Vec::new();
        while parts.pop().is_some() && !parts.is_empty() {
            files.push(format!("{below}/{}.rs", parts.join("/")));
        }
        files.truncate(1);
        files
    });
    edited.chain(tests).collect()
}

/// Every chosen variant on trial, [`AT_ONCE`] at the same time, as long as there is time.
fn try_all(built: &Built, chosen: &[&Variant], until: Option<Instant>) -> BTreeMap<&'static str, Caught> {
    let (next, caught) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let try_the_next = || {
        while until.is_none_or(|until| Instant::now() < until)
            && let Some(variant) = chosen.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let verdict = built.try_out(variant);
            eprintln!("{}: {}", variant.name, verdict.text());
            caught.lock().expect("no trial panics").insert(variant.name, verdict);
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(try_the_next))));
    caught.into_inner().expect("no trial panics")
}

fn find<'a>(all: &'a [Variant], name: &str) -> anyhow::Result<&'a Variant> {
    all.iter().find(|variant| variant.name == name).with_context(|| format!("there is no variant {name}"))
}

fn print(chosen: &[&Variant], caught: &BTreeMap<&str, Caught>) {
    println!("| variant | breaks | caught by | in |\n|---|---|---|---|");
    let mut total = Duration::ZERO;
    for variant in chosen {
        let caught = &caught[variant.name];
        let breaks: Vec<_> = variant.breaks.iter().map(u8::to_string).collect();
        println!(
            "| {} | {} | {} | {:.1} s |",
            variant.name,
            breaks.join(", "),
            caught.text(),
            caught.took.as_secs_f64()
        );
        total += caught.took;
    }
    let all = chosen.iter().filter(|variant| caught[variant.name].all()).count();
    println!("\n{all} of {} variants caught, in {:.0} s of trials", chosen.len(), total.as_secs_f64());
}
