//! How the simulated service handles a request.
//!
//! In: a request and its moment. Out: a reply, and what the request did to the world.
//! Invariants: a request is checked in this order, and the first objection is the answer: request
//! budget, fault, URL, method, authorization, scope, organization, headers, query, body, account;
//! nothing takes effect unless all agree. A reply says 200 to a PUT exactly when it took effect, unless a
//! fault lies about it. Deliberately not refused: disabling the administrator's own account, because
//! the real service does not promise to stop that either.

use super::account::Account;
use super::body::{Body, Command};
use super::control;
use super::faults::{self, Effect};
use super::listing;
use super::message::{Delivery, Refusal, Reply, Request, is_media_type};
use super::route::{Operation, Route};
use super::settings::Role;
use super::world::World;
use crate::account::{AccountId, Zoid, Zuid};
use crate::timestamp::Timestamp;

/// The largest body of an API request; the largest documented one has under 200 bytes.
const BODY_MAX: usize = 64 * 1024;

/// The most accounts that are adopted: ten times the largest benchmark.
const ADOPTED_MAX: usize = 1_000_000;

/// A request as far as it can be understood before anything is checked.
struct Call<'a> {
    request: &'a Request<'a>,
    route: Route<'a>,
    account: Option<AccountId>,
    body: Option<Result<Body, Refusal>>,
}

impl<'a> Call<'a> {
    fn read(request: &'a Request<'a>) -> Self {
        let route = Route::of(request.method, request.path());
        let body = route.account().map(|_| {
            if request.body.len() > BODY_MAX {
                return Err(Refusal::new(413, "BODY_TOO_LARGE", format!("the body is over {BODY_MAX} bytes")));
            }
            Body::parse(request.body)
        });
        Self { request, route, account: route.account().and_then(|digits| digits.parse().ok()), body }
    }

    fn operation(&self) -> Operation {
        match &self.body {
            Some(Ok(body)) => body.operation(),
            _ => self.route.operation(),
        }
    }
}

impl World {
    /// Handles one request at `now`. Its effect has happened when this returns, whatever the reply's delivery.
    pub fn handle(&mut self, now: Timestamp, request: &Request<'_>) -> Reply {
        if let Some(name) = request.path().strip_prefix("/sandbox/") {
            return control::answer(self, now, name, request);
        }
        let call = Call::read(request);
        let operation = call.operation();
        let reply = self.meet(now, operation, &call);
        self.log.push(now, request, (operation, call.account), &reply);
        reply
    }

    /// Budget and faults stand before the service itself.
    fn meet(&mut self, now: Timestamp, operation: Operation, call: &Call<'_>) -> Reply {
        // The token endpoint is another host with limits of its own.
        if operation != Operation::Token
            && let Some(meter) = &mut self.meter
            && let Err(excess) = meter.admit(now)
        {
            let reply = meter.refusal(excess);
            self.log.count_excess(excess);
            return reply;
        }
        let met = self.script.meet(operation, call.account);
        let mut reply = match met.effect {
            None => self.answer(now, call),
            Some(effect) => self.suffer(now, call, &effect),
        };
        reply.after = met.latency;
        reply
    }

    fn suffer(&mut self, now: Timestamp, call: &Call<'_>, effect: &Effect) -> Reply {
        let dropped = |result| Reply::none(Delivery::DropConnection, result);
        let reset = |result| Reply::none(Delivery::ResetConnection, result);
        match effect {
            Effect::DropBeforeActing => dropped("dropped before acting"),
            Effect::DropAfterActing => {
                Reply { applied: self.answer(now, call).applied, ..dropped("dropped after acting") }
            }
            Effect::ResetBeforeActing => reset("reset before acting"),
            Effect::ResetAfterActing => {
                Reply { applied: self.answer(now, call).applied, ..reset("reset after acting") }
            }
            Effect::ExpireToken => {
                if let Ok(Some(token)) = bearer(call.request) {
                    self.tokens.revoke(token);
                }
                self.answer(now, call)
            }
            Effect::BadGateway => faults::bad_gateway(),
            Effect::Redirect(url) => faults::redirect(url),
            Effect::Answer(answer) => {
                let applied = answer.acts && self.answer(now, call).applied;
                Reply { applied, ..answer.reply() }
            }
        }
    }

    fn answer(&mut self, now: Timestamp, call: &Call<'_>) -> Reply {
        let answered = match call.route {
            Route::Unknown => Err(Refusal::new(404, "URL_RULE_NOT_CONFIGURED", "the pages know no such URL")),
            Route::WrongMethod { allowed } => {
                let refusal = Refusal::new(405, "INVALID_METHOD", format!("this URL takes {allowed}"));
                return Reply::from(refusal).header("Allow", allowed);
            }
            Route::Token => return self.tokens.answer(now, call.request),
            _ => self.answer_signed(now, call),
        };
        answered.unwrap_or_else(Reply::from)
    }

