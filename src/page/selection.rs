//! Which accounts are shown: what the address asks for, as words.
//!
//! In: the query of an address. Out: [`Selection`], the query again, and the accounts it picks.
//! Invariants: whatever an address says, some page answers it: what is not understood is left out; a page of accounts
//! costs one look at each of them and an order of those it shows.

use std::cmp::Ordering;

use form_urlencoded::Serializer;
use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};

use super::catalogue::{Catalogue, Entry, State};
use crate::account::printable;
use crate::condition::Reason;

/// How many accounts a page shows.
pub const PER_PAGE: usize = 100;

/// The longest text that is searched for, in characters: longer than any name and address (RFC 5321: 254).
const TEXT_MAX: usize = 254;

/// The order of the accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Those first that somebody has to care for.
    #[default]
    Attention,
    /// By name.
    Name,
    /// What changed last comes first.
    Newest,
    /// What waits longest comes first.
    Oldest,
}

impl Sort {
    /// All of them, with how an address and how a person names them.
    pub const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Attention, "attention", "Needs attention"),
        (Self::Name, "name", "Name"),
        (Self::Newest, "newest", "Newest first"),
        (Self::Oldest, "oldest", "Oldest first"),
    ];

    fn order(self, a: &Entry, b: &Entry) -> Ordering {
        let by_name = || (&a.name, a.id).cmp(&(&b.name, b.id));
        match self {
            Self::Attention => a.state.cmp(&b.state).then_with(by_name),
            Self::Name => by_name(),
            Self::Newest => b.since.cmp(&a.since).then_with(by_name),
            Self::Oldest => a.since.cmp(&b.since).then_with(by_name),
        }
    }
}

/// What an address asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// What name, id or address mention.
    pub text: String,
    /// Only this state.
    pub state: Option<State>,
    /// Only this reason.
    pub reason: Option<Reason>,
    /// In this order.
    pub sort: Sort,
    /// Which page; 0 is the first.
    pub page: usize,
}

/// The accounts on one page.
#[derive(Debug)]
pub struct Picked<'c> {
    /// Those of the page.
    pub entries: Vec<&'c Entry>,
    /// How many were found in all.
    pub found: usize,
    /// Which page it is: the last one, if the one that was asked for is beyond it.
    pub page: usize,
    /// How many pages there are, at least one.
    pub pages: usize,
}

impl Selection {
    /// What `query` asks for.
    pub fn from_query(query: &str) -> Self {
        let mut selection = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "q" => {
                    // No name has such a character, and a shared address must not deceive.
                    let plain = value.trim().chars().filter(|c| !printable::is_deceptive(*c));
                    selection.text = plain.take(TEXT_MAX).collect();
                }
                "state" => selection.state = State::ALL.into_iter().find(|state| state.key() == value),
                "reason" => selection.reason = Reason::deserialize(StrDeserializer::<Error>::new(&value)).ok(),
                "sort" => {
                    let named = Sort::ALL.into_iter().find(|(_, key, _)| *key == value);
                    selection.sort = named.map_or_else(Sort::default, |(sort, ..)| sort);
                }
                "page" => selection.page = value.parse::<usize>().unwrap_or(1).saturating_sub(1),
                _ => {}
            }
        }
        selection
    }

    /// The address that asks for this, relative to the page; it ends at the list of accounts.
    pub fn address(&self) -> String {
        let Self { text, state, reason, sort, page } = self;
        let mut query = Serializer::new(String::new());
        let sort = Sort::ALL.into_iter().find(|(named, ..)| named == sort && *named != Sort::default());
        let page = (*page > 0).then(|| (page + 1).to_string());
        let pairs = [
            ("q", Some(&**text).filter(|text| !text.is_empty())),
            ("state", state.map(State::key)),
            ("reason", reason.map(Reason::as_str)),
            ("sort", sort.map(|(_, key, _)| key)),
            ("page", page.as_deref()),
        ];
        query.extend_pairs(pairs.into_iter().filter_map(|(key, value)| Some((key, value?))));
        format!("?{}#accounts", query.finish())
    }

    /// Whether anything narrows the list.
    pub const fn is_narrow(&self) -> bool {
        !self.text.is_empty() || self.state.is_some() || self.reason.is_some()
    }

    /// The accounts it picks.
    pub fn pick<'c>(&self, catalogue: &'c Catalogue) -> Picked<'c> {
        let text = self.text.to_lowercase();
        let picks = |entry: &&Entry| {
            self.state.is_none_or(|state| state == entry.state)
                && self.reason.is_none_or(|reason| reason == entry.reason)
                && (text.is_empty() || entry.mentions(&text))
        };
        let mut entries: Vec<&Entry> = catalogue.entries.iter().filter(picks).collect();
        let found = entries.len();
        let pages = found.div_ceil(PER_PAGE).max(1);
        let page = self.page.min(pages - 1);
        let (first, end) = (page * PER_PAGE, found.min((page + 1) * PER_PAGE));
        let order = |a: &&Entry, b: &&Entry| self.sort.order(a, b);
        if end < found {
            entries.select_nth_unstable_by(end, order);
            entries.truncate(end);
        }
        entries.sort_unstable_by(order);
        entries.drain(..first);
        Picked { entries, found, page, pages }
    }
}
