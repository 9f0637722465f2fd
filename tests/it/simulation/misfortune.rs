//! What goes wrong outside the process, drawn by chance.
//!
//! In: chance. Out: a fault script in force, tokens revoked, a service out of reach, a slow network, a full disk.

use std::time::Duration;

use serde_json::{Value, json};
use zoho_mail_reconciler::freeze::Freeze;
use zoho_mail_reconciler::order::Order;
use zoho_mail_reconciler::sandbox::{Budget, LockForm, Script};
use zoho_mail_reconciler::timestamp::Timestamp;

use super::{Simulation, Universe, lock};

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
    match chance.u8(0..17) {
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
        15 => json!({"operation": "token", "times": times, "do": "dropAfterActing"}),
        _ => json!({"times": times, "latency": format!("{}ms", chance.u64(1..45_000))}),
    }
}

impl Universe {
    /// The switch that suspends everything is set, or lifted.
    pub fn switched(&mut self, freeze: Option<Freeze>, now: Timestamp) {
        self.proofs
            .note(now, || freeze.as_ref().map_or_else(|| "RESUME".into(), |freeze| format!("SWITCH   {freeze}")));
        self.proofs.frozen = freeze.clone().map(|freeze| (now, freeze));
        self.switch.send_replace(freeze);
    }

    /// An operator orders that the pause until then is lifted.
    pub fn lifted(&mut self, until: Timestamp, now: Timestamp) {
        self.proofs.note(now, || format!("LIFT     the pause until {until}"));
        self.proofs.lifted = Some(until);
        self.lift.send_replace(Some(Order::PauseLift { until, by: None }));
    }

    /// Something goes wrong. Returns words for it.
    pub fn go_wrong(&mut self, now: Timestamp) -> String {
        match self.chance.u8(0..10) {
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
                let refused = json!({"faults": [{"operation": "token", "times": 2,
                    "do": {"answer": {"status": 200, "body": {"error": "invalid_code"}}}}]});
                self.set_script(&refused);
                "tokens are refused".into()
            }
            _ => {
                let count = self.chance.usize(1..4);
                let faults: Vec<Value> = (0..count).map(|_| fault(&mut self.chance)).collect();
                let script = json!({"faults": faults});
                self.set_script(&script);
                script.to_string()
            }
        }
    }

    fn set_script(&mut self, script: &Value) {
        self.world.set_faults(Script::parse(script.to_string().as_bytes()).unwrap());
    }
}

impl Simulation {
    /// From now on nothing goes wrong any more.
    pub fn all_is_well(&mut self) {
        let mut universe = lock(&self.universe);
        universe.switched(None, self.now);
        universe.world.set_faults(Script::default());
        universe.network.unreachable_until = Timestamp::default();
        universe.network.slowness = 50;
        (universe.disk.full, universe.disk.failing) = (false, false);
        universe.network.lateness = 0;
        universe.proofs.note(self.now, || "all is well".into());
        self.folder.repair(&mut universe.chance, self.now);
    }
}
