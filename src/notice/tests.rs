//! The rules over time, and the words over hostile names.

mod outages;

use proptest::prelude::*;

use super::message::{About, Who, notification, schema};
use super::*;
use crate::report::Totals;

const T0: Timestamp = Timestamp::from_millis(1_000_000_000_000);
const SETTLE: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

/// People, and the rules that decide what they hear.
struct Room {
    rules: Rules,
    now: Timestamp,
    told: Vec<(Timestamp, Notice)>,
}

impl Room {
    fn new() -> Self {
        Self { rules: Rules::new(SETTLE, Memory::default()), now: T0, told: Vec::new() }
    }

    /// Lets `report` be seen each second for `time`, and tells whatever is wanted. What was told, in words.
    fn live(&mut self, report: &Report, time: Duration) -> String {
        let (before, end) = (self.told.len(), self.now + time);
        while self.now < end {
            self.turn(report, true);
            self.now = self.now + Duration::from_secs(1);
        }
        self.told[before..].iter().map(|(at, notice)| line(*at, notice)).collect()
    }

    /// One look. Whether something was tried.
    fn turn(&mut self, report: &Report, delivered: bool) -> bool {
        self.rules.see(report, self.now);
        let Some(notice) = self.rules.wanted(self.now).filter(|_| self.rules.may_attempt(self.now)) else {
            return false;
        };
        self.rules.attempt(self.now);
        if delivered {
            self.rules.told(&notice, self.now);
            self.told.push((self.now, notice));
        } else {
            self.rules.failed(self.now);
        }
        true
    }

    /// The wall clock is set.
    fn set_clock(&mut self, to: Timestamp) {
        self.rules.carry(ClockStep { from: self.now, to });
        self.now = to;
    }

    /// The process dies, and starts again with what its file says.
    fn restart(&mut self) {
        let memory = Memory::from_bytes(&self.rules.memory().to_bytes(), self.now).unwrap();
        self.rules = Rules::new(SETTLE, memory);
    }
}

fn line(at: Timestamp, notice: &Notice) -> String {
    let seconds = at.since(T0).as_secs();
    let Notice { cause, phase, accounts, .. } = notice;
    format!("{seconds}s {} {phase:?} {accounts}\n", cause.map_or("-".into(), |cause| format!("{cause:?}")))
}

fn well() -> Report {
    Report { loaded: true, managed: 9, ..Report::default() }
}

fn stalled(rejected: usize) -> Report {
    Report { rejected, pending: rejected, ..well() }
}

fn refused() -> Report {
    Report { credentials_refused: Some("invalid_client".into()), pending: 1, ..well() }
}

#[test]
fn trouble_is_told_once_when_it_begins_and_its_end_once() {
    let mut room = Room::new();
    assert_eq!(room.live(&well(), DAY), "");
    assert_eq!(room.live(&stalled(3), 23 * HOUR), "86430s AccountsStalled New 3\n");
    assert_eq!(room.live(&well(), DAY), "169230s - Resolved 0\n");
}

#[test]
fn a_blip_says_nothing() {
    let mut room = Room::new();
    for report in [stalled(1), refused(), Report { ledger_error: Some("no room".into()), ..well() }] {
        assert_eq!(room.live(&report, SETTLE) + &room.live(&well(), MINUTE), "");
    }
    assert_eq!(
        room.live(&stalled(1), MINUTE) + &room.live(&well(), SETTLE) + &room.live(&stalled(1), HOUR),
        "300s AccountsStalled New 1\n"
    );
}

#[test]
fn a_clock_that_is_set_neither_hastens_nor_delays_what_is_told() {
    for by in [3 * DAY, 1000 * DAY] {
        let mut room = Room::new();
        room.now = room.now + 2000 * DAY;
        let told = |room: &mut Room, time| room.live(&stalled(1), time).matches("AccountsStalled").count();
        for to in [room.now + by, room.now.before(by), room.now] {
            assert_eq!(room.live(&well(), MINUTE), "");
            assert_eq!(told(&mut room, Duration::from_secs(20)), 0);
            room.set_clock(to);
            assert_eq!((told(&mut room, Duration::from_secs(10)), told(&mut room, HOUR)), (0, 1));
            room.set_clock(to + by);
            assert_eq!((told(&mut room, DAY - HOUR - MINUTE), told(&mut room, 2 * MINUTE)), (0, 1), "a reminder");
            assert!(room.live(&well(), MINUTE).ends_with("Resolved 0\n"));
        }
    }
}

