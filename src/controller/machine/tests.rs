//! The machine, driven with nothing but values.

mod beside;
mod clock;
mod dates;
mod drifting;
mod holding;
mod in_trouble;
mod pausing;
mod refreshing;
mod returning;
mod without_token;

use std::time::Duration;

use super::*;
use crate::account::{AccountId, AuthMode, Field};
use crate::change::{Failure, Known, Outcome, PauseCause};
use crate::condition::Reason;
use crate::controller::MAX_WAIT;
use crate::controller::event::RequestLog;
use crate::freeze::Freeze;
use crate::guard::DisruptionBudget;
use crate::ledger::{Owner, Record};
use crate::manifest::{Rules, parse};
use crate::queue::Backoff;
use crate::report::Report;
use crate::source::{Batch, Look, Root};
use crate::status::Part;
use crate::zoho::{AccessToken, Answer, Code, Credentials};

/// A machine, and what it wanted done so far, a word each.
struct Stage {
    machine: Machine,
    now: Timestamp,
    said: Vec<String>,
    /// What spreads the wait after an answer to this account.
    chance: fn(u64) -> f64,
}

/// A word for each effect that acts on the world.
fn word(effect: &Effect) -> Option<String> {
    let record = |record: &Record| match record {
        Record::Intent { account, to, .. } => format!("intent {account} {to}"),
        Record::Applied { account, value, .. } => format!("applied {account} {value}"),
        Record::NotApplied { account, .. } => format!("not applied {account}"),
        Record::Pause { .. } => "pause".to_owned(),
        Record::PauseLifted { by, .. } => format!("lifted by {}", by.as_deref().unwrap_or("somebody")),
        Record::TokenRequest { .. } => "token request".to_owned(),
        Record::ReadRequest { .. } => "read request".to_owned(),
        Record::ReadNotSent { .. } => "read not sent".to_owned(),
        Record::Read { account, enabled, active_sync_enabled, .. } => {
            let shown = |value: &Option<bool>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
            format!("shown {account} {} {}", shown(enabled), shown(active_sync_enabled))
        }
        Record::TokenNotSent => "token not sent".to_owned(),
        Record::ClockStepped { .. } => "clock stepped".to_owned(),
        Record::Outage { outage } => outage.as_ref().map_or("outage over".to_owned(), |is| format!("{:?}", is.kind)),
        Record::ClockBehind { .. } => "clock behind".to_owned(),
        _ => "other".to_owned(),
    };
    match effect {
        Effect::Append { records, ticket } => {
            // Since when something is missing, and which approvals are over, is not what these tests are about.
            let records =
                records.iter().filter(|record| !matches!(record, Record::Unready { .. } | Record::Lapsed { .. }));
            let words: Vec<_> = records.map(record).collect();
            (!words.is_empty()).then(|| format!("append {ticket}: {}", words.join(", ")))
        }
        Effect::Put(put) => Some(format!("put {} {}", put.change.account, put.change.to)),
        Effect::Read(read) => Some(format!("read {} from {}", read.window.limit, read.window.start)),
        Effect::FetchToken(_) => Some("fetch a token".to_owned()),
        Effect::Answer(list) => Some(format!("answer {}", list.items.len())),
        Effect::Log(_) | Effect::Count(_) => None,
    }
}

/// When each stage begins.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn settings(mode: Mode) -> Settings {
    Settings {
        mode,
        rate_limit: None,
        max_concurrency: 2,
        request_timeout: Duration::from_secs(30),
        backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) },
        rejected: Backoff { min: Duration::from_secs(600), max: Duration::from_secs(86_400) },
        throttle_pause: Duration::from_secs(90),
        refresh: None,
        drift_interval: None,
        drift_policy: Default::default(),
        max_wait: MAX_WAIT,
        disruption_budget: DisruptionBudget::default(),
        grant_budget: Default::default(),
        disruption_window: Duration::from_secs(600),
        shutdown_grace: Duration::from_secs(25),
        external_url: None,
    }
}

impl Stage {
    fn new(mode: Mode) -> Self {
        Self::with(settings(mode), Ledger::new(Owner::User))
    }

