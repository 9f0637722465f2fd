//! `plan --approval`: the manifest that would let exactly what is held through, to be committed and reviewed.

use std::time::Duration;

use clap::Args;

use super::super::{Exit, count, load, note, print};
use super::Comparison;
use crate::account::printable;
use crate::change::Change;
use crate::clock::Clock;
use crate::config::UsageError;
use crate::guard::Reviewed;
use crate::guard::approval::manifest;
use crate::manifest::{self, Approval, PolicyDir};
use crate::throttle::RateLimit;
use crate::timestamp::Timestamp;

/// `--approval` and what goes into it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Approval")]
pub(super) struct Options {
    /// Print the DisruptionApproval that lets exactly the held disruptions through, and nothing else
    ///
    /// Commit it to the desired state, where its reviewers decide. If nothing is held, it is for what dates are going to
    /// have held, of which the plan warns; --expires has to reach beyond that moment. Else nothing is printed.
    #[arg(long, requires = "reason", conflicts_with_all = ["output", "detailed_exitcode"])]
    approval: bool,

    /// Why they are right, in one line; goes into the approval
    #[arg(long, value_name = "TEXT", requires = "approval", value_parser = reason)]
    reason: Option<String>,

    /// How long from now on the approval counts
    #[arg(long, value_name = "DURATION", requires = "approval", default_value = "24h", value_parser = expires)]
    expires: Duration,
}

fn reason(text: &str) -> Result<String, &'static str> {
    if manifest::is_reason(text) { Ok(text.to_owned()) } else { Err("expected one line of text, 1 to 200 characters") }
}

/// The longest time an approval may count from now on, where this program writes it.
const EXPIRES_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn expires(text: &str) -> Result<Duration, &'static str> {
    let duration =
        humantime::parse_duration(text).ok().filter(|duration| !duration.is_zero() && *duration <= EXPIRES_MAX);
    duration.ok_or("expected a duration such as 8h, 24h or 7days, at most 365days")
}

impl Options {
    /// Whether the approval is asked for, and not the plan.
    pub(super) const fn is_wanted(&self) -> bool {
        self.approval
    }

    /// Prints the approval of what is held, or else will be; it counts in `policy_dir` alone if there is one.
    pub(super) fn print(&self, comparison: &Comparison, policy_dir: Option<&PolicyDir>) -> anyhow::Result<Exit> {
        let Comparison { reviewed: Reviewed { held, .. }, problems, .. } = comparison;
        let now = Clock::start().now();
        let reason = self.reason.as_deref().unwrap_or_default();
        let later = if held.is_empty() { comparison.held_by_dates() } else { Vec::new() };
        let held = if held.is_empty() { &later } else { held };
        if held.is_empty() {
            note("nothing is held, so there is nothing to approve");
        } else if let Some(at) = comparison.later_held().iter().map(|held| held.at).max().filter(|_| !later.is_empty())
        {
            if now + self.expires <= at {
                let text = format!("--expires: this is for what is held at {at}, and the approval has to count then");
                return Err(UsageError(text).into());
            }
            note(&format!(
                "nothing is held now: this is for what dates are going to have held, the last of it at {at}"
            ));
        }
        let place = policy_dir.map_or_else(
            || "the desired state".to_owned(),
            |dir| {
                format!(
                    "the folder {} of the desired state, for it counts nowhere else,",
                    printable::escape(&dir.to_string())
                )
            },
        );
        print(&manifest(held, &place, reason, now, now + self.expires))?;
        load::complain_of(problems);
        Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
    }
}

/// What to know of approvals that end before all that they cover can be sent, at the default request budget.
pub(super) fn too_short(comparison: &Comparison, now: Timestamp) -> Vec<String> {
    let RateLimit { count, per } = RateLimit::default();
    let covered = |name: &str| {
        comparison.reviewed.allowed.iter().filter(|change| change.approval.as_deref() == Some(name)).count()
    };
    let short = comparison.desired.approvals().filter_map(|(name, source, approval)| {
        let changes = covered(name);
        // The last of them starts when the windows of those before it are over.
        let windows = u32::try_from(changes.saturating_sub(1) / count as usize).unwrap_or(u32::MAX);
        let expires = approval.expires;
        (changes > 0 && now + per.saturating_mul(windows) >= expires).then(|| {
            format!(
                "{source}: the approval {name} ends at {expires}, before all of the {changes} changes it covers can be sent \
                 at {} requests; what is left then is held",
                RateLimit::default()
            )
        })
    });
    short.collect()
}

/// Approvals that name what is held, and are over.
pub(super) fn expired(comparison: &Comparison, now: Timestamp) -> Vec<String> {
    let Comparison { desired, reviewed, .. } = comparison;
    let over = desired.approvals().filter(|(name, _, approval)| desired.is_over(name, approval.expires, now));
    let lines = over.filter_map(|(name, source, Approval { expires, accounts, .. })| {
        let names = |change: &Change| {
            let mut of_account = accounts.iter().filter(|approved| approved.name == change.name);
            of_account.any(|approved| approved.covers(change.account, change.field))
        };
        let held = reviewed.held.iter().filter(|change| names(change)).count();
        (held > 0).then(|| {
            let held = count(held, "held change");
            format!("{source}: the approval {name} expired at {expires} and approves none of the {held} that it names")
        })
    });
    lines.collect()
}
