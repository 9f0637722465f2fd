//! The whole ledger as one JSON document, one account a line: text to [`Ledger`] and back.
//!
//! In: the bytes of `ledger.json`, or a [`Ledger`]. Out: the other one.
//! Invariants: reading what was written gives the same value; what is not exactly a ledger is a
//! [`Fault`], never an empty ledger; ids are strings. The last key, `crc32`, covers every byte
//! before it, because one flipped digit still is JSON (and in `serial` would hide records). A
//! document without that key is accepted: that is how an operator edits it on purpose.
//! Absent by design: files, and the records that came since (see [`super::journal`]).

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::ser::Formatter;

use super::fault::{API_VERSION, Fault, judge_header};
use super::{FieldState, ImposedPause, Ledger, Owner, REQUEST_MEMORY_MAX, Row};
use crate::account::AccountId;
use crate::timestamp::Timestamp;

/// The document's `kind`.
const KIND: &str = "Ledger";

/// The largest serial that is believed: 2^53, up to which `jq` and browsers keep all digits of a
/// JSON number. At a million records a second it lasts for 285 years.
const SERIAL_MAX: u64 = 1 << 53;

/// What stands before the checksum's digits.
const SUM_KEY: &[u8] = b",\n \"crc32\":\"";

/// What stands behind them.
const SUM_END: &[u8] = b"\"}\n";

/// Digits of a CRC-32 in hexadecimal.
const SUM_DIGITS: usize = 8;

/// The document as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object of kind Ledger")]
struct Document<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    zoid: Owner,
    serial: u64,
    accounts: Accounts,
    #[serde(default)]
    requests: VecDeque<Timestamp>,
    #[serde(default)]
    token_requests: VecDeque<Timestamp>,
    #[serde(default)]
    disruptions: BTreeMap<AccountId, Timestamp>,
    #[serde(default)]
    pause: Option<ImposedPause>,
    #[serde(default, borrow)]
    crc32: Option<Cow<'a, str>>,
}

/// The document as it is written, up to its checksum.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DocumentRef<'a> {
    api_version: &'static str,
    kind: &'static str,
    zoid: Owner,
    serial: u64,
    accounts: &'a BTreeMap<AccountId, Row>,
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    requests: &'a VecDeque<Timestamp>,
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    token_requests: &'a VecDeque<Timestamp>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    disruptions: &'a BTreeMap<AccountId, Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause: Option<&'a ImposedPause>,
}

/// Reads a whole document.
pub(super) fn parse(bytes: &[u8]) -> Result<Ledger, Fault> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::Damaged("it is empty, which this program never leaves behind".to_owned()));
    }
    let document: Document<'_> = serde_json::from_slice(bytes).map_err(|error| explain(bytes, &error))?;
    judge_header(&document.api_version, &document.kind, KIND)?;
    if let Some(sum) = &document.crc32 {
        check_sum(bytes, sum)?;
    }
    if document.serial > SERIAL_MAX {
        return Err(Fault::Damaged(format!("its serial {} is more than {SERIAL_MAX}", document.serial)));
    }
    Ok(Ledger {
        owner: document.zoid,
        serial: document.serial,
        accounts: document.accounts.0,
        requests: newest(document.requests),
        token_requests: newest(document.token_requests),
        disruptions: document.disruptions,
        pause: document.pause,
    })
}

/// Streams the document; the writer sees many small pieces, so it had better be buffered.
pub(super) fn write(ledger: &Ledger, to: &mut impl Write) -> io::Result<()> {
    let Ledger { owner, serial, accounts, requests, token_requests, disruptions, pause } = ledger;
    let document = DocumentRef {
        api_version: API_VERSION,
        kind: KIND,
        zoid: *owner,
        serial: *serial,
        accounts,
        requests,
        token_requests,
        disruptions,
        pause: pause.as_ref(),
    };
    let mut summed = Summed { to, sum: crc32fast::Hasher::new() };
    document.serialize(&mut serde_json::Serializer::with_formatter(&mut summed, Lines { depth: 0 }))?;
    let Summed { to, sum } = summed;
    to.write_all(SUM_KEY)?;
    write!(to, "{:08x}", sum.finalize())?;
    to.write_all(SUM_END)
}

/// Why `bytes` did not parse: damage, unless it says itself that it is of another version.
fn explain(bytes: &[u8], error: &serde_json::Error) -> Fault {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Header<'a> {
        #[serde(borrow)]
        api_version: Cow<'a, str>,
        #[serde(borrow)]
        kind: Cow<'a, str>,
    }
    if let Ok(header) = serde_json::from_slice::<Header<'_>>(bytes)
        && let Err(fault) = judge_header(&header.api_version, &header.kind, KIND)
    {
        return fault;
    }
    Fault::Damaged(error.to_string().escape_debug().to_string())
}

fn check_sum(bytes: &[u8], sum: &str) -> Result<(), Fault> {
    let body = bytes.len().checked_sub(SUM_KEY.len() + SUM_DIGITS + SUM_END.len()).map(|end| bytes.split_at(end));
    if let Some((body, tail)) = body {
        let found = crc32fast::hash(body);
        let expected = [SUM_KEY, format!("{found:08x}").as_bytes(), SUM_END].concat();
        if tail == expected {
            return Ok(());
        }
    }
    Err(Fault::Damaged(format!(
        "its bytes changed after they were written: they do not match its \"crc32\" {}; if it was edited on purpose, \
         delete that key as well",
        super::fault::quoted(sum)
    )))
}

