//! The whole below the command line, lived through in simulated time: the real machine of the controller against the
//! simulated service, a journal in memory, and a folder that people edit.
//!
//! In: a seed. Out: nothing, or everything that went against an invariant, with the last events
//! before it and how to live through them again.
//! A seed decides everything: edits, faults, latencies, kills, stops, clocks. A life of the process is a loop without a
//! runtime: the earliest of what is to come comes in, and time is a number, so hours cost what happens in them. The end of
//! the loop is the kill: what was sent may still arrive, what was not yet on the disk is lost or half lost.
//! Deliberately absent: HTTP, YAML on a disk, signals, and the shell of the controller. The fault matrix and the tests with
//! the real binary have those.

mod agenda;
mod beside;
mod broken;
mod dates;
mod disk;
mod economy;
mod folder;
mod fuse;
mod judgement;
mod life;
mod misfortune;
mod outside;
mod past;
mod program;
mod proofs;
mod removals;
mod returns;
mod service;
mod sweep;
mod waits;
mod wall;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use serde_json::Value;
use zoho_mail_reconciler::account::AccountId;
use zoho_mail_reconciler::controller::{Mode, Settings};
use zoho_mail_reconciler::freeze::Freeze;
use zoho_mail_reconciler::guard::{Allowance, GrantBudget};
use zoho_mail_reconciler::ledger::Owner;
use zoho_mail_reconciler::order::Order;
use zoho_mail_reconciler::queue::Backoff;
use zoho_mail_reconciler::sandbox::{self, Account, World};
use zoho_mail_reconciler::throttle::RateLimit;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::depth::number;
use broken::Broken;
use disk::{Crash, Disk};
use folder::{ACCOUNTS, Folder, account, zuid};
use fuse::Fuse;
use life::Story;
use proofs::{Proofs, Rule};
use service::{Fate, Network};
use wall::Wall;

use crate::builders;

/// How many seeds are lived through where `SIMULATION_SEEDS` does not say; from 0 on, or from `SIMULATION_FROM`. The target
/// `seeds` is for more.
const SEEDS: u64 = 500;

/// When every simulation begins: far enough from the epoch for any window to lie before it.
const BEGINNING: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The window of the disruption budget.
const DISRUPTION_WINDOW: Duration = Duration::from_secs(600);

/// How long everybody pauses when not told how long.
const THROTTLE_PAUSE: Duration = Duration::from_secs(90);

/// Everything that outlives the process.
struct Universe {
    chance: fastrand::Rng,
    world: World,
    network: Network,
    disk: Disk,
    proofs: Proofs,
    /// What is wrong with this world, on purpose.
    broken: Option<Broken>,
    /// What processes have for a clock.
    wall: Wall,
    /// The switch that suspends everything: it outlasts any process.
    switch: Option<Freeze>,
    /// The last order to lift a pause: it stays, also for processes to come.
    lift: Option<Order>,
    /// The accounts that never succeed, and what happens to each of their PUTs.
    ill: BTreeMap<AccountId, Value>,
    /// How many requests are enough to apply all others.
    enough: usize,
    /// How many lines of the log wait for a reader, while it is not read.
    unread: Option<usize>,
    /// How long the next process lives.
    fuse: Fuse,
    /// What becomes of requests under way when their sender dies, where that is not up to chance.
    fate: Option<Fate>,
    /// How the next process ends, likewise.
    crash: Option<Crash>,
}

/// What the options allow to be taken away.
fn options(settings: &Settings) -> Allowance {
    settings.allowance()
}

/// One seed's worth of history.
struct Simulation {
    universe: Universe,
    folder: Folder,
    now: Timestamp,
    settings: Settings,
}

