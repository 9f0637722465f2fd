//! Manifests are valid from a date on, or until one.

use super::clock::{HOUR, SECOND, YEARS, suspended};
use super::*;
use crate::status::Item;
use crate::timestamp::ClockStep;

const MILLI: Duration = Duration::from_millis(1);

/// A folder in which account `n` is enabled by a manifest with these dates.
fn dated(n: u64, dates: &[(&str, Timestamp)]) -> Event {
    files(std::iter::once(document("MailAccount", n, &spec(n, "enabled: true", dates))))
}

fn spec(n: u64, wanted: &str, dates: &[(&str, Timestamp)]) -> String {
    let dates: String = dates.iter().map(|(key, at)| format!(", {key}: \"{at}\"")).collect();
    format!("accountId: '{n}', {wanted}{dates}")
}

impl Stage {
    /// What was intended last is durable, and the service acknowledges it.
    fn acknowledged(&mut self, n: u64, ticket: u64, to: bool) {
        self.check(Event::Durable { ticket }, &[&format!("put {n} {to}")]);
        self.feed(answered(n, Outcome::Applied));
        self.said.clear();
    }

    fn seen(&mut self) -> Item {
        self.machine.accounts(Part::default(), self.now).items.remove(0)
    }

    /// Reason and message of the first account.
    fn ready(&mut self) -> String {
        let ready = self.seen().status.conditions.remove(0);
        format!("{} {}", ready.reason, ready.message)
    }
}

#[test]
fn an_account_begins_and_ends_by_itself_at_its_dates() {
    let mut stage = Stage::new(Mode::Run);
    let (from, until) = (stage.now + HOUR, stage.now + 2 * HOUR);
    stage.check(dated(1, &[("validFrom", from), ("validUntil", until)]), &["append 1: intent 1 false"]);
    stage.acknowledged(1, 1, false);
    assert_eq!(
        stage.ready(),
        format!(
            "NotYetValid not valid before {from}: every field that the manifest manages is false, as was acknowledged"
        )
    );
    assert_eq!(stage.machine.next_timeout().filter(|at| *at > stage.now + SECOND), Some(from));
    stage.pass(HOUR - MILLI, &[]);
    stage.pass(MILLI, &["append 3: intent 1 true"]);
    stage.acknowledged(1, 3, true);
    assert_eq!(
        stage.ready(),
        format!("ReconciliationSucceeded everything the manifest wants has been acknowledged; valid until {until}")
    );
    stage.pass(HOUR - MILLI, &[]);
    stage.pass(MILLI, &["append 5: intent 1 false"]);
    assert_eq!(stage.ready(), format!("InDoubt enabled (in doubt) -> false (no longer valid since {until})"));
    stage.acknowledged(1, 5, false);
    assert!(stage.ready().starts_with("NoLongerValid no longer valid since"), "{}", stage.ready());
    let item = stage.seen();
    assert_eq!(
        (item.spec.enabled, item.spec.valid_until, item.status.work.wanted),
        (Some(true), Some(until), [Some(false), None])
    );
    // A restart finds nothing to do, and so does one years later.
    for later in [Duration::ZERO, YEARS] {
        let mut next = stage.restart(stage.now + later);
        next.check(dated(1, &[("validFrom", from), ("validUntil", until)]), &[]);
    }
}

#[test]
fn what_ended_stays_ended_by_a_clock_that_goes_back_until_the_manifest_has_another_end() {
    let mut stage = Stage::new(Mode::Run);
    let until = stage.now + HOUR;
    let dates = [("validUntil", until)];
    stage.check(dated(1, &dates), &["append 1: intent 1 true"]);
    stage.acknowledged(1, 1, true);
    stage.pass(HOUR, &["append 3: intent 1 false"]);
    stage.acknowledged(1, 3, false);
    stage.set_clock((Duration::ZERO, YEARS));
    assert!(stage.ready().ends_with("it ended before the clock was set back; another validUntil begins it anew"));
    // Neither a restart nor a snapshot in between forgets it, nor an edit of something else.
    let mut next = stage.restart(stage.now);
    next.machine.ledger = Ledger::from_bytes(Some(&stage.machine.ledger.to_bytes()), b"").unwrap().unwrap();
    next.check(dated(1, &dates), &[]);
    let edited = spec(1, "enabled: true, email: a@example.com", &dates);
    next.check(files(std::iter::once(document("MailAccount", 1, &edited))), &["append 1: other"]);
    next.check(dated(1, &[("validUntil", until + HOUR)]), &["append 2: intent 1 true"]);
}

#[test]
fn a_clock_that_goes_back_before_an_end_that_was_not_acted_upon_awaits_it_again() {
    let mut stage = Stage::new(Mode::Run);
    let until = stage.now + HOUR;
    stage.check(suspended(None), &[]);
    stage.check(dated(1, &[("validUntil", until)]), &[]);
    stage.pass(HOUR, &[]);
    stage.set_clock((Duration::ZERO, HOUR));
    stage.check(Event::Suspension(None), &["append 4: intent 1 true"]);
    stage.acknowledged(1, 4, true);
    stage.pass(HOUR - MILLI, &[]);
    stage.pass(MILLI, &["append 6: intent 1 false"]);
}

