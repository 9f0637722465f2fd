//! What people do to a running process, and what befalls it.
//!
//! In: chance, and a way in which the life is to be led. Out: edits, resyncs, signals, misfortune; in the end, a kill.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::condition::ConditionStatus;
use zoho_mail_reconciler::controller::{Mode, Query};
use zoho_mail_reconciler::freeze::Freeze;
use zoho_mail_reconciler::manifest::Parsed;
use zoho_mail_reconciler::plan::plan;
use zoho_mail_reconciler::report::Report;
use zoho_mail_reconciler::shutdown::Stop;
use zoho_mail_reconciler::source::Batch;
use zoho_mail_reconciler::status::Part;

use super::folder::Folder;
use super::life::Story;
use super::proofs::{Rule, actual};
use super::service::LANDING;
use super::wall::NOTICED;
use super::{DISRUPTION_WINDOW, Shared, Universe, lock, lock_at};

/// How often everything is read again.
const RESYNC: Duration = Duration::from_secs(300);

/// All of it must be done by then once nothing goes wrong: pauses, windows and backoffs together are far shorter.
const PATIENCE: Duration = Duration::from_secs(8 * 60 * 60);

/// By how much the clock of a process may be off, for it takes so little for no step; and the time until it notices one.
const UNNOTICED: Duration = Duration::from_secs(5);

/// Whoever acts on a running process, and looks at it.
pub struct Outside<'a> {
    pub universe: Shared,
    pub folder: &'a mut Folder,
    pub clock: Clock,
    pub reports: watch::Receiver<Report>,
    pub looks: mpsc::Sender<Batch<Parsed>>,
    pub stops: mpsc::Sender<Stop>,
    pub queries: mpsc::Sender<Query>,
}

