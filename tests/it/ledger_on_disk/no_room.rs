//! A disk, a quota or a limit that is used up: requests stop, nothing is lost, and all resumes.

use super::*;

/// Expects the writer to stop, makes room, and expects it to go on where it was.
fn stops_and_resumes(opened: &mut Opened, make_room: impl FnOnce()) {
    let error = loop {
        opened.ledger.apply(record(opened.ledger.serial + 1));
        opened.file.append(vec![record(opened.ledger.serial)], opened.ledger.serial);
        match opened.next() {
            Committed::Durable { .. } => {}
            Committed::Stopped { error } => break error,
            other => panic!("neither durable nor stopped but {other:?}"),
        }
        assert!(opened.ledger.serial < 100_000, "there always was room");
    };
    assert_eq!(error.label(), "no_room", "{error}");
    let waiting = opened.ledger.serial;
    opened.ledger.apply(record(waiting + 1));
    opened.file.append(vec![record(waiting + 1)], waiting + 1);
    make_room();
    match opened.next() {
        Committed::Resumed => {}
        other => panic!("not resumed but {other:?}"),
    }
    opened.wait_for(waiting);
    opened.wait_for(waiting + 1);
    opened.append(3);
}

#[test]
fn a_full_disk_stops_the_writer_until_there_is_room_and_nothing_is_lost() {
    let (folder, _) = folder();
    let Some(mount) = Mount::tmpfs(folder.path().join("small"), "size=64k") else {
        return skip("a full disk", "mounting a small tmpfs needs root");
    };
    let path = mount.0.join("ledger.json");
    let mut opened = open(&path);
    opened.append(3);
    let ballast = mount.0.join("ballast");
    fs::write(&ballast, vec![1; 32 * 1024]).unwrap();
    stops_and_resumes(&mut opened, || {
        // What is on the disk is whole all the while.
        let ledger = read(&path, None).unwrap().unwrap();
        assert_eq!(ledger, lived_through(ledger.serial));
        fs::remove_file(&ballast).unwrap();
    });
    let ledger = opened.ledger;
    opened.file.close().unwrap();
    assert_eq!(read(&path, None).unwrap(), Some(ledger));
}

#[test]
fn a_close_without_room_says_so_and_what_was_durable_is_there() {
    let (folder, _) = folder();
    let Some(mount) = Mount::tmpfs(folder.path().join("small"), "size=64k") else {
        return skip("a close without room", "mounting a small tmpfs needs root");
    };
    let path = mount.0.join("ledger.json");
    let mut opened = open(&path);
    opened.append(3);
    let _ = fs::write(mount.0.join("ballast"), vec![1; 64 * 1024]);
    assert_eq!(opened.file.close().unwrap_err().label(), "no_room");
    assert_eq!(open(&path).ledger, lived_through(3));
    fs::remove_file(mount.0.join("ballast")).unwrap();
    open(&path).file.close().unwrap();
    assert_eq!(names(&mount.0), WHOLE_BY_ITSELF);
}

#[test]
fn a_first_record_without_room_for_a_snapshot_waits_for_it() {
    let (folder, _) = folder();
    let Some(mount) = Mount::tmpfs(folder.path().join("small"), "size=64k") else {
        return skip("a first record without room", "mounting a small tmpfs needs root");
    };
    let path = mount.0.join("ledger.json");
    let mut opened = open(&path);
    let ballast = mount.0.join("ballast");
    let _ = fs::write(&ballast, vec![1; 64 * 1024]);
    stops_and_resumes(&mut opened, || fs::remove_file(&ballast).unwrap());
    assert_eq!(read(&path, None).unwrap(), Some(opened.ledger));
}
