//! The process, as the world sees it: the controller's machine, driven without a runtime.
//!
//! In: events, answers, and the moment of each. Out: [`Deed`]s, which the world performs.
//! What the controller's shell does around the machine is done here: it looks at the clock before anything is taken in, reads
//! the credentials when they are asked for, and makes requests of changes and outcomes of answers.
//! Deliberately absent: the log, metrics, and reports that are not read.

use std::collections::BTreeMap;

use zoho_mail_reconciler::account::AccountId;
use zoho_mail_reconciler::controller::Settings;
use zoho_mail_reconciler::controller::event::{Effect, Event, Put, Read, Then, Turn};
use zoho_mail_reconciler::controller::machine::Machine;
use zoho_mail_reconciler::ledger::{Ledger, Record};
use zoho_mail_reconciler::report::{Report, Summary};
use zoho_mail_reconciler::sandbox;
use zoho_mail_reconciler::status::MailAccountList;
use zoho_mail_reconciler::timestamp::{ClockStep, Timestamp};
use zoho_mail_reconciler::zoho::{
    Answer, BaseUrl, CredentialSource, HttpRequest, HttpResponse, PageAnswer, Principal, Secrets, TransportError,
    classify, classify_token, decode_listing, encode, encode_listing, encode_token_request,
};

use super::folder::protection;
use super::wall::shifted;

/// What the process does to the world.
pub enum Deed {
    /// Writes these records, with this ticket.
    Append(Vec<Record>, u64),
    /// Sends a request, whose answer is to name this number.
    Send(u64, HttpRequest),
    /// Answers the oldest question that is open.
    Tell(MailAccountList),
    /// Writes a line of the log.
    Log,
}

/// A moment, and the clock that the process looks at.
#[derive(Clone, Copy)]
pub struct Moment {
    /// The time of the world, which runs evenly.
    pub now: Timestamp,
    /// By how many milliseconds the wall clock is ahead of it.
    pub ahead: i64,
}

/// Whose answer is awaited, and since when.
#[derive(Clone, Copy)]
enum Whose {
    Account(AccountId, Timestamp),
    Token(Timestamp),
    Page(Timestamp),
}

/// See the module.
pub struct Program {
    machine: Machine,
    url: BaseUrl,
    credentials: CredentialSource,
    /// By how many milliseconds the clock of the process is ahead of the world's.
    ahead: i64,
    /// It does not notice when its clock is set.
    pub is_blind: bool,
    awaited: BTreeMap<u64, Whose>,
    sent: u64,
}

fn credentials() -> CredentialSource {
    CredentialSource::new(|name| {
        let known = ["ZOHO_MAIL_CLIENT_ID", "ZOHO_MAIL_CLIENT_SECRET", "ZOHO_MAIL_REFRESH_TOKEN"].contains(&name);
        known.then(|| "sandbox".into())
    })
}

impl Program {
    /// A process that starts with this ledger.
    pub fn start(settings: Settings, ledger: Ledger, protects: bool, Moment { now, ahead }: Moment) -> Self {
        let mut machine = Machine::new(settings, ledger, shifted(now, ahead));
        if protects {
            machine.protect(protection());
        }
        Self {
            machine,
            url: "http://127.0.0.1:1".parse().unwrap(),
            credentials: credentials(),
            ahead,
            is_blind: false,
            awaited: BTreeMap::new(),
            sent: 0,
        }
    }

    /// What its clock says.
    pub fn shown(&self, now: Timestamp) -> Timestamp {
        shifted(now, self.ahead)
    }

    /// By how many milliseconds its clock is ahead.
    pub const fn ahead(&self) -> i64 {
        self.ahead
    }

    /// When something may happen in it by itself, not before `now`.
    pub fn due(&self, now: Timestamp) -> Option<Timestamp> {
        Some(shifted(self.machine.next_timeout()?, -self.ahead).max(now))
    }

