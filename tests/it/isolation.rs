//! One account's trouble is its own: the real binary beside accounts whose requests never succeed.
//!
//! In: accounts that the service fails in every request, and others that it would accept. Out: all others are applied, and
//! those that failed are told as they are.
//! Deliberately absent so far: accounts that are throttled, or whose token is refused, while it works for all others.

use rustix::process::Signal;
use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::change::Known;

use super::process::{Rig, account, wait_for};

/// Ways in which a service fails each request of one account, and lives.
const WAYS: [&str; 4] = [
    r#""do": {"answer": {"status": 500}}"#,
    r#""do": "badGateway""#,
    r#""do": "dropAfterActing""#,
    r#""latency": "10m""#,
];

/// A service that fails the first `failing` of `accounts` accounts in one of the [`WAYS`]. Those are to lose their mailbox,
/// so their requests go first; all others are granted everything.
fn rig(accounts: u64, failing: u64, way: &str) -> Rig {
    let rig = Rig::new(accounts);
    let fault = |n| format!(r#"{{"operation": "put", "account": "{}", {way}}}"#, account(n));
    let faults: Vec<_> = (0..failing).map(fault).collect();
    rig.script(&format!(r#"{{"faults": [{}]}}"#, faults.join(",")));
    (0..accounts).for_each(|n| rig.declare(n, n >= failing, true));
    rig
}

/// How many accounts are applied in both fields.
fn applied(rig: &Rig, accounts: std::ops::Range<u64>) -> usize {
    let applied = rig.applied();
    let all = |n: &u64| Field::ALL.iter().all(|field| applied.contains_key(&(account(*n), *field)));
    accounts.filter(all).count()
}

#[test]
fn one_account_whose_requests_always_fail_keeps_no_other_from_being_applied() {
    for way in WAYS {
        let rig = rig(6, 1, way);
        let mut command = rig.writing("run");
        command.args(["--listen", "127.0.0.1:0", "--debounce", "20ms", "--request-timeout", "100ms"]);
        let mut process = rig.begin(command);
        wait_for("five accounts", || (applied(&rig, 1..6) == 5).then_some(()));
        // Also what is edited later, and while it goes on failing.
        rig.declare(3, false, true);
        let edited = || rig.world().account(account(3)).unwrap().mailbox_enabled;
        wait_for("a later edit", || (!edited()).then_some(()));
        process.signal(Signal::TERM);
        assert!(process.end().success(), "{way}: {}", process.said());
        assert_ne!(rig.read_ledger().unwrap().known(account(0), Field::Enabled), Known::Applied(false), "{way}");
    }
}

#[test]
fn a_pass_applies_all_that_the_service_accepts_beside_ten_accounts_that_it_fails() {
    for way in &WAYS[..3] {
        let rig = rig(20, 10, way);
        let mut process = rig.begin(rig.writing("apply"));
        assert_eq!(process.end().code(), Some(1), "{way}: {}", process.said());
        assert_eq!(applied(&rig, 10..20), 10, "{way}: {}", process.said());
        assert_eq!(applied(&rig, 0..10), 0, "{way}");
    }
}