    fn with(settings: Settings, ledger: Ledger) -> Self {
        Self { machine: Machine::new(settings, ledger, NOW), now: NOW, said: Vec::new(), chance: |_| 0.5 }
    }

    /// The machine takes the event in, and a turn.
    fn feed(&mut self, event: Event) -> Then {
        let account = if let Event::Answered { account, .. } = &event { account.get() } else { 0 };
        self.machine.handle(event, self.now, (self.chance)(account));
        let Turn { effects, then } = self.machine.turn(self.now);
        self.said.extend(effects.iter().filter_map(word));
        then
    }

    /// The machine is fed and has its credentials; what it wants done is this.
    #[track_caller]
    fn check(&mut self, event: Event, expected: &[&str]) -> Then {
        let mut then = self.feed(event);
        if then == Then::ReadCredentials {
            let token = Credentials::Token(AccessToken::new("token").unwrap());
            then = self.feed(Event::Credentials(Ok(token)));
        }
        assert_eq!(std::mem::take(&mut self.said), expected);
        then
    }

    fn report(&mut self) -> Report {
        let mut report = Report::default();
        self.machine.describe(&mut report, self.now);
        report
    }

    /// Feeds the event, and the credentials where they are asked for.
    fn step(&mut self, event: Event) {
        if self.feed(event) == Then::ReadCredentials {
            self.feed(Event::Credentials(Ok(Credentials::Token(AccessToken::new("token").unwrap()))));
        }
    }

    /// Goes on until so many PUTs were answered, or nothing is left. Returns whose they were, one after the other.
    fn answer(&mut self, puts: usize, event: impl Fn(u64) -> Event) -> Vec<u64> {
        let mut asked = Vec::new();
        while asked.len() < puts {
            if self.said.is_empty() {
                let Some(next) = self.machine.next_timeout() else { break };
                self.now = next;
                self.step(Event::Tick);
                continue;
            }
            let word = self.said.remove(0);
            let number = |text: &str| text.split([' ', ':']).nth(1).and_then(|number| number.parse().ok()).unwrap();
            if word.starts_with("append") {
                self.step(Event::Durable { ticket: number(&word) });
            } else if word.starts_with("put") {
                asked.push(number(&word));
                self.step(event(number(&word)));
            }
        }
        asked
    }
}

/// All of a folder in which the mailboxes of these accounts are declared.
fn folder(accounts: &[(u64, bool)]) -> Event {
    files(
        accounts
            .iter()
            .map(|(n, enabled)| document("MailAccount", *n, &format!("accountId: '{n}', enabled: {enabled}"))),
    )
}

/// A manifest called `a1`, `a2`, ….
fn document(kind: &str, n: u64, spec: &str) -> String {
    format!("apiVersion: zoho-mail-reconciler/v1\nkind: {kind}\nmetadata: {{name: a{n}}}\nspec: {{{spec}}}\n")
}

/// All of a folder with these files.
fn files(texts: impl Iterator<Item = String>) -> Event {
    let file = |(n, text): (usize, String)| {
        let path: Arc<str> = format!("a{n}.yaml").into();
        let parsed = parse(&path, text.as_bytes(), Rules { auth: AuthMode::User, ..Rules::default() });
        assert_eq!(parsed.problems, []);
        (path, Look::Read(parsed))
    };
    let files = texts.enumerate().map(file).collect();
    let (origin, decided) = Default::default();
    Event::Looked(Batch { files, root: Root::Ready, full: true, asked: false, degraded: None, origin, decided })
}

fn answered(n: u64, outcome: Outcome) -> Event {
    let (retry_after, code, took) = (None, Code::Http(200), Duration::ZERO);
    Event::Answered { account: AccountId::new(n).unwrap(), answer: Answer { outcome, retry_after, code, took } }
}

#[test]
fn an_intent_is_durable_before_its_put_and_an_acknowledgement_is_written_down() {
    let mut stage = Stage::new(Mode::Apply);
    let then = stage.check(folder(&[(1, true), (2, true), (3, true)]), &["append 1: intent 1 true, intent 2 true"]);
    assert_eq!(then, Then::Wait);
    stage.check(Event::Tick, &[]);
    stage.check(Event::Durable { ticket: 1 }, &["put 1 true", "put 2 true"]);
    stage.check(answered(1, Outcome::Applied), &["append 2: applied 1 true, intent 3 true"]);
    stage.check(Event::Durable { ticket: 2 }, &["put 3 true"]);
    stage.check(answered(2, Outcome::Applied), &["append 3: applied 2 true"]);
    let then = stage.check(answered(3, Outcome::Applied), &["append 4: applied 3 true"]);
    assert_eq!(then, Then::End);
    let summary = stage.machine.summary(stage.now);
    assert_eq!((summary.planned, summary.applied), (3, 3));
}

