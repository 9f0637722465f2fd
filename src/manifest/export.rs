//! Accounts as the service shows them, as manifests.
//!
//! In: observed accounts, labels. Out: a name for each, and the text of its manifest.
//! Invariants: what is written is read back as it is meant, or is not written; one set of accounts gives one set of names
//! and texts, in whatever order it comes; an administrator's account is protected, and nothing is declared of it that would
//! take something away; what the service does not show is left out.
//! Absent by design: files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::protection::PROTECT;
use super::{Rules, parse, to_yaml};
use crate::account::{AuthMode, Field, Zuid};
use crate::observed::{ObservedAccount, Role};

/// The longest name that is made of an address: with what tells it from others it stays below 253 characters, which is what
/// a name may have.
const NAME_MAX: usize = 120;

/// A manifest that is to be written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    account_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    zuid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_sync_enabled: Option<bool>,
}

/// The manifest of an account that is called `name`.
///
/// # Errors
/// Why there is none, for people: the service shows neither of the two fields, or something that no manifest may say.
pub fn manifest(
    account: &ObservedAccount,
    name: &str,
    labels: &BTreeMap<String, String>,
    auth: AuthMode,
) -> Result<String, String> {
    let is_admin = is_protected(account);
    // Of a protected account nothing may be taken away, so what is off is left as it is.
    let [enabled, active_sync_enabled] =
        Field::ALL.map(|field| account.field(field).filter(|value| *value || !is_admin));
    if enabled.or(active_sync_enabled).is_none() {
        return Err("the service does not show whether anything of it is enabled".to_owned());
    }
    let text = |email| {
        let spec = Spec {
            account_id: account.account.get(),
            zuid: account.zuid.map(Zuid::get),
            email,
            enabled,
            active_sync_enabled,
        };
        let annotations = is_admin.then_some((PROTECT, "true")).into_iter().collect();
        let metadata = Metadata { name, labels, annotations };
        let document = Document { api_version: super::API_VERSION, kind: "MailAccount", metadata, spec };
        let text = to_yaml(&document).map_err(|error| error.to_string())?;
        read_back(&text, account, auth).map(|()| text)
    };
    // An address that no manifest may have is no reason to leave the account out.
    text(account.email.as_deref()).or_else(|_| text(None))
}

/// Whether the account is that of an administrator.
pub fn is_protected(account: &ObservedAccount) -> bool {
    matches!(account.role, Some(Role::SuperAdmin | Role::Admin))
}

fn read_back(text: &str, account: &ObservedAccount, auth: AuthMode) -> Result<(), String> {
    let parsed = parse(&Arc::from("a.yaml"), text.as_bytes(), Rules { auth, ..Rules::default() });
    if let Some(problem) = parsed.problems.first() {
        return Err(format!("no manifest can say what the service shows: {problem}"));
    }
    if matches!(&parsed.documents[..], [document] if document.spec.account_id == account.account) {
        return Ok(());
    }
    Err("no manifest can say what the service shows".to_owned())
}

/// A name for each account, unique among them and beside those `taken`: what stands before the `@` of its address; with its
/// domain where two have that in common, and with its id where that does not tell them apart either.
pub fn names(accounts: &[ObservedAccount], taken: &BTreeSet<Arc<str>>) -> Vec<String> {
    let candidates: Vec<[String; 3]> = accounts.iter().map(candidates).collect();
    let mut uses: BTreeMap<&str, usize> = taken.iter().map(|name| (&**name, 1)).collect();
    for candidate in candidates.iter().flat_map(|three| three.iter().collect::<BTreeSet<_>>()) {
        *uses.entry(candidate).or_default() += 1;
    }
    let choose = |three: &[String; 3]| three.iter().find(|name| uses[name.as_str()] == 1).unwrap_or(&three[2]).clone();
    candidates.iter().map(choose).collect()
}

fn candidates(account: &ObservedAccount) -> [String; 3] {
    let id = account.account.get();
    let (local, domain) = account.email.as_deref().and_then(|email| email.rsplit_once('@')).unwrap_or_default();
    let short = subdomain(local).unwrap_or_else(|| format!("account-{id}"));
    let long = subdomain(&format!("{local}.{domain}")).unwrap_or_else(|| short.clone());
    let last = format!("{short}-{id}");
    [short, long, last]
}

