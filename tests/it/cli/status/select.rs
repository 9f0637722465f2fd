//! `status` for some accounts: names, ids, addresses, labels, conditions, reasons, and their order.

use crate::builders::{self, Manifest};
use crate::cli::Place;

/// Four accounts: two of sales, one of them suspended; one of ops, out of reach; one without labels.
fn place() -> Place {
    let place = Place::new();
    let account = |name: &str, number: u64, labels: &str, wanted: &str| {
        let manifest = Manifest::of(name).id(number).labels(labels);
        let text = manifest.set("email", format_args!("{name}@example.com")).wanting(wanted).to_string();
        place.write(&format!("desired-state/{name}.yaml"), &text);
    };
    account("alice", 2, "team: sales, tier: '1'", "enabled: true");
    account("bob", 3, "team: sales, region: eu", "enabled: true, suspend: true");
    account("carol", 4, "team: ops, region: us", "enabled: true");
    account("dora", 5, "", "enabled: true");
    std::fs::rename(place.path().join("desired-state/carol.yaml"), place.path().join("carol")).unwrap();
    place.ok("apply --sandbox");
    std::fs::rename(place.path().join("carol"), place.path().join("desired-state/carol.yaml")).unwrap();
    // Its manifest is gone, and its labels with it.
    std::fs::remove_file(place.path().join("desired-state/dora.yaml")).unwrap();
    place
}

fn names(place: &Place, arguments: &[&str]) -> String {
    let mut command = place.command("status --sandbox -o name");
    command.args(arguments);
    let ran = place.ran(assert_cmd::Command::from_std(command));
    assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.all());
    ran.out.trim().replace('\n', " ")
}

#[test]
fn accounts_are_chosen_by_label_condition_and_reason_and_all_must_hold() {
    let place = place();
    for (arguments, found) in [
        (&["-l", "team=sales"][..], "alice bob"),
        (&["--selector", "team in (sales, ops),region!=eu"], "alice carol"),
        (&["-l", "!team"], "dora"),
        (&["-l", "team!=sales"], "carol dora"),
        (&["-l", "tier>0"], "alice"),
        (&["-l", ""], "alice bob carol dora"),
        (&["--condition", "Ready"], "alice"),
        (&["--condition", "Ready=False"], "bob carol dora"),
        (&["--condition", "reconciling=true"], "carol"),
        (&["--condition", "Ready=False", "--condition", "Reconciling=False"], "bob dora"),
        (&["--condition", "Stalled"], ""),
        (&["--condition", "Blocked"], "bob"),
        (&["--condition", "Blocked=False", "-l", "team"], "alice carol"),
        (&["--reason", "Suspended"], "bob"),
        (&["--reason", "Suspended", "--reason", "Orphaned"], "bob dora"),
        (&["-l", "team", "--condition", "Ready=False", "--reason", "Progressing"], "carol"),
        (&["alice", "bob", "--condition", "Ready=False"], "bob"),
    ] {
        assert_eq!(names(&place, arguments), found, "{arguments:?}");
    }
}

