//! Why each PUT left: requests are few, and none is made without need.
//!
//! In: records as the process hands them over and as they become durable, and PUTs as they leave.
//! Out: an objection to every PUT that has no cause. A PUT has exactly one of these:
//!
//! - *change*: its value is not the one that was acknowledged last, and was not tried since;
//! - *retry*: the PUT before it carried the same value, and provably came to nothing;
//! - *doubt*: nobody knows how the PUT before it ended; or its value was acknowledged, but a PUT of the other one was
//!   out then and could land afterwards: settled once, and not before that PUT can land no more.
//!
//! So PUTs = changes + retries + doubts, one by one and not only in sum: in a quiet history the first
//! one too many has no cause.

use std::collections::BTreeMap;

use zoho_mail_reconciler::account::{AccountId, Field};
use zoho_mail_reconciler::ledger::Record;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::service::Put;

#[derive(Default)]
pub struct Economy {
    /// What the process knows now, and what it would know if it died.
    live: Book,
    durable: Book,
}

#[derive(Clone, Default)]
struct Book(BTreeMap<(AccountId, Field), Page>);

/// What is known of one field.
#[derive(Clone, Default)]
struct Page {
    acknowledged: Option<bool>,
    /// The intent of the acknowledged PUT.
    since: Timestamp,
    /// The value that was tried last, and provably not set.
    failed: Option<bool>,
    /// Nobody knows how the last PUT ended.
    doubt: bool,
    /// Until when a PUT of `false` or `true` that nobody waits for may land.
    out: [Timestamp; 2],
    /// The last intent: its moment, its value, until when its PUT may land, whether that left.
    intent: (Timestamp, bool, Timestamp, bool),
    /// As it was before that intent.
    before: Option<Box<Self>>,
}

impl Book {
    fn live_through(&mut self, record: &Record) {
        match record {
            Record::Intent { at, account, field, to, lands_by, .. } => {
                let page = self.0.entry((*account, *field)).or_default();
                page.before = None;
                page.before = Some(Box::new(page.clone()));
                if page.doubt {
                    let (_, to, lands_by, _) = page.intent;
                    let out = &mut page.out[usize::from(to)];
                    *out = lands_by.max(*out);
                }
                page.doubt = true;
                page.intent = (*at, *to, lands_by.unwrap(), false);
            }
            Record::Applied { account, field, value, .. } => {
                let page = self.0.entry((*account, *field)).or_default();
                (page.acknowledged, page.since, page.failed, page.doubt) = (Some(*value), page.intent.0, None, false);
            }
            Record::NotApplied { account, field, .. } => {
                let page = self.0.entry((*account, *field)).or_default();
                let (_, to, _, left) = page.intent;
                *page = page.before.take().map_or_else(Page::default, |before| *before);
                if left {
                    page.failed = Some(to);
                }
            }
            Record::Read { account, begun, enabled, active_sync_enabled, .. } => {
                for (field, value) in Field::ALL.into_iter().zip([enabled, active_sync_enabled]) {
                    let Some(value) = value else { continue };
                    let page = self.0.entry((*account, field)).or_default();
                    // Nothing may land any more that was out then.
                    (page.acknowledged, page.since, page.failed, page.doubt) = (Some(*value), *begun, None, false);
                }
            }
            _ => {}
        }
    }
}

impl Economy {
    /// The process lives through a record.
    pub fn appended(&mut self, record: &Record) {
        self.live.live_through(record);
    }

    /// The record is durable.
    pub fn durable(&mut self, record: &Record) {
        self.durable.live_through(record);
    }

    /// The process died; the next one knows what is durable.
    pub fn died(&mut self) {
        self.live = self.durable.clone();
    }

    /// A PUT leaves. Why it should not have, if it has no cause.
    pub fn objection(&mut self, put: Put, now: Timestamp) -> Option<&'static str> {
        for book in [&mut self.live, &mut self.durable] {
            if let Some(page) = book.0.get_mut(&(put.account, put.field)) {
                page.intent.3 = true;
            }
        }
        // Without an intent it goes against another rule.
        let before = self.live.0.get(&(put.account, put.field))?.before.as_ref()?;
        let other = before.out[usize::from(!put.to)];
        let is_contested = other > before.since;
        match before.acknowledged {
            _ if before.doubt => None,
            Some(value) if value == put.to && !is_contested => Some("it was acknowledged already"),
            Some(value) if value == put.to && now < other => Some("an earlier PUT of the other value may still land"),
            _ => None,
        }
    }
}
