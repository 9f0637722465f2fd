//! Options about who is told of trouble.
//!
//! In: an option, or an environment variable, or a file. Out: [`Webhook`], read whenever it is needed, so that a new one
//! needs no restart.
//! Invariant: the URL of a webhook is a secret as a whole; only its host is ever told.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{UsageError, positive};
use crate::zoho::{self, CredentialError};

/// The variable; with `_FILE` at its end it names a file.
const VARIABLE: &str = "ZOHO_MAIL_NOTIFY_URL";

/// Who is told of trouble.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Notifications")]
pub struct Notifications {
    /// Webhook that is told of trouble, and when all is well again; https, or http on this machine
    ///
    /// It is sent JSON with a "text" that Slack and Mattermost show; `schema --kind Notification` describes the rest. The
    /// URL is a secret: the variable, or a file, is the better place for it.
    #[arg(long, value_name = "URL", env = "ZOHO_MAIL_NOTIFY_URL", value_parser = OsStringValueParser::new().map(Hidden))]
    notify_url: Option<Hidden>,

    /// File with that URL in it; read again each time
    #[arg(long, value_name = "FILE", env = "ZOHO_MAIL_NOTIFY_URL_FILE",
        value_parser = OsStringValueParser::new().map(Hidden))]
    notify_url_file: Option<Hidden>,

    /// How long trouble has to last, and all has to be well, before it is told
    #[arg(long, value_name = "DURATION", env = "ZOHO_MAIL_NOTIFY_AFTER", default_value = "30s", value_parser = positive)]
    pub notify_after: Duration,
}

/// A value that no Debug shows. A path as well: the secret itself may have been put in its place.
#[derive(Clone)]
struct Hidden(OsString);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

/// Why there is no webhook, although one was asked for. Never the URL.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The value cannot be read.
    #[error(transparent)]
    Unreadable(#[from] CredentialError),
    /// It is no URL, or one that would show itself to everybody in between.
    #[error(
        "{VARIABLE} is no URL of a webhook: expected https:// and a host (plain http only for this machine), without user \
         name and password"
    )]
    Invalid,
}

impl From<WebhookError> for UsageError {
    fn from(error: WebhookError) -> Self {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        Self(format!("{error}{source}"))
    }
}

/// Where to.
#[derive(Clone)]
pub struct Webhook {
    url: SecretString,
    /// Host and port: all that may be told.
    pub host: String,
}

impl Webhook {
    /// The URL. Whoever shows it gives the secret away.
    pub fn expose(&self) -> &str {
        self.url.expose_secret()
    }

    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let open = !url.username().is_empty() || url.password().is_some();
        let sealed = url.scheme() == "https" || url.scheme() == "http" && zoho::is_loopback(&url);
        let host = url.host_str().filter(|_| sealed && !open)?;
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Some(Self { url: url.as_str().into(), host })
    }
}

impl Notifications {
    /// The webhook, if there is one. Blocks for as long as reading a small file takes.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is no URL of a webhook.
    pub fn webhook(&self) -> Result<Option<Webhook>, WebhookError> {
        let given = |name: &str| {
            let option = if name == VARIABLE { &self.notify_url } else { &self.notify_url_file };
            option.as_ref().map(|hidden| hidden.0.clone())
        };
        let Some(text) = zoho::secret_of(VARIABLE, given)? else { return Ok(None) };
        Webhook::parse(text.expose_secret()).map(Some).ok_or(WebhookError::Invalid)
    }
}
