//! How much of a product of cases is run: a chosen representative of each kind, or every last one.
//!
//! In: the environment, where `FULL_TESTS` set to anything but nothing asks for everything. Out: which of two sizes.
//! Invariants: every property is tried at either depth, and only how often, on how much and in how many variants differs
//! (but for a left-over lock of Git under the real daemon, which by default only the watcher's own test has); what a test
//! that fails at one of them has found is a bug.
//! Deliberately absent: a third depth. Tests that repeat something take their own [`number`] from a variable of their own.

/// Whether nothing may be left out, however long it takes.
pub fn is_full() -> bool {
    std::env::var_os("FULL_TESTS").is_some_and(|full| !full.is_empty())
}

/// The representative, or the full product.
pub fn pick<T>(default: T, full: T) -> T {
    if is_full() { full } else { default }
}

/// The number that `variable` holds, if it is set.
pub fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a whole number")))
}
