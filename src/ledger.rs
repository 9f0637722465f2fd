//! What the service has acknowledged: the ledger as a value, and the records that change it.
//!
//! In: [`Record`]s, in the order in which they were journaled. Out: what is known of every field
//! ([`Ledger::known`]), and the memory that outlives a restart: requests made, disruptions
//! applied, a pause the service imposed.
//! Invariants: the ledger never claims what the service has not acknowledged; applying the
//! journal's records to the snapshot gives the same value as living through them; everything
//! remembered is bounded. Absent by design: files (see [`file`]) and the clock.

pub mod file;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::account::{AccountId, Field, SourceRef, Zoid, Zuid};
use crate::change::Known;
use crate::condition::{Condition, Reason};
use crate::timestamp::Timestamp;

/// How long a request is remembered: the longest `--rate-limit` duration that is accepted.
pub const REQUEST_MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many requests are remembered: the largest `--rate-limit` count that is accepted.
pub const REQUEST_MEMORY_MAX: usize = 10_000;

/// How long a disruption is remembered: the longest `--disruption-window` that is accepted.
pub const DISRUPTION_MEMORY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Whose accounts a ledger speaks of. Ledgers of two owners are never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// An organization, with admin authentication.
    Organization(Zoid),
    /// The person who signed in, with user authentication.
    User,
    /// The embedded sandbox.
    Sandbox,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization(zoid) => zoid.fmt(f),
            Self::User => f.write_str("user"),
            Self::Sandbox => f.write_str("sandbox"),
        }
    }
}

impl FromStr for Owner {
    type Err = crate::account::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "user" => Ok(Self::User),
            "sandbox" => Ok(Self::Sandbox),
            digits => digits.parse().map(Self::Organization),
        }
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What is known of one field that was ever set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "FieldStateJson", into = "FieldStateJson")]
pub enum FieldState {
    /// The service acknowledged `value`.
    Applied {
        /// The acknowledged value.
        value: bool,
        /// When the acknowledgement came.
        applied_at: Timestamp,
        /// The manifest that wanted it.
        source: SourceRef,
    },
    /// A PUT was begun and its end is not known.
    InDoubt {
        /// When the PUT was begun.
        since: Timestamp,
    },
}

/// [`FieldState`] as the file writes it. Its own struct because an untagged enum would be buffered
/// and tried twice, which a ledger of 100,000 accounts feels.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FieldStateJson {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applied_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<SourceRef>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    in_doubt: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

impl From<FieldState> for FieldStateJson {
    fn from(state: FieldState) -> Self {
        match state {
            FieldState::Applied { value, applied_at, source } => Self {
                value: Some(value),
                applied_at: Some(applied_at),
                source: Some(source),
                in_doubt: false,
                since: None,
            },
            FieldState::InDoubt { since } => {
                Self { value: None, applied_at: None, source: None, in_doubt: true, since: Some(since) }
            }
        }
    }
}

impl TryFrom<FieldStateJson> for FieldState {
    type Error = &'static str;

    fn try_from(json: FieldStateJson) -> Result<Self, Self::Error> {
        match json {
            FieldStateJson { value: None, applied_at: None, source: None, in_doubt: true, since: Some(since) } => {
                Ok(Self::InDoubt { since })
            }
            FieldStateJson {
                value: Some(value),
                applied_at: Some(applied_at),
                source: Some(source),
                in_doubt: false,
                since: None,
            } => Ok(Self::Applied { value, applied_at, source }),
            _ => Err("expected either value, appliedAt and source, or inDoubt and since"),
        }
    }
}

/// One account the program has ever touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Row {
    /// The manifest's `metadata.name` when it was last observed.
    pub name: Arc<str>,
    /// The user's id when it was last observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zuid: Option<Zuid>,
    /// State of the mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<FieldState>,
    /// State of the ActiveSync flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_sync_enabled: Option<FieldState>,
    /// How many versions of the manifest's spec have been seen.
    #[serde(default)]
    pub observed_generation: u64,
    /// Fingerprint of the spec that was seen last; hexadecimal, 0 for none.
    #[serde(default, with = "hex")]
    pub spec_hash: u64,
    /// What the service said against the account, while it lasts.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

impl Row {
    fn new(name: Arc<str>, zuid: Option<Zuid>) -> Self {
        Self {
            name,
            zuid,
            enabled: None,
            active_sync_enabled: None,
            observed_generation: 0,
            spec_hash: 0,
            conditions: Vec::new(),
        }
    }

    /// The stored state of `field`.
    pub const fn field(&self, field: Field) -> Option<&FieldState> {
        match field {
            Field::Enabled => self.enabled.as_ref(),
            Field::ActiveSyncEnabled => self.active_sync_enabled.as_ref(),
        }
    }

    fn field_mut(&mut self, field: Field) -> &mut Option<FieldState> {
        match field {
            Field::Enabled => &mut self.enabled,
            Field::ActiveSyncEnabled => &mut self.active_sync_enabled,
        }
    }

