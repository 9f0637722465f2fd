//! The integration tests: one binary, one module for each room.

#![allow(clippy::unwrap_used)] // the setting for tests covers test functions, not the servers and checks they share

mod approving;
mod builders;
mod cli;
mod clocks;
mod commits;
mod conductor;
mod cost;
mod crash;
mod depth;
mod deploy;
mod doctor;
mod fault_matrix;
mod gitops;
mod history;
mod hostile_yaml;
mod invariants;
mod isolation;
mod ledger_on_disk;
mod loopback;
mod manifest;
mod mutants;
mod notifying;
mod page;
mod pausing;
mod pipelining;
mod process;
mod properties;
mod provenance;
mod readme;
mod remembering;
mod repository;
mod sandbox;
mod security;
mod showing;
mod simulation;
mod tidy;
mod torture;
mod unhindered;
mod version;
mod watching;
mod without_token;
mod zoho_client;
mod zoho_https;
mod zoho_operations;
