//! The integration tests: one binary.

mod watching;
