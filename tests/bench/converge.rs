//! Everything applied from nothing, beside a bare loop of the same PUTs without a ledger.
//!
//! In: a folder, an empty ledger. Out: PUTs a second of both between the first and the last one that the service saw, and the
//! peak memory of ours. Invariant: both are processes of their own with as many requests in flight, one HTTP library, one service.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};

use super::folder::{Account, Folder};
use super::service::{Seen, Service, ZOID};
use super::{child, table};

/// The argument by which this program becomes the bare loop.
pub const BARE: &str = "bare-puts";

/// PUTs an account: the mailbox and the ActiveSync flag.
const PUTS: u64 = 2;

/// What it came to.
pub struct Convergence {
    pub concurrency: u64,
    pub ours: f64,
    pub bare: f64,
    pub ratio: f64,
    pub peak: u64,
}

pub fn measure(folder: &Folder, ledger: &Path, service: &Service, concurrency: u64) -> anyhow::Result<Convergence> {
    // Small folders are over before the machine has warmed up, so they come several times.
    let turns = (10_000 / folder.accounts).clamp(1, 5) | 1;
    let (mut ours, mut bare, mut ratios, mut peak) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..turns {
        if ledger.exists() {
            std::fs::remove_file(ledger)?;
        }
        let mut order = Command::new(std::env::current_exe()?);
        order.arg(BARE).args([&service.url, &service.token]);
        order.args([folder.accounts.to_string(), concurrency.to_string()]);
        let (their_rate, _) = rate(order, folder, service)?;
        let mut apply = child::command(service, &folder.root, ledger, "apply")?;
        apply.args(["--max-concurrency", &concurrency.to_string()]);
        let (our_rate, our_peak) = rate(apply, folder, service)?;
        ratios.push(our_rate / their_rate);
        ours.push(our_rate);
        bare.push(their_rate);
        peak = peak.max(our_peak);
    }
    Ok(Convergence {
        concurrency,
        ours: table::median(&ours).unwrap_or_default(),
        bare: table::median(&bare).unwrap_or_default(),
        ratio: table::median(&ratios).unwrap_or_default(),
        peak,
    })
}

/// Runs a command that makes every PUT. Returns PUTs a second, and its peak memory.
fn rate(mut command: Command, folder: &Folder, service: &Service) -> anyhow::Result<(f64, u64)> {
    let puts = folder.accounts * PUTS;
    let before = service.applied();
    let child = command.spawn()?;
    let (seen, peak) = std::thread::scope(|scope| {
        let watched = scope.spawn(|| child::peak_until_end(child, &command));
        let seen = service.wait(before, puts);
        (seen, watched.join())
    });
    let Seen { first, last } = seen?;
    let peak = peak.map_err(|_| anyhow::anyhow!("the watcher panicked"))??;
    ensure!(service.applied() == before + puts, "more PUTs came than were needed");
    Ok((puts as f64 / last.duration_since(first).as_secs_f64(), peak))
}

/// The bare loop: `bare-puts URL TOKEN ACCOUNTS CONCURRENCY`.
pub fn bare(order: &[String]) -> anyhow::Result<()> {
    let [url, token, accounts, concurrency] = order else { anyhow::bail!("expected URL TOKEN ACCOUNTS CONCURRENCY") };
    let (accounts, concurrency): (u64, u64) = (accounts.parse()?, concurrency.parse()?);
    let runtime = tokio::runtime::Runtime::new()?;
    // Nothing here is https, but the library wants to know how it would be.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().http1_only().no_proxy().tls_certs_only([]).build()?;
    let next = Arc::new(AtomicU64::new(0));
    let (base, token) = (format!("{url}/api/organization/{ZOID}/accounts"), format!("Zoho-oauthtoken {token}"));
    runtime.block_on(async {
        let workers: Vec<_> = (0..concurrency)
            .map(|_| {
                let (client, next, base, token) = (client.clone(), Arc::clone(&next), base.clone(), token.clone());
                tokio::spawn(async move {
                    loop {
                        let account = Account(next.fetch_add(1, Ordering::Relaxed));
                        if account.0 >= accounts {
                            return anyhow::Ok(());
                        }
                        for body in bodies(account) {
                            put(&client, &format!("{base}/{}", account.id()), &token, body).await?;
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.context("a worker of the bare loop")??;
        }
        Ok(())
    })
}

fn bodies(account: Account) -> [String; 2] {
    let zuid = account.zuid();
    let mode = if account.enabled() { "enableMailAccount" } else { "disableMailAccount" };
    let active_sync = account.active_sync();
    [
        format!(r#"{{"zuid":{zuid},"mode":"{mode}"}}"#),
        format!(r#"{{"zuid":"{zuid}","mode":"updateMobileSyncStatus","activeSyncEnabled":"{active_sync}"}}"#),
    ]
}

async fn put(client: &reqwest::Client, url: &str, token: &str, body: String) -> anyhow::Result<()> {
    let request = client.put(url).header("Accept", "application/json").header("Content-Type", "application/json");
    let answer = request.header("Authorization", token).body(body).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{url}: {status} {text}");
    Ok(())
}
