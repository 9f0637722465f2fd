//! A reply's body, whole or cut short.
//!
//! In: the bytes, and how many of them are sent. Out: a body for hyper.
//! Invariant: a body that is cut short declares its whole length, so that whoever reads it can tell.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};

use super::Closed;

/// What is left to be sent.
#[derive(Debug)]
pub(super) struct Body {
    rest: Bytes,
    /// How many bytes are declared that will never come.
    withheld: usize,
    /// Whether all before the cut was handed over; it must be on its way before the connection is closed.
    handed_over: bool,
}

impl Body {
    /// All of `bytes`.
    pub(super) const fn whole(bytes: Bytes) -> Self {
        Self { rest: bytes, withheld: 0, handed_over: false }
    }

    /// The first `sent` of `bytes`; then the connection is closed.
    pub(super) fn cut(bytes: Bytes, sent: usize) -> Self {
        let rest = bytes.slice(..sent.min(bytes.len()));
        Self { withheld: bytes.len() - rest.len(), rest, handed_over: false }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))));
        }
        if self.withheld == 0 {
            return Poll::Ready(None);
        }
        if !std::mem::replace(&mut self.handed_over, true) {
            // hyper flushes what it has when there is nothing more for now, and forgets it on an error.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Closed)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.withheld == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.rest.len() + self.withheld) as u64)
    }
}
