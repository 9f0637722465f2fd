//! What a journal gives back after every way in which it can be cut, torn, changed or swapped.

use proptest::prelude::*;

use super::super::samples::{after, any_records, intent, owner, puts};
use super::*;
use crate::account::Field;

/// A journal as the writer makes it: the head, and a group for each slice.
struct Journal {
    bytes: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
    /// Where the last group begins.
    last_group: usize,
}

/// Writes `records` in groups of the given sizes, the last of which takes the rest.
fn journal(records: &[Record], sizes: &[usize], base: u64) -> Journal {
    let mut bytes = Vec::new();
    let mut rest = records;
    let mut seq = base + 1;
    let mut last_group = 0;
    encode_head(owner(), &mut bytes);
    for size in sizes.iter().copied().chain([usize::MAX]) {
        let (group, others) = rest.split_at(size.min(rest.len()));
        if !group.is_empty() {
            // The head is written together with the first group.
            last_group = if seq == base + 1 { 0 } else { bytes.len() };
            assert_eq!(encode_group(group, seq, &mut bytes), group.len());
        }
        seq += group.len() as u64;
        rest = others;
    }
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    Journal { bytes, ends, last_group }
}

fn empty() -> Ledger {
    Ledger::new(owner())
}

fn replayed(bytes: &[u8]) -> Result<Ledger, Fault> {
    replay(bytes, Some(empty())).map(|replayed| replayed.ledger.unwrap())
}

fn damage(bytes: &[u8], ledger: Ledger) -> String {
    match replay(bytes, Some(ledger)) {
        Err(Fault::Damaged(what)) => what,
        other => panic!("not damaged but {other:?}"),
    }
}

