//! What a snapshot gives back, and what it refuses.

use proptest::prelude::*;

use super::super::samples::{account, after, any_records, applied, at, intent, owner, puts};
use super::*;
use crate::account::Field;
use crate::condition::Reason;
use crate::ledger::Record;

fn text(ledger: &Ledger) -> String {
    let mut bytes = Vec::new();
    write(ledger, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn damage(bytes: &[u8]) -> String {
    match parse(bytes) {
        Err(Fault::Damaged(what)) => what,
        other => panic!("not damaged but {other:?}"),
    }
}

#[test]
fn a_document_is_one_account_a_line_with_its_checksum_last() {
    let pause = Some(ImposedPause { until: at(900), reason: Reason::Throttled });
    let records = [
        intent(2, Field::Enabled, true),
        applied(2, Field::Enabled, false),
        intent(1, Field::ActiveSyncEnabled, true),
        Record::TokenRequest { at: at(3) },
        Record::Pause { pause },
        intent(3, Field::Enabled, false),
        intent(3, Field::Enabled, true),
        applied(3, Field::Enabled, true),
    ];
    insta::assert_snapshot!(text(&after(Ledger::new(owner()), &records)), @r#"
    {
     "apiVersion":"zoho-mail-reconciler/v2",
     "kind":"Ledger",
     "zoid":"12345678",
     "serial":8,
     "accounts":{
      "2560636000000008001":{"name":"account-1","zuid":"1111111","activeSyncEnabled":{"inDoubt":true,"since":"2025-11-21T19:23:21.000Z","to":true,"landsBy":"2025-11-21T19:27:21.000Z"},"observedGeneration":1,"specHash":"000000000000feed"},
      "2560636000000008002":{"name":"account-2","zuid":"1111111","enabled":{"value":false,"appliedAt":"2025-11-21T19:23:23.000Z","source":"sales/alice.yaml:1"},"observedGeneration":1,"specHash":"000000000000feed"},
      "2560636000000008003":{"name":"account-3","zuid":"1111111","enabled":{"value":true,"appliedAt":"2025-11-21T19:23:24.000Z","source":"sales/alice.yaml:1","inDoubt":true,"until":"2025-11-21T19:27:23.000Z"},"observedGeneration":1,"specHash":"000000000000feed"}},
     "requests":["2025-11-21T19:23:22.000Z","2025-11-21T19:23:21.000Z","2025-11-21T19:23:23.000Z","2025-11-21T19:23:23.000Z","2025-11-21T19:23:23.000Z"],
     "tokenRequests":["2025-11-21T19:23:23.000Z"],
     "disruptions":{"2560636000000008002":"2025-11-21T19:23:23.000Z","2560636000000008003":"2025-11-21T19:27:23.000Z"},
     "returns":{"2560636000000008003":"2025-11-21T19:23:24.000Z"},
     "strays":[{"account":"2560636000000008003","field":"enabled","to":false,"landsBy":"2025-11-21T19:27:23.000Z"}],
     "pause":{"until":"2025-11-21T19:38:20.000Z","reason":"Throttled"},
     "crc32":"a2ebaaa4"}
    "#);
}

proptest! {
    #[test]
    fn reading_what_was_written_gives_the_same_ledger(records in any_records()) {
        let ledger = after(Ledger::new(owner()), &records);
        prop_assert_eq!(parse(text(&ledger).as_bytes()), Ok(ledger));
    }
}

#[test]
fn no_changed_byte_and_no_missing_end_goes_unnoticed() {
    let bytes = text(&after(Ledger::new(owner()), &puts(2))).into_bytes();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x20, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            assert!(parse(&changed).is_err(), "byte {at} ^ {flip:#x}");
        }
        assert!(parse(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn an_edit_on_purpose_takes_the_checksum_away_and_may_reorder() {
    let ledger = after(Ledger::new(owner()), &puts(12));
    let text = text(&ledger);
    let mut edited: serde_json::Value = serde_json::from_str(&text).unwrap();
    edited.as_object_mut().unwrap().remove("crc32");
    assert_eq!(parse(serde_json::to_string_pretty(&edited).unwrap().as_bytes()), Ok(ledger));
    let what = damage(text.replace("account-1\"", "account-x\"").as_bytes());
    assert!(what.contains("delete that key as well"), "{what}");
}

#[test]
fn what_is_no_ledger_is_refused_in_words() {
    let rows = r#""1":{"name":"a"},"1":{"name":"b"}"#;
    let document = |head: &str, rows: &str| format!(r#"{{{head},"zoid":"7","serial":1,"accounts":{{{rows}}}}}"#);
    let ours = r#""apiVersion":"zoho-mail-reconciler/v2","kind":"Ledger""#;
    assert!(parse(document(ours, "").as_bytes()).is_ok());
    let reasons = [
        damage(b""),
        damage(b" \n"),
        damage(b"\0\0\0\0"),
        damage(b"[]"),
        damage(document(ours, rows).as_bytes()),
        damage(document(ours, r#""1":{"name":"a","x\u001b":1}"#).as_bytes()),
        damage(document(ours, "").replace(":1,", ":9007199254740993,").as_bytes()),
        damage(document(&ours.replace("Ledger", "MailAccount"), "").as_bytes()),
        damage(document(&ours.replace("zoho-", "soho-"), "").as_bytes()),
    ];
    insta::assert_snapshot!(reasons.join("\n"), @r#"
    it is empty, which this program never leaves behind
    it is empty, which this program never leaves behind
    it is no JSON from line 1, column 1 on
    invalid length 0, expected a JSON object of kind Ledger at line 1 column 2
    account 1 stands there twice at line 1 column 124
    unknown field `x\u{1b}`, expected one of `name`, `zuid`, `enabled`, `activeSyncEnabled`, `observedGeneration`, `specHash`, `enabledFailed`, `activeSyncFailed`, `enabledDrift`, `activeSyncDrift`, `readySince`, `validUntil`, `file`, `notBegun` at line 1 column 115
    its serial 9007199254740993 is more than 9007199254740992
    it is no Ledger of zoho-mail-reconciler/v2: apiVersion is "zoho-mail-reconciler/v2", kind is "MailAccount"
    it is no Ledger of zoho-mail-reconciler/v2: apiVersion is "soho-mail-reconciler/v2", kind is "Ledger"
    "#);
}

#[test]
fn a_later_version_is_newer_whatever_its_shape() {
    for text in [
        r#"{"apiVersion":"zoho-mail-reconciler/v3","kind":"Ledger","zoid":"7","serial":1,"accounts":{}}"#,
        r#"{"kind":"Ledger","apiVersion":"zoho-mail-reconciler/v3","shards":[{}]}"#,
    ] {
        let expected = "apiVersion \"zoho-mail-reconciler/v3\", where this program knows zoho-mail-reconciler/v2";
        assert_eq!(parse(text.as_bytes()), Err(Fault::Newer(expected.to_owned())));
    }
}

#[test]
fn fields_of_one_manifest_share_its_path_in_memory() {
    let records = Field::ALL.map(|field| [intent(1, field, true), applied(1, field, true)]).concat();
    let ledger = parse(text(&after(Ledger::new(owner()), &records)).as_bytes()).unwrap();
    let row = &ledger.accounts[&account(1)];
    let path = |state: &Option<FieldState>| match state {
        Some(FieldState::Applied { source, .. }) => Arc::clone(&source.path),
        _ => panic!("not applied"),
    };
    assert!(Arc::ptr_eq(&path(&row.enabled), &path(&row.active_sync_enabled)));
}

#[test]
fn a_hand_made_list_of_requests_is_cut_to_its_newest() {
    let stamps: VecDeque<_> = (0..REQUEST_MEMORY_MAX as u64 + 2).map(at).collect();
    let kept = newest(stamps);
    assert_eq!((kept.len(), kept[0]), (REQUEST_MEMORY_MAX, at(2)));
}

proptest! {
    #[test]
    fn line_by_line_the_same_ledger_is_read(records in any_records()) {
        let ledger = after(Ledger::new(owner()), &records);
        let text = text(&ledger);
        prop_assert_eq!(lines::read(text.as_bytes(), None).unwrap(), Some(ledger.clone()));
        let mut part = ledger.clone();
        part.accounts.retain(|account, _| account.get() % 2 == 0);
        let wanted = part.accounts.keys().copied().collect();
        prop_assert_eq!(lines::read(text.as_bytes(), Some(&wanted)).unwrap(), Some(part));
    }

    #[test]
    fn a_fold_by_copy_is_byte_for_byte_the_snapshot_of_the_whole_ledger(
        before in any_records(), mut since in any_records(),
    ) {
        let old = after(Ledger::new(owner()), &before);
        // A journal with such a record is not folded by copy.
        since.retain(|record| !record.is_about_all());
        let named = since.iter().filter_map(Record::account).collect();
        let part = lines::read(text(&old).as_bytes(), Some(&named)).unwrap().unwrap();
        let mut merged = Vec::new();
        lines::merge(text(&old).as_bytes(), &after(part, &since), &named, &mut merged).unwrap();
        prop_assert_eq!(String::from_utf8(merged).unwrap(), text(&after(old, &since)));
    }
}

#[test]
fn a_sealed_document_with_its_lines_elsewhere_is_read_as_a_whole_and_loses_no_account() {
    let ledger = after(Ledger::new(owner()), &puts(3));
    let text = text(&ledger);
    for (from, to) in
        [("\"accounts\":{\n", "\"accounts\":\n{"), ("\"accounts\":{", "\"accounts\": {"), ("  \"2560", "\"2560")]
    {
        let body = text.replace(from, to);
        let body = &body.as_bytes()[..body.len() - sum_line(0).len()];
        let sealed = [body, &sum_line(crc32fast::hash(body))].concat();
        assert_eq!(lines::read(&*sealed, None).unwrap(), None, "{to}");
        assert_eq!(Ledger::from_bytes(Some(&sealed), b""), Ok(Some(ledger.clone())), "{to}");
    }
}

#[test]
fn a_document_that_is_not_as_it_was_written_is_not_read_by_line() {
    let text = text(&after(Ledger::new(owner()), &puts(3)));
    let bytes = text.as_bytes();
    let refused = |bytes: &[u8]| {
        let merged = lines::merge(bytes, &Ledger::new(owner()), &BTreeSet::new(), &mut io::sink()).is_err();
        lines::read(bytes, None).unwrap().is_none() && merged
    };
    assert!(!refused(bytes));
    for at in 0..bytes.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut changed = bytes.to_vec();
            changed[at] ^= flip;
            assert!(refused(&changed), "byte {at} ^ {flip:#x}");
        }
        assert!(refused(&bytes[..at]), "cut at {at}");
    }
    assert!(refused(&[bytes, b"\n"].concat()));
    assert!(refused(b"{}\n") && refused(b""));
}
