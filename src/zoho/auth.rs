//! Where credentials come from: eight environment variables, four of which name files.
//!
//! In: a function that reads variables. Out: [`Credentials`], as often as asked; files are read
//! again each time, because secrets are rotated beneath a running program.
//! Invariants: nothing is guessed between two sources of one secret; an error names the variable
//! and what to do, never the value, nor a path where nothing is, for that may be the secret itself; a file
//! that everybody can read is no secret; reading is bounded, and a pipe cannot hang it.

use std::ffi::OsString;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use secrecy::{ExposeSecret, SecretString};

use super::credentials::{AccessToken, Credentials, RefreshCredentials, UnusableSecret, checked};
use crate::account::printable::path as shown;

const CLIENT_ID: &str = "ZOHO_MAIL_CLIENT_ID";
const CLIENT_SECRET: &str = "ZOHO_MAIL_CLIENT_SECRET";
const REFRESH_TOKEN: &str = "ZOHO_MAIL_REFRESH_TOKEN";
const ACCESS_TOKEN: &str = "ZOHO_MAIL_ACCESS_TOKEN";

/// The largest file that is read, in bytes. A secret has 4 KiB at most; a larger file is something else.
const MAX_FILE: u64 = 64 * 1024;

/// What a file's mode may not give: anything to everybody. A group may have it, which is how Kubernetes gives a secret
/// to a pod with an `fsGroup`.
const OTHERS: u32 = 0o007;

/// Why there are no credentials. Each says which variable, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Not one variable is set.
    #[error(
        "no credentials: set {CLIENT_ID}, {CLIENT_SECRET} and {REFRESH_TOKEN}, or {ACCESS_TOKEN} alone \
         (or the path of a file with the secret in the variable of the same name with _FILE at its end)"
    )]
    Absent,
    /// Some of the three are set, but not all.
    #[error("credentials are incomplete: set {} as well (or the same name with _FILE, and a path)", .0.join(" and "))]
    Incomplete(Vec<&'static str>),
    /// An access token is set, and something else too.
    #[error("{ACCESS_TOKEN} and {0} are both set: unset one of them")]
    Ambiguous(&'static str),
    /// One secret is given twice.
    #[error("{0} and {0}_FILE are both set: unset one of them")]
    Twice(&'static str),
    /// The value of a variable, or the text of a file, is no secret.
    #[error("the value of {variable} {problem}")]
    Unusable {
        /// The variable that holds the value, or names the file.
        variable: String,
        /// What is wrong with it.
        problem: UnusableSecret,
    },
    /// The file is empty, as while its secret is replaced.
    #[error("the value of {variable}, read from {}, is empty", shown(path))]
    EmptyFile {
        /// The variable, without `_FILE`.
        variable: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// There is nothing where the variable points to.
    #[error(
        "{variable}_FILE names no file that is there (its value is not shown, for it may be the secret itself; that \
         would belong into {variable})"
    )]
    Missing {
        /// The variable, without `_FILE`.
        variable: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be opened or read.
    #[error("cannot read {}, which {variable}_FILE names", shown(path))]
    Unreadable {
        /// The variable, without `_FILE`.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Every user of this machine may read the file, or write to it.
    #[error(
        "{}, which {variable}_FILE names, is open to every user of this machine (mode {mode:04o}): chmod 600 it, or \
         mount it with mode 0400 or 0440",
        shown(path)
    )]
    Open {
        /// The variable, without `_FILE`.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A folder, a pipe or a device: it cannot be read again, or never ends.
    #[error("{}, which {variable}_FILE names, is not a regular file", shown(path))]
    NotAFile {
        /// The variable, without `_FILE`.
        variable: &'static str,
        /// What is there.
        path: PathBuf,
    },
    /// The file is larger than any secret.
    #[error("{}, which {variable}_FILE names, is larger than {MAX_FILE} bytes", shown(path))]
    FileTooLarge {
        /// The variable, without `_FILE`.
        variable: &'static str,
        /// The file.
        path: PathBuf,
    },
}

impl CredentialError {
    /// Whether it may be over in a moment by itself, though nothing is known of a better time: a file is empty while its
    /// secret is replaced. One that is not there may be a mistake, or the secret itself in the place of a path.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::EmptyFile { .. })
    }
}

/// The variables as they were at start; the files they name are read at each [`load`](Self::load).
#[derive(Clone, Debug)]
pub struct CredentialSource {
    client_id: Slot,
    client_secret: Slot,
    refresh_token: Slot,
    access_token: Slot,
}

/// One secret's two variables. An empty variable is an unset one.
#[derive(Clone)]
struct Slot {
    variable: &'static str,
    value: Option<Result<SecretString, UnusableSecret>>,
    file: Option<PathBuf>,
}

impl CredentialSource {
    /// Takes what `vars` knows of the eight variables. Reads no file yet, and judges nothing.
    pub fn new(vars: impl Fn(&str) -> Option<OsString>) -> Self {
        let slot = |variable| Slot::new(variable, &vars);
        Self {
            client_id: slot(CLIENT_ID),
            client_secret: slot(CLIENT_SECRET),
            refresh_token: slot(REFRESH_TOKEN),
            access_token: slot(ACCESS_TOKEN),
        }
    }

    /// The credentials as they are now. Blocks for as long as reading three small files takes.
    ///
    /// # Errors
    /// [`CredentialError`] names the variable or file that is missing, doubled, unreadable or wrong.
    pub fn load(&self) -> Result<Credentials, CredentialError> {
        let Self { client_id, client_secret, refresh_token, access_token } = self;
        let refresh = [client_id, client_secret, refresh_token];
        let set: Vec<_> = refresh.into_iter().filter(|slot| slot.is_set()).collect();
        match (set.first(), access_token.is_set()) {
            (None, false) => Err(CredentialError::Absent),
            (Some(slot), true) => Err(CredentialError::Ambiguous(slot.variable)),
            (None, true) => access_token.load(AccessToken::new).map(Credentials::Token),
            (Some(_), false) if set.len() < refresh.len() => Err(CredentialError::Incomplete(
                refresh.into_iter().filter(|slot| !slot.is_set()).map(|slot| slot.variable).collect(),
            )),
            (Some(_), false) => Ok(Credentials::Refresh(RefreshCredentials {
                client_id: client_id.load(checked)?,
                client_secret: client_secret.load(checked)?,
                refresh_token: refresh_token.load(checked)?,
            })),
        }
    }
}

/// A secret of another kind that `vars` knows as `variable`, or under that name with `_FILE` at its end; `None` if it knows
/// neither. Blocks for as long as reading a small file takes.
///
/// # Errors
/// As [`CredentialSource::load`].
pub fn secret_of(
    variable: &'static str,
    vars: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<SecretString>, CredentialError> {
    let slot = Slot::new(variable, &vars);
    if slot.is_set() { slot.load(checked).map(Some) } else { Ok(None) }
}

/// Names the variable alone: the path may be the secret itself.
impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.variable)
    }
}

