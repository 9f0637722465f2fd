//! Who declares what: by account, by name, and where two documents clash.
//!
//! In: declarations, one at a time. Out: the one that counts for an account, and its standing.
//! Invariants: within an account and within a name, documents that are readable come before
//! those that only keep their last good state, then by place; so the first two members tell
//! everything. The set of clashes always holds exactly the readable documents that share account or name with
//! another readable one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{DesiredAccount, Revisions, Standing};
use crate::account::{AccountId, SourceRef};
use crate::manifest::{Document, Place};

/// One document's declaration.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub document: Document,
    /// The revision at which each field came to be wanted as it is.
    pub revisions: Revisions,
    /// Whether the document is broken now, and this is what it said before.
    pub last_good: bool,
}

impl Declared {
    fn rank(&self) -> (bool, &SourceRef) {
        (self.last_good, &self.document.source)
    }

    fn namesake(&self) -> Namesake {
        (self.last_good, self.document.source.clone(), self.document.spec.account_id)
    }

    pub(super) fn clash(&self, shared: Shared) -> Clash {
        let Document { name: _, spec, source, spec_hash: _, account_id_at, name_at, protected: _ } = &self.document;
        let place = if shared == Shared::Account { *account_id_at } else { *name_at };
        Clash { path: Arc::clone(&source.path), place, shared, account: spec.account_id, line: source.line }
    }
}

/// What two documents share that only one may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shared {
    Name,
    Account,
}

/// A readable document that shares something with another one. Ordered by place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Clash {
    pub path: Arc<str>,
    pub place: Place,
    pub shared: Shared,
    pub account: AccountId,
    /// With `path`, the document.
    pub line: u32,
}

/// Whether several readable documents bear a name, and whether several documents at all do.
pub(super) type Crowd = (bool, bool);

/// A document that bears a name: whether it only keeps its last good state, its place, its account.
type Namesake = (bool, SourceRef, AccountId);

/// The documents that declare one account, by rank; never none. Nearly always one, and of 100,000
/// accounts each byte counts: hence not simply a `Vec`.
#[derive(Debug)]
#[expect(clippy::box_collection, reason = "a bare Vec makes the entry of every account 8 bytes larger")]
enum Group {
    One(Box<Declared>),
    Many(Box<Vec<Declared>>),
}

impl Group {
    fn as_slice(&self) -> &[Declared] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    fn has_readable(&self) -> bool {
        self.as_slice().first().is_some_and(|first| !first.last_good)
    }

    fn insert(self, new: Declared) -> Self {
        let mut many = match self {
            Self::One(one) => Box::new(vec![*one]),
            Self::Many(many) => many,
        };
        let index = many.partition_point(|other| other.rank() < new.rank());
        many.insert(index, new);
        Self::Many(many)
    }

    /// Takes out the last document of the file `path`; the rest is `None` if that was the only one.
    fn remove(self, path: &Arc<str>) -> (Option<Declared>, Option<Self>) {
        let index = self.as_slice().iter().rposition(|member| member.document.source.path == *path);
        match (self, index) {
            (group, None) => (None, Some(group)),
            (Self::One(one), Some(_)) => (Some(*one), None),
            (Self::Many(mut many), Some(index)) => {
                let old = many.remove(index);
                let rest = match (many.len(), many.pop()) {
                    (_, None) => None,
                    (1, Some(last)) => Some(Self::One(Box::new(last))),
                    (_, Some(last)) => {
                        many.push(last);
                        Some(Self::Many(many))
                    }
                };
                (Some(old), rest)
            }
        }
    }
}

/// All declarations.
#[derive(Debug, Default)]
pub(super) struct Declarations {
    accounts: BTreeMap<AccountId, Group>,
    /// The account of the only document that bears a name.
    names: BTreeMap<Arc<str>, AccountId>,
    /// All documents that bear a name, where there are several.
    shared_names: BTreeMap<Arc<str>, BTreeSet<Namesake>>,
    clashes: BTreeSet<Clash>,
    managed: usize,
}

impl Declarations {
    pub(super) fn len(&self) -> usize {
        self.accounts.len()
    }

