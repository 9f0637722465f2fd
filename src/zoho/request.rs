//! From a change to the PUT that makes it: the three operations of the account API, and the token request.
//!
//! In: a [`Change`], who signs ([`Principal`]), where the service is, and the token. Out: an
//! [`HttpRequest`], complete to the last header.
//! Invariants: each body has exactly the keys and JSON types of the sample on its page of Zoho's
//! documentation; `mode` is a closed set of three, because its siblings on the same URL reset
//! passwords and disable whole users; a request's Debug shows no secret.

use std::fmt;

use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::base_url::BaseUrl;
use super::credentials::{AccessToken, RefreshCredentials};
use crate::account::{Field, SourceRef, Zoid, Zuid};
use crate::change::Change;

/// How we introduce ourselves: name and version, as RFC 9110 section 10.1.5 has it.
const USER_AGENT: &str = concat!("zoho-mail-reconciler/", env!("CARGO_PKG_VERSION"));

const JSON: &str = "application/json";

/// How much of an answer is read that is no listing, in bytes. Documented ones have a hundred.
pub const ANSWER_MAX: usize = 64 * 1024;

/// Who signs the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    /// An administrator of this organization, for any of its accounts.
    Admin(Zoid),
    /// A person, for the person's own account.
    User,
}

/// The three operations this program knows, one `mode` each. There is no fourth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Enables the mailbox.
    Enable,
    /// Disables the mailbox; not the user, who may still sign in elsewhere.
    Disable,
    /// Sets the ActiveSync flag, on or off.
    ActiveSync,
}

impl Operation {
    /// What has to be called to bring `field` to `to`.
    pub const fn of(field: Field, to: bool) -> Self {
        match (field, to) {
            (Field::Enabled, true) => Self::Enable,
            (Field::Enabled, false) => Self::Disable,
            (Field::ActiveSyncEnabled, _) => Self::ActiveSync,
        }
    }

    /// The operation's name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enable => "enable_mail_account",
            Self::Disable => "disable_mail_account",
            Self::ActiveSync => "update_mobile_sync_status",
        }
    }

    /// The word on the wire.
    const fn mode(self) -> &'static str {
        match self {
            Self::Enable => "enableMailAccount",
            Self::Disable => "disableMailAccount",
            Self::ActiveSync => "updateMobileSyncStatus",
        }
    }
}

/// The token request's name in metrics, beside those of [`Operation`].
pub(super) const TOKEN: &str = "token";

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Asks whether somebody is there.
    Head,
    /// Asks for what is there.
    Get,
    /// Changes an account.
    Put,
    /// Asks for a token.
    Post,
}

/// A header's value; a secret one is redacted in Debug.
#[derive(Clone, Debug)]
pub enum HeaderText {
    /// May be seen.
    Plain(&'static str),
    /// Shows who we are.
    Secret(SecretString),
}

/// A request, ready to be sent. Its URL, body and token are redacted in Debug.
#[derive(Clone)]
pub struct HttpRequest {
    /// The operation's name in metrics.
    pub operation: &'static str,
    /// The method.
    pub method: Method,
    /// The whole URL. Holds ids; of a webhook it is the secret itself, and is left out of Debug.
    pub url: String,
    /// Every header but those of the transport itself (`Host`, `Content-Length`).
    pub headers: Vec<(&'static str, HeaderText)>,
    /// The whole body. A secret because the token request's is one.
    pub body: SecretSlice<u8>,
    /// How much of the answer's body is read, in bytes.
    pub answer_max: usize,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, method, url: _, headers, body: _, answer_max: _ } = self;
        write!(f, "HttpRequest({operation}, {method:?}, {headers:?})")
    }
}

/// Admin authentication names the user in the body, and the change has no `zuid`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing was sent: admin authentication needs spec.zuid, which is missing in {source_ref}")]
pub struct MissingZuid {
    /// The manifest that should have one.
    pub source_ref: SourceRef,
}

