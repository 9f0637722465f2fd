//! Every way of giving credentials, and every way of giving them wrongly.

use std::error::Error as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const ALL: [(&str, &str); 3] = [(CLIENT_ID, "the-id"), (CLIENT_SECRET, "the-secret"), (REFRESH_TOKEN, "the-refresh")];

fn source(vars: &[(&str, &str)]) -> CredentialSource {
    CredentialSource::new(|name| vars.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
}

fn with<'a>(more: &[(&'a str, &'a str)]) -> CredentialSource {
    source(&[&ALL[..], more].concat())
}

fn error(source: &CredentialSource) -> String {
    let error = source.load().unwrap_err();
    let printed = format!("{error} {error:?} {source:?}");
    assert!(!printed.contains("the-"), "{printed}");
    error.to_string()
}

/// A file that only its owner can read.
fn keep(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn refresh() -> Credentials {
    Credentials::Refresh(RefreshCredentials::new("the-id", "the-secret", "the-refresh").unwrap())
}

fn token(text: &str) -> Credentials {
    Credentials::Token(AccessToken::new(text).unwrap())
}

#[test]
fn three_values_or_one_token_are_credentials() {
    assert_eq!(with(&[]).load().unwrap(), refresh());
    assert_eq!(source(&[(ACCESS_TOKEN, "the-token")]).load().unwrap(), token("the-token"));
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    assert_eq!(with(&[(ACCESS_TOKEN, ""), ("ZOHO_MAIL_CLIENT_ID_FILE", "")]).load().unwrap(), refresh());
    insta::assert_snapshot!(error(&with(&[(CLIENT_ID, ""), (REFRESH_TOKEN, "")])), @"credentials are incomplete: set ZOHO_MAIL_CLIENT_ID and ZOHO_MAIL_REFRESH_TOKEN as well (or the same name with _FILE, and a path)");
    insta::assert_snapshot!(error(&source(&[(ACCESS_TOKEN, "")])), @"no credentials: set ZOHO_MAIL_CLIENT_ID, ZOHO_MAIL_CLIENT_SECRET and ZOHO_MAIL_REFRESH_TOKEN, or ZOHO_MAIL_ACCESS_TOKEN alone (or the path of a file with the secret in the variable of the same name with _FILE at its end)");
}

#[test]
fn nothing_is_guessed_between_two_sources() {
    insta::assert_snapshot!(error(&with(&[(ACCESS_TOKEN, "the-token")])), @"ZOHO_MAIL_ACCESS_TOKEN and ZOHO_MAIL_CLIENT_ID are both set: unset one of them");
    insta::assert_snapshot!(error(&with(&[("ZOHO_MAIL_CLIENT_SECRET_FILE", "/nowhere")])), @"ZOHO_MAIL_CLIENT_SECRET and ZOHO_MAIL_CLIENT_SECRET_FILE are both set: unset one of them");
    insta::assert_snapshot!(error(&source(&[(ACCESS_TOKEN, "the-token"), ("ZOHO_MAIL_ACCESS_TOKEN_FILE", "/nowhere")])), @"ZOHO_MAIL_ACCESS_TOKEN and ZOHO_MAIL_ACCESS_TOKEN_FILE are both set: unset one of them");
}

#[test]
fn a_value_that_cannot_be_a_secret_is_refused_without_an_echo() {
    for value in ["the-token and more", "the-token\n\n", "\nthe-token", "the-\u{0}token", "\"the-token\"", "the-tökën"]
    {
        assert!(
            error(&source(&[(ACCESS_TOKEN, value)])).starts_with("the value of ZOHO_MAIL_ACCESS_TOKEN has a space")
        );
    }
    insta::assert_snapshot!(error(&source(&[(ACCESS_TOKEN, "\n")])), @"the value of ZOHO_MAIL_ACCESS_TOKEN is empty");
    let raw = CredentialSource::new(|name| (name == ACCESS_TOKEN).then(|| OsString::from_vec(b"the-\xff".to_vec())));
    assert!(error(&raw).contains("outside ASCII"));
}

#[test]
fn a_file_is_read_again_each_time_and_loses_one_line_break() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let source = source(&[("ZOHO_MAIL_ACCESS_TOKEN_FILE", path.to_str().unwrap())]);
    for (text, expected) in [("the-first", "the-first"), ("the-second\n", "the-second"), ("the-third\r\n", "the-third")]
    {
        keep(&path, text);
        assert_eq!(source.load().unwrap(), token(expected));
    }
    for text in ["", "\n", "the-token\n\n", "the-token\nthe-rest", "the-\u{feff}"] {
        keep(&path, text);
        assert!(error(&source).contains("/token, "), "{text:?}");
    }
    keep(&path, b"the-\xff");
    assert!(error(&source).contains("outside ASCII"));
}

