//! The manifests as `status` needs them: the desired state and, if somebody asks for them, labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::{AccountId, AuthMode};
use crate::attribution::{look, revisions};
use crate::cli::policies;
use crate::config::Folder;
use crate::desired::{self, DesiredState};
use crate::manifest::{self, Labels, Parsed, Protection, Rules};
use crate::source::{Batch, Look};

/// A file: what it declares, and the labels of its documents by their lines.
pub(super) type Read = (Parsed, Vec<(u32, Labels)>);

/// What makes a [`Read`] of a file's bytes.
pub(super) fn parse(
    folder: &Folder,
    auth: AuthMode,
    protection: Arc<Protection>,
    with_labels: bool,
) -> impl Fn(&Arc<str>, &[u8]) -> Read + Send + Sync + 'static {
    let (root, git) = (folder.desired_state.clone(), folder.git());
    move |path, bytes| {
        let rules = Rules { auth, protection: &protection };
        let parsed = policies::parse(&root, &git, path, bytes, rules);
        let labels = if with_labels { manifest::labels(bytes, &parsed.documents) } else { Vec::new() };
        (parsed, labels)
    }
}

/// All manifests.
pub(super) struct Manifests {
    pub(super) desired: DesiredState,
    /// By file and line.
    labels: BTreeMap<Arc<str>, BTreeMap<u32, Arc<Labels>>>,
}

impl Manifests {
    /// None yet; from the accounts of `protection` nothing is ever taken away.
    pub(super) fn protecting(protection: Arc<Protection>) -> Self {
        Self { desired: DesiredState::protecting(protection), labels: BTreeMap::new() }
    }

    /// Takes in what changed.
    pub(super) fn take(&mut self, batch: Batch<Read>) {
        for (path, found) in batch.files {
            let (found, labels) = match found {
                Look::Read((parsed, labels)) => (Look::Read(parsed), labels),
                Look::Gone => (Look::Gone, Vec::new()),
                Look::Problem(problem) => (Look::Problem(problem), Vec::new()),
            };
            let found = look(&path, found);
            // What is broken now keeps the labels it had, as it keeps its last good state.
            let is_sound = match &found {
                desired::Look::Parsed(parsed) => parsed.claims.is_empty(),
                desired::Look::Gone => true,
                desired::Look::Unreadable(_) => false,
            };
            if is_sound {
                self.labels.remove(&path);
            }
            if !labels.is_empty() {
                let labels = labels.into_iter().map(|(line, labels)| (line, Arc::new(labels)));
                self.labels.entry(Arc::clone(&path)).or_default().extend(labels);
            }
            let decided = batch.decided.get(&path);
            self.desired.update_from(&path, found, &|document| revisions(document, decided));
        }
    }

    /// The labels of the document that counts for `account`.
    pub(super) fn labels(&self, account: AccountId) -> Option<Arc<Labels>> {
        let source = self.desired.get(account)?.source;
        self.labels.get(&source.path)?.get(&source.line).cloned()
    }
}
