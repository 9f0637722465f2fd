//! Which accounts are meant: by name, label, condition and reason.

use std::str::FromStr;

use clap::Args;
use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};

use crate::account::printable;
use crate::condition::{ConditionStatus, ConditionType, Reason};
use crate::manifest::Labels;
use crate::runbook;
use crate::status::Item;
use crate::status::selector::Selector;

/// How much of a name that is no account's is repeated, in characters: as much as a name may have (RFC 1123).
const NAME_MAX: usize = 253;

const FILTER: &str = "Filter";

/// What an account must be to be shown: everything that was asked for.
#[derive(Clone, Debug, Args)]
pub(super) struct Filter {
    /// Accounts to show, by name, accountId or e-mail address; all of them if none is given
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Only accounts with these labels, as kubectl selects: team=sales,region!=eu
    ///
    /// Also `tier in (a,b)`, `tier notin (a,b)`, `team` (has the label) and `!team` (has it not). Labels are those of the
    /// manifests; an account without a manifest has none.
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "names", help_heading = FILTER)]
    selector: Option<Selector>,

    /// Only accounts of this condition: Ready=False, or Stalled for Stalled=True; all, if several
    ///
    /// Ready, Reconciling, Stalled or Drifted, as in a document; or Blocked, as in the metric of the accounts: suspended by their
    /// manifest, or declared twice.
    #[arg(long, value_name = "TYPE[=STATUS]", help_heading = FILTER)]
    condition: Vec<Wanted>,

    /// Only accounts with this reason, such as DisruptionBudgetExceeded; any, if several
    #[arg(long, value_name = "REASON", value_parser = reason, help_heading = FILTER)]
    reason: Vec<Reason>,
}

/// A condition, and how it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    /// `None` for Blocked, which only the metric counts as a condition.
    kind: Option<ConditionType>,
    status: ConditionStatus,
}

impl FromStr for Wanted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, status) = text.split_once('=').unwrap_or((text, "true"));
        let kind = match &*kind.to_ascii_lowercase() {
            "ready" => Some(ConditionType::Ready),
            "reconciling" => Some(ConditionType::Reconciling),
            "stalled" => Some(ConditionType::Stalled),
            "drifted" => Some(ConditionType::Drifted),
            "blocked" => None,
            _ => return Err("expected Ready, Reconciling, Stalled, Drifted or Blocked, alone or with =True or =False"),
        };
        let status = match &*status.to_ascii_lowercase() {
            "true" => ConditionStatus::True,
            "false" => ConditionStatus::False,
            _ => return Err("expected =True or =False behind the condition, or nothing"),
        };
        Ok(Self { kind, status })
    }
}

fn reason(text: &str) -> Result<Reason, String> {
    // The closed set is serde's: its error lists all of them.
    Reason::deserialize(StrDeserializer::<Error>::new(text)).map_err(|error| {
        let error = error.to_string();
        let expected = error.split_once("expected ").map_or(&*error, |(_, expected)| expected);
        // The runbook has entries of problems and causes, too.
        let entry = runbook::keys().find(|key| key.eq_ignore_ascii_case(text));
        let hint = entry.map_or_else(String::new, |key| {
            format!("; {key} is no reason but an entry of the runbook: see `explain {key}`")
        });
        format!("expected {expected}{hint}")
    })
}

impl Filter {
    pub(super) const fn needs_labels(&self) -> bool {
        self.selector.is_some()
    }

    /// Whether `item` is meant.
    pub(super) fn keeps(&self, item: &Item) -> bool {
        let Self { names, selector, condition, reason } = self;
        // An account whose manifest has no labels, or that has no manifest.
        let none = Labels::new();
        let labels = item.metadata.labels.as_deref().unwrap_or(&none);
        (names.is_empty() || names.iter().any(|name| is_called(item, name)))
            && selector.as_ref().is_none_or(|selector| selector.matches(labels))
            && condition.iter().all(|wanted| is(item, *wanted))
            && (reason.is_empty() || item.status.conditions.iter().any(|is| reason.contains(&is.reason)))
    }

    /// A complaint for each name that is nobody's.
    pub(super) fn missing(&self, items: &[Item]) -> Vec<String> {
        self.names
            .iter()
            .filter(|name| !items.iter().any(|item| is_called(item, name)))
            .map(|name| unknown(name))
            .collect()
    }
}

/// A complaint about a name that no account has.
pub(in crate::cli) fn unknown(name: &str) -> String {
    let name = printable::cut(name, NAME_MAX);
    format!("no account is called {name:?}, neither in the manifests nor in the ledger")
}

/// Whether the account has this name, id or address.
pub(in crate::cli) fn is_called(item: &Item, name: &str) -> bool {
    *item.metadata.name == *name
        || item.spec.email.as_ref().is_some_and(|email| email.eq_ignore_ascii_case(name))
        || name.parse().is_ok_and(|id: crate::account::AccountId| id == item.spec.account_id)
}

/// Conditions other than `Ready` are left out where they do not hold, as kstatus has it.
fn is(item: &Item, Wanted { kind, status }: Wanted) -> bool {
    let mut conditions = item.status.conditions.iter();
    let found = match kind {
        Some(kind) => conditions.find(|condition| condition.kind == kind).map(|condition| condition.status),
        None => (item.spec.suspend || conditions.any(|condition| condition.reason == Reason::DuplicateAccount))
            .then_some(ConditionStatus::True),
    };
    found.unwrap_or(ConditionStatus::False) == status
}