#[test]
fn sixty_that_end_on_one_day_are_held_like_any_mass_removal_and_a_manifest_that_is_mended_lets_go() {
    let all_at_once = Settings { max_concurrency: 60, ..settings(Mode::Run) };
    let mut stage = Stage::with(all_at_once, Ledger::new(Owner::User));
    let until = stage.now + HOUR;
    let all = |until: Timestamp| {
        files((1..=60).map(|n| document("MailAccount", n, &spec(n, "enabled: true", &[("validUntil", until)]))))
    };
    stage.feed(all(until));
    stage.check(Event::Credentials(Ok(Credentials::Token(AccessToken::new("token").unwrap()))), &[&stage_of(60)]);
    stage.feed(Event::Durable { ticket: 1 });
    for n in 1..=60 {
        stage.feed(answered(n, Outcome::Applied));
    }
    stage.said.clear();
    stage.pass(HOUR, &[]);
    let report = stage.report();
    assert_eq!((report.held, report.pending), (60, 60));
    assert!(
        stage.ready().starts_with("DisruptionBudgetExceeded enabled true -> false (no longer valid since"),
        "{}",
        stage.ready()
    );
    stage.feed(all(until + HOUR));
    assert!(!stage.said.iter().any(|word| word.contains("intent")), "{:?}", stage.said);
    assert_eq!(stage.report().held, 0);
}

/// The first intents of so many accounts.
fn stage_of(number: u64) -> String {
    let intents: Vec<_> = (1..=number).map(|n| format!("intent {n} true")).collect();
    format!("append 1: {}", intents.join(", "))
}

#[test]
fn what_was_refused_before_a_date_is_tried_at_it_and_behind_nothing() {
    let refused = || Outcome::Rejected(Failure { reason: Reason::AccountNotFound, message: "no".into() });
    let mut stage = Stage::new(Mode::Run);
    let from = stage.now + HOUR;
    let dates = [("validFrom", from)];
    let joiner = spec(1, "enabled: true, activeSyncEnabled: true", &dates);
    stage.check(files(std::iter::once(document("MailAccount", 1, &joiner))), &["append 1: intent 1 false"]);
    // The mailbox is not there yet.
    stage.check(Event::Durable { ticket: 1 }, &["put 1 false"]);
    stage.check(answered(1, refused()), &["append 2: not applied 1, other"]);
    stage.now = from.before(MILLI);
    let soon = |stage: &Stage| stage.machine.backlog.refused();
    assert_eq!(soon(&stage), 1);
    stage.now = from;
    stage.step(Event::Tick);
    assert_eq!(stage.said.last().map(String::as_str), Some("append 3: intent 1 true"), "{:?}", stage.said);
    assert_eq!(soon(&stage), 0);
}

#[test]
fn a_suspended_account_sleeps_over_its_dates_and_a_small_step_back_ends_no_access_twice() {
    let mut stage = Stage::new(Mode::Run);
    let (until, resumed) = (stage.now + HOUR, stage.now + 2 * HOUR);
    let dates = [("validUntil", until), ("suspendUntil", resumed)];
    let asleep = spec(1, "enabled: true, suspend: true", &dates);
    stage.check(files(std::iter::once(document("MailAccount", 1, &asleep))), &[]);
    stage.pass(HOUR, &[]);
    stage.pass(HOUR, &["append 2: intent 1 false"]);
    stage.acknowledged(1, 2, false);
    let from = stage.now;
    stage.now = until.before(SECOND);
    stage.check(Event::ClockStepped(ClockStep { from, to: stage.now }), &["append 4: clock stepped"]);
    stage.pass(10 * SECOND, &[]);
}

#[test]
fn an_end_that_no_put_acted_upon_is_none_when_the_clock_is_right_again() {
    for sync in ["", ", activeSyncEnabled: false"] {
        let mut stage = Stage::new(Mode::Run);
        let until = stage.now + HOUR;
        let spec = format!("accountId: '1', enabled: true{sync}, validUntil: \"{until}\"");
        stage.step(files(std::iter::once(document("MailAccount", 1, &spec))));
        let fields = if sync.is_empty() { 1 } else { 2 };
        stage.answer(fields, |n| answered(n, Outcome::Applied));
        let set = |stage: &mut Stage, to| {
            let from = std::mem::replace(&mut stage.now, to);
            stage.step(Event::ClockStepped(ClockStep { from, to }));
        };
        let ahead = stage.now + 2 * HOUR;
        set(&mut stage, ahead);
        let failure = || Failure { reason: Reason::ServiceUnavailable, message: "cannot connect".into() };
        assert_eq!(stage.answer(1, |n| answered(n, Outcome::Retry(failure()))), [1], "it ends by the clock of then");
        let right = stage.now.before(2 * HOUR);
        set(&mut stage, right);
        stage.step(Event::Tick);
        let mut next = stage.restart(stage.now);
        next.step(files(std::iter::once(document("MailAccount", 1, &spec))));
        for stage in [&mut stage, &mut next] {
            assert_eq!((stage.report().pending, stage.report().queued), (0, 0), "{sync}");
        }
    }
}

#[test]
fn an_account_is_looked_at_again_at_one_moment_however_often_its_dates_change() {
    let mut stage = Stage::new(Mode::Run);
    for n in 1..=50_u32 {
        let until = stage.now + HOUR * 1000 + Duration::from_secs(1) * n;
        let spec = format!("accountId: '1', enabled: true, validUntil: \"{until}\"");
        stage.step(files(std::iter::once(document("MailAccount", 1, &spec))));
    }
    let later = stage.now + 2000 * HOUR;
    assert_eq!(std::iter::from_fn(|| stage.machine.backlog.woken(later)).count(), 1);
}
