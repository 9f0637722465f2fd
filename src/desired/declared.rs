//! Who declares what: by account, by name, by address, and where two documents clash.
//!
//! In: declarations, one at a time. Out: the one that counts for an account, and its standing.
//! Invariants: within an account, within a name and within an address, documents that are readable come before
//! those that only keep their last good state, then by place; so the first two members tell
//! everything. The set of clashes always holds exactly the readable documents that share one of these
//! with another readable one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

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
        let Document { name: _, spec, source, spec_hash: _, account_id_at, name_at, email_at, protected: _ } =
            &self.document;
        let place = match shared {
            Shared::Name => *name_at,
            Shared::Email => *email_at,
            Shared::Account => *account_id_at,
        };
        Clash { path: Arc::clone(&source.path), place, shared, account: spec.account_id, line: source.line }
    }
}

/// What two documents share that only one may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shared {
    Name,
    Email,
    Account,
}

impl Shared {
    const ALL: [Self; 3] = [Self::Name, Self::Email, Self::Account];
}

/// By what a document calls its account, besides the id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Handle {
    Name(Arc<str>),
    /// A hash of the address, of which upper and lower case are one: of 100,000 accounts each byte counts. That two
    /// addresses have one hash does not happen by chance; if it did, nothing would be sent for either.
    Email(u64),
}

impl Handle {
    const fn shared(&self) -> Shared {
        match self {
            Self::Name(_) => Shared::Name,
            Self::Email(_) => Shared::Email,
        }
    }

    fn of(document: &Document, shared: Shared) -> Option<Self> {
        match shared {
            Shared::Name => Some(Self::Name(Arc::clone(&document.name))),
            Shared::Email => {
                document.spec.email.as_ref().map(|email| Self::Email(xxh3_64(email.to_lowercase().as_bytes())))
            }
            Shared::Account => None,
        }
    }

    /// All of a document.
    pub(super) fn all_of(document: &Document) -> impl Iterator<Item = Self> {
        Shared::ALL.into_iter().filter_map(|shared| Self::of(document, shared))
    }

