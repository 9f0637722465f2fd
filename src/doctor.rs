//! Everything that can be known before the first run: a list of checks, each with its remedy.
//!
//! In: the options as `run` would understand them ([`Subject`]). Out: a [`Diagnosis`].
//! Invariants: nothing is written anywhere, no lock is taken, and no request changes anything; at most one token is asked
//! for, and none while the service's pause lasts or the allowance is used up; one check that fails, hangs or panics hides
//! no other; all of it ends within [`PATIENCE`]. Deliberately absent: mending. A doctor that writes is a second daemon.

mod ledger;
mod listing;
mod manifests;
mod place;
mod plan;
mod service;
mod surroundings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::account::AuthMode;
use crate::config::Disruptions;
use crate::desired::DesiredState;
use crate::ledger::file::LedgerError;
use crate::ledger::{Ledger, Owner};
use crate::manifest::Problem;
use crate::source::Operation;
use crate::status::API_VERSION;
use crate::throttle::RateLimit;
use crate::timestamp::Timestamp;
use crate::zoho::{BaseUrl, CredentialSource, Principal};

/// The longest that all checks together may take: nobody waits longer for a command that only looks.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The longest that the checks of this machine may take, which run at the same time. A file system that hangs, hangs for ever.
const LOCAL: Duration = Duration::from_secs(8);

/// The longest that the checks of the network may take.
const REMOTE: Duration = Duration::from_secs(21);

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Could not be looked at, or need not be.
    Skip,
    /// As it should be.
    Ok,
    /// It works, and somebody should know.
    Warn,
    /// It will not work.
    Fail,
}

impl Level {
    /// All of them, as a summary counts them.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warn, Self::Fail, Self::Skip];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was found. Strangers may have written parts of it.
    #[serde(rename = "message")]
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    fn new(level: Level, what: impl Into<String>, remedy: Option<String>) -> Self {
        Self { level, what: what.into(), remedy }
    }

    fn ok(what: impl Into<String>) -> Self {
        Self::new(Level::Ok, what, None)
    }

    fn skip(what: impl Into<String>) -> Self {
        Self::new(Level::Skip, what, None)
    }

    fn warn(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Level::Warn, what, Some(remedy.into()))
    }

    fn fail(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Level::Fail, what, Some(remedy.into()))
    }

    /// An error of another room, whose words end with the way out.
    fn error(error: &(impl std::error::Error + ?Sized), otherwise: &str) -> Self {
        let (what, remedy) = apart(&error.to_string(), otherwise);
        let why = error.source().map(|source| format!(" ({source})")).unwrap_or_default();
        Self::fail(what + &why, remedy)
    }
}

/// A finding with its place in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is about.
    pub group: &'static str,
    /// The check's name.
    pub check: &'static str,
    /// What it found.
    #[serde(flatten)]
    pub finding: Finding,
}

/// All findings.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// Version of this document.
    pub api_version: &'static str,
    /// Always `Diagnosis`.
    pub kind: &'static str,
    /// In the order in which they are printed.
    pub checks: Vec<Line>,
}

impl Diagnosis {
    /// How many checks came out like this.
    pub fn count(&self, level: Level) -> usize {
        self.checks.iter().filter(|line| line.finding.level == level).count()
    }
}

/// What a manifest folder holds, or why nobody knows.
pub type Manifests = Result<(DesiredState, Vec<Problem>), String>;

/// What is known of the process itself.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Variables with our prefix that mean nothing, and what may have been meant.
    pub unknown: Vec<(String, Option<String>)>,
    /// The variables that name a proxy.
    pub proxies: Vec<&'static str>,
    /// Who runs this process, as far as the environment tells.
    pub manager: Option<&'static str>,
}

/// What is looked at.
pub struct Subject {
    /// The folder of manifests.
    pub folder: PathBuf,
    /// What git has begun in it and not finished.
    pub unfinished: Option<Operation>,
    /// Reads the folder.
    pub manifests: Box<dyn Fn() -> Manifests + Send + Sync>,
    /// The ledger.
    pub ledger: PathBuf,
    /// Whose it should be, or what is missing to tell.
    pub owner: Result<Owner, String>,
    /// Who would sign.
    pub principal: Option<Principal>,
    /// As whom.
    pub auth: AuthMode,
    /// What may be taken away.
    pub disruptions: Disruptions,
    /// The request budget.
    pub limit: Option<RateLimit>,
    /// Where the pages would be.
    pub listen: Option<SocketAddr>,
    /// The webhook's host, if there is one.
    pub webhook: Result<Option<String>, String>,
    /// Where credentials come from.
    pub credentials: CredentialSource,
    /// The Mail API.
    pub api: BaseUrl,
    /// The accounts server.
    pub accounts: BaseUrl,
    /// How long one request may take.
    pub timeout: Duration,
    /// The process itself.
    pub environment: Environment,
    /// The target is the embedded sandbox.
    pub sandbox: bool,
    /// The network is left alone.
    pub offline: bool,
    /// Read once, by whichever check needs them first.
    pub seen: Seen,
}

