//! What a read says of a field, against what is known of it.
//!
//! In: a value that the service showed, when it was asked and when it answered. Out: whether that is believed, and is news
//! ([`Ledger::news`]).
//! Invariants: what a PUT of this program may still change, or changed so shortly before that the service may show what was
//! before it, is not read; for as long after the clock was set nothing that is known is corrected; what equals what was
//! acknowledged stays as it was acknowledged, with who decided it; a value that an answer leaves out changes nothing.
//! Absent by design: what follows of a difference (see [`crate::plan`]), and accounts that an answer leaves out.

use std::sync::Arc;
use std::time::Duration;

use super::{FieldState, Ledger, Row};
use crate::account::{AccountId, Field, Zuid};
use crate::timestamp::Timestamp;

/// For how long after a PUT a read may still show what was before it. That reads lag behind writes was seen, and not for
/// how long; so this is long, for it costs little: what somebody changes by hand within it, the next read shows.
pub const READ_LAG: Duration = Duration::from_secs(300);

impl Ledger {
    /// What of `shown` is news of the account: asked `begun`, answered `at`.
    pub fn news(
        &self,
        account: AccountId,
        shown: [Option<bool>; 2],
        (begun, at): (Timestamp, Timestamp),
    ) -> [Option<bool>; 2] {
        let row = self.accounts.get(&account);
        let lag_ago = begun.before(READ_LAG);
        // What was acknowledged before the clock was set was so by another clock: how long ago is not known.
        let is_unsure = self.clock_set_at.is_some_and(|set| set > lag_ago && set < at + READ_LAG);
        Field::ALL.map(|field| {
            let late = |to| self.strays.until(account, field, to).is_some_and(|until| until > lag_ago);
            let state = row.and_then(|row| row.field(field));
            let is_news = state.is_none_or(|state| !is_unsure && is_news(state, shown[field.index()], (lag_ago, at)));
            shown[field.index()].filter(|_| is_news && !late(false) && !late(true))
        })
    }

    /// The service showed these values of the account, and they are news.
    pub(super) fn read(
        &mut self,
        (account, name, zuid): (AccountId, Arc<str>, Option<Zuid>),
        news: [Option<bool>; 2],
        (begun, at): (Timestamp, Timestamp),
    ) {
        for (field, value) in Field::ALL.into_iter().filter_map(|field| Some((field, news[field.index()]?))) {
            self.strays.land(account, field, begun.before(READ_LAG));
            let row = self.accounts.entry(account).or_insert_with(|| Row::new(Arc::clone(&name), zuid));
            let path = row.source().cloned();
            let state = match row.field_mut(field).take() {
                Some(FieldState::Unsettled { value: known, applied_at, source, revision, .. }) if known == value => {
                    FieldState::Applied { value, applied_at, source, revision }
                }
                _ => FieldState::Read { value, read_at: at },
            };
            *row.field_mut(field) = Some(state);
            row.declared_in(path);
            row.ready_since = None;
            row.settled(field);
            row.not_begun &= field != Field::Enabled || !value;
            self.found(account, field, value);
        }
    }
}

