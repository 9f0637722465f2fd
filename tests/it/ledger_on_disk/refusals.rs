//! Ledgers that must not be used: refused with a reason, and left as they are.

use super::*;

#[test]
fn what_is_damaged_of_another_version_or_foreign_is_refused_and_left_as_it_is() {
    let (folder, path) = folder();
    let mut opened = open(&path);
    (0..3).for_each(|_| opened.append(2));
    drop(opened);
    let whole = fs::read(journal_of(&path)).unwrap();
    let refused = |change: &dyn Fn(), expected: &str| {
        change();
        let before = files(folder.path());
        let error = try_open(&path, owner()).err().unwrap();
        assert_eq!((error.label(), error.exit_code()), (expected, 5), "{error}");
        assert_eq!(read(&path, Some(owner())).err().unwrap().label(), expected);
        assert_eq!(files(folder.path()), before);
    };
    let middle = whole.len() / 2;
    refused(
        &|| fs::write(journal_of(&path), [&whole[..middle], b"X", &whole[middle + 1..]].concat()).unwrap(),
        "damaged",
    );
    refused(&|| fs::write(&path, b"").unwrap(), "damaged");
    let document = |version: &str, zoid: &str| {
        let head = format!("{{\"apiVersion\":\"zoho-mail-reconciler/{version}\",\"kind\":\"Ledger\"");
        fs::write(&path, format!("{head},\"zoid\":\"{zoid}\",\"serial\":0,\"accounts\":{{}}}}")).unwrap();
    };
    refused(&|| document("v3", "12345678"), "newer");
    refused(&|| document("v1", "12345678"), "older");
    refused(&|| document("v2", "87654321"), "foreign");
    refused(&|| document("v2", "sandbox"), "foreign");
    // With its own snapshot back, nothing was lost.
    fs::write(journal_of(&path), &whole).unwrap();
    document("v2", "12345678");
    assert_eq!(open(&path).ledger, lived_through(6));
}

#[test]
fn a_journal_whose_snapshot_was_removed_is_refused_unless_it_holds_everything() {
    for (folds, recovered) in [(0, Some(3)), (1, None), (2, None)] {
        let (_folder, path) = folder();
        let mut opened = open(&path);
        opened.append(2);
        if folds > 0 {
            opened.file.fold();
            opened.append(1);
        }
        opened.append(1);
        if folds > 1 {
            opened.file.fold();
            opened.file.append(vec![], 0);
            opened.wait_for(0);
        }
        drop(opened);
        fs::remove_file(&path).unwrap();
        match (try_open(&path, owner()), recovered) {
            (Ok(opened), Some(serial)) => assert_eq!(opened.ledger, lived_through(serial)),
            (Err(error), None) => assert_eq!(error.label(), "damaged", "{error}"),
            (found, _) => panic!("{folds} folds: {:?}", found.map(|opened| opened.ledger)),
        }
    }
}

#[test]
fn a_path_that_cannot_be_a_ledger_is_explained() {
    let (folder, path) = folder();
    let label = |path: &Path| try_open(path, owner()).err().map(|error| error.label());
    assert_eq!(label(&folder.path().join("missing/ledger.json")), Some("no_folder"));
    assert_eq!(read(&folder.path().join("missing/ledger.json"), None).err().unwrap().label(), "no_folder");
    fs::create_dir(&path).unwrap();
    assert_eq!(label(&path), Some("not_a_file"));
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(label(&pipe), Some("not_a_file"));
    assert_eq!(read(&folder.path().join("none.json"), None).unwrap(), None);

    // Root may write where the mode says no, but not on a read-only mount.
    let closed = folder.path().join("closed");
    let mount = Mount::tmpfs(closed.clone(), "ro");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555))
        .or_else(|error| mount.as_ref().map(|_| ()).ok_or(error))
        .unwrap();
    assert_eq!(label(&closed.join("ledger.json")), Some("read_only"));
}

#[test]
fn a_journal_taken_away_underneath_is_fatal_and_not_appended_to() {
    let disturbances: [fn(&Path); 3] = [
        |journal| fs::remove_file(journal).unwrap(),
        |journal| fs::write(journal, b"").unwrap(),
        |journal| fs::OpenOptions::new().append(true).open(journal).unwrap().write_all(b"x").unwrap(),
    ];
    for disturb in disturbances {
        let (_folder, path) = folder();
        let mut opened = open(&path);
        opened.append(2);
        disturb(&journal_of(&path));
        opened.file.append(records(3, 1), 3);
        assert_eq!(opened.fatal().label(), "disturbed");
        assert_eq!(opened.file.close().unwrap_err().label(), "closed");
    }
}
#[test]
fn a_second_process_is_kept_out_and_told_who_is_in() {
    let (_folder, path) = folder();
    let opened = open(&path);
    let error = try_open(&path, owner()).err().unwrap();
    assert_eq!((error.label(), error.exit_code()), ("in_use", 4));
    assert!(error.to_string().contains(&format!("(pid {})", std::process::id())), "{error}");
    drop(opened);
    open(&path);
}

#[test]
fn an_edit_on_purpose_is_read_and_folded_into_a_whole_file_again() {
    let (folder, path) = folder();
    let mut opened = open(&path);
    opened.append(8);
    opened.file.close().unwrap();
    let mut edited: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edited["accounts"].as_object_mut().unwrap().remove("1001").unwrap();
    fs::write(&path, serde_json::to_string_pretty(&edited).unwrap()).unwrap();
    let error = try_open(&path, owner()).err().unwrap().to_string();
    assert!(error.contains("if it was edited on purpose, delete that key as well"), "{error}");

    edited.as_object_mut().unwrap().remove("crc32").unwrap();
    fs::write(&path, serde_json::to_string_pretty(&edited).unwrap()).unwrap();
    let mut opened = open(&path);
    let removed = AccountId::new(1001).unwrap();
    assert_eq!((opened.ledger.serial, opened.ledger.accounts.contains_key(&removed)), (8, false));
    opened.append(1);
    let ledger = opened.ledger;
    opened.file.close().unwrap();
    assert_eq!(names(folder.path()), WHOLE_BY_ITSELF);
    assert!(fs::read_to_string(&path).unwrap().contains("\n \"crc32\":"));
    assert_eq!(read(&path, None).unwrap(), Some(ledger));
}
