//! Who leaves is locked out, whatever becomes of others who leave: the real binary, and removals that never end, were
//! approved, or are of mailboxes that are gone.
//!
//! In: many removals of one of these kinds, and then another one. Out: that one is sent, soon, and not held.
//! Deliberately absent: what the disruption budget holds, which is `properties::guard` and `approving`.

use super::*;

/// The daemon with this disruption budget, which gives a request up after a tenth of a second.
fn run(rig: &Rig, budget: &str) -> Process {
    let mut command = rig.writing("run");
    command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms", "--request-timeout", "100ms"]);
    command.env("ZOHO_MAIL_DISRUPTION_BUDGET", budget);
    rig.begin(command)
}

/// A service whose `accounts` accounts have everything, as the ledger knows.
fn granted(accounts: u64) -> Rig {
    let rig = Rig::new(accounts);
    (0..accounts).for_each(|n| rig.declare(n, true, true));
    assert!(rig.apply().status.success());
    rig
}

/// Whether the service has the mailbox disabled.
fn is_out(rig: &Rig, n: u64) -> bool {
    !rig.world().account(account(n)).unwrap().mailbox_enabled
}

#[test]
fn removals_that_time_out_for_ever_hold_no_other_removal() {
    let rig = granted(6);
    let hang = |n| format!(r#"{{"operation": "put", "account": "{}", "latency": "10m"}}"#, account(n));
    rig.script(&format!(r#"{{"faults": [{}]}}"#, (0..4).map(hang).collect::<Vec<_>>().join(",")));
    (0..4).for_each(|n| rig.declare(n, false, true));
    let before = rig.world().requests_total();
    let process = run(&rig, "5");
    let attempts = |n| rig.puts(before).iter().filter(|(asked, _)| *asked == account(n)).count();
    wait_for("three attempts at each", || (0..4).all(|n| attempts(n) >= 3).then_some(()));
    // Each of the four counts once, however often it is tried, so one more fits.
    rig.declare(4, false, true);
    wait_for("the leaver", || is_out(&rig, 4).then_some(()));
    assert!(!process.said().contains("disruptions are held"), "{}", process.said());
    // They count all the same: a sixth does not fit.
    rig.declare(5, false, true);
    wait_for("what is held", || process.said().contains("disruptions are held").then_some(()));
    assert!(!is_out(&rig, 5));
    assert!(process.said().contains("5 accounts charged in the last 1h + 1 account pending, budget 5 accounts"));
}

#[test]
fn a_leaver_beside_a_hundred_removals_that_were_approved_is_not_held() {
    let rig = granted(101);
    (0..100).for_each(|n| rig.declare(n, false, true));
    let mut plan = rig.reading("plan");
    plan.args(["--zoid", "12345678", "--approval", "--reason", "they leave"]).env("ZOHO_MAIL_DISRUPTION_BUDGET", "30");
    let approval = plan.output().unwrap().stdout;
    std::fs::write(rig.folder.path().join("desired-state/lisbon.yaml"), approval).unwrap();
    let process = run(&rig, "30");
    wait_for("all that is approved", || (0..100).all(|n| is_out(&rig, n)).then_some(()));
    rig.declare(100, false, true);
    wait_for("the leaver", || is_out(&rig, 100).then_some(()));
    assert!(!process.said().contains("disruptions are held"), "{}", process.said());
}

/// So many requests may go before a fresh removal, and a fresh grant, beside mailboxes that are gone: those of a few probes.
const SOON: usize = 25;

#[test]
fn a_fresh_removal_and_a_fresh_grant_go_soon_beside_260_mailboxes_that_are_gone() {
    let rig = granted(2);
    rig.declare(1, false, true);
    assert!(rig.apply().status.success());
    // The service knows none of these.
    (2..262).for_each(|n| rig.declare(n, false, false));
    let process = run(&rig, "100%");
    wait_for("one cause", || process.said().contains("that is one cause").then_some(()));
    let before = rig.world().requests_total();
    rig.declare(0, false, true);
    rig.declare(1, true, true);
    wait_for("the leaver", || is_out(&rig, 0).then_some(()));
    wait_for("who comes back", || (!is_out(&rig, 1)).then_some(()));
    let after = rig.puts(before);
    for n in [0, 1] {
        let place = after.iter().position(|(asked, _)| *asked == account(n)).unwrap();
        assert!(place < SOON, "{place} requests before that of a{n}: {}", process.said());
    }
}
