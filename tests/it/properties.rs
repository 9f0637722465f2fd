//! What holds for any sequence of events, room by room, against models that know nothing of the rooms' insides.
//!
//! In: generated sequences of edits, answers, clock steps and restarts; `PROPTEST_CASES` says how many. Out: the
//! shortest sequence that breaks a promise. Each model is the slow and obvious way to say what the room does fast.
//! The rooms' own tests hold what their insides promise; `simulation` holds the whole program.

mod doubt;
mod guard;
mod ids;
mod memory;
mod plan;
mod queue;
mod throttle;

use proptest::test_runner::Config;
use zoho_mail_reconciler::account::{AccountId, AuthMode};
use zoho_mail_reconciler::manifest::{Parsed, Rules, parse};
use zoho_mail_reconciler::timestamp::Timestamp;

use crate::builders::Manifest;

/// More cases than usual: one takes a millisecond or two. A failure is kept as an example beside its property, not in
/// a folder of seeds.
fn config() -> Config {
    let Config { cases, .. } = Config::default();
    Config { cases: 3 * cases, failure_persistence: None, ..Config::default() }
}

fn id(n: u64) -> AccountId {
    AccountId::new(n).unwrap()
}

fn ms(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// One document, as a person might write it.
#[derive(Clone, Debug)]
struct Doc {
    account: u64,
    name: &'static str,
    enabled: Option<bool>,
    active_sync: Option<bool>,
    /// `Some(None)` is without an end.
    suspended: Option<Option<Timestamp>>,
    /// `validFrom` and `validUntil`.
    dates: [Option<Timestamp>; 2],
    /// It still says who it is about, but not what is wanted.
    broken: bool,
}

impl Doc {
    fn text(&self) -> String {
        let Self { account, name, .. } = self;
        let mut text = Manifest::of(name).set("accountId", account).set("zuid", account + 1000);
        for (key, value) in [("enabled", self.enabled), ("activeSyncEnabled", self.active_sync)] {
            text = value.into_iter().fold(text, |text, value| text.set(key, value));
        }
        if let Some(until) = self.suspended {
            text = until.into_iter().fold(text.set("suspend", true), |text, until| text.set("suspendUntil", until));
        }
        for (key, date) in ["validFrom", "validUntil"].into_iter().zip(self.dates) {
            text = date.into_iter().fold(text, |text, date| text.set(key, date));
        }
        let text = if self.broken { text.set("enabeld", "maybe") } else { text };
        format!("---\n{text}")
    }
}

fn parsed(path: &str, docs: &[Doc]) -> Parsed {
    let text: String = docs.iter().map(Doc::text).collect();
    let parsed = parse(&path.into(), text.as_bytes(), Rules { auth: AuthMode::Admin, ..Rules::default() });
    assert_eq!(parsed.documents.len(), docs.iter().filter(|doc| !doc.broken).count(), "{:?}", parsed.problems);
    parsed
}
