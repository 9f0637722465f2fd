//! Requests as tasks of their own, each of which ends with an event, whatever happens in it.
//!
//! In: a PUT or credentials, with all they need. Out: one [`Event`] each, through a channel.
//! Invariants: a request that panics is answered as well: the PUT is in doubt, for it may have left; the token is not to be
//! had for now. So no account stays in flight for ever, and no other notices.
//! Absent by design: the line of the log that says where it panicked, which is written by the hook of panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::event::{Event, Put, Read};
use crate::change::{Failure, Outcome};
use crate::condition::Reason;
use crate::zoho::{Answer, Client, Code, PageAnswer, RefreshCredentials, TokenAnswer, TokenOutcome, Transport};

/// Begins a PUT. [`Event::Answered`] follows.
pub(super) fn put<T: Transport>(client: Client<T>, put: Put, out: mpsc::Sender<Event>) {
    tokio::spawn(async move {
        let (Put { change, token }, begun) = (put, Instant::now());
        let answered = unless_it_panics(client.put(&change, &token)).await;
        let answer = answered.unwrap_or_else(|| broken_put(begun.elapsed()));
        // The controller is gone only if the process ends; then the field stays in doubt.
        let _ = out.send(Event::Answered { account: change.account, answer }).await;
    });
}

/// Asks for a page of accounts. [`Event::Page`] follows.
pub(super) fn read<T: Transport>(client: Client<T>, read: Read, out: mpsc::Sender<Event>) {
    tokio::spawn(async move {
        let (Read { window, token }, begun) = (read, Instant::now());
        let answered = unless_it_panics(client.page(window, &token)).await;
        let broken = || PageAnswer { answer: broken_read(begun.elapsed()), page: None };
        // The controller is gone only if the process ends.
        let _ = out.send(Event::Page(answered.unwrap_or_else(broken))).await;
    });
}

/// Asks for an access token. [`Event::Token`] follows.
pub(super) fn fetch_token<T: Transport>(
    client: Client<T>,
    credentials: Box<RefreshCredentials>,
    out: mpsc::Sender<Event>,
) {
    tokio::spawn(async move {
        let begun = Instant::now();
        let answered = unless_it_panics(client.fetch_token(&credentials)).await;
        let answer = answered.unwrap_or_else(|| broken_token(begun.elapsed()));
        // The controller is gone only if the process ends.
        let _ = out.send(Event::Token(answer)).await;
    });
}

/// What `future` comes to; nothing if it panics.
async fn unless_it_panics<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    // It is not polled again after a panic, so nothing sees what that left half-done, but for the connections that all
    // requests share; those keep their own order.
    std::future::poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}

fn broken_put(took: Duration) -> Answer {
    let message = "this program has a bug and broke down while it sent the request; the log says where \
                   (the change may have been made; it is sent again)";
    let failure = Failure { reason: Reason::InDoubt, message: message.into() };
    Answer { outcome: Outcome::InDoubt(failure), retry_after: None, code: Code::Panicked, took }
}

fn broken_read(took: Duration) -> Answer {
    let message = "this program has a bug and broke down while it read the service; the log says where";
    let failure = Failure { reason: Reason::ServiceUnavailable, message: message.into() };
    Answer { outcome: Outcome::Retry(failure), retry_after: None, code: Code::Panicked, took }
}

fn broken_token(took: Duration) -> TokenAnswer {
    let message = "no access token: this program has a bug and broke down while it asked for one; the log says where";
    let failure = Failure { reason: Reason::TokenUnavailable, message: message.into() };
    TokenAnswer { outcome: TokenOutcome::Unavailable(failure), code: Code::Panicked, took }
}
