//! Worlds that break a promise on purpose: in each of them the rule that watches over it must speak.
//!
//! In: one way to be broken, at an edge of the process. Out: that its rule is violated within a few seeds.
//! A proof that cannot fail proves nothing.

use zoho_mail_reconciler::account::AccountId;
use zoho_mail_reconciler::ledger::Ledger;

use super::proofs::Rule;
use super::{Simulation, beside};

/// What is wrong with the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The transport sends each PUT twice.
    SendsTwice,
    /// The journal says durable before it is.
    AcknowledgesEarly,
    /// The disk forgets what was synced.
    LosesWhatItSynced,
    /// The transport acknowledges what it did not deliver.
    LiesAboutSuccess,
    /// The network delivers what nobody waits for later than it may.
    LandsTooLate,
    /// Pages lag behind PUTs for longer than they may.
    LagsTooLong,
    /// The folder shows the process other manifests than it has.
    ShowsAnotherFolder,
    /// The folder shows the process an approval that nobody wrote.
    ForgesApprovals,
    /// The process is not told who is protected.
    ForgetsProtection,
    /// A restart does not know what was requested before.
    ForgetsRequests,
    /// A restart does not know of the pause it is in.
    ForgetsThePause,
    /// A restart does not know who lost something lately.
    ForgetsDisruptions,
    /// A restart does not know what ended by its date.
    ForgetsEnds,
    /// A restart does not know what was acknowledged of some accounts.
    ForgetsAccounts,
    /// No PUT of one account ever arrives.
    IsDeafToOne,
    /// The process does not see the switch that suspends everything.
    HidesTheSwitch,
    /// The process does not notice that its clock was set.
    HidesClockSteps,
    /// The wire takes no other account's requests while there are accounts that never succeed.
    HoldsOthersUp,
    /// The process waits until somebody reads its log.
    WaitsForTheLog,
    /// The journal talks all the time.
    Chatters,
}

/// Which rule has to notice.
const CAUGHT: &[(Broken, Rule)] = &[
    (Broken::SendsTwice, Rule::OneInFlight),
    (Broken::AcknowledgesEarly, Rule::IntentFirst),
    (Broken::LosesWhatItSynced, Rule::Memory),
    (Broken::LiesAboutSuccess, Rule::Truth),
    (Broken::LandsTooLate, Rule::Truth),
    (Broken::LagsTooLong, Rule::Truth),
    (Broken::ShowsAnotherFolder, Rule::Wanted),
    (Broken::ForgetsRequests, Rule::Budget),
    (Broken::ForgetsThePause, Rule::Pause),
    (Broken::ForgetsDisruptions, Rule::Disruptions),
    (Broken::ForgesApprovals, Rule::Disruptions),
    (Broken::ForgetsProtection, Rule::Protected),
    (Broken::ForgetsEnds, Rule::Ended),
    (Broken::ForgetsAccounts, Rule::Sum),
    (Broken::ForgetsAccounts, Rule::Economy),
    (Broken::ForgetsAccounts, Rule::IdleRestart),
    (Broken::IsDeafToOne, Rule::Converges),
    (Broken::HidesTheSwitch, Rule::Freeze),
    (Broken::HidesClockSteps, Rule::Time),
    (Broken::HoldsOthersUp, Rule::Isolation),
    (Broken::WaitsForTheLog, Rule::Alive),
    (Broken::Chatters, Rule::Alive),
];

/// Within how many seeds. Nearly all ways break their rule in a few; a PUT that lands too late has to meet another one of
/// the same field, which takes some hundred.
const SEEDS: u64 = 1_000;

impl Broken {
    /// What a process is told that the ledger holds.
    pub fn mislead(self, ledger: &mut Ledger) {
        match self {
            Self::ForgetsRequests => {
                ledger.requests.clear();
                ledger.token_requests.clear();
            }
            Self::ForgetsThePause => ledger.pause = None,
            Self::ForgetsDisruptions => ledger.disruptions.clear(),
            Self::ForgetsEnds => ledger.accounts.values_mut().for_each(|row| row.valid_until = None),
            Self::ForgetsAccounts => ledger.accounts.retain(|account, _| !is_odd(*account)),
            _ => {}
        }
    }
}

const fn is_odd(account: AccountId) -> bool {
    account.get() % 2 == 1
}

#[test]
fn each_rule_notices_a_world_that_breaks_it() {
    let violations = |seed, broken, rule| match rule {
        Rule::Isolation => beside::violations(seed, Some(broken), false),
        _ => Simulation::begin(seed, Some(broken)).violations(false),
    };
    let unnoticed = |(broken, rule): &&(Broken, Rule)| {
        !(0..SEEDS).any(|seed| violations(seed, *broken, *rule).iter().any(|(violated, _)| violated == rule))
    };
    let unnoticed: Vec<_> = CAUGHT.iter().filter(unnoticed).collect();
    assert!(unnoticed.is_empty(), "nobody noticed: {unnoticed:?}");
    let unproved: Vec<_> = Rule::ALL.iter().filter(|rule| !CAUGHT.iter().any(|(_, caught)| caught == *rule)).collect();
    assert!(unproved.is_empty(), "rules that nothing breaks: {unproved:?}");
}
