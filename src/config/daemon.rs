//! Options of the daemon alone: how it watches, what it shows, how it ends.
//!
//! In: options and variables. Out: checked values, and how the folder is watched.
//! Deliberately absent: notifications, which have options of their own.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{bounded, positive};
use crate::controller::DriftPolicy;
use crate::runbook::ExternalUrl;
use crate::source::{DEBOUNCE_MAX, ROOT_CHECK, Watch};

/// What only the daemon needs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Daemon")]
pub struct Daemon {
    /// A change is read after this long without another one
    ///
    /// From 1ms to 5s. A folder that never comes to rest is read after 5s all the same.
    #[arg(long, value_name = "DURATION", env = "ZOHO_MAIL_DEBOUNCE", default_value = "200ms", value_parser = debounce)]
    pub debounce: Duration,

    /// How often the whole folder is read again; what was rejected is tried again after it, then ever more seldom
    #[arg(long, value_name = "DURATION", env = "ZOHO_MAIL_RESYNC_INTERVAL", default_value = "10m", value_parser = positive)]
    pub resync_interval: Duration,

    /// How often the folder is read where the system does not report changes
    ///
    /// On network file systems, where there are links, and where a limit of inotify is reached; also while the folder cannot
    /// be read. What the folder's path leads to is looked at as often, and at least every second.
    #[arg(long, value_name = "DURATION", env = "ZOHO_MAIL_POLL_INTERVAL", default_value = "10s", value_parser = positive)]
    pub poll_interval: Duration,

    /// Read the organization's accounts before anything is sent, so that what is there already takes no PUT
    ///
    /// Needs a token that may read them: scope ZohoMail.organization.accounts.READ with --auth admin, ZohoMail.accounts.READ
    /// with --auth user. What cannot be read stays as the ledger knows it, and the daemon goes on.
    #[arg(long, env = "ZOHO_MAIL_REFRESH_AT_START", value_parser = clap::builder::BoolishValueParser::new())]
    pub refresh_at_start: bool,

    /// How often the organization's accounts are read, to find what somebody changed elsewhere
    ///
    /// A page of 200 accounts is one request. The requests are spread over the interval, wait for everything else that can
    /// be sent, and leave half of the request budget to it. The token needs the same scope as for --refresh-at-start.
    #[arg(long, value_name = "DURATION|off", env = "ZOHO_MAIL_DRIFT_INTERVAL", default_value = "off")]
    pub drift_interval: DriftInterval,

    /// Whether what was found so is only shown, or set right
    ///
    /// What is set right passes the budgets like any change. A field that comes back three times within a day is left as it
    /// is.
    #[arg(long, value_enum, env = "ZOHO_MAIL_DRIFT_POLICY", default_value = "report")]
    pub drift_policy: DriftOption,

    /// Address of the pages: / for people, /healthz, /readyz, /metrics and /status
    ///
    /// The pages ask for no password and show names and addresses: open them to those only who may read the manifests.
    #[arg(long, value_name = "ADDR|off", env = "ZOHO_MAIL_LISTEN", default_value = "127.0.0.1:8686")]
    pub listen: Listen,

    /// Where people reach the pages of --listen, for links in the log and in notifications
    ///
    /// Without it they name the command that explains the same: zoho-mail-reconciler explain.
    #[arg(long, value_name = "URL", env = "ZOHO_MAIL_EXTERNAL_URL")]
    pub external_url: Option<ExternalUrl>,

    /// How long a stop waits for what is in flight; a second signal ends the wait
    #[arg(long, value_name = "DURATION", env = "ZOHO_MAIL_SHUTDOWN_GRACE", default_value = "25s", value_parser = positive)]
    pub shutdown_grace: Duration,
}

impl Daemon {
    /// How the folder is watched.
    pub fn watch(&self) -> Watch {
        Watch {
            debounce: self.debounce,
            resync: self.resync_interval,
            poll: self.poll_interval,
            root_check: ROOT_CHECK.min(self.poll_interval),
            ..Watch::default()
        }
    }
}

/// The shortest interval: a page a minute is one request of the 25 that a minute has.
const DRIFT_MIN: Duration = Duration::from_secs(60);

/// The longest.
const DRIFT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// `--drift-interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriftInterval {
    /// Never.
    Off,
    /// So often.
    Every(Duration),
}

impl FromStr for DriftInterval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            text => bounded(text, DRIFT_MIN, DRIFT_MAX, "at least 1m and at most 24h, or off").map(Self::Every),
        }
    }
}

/// `--drift-policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DriftOption {
    /// It is shown, and left as it is
    Report,
    /// What the manifests want is PUT
    Correct,
}

impl From<DriftOption> for DriftPolicy {
    fn from(option: DriftOption) -> Self {
        match option {
            DriftOption::Report => Self::Report,
            DriftOption::Correct => Self::Correct,
        }
    }
}

fn debounce(text: &str) -> Result<Duration, String> {
    bounded(text, Duration::from_millis(1), DEBOUNCE_MAX, "at least 1ms and at most 5s")
}

/// `--listen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Not at all.
    Off,
    /// Here.
    On(SocketAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            address => match address.parse() {
                Ok(address) => Ok(Self::On(address)),
                Err(_) => Err("expected an address and a port such as 127.0.0.1:8686, or off".into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        daemon: Daemon,
    }

    fn watch(line: &str) -> Watch {
        Line::try_parse_from(["test"].into_iter().chain(line.split_whitespace())).unwrap().daemon.watch()
    }

    #[test]
    fn a_debounce_has_bounds() {
        assert!(debounce("0s").is_err() && debounce("6s").is_err() && debounce("200ms").is_ok());
    }

    #[test]
    fn without_options_the_folder_is_watched_as_the_source_documents_it() {
        assert_eq!(format!("{:?}", watch("")), format!("{:?}", Watch::default()));
    }

    #[test]
    fn the_root_is_looked_at_as_often_as_the_folder_is_polled_but_at_least_every_second() {
        for (poll, root_check) in [("50ms", Duration::from_millis(50)), ("1h", Duration::from_secs(1))] {
            let watch = watch(&format!("--poll-interval {poll}"));
            assert_eq!((watch.poll, watch.root_check), (humantime::parse_duration(poll).unwrap(), root_check));
        }
    }
}
