//! What a branch changes without a PUT: who is no longer managed, held, suspended, or called otherwise.
//!
//! In: the desired states of a base and of a branch. Out: [`Remark`]s, ordered by account.
//! Invariant: whatever of an account differs between the two and matters to its plan is either a change or a remark.
//! Deliberately absent: labels and addresses, which decide nothing, and all annotations but the one that protects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::account::{AccountId, Field, SourceRef, Zuid};
use crate::desired::{DesiredAccount, DesiredState, Standing};
use crate::timestamp::Timestamp;
use crate::validity::Period;

/// Something that a branch changes about an account, although nothing is PUT for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Remark {
    /// The account on the service.
    pub account: AccountId,
    /// The manifest's name: the branch's, or the base's where the branch has none.
    pub name: Arc<str>,
    /// The manifest's place, likewise.
    pub source: SourceRef,
    /// What changes.
    #[serde(flatten)]
    pub note: Note,
}

/// What changes about an account without a PUT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "note", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Note {
    /// Its manifest has problems now: it keeps its last good state while the daemon lives.
    Broken,
    /// Another manifest declares it as well, or has its name: it is held.
    Duplicate {
        /// The other manifest.
        other: SourceRef,
    },
    /// No manifest declares it any more: it stays as it is on the service.
    NoLongerManaged {
        /// What the base managed of it.
        fields: Vec<Field>,
    },
    /// The manifest of this name declared another account before. Of one that no manifest declares any more all stays as it
    /// is on the service; otherwise there are two remarks, or more.
    AccountChanged {
        /// The base's `accountId`.
        from: AccountId,
        /// What the base managed of it, if no manifest declares it any more.
        fields: Vec<Field>,
    },
    /// Its manifest leaves a field out now: it stays as it is on the service.
    FieldsNoLongerManaged {
        /// The fields.
        fields: Vec<Field>,
    },
    /// It is suspended now: nothing is PUT for it.
    Suspended {
        /// The manifest's `suspendReason`.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<Box<str>>,
        /// The manifest's `suspendUntil`.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// It is not suspended any more.
    Resumed,
    /// Its manifest is valid at other times: outside of them, every managed field is wanted false.
    Dated {
        /// The branch's `validFrom`.
        #[serde(skip_serializing_if = "Option::is_none")]
        valid_from: Option<Timestamp>,
        /// The branch's `validUntil`.
        #[serde(skip_serializing_if = "Option::is_none")]
        valid_until: Option<Timestamp>,
        /// When it was valid at the base, in words; nothing of what was valid at any time, or not there.
        #[serde(skip_serializing_if = "Option::is_none")]
        was: Option<String>,
    },
    /// Its manifest protects it now: nothing can be taken away from it.
    Protected,
    /// Nothing protects it any more.
    Unprotected,
    /// The user that its next PUT names is another one.
    UserChanged {
        /// The base's `zuid`.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<Zuid>,
        /// The branch's `zuid`.
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<Zuid>,
    },
    /// Its manifest has another name.
    Renamed {
        /// The base's name.
        from: Arc<str>,
    },
    /// Its manifest is in another file.
    Moved {
        /// The base's place.
        from: SourceRef,
    },
}

