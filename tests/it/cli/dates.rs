//! Manifests with dates, as the commands tell of them.

use std::time::{Duration, SystemTime};

use zoho_mail_reconciler::timestamp::Timestamp;

use super::{Place, Service};
use crate::builders::Manifest;

/// A place with a service, and an account that is to end in 2099.
fn place() -> (Place, Service) {
    let (mut place, service) = (Place::new(), Service::start());
    service.serve(&mut place);
    place.account("alice", 1, "enabled: true, activeSyncEnabled: false, validUntil: 2099-06-30T18:00:00Z");
    (place, service)
}

#[test]
fn what_is_to_come_is_in_the_plan_and_what_came_in_the_status_and_the_history() {
    let (place, _service) = place();
    place.account("joiner", 2, "enabled: true, validFrom: 2099-01-01T08:00:00Z");
    insta::assert_snapshot!(place.ok("plan"), @"
    # alice (2560636000000008001), alice.yaml:1
      + enabled           (unknown) -> true
      - activeSyncEnabled (unknown) -> false

    # joiner (2560636000000008002), joiner.yaml:1
      - enabled           (unknown) -> false (not valid before TIME)

    Later, by the dates of manifests:
      TIME  1 account begins: joiner
      TIME  1 account ends: alice

    Plan: 3 PUTs, of which 1 grant and 2 take away; 0 changes held.
    Digest: sha256:dcc43b1a7f1a0893750837a6482620462d804dabb3442e83d0a97b568cd002bb
    ");
    place.ok("apply");
    assert_eq!(place.ok("status --reason NotYetValid -o name"), "joiner\n");
    place.account("alice", 1, "enabled: true, activeSyncEnabled: false, validUntil: 2020-06-30T18:00:00Z");
    insta::assert_snapshot!(place.run("plan").all(), @"
    # alice (2560636000000008001), alice.yaml:1
      - enabled           true -> false (no longer valid since TIME)

    Later, by the dates of manifests:
      TIME  1 account begins: joiner

    Plan: 1 PUT, of which 0 grant and 1 take away; 0 changes held.
    Digest: sha256:15197865975988a979b6efa0a72498f63e96e9f1014e0ca822f38d3b29b6063e
    --- stderr
    note: 1 account is no longer valid, so that every managed field is wanted false: alice.yaml:1
    --- exit 0
    ");
    insta::assert_snapshot!(place.run("diff").out, @"
    --- ledger/2560636000000008001 alice
    +++ alice.yaml alice
    @@ -1,2 +1,2 @@
    -enabled: true
    +enabled: false  # no longer valid since TIME
     activeSyncEnabled: false
    ");
    place.ok("apply");
    let status: serde_json::Value = serde_json::from_str(&place.ok("status alice -o json")).unwrap();
    let item = &status["items"][0];
    let said = [&item["status"]["conditions"][0]["status"], &item["status"]["conditions"][0]["reason"]];
    assert_eq!(said, ["True", "NoLongerValid"]);
    assert_eq!((&item["spec"]["enabled"], &item["spec"]["validUntil"]), (&true.into(), &"TIME".into()));
    let history = place.ok("history alice");
    assert!(history.contains("because   no longer valid since TIME, as that manifest says"), "{history}");
    assert_eq!(place.ok("plan -o name"), "", "it has ended, and stays so");
}

#[test]
fn a_day_on_which_more_end_than_the_budget_allows_is_told_ahead_and_in_the_pull_request() {
    let (mut place, _service) = place();
    place.set("ZOHO_MAIL_DISRUPTION_BUDGET", "1");
    place.account("bob", 2, "enabled: true");
    std::fs::rename(place.path().join("desired-state"), place.path().join("base")).unwrap();
    place.account("alice", 1, "enabled: true, activeSyncEnabled: false, validUntil: 2099-06-30T18:00:00Z");
    place.account("bob", 2, "enabled: true, validUntil: 2099-06-30T18:30:00Z");
    insta::assert_snapshot!(place.run("plan --base base").all(), @"
    Dates: bob (2560636000000008002), bob.yaml:1: valid until TIME; outside of that every managed field is false
    No changes: nothing is PUT for what this branch changes.
    Digest: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    --- stderr
    note: 1 account ends by its date at TIME, beside 1 other within 1h, and the disruption budget lets 1 go: it is held then, unless an approval covers it at that moment
    --- exit 0
    ");
    insta::assert_snapshot!(place.ok("plan --base base -o markdown"), @"
    <!-- zoho-mail-reconciler plan -->
    **No changes; dates of 1 account change**

    From `base` to `desired-state`. Nothing else is sent. Digest `sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`

    **Dates change:**

    - Dates: `bob`, `bob.yaml:1`, `valid until TIME; outside of that every managed field is false`

    **Later held by the disruption budget:** 1 account ends by its date at TIME, beside 1 other within 1h, and the disruption budget lets 1 go: it is held then, unless an approval covers it at that moment.
    ");
    // Without a change of dates it is none of the branch's doing.
    assert!(!place.run("plan --base desired-state").err.contains("by its date"));
    let branch: serde_json::Value = serde_json::from_str(&place.ok("plan --base base -o json")).unwrap();
    let held = serde_json::json!([{"at": "TIME", "takesAway": true, "accounts": 1, "others": 1, "limit": 1}]);
    assert_eq!(branch["laterHeld"], held);
    let plan: serde_json::Value = serde_json::from_str(&place.ok("plan -o json")).unwrap();
    let upcoming = plan["upcoming"].as_array().unwrap();
    assert_eq!((upcoming.len(), &upcoming[1]["name"], &upcoming[1]["takesAway"]), (2, &"bob".into(), &true.into()));
}

/// So many minutes from now.
fn in_minutes(minutes: u64) -> Timestamp {
    Timestamp::from(SystemTime::now()) + Duration::from_secs(60 * minutes)
}

#[test]
fn an_end_that_is_held_because_of_what_goes_now_or_went_within_the_window_is_announced() {
    let (mut place, service) = (Place::new(), Service::start());
    service.serve(&mut place);
    place.set("ZOHO_MAIL_DISRUPTION_BUDGET", "2");
    (2..=3).for_each(|n| place.account(&format!("p{n}"), n, "enabled: true"));
    let ends = |minutes| place.account("contractor", 4, &format!("enabled: true, validUntil: {}", in_minutes(minutes)));
    ends(30);
    place.ok("apply");
    let note = "note: 1 account ends by its date at TIME, beside 2 others within 1h, and the disruption budget lets 2 go: it is held";
    (2..=3).for_each(|n| place.account(&format!("p{n}"), n, "enabled: false"));
    for when in ["planned", "sent"] {
        let planned = place.run("plan");
        assert!(planned.err.contains(note), "{when}: {}", planned.all());
        let comment = place.ok("plan -o markdown");
        assert!(comment.contains("**Later held by the disruption budget:** 1 account ends"), "{when}: {comment}");
        assert!(place.ok("plan -o json").contains("\"laterHeld\""), "{when}");
        place.ok("apply");
    }
    // It can be approved before.
    let too_short = place.run("plan --approval --reason=contract --expires=20m");
    assert_eq!(too_short.code, 64, "{}", too_short.all());
    let printed = place.command("plan --approval --reason=contract").output().unwrap();
    let said = String::from_utf8(printed.stderr).unwrap();
    assert!(said.contains("note: nothing is held now: this is for what dates are going to have held"), "{said}");
    place.write("desired-state/approval.yaml", &String::from_utf8(printed.stdout).unwrap());
    let planned = place.run("plan");
    assert!(!planned.err.contains("by its date"), "{}", planned.all());
    std::fs::remove_file(place.path().join("desired-state/approval.yaml")).unwrap();
    ends(90);
    let planned = place.run("plan");
    assert!(!planned.err.contains("by its date"), "the window is over by then: {}", planned.all());
}

#[test]
fn validate_names_who_is_no_longer_valid_and_refuses_dates_that_leave_no_time() {
    let place = Place::new();
    place.account("alice", 1, "enabled: true, validUntil: 2020-06-30T18:00:00Z");
    insta::assert_snapshot!(place.run("validate").all(), @"
    1 of 1 file read, 0 skipped; 1 account, no problems
    --- stderr
    note: 1 account is no longer valid, so that every managed field is wanted false: desired-state/alice.yaml:1
    --- exit 0
    ");
    place.account("alice", 1, "enabled: true, validFrom: 2020-06-30T18:00:00Z, validUntil: 2020-06-30T18:00:00Z");
    let refused = place.run("validate").err + &place.run("validate").out;
    assert!(refused.contains("spec.validUntil: expected a moment after validFrom, which is TIME"), "{refused}");
}

#[test]
fn every_moment_may_have_an_offset() {
    let place = Place::new();
    let dates = "validFrom: 2020-01-01T00:00:00-11:00, validUntil: 2020-06-30T18:00:00+02:00, suspend: true, \
                 suspendUntil: 2020-12-01T10:00:00+02:00";
    place.account("alice", 1, &format!("enabled: true, {dates}"));
    let approval =
        Manifest::approval("leavers").set("expires", "2020-12-01T10:00:00+02:00").approving("alice", "enabled");
    place.write("desired-state/leavers.yaml", &approval.to_string());
    place.ok("validate");
    // All of them are over: it is not suspended any more, and not valid any more.
    let plan = place.ok("plan --sandbox");
    assert!(plan.contains("(unknown) -> false (no longer valid since TIME)"), "{plan}");
    place.account("alice", 1, "enabled: true, validUntil: 2020-06-30T18:00:00");
    let said = place.run("validate");
    assert!(
        said.code == 1 && said.out.contains("end it with Z for UTC, or with its offset such as +01:00"),
        "{}",
        said.all()
    );
}
