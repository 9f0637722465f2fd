//! What people do to a running process, and what befalls it.
//!
//! In: chance, and a way in which the life is to be led. Out: edits, resyncs, signals, misfortune; in the end, a kill.

use std::time::Duration;

use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::change::Change;
use zoho_mail_reconciler::condition::ConditionStatus;
use zoho_mail_reconciler::controller::Mode;
use zoho_mail_reconciler::controller::event::Event;
use zoho_mail_reconciler::freeze::Freeze;
use zoho_mail_reconciler::ledger::FailedAttempt;
use zoho_mail_reconciler::manifest::Parsed;
use zoho_mail_reconciler::plan::plan;
use zoho_mail_reconciler::report::{HEARTBEAT, Report};
use zoho_mail_reconciler::source::Batch;
use zoho_mail_reconciler::status::{MailAccountList, Part};

use super::agenda::{Act, Due};
use super::broken::Broken;
use super::folder::{FAR, Folder};
use super::life::{Life, Over};
use super::proofs::{Rule, actual};
use super::wall::NOTICED;
use super::{DISRUPTION_WINDOW, Universe};

/// How often everything is read again.
const RESYNC: Duration = Duration::from_secs(300);

/// All of it must be done by then once nothing goes wrong: pauses, windows and backoffs together are far shorter.
pub const PATIENCE: Duration = Duration::from_secs(8 * 60 * 60);

/// How long after an order to stop a process may live: its grace, and a second.
const GRACE: Duration = Duration::from_secs(26);

/// By how much the clock of a process may be off, for it takes so little for no step; and the time until it notices one.
const UNNOTICED: Duration = Duration::from_secs(5);

