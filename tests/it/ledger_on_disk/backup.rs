//! A copy that is made file by file while the ledger is written is one from which everything can go on.
//!
//! In: the order of the files in `deploy/README.md`. Out: what was durable when the copy was begun is in it.

use super::*;

/// The files to copy, in the order in which the page for operators says so.
fn files_in_order() -> Vec<String> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/README.md")).unwrap();
    let line = page.lines().find_map(|line| line.trim().strip_prefix("for file in ")?.strip_suffix("; do")).unwrap();
    line.split(' ').map(str::to_owned).collect()
}

/// What the daemon does while somebody copies: nothing; a few records; a fold, as at a clean stop; that, and what follows.
const MEANWHILE: [fn(&Path, Opened) -> Opened; 4] =
    [|_, opened| opened, |_, opened| with_more(opened), folded, |path, opened| with_more(folded(path, opened))];

fn with_more(mut opened: Opened) -> Opened {
    opened.append(2);
    opened
}

fn folded(path: &Path, opened: Opened) -> Opened {
    opened.file.close().unwrap();
    open(path)
}

/// How a copy turned out.
#[derive(Debug, PartialEq, Eq)]
enum Copied {
    /// Everything can go on from it.
    Whole,
    /// `history --verify` refuses it: it has to be made again.
    Refused,
    /// Something is missing or wrong, and is not told.
    Bad(String),
}

/// Copies the files in `order` while the daemon does other things after each of them.
fn copied(order: &[String], meanwhile: &[usize]) -> Copied {
    let ((_folder, path), place) = (folder(), TempDir::new().unwrap());
    let mut opened = with_more(folded(&path, with_more(open(&path))));
    let before = opened.ledger.serial;
    for (file, meanwhile) in order.iter().zip(meanwhile) {
        let from = path.with_file_name(file);
        if from.exists() {
            fs::copy(from, place.path().join(file)).unwrap();
        }
        opened = MEANWHILE[*meanwhile](&path, opened);
    }
    let copy = place.path().join("ledger.json");
    if !history(&copy, &|_| true).is_ok_and(|history| history.fault.is_none()) {
        return Copied::Refused;
    }
    let restored = open(&copy);
    let serial = restored.ledger.serial;
    if serial < before || restored.ledger != lived_through(serial) {
        return Copied::Bad(format!("{serial} of {before} records"));
    }
    restored.file.close().unwrap();
    history_fault(&copy, serial).map_or(Copied::Whole, Copied::Bad)
}

/// Every way in which a daemon can be busy between the copies of three files.
fn busy() -> impl Iterator<Item = [usize; 3]> {
    (0..27).map(|way| [way / 9, way / 3 % 3, way % 3])
}

#[test]
fn a_copy_in_the_order_of_the_page_is_whole_or_is_refused_by_the_check_that_the_page_makes() {
    let order = files_in_order();
    assert_eq!(order[3], "ledger.json.suspended", "the rest is what the ledger is made of");
    for meanwhile in busy() {
        let copied = copied(&order, &meanwhile);
        assert!(!matches!(copied, Copied::Bad(_)), "{order:?}, {meanwhile:?}: {copied:?}");
        // Whoever copies again meets a moment without a fold, and these are good.
        assert!(copied == Copied::Whole || meanwhile.contains(&2), "{meanwhile:?}: {copied:?}");
    }
}

#[test]
fn in_another_order_records_can_be_lost_unnoticed() {
    let order = ["ledger.json.audit", "ledger.json", "ledger.json.journal"].map(str::to_owned);
    assert!(busy().any(|meanwhile| matches!(copied(&order, &meanwhile), Copied::Bad(_))));
}
