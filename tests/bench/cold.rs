//! Cold start with nothing to do, beside a bare loop that reads the same files.
//!
//! In: a folder and the ledger in which all of it is applied. Out: both medians, the median of their ratios, and how many
//! requests were made.

use std::path::Path;
use std::time::{Duration, Instant};

use super::folder::{Folder, read_all};
use super::service::Service;
use super::{child, table};

/// How often both are measured, in turns: odd, so that there is a middle.
const TURNS: usize = 9;

/// What it came to.
pub struct Cold {
    pub ours: Duration,
    pub bare: Duration,
    pub ratio: f64,
    pub requests: u64,
}

pub fn measure(folder: &Folder, ledger: &Path, service: &Service) -> anyhow::Result<Cold> {
    let before = service.requests();
    let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let begun = Instant::now();
        read_all(&folder.root)?;
        let read = begun.elapsed();
        let started = child::run(child::command(service, &folder.root, ledger, "apply")?)?;
        ratios.push(started.as_secs_f64() / read.as_secs_f64());
        ours.push(started);
        bare.push(read);
    }
    Ok(Cold {
        ours: table::median(&ours).unwrap_or_default(),
        bare: table::median(&bare).unwrap_or_default(),
        ratio: table::median(&ratios).unwrap_or_default(),
        requests: service.requests() - before,
    })
}
