//! zoho-mail-reconciler: a folder of YAML manifests becomes exactly the PUTs that are needed.

pub mod account;
pub mod change;
pub mod condition;
pub mod timestamp;

pub mod desired;
pub mod guard;
pub mod ledger;
pub mod manifest;
pub mod plan;
pub mod queue;
pub mod source;
pub mod status;
pub mod throttle;
pub mod zoho;

pub mod clock;
pub mod report;
pub mod admin;
pub mod cli;
pub mod config;
pub mod controller;
pub mod metrics;
pub mod sandbox;
pub mod service;
pub mod shutdown;
pub mod telemetry;
