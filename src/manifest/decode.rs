//! The rules of a manifest: what every kind has in common, and which kind's own rules count.
//!
//! In: a document's [`Tree`]. Out: a [`Verdict`]: what it declares, or every problem it has and what it still declares.
//! Invariant: these are the only rules, with those of the kinds in [`account`] and [`mod@policy`].

mod account;
mod policy;

use std::sync::Arc;

use super::judge::{Field, Judge, Spot, near_miss};
use super::node::Node;
use super::problem::{Problem, ProblemCode, printable};
use super::reader::Tree;
use super::{API_VERSION, Claim, Kind, PROTECT, PolicySpec, Rules};
use crate::account::{AccountId, MailAccountSpec};

const ROOT_KEYS: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];
const METADATA_KEYS: [&str; 3] = ["name", "labels", "annotations"];

/// The part of a qualified name that is this program's own.
const OUR_PREFIX: &str = "zoho-mail-reconciler";

/// What ConfigMaps, Secrets and the like of Kubernetes call their version.
const CORE_VERSION: &str = "v1";

/// A kind of another program that one of ours resembles.
const OF_KUBERNETES: &str = "PodDisruptionBudget";

/// The kinds of documents that hold others.
const LISTS: [&str; 2] = ["List", "MailAccountList"];

/// What a document declares.
pub(super) enum Content<'n> {
    /// An account.
    Account {
        /// `metadata.name`.
        name: &'n str,
        /// The validated `spec`.
        spec: MailAccountSpec,
        /// What the annotation [`PROTECT`] says.
        protected: bool,
    },
    /// A budget or an approval, with its `metadata.name`.
    Policy(&'n str, PolicySpec),
    /// Something of another program: its `apiVersion` and `kind`.
    Foreign(String),
}

/// What became of one document.
pub(super) struct Verdict<'n> {
    /// What it declares, if there is no problem.
    pub content: Option<Content<'n>>,
    /// Every problem, in order of place.
    pub problems: Vec<Problem>,
    /// What it declares even so, if it has problems; `None` if it cannot declare anything.
    pub claim: Option<Claim>,
}

/// Judges one document and lists the first `most` of its problems.
pub(super) fn decode<'n>(path: &Arc<str>, tree: &'n Tree<'n>, rules: Rules<'_>, most: usize) -> Verdict<'n> {
    let mut judge = Judge::new(path, most);
    for (place, tag) in &tree.tags {
        let found = format!("the tag {}", printable(tag));
        let hint = Some("remove the tag".to_owned());
        judge.report((*place, &Field::ROOT), ProblemCode::UnsupportedSyntax, "values without tags", found, hint);
    }
    let root = Spot::from(&tree.root);
    let Ok(kind) = kind(root) else {
        if let Some(foreign) = foreign(root) {
            return Verdict { content: Some(Content::Foreign(foreign)), problems: Vec::new(), claim: None };
        }
        judge.foreign(root);
        // A kind of ours that this version does not know may be what an older or newer one calls any of its own.
        let claim = Some(Claim { budget: is_ours(root), ..Claim::default() });
        return Verdict { content: None, problems: judge.into_problems(), claim };
    };
    let (content, Told { name, account, protected }) = judge.document(root, kind, rules);
    if let Some(Content::Policy(..)) = content {
        judge.elsewhere(root, path, rules);
    }
    if judge.found_nothing() && content.is_some() {
        return Verdict { content, problems: Vec::new(), claim: None };
    }
    let (name, budget) = (name.map(Box::from), kind == Some(Kind::DisruptionBudget) || looks_like_budget(root));
    let claim = if judge.is_joined() {
        // It declares more than was read: whatever the file declared may be in it.
        let budget = budget || kinds(root).any(|kind| kind == Kind::DisruptionBudget.as_str());
        Claim { budget, protected, ..Claim::default() }
    } else {
        Claim { kind, budget, protected, account, name, grants: false }
    };
    Verdict { content: None, problems: judge.into_problems(), claim: Some(claim) }
}

/// What a document says, whether or not it has problems.
#[derive(Default)]
struct Told<'n> {
    name: Option<&'n str>,
    account: Option<AccountId>,
    protected: bool,
}

/// The value of `kind`, if the document has such a key.
fn kind_spot<'n>(root: Spot<'n>) -> Option<Spot<'n>> {
    value_spot(root, "kind")
}

fn value_spot<'n>(root: Spot<'n>, name: &str) -> Option<Spot<'n>> {
    let is_it = |key: &Node<'_>| matches!(key, Node::Text(key) if key == name);
    root.pairs().find(|(key, ..)| is_it(key)).map(|(_, _, value)| value)
}