    fn is_of(&self, document: &Document) -> bool {
        Self::of(document, self.shared()).as_ref() == Some(self)
    }
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

/// Whether several readable documents bear a name or an address, and whether several documents at all do.
pub(super) type Crowd = (bool, bool);

/// A document that bears a name or an address: whether it only keeps its last good state, its place, its account.
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
    /// The account of the only document that bears a name or an address.
    handles: BTreeMap<Handle, AccountId>,
    /// All documents that bear it, where there are several.
    shared_handles: BTreeMap<Handle, BTreeSet<Namesake>>,
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
        let other = Shared::ALL.iter().rev().find_map(|shared| self.rival(id, chosen, *shared));
        let standing = match other {
            Some((other, _)) => Standing::Duplicate { other },
            None if chosen.last_good => Standing::LastGood,
            None => Standing::Current,
        };
        let Document { name, spec, source, spec_hash, account_id_at: _, name_at: _, email_at: _, protected } =
            &chosen.document;
        let (revisions, protected) = (&chosen.revisions, *protected);
        // What approvals say is known elsewhere.
        let clauses = &[];
        Some(DesiredAccount { name, spec, source, revisions, spec_hash: *spec_hash, standing, protected, clauses })
    }

    /// The first other document that shares this with `declared` and may hold it: one that
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
            Shared::Name | Shared::Email => {
                // Nearly always nothing is shared, and then nothing has to be hashed.
                let handle = Some(()).filter(|()| !self.shared_handles.is_empty());
                let handle = handle.and_then(|()| Handle::of(&declared.document, shared))?;
                let mut first_two = self.shared_handles.get(&handle)?.iter().take(2);
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

    /// The names and addresses that documents of the file `path` give to `id`.
    pub(super) fn handles_in(&self, id: AccountId, path: &Arc<str>) -> impl Iterator<Item = Handle> {
        let of_file = self.group(id).iter().filter(move |declared| declared.document.source.path == *path);
        of_file.flat_map(|declared| Handle::all_of(&declared.document))
    }

    /// How many bear `handle`, as far as it matters.
    pub(super) fn crowd(&self, handle: &Handle) -> Crowd {
        let second = self.shared_handles.get(handle).and_then(|members| members.iter().nth(1));
        (second.is_some_and(|(last_good, ..)| !last_good), second.is_some())
    }

    /// The accounts of all documents that bear `name`.
    pub(super) fn bearers(&self, name: &str) -> impl Iterator<Item = AccountId> {
        let name = Handle::Name(name.into());
        let shared = self.shared_handles.get(&name).into_iter().flatten().map(|(_, _, id)| *id);
        self.handles.get(&name).copied().into_iter().chain(shared)
    }

    /// The account of the first document that bears `handle`.
    pub(super) fn first(&self, handle: &Handle) -> Option<AccountId> {
        let first = || self.shared_handles.get(handle)?.first().map(|(_, _, id)| *id);
        self.handles.get(handle).copied().or_else(first)
    }

    /// Adds a declaration; returns its account.
    pub(super) fn insert(&mut self, new: Declared) -> AccountId {
        let id = new.document.spec.account_id;
        let (handles, member): (Vec<_>, _) = (Handle::all_of(&new.document).collect(), new.namesake());
        let readable_before = self.accounts.get(&id).is_some_and(Group::has_readable);
        let group = match self.accounts.remove(&id) {
            None => Group::One(Box::new(new)),
            Some(group) => group.insert(new),
        };
        self.accounts.insert(id, group);
        handles.iter().for_each(|handle| self.insert_handle(handle, member.clone()));
        let (last_good, source, _) = member;
        if !last_good {
            self.managed += usize::from(!readable_before);
            self.clashes_after_insert(id, &handles, &source);
        }
        id
    }

    fn insert_handle(&mut self, handle: &Handle, new: Namesake) {
        if let Some(members) = self.shared_handles.get_mut(handle) {
            members.insert(new);
        } else if let Some(id) = self.handles.remove(handle) {
            let bearers = self.group(id).iter().filter(|bearer| handle.is_of(&bearer.document));
            let members = bearers.map(Declared::namesake).chain([new]).collect();
            self.shared_handles.insert(handle.clone(), members);
        } else {
            self.handles.insert(handle.clone(), new.2);
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
        let handles: Vec<_> = Handle::all_of(&old.document).collect();
        handles.iter().for_each(|handle| self.remove_handle(handle, &old));
        if !old.last_good {
            self.managed -= usize::from(!readable_after);
            self.clashes_after_remove(id, &handles, &old);
        }
        Some(old)
    }

    fn remove_handle(&mut self, handle: &Handle, old: &Declared) {
        let Some(members) = self.shared_handles.get_mut(handle) else {
            self.handles.remove(handle);
            return;
        };
        members.remove(&old.namesake());
        if let (1, Some((_, _, id))) = (members.len(), members.first()) {
            self.handles.insert(handle.clone(), *id);
            self.shared_handles.remove(handle);
        }
    }

    /// The first three readable documents that share the account; three tell "two" from "more".
    fn sharers_of_account(&self, id: AccountId) -> Vec<Clash> {
        let readable = self.group(id).iter().take(3).filter(|declared| !declared.last_good);
        readable.map(|declared| declared.clash(Shared::Account)).collect()
    }

    /// The first three readable documents that bear `handle`.
    fn sharers_of(&self, handle: &Handle) -> Vec<Clash> {
        let clash = |declared: &Declared| declared.clash(handle.shared());
        match (self.shared_handles.get(handle), self.handles.get(handle)) {
            (Some(members), _) => {
                let members = members.iter().take(3).filter(|(last_good, ..)| !last_good);
                members.filter_map(|(_, source, id)| self.readable(*id, source)).map(clash).collect()
            }
            // The only bearer left clashes with no other; it did with the one that has just been removed.
            (None, Some(id)) => {
                let bearers = self.group(*id).iter().filter(|declared| handle.is_of(&declared.document));
                bearers.filter(|declared| !declared.last_good).map(clash).collect()
            }
            (None, None) => Vec::new(),
        }
    }

    fn clashes_after_insert(&mut self, id: AccountId, handles: &[Handle], source: &SourceRef) {
        let of_handles = handles.iter().map(|handle| (handle.shared(), self.sharers_of(handle)));
        let sharers: Vec<_> = of_handles.chain([(Shared::Account, self.sharers_of_account(id))]).collect();
        for (shared, sharers) in sharers {
            match sharers.len() {
                0 | 1 => {}
                2 => self.clashes.extend(sharers),
                _ => self.clashes.extend(self.readable(id, source).map(|declared| declared.clash(shared))),
            }
        }
    }

    fn clashes_after_remove(&mut self, id: AccountId, handles: &[Handle], old: &Declared) {
        for shared in Shared::ALL {
            self.clashes.remove(&old.clash(shared));
        }
        let of_handles = handles.iter().map(|handle| self.sharers_of(handle));
        let sharers: Vec<_> = of_handles.chain([self.sharers_of_account(id)]).collect();
        for last in sharers.iter().filter(|sharers| sharers.len() == 1).flatten() {
            self.clashes.remove(last);
        }
    }
}