/// The PUT that makes `change`.
///
/// # Errors
/// [`MissingZuid`] if `principal` is an administrator and the change names no user.
pub fn encode(
    change: &Change,
    principal: Principal,
    api_url: &BaseUrl,
    token: &AccessToken,
) -> Result<HttpRequest, MissingZuid> {
    let account = change.account;
    let (path, zuid) = match principal {
        Principal::Admin(zoid) => {
            let zuid = change.zuid.ok_or_else(|| MissingZuid { source_ref: change.source.clone() })?;
            (format!("/api/organization/{zoid}/accounts/{account}"), Some(zuid))
        }
        // The ActiveSync page's sample shows the organization's URL here as well; its own
        // "Request URL" and the other two pages say this one.
        Principal::User => (format!("/api/accounts/{account}"), None),
    };
    let operation = Operation::of(change.field, change.to);
    Ok(HttpRequest {
        operation: operation.as_str(),
        method: Method::Put,
        url: format!("{api_url}{path}"),
        headers: vec![
            ("accept", HeaderText::Plain(JSON)),
            ("content-type", HeaderText::Plain(JSON)),
            ("user-agent", HeaderText::Plain(USER_AGENT)),
            ("authorization", HeaderText::Secret(format!("Zoho-oauthtoken {}", token.expose()).into())),
        ],
        body: body(operation, zuid, change.to).into_bytes().into(),
        answer_max: ANSWER_MAX,
    })
}

