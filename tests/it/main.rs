//! The integration tests: one binary, one module for each room.

#![allow(clippy::unwrap_used)] // the setting for tests covers test functions, not the servers and checks they share

mod deploy;
mod loopback;
mod sandbox;
mod zoho_client;
mod zoho_https;
mod zoho_operations;
