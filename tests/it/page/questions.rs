//! What it costs the conductor that people look: little, however many look, and however many accounts there are.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use zoho_mail_reconciler::admin::{self, Pages};
use zoho_mail_reconciler::clock::Clock;
use zoho_mail_reconciler::ledger::{Ledger, Record};
use zoho_mail_reconciler::report::Report;
use zoho_mail_reconciler::status::{Item, MailAccountList, Part};

use crate::conductor::{account, applied, batch, build, file, owner};

/// The status of so many accounts, as the conductor gives it: some declared, some remembered, some both.
async fn conductor(answer: impl AsyncFnOnce(mpsc::Sender<(Part, oneshot::Sender<MailAccountList>)>)) {
    let mut ledger = Ledger::new(owner());
    applied(700, true).for_each(|record| ledger.apply(record));
    struct Forgetful(mpsc::UnboundedSender<zoho_mail_reconciler::ledger::file::Committed>);
    impl zoho_mail_reconciler::controller::Journal for Forgetful {
        fn append(&mut self, _: Vec<Record>, ticket: u64) {
            let took = std::time::Duration::ZERO;
            let _ = self.0.send(zoho_mail_reconciler::ledger::file::Committed::Durable { ticket, took });
        }
    }
    let (committed_out, committed) = mpsc::unbounded_channel();
    let (controller, inputs, mut outside) = build(ledger, Forgetful(committed_out), committed);
    let running = tokio::spawn(controller.run(inputs));
    outside.looks.send(batch((300..1_200).map(|n| file(n, true)).collect(), true)).await.unwrap();
    outside.reports.wait_for(|report| report.loaded && report.pending == 0).await.unwrap();
    answer(outside.queries.clone()).await;
    running.abort();
}

async fn ask(queries: &mpsc::Sender<(Part, oneshot::Sender<MailAccountList>)>, part: Part) -> Vec<Item> {
    let (reply, answer) = oneshot::channel();
    queries.send((part, reply)).await.unwrap();
    let mut items = answer.await.unwrap().items;
    items.sort_by_key(|item| item.spec.account_id);
    items
}

#[tokio::test]
async fn parts_hold_no_more_than_was_asked_for_and_together_every_account_once() {
    conductor(async |queries| {
        let all = ask(&queries, Part::default()).await;
        assert_eq!(all.len(), 1_200);
        for most in [1, 7, 400, 1_199, 1_200, 5_000] {
            let (mut part, mut found) = (Some(Part { from: None, most }), Vec::new());
            while let Some(next) = part {
                let items = ask(&queries, next).await;
                assert!(items.len() <= most);
                part = next.after(&items);
                found.extend(items);
            }
            let told =
                |items: &[Item]| items.iter().map(|item| serde_json::to_value(item).unwrap()).collect::<Vec<_>>();
            assert_eq!(told(&found), told(&all), "{most} at a time");
        }
        let one = ask(&queries, Part::one(account(5))).await;
        assert_eq!(one.iter().map(|item| item.spec.account_id).collect::<Vec<_>>(), [account(5)]);
    })
    .await;
}

async fn get(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn whoever_looks_shares_one_answer_until_something_happens() {
    let clock = Clock::start();
    let (report_out, reports) = watch::channel(Report { turned_at: clock.now(), loaded: true, ..Report::default() });
    let (queries_out, mut queries) = mpsc::channel(16);
    let metrics = Arc::new(|_, _: &Report, _| String::new());
    let listener = admin::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (address, cancel) = (listener.local_addr().unwrap(), CancellationToken::new());
    admin::serve(
        listener,
        Pages { reports, target: "x".into(), queries: queries_out, metrics, clock: clock.clone() },
        cancel.clone(),
    );
    let (asked_out, asked) = watch::channel(0);
    tokio::spawn(async move {
        while let Some((part, reply)) = queries.recv().await {
            assert!(Part { from: None, ..part } != Part::default(), "all at once would stall the loop");
            asked_out.send_modify(|asked| *asked += 1);
            let _ = reply.send(MailAccountList::new(Vec::new()));
        }
    });
    let mut viewers = tokio::task::JoinSet::new();
    (0..20).for_each(|_| drop(viewers.spawn(get(address))));
    while let Some(answer) = viewers.join_next().await {
        assert!(answer.unwrap().starts_with("HTTP/1.0 200"));
    }
    // The loop turned: that alone is no news.
    report_out.send_modify(|report| report.turned_at = clock.now());
    get(address).await;
    assert_eq!(*asked.borrow(), 1);
    report_out.send_modify(|report| report.serial += 1);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while *asked.borrow() == 1 {
        assert!(tokio::time::Instant::now() < deadline, "news are asked for");
        get(address).await;
    }
    cancel.cancel();
}
