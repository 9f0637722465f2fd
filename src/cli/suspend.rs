//! `suspend`: sets the switch that suspends everything. Sends nothing and changes no ledger.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::{Exit, print};
use crate::account::printable;
use crate::clock::Clock;
use crate::config::{LedgerPlace, positive_long};
use crate::freeze::{Freeze, NOTICED, TEXT_MAX};
use crate::switch;
use crate::timestamp::Timestamp;

/// `suspend`.
#[derive(Clone, Debug, Args)]
pub(super) struct Suspend {
    #[command(flatten)]
    place: LedgerPlace,

    /// Why, in a line, for whoever looks at the status
    #[arg(long, value_name = "TEXT", value_parser = reason, help_heading = "Suspension")]
    reason: Option<Box<str>>,

    /// Ends by itself after this long
    #[arg(long = "for", value_name = "DURATION", value_parser = positive_long, help_heading = "Suspension")]
    duration: Option<Duration>,

    /// Ends by itself at this moment, RFC 3339 in UTC: 2027-01-31T08:00:00Z
    #[arg(long, value_name = "MOMENT", conflicts_with = "duration", help_heading = "Suspension")]
    until: Option<Timestamp>,
}

fn reason(text: &str) -> Result<Box<str>, String> {
    let one_line = !text.contains(['\r', '\n']) && !text.trim().is_empty() && text.chars().count() <= TEXT_MAX;
    if one_line { Ok(text.into()) } else { Err(format!("expected one line of at most {TEXT_MAX} characters")) }
}

/// Who asks, as far as the environment tells: behind `sudo` it is not root that is meant.
pub(super) fn user() -> Option<Box<str>> {
    let names = ["SUDO_USER", "USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    let name = names.into_iter().find(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    Some(printable::cut(&name, TEXT_MAX).into())
}

impl Suspend {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let Self { place, reason, duration, until } = self;
        let (ledger, now) = (place.file(), Clock::start().now());
        let until = until.or_else(|| duration.map(|duration| now + duration));
        let freeze = Freeze { since: Some(now), until, reason, by: user() };
        if freeze.is_over(now) {
            return Err(crate::config::UsageError("--until is in the past".into()).into());
        }
        let file = switch::path(&ledger);
        switch::set(&ledger, &freeze).with_context(|| format!("{}: cannot be written", printable::path(&file)))?;
        let within = humantime::format_duration(NOTICED);
        print(&format!(
            "{freeze}\n\nNothing is sent while this lasts; what is under way ends. A daemon that runs notices within \
             {within}.\nThe folder is still read, and plan and status still tell. The end: zoho-mail-reconciler resume\n"
        ))?;
        Ok(Exit::Done)
    }
}
