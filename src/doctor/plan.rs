//! What the first pass would come to.

use std::time::Duration;

use super::{Finding, Subject, about, count, now};
use crate::account::printable;
use crate::guard::review;
use crate::ledger::Ledger;
use crate::plan::plan;
use crate::switch;
use crate::throttle::remembered_pause;

/// Everything that differs, if both sides are known.
fn changes(subject: &Subject) -> Option<(Vec<crate::change::Change>, Ledger)> {
    let desired = subject.desired()?;
    let owner = *subject.owner.as_ref().ok()?;
    let ledger = subject.ledger().as_ref().ok()?.clone().unwrap_or_else(|| Ledger::new(owner));
    Some((plan(desired, &ledger, now()).changes, ledger))
}

const UNKNOWN: &str = "there is no plan without manifests, a ledger and a target";

pub(super) fn switch(subject: &Subject) -> Finding {
    match switch::read(&subject.ledger) {
        Ok(Some(freeze)) if !freeze.is_over(now()) => {
            let ledger = printable::argument(&subject.ledger.to_string_lossy()).into_owned();
            Finding::warn(
                format!("all reconciling is {freeze}"),
                format!("zoho-mail-reconciler resume --ledger {ledger}"),
            )
        }
        Ok(_) => Finding::ok("nobody has suspended everything"),
        Err(error) => Finding::fail(format!("nobody knows: {error}"), "look at the limits on this process"),
    }
}

pub(super) fn first_pass(subject: &Subject) -> Finding {
    let Some((changes, _)) = changes(subject) else { return Finding::skip(UNKNOWN) };
    if changes.is_empty() {
        return Finding::ok("nothing to send");
    }
    let puts = count(changes.len(), "PUT");
    let Some(limit) = subject.limit else { return Finding::ok(format!("{puts}, without any limit")) };
    let windows = changes.len() / limit.count as usize;
    let took = limit.per.saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX));
    let took = if windows == 0 { "at once".into() } else { format!("in about {}", about(took)) };
    Finding::ok(format!("{puts}, {took} at {limit}; zoho-mail-reconciler plan shows them"))
}

pub(super) fn disruptions(subject: &Subject) -> Finding {
    let (Some((changes, ledger)), Some(desired)) = (changes(subject), subject.desired()) else {
        return Finding::skip(UNKNOWN);
    };
    let reviewed = review(subject.disruptions.guards(desired, &ledger), changes, desired.managed(), now());
    if reviewed.held.is_empty() {
        return Finding::ok(format!("none is held: {}", reviewed.verdict));
    }
    let held =
        reviewed.held_by().map(|(_, verdict, held)| format!("{} would be held: {verdict}", count(held.len(), "PUT")));
    Finding::warn(
        held.collect::<Vec<_>>().join("; "),
        "zoho-mail-reconciler explain DisruptionBudgetExceeded: approve them, or correct the manifests",
    )
}

pub(super) fn budget(subject: &Subject) -> Finding {
    let now = now();
    if let Some(pause) = pause(subject) {
        return Finding::warn(
            format!("the service asked for a pause until {} ({})", pause.until, pause.reason),
            "wait: nothing is sent before, not even by this command; each request would prolong it. If it is a mistake: \
             zoho-mail-reconciler resume --pause",
        );
    }
    let Some(limit) = subject.limit else { return Finding::ok("unlimited") };
    let within = |window: Duration| {
        subject.known().map_or(0, |ledger| ledger.requests.iter().filter(|at| now.since(**at) < window).count())
    };
    Finding::ok(format!("{} of {limit} used", within(limit.per)))
}

/// The pause in force, as the ledger remembers it.
pub(super) fn pause(subject: &Subject) -> Option<crate::ledger::ImposedPause> {
    remembered_pause(subject.known()?, now())
}
