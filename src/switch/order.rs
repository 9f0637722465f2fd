//! Orders as a file beside the ledger: from a command to the process that has the ledger.
//!
//! In: the ledger's path; an [`Order`] to leave. Out: the order, once: the process that takes it removes the file.
//! Invariants: an order is complete under its name or not there at all; a file that cannot be read or understood orders
//! nothing. Deliberately absent: an answer. That an order was carried out stands in the ledger, which outlasts a kill
//! between the two; a command that does not see it there orders again.

use std::io;
use std::path::{Path, PathBuf};

use super::{beside, bytes, publish, remove};
use crate::order::Order;

/// The file beside `ledger`: `ledger.json.order`.
pub fn path(ledger: &Path) -> PathBuf {
    beside(ledger, ".order")
}

/// Leaves an order for the process that has `ledger`. Blocks on the disk.
///
/// # Errors
///
/// If the folder does not exist, or cannot be written.
pub fn leave(ledger: &Path, order: &Order) -> io::Result<()> {
    publish(&path(ledger), &order.to_bytes())
}

/// Whether an order lies there that was not taken yet. Blocks on the disk.
pub fn is_left(ledger: &Path) -> bool {
    path(ledger).exists()
}

/// Takes back `order`, and no other. Says whether it was still there. Blocks on the disk.
///
/// # Errors
///
/// If the file is there and cannot be read or removed.
pub fn withdraw(ledger: &Path, order: &Order) -> io::Result<bool> {
    let is_this = bytes(&path(ledger)).is_ok_and(|bytes| bytes == order.to_bytes());
    if is_this { remove(&path(ledger)) } else { Ok(false) }
}

/// Takes the order that was left, if there is one. Blocks on the disk.
pub(super) fn take(ledger: &Path) -> Option<Order> {
    let bytes = bytes(&path(ledger)).ok()?;
    // If it cannot be removed, or a power cut brings it back, it names what was done already.
    let _ = remove(&path(ledger));
    Order::from_bytes(&bytes)
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
        let order = Order::PauseLift { until: Timestamp::from_millis(7), by: Some("eve".into()) };
        leave(&ledger, &order).unwrap();
        assert_eq!([take(&ledger), take(&ledger)], [Some(order.clone()), None]);
        leave(&ledger, &order).unwrap();
        let another = Order::Forget { accounts: Vec::new(), by: None };
        assert!(!withdraw(&ledger, &another).unwrap() && is_left(&ledger));
        assert!(withdraw(&ledger, &order).unwrap() && !withdraw(&ledger, &order).unwrap() && !is_left(&ledger));
        fs::write(path(&ledger), "lift it").unwrap();
        assert_eq!(take(&ledger), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::create_dir(path(&ledger)).unwrap();
        assert_eq!(take(&ledger), None);
    }
}
