//! Words of the manifests that declare no account but what may be taken away: budgets and approvals.
//!
//! In: values already checked by [`mod@super::decode`]. Out: [`Policy`]. Invariant: an approval names at least one
//! account, each once, and of each at least one field.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Place;
use crate::account::{AccountId, Field, SourceRef};
use crate::guard::{Allowance, DisruptionBudget, GrantBudget};
use crate::timestamp::Timestamp;

/// What a manifest declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An account, and what is wanted of it.
    MailAccount,
    /// How many accounts may lose something within a window.
    DisruptionBudget,
    /// Which accounts may lose something whatever the budget says.
    DisruptionApproval,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MailAccount, Self::DisruptionBudget, Self::DisruptionApproval];

    /// As manifests write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MailAccount => "MailAccount",
            Self::DisruptionBudget => "DisruptionBudget",
            Self::DisruptionApproval => "DisruptionApproval",
        }
    }
}

/// A budget or an approval, declared without a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `metadata.name`, unique within the kind.
    pub name: Arc<str>,
    /// What it says.
    pub spec: PolicySpec,
    /// The file, and the line on which the document's content begins.
    pub source: SourceRef,
    /// Where the key `metadata.name` stands.
    pub name_at: Place,
}

/// The `spec` of a [`Policy`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySpec {
    /// Of a `DisruptionBudget`.
    Budget(Budget),
    /// Of a `DisruptionApproval`.
    Approval(Approval),
}

/// The `spec` of a `DisruptionBudget`: at least one of them. What is left out is what the options say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// `maxDisruptions`.
    #[serde(rename = "maxDisruptions", default, skip_serializing_if = "Option::is_none")]
    pub max: Option<DisruptionBudget>,
    /// `maxGrants`.
    #[serde(rename = "maxGrants", default, skip_serializing_if = "Option::is_none")]
    pub max_grants: Option<GrantBudget>,
    /// `window`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "window")]
    pub window: Option<Duration>,
}

/// One that leaves nothing out.
impl From<Allowance> for Budget {
    fn from(Allowance { max, max_grants, window }: Allowance) -> Self {
        Self { max: Some(max), max_grants: Some(max_grants), window: Some(window) }
    }
}

/// A window as manifests write it.
mod window {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(window: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        window.map(|window| humantime::format_duration(window).to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| crate::guard::window(&text)).transpose().map_err(D::Error::custom)
    }
}

impl Budget {
    /// What may be taken away where the options say `options`.
    pub fn over(self, options: Allowance) -> Allowance {
        Allowance {
            max: self.max.unwrap_or(options.max),
            max_grants: self.max_grants.unwrap_or(options.max_grants),
            window: self.window.unwrap_or(options.window),
        }
    }
}

/// The `spec` of a `DisruptionApproval`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Why, on one line.
    pub reason: Box<str>,
    /// From this moment on it lets nothing through any more.
    pub expires: Timestamp,
    /// `grants`: it lets mailboxes come back, and takes nothing away.
    pub grants: bool,
    /// Whom it speaks of.
    pub accounts: Box<[Approved]>,
}

/// One account of an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// `metadata.name` of the account's manifest.
    pub name: Arc<str>,
    /// The account's id, if the approval insists on it.
    pub account: Option<AccountId>,
    /// What it may lose, in the order of [`Field::ALL`].
    pub fields: [bool; 2],
}

impl Approved {
    /// Whether `account`, whose manifest bears the name, may lose `field`.
    pub fn covers(&self, account: AccountId, field: Field) -> bool {
        self.fields[field as usize] && self.account.is_none_or(|insists| insists == account)
    }
}