impl Life<'_> {
    /// Somebody does this after a while.
    pub fn outside(&mut self, after: Duration, act: Act) {
        self.agenda.add(self.now + after, Due::Outside(act));
    }

    /// The next thing is done, after a pause of any length.
    pub fn pause_before_next(&mut self) {
        let chance = &mut self.universe.chance;
        let upto = [20, 1_000, 10_000, 60_000, 300_000][chance.usize(0..5)];
        let pause = Duration::from_millis(chance.u64(1..upto));
        self.outside(pause, Act::Next);
    }

    pub fn act(&mut self, act: Act) -> Result<(), Over> {
        match act {
            Act::Next if self.acts == 0 && self.mode == Mode::Run => return Err(Over::Killed),
            // Long enough for whoever waits out a pause; what still goes on then is killed.
            Act::Next if self.acts == 0 => self.outside(PATIENCE, Act::Kill),
            Act::Next => {
                self.acts -= 1;
                let what = self.universe.chance.u8(0..18);
                if self.set_clock() { self.outside(NOTICED, Act::Do(what)) } else { return self.befalls(what) }
            }
            Act::Do(what) => return self.befalls(what),
            Act::Check => self.check(),
            Act::CheckBeside => self.check_beside(),
            Act::ResyncAndStop => {
                self.resync();
                self.outside(Duration::from_secs(5), Act::Stop);
            }
            Act::Stop => self.stop(),
            Act::Overdue => {
                self.universe.proofs.violate(Rule::Alive, self.now, "it did not end when it was told to".into());
                return Err(Over::Killed);
            }
            Act::Kill => return Err(Over::Killed),
        }
        Ok(())
    }

    /// Anything may happen.
    fn befalls(&mut self, what: u8) -> Result<(), Over> {
        let now = self.now;
        match what {
            0..6 if self.mode == Mode::Run => {
                let (batch, words) = self.folder.edit(&mut self.universe.chance, now);
                self.universe.proofs.edits += 1;
                self.look(batch, &words);
            }
            6 if self.mode == Mode::Run => {
                let nothing = Folder::unreadable(&mut self.universe.chance);
                self.look(nothing, "cannot be read");
            }
            7..9 if self.mode == Mode::Run => self.resync(),
            9 if self.universe.chance.bool() => self.feed(Event::Query(Part::default())),
            9 => {
                self.stop();
                return Ok(());
            }
            10 => return Err(Over::Killed),
            11 => self.switch(),
            12 => self.lift(),
            _ => {
                let words = self.universe.go_wrong(now);
                self.universe.proofs.note(now, || format!("WRONG    {words}"));
            }
        }
        self.pause_before_next();
        Ok(())
    }

    pub fn look(&mut self, batch: Batch<Parsed>, what: &str) {
        let proofs = &mut self.universe.proofs;
        proofs.shows(&self.folder.wanted, &self.folder.policies);
        proofs.note(self.now, || format!("FOLDER   {what}"));
        self.feed(Event::Looked(batch));
    }

    fn resync(&mut self) {
        self.resynced = self.now;
        let again = self.folder.read_again();
        self.look(again, "resyncs");
    }

    /// The wall clock of the process may be set. Whether it was.
    fn set_clock(&mut self) -> bool {
        let Universe { wall, chance, proofs, .. } = &mut *self.universe;
        let Some((words, even_from)) = wall.set(chance, self.now) else { return false };
        proofs.note(self.now, || format!("CLOCK    {words}"));
        if let Some(at) = even_from {
            self.agenda.add(at, Due::EvenClock);
        }
        self.heartbeats();
        true
    }

    /// A process looks at its clock each second, which shows only while that may have been set.
    pub fn heartbeats(&mut self) {
        if self.universe.wall.differs(self.now, self.program.ahead()) {
            self.agenda.add(self.now + HEARTBEAT, Due::Heartbeat);
        }
    }

    /// An operator sets the switch, for a while or until it is lifted, or lifts it.
    fn switch(&mut self) {
        let (universe, now) = (&mut *self.universe, self.now);
        let until = universe.chance.bool().then(|| now + Duration::from_millis(universe.chance.u64(1..120_000)));
        let freeze = (universe.chance.u8(0..3) > 0).then(|| Freeze { until, ..Freeze::default() });
        universe.switched(freeze.clone(), now);
        if universe.broken != Some(Broken::HidesTheSwitch) {
            self.feed(Event::Suspension(freeze));
        }
    }

    /// An operator lifts the pause that the process reports.
    fn lift(&mut self) {
        self.program.describe(&mut self.report, self.now);
        let shown = self.program.shown(self.now);
        if let Some(pause) = self.report.pause.filter(|pause| pause.until > shown) {
            let order = self.universe.lifted(pause.until, self.now);
            self.feed(Event::Ordered(order));
        }
    }

    /// Somebody looks at `/status`: what is ready there is so in the world.
    pub fn hear(&mut self, list: &MailAccountList) {
        let Universe { proofs, world, .. } = &mut *self.universe;
        for item in list.items.iter().filter(|item| item.status.conditions[0].status == ConditionStatus::True) {
            let spec = &item.spec;
            for (field, wanted) in Field::ALL.into_iter().zip(item.status.work.wanted) {
                if wanted.is_some() && wanted != actual(world, spec.account_id, field) {
                    proofs.violate(Rule::Truth, self.now, format!("{} {field} is said to be ready", spec.account_id));
                }
            }
        }
    }

    /// Whether nothing is left but what was refused: as long as requests leave, intents are on their way to the disk, or
    /// something waits for its backoff, more of it may become ready.
    fn is_quiet(&self) -> bool {
        let Universe { proofs, disk, .. } = &*self.universe;
        let is_silent = self.now.since(proofs.departed_last) >= RESYNC && !self.writer.is_busy();
        let failed = |change: &Change| disk.durable.accounts.get(&change.account)?.failed(change.field);
        let waits = |failed: &FailedAttempt| !failed.reason.is_rejection() && failed.next_attempt > self.now;
        is_silent && !plan(self.folder.desired(), &disk.durable, self.now).changes.iter().filter_map(failed).any(waits)
    }

    /// Stops the process if there is nothing left to do.
    fn check(&mut self) {
        let now = self.now;
        self.program.describe(&mut self.report, now);
        let Report { pending, held, in_flight, queued, rejected, .. } = self.report;
        let all_held = held == 0 || self.report.pending_changes.total() <= self.report.held_changes();
        // What was refused before, and does not fit the budget now, is asked for again when the window has room.
        let refused = if now.since(self.began) > 3 * RESYNC { rejected } else { 0 };
        let all_tried = if refused > 0 { self.is_quiet() } else { all_held };
        let done = pending <= held + refused && all_tried && queued <= refused && in_flight + rejected - refused == 0;
        // While something that was taken away is within the window, what is held may still be let go, and what was refused.
        let durable = &self.universe.disk.durable;
        let mut lost = durable.disruptions.values().chain(durable.returns.values());
        let rolls = lost.any(|at| *at + DISRUPTION_WINDOW + UNNOTICED >= now);
        let dates = self.folder.desired().iter().flat_map(|(_, account)| {
            let suspended = account.spec.suspend.iter().filter_map(|suspend| suspend.until);
            suspended.chain(account.spec.period.iter().flat_map(|period| period.boundaries()))
        });
        // The clock of the process may be a little behind.
        let sleeps = dates.filter(|at| *at < now + FAR / 2).max().is_some_and(|at| now <= at + UNNOTICED);
        if done && !sleeps && !(held + refused > 0 && rolls) {
            return self.stop();
        }
        if now.since(self.began) > PATIENCE {
            let what = format!("never done: {:?}", self.report);
            self.universe.proofs.violate(Rule::Converges, now, what);
            return self.stop();
        }
        if now.since(self.resynced) >= RESYNC {
            self.resync();
        }
        self.outside(Duration::from_secs(5), Act::Check);
    }

    /// SIGTERM: the process ends within its grace.
    pub fn stop(&mut self) {
        self.universe.proofs.note(self.now, || "SIGTERM".into());
        self.feed(Event::Stop);
        self.outside(GRACE, Act::Overdue);
    }
}
