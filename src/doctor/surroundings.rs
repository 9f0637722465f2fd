//! The program, its environment, the clock, and the address of its pages.

use std::net::TcpListener;

use super::{Finding, Subject, about, ledger, now};
use crate::account::printable;
use crate::timestamp::Timestamp;
use crate::version::VERSION;

/// Neither before this program was written nor after its authors: 2026-01-01 and 2100-01-01.
const SANE: (Timestamp, Timestamp) =
    (Timestamp::from_millis(1_767_225_600_000), Timestamp::from_millis(4_102_444_800_000));

pub(super) fn version(subject: &Subject) -> Finding {
    let manager = subject.environment.manager.map(|manager| format!(", under {manager}")).unwrap_or_default();
    Finding::ok(format!("zoho-mail-reconciler {VERSION}{manager}"))
}

pub(super) fn environment(subject: &Subject) -> Finding {
    let unknown = &subject.environment.unknown;
    if unknown.is_empty() {
        return Finding::ok("no variable that begins with ZOHO_MAIL_ and means nothing");
    }
    let names: Vec<_> = unknown.iter().map(|(name, _)| printable::cut(name, 80)).collect();
    let meant: Vec<_> = unknown
        .iter()
        .filter_map(|(name, meant)| Some(format!("{} for {}", meant.as_ref()?, printable::cut(name, 80))))
        .collect();
    let remedy =
        if meant.is_empty() { "unset it, or correct its name".into() } else { format!("perhaps {}", meant.join(", ")) };
    Finding::warn(format!("unknown, and without effect: {}", names.join(", ")), remedy)
}

pub(super) fn clock(subject: &Subject) -> Finding {
    let now = now();
    let set = "set the clock, and let it be kept: timedatectl set-ntp true";
    if now < SANE.0 || now > SANE.1 {
        return Finding::fail(format!("this machine takes it to be {now}"), set);
    }
    let newest = subject.known().and_then(|ledger| ledger.requests.iter().max().copied());
    match newest.filter(|newest| newest.since(now) > super::service::SKEW_FAIL) {
        Some(newest) => Finding::warn(
            format!("the ledger remembers a request of {newest}, which is still to come"),
            format!("was the clock set back? If it is right now, what is remembered counts as of now. Else {set}"),
        ),
        None => Finding::ok(now.to_string()),
    }
}

pub(super) fn pages(subject: &Subject) -> Finding {
    let Some(address) = subject.listen else { return Finding::ok("off") };
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(format!("{address} is free")),
        Err(_) if ledger::holder(subject).is_some() => Finding::ok(format!("{address} is taken, and the daemon runs")),
        Err(error) => Finding::fail(
            format!("cannot listen on {address}: {error}"),
            format!("find out who does (ss -ltnp 'sport = :{}'), or choose another --listen", address.port()),
        ),
    }
}

pub(super) fn notifications(subject: &Subject) -> Finding {
    match &subject.webhook {
        Ok(Some(host)) => Finding::ok(format!("told to {host}; not tried, for somebody would read it")),
        Ok(None) => Finding::ok("off; --notify-url tells people of trouble"),
        Err(why) => Finding::fail(why, "correct ZOHO_MAIL_NOTIFY_URL or ZOHO_MAIL_NOTIFY_URL_FILE"),
    }
}

/// Who brings the requests to the service.
pub(super) fn proxy(subject: &Subject) -> Finding {
    match subject.environment.proxies.as_slice() {
        [] => Finding::ok("none: requests go straight to the service"),
        names => Finding::ok(format!("requests go through the one that {} names", names.join(" or "))),
    }
}

/// How far `theirs` is from our clock.
pub(super) fn skew(theirs: Timestamp, ours: Timestamp) -> Finding {
    let (apart, side) = if theirs > ours { (theirs.since(ours), "behind") } else { (ours.since(theirs), "ahead of") };
    let what = format!("this machine is {} {side} the service", about(apart));
    let remedy = "let the clock be kept (timedatectl set-ntp true): approvals and pauses end by it";
    match apart {
        apart if apart >= super::service::SKEW_FAIL => Finding::fail(what, remedy),
        apart if apart >= super::service::SKEW_WARN => Finding::warn(what, remedy),
        _ => Finding::ok("agrees with the service's, to a few seconds"),
    }
}
