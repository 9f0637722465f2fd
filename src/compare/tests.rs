//! The comparison of a base and a branch, by hand.

use std::sync::Arc;

use super::*;
use crate::desired::Look;
use crate::guard::Reviewed;
use crate::manifest::{Rules, parse};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// One file for each manifest: its name, its account, and what is wanted.
fn desired(files: &[(&str, u64, &str)]) -> DesiredState {
    let mut desired = DesiredState::new();
    for (name, account, spec) in files {
        let (path, name) = name.split_once('=').unwrap_or((name, name));
        let text = format!(
            "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata: {{name: {name}}}\n\
             spec: {{accountId: {account}, zuid: 9{account}, {spec}}}\n"
        );
        let path: Arc<str> = format!("{path}.yaml").into();
        desired.update(&path, Look::Parsed(parse(&path, text.as_bytes(), Rules::default())));
    }
    desired
}

/// The changes and the remarks from `base` to `head`, a line each.
fn check(base: &[(&str, u64, &str)], head: &[(&str, u64, &str)], expected: &str) {
    let (base, head) = (desired(base), desired(head));
    let changes = plan(&head, &as_applied(&base, NOW), NOW).changes;
    let changes =
        changes.iter().map(|change| format!("{} {} {} -> {}", change.name, change.field, change.from, change.to));
    let remarks = remarks(&base, &head, NOW);
    let remarks = remarks.iter().map(|remark| format!("{} {:?}", remark.name, remark.note));
    assert_eq!(changes.chain(remarks).collect::<Vec<_>>().join("\n"), expected);
}

#[test]
fn a_field_goes_from_what_the_base_wants_to_what_the_branch_wants() {
    check(&[("a", 1, "enabled: true")], &[("a", 1, "enabled: true")], "");
    check(&[("a", 1, "enabled: true")], &[("a", 1, "enabled: false")], "a enabled true -> false");
    check(&[], &[("a", 1, "enabled: false")], "a enabled (unknown) -> false");
    check(
        &[("a", 1, "enabled: true")],
        &[("a", 1, "activeSyncEnabled: true")],
        "a activeSyncEnabled (unknown) -> true\na FieldsNoLongerManaged { fields: [Enabled] }",
    );
}

#[test]
fn an_account_without_a_manifest_gets_no_put_and_is_named() {
    let managed = "enabled: true, activeSyncEnabled: false";
    check(&[("a", 1, managed)], &[], "a NoLongerManaged { fields: [Enabled, ActiveSyncEnabled] }");
}

#[test]
fn another_account_under_the_same_name_is_one_remark_that_says_so() {
    let managed = "enabled: true";
    let changed = "a enabled (unknown) -> true\na AccountChanged { from: AccountId(1), fields: [Enabled] }";
    check(&[("a", 1, managed)], &[("a", 2, managed)], changed);
    // Swapped, and one behind the other: each says which account it declared before, and what no manifest declares any more.
    let from =
        |name, from: u64, fields| format!("{name} AccountChanged {{ from: AccountId({from}), fields: [{fields}] }}");
    let swapped = [from("b", 2, ""), from("a", 1, "")].join("\n");
    check(&[("a", 1, managed), ("b", 2, managed)], &[("a", 2, managed), ("b", 1, managed)], &swapped);
    let chain = ["b enabled (unknown) -> true".to_owned(), from("a", 1, "Enabled"), from("b", 2, "")].join("\n");
    check(&[("a", 1, managed), ("b", 2, managed)], &[("a", 2, managed), ("b", 3, managed)], &chain);
    // Both are there: no account took the place of another.
    let second = "a enabled (unknown) -> true\na NoLongerManaged { fields: [Enabled] }";
    check(&[("x=a", 1, managed)], &[("x=b", 2, managed)], &second.replacen('a', "b", 1));
}

#[test]
fn another_name_or_another_file_is_no_change() {
    check(&[("a", 1, "enabled: true")], &[("a=b", 1, "enabled: true")], "b Renamed { from: \"a\" }");
    let moved = "a Moved { from: SourceRef { path: \"a.yaml\", line: 1 } }";
    check(&[("a", 1, "enabled: true")], &[("x=a", 1, "enabled: true")], moved);
}

#[test]
fn a_suspended_account_is_left_alone_and_is_unknown_once_it_is_not() {
    let (on, off) = ("enabled: true", "enabled: false, suspend: true, suspendReason: leave");
    check(&[("a", 1, on)], &[("a", 1, off)], "a Suspended { reason: Some(\"leave\"), until: None }");
    check(&[("a", 1, off)], &[("a", 1, on)], "a enabled (unknown) -> true\na Resumed");
    check(&[("a", 1, off)], &[("a", 1, off)], "");
    let over = "enabled: true, suspend: true, suspendUntil: 1970-01-01T00:00:01Z";
    check(&[("a", 1, over)], &[("a", 1, on)], "");
}

