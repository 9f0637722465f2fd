//! Which budget counts and what is approved, after any looks.

use std::time::Duration;

use super::{approval_of, budget, document, look, state};
use crate::account::{AuthMode, Field};
use crate::desired::{DesiredState, Look, Standing};
use crate::guard::{Allowance, InForce};
use crate::ledger::Lapsed;
use crate::manifest::{PROTECT, Protection, Rules, parse};
use crate::timestamp::Timestamp;

const NEVER: &str = "2027-01-31T08:00:00Z";

/// The budget that counts after these looks, in a line.
fn in_force(files: &[(&str, &str)]) -> String {
    let InForce { allowance: Allowance { max, window, .. }, manifest, unclear, .. } =
        state(files).0.budget(InForce::default().allowance);
    let window = humantime::format_duration(window);
    match (unclear, manifest) {
        (Some(why), _) => format!("{max} unclear: {why}"),
        (None, Some(source)) => format!("{max} in {window} by {source}"),
        (None, None) => format!("{max} in {window} by options"),
    }
}

#[test]
fn a_budget_overrides_the_options_and_gives_them_back_when_it_goes() {
    let five = budget("limits", "5");
    let window = five.replace("maxDisruptions: 5", "window: 7days");
    assert_eq!(in_force(&[]), "10,10% in 1h by options");
    assert_eq!(in_force(&[("a.yaml", &five)]), "5 in 1h by a.yaml:2");
    assert_eq!(in_force(&[("a.yaml", &window)]), "10,10% in 7days by a.yaml:2");
    assert_eq!(in_force(&[("a.yaml", &five), ("a.yaml", "gone")]), "10,10% in 1h by options");
    assert_eq!(in_force(&[("a.yaml", &five), ("a.yaml", "# none\n")]), "10,10% in 1h by options");
    // An emptied file may be about to be filled again.
    assert_eq!(in_force(&[("a.yaml", &five), ("a.yaml", "")]), "5 in 1h by a.yaml:2");
    assert_eq!(in_force(&[("a.yaml", &five), ("a.yaml", " \n"), ("a.yaml", "gone")]), "10,10% in 1h by options");
}

#[test]
fn a_budget_that_is_broken_keeps_its_last_good_state_and_without_one_nothing_may_be_taken_away() {
    let (five, broken) = (budget("limits", "5"), budget("limits", "many"));
    let unread = "---\nkind: DisruptionBudget\nspec: [\n";
    for now in [&*broken, unread, "unreadable", "a: ["] {
        assert_eq!(in_force(&[("a.yaml", &five), ("a.yaml", now)]), "5 in 1h by a.yaml:2", "{now}");
        assert_eq!(in_force(&[("a.yaml", &five), ("a.yaml", now), ("a.yaml", &five)]), "5 in 1h by a.yaml:2");
    }
    for first in [&*broken, unread] {
        let why = "0 unclear: the only DisruptionBudget is in a.yaml, which is broken";
        assert_eq!(in_force(&[("a.yaml", first)]), why);
        assert_eq!(in_force(&[("a.yaml", first), ("a.yaml", "gone")]), "10,10% in 1h by options");
    }
    // What does not say that it is a budget is none.
    for other in ["a: [", "unreadable"] {
        assert_eq!(in_force(&[("a.yaml", other)]), "10,10% in 1h by options");
    }
    // A broken account beside it takes nothing away from a budget that can be read.
    let beside = format!("{}{five}", document("4", "alice", "yes"));
    assert_eq!(in_force(&[("a.yaml", &beside)]), "5 in 1h by a.yaml:10");
}

#[test]
fn a_file_that_declared_a_budget_and_is_broken_in_whatever_way_keeps_it_and_another_kind_of_ours_may_be_a_budget() {
    let five = budget("limits", "5");
    let of_kind = |kind: &str| five.replace("DisruptionBudget", kind);
    let account = document("4", "alice", "yes");
    for now in [&of_kind("Budget"), &of_kind("MailAccount"), &of_kind("List"), &of_kind("DisruptionApproval"), &account]
    {
        assert_eq!(in_force(&[("a.yaml", &five), ("a.yaml", now)]), "5 in 1h by a.yaml:2", "{now}");
    }
    // What is sound and no budget any more is none.
    let sound = document("4", "alice", "true");
    assert_eq!(in_force(&[("a.yaml", &five), ("a.yaml", &sound)]), "10,10% in 1h by options");
    // After a restart.
    for first in ["Budget", "MailAccount", "List"] {
        let why = "0 unclear: the only DisruptionBudget is in a.yaml, which is broken";
        assert_eq!(in_force(&[("a.yaml", &of_kind(first))]), why, "{first}");
    }
    // A broken account that looks like no budget is none, and holds no other account.
    assert_eq!(in_force(&[("a.yaml", &account)]), "10,10% in 1h by options");
}

