//! How it stands, in one sentence, and everything that somebody has to know beside it.
//!
//! In: the report and the counts of the accounts. Out: a [`Headline`], and [`Notice`]s, the gravest first.
//! Invariant: the headline never says better than the gravest notice: what stops everybody comes before what is
//! pending, and what is pending before what is well.

use super::catalogue::{Catalogue, State};
use super::words::{count, several, span, text};
use crate::change::Direction;
use crate::condition::Reason;
use crate::guard::Verdict;
use crate::report::{HEARTBEAT, Report, WaitsFor};
use crate::status::PROBES;
use crate::throttle::Wait;
use crate::timestamp::Timestamp;

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Well,
    Busy,
    Attention,
    Trouble,
}

impl Level {
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Busy => "busy",
            Self::Attention => "attention",
            Self::Trouble => "trouble",
        }
    }
}

/// How it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Headline {
    pub(super) level: Level,
    pub(super) title: String,
}

/// Something that somebody has to know.
#[derive(Debug, Default)]
pub(super) struct Notice {
    /// What the headline says if nothing is graver.
    pub(super) title: String,
    /// The same with its cause.
    pub(super) text: String,
    /// The entry of the runbook.
    pub(super) key: &'static str,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    /// When it is tried again.
    pub(super) next: Option<Timestamp>,
    /// Further lines.
    pub(super) lines: Vec<String>,
    /// The accounts it is about.
    pub(super) state: Option<State>,
    pub(super) level: Option<Level>,
}

impl Notice {
    fn new(level: Level, key: &'static str, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { title: title.into(), text: text.into(), key, level: Some(level), ..Self::default() }
    }
}

/// Everything that somebody has to know, the gravest first.
pub(super) fn notices(report: &Report, catalogue: &Catalogue, now: Timestamp) -> Vec<Notice> {
    let mut notices: Vec<_> =
        stops(report, now).chain(limits(report, now)).chain(accounts(report, catalogue)).collect();
    notices.sort_by_key(|notice| std::cmp::Reverse(notice.level));
    notices
}

/// How it stands, given the accounts and all `notices`.
pub(super) fn headline(report: &Report, catalogue: &Catalogue, notices: &[Notice]) -> Headline {
    let title = |title: &str, level| Headline { level, title: title.to_owned() };
    let gravest = notices.first().and_then(|notice| Some((notice.level?, notice)));
    match gravest {
        Some((level, Notice { state: Some(_), .. })) => {
            let number = [State::Stalled, State::Held, State::Drifted].map(|state| catalogue.count(state)).iter().sum();
            let verb = if number == 1 { "needs" } else { "need" };
            title(&format!("{} {verb} attention", several(number, "account")), level)
        }
        Some((level, notice)) if level >= Level::Attention => title(&notice.title, level),
        _ if !report.loaded => title("Reading the manifests", Level::Busy),
        _ if report.pending > 0 => {
            let (number, verb) = (several(report.pending, "account"), if report.pending == 1 { "is" } else { "are" });
            title(&format!("{number} {verb} being brought up to date"), Level::Busy)
        }
        _ if report.managed == 0 => title("No account is declared yet", Level::Busy),
        _ => title("Everything is in sync", Level::Well),
    }
}

