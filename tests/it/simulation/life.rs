//! One life of the process: from its start to a kill, a stop, or the end of its one pass.
//!
//! In: what the disk kept, the folder, chance. Out: the world, changed; the moment at which it ended.
//! A loop without a runtime: the earliest of what is to come comes in, the machine takes a turn, its deeds are performed.
//! The process can be ended before each thing that comes and before each deed, which is what [`Fuse`] counts.

use std::time::Duration;

use zoho_mail_reconciler::controller::event::Event;
use zoho_mail_reconciler::controller::{DriftPolicy, Mode, Settings};
use zoho_mail_reconciler::plan::plan;
use zoho_mail_reconciler::report::{Report, Summary};
use zoho_mail_reconciler::sandbox;
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::zoho::Principal;

use super::agenda::{Act, Agenda, Due};
use super::broken::Broken;
use super::disk::{Crash, Disk, Writer};
use super::folder::Folder;
use super::program::{Deed, Moment, Program};
use super::proofs::Rule;
use super::service::{LANDING, Network};
use super::{Simulation, Universe};

/// How a life is led.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// With everything that can go wrong, to a kill or a stop.
    Eventful,
    /// Nothing goes wrong, until nothing is left to do.
    ToTheEnd,
    /// Some accounts never succeed, until all others are applied.
    Beside,
    /// Nothing happens for a long time.
    Idle,
}

/// More turns than a process can have reason for within one millisecond.
const TURNS_MAX: usize = 300;

/// The process is no more: killed, or ended by itself.
pub enum Over {
    Killed,
    Ended,
    /// It ended because the ledger cannot be trusted.
    Broken,
}

/// What goes on while a process lives.
pub struct Life<'a> {
    pub universe: &'a mut Universe,
    pub folder: &'a mut Folder,
    pub program: Program,
    pub agenda: Agenda,
    pub writer: Writer,
    pub report: Report,
    pub mode: Mode,
    pub story: Story,
    pub now: Timestamp,
    pub began: Timestamp,
    /// When everything was read last.
    pub resynced: Timestamp,
    /// How many more things somebody does.
    pub acts: usize,
    /// Turns since the clock moved.
    turns: usize,
    /// It waits for a log that is not read, and for nothing else.
    hangs: bool,
}

impl Simulation {
    /// A daemon's life.
    pub fn live(&mut self) {
        self.lead(Mode::Run, Story::Eventful);
    }

    /// One life. What the pass came to, if the process ended by itself or was stopped.
    pub fn lead(&mut self, mode: Mode, story: Story) -> Option<Summary> {
        // Each life may begin by reading the service; one that refreshes does nothing else.
        let may_read = matches!(story, Story::Eventful | Story::ToTheEnd);
        let reads = mode.only_reads() || may_read && self.universe.chance.u8(0..3) == 0;
        let principal = Principal::Admin(sandbox::Settings::default().zoid);
        let refresh = reads.then_some(principal);
        // Nobody changes anything elsewhere in this world, so what is found to be drift is none.
        let looks = mode == Mode::Run && story == Story::Eventful && self.universe.chance.bool();
        let interval = Duration::from_secs(self.universe.chance.u64(10..600));
        let drift_interval = looks.then_some((interval, principal));
        let drift_policy = DriftPolicy::Correct;
        let settings = Settings { mode, refresh, drift_interval, drift_policy, ..self.settings.clone() };
        self.universe.proofs.reads = reads;
        let mut life = Life::begin(&mut self.universe, &mut self.folder, settings, story, self.now);
        let summary = life.lead();
        let end = life.now;
        Network::land(&mut self.universe, end);
        // Being dead takes a while, in which the machine may go down as well.
        self.now = end + Duration::from_millis(self.universe.chance.u64(1..30_000));
        if story == Story::Eventful {
            if self.universe.chance.u8(0..8) == 0 {
                Disk::crash(&mut self.universe, Crash::Power);
            }
            if self.universe.chance.bool() {
                let (_, words) = self.folder.edit(&mut self.universe.chance, self.now);
                self.universe.proofs.edits += 1;
                self.universe.proofs.note(self.now, || format!("FOLDER   {words}, and nobody looks"));
            }
        }
        summary
    }
}

impl<'a> Life<'a> {
    fn begin(
        universe: &'a mut Universe,
        folder: &'a mut Folder,
        settings: Settings,
        story: Story,
        now: Timestamp,
    ) -> Self {
        let mode = settings.mode;
        Network::land(universe, now);
        universe.proofs.note(now, || format!("a process starts: {mode:?}"));
        universe.proofs.lives += 1;
        let mut ledger = Disk::open(universe, now);
        universe.broken.iter().for_each(|broken| broken.mislead(&mut ledger));
        universe.wall.begin();
        let moment = Moment { now, ahead: universe.wall.ahead(now) };
        let protects = universe.broken != Some(Broken::ForgetsProtection);
        let mut program = Program::start(settings, ledger, protects, moment);
        program.is_blind = universe.broken == Some(Broken::HidesClockSteps);
        if story != Story::Eventful {
            universe.wall.set_right(now);
        }
        Self {
            universe,
            folder,
            program,
            agenda: Agenda::default(),
            writer: Writer::default(),
            report: Report::default(),
            mode,
            story,
            now,
            began: now,
            resynced: now,
            acts: 0,
            turns: 0,
            hangs: false,
        }
    }