#[test]
fn a_budget_that_an_earlier_process_read_stands_in_for_a_file_that_is_broken_and_for_no_other() {
    let (five, options) = (budget("limits", "5"), InForce::default().allowance);
    let known = state(&[("a.yaml", &five)]).0.declared_budgets();
    let account = document("4", "alice", "yes");
    let recalled = |files: &[(&str, &str)]| {
        let mut state = state(files).0;
        state.recall(&known);
        state.recall(&known);
        let InForce { allowance, unclear, .. } = state.budget(options);
        (allowance.max.to_string(), unclear.is_some(), state.declared_budgets().len())
    };
    let kept = ("5".to_owned(), false, 1);
    for now in
        [&*account, "a: [", "unreadable", "", &budget("limits", "many"), &five.replace("DisruptionBudget", "Budget")]
    {
        assert_eq!(recalled(&[("a.yaml", now)]), kept, "{now}");
        assert_eq!(recalled(&[("a.yaml", now), ("b.yaml", &five)]), ("0".into(), true, 2), "two: {now}");
    }
    let sound = document("4", "alice", "true");
    for files in [&[][..], &[("a.yaml", &*sound)], &[("b.yaml", &*account)], &[("a.yaml", "# none\n")]] {
        assert_eq!(recalled(files), ("10,10%".into(), false, 0), "{files:?}");
    }
    // What it says now counts, and is what the next process has to know.
    assert_eq!(recalled(&[("a.yaml", &budget("limits", "7"))]), ("7".into(), false, 1));
}

#[test]
fn a_budget_that_never_could_be_read_holds_in_whatever_way_its_file_is_broken_next() {
    let unread = "---\nkind: DisruptionBudget\nspec: [\n";
    for next in ["unreadable", "a: [", &document("4", "alice", "yes")] {
        let in_force = in_force(&[("a.yaml", unread), ("a.yaml", next)]);
        assert!(in_force.starts_with("0 unclear"), "{next}: {in_force}");
    }
}

#[test]
fn an_account_of_a_document_that_becomes_another_kind_of_ours_keeps_its_last_good_state() {
    let alice = document("4", "alice", "true");
    let (state, _) = state(&[("a.yaml", &alice), ("a.yaml", &alice.replace("MailAccount", "Mailbox"))]);
    assert_eq!(state.get(super::AccountId::new(4).unwrap()).unwrap().standing, Standing::LastGood);
}

#[test]
fn with_a_policy_dir_budgets_and_approvals_count_only_there() {
    let (alice, approval) = (document("4", "alice", "false"), approval_of("leavers", NEVER, &["alice"]));
    let dir = || Protection::default().with_policy_dir(Some("./policy/".parse().unwrap()));
    let read = |files: &[(&str, &str)]| {
        let mut state = DesiredState::protecting(dir().into());
        for (path, text) in files {
            let (path, protection) = ((*path).into(), dir());
            let rules = Rules { auth: AuthMode::User, protection: &protection };
            state.update(&path, Look::Parsed(parse(&path, text.as_bytes(), rules)));
        }
        let InForce { allowance, unclear, .. } = state.budget(InForce::default().allowance);
        let approved = approved(&state, Timestamp::default()).is_some();
        (allowance.max.to_string(), unclear.is_some(), approved, state.problem_count())
    };
    let (five, nine) = (budget("limits", "5"), budget("others", "9"));
    let there = [("a.yaml", &*alice), ("policy/limits.yaml", &*five), ("policy/team/leavers.yaml", &*approval)];
    assert_eq!(read(&there), ("5".into(), false, true, 0));
    // One that is elsewhere is a problem, and changes nothing of what counts.
    for path in ["limits.yaml", "sales/policy/limits.yaml", "policy.yaml", "policyx/limits.yaml"] {
        assert_eq!(read(&[&there[..], &[(path, &nine)]].concat()), ("5".into(), false, true, 1), "{path}");
    }
    assert_eq!(read(&[("a.yaml", &alice), ("sales/leavers.yaml", &approval)]), ("10,10%".into(), false, false, 1));
    // Where there is no other it was meant to count, and nothing is looser for its being elsewhere.
    assert_eq!(read(&[("limits.yaml", &five)]), ("0".into(), true, false, 1));
    let why = read(&[("policy/limits.yaml", &five.replace("5", "many")), ("limits.yaml", &nine)]);
    assert_eq!(why, ("0".into(), true, false, 2));
    // What was read elsewhere before the option was set is no rival either.
    let mut moved = DesiredState::protecting(dir().into());
    for (path, text) in [("limits.yaml", &nine), ("policy/limits.yaml", &five)] {
        let (path, protection) = (path.into(), dir());
        let rules = Rules { auth: AuthMode::User, protection: &protection };
        moved.update(&path, Look::Parsed(parse(&path, text.as_bytes(), rules)));
    }
    moved.recall(&state(&[("limits.yaml", &nine)]).0.declared_budgets());
    assert_eq!(moved.budget(InForce::default().allowance).allowance.max.to_string(), "5");
}