/// What stops everybody.
fn stops(report: &Report, now: Timestamp) -> impl Iterator<Item = Notice> {
    use Level::{Attention, Trouble};
    let silent = now.since(report.turned_at);
    let stuck = (silent > HEARTBEAT * 10 && report.turned_at > Timestamp::default()).then(|| Notice {
        since: Some(report.turned_at),
        ..Notice::new(
            Trouble,
            "NothingHappens",
            "The daemon does not react",
            "Its loop has not turned, and nothing is sent.",
        )
    });
    let ledger = report.ledger_error.as_deref().map(|why| {
        let why = format!("{}. Nothing is sent until it can be written again.", text(why));
        Notice::new(Trouble, "LedgerUnavailable", "The ledger cannot be written", why)
    });
    let refused = report.credentials_refused.as_deref().map(|why| {
        let next = report.waiting.filter(|waiting| waiting.why == WaitsFor::Credentials);
        let why =
            format!("{}. Nothing is sent until they work; they are read and tried again by themselves.", text(why));
        let notice = Notice::new(Trouble, "Unauthorized", "The credentials do not work", why);
        Notice { next: next.and_then(|waiting| waiting.until), ..notice }
    });
    let token = report.token_unavailable.as_deref().map(|why| {
        let level = if report.token_outage().is_some() { Trouble } else { Attention };
        let why = format!("{}. Nothing is sent without one; it is asked for again at growing intervals.", text(why));
        Notice::new(level, "TokenUnavailable", "No access token can be had", why)
    });
    let alike = report.refused_alike.as_deref().map(|why| {
        let title = "The service refuses one account after the other alike";
        let why = format!(
            "{}. It accepts none, so that is one cause; {PROBES}, and all goes on once it accepts one.",
            text(why)
        );
        Notice::new(Trouble, "RefusedAlike", title, why)
    });
    let failing = report.service_failing.as_deref().map(|why| {
        let why = format!("{}. For now {PROBES}, and all goes on once it accepts one.", text(why));
        Notice::new(Attention, "ServiceUnavailable", "The service fails one account after the other", why)
    });
    let unknown = report.desired_unknown.as_deref().map(|why| {
        let why = format!("{}. What was known is kept; nothing is taken away.", text(why));
        Notice::new(Trouble, "DesiredStateUnknown", "The manifests cannot be read", why)
    });
    let frozen = report.suspended.as_ref().filter(|freeze| !freeze.is_over(now)).map(|freeze| {
        let by = freeze.by.as_deref().map_or_else(String::new, |by| format!(" by {}", text(by)));
        let why = freeze.reason.as_deref().map_or_else(String::new, |reason| format!(": {}", text(reason)));
        let host = freeze.host.as_deref().map_or_else(String::new, |host| format!(" on {}", text(host)));
        let words = format!("Suspended{by}{host}{why}. Nothing is sent until it is resumed.");
        let notice = Notice::new(Attention, "Suspended", "All reconciling is suspended", words);
        Notice { since: freeze.since, until: freeze.until, ..notice }
    });
    [stuck, ledger, refused, token, alike, unknown, failing, frozen].into_iter().flatten()
}

/// What everybody waits for.
fn limits(report: &Report, now: Timestamp) -> impl Iterator<Item = Notice> {
    let paused = report.pause.filter(|pause| pause.until > now).map(|pause| {
        let title = match pause.reason {
            Reason::Throttled => "The service asked for a pause",
            _ => "The service is in trouble",
        };
        let text = "No request starts before the pause is over; then it goes on by itself.";
        Notice { until: Some(pause.until), ..Notice::new(Level::Attention, pause.reason.as_str(), title, text) }
    });
    let waiting = report.waiting.and_then(|waiting| match waiting.why {
        WaitsFor::Limit(why) => Some((why, waiting.until.filter(|until| *until > now)?)),
        _ => None,
    });
    // Of what lasts there is a notice already.
    let is_probe = |why| matches!(why, Wait::Breaker | Wait::Probe);
    let in_trouble = report.service_failing.is_some() || report.refused_alike.is_some();
    let is_known = |why| matches!(why, Wait::TokenUnavailable | Wait::Paused(_)) || is_probe(why) && in_trouble;
    let waiting = waiting.filter(|(why, _)| !is_known(*why)).map(|(why, until)| {
        let (level, key, title, text) = match why {
            Wait::RateLimit => {
                let text = "The request budget of the window is used up; the next request starts when it allows.";
                (Level::Busy, "Progressing", "Waiting for the request budget", text)
            }
            Wait::TokenLimit | Wait::TokenUnavailable => {
                let text = "The limit on token requests is used up; the next one starts when it allows.";
                (Level::Busy, "Progressing", "Waiting for an access token", text)
            }
            Wait::Paused(_) | Wait::Breaker | Wait::Probe => {
                let text =
                    "A request failed or was throttled; one goes first, to see whether the service is well again.";
                (Level::Busy, "ServiceUnavailable", "Waiting for a probe of the service", text)
            }
        };
        Notice { until: Some(until), ..Notice::new(level, key, title, text) }
    });
    let degraded = report.degraded.as_deref().map(|why| {
        let why = format!("{}. They are noticed at the next scan of the folder.", text(why));
        Notice::new(Level::Busy, "WatchDegraded", "Changes of the folder may be noticed late", why)
    });
    paused.into_iter().chain(waiting).chain(degraded)
}

