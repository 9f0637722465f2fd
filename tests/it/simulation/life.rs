//! One life of the process: from its start to a kill, a stop, or the end of its one pass.
//!
//! In: what the disk kept, the folder, chance. Out: the world, changed; the moment at which it ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::controller::{Controller, Inputs, Mode};
use zoho_mail_reconciler::desired::Standing;
use zoho_mail_reconciler::guard::{Guard, review};
use zoho_mail_reconciler::manifest::Parsed;
use zoho_mail_reconciler::metrics::Metrics;
use zoho_mail_reconciler::plan::plan;
use zoho_mail_reconciler::report::{Report, Summary};
use zoho_mail_reconciler::sandbox;
use zoho_mail_reconciler::shutdown::Stop;
use zoho_mail_reconciler::source::Batch;
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::zoho::{Client, CredentialSource, Principal};

use super::disk::{Disk, MemoryJournal};
use super::folder::Folder;
use super::proofs::{Rule, actual};
use super::service::{Network, Wire};
use super::{DISRUPTION_WINDOW, Shared, Simulation, Universe, lock};

/// How often everything is read again.
const RESYNC: Duration = Duration::from_secs(300);

/// All of it must be done by then once nothing goes wrong: pauses, windows and backoffs together are far shorter.
const PATIENCE: Duration = Duration::from_secs(8 * 60 * 60);

/// More turns than a conductor can have reason for within one millisecond.
const TURNS_MAX: usize = 2_000;

/// What an operator does to a running process, and what befalls it.
struct Outside<'a> {
    universe: Shared,
    folder: &'a mut Folder,
    clock: Clock,
    reports: watch::Receiver<Report>,
    looks: mpsc::Sender<Batch<Parsed>>,
    stops: mpsc::Sender<Stop>,
}

/// How a life is led.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Story {
    /// With everything that can go wrong, to a kill or a stop.
    Eventful,
    /// Nothing goes wrong, until nothing is left to do.
    ToTheEnd,
    /// Nothing happens for a long time.
    Idle,
}

fn credentials() -> CredentialSource {
    CredentialSource::new(|name| {
        let known = ["ZOHO_MAIL_CLIENT_ID", "ZOHO_MAIL_CLIENT_SECRET", "ZOHO_MAIL_REFRESH_TOKEN"].contains(&name);
        known.then(|| "sandbox".into())
    })
}

impl Simulation {
    /// A daemon's life.
    pub fn live(&mut self) {
        self.lead(Mode::Run, Story::Eventful);
    }

    /// A single pass.
    pub fn pass(&mut self) {
        let universe = Arc::clone(&self.universe);
        let Some(summary) = self.lead(Mode::Apply, Story::Eventful) else { return };
        let mut universe = lock(&universe);
        let Summary { planned, applied, held, failed, in_doubt, .. } = summary;
        if planned != applied + held.len() + failed.len() + in_doubt.len() {
            universe.proofs.violate(Rule::Sum, self.now, format!("{planned} planned, but not in sum"));
        }
        let needed = universe.proofs.needed;
        if planned != needed {
            universe.proofs.violate(Rule::Sum, self.now, format!("{planned} planned, {needed} needed"));
        }
    }

    /// Once nothing goes wrong any more, the world becomes what is desired.
    pub fn converge(&mut self) {
        self.lead(Mode::Run, Story::ToTheEnd);
        let held = self.compare();
        if held {
            // Somebody looks, and means all of it.
            self.settings.disruption_budget = "100%".parse().unwrap();
            lock(&self.universe).proofs.disruptions_max = usize::MAX;
            self.lead(Mode::Run, Story::ToTheEnd);
            self.compare();
        }
    }