#[test]
fn of_two_budgets_none_counts_and_both_are_told_until_one_goes() {
    let (five, nine) = (budget("limits", "5"), budget("others", "9"));
    assert_eq!(in_force(&[("a.yaml", &five), ("b.yaml", &nine)]), "0 unclear: there are 2, in a.yaml:2 and b.yaml:2");
    assert_eq!(in_force(&[("a.yaml", &five), ("b.yaml", &nine), ("a.yaml", "gone")]), "9 in 1h by b.yaml:2");
    // One that is broken is still one of them, whether or not it could ever be read.
    for a in [&[("a.yaml", &*five), ("a.yaml", "unreadable")][..], &[("a.yaml", "---\nkind: DisruptionBudget\n")]] {
        assert!(in_force(&[a, &[("b.yaml", &nine)]].concat()).starts_with("0 unclear: there are 2"));
    }
    let (both, _) = state(&[("a.yaml", &five), ("b.yaml", &nine)]);
    let problems: Vec<String> = both.problems().map(|problem| problem.to_string()).collect();
    assert_eq!(problems.len(), both.problem_count());
    insta::assert_snapshot!(problems.join("\n"), @r"
    a.yaml:5:3: metadata.name: expected one DisruptionBudget in the folder, found another one at b.yaml:5:3 (without an approval nobody may lose anything until one of them is removed)
    b.yaml:5:3: metadata.name: expected one DisruptionBudget in the folder, found another one at a.yaml:5:3 (without an approval nobody may lose anything until one of them is removed)
    ");
}

/// The approval by which account 4 may lose its mailbox at `now`.
fn approved(state: &DesiredState, now: Timestamp) -> Option<String> {
    let account = state.get(super::AccountId::new(4)?)?;
    account.approval(Field::Enabled, crate::change::Direction::TakesAway, now).map(|clause| clause.approval.to_string())
}

#[test]
fn an_approval_covers_exactly_what_it_names_until_it_expires() {
    let expires: Timestamp = NEVER.parse().unwrap();
    let before = expires.before(Duration::from_millis(1));
    let alice = document("4", "alice", "false");
    let of = |text: &str| state(&[("a.yaml", &alice), ("b.yaml", text)]);
    let approval = approval_of("leavers", NEVER, &["alice"]);
    let (covered, touched) = of(&approval);
    assert_eq!((approved(&covered, before).as_deref(), touched), (Some("leavers"), vec![4]));
    assert_eq!(approved(&covered, expires), None, "the moment itself is too late");
    for other in [
        approval_of("leavers", NEVER, &["bob"]),
        approval.replace("- enabled", "- activeSyncEnabled"),
        approval.replace("- name: alice\n", "- name: alice\n      accountId: 5\n"),
        approval.replace("expires", "expire"),
        approval.replace("reason: they leave\n", ""),
    ] {
        assert_eq!(approved(&of(&other).0, before), None, "{other}");
    }
    let insists = approval.replace("- name: alice\n", "- name: alice\n      accountId: 4\n");
    assert_eq!(approved(&of(&insists).0, before).as_deref(), Some("leavers"));
}

#[test]
fn an_approval_that_is_broken_gone_or_one_of_two_approves_nothing_and_touches_whom_it_named() {
    let (alice, bob) = (document("4", "alice", "false"), document("5", "bob", "false"));
    let approval = approval_of("leavers", NEVER, &["alice"]);
    let accounts = [("a.yaml", &*alice), ("b.yaml", &*bob), ("c.yaml", &*approval)];
    let broken = approval.replace("reason", "raeson");
    for now in ["gone", "unreadable", "a: [", "", &broken] {
        let (after, touched) = state(&[&accounts[..], &[("c.yaml", now)]].concat());
        assert_eq!((approved(&after, Timestamp::default()), touched), (None, vec![4]), "{now}");
    }
    let (twice, touched) = state(&[&accounts[..], &[("d.yaml", &approval_of("leavers", NEVER, &["bob"]))]].concat());
    assert_eq!((approved(&twice, Timestamp::default()), touched, twice.problem_count()), (None, vec![4], 2));
    let again = [&accounts[..], &[("d.yaml", &approval), ("d.yaml", "gone")]].concat();
    assert_eq!(approved(&state(&again).0, Timestamp::default()).as_deref(), Some("leavers"));
    // The same text again, or on other lines, changes nothing.
    let (_, touched) = state(&[&accounts[..], &[("c.yaml", &format!("\n\n{approval}"))]].concat());
    assert_eq!(touched, Vec::<u64>::new());
}

#[test]
fn a_last_good_state_from_before_the_protection_is_protected_as_well() {
    let before = document("4", "ceo", "false");
    let after = before.replace("metadata:\n", &format!("metadata:\n  annotations: {{{PROTECT}: \"true\"}}\n"));
    let (state, touched) = state(&[("a.yaml", &before), ("a.yaml", &after)]);
    let ceo = state.get(super::AccountId::new(4).unwrap()).unwrap();
    assert_eq!((ceo.standing, ceo.protected, ceo.spec.enabled), (Standing::LastGood, true, Some(false)));
    assert_eq!(touched, [4]);
}

#[test]
fn names_that_nobody_bears_are_worth_a_note_and_no_problem() {
    let protection: Protection = ["ceo", "4", "77"].map(|text| text.parse().unwrap()).into_iter().collect();
    let mut state = DesiredState::protecting(protection.into());
    let approval = approval_of("leavers", NEVER, &["alice", "alcie"]);
    for (path, text) in [("a.yaml", document("4", "alice", "true")), ("b.yaml", approval)] {
        state.update(&path.into(), look(&path.into(), &text));
    }
    assert_eq!(state.problem_count(), 0);
    insta::assert_snapshot!(state.notes(Timestamp::default()).join("\n"), @r"
    --protect 77: no readable manifest has this name, nor an account this id; an id protects all the same
    --protect ceo: no readable manifest has this name, nor an account this id; an id protects all the same
    b.yaml:2: the approval leavers names alcie, but no readable manifest declares that account
    ");
    let expired = NEVER.parse().unwrap();
    assert_eq!(state.notes(expired).len(), 2, "an approval that is over bothers nobody");
    // Whose manifest is broken, a problem says; of one that cannot be read at all it may be any.
    for (broken, said) in [
        (document("77", "ceo", "yes"), 1),
        (document("77", "cfo", "yes"), 2),
        (document("78", "ceo", "yes"), 2),
        ("a: [".to_owned(), 0),
        ("kind: DisruptionBudget\n".to_owned(), 3),
    ] {
        state.update(&"c.yaml".into(), look(&"c.yaml".into(), &broken));
        assert_eq!(state.notes(Timestamp::default()).len(), said, "{broken}");
    }
}

#[test]
fn an_approval_that_was_over_when_the_clock_was_set_stays_over_until_its_document_gives_another_end() {
    let end: Timestamp = NEVER.parse().unwrap();
    let before = end.before(Duration::from_secs(1));
    let (alice, approval) = (document("4", "alice", "false"), approval_of("leavers", NEVER, &["alice"]));
    let read = || state(&[("a.yaml", &alice), ("b.yaml", &approval)]).0;
    let by = |moment| Lapsed { by: Some(moment), ..Lapsed::default() };
    let mut not_over = read();
    not_over.lapse(&by(before));
    assert_eq!(approved(&not_over, before).as_deref(), Some("leavers"));
    for (now, counts) in [
        ("gone", false),
        ("", false),
        (&*approval, false),
        (&format!("\n\n{approval}"), false),
        (&approval.replace("they leave", "they left"), false),
        (&approval.replace("08:00:00", "08:00:01"), true),
    ] {
        let mut state = read();
        state.lapse(&by(end));
        assert_eq!(approved(&state, before), None);
        for text in [now, &*approval].into_iter().take(if counts { 1 } else { 2 }) {
            let path = "b.yaml".into();
            state.update(&path, if text == "gone" { Look::Gone } else { look(&path, text) });
        }
        assert_eq!(approved(&state, before).is_some(), counts, "{now}");
        let (name, _, document) = state.approvals().next().unwrap();
        assert_eq!(state.is_over(name, document.expires, before), !counts);
    }
}
