#![no_main]
//! A ledger whose checksums are right, so that the fuzzer gets behind them. In: a snapshot without its last line, and
//! after a NUL the journal's lines without their checksums. Holds: what is read survives being written; both
//! readers of a snapshot agree; a journal cut anywhere between two lines is a beginning of the whole; and
//! whatever a ledger remembers, the rooms that read it do sums and do not panic.

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use zoho_mail_reconciler::account::AuthMode;
use zoho_mail_reconciler::desired::{DesiredState, Look};
use zoho_mail_reconciler::guard::{DisruptionBudget, Guard};
use zoho_mail_reconciler::queue::Backoff;
use zoho_mail_reconciler::ledger::Ledger;
use zoho_mail_reconciler::manifest::{Rules, parse};
use zoho_mail_reconciler::plan::plan;
use zoho_mail_reconciler::status::{self, Part};
use zoho_mail_reconciler::throttle::{RateLimit, Throttle};

fuzz_target!(|bytes: &[u8]| {
    let split = bytes.iter().position(|byte| *byte == 0);
    let (snapshot, journal) = split.map_or((bytes, &[][..]), |nul| (&bytes[..nul], &bytes[nul + 1..]));
    let sealed = seal_snapshot(snapshot);
    let snapshot = (!snapshot.is_empty()).then_some(&*sealed);
    let before = Ledger::from_bytes(snapshot, b"");
    if let (Some(sealed), Ok(Some(by_line))) = (snapshot, &before) {
        // Without its checksum a document is read as a whole, not line by line.
        let body = &sealed[..sealed.len() - SUM_LINE];
        if let Some(body) = body.strip_suffix(b",\n") {
            assert_eq!(Ledger::from_bytes(Some(&[body, b"}"].concat()), b"").as_ref(), Ok(&Some(by_line.clone())));
        }
    }
    let lines: Vec<Vec<u8>> = journal.split(|byte| *byte == b'\n').map(seal_line).collect();
    let Ok(Some(ledger)) = Ledger::from_bytes(snapshot, &lines.concat()) else { return };
    assert_eq!(Ledger::from_bytes(Some(&ledger.to_bytes()), b""), Ok(Some(ledger.clone())));
    let mut serial = before.ok().flatten().map_or(0, |before| before.serial);
    for cut in 1..lines.len() {
        // A journal may not end before the snapshot it stands beside.
        if let Ok(Some(part)) = Ledger::from_bytes(snapshot, &lines[..cut].concat()) {
            assert!((serial..=serial + 1).contains(&part.serial));
            serial = part.serial;
        }
    }
    use_it(ledger);
});

fn use_it(mut ledger: Ledger) {
    let now = ledger.last_request();
    let limit = Some(RateLimit { count: 3, per: Duration::from_secs(60) });
    let mut throttle = Throttle::restore(limit, Duration::from_secs(30), Backoff::default(), &ledger, now);
    throttle.admit_put(now);
    throttle.admit_token(now);
    let budget: DisruptionBudget = "1,10%".parse().unwrap();
    Guard::new(budget, Duration::from_secs(3600), &ledger.disruptions).verdict(7, now);
    let desired = desired(&ledger);
    let planned = plan(&desired, &ledger, now).changes;
    assert!(planned.iter().all(|change| ledger.known(change.account, change.field) == change.from));
    let list = status::list(&desired, &ledger, Part { from: None, most: usize::MAX }, |_| None, None, now);
    assert!(list.items.len() >= ledger.accounts.len());
    ledger.forget_before(now);
    assert_eq!(Ledger::from_bytes(Some(&ledger.to_bytes()), b""), Ok(Some(ledger)));
}

/// Manifests for some of the accounts that the ledger knows; the others are orphans.
fn desired(ledger: &Ledger) -> DesiredState {
    let mut desired = DesiredState::new();
    for account in ledger.accounts.keys().step_by(2).take(3) {
        let text = format!(
            "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata: {{name: a{account}}}\nspec: {{accountId: \
             {account}, enabled: true, activeSyncEnabled: false}}\n"
        );
        let path: Arc<str> = account.to_string().into();
        desired.update(&path, Look::Parsed(parse(&path, text.as_bytes(), Rules { auth: AuthMode::User, ..Rules::default() })));
    }
    assert_eq!(desired.problem_count(), 0);
    desired
}

/// Length of ` "crc32":"01234567"}` and its newline.
const SUM_LINE: usize = 21;

fn seal_snapshot(body: &[u8]) -> Vec<u8> {
    [body, format!(" \"crc32\":\"{:08x}\"}}\n", crc32fast::hash(body)).as_bytes()].concat()
}

fn seal_line(body: &[u8]) -> Vec<u8> {
    [body, format!(",\"crc32\":\"{:08x}\"}}\n", crc32fast::hash(body)).as_bytes()].concat()
}