    /// Holds the world against what is desired. Says whether the budget holds some of it.
    fn compare(&self) -> bool {
        let mut universe = lock(&self.universe);
        let Universe { proofs, world, disk, .. } = &mut *universe;
        let desired = self.folder.desired();
        let guard = Guard::new(self.settings.disruption_budget, DISRUPTION_WINDOW, &disk.durable.disruptions);
        let left = plan(desired, &disk.durable, self.now).changes;
        let left = review(guard, left, desired.managed(), self.now);
        if !left.allowed.is_empty() {
            proofs.violate(Rule::Converges, self.now, format!("still to do: {:?}", left.allowed));
        }
        for (id, account) in desired.iter() {
            if matches!(account.standing, Standing::Duplicate { .. }) || account.spec.is_suspended(self.now) {
                continue;
            }
            for field in Field::ALL {
                let wanted = account.spec.wanted(field);
                let held = left.held.iter().any(|change| (change.account, change.field) == (id, field));
                if !held && wanted.is_some_and(|wanted| wanted != actual(world, id, field)) {
                    proofs.violate(Rule::Converges, self.now, format!("{id} {field} is not {wanted:?}"));
                }
            }
        }
        !left.held.is_empty()
    }

    /// A restart with nothing to do sends nothing.
    pub fn idle(&mut self) {
        let before = lock(&self.universe).proofs.requests;
        self.lead(Mode::Run, Story::Idle);
        let mut universe = lock(&self.universe);
        let sent = universe.proofs.requests - before;
        if sent > 0 {
            universe.proofs.violate(
                Rule::IdleRestart,
                self.now,
                format!("a restart with nothing to do sent {sent} requests"),
            );
        }
    }

    /// One life. What the pass came to, if the process ended by itself or was stopped.
    fn lead(&mut self, mode: Mode, story: Story) -> Option<Summary> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let universe = Arc::clone(&self.universe);
        let (end, summary) = runtime.block_on(self.lead_within(mode, story));
        drop(runtime);
        let mut universe = lock(&universe);
        // Being dead takes a while.
        let down = Duration::from_millis(universe.chance.u64(1..30_000));
        self.now = end + down;
        if story == Story::Eventful && universe.chance.bool() {
            let (_, words) = self.folder.edit(&mut universe.chance, self.now);
            universe.proofs.note(self.now, format!("FOLDER   {words}, and nobody looks"));
        }
        summary
    }

    async fn lead_within(&mut self, mode: Mode, story: Story) -> (Timestamp, Option<Summary>) {
        let clock = Clock::start_at(self.now);
        let ledger = {
            let mut universe = lock(&self.universe);
            fastrand::seed(universe.chance.u64(..));
            universe.proofs.note(self.now, format!("a process starts: {mode:?}"));
            universe.disk.durable.clone()
        };
        let (committed_out, committed) = mpsc::unbounded_channel();
        let journal = MemoryJournal::open(&self.universe, clock, committed_out);
        let url = || "http://127.0.0.1:1".parse().unwrap();
        let principal = Principal::Admin(sandbox::Settings::default().zoid);
        let client = Client::new(Wire { universe: Arc::clone(&self.universe), clock }, url(), url(), principal);
        let (looks, stops, queries) = (mpsc::channel(4), mpsc::channel(4), mpsc::channel(4));
        let settings = zoho_mail_reconciler::controller::Settings { mode, ..self.settings };
        let (controller, reports) =
            Controller::new(settings, client, credentials(), (ledger, journal), Arc::new(Metrics::new()), clock);
        let inputs = Inputs { looks: looks.1, committed, stops: stops.1, queries: queries.1 };
        let mut outside = Outside {
            universe: Arc::clone(&self.universe),
            folder: &mut self.folder,
            clock,
            reports: reports.clone(),
            looks: looks.0,
            stops: stops.0,
        };
        let killed = tokio::select! {
            biased;
            ended = controller.run(inputs) => Some(ended),
            () = outside.happen(mode, story) => None,
            // A conductor that spins uses up the turn's budget, which must not keep this one from seeing it.
            () = tokio::task::unconstrained(spin(reports, clock)) => None,
        };
        let (mut universe, now) = (lock(&self.universe), clock.now());
        let summary = match killed {
            Some(ended) => {
                universe.proofs.note(now, format!("the process ended: {:?}", ended.result.is_ok()));
                Disk::close(&mut universe, now);
                Some(ended.summary)
            }
            None => {
                universe.proofs.note(now, "the process is killed".into());
                Disk::kill(&mut universe, now);
                None
            }
        };
        // A token request, or what was sent before an impatient end, may still be under way.
        Network::kill(&mut universe, now);
        let Universe { proofs, disk, .. } = &mut *universe;
        proofs.killed(&disk.durable, now);
        (now, summary)
    }
}

