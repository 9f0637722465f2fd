//! What the desired state must be after any sequence of looks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

mod policies;
use crate::account::AuthMode;
use crate::manifest::{PROTECT, ProblemCode, Rules, parse};

fn document(id: &str, name: &str, enabled: &str) -> String {
    format!(
        "---\napiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata:\n  name: {name}\n\
         spec:\n  accountId: {id}\n  enabled: {enabled}\n"
    )
}

fn budget(name: &str, max: &str) -> String {
    format!(
        "---\napiVersion: zoho-mail-reconciler/v1\nkind: DisruptionBudget\nmetadata:\n  name: {name}\nspec:\n  \
         maxDisruptions: {max}\n"
    )
}

fn approval_of(name: &str, expires: &str, accounts: &[&str]) -> String {
    let account = |account: &&str| format!("    - name: {account}\n      fields:\n        - enabled\n");
    format!(
        "---\napiVersion: zoho-mail-reconciler/v1\nkind: DisruptionApproval\nmetadata:\n  name: {name}\nspec:\n  \
         reason: they leave\n  expires: {expires}\n  accounts:\n{}",
        accounts.iter().map(account).collect::<String>()
    )
}

fn look(path: &Arc<str>, text: &str) -> Look {
    Look::Parsed(parse(path, text.as_bytes(), Rules { auth: AuthMode::User, ..Rules::default() }))
}

fn unreadable(path: &Arc<str>) -> Look {
    Look::Unreadable(Problem::of_file(path, ProblemCode::Unreadable, "a readable file", "permission denied", None))
}

/// A state that has seen `files`, in this order, and the accounts that the last look touched.
fn state(files: &[(&str, &str)]) -> (DesiredState, Vec<u64>) {
    let mut state = DesiredState::new();
    let mut touched = BTreeSet::new();
    for (path, text) in files {
        let path = Arc::from(*path);
        let look = match *text {
            "gone" => Look::Gone,
            "unreadable" => unreadable(&path),
            text => look(&path, text),
        };
        touched = state.update(&path, look);
    }
    (state, touched.into_iter().map(AccountId::get).collect())
}

/// Every account as one line.
fn render(state: &DesiredState) -> String {
    let lines = state.iter().map(|(id, account)| {
        let DesiredAccount { name, spec, source, standing, .. } = account;
        let standing = match standing {
            Standing::Current => "current".to_owned(),
            Standing::LastGood => "last good".to_owned(),
            Standing::Duplicate { other } => format!("duplicate of {other}"),
        };
        format!("{id} {name} {:?} {source} {standing}\n", spec.enabled.unwrap())
    });
    lines.collect()
}

