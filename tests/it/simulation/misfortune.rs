//! What goes wrong outside the process, drawn by chance.
//!
//! In: chance. Out: a fault script in force, tokens revoked, a service out of reach, a slow network, a full disk, a log that
//! is not read, accounts that never succeed.

use std::time::Duration;

use serde_json::{Value, json};
use zoho_mail_reconciler::freeze::Freeze;
use zoho_mail_reconciler::order::Order;
use zoho_mail_reconciler::sandbox::{Budget, LockForm, Script};
use zoho_mail_reconciler::timestamp::Timestamp;

use super::broken::Broken;
use super::folder::account;
use super::{Simulation, Universe};

/// The service's own budget: sometimes none, sometimes tighter than ours, for others use it too.
pub fn budget(chance: &mut fastrand::Rng) -> Option<Budget> {
    let form = [LockForm::Text, LockForm::RetryAfter, LockForm::Bare][chance.usize(0..3)];
    let (window, lock) = (Duration::from_secs(60), Duration::from_secs(chance.u64(30..600)));
    chance.bool().then(|| Budget { requests: chance.u32(3..30), window, lock, form })
}

/// One thing that may happen to requests.
fn fault(chance: &mut fastrand::Rng) -> Value {
    let times = chance.u64(1..8);
    let put = |what: Value| json!({"operation": "put", "times": times, "do": what});
    let answer = |status: u16, body: Value| put(json!({"answer": {"status": status, "body": body}}));
    let code =
        |status: u16, code: &str| answer(status, json!({"status": {"code": status}, "data": {"errorCode": code}}));
    // With the service's envelope, or as any proxy says it.
    let wait = |chance: &mut fastrand::Rng, status: u16, seconds: u64| {
        let body = if chance.bool() { json!({"status": {"code": status}}) } else { json!("busy") };
        let headers = json!({"Retry-After": chance.u64(1..seconds).to_string()});
        put(json!({"answer": {"status": status, "headers": headers, "body": body}}))
    };
    let page = |what: Value| json!({"operation": "list", "times": times.min(3), "do": what});
    match chance.u8(0..21) {
        0 | 1 => put(json!("dropBeforeActing")),
        2 | 3 => put(json!("dropAfterActing")),
        4 => put(json!("badGateway")),
        5 => put(json!("expireToken")),
        6 => put(json!({"redirect": "https://login.example.com/"})),
        7 => wait(chance, 503, 300),
        8 => put(json!({"answer": {"status": 500, "body": "oops", "acts": true}})),
        9 => put(json!({"answer": {"status": 200, "body": "<html>login</html>", "acts": chance.bool()}})),
        10 => code(403, "FORBIDDEN"),
        11 => code(404, "ACCOUNT_NOT_FOUND"),
        12 => code(401, "INVALID_OAUTHTOKEN"),
        13 => {
            let body = json!({"status": {"code": 400}, "data": {"errorCode": "URL_ROLLING_THROTTLES_LIMIT_EXCEEDED",
                "moreInfo": format!("Try again after {} minutes", chance.u64(1..9))}});
            answer(400, body)
        }
        14 => wait(chance, 429, 300),
        16 => page(json!("badGateway")),
        17 => page(json!({"answer": {"status": 200, "body": {"status": {"code": 200}, "data": []}, "cutAfter": 20}})),
        18 => page(
            json!({"answer": {"status": 401, "body": {"status": {"code": 401}, "data": {"errorCode": "INVALID_OAUTHTOKEN"}}}}),
        ),
        19 => page(
            json!({"answer": {"status": 200, "body": {"status": {"code": 200, "description": "success"}, "data": []}}}),
        ),
        15 => json!({"operation": "token", "times": times, "do": "dropAfterActing"}),
        _ => json!({"times": times, "latency": format!("{}ms", chance.u64(1..45_000))}),
    }
}

/// In how many ways an account may never succeed.
const WAYS: usize = 7;

/// What an account is answered that never succeeds in this way.
fn never(chance: &mut fastrand::Rng, way: usize) -> Value {
    let answer = |status: u16, body: Value| json!({"do": {"answer": {"status": status, "body": body}}});
    let code =
        |status: u16, code: &str| answer(status, json!({"status": {"code": status}, "data": {"errorCode": code}}));
    match way {
        0 => answer(500, json!("oops")),
        1 => json!({"do": "dropBeforeActing", "latency": "40s"}),
        2 => {
            let headers = json!({"Retry-After": chance.u64(1..120).to_string()});
            json!({"do": {"answer": {"status": 429, "headers": headers, "body": {"status": {"code": 429}}}}})
        }
        3 => code(401, "INVALID_OAUTHTOKEN"),
        4 => code(403, "FORBIDDEN"),
        5 => code(400, "EXTRA_PARAM_FOUND"),
        _ => code(404, "ACCOUNT_NOT_FOUND"),
    }
}

