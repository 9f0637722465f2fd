//! The audit log: whatever is done to it is noticed, and nothing that is done to it stops the ledger.

use super::*;

fn audit_of(path: &Path) -> PathBuf {
    path.with_extension("json.audit")
}

/// A ledger that was closed after its first `serial` records.
fn closed(serial: u64) -> (TempDir, PathBuf) {
    let (folder, path) = folder();
    let mut opened = open(&path);
    opened.append(serial);
    opened.file.close().unwrap();
    check_history(&path, serial);
    (folder, path)
}

fn lines_of(path: &Path) -> Vec<String> {
    fs::read_to_string(audit_of(path)).unwrap().lines().map(|line| format!("{line}\n")).collect()
}

/// The line in which the first fault is.
fn fault_after(path: &Path, edit: impl FnOnce(&mut Vec<String>)) -> Option<(usize, String)> {
    let mut lines = lines_of(path);
    edit(&mut lines);
    fs::write(audit_of(path), lines.concat()).unwrap();
    history(path, &|_| true).unwrap().fault
}

#[test]
fn a_record_that_was_edited_deleted_added_moved_or_cut_off_is_named_by_its_line() {
    type Edit = fn(&mut Vec<String>);
    let cases: [(&str, usize, Edit); 9] = [
        ("edited", 3, |lines| lines[2] = lines[2].replace("\"to\":true", "\"to\":false")),
        ("its hash edited", 3, |lines| lines[2] = lines[2].replace("\"hash\":\"", "\"hash\":\"0")),
        ("deleted", 3, |lines| drop(lines.remove(2))),
        ("added", 4, |lines| lines.insert(3, lines[2].clone())),
        ("moved", 3, |lines| lines.swap(2, 3)),
        ("the last one cut off", 5, |lines| drop(lines.pop())),
        ("half of the last one cut off", 5, |lines| lines[4].truncate(40)),
        ("the head edited", 1, |lines| lines[0] = lines[0].replace("12345678", "87654321")),
        ("one added at the end", 6, |lines| {
            let forged = lines[4].replace("\"seq\":8", "\"seq\":10");
            lines.push(forged);
        }),
    ];
    for (what, expected, edit) in cases {
        let (_folder, path) = closed(8);
        let fault = fault_after(&path, edit);
        assert_eq!(fault.as_ref().map(|(line, _)| *line), Some(expected), "{what}: {fault:?}");
    }
}

/// Made anew with all its hashes, as by somebody who knows how: only what the ledger remembers tells.
#[test]
fn a_log_that_was_made_anew_is_not_the_one_the_ledger_remembers() {
    let (other, from) = folder();
    let mut opened = open(&from);
    opened.append(6);
    opened.file.close().unwrap();
    let (_folder, path) = closed(8);
    fs::copy(audit_of(&from), audit_of(&path)).unwrap();
    let (line, why) = history(&path, &|_| true).unwrap().fault.unwrap();
    assert_eq!((line, &*why), (5, "record 8, the last one that the ledger saw in it, is not there"));
    drop(other);
}

#[test]
fn a_log_that_does_not_fit_is_kept_aside_and_a_new_one_says_so() {
    let (folder, path) = closed(8);
    let edited = {
        fault_after(&path, |lines| drop(lines.pop()));
        fs::read(audit_of(&path)).unwrap()
    };
    let mut opened = open(&path);
    opened.append(4);
    opened.file.close().unwrap();
    let aside = folder.path().join("ledger.json.audit.aside-8");
    assert_eq!(fs::read(&aside).unwrap(), edited, "the evidence stays");
    let told = history(&path, &|_| true).unwrap();
    let seqs: Vec<_> = told.entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [10, 12]);
    let (line, why) = told.fault.unwrap();
    assert!(line == 1 && why.contains("did not fit the ledger, and was kept as"), "{why}");
}

#[test]
fn a_log_that_was_moved_away_is_gone_on_from_by_a_new_one_that_names_its_last_hash() {
    let (folder, path) = closed(8);
    let last = lines_of(&path).pop().unwrap();
    fs::rename(audit_of(&path), folder.path().join("archive")).unwrap();
    let (_, why) = history(&path, &|_| true).unwrap().fault.unwrap();
    assert!(why.contains("is not there"), "{why}");
    let mut opened = open(&path);
    opened.append(4);
    opened.file.close().unwrap();
    let told = history(&path, &|_| true).unwrap();
    assert_eq!(told.fault, None);
    let prev = told.head.unwrap().prev.unwrap();
    assert!(last.ends_with(&format!("\"hash\":\"{prev}\"}}\n")));
    assert_eq!(told.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [10, 12]);
}

#[test]
fn a_ledger_from_before_there_was_a_log_begins_one_where_it_stands() {
    let (_folder, path) = folder();
    let row = r#"{"name":"alice","enabled":{"value":true,"appliedAt":"2025-11-21T19:35:31Z","source":"a.yaml:1"}}"#;
    let text = format!(
        r#"{{"apiVersion":"zoho-mail-reconciler/v2","kind":"Ledger","zoid":"12345678","serial":6,"accounts":{{"7":{row}}}}}"#
    );
    fs::write(&path, text).unwrap();
    let mut opened = open(&path);
    assert_eq!(opened.ledger.serial, 6);
    opened.append(4);
    opened.file.close().unwrap();
    let told = history(&path, &|_| true).unwrap();
    assert_eq!((told.fault, told.head.map(|head| head.after)), (None, Some(6)));
    assert_eq!(told.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [8, 10]);
}

#[test]
fn no_put_pays_for_the_log_and_each_fold_appends_to_it() {
    let (_folder, path) = folder();
    let mut opened = open(&path);
    opened.append(4);
    assert!(!audit_of(&path).exists());
    check_history(&path, 4);
    opened.file.fold();
    super::super::process::wait_for("the fold", || fs::read(journal_of(&path)).unwrap().is_empty().then_some(()));
    opened.append(2);
    assert_eq!(lines_of(&path).len(), 3, "the head, and two acknowledgements");
    check_history(&path, 6);
    drop(opened);
    open(&path).file.close().unwrap();
    assert_eq!(lines_of(&path).len(), 4, "whoever finds a journal brings it up to date when it is folded");
    check_history(&path, 6);
}

#[test]
fn what_is_in_the_way_of_the_log_keeps_nobody_from_working() {
    let (_folder, path) = folder();
    fs::create_dir(audit_of(&path)).unwrap();
    let mut opened = open(&path);
    opened.append(4);
    opened.file.fold();
    opened.append(2);
    drop(opened);
    assert_eq!(read(&path, None).unwrap(), Some(lived_through(6)), "all of it is in the journal");
    fs::remove_dir(audit_of(&path)).unwrap();
    check_history(&path, 6);
    open(&path).file.close().unwrap();
    check_history(&path, 6);
}
