//! The `DisruptionApproval` that lets a held plan through, as a manifest for a pull request.
//!
//! In: the changes that are held, a reason, two moments. Out: YAML that `validate` accepts as it is.
//! Invariants: it covers exactly the given changes, whoever wrote what they are called; the same input gives the same
//! bytes; no document is larger than a reader takes.

use std::fmt::Write as _;

use crate::account::printable;
use crate::change::Change;
use crate::timestamp::Timestamp;

/// How many accounts one document names at most: with the longest names and paths they take some 60 KiB, and a document
/// has at most 64.
const ACCOUNTS_MAX: usize = 80;

/// How much of a source is repeated in a comment, in characters.
const SOURCE_MAX: usize = 120;

/// The manifest that approves `held` from `now` until `expires`; nothing if nothing is held. `place`: where it has to be
/// committed to count, in words.
pub fn manifest(held: &[Change], place: &str, reason: &str, now: Timestamp, expires: Timestamp) -> String {
    let mut held: Vec<_> = held.iter().collect();
    held.sort_by_key(|change| (change.to, &change.name, change.account, change.field));
    // What is taken away and what is given back are approved apart.
    let directions = held.chunk_by(|a, b| a.to == b.to).map(|held| {
        let accounts: Vec<_> = held.chunk_by(|a, b| a.account == b.account).collect();
        accounts.chunks(ACCOUNTS_MAX).map(<[_]>::to_vec).collect::<Vec<_>>()
    });
    let documents: Vec<_> = directions.flatten().collect();
    let mut text = String::new();
    for (index, accounts) in documents.iter().enumerate() {
        let part = if documents.len() == 1 { String::new() } else { format!("-{}", index + 1) };
        let name = format!("approve-{}{part}", stamp(now));
        text += if index == 0 { "" } else { "---\n" };
        // Writing to a String cannot fail.
        let _ = write_document(&mut text, accounts, &name, (place, reason, expires));
    }
    text
}

/// `20261122-0214`.
fn stamp(now: Timestamp) -> String {
    let digits: String = now.to_string().chars().filter(char::is_ascii_digit).take("yyyymmddhhmm".len()).collect();
    let (day, minute) = digits.split_at("yyyymmdd".len());
    format!("{day}-{minute}")
}

fn write_document(
    text: &mut String,
    accounts: &[&[&Change]],
    name: &str,
    (place, reason, expires): (&str, &str, Timestamp),
) -> std::fmt::Result {
    let changes: usize = accounts.iter().map(|changes| changes.len()).sum();
    let plural = |number: usize| if number == 1 { "" } else { "s" };
    let (number, s, of) = (accounts.len(), plural(changes), plural(accounts.len()));
    let gives_back = accounts.iter().flat_map(|changes| changes.iter()).any(|change| change.to);
    let what = if gives_back { "grant" } else { "disruption" };
    writeln!(text, "# Lets {changes} held {what}{s} of {number} account{of} through, and no others.")?;
    writeln!(text, "# Commit it to {place} and have it reviewed; it counts from then on until it expires.")?;
    writeln!(text, "apiVersion: {}\nkind: DisruptionApproval", crate::manifest::API_VERSION)?;
    writeln!(text, "metadata:\n  name: {name}\nspec:\n  reason: {}", quoted(reason))?;
    let grants = if gives_back { "\n  grants: true" } else { "" };
    writeln!(text, "  expires: \"{expires}\"{grants}\n  accounts:")?;
    for changes in accounts {
        for change in *changes {
            let source = printable::cut(&change.source.to_string(), SOURCE_MAX);
            writeln!(text, "    # {source}: {} {} -> {}", change.field, change.from, change.to)?;
        }
        let Some(Change { name, account, .. }) = changes.first() else { continue };
        writeln!(text, "    - name: {}\n      accountId: \"{account}\"\n      fields:", quoted(name))?;
        for change in *changes {
            writeln!(text, "        - {}", change.field)?;
        }
    }
    Ok(())
}

