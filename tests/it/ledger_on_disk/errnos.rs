//! Every call on the ledger's files fails once, in every way: nothing is lost, nothing is claimed, and what is said
//! names the file and a way out.

use super::crashes::{child, strace_works};
use super::*;

/// What the ledger asks the system for, as strace names it on any machine.
const CALLS: [&str; 10] = [
    "openat",
    "read",
    "write",
    "fdatasync",
    "fsync",
    "?rename,?renameat,renameat2",
    "ftruncate",
    "?unlink,unlinkat",
    "flock",
    "?statx,?fstat,newfstatat",
];

const ERRNOS: [&str; 10] =
    ["ENOSPC", "EIO", "EMFILE", "EINTR", "EROFS", "EDQUOT", "ENOMEM", "ENFILE", "EACCES", "EFBIG"];

/// More calls of one kind than a life makes.
const TOO_MANY: usize = 60;

/// How a life with one failure may go on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// As if nothing had been.
    Well,
    /// With a stop of requests for a while, then as above.
    Resumed,
    /// With an error, from opening, writing or closing.
    Error,
}

/// What passes by itself, or when room is made elsewhere.
const PASSING: [&str; 7] = ["ENOSPC", "EDQUOT", "EFBIG", "EMFILE", "ENFILE", "ENOMEM", "EINTR"];

/// Fails the `n`th call in one way; says how it ended, or `None` if there was no such call.
fn fail(call: &str, errno: &str, n: usize) -> Option<End> {
    let child = child(false);
    let lived = child.run(&format!("inject={call}:error={errno}:when={n}"));
    let log = fs::read_to_string(&child.log).unwrap();
    let failed = log.lines().find(|line| line.contains("(INJECTED)"))?;
    let what = format!("{errno} from {failed}");
    assert!(lived, "{what}: it panicked");
    child.check(&what);
    let said = child.said();
    let last = said.last().unwrap();
    let end = match last.as_str() {
        "closed" if said.iter().any(|line| line == "resumed") => End::Resumed,
        "closed" => End::Well,
        error => {
            judge_words(error, &what);
            End::Error
        }
    };
    let is_sync = call.ends_with("sync") && !failed.contains("ledger.json.tmp");
    let expected = match errno {
        // The library asks again, where a call can be interrupted at all.
        "EINTR" if ["openat", "write", "ftruncate", "fsync", "fdatasync"].contains(&call) => end == End::Well,
        _ if is_sync => end == End::Error,
        // To open and to close may fail; what is under way waits.
        _ if PASSING.contains(&errno) => !last.starts_with("fatal "),
        _ => true,
    };
    assert!(expected, "{what} ends in {end:?}: {last}");
    Some(end)
}

/// A person on call finds the file, a way out, and the system's own words.
fn judge_words(words: &str, what: &str) {
    assert!(words.contains('/'), "{what} names no file: {words}");
    assert!(words.contains("(os error "), "{what} does not say what the system said: {words}");
    let ways = ["free some space", "look at ", "let it (mode, owner, read-only mount)"];
    assert!(ways.iter().any(|way| words.contains(way)), "{what} shows no way out: {words}");
}

#[test]
fn whatever_call_fails_in_whatever_way_nothing_is_lost_and_the_error_says_what_to_do() {
    if !strace_works("every errno") {
        return;
    }
    // Each call in every way, or in one of them, in turn.
    let ways = pick(1, ERRNOS.len());
    let sweep = |at: usize, call: &'static str| {
        for n in 1..TOO_MANY {
            let turn = 3 * (n + at);
            let errnos = (turn..turn + ways).map(|turn| ERRNOS[turn % ERRNOS.len()]);
            // Side by side, for some of them wait before they try again.
            let ends: Vec<_> = std::thread::scope(|scope| {
                let runs: Vec<_> = errnos.map(|errno| scope.spawn(move || fail(call, errno, n))).collect();
                runs.into_iter().map(|run| run.join().unwrap()).collect()
            });
            if ends.iter().all(Option::is_none) {
                return n - 1;
            }
        }
        panic!("{call} never ends");
    };
    let failed: Vec<_> = std::thread::scope(|scope| {
        let sweeps: Vec<_> =
            CALLS.into_iter().zip(0..).map(|(call, at)| scope.spawn(move || sweep(at, call))).collect();
        sweeps.into_iter().map(|sweep| sweep.join().unwrap()).collect()
    });
    assert!(failed.iter().all(|failed| *failed > 0) && failed.iter().sum::<usize>() >= 50, "{failed:?}");
}
