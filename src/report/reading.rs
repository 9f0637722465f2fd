//! What a reading of the organization's accounts came to.
//!
//! In: values that the machine fills in. Out: what `refresh`, the progress and the log show.
//! Invariant: an account is missing only where all of the listing was read.

use std::sync::Arc;

use serde::Serialize;

use crate::account::{AccountId, SourceRef, Zuid};
use crate::desired::DesiredAccount;
use crate::timestamp::Timestamp;

/// A declared account of which the service shows something else than its manifest says, beside its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// The account.
    pub account: AccountId,
    /// Its manifest's name.
    pub name: Arc<str>,
    /// Its manifest.
    pub source: SourceRef,
    /// What is odd.
    pub what: Oddity,
}

impl Odd {
    /// What is odd about the account, as its manifest has it.
    pub fn of(account: AccountId, desired: &DesiredAccount<'_>, what: Oddity) -> Self {
        Self { account, name: Arc::clone(desired.name), source: desired.source.clone(), what }
    }
}

/// What is odd about an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// All of the listing was read, and the account is not in it.
    NotListed,
    /// The service knows another user for it; what it shows of the account is not believed.
    OtherUser(Zuid),
    /// The answer leaves out a field that the manifest manages, or says it in two ways that disagree.
    Unclear,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRead {
    /// Requests that were made.
    pub requests: u32,
    /// Accounts that were read.
    pub accounts: usize,
    /// How many of them are declared.
    pub declared: usize,
    /// Of how many of those the ledger knew something else, or nothing.
    pub corrected: usize,
    /// Declared accounts with something odd, by account.
    #[serde(skip)]
    pub odd: Vec<Odd>,
    /// Why not all of it was read, if it is over and was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<Box<str>>,
    /// How many of those somebody changed elsewhere.
    pub drifted: usize,
    /// When it ended, if it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}