#[test]
fn a_file_and_variables_mix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    keep(&path, "the-secret\n");
    let source = with(&[(CLIENT_SECRET, ""), ("ZOHO_MAIL_CLIENT_SECRET_FILE", path.to_str().unwrap())]);
    assert_eq!(source.load().unwrap(), refresh());
}

#[test]
fn what_is_no_small_regular_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| {
        let path = folder.path().join(name);
        source(&[("ZOHO_MAIL_ACCESS_TOKEN_FILE", path.to_str().unwrap())]).load().unwrap_err()
    };
    keep(&folder.path().join("large"), vec![b'a'; MAX_FILE as usize + 1]);
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let (mode, kind) = (rustix::fs::Mode::RUSR, rustix::fs::FileType::Fifo);
    rustix::fs::mknodat(rustix::fs::CWD, folder.path().join("pipe"), kind, mode, 0).unwrap();

    assert!(matches!(of("large"), CredentialError::FileTooLarge { .. }));
    assert!(matches!(of("folder"), CredentialError::NotAFile { .. }));
    assert!(matches!(of("pipe"), CredentialError::NotAFile { .. }));
    let missing = of("missing");
    assert!(missing.source().is_some() && !missing.to_string().contains("os error"), "{missing}");
}

#[test]
fn what_is_in_the_place_of_a_path_is_not_shown_unless_something_is_there() {
    let named = |value: &str| error(&source(&[("ZOHO_MAIL_ACCESS_TOKEN_FILE", value)]));
    for value in ["the-token", "1000.the-token/x", "/the-token", "./the-token", "the-\u{1b}[2J", &"the-".repeat(5000)] {
        assert_eq!(
            named(value),
            "ZOHO_MAIL_ACCESS_TOKEN_FILE names no file that is there (its value is not shown, for it may be the secret \
             itself; that would belong into ZOHO_MAIL_ACCESS_TOKEN)"
        );
    }
    assert!(named("/etc/").starts_with("/etc/, which ZOHO_MAIL_ACCESS_TOKEN_FILE names, is not a regular file"));
}

#[test]
fn a_file_that_everybody_can_read_is_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "the-token").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("token", &link).unwrap();
    for (mode, fits) in [
        (0o600, true),
        (0o400, true),
        (0o440, true),
        (0o640, true),
        (0o660, true),
        (0o644, false),
        (0o444, false),
        (0o604, false),
        (0o602, false),
        (0o601, false),
    ] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        for path in [&path, &link] {
            let source = source(&[("ZOHO_MAIL_ACCESS_TOKEN_FILE", path.to_str().unwrap())]);
            match source.load() {
                Ok(found) => assert!(fits && found == token("the-token"), "{mode:o}"),
                Err(error) => {
                    let (path, told) = (path.display(), error.to_string());
                    let expected = format!(
                        "{path}, which ZOHO_MAIL_ACCESS_TOKEN_FILE names, is open to every user of this machine (mode \
                         {mode:04o}): chmod 600 it, or mount it with mode 0400 or 0440"
                    );
                    assert!(!fits && told == expected, "{mode:o}: {told}");
                }
            }
        }
    }
}
