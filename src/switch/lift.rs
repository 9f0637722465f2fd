//! Orders to lift a pause, as a file beside the ledger: from a command to the process that has the ledger.
//!
//! In: the ledger's path; a [`LiftOrder`] to leave. Out: the order, once: the process that takes it removes the file.
//! Invariants: an order is complete under its name or not there at all; a file that cannot be read or understood lifts
//! nothing. Deliberately absent: an answer. That a pause is lifted stands in the ledger, which outlasts a kill between the
//! two; a command that sees it there no sooner orders again.

use std::io;
use std::path::{Path, PathBuf};

use super::{beside, bytes, publish, remove};
use crate::throttle::LiftOrder;

/// The file beside `ledger`: `ledger.json.resume`.
pub fn path(ledger: &Path) -> PathBuf {
    beside(ledger, ".resume")
}

/// Leaves an order for the process that has `ledger`. Blocks on the disk.
///
/// # Errors
///
/// If the folder does not exist, or cannot be written.
pub fn order(ledger: &Path, order: &LiftOrder) -> io::Result<()> {
    publish(&path(ledger), &order.to_bytes())
}

/// Takes back an order. Says whether it was still there. Blocks on the disk.
///
/// # Errors
///
/// If the file is there and cannot be removed.
pub fn withdraw(ledger: &Path) -> io::Result<bool> {
    remove(&path(ledger))
}

/// Takes the order that was left, if there is one. Blocks on the disk.
pub(super) fn take(ledger: &Path) -> Option<LiftOrder> {
    let bytes = bytes(&path(ledger)).ok()?;
    // If it cannot be removed, or a power cut brings it back, it names a pause that is over.
    let _ = withdraw(ledger);
    LiftOrder::from_bytes(&bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::timestamp::Timestamp;

    #[test]
    fn an_order_is_taken_once_and_what_is_none_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.json");
        assert_eq!(take(&ledger), None);
        let ordered = LiftOrder { until: Timestamp::from_millis(7), by: Some("eve".into()) };
        order(&ledger, &ordered).unwrap();
        assert_eq!([take(&ledger), take(&ledger)], [Some(ordered.clone()), None]);
        order(&ledger, &ordered).unwrap();
        assert!(withdraw(&ledger).unwrap() && !withdraw(&ledger).unwrap());
        fs::write(path(&ledger), "lift it").unwrap();
        assert_eq!(take(&ledger), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::create_dir(path(&ledger)).unwrap();
        assert_eq!(take(&ledger), None);
    }
}
