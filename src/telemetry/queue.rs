//! A bounded queue of lines: its writer may be stuck, its callers never are.
//!
//! In: whole lines, each with its line break. Out: the same in their order, to a function that may block, on a thread of
//! the caller's choice; how many lines were dropped.
//! Invariants: [`Queue::push`] waits for no reader; at most [`ROOM`] bytes wait and as many are being written, which is all
//! the memory there is, taken once; a line is dropped whole and counted; the gap is reported where it is, as soon as
//! what was queued before it is written; the last words have room that no other line takes.
//! Absent by design: where the lines go, and how they look.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much waits at most, in bytes: some 4,000 lines, the start of a daemon with as many accounts.
pub(super) const ROOM: usize = 1024 * 1024;

/// The part of it, in bytes, that is kept for last words: a few backtraces.
const RESERVE: usize = 64 * 1024;

/// Which lines go when there is little room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// Dropped while the reader is behind.
    Ordinary,
    /// An error, after which the process may end. Dropped only if other errors take all the reserve.
    LastWords,
}

/// See the module.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Lines wait.
    work: Condvar,
    /// Everything is written.
    idle: Condvar,
    dropped: AtomicU64,
}

struct State {
    waiting: Vec<u8>,
    /// A line did not fit. Ordinary ones are dropped until all that waits is written, so that the gap is in one place.
    is_full: bool,
    /// Lines that were dropped since the last gap was reported.
    missing: u64,
    is_writing: bool,
    /// A flush was given up, and nothing was written since: another one has little hope.
    is_given_up: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        let state = State {
            // Pages of it that no line has touched take no memory.
            waiting: Vec::with_capacity(ROOM),
            is_full: false,
            missing: 0,
            is_writing: false,
            is_given_up: false,
        };
        Self { state: Mutex::new(state), work: Condvar::new(), idle: Condvar::new(), dropped: AtomicU64::new(0) }
    }

    /// Takes `line`, or drops it.
    pub(super) fn push(&self, line: &[u8], priority: Priority) {
        let mut state = self.state();
        let (room, is_closed) = match priority {
            Priority::Ordinary => (ROOM - RESERVE, state.is_full),
            Priority::LastWords => (ROOM, false),
        };
        if is_closed || state.waiting.len() + line.len() > room {
            // A line that is longer than all the room is no reason to drop others.
            state.is_full = !state.waiting.is_empty();
            state.missing += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
        } else {
            // Else the writer is at work, and comes back.
            if state.waiting.is_empty() {
                self.work.notify_one();
            }
            state.waiting.extend_from_slice(line);
        }
    }

    /// Writes what is queued, for ever. `write` returns how many of the lines it is given were lost; `report_gap`
    /// gets the number of those that are missing.
    pub(super) fn run(&self, mut write: impl FnMut(&[u8]) -> u64, mut report_gap: impl FnMut(u64)) {
        let mut batch = Vec::with_capacity(ROOM);
        loop {
            self.next(&mut batch);
            let lost = write(&batch);
            batch.clear();
            let missing = self.written(lost);
            if missing > 0 {
                report_gap(missing);
            }
        }
    }

    /// Waits for lines, and moves all of them to `batch`.
    fn next(&self, batch: &mut Vec<u8>) {
        let mut state = self.state();
        state.is_writing = false;
        if state.waiting.is_empty() {
            self.idle.notify_all();
        }
        let waiting = self.work.wait_while(state, |state| state.waiting.is_empty());
        let mut state = waiting.unwrap_or_else(PoisonError::into_inner);
        state.is_writing = true;
        std::mem::swap(&mut state.waiting, batch);
    }

    /// A batch is written but for `lost` lines. Returns how many lines are missing at this place, if it is time to report that.
    fn written(&self, lost: u64) -> u64 {
        self.dropped.fetch_add(lost, Ordering::Relaxed);
        let mut state = self.state();
        state.is_given_up = false;
        state.missing += lost;
        let is_all = state.waiting.is_empty();
        state.is_full &= !is_all;
        // Where standard error fails, the gap is reported after the first lines that get there again.
        if is_all && lost == 0 { std::mem::take(&mut state.missing) } else { 0 }
    }

    /// Lines were lost beside the queue.
    pub(super) fn lost(&self, lines: u64) {
        self.state().missing += lines;
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }

    /// Waits until everything is written, for `patience` at most, and a tenth of it if that was in vain before and nothing
    /// was written since. Whether everything is.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let state = self.state();
        let is_busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        let patience = if state.is_given_up { patience / 10 } else { patience };
        let waited = self.idle.wait_timeout_while(state, patience, is_busy);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_given_up = timeout.timed_out();
        !state.is_given_up
    }

    /// How many lines were dropped or lost so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Instant;

    use super::*;

    /// Far longer than a loaded machine needs.
    const DEADLINE: Duration = Duration::from_secs(60);

    /// A line of `length` bytes that begins with its name.
    fn line(name: &str, length: usize) -> Vec<u8> {
        let mut line = name.as_bytes().to_vec();
        line.resize(length - 1, b'.');
        line.push(b'\n');
        line
    }

    /// The beginning of each line, by runs of the same: `a a a b` is `a*3 b`.
    fn names(written: &[u8]) -> String {
        let names: Vec<_> = written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let runs = names.chunk_by(|a, b| a[0] == b[0]);
        runs.map(|run| format!("{}*{}", char::from(run[0][0]), run.len())).collect::<Vec<_>>().join(" ")
    }

    /// A queue whose writer begins a batch for each word that is sent to it: whether the batch gets there.
    fn reader() -> (Arc<Queue>, mpsc::Sender<bool>, Arc<Mutex<Vec<u8>>>) {
        let (queue, (allow, allowed)) = (Arc::new(Queue::new()), mpsc::channel());
        let written = Arc::new(Mutex::new(Vec::new()));
        let (works, into) = (Arc::clone(&queue), Arc::clone(&written));
        thread::spawn(move || {
            let write = |batch: &[u8]| {
                let gets_there = allowed.recv().unwrap_or(false);
                if gets_there {
                    into.lock().unwrap().extend_from_slice(batch);
                    return 0;
                }
                batch.iter().filter(|byte| **byte == b'\n').count() as u64
            };
            works.run(write, |missing| into.lock().unwrap().extend(line(&format!("({missing} missing)"), 64)));
        });
        (queue, allow, written)
    }

    /// The same, with a writer that is stuck with a first line.
    fn stuck_reader() -> (Arc<Queue>, mpsc::Sender<bool>, Arc<Mutex<Vec<u8>>>) {
        let (queue, allow, written) = reader();
        queue.push(&line("a", 1024), Priority::Ordinary);
        let begun = Instant::now();
        while !queue.state().waiting.is_empty() {
            assert!(begun.elapsed() < DEADLINE, "the writer does not take the line");
            thread::yield_now();
        }
        (queue, allow, written)
    }

    /// Lets the reader read everything.
    fn read_all(queue: &Queue, allow: &mpsc::Sender<bool>) {
        (0..100).for_each(|_| allow.send(true).unwrap());
        let begun = Instant::now();
        while !queue.flush(DEADLINE) {
            assert!(begun.elapsed() < DEADLINE, "it is never done");
        }
    }

    #[test]
    fn what_does_not_fit_is_dropped_in_one_place_counted_and_reported_there() {
        const LINE: usize = 1024;
        const MOST: usize = (ROOM - RESERVE) / LINE;
        let (queue, allow, written) = stuck_reader();
        (0..MOST + 7).for_each(|_| queue.push(&line("b", LINE), Priority::Ordinary));
        assert_eq!(queue.dropped(), 7);
        // A short line would fit, but then there would be two gaps.
        queue.push(b"c\n", Priority::Ordinary);
        assert_eq!(queue.dropped(), 8);
        assert!(!queue.flush(Duration::ZERO), "the reader does not read");
        read_all(&queue, &allow);
        queue.push(&line("d", LINE), Priority::Ordinary);
        assert!(queue.flush(DEADLINE));
        assert_eq!(names(&written.lock().unwrap()), format!("a*1 b*{MOST} (*1 d*1"));
        assert!(String::from_utf8_lossy(&written.lock().unwrap()).contains("(8 missing)"));
    }

    #[test]
    fn last_words_have_room_that_is_bounded_as_well() {
        let (queue, allow, written) = stuck_reader();
        (0..2 * ROOM / 1024).for_each(|_| queue.push(&line("a", 1024), Priority::Ordinary));
        let (before, taken) = (queue.dropped(), queue.state().waiting.len());
        queue.push(&line("e", 1024), Priority::LastWords);
        assert_eq!((queue.dropped(), queue.state().waiting.len()), (before, taken + 1024));
        (0..2 * ROOM / 1024).for_each(|_| queue.push(&line("e", 1024), Priority::LastWords));
        assert!(queue.dropped() > before && queue.state().waiting.len() <= ROOM);
        assert_eq!(queue.state().waiting.capacity(), ROOM, "no memory is taken beyond that of the start");
        read_all(&queue, &allow);
        assert!(names(&written.lock().unwrap()).contains("e*64 (*1"));
    }

    #[test]
    fn a_line_that_fits_never_keeps_no_other_out() {
        let (queue, allow, written) = reader();
        queue.push(&line("a", 2 * ROOM), Priority::Ordinary);
        queue.push(&line("b", 64), Priority::Ordinary);
        read_all(&queue, &allow);
        assert_eq!((queue.dropped(), names(&written.lock().unwrap())), (1, "b*1 (*1".to_owned()));
    }

    #[test]
    fn lines_that_standard_error_refuses_count_as_dropped_and_are_reported_after_the_first_that_it_takes() {
        let (queue, allow, written) = reader();
        for name in ["a", "b"] {
            queue.push(&line(name, 64), Priority::Ordinary);
            allow.send(false).unwrap();
            assert!(queue.flush(DEADLINE), "nothing waits any more");
        }
        assert_eq!((queue.dropped(), written.lock().unwrap().len()), (2, 0));
        queue.push(&line("c", 64), Priority::Ordinary);
        read_all(&queue, &allow);
        assert_eq!(names(&written.lock().unwrap()), "c*1 (*1");
    }
}
