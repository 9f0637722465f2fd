//! The rules of a `MailAccount`: one function for each of its mappings.
//!
//! In: a document's [`Node`]s, with [`Marks`] when it is read for its problems. Out: a
//! [`Verdict`]: the account it declares, or every problem it has and what it still declares.
//! Invariant: these are the only rules; that they run a second time, with places, when the first time
//! found a problem changes no verdict.

use std::sync::Arc;

use super::judge::{Field, Judge, Spot, near_miss};
use super::marks::Marks;
use super::node::Node;
use super::problem::{Place, Problem, ProblemCode, printable};
use super::{API_VERSION, Claim, KIND, Rules};
use crate::account::{AccountId, AuthMode, MailAccountSpec, Suspend, Zuid};

pub(super) const ROOT_KEYS: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];
pub(super) const METADATA_KEYS: [&str; 3] = ["name", "labels", "annotations"];
pub(super) const SPEC_KEYS: [&str; 8] =
    ["accountId", "zuid", "email", "enabled", "activeSyncEnabled", "suspend", "suspendReason", "suspendUntil"];

/// Kinds of this API group that belong to a later version of this program.
const LATER_KINDS: [&str; 2] = ["DisruptionBudget", "DisruptionApproval"];

/// What became of one document.
pub(super) struct Verdict<'n> {
    /// Name and spec, if there is no problem.
    pub account: Option<(&'n str, MailAccountSpec)>,
    /// Every problem, in order of place.
    pub problems: Vec<Problem>,
    /// What it declares even so, if it has problems; `None` if it cannot declare an account.
    pub claim: Option<Claim>,
}

/// Judges one document and lists the first `most` of its problems. `place` stands in for places that are not marked.
pub(super) fn decode<'n>(
    path: &Arc<str>,
    node: &'n Node<'n>,
    marks: Option<&'n Marks<'n>>,
    place: Place,
    (rules, most): (Rules, usize),
) -> Verdict<'n> {
    let mut judge = Judge::new(path, most);
    for (place, tag) in marks.map_or(&[][..], |marks| &marks.tags) {
        let found = format!("the tag {}", printable(tag));
        let hint = Some("remove the tag".to_owned());
        judge.report((*place, &Field::ROOT), ProblemCode::UnsupportedSyntax, "values without tags", found, hint);
    }
    let root = Spot::root(node, marks.and_then(|marks| marks.root.as_ref()), place);
    if let Some(kind) = foreign_kind(root) {
        judge.foreign(kind);
        return Verdict { account: None, problems: judge.into_problems(), claim: None };
    }
    let (name, id, spec) = judge.document(root, rules);
    match (judge.found_nothing(), name, spec) {
        (true, Some(name), Some(spec)) => Verdict { account: Some((name, spec)), problems: Vec::new(), claim: None },
        (_, name, _) => {
            let claim = Claim { account: id, name: name.map(Box::from) };
            Verdict { account: None, problems: judge.into_problems(), claim: Some(claim) }
        }
    }
}

/// The value of `kind`, if it says that this is something else altogether.
fn foreign_kind<'n>(root: Spot<'n>) -> Option<(&'n str, Spot<'n>)> {
    let is_kind = |key: &Node<'_>| matches!(key, Node::Text(key) if key == "kind");
    let (_, _, value) = root.pairs().find(|(key, ..)| is_kind(key))?;
    match value.node {
        Node::Text(kind) if kind != KIND && near_miss(kind, &[KIND]).is_none() => Some((kind, value)),
        _ => None,
    }
}

/// The mapping a key belongs in, for a key that was found in another one.
fn home_of(key: &str) -> Option<&'static str> {
    if SPEC_KEYS.contains(&key) {
        Some("spec")
    } else if METADATA_KEYS.contains(&key) {
        Some("metadata")
    } else {
        None
    }
}