/// What several checks look at.
#[derive(Default)]
pub struct Seen {
    ledger: OnceLock<Result<Option<Ledger>, LedgerError>>,
    manifests: OnceLock<Manifests>,
}

impl Subject {
    fn ledger(&self) -> &Result<Option<Ledger>, LedgerError> {
        let owner = self.owner.as_ref().ok().copied();
        self.seen.ledger.get_or_init(|| crate::ledger::file::read(&self.ledger, owner))
    }

    /// The ledger, if it can be read and there is one.
    fn known(&self) -> Option<&Ledger> {
        self.ledger().as_ref().ok().and_then(Option::as_ref)
    }

    fn manifests(&self) -> &Manifests {
        self.seen.manifests.get_or_init(|| {
            let mut manifests = (self.manifests)();
            if let (Ok((desired, _)), Some(ledger)) = (&mut manifests, self.known()) {
                desired.lapse(&ledger.lapsed_at(now()));
            }
            manifests
        })
    }

    fn desired(&self) -> Option<&DesiredState> {
        self.manifests().as_ref().ok().map(|(desired, _)| desired)
    }
}

/// A look at one thing on this machine. May block.
type Check = fn(&Subject) -> Finding;

/// The checks of this machine, in the order in which they are printed.
const CHECKS: [(&str, &str, Check); 22] = [
    ("Program", "version", surroundings::version),
    ("Program", "environment", surroundings::environment),
    ("Program", "clock", surroundings::clock),
    ("Program", "pages", surroundings::pages),
    ("Program", "notifications", surroundings::notifications),
    ("Desired state", "folder", manifests::folder),
    ("Desired state", "file system", manifests::file_system),
    ("Desired state", "manifests", manifests::manifests),
    ("Desired state", "watching", manifests::watching),
    ("Desired state", "git", manifests::git),
    ("Ledger", "folder", ledger::folder),
    ("Ledger", "file system", ledger::file_system),
    ("Ledger", "space", ledger::space),
    ("Ledger", "ledger", ledger::ledger),
    ("Ledger", "mode", ledger::mode),
    ("Ledger", "lock", ledger::lock),
    ("Plan", "switch", plan::switch),
    ("Plan", "first pass", plan::first_pass),
    ("Plan", "disruptions", plan::disruptions),
    ("Plan", "request budget", plan::budget),
    ("Access", "target", service::target),
    ("Access", "credentials", service::credentials),
];

/// Looks at everything.
pub async fn examine(subject: Subject) -> Diagnosis {
    let subject = Arc::new(subject);
    let running: Vec<_> = CHECKS
        .map(|(group, check, look)| {
            let subject = Arc::clone(&subject);
            (group, check, tokio::task::spawn_blocking(move || look(&subject)))
        })
        .into();
    let until = tokio::time::Instant::now() + LOCAL;
    let mut checks = Vec::new();
    for (group, check, running) in running {
        let finding = match tokio::time::timeout_at(until, running).await {
            Ok(Ok(finding)) => finding,
            Ok(Err(_panic)) => Finding::fail("this check itself broke", "report it, with the version above"),
            Err(_late) => Finding::fail(
                format!("no answer within {}", humantime::format_duration(LOCAL)),
                "a disk or a network file system hangs: look at the system's log",
            ),
        };
        checks.push(Line { group, check, finding });
    }
    checks.extend(service::look(&subject, REMOTE).await);
    Diagnosis { api_version: API_VERSION, kind: "Diagnosis", checks }
}

/// What an error says, and the way out with which it ends; `otherwise` where it names none.
fn apart(text: &str, otherwise: &str) -> (String, String) {
    let parts = text.split_once(". It was left as it is. ").or_else(|| text.split_once(": "));
    let (what, remedy) = parts.unwrap_or((text, otherwise));
    (what.to_owned(), remedy.to_owned())
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// `1 account`, `2 accounts`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A time in words that a person says: no milliseconds.
fn about(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs().max(1))).to_string()
}
