//! One life of the process: from its start to a kill, a stop, or the end of its one pass.
//!
//! In: what the disk kept, the folder, chance. Out: the world, changed; the moment at which it ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::controller::{Controller, Inputs, Mode};
use zoho_mail_reconciler::metrics::Metrics;
use zoho_mail_reconciler::report::Summary;
use zoho_mail_reconciler::sandbox;
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::zoho::{Client, CredentialSource, Principal};

use super::broken::Broken;
use super::disk::{Crash, Disk, MemoryJournal};
use super::folder::protection;
use super::fuse::unless_it_spins;
use super::outside::Outside;
use super::proofs::Rule;
use super::service::{Network, Wire};
use super::{Simulation, lock_at};

/// How a life is led.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Story {
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

    /// One life. What the pass came to, if the process ended by itself or was stopped.
    pub fn lead(&mut self, mode: Mode, story: Story) -> Option<Summary> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (end, summary) = runtime.block_on(self.lead_within(mode, story));
        drop(runtime);
        let mut universe = lock_at(&self.universe, end);
        // Being dead takes a while, in which the machine may go down as well.
        self.now = end + Duration::from_millis(universe.chance.u64(1..30_000));
        if story == Story::Eventful {
            if universe.chance.u8(0..8) == 0 {
                Disk::crash(&mut universe, Crash::Power);
            }
            if universe.chance.bool() {
                let (_, words) = self.folder.edit(&mut universe.chance, self.now);
                universe.proofs.note(self.now, || format!("FOLDER   {words}, and nobody looks"));
            }
        }
        summary
    }

    async fn lead_within(&mut self, mode: Mode, story: Story) -> (Timestamp, Option<Summary>) {
        let clock = Clock::start_at(self.now);
        let (ledger, fuse, shown) = {
            let mut universe = lock_at(&self.universe, self.now);
            fastrand::seed(universe.chance.u64(..));
            universe.proofs.note(self.now, || format!("a process starts: {mode:?}"));
            let mut ledger = Disk::open(&mut universe, self.now);
            universe.broken.iter().for_each(|broken| broken.mislead(&mut ledger));
            let shown = universe.wall.begin(self.now);
            if story != Story::Eventful {
                universe.wall.set_right(self.now);
            }
            (ledger, Arc::clone(&universe.fuse), shown)
        };
        let (committed_out, committed) = mpsc::unbounded_channel();
        let journal = MemoryJournal::open(&self.universe, clock.clone(), committed_out);
        let url = || "http://127.0.0.1:1".parse().unwrap();
        let principal = Principal::Admin(sandbox::Settings::default().zoid);
        let wire = Wire { universe: Arc::clone(&self.universe), clock: clock.clone() };
        let client = Client::new(wire, url(), url(), principal);
        let (looks, stops, queries) = (mpsc::channel(4), mpsc::channel(4), mpsc::channel(4));
        let settings = zoho_mail_reconciler::controller::Settings { mode, ..self.settings.clone() };
        let (controller, reports) =
            Controller::new(settings, client, credentials(), (ledger, journal), Arc::new(Metrics::new()), shown);
        let forgets = lock_at(&self.universe, self.now).broken == Some(Broken::ForgetsProtection);
        let controller = if forgets { controller } else { controller.protecting(protection()) };
        let freeze = match &*lock_at(&self.universe, self.now) {
            universe if universe.broken == Some(Broken::HidesTheSwitch) => watch::channel(None).1,
            universe => universe.switch.subscribe(),
        };
        let orders = lock_at(&self.universe, self.now).lift.subscribe();
        let inputs = Inputs { looks: looks.1, committed, stops: stops.1, queries: queries.1, freeze, orders };
        let universe = Arc::clone(&self.universe);
        let folder = &mut self.folder;
        let (looks, stops, queries, seen) = (looks.0, stops.0, queries.0, clock.clone());
        let mut outside = Outside { universe, folder, clock: seen, reports, looks, stops, queries };
        let ended = tokio::select! {
            biased;
            ended = fuse.guard(unless_it_spins(controller.run(inputs), &clock)) => Some(ended),
            () = outside.happen(mode, story) => None,
            () = fuse.blown() => None,
        };
        let now = clock.now();
        if ended.as_ref().is_some_and(Option::is_none) {
            lock_at(&self.universe, now).proofs.violate(Rule::Alive, now, "the conductor spins".into());
        }
        let in_order = ended.flatten().filter(|ended| ended.result.is_ok());
        (now, self.end(in_order.map(|ended| ended.summary), now))
    }

    /// The process is no more: in order, with its summary, or not.
    fn end(&self, summary: Option<Summary>, now: Timestamp) -> Option<Summary> {
        let mut universe = lock_at(&self.universe, now);
        if summary.is_some() {
            universe.proofs.note(now, || "the process ended".into());
            Disk::close(&mut universe, now);
        } else {
            let by_chance = if universe.chance.u8(0..3) == 0 { Crash::Power } else { Crash::Kill };
            let crash = universe.crash.unwrap_or(by_chance);
            universe.proofs.note(now, || format!("the process is no more: {crash:?}"));
            Disk::crash(&mut universe, crash);
        }
        // A token request, or what was sent before an impatient end, may still be under way.
        Network::crash(&mut universe, now);
        summary
    }
}
