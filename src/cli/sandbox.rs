//! `sandbox`: the simulated service alone, to rehearse a pull request against.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Exit, count, engine, load, note, print};
use crate::account::{AuthMode, Zoid, printable};
use crate::config::{RateLimitOption, SANDBOX_ZOID, positive};
use crate::sandbox::{self, Banner, Budget, Script, Seed, World};
use crate::source::Git;
use crate::throttle::RateLimit;
use crate::{shutdown, telemetry};

/// `sandbox`.
#[derive(Clone, Debug, Args)]
pub(super) struct Sandbox {
    /// Address to listen on; only this machine's own (127.0.0.0/8, `[::1]`) are taken
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8687", value_parser = address)]
    listen: SocketAddr,

    /// The simulated organization's id
    #[arg(long, value_name = "LONG", env = "ZOHO_MAIL_ZOID")]
    zoid: Option<Zoid>,

    /// Folder of manifests whose accounts exist, all enabled
    ///
    /// Without it, every account that is asked for exists.
    #[arg(long, value_name = "DIR")]
    accounts: Option<PathBuf>,

    /// Requests the service bears before it locks everybody out
    #[arg(long, value_name = "N/DURATION|unlimited", default_value = "30/1m")]
    request_limit: RateLimitOption,

    /// How long the lock lasts
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = positive)]
    lock: Duration,

    /// Script of misfortunes, as JSON; see the end of this help
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address and a port such as 127.0.0.1:8687".into())
}

impl Sandbox {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        engine::block_on(self.serve())
    }

    async fn serve(self) -> anyhow::Result<Exit> {
        let world = self.world()?;
        let (stops_out, mut stops) = mpsc::channel(1);
        shutdown::listen(stops_out, || {}, telemetry::flush)?;
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
            if !folder.is_dir() {
                bail!("--accounts {}: expected a folder of manifests", printable::path(folder));
            }
            let desired = load::desired(folder, &Git::default(), AuthMode::User, Arc::default(), None)?;
            let problems = load::problems(&desired, folder);
            load::complain_of(&problems);
            if !problems.is_empty() {
                note(&format!(
                    "{} in manifests: what they declare does not exist here",
                    count(problems.len(), "problem")
                ));
            }
            world.seed_from(desired.iter().map(|(account_id, account)| Seed {
                account_id,
                zuid: account.spec.zuid,
                email: account.spec.email.as_deref(),
                name: account.name,
            }));
        }
        if let Some(path) = &self.faults {
            let script = read_script(path).with_context(|| format!("--faults {}", printable::path(path)))?;
            world.set_faults(Script::parse(&script).with_context(|| format!("--faults {}", printable::path(path)))?);
        }
        Ok(world)
    }
}

/// The largest script of faults, in bytes: what the sandbox's own endpoint takes as well.
const MAX_SCRIPT: u64 = 1024 * 1024;

fn read_script(path: &Path) -> anyhow::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        bail!("expected a regular file");
    }
    let mut script = Vec::new();
    File::open(path)?.take(MAX_SCRIPT + 1).read_to_end(&mut script)?;
    if script.len() as u64 > MAX_SCRIPT {
        bail!("expected at most 1 MiB");
    }
    Ok(script)
}
