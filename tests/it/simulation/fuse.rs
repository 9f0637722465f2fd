//! How long a process lives, counted in polls, and whether it spins.
//!
//! In: the futures a process is made of. Out: the same, until the fuse has burnt down: from then on none of
//! them moves any more, and [`Fuse::blown`] tells.
//! So a process can be ended before the n-th poll of anything it is made of, for each n.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::sync::Notify;
use zoho_mail_reconciler::clock::Clock;

/// More polls than a conductor can have reason for within one millisecond.
const POLLS_MAX: usize = 300;

/// See the module.
pub struct Fuse {
    /// How many polls are left; without a number it burns for ever.
    left: Mutex<Option<usize>>,
    end: Notify,
}

impl Fuse {
    pub fn new(left: Option<usize>) -> Arc<Self> {
        Arc::new(Self { left: Mutex::new(left), end: Notify::new() })
    }

    /// How many polls are left; none also if nobody counts.
    pub fn left(&self) -> usize {
        self.left.lock().unwrap().unwrap_or(0)
    }

    /// Ends when the fuse has burnt down.
    pub async fn blown(&self) {
        self.end.notified().await;
    }

    /// One poll. Whether it may be made.
    fn burn(&self) -> bool {
        match &mut *self.left.lock().unwrap() {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                if *left == 0 {
                    self.end.notify_one();
                }
                *left > 0
            }
        }
    }

    /// The future, for as long as the fuse burns.
    pub fn guard<F: Future>(self: &Arc<Self>, future: F) -> impl Future<Output = F::Output> + use<F> {
        Guarded { fuse: Arc::clone(self), future: Box::pin(future) }
    }
}

struct Guarded<F> {
    fuse: Arc<Fuse>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Guarded<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.fuse.burn() { self.future.as_mut().poll(context) } else { Poll::Pending }
    }
}

/// The future's output; none if it is polled and polled and time does not pass.
pub async fn unless_it_spins<F: Future>(future: F, clock: &Clock) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let (mut polls, mut last) = (0, clock.now());
    std::future::poll_fn(|context| {
        let now = clock.now();
        polls = if now == last { polls + 1 } else { 0 };
        last = now;
        if polls < POLLS_MAX { future.as_mut().poll(context).map(Some) } else { Poll::Ready(None) }
    })
    .await
}