impl Outside<'_> {
    /// Everything that happens to the process; at the return it is killed.
    pub async fn happen(&mut self, mode: Mode, story: Story) {
        let all = self.folder.read_all(true);
        {
            let mut universe = lock(&self.universe);
            universe.proofs.needed =
                plan(self.folder.desired(), &universe.disk.durable, self.clock.now()).changes.len();
        }
        self.look(all, "reads everything").await;
        match story {
            Story::Eventful => self.eventful(mode).await,
            Story::ToTheEnd => {
                self.until_nothing_is_left().await;
                self.stop().await;
            }
            Story::Idle => {
                // Longer than anything that nobody waits for can take to land.
                sleep(LANDING + Duration::from_secs(20)).await;
                let again = self.folder.read_all(false);
                self.look(again, "resyncs").await;
                sleep(Duration::from_secs(5)).await;
                self.stop().await;
            }
        }
    }

    async fn look(&self, batch: Batch<Parsed>, what: &str) {
        {
            let mut universe = lock(&self.universe);
            universe.proofs.wanted = self.folder.wanted.clone();
            universe.proofs.policies = self.folder.policies.clone();
            universe.proofs.note(self.clock.now(), || format!("FOLDER   {what}"));
        }
        self.looks.send(batch).await.expect("the conductor listens while it lives");
    }

    async fn eventful(&mut self, mode: Mode) {
        let steps = lock(&self.universe).chance.usize(3..16);
        for _ in 0..steps {
            let (pause, what) = {
                let chance = &mut lock(&self.universe).chance;
                let upto = [20, 1_000, 10_000, 60_000, 300_000][chance.usize(0..5)];
                (Duration::from_millis(chance.u64(1..upto)), chance.u8(0..18))
            };
            sleep(pause).await;
            self.set_clock().await;
            match what {
                0..6 if mode == Mode::Run => {
                    let (batch, words) = {
                        let mut universe = lock(&self.universe);
                        self.folder.edit(&mut universe.chance, self.clock.now())
                    };
                    self.look(batch, &words).await;
                }
                6 if mode == Mode::Run => {
                    let nothing = Folder::unreadable(&mut lock(&self.universe).chance);
                    self.look(nothing, "cannot be read").await;
                }
                7..9 if mode == Mode::Run => {
                    let again = self.folder.read_all(false);
                    self.look(again, "resyncs").await;
                }
                9 if lock(&self.universe).chance.bool() => self.ask().await,
                9 => self.stop().await,
                10 => return,
                11 => self.switch(),
                12 => self.lift(),
                _ => {
                    let (mut universe, now) = (lock(&self.universe), self.clock.now());
                    let words = universe.go_wrong(now);
                    universe.proofs.note(now, || format!("WRONG    {words}"));
                }
            }
        }
        if mode == Mode::Apply {
            // Long enough for whoever waits out a pause; what still goes on then is killed.
            sleep(PATIENCE).await;
        }
    }

    /// The wall clock of the process may be set.
    async fn set_clock(&self) {
        {
            let (Universe { wall, chance, proofs, .. }, now) = (&mut *lock(&self.universe), self.clock.now());
            let Some(words) = wall.set(chance, now) else { return };
            proofs.note(now, || format!("CLOCK    {words}"));
        }
        sleep(NOTICED).await;
    }

    /// An operator sets the switch, for a while or until it is lifted, or lifts it.
    fn switch(&self) {
        let (universe, now) = (&mut *lock(&self.universe), self.clock.now());
        let until = universe.chance.bool().then(|| now + Duration::from_millis(universe.chance.u64(1..120_000)));
        let freeze = (universe.chance.u8(0..3) > 0).then(|| Freeze { until, ..Freeze::default() });
        universe.switched(freeze, now);
    }

    /// An operator lifts the pause that the process reports.
    fn lift(&self) {
        let (universe, now) = (&mut *lock(&self.universe), self.clock.now());
        let pause = self.reports.borrow().pause;
        if let Some(pause) = pause.filter(|pause| pause.until > now) {
            universe.lifted(pause.until, now);
        }
    }

    /// Somebody looks at `/status`: what is ready there is so in the world.
    async fn ask(&self) {
        let (out, answer) = oneshot::channel();
        self.queries.send((Part::default(), out)).await.expect("the conductor listens while it lives");
        let Ok(list) = answer.await else { return };
        let now = self.clock.now();
        let Universe { proofs, world, .. } = &mut *lock_at(&self.universe, now);
        for item in list.items.iter().filter(|item| item.status.conditions[0].status == ConditionStatus::True) {
            let spec = &item.spec;
            for (field, wanted) in Field::ALL.into_iter().zip([spec.enabled, spec.active_sync_enabled]) {
                if wanted.is_some() && wanted != actual(world, spec.account_id, field) {
                    proofs.violate(Rule::Truth, now, format!("{} {field} is said to be ready", spec.account_id));
                }
            }
        }
    }

    /// Waits until there is nothing left to do.
    async fn until_nothing_is_left(&mut self) {
        let begun = self.clock.now();
        let mut resynced = begun;
        loop {
            sleep(Duration::from_secs(5)).await;
            let now = self.clock.now();
            let (done, report) = {
                let report = self.reports.borrow();
                let Report { pending, held, in_flight, queued, stalled, .. } = *report;
                // What was refused before, and does not fit the budget now, is asked for again when the window has room.
                let refused = if now.since(begun) > 3 * RESYNC { stalled } else { 0 };
                (pending <= held + refused && queued <= refused && in_flight + stalled - refused == 0, report.clone())
            };
            // While something that was taken away is within the window, what is held may still be let go.
            let rolls = lock(&self.universe)
                .disk
                .durable
                .disruptions
                .values()
                .any(|at| *at + DISRUPTION_WINDOW + UNNOTICED >= now);
            let suspended =
                self.folder.desired().iter().filter_map(|(_, account)| account.spec.suspend.as_ref()?.until);
            let sleeps = suspended.max().is_some_and(|until| until >= now);
            if done && !sleeps && !(report.held > 0 && rolls) {
                return;
            }
            if now.since(begun) > PATIENCE {
                return lock(&self.universe).proofs.violate(Rule::Converges, now, format!("never done: {report:?}"));
            }
            if now.since(resynced) >= RESYNC {
                resynced = now;
                let again = self.folder.read_all(false);
                self.look(again, "resyncs").await;
            }
        }
    }

    /// SIGTERM: the process ends within its grace.
    async fn stop(&mut self) {
        lock(&self.universe).proofs.note(self.clock.now(), || "SIGTERM".into());
        self.stops.send(Stop).await.expect("the conductor listens while it lives");
        sleep(Duration::from_secs(26)).await;
        lock(&self.universe).proofs.violate(Rule::Alive, self.clock.now(), "it did not end when it was told to".into());
    }
}
