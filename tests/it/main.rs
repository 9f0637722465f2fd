//! The integration tests, in one binary: one link, and shared helpers need no tricks.

mod ledger_on_disk;
