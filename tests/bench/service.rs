//! The simulated service, in this process, and how its PUTs are waited for.
//!
//! In: a runtime. Out: where it listens, a token it accepts, how much it was asked. It knows no
//! latency and no request budget, so that what is measured is the program.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use zoho_mail_reconciler::sandbox::{self, Settings, World};

/// The organization in Zoho's sample requests.
pub const ZOID: &str = "12345678";

/// How often the service is asked whether the PUTs have come: fine beside a millisecond.
const POLL: Duration = Duration::from_micros(200);

/// Without progress for so long, something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
pub struct Service {
    pub url: String,
    pub token: String,
    world: Arc<Mutex<World>>,
}

/// When the first and the last of some PUTs had come.
pub struct Seen {
    pub first: Instant,
    pub last: Instant,
}

impl Service {
    pub fn start(runtime: &Runtime) -> anyhow::Result<Self> {
        let settings = Settings {
            open: true,
            // Longer than any run.
            token_ttl: Duration::from_secs(24 * 60 * 60),
            log_capacity: 0,
            ..Settings::default()
        };
        let mut world = World::new(settings);
        let token = world.issue_token(SystemTime::now().into(), "sandbox").context("the sandbox's own token")?;
        let world = Arc::new(Mutex::new(world));
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = runtime.block_on(sandbox::serve(listen, Arc::clone(&world), CancellationToken::new()))?;
        Ok(Self { url: server.api_url(), token, world })
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All requests so far, whatever they were.
    pub fn requests(&self) -> u64 {
        self.world().requests_total()
    }

    /// PUTs so far that took effect.
    pub fn applied(&self) -> u64 {
        self.world().totals().applied
    }

    /// Waits until `count` more PUTs than `before` have taken effect.
    pub fn wait(&self, before: u64, count: u64) -> anyhow::Result<Seen> {
        let (mut known, mut first, mut progress) = (before, None, Instant::now());
        loop {
            let puts = self.applied();
            let now = Instant::now();
            if puts > known {
                (known, progress) = (puts, now);
                first.get_or_insert(now);
            }
            match first {
                Some(first) if known >= before + count => return Ok(Seen { first, last: now }),
                _ if now > progress + PATIENCE => {
                    bail!("{} of {count} PUTs came, then none for {PATIENCE:?}", known - before)
                }
                _ => std::thread::sleep(POLL),
            }
        }
    }
}
