//! Who declares what: by account, by name, and where two documents clash.
//!
//! In: declarations, one at a time. Out: the one that counts for an account, and its standing.
//! Invariants: within an account and within a name, documents that are readable come before
//! those that only keep their last good state, then by place; so the first two members tell
//! everything. The set of clashes always holds exactly the readable documents that share account or name with
//! another readable one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{DesiredAccount, Standing};
use crate::account::{AccountId, SourceRef};
use crate::manifest::{Document, Place};

/// One document's declaration.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub document: Document,
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
        let Document { name: _, spec, source, spec_hash: _, account_id_at, name_at } = &self.document;
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

/// The documents that bear one name. Nearly always one, which then costs no allocation.
#[derive(Debug)]
enum Namesakes {
    One(AccountId),
    Many(Box<BTreeSet<Namesake>>),
}

/// All declarations.
#[derive(Debug, Default)]
pub(super) struct Declarations {
    /// For each account who declares it, by rank; never empty.
    accounts: BTreeMap<AccountId, Vec<Declared>>,
    names: BTreeMap<Arc<str>, Namesakes>,
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

    pub(super) fn ids(&self) -> impl Iterator<Item = AccountId> {
        self.accounts.keys().copied()
    }

    pub(super) const fn clashes(&self) -> &BTreeSet<Clash> {
        &self.clashes
    }