impl Simulation {
    fn begin(seed: u64, broken: Option<Broken>) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let per = Duration::from_secs(chance.u64(5..60));
        let limit = RateLimit { count: chance.u32(2..9), per };
        let disruptions = chance.u32(1..4);
        // What is held has not ended.
        let disruptions = if broken == Some(Broken::ForgetsEnds) { 99 } else { disruptions };
        let settings = Settings {
            mode: Mode::Run,
            rate_limit: chance.bool().then_some(limit),
            max_concurrency: chance.usize(1..5),
            request_timeout: REQUEST_TIMEOUT,
            backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) },
            throttle_pause: THROTTLE_PAUSE,
            disruption_budget: disruptions.to_string().parse().unwrap(),
            disruption_window: DISRUPTION_WINDOW,
            grant_budget: GrantBudget(seed.is_multiple_of(3).then(|| "1".parse().unwrap())),
            refresh: None,
            shutdown_grace: Duration::from_secs(25),
            ..builders::settings()
        };
        let budget = misfortune::budget(&mut chance);
        let mut world = World::new(sandbox::Settings { log_capacity: 0, budget, ..sandbox::Settings::default() });
        for n in 0..ACCOUNTS {
            world.seed(Account::new(account(n), zuid(n), &format!("a{n}@example.com"), &format!("a{n}")));
        }
        let mut universe = Universe {
            world,
            network: Network::new([2, 200, 8_000][chance.usize(0..3)], [0, 3, 20][chance.usize(0..3)]),
            disk: Disk::new(Owner::Organization(sandbox::Settings::default().zoid)),
            proofs: Proofs::new(settings.rate_limit, options(&settings)),
            chance: chance.fork(),
            broken,
            wall: Wall::default(),
            switch: None,
            lift: None,
            ill: BTreeMap::new(),
            enough: usize::MAX,
            unread: None,
            fuse: Fuse::default(),
            fate: None,
            crash: None,
        };
        if broken == Some(Broken::LagsTooLong) {
            universe.network.past.lag_too_long();
        }
        let mut folder = Folder::draw(&mut chance, BEGINNING);
        folder.lies = broken == Some(Broken::ShowsAnotherFolder);
        folder.forges = broken == Some(Broken::ForgesApprovals);
        folder.unprotected = broken == Some(Broken::ForgetsProtection);
        universe.wall.moves =
            chance.u8(0..4) == 0 || matches!(broken, Some(Broken::HidesClockSteps | Broken::ForgetsEnds));
        universe.proofs.clock_moves = universe.wall.moves;
        if chance.u8(0..4) == 0 {
            let accounts = chance.u64(1..=ACCOUNTS / 2);
            universe.fall_ill(&mut chance, accounts);
        }
        Self { universe, folder, now: BEGINNING, settings }
    }

    /// Lives, dies and lives again, with everything that can go wrong; then all is well, and it must show.
    fn run(&mut self) {
        let lives = self.universe.chance.usize(2..6);
        for _ in 0..lives {
            match self.universe.chance.u8(0..8) {
                0 | 1 => self.pass(),
                2 => drop(self.lead(Mode::Refresh, Story::Eventful)),
                _ => self.live(),
            }
        }
        self.all_is_well();
        self.converge();
        self.idle();
    }

    /// What went against which rule, with the story if it is to be told.
    fn violations(self, told: bool) -> Vec<(Rule, String)> {
        self.violations_of(told, Self::run)
    }

    fn violations_of(mut self, told: bool, life: impl FnOnce(&mut Self)) -> Vec<(Rule, String)> {
        if told {
            self.universe.proofs.listen();
        }
        let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| life(&mut self)));
        let proofs = &mut self.universe.proofs;
        if lived.is_err() {
            proofs.violate(Rule::Alive, self.now, "it panicked, see above".into());
        }
        let counts = |rule: Rule| !proofs.clock_moves || wall::RULES.contains(&rule);
        let violations = proofs.violations.iter().filter(|(rule, _)| counts(*rule));
        violations.map(|(rule, what)| (*rule, format!("{}\n---\n{what}", proofs.story()))).collect()
    }
}

/// Lives through `seed`; says what went against which rule, and, the second time, what came before.
fn simulate(seed: u64) -> Vec<(Rule, String)> {
    if Simulation::begin(seed, None).violations(false).is_empty() {
        return Vec::new();
    }
    let again = format!("again with: SIMULATION_SEED={seed} cargo test --test it simulation");
    let tell = |(rule, what)| (rule, format!("{what}\n{again}"));
    Simulation::begin(seed, None).violations(true).into_iter().map(tell).collect()
}

/// Everything that went wrong in any seed. Lived through once for all tests.
fn violations() -> &'static [(Rule, String)] {
    static VIOLATIONS: OnceLock<Vec<(Rule, String)>> = OnceLock::new();
    VIOLATIONS.get_or_init(|| {
        let seeds = match number("SIMULATION_SEED") {
            Some(seed) => seed..seed + 1,
            None => {
                let from = number("SIMULATION_FROM").unwrap_or(0);
                from..from + number("SIMULATION_SEEDS").unwrap_or(SEEDS)
            }
        };
        on_all_threads(seeds, simulate)
    })
}

