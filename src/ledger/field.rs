//! What is known of one field of an account that was ever set or read.
//!
//! In: JSON of the snapshot, or [`super::Record`]s through [`super::Ledger::apply`]. Out: [`FieldState`].
//! Invariant: a field is applied (with value, moment and manifest), in doubt (with moment and the
//! value that was sent), unsettled (applied, and yet in doubt until a moment), or read (with value and moment); never half
//! of one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::LANDING_UNSAID;
use crate::account::SourceRef;
use crate::timestamp::Timestamp;

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
        /// The revision at which it came to want it; `None` in a file from before this was written down.
        revision: Option<Arc<str>>,
    },
    /// A PUT was begun and its end is not known.
    InDoubt {
        /// When the PUT was begun.
        since: Timestamp,
        /// The value it carries; `None` in a file from before this was written down: either.
        to: Option<bool>,
        /// Until when it may take effect.
        lands_by: Timestamp,
    },
    /// The service acknowledged `value`, but an earlier PUT of the other value, whose end was never known, may
    /// still come to it. Known for sure again once `value` is acknowledged by a PUT that was begun after `until`.
    Unsettled {
        /// The acknowledged value.
        value: bool,
        /// When the acknowledgement came.
        applied_at: Timestamp,
        /// The manifest that wanted it.
        source: SourceRef,
        /// The revision at which it came to want it; `None` in a file from before this was written down.
        revision: Option<Arc<str>>,
        /// Until when the earlier PUT may take effect.
        until: Timestamp,
    },
    /// The service showed `value` when it was read, and it was not what this program had set, if it had set anything.
    Read {
        /// What it showed.
        value: bool,
        /// When the answer came.
        read_at: Timestamp,
    },
}

impl FieldState {
    /// The revision at which the manifest came to want what was acknowledged, if that was written down.
    pub const fn revision(&self) -> Option<&Arc<str>> {
        match self {
            Self::Applied { revision, .. } | Self::Unsettled { revision, .. } => revision.as_ref(),
            Self::InDoubt { .. } | Self::Read { .. } => None,
        }
    }

    /// When it came to be known for sure, if it is.
    pub const fn known_since(&self) -> Option<Timestamp> {
        match self {
            Self::Applied { applied_at: at, .. } | Self::Read { read_at: at, .. } => Some(*at),
            Self::InDoubt { .. } | Self::Unsettled { .. } => None,
        }
    }

    /// Until when nothing can settle the field, though `wanted` was acknowledged: an earlier PUT is still out.
    pub fn unsettled_until(&self, wanted: bool) -> Option<Timestamp> {
        match self {
            Self::Unsettled { value, until, .. } if *value == wanted => Some(*until),
            _ => None,
        }
    }
}

impl FieldState {
    /// Gives the spans in it other moments: of the beginning of a PUT, and until when one may take effect. When something
    /// was acknowledged or read stays as it was written.
    pub fn retime(&mut self, began: impl Fn(Timestamp) -> Timestamp, lands_by: impl Fn(Timestamp) -> Timestamp) {
        match self {
            Self::Applied { .. } | Self::Read { .. } => {}
            Self::InDoubt { since, to: _, lands_by: last } => (*since, *last) = (began(*since), lands_by(*last)),
            Self::Unsettled { until, .. } => *until = lands_by(*until),
        }
    }
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    in_doubt: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lands_by: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read_at: Option<Timestamp>,
}

/// Nothing is known.
const BLANK: FieldStateJson = FieldStateJson {
    value: None,
    applied_at: None,
    source: None,
    revision: None,
    in_doubt: false,
    since: None,
    to: None,
    lands_by: None,
    until: None,
    read_at: None,
};

impl From<FieldState> for FieldStateJson {
    fn from(state: FieldState) -> Self {
        match state {
            FieldState::Applied { value, applied_at, source, revision } => {
                Self { value: Some(value), applied_at: Some(applied_at), source: Some(source), revision, ..BLANK }
            }
            FieldState::InDoubt { since, to, lands_by } => {
                Self { in_doubt: true, since: Some(since), to, lands_by: Some(lands_by), ..BLANK }
            }
            FieldState::Unsettled { value, applied_at, source, revision, until } => Self {
                value: Some(value),
                applied_at: Some(applied_at),
                source: Some(source),
                revision,
                in_doubt: true,
                until: Some(until),
                ..BLANK
            },
            FieldState::Read { value, read_at } => Self { value: Some(value), read_at: Some(read_at), ..BLANK },
        }
    }
}

impl TryFrom<FieldStateJson> for FieldState {
    type Error = &'static str;

    fn try_from(json: FieldStateJson) -> Result<Self, Self::Error> {
        let FieldStateJson { value, applied_at, source, revision, in_doubt, since, to, lands_by, until, read_at } =
            json;
        if let Some(read_at) = read_at {
            let is_more = in_doubt || applied_at.or(since).or(lands_by).or(until).is_some() || to.is_some();
            let value = value.filter(|_| !is_more && source.is_none() && revision.is_none());
            return value
                .map(|value| Self::Read { value, read_at })
                .ok_or("expected value and readAt, and nothing else");
        }
        match (in_doubt, (value, applied_at, source), (since, to, lands_by), until) {
            (true, (None, None, None), (Some(since), to, lands_by), None) if revision.is_none() => {
                Ok(Self::InDoubt { since, to, lands_by: lands_by.unwrap_or(since + LANDING_UNSAID) })
            }
            (false, (Some(value), Some(applied_at), Some(source)), (None, None, None), None) => {
                Ok(Self::Applied { value, applied_at, source, revision })
            }
            (true, (Some(value), Some(applied_at), Some(source)), (None, None, None), Some(until)) => {
                Ok(Self::Unsettled { value, applied_at, source, revision, until })
            }
            _ => Err(
                "expected value, appliedAt and source, or value and readAt, or inDoubt and since, or value, appliedAt, source, \
                 inDoubt and until",
            ),
        }
    }
}
