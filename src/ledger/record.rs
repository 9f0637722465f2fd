//! What happened, one thing at a time: the vocabulary of the journal.
//!
//! In: what the controller is about to do or has heard. Out: [`Record`], which only
//! [`super::Ledger::apply`] turns into state.
//! Invariant: a record carries all that applying it needs, so that a journal means the same to
//! whoever replays it. Absent by design: sequence numbers and checksums (see [`super::journal`]).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::budgets::DeclaredBudget;
use super::field::FieldState;
use super::lapsed::Ends;
use super::outage::Outage;
use super::row::{FailedAttempt, hex};
use super::unready::Unready;
use crate::account::{AccountId, Field, SourceRef, Zuid};
use crate::change::Known;
use crate::condition::Reason;
use crate::revision::Revision;
use crate::timestamp::Timestamp;
use crate::validity::Validity;

/// A pause that the service imposed on everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImposedPause {
    /// No request starts before this moment.
    pub until: Timestamp,
    /// Why.
    pub reason: Reason,
}

impl ImposedPause {
    /// One that is over, whatever the clock says. That it was there is not forgotten: the next request probes alone.
    pub(super) const fn lifted(self) -> Self {
        Self { until: Timestamp::from_millis(0), reason: self.reason }
    }
}

/// What wants a PUT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// The manifest.
    pub source: SourceRef,
    /// The revision at which it came to want it.
    pub revision: Arc<str>,
    /// The `DisruptionApproval` that lets it through: it uses up nothing of the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Arc<str>>,
    /// The manifest's `validUntil`, if that is past and wants it.
    #[serde(default, rename = "validUntil", skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

/// What an auditor asks of a PUT that was acknowledged: who decided it, why it was let through, what the service said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The manifest's name.
    pub name: Arc<str>,
    /// What was known of the field before the PUT.
    pub from: Known,
    /// The revision at which the manifest came to want it, its author and its subject.
    #[serde(flatten)]
    pub revision: Arc<Revision>,
    /// The `DisruptionApproval` that let it through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Arc<str>>,
    /// What the manifest's dates say, if it is they that wanted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity: Option<Validity>,
    /// Since when the service showed another value than had been set, if that was corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Timestamp>,
    /// The service's answer: `HTTP 200 success`.
    pub answer: Box<str>,
}

