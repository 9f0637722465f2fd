#![no_main]
//! Any bytes as `ledger.json` and its journal (split at the first NUL, if there is one; else all is snapshot).
//! Holds: an answer or a fault, never a panic; and what is read survives being written.

use libfuzzer_sys::fuzz_target;
use zoho_mail_reconciler::ledger::Ledger;

fuzz_target!(|bytes: &[u8]| {
    let split = bytes.iter().position(|byte| *byte == 0);
    let (snapshot, journal) = split.map_or((bytes, &[][..]), |nul| (&bytes[..nul], &bytes[nul + 1..]));
    for snapshot in [Some(snapshot), None] {
        if let Ok(Some(ledger)) = Ledger::from_bytes(snapshot, journal) {
            assert_eq!(Ledger::from_bytes(Some(&ledger.to_bytes()), b""), Ok(Some(ledger)));
        }
    }
});