#[test]
fn what_becomes_a_duplicate_is_held_and_what_was_one_is_unknown() {
    let (on, off) = ("enabled: true", "enabled: false");
    let other = |path: &str| format!("Duplicate {{ other: SourceRef {{ path: \"{path}.yaml\", line: 1 }} }}");
    check(&[("a", 1, on)], &[("a", 1, off), ("b", 1, on)], &format!("a {}", other("b")));
    check(&[("a", 1, on), ("b", 1, on)], &[("a", 1, off)], "a enabled (unknown) -> false");
    check(
        &[("a", 1, on), ("b", 2, on)],
        &[("a", 1, on), ("b=a", 2, on)],
        &format!("a {}\na {}\na Renamed {{ from: \"b\" }}", other("b"), other("a")),
    );
}

#[test]
fn a_manifest_that_is_broken_now_is_not_taken_for_one_that_is_gone() {
    check(&[("a", 1, "enabled: true")], &[("a", 1, "enabled: yes")], "a Broken");
    check(&[("a", 1, "enabled: yes")], &[("a", 1, "enabled: true")], "a enabled (unknown) -> true");
}

#[test]
fn another_user_is_told_for_no_put_tells_it() {
    let base = desired(&[("a", 1, "enabled: true")]);
    let text = "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata: {name: a}\n\
                spec: {accountId: 1, zuid: 7, enabled: true}\n";
    let (path, mut head): (Arc<str>, _) = ("a.yaml".into(), DesiredState::new());
    head.update(&path, Look::Parsed(parse(&path, text.as_bytes(), Rules::default())));
    let remarks = remarks(&base, &head, NOW);
    let zuid = crate::account::Zuid::new;
    assert_eq!(remarks[0].note, Note::UserChanged { from: zuid(91), to: zuid(7) });
    assert_eq!(plan(&head, &as_applied(&base, NOW), NOW).changes, []);
}

#[test]
fn a_base_that_was_applied_leaves_nothing_to_do_and_uses_up_no_budget() {
    let base = desired(&[("a", 1, "enabled: false"), ("b", 2, "enabled: true, activeSyncEnabled: false")]);
    let ledger = as_applied(&base, NOW);
    assert_eq!(plan(&base, &ledger, NOW).changes, []);
    assert!(ledger.disruptions.is_empty() && ledger.requests.is_empty());
}

#[test]
fn a_plan_is_split_by_what_the_branch_asks_for() {
    let head = desired(&[("a", 1, "enabled: false"), ("b", 2, "enabled: true"), ("c", 3, "enabled: true")]);
    let base = desired(&[("a", 1, "enabled: true"), ("b", 2, "enabled: true"), ("c", 3, "enabled: false")]);
    // The service knows a as the branch does not, b not at all, and c as the branch wants it.
    let ledger = as_applied(&desired(&[("c", 3, "enabled: true")]), NOW);
    let actual = plan(&head, &ledger, NOW).changes;
    let branch = plan(&head, &as_applied(&base, NOW), NOW).changes;
    let split = split(actual.iter(), branch);
    let id = |n| AccountId::new(n).unwrap();
    assert_eq!(split.unexplained, BTreeSet::from([(id(2), Field::Enabled)]));
    let settled: Vec<_> = split.settled.iter().map(ToString::to_string).collect();
    assert_eq!(settled, ["c (3): enabled false -> true"]);
}

/// The digest of a plan in which nothing, or everything that takes away, is held.
fn digest_of(base: &DesiredState, head: &[(&str, u64, &str)], hold: bool) -> String {
    let changes = plan(&desired(head), &as_applied(base, NOW), NOW).changes;
    let (held, allowed) = changes.into_iter().partition(|change| hold && change.is_disruption());
    digest(&Reviewed { allowed, held, ..Reviewed::default() })
}

#[test]
fn the_same_puts_have_the_same_digest_whatever_files_they_come_from() {
    let base = desired(&[("a", 1, "enabled: true"), ("b", 2, "enabled: true")]);
    let head = [("a", 1, "enabled: false"), ("b", 2, "activeSyncEnabled: true")];
    let renamed = [("zz=c", 2, "activeSyncEnabled: true, email: b@example.com"), ("y=x", 1, "enabled: false")];
    assert_eq!(digest_of(&base, &head, false), digest_of(&base, &renamed, false));
    // A promise: reviewers and scripts keep it. Printed by `printf '1 91 enabled true false allowed\n2 92
    // activeSyncEnabled null true allowed\n' | sha256sum`.
    let known = "sha256:40ff3e7debb85c26080fdb775c7d3e39ad6f79c8636c457c60db6277e8feb00b";
    assert_eq!(digest_of(&base, &head, false), known);
}

#[test]
fn each_thing_that_a_put_says_changes_the_digest() {
    let base = desired(&[("a", 1, "enabled: true")]);
    let digests = [
        digest_of(&base, &[("a", 1, "enabled: false")], false),
        digest_of(&base, &[("a", 1, "enabled: false")], true),
        digest_of(&base, &[("a", 1, "activeSyncEnabled: false")], false),
        digest_of(&base, &[("a", 1, "activeSyncEnabled: true")], false),
        digest_of(&base, &[("a", 2, "enabled: false")], false),
        digest_of(&base, &[("a", 1, "enabled: true")], false),
    ];
    let distinct: BTreeSet<_> = digests.iter().collect();
    assert_eq!(distinct.len(), digests.len());
}