    /// Lives to the end. What the pass came to, if the process ended in order.
    fn lead(&mut self) -> Option<Summary> {
        let over = self.start().and_then(|()| {
            loop {
                if let Err(over) = self.step() {
                    break Err(over);
                }
            }
        });
        let summary = match over {
            Err(Over::Killed) | Ok(()) => None,
            Err(over) => {
                let (deeds, summary) = self.program.end(self.now);
                // A journal whose process ends takes what is handed over, and is closed after that.
                let _ = deeds.into_iter().try_for_each(|deed| self.perform(deed));
                matches!(over, Over::Ended).then_some(summary)
            }
        };
        self.end(summary)
    }

    /// What a process takes in first.
    fn start(&mut self) -> Result<(), Over> {
        self.open_journal();
        let hidden = self.universe.broken == Some(Broken::HidesTheSwitch);
        self.feed(Event::Suspension(self.universe.switch.clone().filter(|_| !hidden)));
        if let Some(order) = self.universe.lift.clone() {
            self.feed(Event::Ordered(order));
        }
        self.heartbeats();
        let all = self.folder.read_first(&self.universe.disk.durable.budgets);
        self.universe.proofs.needed = plan(self.folder.desired(), &self.universe.disk.durable, self.now).changes.len();
        self.look(all, "reads everything");
        match self.story {
            Story::Eventful => {
                self.acts = self.universe.chance.usize(3..16);
                self.pause_before_next();
            }
            Story::ToTheEnd => self.outside(Duration::from_secs(5), Act::Check),
            Story::Beside => self.outside(Duration::from_secs(1), Act::CheckBeside),
            // Longer than anything that nobody waits for can take to land.
            Story::Idle => self.outside(LANDING + Duration::from_secs(20), Act::ResyncAndStop),
        }
        self.turn()
    }

    /// The next thing comes, and the process takes a turn.
    fn step(&mut self) -> Result<(), Over> {
        let timeout = self.program.due(self.now).filter(|_| !self.hangs);
        let next = [self.agenda.next(), timeout].into_iter().flatten().min().expect("somebody ends every life");
        self.pass_time(next)?;
        if timeout.is_some_and(|timeout| timeout <= self.now) {
            self.feed(Event::Tick);
        }
        for due in self.agenda.take(self.now) {
            self.burn()?;
            self.befall(due)?;
        }
        self.turn()
    }

    /// The time of the world goes on.
    fn pass_time(&mut self, next: Timestamp) -> Result<(), Over> {
        self.turns = if next > self.now { 0 } else { self.turns + 1 };
        self.now = next;
        if self.turns > TURNS_MAX {
            self.universe.proofs.violate(Rule::Alive, self.now, "the machine spins".into());
            return Err(Over::Killed);
        }
        Network::land(self.universe, self.now);
        Ok(())
    }

    fn befall(&mut self, due: Due) -> Result<(), Over> {
        match due {
            Due::Outside(act) => return self.act(act),
            Due::Arrival(journey) => self.arrive(journey),
            Due::Return(journey, ending) => self.come_back(journey, ending),
            Due::Journal(step) => return self.write_on(step),
            Due::Heartbeat => {
                self.feed(Event::Tick);
                self.heartbeats();
            }
            Due::EvenClock => self.universe.wall.run_evenly(self.now),
        }
        Ok(())
    }

    /// The process takes something in.
    pub fn feed(&mut self, event: Event) {
        if self.hangs {
            return;
        }
        let moment = Moment { now: self.now, ahead: self.universe.wall.ahead(self.now) };
        let chance = self.universe.chance.f64();
        if let Some(step) = self.program.take(event, moment, chance) {
            self.universe.proofs.stepped(step);
        }
        self.universe.proofs.ahead = self.program.ahead();
    }

    fn turn(&mut self) -> Result<(), Over> {
        if self.hangs {
            return Ok(());
        }
        let chance = self.universe.chance.f64();
        let (deeds, ends) = self.program.turn(self.now, chance);
        for deed in deeds {
            self.burn()?;
            self.perform(deed)?;
        }
        if ends { Err(Over::Ended) } else { Ok(()) }
    }

    fn perform(&mut self, deed: Deed) -> Result<(), Over> {
        match deed {
            Deed::Append(records, ticket) => self.append(records, ticket),
            Deed::Send(number, request) => self.depart(number, &request),
            Deed::Tell(list) => self.hear(&list),
            Deed::Log => self.hangs = self.universe.log(),
        }
        Ok(())
    }

    /// One step less to live.
    fn burn(&mut self) -> Result<(), Over> {
        if self.universe.fuse.burn() { Ok(()) } else { Err(Over::Killed) }
    }

    /// The process is no more: in order, with its summary, or not.
    fn end(&mut self, summary: Option<Summary>) -> Option<Summary> {
        let (universe, now) = (&mut *self.universe, self.now);
        if summary.is_some() {
            universe.proofs.note(now, || "the process ended".into());
            Disk::close(universe, now);
        } else {
            let by_chance = if universe.chance.u8(0..3) == 0 { Crash::Power } else { Crash::Kill };
            let crash = universe.crash.unwrap_or(by_chance);
            universe.proofs.note(now, || format!("the process is no more: {crash:?}"));
            Disk::crash(universe, crash);
        }
        // A token request, or what was sent before an impatient end, may still be under way.
        Network::crash(universe, now);
        summary
    }
}
