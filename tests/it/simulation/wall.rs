//! A wall clock that is wrong, and is set now and then, while time runs evenly for the world.
//!
//! In: chance. Out: the clock of each process; the rules that hold whatever it shows.
//! What a process has not written down before it dies did not happen to the next one: a clock that is set forward between
//! two runs is as if time had passed, and no ledger can help it. Deliberately absent: rules about deadlines that people
//! write, and those that this simulation checks by moments in records, which a wrong clock made.

use std::time::Duration;

use zoho_mail_reconciler::clock::{Clock, SimulatedWall};
use zoho_mail_reconciler::ledger::Record;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::proofs::Rule;
use super::{Simulation, lock, on_all_threads};
use crate::depth::{number, pick};

/// How many seeds are looked at, by default and in full. In half of them there are approvals, which end by this clock.
const SEEDS: [u64; 2] = [200, 1_000];

/// Whatever the clock shows, these hold, by time that runs evenly.
const RULES: [Rule; 10] = [
    Rule::OneInFlight,
    Rule::IntentFirst,
    Rule::Memory,
    Rule::Truth,
    Rule::Budget,
    Rule::Disruptions,
    Rule::Protected,
    Rule::Converges,
    Rule::IdleRestart,
    Rule::Alive,
];

/// See the module.
#[derive(Default)]
pub struct Wall {
    /// Whether it is ever set.
    moves: bool,
    /// By how many milliseconds it is ahead, as far as the ledger knows.
    ahead: i64,
    /// That of the process that lives.
    shown: Option<SimulatedWall>,
}

fn shifted(now: Timestamp, ahead: i64) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_add_signed(ahead))
}

impl Wall {
    /// The clock of a process that starts `now`.
    pub fn begin(&mut self, now: Timestamp) -> Clock {
        self.shown.insert(SimulatedWall::at(shifted(now, self.ahead))).clock()
    }

    /// It is set, by chance. Returns words for it.
    pub fn set(&self, chance: &mut fastrand::Rng, now: Timestamp) -> Option<String> {
        if !self.moves || chance.u8(0..3) > 0 {
            return None;
        }
        let most: u64 = [10_000, 120_000, 7_200_000, 3 * 365 * 86_400_000][chance.usize(0..4)];
        let by = chance.u64(0..most).cast_signed();
        let ahead = if chance.bool() { by } else { -by };
        self.shown.as_ref()?.set(shifted(now, ahead));
        Some(format!("{ahead} ms ahead"))
    }

    /// It is set right.
    pub fn set_right(&self, now: Timestamp) {
        self.shown.iter().for_each(|shown| shown.set(now));
    }

    /// The next process will know of it.
    pub fn durable(&mut self, record: &Record) {
        if let Record::ClockStepped { from, to } = record {
            self.ahead += to.as_millis().cast_signed() - from.as_millis().cast_signed();
        }
    }
}

/// How soon a process notices that its clock was set: a heartbeat, and some time for the disk.
pub const NOTICED: Duration = Duration::from_millis(1_500);

#[test]
fn a_clock_that_is_set_again_and_again_breaks_no_limit_and_in_the_end_the_world_is_as_desired() {
    let lead = |seed| {
        let simulation = Simulation::begin(seed, None);
        if simulation.folder.has_policies {
            return Vec::new();
        }
        lock(&simulation.universe).wall.moves = true;
        let broken = simulation.violations(true).into_iter().filter(|(rule, _)| RULES.contains(rule));
        broken.map(|(rule, story)| format!("seed {seed} violates {rule:?}:\n{story}")).collect()
    };
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(pick(SEEDS[0], SEEDS[1])),
    };
    let broken = on_all_threads(seeds, lead);
    if let Some(first) = broken.first() {
        panic!("{} violations; the first: {first}", broken.len());
    }
}
