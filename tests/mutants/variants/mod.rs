//! The table of bugs, by the room they live in.
//!
//! In: nothing. Out: every [`Variant`]. Each is a slip that compiles, reads well in a review, and breaks a promise.

mod company;
mod conductor;
mod doors;
mod folder;
mod leaks;
mod ledger;
mod limits;
mod plan;
mod reading;
mod seeing;
mod time;

use std::collections::BTreeMap;

/// How many variants each promise needs: one might be caught by accident.
const LEAST: usize = 2;

/// How many invariants the crate documentation has.
const INVARIANTS: u8 = 18;

/// One bug, and who must catch it.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// A name that says what is wrong.
    pub name: &'static str,
    /// The invariants of the crate documentation that it breaks.
    pub breaks: &'static [u8],
    /// What is changed; mostly one place.
    pub edits: &'static [Edit],
    /// The tests that must fail, each of them: those of the `it` binary by their paths, those of the crate
    /// behind `lib::`, and lines of the soak's table behind `soak `.
    pub caught_by: &'static [&'static str],
    /// How many seeds the simulation needs to meet it.
    pub seeds: u32,
}

/// One changed place.
#[derive(Clone, Copy, Debug)]
pub struct Edit {
    /// The file, from the project's root.
    pub file: &'static str,
    /// A text that is in the file exactly once, its line breaks aside. An expression or whole statements; if more is
    /// needed to be exact, what is replaced stands between « and ».
    pub find: &'static str,
    /// What stands there instead.
    pub replace: &'static str,
}

impl Variant {
    /// For a bug that only a rare history shows.
    const fn rare(self) -> Self {
        Self { seeds: 400, ..self }
    }
}

/// A variant that shows in many seeds, on few lines.
const fn variant(
    name: &'static str,
    breaks: &'static [u8],
    edits: &'static [Edit],
    caught_by: &'static [&'static str],
) -> Variant {
    Variant { name, breaks, edits, caught_by, seeds: 100 }
}

const fn edit(file: &'static str, find: &'static str, replace: &'static str) -> Edit {
    Edit { file, find, replace }
}

/// What the variants change, by file, each with the name of its variant.
pub fn edits_by_file(variants: &[Variant]) -> BTreeMap<&'static str, Vec<(&'static str, &'static Edit)>> {
    let edits = variants.iter().flat_map(|variant| variant.edits.iter().map(move |edit| (variant.name, edit)));
    let mut by_file = BTreeMap::<_, Vec<_>>::new();
    edits.for_each(|(name, edit)| by_file.entry(edit.file).or_default().push((name, edit)));
    by_file
}

/// Every bug.
pub fn all() -> Vec<Variant> {
    [
        conductor::BUGS,
        plan::BUGS,
        limits::BUGS,
        company::BUGS,
        ledger::BUGS,
        folder::BUGS,
        doors::BUGS,
        leaks::BUGS,
        time::BUGS,
        reading::BUGS,
        seeing::BUGS,
    ]
    .concat()
}

/// The invariants and rules that have fewer than two variants, each with how many it has.
pub fn too_few(variants: &[Variant]) -> Vec<String> {
    let invariants = (1..=INVARIANTS).map(|invariant| {
        let count = variants.iter().filter(|variant| variant.breaks.contains(&invariant)).count();
        (format!("invariant {invariant}"), count)
    });
    let rules = RULES.iter().map(|rule| {
        let count = variants.iter().filter(|variant| variant.caught_by.contains(rule)).count();
        ((*rule).to_owned(), count)
    });
    let few = invariants.chain(rules).filter(|(_, count)| *count < LEAST);
    few.map(|(promise, count)| format!("{promise}: {count}")).collect()
}

/// The rules of the simulation, each of which must catch bugs of its own.
const RULES: &[&str] = &[
    ONE_IN_FLIGHT,
    INTENT_FIRST,
    TRUTH,
    WANTED,
    BUDGET,
    PAUSE,
    FREEZE,
    DISRUPTIONS,
    PROTECTED,
    SUM,
    CONVERGES,
    IDLE_RESTART,
    ALIVE,
];

const ONE_IN_FLIGHT: &str = "simulation::at_most_one_request_is_in_flight_per_account";
const INTENT_FIRST: &str = "simulation::an_intent_is_durable_before_its_put_leaves";
const TRUTH: &str = "simulation::the_ledger_never_claims_what_the_service_has_not_acknowledged";
const WANTED: &str = "simulation::nothing_is_put_that_no_manifest_wants_whatever_cannot_be_read";
const BUDGET: &str = "simulation::no_window_exceeds_the_request_budget_even_across_kills";
const PAUSE: &str = "simulation::no_request_leaves_during_a_pause_that_the_service_imposed";
const FREEZE: &str = "simulation::no_request_leaves_while_an_operator_has_suspended_everything";
const DISRUPTIONS: &str =
    "simulation::nothing_is_taken_away_beyond_the_budget_that_no_approval_covers_even_across_kills_and_reverts";
const PROTECTED: &str = "simulation::nothing_is_ever_taken_away_from_a_protected_account";
const SUM: &str = "simulation::planned_is_applied_and_held_and_failed_and_in_doubt";
const CONVERGES: &str = "simulation::in_the_end_the_world_is_as_desired_whatever_happened";
const IDLE_RESTART: &str = "simulation::after_a_successful_pass_the_plan_is_empty_and_a_restart_issues_no_request";
const ALIVE: &str = "simulation::the_conductor_never_spins_never_panics_and_ends_when_it_is_told_to";
