//! A single pass is its plan: the real binary, while dates of manifests pass and the disruption window moves on.
//!
//! In: passes that take seconds, for the request budget is small. Out: what the plan said at their beginning was sent, and
//! nothing else, with or without `--expect-digest`.

use std::time::{Duration, SystemTime};

use zoho_mail_reconciler::account::Field;
use zoho_mail_reconciler::timestamp::Timestamp;

use super::builders::Manifest;
use super::process::{Rig, account};

/// A pass begins this much before what is to come, and takes twice as long: so many requests, of two a second.
const AHEAD: Duration = Duration::from_secs(3);
const REQUESTS: u64 = 12;

fn declare(rig: &Rig, n: u64, enabled: bool, more: &str) {
    let text = Manifest::numbered(n).enabled(enabled).to_string() + more;
    std::fs::write(rig.folder.path().join(format!("desired-state/a{n}.yaml")), text).unwrap();
}

fn is_enabled(rig: &Rig, n: u64) -> bool {
    rig.world().account(account(n)).unwrap().mailbox_enabled
}

/// Applies with this budget and window, slowly; with the digest of the plan of now, if it `reviewed`. The exit code, and
/// what it printed.
fn apply(rig: &Rig, budget: &str, reviewed: bool) -> (Option<i32>, String) {
    let mut command = rig.writing("apply");
    command.env("ZOHO_MAIL_RATE_LIMIT", "2/1s").env("ZOHO_MAIL_DISRUPTION_BUDGET", budget);
    command.args(["--disruption-window", "4s", "--max-concurrency", "1"]);
    if reviewed {
        let mut plan = rig.reading("plan");
        plan.args(["--zoid", "12345678", "--disruption-window", "4s"]).env("ZOHO_MAIL_DISRUPTION_BUDGET", budget);
        let plan = String::from_utf8(plan.output().unwrap().stdout).unwrap();
        let digest = plan.split("Digest: ").nth(1).unwrap_or_else(|| panic!("{plan}")).trim();
        command.args(["--expect-digest", digest]);
    }
    let output = command.output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&printed).into_owned())
}

#[test]
fn a_pass_sends_what_its_plan_said_and_nothing_that_a_date_or_the_window_brings_meanwhile() {
    for reviewed in [false, true] {
        let rig = Rig::new(REQUESTS + 4);
        let [joiner, leaver, beginner, held] = [0, 1, 2, 3].map(|n| REQUESTS + n);
        (0..REQUESTS + 4).for_each(|n| declare(&rig, n, n > REQUESTS && n != beginner, ""));
        assert!(rig.apply().status.success());
        let date = Timestamp::from(SystemTime::now() + AHEAD);
        (0..REQUESTS).for_each(|n| declare(&rig, n, true, ""));
        // Wanted now and no more once the date has passed; not wanted yet; wanted then.
        declare(&rig, joiner, true, &format!("  validUntil: {date}\n"));
        declare(&rig, leaver, true, &format!("  validUntil: {date}\n"));
        declare(&rig, beginner, true, &format!("  validFrom: {date}\n"));
        // The window of the removals above moves on during the pass.
        declare(&rig, held, false, "");
        let (code, printed) = apply(&rig, "1", reviewed);
        assert_eq!(code, Some(1), "{printed}");
        assert!((0..REQUESTS).all(|n| is_enabled(&rig, n)), "{printed}");
        let after = [joiner, leaver, beginner, held].map(|n| is_enabled(&rig, n));
        assert_eq!(after, [false, true, false, true], "{printed}");
        assert!(printed.contains("not attempted: a date of its manifest passed"), "{printed}");
        assert!(printed.contains("14 planned = 12 applied + 1 held + 1 failed + 0 in doubt"), "{printed}");
        // What came meanwhile is what the next pass sends.
        let (code, printed) = apply(&rig, "100%", false);
        assert_eq!(code, Some(0), "{printed}");
        let after = [joiner, leaver, beginner, held].map(|n| is_enabled(&rig, n));
        assert_eq!(after, [false, false, true, false], "{printed}");
        assert_eq!(rig.applied().get(&(account(leaver), Field::Enabled)), Some(&false));
    }
}
