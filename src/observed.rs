//! An account as the service shows it: what a read brings.
//!
//! In: nothing. Out: [`ObservedAccount`], which every room that speaks of reads shares.
//! Invariant: what an answer leaves out, or says in two ways that disagree, is `None`: unknown, never `false`.
//! Absent by design: how an answer is decoded (see [`crate::zoho`]), and what follows of it.

use crate::account::{AccountId, Field, Zoid, Zuid};

/// What the user of an account may do in the organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one super administrator of the organization.
    SuperAdmin,
    /// An administrator.
    Admin,
    /// Anyone else, and every role that is not documented.
    Member,
}

/// One account, as one answer showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedAccount {
    /// Its id.
    pub account: AccountId,
    /// Its user.
    pub zuid: Option<Zuid>,
    /// Its organization.
    pub zoid: Option<Zoid>,
    /// Its primary address, as the service spells it.
    pub email: Option<Box<str>>,
    /// What its user may do; `None` if the answer does not say.
    pub role: Option<Role>,
    /// Whether its mailbox is enabled.
    pub enabled: Option<bool>,
    /// Whether its ActiveSync flag is set.
    pub active_sync_enabled: Option<bool>,
}

impl ObservedAccount {
    /// What the answer says of `field`.
    pub const fn field(&self, field: Field) -> Option<bool> {
        match field {
            Field::Enabled => self.enabled,
            Field::ActiveSyncEnabled => self.active_sync_enabled,
        }
    }
}
