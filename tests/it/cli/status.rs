//! `status`: conditions, columns and documents.

mod select;
mod watch;

use std::fmt::Write as _;

use super::{Place, Service};
use crate::builders::account;
use crate::commits::{commit, git};

/// One account for each thing that can be said of one.
fn one_of_each() -> Place {
    let put = |number: u64, effect: &str| format!(r#"{{"account": "{}", "do": {effect}}}"#, account(number));
    let answer = |status: u16| format!(r#"{{"answer": {{"status": {status}}}}}"#);
    let faults = [
        put(11, r#""dropAfterActing""#),
        put(12, &answer(403)),
        put(13, &answer(404)),
        put(14, &answer(400)),
        put(15, &answer(503)),
    ];
    let service = Service::with_faults(&faults.join(", "));
    let mut place = Place::new();
    service.serve(&mut place);
    for (name, number) in [
        ("ready", 10),
        ("doubtful", 11),
        ("forbidden", 12),
        ("unknown", 13),
        ("rejected", 14),
        ("retried", 15),
        ("broken", 16),
        ("claimed", 17),
        ("leaver", 18),
        ("paused", 19),
        ("gone", 20),
    ] {
        place.account(name, number, "enabled: true");
    }
    assert_eq!(place.run("apply").code, 1);
    place.account("new", 21, "enabled: true");
    place.account("broken", 16, "enabled: perhaps");
    place.manifest("claimed-again", "claimed", 22, "enabled: true");
    place.account("leaver", 18, "enabled: false");
    place.account(
        "paused",
        19,
        "enabled: true, suspend: true, suspendReason: audit, suspendUntil: 2099-01-01T00:00:00Z",
    );
    std::fs::remove_file(place.path().join("desired-state/gone.yaml")).unwrap();
    place.set("ZOHO_MAIL_DISRUPTION_BUDGET", "0");
    place
}

#[test]
fn every_account_has_the_conditions_that_kstatus_gives_its_case() {
    let place = one_of_each();
    let list: serde_json::Value = serde_json::from_str(&place.ok("status -o json")).unwrap();
    let mut said = String::new();
    for item in list["items"].as_array().unwrap() {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let conditions = item["status"]["conditions"].as_array().unwrap().iter();
        let short =
            |c: &serde_json::Value| format!("{}={}/{}", text(&c["type"]), text(&c["status"]), text(&c["reason"]));
        let conditions: Vec<_> = conditions.map(short).collect();
        let message = text(&item["status"]["conditions"][0]["message"]);
        writeln!(said, "{}: {}\n    {message}", text(&item["metadata"]["name"]), conditions.join(" ")).unwrap();
    }
    insta::assert_snapshot!(said, @"
    broken: Ready=False/InvalidManifest Stalled=True/InvalidManifest
        broken.yaml is broken; see `validate`. A daemon that read it before goes on with what it said then, and nothing else
    claimed: Ready=False/DuplicateAccount Stalled=True/DuplicateAccount
        claimed.yaml:1 and claimed-again.yaml:1 share an account, a name or an address; nothing is PUT for either
    claimed: Ready=False/DuplicateAccount Stalled=True/DuplicateAccount
        claimed-again.yaml:1 and claimed.yaml:1 share an account, a name or an address; nothing is PUT for either
    doubtful: Ready=False/InDoubt Reconciling=True/InDoubt
        enabled to true: the connection was lost before the whole answer had come: the connection was closed before the answer
    forbidden: Ready=False/Forbidden Stalled=True/Forbidden
        enabled to true: HTTP 403 with an empty body (the owner of the token may not change this account)
    gone: Ready=False/Orphaned
        its manifest is gone; nothing is PUT for it
    leaver: Ready=False/DisruptionBudgetExceeded Stalled=True/DisruptionBudgetExceeded
        enabled true -> false: held by the disruption budget (0 accounts charged in the last 1h + 1 account pending, budget 0 accounts; 1 change waits; it never fits by itself); if it is meant, commit what `plan --approval --reason TEXT` prints
    new: Ready=False/Progressing Reconciling=True/Progressing
        enabled (unknown) -> true
    paused: Ready=False/Suspended
        suspended by paused.yaml:1 until TIME: audit
    ready: Ready=True/ReconciliationSucceeded
        everything the manifest wants has been acknowledged
    rejected: Ready=False/Rejected Stalled=True/Rejected
        enabled to true: HTTP 400 with an empty body
    retried: Ready=False/ServiceUnavailable Reconciling=True/ServiceUnavailable
        enabled to true: HTTP 503 with an empty body
    unknown: Ready=False/AccountNotFound Stalled=True/AccountNotFound
        enabled to true: HTTP 404 with an empty body (check accountId, which is not the zuid, the organization and the data center)
    ");
}

#[test]
fn columns_are_kubectls() {
    let place = Place::with_alice();
    place.account("bob", 3, "enabled: true");
    insta::assert_snapshot!(place.ok("status"), @"
    NAME    READY   STATUS        AGE
    alice   False   Progressing   0s
    bob     False   Progressing   0s
    ");
    std::fs::rename(place.path().join("desired-state/bob.yaml"), place.path().join("bob")).unwrap();
    place.ok("apply --sandbox");
    std::fs::rename(place.path().join("bob"), place.path().join("desired-state/bob.yaml")).unwrap();
    insta::assert_snapshot!(place.ok("status --sandbox -o wide"), @"
    NAME    READY   STATUS                    AGE   ACCOUNT               ENABLED   ACTIVESYNC   REVISION   MESSAGE
    alice   True    ReconciliationSucceeded   0s    2560636000000008002   true      false        unknown    everything the manifest wants has been acknowledged
    bob     False   Progressing               0s    2560636000000008003   -         -            unknown    enabled (unknown) -> true
    ");
    assert_eq!(place.ok("status --sandbox -o name"), "alice\nbob\n");
}

#[test]
fn the_documents_are_mail_account_lists() {
    let place = Place::with_alice();
    place.ok("apply --sandbox");
    let json = place.ok("status --sandbox -o json");
    insta::assert_snapshot!(json, @r#"
    {
      "apiVersion": "zoho-mail-reconciler/v1",
      "kind": "MailAccountList",
      "items": [
        {
          "apiVersion": "zoho-mail-reconciler/v1",
          "kind": "MailAccount",
          "metadata": {
            "name": "alice",
            "generation": 1
          },
          "spec": {
            "accountId": "2560636000000008002",
            "zuid": "1111111",
            "enabled": true,
            "activeSyncEnabled": false
          },
          "status": {
            "observedGeneration": 1,
            "lastApplied": {
              "enabled": {
                "value": true,
                "appliedAt": "TIME",
                "source": "sales/alice.yaml:1",
                "revision": "unknown"
              },
              "activeSyncEnabled": {
                "value": false,
                "appliedAt": "TIME",
                "source": "sales/alice.yaml:1",
                "revision": "unknown"
              }
            },
            "conditions": [
              {
                "type": "Ready",
                "status": "True",
                "reason": "ReconciliationSucceeded",
                "message": "everything the manifest wants has been acknowledged",
                "lastTransitionTime": "TIME",
                "observedGeneration": 1
              }
            ]
          }
        }
      ]
    }
    "#);
    let yaml: serde_json::Value = serde_yaml::from_str(&place.ok("status --sandbox -o yaml")).unwrap();
    assert_eq!(yaml, serde_json::from_str::<serde_json::Value>(&json).unwrap());
}

#[test]
fn named_accounts_are_shown_and_a_missing_one_is_an_error() {
    let place = Place::with_alice();
    place.account("bob", 3, "enabled: true");
    insta::assert_snapshot!(place.run("status bob").all(), @"
    NAME   READY   STATUS        AGE
    bob    False   Progressing   0s
    --- stderr
    note: there is no ledger ledger.json: as far as this program knows, nothing was ever applied
    --- exit 0
    ");
    insta::assert_snapshot!(place.run("status nobody alice").all(), @r#"
    NAME    READY   STATUS        AGE
    alice   False   Progressing   0s
    --- stderr
    note: there is no ledger ledger.json: as far as this program knows, nothing was ever applied
    error: no account is called "nobody", neither in the manifests nor in the ledger
    --- exit 1
    "#);
    insta::assert_snapshot!(place.run("status nobody").all(), @r#"
    --- stderr
    note: there is no ledger ledger.json: as far as this program knows, nothing was ever applied
    error: no account is called "nobody", neither in the manifests nor in the ledger
    --- exit 1
    "#);
}

#[test]
fn problems_of_manifests_are_noted_for_their_accounts_may_be_missing_here() {
    let place = Place::with_alice();
    place.account("bob", 3, "enabled: yes");
    insta::assert_snapshot!(place.run("status").all(), @"
    NAME    READY   STATUS        AGE
    alice   False   Progressing   0s
    --- stderr
    note: 1 problem in manifests; see `validate desired-state`
    note: there is no ledger ledger.json: as far as this program knows, nothing was ever applied
    --- exit 0
    ");
}

#[test]
fn while_the_service_pauses_everybody_everybody_says_so() {
    let throttled = r#"{"operation": "put", "do": {"answer": {"status": 429, "headers": {"Retry-After": "600"}}}}"#;
    let (mut place, service) = (Place::with_alice(), Service::with_faults(throttled));
    service.serve(&mut place);
    let mut running = place.start("apply");
    super::until("the pause is on the disk", || place.run("status").out.contains("Throttled"));
    insta::assert_snapshot!(place.ok("status -o wide"), @"
    NAME    READY   STATUS      AGE   ACCOUNT               ENABLED   ACTIVESYNC   REVISION   MESSAGE
    alice   False   Throttled   0s    2560636000000008002   -         -            unknown    enabled (unknown) -> true, activeSyncEnabled (unknown) -> false: no request starts before TIME, when the pause the service imposed is over; the last answer: enabled to true: HTTP 429 with an empty body
    ");
    running.signal(rustix::process::Signal::TERM);
    running.ended();
}

#[test]
fn a_change_that_waits_is_shown_with_its_own_revision_and_not_that_of_the_last_acknowledged_one() {
    let place = Place::new();
    let top = place.path().join("desired-state");
    let shown = || {
        let wide = place.ok("status --sandbox -o wide --disruption-budget 0 --no-headers");
        wide.split_whitespace().find(|word| word.starts_with("main@sha1:")).unwrap().to_owned()
    };
    place.account("alice", 2, "enabled: true");
    git(&top, "init -q -b main");
    commit(&top);
    place.ok("apply --sandbox");
    let acknowledged = shown();
    place.account("alice", 2, "enabled: false");
    commit(&top);
    let held = shown();
    let plan = place.ok("plan --sandbox --disruption-budget 0");
    assert!(held != acknowledged && plan.contains(&format!(" in {held}")), "{acknowledged}, {held}: {plan}");
}