#[test]
fn more_accounts_are_told_once_an_hour_and_fewer_never() {
    let mut room = Room::new();
    let told: String = (1..=90).map(|n| room.live(&stalled(n), MINUTE)).collect();
    assert_eq!(told, "30s AccountsStalled New 1\n3630s AccountsStalled More 61\n");
    let told: String = (1..=89).map(|n| room.live(&stalled(90 - n), MINUTE)).collect();
    assert_eq!(told, "");
}

#[test]
fn trouble_that_stays_is_told_again_each_day() {
    let mut room = Room::new();
    assert_eq!(
        room.live(&refused(), 3 * DAY),
        "30s CredentialsRefused New 0\n86430s CredentialsRefused Reminder 0\n172830s CredentialsRefused Reminder 0\n"
    );
}

#[test]
fn a_resync_that_tries_stalled_accounts_again_is_no_end_of_trouble() {
    let mut room = Room::new();
    assert_eq!(room.live(&stalled(5), MINUTE), "30s AccountsStalled New 5\n");
    // 40 minutes at 25 requests a minute: nothing is stalled meanwhile, and nothing is well.
    let trying = Report { pending: 5, ..well() };
    assert_eq!(room.live(&trying, 40 * MINUTE) + &room.live(&stalled(5), HOUR), "");
    let held = Report { held: 5, pending: 5, ..well() };
    assert_eq!(room.live(&held, MINUTE), "6090s DisruptionsHeld New 5\n");
    assert_eq!(room.live(&well(), MINUTE), "6150s - Resolved 0\n");
}

#[test]
fn credentials_work_again_when_the_service_answers_not_when_they_are_tried_again() {
    let mut room = Room::new();
    let trying = |applied| Report { pending: 2, totals: Totals { applied, ..Totals::default() }, ..well() };
    assert_eq!(room.live(&refused(), MINUTE), "30s CredentialsRefused New 0\n");
    assert_eq!(room.live(&trying(0), HOUR), "");
    assert_eq!(room.live(&trying(1), HOUR), "3690s - Resolved 0\n");
}

#[test]
fn a_crash_loop_tells_what_one_long_run_does() {
    let mut room = Room::new();
    let mut told = String::new();
    for _ in 0..500 {
        told += &room.live(&Report::default(), Duration::from_secs(3));
        told += &room.live(&refused(), Duration::from_secs(40));
        room.restart();
    }
    assert_eq!(told, "33s CredentialsRefused New 0\n");
    assert_eq!(room.live(&well(), MINUTE), "21530s - Resolved 0\n", "the end is told by another process");
}

#[test]
fn what_could_not_be_told_is_told_later_as_it_is_then() {
    let mut room = Room::new();
    let mut tried = Vec::new();
    for second in 0..7200 {
        if room.turn(&stalled(1 + second / 3600), false) {
            tried.push(second);
        }
        room.now = room.now + Duration::from_secs(1);
    }
    assert_eq!(tried[..8], [30, 32, 36, 44, 60, 92, 156, 284], "the waits double");
    assert!(tried.len() < 25, "{tried:?}");
    room.now = room.now + HOUR;
    assert_eq!(room.live(&stalled(7), MINUTE), "10800s AccountsStalled New 7\n");
    let mut room = Room::new();
    (0..100).for_each(|_| {
        room.turn(&stalled(1), false);
        room.now = room.now + Duration::from_secs(1);
    });
    assert_eq!(room.live(&well(), DAY), "", "nobody is told the end of what nobody was told");
}

