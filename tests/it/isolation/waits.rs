//! A wait that the service, or what is in front of it, asks of some accounts is theirs: the real binary, beside accounts whose
//! requests are answered with a `Retry-After` at every attempt.
//!
//! In: such accounts, and edits of others, one after the other. Out: each edit is sent within a few requests, and one
//! account alone pauses everybody once.
//! Deliberately absent: how long each pause is, which is `pausing`.

use super::*;

/// The daemon with pauses of 50 milliseconds, which end after each backoff.
fn run(rig: &Rig) -> Process {
    let mut command = rig.writing("run");
    command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms", "--throttle-pause", "50ms"]);
    rig.begin(command)
}

/// What these accounts are answered at every attempt: a status, and a page of a proxy that asks for a day.
fn ask_to_wait(rig: &Rig, answers: &[(u64, u16)]) {
    let fault = |(n, status): &(u64, u16)| {
        let answer =
            format!(r#"{{"status": {status}, "headers": {{"Retry-After": "86400"}}, "body": "<h1>busy</h1>"}}"#);
        format!(r#"{{"operation": "put", "account": "{}", "do": {{"answer": {answer}}}}}"#, account(*n))
    };
    let faults: Vec<_> = answers.iter().map(fault).collect();
    rig.script(&format!(r#"{{"faults": [{}]}}"#, faults.join(",")));
}

/// Edits the others in turn, and waits for each edit. Returns how many requests went before the last of them, at most.
fn edit_others(rig: &Rig, others: std::ops::Range<u64>, process: &Process) -> usize {
    let enabled = |n| rig.world().account(account(n)).unwrap().mailbox_enabled;
    let mut most = 0;
    for n in others.clone().chain(others) {
        let (wanted, before) = (!enabled(n), rig.world().requests_total());
        rig.declare(n, wanted, true);
        wait_for("an edit beside it", || (enabled(n) == wanted).then_some(()));
        let place = rig.puts(before).iter().position(|(asked, _)| *asked == account(n));
        most = most.max(place.unwrap_or_else(|| panic!("{}", process.said())));
    }
    most
}

#[test]
fn edits_go_beside_accounts_of_which_each_pauses_everybody_again_and_again() {
    let rig = Rig::new(10);
    ask_to_wait(&rig, &[(0, 429), (1, 503), (2, 429)]);
    (0..10).for_each(|n| rig.declare(n, n != 0, true));
    let process = run(&rig);
    wait_for("all others", || (applied(&rig, 3..10) == 7).then_some(()));
    // Some requests of each of the three may come between an edit and its PUT.
    let most = edit_others(&rig, 3..10, &process);
    assert!(most <= 20, "{most} requests before an edit: {}", process.said());
}

#[test]
fn one_account_that_is_asked_to_wait_at_every_attempt_soon_pauses_nobody_else() {
    for status in [429, 503] {
        let rig = Rig::new(6);
        ask_to_wait(&rig, &[(0, status)]);
        (0..6).for_each(|n| rig.declare(n, true, true));
        let process = run(&rig);
        wait_for("all others", || (applied(&rig, 1..6) == 5).then_some(()));
        let attempts = || rig.puts(0).iter().filter(|(asked, _)| *asked == account(0)).count();
        let pauses = || process.said().matches("no request starts before the pause ends").count();
        for round in 0..4 {
            let before = attempts();
            edit_others(&rig, 1..6, &process);
            wait_for("another attempt", || (attempts() > before).then_some(()));
            assert!(pauses() <= 2, "{status}, round {round}: {} pauses, {}", pauses(), process.said());
        }
    }
}
