//! The accounts, asked for in parts and shared by everybody who looks.
//!
//! In: the conductor's answers. Out: the [`Catalogue`] of all accounts, the whole list, or one account.
//! Invariants: no question costs the loop more than one [`Part`] of the accounts; however many look, one asks at a time, and no
//! more often than once a second nor for more than a twentieth of the time; an old answer is told as old, and better
//! than none.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

use super::Pages;
use crate::account::AccountId;
use crate::page::Catalogue;
use crate::report::Report;
use crate::status::{Item, MailAccountList, Part};
use crate::timestamp::Timestamp;

/// How long all answers may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long they may take where an older answer is at hand.
const PATIENCE_WITH_OLDER: Duration = Duration::from_secs(3);

/// How often the loop is asked, at most.
const EVERY: Duration = Duration::from_secs(1);

/// Of the time that passes, the part in which the loop is asked: one in so many.
const SHARE: u32 = 20;

/// What everybody who looks is shown.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    catalogue: Option<Arc<Catalogue>>,
    /// The report it was made with.
    report: Report,
    /// When it was made.
    at: Timestamp,
    /// Not asked for again before then.
    again: Timestamp,
}

/// The accounts, and since when they are not known better.
pub(super) struct Known {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) behind: Option<Timestamp>,
}

impl Shared {
    /// All accounts; nothing if the loop has never answered yet.
    pub(super) async fn get(&self, pages: &Pages) -> Option<Known> {
        let mut kept = self.0.lock().await;
        let now = pages.clock.now();
        // What is the same but for the moment says that nothing happened to any account.
        let report = Report { turned_at: Timestamp::default(), ..pages.reports.borrow().clone() };
        let news = kept.catalogue.is_none() || kept.report != report;
        let mut behind = None;
        if news && now >= kept.again {
            // Whoever hangs up meanwhile must not make the next one ask at once.
            kept.again = now + EVERY;
            let patience = if kept.catalogue.is_some() { PATIENCE_WITH_OLDER } else { PATIENCE };
            match timeout(patience, catalogue(pages)).await.ok().flatten() {
                Some(catalogue) => {
                    let done = pages.clock.now();
                    let rest = (done.since(now) * SHARE).max(EVERY);
                    *kept = Kept { catalogue: Some(Arc::new(catalogue)), report, at: now, again: done + rest };
                }
                None => behind = Some(kept.at),
            }
        }
        let catalogue = Arc::clone(kept.catalogue.as_ref()?);
        Some(Known { catalogue, behind })
    }
}

async fn catalogue(pages: &Pages) -> Option<Catalogue> {
    let mut catalogue = Catalogue::default();
    catalogue.approvals = each_part(pages, |items| catalogue.extend(&items)).await?;
    Some(catalogue)
}

/// Every account in full, ordered by name.
pub(super) async fn everything(pages: &Pages) -> Option<MailAccountList> {
    let mut all = Vec::new();
    let approvals = each_part(pages, |items| all.extend(items)).await?;
    // To order many takes a while, and other tasks share this thread.
    tokio::task::spawn_blocking(move || MailAccountList { approvals, ..MailAccountList::new(all) }).await.ok()
}

/// One account.
pub(super) async fn one(pages: &Pages, account: AccountId) -> Option<Option<Item>> {
    let list = timeout(PATIENCE, ask(pages, Part::one(account))).await.ok()??;
    Some(list.items.into_iter().find(|item| item.spec.account_id == account))
}

/// Asks for one part after the other. Returns what came with the first.
async fn each_part(pages: &Pages, mut take: impl FnMut(Vec<Item>)) -> Option<Vec<crate::status::ApprovalStatus>> {
    let mut part = Part::FIRST;
    let mut first = None;
    loop {
        let list = ask(pages, part).await?;
        let next = part.after(&list.items);
        first.get_or_insert(list.approvals);
        take(list.items);
        match next {
            Some(next) => part = next,
            None => return first,
        }
    }
}

async fn ask(pages: &Pages, part: Part) -> Option<MailAccountList> {
    let (reply, answer) = oneshot::channel();
    pages.queries.send((part, reply)).await.ok()?;
    answer.await.ok()
}
