//! Which version this is, and of which commit.

/// The version, and in brackets the commit it was built of, its date, and whether anything was changed since:
/// `0.1.0 (1f2e3d4c5b6a 2026-11-22)`.
pub const VERSION: &str = env!("ZOHO_MAIL_RECONCILER_VERSION");

/// The commit alone, for a label: `1f2e3d4c5b6a`, with `-dirty` if anything was changed since; `unknown` where none is.
pub const COMMIT: &str = env!("ZOHO_MAIL_RECONCILER_BUILT_OF");
