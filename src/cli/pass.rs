//! One pass over the folder as it is now: what `apply`, `refresh` and `export` begin with.
//!
//! In: options. Out: the controller of one pass, and the folder as it was read, with who decided what.
//! Absent by design: what the pass does (see [`Mode`](crate::controller::Mode)), and what is printed of it.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::engine::{self, Engine};
use super::load;
use super::policies::PolicyFiles;
use crate::config::{Disruptions, Folder, Service, Target, positive};
use crate::controller::Settings;
use crate::manifest::{Parsed, Protection, Rules};
use crate::source::Batch;
use crate::zoho::{HttpTransport, Transport};
use crate::{shutdown, telemetry};

/// A manifest younger than this is looked at twice, for it may be half-written: the daemon's default debounce.
const SETTLE: Duration = Duration::from_millis(200);

/// How long a stop waits for what is in flight; a pipeline's own grace is often 30 s.
pub(super) const GRACE: Duration = Duration::from_secs(25);

/// How long a pass waits.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Service")]
pub(super) struct Patience {
    /// Ends with what is left, and with 1, when the next request cannot start within this time
    ///
    /// As during a pause that the service imposed, or where the request budget is used up.
    #[arg(long, value_name = "DURATION", env = "ZOHO_MAIL_MAX_WAIT", default_value = "20m", value_parser = positive)]
    pub(super) max_wait: Duration,
}

/// See the module.
pub(super) struct Pass<T: Transport> {
    pub(super) engine: Engine<T>,
    pub(super) batch: Batch<Parsed>,
    pub(super) protection: Arc<Protection>,
}

/// Reads the folder while the ledger is opened. Which of them failed first does not matter.
pub(super) async fn begin<T: Transport>(
    folder: &Folder,
    target: &Target,
    service: &Service,
    disruptions: &Disruptions,
    settings: Settings,
    transport: impl FnOnce(HttpTransport) -> T,
) -> anyhow::Result<Pass<T>> {
    let (root, git, auth) = (folder.desired_state.clone(), folder.git(), target.auth.into());
    let protection = disruptions.protect.protection_to_act(&root)?;
    let protected = Arc::clone(&protection);
    let reading = tokio::task::spawn_blocking(move || {
        load::batch(&root, &git, Rules { auth, protection: &protected }, Some(SETTLE))
    });
    let mut engine = engine::build(target, service, settings, Arc::clone(&protection), transport).await?;
    // There is nothing to read again in a single pass.
    shutdown::listen(engine.outside.stops.clone(), || {}, telemetry::flush)?;
    let mut batch = reading.await??;
    let known = std::mem::take(&mut engine.known);
    tokio::task::block_in_place(|| {
        PolicyFiles::new(folder.desired_state.clone(), folder.git(), known).look_after(&mut batch);
        load::attribute(&mut batch, Rules { auth, protection: &protection }, &engine.acknowledged)
    });
    Ok(Pass { engine, batch, protection })
}