impl Slot {
    fn new(variable: &'static str, vars: &impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| vars(name).filter(|value| !value.is_empty());
        Self {
            variable,
            value: set(variable).map(|value| secret(value.to_str().ok_or(UnusableSecret::NotPlain)?)),
            file: set(&format!("{variable}_FILE")).map(PathBuf::from),
        }
    }

    fn is_set(&self) -> bool {
        self.value.is_some() || self.file.is_some()
    }

    fn load<T>(&self, make: impl Fn(&str) -> Result<T, UnusableSecret>) -> Result<T, CredentialError> {
        let unusable = |variable: String| move |problem| CredentialError::Unusable { variable, problem };
        match (&self.value, &self.file) {
            (Some(_), Some(_)) => Err(CredentialError::Twice(self.variable)),
            (Some(value), None) => {
                let value = value.clone().and_then(|value| make(value.expose_secret()));
                value.map_err(unusable(self.variable.to_owned()))
            }
            (None, Some(path)) => {
                let text = self.read(path)?;
                let value = secret(text.expose_secret()).and_then(|value| make(value.expose_secret()));
                value.map_err(|problem| match problem {
                    UnusableSecret::Empty => CredentialError::EmptyFile { variable: self.variable, path: path.clone() },
                    _ => unusable(format!("{}, read from {},", self.variable, shown(path)))(problem),
                })
            }
            (None, None) => Err(CredentialError::Incomplete(vec![self.variable])),
        }
    }

    fn read(&self, path: &Path) -> Result<SecretString, CredentialError> {
        let variable = self.variable;
        let unreadable = |source| match path.symlink_metadata() {
            Ok(_) => CredentialError::Unreadable { variable, path: path.to_owned(), source },
            Err(_) => CredentialError::Missing { variable, source },
        };
        // Without O_NONBLOCK, opening a pipe waits for somebody to write into it.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
        // Of what a link leads to: the link's own mode means nothing.
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(CredentialError::NotAFile { variable, path: path.to_owned() });
        }
        let mode = metadata.mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(CredentialError::Open { variable, path: path.to_owned(), mode });
        }
        let mut bytes = Vec::new();
        let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if read as u64 > MAX_FILE {
            return Err(CredentialError::FileTooLarge { variable, path: path.to_owned() });
        }
        // Bytes that are no text become U+FFFD, which no secret may hold.
        Ok(String::from_utf8(bytes).unwrap_or_else(|_| '\u{fffd}'.to_string()).into())
    }
}

/// The secret in `text`, without the one line break that editors and `echo` put at the end of a file.
fn secret(text: &str) -> Result<SecretString, UnusableSecret> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    checked(line.strip_suffix('\r').unwrap_or(line))
}

#[cfg(test)]
mod tests;