    pub(super) const fn managed(&self) -> usize {
        self.managed
    }

    pub(super) fn ids_from(&self, first: Option<AccountId>) -> impl Iterator<Item = AccountId> {
        let range = match first {
            Some(first) => self.accounts.range(first..),
            None => self.accounts.range(..),
        };
        range.map(|(id, _)| *id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = AccountId> {
        self.accounts.keys().copied()
    }

    pub(super) const fn clashes(&self) -> &BTreeSet<Clash> {
        &self.clashes
    }

    /// The documents that declare an account, by rank.
    fn group(&self, id: AccountId) -> &[Declared] {
        self.accounts.get(&id).map_or(&[], Group::as_slice)
    }

    /// What counts for an account.
    pub(super) fn view(&self, id: AccountId) -> Option<DesiredAccount<'_>> {
        let chosen = self.group(id).first()?;
        let other = self.rival(id, chosen, Shared::Account).or_else(|| self.rival(id, chosen, Shared::Name));
        let standing = match other {
            Some((other, _)) => Standing::Duplicate { other },
            None if chosen.last_good => Standing::LastGood,
            None => Standing::Current,
        };
        let Document { name, spec, source, spec_hash, account_id_at: _, name_at: _, protected } = &chosen.document;
        let (revisions, protected) = (&chosen.revisions, *protected);
        // What approvals say is known elsewhere.
        let clauses = &[];
        Some(DesiredAccount { name, spec, source, revisions, spec_hash: *spec_hash, standing, protected, clauses })
    }

    /// The first other document that shares account or name with `declared` and may hold it: one that
    /// is broken now holds no readable one.
    pub(super) fn rival(&self, id: AccountId, declared: &Declared, shared: Shared) -> Option<(&SourceRef, AccountId)> {
        let me = (declared.last_good, &declared.document.source, id);
        let holds = |(last_good, source, id): (bool, &SourceRef, AccountId)| {
            (declared.last_good || !last_good) && (last_good, source, id) != me
        };
        // Readable ones come first, so one of the first two is a rival if any is.
        match shared {
            Shared::Account => {
                let mut first_two = self.group(id).iter().take(2).map(Declared::rank);
                first_two.find(|(last_good, source)| holds((*last_good, source, id))).map(|(_, source)| (source, id))
            }
            Shared::Name => {
                let mut first_two = self.shared_names.get(&declared.document.name)?.iter().take(2);
                let rival = first_two.find(|(last_good, source, id)| holds((*last_good, source, *id)));
                rival.map(|(_, source, id)| (source, *id))
            }
        }
    }

    /// The declaration of `id` by the readable document at `source`.
    pub(super) fn readable(&self, id: AccountId, source: &SourceRef) -> Option<&Declared> {
        let group = self.group(id);
        group.binary_search_by(|declared| declared.rank().cmp(&(false, source))).ok().map(|index| &group[index])
    }

    /// The names that documents of the file `path` give to `id`.
    pub(super) fn names_in<'s>(&'s self, id: AccountId, path: &'s Arc<str>) -> impl Iterator<Item = &'s Arc<str>> {
        let of_file = self.group(id).iter().filter(|declared| declared.document.source.path == *path);
        of_file.map(|declared| &declared.document.name)
    }

    /// How many bear `name`, as far as it matters.
    pub(super) fn crowd(&self, name: &Arc<str>) -> Crowd {
        let second = self.shared_names.get(name).and_then(|members| members.iter().nth(1));
        (second.is_some_and(|(last_good, ..)| !last_good), second.is_some())
    }

    /// The accounts of all documents that bear `name`.
    pub(super) fn bearers(&self, name: &str) -> impl Iterator<Item = AccountId> {
        let shared = self.shared_names.get(name).into_iter().flatten().map(|(_, _, id)| *id);
        self.names.get(name).copied().into_iter().chain(shared)
    }

    /// The account of the first document that bears `name`.
    pub(super) fn first_named(&self, name: &Arc<str>) -> Option<AccountId> {
        let first = || self.shared_names.get(name)?.first().map(|(_, _, id)| *id);
        self.names.get(name).copied().or_else(first)
    }

    /// Adds a declaration; returns its account.
    pub(super) fn insert(&mut self, new: Declared) -> AccountId {
        let id = new.document.spec.account_id;
        let (name, member) = (Arc::clone(&new.document.name), new.namesake());
        let readable_before = self.accounts.get(&id).is_some_and(Group::has_readable);
        let group = match self.accounts.remove(&id) {
            None => Group::One(Box::new(new)),
            Some(group) => group.insert(new),
        };
        self.accounts.insert(id, group);
        self.insert_name(&name, member.clone());
        let (last_good, source, _) = member;
        if !last_good {
            self.managed += usize::from(!readable_before);
            self.clashes_after_insert(id, &name, &source);
        }
        id
    }

    fn insert_name(&mut self, name: &Arc<str>, new: Namesake) {
        if let Some(members) = self.shared_names.get_mut(name) {
            members.insert(new);
        } else if let Some(id) = self.names.remove(name) {
            let bearers = self.group(id).iter().filter(|bearer| bearer.document.name == *name);
            let members = bearers.map(Declared::namesake).chain([new]).collect();
            self.shared_names.insert(Arc::clone(name), members);
        } else {
            self.names.insert(Arc::clone(name), new.2);
        }
    }

    /// Removes one declaration of `id` by the file `path`.
    pub(super) fn remove(&mut self, id: AccountId, path: &Arc<str>) -> Option<Declared> {
        let (old, rest) = self.accounts.remove(&id)?.remove(path);
        let readable_after = rest.as_ref().is_some_and(Group::has_readable);
        if let Some(rest) = rest {
            self.accounts.insert(id, rest);
        }
        let old = old?;
        self.remove_name(&old);
        if !old.last_good {
            self.managed -= usize::from(!readable_after);
            self.clashes_after_remove(id, &old);
        }
        Some(old)
    }

    fn remove_name(&mut self, old: &Declared) {
        let name = &old.document.name;
        let Some(members) = self.shared_names.get_mut(name) else {
            self.names.remove(name);
            return;
        };
        members.remove(&old.namesake());
        if let (1, Some((_, _, id))) = (members.len(), members.first()) {
            self.names.insert(Arc::clone(name), *id);
            self.shared_names.remove(name);
        }
    }

    /// The first three readable documents that share account or name; three tell "two" from "more".
    fn sharers(&self, id: AccountId, name: &Arc<str>, shared: Shared) -> Vec<Clash> {
        let readable = |declared: &&Declared| !declared.last_good;
        let clash = |declared: &Declared| declared.clash(shared);
        match (shared, self.shared_names.get(name), self.names.get(name)) {
            (Shared::Account, ..) => self.group(id).iter().take(3).filter(readable).map(clash).collect(),
            (Shared::Name, Some(members), _) => {
                let members = members.iter().take(3).filter(|(last_good, ..)| !last_good);
                members.filter_map(|(_, source, id)| self.readable(*id, source)).map(clash).collect()
            }
            // The only bearer left clashes with nobody; it did with the one that has just been removed.
            (Shared::Name, None, Some(id)) => {
                let bearers = self.group(*id).iter().filter(|declared| declared.document.name == *name);
                bearers.filter(readable).map(clash).collect()
            }
            (Shared::Name, None, None) => Vec::new(),
        }
    }

    fn clashes_after_insert(&mut self, id: AccountId, name: &Arc<str>, source: &SourceRef) {
        for shared in [Shared::Account, Shared::Name] {
            let sharers = self.sharers(id, name, shared);
            match sharers.len() {
                0 | 1 => {}
                2 => self.clashes.extend(sharers),
                _ => self.clashes.extend(self.readable(id, source).map(|declared| declared.clash(shared))),
            }
        }
    }

    fn clashes_after_remove(&mut self, id: AccountId, old: &Declared) {
        for shared in [Shared::Account, Shared::Name] {
            self.clashes.remove(&old.clash(shared));
            if let [last] = self.sharers(id, &old.document.name, shared).as_slice() {
                self.clashes.remove(last);
            }
        }
    }
}