/// The JSON body. Written by hand: digits and constants need no escaping.
fn body(operation: Operation, zuid: Option<Zuid>, to: bool) -> String {
    let mode = operation.mode();
    // Zoho's documentation gives both values a type ("long", "boolean"), but the ActiveSync page's
    // sample sends strings, where the other two send a number. Clients that are known to work do as the samples.
    let (quote, flag) = match operation {
        Operation::ActiveSync => ("\"", format!(r#","activeSyncEnabled":"{to}""#)),
        Operation::Enable | Operation::Disable => ("", String::new()),
    };
    let zuid = zuid.map(|zuid| format!(r#""zuid":{quote}{zuid}{quote},"#)).unwrap_or_default();
    format!(r#"{{{zuid}"mode":"{mode}"{flag}}}"#)
}

/// The headers of a request that only looks, signed if there is a token.
pub(super) fn reading_headers(token: Option<&AccessToken>) -> Vec<(&'static str, HeaderText)> {
    let sign = |token: &AccessToken| HeaderText::Secret(format!("Zoho-oauthtoken {}", token.expose()).into());
    let plain = [("accept", HeaderText::Plain(JSON)), ("user-agent", HeaderText::Plain(USER_AGENT))];
    plain.into_iter().chain(token.map(|token| ("authorization", sign(token)))).collect()
}

/// The POST that asks `accounts_url` for an access token (Zoho's documentation, OAuth: refreshing access tokens).
pub fn encode_token_request(credentials: &RefreshCredentials, accounts_url: &BaseUrl) -> HttpRequest {
    let RefreshCredentials { client_id, client_secret, refresh_token } = credentials;
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", client_id.expose_secret())
        .append_pair("client_secret", client_secret.expose_secret())
        .append_pair("refresh_token", refresh_token.expose_secret())
        .append_pair("grant_type", "refresh_token")
        .finish();
    HttpRequest {
        operation: TOKEN,
        method: Method::Post,
        url: format!("{accounts_url}/oauth/v2/token"),
        headers: vec![
            ("accept", HeaderText::Plain(JSON)),
            ("content-type", HeaderText::Plain("application/x-www-form-urlencoded")),
            ("user-agent", HeaderText::Plain(USER_AGENT)),
        ],
        body: form.into_bytes().into(),
        answer_max: ANSWER_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::change::Known;

    fn change(field: Field, to: bool, zuid: Option<u64>) -> Change {
        Change {
            account: "2560636000000008002".parse().unwrap(),
            name: "alice".into(),
            zuid: zuid.and_then(Zuid::new),
            field,
            from: Known::Absent,
            to,
            source: SourceRef { path: "sales/alice.yaml".into(), line: 3 },
            revision: Arc::default(),
            approval: None,
            not_before: None,
            begun: false,
            refused: false,
            validity: None,
            wanted_since: None,
            gives_back: false,
            drift: None,
        }
    }

    fn token() -> AccessToken {
        AccessToken::new("1000.secret-token").unwrap()
    }

    #[test]
    fn bodies_have_the_keys_order_and_types_of_the_samples() {
        let zuid = Zuid::new(1_111_111);
        for (operation, zuid, to, expected) in [
            (Operation::Enable, zuid, true, r#"{"zuid":1111111,"mode":"enableMailAccount"}"#),
            (Operation::Enable, None, true, r#"{"mode":"enableMailAccount"}"#),
            (Operation::Disable, zuid, false, r#"{"zuid":1111111,"mode":"disableMailAccount"}"#),
            (Operation::Disable, None, false, r#"{"mode":"disableMailAccount"}"#),
            (
                Operation::ActiveSync,
                zuid,
                false,
                r#"{"zuid":"1111111","mode":"updateMobileSyncStatus","activeSyncEnabled":"false"}"#,
            ),
            (Operation::ActiveSync, None, true, r#"{"mode":"updateMobileSyncStatus","activeSyncEnabled":"true"}"#),
        ] {
            assert_eq!(body(operation, zuid, to), expected);
        }
    }

    #[test]
    fn the_largest_ids_keep_all_their_digits() {
        let mut change = change(Field::Enabled, true, Some(i64::MAX as u64));
        change.account = "9223372036854775807".parse().unwrap();
        let principal = Principal::Admin("9223372036854775806".parse().unwrap());
        let api_url = "https://mail.zoho.com".parse().unwrap();
        let request = encode(&change, principal, &api_url, &token()).unwrap();
        assert!(request.url.ends_with("/organization/9223372036854775806/accounts/9223372036854775807"));
        assert!(request.body.expose_secret().starts_with(br#"{"zuid":9223372036854775807,"#));
    }

    #[test]
    fn an_administrator_cannot_send_a_change_without_a_zuid() {
        let change = change(Field::Enabled, true, None);
        let api_url = "https://mail.zoho.com".parse().unwrap();
        let error = encode(&change, Principal::Admin(Zoid::new(1).unwrap()), &api_url, &token()).unwrap_err();
        insta::assert_snapshot!(error, @"nothing was sent: admin authentication needs spec.zuid, which is missing in sales/alice.yaml:3");
        assert!(encode(&change, Principal::User, &api_url, &token()).is_ok());
    }

    #[test]
    fn a_token_request_is_a_form_and_escapes_what_a_form_must() {
        let credentials = RefreshCredentials::new("1000.ID", "a&b=c+d", "1000.re%20fresh").unwrap();
        let request = encode_token_request(&credentials, &"https://accounts.zoho.eu".parse().unwrap());
        assert_eq!((request.method, request.operation), (Method::Post, "token"));
        assert_eq!(request.url, "https://accounts.zoho.eu/oauth/v2/token");
        let body = std::str::from_utf8(request.body.expose_secret()).unwrap();
        insta::assert_snapshot!(body, @"client_id=1000.ID&client_secret=a%26b%3Dc%2Bd&refresh_token=1000.re%2520fresh&grant_type=refresh_token");
    }

    #[test]
    fn no_request_shows_a_secret_in_its_debug_output() {
        let credentials = RefreshCredentials::new("secret-id", "secret-secret", "secret-refresh").unwrap();
        let url = "https://mail.zoho.com".parse().unwrap();
        let put = encode(&change(Field::Enabled, true, None), Principal::User, &url, &token()).unwrap();
        let post = encode_token_request(&credentials, &url);
        let printed = format!("{put:?} {post:?}");
        assert!(!printed.contains("secret-"), "{printed}");
    }
}
