//! Options and environment become validated groups of values.
//!
//! In: command-line options, each also an environment variable. Out: groups of options that the
//! commands share, and checked values for every other room.
//! Invariants: everything wrong with the options is said before anything is read or sent; secrets
//! come from the environment or from files, never from an option's value.

mod daemon;
mod notifications;
mod safety;
mod unread;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::account::{AuthMode, Zoid, printable};
use crate::controller::{ATTEMPT_WAIT_MAX, MAX_WAIT, Mode, Settings};
use crate::guard::Allowance;
use crate::ledger::Owner;
use crate::queue::Backoff;
use crate::runbook::ExternalUrl;
use crate::source::Git;
use crate::throttle::RateLimit;
use crate::zoho::{BaseUrl, DataCenter, Principal};

pub use daemon::{Daemon, DriftInterval, DriftOption, Listen};
pub use notifications::{Notifications, Webhook, WebhookError};
pub use safety::{Disruptions, Protect};

/// Options that contradict each other, or lack one. The process exits with 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Where the manifests are.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Desired state")]
pub struct Folder {
    /// Folder of YAML manifests: the desired state
    ///
    /// Every file below it whose name ends in .yaml or .yml is read, but for names that begin with a dot. A folder that
    /// is missing, unreadable or empty means "unknown", never "no accounts".
    #[arg(long, value_name = "DIR", env = "ZOHO_MAIL_DESIRED_STATE", default_value = "desired-state")]
    pub desired_state: PathBuf,

    /// Git directory of the folder's work tree, where that is no .git in the folder or above it
    ///
    /// As for `git --git-dir`: where a hook checks a bare repository out into a folder. Its work tree is what core.worktree
    /// says, or else begins where the way to the folder is one at HEAD.
    #[arg(long, value_name = "DIR", env = "ZOHO_MAIL_GIT_DIR", value_parser = git_dir)]
    pub git_dir: Option<PathBuf>,

    /// What to do while git has begun something there and not finished it: a rebase, merge, bisect or the like
    ///
    /// Also cherry-pick, revert and am: what lies in the folder then is half of it, and no time makes it whole.
    #[arg(long, value_enum, value_name = "WHAT", env = "ZOHO_MAIL_GIT_IN_PROGRESS", default_value = "wait")]
    pub git_in_progress: GitInProgress,
}

/// `--git-in-progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GitInProgress {
    /// Read nothing until it ends: what was known stays in force, and after ten seconds the desired state is unknown
    Wait,
    /// Read the folder as it is, half done or not
    Read,
}

impl Folder {
    /// The repository that the folder is in.
    pub fn git(&self) -> Git {
        Git { dir: self.git_dir.clone(), reads_unfinished: self.git_in_progress == GitInProgress::Read }
    }
}

fn git_dir(text: &str) -> Result<PathBuf, String> {
    let dir = PathBuf::from(text);
    if dir.join("HEAD").symlink_metadata().is_ok() {
        return Ok(dir);
    }
    Err("expected a Git directory, with HEAD in it, such as desired.git or checkout/.git".into())
}

/// Whose accounts, and what was applied to them.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Target")]
pub struct Target {
    /// File that remembers what was applied; a journal and a lock lie beside it
    ///
    /// An absent file is an empty ledger: every managed field is PUT once. A ledger of another organization, or of the
    /// sandbox, is refused.
    #[arg(long, value_name = "FILE", env = "ZOHO_MAIL_LEDGER", default_value = LEDGER)]
    pub ledger: PathBuf,

    /// As whom the service is addressed
    #[arg(long, value_enum, env = "ZOHO_MAIL_AUTH", default_value = "admin")]
    pub auth: Auth,

    /// The organization's id; required with --auth admin, unless --sandbox
    #[arg(long, value_name = "LONG", env = "ZOHO_MAIL_ZOID")]
    pub zoid: Option<Zoid>,

    /// The target is an embedded, simulated service instead of Zoho
    ///
    /// Its ledger is apart from the real one, which is not touched: ledger.sandbox.json beside ledger.json. Needs no
    /// credentials; nothing leaves this machine.
    #[arg(long, env = "ZOHO_MAIL_SANDBOX", value_parser = clap::builder::BoolishValueParser::new())]
    pub sandbox: bool,
}

/// Where the ledger is, for commands that need to know no more of the target.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Target")]
pub struct LedgerPlace {
    /// File that remembers what was applied; journal, history, switch lie beside it
    #[arg(long, value_name = "FILE", env = "ZOHO_MAIL_LEDGER", default_value = LEDGER)]
    ledger: PathBuf,

    /// The ledger is the embedded sandbox's: ledger.sandbox.json beside ledger.json
    #[arg(long, env = "ZOHO_MAIL_SANDBOX", value_parser = clap::builder::BoolishValueParser::new())]
    sandbox: bool,
}