/// How many lines a log takes that is not read.
const LOG_ROOM: usize = 5;

impl Universe {
    /// So many accounts, from the first on, never succeed: all in one way, or each in its own.
    pub fn fall_ill(&mut self, chance: &mut fastrand::Rng, accounts: u64) {
        let one_way = chance.bool().then(|| chance.usize(0..WAYS));
        for n in 0..accounts {
            let way = one_way.unwrap_or_else(|| chance.usize(0..WAYS));
            let mut fault = never(chance, way);
            fault["operation"] = "put".into();
            fault["account"] = account(n).to_string().into();
            self.ill.insert(account(n), fault);
        }
        self.set_faults(Vec::new());
    }

    /// The next so many PUTs are refused alike, whosever they are.
    pub fn refuse_all(&mut self, times: u64) {
        if times > 0 {
            let body = json!({"status": {"code": 403}, "data": {"errorCode": "FORBIDDEN"}});
            let refused = json!({"operation": "put", "times": times, "do": {"answer": {"status": 403, "body": body}}});
            self.set_faults(vec![refused]);
        }
    }

    /// The process writes a line of the log. Whether it waits until somebody reads it: it never does.
    pub fn log(&mut self) -> bool {
        let Some(lines) = &mut self.unread else { return false };
        *lines += 1;
        *lines > LOG_ROOM && self.broken == Some(Broken::WaitsForTheLog)
    }

    /// The switch that suspends everything is set, or lifted.
    pub fn switched(&mut self, freeze: Option<Freeze>, now: Timestamp) {
        self.proofs
            .note(now, || freeze.as_ref().map_or_else(|| "RESUME".into(), |freeze| format!("SWITCH   {freeze}")));
        self.proofs.frozen = freeze.clone().map(|freeze| (now, freeze));
        self.switch = freeze;
    }

    /// An operator orders that the pause until then is lifted.
    pub fn lifted(&mut self, until: Timestamp, now: Timestamp) -> Order {
        self.proofs.note(now, || format!("LIFT     the pause until {until}"));
        self.proofs.lifted = Some(until);
        self.lift.insert(Order::PauseLift { until, by: None }).clone()
    }

    /// Something goes wrong. Returns words for it.
    pub fn go_wrong(&mut self, now: Timestamp) -> String {
        match self.chance.u8(0..12) {
            0 => {
                self.world.revoke_tokens();
                "tokens are revoked".into()
            }
            1 => {
                let seconds = self.chance.u64(1..90);
                self.network.unreachable_until = now + Duration::from_secs(seconds);
                format!("out of reach for {seconds} s")
            }
            2 => {
                self.network.slowness = self.chance.u64(1..20_000);
                format!("slow, {} ms", self.network.slowness)
            }
            3 => {
                if self.chance.u8(0..4) == 0 {
                    self.disk.failing = true;
                    return "the next sync fails".into();
                }
                self.disk.full = !self.disk.full;
                format!("disk full: {}", self.disk.full)
            }
            4 => {
                // The real service would answer so; the simulated one has no such switch.
                let refused = json!({"operation": "token", "times": 2,
                    "do": {"answer": {"status": 200, "body": {"error": "invalid_code"}}}});
                self.set_faults(vec![refused]);
                "tokens are refused".into()
            }
            5 => {
                let times = self.chance.u64(5..40);
                self.refuse_all(times);
                format!("{times} PUTs are refused alike")
            }
            6 => {
                self.unread = if self.unread.is_some() { None } else { Some(0) };
                format!("the log is not read: {}", self.unread.is_some())
            }
            _ => {
                let count = self.chance.usize(1..4);
                let faults: Vec<Value> = (0..count).map(|_| fault(&mut self.chance)).collect();
                let words = json!(faults).to_string();
                self.set_faults(faults);
                words
            }
        }
    }

    /// These things happen to requests from now on, beside what always happens.
    fn set_faults(&mut self, faults: Vec<Value>) {
        let faults: Vec<Value> = faults.into_iter().chain(self.ill.values().cloned()).collect();
        self.world.set_faults(Script::parse(json!({"faults": faults}).to_string().as_bytes()).unwrap());
    }
}

impl Simulation {
    /// From now on nothing goes wrong any more.
    pub fn all_is_well(&mut self) {
        let universe = &mut self.universe;
        universe.switched(None, self.now);
        universe.ill.clear();
        universe.unread = None;
        universe.world.set_faults(Script::default());
        universe.network.unreachable_until = Timestamp::default();
        universe.network.slowness = 50;
        (universe.disk.full, universe.disk.failing) = (false, false);
        universe.network.lateness = 0;
        universe.proofs.note(self.now, || "all is well".into());
        self.folder.repair(&mut universe.chance, self.now);
    }
}
