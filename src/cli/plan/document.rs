//! The plan as a document, and the schema of that document.
//!
//! In: a comparison. Out: what `-o json` and `-o yaml` print; [`plan_schema`] describes it.
//! Invariants: the schema is made of the very types that are printed; `apiVersion` is for as long as no key goes away or
//! changes its meaning, and keys may come.

use std::collections::BTreeSet;
use std::path::Path;

use schemars::{JsonSchema, schema_for};
use serde::Serialize;

use super::base::Origin;
use super::{Comparison, LeftAlone};
use crate::change::Change;
use crate::compare::{Note, Remark, Safety};
use crate::freeze::Freeze;
use crate::guard::Reviewed;
use crate::manifest::Problem;
use crate::plan::{LaterHeld, Upcoming};
use crate::status::API_VERSION;

/// What `apply` would do, or what a branch changes.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Plan")]
pub(super) struct Document<'a> {
    /// Version of this document.
    #[schemars(extend("const" = API_VERSION))]
    api_version: &'static str,
    /// What this document is.
    #[schemars(extend("const" = "Plan"))]
    kind: &'static str,
    /// What the plan is from, with `--base` or `--base-ref`.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<&'a Origin>,
    /// What the plan is to.
    head: Head,
    /// The numbers.
    summary: Summary,
    /// SHA-256 over the changes, `allowed` and `held`, of the whole folder: the same digest means the same PUTs.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    digest: String,
    #[serde(flatten)]
    reviewed: &'a Reviewed,
    /// With a base: what changes without a PUT.
    #[serde(skip_serializing_if = "Option::is_none")]
    remarks: Option<&'a [Remark]>,
    /// With a base: what changes about what may be taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    safety: Option<&'a [Safety]>,
    /// With a base and the ledger: those of the changes, `allowed` or `held`, that the branch does not explain.
    #[serde(skip_serializing_if = "Option::is_none")]
    unexplained: Option<Vec<&'a Change>>,
    /// With a base and the ledger: changes of the branch that need no PUT, for the ledger has them already.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled: Option<&'a [Change]>,
    /// What the dates of manifests bring later, of all accounts, in its order.
    #[serde(skip_serializing_if = "Option::is_none")]
    upcoming: Option<&'a [Upcoming]>,
    /// The suspension of everything, if an operator suspended it: nothing is sent before it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended: Option<&'a Freeze>,
    /// Accounts for which nothing is planned, by reason and account.
    left_alone: &'a [LeftAlone],
    /// Where that is more than a budget lets go: the first moment of each budget.
    #[serde(skip_serializing_if = "<[LaterHeld]>::is_empty")]
    #[schemars(default)]
    later_held: &'a [LaterHeld],
    /// Problems of the manifests.
    problems: &'a [Problem],
    /// With a base: problems of its manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_problems: Option<&'a [Problem]>,
}

/// What the plan is to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Head {
    /// The folder of manifests, as given.
    folder: String,
}

/// The numbers of a plan. With a base and the ledger, the changes are those that the branch explains.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    /// Requests that may go.
    pub(super) puts: usize,
    /// Those of them that take something away.
    pub(super) take_away: usize,
    /// Those of them that do not.
    pub(super) grant: usize,
    /// Changes that are held.
    pub(super) held: usize,
    /// Of how many accounts they are.
    pub(super) held_accounts: usize,
    /// Accounts that the base managed and no manifest declares any more.
    pub(super) no_longer_managed: usize,
    /// Changes that the branch does not explain.
    pub(super) unexplained: usize,
    /// Problems of the manifests.
    pub(super) problems: usize,
}

impl Summary {
    pub(super) fn of(comparison: &Comparison) -> Self {
        let (own, others) = comparison.split();
        let held = own.iter().filter(|(_, held)| *held).count();
        let held_accounts: BTreeSet<_> =
            own.iter().filter(|(_, held)| *held).map(|(change, _)| change.account).collect();
        let take_away = own.iter().filter(|(change, held)| !held && change.is_disruption()).count();
        let remarks = comparison.branch.iter().flat_map(|branch| &branch.remarks);
        Self {
            puts: own.len() - held,
            take_away,
            grant: own.len() - held - take_away,
            held,
            held_accounts: held_accounts.len(),
            no_longer_managed: remarks.filter(|remark| matches!(remark.note, Note::NoLongerManaged { .. })).count(),
            unexplained: others.len(),
            problems: comparison.problems.len(),
        }
    }
}

/// The document.
pub(super) fn document<'a>(comparison: &'a Comparison, folder: &Path) -> Document<'a> {
    let branch = comparison.branch.as_ref();
    let with_ledger = branch.filter(|branch| branch.with_ledger);
    let unexplained = || comparison.split().1.into_iter().map(|(change, _)| change).collect();
    Document {
        api_version: API_VERSION,
        kind: "Plan",
        base: branch.map(|branch| &branch.origin),
        head: Head { folder: folder.to_string_lossy().into_owned() },
        summary: Summary::of(comparison),
        digest: comparison.digest().to_owned(),
        reviewed: &comparison.reviewed,
        remarks: branch.map(|branch| &*branch.remarks),
        safety: branch.map(|branch| &*branch.safety),
        unexplained: with_ledger.map(|_| unexplained()),
        settled: with_ledger.map(|branch| &*branch.split.settled),
        upcoming: Some(&*comparison.upcoming).filter(|upcoming| !upcoming.is_empty()),
        suspended: comparison.suspended.as_ref(),
        left_alone: &comparison.left_alone,
        later_held: comparison.later_held(),
        problems: &comparison.problems,
        base_problems: branch.map(|branch| &*branch.base_problems),
    }
}

/// The JSON Schema (draft 2020-12) of what `plan -o json` prints.
pub fn plan_schema() -> serde_json::Value {
    schema_for!(Document<'_>).to_value()
}
