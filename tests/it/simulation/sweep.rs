//! One small history, ended before each of its steps: each thing that comes to the process, and each thing it does.
//!
//! In: a number of steps, how the process ends then, what becomes of the request under way, and whether the
//! manifests are reverted before the restart. Out: nothing, or what went against a rule.

use zoho_mail_reconciler::controller::Mode;
use zoho_mail_reconciler::sandbox::Script;

use super::super::depth::pick;
use super::disk::Crash;
use super::folder::wanting;
use super::fuse::Fuse;
use super::life::Story;
use super::proofs::{Proofs, Rule};
use super::service::{FATES, Fate, Network};
use super::{Simulation, on_all_threads};

/// More steps than the history has.
const FOR_EVER: usize = 1_000_000;

/// How the process ends, and what the next one finds.
type End = (Crash, Fate, bool);

fn manifests(reverted: bool) -> [String; 3] {
    let to = |to: bool| Some(to != reverted);
    [(0, [to(false), None]), (1, [to(true), to(false)]), (2, [None, to(true)])]
        .map(|(n, flags)| wanting(n, n, flags).to_string())
}

/// Both directions, a token, an answer that gets lost, a retry.
fn history(seed: u64) -> Simulation {
    let mut simulation = Simulation::begin(seed, None);
    simulation.settings.rate_limit = None;
    simulation.settings.max_concurrency = 2;
    simulation.settings.disruption_budget = "100%".parse().unwrap();
    simulation.folder.write(manifests(false));
    let options = super::options(&simulation.settings);
    {
        let universe = &mut simulation.universe;
        universe.network = Network::new(20, 0);
        universe.proofs = Proofs::new(None, options);
        let lost = r#"{"faults": [{"operation": "put", "nth": 2, "times": 1, "do": "dropAfterActing"}]}"#;
        universe.world.set_faults(Script::parse(lost.as_bytes()).unwrap());
    }
    simulation
}

/// Lives through it for so many steps, and through what follows.
fn end_after(steps: usize, (crash, fate, reverted): End) -> Vec<String> {
    let life = |simulation: &mut Simulation| {
        {
            let universe = &mut simulation.universe;
            (universe.crash, universe.fate) = (Some(crash), Some(fate));
            universe.fuse = Fuse::new(steps);
        }
        simulation.lead(Mode::Run, Story::ToTheEnd);
        simulation.universe.fuse = Fuse::default();
        simulation.folder.write(manifests(reverted));
        simulation.all_is_well();
        simulation.converge();
        simulation.idle();
    };
    let violations = history(steps as u64).violations_of(true, life);
    let tell = |(rule, story): (Rule, String)| format!("{rule:?} after {steps} steps, {crash:?}, {fate:?}:\n{story}");
    violations.into_iter().map(tell).collect()
}

/// How many steps the history has, if nothing ends it.
fn steps() -> usize {
    let mut simulation = history(0);
    simulation.universe.fuse = Fuse::new(FOR_EVER);
    simulation.lead(Mode::Run, Story::ToTheEnd);
    FOR_EVER - simulation.universe.fuse.left()
}

#[test]
fn killed_at_any_step_of_the_write_path_it_converges_and_nothing_is_forgotten() {
    let steps = steps();
    assert!(steps > 30, "{steps} steps are no history");
    let ends = |crash| FATES.into_iter().flat_map(move |fate| [false, true].map(|reverted| (crash, fate, reverted)));
    let ends: Vec<End> = [Crash::Kill, Crash::Power].into_iter().flat_map(ends).collect();
    // Other seeds live a little longer; beyond the end the history is whole.
    let violations = on_all_threads(1..steps as u64 + 20, |steps| {
        // By default every fourth of the ends, another one at each step.
        let (first, step) = pick((steps as usize % 4, 4), (0, 1));
        ends.iter().skip(first).step_by(step).flat_map(|end| end_after(steps as usize, *end)).collect()
    });
    assert!(violations.is_empty(), "{} ends; the first:\n{}", violations.len(), violations[0]);
}
