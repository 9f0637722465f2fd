//! The way to the service and back: a transport that brings requests to the simulated world in memory.
//!
//! In: requests of the real client. Out: answers, late, lost or never; and to the proofs, everything
//! that was seen on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::sleep;
use zoho_mail_reconciler::account::{AccountId, Field};
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::sandbox::{Delivery, Reply, Request};
use zoho_mail_reconciler::timestamp::Timestamp;
use zoho_mail_reconciler::zoho::{HeaderText, HttpRequest, HttpResponse, Method, Transport, TransportError};

use super::{REQUEST_TIMEOUT, Shared, Universe, lock};

/// What is under way.
#[derive(Default)]
pub struct Network {
    /// Nobody can connect until then.
    pub unreachable_until: Timestamp,
    /// Up to how long a request, and its answer, are on the way, in milliseconds.
    pub slowness: u64,
    out: BTreeMap<u64, Sent>,
    sent: u64,
}

/// A PUT, as the wire shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    pub account: AccountId,
    pub field: Field,
    pub to: bool,
}

#[derive(Clone, Debug)]
struct Sent {
    put: Option<Put>,
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
        let method = if request.method == Method::Put { "PUT" } else { "POST" };
        let headers = request.headers.iter().map(|(name, text)| match text {
            HeaderText::Plain(text) => (*name, (*text).to_owned()),
            HeaderText::Secret(secret) => (*name, secret.expose_secret().to_owned()),
        });
        Self { put: put(request.method, &target, &body), method, headers: headers.collect(), target, body }
    }

    fn text(&self) -> String {
        self.put.map_or_else(|| "token".into(), |Put { account, field, to }| format!("{account} {field} {to}"))
    }
}

fn put(method: Method, target: &str, body: &[u8]) -> Option<Put> {
    if method != Method::Put {
        return None;
    }
    let account = target.rsplit('/').next()?.parse().ok()?;
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let (field, to) = match body["mode"].as_str()? {
        "enableMailAccount" => (Field::Enabled, true),
        "disableMailAccount" => (Field::Enabled, false),
        _ => (Field::ActiveSyncEnabled, body["activeSyncEnabled"] == "true"),
    };
    Some(Put { account, field, to })
}

impl Network {
    pub fn new(slowness: u64) -> Self {
        Self { slowness, ..Self::default() }
    }

    /// The process was killed: what is under way arrives now, or never.
    pub fn kill(universe: &mut Universe, now: Timestamp) {
        for ticket in universe.network.out.keys().copied().collect::<Vec<_>>() {
            if universe.chance.bool() {
                arrive(universe, ticket, now);
            }
        }
        universe.network.out.clear();
    }
}

/// The request reaches the service.
fn arrive(universe: &mut Universe, ticket: u64, now: Timestamp) -> Option<Reply> {
    let sent = universe.network.out.remove(&ticket)?;
    let headers: Vec<(&str, &str)> = sent.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let request = Request { method: sent.method, target: &sent.target, headers: &headers, body: &sent.body };
    let applied = universe.world.totals().applied;
    let reply = universe.world.handle(now, &request);
    let acted = universe.world.totals().applied > applied;
    universe
        .proofs
        .note(now, format!("arrives  {}: {} {:?}, acted {acted}", sent.text(), reply.status, reply.delivery));
    universe.proofs.arrived(sent.put, acted, now);
    universe.proofs.truth(&universe.disk.durable, &universe.world, now);
    Some(reply)
}

/// The transport of one life.
pub struct Wire {
    pub universe: Shared,
    pub clock: Clock,
}

impl Wire {
    fn depart(&self, request: &HttpRequest) -> Result<(u64, Option<Put>, [Duration; 2]), TransportError> {
        let (mut universe, now) = (lock(&self.universe), self.clock.now());
        let Universe { proofs, disk, network, chance, .. } = &mut *universe;
        let sent = Sent::of(request);
        proofs.departs(sent.put, &disk.durable, now);
        if now < network.unreachable_until {
            proofs.note(now, format!("refused  {}", sent.text()));
            proofs.returned(sent.put, None, now);
            return Err(TransportError::Connect("the service".into()));
        }
        network.sent += 1;
        let (ticket, put) = (network.sent, sent.put);
        proofs.note(now, format!("departs  {}", sent.text()));
        network.out.insert(ticket, sent);
        let slow = 1..=network.slowness.max(1);
        Ok((ticket, put, [(); 2].map(|()| Duration::from_millis(chance.u64(slow.clone())))))
    }
}

impl Transport for Wire {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let (ticket, put, [out, back]) = self.depart(&request)?;
        sleep(out).await;
        let arrived = arrive(&mut lock(&self.universe), ticket, self.clock.now());
        let reply = arrived.expect("only a kill takes requests away, and there is nobody to send them then");
        let rest = (reply.after + back).min(REQUEST_TIMEOUT.saturating_sub(out));
        sleep(rest).await;
        let late = out + rest >= REQUEST_TIMEOUT;
        let (mut universe, now) = (lock(&self.universe), self.clock.now());
        let reply = Some(reply).filter(|reply| !late && reply.delivery == Delivery::Answer);
        universe.proofs.returned(put, reply.as_ref(), now);
        match reply {
            Some(reply) => Ok(response(&reply)),
            None if late => Err(TransportError::Timeout(REQUEST_TIMEOUT)),
            None => Err(TransportError::Lost("reset".into())),
        }
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
        truncated: false,
    }
}
