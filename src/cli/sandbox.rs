//! `sandbox`: the simulated service alone, to rehearse a pull request against.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Exit, engine, load, print};
use crate::account::{AuthMode, Zoid};
use crate::config::{RateLimitOption, SANDBOX_ZOID, positive};
use crate::sandbox::{self, Banner, Budget, Script, Seed, World};
use crate::shutdown;
use crate::throttle::RateLimit;

/// `sandbox`.
#[derive(Clone, Debug, Args)]
pub(super) struct Sandbox {
    /// Address to listen on; only this machine's own are allowed
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8687")]
    listen: SocketAddr,

    /// The simulated organization's id
    #[arg(long, value_name = "LONG", env = "ZOHO_MAIL_ZOID")]
    zoid: Option<Zoid>,

    /// Folder of manifests whose accounts exist, all enabled; without it every account that is asked for exists
    #[arg(long, value_name = "DIR")]
    accounts: Option<PathBuf>,

    /// Requests the service bears before it locks everybody out
    #[arg(long, value_name = "N/DURATION|unlimited", default_value = "30/1m")]
    request_limit: RateLimitOption,

    /// How long the lock lasts
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = positive)]
    lock: Duration,

    /// Script of misfortunes, as JSON
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

impl Sandbox {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        engine::block_on(self.serve())
    }

    async fn serve(self) -> anyhow::Result<Exit> {
        let world = self.world()?;
        let (stops_out, mut stops) = mpsc::channel(1);
        shutdown::listen(stops_out, || {})?;
        let cancel = CancellationToken::new();
        let world = Arc::new(Mutex::new(world));
        let server = sandbox::serve(self.listen, Arc::clone(&world), cancel.clone()).await?;
        let banner = world.lock().map(|world| Banner::new(server.api_url(), &world).to_string()).unwrap_or_default();
        print(&banner)?;
        let _ = stops.recv().await;
        cancel.cancel();
        server.stopped().await;
        Ok(Exit::Done)
    }

    fn world(&self) -> anyhow::Result<World> {
        let budget = match self.request_limit {
            RateLimitOption::Unlimited => None,
            RateLimitOption::Limited(RateLimit { count, per }) => {
                Some(Budget { requests: count, window: per, lock: self.lock, ..Budget::default() })
            }
        };
        let mut settings = sandbox::Settings { budget, open: self.accounts.is_none(), ..sandbox::Settings::default() };
        if let Some(zoid) = self.zoid.or(Zoid::new(SANDBOX_ZOID)) {
            settings.zoid = zoid;
        }
        let mut world = World::new(settings);
        if let Some(folder) = &self.accounts {
            let desired = load::desired(load::batch(folder, AuthMode::User, None)?);
            world.seed_from(desired.iter().map(|(account_id, account)| Seed {
                account_id,
                zuid: account.spec.zuid,
                email: account.spec.email.as_deref(),
                name: account.name,
            }));
        }
        if let Some(path) = &self.faults {
            let script = std::fs::read(path).with_context(|| path.display().to_string())?;
            world.set_faults(Script::parse(&script).with_context(|| path.display().to_string())?);
        }
        Ok(world)
    }
}
