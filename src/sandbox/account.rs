//! One account of the simulated service, and how the service prints it.
//!
//! In: seeds from manifests or tests, and PUTs that took effect. Out: the documented field names and
//! types (Zoho's documentation, reading). Invariant: an account always has a user; the two fields that say
//! whether a mailbox is on never disagree here.

use serde::Serialize;
use serde_json::{Value, json};

use super::settings::Role;
use crate::account::{AccountId, Zoid, Zuid};

/// One mail account. Serialises as `GET /sandbox/accounts` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The account's identifier.
    pub account_id: AccountId,
    /// Its user.
    pub zuid: Zuid,
    /// Its address.
    pub email: Box<str>,
    /// What people call it; the manifest's name.
    pub name: Box<str>,
    /// What its user may do.
    pub role: Role,
    /// Whether the mailbox is enabled.
    pub mailbox_enabled: bool,
    /// Whether the ActiveSync flag is set.
    pub active_sync_enabled: bool,
    /// How many PUTs took effect on it.
    pub puts: u64,
}

impl Account {
    /// A member's account as the service makes it: mailbox and ActiveSync on.
    pub fn new(account_id: AccountId, zuid: Zuid, email: &str, name: &str) -> Self {
        Self {
            account_id,
            zuid,
            email: email.into(),
            name: name.into(),
            role: Role::Member,
            mailbox_enabled: true,
            active_sync_enabled: true,
            puts: 0,
        }
    }

    /// The account as the service lists it: `accountId` a string, `zuid` a number.
    pub(super) fn listed(&self, zoid: Zoid) -> Value {
        json!({
            "accountId": self.account_id,
            "zuid": self.zuid.get(),
            "policyId": {"zoid": zoid.get()},
            "primaryEmailAddress": self.email,
            "mailboxAddress": self.email,
            "mailboxStatus": if self.mailbox_enabled { "enabled" } else { "disabled" },
            "enabled": self.mailbox_enabled,
            "status": true,
            "activeSyncEnabled": self.active_sync_enabled,
            "role": self.role,
            "type": "ZOHO_ACCOUNT",
            "isDefaultAccount": true,
        })
    }
}

/// What a manifest tells about an account.
#[derive(Clone, Copy, Debug)]
pub struct Seed<'a> {
    /// `spec.accountId`.
    pub account_id: AccountId,
    /// `spec.zuid`; without it the account belongs to the person who may sign in.
    pub zuid: Option<Zuid>,
    /// `spec.email`; without it an address is made from the name.
    pub email: Option<&'a str>,
    /// `metadata.name`.
    pub name: &'a str,
}