/// So many accounts are held by a budget.
fn held_back(by: Direction, held: usize, verdict: Verdict) -> Notice {
    let may = match by {
        Direction::TakesAway => "lose something",
        Direction::GivesBack => "come back",
    };
    let text = format!(
        "{} may {may} within {}; {} did, {} would. If that is meant, approve it in Git.",
        several(verdict.limit, "account"),
        span(verdict.window),
        count(verdict.applied),
        count(verdict.pending)
    );
    let (accounts, changes) = (several(held, "account"), several(verdict.pending_changes, "change"));
    let title = format!("{accounts} ({changes}) held back by the {}", by.budget());
    let notice = Notice::new(Level::Attention, "DisruptionBudgetExceeded", title, text);
    Notice { state: Some(State::Held), until: verdict.next_freed, ..notice }
}

/// What concerns some accounts.
fn accounts(report: &Report, catalogue: &Catalogue) -> impl Iterator<Item = Notice> {
    let (all, grants) = (catalogue.count(State::Held), report.held_grants);
    let held = [(Direction::TakesAway, all.saturating_sub(grants)), (Direction::GivesBack, grants.min(all))];
    let held = held.into_iter().filter(|(_, held)| *held > 0);
    let held = held.filter_map(|(by, held)| Some(held_back(by, held, report.verdicts().of(by)?)));
    let stalled = Some(catalogue.count(State::Stalled)).filter(|stalled| *stalled > 0).map(|stalled| {
        let (title, verb) = (several(stalled, "account"), if stalled == 1 { "is" } else { "are" });
        let rejected = match report.rejected {
            0 => String::new(),
            rejected if rejected == stalled => {
                " The service rejected something; it is tried again at growing intervals.".into()
            }
            rejected => {
                format!(" Of {rejected}, the service rejected something; it is tried again at growing intervals.")
            }
        };
        let text = format!("Somebody has to act there; the list says why.{rejected}");
        let notice = Notice::new(Level::Attention, "", format!("{title} {verb} stalled"), text);
        Notice { state: Some(State::Stalled), next: catalogue.next_attempt(State::Stalled), ..notice }
    });
    let drifted = Some(catalogue.count(State::Drifted)).filter(|drifted| *drifted > 0).map(|drifted| {
        let (title, verb) = (several(drifted, "account"), if drifted == 1 { "was" } else { "were" });
        let text = "The service shows something else there than was set, and it is left so; the list says what.";
        let notice = Notice::new(Level::Attention, "Drifted", format!("{title} {verb} changed elsewhere"), text);
        Notice { state: Some(State::Drifted), ..notice }
    });
    let problems = Some(report.problems).filter(|problems| *problems > 0).map(|problems| {
        let text = "What a broken manifest declares stays as it was, until it is repaired.";
        let title = format!("{} in manifests", several(problems, "problem"));
        let lines = report.first_problems.iter().map(|line| super::words::text(line)).collect();
        Notice { lines, ..Notice::new(Level::Attention, "InvalidManifest", title, text) }
    });
    let unclear = report.budget.unclear.as_deref().map(|why| {
        let why = format!("{}. What no approval covers is held.", text(why));
        Notice::new(Level::Attention, "DisruptionBudgetExceeded", "It is not clear which disruption budget counts", why)
    });
    stalled.into_iter().chain(held).chain(drifted).chain(problems).chain(unclear)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headline_is_the_gravest_thing_there_is() {
        let now = Timestamp::from_millis(1_000_000);
        let said = |report: &Report| {
            headline(report, &Catalogue::default(), &notices(report, &Catalogue::default(), now)).title
        };
        let mut report = Report { turned_at: now, ..Report::default() };
        assert_eq!(said(&report), "Reading the manifests");
        report.loaded = true;
        assert_eq!(said(&report), "No account is declared yet");
        report.managed = 1_200;
        assert_eq!(said(&report), "Everything is in sync");
        report.pending = 1_001;
        assert_eq!(said(&report), "1,001 accounts are being brought up to date");
        report.problems = 1;
        assert_eq!(said(&report), "1 problem in manifests");
        report.service_failing = Some("HTTP 500".into());
        report.problems = 0;
        assert_eq!(said(&report), "The service fails one account after the other");
        report.refused_alike = Some("HTTP 403".into());
        assert_eq!(said(&report), "The service refuses one account after the other alike");
        (report.token_unavailable, report.token_failures) = (Some("connection refused".into()), 3);
        assert_eq!(said(&report), "No access token can be had");
        report.credentials_refused = Some("HTTP 401".into());
        assert_eq!(said(&report), "The credentials do not work");
        report.turned_at = Timestamp::from_millis(900_000);
        assert_eq!(said(&report), "The daemon does not react");
    }
}
