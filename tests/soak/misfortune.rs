//! What the service does to the daemon.
//!
//! In: chance. Out: scripts of faults. Mild enough that work goes on between them: how long the daemon waits in a
//! longer outage is not what a soak can show.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use zoho_mail_reconciler::sandbox::{Error, Script, Settings};

use super::process::account;

/// How often a token is forgotten. Each costs a token request, of which there may be ten in ten minutes.
pub const TOKEN_LIFE: Duration = Duration::from_secs(75);

/// The service: strict, and without a budget of its own.
pub fn service() -> Settings {
    Settings::default()
}

/// What goes wrong for a while; with `token`, the access token as well.
pub fn draw(chance: &mut Rng, token: bool) -> Result<Script, Error> {
    let mut faults: Vec<Value> = (0..chance.usize(0..4)).map(|_| fault(chance)).collect();
    if token {
        faults.push(json!({"operation": "put", "times": 1, "do": "expireToken"}));
    }
    Script::parse(json!({"faults": faults}).to_string().as_bytes())
}

fn fault(chance: &mut Rng) -> Value {
    // Five in a row open the breaker: seldom enough.
    let times = chance.u64(1..3);
    let put = |what: Value| json!({"operation": "put", "nth": 3, "times": times, "do": what});
    let answer = |status: u16| put(json!({"answer": {"status": status}}));
    let later = |status: u16| put(json!({"answer": {"status": status, "headers": {"Retry-After": "1"}}}));
    match chance.u8(0..12) {
        0 => put(json!("dropBeforeActing")),
        1 => put(json!("dropAfterActing")),
        2 => put(json!("badGateway")),
        3 => answer(500),
        4 => later(503),
        5 => later(429),
        6 => answer(403),
        7 => answer(404),
        8 => put(json!({"redirect": "https://login.example.com/"})),
        9 => put(json!({"answer": {"status": 200, "body": "<html>login</html>", "acts": true}})),
        10 => json!({"operation": "put", "account": account(chance.u64(0..500)), "latency": "300ms"}),
        _ => json!({"operation": "put", "times": 40, "latency": format!("{}ms", chance.u64(1..50))}),
    }
}
