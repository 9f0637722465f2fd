//! The way to the service and back: requests come to the simulated world in memory.
//!
//! In: requests as the real client encodes them. Out: answers, late, lost or never, and requests that arrive after all,
//! when nobody waits for them any more; and to the proofs, everything that was seen on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::ExposeSecret;
use zoho_mail_reconciler::account::{AccountId, Field};
use zoho_mail_reconciler::sandbox::{Delivery, Reply, Request};
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::zoho::{HeaderText, HttpRequest, HttpResponse, Method, TransportError};

use super::agenda::Due;
use super::broken::Broken;
use super::folder::account;
use super::life::Life;
use super::past::Past;
use super::{REQUEST_TIMEOUT, Universe};

/// How long after its sender gave up a request may still come to the service: what the ledger counts on.
pub const LANDING: Duration = Duration::from_secs(180);

/// What is under way.
#[derive(Default)]
pub struct Network {
    /// Nobody can connect until then.
    pub unreachable_until: Timestamp,
    /// Up to how long a request, and its answer, are on the way, in milliseconds.
    pub slowness: u64,
    /// How many PUTs of a hundred get lost, to arrive when nobody waits for them any more.
    pub lateness: u8,
    /// What pages that lag behind show.
    pub past: Past,
    out: BTreeMap<u64, Sent>,
    late: BTreeMap<(Timestamp, u64), Sent>,
    sent: u64,
}

/// A PUT, as the wire shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    pub account: AccountId,
    pub field: Field,
    pub to: bool,
}

/// What kind of request the wire shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Put(Put),
    Page,
    Token,
}

impl Kind {
    pub fn put(self) -> Option<Put> {
        if let Self::Put(put) = self { Some(put) } else { None }
    }
}

#[derive(Clone, Debug)]
struct Sent {
    kind: Kind,
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Sent {
    fn of(request: &HttpRequest) -> Self {
        let target = request.url.split_once("//").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
        let target = target.unwrap_or("/").to_owned();
        let body = request.body.expose_secret().to_vec();
        let (kind, method) = match request.method {
            Method::Put => (put(&target, &body), "PUT"),
            Method::Get => (Some(Kind::Page), "GET"),
            _ => (Some(Kind::Token), "POST"),
        };
        let kind = kind.expect("a PUT is one of those that are known");
        let headers = request.headers.iter().map(|(name, text)| match text {
            HeaderText::Plain(text) => (*name, (*text).to_owned()),
            HeaderText::Secret(secret) => (*name, secret.expose_secret().to_owned()),
        });
        Self { kind, method, headers: headers.collect(), target, body }
    }

    fn text(&self) -> String {
        match self.kind {
            Kind::Put(Put { account, field, to }) => format!("{account} {field} {to}"),
            Kind::Page => "page".into(),
            Kind::Token => "token".into(),
        }
    }
}

fn put(target: &str, body: &[u8]) -> Option<Kind> {
    let account = target.rsplit('/').next()?.parse().ok()?;
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let (field, to) = match body["mode"].as_str()? {
        "enableMailAccount" => (Field::Enabled, true),
        "disableMailAccount" => (Field::Enabled, false),
        _ => (Field::ActiveSyncEnabled, body["activeSyncEnabled"] == "true"),
    };
    Some(Kind::Put(Put { account, field, to }))
}

impl Network {
    pub fn new(slowness: u64, lateness: u8) -> Self {
        Self { slowness, lateness, ..Self::default() }
    }

    /// The process is dead: what is under way arrives now, or late, or never.
    pub fn crash(universe: &mut Universe, now: Timestamp) {
        for (ticket, sent) in std::mem::take(&mut universe.network.out) {
            match universe.fate.unwrap_or_else(|| FATES[universe.chance.usize(0..FATES.len())]) {
                Fate::Now => {
                    universe.network.out.insert(ticket, sent);
                    arrive(universe, ticket, now);
                }
                Fate::Late => postpone(universe, sent, now),
                Fate::Never => {}
            }
        }
    }

    /// What nobody waits for any more, and comes to the service all the same.
    pub fn land(universe: &mut Universe, now: Timestamp) {
        while let Some(next) = universe.network.late.first_entry().filter(|next| next.key().0 <= now) {
            let ((at, _), sent) = next.remove_entry();
            deliver(universe, &sent, at);
        }
    }
}

/// What becomes of a request whose sender died.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Now,
    Late,
    Never,
}

pub const FATES: [Fate; 3] = [Fate::Now, Fate::Late, Fate::Never];

/// Nobody waits for the request any more; some time it arrives.
fn postpone(universe: &mut Universe, sent: Sent, now: Timestamp) {
    if sent.kind.put().is_none() {
        return;
    }
    // It counts for the budget now: nobody can ration what a network saves up and delivers together.
    universe.proofs.counted(sent.kind, now);
    let longest = LANDING.as_millis() as u64;
    let longest = if universe.broken == Some(Broken::LandsTooLate) { 10 * longest } else { longest };
    let at = now + Duration::from_millis(universe.chance.u64(0..longest));
    universe.proofs.note(now, || format!("lingers  {}, until {at}", sent.text()));
    universe.network.sent += 1;
    universe.network.late.insert((at, universe.network.sent), sent);
}

/// The request reaches the service in time.
fn arrive(universe: &mut Universe, ticket: u64, now: Timestamp) -> Option<Reply> {
    let sent = universe.network.out.remove(&ticket)?;
    universe.proofs.counted(sent.kind, now);
    Some(deliver(universe, &sent, now))
}