/// What each number leads to, all together.
fn on_all_threads<T: Send>(numbers: Range<u64>, lead: impl Fn(u64) -> Vec<T> + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let part = |thread| numbers.clone().skip(thread).step_by(threads);
        let lead = &lead;
        let workers: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || part(thread).flat_map(lead).collect())).collect();
        workers.into_iter().flat_map(|worker: ScopedJoinHandle<'_, Vec<_>>| worker.join().unwrap()).collect()
    })
}

fn holds(rule: Rule) {
    let violated = violations().iter().filter(|(violated, _)| *violated == rule);
    // One is enough to work on; the others come up again.
    if let Some((_, story)) = violated.clone().next() {
        panic!("{} seeds violate {rule:?}; the first one:\n{story}", violated.count());
    }
}

#[test]
fn a_seed_is_lived_through_the_same_way_each_time() {
    let story = |seed| {
        let mut simulation = Simulation::begin(seed, None);
        simulation.universe.proofs.listen();
        simulation.run();
        simulation.universe.proofs.story()
    };
    for seed in 0..5 {
        assert_eq!(story(seed), story(seed));
    }
}

#[test]
fn a_history_has_several_lives_with_edits_and_requests_in_them() {
    const SEEDS: usize = 40;
    let mut sums = [0; 4];
    for seed in 0..SEEDS as u64 {
        let mut simulation = Simulation::begin(seed, None);
        simulation.run();
        let Proofs { lives, edits, departed, corrected, .. } = simulation.universe.proofs;
        sums.iter_mut().zip([lives, edits, departed, corrected * 10]).for_each(|(sum, more)| *sum += more);
    }
    let [lives, edits, requests, corrected] = sums.map(|sum| sum / SEEDS);
    println!("in the mean {lives} lives, {edits} edits, {requests} requests a seed, {corrected} corrections in ten");
    assert!(corrected >= 5, "{corrected} accounts that a page corrects in ten seeds");
    assert!(lives >= 4 && edits >= 5 && requests >= 15, "{lives} lives, {edits} edits, {requests} requests a seed");
}

#[test]
fn at_most_one_request_is_in_flight_per_account() {
    holds(Rule::OneInFlight);
}

#[test]
fn an_intent_is_durable_before_its_put_leaves() {
    holds(Rule::IntentFirst);
}

#[test]
fn what_was_durable_is_known_after_any_kill_and_any_power_cut() {
    holds(Rule::Memory);
}

#[test]
fn the_ledger_never_claims_what_the_service_has_not_acknowledged() {
    holds(Rule::Truth);
}

#[test]
fn nothing_is_put_that_no_manifest_wants_whatever_cannot_be_read() {
    holds(Rule::Wanted);
}

#[test]
fn no_window_exceeds_the_request_budget_even_across_kills() {
    holds(Rule::Budget);
}

#[test]
fn no_request_leaves_during_a_pause_that_the_service_imposed() {
    holds(Rule::Pause);
}

#[test]
fn no_request_leaves_while_an_operator_has_suspended_everything() {
    holds(Rule::Freeze);
}

#[test]
fn nothing_is_taken_away_beyond_the_budget_that_no_approval_covers_even_across_kills_and_reverts() {
    holds(Rule::Disruptions);
}

#[test]
fn nothing_is_ever_taken_away_from_a_protected_account() {
    holds(Rule::Protected);
}

#[test]
fn planned_is_applied_and_held_and_failed_and_in_doubt() {
    holds(Rule::Sum);
}

#[test]
fn every_put_has_a_cause_a_change_a_failure_or_a_doubt() {
    holds(Rule::Economy);
}

#[test]
fn in_the_end_the_world_is_as_desired_whatever_happened() {
    holds(Rule::Converges);
}

#[test]
fn after_a_successful_pass_the_plan_is_empty_and_a_restart_issues_no_request() {
    holds(Rule::IdleRestart);
}

#[test]
fn no_step_of_the_clock_shortens_a_pause_or_empties_a_window_or_revives_an_approval() {
    holds(Rule::Time);
}

#[test]
fn what_ended_by_its_date_stays_ended_whatever_the_clock_says_until_its_manifest_has_another_end() {
    holds(Rule::Ended);
}

#[test]
fn the_conductor_never_spins_never_panics_and_ends_when_it_is_told_to() {
    holds(Rule::Alive);
}
