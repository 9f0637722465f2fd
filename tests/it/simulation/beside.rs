//! Accounts that never succeed, beside accounts whose requests would be accepted: the former keep none of the latter waiting.
//!
//! In: a seed, which decides how many accounts there are, which of them never succeed and in which way, and whether all are
//! refused alike for a while. Out: nothing, or what went against a rule.
//! Invariant: within a bounded number of requests, whatever the others are answered, every account whose requests would be
//! accepted is applied. A pause that the service imposes is everybody's, so it is requests that are bounded, not time.

use std::time::Duration;

use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::controller::Mode;
use zoho_mail_reconciler::sandbox::Account;

use super::agenda::Act;
use super::broken::Broken;
use super::folder::{ACCOUNTS, account, wanting, zuid};
use super::life::{Life, Story};
use super::outside::PATIENCE;
use super::proofs::{Proofs, Rule, actual};
use super::service::Network;
use super::{Simulation, Universe, on_all_threads, options};
use crate::depth::{number, pick};

/// How many seeds are lived through, by default and in full.
const SEEDS: [u64; 2] = [100, 1_000];

/// How many requests may leave until every account is applied that can be: each account is tried with each of its fields,
/// and each of those that fail may be tried again as often as the others take their turns.
const fn bound(accounts: u64) -> usize {
    6 * accounts as usize + 20
}

/// A folder of healthy accounts and ill ones, at any share up to half. How many requests are enough.
fn draw(seed: u64, broken: Option<Broken>) -> (Simulation, usize) {
    let mut simulation = Simulation::begin(seed, broken);
    let mut chance = fastrand::Rng::with_seed(seed);
    let accounts = [2, ACCOUNTS, 12, 26][chance.usize(0..4)];
    // No more than a few of each: what is refused is tried at growing intervals.
    let alike = if chance.u8(0..4) == 0 { chance.u64(1..=2 * accounts) } else { 0 };
    simulation.settings.disruption_budget = "100%".parse().unwrap();
    let universe = &mut simulation.universe;
    universe.proofs = Proofs::new(simulation.settings.rate_limit, options(&simulation.settings));
    universe.network = Network::new([2, 200, 8_000][chance.usize(0..3)], 0);
    for n in ACCOUNTS..accounts {
        universe.world.seed(Account::new(account(n), zuid(n), &format!("a{n}@example.com"), &format!("a{n}")));
    }
    let ill = chance.u64(1..=accounts / 2);
    universe.fall_ill(&mut chance, ill);
    universe.refuse_all(alike);
    let flags = |chance: &mut fastrand::Rng| match [(); 2].map(|()| [None, Some(true), Some(false)][chance.usize(0..3)])
    {
        [None, None] => [Some(false), None],
        flags => flags,
    };
    let manifests: Vec<String> = (0..accounts).map(|n| wanting(n, n, flags(&mut chance)).to_string()).collect();
    simulation.folder.write([manifests.join("---\n")]);
    // Where all were refused alike, each waits out the growing intervals of its own refusals: only time is bounded then.
    (simulation, if alike == 0 { bound(accounts) } else { usize::MAX })
}

/// What went against which rule beside accounts that never succeed.
pub fn violations(seed: u64, broken: Option<Broken>, told: bool) -> Vec<(Rule, String)> {
    let (mut simulation, most) = draw(seed, broken);
    simulation.universe.enough = most;
    simulation.violations_of(told, |simulation| {
        simulation.lead(Mode::Run, Story::Beside);
        simulation.all_is_well();
        simulation.lead(Mode::Run, Story::ToTheEnd);
    })
}

impl Life<'_> {
    /// Stops the process once every account is applied that can be; they have to be within so many requests.
    pub fn check_beside(&mut self) {
        let Universe { proofs, world, ill, enough, .. } = &mut *self.universe;
        let healthy = self.folder.desired().iter().filter(|(id, desired)| !ill.contains_key(id) && !desired.protected);
        let open = healthy
            .flat_map(|(id, desired)| Field::ALL.map(|field| (id, field, desired.wanted(field, None, self.now))));
        let open = open.filter(|(id, field, wanted)| wanted.is_some() && *wanted != actual(world, *id, *field));
        let open: Vec<_> = open.map(|(id, field, _)| format!("{id} {field}")).collect();
        // What the service answers to anybody who asks too much says nothing of the order.
        let throttled = world.totals().over_budget + world.totals().while_locked;
        let sent = proofs.departed.saturating_sub(throttled as usize);
        let late = sent > *enough || self.now.since(self.began) > PATIENCE;
        if late && !open.is_empty() {
            let ill = ill.len();
            let what = format!("after {sent} requests beside {ill} that never succeed: {}", open.join(", "));
            proofs.violate(Rule::Isolation, self.now, what);
        }
        if late || open.is_empty() { self.stop() } else { self.outside(Duration::from_secs(1), Act::CheckBeside) }
    }
}

#[test]
fn an_account_whose_requests_would_be_accepted_is_applied_within_bounded_requests_whatever_others_are_answered() {
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").map_or(pick(SEEDS[0], SEEDS[1]), |seeds| seeds.div_ceil(10)),
    };
    let rules = [Rule::Isolation, Rule::OneInFlight, Rule::Truth, Rule::Converges, Rule::Alive, Rule::Pause];
    let lead = |seed| {
        let broken = violations(seed, None, true).into_iter().filter(|(rule, _)| rules.contains(rule));
        broken.map(|(rule, story)| format!("seed {seed} violates {rule:?}:\n{story}")).collect()
    };
    let broken: Vec<String> = on_all_threads(seeds, lead);
    assert!(broken.is_empty(), "{} violations; the first: {}", broken.len(), broken[0]);
}
