//! `plan --base` where manifests declare other accounts than before.

use super::Place;
use crate::builders::Manifest;

#[test]
fn another_account_id_is_told_as_that_and_not_as_two_accounts() {
    let place = Place::new();
    place.account("alice", 2, "enabled: true");
    std::fs::rename(place.path().join("desired-state"), place.path().join("base")).unwrap();
    place.account("alice", 3, "enabled: true");
    let text = place.read("desired-state/alice.yaml").replace("zuid: 1111112", "zuid: 1111119");
    place.write("desired-state/alice.yaml", &text);
    insta::assert_snapshot!(place.ok("plan --base base"), @"
    # alice (2560636000000008003), alice.yaml:1
      + enabled           (unknown) -> true

    Another account: alice (2560636000000008003), alice.yaml:1: accountId changed 2560636000000008002 -> 2560636000000008003; 2560636000000008002 keeps its enabled
    Plan: 1 PUT, of which 1 grant and 0 take away; 0 changes held.
    Digest: sha256:078f9504b4879b94a1cb4a8532f50c93ea74e53d793c8ea61225a5d9421b1ed0
    ");
    place.write("desired-state/alice.yaml", &place.read("base/alice.yaml").replace("zuid: 111111", "zuid: 222222"));
    let plan = place.ok("plan --base base");
    assert!(plan.contains("zuid changed 111111") && plan.contains(" -> 222222"), "{plan}");
}

#[test]
fn accounts_that_were_swapped_are_told_as_that_for_both() {
    let place = Place::new();
    let both = |alice, bob| {
        for (name, id) in [("alice", alice), ("bob", bob)] {
            // The users stay with the names: only what was swapped is different.
            let zuid = if name == "alice" { 71 } else { 72 };
            let text = Manifest::of(name).id(id).wanting("enabled: true").set("zuid", zuid.to_string()).to_string();
            place.write(&format!("desired-state/{name}.yaml"), &text);
        }
    };
    both(2, 3);
    std::fs::rename(place.path().join("desired-state"), place.path().join("base")).unwrap();
    both(3, 2);
    let (two, three) = ("2560636000000008002", "2560636000000008003");
    for output in ["text", "markdown"] {
        let plan = place.ok(&format!("plan --base base -o {output}"));
        for (from, to) in [(two, three), (three, two)] {
            assert!(plan.contains(&format!("accountId changed {from} -> {to}")), "{plan}");
        }
        assert!(!plan.contains("zuid changed") && !plan.contains("Renamed"), "{plan}");
    }
}

#[test]
fn an_account_whose_id_changed_is_left_alone_under_both_ids() {
    let mut place = Place::new();
    place.set("ZOHO_MAIL_SANDBOX", "true");
    place.account("alice", 1, "enabled: true");
    place.ok("apply");
    place.account("alice", 2, "enabled: true");
    let said = "alice (accountId changed 2560636000000008001 -> 2560636000000008002)";
    for output in ["text", "markdown"] {
        let plan = place.ok(&format!("plan -o {output}"));
        assert!(plan.replace('`', "").contains(said), "{plan}");
    }
    let document: serde_json::Value = serde_json::from_str(&place.ok("plan -o json")).unwrap();
    assert_eq!(document["leftAlone"][0]["accountIdChangedTo"], "2560636000000008002");
}