/// Everything that differs between `base` and `head` at `now` besides what is PUT.
pub fn remarks(base: &DesiredState, head: &DesiredState, now: Timestamp) -> Vec<Remark> {
    let broken: BTreeSet<Arc<str>> =
        head.problems().filter(|problem| !problem.code.is_clash()).map(|problem| Arc::clone(&problem.path)).collect();
    let accounts: BTreeSet<AccountId> = base.iter().chain(head.iter()).map(|(id, _)| id).collect();
    // Those whose name declared another account before, and that one.
    let replaced: BTreeMap<AccountId, AccountId> =
        head.iter().filter_map(|(new, account)| Some((new, replaced(base, head, new, &account)?))).collect();
    let gone: BTreeSet<AccountId> = replaced.values().copied().collect();
    let mut remarks = Vec::new();
    for account in accounts {
        let (before, after) = (base.get(account), head.get(account));
        let Some(DesiredAccount { name, source, .. }) = after.or(before) else { continue };
        let notes = match (before, after) {
            (Some(before), None) if broken.contains(&before.source.path) => vec![Note::Broken],
            (Some(_), None) if gone.contains(&account) => Vec::new(),
            (Some(before), None) => vec![Note::NoLongerManaged { fields: managed(&before) }],
            (before, Some(after)) => {
                let changed = replaced.get(&account).map(|from| {
                    let left = base.get(*from).filter(|_| head.get(*from).is_none());
                    Note::AccountChanged { from: *from, fields: left.map_or_else(Vec::new, |left| managed(&left)) }
                });
                let is_told = |note: &Note| {
                    let of_name = matches!(note, Note::Renamed { .. } | Note::Moved { .. } | Note::UserChanged { .. });
                    changed.is_some() && of_name
                };
                let notes: Vec<_> = notes(before, &after, now).into_iter().filter(|note| !is_told(note)).collect();
                changed.into_iter().chain(notes).collect()
            }
            (None, None) => Vec::new(),
        };
        let remark = |note| Remark { account, name: Arc::clone(name), source: source.clone(), note };
        remarks.extend(notes.into_iter().map(remark));
    }
    remarks
}

/// The account that the manifest called as that of `new` declared before.
fn replaced(
    base: &DesiredState,
    head: &DesiredState,
    new: AccountId,
    account: &DesiredAccount<'_>,
) -> Option<AccountId> {
    // Two of one name are held, and reported as duplicates.
    let only = |state: &DesiredState| {
        let mut named = state.named(account.name);
        named.next().filter(|_| named.next().is_none())
    };
    only(head)?;
    only(base).filter(|old| *old != new)
}

fn managed(account: &DesiredAccount<'_>) -> Vec<Field> {
    Field::ALL.into_iter().filter(|field| account.spec.written(*field).is_some()).collect()
}

fn notes(before: Option<DesiredAccount<'_>>, after: &DesiredAccount<'_>, now: Timestamp) -> Vec<Note> {
    let mut notes = Vec::new();
    let is_duplicate = |account: &DesiredAccount<'_>| matches!(account.standing, Standing::Duplicate { .. });
    if let Standing::Duplicate { other } = after.standing
        && !before.is_some_and(|before| is_duplicate(&before))
    {
        notes.push(Note::Duplicate { other: other.clone() });
    }
    let was_suspended = before.is_some_and(|before| before.spec.is_suspended(now));
    match (was_suspended, after.spec.is_suspended(now)) {
        (false, true) => {
            let suspend = after.spec.suspend.as_deref();
            let (reason, until) = suspend.map_or((None, None), |suspend| (suspend.reason.clone(), suspend.until));
            notes.push(Note::Suspended { reason, until });
        }
        (true, false) => notes.push(Note::Resumed),
        _ => {}
    }
    let period = |account: &DesiredAccount<'_>| account.spec.period.as_deref().copied().unwrap_or_default();
    let (was, is) = (before.as_ref().map(period).unwrap_or_default(), period(after));
    if was != is {
        let was = (was != Period::default()).then(|| was.to_string());
        notes.push(Note::Dated { valid_from: is.from, valid_until: is.until, was });
    }
    match (before.is_some_and(|before| before.protected), after.protected) {
        (false, true) => notes.push(Note::Protected),
        (true, false) => notes.push(Note::Unprotected),
        _ => {}
    }
    let Some(before) = before else { return notes };
    let dropped: Vec<_> = managed(&before).into_iter().filter(|field| after.spec.written(*field).is_none()).collect();
    if !dropped.is_empty() {
        notes.push(Note::FieldsNoLongerManaged { fields: dropped });
    }
    if before.spec.zuid != after.spec.zuid {
        notes.push(Note::UserChanged { from: before.spec.zuid, to: after.spec.zuid });
    }
    if before.name != after.name {
        notes.push(Note::Renamed { from: Arc::clone(before.name) });
    }
    if before.source.path != after.source.path {
        notes.push(Note::Moved { from: before.source.clone() });
    }
    notes
}