impl Judge<'_> {
    fn foreign(&mut self, (kind, spot): (&str, Spot<'_>)) {
        let hint = if LATER_KINDS.contains(&kind) {
            "this version of zoho-mail-reconciler does not support this kind yet: remove the document or upgrade"
        } else {
            "only manifests of this program belong in this folder"
        };
        let field = Field::ROOT.key("kind");
        self.report((spot.place, &field), ProblemCode::UnsupportedKind, KIND, spot.describe(), Some(hint.to_owned()));
    }

    /// The name, the account and the spec of a document, as far as they can be told.
    fn document<'n>(
        &mut self,
        root: Spot<'n>,
        rules: Rules,
    ) -> (Option<&'n str>, Option<AccountId>, Option<MailAccountSpec>) {
        let Some([api_version, kind, metadata, spec]) = self.object(root, &Field::ROOT, &ROOT_KEYS, home_of) else {
            return (None, None, None);
        };
        self.constant((root, api_version), &Field::ROOT.key("apiVersion"), API_VERSION);
        self.constant((root, kind), &Field::ROOT.key("kind"), KIND);
        let metadata_field = Field::ROOT.key("metadata");
        let name = match metadata {
            Some(metadata) => self.metadata(metadata, &metadata_field),
            None => {
                self.missing(root, &metadata_field, "a mapping with the key name", None);
                None
            }
        };
        let spec_field = Field::ROOT.key("spec");
        let (id, spec) = match spec {
            Some(spec) => self.spec(spec, &spec_field, rules),
            None => {
                self.missing(root, &spec_field, "a mapping with the key accountId", None);
                (None, None)
            }
        };
        (name, id, spec)
    }

    /// A key that has one right value.
    fn constant(&mut self, (parent, spot): (Spot<'_>, Option<Spot<'_>>), field: &Field<'_>, right: &str) {
        let Some(spot) = spot else { return self.missing(parent, field, right, None) };
        match spot.node {
            Node::Text(text) if text == right => {}
            Node::Text(text) => {
                let hint = near_miss(text, &[right]).map(|right| format!("did you mean {right}?"));
                self.report((spot.place, field), ProblemCode::UnsupportedKind, right, spot.describe(), hint);
            }
            _ => self.wrong_type(spot, field, right, None),
        }
    }

    fn metadata<'n>(&mut self, spot: Spot<'n>, field: &Field<'_>) -> Option<&'n str> {
        let [name, labels, annotations] =
            self.object(spot, field, &METADATA_KEYS, |key| SPEC_KEYS.contains(&key).then_some("spec"))?;
        if let Some(labels) = labels {
            self.strings(labels, &field.key("labels"), true);
        }
        if let Some(annotations) = annotations {
            self.strings(annotations, &field.key("annotations"), false);
        }
        let name_field = field.key("name");
        match name {
            Some(name) => self.name(name, &name_field),
            None => {
                self.missing(spot, &name_field, "a name that no other manifest has", None);
                None
            }
        }
    }

    fn spec(
        &mut self,
        spot: Spot<'_>,
        field: &Field<'_>,
        rules: Rules,
    ) -> (Option<AccountId>, Option<MailAccountSpec>) {
        let elsewhere = |key: &str| METADATA_KEYS.contains(&key).then_some("metadata");
        let Some(found) = self.object(spot, field, &SPEC_KEYS, elsewhere) else { return (None, None) };
        let [account_id, zuid, email, enabled, active_sync_enabled, suspend, reason, until] = found;
        if account_id.is_none() {
            let hint = Some("the number Zoho Mail gives the account");
            self.missing(spot, &field.key("accountId"), "the account's id", hint);
        }
        if zuid.is_none() && rules.auth == AuthMode::Admin {
            let hint = Some("needed with --auth admin: the number Zoho gives the user");
            self.missing(spot, &field.key("zuid"), "the user's id", hint);
        }
        if enabled.is_none() && active_sync_enabled.is_none() {
            let expected = "enabled, activeSyncEnabled, or both";
            let hint = Some("without both there is nothing to manage".to_owned());
            self.report((spot.place, field), ProblemCode::MissingKey, expected, "neither".to_owned(), hint);
        }
        let account_id = account_id.and_then(|id| self.id(id, &field.key("accountId"), AccountId::new));
        let zuid = zuid.and_then(|zuid| self.id(zuid, &field.key("zuid"), Zuid::new));
        let email = email.and_then(|email| self.email(email, &field.key("email")));
        let enabled = enabled.and_then(|flag| self.flag(flag, &field.key("enabled")));
        let active_sync_enabled = active_sync_enabled.and_then(|flag| self.flag(flag, &field.key("activeSyncEnabled")));
        let suspend = self.suspend(field, suspend, reason, until);
        let spec = account_id.map(|account_id| MailAccountSpec {
            account_id,
            zuid,
            email: email.map(Box::from),
            enabled,
            active_sync_enabled,
            suspend,
        });
        (account_id, spec)
    }

    fn suspend(
        &mut self,
        field: &Field<'_>,
        suspend: Option<Spot<'_>>,
        reason: Option<Spot<'_>>,
        until: Option<Spot<'_>>,
    ) -> Option<Box<Suspend>> {
        let suspended = suspend.map(|flag| self.flag(flag, &field.key("suspend")));
        let found = match suspended {
            None => Some("no key suspend"),
            Some(Some(false)) => Some("suspend: false"),
            Some(_) => None,
        };
        let beside = [("suspendReason", reason), ("suspendUntil", until)];
        for (key, spot) in beside.into_iter().filter_map(|(key, spot)| Some((key, spot?))) {
            let Some(found) = found else { break };
            let hint = Some("write suspend: true, or remove this key".to_owned());
            let at = (spot.place, &field.key(key));
            self.report(at, ProblemCode::InvalidValue, "suspend: true beside it", found.to_owned(), hint);
        }
        let reason = reason.and_then(|reason| self.reason(reason, &field.key("suspendReason")));
        let until = until.and_then(|until| self.moment(until, &field.key("suspendUntil")));
        matches!(suspended, Some(Some(true))).then(|| Box::new(Suspend { reason: reason.map(Box::from), until }))
    }
}