/// The service handles the request.
fn deliver(universe: &mut Universe, sent: &Sent, now: Timestamp) -> Reply {
    let headers: Vec<(&str, &str)> = sent.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let request = Request { method: sent.method, target: &sent.target, headers: &headers, body: &sent.body };
    let applied = universe.world.totals().applied;
    let past = universe.network.past.seen_by(sent.kind, &universe.world, &mut universe.chance, now);
    let present = past.iter().filter_map(|old| universe.world.account(old.account_id).cloned()).collect::<Vec<_>>();
    past.into_iter().for_each(|old| universe.world.seed(old));
    let reply = universe.world.handle(now, &request);
    present.into_iter().for_each(|new| universe.world.seed(new));
    let Universe { proofs, disk, world, .. } = universe;
    let acted = world.totals().applied > applied;
    proofs.note(now, || format!("arrives  {}: {} {:?}, acted {acted}", sent.text(), reply.status, reply.delivery));
    proofs.truth(&disk.live, world, now);
    reply
}

/// A request on its way.
pub struct Journey {
    /// The number that its sender gave it.
    number: u64,
    ticket: u64,
    kind: Kind,
    begun: Timestamp,
    back: Duration,
    /// It gets lost.
    lost: bool,
}

/// How it ends for its sender.
pub enum Ending {
    /// With an answer, or with the connection closed.
    Reply(Reply),
    /// With an answer that no service gave.
    Lie,
    /// The sender waited long enough.
    Timeout,
    /// Nobody listens.
    Refused,
}

impl Life<'_> {
    /// A request leaves the process.
    pub fn depart(&mut self, number: u64, request: &HttpRequest) {
        let now = self.now;
        let Universe { proofs, disk, network, chance, broken, ill, .. } = &mut *self.universe;
        let sent = Sent::of(request);
        let kind = sent.kind;
        let put = kind.put();
        proofs.departs(kind, &disk.durable, now);
        let (ticket, back, lost) = (network.sent + 1, Duration::ZERO, false);
        let journey = Journey { number, ticket, kind, begun: now, back, lost };
        let held_up = *broken == Some(Broken::HoldsOthersUp)
            && put.is_some_and(|put| !ill.is_empty() && !ill.contains_key(&put.account));
        if now < network.unreachable_until || held_up {
            proofs.note(now, || format!("refused  {}", sent.text()));
            return self.agenda.add(now, Due::Return(journey, Ending::Refused));
        }
        network.sent += 1;
        proofs.note(now, || format!("departs  {}", sent.text()));
        network.out.insert(ticket, sent);
        let [out, back] = [(); 2].map(|()| Duration::from_millis(chance.u64(1..=network.slowness.max(1))));
        let deaf = *broken == Some(Broken::IsDeafToOne) && put.is_some_and(|put| put.account == account(0));
        let lost = deaf || put.is_some() && chance.u8(0..100) < network.lateness;
        let patience = if lost && chance.bool() { REQUEST_TIMEOUT } else { out };
        self.agenda.add(now + patience, Due::Arrival(Journey { back, lost, ..journey }));
    }

    /// A request comes to the service, or is given up.
    pub fn arrive(&mut self, journey: Journey) {
        let (now, universe) = (self.now, &mut *self.universe);
        let Journey { ticket, kind, begun, back, lost, .. } = journey;
        let put = kind.put();
        if lost {
            return self.come_back(journey, Ending::Timeout);
        }
        if put.is_some() && universe.broken == Some(Broken::LiesAboutSuccess) {
            return self.come_back(journey, Ending::Lie);
        }
        if put.is_some() && universe.broken == Some(Broken::SendsTwice) {
            universe.proofs.departs(kind, &universe.disk.durable, now);
        }
        let reply = arrive(universe, ticket, now).expect("only a crash takes requests away");
        let rest = (reply.after + back).min(REQUEST_TIMEOUT.saturating_sub(now.since(begun)));
        let ending = if now.since(begun) + rest >= REQUEST_TIMEOUT { Ending::Timeout } else { Ending::Reply(reply) };
        self.agenda.add(now + rest, Due::Return(journey, ending));
    }

    /// The sender gets an answer, or gives up.
    pub fn come_back(&mut self, Journey { number, ticket, kind, begun, .. }: Journey, ending: Ending) {
        let (now, universe) = (self.now, &mut *self.universe);
        // What was given up on its way comes all the same, unless nobody hears it.
        let sent = universe.network.out.remove(&ticket);
        if let Some(sent) =
            sent.filter(|_| matches!(ending, Ending::Timeout) && universe.broken != Some(Broken::IsDeafToOne))
        {
            postpone(universe, sent, now);
        }
        let reply = match &ending {
            Ending::Reply(reply) => Some(reply).filter(|reply| reply.delivery == Delivery::Answer),
            Ending::Lie | Ending::Timeout | Ending::Refused => None,
        };
        universe.proofs.returned(kind.put(), reply, now);
        let answer = match (&ending, reply.map(response)) {
            (_, Some(response)) => Ok(response),
            (Ending::Lie, _) => {
                let body = br#"{"status":{"code":200,"description":"success"}}"#.to_vec();
                Ok(HttpResponse { status: 200, body, ..HttpResponse::default() })
            }
            (Ending::Refused, _) => Err(TransportError::Connect("the service".into())),
            (Ending::Timeout, _) if now.since(begun) >= REQUEST_TIMEOUT => {
                Err(TransportError::Timeout(REQUEST_TIMEOUT))
            }
            (Ending::Timeout | Ending::Reply(_), _) => Err(TransportError::Lost("reset".into())),
        };
        let event = self.program.answered(number, &answer, now);
        self.feed(event);
    }
}

/// The value of a header of a reply.
pub fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
}

fn response(reply: &Reply) -> HttpResponse {
    HttpResponse {
        status: reply.status,
        retry_after: header(reply, "retry-after").map(str::to_owned),
        body: reply.body.to_vec(),
        ..HttpResponse::default()
    }
}