/// The domain of an account's address, as the name of a folder.
pub fn domain(account: &ObservedAccount) -> String {
    let domain = account.email.as_deref().and_then(|email| email.rsplit_once('@')).map_or("", |(_, domain)| domain);
    subdomain(domain).unwrap_or_else(|| "no-domain".to_owned())
}

/// What a name may have of a text: lower-case ASCII letters, digits, `-` and `.`, each part with a letter or a digit at both
/// ends. `None` if that is nothing.
fn subdomain(text: &str) -> Option<String> {
    let part = |part: &str| {
        let kept: String = part.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        kept.trim_matches('-').to_ascii_lowercase()
    };
    let parts: Vec<_> = text.split('.').map(part).filter(|part| !part.is_empty()).collect();
    let name: String = parts.join(".").chars().take(NAME_MAX).collect();
    let name = name.trim_matches(['-', '.']);
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountId;

    fn account(n: u64, email: &str) -> ObservedAccount {
        ObservedAccount {
            account: AccountId::new(n).unwrap(),
            zuid: Zuid::new(1_000 + n),
            zoid: None,
            email: (!email.is_empty()).then(|| email.into()),
            role: Some(Role::Member),
            enabled: Some(true),
            active_sync_enabled: Some(false),
        }
    }

    fn text(account: &ObservedAccount) -> Result<String, String> {
        let labels = BTreeMap::from([("team".to_owned(), "no".to_owned())]);
        manifest(account, "alice", &labels, AuthMode::Admin)
    }

    #[test]
    fn an_account_is_a_manifest_of_stable_form() {
        insta::assert_snapshot!(text(&account(7, "alice@example.com")).unwrap(), @r#"
        apiVersion: zoho-mail-reconciler/v1
        kind: MailAccount
        metadata:
          name: alice
          labels:
            team: 'no'
        spec:
          accountId: 7
          zuid: 1007
          email: alice@example.com
          enabled: true
          activeSyncEnabled: false
        "#);
    }

    #[test]
    fn an_administrator_is_protected_and_loses_nothing() {
        let boss = ObservedAccount { role: Some(Role::SuperAdmin), ..account(7, "boss@example.com") };
        let text = text(&boss).unwrap();
        assert!(text.contains("zoho-mail-reconciler/protect: 'true'\n"), "{text}");
        assert!(!text.contains("activeSyncEnabled"), "{text}");
    }

    #[test]
    fn what_the_service_does_not_show_is_left_out_and_what_no_manifest_may_say_as_well() {
        let half = ObservedAccount { enabled: None, ..account(7, "alice@example.com") };
        assert!(!text(&half).unwrap().contains("\n  enabled:"));
        let none = ObservedAccount { active_sync_enabled: None, ..half };
        assert!(text(&none).unwrap_err().contains("does not show"));
        for hostile in ["no address", "a\u{202e}b@example.com", "x@example.com\nspec: {}", "'\"@example.com #"] {
            let text = text(&account(7, hostile)).unwrap();
            assert!(!text.contains("email"), "{text}");
        }
        let same = ObservedAccount { zuid: Zuid::new(7), ..account(7, "a@example.com") };
        assert!(text(&same).is_err(), "accountId and zuid are mixed up");
    }

    #[test]
    fn names_are_unique_and_do_not_depend_on_the_order() {
        let mut accounts = vec![
            account(1, "alice@example.com"),
            account(2, "Alice@example.org"),
            account(3, "bob@example.com"),
            account(4, "bob@example.com"),
            account(5, ""),
            account(6, "José.O'Neil+x@example.com"),
            account(7, "...@example.com"),
            account(8, "taken@example.com"),
        ];
        let taken = BTreeSet::from(["taken".into()]);
        let named = names(&accounts, &taken);
        assert_eq!(
            named,
            [
                "alice.example.com",
                "alice.example.org",
                "bob-3",
                "bob-4",
                "account-5",
                "jos.o-neil-x",
                "account-7",
                "taken.example.com"
            ]
        );
        accounts.reverse();
        assert!(names(&accounts, &taken).into_iter().rev().eq(named));
        let long = account(9, &format!("{}@example.com", "x".repeat(300)));
        assert_eq!(names(&[long], &taken)[0].len(), NAME_MAX);
    }
}
