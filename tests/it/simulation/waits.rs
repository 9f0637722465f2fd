//! How long an answer makes everybody wait.
//!
//! In: a reply of the service. Out: the wait that its header or its words ask for.

use std::time::Duration;

use zoho_mail_reconciler::sandbox::Reply;

use super::THROTTLE_PAUSE;
use super::service::header;

fn is_throttled(reply: &Reply, body: &str) -> bool {
    reply.status == 429 || body.contains("THROTTLES_LIMIT_EXCEEDED")
}

/// How long the reply makes everybody wait: what is not in the service's own envelope counts as long as usual at most.
pub fn wait(reply: &Reply, body: &str) -> Option<Duration> {
    let throttled = is_throttled(reply, body);
    let seconds = header(reply, "retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let minutes = body.split_once("Try again after ").and_then(|(_, rest)| rest.split_once(" minutes"));
    let minutes = minutes.and_then(|(minutes, _)| minutes.parse().ok()).map(|minutes: u64| minutes * 60);
    let asked = seconds.or(minutes.map(Duration::from_secs)).or(throttled.then_some(THROTTLE_PAUSE))?;
    let in_envelope = ["\"code\":", "\"errorCode\":"].iter().any(|key| body.contains(key));
    Some(if in_envelope { asked } else { asked.min(THROTTLE_PAUSE) })
}
