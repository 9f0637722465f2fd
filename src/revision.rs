//! Words about where manifests come from: the revision of the folder they were read in.
//!
//! In: what [`crate::source`] finds out about the folder. Out: [`Revision`], which every change, log line and record names.
//! Invariant: what strangers wrote (an author, a subject) is one short printable line.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

/// The state of a folder that a manifest was read from. Displays as its `id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Revision {
    /// `main@sha1:<40 digits>` in a Git work tree; `unknown` where nothing tells.
    #[serde(rename = "revision")]
    pub id: Box<str>,
    /// Who wrote the commit: `Name <address>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Box<str>>,
    /// The first line of the commit's message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<str>>,
}

/// Nothing is known.
impl Default for Revision {
    fn default() -> Self {
        Self { id: "unknown".into(), author: None, subject: None }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.id)
    }
}
