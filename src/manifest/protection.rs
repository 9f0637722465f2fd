//! Accounts from which nothing may be taken away, whatever the manifests say.
//!
//! In: names, ids and a folder, as options give them. Out: whether, and by what, an account is protected; where budgets
//! and approvals count.
//! Invariant: looking costs no allocation, and next to nothing where nobody is protected.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

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

/// A value of `--policy-dir`: a folder beneath that of the manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDir(Box<str>);

/// Why a text is no folder beneath that of the manifests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a folder within that of the manifests, such as policy: without a leading / and without .., and not hidden, \
     for what is in a folder whose name begins with a dot is not read"
)]
pub struct InvalidPolicyDir;

impl FromStr for PolicyDir {
    type Err = InvalidPolicyDir;

    fn from_str(text: &str) -> Result<Self, InvalidPolicyDir> {
        let names: Vec<_> = text.trim_end_matches('/').split('/').filter(|name| *name != ".").collect();
        let is_name = |name: &&str| !name.is_empty() && !name.starts_with('.');
        if names.is_empty() || !names.iter().all(is_name) {
            Err(InvalidPolicyDir)
        } else {
            Ok(Self(names.join("/").into()))
        }
    }
}

impl fmt::Display for PolicyDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everybody whom options protect, and where a manifest may say what may be taken away from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Names of manifests; ids are among them, for a name may be digits.
    names: BTreeSet<Box<str>>,
    ids: BTreeSet<AccountId>,
    /// Where budgets and approvals count; `None`: everywhere.
    policy_dir: Option<PolicyDir>,
    /// What stands before the paths of files within the folder.
    base: Box<str>,
}

/// Nobody is protected by an option.
pub(super) static NO_PROTECTION: LazyLock<Protection> = LazyLock::new(Protection::default);

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
        Self { ids: names.iter().filter_map(|text| text.parse().ok()).collect(), names, ..Self::default() }
    }
}

impl Protection {
    /// The same, with budgets and approvals that count in `policy_dir` alone; `None`: everywhere.
    #[must_use]
    pub fn with_policy_dir(self, policy_dir: Option<PolicyDir>) -> Self {
        Self { policy_dir, ..self }
    }

    /// The same, for a folder whose files are called by paths that begin with `base`.
    #[must_use]
    pub fn of_files_in(self, base: &str) -> Self {
        Self { base: base.into(), ..self }
    }

    /// The only folder in which budgets and approvals count, if there is one.
    pub const fn policy_dir(&self) -> Option<&PolicyDir> {
        self.policy_dir.as_ref()
    }

    /// The folder in which budgets and approvals count, if the file `path` is not in it.
    pub fn policies_are_elsewhere(&self, path: &str) -> Option<&PolicyDir> {
        let path = path.strip_prefix(&*self.base).unwrap_or(path);
        let is_in = |PolicyDir(dir): &PolicyDir| path.strip_prefix(&**dir).is_some_and(|rest| rest.starts_with('/'));
        self.policy_dir.as_ref().filter(|dir| !is_in(dir))
    }

    /// Whether the file `path` is where budgets and approvals count, and nowhere else: it may declare some whatever becomes
    /// of it.
    pub fn is_policy(&self, path: &str) -> bool {
        self.policy_dir.is_some() && self.policies_are_elsewhere(path).is_none()
    }

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
    fn a_policy_dir_is_a_folder_beneath_that_of_the_manifests() {
        for (text, dir) in [("policy", "policy"), ("./policy/", "policy"), ("a/./b", "a/b")] {
            assert_eq!(text.parse::<PolicyDir>().unwrap().to_string(), dir);
        }
        for bad in ["", ".", "/", "/etc", "..", "a/../b", "a//b"] {
            assert_eq!(bad.parse::<PolicyDir>(), Err(InvalidPolicyDir), "{bad:?}");
        }
    }

    #[test]
    fn what_is_neither_a_name_nor_an_id_is_refused() {
        for bad in ["", "CEO", "a b", "a@example.com", "-1"] {
            assert_eq!(bad.parse::<Protected>(), Err(InvalidProtected), "{bad:?}");
        }
    }
}