#[test]
fn an_account_is_called_by_its_name_its_id_or_its_address() {
    let place = place();
    assert_eq!(names(&place, &["carol", &builders::account(2).to_string(), "Bob@Example.com"]), "alice bob carol");
    let ran = place.run("status --sandbox -o name alice 77 eve@example.com");
    insta::assert_snapshot!(ran.all(), @r#"
    alice
    --- stderr
    error: no account is called "77", neither in the manifests nor in the ledger
    error: no account is called "eve@example.com", neither in the manifests nor in the ledger
    --- exit 1
    "#);
}

#[test]
fn a_filter_that_nobody_passes_is_no_error() {
    let place = place();
    insta::assert_snapshot!(place.run("status --sandbox -l team=nobody").all(), @"
    --- stderr
    note: no daemon runs with this ledger: an edit is applied once one does, or by apply
    No accounts match.
    --- exit 0
    ");
    let ran = place.run("status --sandbox --condition Stalled -o json");
    let list: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((list["items"].as_array().unwrap().len(), ran.code), (0, 0));
}

#[test]
fn what_cannot_be_a_filter_is_a_usage_error() {
    let place = place();
    let said = |arguments: &[&str]| {
        let mut command = place.command("status");
        command.args(arguments);
        let ran = place.ran(assert_cmd::Command::from_std(command));
        assert_eq!((ran.code, &*ran.out), (64, ""), "{arguments:?}: {}", ran.all());
        ran.err.split("\n\n").next().unwrap().trim().to_owned()
    };
    let said = [
        said(&["-l", "team in sales"]),
        said(&["-l", "team=sales,"]),
        said(&["--condition", "Readi"]),
        said(&["--condition", "Ready=Unknown"]),
        said(&["alice", "-l", "team=sales"]),
    ];
    insta::assert_snapshot!(said.join("\n"), @"
    error: invalid value 'team in sales' for '--selector <SELECTOR>': unable to parse requirement: found 'sales', expected: '('
    error: invalid value 'team=sales,' for '--selector <SELECTOR>': found '', expected: identifier after ','
    error: invalid value 'Readi' for '--condition <TYPE[=STATUS]>': expected Ready, Reconciling, Stalled, Drifted or Blocked, alone or with =True or =False
    error: invalid value 'Ready=Unknown' for '--condition <TYPE[=STATUS]>': expected =True or =False behind the condition, or nothing
    error: the argument '[NAME]...' cannot be used with '--selector <SELECTOR>'
    ");
}

#[test]
fn rows_are_sorted_and_stand_without_headers_where_asked() {
    let place = place();
    let table = place.ok("status --sandbox --no-headers --sort-by status");
    let rows: Vec<_> =
        table.lines().map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ")).collect();
    let expected =
        ["dora False Orphaned", "carol False Progressing", "bob False Suspended", "alice True ReconciliationSucceeded"];
    assert_eq!(rows, expected);
    assert_eq!(names(&place, &["--sort-by", "status", "-l", "team"]), "carol bob alice");
    // What no process has seen yet is newest: its time is now.
    assert!(names(&place, &["--sort-by", "age"]).ends_with("carol dora"));
}

#[test]
fn documents_carry_the_labels_by_which_accounts_were_chosen() {
    let place = place();
    let list: serde_json::Value = serde_json::from_str(&place.ok("status --sandbox -o json")).unwrap();
    let labels: Vec<String> =
        list["items"].as_array().unwrap().iter().map(|i| i["metadata"]["labels"].to_string()).collect();
    assert_eq!(
        labels,
        [
            r#"{"team":"sales","tier":"1"}"#,
            r#"{"region":"eu","team":"sales"}"#,
            r#"{"region":"us","team":"ops"}"#,
            "null"
        ]
    );
    let yaml: serde_yaml::Value = serde_yaml::from_str(&place.ok("status --sandbox carol -o yaml")).unwrap();
    assert_eq!(yaml["items"][0]["metadata"]["labels"]["team"].as_str(), Some("ops"));
}

#[test]
fn a_row_never_wraps_however_long_it_is() {
    let place = Place::new();
    let wanted = "enabled: true, suspend: true, suspendReason: ".to_owned() + &"long ".repeat(39);
    place.manifest("long", &"n".repeat(63), 9, wanted.trim_end());
    let table = place.ok("status -o wide");
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 2 && lines[1].len() > 300, "{table}");
}

#[test]
fn an_entry_of_the_runbook_that_is_no_reason_leads_to_the_runbook() {
    let place = Place::with_alice();
    let said = place.run("status --sandbox --reason protectedaccount");
    let hint = "ProtectedAccount is no reason but an entry of the runbook: see `explain ProtectedAccount`";
    assert!(said.code == 64 && said.err.contains(hint), "{}", said.all());
    assert!(place.ok("explain ProtectedAccount").contains("status --reason InvalidManifest"));
}

#[test]
fn a_protected_account_whose_manifest_is_broken_is_a_problem_and_no_note_besides() {
    let place = Place::with_alice();
    place.account("ceo", 7, "enabled: false");
    let said = place.run("plan --sandbox --protect ceo,2560636000000008007");
    assert!(said.code == 1 && said.err.contains("protected by --protect"), "{}", said.all());
    assert!(!said.err.contains("no readable manifest"), "{}", said.all());
    let misspelt = place.run("plan --sandbox --protect ceo,cfo").err;
    assert_eq!(misspelt.matches("no readable manifest").count(), 1, "{misspelt}");
}
