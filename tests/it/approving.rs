//! Approvals and budgets that come and go while the conductor runs, in time that only the test passes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use zoho_mail_reconciler::controller::Journal;
use zoho_mail_reconciler::ledger::file::Committed;
use zoho_mail_reconciler::ledger::{Ledger, Record};
use zoho_mail_reconciler::manifest::{self, Parsed, Rules};
use zoho_mail_reconciler::report::Report;
use zoho_mail_reconciler::source::{Batch, Look};
use zoho_mail_reconciler::timestamp::Timestamp;

use super::builders::Manifest;
use super::conductor::{Outside, applied, batch, build, file, owner};

/// A disk that is done when the test says so.
#[derive(Clone)]
struct Disk {
    committed: mpsc::UnboundedSender<Committed>,
    waiting: Arc<Mutex<Vec<u64>>>,
    slow: Arc<Mutex<bool>>,
}

impl Journal for Disk {
    fn append(&mut self, _: Vec<Record>, ticket: u64) {
        self.waiting.lock().unwrap().push(ticket);
        if !*self.slow.lock().unwrap() {
            self.done();
        }
    }
}

impl Disk {
    fn done(&self) {
        for ticket in self.waiting.lock().unwrap().drain(..) {
            let _ = self.committed.send(Committed::Durable { ticket, took: Duration::ZERO });
        }
    }

    fn slow(&self, slow: bool) {
        *self.slow.lock().unwrap() = slow;
        if !slow {
            self.done();
        }
    }
}

/// What the test holds in its hands.
struct World {
    looks: mpsc::Sender<Batch<Parsed>>,
    reports: watch::Receiver<Report>,
    disk: Disk,
}

impl World {
    async fn look(&self, files: Vec<(Arc<str>, Look<Parsed>)>) {
        self.looks.send(batch(files, false)).await.unwrap();
        sleep(Duration::from_millis(50)).await;
    }

    /// How many accounts are held, and how many PUTs were acknowledged.
    fn held_and_applied(&self) -> (usize, u64) {
        let report = self.reports.borrow();
        (report.held, report.totals.applied)
    }
}

fn policy(path: &str, policy: &Manifest) -> (Arc<str>, Look<Parsed>) {
    let path: Arc<str> = path.into();
    let parsed = manifest::parse(&path, policy.to_string().as_bytes(), Rules::default());
    assert_eq!(parsed.problems, []);
    (path, Look::Read(parsed))
}

fn budget(max: u32) -> (Arc<str>, Look<Parsed>) {
    policy("limits.yaml", &Manifest::budget("limits").set("maxDisruptions", max))
}

/// An approval of the mailboxes of these accounts, for so long from now on.
fn approval(accounts: &[u64], term: Duration) -> (Arc<str>, Look<Parsed>) {
    let expires = Timestamp::from(std::time::SystemTime::now()) + term;
    let approval = Manifest::approval("leavers").set("expires", expires);
    let approving = |approval: Manifest, n| approval.approving(format_args!("a{n}"), "enabled");
    policy("approval.yaml", &accounts.iter().fold(approval, approving))
}

/// Four people with mailboxes, and a budget of nothing; then what the test does.
async fn with_four<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    let mut ledger = Ledger::new(owner());
    applied(4, true).for_each(|record| ledger.apply(record));
    let (committed, durable) = mpsc::unbounded_channel();
    let disk = Disk { committed, waiting: Arc::default(), slow: Arc::default() };
    let (controller, inputs, Outside { looks, reports, .. }) = build(ledger, disk.clone(), durable);
    let world = World { looks, reports, disk };
    let files = (0..4).map(|n| file(n, true)).chain([budget(0)]).collect();
    world.looks.send(batch(files, true)).await.unwrap();
    tokio::select! {
        _ = controller.run(inputs) => panic!("it ended by itself"),
        () = test(world) => {}
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn an_approval_lets_exactly_its_accounts_go_and_one_more_budget_the_rest() {
    with_four(async |world| {
        world.look((0..4).map(|n| file(n, false)).collect()).await;
        assert_eq!(world.held_and_applied(), (4, 0));
        world.look(vec![approval(&[1, 3], HOUR)]).await;
        assert_eq!(world.held_and_applied(), (2, 2));
        // What went by approval uses up nothing of any budget.
        world.look(vec![budget(1)]).await;
        assert_eq!(world.held_and_applied(), (2, 2));
        world.look(vec![budget(2)]).await;
        assert_eq!(world.held_and_applied(), (0, 4));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_gone_gives_the_options_their_say_back() {
    with_four(async |world| {
        world.look((0..4).map(|n| file(n, false)).collect()).await;
        assert_eq!(world.held_and_applied(), (4, 0));
        world.look(vec![("limits.yaml".into(), Look::Gone)]).await;
        assert_eq!(world.held_and_applied(), (0, 4));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_approved_at_its_intent_leaves_though_the_approval_expires_before_the_put() {
    with_four(async |world| {
        world.look(vec![approval(&[1], Duration::from_secs(5))]).await;
        world.disk.slow(true);
        world.look(vec![file(1, false)]).await;
        sleep(Duration::from_secs(10)).await;
        assert_eq!(world.held_and_applied(), (0, 0));
        world.disk.slow(false);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.held_and_applied(), (0, 1));
        // A fresh disruption finds no approval any more.
        world.look(vec![file(1, true)]).await;
        world.look(vec![file(1, false)]).await;
        assert_eq!(world.held_and_applied(), (1, 2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_is_withdrawn_before_the_put_leaves_holds_it() {
    with_four(async |world| {
        world.look(vec![approval(&[1], HOUR)]).await;
        world.disk.slow(true);
        world.look(vec![file(1, false)]).await;
        world.look(vec![("approval.yaml".into(), Look::Gone)]).await;
        world.disk.slow(false);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.held_and_applied(), (1, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_account_is_looked_at_again_when_its_approval_expires() {
    with_four(async |world| {
        world.look(vec![approval(&[1], Duration::from_secs(60))]).await;
        world.disk.slow(true);
        world.look(vec![file(1, false)]).await;
        // So long no intent waits for the disk: it is begun anew, and by then it is too late.
        sleep(Duration::from_secs(61)).await;
        world.disk.slow(false);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.held_and_applied(), (1, 0));
    })
    .await;
}
