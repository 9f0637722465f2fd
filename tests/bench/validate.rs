//! `validate` of everything, as a pipeline runs it.
//!
//! In: a folder. Out: the median of how long it takes.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use super::folder::Folder;
use super::{child, table};

/// How often it is measured: odd, so that there is a middle.
const TURNS: usize = 9;

pub fn measure(folder: &Folder) -> anyhow::Result<Duration> {
    let mut took = Vec::new();
    for _ in 0..TURNS {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zoho-mail-reconciler"));
        command.arg("validate").arg(&folder.root).stdin(Stdio::null()).stdout(Stdio::null());
        took.push(child::run(command)?);
    }
    table::median(&took).context("no turns")
}
