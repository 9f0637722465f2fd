//! A wall clock that is wrong, and is set, stops or lags now and then, while time runs evenly for the world.
//!
//! In: chance. Out: the clock of each process; the rules that hold whatever it shows.
//! What a process has not written down before it dies did not happen to the next one: a clock that is set forward between
//! two runs is as if time had passed, and no ledger can help it. Deliberately absent: rules about deadlines that people
//! write, and those that this simulation checks by moments in records, which a wrong clock made.

use std::time::Duration;

use zoho_mail_reconciler::ledger::Record;
use zoho_mail_reconciler::report::HEARTBEAT;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::proofs::Rule;

/// Whatever the clock shows, these hold, by time that runs evenly.
pub const RULES: [Rule; 12] = [
    Rule::OneInFlight,
    Rule::IntentFirst,
    Rule::Memory,
    Rule::Truth,
    Rule::Wanted,
    Rule::Time,
    Rule::Ended,
    Rule::Protected,
    Rule::Converges,
    Rule::IdleRestart,
    Rule::Isolation,
    Rule::Alive,
];

/// How soon a process notices that its clock was set: a heartbeat, and some time for the disk.
pub const NOTICED: Duration = HEARTBEAT.saturating_add(Duration::from_millis(500));

/// See the module.
#[derive(Default)]
pub struct Wall {
    /// Whether it is ever set.
    pub moves: bool,
    /// By how many milliseconds it is ahead, as far as the ledger knows.
    written: i64,
    /// By how many it was when it was set last.
    set: (Timestamp, i64),
    /// How many milliseconds it gains in a second since then: -1,000 if it stands still.
    gains: i64,
}

/// What a clock says `now` that is ahead by so many milliseconds.
pub fn shifted(now: Timestamp, ahead: i64) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_add_signed(ahead))
}

impl Wall {
    /// A process starts, with what the ledger knows.
    pub fn begin(&mut self) {
        (self.set, self.gains) = ((Timestamp::default(), self.written), 0);
    }

    /// By how many milliseconds it is ahead.
    pub fn ahead(&self, now: Timestamp) -> i64 {
        let (since, ahead) = self.set;
        let gained =
            if self.gains == 0 { 0 } else { self.gains * now.since(since).as_millis().cast_signed() as i64 / 1_000 };
        ahead + gained
    }

    /// As far as the ledger knows.
    pub const fn written(&self) -> i64 {
        self.written
    }

    /// Whether a process whose clock is ahead by so many milliseconds may still have a step to notice.
    pub fn differs(&self, now: Timestamp, known: i64) -> bool {
        self.gains != 0 || self.ahead(now) != known
    }

    /// It is set, stops, lags or hurries, by chance. Returns words for it, and until when it does not run evenly.
    pub fn set(&mut self, chance: &mut fastrand::Rng, now: Timestamp) -> Option<(String, Option<Timestamp>)> {
        if !self.moves || chance.u8(0..3) > 0 {
            return None;
        }
        if chance.u8(0..3) == 0 {
            self.set = (now, self.ahead(now));
            self.gains = [-1_000, -1_000, -500, -20, 500][chance.usize(0..5)];
            let until = now + Duration::from_secs(chance.u64(1..120));
            return Some((format!("gains {} ms a second until {until}", self.gains), Some(until)));
        }
        let most: u64 = [10_000, 120_000, 7_200_000, 3 * 365 * 86_400_000][chance.usize(0..4)];
        let by = chance.u64(0..most).cast_signed();
        let ahead = if chance.bool() { by } else { -by };
        self.set = (now, ahead);
        Some((format!("{ahead} ms ahead"), None))
    }

    /// It runs evenly again, with what it says now.
    pub fn run_evenly(&mut self, now: Timestamp) {
        (self.set, self.gains) = ((now, self.ahead(now)), 0);
    }

    /// It is set right.
    pub const fn set_right(&mut self, now: Timestamp) {
        (self.set, self.gains) = ((now, 0), 0);
    }

    /// The next process will know of it.
    pub const fn durable(&mut self, record: &Record) {
        if let Record::ClockStepped { from, to } = record {
            self.written += to.as_millis().cast_signed() - from.as_millis().cast_signed();
        }
    }
}