impl LedgerPlace {
    /// The ledger's file.
    pub fn file(&self) -> PathBuf {
        if self.sandbox { sandbox_ledger(&self.ledger) } else { self.ledger.clone() }
    }

    /// These options as another command takes them, each after a blank: what a printed command needs to mean the same in
    /// any shell.
    pub fn options(&self) -> String {
        let ledger = if self.ledger == Path::new(LEDGER) {
            String::new()
        } else {
            format!(" --ledger {}", printable::argument(&self.ledger.to_string_lossy()))
        };
        ledger + if self.sandbox { " --sandbox" } else { "" }
    }
}

/// The default of `--ledger`.
const LEDGER: &str = "ledger.json";

/// `--auth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// An admin of the organization, for any of its accounts
    Admin,
    /// A person, for their own account
    User,
}

impl From<Auth> for AuthMode {
    fn from(auth: Auth) -> Self {
        match auth {
            Auth::Admin => Self::Admin,
            Auth::User => Self::User,
        }
    }
}

/// The organization of the embedded sandbox, where none is given: the one in Zoho's sample requests.
pub const SANDBOX_ZOID: u64 = 12_345_678;

impl Target {
    /// Who signs the requests.
    ///
    /// # Errors
    ///
    /// With admin authentication and without `--zoid`.
    pub fn principal(&self) -> Result<Principal, UsageError> {
        let zoid = self.zoid.or_else(|| Zoid::new(SANDBOX_ZOID).filter(|_| self.sandbox));
        match (self.auth, zoid) {
            (Auth::User, _) => Ok(Principal::User),
            (Auth::Admin, Some(zoid)) => Ok(Principal::Admin(zoid)),
            (Auth::Admin, None) => Err(UsageError(
                "--zoid (or ZOHO_MAIL_ZOID) is required with --auth admin: the organization's id, which GET /api/accounts \
                 of the Mail API shows as policyId.zoid. To try things out without an organization, add --sandbox"
                    .into(),
            )),
        }
    }

    /// Whose accounts the ledger speaks of.
    ///
    /// # Errors
    ///
    /// As [`Self::principal`].
    pub fn owner(&self) -> Result<Owner, UsageError> {
        Ok(match self.principal()? {
            _ if self.sandbox => Owner::Sandbox,
            Principal::Admin(zoid) => Owner::Organization(zoid),
            Principal::User => Owner::User,
        })
    }

    /// The ledger's file: with `--sandbox` one beside the real one, `ledger.sandbox.json`.
    pub fn ledger_file(&self) -> PathBuf {
        if self.sandbox { sandbox_ledger(&self.ledger) } else { self.ledger.clone() }
    }
}

/// The sandbox's ledger beside `ledger`.
fn sandbox_ledger(ledger: &Path) -> PathBuf {
    let stem = ledger.file_stem().unwrap_or_default().to_string_lossy();
    let extension = ledger.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
    ledger.with_file_name(format!("{stem}.sandbox{}", extension.unwrap_or_default()))
}

/// A duration of at least a millisecond and at most a day.
pub fn positive(text: &str) -> Result<Duration, String> {
    bounded(text, Duration::from_millis(1), Duration::from_secs(24 * 60 * 60), "at least 1ms and at most 24h")
}

/// A duration of at least a millisecond and at most a year.
pub fn positive_long(text: &str) -> Result<Duration, String> {
    bounded(text, Duration::from_millis(1), Duration::from_secs(366 * 24 * 60 * 60), "at least 1ms and at most 366days")
}

fn bounded(text: &str, least: Duration, most: Duration, range: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).ok().filter(|duration| (least..=most).contains(duration));
    duration.ok_or_else(|| format!("expected a duration such as 250ms, 30s or 15m, {range}"))
}

/// `--rate-limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimitOption {
    /// No budget.
    Unlimited,
    /// See [`RateLimit`].
    Limited(RateLimit),
}

impl FromStr for RateLimitOption {
    type Err = crate::throttle::InvalidRateLimit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "unlimited" { Ok(Self::Unlimited) } else { text.parse().map(Self::Limited) }
    }
}

impl fmt::Display for RateLimitOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Limited(limit) => limit.fmt(f),
        }
    }
}

/// How the service is reached, and how gently.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Service")]
pub struct Service {
    /// Where the organization's data lives: the ending of the address at which you sign in
    #[arg(long, value_enum, env = "ZOHO_MAIL_DATA_CENTER", default_value = "us")]
    pub data_center: DataCenter,

    /// Mail API instead of the data center's; plain http only for this machine
    #[arg(long, value_name = "URL", env = "ZOHO_MAIL_API_URL")]
    pub api_url: Option<BaseUrl>,