    /// Looks at the clock. Returns the step, if it was set.
    fn look(&mut self, Moment { now, ahead }: Moment, chance: f64) -> Option<ClockStep> {
        if ahead.abs_diff(self.ahead) < ClockStep::MIN.as_millis() as u64 {
            return None;
        }
        let step = ClockStep { from: shifted(now, self.ahead), to: shifted(now, ahead) };
        self.ahead = ahead;
        if !self.is_blind {
            self.machine.handle(Event::ClockStepped(step), step.to, chance);
        }
        Some(step)
    }

    /// Takes in what happens. Returns the step that its clock made before, if it did.
    pub fn take(&mut self, event: Event, moment: Moment, chance: f64) -> Option<ClockStep> {
        let step = self.look(moment, chance);
        self.machine.handle(event, self.shown(moment.now), chance);
        step
    }

    /// What a request came to, as an event.
    pub fn answered(&mut self, number: u64, answer: &Result<HttpResponse, TransportError>, now: Timestamp) -> Event {
        let (shown, secrets) = (self.shown(now), Secrets::default());
        match self.awaited.remove(&number).expect("an answer is of a request") {
            Whose::Account(account, since) => {
                let answer = Answer { took: now.since(since), ..classify(answer, &secrets, shown) };
                Event::Answered { account, answer }
            }
            Whose::Page(since) => {
                let PageAnswer { answer, page } = decode_listing(answer, &secrets, shown);
                Event::Page(PageAnswer { answer: Answer { took: now.since(since), ..answer }, page })
            }
            Whose::Token(since) => {
                let mut answer = classify_token(answer, &self.url, &secrets, shown);
                answer.took = now.since(since);
                Event::Token(answer)
            }
        }
    }

    /// What follows of all that happened; whether it ends with that.
    pub fn turn(&mut self, now: Timestamp, chance: f64) -> (Vec<Deed>, bool) {
        let mut deeds = Vec::new();
        loop {
            let Turn { effects, then } = self.machine.turn(self.shown(now));
            self.perform(effects, now, &mut deeds);
            if then != Then::ReadCredentials {
                return (deeds, then == Then::End);
            }
            let read = self.credentials.load().expect("they are there");
            self.machine.handle(Event::Credentials(Ok(read)), self.shown(now), chance);
        }
    }

    /// Its last deeds, and what the pass came to.
    pub fn end(&mut self, now: Timestamp) -> (Vec<Deed>, Summary) {
        let (effects, mut deeds) = (self.machine.end(self.shown(now)), Vec::new());
        self.perform(effects, now, &mut deeds);
        (deeds, self.machine.summary(self.shown(now)))
    }

    /// Brings a report up to date.
    pub fn describe(&mut self, report: &mut Report, now: Timestamp) {
        self.machine.describe(report, shifted(now, self.ahead));
    }

    fn perform(&mut self, effects: Vec<Effect>, now: Timestamp, deeds: &mut Vec<Deed>) {
        let principal = Principal::Admin(sandbox::Settings::default().zoid);
        for effect in effects {
            deeds.push(match effect {
                Effect::Append { records, ticket } => Deed::Append(records, ticket),
                Effect::Put(put) => {
                    let Put { change, token } = *put;
                    let request = encode(&change, principal, &self.url, &token).expect("every account has a zuid");
                    self.send(Whose::Account(change.account, now), request)
                }
                Effect::Read(read) => {
                    let Read { window, token } = *read;
                    self.send(Whose::Page(now), encode_listing(principal, window, &self.url, &token))
                }
                Effect::FetchToken(credentials) => {
                    self.send(Whose::Token(now), encode_token_request(&credentials, &self.url))
                }
                Effect::Answer(list) => Deed::Tell(*list),
                Effect::Log(_) => Deed::Log,
                Effect::Count(_) => continue,
            });
        }
    }

    fn send(&mut self, whose: Whose, request: HttpRequest) -> Deed {
        self.sent += 1;
        self.awaited.insert(self.sent, whose);
        Deed::Send(self.sent, request)
    }
}