#[test]
fn credentials_are_read_when_a_token_is_needed_and_a_request_for_one_waits_for_its_record() {
    let mut stage = Stage::new(Mode::Run);
    assert_eq!(stage.feed(Event::Tick), Then::Wait);
    assert_eq!(stage.feed(folder(&[(1, true)])), Then::ReadCredentials);
    assert_eq!(stage.said, [""; 0], "the turn is not over");
    let refresh = crate::zoho::RefreshCredentials::new("id", "secret", "refresh").unwrap();
    stage.check(Event::Credentials(Ok(Credentials::Refresh(refresh))), &["append 1: token request"]);
    stage.check(Event::Durable { ticket: 1 }, &["fetch a token"]);
}

#[test]
fn what_blocks_requests_is_one_list_from_which_the_report_is_made() {
    let mut stage = Stage::new(Mode::Run);
    let blocked = |stage: &Stage| stage.machine.blocked(stage.now).map(|blocked| format!("{blocked:?}")).collect();
    let names = |stage: &Stage| {
        let words: Vec<String> = blocked(stage);
        words.iter().map(|word| word.split('(').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&stage), ["Unread"]);
    stage.check(folder(&[]), &[]);
    assert_eq!(names(&stage), [""; 0]);
    let failure = Failure { reason: Reason::Unauthorized, message: "no".into() };
    assert_eq!(stage.feed(folder(&[(1, true)])), Then::ReadCredentials);
    stage.check(Event::Credentials(Err(failure)), &["append 1: CredentialsRefused"]);
    stage.check(Event::Unwritable("full".to_owned()), &[]);
    stage.check(Event::Suspension(Some(Freeze::default())), &[]);
    stage.check(Event::Stop, &[]);
    assert_eq!(names(&stage), ["Stopping", "Ledger", "Suspended", "Outage"]);
    let report = stage.report();
    assert_eq!(report.ledger_error.as_deref(), Some("full"));
    assert_eq!(report.credentials_refused.as_deref(), Some("no"));
    assert_eq!(report.suspended, Some(Freeze::default()));
    stage.check(Event::Writable, &[]);
    assert_eq!(stage.report().ledger_error, None);
}

#[test]
fn an_intent_that_is_durable_during_a_suspension_is_taken_back_and_its_put_never_leaves() {
    let mut stage = Stage::new(Mode::Run);
    stage.check(folder(&[(1, true)]), &["append 1: intent 1 true"]);
    stage.check(Event::Suspension(Some(Freeze::default())), &[]);
    stage.check(Event::Durable { ticket: 1 }, &["append 2: not applied 1"]);
    assert_eq!(stage.machine.ledger.known(AccountId::new(1).unwrap(), Field::Enabled), Known::Absent);
    stage.check(Event::Suspension(None), &["append 3: intent 1 true"]);
}

#[test]
fn an_intent_that_is_durable_during_a_pause_is_taken_back_and_leaves_when_the_pause_is_over() {
    let mut stage = Stage::new(Mode::Run);
    stage.check(folder(&[(1, true), (2, true), (3, true)]), &["append 1: intent 1 true, intent 2 true"]);
    stage.check(Event::Durable { ticket: 1 }, &["put 1 true", "put 2 true"]);
    stage.check(answered(1, Outcome::Applied), &["append 2: applied 1 true, intent 3 true"]);
    let throttled = Failure { reason: Reason::Throttled, message: "too many".into() };
    let answer = answered(2, Outcome::Paused(PauseCause::Throttled, throttled));
    stage.check(answer, &["append 3: not applied 2, pause, other"]);
    stage.check(Event::Durable { ticket: 2 }, &["append 4: not applied 3"]);
    stage.now = stage.now + Duration::from_secs(90);
    // The one that was not throttled probes first.
    stage.check(Event::Tick, &["append 5: intent 3 true"]);
}