#[test]
fn a_memory_is_read_back_and_nothing_in_it_lies_ahead() {
    let mut room = Room::new();
    room.live(&stalled(3), MINUTE);
    let bytes = room.rules.memory().to_bytes();
    assert_eq!(&Memory::from_bytes(&bytes, room.now).unwrap(), room.rules.memory());
    // The clock was set back by a year: the next reminder comes within a day all the same.
    room.now = T0.before(365 * DAY);
    room.restart();
    let told = room.live(&stalled(3), DAY + MINUTE);
    assert!(told.ends_with("Reminder 3\n"), "{told}");
    for damaged in [&b""[..], b"{}", b"[]", b"\xff", br#"{"apiVersion":"x","kind":"y","told":{},"posts":[]}"#] {
        assert!(Memory::from_bytes(damaged, T0).is_err());
    }
}

fn any_report() -> impl Strategy<Value = Report> {
    let text = || proptest::option::weighted(0.3, Just("why".to_owned()));
    let counts = (0..4usize, 0..4usize, 0..4usize, 0..3u64);
    (any::<bool>(), text(), text(), text(), counts).prop_map(
        |(loaded, ledger_error, credentials_refused, desired_unknown, (stalled, held, more, applied))| Report {
            loaded,
            ledger_error,
            credentials_refused,
            desired_unknown,
            rejected: stalled,
            held,
            pending: stalled + held + more,
            totals: Totals { applied, ..Totals::default() },
            ..Report::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_sequence_of_states_crashes_and_failures_tells_more_than_the_bounds(
        steps in proptest::collection::vec((any_report(), 1..4000u64, any::<bool>(), any::<bool>()), 1..60)
    ) {
        let (mut room, mut tried) = (Room::new(), Vec::new());
        for (report, seconds, delivered, restarts) in steps {
            for _ in 0..seconds.div_ceil(20) {
                if room.turn(&report, delivered) {
                    tried.push(room.now);
                }
                room.now = room.now + Duration::from_secs(20);
            }
            if restarts {
                room.restart();
            }
        }
        for (n, at) in tried.iter().enumerate() {
            let within = tried[..=n].iter().filter(|before| at.since(**before) < HOUR).count();
            prop_assert!(within <= POSTS_MAX, "{within} in an hour");
        }
        let mut open = BTreeMap::<Cause, Timestamp>::new();
        for (at, notice) in &room.told {
            match (notice.cause, notice.phase) {
                (None, phase) => {
                    prop_assert_eq!(phase, Phase::Resolved);
                    prop_assert!(!open.is_empty(), "all is well again after nothing");
                    open.clear();
                }
                (Some(_), Phase::Resolved) => prop_assert!(false, "one cause is not all"),
                (Some(cause), Phase::New) => { open.insert(cause, *at); }
                (Some(cause), phase) => {
                    let least = if phase == Phase::More { HOUR } else { DAY };
                    let before = open.insert(cause, *at);
                    prop_assert!(before.is_some_and(|before| at.since(before) >= least), "{cause:?} {phase:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_that_a_stranger_wrote_gets_out_of_its_code_span(name in ".{0,300}", why in ".{0,2000}") {
        let notification = sample(&name, &why);
        let json = notification.to_bytes();
        prop_assert!(json.len() < 64 * 1024, "{} bytes", json.len());
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        check_text(value["text"].as_str().unwrap());
    }
}

/// Outside of code spans there is only what this program writes: its own words, and the link of the operator.
fn check_text(text: &str) {
    let spans: Vec<&str> = text.split('`').collect();
    assert_eq!(spans.len() % 2, 1, "a code span is open: {text}");
    for (n, part) in spans.iter().enumerate() {
        let inside = n % 2 == 1;
        assert!(!inside || !part.contains(['<', '>', '\n']), "{part}");
        let own = |c: char| c.is_ascii_alphanumeric() || " *,.:;()\n<>|/#-".contains(c);
        assert!(inside || part.chars().all(own), "{part:?} in {text}");
    }
    assert_eq!(text.matches('<').count(), 1, "the link: {text}");
}

fn sample(name: &str, why: &str) -> message::Notification {
    let list = |name: &str| {
        use crate::condition::{Condition, ConditionStatus, ConditionType, Reason};
        let condition = Condition {
            kind: ConditionType::Stalled,
            status: ConditionStatus::True,
            reason: Reason::Forbidden,
            message: why.into(),
            last_transition_time: T0,
            observed_generation: 1,
        };
        let item = |n: u64| crate::status::Item {
            api_version: crate::status::API_VERSION,
            kind: "MailAccount",
            metadata: crate::status::Metadata { name: name.into(), generation: 1, labels: None },
            spec: crate::status::Spec {
                account_id: crate::account::AccountId::new(n).unwrap(),
                zuid: None,
                email: None,
                enabled: None,
                active_sync_enabled: None,
                valid_from: None,
                valid_until: None,
                suspend: false,
            },
            status: crate::status::Status {
                work: Default::default(),
                observed_generation: 1,
                last_applied: crate::status::LastApplied::default(),
                conditions: vec![condition.clone()],
            },
        };
        crate::status::MailAccountList::new((1..=12).map(item).collect())
    };
    let who = Who::of(Cause::AccountsStalled, &list(name));
    let about = About {
        instance: "12345678".into(),
        version: "0.1.0",
        runbook: Box::new(|key| format!("https://mail.example/runbook#{key}")),
    };
    let notice =
        Notice { cause: Some(Cause::AccountsStalled), phase: Phase::New, accounts: 12, why: String::new(), since: T0 };
    notification(&notice, &who, &about, T0 + MINUTE)
}

#[test]
fn a_notification_names_whom_what_since_when_and_what_to_do() {
    let value: serde_json::Value = serde_json::from_slice(&sample("alice", "HTTP 403").to_bytes()).unwrap();
    insta::assert_snapshot!(value["text"].as_str().unwrap(), @"
    *Accounts stalled*, instance `12345678`: 12 accounts
    `alice`, `alice`, `alice`, `alice`, `alice`, `alice`, `alice`, `alice`, `alice`, `alice` and 2 more
    The service rejected a change. It is tried again at growing intervals, at most a day apart; an edit is tried at once.
    `HTTP 403`
    Since 2001-09-09T01:46:40.000Z. What to do: <https://mail.example/runbook#Forbidden|Forbidden>
    ");
    assert_eq!(
        (&value["event"], &value["phase"], &value["reason"]),
        (&"AccountsStalled".into(), &"New".into(), &"Forbidden".into())
    );
    assert_eq!(value["accounts"]["count"], 12);
    assert_eq!(value["accounts"]["names"].as_array().unwrap().len(), message::NAMES_MAX);
}

#[test]
fn hostile_names_and_words_ping_nobody_and_link_nowhere() {
    for text in [
        "<!channel> <@U012> <https://evil.example|click>",
        "`code` *bold* _it_ ~no~ ``` > quote",
        "&lt;!here&gt; @here evil.example",
        "line\nbreak\r\u{2028}\u{202e}\u{1b}[2J",
        "##[error] ##vso[task]",
    ] {
        let notification = sample(text, text);
        check_text(&notification.text);
        assert!(!notification.text.contains("<!") && !notification.text.contains("<@"), "{}", notification.text);
    }
}

#[test]
fn a_notification_is_as_its_schema_says() {
    let mut compiler = boon::Compiler::new();
    let mut schemas = boon::Schemas::new();
    compiler.add_resource("notification.json", schema()).unwrap();
    let id = compiler.compile("notification.json", &mut schemas).unwrap();
    let trouble: serde_json::Value = serde_json::from_slice(&sample("alice", "why").to_bytes()).unwrap();
    let about = About { instance: "user".into(), version: "0.1.0", runbook: Box::new(str::to_owned) };
    let notice = Notice { cause: None, phase: Phase::Resolved, accounts: 0, why: String::new(), since: T0 };
    let well = serde_json::to_value(notification(&notice, &Who::default(), &about, T0)).unwrap();
    for value in [&trouble, &well] {
        schemas.validate(value, id).unwrap_or_else(|error| panic!("{error}"));
    }
    assert_eq!(well["event"], "AllWell");
    let mut wrong = trouble;
    wrong["event"] = "Other".into();
    assert!(schemas.validate(&wrong, id).is_err());
}