#[test]
fn a_journal_is_a_head_and_one_checksummed_line_a_record() {
    let text = String::from_utf8(journal(&puts(1), &[], 41).bytes).unwrap();
    insta::assert_snapshot!(text, @r#"
    {"apiVersion":"zoho-mail-reconciler/v2","kind":"LedgerJournal","zoid":"12345678","crc32":"aed2cfca"}
    {"seq":42,"record":{"op":"intent","at":"2025-11-21T19:23:21.000Z","account":"2560636000000008001","name":"account-1","zuid":"1111111","field":"enabled","to":true,"specHash":"000000000000feed"},"crc32":"a6365b36"}
    {"seq":43,"group":42,"record":{"op":"applied","at":"2025-11-21T19:23:22.000Z","account":"2560636000000008001","field":"enabled","value":true,"source":"sales/alice.yaml:1"},"crc32":"6351332a"}
    "#);
}

proptest! {
    #[test]
    fn folding_at_any_point_gives_the_ledger_that_lived_through_it(
        records in any_records(), sizes in proptest::collection::vec(1..5_usize, 0..9), folded in any::<prop::sample::Index>(),
    ) {
        let live = after(empty(), &records);
        prop_assert_eq!(replayed(&journal(&records, &sizes, 0).bytes), Ok(live.clone()));

        let (before, since) = records.split_at(folded.index(records.len() + 1));
        let snapshot = after(empty(), before);
        let journal = journal(since, &sizes, snapshot.serial);
        prop_assert_eq!(replay(&journal.bytes, Some(snapshot)).unwrap().ledger.unwrap(), live);
    }

    /// As a crash between a fold's rename and the emptying of the journal leaves it, and one more since.
    #[test]
    fn a_journal_cut_anywhere_over_a_snapshot_that_has_part_of_it_is_a_beginning_of_the_whole(
        records in any_records(), sizes in proptest::collection::vec(1..5_usize, 0..9),
        folded in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(),
    ) {
        let Journal { bytes, ends, .. } = journal(&records, &sizes, 0);
        let folded = folded.index(records.len() + 1);
        let cut = cut.index(bytes.len() + 1);
        let whole = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
        let snapshot = after(empty(), &records[..folded]);
        match replay(&bytes[..cut], Some(snapshot.clone())) {
            Ok(replayed) => prop_assert_eq!(replayed.ledger.unwrap(), after(empty(), &records[..whole.max(folded)])),
            // What the snapshot has was durable in the journal before: one that ends earlier is another one's.
            Err(fault) => prop_assert!(matches!(fault, Fault::Damaged(_)) && (1..folded).contains(&whole)),
        }
        // Folded once more, and then read over the same journal: nothing is lived through twice.
        if let Ok(Replayed { ledger: Some(again), .. }) = replay(&bytes, Some(snapshot)) {
            prop_assert_eq!(&replay(&bytes, Some(again.clone())).unwrap().ledger.unwrap(), &again);
            prop_assert_eq!(again, after(empty(), &records));
        }
    }

    /// A sector of the last group that never reached the disk reads as zeros, in any combination,
    /// and the file can end anywhere behind what was durable.
    #[test]
    fn whatever_a_power_cut_leaves_of_the_last_group_is_cut_and_never_refused(
        count in 1..40_u64, sizes in proptest::collection::vec(1..20_usize, 0..6),
        lost in proptest::collection::vec(any::<bool>(), 64), end in any::<prop::sample::Index>(),
    ) {
        let records = puts(count);
        let Journal { mut bytes, ends, last_group } = journal(&records, &sizes, 0);
        for (sector, _) in lost.iter().enumerate().filter(|(_, lost)| **lost) {
            let start = (last_group / 512 + sector) * 512;
            let (start, end) = (start.clamp(last_group, bytes.len()), (start + 512).clamp(last_group, bytes.len()));
            bytes[start..end].fill(0);
        }
        bytes.truncate(last_group + end.index(bytes.len() - last_group + 1));

        let result = replay(&bytes, Some(empty()));
        prop_assert!(result.is_ok(), "{result:?}");
        let Replayed { ledger, good_len, .. } = result.unwrap();
        let ledger = ledger.unwrap();
        prop_assert!(good_len >= last_group, "acknowledged bytes were cut");
        prop_assert!(good_len == 0 || ends.contains(&good_len));
        prop_assert_eq!(&ledger, &after(empty(), &records[..ledger.serial as usize]));
        prop_assert_eq!(good_len, if ledger.serial > 0 { ends[ledger.serial as usize] } else { good_len.min(ends[0]) });
    }
}

#[test]
fn every_beginning_of_a_journal_gives_the_records_it_holds_whole() {
    let records = puts(4);
    let Journal { bytes, ends, .. } = journal(&records, &[1, 3, 2], 0);
    for cut in 0..=bytes.len() {
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let Replayed { ledger, good_len, .. } = replay(&bytes[..cut], Some(empty())).unwrap();
        assert_eq!(good_len, whole.checked_sub(1).map_or(0, |last| ends[last]), "cut at {cut}");
        assert_eq!(ledger.unwrap(), after(empty(), &records[..whole.saturating_sub(1)]), "cut at {cut}");
    }
}

#[test]
fn a_changed_byte_is_refused_unless_it_is_in_the_last_line() {
    let records = puts(4);
    let Journal { bytes, ends, .. } = journal(&records, &[1, 3, 2], 0);
    let last_line = ends[ends.len() - 2];
    let all_but_last = after(empty(), &records[..records.len() - 1]);
    for at in 0..bytes.len() {
        for byte in [bytes[at] ^ 0x01, bytes[at] ^ 0x20, bytes[at] ^ 0x80, 0, b'\n', b'"', b'0'] {
            let mut changed = bytes.clone();
            changed[at] = byte;
            match replayed(&changed) {
                Err(_) => {}
                Ok(ledger) if byte == bytes[at] => assert_eq!(ledger, after(empty(), &records)),
                Ok(ledger) => {
                    assert!(at >= last_line, "byte {at} as {byte:#x} was taken for a torn tail");
                    assert_eq!(ledger, all_but_last);
                }
            }
        }
    }
}

#[test]
fn a_hole_of_one_byte_is_what_a_power_cut_leaves_of_a_group_that_begins_with_a_sectors_last_byte() {
    let named = |length: usize| {
        let mut records = puts(3);
        if let Record::Intent { name, .. } = &mut records[0] {
            *name = "n".repeat(length).into();
        }
        journal(&records, &[2, 4], 0)
    };
    let fits = |journal: &Journal| journal.last_group % 512 == 511;
    let Journal { mut bytes, last_group, .. } = (0..512).map(named).find(fits).unwrap();
    bytes[last_group] = 0;
    let replayed = replay(&bytes, Some(empty())).unwrap();
    assert_eq!((replayed.good_len, replayed.ledger.unwrap().serial), (last_group, 2));
}

#[test]
fn another_byte_in_the_place_of_the_last_newline_is_a_torn_end() {
    let Journal { mut bytes, ends, .. } = journal(&puts(3), &[2, 4], 0);
    *bytes.last_mut().unwrap() = b'x';
    let replayed = replay(&bytes, Some(empty())).unwrap();
    assert_eq!((replayed.good_len, replayed.ledger.unwrap().serial), (ends[5], 5));
}

#[test]
fn zeros_where_something_was_acknowledged_are_damage() {
    let records = puts(20);
    let Journal { mut bytes, last_group, .. } = journal(&records, &[38, 1], 0);
    assert!(last_group > 2048);
    bytes[512..1024].fill(0);
    let what = damage(&bytes, empty());
    assert!(what.contains("yet lines follow it"), "{what}");
}

#[test]
fn more_than_a_crash_leaves_is_damage() {
    let journal = |tail: &[u8]| [&journal(&puts(2), &[], 0).bytes, tail].concat();
    let tails: [&[u8]; 3] = [b"one\ntwo\n", b"whole\nand torn", &vec![0; 5 << 20]];
    let reasons = tails.map(|tail| damage(&journal(tail), empty()));
    insta::assert_snapshot!(reasons.join("\n"), @r#"
    line 6 is not what was written, yet lines follow it, 0 of them whole
    line 6 is not what was written, yet lines follow it, 0 of them whole
    line 6 is not what was written, and the 5242880 bytes from there on are more than a crash leaves behind
    "#);
    assert_eq!(replayed(&journal(b"one line\n")), Ok(after(empty(), &puts(2))));
    assert_eq!(replayed(&journal(&[0; 700])), Ok(after(empty(), &puts(2))));
}

#[test]
fn records_the_snapshot_has_already_are_skipped() {
    let records = puts(3);
    let bytes = journal(&records, &[2, 2], 0).bytes;
    for folded in 0..=records.len() {
        let snapshot = after(empty(), &records[..folded]);
        let replayed = replay(&bytes, Some(snapshot)).unwrap();
        assert_eq!(replayed.ledger.unwrap(), after(empty(), &records));
    }
}

#[test]
fn a_journal_of_another_snapshot_is_refused() {
    let behind = journal(&puts(2), &[], 7).bytes;
    let gap =
        [journal(&puts(1), &[], 0).bytes, journal(&puts(1), &[], 3).bytes.split_off(journal(&[], &[], 3).bytes.len())];
    let reasons = [
        damage(&behind, empty()),
        damage(&gap.concat(), empty()),
        damage(&journal(&puts(2), &[], 0).bytes, after(empty(), &puts(9))),
        damage(&journal(&puts(2), &[], 0).bytes.split_off(journal(&[], &[], 0).bytes.len()), empty()),
    ];
    insta::assert_snapshot!(reasons.join("\n"), @r#"
    line 2 holds record 8, which does not follow record 0, the last in the snapshot
    line 4 holds record 4, which does not follow record 2 in the line before
    it ends with record 4, but the snapshot beside it is at 18: the two do not belong together; if the snapshot is the right one, move the journal aside
    line 1 is not the head of a journal
    "#);
    let theirs = replay(&behind, Some(Ledger::new(Owner::Sandbox)));
    assert_eq!(theirs.unwrap_err(), Fault::Foreign(owner()));
}

#[test]
fn a_journal_without_a_snapshot_must_be_all_there_is() {
    assert_eq!(replay(&journal(&puts(2), &[], 0).bytes, None).unwrap().ledger, Some(after(empty(), &puts(2))));
    assert!(matches!(replay(&journal(&puts(2), &[], 1).bytes, None), Err(Fault::Damaged(_))));
    assert_eq!(replay(b"", None).unwrap().ledger, None);
    assert_eq!(replay(&[0; 100], None).unwrap().ledger, None);
}

#[test]
fn a_whole_line_that_is_not_understood_is_newer_not_damaged() {
    let mut head = Vec::new();
    encode_line(&serde_json::json!({"apiVersion": "zoho-mail-reconciler/v3", "kind": "Anything"}), &mut head);
    let mut record = journal(&puts(1), &[], 0).bytes;
    encode_line(&serde_json::json!({"seq": 3, "record": {"op": "paint", "color": "red"}}), &mut record);
    let reasons = [head, record].map(|bytes| match replayed(&bytes) {
        Err(Fault::Newer(found)) => found,
        other => panic!("not newer but {other:?}"),
    });
    insta::assert_snapshot!(reasons.join("\n"), @r#"
    apiVersion "zoho-mail-reconciler/v3", where this program knows zoho-mail-reconciler/v2
    line 4 is whole, but unknown variant `paint`, expected one of `intent`, `applied`, `notApplied`, `failed`, `observed`, `readRequest`, `readNotSent`, `read`, `drifted`, `forgotten`, `unready`, `tokenRequest`, `tokenNotSent`, `pause`, `outage`, `clockStepped`, `clockBehind`, `lapsed`, `budgets`, `pauseLifted` at line 1 column 37
    "#);
}

#[test]
fn a_group_ends_where_it_gets_too_large_for_one_write() {
    let records = vec![intent(1, Field::Enabled, true); 10_000];
    let mut bytes = Vec::new();
    let taken = encode_group(&records, 1, &mut bytes);
    assert!(taken < records.len());
    assert!((GROUP_BYTES..GROUP_BYTES + 1000).contains(&bytes.len()));
}
