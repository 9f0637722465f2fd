//! One life of the process, from its first look at the manifests to its end.
//!
//! In: the conductor, running. Out: [`Life`], what it came to.
//! Nothing here waits for time to pass, only for something to be seen, and [`PATIENCE`] bounds that.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::controller::{Ended, Mode, Query};
use zoho_mail_reconciler::ledger::file::LedgerFile;
use zoho_mail_reconciler::manifest::Parsed;
use zoho_mail_reconciler::metrics::Metrics;
use zoho_mail_reconciler::report::{Report, Summary};
use zoho_mail_reconciler::shutdown::Stop;
use zoho_mail_reconciler::source::Batch;
use zoho_mail_reconciler::status::{MailAccountList, Part};

use super::wire::{Gate, PATIENCE, Sent};

/// How a life of the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// By itself or, once nothing more can happen without help, by a stop. A daemon is helped by a resync first,
    /// if it needs one.
    Quiet,
    /// By a stop while the answer that was waited for is under way.
    StopUnderWay,
}

/// What one life of the process came to.
pub struct Life {
    /// See [`Sent`].
    pub sent: String,
    /// What a single pass came to.
    pub summary: Summary,
    /// The status of all accounts, as a daemon that came to rest told it.
    pub told: Option<MailAccountList>,
    /// What is left of it.
    pub process: Process,
}

/// The conductor, and the other ends of its channels.
pub struct Process {
    pub running: JoinHandle<Ended<LedgerFile>>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub reports: watch::Receiver<Report>,
    pub looks: mpsc::Sender<Batch<Parsed>>,
    pub stops: mpsc::Sender<Stop>,
    pub queries: mpsc::Sender<Query>,
}

impl Process {
    /// The status of every account; nothing if it has ended.
    async fn ask(&self) -> Option<MailAccountList> {
        let (reply_out, reply) = oneshot::channel();
        self.queries.send((Part::default(), reply_out)).await.ok()?;
        reply.await.ok()
    }

    /// Stops it while an answer waits at the gate, and then lets the answer go on.
    pub async fn stop_while_waiting_at(&self, gate: &Gate) -> Result<(), String> {
        let reached = timeout(PATIENCE, gate.reached.acquire()).await;
        reached.map_err(|_| "the request was not sent".to_owned())?.expect("never closed").forget();
        let _ = self.stops.send(Stop).await;
        // Answered after the stop was heard, unless that was the end.
        self.ask().await;
        gate.open.add_permits(1);
        Ok(())
    }

    /// Waits until nothing more can happen without help; a daemon gets its help. What it told before that.
    pub async fn come_to_rest(
        &mut self,
        mode: Mode,
        sent: &Mutex<Sent>,
        manifests: impl Fn() -> Batch<Parsed>,
    ) -> Result<Option<MailAccountList>, String> {
        // What the ledger remembers of credentials is tried again first.
        let has_tried = || sent.lock().unwrap().all.contains(['T', 'B', 'O']);
        let quiet = |report: &Report| is_quiet(report, mode, has_tried());
        let Some(needs_resync) = self.wait_for(quiet).await? else { return Ok(None) };
        let told = self.ask().await;
        if needs_resync && mode == Mode::Run {
            sent.lock().unwrap().resync();
            let _ = self.looks.send(manifests()).await;
            self.wait_for(|report| (report.pending == 0).then_some(())).await?;
        }
        Ok(told)
    }

    /// Waits for something to be seen; nothing if it ends by itself.
    async fn wait_for<T>(&mut self, seen: impl Fn(&Report) -> Option<T>) -> Result<Option<T>, String> {
        if let Ok(found) = timeout(PATIENCE, self.reports.wait_for(|report| seen(report).is_some())).await {
            return Ok(found.ok().and_then(|report| seen(&report)));
        }
        Err(format!("it does not come to rest: {:?}", self.reports.borrow()))
    }

    /// Stops it, if it has not ended, and closes the ledger.
    pub async fn end(&mut self) -> Result<Summary, String> {
        let _ = self.stops.send(Stop).await;
        let ended = timeout(PATIENCE, &mut self.running).await.map_err(|_| "it does not end".to_owned())?;
        let Ended { journal, summary, result, read: _ } = ended.map_err(|panic| panic.to_string())?;
        result.map_err(|fatal| fatal.to_string())?;
        journal.close().map_err(|error| error.to_string())?;
        Ok(summary)
    }

    /// How the PUTs ended, as the metrics count them: `applied 1, in_doubt 4`.
    pub fn outcomes(&self) -> String {
        let metrics = self.metrics.text(&self.reports.borrow(), self.clock.now());
        let counts = metrics.lines().filter_map(|line| {
            let (label, count) =
                line.strip_prefix("zoho_mail_reconciler_reconcile_total{result=\"")?.split_once("\"} ")?;
            (count != "0").then(|| format!("{label} {count}"))
        });
        let mut counts: Vec<_> = counts.collect();
        counts.sort();
        counts.join(", ")
    }
}

/// Whether nothing more happens without help; and if so, whether a resync helps. A single pass waits for a pause only,
/// and otherwise ends by itself.
fn is_quiet(report: &Report, mode: Mode, has_tried: bool) -> Option<bool> {
    let refused = report.credentials_refused.is_some() && has_tried;
    let nothing_open = mode == Mode::Run && (report.pending == report.rejected || refused);
    let quiet = report.loaded && report.in_flight == 0 && (nothing_open || report.pause.is_some());
    quiet.then_some(refused || report.rejected > 0)
}
