#![no_main]
//! Any bytes as manifests. In: one version of a file, or two that follow each other (split at the first NUL, which no
//! manifest holds). Holds: nothing panics, takes long or grows; what is told of a problem is one short line at a place
//! that exists; and reading the second version after the first leaves the state that a fresh load gives.

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use zoho_mail_reconciler::account::{AuthMode, Field};
use zoho_mail_reconciler::desired::{DesiredState, Look, Standing};
use zoho_mail_reconciler::ledger::{Ledger, Owner};
use zoho_mail_reconciler::manifest::{Parsed, Place, Rules, explain, parse};
use zoho_mail_reconciler::plan::plan;
use zoho_mail_reconciler::timestamp::Timestamp;

fn rules() -> Rules<'static> {
    Rules { auth: AuthMode::User, ..Rules::default() }
}

fuzz_target!(|bytes: &[u8]| {
    let path: Arc<str> = "a.yaml".into();
    let (first, second) = match bytes.iter().position(|byte| *byte == 0) {
        Some(nul) => (Some(&bytes[..nul]), &bytes[nul + 1..]),
        None => (None, bytes),
    };
    let parsed = parse(&path, second, rules());
    check(second, &parsed);

    let mut fresh = DesiredState::new();
    fresh.update(&path, Look::Parsed(parsed.clone()));
    let mut state = DesiredState::new();
    if let Some(first) = first {
        state.update(&path, Look::Parsed(parse(&path, first, rules())));
    }
    state.update(&path, Look::Parsed(parsed));
    for (account, desired) in fresh.iter() {
        assert_eq!(state.get(account), Some(desired));
    }
    assert!(state.problems().eq(fresh.problems()));
    assert_eq!((state.problem_count(), state.managed()), (fresh.problem_count(), fresh.managed()));
    for change in plan(&state, &Ledger::new(Owner::User), Timestamp::default()).changes {
        let desired = state.get(change.account).unwrap();
        assert!(!matches!(desired.standing, Standing::Duplicate { .. }));
        assert!(Field::ALL.iter().any(|field| desired.wanted(*field, None, Timestamp::default()) == Some(change.to)));
    }
});

fn check(bytes: &[u8], parsed: &Parsed) {
    let text = String::from_utf8_lossy(bytes);
    let lines = u32::try_from(bytes.iter().filter(|byte| **byte == b'\n').count() + 1).unwrap();
    let is_there = |place: Place| (1..=lines).contains(&place.line) && place.column >= 1;
    assert!(parsed.problems.len() <= 101);
    assert!(parsed.claims.is_empty() || !parsed.problems.is_empty(), "only what is broken is claimed");
    assert!(parsed.problems.iter().take(100).is_sorted_by_key(|problem| problem.line), "problems are in order");
    for problem in &parsed.problems {
        assert!(is_there(problem.place()), "{problem}, of {lines} lines");
        let line = problem.to_string();
        assert!(line.chars().count() < 1500 && !line.contains(char::is_control), "{line:?}");
        let drawn = explain(problem, Some(&text), false);
        assert!(!drawn.contains(|c: char| c != '\n' && c.is_control() || c == '\u{202e}'), "{drawn:?}");
        explain(problem, None, true);
    }
    for document in &parsed.documents {
        assert!(is_there(document.account_id_at) && is_there(document.name_at));
        assert!(Field::ALL.iter().any(|field| document.spec.written(*field).is_some()));
    }
}
