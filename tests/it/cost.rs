//! What one edit and one PUT cost does not grow with the number of accounts: a hundred times as many, the same work.
//!
//! Counted in time on the processor, which a busy machine does not stretch, and with a bound far from both answers: work
//! for every account is some hundred times more, the depth of a tree a little.

use std::time::Duration;

use tokio::sync::mpsc;
use zoho_mail_reconciler::controller::Journal;
use zoho_mail_reconciler::ledger::file::{Committed, LedgerFile};
use zoho_mail_reconciler::ledger::{Ledger, Record};
use zoho_mail_reconciler::report::Report;

use super::conductor::{Outside, applied, batch, build, file, owner};

const FEW: u64 = 100;
const MANY: u64 = 100 * FEW;

/// How many times more an edit among many may cost.
const RATIO: u32 = 5;

/// How many edits are measured: enough that a tick of the scheduler's clock does not matter.
const EDITS: u64 = 50;

/// Says at once that all is durable.
struct Instantly(mpsc::UnboundedSender<Committed>);

impl Journal for Instantly {
    fn append(&mut self, _: Vec<Record>, ticket: u64) {
        let _ = self.0.send(Committed::Durable { ticket, took: Duration::ZERO });
    }
}

/// Time on the processor that this thread has used: the first field of proc's schedstat, in nanoseconds.
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// What [`EDITS`] edits cost the conductor, each with its PUT, when there are so many accounts that need nothing.
async fn edits_among(accounts: u64) -> Duration {
    let mut ledger = Ledger::new(owner());
    applied(accounts, true).for_each(|record| ledger.apply(record));
    let (committed_out, committed) = mpsc::unbounded_channel();
    let (controller, inputs, outside) = build(ledger, Instantly(committed_out), committed);
    let Outside { looks, mut reports, .. } = outside;
    let mut edit = async move || {
        looks.send(batch((0..accounts).map(|n| file(n, true)).collect(), true)).await.unwrap();
        reports.wait_for(|report| report.loaded && report.managed as u64 == accounts).await.unwrap();
        let edits: Vec<_> = (0..EDITS).map(|n| batch(vec![file(n, false)], false)).collect();
        let begun = worked();
        for (edit, done) in edits.into_iter().zip(1..) {
            looks.send(edit).await.unwrap();
            reports.wait_for(|report: &Report| report.totals.applied == done).await.unwrap();
        }
        worked() - begun
    };
    // All of it on this one thread.
    tokio::select! {
        _ = controller.run(inputs) => panic!("it ended by itself"),
        took = edit() => took,
    }
}

#[tokio::test]
async fn an_edit_costs_the_same_with_a_hundred_times_the_accounts() {
    let (few, many) = (edits_among(FEW).await, edits_among(MANY).await);
    assert!(many < few * RATIO, "{EDITS} edits took {few:?} among {FEW} accounts, and {many:?} among {MANY}");
}

#[test]
fn a_put_leaves_all_but_its_own_lines_of_the_ledger_alone() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("ledger.json");
    let (committed_out, mut committed) = mpsc::unbounded_channel();
    let (ledger, _) = LedgerFile::open(&path, owner(), committed_out).unwrap();
    let mut append = |records: Vec<Record>| {
        ledger.append(records, 1);
        assert!(matches!(committed.blocking_recv(), Some(Committed::Durable { .. })));
        let files = [path.clone(), folder.path().join("ledger.json.journal")];
        files.map(|path| std::fs::metadata(path).unwrap())
    };
    append(applied(MANY, true).collect());
    // The journal that this made long is folded, if at all, before the next group.
    let [snapshot, journal] = append(applied(1, true).collect());
    for _ in 0..EDITS {
        let [now, grown] = append(applied(1, true).collect());
        assert_eq!((now.ino(), now.mtime_nsec()), (snapshot.ino(), snapshot.mtime_nsec()), "it was written anew");
        assert!(grown.len() - journal.len() <= EDITS * 1024, "some hundred bytes a record");
    }
}