#[test]
fn two_documents_with_one_account_are_both_held_until_one_goes() {
    let (a, b) = (document("4", "alice", "true"), document("4", "bob", "false"));
    let (state_of_both, touched) = state(&[("a.yaml", &a), ("b.yaml", &b)]);
    insta::assert_snapshot!(render(&state_of_both), @"4 alice true a.yaml:2 duplicate of b.yaml:2");
    assert_eq!(touched, [4]);
    let problems: Vec<String> = state_of_both.problems().map(|problem| problem.to_string()).collect();
    assert_eq!(problems.len(), state_of_both.problem_count());
    insta::assert_snapshot!(problems.join("\n"), @r"
    a.yaml:7:3: spec.accountId: expected one document for each account, found 4, also declared at b.yaml:7:3 (nothing is sent for the account until one of them is removed)
    b.yaml:7:3: spec.accountId: expected one document for each account, found 4, also declared at a.yaml:7:3 (nothing is sent for the account until one of them is removed)
    ");
    let (after, touched) = state(&[("a.yaml", &a), ("b.yaml", &b), ("a.yaml", "gone")]);
    insta::assert_snapshot!(render(&after), @"4 bob false b.yaml:2 current");
    assert_eq!((touched, after.problem_count(), after.managed()), (vec![4], 0, 1));
}

#[test]
fn two_documents_with_one_name_are_both_held_and_both_are_touched_when_that_ends() {
    let (a, b) = (document("4", "alice", "true"), document("5", "alice", "true"));
    let (both, touched) = state(&[("a.yaml", &a), ("b.yaml", &b)]);
    insta::assert_snapshot!(render(&both), @r"
    4 alice true a.yaml:2 duplicate of b.yaml:2
    5 alice true b.yaml:2 duplicate of a.yaml:2
    ");
    assert_eq!((touched, both.managed()), (vec![4, 5], 2));
    let problems: Vec<String> = both.problems().map(|problem| problem.to_string()).collect();
    insta::assert_snapshot!(problems.join("\n"), @r#"
    a.yaml:5:3: metadata.name: expected a name that no other document has, found "alice", also the name at b.yaml:5:3 (nothing is sent for their accounts until one of them is renamed)
    b.yaml:5:3: metadata.name: expected a name that no other document has, found "alice", also the name at a.yaml:5:3 (nothing is sent for their accounts until one of them is renamed)
    "#);
    let renamed = document("5", "alicia", "true");
    let (after, touched) = state(&[("a.yaml", &a), ("b.yaml", &b), ("b.yaml", &renamed)]);
    insta::assert_snapshot!(render(&after), @r"
    4 alice true a.yaml:2 current
    5 alicia true b.yaml:2 current
    ");
    assert_eq!((touched, after.problem_count()), (vec![4, 5], 0));
}

#[test]
fn two_documents_with_one_address_are_both_held_whatever_its_case_and_both_are_touched_when_that_ends() {
    let of = |id, name, email: &str| {
        document(id, name, "true").replace("  enabled", &format!("  email: {email}\n  enabled"))
    };
    let (a, b) = (of("4", "alice", "Alice@example.com"), of("5", "bob", "alice@EXAMPLE.com"));
    let (both, touched) = state(&[("a.yaml", &a), ("b.yaml", &b)]);
    insta::assert_snapshot!(render(&both), @r"
    4 alice true a.yaml:2 duplicate of b.yaml:2
    5 bob true b.yaml:2 duplicate of a.yaml:2
    ");
    assert_eq!(touched, [4, 5]);
    let problems: Vec<String> = both.problems().map(|problem| problem.to_string()).collect();
    assert_eq!(problems.len(), both.problem_count());
    insta::assert_snapshot!(problems.join("\n"), @r"
    a.yaml:8:3: spec.email: expected an address that no other document has, found the same, upper and lower case aside, at b.yaml:8:3 (nothing is sent for their accounts until one of them is mended: one may be a copy with the other's ids)
    b.yaml:8:3: spec.email: expected an address that no other document has, found the same, upper and lower case aside, at a.yaml:8:3 (nothing is sent for their accounts until one of them is mended: one may be a copy with the other's ids)
    ");
    for mended in [of("5", "bob", "bob@example.com"), document("5", "bob", "true"), "gone".to_owned()] {
        let (after, touched) = state(&[("a.yaml", &a), ("b.yaml", &b), ("b.yaml", &mended)]);
        assert_eq!((touched, after.problem_count()), (vec![4, 5], 0), "{mended}");
    }
    // One account may be called by a new address, and a file may move.
    let (moved, touched) = state(&[("a.yaml", &a), ("b.yaml", &a), ("a.yaml", "gone")]);
    assert_eq!((touched, moved.problem_count()), (vec![4], 0));
}

#[test]
fn several_accounts_of_one_user_are_worth_a_note_that_names_them() {
    let of =
        |id, name, zuid: &str| document(id, name, "true").replace("  enabled", &format!("  zuid: {zuid}\n  enabled"));
    let (two, _) = state(&[
        ("a.yaml", &of("4", "alice", "9")),
        ("b.yaml", &of("5", "bob", "9")),
        ("c.yaml", &of("6", "eve", "8")),
    ]);
    let notes = two.notes(Timestamp::default());
    assert_eq!((notes.len(), two.problem_count()), (1, 0));
    insta::assert_snapshot!(notes[0], @"one user, zuid 9, owns the accounts of a.yaml:2 and b.yaml:2; if that is not so, one is a copy");
    let (same, _) = state(&[("a.yaml", &of("9", "alice", "9"))]);
    assert_eq!((same.problem_count(), same.managed()), (1, 0), "no account has its user's number");
}

#[test]
fn a_third_duplicate_touches_only_itself() {
    let copy = document("4", "alice", "true");
    let other = document("5", "alice", "true");
    let (three, touched) = state(&[("a.yaml", &copy), ("b.yaml", &copy), ("c.yaml", &other)]);
    assert_eq!((touched, three.problem_count()), (vec![5], 5));
}

#[test]
fn a_broken_document_keeps_what_it_declared_and_leaves_its_neighbours_alone() {
    let text = |alice: &str, bob: &str| document("4", "alice", alice) + &document("5", "bob", bob);
    let good = text("true", "true");
    let (broken, touched) = state(&[("a.yaml", &good), ("a.yaml", &text("yes", "false"))]);
    insta::assert_snapshot!(render(&broken), @r"
    4 alice true a.yaml:2 last good
    5 bob false a.yaml:10 current
    ");
    assert_eq!(touched, [4, 5]);
    let (fresh, _) = state(&[("a.yaml", &text("yes", "false"))]);
    insta::assert_snapshot!(render(&fresh), @"5 bob false a.yaml:10 current");
    let (mended, touched) = state(&[("a.yaml", &good), ("a.yaml", &text("yes", "false")), ("a.yaml", &good)]);
    insta::assert_snapshot!(render(&mended), @r"
    4 alice true a.yaml:2 current
    5 bob true a.yaml:10 current
    ");
    assert_eq!((touched, mended.problem_count()), (vec![4, 5], 0));
}

#[test]
fn a_broken_document_that_names_nobody_may_be_anybody_and_one_that_names_somebody_is_not() {
    let good = document("4", "alice", "true") + &document("5", "bob", "true");
    for (text, kept) in [
        ("a: [".to_owned(), vec![4, 5]),
        ("unreadable".to_owned(), vec![4, 5]),
        (document("4x", "alice", "true"), vec![4]),
        (document("4x", "alicia", "true"), vec![4, 5]),
        (document("5", "BOB", "true"), vec![5]),
        ("kind: DisruptionBudget".to_owned(), vec![]),
        ("gone".to_owned(), vec![]),
        (String::new(), vec![]),
    ] {
        let (state, _) = state(&[("a.yaml", &good), ("a.yaml", &text)]);
        let ids: Vec<u64> = state.iter().map(|(id, _)| id.get()).collect();
        assert_eq!(ids, kept, "{text}");
        assert!(state.iter().all(|(_, account)| account.standing == Standing::LastGood));
        assert_eq!(state.managed(), 0, "no readable document declares them");
    }
}

#[test]
fn a_broken_document_cannot_hold_an_account_that_another_file_declares() {
    let (a, b) = (document("4", "alice", "true"), document("4", "alice", "false"));
    let broken = document("4", "alice", "yes");
    let (state, touched) = state(&[("a.yaml", &a), ("a.yaml", &broken), ("b.yaml", &b)]);
    insta::assert_snapshot!(render(&state), @"4 alice false b.yaml:2 current");
    assert_eq!(touched, [4]);
}

#[test]
fn what_a_broken_file_keeps_is_its_newest_good_state() {
    let (old, new) = (document("4", "alice", "true"), document("4", "alice", "false"));
    let beside_a_broken_one = format!("\n{new}---\na: [\n");
    let (state, touched) = state(&[("a.yaml", &old), ("a.yaml", &beside_a_broken_one), ("a.yaml", "a: [")]);
    insta::assert_snapshot!(render(&state), @"4 alice false a.yaml:3 last good");
    assert_eq!(touched, [4]);
}

#[test]
fn one_edit_in_a_large_file_touches_one_account_however_its_lines_move() {
    let text = |edited: &str| {
        let of = |i: u64| document(&i.to_string(), &format!("n{i}"), if i == 7 { edited } else { "true" });
        format!("# {edited}\n{}{}", if edited == "false" { "\n\n" } else { "" }, (1..=50).map(of).collect::<String>())
    };
    let (_, touched) = state(&[("a.yaml", &text("true")), ("a.yaml", &text("false"))]);
    assert_eq!(touched, [7]);
    let (_, touched) = state(&[("a.yaml", &text("true")), ("a.yaml", &text("true"))]);
    assert_eq!(touched, Vec::<u64>::new(), "the same text again changes nothing");
}

#[test]
fn an_account_that_moves_between_files_is_declared_once_whichever_look_comes_first() {
    let text = document("4", "alice", "true");
    for looks in [[("b.yaml", &*text), ("a.yaml", "gone")], [("a.yaml", "gone"), ("b.yaml", &*text)]] {
        let (state, touched) = state(&[&[("a.yaml", &*text)], &looks[..]].concat());
        insta::allow_duplicates! { insta::assert_snapshot!(render(&state), @"4 alice true b.yaml:2 current"); }
        assert_eq!((touched, state.len(), state.managed()), (vec![4], 1, 1));
    }
}

const PATHS: [&str; 4] = ["a.yaml", "b.yaml", "b/c.yaml", "d.yaml"];

/// One file as it may be found; `None`: gone.
#[derive(Clone, Debug)]
enum File {
    Gone,
    Unreadable,
    Text(String),
}

impl File {
    fn look(&self, path: &Arc<str>) -> Look {
        match self {
            Self::Gone => Look::Gone,
            Self::Unreadable => unreadable(path),
            Self::Text(text) => look(path, text),
        }
    }

    fn is_broken(&self) -> bool {
        match self {
            Self::Gone => false,
            Self::Unreadable => true,
            Self::Text(text) => {
                let wrong = [" yes", "0x", " x\n", "["].iter().any(|wrong| text.contains(wrong));
                text.is_empty()
                    || wrong
                    || text.split("---").any(|document| document.contains(PROTECT) && document.contains("false"))
            }
        }
    }
}

fn any_document() -> impl Strategy<Value = String> {
    let id = prop_oneof![8 => (1..4u64).prop_map(|id| id.to_string()), 1 => Just("0x".to_owned())];
    let name = prop_oneof![8 => prop::sample::select(vec!["p", "q", "r"]), 1 => Just("[")];
    let enabled = prop_oneof![8 => prop::sample::select(vec!["true", "false"]), 2 => Just("yes")];
    let protect = prop::bool::weighted(0.1);
    let email = prop::sample::select(vec![
        "",
        "  email: x@example.com\n",
        "  email: X@example.com\n",
        "  email: y@example.com\n",
    ]);
    let account = (id, name, enabled, email, protect).prop_map(|(id, name, enabled, email, protect)| {
        let annotation = format!("metadata:\n  annotations: {{{PROTECT}: \"true\"}}\n");
        let text = document(&id, name, enabled).replace("  enabled", &format!("{email}  enabled"));
        if protect { text.replace("metadata:\n", &annotation) } else { text }
    });
    let max =
        prop_oneof![6 => (0..3_u8).prop_map(|max| max.to_string()), 1 => Just("[".to_owned()), 1 => Just("x".into())];
    let names = prop::sample::subsequence(vec!["p", "q", "r"], 1..3);
    let expires = prop::sample::select(vec!["2027-01-31T08:00:00Z", "2027-02-28T08:00:00Z", "x"]);
    let approval = (prop::sample::select(vec!["a1", "a2"]), names, expires);
    prop_oneof![
        8 => account,
        1 => max.prop_map(|max| budget("limits", &max)),
        2 => approval.prop_map(|(name, accounts, expires)| approval_of(name, expires, &accounts)),
    ]
}

fn any_file() -> impl Strategy<Value = File> {
    prop_oneof![
        1 => Just(File::Gone),
        1 => Just(File::Unreadable),
        6 => prop::collection::vec(any_document(), 0..4).prop_map(|documents| File::Text(documents.concat())),
    ]
}

/// What must be touched when it changes.
type Facts = (Arc<str>, MailAccountSpec, Arc<str>, u8, bool, Vec<Clause>);

fn facts(state: &DesiredState) -> BTreeMap<AccountId, Facts> {
    let facts = |account: DesiredAccount<'_>| {
        let standing = match account.standing {
            Standing::Current => 0,
            Standing::LastGood => 1,
            Standing::Duplicate { .. } => 2,
        };
        let (name, path) = (Arc::clone(account.name), Arc::clone(&account.source.path));
        (name, account.spec.clone(), path, standing, account.protected, account.clauses.to_vec())
    };
    state.iter().map(|(id, account)| (id, facts(account))).collect()
}

fn problems(state: &DesiredState) -> Vec<Problem> {
    state.problems().map(Cow::into_owned).collect()
}

fn fresh_load(files: &BTreeMap<&'static str, File>) -> DesiredState {
    let mut state = DesiredState::new();
    for (path, file) in files {
        let path = Arc::from(*path);
        state.update(&path, file.look(&path));
    }
    state
}

/// The document as somebody writes it who mends it.
fn mended(text: &str) -> String {
    let text = text.replace(" yes", " true").replace("expires: x", "expires: 2027-01-31T08:00:00Z");
    let text = text.replace("Disruptions: x", "Disruptions: 1").replace("Disruptions: [", "Disruptions: 1");
    if text.contains(PROTECT) { text.replace("false", "true") } else { text }
}

proptest! {
    // A failure is kept as an example above, not in a folder of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn incremental_reading_and_a_fresh_full_load_give_the_same_desired_state(
        edits in prop::collection::vec((0..PATHS.len(), any_file()), 1..25),
        repaired in any_document(),
    ) {
        let mut files = BTreeMap::new();
        let mut state = DesiredState::new();
        let broken: Vec<_> = edits.iter().map(|(file, _)| (*file, File::Text(mended(&repaired)))).collect();
        for (step, (file, content)) in edits.iter().chain(&broken).enumerate() {
            let mends = step >= edits.len();
            let path = Arc::from(PATHS[*file]);
            if mends && !files.get(PATHS[*file]).is_some_and(File::is_broken) {
                continue;
            }
            files.insert(PATHS[*file], content.clone());
            let before = facts(&state);
            let touched = state.update(&path, content.look(&path));
            let after = facts(&state);
            for id in before.keys().chain(after.keys()) {
                prop_assert!(before.get(id) == after.get(id) || touched.contains(id), "{id} is not touched");
            }
            let mut fresh = fresh_load(&files);
            // As the ledger remembers them for the next process.
            fresh.recall(&state.declared_budgets());
            for (id, account) in fresh.iter() {
                prop_assert_eq!(state.get(id), Some(account));
                prop_assert!(!account.protected || account.spec.enabled != Some(false));
            }
            for (id, account) in state.iter().filter(|(id, _)| fresh.get(*id).is_none()) {
                prop_assert!(files[&*account.source.path].is_broken(), "{id} is kept by a file that is not broken");
                prop_assert_ne!(account.standing, Standing::Current);
            }
            prop_assert_eq!(problems(&state), problems(&fresh));
            prop_assert_eq!(state.problem_count(), problems(&fresh).len());
            prop_assert_eq!(state.managed(), fresh.managed());
            let in_force = |state: &DesiredState| state.budget(InForce::default().allowance);
            // A broken file may keep a budget that a fresh load does not know, and then nothing is looser for it.
            if !files.values().any(File::is_broken) {
                prop_assert_eq!(in_force(&state), in_force(&fresh));
            }
            prop_assert!(state.approvals().eq(fresh.approvals()), "what is broken approves nothing");
            let sorted = problems(&state);
            prop_assert!(sorted.is_sorted_by_key(|problem| (Arc::clone(&problem.path), problem.place())));
        }
    }
}
