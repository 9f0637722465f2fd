//! Tells people by a webhook: the task that keeps asking the rules what is wanted, and sends it.
//!
//! In: the conductor's [`Report`]; for names of accounts, questions to the conductor, one after the other. Out: requests, through
//! a function that makes one, and a small file beside the ledger that remembers what was told.
//! Invariants: the conductor never waits for this task; one request at a time, and what is sent is how it is then, not how
//! it was when it could not be sent; what was attempted is in the file before the request leaves, so that a process which
//! crashes again and again tells no more than one that does not; a failure is told once, not at each attempt.
//! Deliberately absent: what is told when (see [`crate::notice`]), the URL, and the HTTP client.

mod memory;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::memory::Keeper;
use crate::account::printable;
use crate::clock::Clock;
use crate::notice::message::{About, Who, notification};
use crate::notice::{Cause, Notice, Phase, Rules};
use crate::report::Report;
use crate::status::{MailAccountList, Part};

/// How long the conductor may take to name accounts: `/status` gives it as long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the report is looked at, unless trouble is to be told sooner.
const LOOK: Duration = Duration::from_secs(1);

/// Sends one body and says why that failed, without the URL.
pub type Post = Arc<dyn Fn(Vec<u8>) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// Counts how an attempt ended: `sent`, `failed`, `dropped`.
pub type Count = Box<dyn Fn(&'static str) + Send + Sync>;

/// Everything the task needs.
pub struct Notifier {
    /// The conductor's state.
    pub reports: watch::Receiver<Report>,
    /// Questions to the conductor.
    pub queries: mpsc::Sender<(Part, oneshot::Sender<MailAccountList>)>,
    /// The conductor's clock.
    pub clock: Clock,
    /// The ledger, beside which the memory lies.
    pub ledger: PathBuf,
    /// How long trouble lasts before it is told.
    pub settle: Duration,
    /// What every notification says alike.
    pub about: About,
    /// The way out.
    pub post: Post,
    /// For the metric.
    pub count: Count,
}

/// Tells of trouble until `cancel`. Must be called within a tokio runtime.
pub fn start(notifier: Notifier, cancel: CancellationToken) {
    tokio::spawn(async move { cancel.run_until_cancelled_owned(notifier.run()).await });
}

impl Notifier {
    async fn run(mut self) {
        let keeper = Keeper::beside(&self.ledger);
        let mut rules = Rules::new(self.settle, keeper.read(self.clock.now()).await);
        let mut look = tokio::time::interval((self.settle / 4).clamp(Duration::from_millis(5), LOOK));
        let (mut waiting, mut failed) = (None::<(Option<Cause>, Phase)>, None);
        // Whoever is behind the reports has ended when they have.
        while self.reports.has_changed().is_ok() {
            look.tick().await;
            if let Some(step) = self.clock.step() {
                rules.carry(step);
            }
            let now = self.clock.now();
            if rules.see(&self.reports.borrow_and_update(), now) {
                keeper.write(rules.memory()).await;
            }
            let wanted = rules.wanted(now);
            let key = wanted.as_ref().map(|notice| (notice.cause, notice.phase));
            if waiting.is_some() && waiting != key {
                (self.count)("dropped");
                waiting = None;
            }
            let Some(notice) = wanted.filter(|_| rules.may_attempt(now)) else { continue };
            rules.attempt(now);
            keeper.write(rules.memory()).await;
            match (self.post)(self.body(&notice).await).await {
                Ok(()) => {
                    rules.told(&notice, self.clock.now());
                    keeper.write(rules.memory()).await;
                    (self.count)("sent");
                    (waiting, failed) = (None, None);
                    let cause = notice.cause.map(tracing::field::debug);
                    info!(cause, phase = ?notice.phase, accounts = notice.accounts, "notified");
                }
                Err(why) => {
                    rules.failed(self.clock.now());
                    (self.count)("failed");
                    waiting = key;
                    if failed.as_ref() != Some(&why) {
                        let runbook = (self.about.runbook)("NotificationsFailing");
                        warn!(error = %printable::escape(&why), runbook, "a notification was not delivered; it is tried again");
                    }
                    failed = Some(why);
                }
            }
        }
    }

    async fn body(&self, notice: &Notice) -> Vec<u8> {
        let who = match notice.cause.filter(|cause| cause.has_accounts()) {
            Some(cause) => self.ask().await.map(|list| Who::of(cause, &list)).unwrap_or_default(),
            None => Who::default(),
        };
        notification(notice, &who, &self.about, self.clock.now()).to_bytes()
    }

    /// Every account that is stalled, if the conductor has the time; asked for in parts, so that it never has to take much. Without names a notice still says how many.
    async fn ask(&self) -> Option<MailAccountList> {
        let parts = async {
            let (mut part, mut items) = (Part::FIRST, Vec::new());
            loop {
                let (reply, answer) = oneshot::channel();
                self.queries.send((part, reply)).await.ok()?;
                let list = answer.await.ok()?;
                let next = part.after(&list.items);
                items.extend(list.items.into_iter().filter(Who::may_be_meant));
                let Some(next) = next else { return Some(MailAccountList::new(items)) };
                part = next;
            }
        };
        tokio::time::timeout(ANSWER_TIMEOUT, parts).await.ok()?
    }
}
