//! How the simulated service is set up: its organization, who may sign in, and its limits.
//!
//! In: the CLI's options, or a test's wishes. Out: [`Settings`], read once by the world.
//! Invariant: the defaults are the documented numbers, each with its source. The credentials here
//! are made up; the sandbox never needs, reads or asks for real ones.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::{Zoid, Zuid};

/// The organization of the pages' sample requests.
const SAMPLE_ZOID: u64 = 12_345_678;

/// The user of the pages' sample requests.
const SAMPLE_ZUID: u64 = 1_111_111;

/// The user who administers the sandbox; any number no sample uses.
const ADMINISTRATOR_ZUID: u64 = 1;

/// How long an access token lives: 3600 s (Zoho's documentation, limits).
const TOKEN_TTL: Duration = Duration::from_secs(3600);

/// How many requests the log keeps: a bulk change's tail, in well under 1 MiB.
const LOG_CAPACITY: usize = 1000;

/// The simulated service's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The one organization.
    pub zoid: Zoid,
    /// Who may sign in. An account seeded without a `zuid` belongs to the first member among them.
    pub credentials: Vec<Credentials>,
    /// How long an access token lives; printed as whole seconds.
    pub token_ttl: Duration,
    /// The request budget; `None` is unlimited.
    pub budget: Option<Budget>,
    /// Whether unknown accounts are adopted at their first PUT instead of answered 404.
    pub open: bool,
    /// How many requests the log keeps.
    pub log_capacity: usize,
}

impl Default for Settings {
    /// The documents' organization, an administrator, a person, no request budget, strict.
    fn default() -> Self {
        Self {
            zoid: Zoid::new(SAMPLE_ZOID).expect("the sample zoid lies within a long"),
            credentials: vec![Credentials::administrator(), Credentials::person(sample_zuid())],
            token_ttl: TOKEN_TTL,
            budget: None,
            open: false,
            log_capacity: LOG_CAPACITY,
        }
    }
}

/// The user in Zoho's sample requests: the person of [`Settings::default`].
pub fn sample_zuid() -> Zuid {
    Zuid::new(SAMPLE_ZUID).expect("the sample zuid lies within a long")
}

/// One client with one refresh token, and for whom it acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// `client_id` of the token request.
    pub client_id: String,
    /// `client_secret` of the token request.
    pub client_secret: String,
    /// `refresh_token` of the token request; tells credentials of one client apart.
    pub refresh_token: String,
    /// The user who made the refresh token, and for whom it acts.
    pub person: Zuid,
    /// What that user may do.
    pub role: Role,
    /// What the refresh token was made for.
    pub scopes: Vec<Scope>,
}

impl Credentials {
    /// `sandbox`/`sandbox`/`sandbox`: the super administrator, with both organization scopes.
    pub fn administrator() -> Self {
        Self {
            client_id: "sandbox".into(),
            client_secret: "sandbox".into(),
            refresh_token: "sandbox".into(),
            person: Zuid::new(ADMINISTRATOR_ZUID).expect("1 lies within a long"),
            role: Role::SuperAdmin,
            scopes: vec![Scope::OrganizationUpdate, Scope::OrganizationRead],
        }
    }

    /// `sandbox`/`sandbox`/`sandbox-person`: a member, with both scopes of their own account.
    pub fn person(person: Zuid) -> Self {
        Self {
            refresh_token: "sandbox-person".into(),
            person,
            role: Role::Member,
            scopes: vec![Scope::OwnUpdate, Scope::OwnRead],
            ..Self::administrator()
        }
    }
}

/// What a user is in the organization (Zoho's documentation, reading).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The one super administrator.
    SuperAdmin,
    /// An administrator.
    Admin,
    /// Everybody else.
    #[default]
    Member,
}

/// An OAuth scope of the three pages, or of the reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `ZohoMail.organization.accounts.ALL`
    OrganizationAll,
    /// `ZohoMail.organization.accounts.READ`
    OrganizationRead,
    /// `ZohoMail.organization.accounts.UPDATE`
    OrganizationUpdate,
    /// `ZohoMail.accounts.ALL`
    OwnAll,
    /// `ZohoMail.accounts.READ`
    OwnRead,
    /// `ZohoMail.accounts.UPDATE`
    OwnUpdate,
}

impl Scope {
    /// The scope as the pages write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrganizationAll => "ZohoMail.organization.accounts.ALL",
            Self::OrganizationRead => "ZohoMail.organization.accounts.READ",
            Self::OrganizationUpdate => "ZohoMail.organization.accounts.UPDATE",
            Self::OwnAll => "ZohoMail.accounts.ALL",
            Self::OwnRead => "ZohoMail.accounts.READ",
            Self::OwnUpdate => "ZohoMail.accounts.UPDATE",
        }
    }

    /// Whether holding this scope is enough for what needs `needed`: itself, or `ALL` of its family.
    pub fn covers(self, needed: Self) -> bool {
        self == needed
            || match self {
                Self::OrganizationAll => matches!(needed, Self::OrganizationRead | Self::OrganizationUpdate),
                Self::OwnAll => matches!(needed, Self::OwnRead | Self::OwnUpdate),
                _ => false,
            }
    }
}

/// How many requests a window takes, and what follows one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Requests per window.
    pub requests: u32,
    /// The sliding window.
    pub window: Duration,
    /// How long everybody is locked out after one request too many.
    pub lock: Duration,
    /// How the service says so.
    pub form: LockForm,
}

impl Default for Budget {
    /// 30 requests a minute (Zoho's documentation, limits); the lock is undisclosed there, so 15 minutes.
    fn default() -> Self {
        Self { requests: 30, window: Duration::from_secs(60), lock: Duration::from_secs(15 * 60), form: LockForm::Text }
    }
}

/// How a refusal for too many requests looks; Mail's own form is unknown (Zoho's documentation, errors).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockForm {
    /// 400 `URL_ROLLING_THROTTLES_LIMIT_EXCEEDED`, with the minutes in the text.
    #[default]
    Text,
    /// 429 with `Retry-After` in seconds.
    RetryAfter,
    /// 429 with an empty body and no hint.
    Bare,
}
