//! `/sandbox/…`: looking in from outside, and changing the fault script.
//!
//! In: requests beside the documented ones. Out: the accounts, the log, a new script.
//! Invariants: no control request is counted, logged, throttled or met by a fault, so that watching
//! changes nothing; the real service has no such URLs, so no client can come to depend on them.
//!
//! - `GET /sandbox/accounts`: `{"accounts": […]}`
//! - `GET /sandbox/requests`: `{"totals": {…}, "lockedUntil": …, "requests": […]}`, oldest first
//! - `PUT /sandbox/faults`: a script as [`super::faults`] documents it; `{"faults": []}` ends all

use std::error::Error as _;

use serde_json::json;

use super::message::{Reply, Request};
use super::script::Script;
use super::world::World;
use crate::timestamp::Timestamp;

pub(super) fn answer(world: &mut World, now: Timestamp, name: &str, request: &Request<'_>) -> Reply {
    match (request.method, name) {
        ("GET", "accounts") => Reply::json(200, &json!({"accounts": world.accounts().collect::<Vec<_>>()})),
        ("GET", "requests") => Reply::json(
            200,
            &json!({
                "totals": world.totals(),
                "lockedUntil": world.locked_until(now),
                "requests": world.log().collect::<Vec<_>>(),
            }),
        ),
        ("PUT", "faults") => put_faults(world, request.body),
        (_, "accounts" | "requests") => refuse(405, "this URL takes GET"),
        (_, "faults") => refuse(405, "this URL takes PUT"),
        _ => refuse(404, "there are GET /sandbox/accounts, GET /sandbox/requests and PUT /sandbox/faults"),
    }
}

fn put_faults(world: &mut World, body: &[u8]) -> Reply {
    match Script::parse(body) {
        Ok(script) => {
            let count = script.len();
            world.set_faults(script);
            Reply::json(200, &json!({"faults": count}))
        }
        Err(error) => {
            let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            refuse(400, &format!("{error}{cause}; nothing changed"))
        }
    }
}

fn refuse(status: u16, reason: &str) -> Reply {
    Reply::json(status, &json!({"error": reason}))
}