/// One thing that happened. The journal is a sequence of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Record {
    /// A PUT is about to leave: the field is in doubt until its end is known.
    Intent {
        /// When.
        at: Timestamp,
        /// Which account.
        account: AccountId,
        /// Its manifest's name.
        name: Arc<str>,
        /// Its user's id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zuid: Option<Zuid>,
        /// Which field.
        field: Field,
        /// The value the PUT carries.
        to: bool,
        /// Fingerprint of the spec that wants it.
        #[serde(with = "hex")]
        spec_hash: u64,
        /// Until when it may take effect, should its end stay unknown. Left out: for [`super::LANDING_UNSAID`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lands_by: Option<Timestamp>,
        /// What wants it; left out by versions that did not write it down.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Box<Cause>>,
    },
    /// The service acknowledged a PUT.
    Applied {
        /// When.
        at: Timestamp,
        /// Which account.
        account: AccountId,
        /// Which field.
        field: Field,
        /// The acknowledged value.
        value: bool,
        /// The manifest that wanted it.
        source: SourceRef,
        /// Who decided it, and what was answered; left out by versions that did not write it down.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Box<Evidence>>,
    },
    /// The service provably did not act: the field is what it was before the intent.
    NotApplied {
        /// Which account.
        account: AccountId,
        /// Which field.
        field: Field,
        /// What it was before the intent.
        restore: Option<FieldState>,
        /// When the account had last lost something before the intent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disruption: Option<Timestamp>,
        /// When it had last come back before the intent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        returned: Option<Timestamp>,
        /// The end of the manifest's period that was acted upon before the intent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid_until: Option<Timestamp>,
        /// When the intent was made, if its PUT never left: it takes no place in the request budget.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unsent: Option<Timestamp>,
    },
    /// An attempt at a field failed, or (`None`) what was said against it is over.
    Failed {
        /// Which account.
        account: AccountId,
        /// Which field.
        field: Field,
        /// How.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<Box<FailedAttempt>>,
    },
    /// A version of the manifest was seen that needs no PUT, or the manifest in another file.
    Observed {
        /// Which account.
        account: AccountId,
        /// Its manifest's name.
        name: Arc<str>,
        /// Its user's id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zuid: Option<Zuid>,
        /// Fingerprint of the spec.
        #[serde(with = "hex")]
        spec_hash: u64,
        /// The file; left out where it is as it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<Arc<str>>,
    },
    /// A page of the organization's accounts is about to be asked for.
    ReadRequest {
        /// When.
        at: Timestamp,
    },
    /// The page that was to be asked for then was not: it takes no place in the request budget.
    ReadNotSent {
        /// When it was begun.
        begun: Timestamp,
    },
    /// The service showed an account as it is, and that is news.
    Read {
        /// When the answer came.
        at: Timestamp,
        /// When it was asked.
        begun: Timestamp,
        /// Which account.
        account: AccountId,
        /// Its manifest's name.
        name: Arc<str>,
        /// Its user's id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zuid: Option<Zuid>,
        /// Whether its mailbox is enabled; left out where the answer does not say, or the ledger knows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        enabled: Option<bool>,
        /// Whether its ActiveSync flag is set; left out likewise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        active_sync_enabled: Option<bool>,
    },
    /// The service shows another value of a field than was acknowledged, or (`None`) that value again.
    Drifted {
        /// When the answer came.
        at: Timestamp,
        /// Which account.
        account: AccountId,
        /// Which field.
        field: Field,
        /// What it shows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<bool>,
        /// Whether that is what is known from now on, so that what is wanted is PUT.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        corrects: bool,
    },
    /// An operator had an account forgotten that no manifest declares.
    Forgotten {
        /// When.
        at: Timestamp,
        /// Which account.
        account: AccountId,
        /// Its manifest's name when it was last observed.
        name: Arc<str>,
        /// Who, as the system knew them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Box<str>>,
    },
    /// Something of an account is missing that was not before, or (`None`) it is ready.
    Unready {
        /// Which account.
        account: AccountId,
        /// What.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unready: Option<Unready>,
        /// Since when it is ready, if it is; left out by versions that did not write it down.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ready_since: Option<Timestamp>,
    },
    /// A token is about to be requested.
    TokenRequest {
        /// When.
        at: Timestamp,
    },
    /// The token request that was begun last was not sent: it counts against no limit. One is made at a time, so it is
    /// known which.
    TokenNotSent,
    /// The service imposed a pause, or (`None`) it is over before its time.
    Pause {
        /// The pause.
        pause: Option<ImposedPause>,
    },
    /// Something keeps every request from succeeding, or (`None`) nothing does any more.
    Outage {
        /// What.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outage: Option<Box<Outage>>,
    },
    /// The wall clock was set while the program ran: spans that began or end by the old one do so by the new one.
    ClockStepped {
        /// What it said.
        from: Timestamp,
        /// What it says.
        to: Timestamp,
    },
    /// At its start the program remembers what is still to come by the wall clock: it counts as of now.
    ClockBehind {
        /// When.
        at: Timestamp,
        /// Until when anything that was sent by now may still take effect.
        lands_by: Timestamp,
        /// The latest moment that it remembers; left out by versions that did not write it down.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remembered: Option<Timestamp>,
    },
    /// The clock went back, and the folder is read: these approvals, and no others, are over though it does not say so.
    Lapsed {
        /// Which.
        approvals: Ends,
    },
    /// The folder is read: manifests declare these budgets, and no others.
    Budgets {
        /// Which, in the order of their places.
        budgets: Vec<DeclaredBudget>,
    },
    /// An operator lifted a pause that the service had imposed.
    PauseLifted {
        /// When.
        at: Timestamp,
        /// The pause.
        pause: ImposedPause,
        /// Who, as the system knew them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Box<str>>,
    },
}

impl Record {
    /// Whether it may change any account's row.
    pub(super) const fn is_about_all(&self) -> bool {
        matches!(self, Self::ClockStepped { .. } | Self::ClockBehind { .. })
    }

    /// The account whose row this may change, if it is one.
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Intent { account, .. }
            | Self::Applied { account, .. }
            | Self::NotApplied { account, .. }
            | Self::Failed { account, .. }
            | Self::Observed { account, .. }
            | Self::Read { account, .. }
            | Self::Drifted { account, .. }
            | Self::Forgotten { account, .. }
            | Self::Unready { account, .. } => Some(*account),
            Self::TokenRequest { .. } | Self::TokenNotSent => None,
            Self::ReadRequest { .. } | Self::ReadNotSent { .. } => None,
            Self::Pause { .. } | Self::Outage { .. } | Self::PauseLifted { .. } => None,
            Self::ClockStepped { .. } | Self::ClockBehind { .. } | Self::Lapsed { .. } | Self::Budgets { .. } => None,
        }
    }
}