    /// Accounts (OAuth) server instead of the data center's; plain http only for this machine
    #[arg(long, value_name = "URL", env = "ZOHO_MAIL_ACCOUNTS_URL")]
    pub accounts_url: Option<BaseUrl>,

    /// Request budget: a sliding window, which a restart remembers [default: 25/1m; unlimited with --sandbox]
    ///
    /// Zoho is said to bear 30 requests a minute, and then to lock everybody out for a time it does not disclose. Token
    /// requests count as well.
    #[arg(long, value_name = "N/DURATION|unlimited", env = "ZOHO_MAIL_RATE_LIMIT")]
    pub rate_limit: Option<RateLimitOption>,

    /// Requests in flight at the same time
    #[arg(long, value_name = "N", env = "ZOHO_MAIL_MAX_CONCURRENCY", default_value = "4",
        value_parser = clap::value_parser!(u16).range(1..=256))]
    pub max_concurrency: u16,

    /// How long one request may take
    #[arg(long, value_name = "DURATION", env = "ZOHO_MAIL_REQUEST_TIMEOUT", default_value = "30s", value_parser = positive)]
    pub request_timeout: Duration,

    /// Longest wait of an account after its first failure; doubled with each further one
    ///
    /// A service in trouble is probed after five times as long at first; apply gives up after the third probe that fails.
    #[arg(long, value_name = "DURATION", env = "ZOHO_MAIL_RETRY_MIN", default_value = "1s", value_parser = positive)]
    pub retry_min: Duration,

    /// Longest wait of an account after any number of failures
    ///
    /// A service in trouble is probed as often at the least, and every 5m.
    #[arg(long, value_name = "DURATION", env = "ZOHO_MAIL_RETRY_MAX", default_value = "5m", value_parser = positive)]
    pub retry_max: Duration,

    /// How long everybody pauses when the service throttles and does not say for how long
    ///
    /// Also the longest pause that any other answer can impose: only in its own words the service may ask for more, up to
    /// 24h.
    #[arg(long, value_name = "DURATION", env = "ZOHO_MAIL_THROTTLE_PAUSE", default_value = "15m", value_parser = positive)]
    pub throttle_pause: Duration,
}

impl Service {
    /// The request budget: with the sandbox none, unless one is asked for.
    pub fn limit(&self, sandbox: bool) -> Option<RateLimit> {
        match self.rate_limit {
            Some(RateLimitOption::Limited(limit)) => Some(limit),
            Some(RateLimitOption::Unlimited) => None,
            None => (!sandbox).then(RateLimit::default),
        }
    }

    /// The Mail API and the accounts server.
    pub fn urls(&self) -> (BaseUrl, BaseUrl) {
        let api = self.api_url.clone().unwrap_or_else(|| self.data_center.mail_url());
        let accounts = self.accounts_url.clone().unwrap_or_else(|| self.data_center.accounts_url());
        (api, accounts)
    }

    /// The Mail API's host, for people.
    pub fn host(&self, sandbox: bool) -> String {
        if sandbox { "embedded sandbox".to_owned() } else { self.urls().0.host().to_owned() }
    }

    /// The conductor's settings.
    ///
    /// # Errors
    ///
    /// If the shortest backoff is longer than the longest.
    pub fn settings(
        &self,
        mode: Mode,
        sandbox: bool,
        allowance: Allowance,
        shutdown_grace: Duration,
        external_url: Option<ExternalUrl>,
    ) -> Result<Settings, UsageError> {
        if self.retry_min > self.retry_max {
            return Err(UsageError(
                "--retry-min is longer than --retry-max: make it shorter, or the other longer".into(),
            ));
        }
        Ok(Settings {
            mode,
            rate_limit: self.limit(sandbox),
            max_concurrency: usize::from(self.max_concurrency),
            request_timeout: self.request_timeout,
            backoff: Backoff { min: self.retry_min, max: self.retry_max },
            // A daemon begins with its resync interval.
            rejected: Backoff { min: self.retry_max, max: ATTEMPT_WAIT_MAX },
            throttle_pause: self.throttle_pause,
            refresh: None,
            drift_interval: None,
            drift_policy: Default::default(),
            max_wait: MAX_WAIT,
            disruption_budget: allowance.max,
            grant_budget: allowance.max_grants,
            disruption_window: allowance.window,
            shutdown_grace,
            external_url,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandbox_has_a_ledger_of_its_own_beside_the_real_one() {
        for (ledger, sandbox) in [
            ("ledger.json", "ledger.sandbox.json"),
            ("/var/lib/x/ledger.json", "/var/lib/x/ledger.sandbox.json"),
            ("state", "state.sandbox"),
        ] {
            assert_eq!(sandbox_ledger(Path::new(ledger)), Path::new(sandbox));
        }
    }

    #[test]
    fn durations_have_bounds() {
        assert!(positive("0s").is_err() && positive("25h").is_err() && positive("1m").is_ok());
    }
}
