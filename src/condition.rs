//! Words about an account's state as operators see it: conditions and their closed set of reasons.
//!
//! In: outcomes of requests and verdicts of the plan. Out: [`Condition`], with the fields of
//! Kubernetes' `metav1.Condition` and the meaning kstatus gives them.
//! Invariant: reasons are a closed set; everything variable is in the message.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// Which question a condition answers (kstatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConditionType {
    /// What is desired now has been acknowledged by the service.
    Ready,
    /// Work is under way or scheduled.
    Reconciling,
    /// Somebody has to act; what the service refused is tried again at growing intervals.
    Stalled,
    /// The service shows something else than was set, and it is left so.
    Drifted,
}

/// Why a condition is as it is. Closed: scripts match on these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The service acknowledged everything that is desired.
    ReconciliationSucceeded,
    /// A first attempt is under way or queued.
    Progressing,
    /// An attempt failed; another one is scheduled.
    ProgressingWithRetry,
    /// A PUT was begun and its end is not known; what is desired now will be PUT again.
    InDoubt,
    /// The account's manifest is broken; its last good state is kept.
    InvalidManifest,
    /// Two manifests claim the same account or name; nothing is PUT for either.
    DuplicateAccount,
    /// The service knows no such account.
    AccountNotFound,
    /// The service does not allow this change.
    Forbidden,
    /// The service refused the request as wrong.
    Rejected,
    /// The credentials were refused.
    Unauthorized,
    /// No access token can be had: the endpoint cannot be reached, or what answers there grants and refuses none.
    TokenUnavailable,
    /// The service asked everybody to slow down.
    Throttled,
    /// The service is in trouble or not reachable.
    ServiceUnavailable,
    /// The change takes something away and the disruption budget is used up.
    DisruptionBudgetExceeded,
    /// The manifest says `suspend: true`.
    Suspended,
    /// The manifest's `validFrom` lies ahead: until then every managed field is false.
    NotYetValid,
    /// The manifest's `validUntil` is past: every managed field is false.
    NoLongerValid,
    /// Somebody changed it elsewhere, and it is left so.
    Drifted,
    /// The same, and it comes back however often it is corrected.
    Flapping,
    /// The manifest went away; nothing is PUT.
    Orphaned,
    /// The ledger cannot be written, so nothing may be PUT.
    LedgerUnavailable,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::ReconciliationSucceeded,
        Self::Progressing,
        Self::ProgressingWithRetry,
        Self::InDoubt,
        Self::InvalidManifest,
        Self::DuplicateAccount,
        Self::AccountNotFound,
        Self::Forbidden,
        Self::Rejected,
        Self::Unauthorized,
        Self::TokenUnavailable,
        Self::Throttled,
        Self::ServiceUnavailable,
        Self::DisruptionBudgetExceeded,
        Self::Suspended,
        Self::NotYetValid,
        Self::NoLongerValid,
        Self::Drifted,
        Self::Flapping,
        Self::Orphaned,
        Self::LedgerUnavailable,
    ];

    /// The reason's name, as in `status` and in metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReconciliationSucceeded => "ReconciliationSucceeded",
            Self::Progressing => "Progressing",
            Self::ProgressingWithRetry => "ProgressingWithRetry",
            Self::InDoubt => "InDoubt",
            Self::InvalidManifest => "InvalidManifest",
            Self::DuplicateAccount => "DuplicateAccount",
            Self::AccountNotFound => "AccountNotFound",
            Self::Forbidden => "Forbidden",
            Self::Rejected => "Rejected",
            Self::Unauthorized => "Unauthorized",
            Self::TokenUnavailable => "TokenUnavailable",
            Self::Throttled => "Throttled",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::DisruptionBudgetExceeded => "DisruptionBudgetExceeded",
            Self::Suspended => "Suspended",
            Self::NotYetValid => "NotYetValid",
            Self::NoLongerValid => "NoLongerValid",
            Self::Drifted => "Drifted",
            Self::Flapping => "Flapping",
            Self::Orphaned => "Orphaned",
            Self::LedgerUnavailable => "LedgerUnavailable",
        }
    }
}

impl Reason {
    /// Whether the service refused a request for good: the same request is not accepted later, unless something changes
    /// on its side.
    pub const fn is_rejection(self) -> bool {
        matches!(self, Self::AccountNotFound | Self::Forbidden | Self::Rejected)
    }

    /// Whether what was answered to a change of one field holds for the account's other field as well.
    pub const fn is_about_the_account(self) -> bool {
        matches!(self, Self::AccountNotFound | Self::Unauthorized | Self::Throttled)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `True` or `False`, as Kubernetes writes a condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
}

/// One condition of one account: the fields of `metav1.Condition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// Which question is answered.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// The answer.
    pub status: ConditionStatus,
    /// Why.
    pub reason: Reason,
    /// For people; carries the HTTP status and errorCode where there are any.
    pub message: Box<str>,
    /// When the answer last changed.
    pub last_transition_time: Timestamp,
    /// The generation of the manifest this speaks about.
    pub observed_generation: u64,
}