    /// What counts for an account.
    pub(super) fn view(&self, id: AccountId) -> Option<DesiredAccount<'_>> {
        let chosen = self.accounts.get(&id)?.first()?;
        let other = self.rival(id, chosen, Shared::Account).or_else(|| self.rival(id, chosen, Shared::Name));
        let standing = match other {
            Some((other, _)) => Standing::Duplicate { other },
            None if chosen.last_good => Standing::LastGood,
            None => Standing::Current,
        };
        let Document { name, spec, source, spec_hash, account_id_at: _, name_at: _ } = &chosen.document;
        Some(DesiredAccount { name, spec, source, spec_hash: *spec_hash, standing })
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
                let first_two = self.accounts.get(&id)?.iter().take(2).map(|other| (other.rank(), other));
                let mut rivals = first_two.filter(|((last_good, source), _)| holds((*last_good, source, id)));
                rivals.next().map(|(_, other)| (&other.document.source, id))
            }
            Shared::Name => match self.names.get(&declared.document.name)? {
                Namesakes::One(_) => None,
                Namesakes::Many(members) => {
                    let mut first_two = members.iter().take(2);
                    let rival = first_two.find(|(last_good, source, id)| holds((*last_good, source, *id)));
                    rival.map(|(_, source, id)| (source, *id))
                }
            },
        }
    }

    /// The declaration of `id` by the readable document at `source`.
    pub(super) fn readable(&self, id: AccountId, source: &SourceRef) -> Option<&Declared> {
        let group = self.accounts.get(&id)?;
        group.binary_search_by(|declared| declared.rank().cmp(&(false, source))).ok().map(|index| &group[index])
    }

    /// The names that documents of the file `path` give to `id`.
    pub(super) fn names_in<'s>(&'s self, id: AccountId, path: &'s Arc<str>) -> impl Iterator<Item = &'s Arc<str>> {
        let group = self.accounts.get(&id).map_or(&[][..], Vec::as_slice);
        group.iter().filter(|declared| declared.document.source.path == *path).map(|declared| &declared.document.name)
    }

    /// How many bear `name`, as far as it matters.
    pub(super) fn crowd(&self, name: &Arc<str>) -> Crowd {
        match self.names.get(name) {
            None | Some(Namesakes::One(_)) => (false, false),
            Some(Namesakes::Many(members)) => (members.iter().nth(1).is_some_and(|(last_good, ..)| !last_good), true),
        }
    }

    /// The account of the first document that bears `name`.
    pub(super) fn first_named(&self, name: &Arc<str>) -> Option<AccountId> {
        match self.names.get(name)? {
            Namesakes::One(id) => Some(*id),
            Namesakes::Many(members) => members.first().map(|(_, _, id)| *id),
        }
    }

    /// Adds a declaration; returns its account.
    pub(super) fn insert(&mut self, new: Declared) -> AccountId {
        let id = new.document.spec.account_id;
        let (name, member) = (Arc::clone(&new.document.name), new.namesake());
        let group = self.accounts.entry(id).or_insert_with(|| Vec::with_capacity(1));
        let newly_managed = !new.last_good && group.first().is_none_or(|first| first.last_good);
        let index = group.partition_point(|other| other.rank() < new.rank());
        group.insert(index, new);
        self.managed += usize::from(newly_managed);
        self.insert_name(&name, member.clone());
        let (last_good, source, _) = member;
        if !last_good {
            self.clashes_after_insert(id, &name, &source);
        }
        id
    }

    fn insert_name(&mut self, name: &Arc<str>, new: Namesake) {
        let Some(namesakes) = self.names.get_mut(name) else {
            self.names.insert(Arc::clone(name), Namesakes::One(new.2));
            return;
        };
        match namesakes {
            Namesakes::Many(members) => {
                members.insert(new);
            }
            Namesakes::One(id) => {
                let group = self.accounts.get(id).map_or(&[][..], Vec::as_slice);
                let bearers = group.iter().filter(|bearer| bearer.document.name == *name).map(Declared::namesake);
                *namesakes = Namesakes::Many(Box::new(bearers.chain([new]).collect()));
            }
        }
    }

    /// Removes the first declaration of `id` by the file `path`.
    pub(super) fn remove(&mut self, id: AccountId, path: &Arc<str>) -> Option<Declared> {
        let group = self.accounts.get_mut(&id)?;
        let index = group.iter().position(|member| member.document.source.path == *path)?;
        let old = group.remove(index);
        let unmanaged = !old.last_good && group.first().is_none_or(|first| first.last_good);
        if group.is_empty() {
            self.accounts.remove(&id);
        }
        self.managed -= usize::from(unmanaged);
        self.remove_name(&old);
        if !old.last_good {
            self.clashes_after_remove(id, &old);
        }
        Some(old)
    }

    fn remove_name(&mut self, old: &Declared) {
        let name = &old.document.name;
        match self.names.get_mut(name) {
            Some(namesakes @ Namesakes::Many(_)) => {
                let Namesakes::Many(members) = namesakes else { return };
                members.remove(&old.namesake());
                if let (1, Some((_, _, id))) = (members.len(), members.first()) {
                    *namesakes = Namesakes::One(*id);
                }
            }
            _ => {
                self.names.remove(name);
            }
        }
    }

    /// The first three readable documents that share account or name; three tell "two" from "more".
    fn sharers(&self, id: AccountId, name: &Arc<str>, shared: Shared) -> Vec<Clash> {
        let clash = |declared: &Declared| declared.clash(shared);
        match (shared, self.names.get(name)) {
            (Shared::Account, _) => {
                let group = self.accounts.get(&id).map_or(&[][..], Vec::as_slice);
                group.iter().take(3).filter(|declared| !declared.last_good).map(clash).collect()
            }
            (Shared::Name, Some(Namesakes::Many(members))) => {
                let readable = members.iter().take(3).filter(|(last_good, ..)| !last_good);
                readable.filter_map(|(_, source, id)| self.readable(*id, source)).map(clash).collect()
            }
            // Where one is left, it can have clashed only with the one that was removed just now.
            (Shared::Name, Some(Namesakes::One(id))) => {
                let group = self.accounts.get(id).map_or(&[][..], Vec::as_slice);
                let bearer = group.iter().find(|declared| declared.document.name == *name && !declared.last_good);
                bearer.map(clash).into_iter().collect()
            }
            (Shared::Name, None) => Vec::new(),
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