/// Ends when the conductor turns and turns and time does not pass.
async fn spin(mut reports: watch::Receiver<Report>, clock: Clock) {
    let (mut turns, mut last) = (0, clock.now());
    while reports.changed().await.is_ok() {
        let now = clock.now();
        turns = if now == last { turns + 1 } else { 0 };
        last = now;
        assert!(turns < TURNS_MAX, "at {now} the conductor spins: {:?}", *reports.borrow());
    }
    std::future::pending().await
}

impl Outside<'_> {
    /// Everything that happens to the process; at the return it is killed.
    async fn happen(&mut self, mode: Mode, story: Story) {
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
                self.to_the_end().await;
                self.stop().await;
            }
            Story::Idle => {
                for _ in 0..2 {
                    sleep(RESYNC).await;
                    let again = self.folder.read_all(false);
                    self.look(again, "resyncs").await;
                }
                self.stop().await;
            }
        }
    }

    async fn look(&self, batch: Batch<Parsed>, what: &str) {
        {
            let mut universe = lock(&self.universe);
            universe.proofs.wanted = self.folder.wanted.clone();
            universe.proofs.note(self.clock.now(), format!("FOLDER   {what}"));
        }
        self.looks.send(batch).await.expect("the conductor listens while it lives");
    }

    async fn eventful(&mut self, mode: Mode) {
        let steps = lock(&self.universe).chance.usize(3..16);
        for _ in 0..steps {
            let (pause, what) = {
                let chance = &mut lock(&self.universe).chance;
                let upto = [20, 1_000, 10_000, 60_000, 400_000][chance.usize(0..5)];
                (Duration::from_millis(chance.u64(1..upto)), chance.u8(0..16))
            };
            sleep(pause).await;
            match what {
                0..6 if mode == Mode::Run => {
                    let (batch, words) = {
                        let mut universe = lock(&self.universe);
                        self.folder.edit(&mut universe.chance, self.clock.now())
                    };
                    self.look(batch, &words).await;
                }
                6 if mode == Mode::Run => self.look(Folder::unreadable(), "cannot be read").await,
                7..9 if mode == Mode::Run => {
                    let again = self.folder.read_all(false);
                    self.look(again, "resyncs").await;
                }
                9 => self.stop().await,
                10 => return,
                _ => {
                    let (mut universe, now) = (lock(&self.universe), self.clock.now());
                    let words = universe.go_wrong(now);
                    universe.proofs.note(now, format!("WRONG    {words}"));
                }
            }
        }
        if mode == Mode::Apply {
            // Long enough for whoever waits out a pause; what still goes on then is killed.
            sleep(PATIENCE).await;
        }
    }

    /// Waits until there is nothing left to do.
    async fn to_the_end(&mut self) {
        let begun = self.clock.now();
        let mut resynced = begun;
        loop {
            sleep(Duration::from_secs(5)).await;
            let now = self.clock.now();
            let (done, report) = {
                let report = self.reports.borrow();
                let Report { pending, held, in_flight, queued, stalled, .. } = *report;
                (pending <= held && in_flight + queued + stalled == 0, report.clone())
            };
            // While something that was taken away is within the window, what is held may still be let go.
            let rolls = lock(&self.universe).disk.durable.disruptions.values().any(|at| *at + DISRUPTION_WINDOW >= now);
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
        lock(&self.universe).proofs.note(self.clock.now(), "SIGTERM".into());
        self.stops.send(Stop).await.expect("the conductor listens while it lives");
        sleep(Duration::from_secs(26)).await;
        lock(&self.universe).proofs.violate(Rule::Alive, self.clock.now(), "it did not end when it was told to".into());
    }
}