#[test]
fn a_stop_waits_for_what_is_in_flight_until_its_grace_is_over() {
    let mut stage = Stage::new(Mode::Run);
    stage.check(folder(&[(1, true)]), &["append 1: intent 1 true"]);
    stage.check(Event::Durable { ticket: 1 }, &["put 1 true"]);
    assert_eq!(stage.check(Event::Stop, &[]), Then::Wait);
    let deadline = stage.machine.next_timeout().unwrap();
    assert_eq!(deadline, stage.now + Duration::from_secs(25));
    stage.now = stage.now + Duration::from_millis(24_999);
    assert_eq!(stage.check(Event::Stop, &[]), Then::Wait);
    stage.now = deadline;
    assert_eq!(stage.check(Event::Tick, &[]), Then::End);
}

#[test]
fn a_failure_backs_off_by_chance_and_is_tried_again_when_it_is_over() {
    let mut stage = Stage::new(Mode::Run);
    stage.check(folder(&[(1, true)]), &["append 1: intent 1 true"]);
    stage.check(Event::Durable { ticket: 1 }, &["put 1 true"]);
    let failure = Failure { reason: Reason::ServiceUnavailable, message: "it hung up".into() };
    stage.check(answered(1, Outcome::Retry(failure)), &["append 2: not applied 1, other"]);
    let due = stage.machine.next_timeout().unwrap();
    assert!(due > stage.now && due <= stage.now + Duration::from_secs(1), "{due}");
    stage.now = due;
    stage.check(Event::Tick, &["append 3: intent 1 true"]);
}

#[test]
fn a_failure_in_other_words_is_no_news_and_one_of_another_reason_is() {
    let mut stage = Stage::new(Mode::Run);
    stage.check(folder(&[(1, true)]), &["append 1: intent 1 true"]);
    let failure = |reason, message: &str| Failure { reason, message: message.into() };
    for (ticket, outcome, news) in [
        (1, Outcome::Retry(failure(Reason::ServiceUnavailable, "HTTP 500, request 1")), true),
        (3, Outcome::Retry(failure(Reason::ServiceUnavailable, "HTTP 500, request 2")), false),
        (5, Outcome::Rejected(failure(Reason::Forbidden, "HTTP 403, request 3")), true),
    ] {
        stage.feed(Event::Durable { ticket });
        stage.machine.handle(answered(1, outcome), stage.now, 0.5);
        let is_failure =
            |log: &Log| matches!(log, Log::Request(RequestLog::Retrying { .. } | RequestLog::Rejected { .. }));
        let logged = |effect: &Effect| matches!(effect, Effect::Log(log) if is_failure(log));
        assert_eq!(stage.machine.effects.iter().any(logged), news, "{ticket}");
        stage.feed(Event::Tick);
        stage.now = stage.machine.next_timeout().unwrap();
        stage.feed(Event::Tick);
    }
}

#[test]
fn questions_are_answered_in_their_turn_and_many_queued_accounts_are_one_count() {
    let mut stage = Stage::new(Mode::Run);
    let accounts: Vec<_> = (1..=50).map(|n| (n, true)).collect();
    stage.machine.handle(folder(&accounts), stage.now, 0.5);
    let counts: Vec<_> = stage.machine.effects.iter().filter(|effect| matches!(effect, Effect::Count(_))).collect();
    assert!(matches!(counts[..], [Effect::Count(Metric::QueueAdded(50))]), "{counts:?}");
    stage.machine.handle(Event::Query(Part::default()), stage.now, 0.5);
    stage.check(Event::Stop, &["answer 50"]);
}

#[test]
fn what_never_left_is_taken_back_at_the_end() {
    let mut stage = Stage::new(Mode::Run);
    stage.check(folder(&[(1, true)]), &["append 1: intent 1 true"]);
    let effects = stage.machine.end(stage.now);
    assert_eq!(effects.iter().filter_map(word).collect::<Vec<_>>(), ["append 2: not applied 1"]);
    let is_log = |log: &Log| matches!(log, Log::Request(RequestLog::Applied(_)));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Log(log) if is_log(log))));
}
