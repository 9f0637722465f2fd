//! `suspend`: sets the switch that suspends everything. Sends nothing and changes no ledger.
//!
//! Invariants: it ends well only if something is suspended that the operator can have meant, so never beside a ledger that
//! is not there; no suspension takes the place of another one without `--replace`.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::{Exit, complain, print};
use crate::account::printable;
use crate::clock::Clock;
use crate::config::{LedgerPlace, positive_long};
use crate::freeze::{Freeze, TEXT_MAX};
use crate::ledger::file::{self, LedgerError};
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

    /// Ends by itself at this moment, RFC 3339: 2027-01-31T08:00:00Z, 2027-01-31T09:00:00+01:00
    #[arg(long, value_name = "MOMENT", value_parser = moment, conflicts_with = "duration", help_heading = "Suspension")]
    until: Option<Timestamp>,

    /// Take the place of a suspension that is in force
    #[arg(long, help_heading = "Suspension")]
    replace: bool,

    /// Also where there is neither a ledger nor a daemon, as before the first run
    #[arg(long, help_heading = "Suspension")]
    force: bool,
}

fn reason(text: &str) -> Result<Box<str>, String> {
    let one_line = !text.contains(['\r', '\n']) && !text.trim().is_empty() && text.chars().count() <= TEXT_MAX;
    if one_line { Ok(text.into()) } else { Err(format!("expected one line of at most {TEXT_MAX} characters")) }
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::of_any_offset(text).ok_or("expected a moment such as 2027-01-31T08:00:00Z or 2027-01-31T09:00:00+01:00")
}

/// Who asks, as far as the environment tells: behind `sudo` it is not root that is meant.
pub(super) fn user() -> Option<Box<str>> {
    let names = ["SUDO_USER", "USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    let name = names.into_iter().find(|name| !name.is_empty());
    let uid = rustix::process::getuid().as_raw();
    let known = || name_of(uid, &std::fs::read_to_string("/etc/passwd").ok()?);
    let name = name.or_else(known).unwrap_or_else(|| format!("uid {uid}"));
    Some(printable::cut(&name, TEXT_MAX).into())
}

/// The user's name by the lines of passwd(5).
fn name_of(uid: u32, passwd: &str) -> Option<String> {
    let of = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    passwd.lines().find_map(of)
}

/// The machine, or the container, by its own name.
pub(super) fn host() -> Box<str> {
    printable::cut(&rustix::system::uname().nodename().to_string_lossy(), TEXT_MAX).into()
}

/// Says that nothing reads what is beside `ledger`, if that is so: neither a ledger is there nor a daemon.
pub(super) fn no_ledger(ledger: &Path) -> Option<String> {
    // What cannot be found out keeps an operator from nothing, and neither does a ledger that is damaged. What no process
    // ever had is something else: a folder, a manifest, a file that belongs to a ledger.
    let is_none = match file::read(ledger, None) {
        Ok(found) => found.is_none(),
        Err(LedgerError::NoFolder { .. }) => true,
        Err(_) => !file::was_held(ledger),
    };
    let is_there = !is_none || file::holder(ledger).is_ok_and(|holder| holder.is_there != Some(false));
    let shown = printable::path(ledger);
    (!is_there)
        .then(|| format!("{shown}: there is no such ledger, and no daemon runs with one; --ledger says which is meant"))
}

impl Suspend {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let Self { place, reason, duration, until, replace, force } = self;
        let (ledger, now) = (place.file(), Clock::start().now());
        let until = until.or_else(|| duration.map(|duration| now + duration));
        let freeze = Freeze { since: Some(now), until, reason, by: user(), host: Some(host()), resumed: None };
        if freeze.is_over(now) {
            return Err(crate::config::UsageError("--until is in the past".into()).into());
        }
        let file = switch::path(&ledger);
        if ledger.is_dir() {
            complain(&format!("nothing is suspended: {} is a folder, and no ledger", printable::path(&ledger)));
            return Ok(Exit::Failed);
        }
        if let Some(nothing) = no_ledger(&ledger).filter(|_| !force) {
            complain(&format!("nothing is suspended: {nothing}, --force suspends what begins there later"));
            return Ok(Exit::Failed);
        }
        let first = switch::read(&ledger).with_context(|| format!("{}: cannot be read", printable::path(&file)))?;
        let first = first.filter(|first| !first.is_over(now));
        if let Some(first) = first.as_ref().filter(|_| !replace) {
            complain(&format!("all reconciling is {first}; that was left as it is, --replace takes its place"));
            return Ok(Exit::Failed);
        }
        switch::set(&ledger, &freeze).with_context(|| format!("{}: cannot be written", printable::path(&file)))?;
        let instead = first.map_or_else(String::new, |first| format!("It takes the place of: {first}\n"));
        print(&format!(
            "{freeze}\n{instead}\nNothing is sent from now on, while this lasts; what is under way ends.\nThe folder is still read, and plan and status still tell. The end: zoho-mail-reconciler resume{}\n",
            place.options()
        ))?;
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_name_that_passwd_gives() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n\n:x:7:\nodd\nmail:x:8:8::/:\n";
        let names = [0, 7, 8, 9].map(|uid| name_of(uid, passwd));
        assert_eq!(names, [Some("root".into()), None, Some("mail".into()), None]);
    }
}