    fn answer_signed(&mut self, now: Timestamp, call: &Call<'_>) -> Result<Reply, Refusal> {
        let person = self.admit(now, call)?;
        if call.request.header("Accept")?.is_none_or(|value| !is_media_type(value, "application/json")) {
            return Err(Refusal::input("INVALID_HEADER", "Accept is not application/json"));
        }
        match call.route {
            Route::List { .. } => return listing::page(&self.accounts, self.zoid, call.request.query()),
            _ if !call.request.query().is_empty() => {
                return Err(Refusal::input("EXTRA_PARAM_FOUND", "this URL takes no query"));
            }
            Route::Read { user, .. } => return listing::one(&self.accounts, self.zoid, user),
            Route::OwnAccounts => return Ok(listing::own(&self.accounts, self.zoid, person)),
            _ => {}
        }
        if call.request.header("Content-Type")?.is_none_or(|value| !is_media_type(value, "application/json")) {
            return Err(Refusal::input("INVALID_HEADER", "Content-Type is not application/json"));
        }
        self.put(call, person)
    }

    /// Whether the caller may use this URL at all; if so, as whom.
    fn admit(&self, now: Timestamp, call: &Call<'_>) -> Result<Zuid, Refusal> {
        let token = bearer(call.request)?
            .ok_or_else(|| Refusal::new(401, "INVALID_OAUTHTOKEN", "Authorization is not: Zoho-oauthtoken <token>"))?;
        let holder = self
            .tokens
            .holder(now, token)
            .ok_or_else(|| Refusal::new(401, "INVALID_OAUTHTOKEN", "the access token is unknown or has expired"))?;
        if let Some(needed) = call.route.scope()
            && !holder.scopes.iter().any(|scope| scope.covers(needed))
        {
            return Err(Refusal::new(401, "INVALID_OAUTHSCOPE", format!("the token lacks {}", needed.as_str())));
        }
        if let Some(digits) = call.route.zoid() {
            let zoid: Zoid = long(digits, "zoid")?;
            if zoid != self.zoid {
                return Err(Refusal::new(403, "FORBIDDEN", format!("the token's organization is not {zoid}")));
            }
            if holder.role == Role::Member {
                return Err(Refusal::new(403, "FORBIDDEN", "the token's person does not administer the organization"));
            }
        }
        Ok(holder.person)
    }

    fn put(&mut self, call: &Call<'_>, person: Zuid) -> Result<Reply, Refusal> {
        let id: AccountId = long(call.route.account().unwrap_or_default(), "accountId")?;
        let Some(body) = call.body.clone().transpose()? else {
            return Err(Refusal::input("JSON_PARSE_ERROR", "the PUT has no body"));
        };
        let owner = match (call.route, body.zuid) {
            (Route::PutAsPerson { .. }, None) => person,
            (Route::PutAsPerson { .. }, Some(_)) => {
                return Err(Refusal::input("EXTRA_KEY_FOUND_IN_JSON", "zuid is for admin authentication only"));
            }
            (_, Some(zuid)) => zuid,
            (_, None) => {
                return Err(Refusal::input("LESS_THAN_MIN_OCCURANCE", "zuid is null: admin authentication needs it"));
            }
        };
        self.adopt(id, owner);
        let Some(account) = self.accounts.get_mut(&id) else {
            return Err(Refusal::new(404, "ACCOUNT_NOT_FOUND", format!("Account id {id} is invalid")));
        };
        if account.zuid != owner {
            return Err(match call.route {
                Route::PutAsPerson { .. } => Refusal::new(403, "FORBIDDEN", format!("account {id} is somebody else's")),
                _ => Refusal::input("INVALID_ZUID", format!("zuid {owner} is not the user of account {id}")),
            });
        }
        match body.command {
            Command::Mailbox { enabled } => account.mailbox_enabled = enabled,
            Command::ActiveSync { enabled } => account.active_sync_enabled = enabled,
        }
        account.puts += 1;
        Ok(Reply::applied())
    }

    /// In an open world an unknown account comes to be when it is first spoken of.
    fn adopt(&mut self, id: AccountId, owner: Zuid) {
        if self.open && self.accounts.len() < ADOPTED_MAX && !self.accounts.contains_key(&id) {
            let name = id.to_string();
            self.seed(Account::new(id, owner, &format!("{name}@sandbox.example"), &name));
        }
    }
}

/// The access token; `None` if the header is there but not of this form.
fn bearer<'a>(request: &Request<'a>) -> Result<Option<&'a str>, Refusal> {
    let header = request
        .header("Authorization")?
        .ok_or_else(|| Refusal::input("INVALID_TICKET", "the header Authorization is missing"))?;
    Ok(header.strip_prefix("Zoho-oauthtoken ").filter(|token| !token.is_empty()))
}

fn long<T: std::str::FromStr>(digits: &str, name: &str) -> Result<T, Refusal> {
    digits.parse().map_err(|_| Refusal::input("PATTERN_NOT_MATCHED", format!("{name} in the URL is not a long")))
}
