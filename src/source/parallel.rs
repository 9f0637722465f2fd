//! The same work on many items, on all cores, with the results in the items' order.
//!
//! In: a slice and a function. Out: one result an item, in chunks that keep the order.
//! Invariants: results are moved once; each worker has one buffer for all its items.
//! Deliberately absent: a pool that outlives the call; starting a thread costs less than 50 µs.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// More threads than this only wait for the kernel's folder and inode locks.
const MAX_WORKERS: usize = 8;

/// Applies `work` to every item; workers take `chunk` items at a time. `None` as soon as `stop` says so.
pub(super) fn map<I: Sync, O: Send>(
    items: &[I],
    chunk: usize,
    stop: &(dyn Fn() -> bool + Sync),
    work: impl Fn(&mut Vec<u8>, &I) -> O + Sync,
) -> Option<Vec<Vec<O>>> {
    let chunks: Vec<&[I]> = items.chunks(chunk).collect();
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        let mut buffer = Vec::new();
        while !stop() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(items) = chunks.get(index) else { break };
            done.push((index, items.iter().map(|item| work(&mut buffer, item)).collect::<Vec<O>>()));
        }
        done
    };
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let others = cores.min(MAX_WORKERS).min(chunks.len()).saturating_sub(1);
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (0..others).map(|_| scope.spawn(worker)).collect();
        let mut done = worker();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    if done.len() < chunks.len() {
        return None;
    }
    done.sort_unstable_by_key(|(index, _)| *index);
    Some(done.into_iter().map(|(_, results)| results).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..1000).collect();
        let doubled = map(&items, 7, &|| false, |_, item| item * 2).unwrap();
        let doubled: Vec<u32> = doubled.into_iter().flatten().collect();
        assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!(map(&items[..0], 7, &|| false, |_, item| *item).unwrap(), Vec::<Vec<u32>>::new());
    }

    #[test]
    fn a_stop_gives_no_results_at_all() {
        let stopped = std::sync::atomic::AtomicBool::new(false);
        let items: Vec<u32> = (0..100).collect();
        let stop = || stopped.load(Ordering::Relaxed);
        let result = map(&items, 1, &stop, |_, item| stopped.store(*item >= 50, Ordering::Relaxed));
        assert_eq!(result, None);
    }
}
