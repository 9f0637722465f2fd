//! Accounts from which nothing may be taken away, whatever the manifests say.
//!
//! In: names and ids, as options give them. Out: whether, and by what, an account is protected.
//! Invariant: looking costs no allocation, and next to nothing where nobody is protected.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::value::is_subdomain;
use crate::account::AccountId;

/// The annotation that protects an account; its value is `"true"` or `"false"`.
pub const PROTECT: &str = "zoho-mail-reconciler/protect";

/// A value of `--protect`: the name of a manifest, or the id of an account. Digits may be either.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Protected(Box<str>);

/// Why a text protects nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of a manifest, or an account's id (digits)")]
pub struct InvalidProtected;

impl FromStr for Protected {
    type Err = InvalidProtected;

    fn from_str(text: &str) -> Result<Self, InvalidProtected> {
        let text = text.trim();
        if is_subdomain(text) { Ok(Self(text.into())) } else { Err(InvalidProtected) }
    }
}

/// Everybody whom options protect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Names of manifests; ids are among them, for a name may be digits.
    names: BTreeSet<Box<str>>,
    ids: BTreeSet<AccountId>,
}

/// Nobody is protected by an option.
pub(super) static NOBODY: Protection = Protection { names: BTreeSet::new(), ids: BTreeSet::new() };

/// By what an account is protected. Displays as people say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// `--protect` with its id: no manifest can open it.
    Id(AccountId),
    /// `--protect` with the name of its manifest.
    Name,
    /// The annotation [`PROTECT`] of its manifest.
    Annotation,
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "--protect {id}"),
            Self::Name => f.write_str("--protect with its name"),
            Self::Annotation => write!(f, "its annotation {PROTECT}"),
        }
    }
}

impl FromIterator<Protected> for Protection {
    fn from_iter<I: IntoIterator<Item = Protected>>(protected: I) -> Self {
        let names: BTreeSet<_> = protected.into_iter().map(|Protected(text)| text).collect();
        Self { ids: names.iter().filter_map(|text| text.parse().ok()).collect(), names }
    }
}

impl Protection {
    /// What protects the account with this name and this id, as far as they are known.
    pub fn lock(&self, name: Option<&str>, id: Option<AccountId>) -> Option<Lock> {
        let by_id = id.filter(|id| self.ids.contains(id)).map(Lock::Id);
        by_id.or_else(|| name.filter(|name| self.names.contains(*name)).map(|_| Lock::Name))
    }

    /// Those that are neither the name nor the id of anybody, as `declares` tells: probably misspelt.
    pub fn strangers(&self, declares: impl Fn(&str, Option<AccountId>) -> bool) -> impl Iterator<Item = &str> {
        self.names.iter().map(|text| &**text).filter(move |text| !declares(text, text.parse().ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protection(texts: &[&str]) -> Protection {
        texts.iter().map(|text| text.parse::<Protected>().unwrap()).collect()
    }

    #[test]
    fn an_id_protects_whatever_the_name_and_digits_may_be_a_name_too() {
        let id = AccountId::new(77);
        let protection = protection(&["ceo", "77"]);
        assert_eq!(protection.lock(Some("renamed"), id), id.map(Lock::Id));
        assert_eq!(protection.lock(Some("77"), AccountId::new(5)), Some(Lock::Name));
        assert_eq!(protection.lock(Some("ceo"), None), Some(Lock::Name));
        assert_eq!(protection.lock(Some("ceo2"), AccountId::new(5)), None);
        let declares = |name: &str, _| name == "ceo";
        assert_eq!(protection.strangers(declares).collect::<Vec<_>>(), ["77"]);
    }

    #[test]
    fn what_is_neither_a_name_nor_an_id_is_refused() {
        for bad in ["", "CEO", "a b", "a@example.com", "-1"] {
            assert_eq!(bad.parse::<Protected>(), Err(InvalidProtected), "{bad:?}");
        }
    }
}
