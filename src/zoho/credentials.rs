//! What proves to the service who we are: an access token, or what a token is made from.
//!
//! In: text from the environment, a file, or the accounts server. Out: values that can be sent
//! and compared, but neither printed nor serialised.
//! Invariants: every secret is visible ASCII of bounded length, so it fits an HTTP header and
//! cannot break out of it; memory is wiped when the last copy goes.

use secrecy::{ExposeSecret, SecretString};

/// The longest secret, in bytes. Zoho's tokens have about 70; common web servers refuse headers over 8 KiB.
pub(super) const MAX_SECRET_LEN: usize = 4096;

/// Why a text cannot be a secret of ours. Worded to follow the name of where it came from; never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSecret {
    /// Nothing in it.
    #[error("is empty")]
    Empty,
    /// Longer than any secret of the service.
    #[error("is longer than {MAX_SECRET_LEN} bytes, so it is something else")]
    TooLong,
    /// Space, control character, or beyond ASCII.
    #[error(
        "has a space, a line break, a quotation mark or a character outside ASCII in it: \
         only the secret itself may be there"
    )]
    NotPlain,
}

/// The secret, or why `text` cannot be one.
pub(super) fn checked(text: &str) -> Result<SecretString, UnusableSecret> {
    // A quotation mark is no character of Zoho's secrets, but what is left when a shell or an
    // env file takes quotes literally.
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\'';
    match text.len() {
        0 => Err(UnusableSecret::Empty),
        len if len > MAX_SECRET_LEN => Err(UnusableSecret::TooLong),
        _ if !text.bytes().all(plain) => Err(UnusableSecret::NotPlain),
        _ => Ok(SecretString::from(text)),
    }
}

/// An access token: what each request shows. Lives an hour at most (Zoho's documentation, OAuth).
#[derive(Clone, Debug)]
pub struct AccessToken(SecretString);

impl AccessToken {
    /// The token in `text`.
    ///
    /// # Errors
    /// [`UnusableSecret`] if `text` is empty, over 4 KiB, or not visible ASCII.
    pub fn new(text: &str) -> Result<Self, UnusableSecret> {
        checked(text).map(Self)
    }

    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for AccessToken {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

/// What an access token is made from.
#[derive(Clone, Debug)]
pub struct RefreshCredentials {
    pub(super) client_id: SecretString,
    pub(super) client_secret: SecretString,
    pub(super) refresh_token: SecretString,
}

impl RefreshCredentials {
    /// The three parts, as the API console shows them.
    ///
    /// # Errors
    /// [`UnusableSecret`] if one of them is empty, over 4 KiB, or not visible ASCII.
    pub fn new(client_id: &str, client_secret: &str, refresh_token: &str) -> Result<Self, UnusableSecret> {
        Ok(Self {
            client_id: checked(client_id)?,
            client_secret: checked(client_secret)?,
            refresh_token: checked(refresh_token)?,
        })
    }
}

impl RefreshCredentials {
    /// What an answer may not repeat. The client's id is no secret, and short ones would redact half of `invalid_client`.
    pub(super) fn secrets(&self) -> [&str; 2] {
        let Self { client_id: _, client_secret, refresh_token } = self;
        [client_secret, refresh_token].map(|secret| secret.expose_secret())
    }
}

impl PartialEq for RefreshCredentials {
    fn eq(&self, other: &Self) -> bool {
        let Self { client_id, client_secret, refresh_token } = self;
        let same = |a: &SecretString, b: &SecretString| a.expose_secret() == b.expose_secret();
        same(client_id, &other.client_id)
            && same(client_secret, &other.client_secret)
            && same(refresh_token, &other.refresh_token)
    }
}

/// Either way of proving who we are. Comparable, so that a re-read file shows whether it brought anything new.
#[derive(Clone, Debug, PartialEq)]
pub enum Credentials {
    /// A fresh access token is fetched when one is needed.
    Refresh(RefreshCredentials),
    /// This one access token and no way to a next one.
    Token(AccessToken),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_visible_ascii_of_bounded_length_is_a_secret() {
        assert!(AccessToken::new("1000.8cb99d.9b8f").is_ok());
        assert_eq!(AccessToken::new("").unwrap_err(), UnusableSecret::Empty);
        assert_eq!(AccessToken::new(&"a".repeat(MAX_SECRET_LEN + 1)).unwrap_err(), UnusableSecret::TooLong);
        for text in ["a b", "a\r\nHost: evil", "a\n", "a\0", "\u{feff}a", "ä", "\"quoted\"", "'quoted'"] {
            assert_eq!(AccessToken::new(text).unwrap_err(), UnusableSecret::NotPlain, "{text:?}");
        }
    }

    #[test]
    fn credentials_are_equal_only_in_all_their_parts_and_never_printed() {
        let all = |id, secret, token| Credentials::Refresh(RefreshCredentials::new(id, secret, token).unwrap());
        let one = all("the-id", "the-secret", "the-refresh");
        assert_eq!(one, all("the-id", "the-secret", "the-refresh"));
        for other in
            [all("x", "the-secret", "the-refresh"), all("the-id", "x", "the-refresh"), all("the-id", "the-secret", "x")]
        {
            assert_ne!(one, other);
        }
        let token = Credentials::Token(AccessToken::new("the-token").unwrap());
        let printed = format!("{one:?} {token:?}");
        assert!(!printed.contains("the-"), "{printed}");
    }
}