/// `apiVersion` and `kind` of a document that is another program's: of the core of Kubernetes, or of an API group, and not
/// of ours or one that is nearly ours. Its kind is none of ours: the caller has seen to that.
fn foreign(root: Spot<'_>) -> Option<String> {
    let text = |name| match value_spot(root, name)?.node {
        Node::Text(text) => Some(text),
        _ => None,
    };
    let (version, kind) = (text("apiVersion")?, text("kind")?);
    let is_another = match version.split_once('/') {
        Some((group, _)) => !group.is_empty() && !is_ours(root),
        None => version == CORE_VERSION && !LISTS.contains(&&**kind),
    };
    // Two documents without a line --- between them may be one of each.
    let is_one = kinds(root).nth(1).is_none();
    (is_another && is_one).then(|| printable(&format!("{version} {kind}")))
}

/// Whether the document is ours, nearly ours, or does not say whose it is.
fn is_ours(root: Spot<'_>) -> bool {
    let Some(Spot { node: Node::Text(version), .. }) = value_spot(root, "apiVersion") else { return true };
    let group = version.split('/').next().unwrap_or_default();
    group.starts_with(OUR_PREFIX) || near_miss(group, &[OUR_PREFIX]).is_some()
}

/// Whether the document says what only a budget says, whatever its kind is.
fn looks_like_budget(root: Spot<'_>) -> bool {
    value_spot(root, "spec").is_some_and(|spec| policy::BUDGET_KEYS.iter().any(|key| value_spot(spec, key).is_some()))
}

/// The texts of every key `kind`.
fn kinds(root: Spot<'_>) -> impl Iterator<Item = &str> {
    root.pairs().filter_map(|(key, _, value)| match (key, value.node) {
        (Node::Text(key), Node::Text(kind)) if key == "kind" => Some(&**kind),
        _ => None,
    })
}

/// Which kind's rules count for a document: its own, or the one it probably means. `None`: nobody can tell; an error: it
/// is something else altogether.
fn kind(root: Spot<'_>) -> Result<Option<Kind>, ()> {
    let Some(Spot { node: Node::Text(kind), .. }) = kind_spot(root) else { return Ok(None) };
    let named = |name: &str| Kind::ALL.into_iter().find(|known| known.as_str() == name);
    let is_meant = kind != OF_KUBERNETES;
    let meant = || near_miss(kind, &Kind::ALL.map(Kind::as_str)).filter(|_| is_meant).and_then(named);
    named(kind).or_else(meant).map(Some).ok_or(())
}

/// The keys of the `spec` of a kind.
const fn spec_keys(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::MailAccount => &account::KEYS,
        Kind::DisruptionBudget => &policy::BUDGET_KEYS,
        Kind::DisruptionApproval => &policy::APPROVAL_KEYS,
    }
}