    /// What the plan needs to know of `field`.
    pub const fn known(&self, field: Field) -> Known {
        match self.field(field) {
            None => Known::Absent,
            Some(FieldState::Applied { value, .. }) => Known::Applied(*value),
            Some(FieldState::InDoubt { .. }) => Known::InDoubt,
        }
    }
}

/// A pause that the service imposed on everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImposedPause {
    /// No request starts before this moment.
    pub until: Timestamp,
    /// Why.
    pub reason: Reason,
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
        /// The value the PUT carries, for people who read the journal.
        to: bool,
        /// Fingerprint of the spec that wants it.
        #[serde(with = "hex")]
        spec_hash: u64,
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
    },
    /// The service provably did not act: the field is what it was before the intent.
    NotApplied {
        /// Which account.
        account: AccountId,
        /// Which field.
        field: Field,
        /// What it was before the intent.
        restore: Option<FieldState>,
    },
    /// What the service says against the account; empty when that is over.
    Conditions {
        /// Which account.
        account: AccountId,
        /// Its conditions from now on.
        conditions: Vec<Condition>,
    },
    /// A version of the manifest was seen that needs no PUT.
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
    },
    /// A token is about to be requested.
    TokenRequest {
        /// When.
        at: Timestamp,
    },
    /// The service imposed a pause, or (`None`) it is over before its time.
    Pause {
        /// The pause.
        pause: Option<ImposedPause>,
    },
}

/// The last applied state of every account, and what a restart must not forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Whose accounts these are.
    pub owner: Owner,
    /// Sequence number of the last record applied.
    pub serial: u64,
    /// Every account ever touched.
    pub accounts: BTreeMap<AccountId, Row>,
    /// When requests were begun, oldest first: PUTs and token requests alike.
    pub requests: VecDeque<Timestamp>,
    /// When tokens were requested, oldest first.
    pub token_requests: VecDeque<Timestamp>,
    /// When each account last lost something.
    pub disruptions: BTreeMap<AccountId, Timestamp>,
    /// The pause in force when the program last heard from the service.
    pub pause: Option<ImposedPause>,
}

impl Ledger {
    /// A ledger that knows nothing yet.
    pub const fn new(owner: Owner) -> Self {
        Self {
            owner,
            serial: 0,
            accounts: BTreeMap::new(),
            requests: VecDeque::new(),
            token_requests: VecDeque::new(),
            disruptions: BTreeMap::new(),
            pause: None,
        }
    }

    /// What is known of an account's field.
    pub fn known(&self, account: AccountId, field: Field) -> Known {
        self.accounts.get(&account).map_or(Known::Absent, |row| row.known(field))
    }

    /// Lives through one record: the only way the ledger ever changes.
    pub fn apply(&mut self, record: Record) {
        self.serial += 1;
        match record {
            Record::Intent { at, account, name, zuid, field, to: _, spec_hash } => {
                let row = self.observe(account, name, zuid, spec_hash);
                *row.field_mut(field) = Some(FieldState::InDoubt { since: at });
                remember(&mut self.requests, at);
            }
            Record::Applied { at, account, field, value, source } => {
                if !value {
                    self.disruptions.insert(account, at);
                }
                if let Some(row) = self.accounts.get_mut(&account) {
                    *row.field_mut(field) = Some(FieldState::Applied { value, applied_at: at, source });
                }
            }
            Record::NotApplied { account, field, restore } => {
                if let Some(row) = self.accounts.get_mut(&account) {
                    *row.field_mut(field) = restore;
                }
            }
            Record::Conditions { account, conditions } => {
                if let Some(row) = self.accounts.get_mut(&account) {
                    row.conditions = conditions;
                }
            }
            Record::Observed { account, name, zuid, spec_hash } => {
                self.observe(account, name, zuid, spec_hash);
            }
            Record::TokenRequest { at } => {
                remember(&mut self.requests, at);
                remember(&mut self.token_requests, at);
            }
            Record::Pause { pause } => self.pause = pause,
        }
    }

    /// The account's row, with what its manifest says now; a spec not seen before begins a generation.
    fn observe(&mut self, account: AccountId, name: Arc<str>, zuid: Option<Zuid>, spec_hash: u64) -> &mut Row {
        let row = self.accounts.entry(account).or_insert_with(|| Row::new(Arc::clone(&name), zuid));
        row.name = name;
        row.zuid = zuid;
        if row.spec_hash != spec_hash {
            row.spec_hash = spec_hash;
            row.observed_generation += 1;
        }
        row
    }

    /// Drops what no window can reach any more. Called before a snapshot is written.
    pub fn forget_before(&mut self, now: Timestamp) {
        let oldest_request = now.before(REQUEST_MEMORY);
        self.requests.retain(|at| *at >= oldest_request);
        self.token_requests.retain(|at| *at >= oldest_request);
        let oldest_disruption = now.before(DISRUPTION_MEMORY);
        self.disruptions.retain(|_, at| *at >= oldest_disruption);
    }
}

fn remember(stamps: &mut VecDeque<Timestamp>, at: Timestamp) {
    if stamps.len() == REQUEST_MEMORY_MAX {
        stamps.pop_front();
    }
    stamps.push_back(at);
}

/// 64-bit fingerprints as hexadecimal text: JSON numbers lose digits in many readers.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}