/// Whether a value that was shown says anything new of a field. `lag_ago`: what a PUT did before this moment, the read has
/// seen.
fn is_news(state: &FieldState, shown: Option<bool>, (lag_ago, at): (Timestamp, Timestamp)) -> bool {
    match state {
        // A moment that is further ahead than any lag was written before the clock was set.
        FieldState::Applied { value, applied_at, .. } => {
            let is_recent = *applied_at > lag_ago && *applied_at < at + READ_LAG;
            shown != Some(*value) && !is_recent
        }
        FieldState::Read { value, .. } => shown != Some(*value),
        FieldState::InDoubt { lands_by: until, .. } | FieldState::Unsettled { until, .. } => *until <= lag_ago,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{account, after, at, owner, source};
    use super::super::{Ledger, Record};
    use super::*;
    use crate::change::Known;

    const FIELD: Field = Field::Enabled;

    fn intent(seconds: u64, to: bool) -> Record {
        let (account, name, lands_by) = (account(1), "a".into(), Some(at(seconds + 100)));
        let (zuid, cause, spec_hash) = (None, None, 1);
        Record::Intent { at: at(seconds), account, name, zuid, field: FIELD, to, spec_hash, lands_by, cause }
    }

    fn applied(seconds: u64, value: bool) -> Record {
        Record::Applied { at: at(seconds), account: account(1), field: FIELD, value, source: source(), evidence: None }
    }

    /// What is known after the service showed `value` for the field, asked at `begun` and answered two seconds later.
    fn read(ledger: &Ledger, begun: u64, value: bool) -> Ledger {
        let (begun, at, account) = (at(begun), at(begun + 2), account(1));
        let [enabled, active_sync_enabled] = ledger.news(account, [Some(value), None], (begun, at));
        let (name, zuid) = ("a".into(), None);
        after(ledger.clone(), &[Record::Read { at, begun, account, name, zuid, enabled, active_sync_enabled }])
    }

    fn check(records: &[Record], begun: u64, value: bool, expected: Known) -> Ledger {
        let ledger = read(&after(Ledger::new(owner()), records), begun, value);
        assert_eq!(ledger.known(account(1), FIELD), expected, "{records:#?}");
        ledger
    }

    #[test]
    fn what_was_never_set_is_what_is_shown_and_a_row_is_made_of_it() {
        let ledger = check(&[], 0, false, Known::Applied(false));
        assert_eq!((ledger.accounts.len(), ledger.disruptions.len()), (1, 0), "nothing was taken away");
        assert!(!ledger.accounts[&account(1)].is_disabled(), "not by this program");
        check(&[], 0, true, Known::Applied(true));
    }

    #[test]
    fn what_was_acknowledged_is_corrected_but_not_by_a_read_that_may_lag_behind_it() {
        let known = [intent(0, true), applied(1, true)];
        check(&known, 2, false, Known::Applied(true));
        check(&known, 300, false, Known::Applied(true));
        check(&known, 301, false, Known::Applied(false));
        // Acknowledged while the page was on its way.
        check(&[intent(500, true), applied(501, true)], 500, false, Known::Applied(true));
        // By a clock that was far ahead: the moment says nothing.
        check(&[intent(9_000, true), applied(9_001, true)], 301, false, Known::Applied(false));
        // The same value stays as it was acknowledged.
        let ledger = check(&known, 900, true, Known::Applied(true));
        assert!(matches!(ledger.accounts[&account(1)].enabled, Some(FieldState::Applied { .. })));
    }

    #[test]
    fn what_is_in_doubt_is_settled_by_a_read_that_began_when_the_put_could_land_no_more() {
        check(&[intent(0, true)], 399, true, Known::InDoubt);
        check(&[intent(0, true)], 400, true, Known::Applied(true));
        check(&[intent(0, true)], 400, false, Known::Applied(false));
        // A PUT of the other value that was replaced may land later than the one that was acknowledged.
        let replaced = [intent(0, false), intent(40, true), applied(41, true)];
        check(&replaced, 399, true, Known::InDoubt);
        let ledger = check(&replaced, 400, true, Known::Applied(true));
        assert!(
            matches!(ledger.accounts[&account(1)].enabled, Some(FieldState::Applied { .. })),
            "with who decided it"
        );
        check(&replaced, 400, false, Known::Applied(false));
        assert_eq!(ledger.strays.until(account(1), FIELD, false), None);
    }

    #[test]
    fn for_as_long_as_reads_lag_after_the_clock_was_set_nothing_that_is_known_is_corrected() {
        let stepped = |from, to| Record::ClockStepped { from: at(from), to: at(to) };
        // By the clock of now it was an hour ago, and was ten seconds ago.
        check(&[intent(0, true), applied(1, true), stepped(11, 3_600)], 3_601, false, Known::Applied(true));
        check(&[intent(0, true), applied(1, true), stepped(11, 3_600)], 3_900, false, Known::Applied(false));
        let back = [intent(9_000, true), applied(9_001, true), stepped(9_011, 50)];
        check(&back, 51, false, Known::Applied(true));
        check(&back, 350, false, Known::Applied(false));
    }

    #[test]
    fn a_read_is_corrected_by_the_next_and_by_an_acknowledgement() {
        let first = check(&[], 0, false, Known::Applied(false));
        let second = read(&first, 10, true);
        assert_eq!(second.known(account(1), FIELD), Known::Applied(true));
        let put = after(second, &[intent(20, false), applied(21, false)]);
        assert!(put.accounts[&account(1)].is_disabled(), "by this program");
        assert_eq!(put.disruptions.len(), 1);
    }

    #[test]
    fn a_field_that_was_read_reads_back_as_it_is_written() {
        let state = FieldState::Read { value: true, read_at: at(0) };
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<FieldState>(&text).unwrap(), state);
        for more in [r#""inDoubt":true"#, r#""to":true"#, r#""revision":"x""#] {
            let text = text.replace('}', &format!(",{more}}}"));
            assert!(serde_json::from_str::<FieldState>(&text).is_err(), "{text}");
        }
    }
}
