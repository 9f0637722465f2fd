//! Which documented operation a request is.
//!
//! In: method, path and the mode in the body. Out: [`Route`] for the world, [`Operation`] for the
//! log and the fault script. Invariants: the URLs are exactly those of the pages, without a
//! trailing slash; what is not there is 404 `URL_RULE_NOT_CONFIGURED` (Zoho's documentation, errors).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::settings::Scope;

/// A request by what it does. The names are those of the fault script and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// The PUT with mode `enableMailAccount`.
    EnableMailAccount,
    /// The PUT with mode `disableMailAccount`.
    DisableMailAccount,
    /// The PUT with mode `updateMobileSyncStatus`.
    UpdateMobileSyncStatus,
    /// In a fault: any PUT. In the log: a PUT whose body could not be read.
    Put,
    /// `GET /api/organization/{zoid}/accounts`
    List,
    /// `GET /api/organization/{zoid}/accounts/{zuid or e-mail}`
    Read,
    /// `GET /api/accounts`
    OwnAccounts,
    /// `POST /oauth/v2/token`
    Token,
    /// Anything else.
    Unknown,
}

impl Operation {
    /// Whether this is a PUT, readable or not.
    pub const fn is_put(self) -> bool {
        matches!(self, Self::EnableMailAccount | Self::DisableMailAccount | Self::UpdateMobileSyncStatus | Self::Put)
    }

    /// The operation's name in the fault script and the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EnableMailAccount => "enableMailAccount",
            Self::DisableMailAccount => "disableMailAccount",
            Self::UpdateMobileSyncStatus => "updateMobileSyncStatus",
            Self::Put => "put",
            Self::List => "list",
            Self::Read => "read",
            Self::OwnAccounts => "ownAccounts",
            Self::Token => "token",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a request goes, with the parts of its path as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Token,
    List { zoid: &'a str },
    Read { zoid: &'a str, user: &'a str },
    PutAsAdministrator { zoid: &'a str, account: &'a str },
    OwnAccounts,
    PutAsPerson { account: &'a str },
    WrongMethod { allowed: &'static str },
    Unknown,
}

impl<'a> Route<'a> {
    pub(super) fn of(method: &str, path: &'a str) -> Self {
        let parts: [&str; 6] = {
            let mut pieces = path.split('/');
            let parts = std::array::from_fn(|_| pieces.next().unwrap_or_default());
            if pieces.next().is_some() || path.ends_with('/') {
                return Self::Unknown;
            }
            parts
        };
        match (parts, method) {
            (["", "oauth", "v2", "token", "", ""], "POST") => Self::Token,
            (["", "oauth", "v2", "token", "", ""], _) => Self::WrongMethod { allowed: "POST" },
            (["", "api", "accounts", "", "", ""], "GET") => Self::OwnAccounts,
            (["", "api", "accounts", "", "", ""], _) => Self::WrongMethod { allowed: "GET" },
            (["", "api", "accounts", account, "", ""], "PUT") if !account.is_empty() => Self::PutAsPerson { account },
            (["", "api", "accounts", account, "", ""], _) if !account.is_empty() => {
                Self::WrongMethod { allowed: "PUT" }
            }
            (["", "api", "organization", zoid, "accounts", ""], "GET") => Self::List { zoid },
            (["", "api", "organization", _, "accounts", ""], _) => Self::WrongMethod { allowed: "GET" },
            (["", "api", "organization", zoid, "accounts", user], "GET") => Self::Read { zoid, user },
            (["", "api", "organization", zoid, "accounts", account], "PUT") => {
                Self::PutAsAdministrator { zoid, account }
            }
            (["", "api", "organization", _, "accounts", _], _) => Self::WrongMethod { allowed: "GET, PUT" },
            _ => Self::Unknown,
        }
    }

    /// The scope the pages ask for; `None` where no access token is looked at.
    pub(super) const fn scope(self) -> Option<Scope> {
        match self {
            Self::List { .. } | Self::Read { .. } => Some(Scope::OrganizationRead),
            Self::PutAsAdministrator { .. } => Some(Scope::OrganizationUpdate),
            Self::OwnAccounts => Some(Scope::OwnRead),
            Self::PutAsPerson { .. } => Some(Scope::OwnUpdate),
            Self::Token | Self::WrongMethod { .. } | Self::Unknown => None,
        }
    }

    /// The organization in the path, where there is one.
    pub(super) const fn zoid(self) -> Option<&'a str> {
        match self {
            Self::List { zoid } | Self::Read { zoid, .. } | Self::PutAsAdministrator { zoid, .. } => Some(zoid),
            _ => None,
        }
    }

    /// The account in the path of a PUT.
    pub(super) const fn account(self) -> Option<&'a str> {
        match self {
            Self::PutAsAdministrator { account, .. } | Self::PutAsPerson { account } => Some(account),
            _ => None,
        }
    }

    /// The operation, as far as the URL tells it.
    pub(super) const fn operation(self) -> Operation {
        match self {
            Self::Token => Operation::Token,
            Self::List { .. } => Operation::List,
            Self::Read { .. } => Operation::Read,
            Self::OwnAccounts => Operation::OwnAccounts,
            Self::PutAsAdministrator { .. } | Self::PutAsPerson { .. } => Operation::Put,
            Self::WrongMethod { .. } | Self::Unknown => Operation::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_urls_exist() {
        for (method, path, expected) in [
            ("PUT", "/api/accounts/5", Operation::Put),
            ("PUT", "/api/organization/1/accounts/5", Operation::Put),
            ("GET", "/api/organization/1/accounts", Operation::List),
            ("GET", "/api/organization/1/accounts/a%40b.c", Operation::Read),
            ("GET", "/api/accounts", Operation::OwnAccounts),
            ("POST", "/oauth/v2/token", Operation::Token),
        ] {
            assert_eq!(Route::of(method, path).operation(), expected, "{method} {path}");
        }
        for path in ["", "/", "/api", "/api/accounts/", "/api/accounts/5/", "/api/accounts/5/folders", "//api/accounts"]
        {
            assert_eq!(Route::of("PUT", path), Route::Unknown, "{path}");
        }
        assert_eq!(Route::of("PUT", "/api/organization/1/accounts/5/x"), Route::Unknown);
        assert_eq!(Route::of("PATCH", "/api/accounts/5"), Route::WrongMethod { allowed: "PUT" });
    }
}