/// A text in double quotes. Names and reasons hold nothing but these two that quotes do not take as it is.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::account::{AccountId, Field, SourceRef};
    use crate::change::Known;
    use crate::desired::{DesiredState, Look};
    use crate::manifest::{Rules, parse};

    const NOW: Timestamp = Timestamp::from_millis(1_795_313_671_042);

    fn change(n: u64, name: &str, field: Field, path: &str) -> Change {
        Change {
            account: AccountId::new(n).unwrap(),
            name: name.into(),
            zuid: None,
            field,
            from: if n.is_multiple_of(2) { Known::Applied(true) } else { Known::Absent },
            to: false,
            source: SourceRef { path: path.into(), line: 1 },
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

    #[test]
    fn it_says_whom_it_is_about_and_from_what_to_what() {
        let held = [
            change(8, "bob", Field::Enabled, "bob.yaml"),
            change(7, "alice", Field::Enabled, "sales/alice.yaml"),
            change(7, "alice", Field::ActiveSyncEnabled, "sales/alice.yaml"),
        ];
        let text = manifest(&held, "the desired state", "\"Lisbon\" closes", NOW, NOW + Duration::from_secs(86_400));
        insta::assert_snapshot!(text, @r#"
        # Lets 3 held disruptions of 2 accounts through, and no others.
        # Commit it to the desired state and have it reviewed; it counts from then on until it expires.
        apiVersion: zoho-mail-reconciler/v1
        kind: DisruptionApproval
        metadata:
          name: approve-20261122-0214
        spec:
          reason: "\"Lisbon\" closes"
          expires: "2026-11-23T02:14:31.042Z"
          accounts:
            # sales/alice.yaml:1: enabled (unknown) -> false
            # sales/alice.yaml:1: activeSyncEnabled (unknown) -> false
            - name: "alice"
              accountId: "7"
              fields:
                - enabled
                - activeSyncEnabled
            # bob.yaml:1: enabled true -> false
            - name: "bob"
              accountId: "8"
              fields:
                - enabled
        "#);
        let reversed: Vec<_> = held.iter().rev().cloned().collect();
        assert_eq!(
            manifest(&reversed, "the desired state", "\"Lisbon\" closes", NOW, NOW + Duration::from_secs(86_400)),
            text
        );
        assert_eq!(manifest(&[], "the desired state", "x", NOW, NOW), "");
    }

    #[test]
    fn what_comes_back_is_approved_apart_and_read_back_so() {
        let back = Change {
            to: true,
            gives_back: true,
            drift: None,
            from: Known::Applied(false),
            ..change(8, "bob", Field::Enabled, "b.yaml")
        };
        let text = manifest(
            &[back, change(7, "alice", Field::Enabled, "a.yaml")],
            "there",
            "x",
            NOW,
            NOW + Duration::from_secs(60),
        );
        assert!(text.contains("# Lets 1 held grant of 1 account through"), "{text}");
        let parsed = parse(&"x.yaml".into(), text.as_bytes(), Rules::default());
        assert_eq!(parsed.problems, []);
        let grants = |policy: &crate::manifest::Policy| match &policy.spec {
            crate::manifest::PolicySpec::Approval(approval) => (approval.grants, approval.accounts[0].name.to_string()),
            crate::manifest::PolicySpec::Budget(_) => panic!("{text}"),
        };
        let found: Vec<_> = parsed.policies.iter().map(grants).collect();
        assert_eq!(found, [(false, "alice".to_owned()), (true, "bob".to_owned())]);
    }

    #[test]
    fn it_is_read_back_as_exactly_what_is_held_however_many_and_however_they_are_called() {
        let names = ["true", "null", "123", "1.5", "1e3", "0x1f", "no", "a-b.c"].map(String::from);
        let path = format!("{}\n    - name: \"eve\"\u{202e}\u{1b}[31m #.yaml", "x".repeat(4000));
        let long = (0..400).map(|n| format!("{}{n}", "n".repeat(240)));
        let held: Vec<_> = names
            .into_iter()
            .chain(long)
            .zip(1_u64..)
            .map(|(name, n)| change(n, &name, Field::ALL[(n % 2) as usize], &path))
            .collect();
        let reason = "\\ \" # {x}: [y] é \u{2014} %s ".repeat(7);
        let text = manifest(&held, "policy", &reason, NOW, NOW + Duration::from_secs(60));
        let at: Arc<str> = "approval.yaml".into();
        let parsed = parse(&at, text.as_bytes(), Rules::default());
        assert_eq!(parsed.problems, []);
        let mut state = DesiredState::new();
        state.update(&at, Look::Parsed(parsed));
        assert_eq!((state.problem_count(), state.approvals().count()), (0, 6));
        let covered: Vec<_> = state.approvals().flat_map(|(.., approval)| approval.accounts.iter()).collect();
        assert_eq!(covered.len(), held.len());
        for change in held {
            let approved = covered.iter().find(|approved| approved.name == change.name).unwrap();
            assert_eq!(
                (approved.account, approved.fields),
                (Some(change.account), [change.field == Field::Enabled, change.field != Field::Enabled])
            );
        }
        assert!(state.approvals().all(|(.., approval)| *approval.reason == *reason));
    }
}
