//! Outages that concern everybody: what is sent of tokens that cannot be had, and of accounts that are all refused alike.

use super::*;
use crate::report::TOKEN_FAILURES;

fn without_token(token_failures: u32) -> Report {
    Report { token_unavailable: Some("connection refused".into()), token_failures, pending: 1, ..well() }
}

fn refused_alike(rejected: u64) -> Report {
    let totals = Totals { rejected, ..Totals::default() };
    Report { refused_alike: Some("HTTP 403".into()), pending: 1, totals, ..well() }
}

fn trying(totals: Totals) -> Report {
    Report { pending: 1, totals, ..well() }
}

#[test]
fn a_token_that_cannot_be_had_is_reported_once_that_lasts_and_its_end_when_the_service_answers() {
    let mut room = Room::new();
    assert_eq!(room.live(&without_token(TOKEN_FAILURES - 1), HOUR), "");
    assert_eq!(room.live(&without_token(TOKEN_FAILURES), MINUTE), "3630s TokenUnavailable New 0\n");
    // After a restart it fails for the first time, and nothing is over.
    room.restart();
    assert_eq!(room.live(&without_token(1), HOUR) + &room.live(&trying(Totals::default()), HOUR), "");
    let applied = Totals { applied: 1, ..Totals::default() };
    assert_eq!(room.live(&trying(applied), MINUTE), "10890s - Resolved 0\n");
}

#[test]
fn accounts_that_are_all_refused_alike_are_reported_once_and_only_what_is_accepted_ends_it() {
    let mut room = Room::new();
    let sent = room.live(&refused_alike(10), MINUTE) + &room.live(&refused_alike(15), HOUR);
    assert_eq!(sent, "30s RefusedAlike New 0\n");
    // After a restart the probes find it out anew.
    let totals = |applied, rejected| Totals { applied, rejected, ..Totals::default() };
    assert_eq!(room.live(&trying(totals(0, 20)), HOUR), "");
    assert_eq!(room.live(&trying(totals(1, 20)), MINUTE), "7290s - Resolved 0\n");
}