impl Judge<'_> {
    fn foreign(&mut self, root: Spot<'_>) {
        let Some(spot) = kind_spot(root) else { return };
        let expected = Kind::ALL.map(Kind::as_str).join(", ");
        let is_list = matches!(spot.node, Node::Text(kind) if LISTS.contains(&&**kind));
        let hint = match spot.look_alike() {
            _ if is_list => "write each of its items as a document of its own, separated by lines ---".to_owned(),
            Some(hint) => hint,
            None => "only manifests of this program belong in this folder".to_owned(),
        };
        let at = (spot.place, &Field::ROOT.key("kind"));
        self.report(at, ProblemCode::UnsupportedKind, &format!("one of {expected}"), spot.describe(), Some(hint));
    }

    /// A budget or an approval counts in one folder alone, if an option says so.
    fn elsewhere(&mut self, root: Spot<'_>, path: &str, rules: Rules<'_>) {
        let (Some(dir), Some(kind)) = (rules.protection.policies_are_elsewhere(path), kind_spot(root)) else { return };
        let expected = format!("budgets and approvals in {} alone, as --policy-dir says", printable(&dir.to_string()));
        let hint = Some("move the file there".to_owned());
        self.report(
            (kind.place, &Field::ROOT.key("kind")),
            ProblemCode::UnsupportedKind,
            &expected,
            kind.describe(),
            hint,
        );
    }

    /// What a document declares if it has no problem, and what it declares in any case. A document that does not say its
    /// kind is judged as an account, for nearly every one is.
    fn document<'n>(
        &mut self,
        root: Spot<'n>,
        kind: Option<Kind>,
        rules: Rules<'_>,
    ) -> (Option<Content<'n>>, Told<'n>) {
        let mut told = Told::default();
        let kind = kind.unwrap_or(Kind::MailAccount);
        let home = |key: &str| {
            let of_metadata = METADATA_KEYS.contains(&key).then_some("metadata");
            if spec_keys(kind).contains(&key) { Some("spec") } else { of_metadata }
        };
        let Some([api_version, kind_at, metadata, spec]) = self.object(root, &Field::ROOT, &ROOT_KEYS, home) else {
            return (None, told);
        };
        self.constant((root, api_version), &Field::ROOT.key("apiVersion"), API_VERSION);
        self.constant((root, kind_at), &Field::ROOT.key("kind"), kind.as_str());
        let metadata_field = Field::ROOT.key("metadata");
        let (name, protected) = match metadata {
            Some(metadata) => self.metadata(metadata, &metadata_field, kind),
            None => {
                self.missing(root, &metadata_field, "a mapping with the key name", None);
                (None, false)
            }
        };
        (told.name, told.protected) = (name, protected);
        let spec_field = Field::ROOT.key("spec");
        let Some(spec) = spec else {
            self.missing(root, &spec_field, &format!("a mapping with the key {}", spec_keys(kind)[0]), None);
            return (None, told);
        };
        let content = match kind {
            Kind::MailAccount => {
                let (account, spec) = self.account(spec, &spec_field, (name, protected), rules);
                told.account = account;
                name.zip(spec).map(|(name, spec)| Content::Account { name, spec, protected })
            }
            Kind::DisruptionBudget => {
                let budget = self.budget(spec, &spec_field).map(PolicySpec::Budget);
                name.zip(budget).map(|(name, budget)| Content::Policy(name, budget))
            }
            Kind::DisruptionApproval => {
                let approval = self.approval(spec, &spec_field).map(PolicySpec::Approval);
                name.zip(approval).map(|(name, approval)| Content::Policy(name, approval))
            }
        };
        (content, told)
    }

    /// A key that has one right value.
    fn constant(&mut self, (parent, spot): (Spot<'_>, Option<Spot<'_>>), field: &Field<'_>, right: &str) {
        let Some(spot) = spot else { return self.missing(parent, field, right, None) };
        match spot.node {
            Node::Text(text) if text == right => {}
            Node::Text(text) => {
                let meant = || near_miss(text, &[right]).map(|right| format!("did you mean {right}?"));
                let hint = spot.look_alike().or_else(meant);
                self.report((spot.place, field), ProblemCode::UnsupportedKind, right, spot.describe(), hint);
            }
            _ => self.wrong_type(spot, field, right, None),
        }
    }

    /// The name, and whether the account is protected.
    fn metadata<'n>(&mut self, spot: Spot<'n>, field: &Field<'_>, kind: Kind) -> (Option<&'n str>, bool) {
        let elsewhere = |key: &str| spec_keys(kind).contains(&key).then_some("spec");
        let Some([name, labels, annotations]) = self.object(spot, field, &METADATA_KEYS, elsewhere) else {
            return (None, false);
        };
        if let Some(labels) = labels {
            let field = field.key("labels");
            for (key, place, _) in self.strings(labels, &field, true) {
                if key == PROTECT {
                    let (expected, hint) = ("labels of your own", "it belongs under annotations");
                    let at = (place, &field.key(key));
                    self.report(at, ProblemCode::InvalidValue, expected, format!("the key {key}"), Some(hint.into()));
                }
            }
        }
        let field_of_annotations = field.key("annotations");
        let protected = annotations.is_some_and(|spot| self.annotations(spot, &field_of_annotations, kind));
        let name_field = field.key("name");
        match name {
            Some(name) => (self.name(name, &name_field), protected),
            None => {
                self.missing(spot, &name_field, "a name that no other manifest has", None);
                (None, protected)
            }
        }
    }

    /// Whether the annotations protect the account. Those that look like this program's own must be.
    fn annotations(&mut self, spot: Spot<'_>, field: &Field<'_>, kind: Kind) -> bool {
        let mut protected = false;
        for (key, place, value) in self.strings(spot, field, false) {
            let Some((prefix, name)) = key.split_once('/') else { continue };
            let field = field.key(key);
            if key == PROTECT && kind == Kind::MailAccount {
                // Whatever it says instead of "false" is a problem or protects; what was meant to protect does so too.
                protected |= !matches!(value.node, Node::Text(text) if text == "false");
                // What is no text has been told already.
                if matches!(value.node, Node::Text(text) if text != "true" && text != "false") {
                    self.invalid(value, &field, "\"true\" or \"false\"", None);
                }
                continue;
            }
            let meant = near_miss(name, &["protect"]).is_some() && kind == Kind::MailAccount;
            // Another program may have an annotation of this name; a prefix that is nearly ours is misspelt.
            if prefix == OUR_PREFIX || meant && near_miss(prefix, &[OUR_PREFIX]).is_some() {
                protected |= meant;
                let hint = meant.then(|| format!("did you mean {PROTECT}?"));
                let (expected, found) =
                    ("an annotation that this version knows", format!("the key {}", printable(key)));
                self.report((place, &field), ProblemCode::UnknownKey, expected, found, hint);
            }
        }
        protected
    }
}