/// At most as many as are ever remembered, the newest: only a hand-made file can hold more.
fn newest(mut stamps: VecDeque<Timestamp>) -> VecDeque<Timestamp> {
    stamps.drain(..stamps.len().saturating_sub(REQUEST_MEMORY_MAX));
    stamps
}

/// The rows, gathered before the tree is built: a tree grown in ascending order is half empty.
struct Accounts(BTreeMap<AccountId, Row>);

impl<'de> Deserialize<'de> for Accounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AccountsVisitor).map(Self)
    }
}

struct AccountsVisitor;

impl<'de> Visitor<'de> for AccountsVisitor {
    type Value = BTreeMap<AccountId, Row>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of accounts by accountId")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut rows: Vec<(AccountId, Row)> = Vec::new();
        let mut path: Arc<str> = Arc::default();
        while let Some((account, mut row)) = map.next_entry::<AccountId, Row>()? {
            share_path(&mut row, &mut path);
            rows.push((account, row));
        }
        rows.sort_by_key(|(account, _)| *account);
        if let Some(twice) = rows.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(A::Error::custom(format_args!("account {} stands there twice", twice[0].0)));
        }
        Ok(rows.into_iter().collect())
    }
}

/// Both fields of an account, and neighbours, mostly name one manifest: keep its path once.
fn share_path(row: &mut Row, last: &mut Arc<str>) {
    for state in [&mut row.enabled, &mut row.active_sync_enabled] {
        if let Some(FieldState::Applied { source, .. }) = state {
            if source.path == *last {
                source.path = Arc::clone(last);
            } else {
                *last = Arc::clone(&source.path);
            }
        }
    }
}

/// One key a line at the top and one account a line below it, for `grep`, `diff` and people; the
/// outermost brace stays open for the checksum.
struct Lines {
    depth: usize,
}

/// How deep a key may be nested and still begin a line: the document's keys, and the accounts.
const LINE_DEPTH: usize = 2;

impl Formatter for Lines {
    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.depth == 0 { Ok(()) } else { writer.write_all(b"}") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        match self.depth {
            1 => writer.write_all(b"\n "),
            LINE_DEPTH => writer.write_all(b"\n  "),
            _ => Ok(()),
        }
    }
}

/// Passes bytes on and sums them up.
struct Summed<'a, W> {
    to: &'a mut W,
    sum: crc32fast::Hasher,
}

impl<W: Write> Write for Summed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
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
        ];
        insta::assert_snapshot!(text(&after(Ledger::new(owner()), &records)), @r#"
        {
         "apiVersion":"zoho-mail-reconciler/v1",
         "kind":"Ledger",
         "zoid":"12345678",
         "serial":5,
         "accounts":{
          "2560636000000008001":{"name":"account-1","zuid":"1111111","activeSyncEnabled":{"inDoubt":true,"since":"2025-11-21T19:23:21.000Z"},"observedGeneration":1,"specHash":"000000000000feed","conditions":[]},
          "2560636000000008002":{"name":"account-2","zuid":"1111111","enabled":{"value":false,"appliedAt":"2025-11-21T19:23:23.000Z","source":"sales/alice.yaml:1"},"observedGeneration":1,"specHash":"000000000000feed","conditions":[]}},
         "requests":["2025-11-21T19:23:22.000Z","2025-11-21T19:23:21.000Z","2025-11-21T19:23:23.000Z"],
         "tokenRequests":["2025-11-21T19:23:23.000Z"],
         "disruptions":{
          "2560636000000008002":"2025-11-21T19:23:23.000Z"},
         "pause":{
          "until":"2025-11-21T19:38:20.000Z",
          "reason":"Throttled"},
         "crc32":"7c877ddd"}
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
        let ours = r#""apiVersion":"zoho-mail-reconciler/v1","kind":"Ledger""#;
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
        expected value at line 1 column 1
        invalid length 0, expected a JSON object of kind Ledger at line 1 column 2
        account 1 stands there twice at line 1 column 124
        unknown field `x\u{1b}`, expected one of `name`, `zuid`, `enabled`, `activeSyncEnabled`, `observedGeneration`, `specHash`, `conditions` at line 1 column 115
        its serial 9007199254740993 is more than 9007199254740992
        it is no Ledger of zoho-mail-reconciler/v1: apiVersion is "zoho-mail-reconciler/v1", kind is "MailAccount"
        it is no Ledger of zoho-mail-reconciler/v1: apiVersion is "soho-mail-reconciler/v1", kind is "Ledger"
        "#);
    }

    #[test]
    fn a_later_version_is_newer_whatever_its_shape() {
        for text in [
            r#"{"apiVersion":"zoho-mail-reconciler/v2","kind":"Ledger","zoid":"7","serial":1,"accounts":{}}"#,
            r#"{"kind":"Ledger","apiVersion":"zoho-mail-reconciler/v2","shards":[{}]}"#,
        ] {
            let expected = "apiVersion \"zoho-mail-reconciler/v2\", where this program knows zoho-mail-reconciler/v1";
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
}
