//! `--watch`: first all accounts, then a line for each whose row changes, until somebody stops it.
//!
//! In: the folder's watcher, and a look at the ledger every [`TURN`]. Out: lines, as long as anybody reads them.
//! Invariant: what cannot be read for a while changes nothing but a note; what was shown stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::folder::{Manifests, Read};
use super::{Filter, Screen, Sources};
use crate::account::AccountId;
use crate::cli::{Exit, complain, put, say};
use crate::clock::Clock;
use crate::source::{self, Batch, Root, Watch};
use crate::status::{Item, MailAccountList};
use crate::timestamp::Timestamp;

/// How often the ledger is read, and time looked at: what people call at once. A ledger of 10,000 takes milliseconds.
const TURN: Duration = Duration::from_secs(1);

/// Batches of the folder on their way; one that waits holds the watcher up, not this program.
const BATCHES: usize = 4;

/// What was shown of each account: what lasts of it, and all of it.
#[derive(Default)]
struct Shown(BTreeMap<AccountId, (Vec<String>, Item)>);

/// Shows `all`, and goes on.
pub(super) fn go_on(
    filter: &Filter,
    sources: &Sources,
    mut screen: Screen,
    all: MailAccountList,
) -> anyhow::Result<Exit> {
    let protection = sources.protection()?;
    let (mut shown, mut of_folder, mut of_ledger) = (Shown::default(), Trouble::default(), Trouble::default());
    let mut clock = Clock::start();
    let news = shown.news(all, filter, &screen, clock.now())?;
    if news.is_empty() {
        say("No accounts match.");
    }
    if !put(&screen.lines(&news, clock.now())?)? {
        return Ok(Exit::Done);
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (out, mut looks) = mpsc::channel::<Batch<Read>>(BATCHES);
        let parse = Arc::new(sources.parse(Arc::clone(&protection), screen.with_labels));
        let folder = sources.folder.desired_state.clone();
        let options = Watch { git: sources.folder.git(), ..Watch::default() };
        let stop = CancellationToken::new();
        let watcher = source::watch(folder, options, parse, out, Arc::new(Notify::new()), stop.clone());
        let _stops_with_us = stop.drop_guard();
        let mut manifests = None;
        while !watcher.is_finished() {
            match timeout(TURN, looks.recv()).await {
                Ok(Some(Batch { root: Root::Unknown(why), .. })) => of_folder.is(Some(why)),
                Ok(Some(mut batch)) => {
                    of_folder.is(None);
                    // A ledger that cannot be read is reported below.
                    drop(sources.attribute(&mut batch, &protection, &screen));
                    manifests.get_or_insert_with(|| Manifests::protecting(Arc::clone(&protection))).take(batch);
                }
                // Nothing changed in the folder; what lies beside it may have, and time goes on.
                Ok(None) | Err(_) => {}
            }
            let Some(manifests) = &mut manifests else { continue };
            // Nothing here spans time: what the wall clock says now is what counts.
            let _ = clock.look();
            let now = clock.now();
            match sources.accounts(manifests, now) {
                Ok(all) => {
                    of_ledger.is(None);
                    let news = shown.news(all, filter, &screen, now)?;
                    if !put(&screen.lines(&news, now)?)? {
                        return Ok(Exit::Done);
                    }
                }
                Err(error) => of_ledger.is(Some(format!("{error:#}"))),
            }
        }
        Ok(Exit::Failed)
    })
}

/// What is wrong now, said once however often it is met.
#[derive(Default)]
struct Trouble(Option<String>);

impl Trouble {
    fn is(&mut self, what: Option<String>) {
        if let Some(what) = what.as_ref().filter(|_| what != self.0) {
            complain(what);
        }
        self.0 = what;
    }
}

impl Shown {
    /// The accounts that are to be shown, and remembers that they were.
    fn news(
        &mut self,
        all: MailAccountList,
        filter: &Filter,
        screen: &Screen,
        now: Timestamp,
    ) -> anyhow::Result<Vec<Item>> {
        let mut news = Vec::new();
        let mut before = std::mem::take(&mut self.0);
        for item in all.items {
            let (account, known) = (item.spec.account_id, before.remove(&item.spec.account_id));
            if filter.keeps(&item) {
                let lasting = screen.lasting(&item, now)?;
                if known.is_none_or(|(known, _)| known != lasting) {
                    news.push(item.clone());
                }
                self.0.insert(account, (lasting, item));
            } else if known.is_some() {
                news.push(item);
            }
        }
        // Neither a manifest nor the ledger knows these any more.
        for (_, mut gone) in before.into_values() {
            gone.status.conditions.clear();
            news.push(gone);
        }
        Ok(news)
    }
}
