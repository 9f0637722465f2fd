//! Waits for the next turn of a [`Keeper`], and passes its batches on.
//!
//! In: hints, the wish to resync, cancellation, time. Out: batches, in order.
//! Invariants: ends only when cancelled; never blocks a thread of the runtime; a panic of the parser ends the
//! task with that panic, so that whoever holds its handle sees it.
//! Deliberately absent: every decision; see the parent's `keeper`.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Batch;
use super::keeper::Keeper;
use super::settle::Moment;

/// Runs `keeper` until `cancel`.
pub(super) async fn run<T: Send + 'static>(
    mut keeper: Keeper<T>,
    out: mpsc::Sender<Batch<T>>,
    resync: Arc<Notify>,
    cancel: CancellationToken,
) {
    let hints = keeper.hints();
    while !cancel.is_cancelled() {
        let now = Instant::now();
        let due = keeper.next_due(now);
        if now < due {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = hints.rung() => keeper.stir(Instant::now()),
                () = resync.notified() => keeper.ask(Instant::now()),
                () = sleep_until(due) => {}
            }
            continue;
        }
        let turn = tokio::task::spawn_blocking(move || {
            let batch = keeper.turn(Moment::now());
            (keeper, batch)
        });
        let batch;
        (keeper, batch) = match turn.await {
            Ok(turned) => turned,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going down, and we with it.
                Err(_) => return,
            },
        };
        let Some(batch) = batch else { continue };
        tokio::select! {
            () = cancel.cancelled() => {}
            sent = out.send(batch) => if sent.is_err() {
                // Nobody listens any more; whoever stopped listening also cancels.
                cancel.cancelled().await;
            }
        }
    }
}
